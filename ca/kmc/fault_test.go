package kmc_test

import (
	"errors"
	"fmt"
	"testing"

	"hufu/ca/kmc"
	"hufu/ca/kmc/kmctest"
	"hufu/internal/fault"
	"hufu/internal/gm"
	"hufu/store"
	"hufu/store/storetest"
)

// The database goes away at each commit of a recovery, from the request to the hand-out, before the commit and after it: whoever
// asks again comes to the end, the keys are handed out once, and each step is recorded once.
func TestTheDatabaseGoesAwayInARecovery(t *testing.T) {
	dsn := storetest.DSNs(t)["postgres"]
	if dsn == "" {
		return // SQLite has no line; its crash table stops between the commits
	}
	proxy := storetest.NewProxy(t, dsn)
	db := storetest.Open(t, proxy.DSN)
	r := &rig{t: t, db: db, dsn: dsn, store: &faultyStore{Store: db.KMC()}, master: &gatedMaster{Master: kmctest.NewMaster()}, now: start}
	r.restart()
	r.keep("east", "a", "0a")
	cuts := 0
	for n, over := 1, false; !over; n++ {
		for _, after := range []bool{false, true} {
			name := fmt.Sprintf("commit %d, after it %t", n, after)
			_, pub := newKey(t)
			proxy.CutAt(n, after)
			got, err := r.recover(name, gm.Point(pub))
			if !proxy.Restore() {
				r.ok(err)
				over = true
			} else {
				cuts++
				r.refused(err, store.ErrLost, name)
				if fault.KindOf(err) != fault.Unavailable {
					t.Errorf("%s: %v", name, err)
				}
				if n%2 == 0 {
					r.restart()
				}
				if got, err = r.recover(name, gm.Point(pub)); err != nil || len(got.Keys) != 1 {
					t.Fatalf("%s: the next try: %v", name, err)
				}
			}
			_, err = r.centre.Desk("east").Take(t.Context(), citizen, got.ID, "another", everybody)
			r.refused(err, kmc.ErrTaken, name)
			r.recorded("recovery", got.ID, "key-recovery.request", "key-recovery.approve", "key-recovery.approve", "key-recovery.deliver")
		}
	}
	if cuts < 8 {
		t.Errorf("the database went away %d times only", cuts)
	}
}

// recover goes the whole way, or as much of it as is left; key names the request.
func (r *rig) recover(key string, to []byte) (kmc.Recovery, error) {
	desk := r.centre.Desk("east")
	a := kmc.Ask{Kind: kmc.ForHolder, Subject: "p1", Why: "lost", Recipient: to, Key: key}
	rec, err := desk.Request(r.t.Context(), citizen, a)
	if err != nil {
		return rec, err
	}
	for _, o := range officers[:2] {
		if _, err := desk.Decide(r.t.Context(), o, rec.ID, yes); err != nil && !errors.Is(err, kmc.ErrState) {
			return rec, err
		}
	}
	return desk.Take(r.t.Context(), citizen, rec.ID, "x", everybody)
}
