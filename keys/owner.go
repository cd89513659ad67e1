package keys

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"

	"hufu/audit"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// Enrolment is how an owner will show that a use of the key is wanted: exactly one way is given. What is given in it is not
// kept.
type Enrolment = struct {
	PIN        []byte // 8 to 64 characters, not a trivial sequence: CheckPIN
	SignKey    []byte // the owner's SM2 pair, as points 04‖x‖y: signs activations
	EncryptKey []byte // and opens the half that is encrypted to it
	Half       []byte // 32 random octets that others hold, custodians for one
}

// enrolled is an owner's row with the half that belongs to it. Clear half after use.
type enrolled struct {
	owner Owner
	half  []byte
}

// enrol makes the owner's half, or takes the one that is given, and the row that lets the owner, and nobody else, bring it.
func (m *Many) enrol(ctx context.Context, key string, e Enrolment) (enrolled, error) {
	ways := 0
	for _, given := range []bool{len(e.PIN) > 0, len(e.SignKey)+len(e.EncryptKey) > 0, len(e.Half) > 0} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return enrolled{}, ErrEnrolment.With("%d ways given", ways)
	}
	o := Owner{Key: key, Made: m.keys.time()}
	half := make([]byte, halfSize)
	if _, err := rand.Read(half); err != nil {
		return enrolled{}, err
	}
	var err error
	switch {
	case len(e.PIN) > 0:
		err = m.sealPIN(ctx, &o, e.PIN, half)
	case len(e.Half) > 0:
		o.Method = MethodHalf
		if copy(half, e.Half); len(e.Half) != halfSize || bytes.Count(e.Half, e.Half[:1]) == halfSize {
			err = ErrEnrolment.With("a half of %d octets", len(e.Half))
		}
	default:
		err = sealSM2(&o, e, half)
	}
	if err != nil {
		clear(half)
		return enrolled{}, err
	}
	return enrolled{o, half}, nil
}

// sealSM2 encrypts a half to the owner's key. The owner's two keys are kept apart, as everywhere.
func sealSM2(o *Owner, e Enrolment, half []byte) error {
	o.Method, o.SignKey, o.EncryptKey = MethodSM2, e.SignKey, e.EncryptKey
	_, err := gm.PublicKey(e.SignKey)
	if err != nil {
		return ErrEnrolment.With("signing key: %w", err)
	}
	encrypt, err := gm.PublicKey(e.EncryptKey)
	if err != nil {
		return ErrEnrolment.With("encryption key: %w", err)
	}
	if bytes.Equal(e.SignKey, e.EncryptKey) {
		return ErrEnrolment.With("one key for signing and encrypting")
	}
	o.Sealed, err = gm.Encrypt(encrypt, half)
	return err
}

// halfKey makes of the owner's half the key that seals one key. Nothing leads back from it to the half.
func halfKey(half []byte, id string) []byte {
	sum := gm.HMAC(half, []byte("hufu owned key v1\x00"), []byte(id))
	key := bytes.Clone(sum[:gm.KeySize])
	clear(sum[:])
	return key
}

// sealAAD binds what is sealed under the owner's half to the key's row and to the owner.
func (w Wrapped) sealAAD(o Owner) []byte {
	head := "hufu owned key v1\x00" + w.ID + "\x00" + w.Purpose + "\x00" + string(w.Form) + "\x00" + string(o.identity()) + "\x00"
	return append([]byte(head), w.Public...)
}

// insideAAD binds what the device wraps before the public half is known.
func (w Wrapped) insideAAD() []byte {
	return []byte("hufu many key inside v1\x00" + w.ID + "\x00" + w.Purpose)
}

// inner is what stands under the owner's half: the private key, or the octets that only the device opens.
type inner []byte

// close puts the inner octets under the owner's half and, if they are the key itself, under the master around that. Thus a
// wrapped key follows its master to a new version without its owner, and neither device nor owner opens it alone.
func (m *Many) close(ctx context.Context, w *Wrapped, o Owner, key []byte, in inner) error {
	sealed, err := gm.Seal(key, in, w.sealAAD(o))
	if err != nil {
		return err
	}
	if w.Form == FormInside {
		w.Wrapped = sealed
		return nil
	}
	w.MasterVersion, w.Wrapped, err = m.keys.wrap(ctx, w.Master, sealed, w.aad())
	return err
}

// open is the inverse of close. The caller clears the result.
func (m *Many) open(ctx context.Context, w Wrapped, o Owner, key []byte) (inner, error) {
	sealed := w.Wrapped
	if w.Form != FormInside {
		var err error
		if sealed, err = m.keys.Unwrap(ctx, w.Master, w.Wrapped, w.aad()); err != nil {
			return nil, err
		}
	}
	in, err := gm.Open(key, sealed, w.sealAAD(o))
	switch {
	case err != nil && o.Method == MethodHalf:
		return nil, ErrActivation.With("key %s does not open with the half that was given", w.ID)
	case err != nil:
		return nil, ErrDamaged.With("key %s does not open with its owner's half", w.ID)
	}
	return in, nil
}

// sign makes one verified signature over e (32 octets).
func (m *Many) sign(ctx context.Context, w Wrapped, in inner, pub *ecdsa.PublicKey, e []byte) ([]byte, error) {
	if w.Form == FormInside {
		return m.signInside(ctx, w, in, pub, e)
	}
	private, err := parse(w, in)
	if err != nil {
		return nil, err
	}
	sig, err := private.Sign(nil, e, gm.Digest)
	if err != nil {
		return nil, err
	}
	if !gm.VerifyE(pub, e, sig) {
		return nil, gm.ErrSignature
	}
	return sig, nil
}

// parse holds a private key against its public half.
func parse(w Wrapped, in inner) (*gm.PrivateKey, error) {
	private, err := gm.NewPrivateKey(in)
	if err != nil || !bytes.Equal(gm.Point(private.Public().(*ecdsa.PublicKey)), w.Public) {
		return nil, ErrDamaged.With("key %s: its halves do not belong together", w.ID)
	}
	return private, nil
}

// prove opens what stands in a row and holds it against the public half, within the device by a signature.
func (m *Many) prove(ctx context.Context, w Wrapped, o Owner, key []byte) error {
	in, err := m.open(ctx, w, o, key)
	if err != nil {
		return err
	}
	defer clear(in)
	if w.Form != FormInside {
		_, err := parse(w, in)
		return err
	}
	pub, err := gm.PublicKey(w.Public)
	if err != nil {
		return ErrDamaged.With("key %s: %w", w.ID, err)
	}
	e := make([]byte, 32)
	if _, err := rand.Read(e); err != nil {
		return err
	}
	_, err = m.sign(ctx, w, in, pub, e)
	return err
}

// Adopt gives a key that was made before there was sole control to its owner. It is the only thing that can be done with such a key. What the
// platform could do with it before, copies of the database from before still allow: a new key is stronger.
func (m *Many) Adopt(ctx context.Context, by actor.Actor, id string, e Enrolment) error {
	if err := by.Known(); err != nil {
		return err
	}
	before, err := m.get(ctx, id)
	if err != nil {
		return err
	}
	if before.State != Active || before.Control != ByPlatform {
		return ErrState.With("adopt key %s: it is %s, controlled by its %s", id, before.State, before.Control)
	}
	d, err := m.keys.Unwrap(ctx, before.Master, before.Wrapped, before.aad())
	if err != nil {
		return err
	}
	defer clear(d)
	if _, err := parse(before, d); err != nil {
		return err
	}
	n, err := m.enrol(ctx, id, e)
	if err != nil {
		return err
	}
	defer clear(n.half)
	after := before
	after.Control, after.Master = ByOwner, m.master
	if err := m.reclose(ctx, &after, n, d); err != nil {
		return err
	}
	return m.replace(ctx, before, after, func(w W) error {
		if err := w.InsertOwner(n.owner); err != nil {
			return err
		}
		return w.Record(m.ofOwned(by, "key.adopt", after, n.owner))
	})
}

// reclose closes a key under a new half and proves the result before it is stored.
func (m *Many) reclose(ctx context.Context, w *Wrapped, n enrolled, in inner) error {
	key := halfKey(n.half, w.ID)
	defer clear(key)
	if err := m.close(ctx, w, n.owner, key, in); err != nil {
		return err
	}
	return m.prove(ctx, *w, n.owner, key)
}

// ChangePIN gives a key a new PIN. The half behind it is new as well, so that the old PIN opens nothing that stands in the database now, and
// all standing activations end: who changes a PIN may have reason to.
func (m *Many) ChangePIN(ctx context.Context, by actor.Actor, id string, old, fresh []byte) error {
	if err := CheckPIN(fresh); err != nil {
		return err
	}
	before, owner, err := m.owned(ctx, by, id)
	if err != nil {
		return err
	}
	half, err := m.tryPIN(ctx, by, owner, old)
	if err != nil {
		return err
	}
	defer clear(half)
	key := halfKey(half, id)
	defer clear(key)
	in, err := m.open(ctx, before, owner, key)
	if err != nil {
		return err
	}
	defer clear(in)
	n, err := m.enrol(ctx, id, Enrolment{PIN: fresh})
	if err != nil {
		return err
	}
	defer clear(n.half)
	after := before
	if err := m.reclose(ctx, &after, n, in); err != nil {
		return err
	}
	return m.replace(ctx, before, after, func(w W) error {
		if ok, err := w.ReplaceOwner(owner, n.owner); err != nil || !ok {
			return errors.Join(err, ErrState.With("owner of key %s changed meanwhile", id))
		}
		if err := m.endAll(w, by, id); err != nil {
			return err
		}
		return w.Record(m.ofOwned(by, "key.enrol", after, n.owner))
	})
}

func (m *Many) entry(by actor.Actor, action, key string, public map[string]string) audit.Entry {
	public["purpose"] = m.purpose
	return audit.Entry{At: m.keys.time(), Actor: by, Action: action, Object: audit.Object{Kind: "key", ID: key}, Public: public}
}

// ofOwned is the entry of a key and how its owner was enrolled.
func (m *Many) ofOwned(by actor.Actor, action string, w Wrapped, o Owner) audit.Entry {
	e := ofWrapped(w, by, action, m.keys.time())
	e.Public["method"], e.Public["form"] = o.Method, string(w.Form)
	return e
}
