package keys

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// Many are the SM2 keys of one purpose that are too many for a device: they stand in the database, wrapped by a master
// key of the device, and each is opened for one signature at a time. They are HSM-wrapped, not HSM-backed.
//
// Its Generate and Signer are what a consumer declares. Keys in state Making are not usable; a crash during Generate
// leaves at most one, which Resume voids. Keys under Control ByOwner are refused by Signer: their way in asks for the
// owner's activation and is a method of its own.
type Many struct {
	keys    *Keys
	who     actor.Actor
	purpose string
	master  string
}

// Many returns the keys of a purpose, wrapped under the master key of the label, which Ensure has made. who acts in the
// record of each key that is generated: the part of the system that uses this, or a super administrator.
func (k *Keys) Many(who actor.Actor, purpose, master string) (*Many, error) {
	if err := who.Require(actor.RoleSuperAdmin); err != nil {
		return nil, err
	}
	if !slices.Contains(manyPurposes, purpose) {
		return nil, ErrPurpose.With("many keys for %q", purpose)
	}
	return &Many{k, who, purpose, master}, nil
}

// Generate makes a key. label is the owner's word for it and need not be unique. When Generate returns, the key is durable
// and was read back, opened and compared.
func (m *Many) Generate(ctx context.Context, label string) (id string, public crypto.PublicKey, err error) {
	private, err := gm.GenerateKey()
	if err != nil {
		return "", nil, err
	}
	d := private.Bytes()
	defer clear(d)
	w := Wrapped{
		ID: rand.Text(), Label: label, Purpose: m.purpose, Control: ByPlatform, State: Making, Master: m.master,
		Public: gm.Point(private.Public().(*ecdsa.PublicKey)), Made: m.keys.time(),
	}
	if w.MasterVersion, w.Wrapped, err = m.keys.wrap(ctx, m.master, d, w.aad()); err != nil {
		return "", nil, err
	}
	if err := m.keys.store.Update(ctx, func(s W) error { return s.InsertWrapped(w) }); err != nil {
		return "", nil, err
	}
	return w.ID, private.Public(), m.activate(ctx, w.ID)
}

// activate opens what was really stored and only then lets the key be used.
func (m *Many) activate(ctx context.Context, id string) error {
	before, err := m.get(ctx, id)
	if err != nil {
		return err
	}
	if _, err := m.open(ctx, before); err != nil {
		return err
	}
	after := before
	after.State = Active
	return m.replace(ctx, before, after, "key.generate", m.who)
}

func (m *Many) replace(ctx context.Context, before, after Wrapped, action string, who actor.Actor) error {
	err := m.keys.change(ctx, func(w W) (bool, error) {
		if ok, err := w.ReplaceWrapped(before, after); err != nil || !ok {
			return false, err
		}
		return true, w.Record(ofWrapped(after, who, action, m.keys.time()))
	})
	if errors.Is(err, errLost) {
		return ErrState.With("key %s changed meanwhile", before.ID)
	}
	return err
}

// Signer returns a signer of a key. It reads the row now and opens the key at each Sign, until ctx ends. Options are
// gm.Message or gm.Digest, the result DER, verified before it leaves.
func (m *Many) Signer(ctx context.Context, id string) (crypto.Signer, error) {
	w, err := m.get(ctx, id)
	if err != nil {
		return nil, err
	}
	if w.State != Active {
		return nil, ErrUnknown.With("key %s is %s", id, w.State)
	}
	if w.Control != ByPlatform {
		return nil, ErrActivation.With("key %s is controlled by its %s", id, w.Control)
	}
	pub, err := gm.PublicKey(w.Public)
	if err != nil {
		return nil, ErrDamaged.With("key %s: %w", id, err)
	}
	return &manySigner{ctx, m, w, pub}, nil
}

// Destroy ends a key for ever: its wrapped octets are erased. For the system and super administrators.
func (m *Many) Destroy(ctx context.Context, who actor.Actor, id string) error {
	if err := who.Require(actor.RoleSuperAdmin); err != nil {
		return err
	}
	before, err := m.get(ctx, id)
	if err != nil {
		return err
	}
	if before.State != Active {
		return ErrUnknown.With("key %s is %s", id, before.State)
	}
	after := before
	after.State, after.Wrapped, after.Destroyed = Destroyed, []byte{}, m.keys.time()
	return m.replace(ctx, before, after, "key.destroyed", who)
}

// get reads a row of this purpose.
func (m *Many) get(ctx context.Context, id string) (w Wrapped, err error) {
	err = m.keys.store.View(ctx, func(r R) (err error) {
		w, err = r.Wrapped(id)
		return err
	})
	if err == nil && w.Purpose != m.purpose {
		err = ErrUnknown.With("key %s is for %s, not %s", id, w.Purpose, m.purpose)
	}
	return w, err
}

// open unwraps a key and holds it against its public half.
func (m *Many) open(ctx context.Context, w Wrapped) (*gm.PrivateKey, error) {
	d, err := m.keys.Unwrap(ctx, w.Master, w.Wrapped, w.aad())
	if err != nil {
		return nil, err
	}
	defer clear(d)
	private, err := gm.NewPrivateKey(d)
	if err != nil || !slices.Equal(gm.Point(private.Public().(*ecdsa.PublicKey)), w.Public) {
		return nil, ErrDamaged.With("key %s: its halves do not belong together", w.ID)
	}
	return private, nil
}

// aad binds wrapped octets to their row, and the row to its public key, purpose and control.
func (w Wrapped) aad() []byte {
	head := "hufu many key v1\x00" + w.ID + "\x00" + w.Purpose + "\x00" + string(w.Control) + "\x00"
	return append([]byte(head), w.Public...)
}

type manySigner struct {
	ctx context.Context // of the call to Signer, since crypto.Signer takes none
	m   *Many
	row Wrapped
	pub *ecdsa.PublicKey
}

func (s *manySigner) Public() crypto.PublicKey { return s.pub }

func (s *manySigner) Sign(_ io.Reader, input []byte, opts crypto.SignerOpts) ([]byte, error) {
	e := input
	switch {
	case opts == gm.Message:
		sum, err := gm.E(s.pub, gm.DefaultID, input)
		if err != nil {
			return nil, err
		}
		e = sum[:]
	case opts != gm.Digest || len(e) != 32:
		return nil, ErrInput.With("sign %d octets with key %s, options %T", len(input), s.row.ID, opts)
	}
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	private, err := s.m.open(s.ctx, s.row)
	if err != nil {
		return nil, err
	}
	sig, err := private.Sign(nil, e, gm.Digest)
	if err != nil {
		return nil, err
	}
	if !gm.VerifyE(s.pub, e, sig) {
		return nil, gm.ErrSignature
	}
	return sig, nil
}

func ofWrapped(w Wrapped, who actor.Actor, action string, at time.Time) audit.Entry {
	print := gm.SM3(w.Public)
	return audit.Entry{
		At: at, Actor: who, Action: action, Object: audit.Object{Kind: "key", ID: w.ID},
		Public: map[string]string{"purpose": w.Purpose, "public": hex.EncodeToString(print[:])},
	}
}
