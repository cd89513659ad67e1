package keys

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"io"
	"strconv"
	"strings"
	"sync"

	"hufu/internal/actor"
	"hufu/internal/gm"
)

// Consent is the owner's word for one use of a key. With nothing given but Kind, a standing activation must cover the use.
type Consent = struct {
	PIN       []byte // for an owner with a PIN
	Half      []byte // what the owner's SM2 key decrypted, or what custodians put together
	Challenge string // id of the challenge that the owner of an SM2 pair answers with Half and
	Signature []byte // a signature (DER) over its statement
	Kind      string // of what is signed: "licence/<type>", "document", "certificate-request"
}

// kindStanding is what a challenge is for that asks for a standing activation; nothing else is ever signed under it.
const kindStanding = "standing-activation"

// checkKind refuses what does not name a kind of document.
func checkKind(kind string) error {
	bad := kind == "" || len(kind) > 64 || kind == kindStanding || strings.ContainsFunc(kind, func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || strings.ContainsRune("-/._", r))
	})
	if bad {
		return ErrKind.With("kind %q", kind)
	}
	return nil
}

// Signer returns a signer of a key for what the owner consents to. By PIN, half or challenge it signs one digest, by a challenge only the one that the
// owner signed; by a standing activation as many as that has left and as long as it lasts. Each use is bound to its
// hash in the record before it is made. Options are gm.Message or gm.Digest, the result DER, verified before it leaves. The
// signer works until ctx ends.
//
// Whether by may ask at all is the caller's question; the owner's word is this one's.
func (m *Many) Signer(ctx context.Context, id string, by actor.Actor, c Consent) (crypto.Signer, error) {
	if err := checkKind(c.Kind); err != nil {
		return nil, err
	}
	w, o, err := m.owned(ctx, by, id)
	if err != nil {
		return nil, err
	}
	pub, err := gm.PublicKey(w.Public)
	if err != nil {
		return nil, ErrDamaged.With("key %s: %w", id, err)
	}
	s := &manySigner{ctx: ctx, m: m, row: w, owner: o, pub: pub, by: by, kind: c.Kind}
	if err := m.consent(ctx, by, w, o, c, s); err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, s.forget)
	return s, nil
}

// consent turns the owner's word into what opens the key.
func (m *Many) consent(ctx context.Context, by actor.Actor, w Wrapped, o Owner, c Consent, s *manySigner) (err error) {
	if len(c.PIN)+len(c.Half)+len(c.Signature)+len(c.Challenge) == 0 {
		s.standing, s.key, err = m.covering(ctx, w.ID, c.Kind)
		return err
	}
	s.once = true
	s.key, s.challenge, err = m.given(ctx, by, w, o, c)
	if err == nil && s.challenge != nil && s.challenge.Kind != c.Kind {
		clear(s.key)
		err = ErrChallenge.With("challenge for %s, asked for %s", s.challenge.Kind, c.Kind)
	}
	return err
}

// given returns what opens the key when the owner says so now: by PIN, by the half, or by half and signed challenge.
func (m *Many) given(ctx context.Context, by actor.Actor, w Wrapped, o Owner, c Consent) (key []byte, challenge *ChallengeRow, err error) {
	half := c.Half
	switch {
	case len(c.PIN) > 0 && len(c.Half)+len(c.Signature)+len(c.Challenge) > 0:
		return nil, nil, ErrActivation.With("key %s: two ways given", w.ID)
	case len(c.PIN) > 0:
		if half, err = m.tryPIN(ctx, by, o, c.PIN); err != nil {
			return nil, nil, err
		}
		defer clear(half)
	case o.Method == MethodSM2:
		if challenge, err = m.answered(ctx, w, o, c); err != nil {
			return nil, nil, err
		}
	case o.Method != MethodHalf || len(c.Signature)+len(c.Challenge) > 0:
		return nil, nil, ErrActivation.With("key %s: its owner was enrolled by %s", w.ID, o.Method)
	}
	if len(half) != halfSize {
		return nil, nil, ErrActivation.With("key %s: a half of %d octets", w.ID, len(half))
	}
	key = halfKey(half, w.ID)
	in, err := m.open(ctx, w, o, key) // a wrong half is refused now, not when it is too late
	clear(in)
	if err != nil {
		clear(key)
		return nil, nil, err
	}
	return key, challenge, nil
}

// manySigner signs what one consent covers.
type manySigner struct {
	ctx       context.Context // of the call to Signer, since crypto.Signer takes none
	m         *Many
	row       Wrapped
	owner     Owner
	pub       *ecdsa.PublicKey
	by        actor.Actor
	kind      string
	once      bool
	challenge *ChallengeRow
	standing  StandingRow

	mu  sync.Mutex
	key []byte // opens the row; nil when it was used up or the context has ended
}

// Public returns the public half.
func (s *manySigner) Public() crypto.PublicKey { return s.pub }

// Sign makes one signature, after the use of it was recorded.
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
	if s.challenge != nil && !bytes.Equal(e, s.challenge.E) {
		return nil, ErrChallenge.With("key %s: the owner consented to another hash", s.row.ID)
	}
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	key, err := s.take()
	if err != nil {
		return nil, err
	}
	defer clear(key)
	if err := s.record(e); err != nil {
		return nil, err
	}
	in, err := s.m.open(s.ctx, s.row, s.owner, key)
	if err != nil {
		return nil, err
	}
	defer clear(in)
	return s.m.sign(s.ctx, s.row, in, s.pub, e)
}

// take returns a copy of what opens the key; a consent for one signature is used up by it.
func (s *manySigner) take() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key == nil {
		return nil, errors.Join(s.ctx.Err(), ErrActivation.With("key %s: the consent is used up", s.row.ID))
	}
	key := bytes.Clone(s.key)
	if s.once {
		clear(s.key)
		s.key = nil
	}
	return key, nil
}

func (s *manySigner) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.key)
	s.key = nil
}

// record uses the activation up, as far as it can be, and binds it to the hash. What is not recorded is not signed.
func (s *manySigner) record(e []byte) error {
	at, sum := s.m.keys.time(), gm.SM3(e)
	return s.m.keys.store.Update(s.ctx, func(w W) error {
		facts := map[string]string{"kind": s.kind, "e_sm3": hex.EncodeToString(sum[:]), "method": s.owner.Method}
		entry := s.m.entry(s.by, "key.activate", s.row.ID, facts)
		entry.At = at
		var err error
		switch {
		case s.challenge != nil:
			entry.ID = s.challenge.useID()
			facts["challenge"] = s.challenge.ID
			err = errors.Join(s.unchanged(w), answer(w, *s.challenge, at))
		case s.once:
			err = s.unchanged(w)
		default:
			var used int
			used, err = s.standing.use(w, at)
			entry.ID = s.standing.useID(used)
			facts["standing"], facts["left"] = s.standing.ID, strconv.Itoa(s.standing.Count-used)
		}
		if err != nil {
			return err
		}
		return w.Record(entry)
	})
}

// unchanged refuses a key that was destroyed, or whose owner was enrolled anew, since the consent was given.
func (s *manySigner) unchanged(r R) error {
	now, err := r.Wrapped(s.row.ID)
	if err != nil {
		return err
	}
	if now.State != Active || now.Control != ByOwner {
		return ErrUnknown.With("key %s is %s", s.row.ID, now.State)
	}
	o, err := r.Owner(s.row.ID)
	if err == nil && (o.Method != s.owner.Method || !bytes.Equal(o.Sealed, s.owner.Sealed) && o.MasterVersion == s.owner.MasterVersion) {
		err = ErrActivation.With("key %s: the owner was enrolled anew meanwhile", s.row.ID)
	}
	return err
}
