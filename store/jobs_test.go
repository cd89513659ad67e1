package store

import (
	"errors"
	"testing"
	"time"
)

// An outage of a night or a weekend loses no work: a mail server's, a device's. The operator hears of it after half an hour.
func TestJobsOutliveAnOutageOfThreeDays(t *testing.T) {
	start := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	now := start
	each(t, func() time.Time { return now }, func(t *testing.T, db *DB) {
		now = start
		enqueue := func() {
			t.Helper()
			if err := db.update(t.Context(), func(tx *tx) error { return tx.Enqueue("mail", "one", nil, now) }); err != nil {
				t.Fatal(err)
			}
		}
		late := func() []FailedJob {
			t.Helper()
			all, err := db.LateJobs(t.Context(), 10)
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		revive := func(id string, want bool) {
			t.Helper()
			if ok, err := db.ReviveJob(t.Context(), id); err != nil || ok != want {
				t.Errorf("revived %t, %v, want %t", ok, err, want)
			}
		}
		claim := func() *Job {
			t.Helper()
			j, err := db.ClaimJob(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return j
		}
		enqueue()
		var told, waited time.Duration
		last := now
		for len(dead(t, db)) == 0 && now.Sub(start) < 100*time.Hour {
			j := claim()
			if j == nil {
				now = now.Add(time.Second)
				continue
			}
			waited, last = max(waited, now.Sub(last)), now
			if err := db.FailJob(t.Context(), j, errors.New("no answer")); err != nil {
				t.Fatal(err)
			}
			if told == 0 && len(late()) > 0 {
				told = now.Sub(start)
			}
			now = now.Add(nextTry(t, db).Sub(now))
		}
		if d := now.Sub(start); d < 71*time.Hour || d > 74*time.Hour || waited > time.Hour || told < 20*time.Minute || told > 45*time.Minute {
			t.Errorf("given up after %v, %v between two tries, told after %v", d, waited, told)
		}
		gone := dead(t, db)[0]
		enqueue() // the same work anew
		revive(gone.ID, true)
		if len(dead(t, db)) != 0 {
			t.Error("what was enqueued anew is there twice")
		}
		j := claim()
		if j == nil || claim() != nil {
			t.Fatal("revived twice, or not")
		}
		revive(j.ID, false) // it is being worked on
		if err := db.FailJob(t.Context(), j, errors.New("no answer")); err != nil {
			t.Fatal(err)
		}
		revive(j.ID, true)
		if again := claim(); again == nil || again.Attempts != 0 {
			t.Errorf("%+v: a job that waits is due at once", again)
		}
		revive("nobody", false)
	})
}

func dead(t *testing.T, db *DB) []FailedJob {
	t.Helper()
	all, err := db.DeadJobs(t.Context(), 10)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// nextTry is when the only job is due; now when it is dead.
func nextTry(t *testing.T, db *DB) (at time.Time) {
	t.Helper()
	at = db.now()
	err := db.view(t.Context(), func(tx *tx) error {
		var micro int64
		err := tx.one([]any{&micro}, `SELECT not_before FROM job WHERE state = 'waiting'`)
		if err == nil {
			at = fromMicros(micro)
		}
		if errors.Is(err, errNoRow) {
			err = nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return at
}
