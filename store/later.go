package store

import (
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// statement is a change that waits for its transaction to send it. judge gets the number of rows it changed, or why it
// failed, and says what that means; nil takes any number.
type statement struct {
	query string
	args  []any
	judge func(rows int64, err error) error
}

// later adds a change to those that the transaction sends together before it commits, in their order: on PostgreSQL in
// one round trip for all. On SQLite, where there are none, it is made at once. What needs to see it in the same
// transaction calls flush first.
func (t *tx) later(s statement) error {
	if t.db.engine == PostgreSQL {
		t.waiting = append(t.waiting, s)
		return nil
	}
	return s.settle(t.exec(s.query, s.args...))
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
	if len(all) == 0 {
		return nil
	}
	batch := &pgx.Batch{}
	for _, s := range all {
		batch.Queue(s.query, s.args...)
	}
	return t.conn.Raw(func(driver any) error {
		c, ok := driver.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("the connection is a %T", driver)
		}
		results := c.Conn().SendBatch(t.ctx, batch)
		for _, s := range all {
			done, err := results.Exec()
			if err := s.settle(done.RowsAffected(), err); err != nil {
				_ = results.Close() // it has the same error, or none of ours
				return err
			}
		}
		return results.Close()
	})
}
