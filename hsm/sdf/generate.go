package sdf

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"hufu/hsm"
	"hufu/internal/gm"
)

// Generate gives a label to a key. For SM2 that is a pair which the operator made at the vendor's console: the lowest index
// that was never given, whose key exists and works. A key to wrap is made by the device under a KEK. When no index is left
// the answer is hsm.ErrNoIndex, and hsm.ErrMechanism when none of that kind is configured.
func (d *Device) Generate(ctx context.Context, spec hsm.Spec) (hsm.Info, error) {
	if err := d.begin(ctx); err != nil {
		return hsm.Info{}, err
	}
	spec, err := hsm.CheckSpec(spec)
	if err != nil {
		return hsm.Info{}, err
	}
	k := kindOf(spec)
	if k == "" {
		return hsm.Info{}, hsm.ErrMechanism.With("key %q: SDF has no %s to %s", spec.Label, spec.Algorithm, spec.Use)
	}
	all, err := d.file.read()
	if err != nil {
		return hsm.Info{}, err
	}
	if all.find(spec.Label) != nil {
		return hsm.Info{}, hsm.ErrExists.With("key %q", spec.Label)
	}
	if len(d.cfg.indices(k)) == 0 {
		return hsm.Info{}, hsm.ErrMechanism.With("key %q: no index to %s is configured", spec.Label, k)
	}
	entry := assignment{Label: spec.Label, Algorithm: spec.Algorithm, Use: spec.Use, Purpose: spec.Purpose, Kind: k}
	if k == kek {
		return d.generateWrap(ctx, entry)
	}
	return d.generatePair(ctx, entry)
}

// generatePair finds a pair for an entry.
func (d *Device) generatePair(ctx context.Context, entry assignment) (hsm.Info, error) {
	var passed []uint32 // without a key
	for {
		p, err := d.await(ctx, entry.Kind, passed)
		if err != nil {
			return hsm.Info{}, err
		}
		entry.Index = p.index
		info, err := d.try(ctx, entry)
		d.unreserve(p)
		if !errors.Is(err, errPassed) {
			return info, err
		}
		d.cfg.Log.Info("SDF index is passed over", "kind", string(p.kind), "index", p.index, "error", err)
		passed = append(passed, p.index)
	}
}

// errPassed means that an index cannot be given, and another one may.
var errPassed = errors.New("index passed over")

// errTried means that others are trying the indices that are left; they may pass them over.
var errTried = errors.New("indices are being tried")

// await reserves an index, and waits for those that others are trying.
func (d *Device) await(ctx context.Context, k kind, passed []uint32) (place, error) {
	for {
		p, err := d.reserve(k, passed)
		if !errors.Is(err, errTried) {
			return p, err
		}
		select {
		case <-ctx.Done():
			return p, hsm.ErrUnavailable.With("SDF: indices to %s are being tried: %w", k, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// reserve takes the lowest index that was never given and that nobody else is trying.
func (d *Device) reserve(k kind, passed []uint32) (place, error) {
	all, err := d.file.read()
	if err != nil {
		return place{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	tried := false
	for _, index := range d.cfg.indices(k) {
		p := place{k, index}
		if all.given(k, index) || slices.Contains(passed, index) {
			continue
		}
		if !d.reserved[p] {
			d.reserved[p] = true
			return p, nil
		}
		tried = true
	}
	if tried {
		return place{}, errTried
	}
	return place{}, hsm.ErrNoIndex.With("SDF: %d indices to %s are configured, %d of them show no usable key", len(d.cfg.indices(k)), k, len(passed))
}

func (d *Device) unreserve(p place) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.reserved, p)
}

// try exports the public half of an index, proves that the private half works and belongs to it, and writes the entry down.
func (d *Device) try(ctx context.Context, entry assignment) (hsm.Info, error) {
	p := place{entry.Kind, entry.Index}
	point, err := work(ctx, d, func(s *session) (string, error) {
		point, err := s.export(p)
		if err != nil {
			return "", err
		}
		k := entry
		k.Public = point
		pub, err := k.public()
		if err == nil {
			err = s.right(p)
		}
		if err == nil {
			err = s.prove(k, pub)
		}
		return point, err
	})
	f := (*failure)(nil)
	if errors.As(err, &f) && f.class() != classDevice && f.call != "SDF_InternalDecrypt_ECC" && f.call != "SDF_InternalSign_ECC" {
		return hsm.Info{}, errors.Join(errPassed, err)
	}
	if err != nil {
		return hsm.Info{}, translate(err, "try %s index %d for key %q", p.kind, p.index, entry.Label)
	}
	entry.Public, entry.Created = point, formatTime(d.cfg.Now())
	return d.write(ctx, entry)
}

// prove uses the private half once and checks the result with the public one.
func (s *session) prove(k assignment, pub *ecdsa.PublicKey) error {
	probe := make([]byte, 32)
	if _, err := rand.Read(probe); err != nil {
		return err
	}
	if k.Kind == signing {
		sig, err := s.sign(k.Index, probe)
		if err == nil && !gm.VerifyE(pub, probe, sig) {
			err = hsm.ErrSignature.With("SDF: sign index %d", k.Index)
		}
		return err
	}
	ciphertext, err := gm.Encrypt(pub, probe)
	if err != nil {
		return err
	}
	plain, err := s.decrypt(k.Index, ciphertext)
	if err == nil && !bytes.Equal(plain, probe) {
		err = hsm.ErrProfile.With("SDF: encrypt index %d decrypts to something else", k.Index)
	}
	return err
}

// write adds an entry to the file, unless its label or index was given meanwhile.
func (d *Device) write(ctx context.Context, entry assignment) (hsm.Info, error) {
	err := d.file.change(ctx, func(a *assignments) error {
		switch {
		case a.find(entry.Label) != nil:
			return hsm.ErrExists.With("key %q", entry.Label)
		case entry.Kind != kek && a.given(entry.Kind, entry.Index):
			return errPassed
		case entry.Kind != kek && a.known(entry.Public):
			// A key that was destroyed under another index is not brought back, and no key has two labels.
			return errPassed
		}
		a.Keys = append(a.Keys, entry)
		return nil
	})
	if err != nil {
		return hsm.Info{}, err
	}
	return entry.info()
}

// generateWrap has the device make an SM4 key under the first KEK that exists.
func (d *Device) generateWrap(ctx context.Context, entry assignment) (hsm.Info, error) {
	mode, err := d.symmetric(ctx)
	if err != nil {
		return hsm.Info{}, translate(err, "make key %q", entry.Label)
	}
	type fresh struct{ wrapped, value string }
	k, err := work(ctx, d, func(s *session) (fresh, error) {
		wrapped, key, err := s.make(mode.wrap, mode.index)
		if err != nil {
			return fresh{}, err
		}
		defer s.d.lib.destroyKey(s.handle, key)
		value, err := s.value(key, mode.chained)
		return fresh{hex.EncodeToString(wrapped), value}, err
	})
	if err != nil {
		return hsm.Info{}, translate(err, "make key %q under KEK %d", entry.Label, mode.index)
	}
	entry.Index, entry.Mode, entry.Wrapped, entry.Value = mode.index, mode.wrap, k.wrapped, k.value
	entry.Created = formatTime(d.cfg.Now())
	return d.write(ctx, entry)
}
