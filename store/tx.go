package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5/stdlib"

	"hufu/audit"
	"hufu/ca"
	"hufu/internal/fault"
)

// errNoRow is what one returns when there is no row; domain files turn it into their own refusal.
var errNoRow = sql.ErrNoRows

// ErrBusy tells that a change lost against concurrent ones too often.
var ErrBusy = fault.New(fault.Unavailable, "store.busy",
	"The server is busy. Try again in a moment.", "服务繁忙，请稍后再试。")

// maxTries bounds how often a transaction is begun anew after a serialization failure, a deadlock or a busy database.
const maxTries = 5

// tx is one transaction, or on PostgreSQL a connection that reads. It carries the context, so that the domains' interfaces need
// not.
type tx struct {
	ctx        context.Context
	q          querier
	conn       *sql.Conn // under q, on PostgreSQL
	db         *DB
	readonly   bool
	fields     *FieldKeys               // found to be those in force
	began      *int64                   // the turn of the keys, read as the transaction began
	stale      error                    // found the keys changed: whatever f made of it, the transaction is given up
	waiting    []statement              // see later
	failed     error                    // of those, once they were sent
	subjects   map[string]subjectKeyRow // see auditTx.SubjectKey
	recordKeys *audit.Keys              // of this transaction, see auditTx.Keys
	keys       map[string]ca.KeyState   // by both hashes: read ahead, see foreseenKeys
}

// querier is what *sql.Tx and *sql.Conn have in common.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// A transaction is of one of these kinds.
const (
	looking  kind = iota // reads; each statement sees the newest state
	snapshot             // reads one state
	writing
)

type kind int

// view runs f, which only reads. On SQLite all of it sees one state; on PostgreSQL each statement sees the newest, as it
// would in a transaction at READ COMMITTED: so it gets none, which saves two round trips of three.
func (db *DB) view(ctx context.Context, f func(*tx) error) error {
	return explained(db.run(ctx, looking, f))
}

// viewOne runs f, which only reads, in a transaction that sees one state of the database, whatever is committed meanwhile.
func (db *DB) viewOne(ctx context.Context, f func(*tx) error) error {
	return explained(db.run(ctx, snapshot, f))
}

// update runs f in a read-write transaction and commits what it did if it returns nil. f may run more than once and so
// must not change anything outside the transaction but variables that it sets anew each time.
func (db *DB) update(ctx context.Context, f func(*tx) error) error {
	return explained(db.run(ctx, writing, f))
}

func (db *DB) run(ctx context.Context, k kind, f func(*tx) error) error {
	for try, dead := 1, 0; ; try++ {
		keys := db.fields.Load()
		stale, err := db.once(ctx, k, f)
		for ; diedIdle(k, err) && dead < poolSize && ctx.Err() == nil; dead++ {
			stale, err = db.once(ctx, k, f)
		}
		if stale {
			if err := db.Refresh(ctx); err != nil {
				return err
			}
		}
		if again := retryable(err) || stale && db.fields.Load() != keys; err == nil || !again {
			return err
		}
		if try == maxTries {
			return ErrBusy.With("%d tries: %w", try, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try*try) * 5 * time.Millisecond):
		}
	}
}

// once runs one try; stale tells that it was given up because the data keys may have changed.
func (db *DB) once(ctx context.Context, k kind, f func(*tx) error) (stale bool, err error) {
	pool := db.read
	if k == writing {
		pool = db.write
	}
	t := &tx{ctx: ctx, db: db, readonly: k != writing}
	if db.engine == SQLite {
		q, err := pool.BeginTx(ctx, nil) // a reader sees one state anyhow
		if err != nil {
			return false, fmt.Errorf("begin transaction: %w", err)
		}
		return t.within(q, f)
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return false, fmt.Errorf("connect to the database: %w", err)
	}
	defer conn.Close()
	t.ctx, t.q, t.conn = context.WithoutCancel(ctx), conn, conn // q until a transaction begins
	leave, err := watch(ctx, conn)
	if err != nil {
		return false, err
	}
	defer func() {
		if left := leave(); left != nil && err != nil { // what was committed stays committed
			err = errors.Join(left, err)
		}
	}()
	switch k {
	case looking:
		return t.look(f)
	case writing:
		if err := t.begin(); err != nil {
			return false, unbegun{fmt.Errorf("begin transaction: %w", errors.Join(err, change{conn, t}.Rollback()))}
		}
		return t.within(change{conn, t}, f)
	}
	q, err := conn.BeginTx(t.ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
	if err != nil {
		return false, unbegun{fmt.Errorf("begin transaction: %w", err)}
	}
	return t.within(q, f)
}

// watch breaks whatever the connection does when ctx ends. The driver would do that as well, and would start two goroutines
// for each statement to be able to. leave ends the watch; if it has struck, it says so and gives the connection up.
func watch(ctx context.Context, conn *sql.Conn) (leave func() error, err error) {
	var line net.Conn
	err = conn.Raw(func(under any) error {
		c, ok := under.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("the connection is a %T", under)
		}
		line = c.Conn().PgConn().Conn()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = line.SetDeadline(time.Unix(1, 0)) })
	return func() error {
		if stop() {
			return nil
		}
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // the line is dead
		return ctx.Err()
	}, nil
}

// transaction is one that was begun.
type transaction interface {
	querier
	Commit() error
	Rollback() error // after Commit it does nothing
}

// within runs f in the transaction and commits it.
func (t *tx) within(q transaction, f func(*tx) error) (stale bool, err error) {
	defer q.Rollback() // after Commit it does nothing
	t.q = ordered{t, q}
	err = f(t)
	if t.stale != nil {
		return true, t.stale
	}
	if t.failed != nil {
		err = t.failed // whatever f made of it
	}
	if err != nil {
		return false, err
	}
	if err := q.Commit(); err != nil { // perhaps of a change that had waited
		return false, fmt.Errorf("commit transaction: %w", errors.Join(t.ctx.Err(), err))
	}
	return false, nil
}

// look runs f without a transaction. What it looked up by the data keys counts only if these are in force still.
func (t *tx) look(f func(*tx) error) (stale bool, err error) {
	err = f(t)
	if t.stale == nil && t.fields != nil {
		turn, failed := t.turn()
		if failed != nil {
			return false, failed
		}
		if turn != t.fields.Turn {
			t.stale = errStale
		}
	}
	if t.stale != nil {
		return true, t.stale
	}
	return false, err
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(query string, args ...any) (int64, error) {
	res, err := t.q.ExecContext(t.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// one reads a single row into dest; without a row it returns errNoRow.
func (t *tx) one(dest []any, query string, args ...any) error {
	return t.q.QueryRowContext(t.ctx, query, args...).Scan(dest...)
}

// scanner is a row under the cursor.
type scanner interface{ Scan(dest ...any) error }

// list reads every row of a query with scan.
func list[T any](t *tx, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := t.q.QueryContext(t.ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// Record stores the audit entry of a change in the change's own transaction.
func (t *tx) Record(e audit.Entry) error {
	if e.At.IsZero() {
		e.At = t.db.now()
	}
	return t.record(e)
}

// micros is how times are stored: microseconds since 1970 UTC, and 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros is the inverse of micros.
func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
