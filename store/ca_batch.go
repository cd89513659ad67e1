package store

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"hufu/ca"
	"hufu/internal/fault"
)

const caBatchColumns = `id, name, maker_detail, state, total, sm3, request_key, at`

func (t caTx) scanBatch(s scanner) (b ca.Batch, err error) {
	var name, maker []byte
	var at int64
	if err := s.Scan(&b.ID, &name, &maker, &b.State, &b.Total, &b.SM3, &b.Key, &at); err != nil {
		return b, err
	}
	b.At = fromMicros(at)
	if b.Name, err = t.open("ca_batch.name", b.ID, name); err != nil {
		return b, err
	}
	return b, t.openJSON("ca_batch.maker", b.ID, maker, &b.Maker)
}

func (t caTx) Batch(id string) (ca.Batch, error) {
	b, err := t.scanBatch(t.q.QueryRowContext(t.ctx, `SELECT `+caBatchColumns+` FROM ca_batch WHERE id = $1`, id))
	return b, caMissing(err, "batch %q", id)
}

func (t caTx) BatchByKey(maker, key string) (ca.Batch, error) {
	b, err := t.scanBatch(t.q.QueryRowContext(t.ctx, `SELECT `+caBatchColumns+` FROM ca_batch
		WHERE maker = $1 AND request_key = $2 AND request_key <> ''`, maker, key))
	return b, caMissing(err, "batch of %s with key %q", maker, key)
}

func (t caTx) Batches(f ca.BatchFilter) ([]ca.Batch, error) {
	before := int64(1) << 62
	if !f.Before.IsZero() {
		before = micros(f.Before)
	}
	return list(t.tx, t.scanBatch, `SELECT `+caBatchColumns+` FROM ca_batch WHERE ($1 = '' OR maker = $1) AND at < $2 ORDER BY at DESC, id LIMIT $3`,
		f.Maker, before, f.Limit)
}

func (t caTx) AddBatch(b ca.Batch) error {
	name, err1 := t.seal("ca_batch.name", b.ID, b.Name)
	maker, err2 := t.sealJSON("ca_batch.maker", b.ID, b.Maker)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	_, err := t.exec(`INSERT INTO ca_batch (id, name, maker, maker_detail, state, total, sm3, request_key, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		b.ID, name, b.Maker.String(), maker, string(b.State), b.Total, b.SM3, b.Key, micros(b.At))
	if duplicate(err) {
		return ca.ErrBatchKey.With("batch of %s with key %q is there already", b.Maker, b.Key)
	}
	return err
}

func (t caTx) SetBatchState(id string, from, to ca.BatchState) (bool, error) {
	n, err := t.exec(`UPDATE ca_batch SET state = $3 WHERE id = $1 AND state = $2`, id, string(from), string(to))
	return n == 1, err
}

func (t caTx) LeaseBatch(id string, now, until time.Time) (bool, error) {
	if !until.After(now) {
		n, err := t.exec(`UPDATE ca_batch SET leased_until = 0 WHERE id = $1`, id)
		return n == 1, err
	}
	n, err := t.exec(`UPDATE ca_batch SET leased_until = $3 WHERE id = $1 AND leased_until <= $2`, id, micros(now), micros(until))
	return n == 1, err
}

// rowID is the primary key of a batch's row, which its seal names.
func rowID(batch string, number int) string { return fmt.Sprintf("%s.%d", batch, number) }

// rowsAtOnce bounds the rows of one INSERT: ten values each, of the 32,766 that SQLite takes.
const rowsAtOnce = 500

func (t caTx) AddBatchRows(rows []ca.BatchRow) error {
	for len(rows) > 0 {
		n := min(len(rows), rowsAtOnce)
		if err := t.addRows(rows[:n]); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func (t caTx) addRows(rows []ca.BatchRow) error {
	var text strings.Builder
	text.WriteString(`INSERT INTO ca_batch_row (id, batch, number, state, application, line, code, text_zh, text_en) VALUES `)
	args := make([]any, 0, 9*len(rows))
	for i, r := range rows {
		id := rowID(r.Batch, r.Number)
		line, err := t.sealJSON("ca_batch_row.line", id, r.Line)
		if err != nil {
			return err
		}
		if i > 0 {
			text.WriteString(", ")
		}
		k := len(args)
		fmt.Fprintf(&text, "($%d, $%d, $%d, $%d, $%d, $%d, $%d, $%d, $%d)", k+1, k+2, k+3, k+4, k+5, k+6, k+7, k+8, k+9)
		args = append(args, id, r.Batch, r.Number, string(r.State), r.Application, line, r.Code, r.Text.ZH, r.Text.EN)
	}
	text.WriteString(` ON CONFLICT (id) DO NOTHING`)
	if _, err := t.exec(text.String(), args...); err != nil {
		return fmt.Errorf("store rows of a batch: %w", err)
	}
	return nil
}

func (t caTx) MoveRow(r ca.BatchRow, from ca.RowState) (bool, error) {
	id := rowID(r.Batch, r.Number)
	line, err := t.sealJSON("ca_batch_row.line", id, r.Line)
	if err != nil {
		return false, err
	}
	n, err := t.exec(`UPDATE ca_batch_row SET state = $4, application = $5, line = $6, code = $7, text_zh = $8, text_en = $9, tries = $10, revision = revision + 1
		WHERE id = $1 AND state = $2 AND revision = $3`,
		id, string(from), r.Revision, string(r.State), r.Application, line, r.Code, r.Text.ZH, r.Text.EN, r.Tries)
	return n == 1, err
}

func (t caTx) RetryRows(batch string, numbers []int) (n int64, err error) {
	const again = `UPDATE ca_batch_row SET state = CASE WHEN application = '' THEN 'waiting' ELSE 'applied' END,
		code = '', text_zh = '', text_en = '', tries = 0, revision = revision + 1 WHERE batch = $1 AND state = 'failed'`
	if len(numbers) == 0 {
		return t.exec(again, batch)
	}
	for _, number := range numbers {
		one, err := t.exec(again+` AND number = $2`, batch, number)
		if err != nil {
			return 0, err
		}
		n += one
	}
	return n, nil
}

func (t caTx) StopRows(batch, code string, text fault.Text) (int64, error) {
	return t.exec(`UPDATE ca_batch_row SET state = 'failed', code = $2, text_zh = $3, text_en = $4, revision = revision + 1
		WHERE batch = $1 AND state = 'waiting'`, batch, code, text.ZH, text.EN)
}

func (t caTx) CancelRows(batch string) (int64, error) {
	return t.exec(`UPDATE ca_batch_row SET state = 'cancelled', revision = revision + 1 WHERE batch = $1 AND state = 'waiting'`, batch)
}
