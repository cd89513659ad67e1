package store_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"hufu/ca"
	"hufu/store"
	"hufu/store/storetest"
)

// more is more transactions than a pool has connections: one that were lent for ever would show.
const more = 24

// Transactions that end badly, each in another way. Nothing of any is kept, and none leaves a connection behind that is lent for
// ever or that has a transaction open, into which the next would come.
func TestTransactionsThatEndBadlyLeaveNothing(t *testing.T) {
	ends := map[string]func(w ca.W, end context.CancelFunc) error{
		"the last change reaches no row": func(w ca.W, _ context.CancelFunc) error { return w.StillApproved("nobody's") },
		"a change before others reaches no row": func(w ca.W, _ context.CancelFunc) error {
			return errors.Join(w.StillApproved("nobody's"), w.Reserve(reservation(9, "behind")))
		},
		"what a change came to is not looked at": func(w ca.W, _ context.CancelFunc) error {
			if err := w.StillApproved("nobody's"); err != nil {
				return err // there where changes are made at once
			}
			_, _ = w.ReservationsOf("a")
			_, _ = w.Key([]byte{1}, nil)
			return w.Reserve(reservation(8, "behind"))
		},
		"a key is another's": func(w ca.W, _ context.CancelFunc) error {
			return w.ClaimKey([]byte("taken"), ca.KeyOwner{Holder: "thief", Use: "sign"})
		},
		"an authority is revoked": func(w ca.W, _ context.CancelFunc) error {
			r := reservation(7, "under")
			r.Under = []ca.Named{{Issuer: "root", Serial: []byte{1}}, {Issuer: "root", Serial: []byte("revoked")}}
			return w.Reserve(r)
		},
		"a serial twice": func(w ca.W, _ context.CancelFunc) error { return w.Reserve(reservation(1, "again")) },
		"panic":          func(ca.W, context.CancelFunc) error { panic("on purpose") },
		"refused":        func(ca.W, context.CancelFunc) error { return ca.ErrState },
		"its caller left": func(w ca.W, end context.CancelFunc) error {
			end()
			_, err := w.ReservationsOf("a")
			return errors.Join(err, context.Canceled)
		},
	}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		prepare(t, db)
		for name, bad := range ends {
			for range more {
				if err := ending(t, db, bad); err == nil {
					t.Fatalf("%s: no error", name)
				}
			}
			if got := uses(t, db); len(got) != 0 {
				t.Errorf("%s: kept %v", name, got)
			}
		}
		for i := range more {
			if err := db.CA().Update(t.Context(), func(w ca.W) error { return w.Reserve(reservation(byte(i), strconv.Itoa(i))) }); err != nil {
				t.Fatalf("the next: %v", err)
			}
		}
	})
}

// prepare has a key claimed and an authority revoked.
func prepare(t *testing.T, db *store.DB) {
	t.Helper()
	if err := db.CA().Update(t.Context(), func(w ca.W) error {
		_, err := w.AddRevocation(ca.Revocation{Issuer: "root", Serial: []byte("revoked"), At: time.Unix(1, 0), Reason: 1, NotAfter: time.Unix(9, 0)})
		return errors.Join(err, w.ClaimKey([]byte("taken"), ca.KeyOwner{Holder: "holder", Use: "sign"}))
	}); err != nil {
		t.Fatal(err)
	}
}

func ending(t *testing.T, db *store.DB, bad func(ca.W, context.CancelFunc) error) (err error) {
	t.Helper()
	ctx, end := context.WithTimeout(t.Context(), 20*time.Second)
	defer end()
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("panic")
		}
	}()
	return db.CA().Update(ctx, func(w ca.W) error {
		if err := w.Reserve(reservation(1, "first")); err != nil {
			return err
		}
		return bad(w, end)
	})
}

// The caller leaves while the commit is on its way. Who is told that it took place finds it, and no connection carries anything
// into the next transaction.
func TestACallerWhoLeavesAtTheCommit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		told := map[string]bool{}
		for i := range 5 * more {
			use := strconv.Itoa(i)
			ctx, end := context.WithCancel(t.Context())
			err := db.CA().Update(ctx, func(w ca.W) error {
				time.AfterFunc(time.Duration(i)*20*time.Microsecond, end)
				return w.Reserve(reservation(byte(i), use))
			})
			end()
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("%d: %v", i, err)
			}
			told[use] = err == nil
		}
		found := map[string]bool{}
		for _, use := range uses(t, db) {
			found[use] = true
		}
		for use, yes := range told {
			if yes && !found[use] {
				t.Errorf("%s is said to be there", use)
			}
		}
	})
}
