package ca_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
)

// manyIssued gives n certificates of the citizen.
func (w *world) manyIssued(n int) (serials [][]byte) {
	w.t.Helper()
	for range n {
		_, app := w.issued()
		serials = append(serials, serialOf(w.t, app))
	}
	return serials
}

// An officer's stolen session suspends as little as it revokes; who brings back what was suspended has no bound.
func TestOneOfficerSuspendsFewAlone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, a := t.Context(), w.bounded(3)
		serials := w.manyIssued(5)
		suspend := func(by actor.Actor, i int) error { return a.Suspend(ctx, by, serials[i], time.Time{}) }
		w.must(suspend(officer, 0))
		w.must(suspend(officer, 1))
		w.must(a.Revoke(ctx, officer, serials[2], certs.ReasonSuperseded, time.Time{}))
		if err := suspend(officer, 3); !errors.Is(err, ca.ErrSecondOfficer) || w.status(serials[3]) != nil {
			t.Errorf("the fourth within an hour: %v", err)
		}
		elsewhere := officer
		elsewhere.Capacity, elsewhere.For = actor.Entity, "e1"
		if err := suspend(elsewhere, 3); !errors.Is(err, ca.ErrSecondOfficer) {
			t.Errorf("the same person in another capacity: %v", err)
		}
		if err := a.Revoke(ctx, officer, serials[0], certs.ReasonSuperseded, time.Time{}); !errors.Is(err, ca.ErrSecondOfficer) {
			t.Errorf("what was suspended, revoked: %v", err)
		}
		e := ca.Ending{Serial: serials[4], Reason: certs.ReasonSuperseded, DryRun: true}
		if dry, err := a.End(ctx, officer, e); err != nil || !dry.Second {
			t.Errorf("the dry run does not tell that the hour is used up: %+v %v", dry, err)
		}
		w.must(a.Resume(ctx, officer, serials[0]))
		w.must(a.Resume(ctx, officer, serials[1]))
		w.must(suspend(second2registrar(), 0)) // a registrar has an hour of his own
		w.must(suspend(w.citizen, 3))          // the holder has no bound
		w.must(suspend(w.citizen, 4))
	})
}

// status is what is in force about a serial; nil for nothing.
func (w *world) status(serial []byte) *ca.Revocation {
	w.t.Helper()
	var status *ca.Revocation
	w.must(w.store.View(w.t.Context(), func(r ca.R) error {
		found, err := r.Standing([][]byte{serial})
		if err == nil && len(found) == 1 {
			status = found[0].Status
		}
		return err
	}))
	return status
}

// Neither other nodes nor restarts nor calls at once multiply what one officer may do alone.
func TestAnOfficersHourIsOneForAllNodes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const calls, may = 10, 4
		nodes := []*ca.Authority{w.bounded(may), w.bounded(may)}
		serials := w.manyIssued(calls + 1)
		var all sync.WaitGroup
		var done atomic.Int64
		for i := range calls {
			all.Go(func() {
				err := nodes[i%2].Suspend(t.Context(), officer, serials[i], time.Time{})
				if err == nil {
					done.Add(1)
				} else if !errors.Is(err, ca.ErrSecondOfficer) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if done.Load() != may {
			t.Errorf("%d of %d calls at once came through, %d may", done.Load(), calls, may)
		}
		suspend := func() error { return w.bounded(may).Suspend(t.Context(), officer, serials[calls], time.Time{}) } // after a restart
		if err := suspend(); !errors.Is(err, ca.ErrSecondOfficer) {
			t.Errorf("a restart begins the hour anew: %v", err)
		}
		w.now = w.now.Add(14 * time.Minute)
		if err := suspend(); !errors.Is(err, ca.ErrSecondOfficer) {
			t.Errorf("before a quarter of an hour: %v", err)
		}
		w.now = w.now.Add(2 * time.Minute)
		w.must(suspend())
		w.now = w.now.Add(-14 * time.Hour) // the clock was wrong
		w.must(w.bounded(may).Revoke(t.Context(), officer, serials[calls], certs.ReasonSuperseded, time.Time{}))
	})
}
