package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hufu/internal/fault"
)

// ErrLeaseLost tells that a write came too late: another node holds the lease by now.
var ErrLeaseLost = fault.New(fault.Conflict, "store.lease-lost",
	"Another node has taken over this work.", "此项工作已由另一节点接管。")

// Lease claims the work called name for holder until ttl from now. It returns the epoch to name in every write done under
// it, and false when another holder has it. Claiming again before the end prolongs the lease and keeps the epoch; after
// the end the epoch grows, and writes under the old one fail.
func (db *DB) Lease(ctx context.Context, name, holder string, ttl time.Duration) (epoch int64, held bool, err error) {
	now := db.now()
	err = db.update(ctx, func(t *tx) error {
		return t.one([]any{&epoch}, `
			INSERT INTO lease (name, holder, epoch, until) VALUES ($1, $2, 1, $3)
			ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until,
				epoch = lease.epoch + CASE WHEN lease.holder = excluded.holder AND lease.until > $4 THEN 0 ELSE 1 END
			WHERE lease.holder = excluded.holder OR lease.until <= $4
			RETURNING epoch`, name, holder, micros(now.Add(ttl)), micros(now))
	})
	if errors.Is(err, errNoRow) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("claim lease %q: %w", name, err)
	}
	return epoch, true, nil
}

// Release gives a lease up at once, so that another node need not wait for its end.
func (db *DB) Release(ctx context.Context, name, holder string) error {
	return db.update(ctx, func(t *tx) error {
		_, err := t.exec(`UPDATE lease SET until = 0 WHERE name = $1 AND holder = $2`, name, holder)
		return err
	})
}

// underLease fails the transaction with ErrLeaseLost unless the lease still has this epoch and has not ended. It locks the
// lease row, so that nobody can take the lease over before the transaction has committed.
func (t *tx) underLease(name string, epoch int64) error {
	n, err := t.exec(`UPDATE lease SET epoch = epoch WHERE name = $1 AND epoch = $2 AND until > $3`, name, epoch, micros(t.db.now()))
	if err == nil && n == 0 {
		return ErrLeaseLost.With("lease %q, epoch %d", name, epoch)
	}
	return err
}

// LiveLeases counts the leases whose names begin with prefix, which have not ended and which another holder has.
func (db *DB) LiveLeases(ctx context.Context, prefix, holder string) (n int, err error) {
	err = db.view(ctx, func(t *tx) error {
		return t.one([]any{&n}, `SELECT count(*) FROM lease WHERE substr(name, 1, $1) = $2 AND until > $3 AND holder <> $4`,
			len(prefix), prefix, micros(db.now()), holder)
	})
	if err != nil {
		return 0, fmt.Errorf("count leases %q: %w", prefix, err)
	}
	return n, nil
}
