package store

import (
	"context"
	"database/sql"

	"github.com/jackc/pgx/v5"
)

// statement is a change that waits for its transaction to send it. judge gets the number of rows it changed, or why it
// failed, and says what that means; nil takes any number.
type statement struct {
	query string
	args  []any
	judge func(rows int64, err error) error
}

// later adds a change to those that the transaction sends together, in their order, before it asks anything or commits: on
// PostgreSQL in one round trip for all. On SQLite, where there are none, it is made at once. What judge says of a change
// may so come out of a later call; it ends the transaction in any case.
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
	if s.judge != nil {
		return s.judge(rows, err)
	}
	return err
}

// flush sends the changes that wait.
func (t *tx) flush() error {
	all := t.waiting
	t.waiting = nil
	if t.failed != nil || len(all) == 0 {
		return t.failed
	}
	batch := &pgx.Batch{}
	for _, s := range all {
		batch.Queue(s.query, s.args...)
	}
	t.failed = t.send(batch, func(results pgx.BatchResults) error {
		for _, s := range all {
			done, err := results.Exec()
			if err := s.settle(done.RowsAffected(), err); err != nil {
				return err
			}
		}
		return nil
	})
	return t.failed
}
