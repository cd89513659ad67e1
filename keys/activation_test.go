package keys_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/audit"
	"hufu/internal/gm"
	"hufu/keys"
)

// bounds allows a number of documents for an hour.
func (r rig) bounds(count int) keys.Bounds {
	return keys.Bounds{Kinds: []string{"document"}, Count: count, Until: r.clock.now().Add(time.Hour)}
}

// refused tells that a use which no standing activation covers any more is refused; by which word depends on what the node still remembers.
func refused(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, keys.ErrStandingOver) && !errors.Is(err, keys.ErrActivation) {
		t.Errorf("%s: %v", what, err)
	}
}

func TestStandingActivationIsBounded(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, m := t.Context(), r.seals(t, r.node(t))
		id, _, err := m.Generate(ctx, "seal", keys.Enrolment{PIN: goodPIN})
		ok(t, "generate", err)
		now := r.clock.now()
		for what, b := range map[string]keys.Bounds{
			"no kind":     {Count: 1, Until: now.Add(time.Hour)},
			"no uses":     {Kinds: []string{"document"}, Until: now.Add(time.Hour)},
			"past":        {Kinds: []string{"document"}, Count: 1, Until: now},
			"for ever":    {Kinds: []string{"document"}, Count: 1, Until: now.AddDate(1, 0, 0)},
			"without end": {Kinds: []string{"document"}, Count: 1},
			"no limit":    {Kinds: []string{"document"}, Count: 1_000_001, Until: now.Add(time.Hour)},
		} {
			_, err := m.Stand(ctx, clerk, id, byPIN, b)
			want(t, what, err, keys.ErrBounds)
		}
		for _, kind := range []string{"*", "", "a\nb", "standing-activation", strings.Repeat("a", 65)} {
			_, err := m.Stand(ctx, clerk, id, byPIN, keys.Bounds{Kinds: []string{kind}, Count: 1, Until: now.Add(time.Hour)})
			want(t, "kind "+kind, err, keys.ErrKind)
		}
		_, err = m.Stand(ctx, clerk, id, keys.Consent{}, r.bounds(3))
		want(t, "without the owner", err, keys.ErrActivation)
		_, err = m.Stand(ctx, clerk, id, keys.Consent{PIN: []byte("Hufu-seal-2027")}, r.bounds(3))
		want(t, "with a wrong PIN", err, keys.ErrPIN)

		s, err := m.Stand(ctx, clerk, id, byPIN, r.bounds(3))
		ok(t, "stand", err)
		covered := keys.Consent{Kind: "document"}
		want(t, "another kind", trySign(ctx, m, id, keys.Consent{Kind: "licence/business"}, hash("x")), keys.ErrActivation)
		ok(t, "use", trySign(ctx, m, id, covered, hash("1")))
		signer, err := m.Signer(ctx, id, clerk, covered)
		ok(t, "signer", err)
		for _, text := range []string{"2", "3"} {
			_, err = signer.Sign(nil, hash(text), gm.Digest)
			ok(t, "use "+text, err)
		}
		_, err = signer.Sign(nil, hash("4"), gm.Digest)
		want(t, "one too many", err, keys.ErrStandingOver)
		refused(t, "a new signer", trySign(ctx, m, id, covered, hash("4")))
		all, err := m.Standings(ctx, id)
		if err != nil || len(all) != 1 || all[0].ID != s.ID || all[0].State != keys.StandingSpent || all[0].Used != 3 {
			t.Errorf("standings %+v, %v", all, err)
		}
		r.usesRecorded(t, id, s.ID, 3, "1", "2", "3")

		r.clock.advance(time.Second)
		_, err = m.Stand(ctx, clerk, id, byPIN, r.bounds(3))
		ok(t, "stand", err)
		ok(t, "use", trySign(ctx, m, id, covered, hash("x")))
		signer, err = m.Signer(ctx, id, clerk, covered)
		ok(t, "signer", err)
		r.clock.advance(time.Hour)
		_, err = signer.Sign(nil, hash("x"), gm.Digest)
		want(t, "at its end", err, keys.ErrStandingOver)
		refused(t, "a new signer at its end", trySign(ctx, m, id, covered, hash("x")))
		ok(t, "tidy", m.Tidy(ctx))
		all, err = m.Standings(ctx, id)
		if err != nil || len(all) != 2 || all[0].State != keys.StandingExpired {
			t.Errorf("standings %+v, %v", all, err)
		}
		if halves := r.halves(t, id); halves != 0 {
			t.Errorf("%d ended activations still hold what opens the key", halves)
		}
		if r.records(t, "activation.stand", id) != 2 || r.records(t, "activation.expired", id) != 1 {
			t.Error("the record lacks one of them")
		}
	})
}

// halves counts standing activations that still hold what opens the key.
func (r rig) halves(t *testing.T, id string) (n int) {
	t.Helper()
	ok(t, "read", r.db.Keys().View(t.Context(), func(q keys.R) error {
		rows, err := q.Standings(id, 100)
		for _, s := range rows {
			if len(s.Half) > 0 {
				n++
			}
		}
		return err
	}))
	return n
}

// usesRecorded checks that the record holds each use of a standing activation once, and with it the hash.
func (r rig) usesRecorded(t *testing.T, id, standing string, count int, texts ...string) {
	t.Helper()
	sums, uses := "", 0
	ok(t, "read", r.db.Audit().View(t.Context(), func(a audit.R) error {
		rows, err := a.Find(audit.Query{Action: "key.activate", Object: audit.Object{Kind: "key", ID: id}, Limit: 1000})
		if err != nil {
			return err
		}
		for _, row := range rows {
			leaf, err := audit.ParseLeaf(row.Leaf)
			if err != nil {
				return err
			}
			if leaf.Public["standing"] != standing {
				continue
			}
			uses += len(strings.Fields(leaf.Public["e_sm3"]))
			sums += leaf.Public["e_sm3"] + " "
		}
		return nil
	}))
	if uses != count {
		t.Errorf("%d uses in the record, want %d", uses, count)
	}
	for _, text := range texts {
		if sum := gm.SM3(hash(text)); !strings.Contains(sums, fmt.Sprintf("%x", sum)) {
			t.Errorf("the hash of %q is not in the record", text)
		}
	}
}

func TestWithdrawalEndsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, m := t.Context(), r.seals(t, r.node(t))
		far := r.seals(t, r.node(t))
		id, _, err := m.Generate(ctx, "seal", keys.Enrolment{PIN: goodPIN})
		ok(t, "generate", err)
		s, err := m.Stand(ctx, clerk, id, byPIN, r.bounds(100))
		ok(t, "stand", err)
		covered := keys.Consent{Kind: "document"}
		ok(t, "use", trySign(ctx, m, id, covered, hash("x")))
		signer, err := far.Signer(ctx, id, clerk, covered)
		ok(t, "signer on another node", err)
		_, err = signer.Sign(nil, hash("x"), gm.Digest)
		ok(t, "use on another node", err)
		holders, err := r.node(t).Many(system, keys.ManyHolder, "master")
		ok(t, "many", err)
		want(t, "withdrawn as one of another purpose", holders.Withdraw(ctx, clerk, s.ID), keys.ErrNoStanding)
		ok(t, "withdraw", m.Withdraw(ctx, clerk, s.ID))
		ok(t, "withdraw again", m.Withdraw(ctx, clerk, s.ID))
		want(t, "withdraw nothing", m.Withdraw(ctx, clerk, "nothing"), keys.ErrNoStanding)
		_, err = signer.Sign(nil, hash("x"), gm.Digest)
		want(t, "a signer from before on another node", err, keys.ErrStandingOver)
		refused(t, "here", trySign(ctx, m, id, covered, hash("x")))
		refused(t, "there", trySign(ctx, far, id, covered, hash("x")))
		if r.halves(t, id) != 0 || r.records(t, "activation.withdrawn", id) != 1 {
			t.Error("the withdrawal erased or recorded nothing")
		}
		ok(t, "the owner alone still can", trySign(ctx, m, id, byPIN, hash("x")))
		_, err = m.Stand(ctx, clerk, id, byPIN, r.bounds(100))
		ok(t, "stand", err)
		ok(t, "destroy", m.Destroy(ctx, chief, id))
		err = trySign(ctx, m, id, covered, hash("x"))
		want(t, "with the key destroyed", err, keys.ErrUnknown)
		if r.halves(t, id) != 0 {
			t.Error("a destroyed key leaves something that opens it")
		}
	})
}

// Uses that meet on the last ones: as many win as are left, on two nodes.
func TestTheLastUseHasOneWinner(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, m := t.Context(), r.seals(t, r.node(t))
		nodes := []*keys.Many{m, r.seals(t, r.node(t))}
		id, _, err := m.Generate(ctx, "seal", keys.Enrolment{PIN: goodPIN})
		ok(t, "generate", err)
		for _, count := range []int{1, 13} {
			s, err := m.Stand(ctx, clerk, id, byPIN, r.bounds(count))
			ok(t, "stand", err)
			var won atomic.Int64
			var wg sync.WaitGroup
			for i := range 40 {
				wg.Go(func() {
					err := trySign(ctx, nodes[i%2], id, keys.Consent{Kind: "document"}, hash(fmt.Sprint(i)))
					if err == nil {
						won.Add(1)
						return
					}
					refused(t, "a use too many", err)
				})
			}
			wg.Wait()
			if int(won.Load()) != count {
				t.Errorf("%d signatures by an activation for %d", won.Load(), count)
			}
			r.usesRecorded(t, id, s.ID, count)
		}
	})
}

// One activation takes the place of another that is over, also for a signer from before and on a node that has not heard of it.
func TestAnotherActivationTakesOver(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, m := t.Context(), r.seals(t, r.node(t))
		far := r.seals(t, r.node(t))
		id, _, err := m.Generate(ctx, "seal", keys.Enrolment{PIN: goodPIN})
		ok(t, "generate", err)
		first, err := m.Stand(ctx, clerk, id, byPIN, r.bounds(2))
		ok(t, "stand", err)
		signer, err := far.Signer(ctx, id, clerk, keys.Consent{Kind: "document"})
		ok(t, "signer", err)
		later := r.bounds(3)
		later.Until = later.Until.Add(time.Hour)
		second, err := m.Stand(ctx, clerk, id, byPIN, later)
		ok(t, "stand", err)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if _, err := signer.Sign(nil, hash("x"), gm.Digest); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		_, err = signer.Sign(nil, hash("x"), gm.Digest)
		want(t, "one too many", err, keys.ErrStandingOver)
		r.usesRecorded(t, id, first.ID, 2)
		r.usesRecorded(t, id, second.ID, 3)
		third, err := m.Stand(ctx, clerk, id, byPIN, r.bounds(2))
		ok(t, "stand", err)
		ok(t, "use", trySign(ctx, far, id, keys.Consent{Kind: "document"}, hash("x")))
		ok(t, "withdraw", m.Withdraw(ctx, clerk, third.ID))
		_, err = m.Stand(ctx, clerk, id, byPIN, r.bounds(2))
		ok(t, "stand", err)
		ok(t, "use by a node that knows the withdrawn one", trySign(ctx, far, id, keys.Consent{Kind: "document"}, hash("x")))
	})
}
