//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
	"time"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
)

// Generate makes a key in the device. A crash leaves the whole key, or a half that Keys does not show and that the next Generate of
// the label removes. If the context ends while the device works, the key is destroyed again once it is there.
func (d *Device) Generate(ctx context.Context, spec hsm.Spec) (hsm.Info, error) {
	spec, err := hsm.CheckSpec(spec)
	if err != nil {
		return hsm.Info{}, err
	}
	if err := d.ready(ctx); err != nil {
		return hsm.Info{}, err
	}
	if !d.can.make(spec) {
		return hsm.Info{}, hsm.ErrMechanism.With("token %s cannot %s with %s", d.cfg.Token, spec.Use, spec.Algorithm)
	}
	if spec.Purpose != "" && !d.profile.notes() {
		return hsm.Info{}, hsm.ErrMechanism.With("key %q: profile %s has no room for a purpose", spec.Label, d.profile.Name)
	}
	if err := lockUnder(ctx, d.making); err != nil {
		return hsm.Info{}, err
	}
	defer func() { <-d.making }()
	id, err := newID()
	if err != nil {
		return hsm.Info{}, hsm.ErrUnavailable.With("generate key %q: %w", spec.Label, err)
	}
	if d.profile.notes() {
		id = withNote(id, note{kindKey, d.cfg.Now().UTC().Truncate(time.Microsecond), spec.Purpose})
	}
	what := "generate key " + spec.Label
	k, err := run(ctx, d, what, func(s *session) (*key, error) { return s.generate(spec, id) }, func(*key) { d.takeBack(spec.Label, id) })
	if err != nil {
		return hsm.Info{}, err
	}
	d.remember(spec.Label, []*key{k})
	return k.info, nil
}

// generate may run a second time after a lost session: what the first run made is then found by id and taken.
func (s *session) generate(spec hsm.Spec, id []byte) (*key, error) {
	keys, halves, err := s.scan(p11.NewAttribute(p11.CKA_LABEL, spec.Label))
	if err != nil {
		return nil, err
	}
	if k := only(keys, id); k != nil {
		return k, nil
	}
	if len(keys) > 0 {
		return nil, hsm.ErrExists.With("key %q on token %s", spec.Label, s.d.cfg.Token)
	}
	if err := s.sweep(spec.Label, id, halves); err != nil {
		return nil, err
	}
	if err := s.makeKey(spec, spot{token: true, label: spec.Label, id: id}); err != nil {
		return nil, err
	}
	if keys, _, err = s.scan(p11.NewAttribute(p11.CKA_LABEL, spec.Label)); err != nil {
		return nil, err
	}
	if len(keys) > 1 { // another process was as quick: both step back, so that none is used under a label that means two keys
		return nil, cleanUp(s.destroy(spec.Label, id), hsm.ErrExists.With("key %q was made twice at once on token %s", spec.Label, s.d.cfg.Token))
	}
	k := only(keys, id)
	if k == nil || k.info.Algorithm != spec.Algorithm || k.info.Use != spec.Use {
		return nil, cleanUp(s.destroy(spec.Label, id), hsm.ErrProfile.With("key %q does not show as it was made", spec.Label))
	}
	return k, nil
}

func cleanUp(failed, cause error) error {
	if failed != nil {
		return failed
	}
	return cause
}

// only returns the key if it is the only one and has that id.
func only(keys []*key, id []byte) *key {
	if len(keys) == 1 && bytes.Equal(keys[0].id, id) {
		return keys[0]
	}
	return nil
}

func (s *session) makeKey(spec hsm.Spec, at spot) error {
	switch spec.Algorithm {
	case hsm.SM4, hsm.AES256, hsm.HMACSM3:
		if spec.Use == hsm.UseWrap && s.d.can.inside && s.d.profile.notes() {
			beside := spot{token: true, label: at.label, id: insideID(at.id)}
			if _, err := s.makeSecret(hsm.AES256, beside, p11.CKA_WRAP, p11.CKA_UNWRAP); err != nil {
				return err
			}
		}
		_, err := s.makeSecret(spec.Algorithm, at, secretUse(spec.Algorithm)...)
		return err
	}
	_, _, err := s.makePair(spec, at)
	return err
}

// youngHalf is the age below which half a key may be one that another process is making.
const youngHalf = time.Minute

// sweep removes the halves of our own keys that a crash left under a label. A label with a foreign object is taken, and so is one
// that another process may be using just now.
func (s *session) sweep(label string, id []byte, halves []object) error {
	for _, o := range halves {
		n := readNote(o.id())
		if bytes.Equal(o.id(), id) || bytes.Equal(o.id(), insideID(id)) {
			continue
		}
		if n.kind == 0 {
			return hsm.ErrExists.With("an object %q of another maker is on token %s", label, s.d.cfg.Token)
		}
		if age := s.d.cfg.Now().Sub(n.made); age < youngHalf {
			return hsm.ErrExists.With("half a key %q, %s old, is on token %s: it is being made, or was left by a crash", label, age, s.d.cfg.Token)
		}
	}
	for _, o := range halves {
		s.d.cfg.Log.Warn("half a key is removed", "label", label, "id", o.id()[:coreLen], "class", o.class)
		if err := s.lib.DestroyObject(s.h, o.handle); err != nil && !gone(err) {
			return step("C_DestroyObject", err)
		}
	}
	return nil
}

// takeBack destroys a key whose maker did not wait for it.
func (d *Device) takeBack(label string, id []byte) {
	ctx, cancel := context.WithTimeout(d.life, tryTime)
	defer cancel()
	_, err := attempt(ctx, d, "take back a key", func(s *session) (struct{}, error) { return struct{}{}, s.destroy(label, id) })
	if err != nil {
		d.cfg.Log.Warn("a key that nobody waited for stays on the token", "id", id[:coreLen], "cause", err)
	}
}

// destroy removes all objects of a label and id, the private or secret ones first: what a crash leaves is at most a public half.
func (s *session) destroy(label string, id []byte) error {
	ids := [][]byte{id}
	if readNote(id).kind == kindKey {
		ids = append(ids, insideID(id))
	}
	for _, class := range []uint{p11.CKO_PRIVATE_KEY, p11.CKO_SECRET_KEY, p11.CKO_PUBLIC_KEY} {
		for _, id := range ids {
			handles, err := s.find(p11.NewAttribute(p11.CKA_CLASS, class), p11.NewAttribute(p11.CKA_TOKEN, true), p11.NewAttribute(p11.CKA_ID, id), p11.NewAttribute(p11.CKA_LABEL, label))
			if err != nil {
				return err
			}
			for _, h := range handles {
				if err := s.lib.DestroyObject(s.h, h); err != nil && !gone(err) {
					return step("C_DestroyObject", err)
				}
			}
		}
	}
	return nil
}

// Destroy removes a key for ever. A key without a CKA_ID is left to the console that made it.
func (d *Device) Destroy(ctx context.Context, label string) error {
	if err := d.ready(ctx); err != nil {
		return err
	}
	if err := lockUnder(ctx, d.making); err != nil {
		return err
	}
	defer func() { <-d.making }()
	var gone bool // told from one run of the operation to the next, never read here
	_, err := run(ctx, d, "destroy key "+label, func(s *session) (struct{}, error) {
		keys, _, err := s.scan(p11.NewAttribute(p11.CKA_LABEL, label))
		switch {
		case err != nil:
			return struct{}{}, err
		case len(keys) == 0 && gone:
			return struct{}{}, nil
		case len(keys) == 0:
			return struct{}{}, hsm.ErrNotFound.With("key %q on token %s", label, d.cfg.Token)
		case len(keys) > 1:
			return struct{}{}, ErrAmbiguous.With("destroy %q", label)
		case len(keys[0].id) == 0:
			return struct{}{}, hsm.ErrMechanism.With("key %q has no CKA_ID: destroy it at the vendor's console", label)
		}
		gone = true
		return struct{}{}, s.destroy(label, keys[0].id)
	}, nil)
	d.remember(label, nil)
	return err
}
