package keys

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"hufu/internal/gm"
)

// challengeLife is how long an owner has to answer.
const challengeLife = 10 * time.Minute

// Challenge is what the owner of an SM2 pair is asked: to decrypt Sealed, which is the half, and to sign Statement with
// the signing key (SM2 with SM3, the default identifier). It is an alias of a plain struct.
type Challenge = struct {
	ID        string
	Statement []byte // UTF-8 lines that say what is consented to
	Sealed    []byte // ciphertext in ASN.1 (GM/T 0009)
	Until     time.Time
}

// Challenge asks the owner for one signature over e (32 octets), of something of a kind.
func (m *Many) Challenge(ctx context.Context, id string, e []byte, kind string) (Challenge, error) {
	if err := checkKind(kind); err != nil {
		return Challenge{}, err
	}
	if len(e) != 32 {
		return Challenge{}, ErrInput.With("challenge over %d octets", len(e))
	}
	return m.ask(ctx, ChallengeRow{Key: id, Kind: kind, E: e})
}

// ChallengeStanding asks the owner for a standing activation.
func (m *Many) ChallengeStanding(ctx context.Context, id string, b Bounds) (Challenge, error) {
	b, err := m.normal(b)
	if err != nil {
		return Challenge{}, err
	}
	sum := gm.SM3([]byte(terms(b)))
	return m.ask(ctx, ChallengeRow{Key: id, Kind: kindStanding, E: sum[:], Terms: terms(b)})
}

func (m *Many) ask(ctx context.Context, c ChallengeRow) (Challenge, error) {
	w, o, err := m.owned(ctx, system, c.Key)
	if err != nil {
		return Challenge{}, err
	}
	if o.Method != MethodSM2 {
		return Challenge{}, ErrActivation.With("key %s: its owner was enrolled by %s", c.Key, o.Method)
	}
	c.ID, c.Until = rand.Text(), m.keys.time().Add(challengeLife)
	if err := m.keys.store.Update(ctx, func(s W) error { return s.InsertChallenge(c) }); err != nil {
		return Challenge{}, err
	}
	return Challenge{ID: c.ID, Statement: c.statement(w), Sealed: o.Sealed, Until: c.Until}, nil
}

// statement is what the owner signs. The id of the challenge is its nonce: it is drawn at random and used once.
func (c ChallengeRow) statement(w Wrapped) []byte {
	return fmt.Appendf(nil, "hufu activation v1\nkey: %s\npublic: %x\nkind: %s\ne: %x\n%schallenge: %s\nanswer-until: %s\n",
		c.Key, w.Public, c.Kind, c.E, c.Terms, c.ID, c.Until.Format(time.RFC3339Nano))
}

// answered returns the challenge that a consent answers with a right signature.
func (m *Many) answered(ctx context.Context, w Wrapped, o Owner, c Consent) (*ChallengeRow, error) {
	var row ChallengeRow
	err := m.keys.store.View(ctx, func(r R) (err error) {
		row, err = r.Challenge(c.Challenge)
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case row.Key != w.ID:
		return nil, ErrChallenge.With("challenge %s is for key %s, not %s", row.ID, row.Key, w.ID)
	case row.Used || !row.Until.After(m.keys.time()):
		return nil, ErrChallenge.With("challenge %s was used or is over", row.ID)
	}
	signer, err := gm.PublicKey(o.SignKey)
	if err != nil {
		return nil, ErrDamaged.With("owner's key of %s: %w", w.ID, err)
	}
	if !gm.Verify(signer, row.statement(w), c.Signature) {
		return nil, ErrChallenge.With("challenge %s: the signature is not the owner's", row.ID)
	}
	return &row, nil
}

// answer uses a challenge up, once; what was used stands in the record, whatever the row says now.
func answer(w W, c ChallengeRow, at time.Time) error {
	ok, err := w.UseChallenge(c.ID, at)
	if err != nil {
		return err
	}
	if !ok {
		return ErrChallenge.With("challenge %s was used or is over", c.ID)
	}
	again, err := w.Recorded(c.useID())
	if err == nil && again {
		err = ErrReplayed.With("challenge %s", c.ID)
	}
	return err
}
