package ca

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"hufu/audit"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// BatchOrder is a batch as its maker sends it.
type BatchOrder struct {
	Name    string // what people call it
	Profile string // of rows that name none
	Key     string // idempotency key
	File    []byte // CSV
}

// rows read the order's file.
func (o BatchOrder) rows(correcting bool) (*sheet, error) {
	s, err := readSheet(o.File, correcting)
	if err != nil {
		return nil, err
	}
	for i := range s.lines {
		if s.lines[i].Profile == "" {
			s.lines[i].Profile = o.Profile
		}
	}
	return s, nil
}

// mayBatch are the roles that may bring applications by the file. For whom, each row decides.
func mayBatch(by actor.Actor) error {
	return by.Require(actor.RoleRegistrar, actor.RoleCertificateUser)
}

// rowsAtOnce is how many rows one transaction stores.
const rowsAtOnce = 1000

// AddBatch takes a batch in. Its rows are stored and then entered by durable jobs, each exactly once; what is wrong with a row
// fails that row alone. Sent again under the same idempotency key, after a crash in the middle too, it is the same batch.
func (a *Authority) AddBatch(ctx context.Context, by actor.Actor, o BatchOrder) (Batch, error) {
	if err := mayBatch(by); err != nil {
		return Batch{}, err
	}
	if len(o.Name) > 600 || !plain(o.Name) {
		return Batch{}, ErrBatchRow.With("name of the batch")
	}
	s, err := o.rows(false)
	if err != nil {
		return Batch{}, err
	}
	b, err := a.beginBatch(ctx, by, o, len(s.lines))
	if err != nil || b.State != BatchLoading {
		return b, err
	}
	stored, err := a.storedRows(ctx, b.ID)
	if err != nil {
		return Batch{}, err
	}
	for from := stored / rowsAtOnce * rowsAtOnce; from < len(s.lines); from += rowsAtOnce {
		rows := make([]BatchRow, 0, rowsAtOnce)
		for i := from; i < min(from+rowsAtOnce, len(s.lines)); i++ {
			rows = append(rows, BatchRow{Batch: b.ID, Number: s.numbers[i], State: RowWaiting, Line: s.lines[i]})
		}
		if err := a.Store.Update(ctx, func(w W) error { return w.AddBatchRows(rows) }); err != nil {
			return Batch{}, fmt.Errorf("store batch %s: %w", b.ID, err)
		}
	}
	return a.openBatch(ctx, by, b)
}

// storedRows is how many rows of a batch a call before has stored, from the first on.
func (a *Authority) storedRows(ctx context.Context, id string) (n int, err error) {
	err = a.Store.View(ctx, func(r R) error {
		counts, err := r.BatchCounts(id)
		for _, rows := range counts {
			n += rows
		}
		return err
	})
	return n, err
}

// beginBatch stores the batch without its rows, or finds the one sent before.
func (a *Authority) beginBatch(ctx context.Context, by actor.Actor, o BatchOrder, total int) (b Batch, err error) {
	digest := gm.SM3(append([]byte(o.Profile+"\x00"), o.File...))
	if o.Key != "" {
		err := a.Store.View(ctx, func(r R) error {
			b, err = r.BatchByKey(by.String(), o.Key)
			return err
		})
		if err == nil && !bytes.Equal(b.SM3, digest[:]) {
			err = ErrBatchKey.With("batch %s", b.ID)
		}
		if err == nil || !errors.Is(err, ErrUnknown) {
			return b, err
		}
	}
	b = Batch{
		ID: rand.Text(), Name: o.Name, Maker: by, State: BatchLoading, Total: total, SM3: digest[:], Key: o.Key, At: a.Now().UTC(),
	}
	return b, a.Store.Update(ctx, func(w W) error { return w.AddBatch(b) })
}

// openBatch sets a batch to work whose rows are all stored.
func (a *Authority) openBatch(ctx context.Context, by actor.Actor, b Batch) (Batch, error) {
	err := a.Store.Update(ctx, func(w W) error {
		done, err := w.SetBatchState(b.ID, BatchLoading, BatchOpen)
		if err != nil || !done { // another call under the same key has
			return err
		}
		if err := w.Enqueue(JobBatch, b.ID, nil, a.Now()); err != nil {
			return err
		}
		return w.Record(a.batchEntry(by, "batch.submit", b.ID, map[string]string{"rows": strconv.Itoa(b.Total), "sm3": hex.EncodeToString(b.SM3)}))
	})
	if err != nil {
		return Batch{}, fmt.Errorf("open batch %s: %w", b.ID, err)
	}
	b.State = BatchOpen
	return b, nil
}

// batchEntry is what the record says of an act on a batch.
func (a *Authority) batchEntry(by actor.Actor, action, batch string, facts map[string]string) audit.Entry {
	return audit.Entry{At: a.Now(), Actor: by, Action: action, Object: audit.Object{Kind: "batch", ID: batch}, Public: facts}
}

// Batch returns a batch, how many of its rows stand where, and what was decided on it, to its maker and to officers.
func (a *Authority) Batch(ctx context.Context, by actor.Actor, id string) (b Batch, counts map[string]int, decisions []BatchDecision, err error) {
	if b, err = a.seenBatch(ctx, by, id); err != nil {
		return b, nil, nil, err
	}
	err = a.Store.View(ctx, func(r R) (err error) {
		if counts, err = r.BatchCounts(id); err != nil {
			return err
		}
		decisions, err = r.BatchDecisions(id)
		return err
	})
	return b, counts, decisions, err
}

// seenBatch returns a batch to whoever may see it.
func (a *Authority) seenBatch(ctx context.Context, by actor.Actor, id string) (b Batch, err error) {
	if err := by.Known(); err != nil {
		return b, err
	}
	err = a.Store.View(ctx, func(r R) error {
		b, err = r.Batch(id)
		return err
	})
	if err != nil {
		return Batch{}, err
	}
	if by.Require(officers...) != nil && b.Maker.Subject != by.Subject {
		return Batch{}, ErrUnknown.With("%s may not see batch %s", by, id)
	}
	return b, nil
}

// Batches lists batches, newest first, at most 100: to officers all, to others their own.
func (a *Authority) Batches(ctx context.Context, by actor.Actor, f BatchFilter) (all []Batch, err error) {
	if err := mayBatch(by); err != nil && by.Require(officers...) != nil {
		return nil, err
	}
	if by.Require(officers...) != nil {
		f.Maker = by.String()
	}
	if f.Limit <= 0 || f.Limit > 100 {
		f.Limit = 100
	}
	err = a.Store.View(ctx, func(r R) error {
		all, err = r.Batches(f)
		return err
	})
	return all, err
}

// BatchRows lists rows by number, at most 500, to the maker and officers. What was sent in a row is left out.
func (a *Authority) BatchRows(ctx context.Context, by actor.Actor, f RowFilter) (rows []RowResult, err error) {
	if _, err := a.seenBatch(ctx, by, f.Batch); err != nil {
		return nil, err
	}
	if f.Limit <= 0 || f.Limit > 500 {
		f.Limit = 500
	}
	err = a.Store.View(ctx, func(r R) error {
		rows, err = r.BatchRows(f)
		return err
	})
	for i := range rows {
		rows[i].Line = Line{}
	}
	return rows, err
}

// ownBatch returns a batch to its maker alone.
func (a *Authority) ownBatch(ctx context.Context, by actor.Actor, id string) (Batch, error) {
	b, err := a.seenBatch(ctx, by, id)
	if err == nil && by.Capacity != actor.System && (by.Subject == "" || by.Subject != b.Maker.Subject) {
		err = ErrNotMaker.With("%s is not the maker of batch %s", by, id)
	}
	return b, err
}

// RetryBatch lets failed rows begin anew where they failed, as they are; no numbers means all. Its maker may. It returns how
// many; where none waits either, the jobs are set to work again all the same.
func (a *Authority) RetryBatch(ctx context.Context, by actor.Actor, id string, numbers []int) (n int64, err error) {
	err = a.changeBatch(ctx, by, id, "batch.retry", func(w W) (int64, error) {
		n, err = w.RetryRows(id, numbers)
		return n, err
	})
	return n, err
}

// CancelBatch ends the rows that have not begun. Its maker may. It returns how many.
func (a *Authority) CancelBatch(ctx context.Context, by actor.Actor, id string) (n int64, err error) {
	err = a.changeBatch(ctx, by, id, "batch.cancel", func(w W) (int64, error) {
		if n, err = w.CancelRows(id); err != nil {
			return 0, err
		}
		_, err := w.SetBatchState(id, BatchLoading, BatchCancelled)
		return n, err
	})
	return n, err
}

// changeBatch is one change by the maker, after which the jobs look at the batch again.
func (a *Authority) changeBatch(ctx context.Context, by actor.Actor, id, action string, change func(W) (int64, error)) error {
	b, err := a.ownBatch(ctx, by, id)
	if err != nil {
		return err
	}
	if b.State == BatchLoading && action != "batch.cancel" {
		return ErrBatchState.With("batch %s is %s", id, b.State)
	}
	err = a.Store.Update(ctx, func(w W) error {
		n, err := change(w)
		if err != nil {
			return err
		}
		if err := w.Enqueue(JobBatch, id, nil, a.Now()); err != nil {
			return err
		}
		return w.Record(a.batchEntry(by, action, b.ID, map[string]string{"rows": strconv.FormatInt(n, 10)}))
	})
	if err != nil {
		return fmt.Errorf("%s %s: %w", action, id, err)
	}
	return nil
}

// maxCorrections is how many rows one file may correct, since they change together or not at all.
const maxCorrections = 5000

// CorrectBatch puts other lines into failed rows that have no application yet: a file with the column row. Its maker may, so
// that what an officer decides on later was entered by that one person. All rows change, or none.
func (a *Authority) CorrectBatch(ctx context.Context, by actor.Actor, id string, o BatchOrder) (n int64, err error) {
	s, err := o.rows(true)
	if err != nil {
		return 0, err
	}
	if len(s.lines) > maxCorrections {
		return 0, ErrBatchSize.With("%d corrections", len(s.lines))
	}
	err = a.changeBatch(ctx, by, id, "batch.correct", func(w W) (int64, error) {
		for i, number := range s.numbers {
			if err := correctRow(w, id, number, s.lines[i]); err != nil {
				return 0, err
			}
		}
		n = int64(len(s.numbers))
		return n, nil
	})
	return n, err
}

func correctRow(w W, batch string, number int, line Line) error {
	rows, err := w.BatchRows(RowFilter{Batch: batch, After: number - 1, Limit: 1})
	if err != nil {
		return err
	}
	if len(rows) == 0 || rows[0].Number != number || rows[0].State != RowFailed || rows[0].Application != "" {
		return atRow(ErrBatchNumber, number)
	}
	row := rows[0].BatchRow
	row.State, row.Line, row.Code, row.Text, row.Tries = RowWaiting, line, "", fault.Text{}, 0
	return changed(w.MoveRow(row, RowFailed))
}
