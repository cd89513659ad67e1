package keys_test

import (
	"crypto/ecdsa"
	"errors"
	"testing"
	"time"

	"hufu/internal/gm"
	"hufu/keys"
)

// pair is an owner with an SM2 pair, kept where the platform cannot reach.
type pair struct {
	sign, decrypt *gm.PrivateKey
	keys.Enrolment
}

func newOwner(t *testing.T) pair {
	t.Helper()
	p := pair{}
	for _, k := range []**gm.PrivateKey{&p.sign, &p.decrypt} {
		var err error
		*k, err = gm.GenerateKey()
		ok(t, "key", err)
	}
	p.SignKey, p.EncryptKey = gm.Point(p.sign.Public().(*ecdsa.PublicKey)), gm.Point(p.decrypt.Public().(*ecdsa.PublicKey))
	return p
}

func (p pair) answer(t *testing.T, c keys.Challenge, kind string) keys.Consent {
	t.Helper()
	half, err := p.decrypt.Decrypt(nil, c.Sealed, nil)
	ok(t, "decrypt the half", err)
	sig, err := p.sign.Sign(nil, c.Statement, gm.Message)
	ok(t, "sign the statement", err)
	return keys.Consent{Half: half, Challenge: c.ID, Signature: sig, Kind: kind}
}

func TestOwnerWithAPairSignsEachUse(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, m := t.Context(), r.seals(t, r.node(t))
		owner, thief := newOwner(t), newOwner(t)
		id, _, err := m.Generate(ctx, "seal", owner.Enrolment)
		ok(t, "generate", err)
		other, _, err := m.Generate(ctx, "seal", owner.Enrolment)
		ok(t, "generate", err)
		ask := func(e []byte) keys.Challenge {
			t.Helper()
			c, err := m.Challenge(ctx, id, e, "document")
			ok(t, "challenge", err)
			return c
		}
		c := ask(hash("deed"))
		good := owner.answer(t, c, "document")
		forged := good
		forged.Signature, err = thief.sign.Sign(nil, c.Statement, gm.Message)
		ok(t, "forge", err)
		for what, try := range map[string]struct {
			id string
			c  keys.Consent
			e  []byte
		}{
			"another hash":           {id, good, hash("other deed")},
			"another kind":           {id, with(good, func(c *keys.Consent) { c.Kind = "licence/business" }), hash("deed")},
			"another's signature":    {id, forged, hash("deed")},
			"another key":            {other, good, hash("deed")},
			"an unknown challenge":   {id, with(good, func(c *keys.Consent) { c.Challenge = "none" }), hash("deed")},
			"half without challenge": {id, keys.Consent{Half: good.Half, Kind: "document"}, hash("deed")},
		} {
			want(t, what, trySign(ctx, m, try.id, try.c, try.e), keys.ErrChallenge)
		}
		want(t, "signature without half", trySign(ctx, m, id, with(good, func(c *keys.Consent) { c.Half = nil }), hash("deed")), keys.ErrActivation)
		ok(t, "the owner's own", trySign(ctx, m, id, good, hash("deed")))
		want(t, "once more", trySign(ctx, m, id, good, hash("deed")), keys.ErrChallenge)

		first, err := m.Signer(ctx, id, clerk, owner.answer(t, ask(hash("a")), "document"))
		ok(t, "signer", err)
		r.clock.advance(time.Hour)
		_, err = first.Sign(nil, hash("a"), gm.Digest)
		want(t, "after its time", err, keys.ErrChallenge)
		c = ask(hash("late"))
		late := owner.answer(t, c, "document")
		r.clock.advance(11 * time.Minute)
		want(t, "answered too late", trySign(ctx, m, id, late, hash("late")), keys.ErrChallenge)
		ok(t, "tidy", m.Tidy(ctx))
		_, err = m.Challenge(ctx, id, make([]byte, 31), "document")
		want(t, "a short hash", err, keys.ErrInput)
		if n := r.records(t, "key.activate", id); n != 1 {
			t.Errorf("%d activations in the record", n)
		}
	})
}

func with(c keys.Consent, edit func(*keys.Consent)) keys.Consent {
	edit(&c)
	return c
}

func TestOwnerWithAPairGrantsStandingActivations(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, m := t.Context(), r.seals(t, r.node(t))
		owner := newOwner(t)
		id, _, err := m.Generate(ctx, "seal", owner.Enrolment)
		ok(t, "generate", err)
		c, err := m.ChallengeStanding(ctx, id, r.bounds(2))
		ok(t, "challenge", err)
		consent := owner.answer(t, c, "document")
		_, err = m.Stand(ctx, clerk, id, consent, r.bounds(3))
		want(t, "other bounds than the owner signed", err, keys.ErrChallenge)
		want(t, "as a signature", trySign(ctx, m, id, consent, hash("x")), keys.ErrChallenge)
		_, err = m.Stand(ctx, clerk, id, consent, r.bounds(2))
		ok(t, "stand", err)
		_, err = m.Stand(ctx, clerk, id, consent, r.bounds(2))
		want(t, "twice by one answer", err, keys.ErrChallenge)
		single, err := m.Challenge(ctx, id, hash("x"), "document")
		ok(t, "challenge", err)
		_, err = m.Stand(ctx, clerk, id, owner.answer(t, single, "document"), r.bounds(2))
		want(t, "by an answer for one signature", err, keys.ErrChallenge)
		covered := keys.Consent{Kind: "document"}
		ok(t, "first use", trySign(ctx, m, id, covered, hash("x")))
		ok(t, "second use", trySign(ctx, m, id, covered, hash("x")))
		err = trySign(ctx, m, id, covered, hash("x"))
		if !errors.Is(err, keys.ErrStandingOver) && !errors.Is(err, keys.ErrActivation) {
			t.Errorf("third use: %v", err)
		}
	})
}
