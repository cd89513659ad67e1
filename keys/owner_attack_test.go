package keys_test

import (
	"bytes"
	"crypto/ecdsa"
	"fmt"
	"strings"
	"testing"
	"time"

	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/keys"
)

// consents are what he can bring without the owner.
func consents(kind string) map[string]keys.Consent {
	return map[string]keys.Consent{
		"nothing":         {Kind: kind},
		"a guessed PIN":   {PIN: []byte("administrator-1"), Kind: kind},
		"a made-up half":  {Half: bytes.Repeat([]byte{1, 2}, 16), Kind: kind},
		"a made-up word":  {Challenge: "x", Signature: []byte{1}, Half: make([]byte, 32), Kind: kind},
		"an empty answer": {Challenge: "", Signature: []byte{}, Half: []byte{}, PIN: []byte{}, Kind: kind},
	}
}

// signsNothing tries the program in every way, as everybody.
func (a admin) signsNothing(what, id, kind string) {
	a.t.Helper()
	k := a.node(a.t) // a new start: nothing is remembered
	for _, who := range []actor.Actor{system, chief, clerk} {
		for by, c := range consents(kind) {
			if k.Resume(a.t.Context()) != nil {
				a.t.Errorf("%s: the program does not start any more", what)
			}
			m := a.seals(a.t, k)
			s, err := m.Signer(a.t.Context(), id, who, c)
			if err == nil {
				_, err = s.Sign(nil, hash("forged"), gm.Digest)
			}
			if err == nil {
				a.t.Fatalf("%s: %s signed with %s", what, who, by)
			}
		}
		a.clock.advance(25 * time.Hour) // no lock protects what nothing opens
	}
}

// attempt makes an attack on a copy of the tables, which it puts back afterwards.
func (a admin) attempt(what, id string, attack func()) {
	a.t.Helper()
	var before []rows
	for _, table := range []string{"wrapped_key", "key_owner"} {
		before = append(before, a.copy(table, "1 = 1"))
	}
	attack()
	a.signsNothing(what, id, "document")
	a.exec("DELETE FROM key_owner")
	for _, r := range before {
		a.paste(r)
	}
}

// THE attack: without the owner, nobody who holds everything else makes the key sign.
func TestThePlatformAloneSignsForNobody(t *testing.T) {
	eachAdmin(t, func(t *testing.T, a admin) {
		ctx, m := t.Context(), a.seals(t, a.node(t))
		pin, pub, err := m.Generate(ctx, "the mayor's seal", keys.Enrolment{PIN: goodPIN})
		ok(t, "generate", err)
		owner := newOwner(t)
		pair, _, err := m.Generate(ctx, "the governor's seal", owner.Enrolment)
		ok(t, "generate", err)
		custodians, _, err := m.Generate(ctx, "the treasury's seal", keys.Enrolment{Half: hash("what three custodians put together")})
		ok(t, "generate", err)
		mine := keys.Enrolment{PIN: []byte("administrator-1")}
		own, _, err := m.Generate(ctx, "my own seal", mine)
		ok(t, "generate", err)

		for _, id := range []string{pin, pair, custodians} {
			a.attempt("as it is", id, func() {})
			a.attempt("control flipped", id, func() { a.exec("UPDATE wrapped_key SET control = 'platform' WHERE id = $1", id) })
			a.attempt("control flipped and adopted", id, func() {
				a.exec("UPDATE wrapped_key SET control = 'platform' WHERE id = $1", id)
				a.exec("DELETE FROM key_owner WHERE key_id = $1", id)
				if err := a.seals(t, a.node(t)).Adopt(ctx, chief, id, mine); err == nil {
					t.Error("adopted")
				}
			})
			a.attempt("owner forgotten", id, func() { a.exec("DELETE FROM key_owner WHERE key_id = $1", id) })
			a.attempt("my own way in instead of the owner's", id, func() {
				r := a.copy("key_owner", "key_id = $1", own)
				r.values[0][0] = id
				a.paste(r)
			})
			a.attempt("my own key's octets", id, func() {
				a.exec("UPDATE wrapped_key SET wrapped = (SELECT wrapped FROM wrapped_key WHERE id = $2) WHERE id = $1", id, own)
				r := a.copy("key_owner", "key_id = $1", own)
				r.values[0][0] = id
				a.paste(r)
			})
			for _, method := range []string{"pin", "sm2", "half", "", "passkey"} {
				a.attempt("method "+method, id, func() { a.exec("UPDATE key_owner SET method = $2 WHERE key_id = $1", id, method) })
			}
			a.attempt("inside", id, func() { a.exec("UPDATE wrapped_key SET form = 'inside' WHERE id = $1", id) })
			a.attempt("another purpose", id, func() { a.exec("UPDATE wrapped_key SET purpose = 'holder' WHERE id = $1", id) })
			a.attempt("tries forgotten, cost lowered", id, func() {
				a.exec("UPDATE key_owner SET tries = 0, locked_until = 0, memory = 8, passes = 1, lanes = 1 WHERE key_id = $1", id)
			})
			a.attempt("my own pair instead of the owner's", id, func() {
				thief := newOwner(t)
				a.exec("UPDATE key_owner SET method = 'sm2', sign_key = $2, encrypt_key = $3 WHERE key_id = $1", id, thief.SignKey, thief.EncryptKey)
				m := a.seals(t, a.node(t))
				c, err := m.Challenge(ctx, id, hash("forged"), "document")
				ok(t, "challenge", err)
				sig, err := thief.sign.Sign(nil, c.Statement, gm.Message)
				ok(t, "sign", err)
				for _, half := range [][]byte{nil, make([]byte, 32), hash("a guess")} {
					if trySign(ctx, m, id, keys.Consent{Challenge: c.ID, Signature: sig, Half: half, Kind: "document"}, hash("forged")) == nil {
						t.Error("signed without the half")
					}
				}
			})
			a.attempt("a standing activation of my own", id, func() { a.forgeStanding(id, own, mine) })
		}
		a.opensNothing(pub.(*ecdsa.PublicKey))

		ok(t, "the owner still can", trySign(ctx, m, pin, byPIN, hash("x")))
		c, err := m.Challenge(ctx, pair, hash("x"), "document")
		ok(t, "challenge", err)
		ok(t, "so can the other", trySign(ctx, m, pair, owner.answer(t, c, "document"), hash("x")))
		a.replaysNothing(pair, owner)
	})
}

// A key that its owner has adopted is not taken back with its row from before.
func TestAdoptionIsNotUndone(t *testing.T) {
	eachAdmin(t, func(t *testing.T, a admin) {
		old := a.legacy(t, a.node(t), keys.ByPlatform)
		before := a.copy("wrapped_key", "id = $1", old.ID)
		m := a.seals(t, a.node(t))
		ok(t, "adopt", m.Adopt(t.Context(), clerk, old.ID, keys.Enrolment{PIN: goodPIN}))
		a.exec("DELETE FROM key_owner")
		a.paste(before)
		err := a.seals(t, a.node(t)).Adopt(t.Context(), chief, old.ID, keys.Enrolment{PIN: []byte("administrator-1")})
		want(t, "adopted by somebody else", err, keys.ErrReplayed)
		a.signsNothing("as it was", old.ID, "document")
	})
}

// forgeStanding writes a standing activation for another's key, once with the half of one's own key and once with a made-up one that the device
// wrapped as it must be.
func (a admin) forgeStanding(id, own string, mine keys.Enrolment) {
	a.t.Helper()
	m := a.seals(a.t, a.node(a.t))
	_, err := m.Stand(a.t.Context(), chief, id, keys.Consent{PIN: mine.PIN}, a.bounds(9))
	if err == nil {
		a.t.Error("stood without the owner")
	}
	s, err := m.Stand(a.t.Context(), chief, own, keys.Consent{PIN: mine.PIN}, a.bounds(9))
	ok(a.t, "stand for the own key", err)
	a.exec("UPDATE key_standing SET key_id = $2 WHERE id = $1", s.ID, id)
	a.signsNothing("another key's activation", id, "document")
	ok(a.t, "forge", a.db.Keys().Update(a.t.Context(), func(w keys.W) error {
		row := keys.StandingRow{Standing: s, Master: "master", MasterVersion: 1}
		row.ID, row.Key, row.Until = "FORGED", id, a.clock.now().Add(time.Hour)
		var err error
		row.Half, err = a.node(a.t).Wrap(a.t.Context(), "master", make([]byte, 16), standingAAD(row))
		if err != nil {
			return err
		}
		return w.InsertStanding(row)
	}))
	a.signsNothing("a forged activation", id, "document")
	a.exec("DELETE FROM key_standing")
}

// standingAAD is what anybody can read in the source.
func standingAAD(s keys.StandingRow) []byte {
	return fmt.Appendf(nil, "hufu standing activation v1\x00%s\x00%s\x00%s\x00%d\x00%d\x00%d",
		s.ID, s.Key, strings.Join(s.Kinds, "\n"), s.Count, s.Until.UnixMicro(), s.Made.UnixMicro())
}

// opensNothing lets the device open whatever it opens, under every bound context that the source tells, and looks for the key.
func (a admin) opensNothing(pub *ecdsa.PublicKey) {
	a.t.Helper()
	ctx, k := a.t.Context(), a.node(a.t)
	var contexts [][]byte
	for _, row := range a.copy("wrapped_key", "1 = 1").values {
		id, public := row[0].(string), octets(row, 7)
		for _, control := range []string{"owner", "platform"} {
			contexts = append(contexts, append([]byte("hufu many key v1\x00"+id+"\x00seal\x00"+control+"\x00"), public...))
		}
		for _, method := range []string{"pin", "sm2", "half"} {
			contexts = append(contexts, []byte("hufu owner's half v1\x00"+id+"\x00"+method))
		}
	}
	opened := 0
	for _, blob := range a.blobs() {
		candidates := [][]byte{blob}
		for _, c := range contexts {
			if plain, err := k.Unwrap(ctx, "master", blob, c); err == nil {
				opened++
				candidates = append(candidates, plain)
			}
		}
		for _, c := range candidates {
			for i := 0; i+32 <= len(c); i++ {
				if d, err := gm.NewPrivateKey(c[i : i+32]); err == nil && pub.Equal(d.Public()) {
					a.t.Fatal("the private key lies in what the device opens")
				}
			}
		}
	}
	if opened < 4 {
		a.t.Errorf("the device opened only %d blobs: the attack is not made", opened)
	}
}

// octets returns the n-th octet string of a row, by column.
func octets(row []any, n int) []byte {
	for i := n; i < len(row); i++ {
		if b, is := row[i].([]byte); is {
			return b
		}
	}
	return nil
}

// replaysNothing keeps what an owner answered, and the rows from before, and brings all of it back.
func (a admin) replaysNothing(id string, owner pair) {
	a.t.Helper()
	ctx, m := a.t.Context(), a.seals(a.t, a.node(a.t))
	c, err := m.Challenge(ctx, id, hash("deed"), "document")
	ok(a.t, "challenge", err)
	answer := owner.answer(a.t, c, "document")
	before := a.copy("key_challenge", "id = $1", c.ID)
	ok(a.t, "the owner's use", trySign(ctx, m, id, answer, hash("deed")))
	want(a.t, "the same again", trySign(ctx, m, id, answer, hash("deed")), keys.ErrChallenge)
	a.paste(before)
	want(a.t, "the challenge brought back", trySign(ctx, m, id, answer, hash("deed")), keys.ErrReplayed)
	a.exec("UPDATE key_challenge SET e = $2, used = $3 WHERE id = $1", c.ID, hash("forged"), false)
	want(a.t, "the challenge over another hash", trySign(ctx, m, id, answer, hash("forged")), keys.ErrChallenge)
	a.paste(before)
	a.exec("UPDATE key_challenge SET kind = 'licence/business' WHERE id = $1", c.ID)
	want(a.t, "the challenge of another kind", trySign(ctx, m, id, with(answer, func(c *keys.Consent) { c.Kind = "licence/business" }), hash("deed")), keys.ErrChallenge)
	a.paste(before)
	a.exec("UPDATE key_challenge SET id = 'FRESH' WHERE id = $1", c.ID)
	want(a.t, "the challenge under another name", trySign(ctx, m, id, with(answer, func(c *keys.Consent) { c.Challenge = "FRESH" }), hash("deed")), keys.ErrChallenge)
	a.exec("UPDATE key_challenge SET id = $1, until = until + 86400000000 WHERE id = 'FRESH'", c.ID)
	want(a.t, "the challenge made to last", trySign(ctx, m, id, answer, hash("deed")), keys.ErrChallenge)
}
