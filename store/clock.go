package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errOwnClock: an embedded database has no other clock than this machine's.
var errOwnClock = errors.New("an embedded database has this machine's clock")

// Clock asks the database's machine for its time.
func (db *DB) Clock(ctx context.Context) (at time.Time, err error) {
	if db.engine != PostgreSQL {
		return at, errOwnClock
	}
	var micro int64
	err = db.view(ctx, func(t *tx) error {
		return t.one([]any{&micro}, `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT`)
	})
	if err != nil {
		return at, fmt.Errorf("ask the database for its time: %w", err)
	}
	return fromMicros(micro), nil
}
