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
		enqueue(t, db)
		var told, waited time.Duration
		last := now
		for len(dead(t, db)) == 0 && now.Sub(start) < 100*time.Hour {
			j := claim(t, db)
			if j == nil {
				now = now.Add(time.Second)
				continue
			}
			waited, last = max(waited, now.Sub(last)), now
			fail(t, db, j)
			late, err := db.LateJobs(t.Context(), 10)
			if err != nil {
				t.Fatal(err)
			}
			if told == 0 && len(late) > 0 {
				told = now.Sub(start)
			}
			now = nextTry(t, db)
		}
		if d := now.Sub(start); d < 71*time.Hour || d > 74*time.Hour || waited > time.Hour || told < 20*time.Minute || told > 45*time.Minute {
			t.Errorf("given up after %v, %v between two tries, told after %v", d, waited, told)
		}
	})
}

func TestAJobIsRevivedOnce(t *testing.T) {
	now := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	each(t, func() time.Time { return now }, func(t *testing.T, db *DB) {
		revive := func(id string, want bool) {
			t.Helper()
			if ok, err := db.ReviveJob(t.Context(), id); err != nil || ok != want {
				t.Errorf("revived %t, %v, want %t", ok, err, want)
			}
		}
		enqueue(t, db)
		for len(dead(t, db)) == 0 {
			now = now.Add(time.Hour)
			fail(t, db, claim(t, db))
		}
		gone := dead(t, db)[0]
		enqueue(t, db) // the same work anew
		revive(gone.ID, true)
		if len(dead(t, db)) != 0 {
			t.Error("what was enqueued anew is there twice")
		}
		j := claim(t, db)
		if j == nil || claim(t, db) != nil {
			t.Fatal("revived twice, or not")
		}
		revive(j.ID, false) // it is being worked on
		fail(t, db, j)
		revive(j.ID, true)
		if again := claim(t, db); again == nil || again.Attempts != 0 {
			t.Errorf("%+v: a job that waits is due at once", again)
		}
		revive("nobody", false)
	})
}

func enqueue(t *testing.T, db *DB) {
	t.Helper()
	if err := db.update(t.Context(), func(tx *tx) error { return tx.Enqueue("mail", "one", nil, db.now()) }); err != nil {
		t.Fatal(err)
	}
}

func claim(t *testing.T, db *DB) *Job {
	t.Helper()
	j, err := db.ClaimJob(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func fail(t *testing.T, db *DB, j *Job) {
	t.Helper()
	if err := db.FailJob(t.Context(), j, errors.New("no answer")); err != nil {
		t.Fatal(err)
	}
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
