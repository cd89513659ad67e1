package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// statement is a change that waits for its transaction to send it.
type statement struct {
	query  string
	many   string // the same for several: each argument a list; PostgreSQL's alone, "" where each is sent by itself
	args   []any
	none   func() error          // what it means that no row was changed; nil: nothing
	failed func(err error) error // what a failure of the statement means; nil: itself
	listed bool                  // several as one, whose first says what it means that one of them changed no row, or failed
}

// later adds a change to those that the transaction sends together, in their order, before it asks anything or commits: on
// PostgreSQL in one round trip for all. On SQLite, where there are none, it is made at once. What a change comes to may so
// come out of a later call; a failure ends the transaction in any case.
func (t *tx) later(s statement) error {
	if t.db.engine == PostgreSQL {
		t.waiting = append(t.waiting, s)
		return nil
	}
	return s.settle(t.exec(s.query, s.args...))
}

// ordered sends the changes that wait before any other statement, so that it sees them.
type ordered struct {
	t *tx
	querier
}

func (o ordered) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := o.t.flush(); err != nil {
		return nil, err
	}
	return o.querier.ExecContext(ctx, query, args...)
}

func (o ordered) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := o.t.flush(); err != nil {
		return nil, err
	}
	return o.querier.QueryContext(ctx, query, args...)
}

// QueryRowContext cannot return an error; where there is one, its row has it.
func (o ordered) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if err := o.t.flush(); err != nil {
		ended, end := context.WithCancelCause(ctx)
		end(err)
		ctx = ended
	}
	return o.querier.QueryRowContext(ctx, query, args...)
}

// aside reads a row that no change of this transaction concerns, without sending those that wait.
func (t *tx) aside(dest []any, query string, args ...any) error {
	q := t.q
	if o, ok := q.(ordered); ok {
		q = o.querier
	}
	return q.QueryRowContext(t.ctx, query, args...).Scan(dest...)
}

func (s statement) settle(rows int64, err error) error {
	switch {
	case err == nil && rows == 0 && s.none != nil:
		return s.none()
	case err != nil && s.failed != nil:
		return s.failed(err)
	default:
		return err
	}
}

// strict is the statement as PostgreSQL gets it: one that must change a row, or several that must change one each, fails
// without, so that a commit which is on its way behind it comes to nothing.
func (s statement) strict() string {
	switch {
	case s.none == nil:
		return s.query
	case s.listed:
		return `WITH changed AS (` + s.query + ` RETURNING 1) SELECT 1 / CAST(count(*) = cardinality($1) AS INTEGER) FROM changed`
	default:
		return `WITH changed AS (` + s.query + ` RETURNING 1) SELECT 1 / count(*) FROM changed`
	}
}

// settleStrict is settle for strict: 22012 is division_by_zero.
func (s statement) settleStrict(err error) error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "22012" && s.none != nil {
		return s.none()
	}
	return s.settle(1, err)
}

// flush sends the changes that wait.
func (t *tx) flush() error {
	if t.failed == nil && len(t.waiting) > 0 {
		t.failed = t.sendWaiting(false)
	}
	return t.failed
}

// sendWaiting sends the changes that wait, and if so asked the commit right behind them, in one round trip.
func (t *tx) sendWaiting(commit bool) error {
	all := merged(t.waiting)
	t.waiting = nil
	batch := &pgx.Batch{}
	for _, s := range all {
		batch.Queue(s.strict(), s.args...)
	}
	if commit {
		batch.Queue("commit")
	}
	return t.send(batch, func(results pgx.BatchResults) error {
		for _, s := range all {
			_, err := results.Exec()
			if err := s.settleStrict(err); err != nil {
				return err
			}
		}
		if !commit {
			return nil
		}
		done, err := results.Exec()
		if err == nil && done.String() == "ROLLBACK" {
			err = errRolledBack
		}
		return err
	})
}

// merged puts changes that can be sent as one in the place of the first of them.
func merged(waiting []statement) []statement {
	place := map[string]int{}
	var same [][]*statement
	for i := range waiting {
		s := &waiting[i]
		at, known := place[s.many]
		if s.many == "" || !known {
			place[s.many] = len(same)
			same = append(same, []*statement{s})
			continue
		}
		same[at] = append(same[at], s)
	}
	all := make([]statement, 0, len(same))
	for _, some := range same {
		if len(some) > 1 && (some[0].none == nil || apart(some)) {
			if args, ok := lists(some); ok {
				all = append(all, statement{query: some[0].many, args: args, none: some[0].none, failed: some[0].failed, listed: true})
				continue
			}
		}
		for _, s := range some {
			all = append(all, *s)
		}
	}
	return all
}

// apart tells that each statement is about a row of its own, which its first argument names. Several about one row must come one
// after the other, as each has its own condition: as one statement they would change the row once, or fail.
func apart(same []*statement) bool {
	rows := make(map[string]bool, len(same))
	for _, s := range same {
		switch row := s.args[0].(type) {
		case string:
			rows[row] = true
		case []byte:
			rows[string(row)] = true
		}
	}
	return len(rows) == len(same)
}

// lists returns the arguments of statements as a list for each place; not ok when one has another type there.
func lists(same []*statement) (all []any, ok bool) {
	all, ok = make([]any, len(same[0].args)), true
	for place := 0; ok && place < len(all); place++ {
		switch same[0].args[place].(type) {
		case string:
			all[place], ok = listAt[string](same, place)
		case []byte:
			all[place], ok = listAt[[]byte](same, place)
		case int:
			all[place], ok = listAt[int](same, place)
		case int64:
			all[place], ok = listAt[int64](same, place)
		default:
			ok = false
		}
	}
	return all, ok
}

func listAt[T any](same []*statement, place int) ([]T, bool) {
	all := make([]T, len(same))
	for i, s := range same {
		v, ok := s.args[place].(T)
		if !ok {
			return nil, false
		}
		all[i] = v
	}
	return all, true
}

var errRolledBack = errors.New("a statement had failed, so the database rolled back")
