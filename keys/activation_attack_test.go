package keys_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"hufu/internal/gm"
	"hufu/keys"
)

// While a standing activation lives, its bounds hold against whoever edits rows and uses the program.
func TestNobodyGoesBeyondAStandingActivation(t *testing.T) {
	eachAdmin(t, func(t *testing.T, a admin) {
		ctx, m := t.Context(), a.seals(t, a.node(t))
		id, _, err := m.Generate(ctx, "the mayor's seal", keys.Enrolment{PIN: goodPIN})
		ok(t, "generate", err)
		other, _, err := m.Generate(ctx, "the governor's seal", keys.Enrolment{PIN: goodPIN})
		ok(t, "generate", err)
		s, err := m.Stand(ctx, clerk, id, byPIN, a.bounds(4))
		ok(t, "stand", err)
		fresh := func() *keys.Many { return a.seals(t, a.node(t)) }
		document, licence := keys.Consent{Kind: "document"}, keys.Consent{Kind: "licence/business"}
		use := func(what string, id string, c keys.Consent, sentinel error) {
			t.Helper()
			if err := trySign(ctx, fresh(), id, c, hash("forged")); err == nil {
				t.Errorf("%s: signed", what)
			} else if sentinel != nil {
				want(t, what, err, sentinel)
			}
		}
		untouched := a.copy("key_standing", "1 = 1")
		edit := func(what, set string, c keys.Consent, sentinel error) {
			t.Helper()
			a.exec("UPDATE key_standing SET " + set)
			use(what, id, c, sentinel)
			a.paste(untouched)
		}
		use("another kind", id, licence, keys.ErrActivation)
		edit("kind added", "kinds = 'document\nlicence/business'", licence, keys.ErrDamaged)
		edit("kind changed", "kinds = 'licence/business'", licence, keys.ErrDamaged)
		edit("more uses", "count = 1000", document, keys.ErrDamaged)
		edit("more time", "until = until + 86400000000", document, keys.ErrDamaged)
		edit("made later", "made_at = made_at + 1", document, keys.ErrDamaged)
		a.exec("UPDATE key_standing SET key_id = $1", other)
		use("for another key", other, document, keys.ErrDamaged)
		a.paste(untouched)
		a.exec("UPDATE key_standing SET id = 'ANOTHER'")
		use("under another name", id, document, keys.ErrDamaged)
		a.exec("DELETE FROM key_standing")
		a.paste(untouched)

		beforeUse := a.copy("key_standing", "1 = 1")
		for range 3 {
			ok(t, "use", trySign(ctx, m, id, document, hash("x")))
		}
		a.paste(beforeUse)
		use("the count set back", id, document, keys.ErrReplayed)
		a.exec("UPDATE key_standing SET used = 2")
		use("the count set back by one", id, document, keys.ErrReplayed)
		a.exec("UPDATE key_standing SET used = 3, state = 'active'")
		ok(t, "the use that is left", trySign(ctx, fresh(), id, document, hash("x")))
		use("one more", id, document, nil)
		a.paste(beforeUse)
		use("spent, brought back", id, document, keys.ErrReplayed)
		a.usesRecorded(t, id, s.ID, 4)

		a.clock.advance(time.Second)
		a.exec("DELETE FROM key_standing")
		s, err = m.Stand(ctx, clerk, id, byPIN, a.bounds(100))
		ok(t, "stand", err)
		alive := a.copy("key_standing", "1 = 1")
		ok(t, "withdraw", m.Withdraw(ctx, clerk, s.ID))
		use("withdrawn", id, document, keys.ErrActivation)
		a.exec("UPDATE key_standing SET state = 'active'")
		use("withdrawn, said to be active", id, document, keys.ErrDamaged)
		a.paste(alive)
		use("withdrawn, brought back", id, document, keys.ErrReplayed)
		ok(t, "withdraw what was brought back", m.Withdraw(ctx, clerk, s.ID))
		if a.halves(t, id) != 0 {
			t.Error("what was brought back and withdrawn still opens the key")
		}
		a.paste(alive)
		a.clock.advance(time.Hour)
		use("brought back after its time", id, document, keys.ErrActivation)
		ok(t, "tidy", m.Tidy(ctx))
		if a.halves(t, id) != 0 {
			t.Error("tidying leaves what was brought back")
		}

		// A changed PIN ends it as well: the old half opens the new row as little as the new half the old one.
		keyBefore, ownerBefore := a.copy("wrapped_key", "id = $1", id), a.copy("key_owner", "key_id = $1", id)
		_, err = m.Stand(ctx, clerk, id, byPIN, a.bounds(100))
		ok(t, "stand", err)
		alive = a.copy("key_standing", "state = 'active'")
		ok(t, "change PIN", m.ChangePIN(ctx, clerk, id, goodPIN, []byte("another-word-77")))
		a.paste(alive)
		use("from before the PIN changed", id, document, nil)
		a.paste(ownerBefore)
		use("the old PIN's row", id, byPIN, keys.ErrDamaged)
		a.paste(keyBefore)
		use("everything as it was, under the activation that ended", id, document, keys.ErrReplayed)
		use("everything as it was, with the old PIN", id, byPIN, keys.ErrReplayed)
		want(t, "the old PIN changed once more", fresh().ChangePIN(ctx, chief, id, goodPIN, []byte("administrator-1")), keys.ErrReplayed)
		_, err = fresh().Stand(ctx, chief, id, byPIN, a.bounds(9))
		want(t, "a new activation with the old PIN", err, keys.ErrReplayed)

		// What was destroyed stays so.
		keyBefore, ownerBefore = a.copy("wrapped_key", "id = $1", other), a.copy("key_owner", "key_id = $1", other)
		ok(t, "destroy", m.Destroy(ctx, chief, other))
		a.paste(keyBefore)
		a.paste(ownerBefore)
		use("a destroyed key brought back", other, byPIN, keys.ErrReplayed)
		ok(t, "destroyed once more", m.Destroy(ctx, chief, other))
	})
}

// What docs/THREATS.md says of a live standing activation, shown: who has the opened device and a program of his own opens the key with it and leaves no record. Without one
// the same program opens nothing.
func TestWhatALiveStandingActivationMeans(t *testing.T) {
	eachAdmin(t, func(t *testing.T, a admin) {
		ctx, m, k := t.Context(), a.seals(t, a.node(t)), a.node(t)
		id, pub, err := m.Generate(ctx, "the mayor's seal", keys.Enrolment{PIN: goodPIN})
		ok(t, "generate", err)
		open := func() (d []byte) {
			ok(t, "read", a.db.Keys().View(ctx, func(r keys.R) error {
				w, err := r.Wrapped(id)
				if err != nil {
					return err
				}
				live, err := r.Standings(id, 1)
				if err != nil || len(live) == 0 || len(live[0].Half) == 0 {
					return err
				}
				half, err := k.Unwrap(ctx, "master", live[0].Half, standingAAD(live[0]))
				if err != nil {
					return err
				}
				sealed, err := k.Unwrap(ctx, "master", w.Wrapped, append([]byte("hufu many key v1\x00"+id+"\x00seal\x00owner\x00"), w.Public...))
				if err != nil {
					return err
				}
				d, err = gm.Open(half, sealed, append([]byte("hufu owned key v1\x00"+id+"\x00seal\x00wrapped\x00pin\x00\x00\x00"), w.Public...))
				return err
			}))
			return d
		}
		if open() != nil {
			t.Error("opened without a standing activation")
		}
		s, err := m.Stand(ctx, clerk, id, byPIN, a.bounds(1))
		ok(t, "stand", err)
		private, err := gm.NewPrivateKey(open())
		if err != nil || !equal(private.Public(), pub) || a.records(t, "key.activate", id) != 0 {
			t.Errorf("docs/THREATS.md promises too little: %v", err)
		}
		ok(t, "withdraw", m.Withdraw(ctx, clerk, s.ID))
		if open() != nil {
			t.Error("opened after the withdrawal")
		}
	})
}

// Nothing of half, PIN or private key is in the database or in what is refused.
func TestNothingSecretOfTheOwnerIsKept(t *testing.T) {
	eachAdmin(t, func(t *testing.T, a admin) {
		ctx, m := t.Context(), a.seals(t, a.node(t))
		half := hash("what three custodians put together")
		_, _, err := m.Generate(ctx, "seal", keys.Enrolment{Half: half})
		ok(t, "generate", err)
		id, _, err := m.Generate(ctx, "seal", keys.Enrolment{PIN: goodPIN})
		ok(t, "generate", err)
		_, err = m.Stand(ctx, clerk, id, byPIN, a.bounds(3))
		ok(t, "stand", err)
		wrong := []byte("Hufu-seal-2027")
		err = trySign(ctx, m, id, keys.Consent{PIN: wrong, Kind: "document"}, hash("x"))
		for _, secret := range [][]byte{half, goodPIN, wrong} {
			if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), string(secret)) {
				t.Error("a refusal tells a secret")
			}
			for _, table := range []string{"wrapped_key", "key_owner", "key_standing", "key_challenge", "audit_entry"} {
				if text := fmt.Sprintf("%s %x", a.copy(table, "1 = 1"), a.copy(table, "1 = 1")); bytes.Contains([]byte(text), secret) ||
					strings.Contains(text, fmt.Sprintf("%x", secret)) {
					t.Errorf("table %s holds a secret", table)
				}
			}
		}
	})
}
