package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"hufu/internal/fault"
)

// What an operator can mend, and whoever asked can ask again after.
var (
	ErrLost = fault.New(fault.Unavailable, "store.lost",
		"The database does not answer; whether the last step took place is not known. Ask again in a moment, with the same idempotency key if you gave one: what took place is not done twice.",
		"数据库暂无应答，最后一步是否生效尚不确定。请稍后重试；如使用了幂等键，请使用同一幂等键，已生效的操作不会重复执行。")
	ErrFull = fault.New(fault.Unavailable, "store.full",
		"The database has no room left, so nothing was changed. Tell the operator; ask again when there is room.",
		"数据库存储空间已满，未作任何变更。请联系运维人员扩容后重试。")
)

// explained names the failures of the database itself. What a domain refused, and the end of the caller's time, stay as they are.
func explained(err error) error {
	switch {
	case err == nil, fault.KindOf(err) != fault.Internal, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case full(err):
		return ErrFull.With("%w", err)
	case lost(err):
		return ErrLost.With("%w", err)
	}
	return err
}

// full tells PostgreSQL's 53100 disk_full and SQLite's SQLITE_FULL (13).
func full(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "53100"
	}
	code, ok := sqliteCode(err)
	return ok && code&0xff == 13
}

// lost tells that the line to PostgreSQL broke or could not be made: class 08 connection exceptions, 57P01 to 57P03 shutdown
// and start of the server, 53300 too many connections, and what the network says.
func lost(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "57P0") || pg.Code == "53300"
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, pgconn.ErrConnClosed) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}

// unbegun is why a transaction could not begin on a connection that was there.
type unbegun struct{ error }

func (u unbegun) Unwrap() error { return u.error }

// diedIdle tells that a connection from the pool turned out to be dead before anything was changed on it, as all are when the
// server was away: another one may do. Whoever cannot connect at all is told so at once.
func diedIdle(k kind, err error) bool {
	if _, away := errors.AsType[*pgconn.ConnectError](err); err == nil || away || !lost(err) {
		return false
	}
	_, early := errors.AsType[unbegun](err)
	return early || k != writing
}

// retryable tells failures that beginning anew may cure: 40001 serialization_failure, 40P01 deadlock_detected, and
// SQLite's SQLITE_BUSY (5) with its extended forms.
func retryable(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "40001" || pg.Code == "40P01"
	}
	code, ok := sqliteCode(err)
	return ok && code&0xff == 5
}

// duplicate tells that a unique key was violated: 23505 on PostgreSQL, SQLITE_CONSTRAINT_UNIQUE and _PRIMARYKEY on SQLite.
func duplicate(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "23505"
	}
	code, ok := sqliteCode(err)
	return ok && (code == 2067 || code == 1555)
}

// sqliteCode returns the extended result code of the driver's error, which it offers by a Code method.
func sqliteCode(err error) (int, bool) {
	var coded interface{ Code() int }
	if !errors.As(err, &coded) {
		return 0, false
	}
	return coded.Code(), true
}
