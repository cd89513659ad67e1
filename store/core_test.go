package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// These tests look at the core from inside; storetest serves those from outside.

// each runs f on an empty migrated database of every engine at hand, as storetest.Each does for other packages.
func each(t *testing.T, now func() time.Time, f func(t *testing.T, db *DB)) {
	t.Helper()
	run := func(engine, dsn string) {
		t.Run(engine, func(t *testing.T) {
			db, err := Open(t.Context(), dsn, Options{Now: now})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Migrate(t.Context()); err != nil {
				t.Fatal(err)
			}
			f(t, db)
		})
	}
	run("sqlite", "sqlite:"+filepath.Join(t.TempDir(), "t.db"))
	if server := os.Getenv("HUFU_TEST_PG"); server != "" {
		schema := "core" + strings.ToLower(rand.Text())
		if err := CreateSchema(t.Context(), server, schema); err != nil {
			t.Fatal(err)
		}
		defer DropSchema(context.Background(), server, schema)
		run("postgres", server+"&search_path="+schema)
	}
}

func TestSealedFieldsOpenOnlyInTheirPlace(t *testing.T) {
	each(t, nil, func(t *testing.T, db *DB) {
		key := func(b byte, n int) []byte { return []byte(fmt.Sprintf("%0*d", n, b)) }
		keys := FieldKeys{Version: 2, Sealing: map[uint32][]byte{1: key(1, 16), 2: key(2, 16)}, Subjects: key(3, 16), Index: key(4, 32), Rows: key(5, 32)}
		err := db.update(t.Context(), func(tx *tx) error {
			if _, err := tx.seal("subject_identifier.number", "s1", "11010119900307002X"); !errors.Is(err, ErrLocked) {
				t.Errorf("sealed without keys: %v", err)
			}
			if err := db.UseFieldKeys(keys); err != nil {
				t.Fatal(err)
			}
			sealed, err := tx.seal("subject_identifier.number", "s1", "11010119900307002X")
			if err != nil {
				t.Fatal(err)
			}
			if v, err := tx.open("subject_identifier.number", "s1", sealed); err != nil || v != "11010119900307002X" {
				t.Errorf("%q %v", v, err)
			}
			if _, err := tx.open("subject_identifier.number", "s2", sealed); err == nil {
				t.Error("a value moved to another row opened")
			}
			if _, err := tx.open("subject.phone", "s1", sealed); err == nil {
				t.Error("a value moved to another column opened")
			}
			sealed[3] = 1
			if _, err := tx.open("subject_identifier.number", "s1", sealed); err == nil {
				t.Error("opened under another key version")
			}
			a, _ := tx.index("subject_identifier.number", "1")
			b, _ := tx.index("subject.phone", "1")
			if string(a) == string(b) {
				t.Error("blind indexes of two columns are the same")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		keys.Index = nil
		if err := db.UseFieldKeys(keys); !errors.Is(err, ErrLocked) {
			t.Errorf("keys without an index key were taken: %v", err)
		}
	})
}

func TestLeaseHasOneHolderAndItsEpochFencesWrites(t *testing.T) {
	start := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	now := start
	each(t, func() time.Time { return now }, func(t *testing.T, db *DB) {
		now = start
		claim := func(holder string) (int64, bool) {
			t.Helper()
			epoch, held, err := db.Lease(t.Context(), "crl", holder, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			return epoch, held
		}
		write := func(epoch int64) error {
			return db.update(t.Context(), func(tx *tx) error { return tx.underLease("crl", epoch) })
		}
		first, held := claim("a")
		if !held || write(first) != nil {
			t.Fatal("a free lease was not given")
		}
		if _, held := claim("b"); held {
			t.Error("two holders")
		}
		if again, held := claim("a"); !held || again != first {
			t.Error("prolonging changed the epoch")
		}
		now = now.Add(2 * time.Minute)
		if err := write(first); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("a write after the end: %v", err)
		}
		second, held := claim("b")
		if !held || second == first {
			t.Errorf("epoch %d after %d, held %v", second, first, held)
		}
		if err := write(first); !errors.Is(err, ErrLeaseLost) {
			t.Errorf("a write under the old epoch: %v", err)
		}
		if n, err := db.LiveLeases(t.Context(), "cr", "a"); err != nil || n != 1 {
			t.Errorf("%d live leases of others, %v", n, err)
		}
		if n, err := db.LiveLeases(t.Context(), "cr", "b"); err != nil || n != 0 {
			t.Errorf("%d live leases besides the own one, %v", n, err)
		}
		if err := db.Release(t.Context(), "crl", "b"); err != nil {
			t.Fatal(err)
		}
		if third, held := claim("a"); !held || third == second {
			t.Error("a released lease was not given anew")
		}
	})
}

func TestAWorkerLeavesSomeKindsToOthers(t *testing.T) {
	now := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	each(t, func() time.Time { return now }, func(t *testing.T, db *DB) {
		if err := db.update(t.Context(), func(tx *tx) error {
			return errors.Join(
				tx.Enqueue("mail", "a", nil, now.Add(-time.Hour)), tx.Enqueue("call", "b", nil, now.Add(-time.Hour)), tx.Enqueue("list", "c", nil, now),
			)
		}); err != nil {
			t.Fatal(err)
		}
		if j, err := db.ClaimJobOf(t.Context(), "nothing", "other"); err != nil || j != nil {
			t.Errorf("%+v, %v: neither kind", j, err)
		}
		if j, err := db.ClaimJob(t.Context(), "mail", "call"); err != nil || j == nil || j.Kind != "list" {
			t.Errorf("claimed %+v, %v", j, err)
		}
		if j, err := db.ClaimJob(t.Context(), "mail", "call"); err != nil || j != nil {
			t.Errorf("claimed %+v, %v, which was left to others", j, err)
		}
		if j, err := db.ClaimJob(t.Context()); err != nil || j == nil {
			t.Errorf("the others claimed %+v, %v", j, err)
		}
	})
}

func TestJobsRunAtLeastOnceAndOnlyTheLastClaimCounts(t *testing.T) {
	start := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	now := start
	each(t, func() time.Time { return now }, func(t *testing.T, db *DB) {
		now = start
		enqueue := func(key string, at time.Time) {
			t.Helper()
			if err := db.update(t.Context(), func(tx *tx) error { return tx.Enqueue("publish", key, []byte(key), at) }); err != nil {
				t.Fatal(err)
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
		enqueue("one", now)
		enqueue("one", now)
		enqueue("later", now.Add(time.Hour))
		j := claim()
		if j == nil || j.Key != "one" || string(j.Payload) != "one" || claim() != nil {
			t.Fatalf("claimed %+v, want one job once", j)
		}
		now = now.Add(JobLease - time.Second)
		if held, err := db.HoldJob(t.Context(), j); err != nil || !held {
			t.Fatalf("held %t, %v", held, err)
		}
		now = now.Add(JobLease - time.Second) // nearly two leases after the claim, the worker lives
		if other := claim(); other != nil {
			t.Fatalf("%+v was claimed twice", other)
		}
		now = now.Add(2 * time.Second) // the worker died
		again := claim()
		if again == nil || again.ID != j.ID || again.Attempts != 1 {
			t.Fatalf("%+v: a dead worker's job must come again", again)
		}
		if held, err := db.HoldJob(t.Context(), j); err != nil || held {
			t.Fatalf("the dead worker holds what another has: %t, %v", held, err)
		}
		if err := db.FinishJob(t.Context(), j); err != nil { // the dead worker was only slow
			t.Fatal(err)
		}
		if err := db.FailJob(t.Context(), again, errors.New("no answer")); err != nil {
			t.Fatal(err)
		}
		for n := range maxAttempts {
			now = now.Add(24 * time.Hour)
			var job *Job
			for job = claim(); job != nil && job.Key != "one"; job = claim() {
				if err := db.FinishJob(t.Context(), job); err != nil {
					t.Fatal(err)
				}
			}
			if job == nil {
				break
			}
			if err := db.FailJob(t.Context(), job, fmt.Errorf("failure %d", n)); err != nil {
				t.Fatal(err)
			}
		}
		dead, err := db.DeadJobs(t.Context(), 10)
		if err != nil || len(dead) != 1 || dead[0].LastError == "" {
			t.Fatalf("dead jobs %+v, %v", dead, err)
		}
		if ok, err := db.ReviveJob(t.Context(), dead[0].ID); err != nil || !ok || claim() == nil {
			t.Errorf("a revived job must be due: %v %v", ok, err)
		}
	})
}

func TestConcurrentWritersWaitInsteadOfFailing(t *testing.T) {
	each(t, nil, func(t *testing.T, db *DB) {
		var wg sync.WaitGroup
		for w := range 8 {
			wg.Go(func() {
				for i := range 25 {
					err := db.update(t.Context(), func(tx *tx) error {
						var n int
						if err := tx.one([]any{&n}, `SELECT count(*) FROM job`); err != nil { // read, then write
							return err
						}
						return tx.Enqueue("k", fmt.Sprintf("%d-%d", w, i), nil, time.Now())
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestASchemaFromTheFutureIsRefused(t *testing.T) {
	each(t, nil, func(t *testing.T, db *DB) {
		_, want, err := db.Version(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for ahead, ok := range map[int64]bool{1: true, 2: false} {
			if err := db.update(t.Context(), func(tx *tx) error {
				_, err := tx.exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, TRUE)`, want+ahead)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			if err := db.CheckVersion(t.Context()); ok != (err == nil) || (!ok && !errors.Is(err, ErrNewer)) {
				t.Errorf("%d ahead: %v", ahead, err)
			}
			if _, err := db.Migrate(t.Context()); !errors.Is(err, ErrNewer) {
				t.Errorf("migrated a schema %d ahead: %v", ahead, err)
			}
			if err := db.update(t.Context(), func(tx *tx) error {
				_, err := tx.exec(`DELETE FROM goose_db_version WHERE version_id > $1`, want)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestOpenRefusesWithOneClearLine(t *testing.T) {
	for _, dsn := range []string{"", "mysql://x", "sqlite:/no/such/folder/x.db", "sqlite:" + t.TempDir(), "postgres://u:secret@127.0.0.1:1/x"} {
		db, err := Open(t.Context(), dsn, Options{})
		if !errors.Is(err, ErrOpen) {
			t.Errorf("%q: %v", dsn, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the password is in the error: %v", err)
		}
		if db != nil {
			t.Errorf("%q: a database came with the error", dsn)
		}
	}
}
