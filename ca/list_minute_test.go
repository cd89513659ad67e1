package ca_test

import (
	"testing"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/store"
	"hufu/store/storetest"
)

// A builder takes the job and the shard and is heard of no more. Another has the revocation in the list within a minute, waiting
// for both claims included, and what the first one signed meanwhile never comes into force.
func TestARevocationIsListedWithinAMinuteThoughItsBuilderDied(t *testing.T) {
	clock := start // of the jobs
	storetest.EachWith(t, store.Options{Now: func() time.Time { return clock }}, func(t *testing.T, db *store.DB) {
		w := &world{db: db, keys: &memoryKeys{}, store: &faultyStore{Store: db.CA()}, now: start, t: t}
		w.citizen = actor.Actor{Subject: "p1", Capacity: actor.Person}
		w.open()
		w.must(w.Bootstrap(t.Context(), actor.ForSystem("test")))
		clock = start
		later := func() time.Duration {
			w.now = w.now.Add(time.Second)
			clock = w.now
			return w.now.Sub(start)
		}
		_, app := w.issued()
		serial := serialOf(t, app)
		w.must(w.PublishLists(t.Context(), "issuing"))
		w.must(w.Revoke(t.Context(), officer, serial, certs.ReasonSuperseded, time.Time{}))
		take := func() *store.Job {
			t.Helper()
			job, err := w.db.ClaimJobOf(t.Context(), ca.JobList)
			w.must(err)
			return job
		}
		for take() == nil {
			if later() > time.Minute {
				t.Fatal("no job for the list")
			}
		}
		var dead ca.List
		w.must(w.db.CA().Update(t.Context(), func(tx ca.W) (err error) {
			dead, _, err = tx.ClaimList("issuing", 0, w.now, w.now.Add(ca.ListLease))
			dead.Number = dead.Claimed
			return err
		}))
		if take() != nil {
			t.Error("the job of a builder that lives was taken")
		}
		var again *store.Job
		for again == nil {
			if later() > time.Minute {
				t.Fatal("nobody takes the job of the dead builder over")
			}
			again = take()
		}
		_, err := w.PublishShard(t.Context(), again.Key)
		w.must(err)
		if took := w.now.Sub(start); took > 50*time.Second { // the rest is for the building
			t.Errorf("listed after %s", took)
		}
		if got := reasonOf(w.crl("issuing/0.crl"), serial); got != "superseded" {
			t.Errorf("in the list: %s", got)
		}
		w.must(w.db.CA().Update(t.Context(), func(tx ca.W) error {
			put, err := tx.PublishList(dead)
			if put {
				t.Error("the dead builder's list came into force")
			}
			return err
		}))
	})
}
