package keys_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"hufu/keys"
)

// aftermath is what a test of a crash works with: a key as it was before, and what the stopped process was asked for.
type aftermath struct {
	rig
	t     *testing.T
	whole *keys.Many // a node that does not crash
	id    string
}

var freshPIN = []byte("another-word-77")

// crashes are operations, what they begin from, and what must hold whenever they were stopped; they are repeated afterwards.
var crashes = map[string]struct {
	prepare func(a *aftermath)
	do      func(ctx context.Context, m *keys.Many, a *aftermath) error
	check   func(a *aftermath, done bool)
}{
	"generate": {
		do: func(ctx context.Context, m *keys.Many, _ *aftermath) error {
			_, _, err := m.Generate(ctx, "seal", keys.Enrolment{PIN: goodPIN})
			return err
		},
		check: func(a *aftermath, _ bool) {
			a.clock.advance(time.Hour)
			ok(a.t, "resume", a.node(a.t).Resume(a.t.Context()))
			ok(a.t, "read", a.db.Keys().View(a.t.Context(), func(q keys.R) error {
				half, err := q.HalfMade(a.clock.now(), 10)
				if len(half) != 0 {
					a.t.Error("a half-made key stays")
				}
				return err
			}))
		},
	},
	"sign by PIN": {
		do: func(ctx context.Context, m *keys.Many, a *aftermath) error {
			return trySign(ctx, m, a.id, byPIN, hash("deed"))
		},
		check: func(a *aftermath, done bool) {
			if n := a.records(a.t, "key.activate", a.id); done && n == 0 {
				a.t.Error("a signature left that is not in the record")
			}
			ok(a.t, "the PIN still opens", trySign(a.t.Context(), a.whole, a.id, byPIN, hash("x")))
		},
	},
	"sign under a standing activation": {
		prepare: func(a *aftermath) { a.stand(2) },
		do: func(ctx context.Context, m *keys.Many, a *aftermath) error {
			return trySign(ctx, m, a.id, keys.Consent{Kind: "document"}, hash("deed"))
		},
		check: func(a *aftermath, done bool) {
			used := a.standing().Used
			if done && used == 0 {
				a.t.Error("a signature left that was not counted")
			}
			a.usesRecorded(a.t, a.id, a.standing().ID, used)
		},
	},
	"stand": {
		do: func(ctx context.Context, m *keys.Many, a *aftermath) error {
			_, err := m.Stand(ctx, clerk, a.id, byPIN, a.bounds(2))
			return err
		},
		check: func(a *aftermath, done bool) {
			all, err := a.whole.Standings(a.t.Context(), a.id)
			if n := a.records(a.t, "activation.stand", a.id); err != nil || n != len(all) || done && n == 0 {
				a.t.Errorf("%d activations, %d of them in the record, %v", len(all), n, err)
			}
		},
	},
	"withdraw": {
		prepare: func(a *aftermath) { a.stand(2) },
		do: func(ctx context.Context, m *keys.Many, a *aftermath) error {
			return m.Withdraw(ctx, clerk, a.standing().ID)
		},
		check: func(a *aftermath, done bool) {
			state, n := a.standing().State, a.records(a.t, "activation.withdrawn", a.id)
			if (state == keys.StandingWithdrawn) != (n == 1) || done && n != 1 || (n == 1) != (a.halves(a.t, a.id) == 0) {
				a.t.Errorf("state %s, %d withdrawals in the record, %d halves", state, n, a.halves(a.t, a.id))
			}
		},
	},
	"tidy": {
		prepare: func(a *aftermath) { a.stand(2); a.clock.advance(2 * time.Hour) },
		do:      func(ctx context.Context, m *keys.Many, _ *aftermath) error { return m.Tidy(ctx) },
		check: func(a *aftermath, done bool) {
			if n := a.records(a.t, "activation.expired", a.id); (n == 1) != (a.halves(a.t, a.id) == 0) || done && n != 1 {
				a.t.Errorf("%d ends in the record, %d halves", n, a.halves(a.t, a.id))
			}
		},
	},
	"change the PIN": {
		prepare: func(a *aftermath) { a.stand(9) },
		do: func(ctx context.Context, m *keys.Many, a *aftermath) error {
			err := m.ChangePIN(ctx, clerk, a.id, goodPIN, freshPIN)
			if errors.Is(err, keys.ErrPIN) { // it was changed before the crash
				return nil
			}
			return err
		},
		check: func(a *aftermath, done bool) {
			old := trySign(a.t.Context(), a.whole, a.id, byPIN, hash("x"))
			fresh := trySign(a.t.Context(), a.whole, a.id, keys.Consent{PIN: freshPIN, Kind: "document"}, hash("x"))
			changed := fresh == nil
			if (old == nil) == changed || done && !changed {
				a.t.Errorf("the old PIN: %v; the new PIN: %v", old, fresh)
			}
			standing := trySign(a.t.Context(), a.whole, a.id, keys.Consent{Kind: "document"}, hash("x"))
			if (standing == nil) == changed || a.records(a.t, "key.enrol", a.id) != map[bool]int{true: 1}[changed] {
				a.t.Errorf("changed: %v; the standing activation: %v", changed, standing)
			}
		},
	},
	"adopt": {
		prepare: func(a *aftermath) { a.id = a.legacy(a.t, a.node(a.t), keys.ByPlatform).ID },
		do: func(ctx context.Context, m *keys.Many, a *aftermath) error {
			err := m.Adopt(ctx, clerk, a.id, keys.Enrolment{PIN: goodPIN})
			if errors.Is(err, keys.ErrState) {
				return nil
			}
			return err
		},
		check: func(a *aftermath, done bool) {
			err := trySign(a.t.Context(), a.whole, a.id, byPIN, hash("x"))
			if err != nil && (done || !errors.Is(err, keys.ErrUnadopted)) {
				a.t.Error(err)
			}
		},
	},
	"destroy": {
		prepare: func(a *aftermath) { a.stand(2) },
		do: func(ctx context.Context, m *keys.Many, a *aftermath) error {
			err := m.Destroy(ctx, chief, a.id)
			if errors.Is(err, keys.ErrUnknown) {
				return nil
			}
			return err
		},
		check: func(a *aftermath, done bool) {
			err := trySign(a.t.Context(), a.whole, a.id, keys.Consent{Kind: "document"}, hash("x"))
			if gone := errors.Is(err, keys.ErrUnknown); gone != (a.halves(a.t, a.id) == 0) || done && !gone || !gone && err != nil {
				a.t.Errorf("%v, %d halves", err, a.halves(a.t, a.id))
			}
		},
	},
}

func (a *aftermath) stand(count int) {
	_, err := a.whole.Stand(a.t.Context(), clerk, a.id, byPIN, a.bounds(count))
	ok(a.t, "stand", err)
}

// standing returns the one that there is.
func (a *aftermath) standing() keys.Standing {
	a.t.Helper()
	all, err := a.whole.Standings(a.t.Context(), a.id)
	if err != nil || len(all) != 1 {
		a.t.Fatalf("%d standing activations, %v", len(all), err)
	}
	return all[0]
}

// The process is stopped before and behind each of its writes.
func TestOwnersCrashTable(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		for name, c := range crashes {
			for at := 1; ; at++ {
				if at > 20 {
					t.Fatalf("%s: does not come to an end", name)
				}
				whole := r.seals(t, r.node(t))
				id, _, err := whole.Generate(t.Context(), "seal", keys.Enrolment{PIN: goodPIN})
				ok(t, "generate", err)
				a := &aftermath{r, t, whole, id}
				if c.prepare != nil {
					c.prepare(a)
				}
				f := &fuse{at: at}
				err = c.do(t.Context(), r.seals(t, r.nodeWith(t, crashStore{r.db.Keys(), f}, r.device)), a)
				if f.passed < at {
					ok(t, fmt.Sprintf("%s without a crash", name), err)
					c.check(a, true)
					break
				}
				want(t, fmt.Sprintf("%s, stopped at door %d", name, at), err, errCrash)
				a.whole = r.seals(t, r.node(t))
				c.check(a, false)
			}
		}
	})
}
