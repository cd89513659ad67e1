package keys

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// Many are the SM2 keys of one purpose that are too many for a device: they stand in the database, under a master key of
// the device and under a half that only the owner brings. Where the device can, it opens them within itself for one
// signature at a time (HSM-backed); else they are opened in memory (HSM-wrapped). Held tells which.
//
// Keys in state Making are not usable; a crash during Generate leaves at most one, which Resume voids.
type Many struct {
	keys    *Keys
	who     actor.Actor
	purpose string
	master  string
	known   gm.Verifiers // of the keys that sign often, such as those of an office's seals
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
	return &Many{keys: k, who: who, purpose: purpose, master: master}, nil
}

// Generate makes a key for an owner. label is the owner's word for it and need not be unique. When Generate returns, the
// key is durable and was read back, opened and compared.
func (m *Many) Generate(ctx context.Context, label string, owner Enrolment) (id string, public crypto.PublicKey, err error) {
	w := Wrapped{
		ID: rand.Text(), Label: label, Purpose: m.purpose, Control: ByOwner, State: Making, Master: m.master, Made: m.keys.time(),
	}
	n, err := m.enrol(ctx, w.ID, owner)
	if err != nil {
		return "", nil, err
	}
	defer clear(n.half)
	in, err := m.draw(ctx, &w)
	if err != nil {
		return "", nil, err
	}
	defer clear(in)
	key := halfKey(n.half, w.ID)
	defer clear(key)
	if err := m.close(ctx, &w, n.owner, key, in); err != nil {
		return "", nil, err
	}
	err = m.keys.store.Update(ctx, func(s W) error { return errors.Join(s.InsertWrapped(w), s.InsertOwner(n.owner)) })
	if err != nil {
		return "", nil, err
	}
	pub, err := m.activate(ctx, w.ID, key)
	if err != nil {
		return "", nil, err
	}
	return w.ID, pub, nil
}

// draw makes the key itself, within the device where that can be.
func (m *Many) draw(ctx context.Context, w *Wrapped) (inner, error) {
	if in, ok, err := m.drawInside(ctx, w); ok || err != nil {
		return in, err
	}
	private, err := gm.GenerateKey()
	if err != nil {
		return nil, err
	}
	w.Form, w.Public = FormWrapped, gm.Point(private.Public().(*ecdsa.PublicKey))
	return private.Bytes(), nil
}

// drawInside reports false when this device, or this master key, cannot open keys within itself.
func (m *Many) drawInside(ctx context.Context, w *Wrapped) (in inner, ok bool, err error) {
	device, can := m.keys.device.(Inside)
	if !can {
		return nil, false, nil
	}
	v, err := m.keys.active(ctx, m.master)
	if err != nil {
		return nil, false, err
	}
	in, pub, err := device.GenerateInside(ctx, v.Reference, w.insideAAD())
	if fault.KindOf(err) == fault.Invalid {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	w.Form, w.Public, w.MasterVersion = FormInside, gm.Point(pub), v.Number
	return in, true, nil
}

func (m *Many) signInside(ctx context.Context, w Wrapped, in inner, pub *ecdsa.PublicKey, e []byte) ([]byte, error) {
	device, can := m.keys.device.(Inside)
	if !can {
		return nil, ErrMoved.With("key %s is opened within a device, which this one cannot", w.ID)
	}
	v, err := m.keys.wrapper(ctx, w.Master, w.MasterVersion)
	if err != nil {
		return nil, err
	}
	sig, err := device.SignInside(ctx, v.Reference, in, w.insideAAD(), pub, e)
	if fault.KindOf(err) == fault.Invalid {
		return nil, ErrDamaged.With("key %s within the device: %w", w.ID, err)
	}
	if err != nil {
		return nil, err
	}
	if !m.known.VerifyE(pub, e, sig) {
		return nil, gm.ErrSignature
	}
	return sig, nil
}

// activate opens what was really stored and only then lets the key be used.
func (m *Many) activate(ctx context.Context, id string, key []byte) (crypto.PublicKey, error) {
	before, owner, err := m.row(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := m.prove(ctx, before, owner, key); err != nil {
		return nil, err
	}
	pub, err := gm.PublicKey(before.Public)
	if err != nil {
		return nil, ErrDamaged.With("key %s: %w", id, err)
	}
	after := before
	after.State = Active
	return pub, m.replace(ctx, before, after, func(w W) error { return w.Record(m.ofOwned(m.who, "key.generate", after, owner)) })
}

// replace changes a key's row and, in the same transaction, what goes with it.
func (m *Many) replace(ctx context.Context, before, after Wrapped, with func(W) error) error {
	err := m.keys.change(ctx, func(w W) (bool, error) {
		if ok, err := w.ReplaceWrapped(before, after); err != nil || !ok {
			return false, err
		}
		return true, with(w)
	})
	if errors.Is(err, errLost) {
		return ErrState.With("key %s changed meanwhile", before.ID)
	}
	return err
}

// Destroy ends a key for ever: its wrapped octets, the owner's half and all standing activations are erased. For the system
// and super administrators.
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
	return m.replace(ctx, before, after, func(w W) error {
		if err := errors.Join(w.DropOwner(id), m.endAll(w, who, id)); err != nil {
			return err
		}
		if again, err := w.Recorded(after.endID()); err != nil || again { // it was brought back, and has ended once more
			return err
		}
		e := ofWrapped(after, who, "key.destroyed", after.Destroyed)
		e.ID = after.endID()
		return w.Record(e)
	})
}

// Held is how a key is held. It is an alias of a plain struct.
type Held = struct {
	Method string // pin, sm2, half; empty for a key that nobody has adopted
	Inside bool   // the device opens it within itself: HSM-backed; else HSM-wrapped
	Locked bool   // wrong PINs, until …
	Until  time.Time
}

// Public returns the public half of a key that works.
func (m *Many) Public(ctx context.Context, id string) (crypto.PublicKey, error) {
	w, err := m.get(ctx, id)
	if err != nil {
		return nil, err
	}
	if w.State != Active {
		return nil, ErrUnknown.With("key %s is %s", id, w.State)
	}
	pub, err := gm.PublicKey(w.Public)
	if err != nil {
		return nil, ErrDamaged.With("key %s: %w", id, err)
	}
	return pub, nil
}

// Held tells how a key is held, for pages and documents that say so.
func (m *Many) Held(ctx context.Context, id string) (Held, error) {
	w, o, err := m.row(ctx, id)
	if err != nil {
		return Held{}, err
	}
	h := Held{Method: o.Method, Inside: w.Form == FormInside}
	if o.LockedUntil.After(m.keys.time()) {
		h.Locked, h.Until = true, o.LockedUntil
	}
	return h, nil
}

// get reads a row of this purpose.
func (m *Many) get(ctx context.Context, id string) (w Wrapped, err error) {
	w, _, err = m.row(ctx, id)
	return w, err
}

// row reads a key of this purpose and its owner; a key that nobody has adopted has none.
func (m *Many) row(ctx context.Context, id string) (w Wrapped, o Owner, err error) {
	err = m.keys.store.View(ctx, func(r R) (err error) {
		if w, err = r.Wrapped(id); err != nil || w.Control != ByOwner || w.State == Destroyed || w.State == Void {
			return err
		}
		o, err = r.Owner(id)
		return err
	})
	if err == nil && w.Purpose != m.purpose {
		err = ErrUnknown.With("key %s is for %s, not %s", id, w.Purpose, m.purpose)
	}
	return w, o, err
}

// owned reads a key that works and is its owner's.
func (m *Many) owned(ctx context.Context, by actor.Actor, id string) (w Wrapped, o Owner, err error) {
	if err := by.Known(); err != nil {
		return Wrapped{}, Owner{}, err
	}
	err = m.keys.store.View(ctx, func(r R) (err error) {
		w, o, err = m.readOwned(r, id)
		return err
	})
	return w, o, err
}

func (m *Many) readOwned(r R, id string) (Wrapped, Owner, error) {
	w, err := r.Wrapped(id)
	switch {
	case err != nil:
		return w, Owner{}, err
	case w.Purpose != m.purpose:
		return w, Owner{}, ErrUnknown.With("key %s is for %s, not %s", id, w.Purpose, m.purpose)
	case w.State != Active:
		return w, Owner{}, ErrUnknown.With("key %s is %s", id, w.State)
	case w.Control == ByPlatform:
		return w, Owner{}, ErrUnadopted.With("key %s", id)
	case w.Control != ByOwner:
		return w, Owner{}, ErrActivation.With("key %s is controlled by its %q", id, w.Control)
	}
	o, err := r.Owner(id)
	return w, o, err
}

// aad binds wrapped octets to their row, and the row to its public key, purpose and control.
func (w Wrapped) aad() []byte {
	head := "hufu many key v1\x00" + w.ID + "\x00" + w.Purpose + "\x00" + string(w.Control) + "\x00"
	return append([]byte(head), w.Public...)
}

func ofWrapped(w Wrapped, who actor.Actor, action string, at time.Time) audit.Entry {
	print := gm.SM3(w.Public)
	return audit.Entry{
		At: at, Actor: who, Action: action, Object: audit.Object{Kind: "key", ID: w.ID},
		Public: map[string]string{"purpose": w.Purpose, "public": hex.EncodeToString(print[:])},
	}
}
