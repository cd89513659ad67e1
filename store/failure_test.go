package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"hufu/ca"
	"hufu/internal/fault"
	"hufu/store"
	"hufu/store/storetest"
)

// onPostgreSQL runs f on PostgreSQL where there is one: SQLite has one writer, with whom nobody conflicts and who has no line.
func onPostgreSQL(t *testing.T, f func(t *testing.T, dsn string)) {
	t.Helper()
	if dsn := storetest.DSNs(t)["postgres"]; dsn != "" {
		t.Run("postgres", func(t *testing.T) { f(t, dsn) })
	}
}

func with(t *testing.T, dsn, name, value string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set(name, value)
	u.RawQuery = q.Encode()
	return u.String()
}

func reservation(serial byte, use string) ca.Reservation {
	return ca.Reservation{Serial: []byte{1, serial}, Issuer: "issuing", Application: "a", Use: use, TBS: []byte{1}, TBSHash: []byte{1}, At: time.Unix(1, 0)}
}

func uses(t *testing.T, db *store.DB) (all []string) {
	t.Helper()
	if err := db.CA().View(t.Context(), func(r ca.R) error {
		all = nil
		stand, err := r.ReservationsOf("a")
		for _, s := range stand {
			all = append(all, s.Use)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// race runs two transactions that meet in their middle, the first time each, and returns how often they ran.
func race(t *testing.T, db *store.DB, act func(w ca.W, who int, meet func()) error) (runs int) {
	t.Helper()
	var mu sync.Mutex
	var both, middle sync.WaitGroup
	middle.Add(2)
	for who := range 2 {
		var once sync.Once
		both.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			err := db.CA().Update(ctx, func(w ca.W) error {
				mu.Lock()
				runs++
				mu.Unlock()
				return act(w, who, func() { once.Do(func() { middle.Done(); middle.Wait() }) })
			})
			if err != nil {
				t.Errorf("transaction %d: %v", who, err)
			}
		})
	}
	both.Wait()
	return runs
}

// Two transactions that lock the same rows in opposite order: PostgreSQL gives one up (40P01), which runs again; each takes
// effect once.
func TestADeadlockIsRunAgain(t *testing.T) {
	onPostgreSQL(t, func(t *testing.T, dsn string) {
		db := storetest.Open(t, with(t, dsn, "deadlock_timeout", "50ms"))
		runs := race(t, db, func(w ca.W, who int, meet func()) error {
			if err := w.BlockKey([]byte{byte(who)}, time.Unix(2, 0)); err != nil {
				return err
			}
			meet()
			return errors.Join(w.BlockKey([]byte{byte(1 - who)}, time.Unix(2, 0)), w.Reserve(reservation(byte(who), fmt.Sprint("use", who))))
		})
		if got := uses(t, db); runs != 3 || len(got) != 2 {
			t.Errorf("%d runs, %v", runs, got)
		}
	})
}

// Two transactions that each read what the other writes: under SERIALIZABLE one is given up (40001), runs again and sees what the
// other did.
func TestASerializationFailureIsRunAgain(t *testing.T) {
	onPostgreSQL(t, func(t *testing.T, dsn string) {
		db := storetest.Open(t, with(t, dsn, "default_transaction_isolation", "serializable"))
		runs := race(t, db, func(w ca.W, who int, meet func()) error {
			stand, err := w.ReservationsOf("a")
			if err != nil {
				return err
			}
			meet()
			return w.Reserve(reservation(byte(who), fmt.Sprint("use", len(stand))))
		})
		if got := uses(t, db); runs != 3 || len(got) != 2 || got[0] == got[1] {
			t.Errorf("%d runs, %v: want one after the other", runs, got)
		}
	})
}

// The server ends the connection in the middle of a transaction: nothing of it is there, the caller is told to ask again, and the
// next one goes through.
func TestATransactionWhoseConnectionIsEnded(t *testing.T) {
	onPostgreSQL(t, func(t *testing.T, dsn string) {
		db := storetest.Open(t, with(t, dsn, "application_name", "victim"))
		act := func(end bool) error {
			return db.CA().Update(t.Context(), func(w ca.W) error {
				if err := w.BlockKey([]byte{1}, time.Unix(2, 0)); err != nil {
					return err
				}
				if end {
					storetest.SQL(t, dsn, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'victim' AND state = 'idle in transaction'`)
				}
				return w.Reserve(reservation(1, "use"))
			})
		}
		if err := act(true); !errors.Is(err, store.ErrLost) {
			t.Errorf("the caller is told %v", err)
		}
		if got := uses(t, db); len(got) != 0 {
			t.Errorf("half of it is there: %v", got)
		}
		if err := act(false); err != nil || len(uses(t, db)) != 1 {
			t.Errorf("the next: %v", err)
		}
	})
}

// The line breaks before the commit reaches the server, and after the server has committed: either way the caller is told that it
// is not known, nothing runs a second time by itself, and when the database is back the next transaction goes through.
func TestALineThatBreaksAtTheCommit(t *testing.T) {
	onPostgreSQL(t, func(t *testing.T, dsn string) {
		proxy := storetest.NewProxy(t, dsn)
		db := storetest.Open(t, proxy.DSN)
		for serial, after := range []bool{false, true} {
			runs := 0
			reserve := func(w ca.W) error {
				runs++
				return w.Reserve(reservation(byte(serial), fmt.Sprint(after)))
			}
			proxy.CutAt(1, after)
			err := db.CA().Update(t.Context(), reserve)
			if !errors.Is(err, store.ErrLost) || fault.KindOf(err) != fault.Unavailable || runs != 1 {
				t.Errorf("after the commit %t: %v, %d runs", after, err, runs)
			}
			if err := db.CA().Update(t.Context(), reserve); !errors.Is(err, store.ErrLost) {
				t.Errorf("while it is away: %v", err)
			}
			if !proxy.Restore() {
				t.Fatal("the line did not break")
			}
			if got := uses(t, db); (len(got) == 1) != after {
				t.Errorf("after the commit %t: %v", after, got)
			}
		}
		if err := db.CA().Update(t.Context(), func(w ca.W) error { return w.Reserve(reservation(9, "use")) }); err != nil {
			t.Error(err)
		}
	})
}

// All connections in the pool died while the database was away for a moment: the first call after that goes through.
func TestConnectionsThatDiedInThePool(t *testing.T) {
	onPostgreSQL(t, func(t *testing.T, dsn string) {
		proxy := storetest.NewProxy(t, dsn)
		db := storetest.Open(t, proxy.DSN)
		var together func(n int) error // holds n connections of each pool at once
		together = func(n int) error {
			return db.CA().Update(t.Context(), func(ca.W) error {
				return db.CA().View(t.Context(), func(ca.R) error {
					if n == 1 {
						return nil
					}
					return together(n - 1)
				})
			})
		}
		for range 2 { // those that were used again less than a second ago are not asked whether they live
			if err := together(7); err != nil {
				t.Fatal(err)
			}
		}
		proxy.CutAt(1, false)
		if err := together(1); !errors.Is(err, store.ErrLost) || !proxy.Restore() {
			t.Fatal(err)
		}
		if err := db.CA().Update(t.Context(), func(w ca.W) error { return w.Reserve(reservation(1, "use")) }); err != nil {
			t.Errorf("a change: %v", err)
		}
		if err := db.CA().Look(t.Context(), func(r ca.R) error { _, err := r.Issuers(); return err }); err != nil {
			t.Errorf("a look: %v", err)
		}
	})
}
