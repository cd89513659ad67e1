package store

import (
	"database/sql"
	"database/sql/driver"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"hufu/audit"
)

// A round trip to PostgreSQL costs this process more than most statements cost the database. So what does not rest on one
// another's answers goes together: questions (gather), changes (later), and what nearly every change begins with (begin).

// under returns the connection beneath database/sql.
func (t *tx) under(f func(*pgx.Conn) error) error {
	return t.conn.Raw(func(driver any) error {
		c, ok := driver.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("the connection is a %T", driver)
		}
		return f(c.Conn())
	})
}

// send makes one round trip of the batch and has its answers read, in their order.
func (t *tx) send(batch *pgx.Batch, read func(pgx.BatchResults) error) error {
	return t.under(func(c *pgx.Conn) error {
		results := c.SendBatch(t.ctx, batch)
		if err := read(results); err != nil {
			_ = results.Close() // tells the same
			return err
		}
		return results.Close()
	})
}

// question reads rows, each with scan, which must not ask the database.
type question struct {
	query string
	args  []any
	scan  func(scanner) error
}

// gather asks questions that do not rest on one another: on PostgreSQL in one round trip for all.
func (t *tx) gather(all ...question) error {
	if t.conn == nil {
		for _, q := range all {
			if _, err := list(t, func(s scanner) (struct{}, error) { return struct{}{}, q.scan(s) }, q.query, q.args...); err != nil {
				return err
			}
		}
		return nil
	}
	if err := t.flush(); err != nil {
		return err
	}
	return t.ask(all)
}

// ask puts questions in one round trip.
func (t *tx) ask(all []question) error {
	batch := &pgx.Batch{}
	for _, q := range all {
		batch.Queue(q.query, q.args...)
	}
	return t.send(batch, func(results pgx.BatchResults) error {
		for _, q := range all {
			if err := eachRow(results, q.scan); err != nil {
				return err
			}
		}
		return nil
	})
}

func eachRow(results pgx.BatchResults, scan func(scanner) error) error {
	rows, err := results.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// begin begins a transaction that changes something. The same round trip reads the turn of the keys, the audit keys of those
// whose acts it is expected to record, and the keys that are to be certified.
func (t *tx) begin() error {
	asked := []question{{query: "begin"}, {query: turnQuery, scan: func(s scanner) error {
		t.began = new(int64)
		return s.Scan(t.began)
	}}}
	if actors := audit.Foreseen(t.ctx); len(actors) > 0 {
		t.subjects = make(map[string]subjectKeyRow, len(actors))
		asked = append(asked, question{
			query: `SELECT subject, wrapped, version FROM audit_key WHERE subject = ANY($1)`, args: []any{actors},
			scan: func(s scanner) error {
				var row subjectKeyRow
				err := s.Scan(&row.subject, &row.wrapped, &row.version)
				t.subjects[row.subject] = row
				return err
			},
		})
	}
	return t.ask(append(asked, t.foreseenKeys()...))
}

// change is a transaction that begin began.
type change struct {
	*sql.Conn
	tx *tx
}

// Commit sends the last changes along.
func (c change) Commit() error { return c.tx.sendWaiting(true) }

// Rollback gives up a connection that cannot say that it rolled back.
func (c change) Rollback() error {
	return c.tx.under(func(conn *pgx.Conn) error {
		if conn.PgConn().TxStatus() == 'I' {
			return nil
		}
		if _, err := conn.Exec(c.tx.ctx, "rollback"); err != nil {
			return driver.ErrBadConn
		}
		return nil
	})
}
