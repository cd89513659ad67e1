package keys

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"

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
	if !m.known.VerifyE(pub, e, sig) {
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

func (m *Many) entry(by actor.Actor, action, key string, public map[string]string) audit.Entry {
	public["purpose"] = m.purpose
	return audit.Entry{At: m.keys.time(), Actor: by, Action: action, Object: audit.Object{Kind: "key", ID: key}, Public: public}
}

// ofOwned is the entry of a key and how its owner was enrolled.
func (m *Many) ofOwned(by actor.Actor, action string, w Wrapped, o Owner) audit.Entry {
	e := ofWrapped(w, by, action, m.keys.time())
	e.ID, e.Public["method"], e.Public["form"] = o.entryID(), o.Method, string(w.Form)
	return e
}
