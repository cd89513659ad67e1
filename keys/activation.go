package keys

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"io"
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
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-/._", r))
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
	s := &manySigner{ctx: ctx, m: m, by: by, kind: c.Kind, id: id}
	var err error
	if len(c.PIN)+len(c.Half)+len(c.Signature)+len(c.Challenge) == 0 {
		if err = by.Known(); err == nil {
			s.held, err = m.covering(ctx, id, c.Kind)
		}
	} else {
		s.once = true
		err = m.consent(ctx, id, c, s)
	}
	if err != nil {
		return nil, err
	}
	s.pub = s.held.pub
	context.AfterFunc(ctx, s.forget)
	return s, nil
}

// consent turns the owner's word for one signature into what opens the key.
func (m *Many) consent(ctx context.Context, id string, c Consent, s *manySigner) (err error) {
	h := &s.held
	if h.row, h.owner, err = m.owned(ctx, s.by, id); err != nil {
		return err
	}
	if h.pub, err = gm.PublicKey(h.row.Public); err != nil {
		return ErrDamaged.With("key %s: %w", id, err)
	}
	h.key, s.challenge, err = m.given(ctx, s.by, h.row, h.owner, c)
	if err == nil && s.challenge != nil && s.challenge.Kind != c.Kind {
		clear(h.key)
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
	by        actor.Actor
	kind      string
	once      bool // for one signature, not under a standing activation
	challenge *ChallengeRow

	id  string
	pub *ecdsa.PublicKey

	mu   sync.Mutex // of held, whose key is nil when it was used up or the context has ended
	held cover
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
		return nil, ErrInput.With("sign %d octets with key %s, options %T", len(input), s.id, opts)
	}
	if s.challenge != nil && !bytes.Equal(e, s.challenge.E) {
		return nil, ErrChallenge.With("key %s: the owner consented to another hash", s.id)
	}
	if err := s.ctx.Err(); err != nil {
		return nil, err
	}
	c, err := s.take()
	if err != nil {
		return nil, err
	}
	if s.once {
		err = s.record(e)
	} else {
		c, err = s.use(c, e)
	}
	defer clear(c.key)
	if err != nil {
		return nil, err
	}
	in, err := s.m.open(s.ctx, c.row, c.owner, c.key)
	if err != nil {
		return nil, err
	}
	defer clear(in)
	return s.m.sign(s.ctx, c.row, in, s.pub, e)
}

// take returns what opens the key, with a copy of it; a consent for one signature is used up by it.
func (s *manySigner) take() (cover, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held.key == nil {
		return cover{}, errors.Join(s.ctx.Err(), ErrActivation.With("key %s: the consent is used up", s.id))
	}
	c := s.held
	c.key = bytes.Clone(s.held.key)
	if s.once {
		clear(s.held.key)
		s.held.key = nil
	}
	return c, nil
}

func (s *manySigner) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.held.key)
	s.held.key = nil
}

// record binds a consent for one signature to the hash, and uses its challenge up. What is not recorded is not signed.
func (s *manySigner) record(e []byte) error {
	at, sum := s.m.keys.time(), gm.SM3(e)
	return s.m.keys.store.Update(s.ctx, func(w W) error {
		if err := s.unchanged(w); err != nil {
			return err
		}
		facts := map[string]string{"kind": s.kind, "e_sm3": hex.EncodeToString(sum[:]), "method": s.held.owner.Method}
		entry := s.m.entry(s.by, "key.activate", s.id, facts)
		entry.At = at
		if s.challenge != nil {
			entry.ID, facts["challenge"] = s.challenge.useID(), s.challenge.ID
			if err := answer(w, *s.challenge, at); err != nil {
				return err
			}
		}
		return w.Record(entry)
	})
}

// unchanged refuses a key that was destroyed, or whose owner was enrolled anew, since the consent was given.
func (s *manySigner) unchanged(r R) error {
	now, err := r.Wrapped(s.id)
	if err != nil {
		return err
	}
	if now.State != Active || now.Control != ByOwner {
		return ErrUnknown.With("key %s is %s", s.id, now.State)
	}
	o, err := r.Owner(s.id)
	if err == nil && (o.Method != s.held.owner.Method || !o.Made.Equal(s.held.owner.Made)) {
		err = ErrActivation.With("key %s: the owner was enrolled anew meanwhile", s.id)
	}
	if err != nil {
		return err
	}
	return newest(r, now, o)
}

// newest refuses rows that the record knows to be outdated: the owner was enrolled anew since, or the key was destroyed.
func newest(r R, w Wrapped, o Owner) error {
	later, err := r.RecordedAfter(o.entryID(), w.endID())
	if err == nil && later {
		err = ErrReplayed.With("key %s was enrolled anew or destroyed after %s", w.ID, o.Made)
	}
	return err
}
