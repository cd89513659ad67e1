package ca

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"hufu/internal/actor"
	"hufu/internal/fault"
)

// JobBatch is the kind of the durable job that works on a batch, whose id is its key.
const JobBatch = "ca.batch"

const (
	batchTurn  = 5 * time.Second // of work, after which other jobs have their turn
	batchLease = time.Minute     // after which another worker takes a batch over
	batchWait  = 2 * time.Second // while another worker has it
	batchChunk = 64              // rows that are read together
	batchHands = 4               // rows that are worked at once
	rowTries   = 3               // of a row that fails by an error of our own
)

// errRowInternal is told of a row that failed for a reason of our own.
var errRowInternal = fault.New(fault.Internal, "internal",
	"Something went wrong on our side. Run this row again later; if it fails again, tell the operator batch and row.",
	"系统出现问题。请稍后重新处理该行；如仍失败，请将批次和行号告知运维人员。")

// WorkBatch goes on with a batch for a few seconds: it enters rows that wait and issues what was approved, then asks for its
// next turn. Killed at any point and begun again, it never enters or issues a row twice. While device or database do not
// answer, it fails and the rows keep waiting.
func (a *Authority) WorkBatch(ctx context.Context, id string) error {
	leased := false
	err := a.Store.Update(ctx, func(w W) (err error) {
		if leased, err = w.LeaseBatch(id, a.Now(), a.Now().Add(batchLease)); err != nil || leased {
			return err
		}
		return w.Enqueue(JobBatch, id, nil, a.Now().Add(batchWait))
	})
	if err != nil || !leased {
		return err
	}
	more, err := a.batchTurn(ctx, id)
	return errors.Join(err, a.Store.Update(context.WithoutCancel(ctx), func(w W) error {
		if _, err := w.LeaseBatch(id, a.Now(), time.Time{}); err != nil {
			return err
		}
		if more {
			return w.Enqueue(JobBatch, id, nil, a.Now())
		}
		return nil
	}))
}

// batchTurn works until nothing is left to do or the turn is over; more tells which.
func (a *Authority) batchTurn(ctx context.Context, id string) (more bool, err error) {
	var b Batch
	err = a.Store.View(ctx, func(r R) error {
		b, err = r.Batch(id)
		return err
	})
	if err != nil || b.State == BatchLoading {
		return false, err
	}
	for begin := time.Now(); time.Since(begin) < batchTurn; {
		n, err := a.batchStep(ctx, b)
		if err != nil || n == 0 {
			return false, err
		}
	}
	return true, nil
}

// batchStep works on the next rows and returns how many there were.
func (a *Authority) batchStep(ctx context.Context, b Batch) (int, error) {
	var waiting []RowResult
	var ready []BatchRow
	err := a.Store.View(ctx, func(r R) (err error) {
		if waiting, err = r.BatchRows(RowFilter{Batch: b.ID, Stands: string(RowWaiting), Limit: batchChunk}); err != nil {
			return err
		}
		ready, err = r.RowsToIssue(b.ID, batchChunk)
		return err
	})
	if err != nil {
		return 0, err
	}
	if len(waiting) > 0 {
		if stopped, err := a.stopBatch(ctx, b); err != nil || stopped {
			return 0, err
		}
	}
	err = manyHands(len(waiting), func(i int) error { return a.enterRow(ctx, b, waiting[i].BatchRow) })
	if err != nil {
		return 0, fmt.Errorf("enter rows of batch %s: %w", b.ID, err)
	}
	err = manyHands(len(ready), func(i int) error { return a.issueRow(ctx, ready[i]) })
	if err != nil {
		return 0, fmt.Errorf("issue rows of batch %s: %w", b.ID, err)
	}
	return len(waiting) + len(ready), nil
}

// manyHands does n pieces of work, a few at once, and stops at the first error.
func manyHands(n int, work func(i int) error) error {
	var wait sync.WaitGroup
	var mu sync.Mutex
	var first error
	next := 0
	for range min(n, batchHands) {
		wait.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := first != nil
				mu.Unlock()
				if stop || i >= n {
					return
				}
				if err := work(i); err != nil {
					mu.Lock()
					first = errors.Join(first, err)
					mu.Unlock()
				}
			}
		})
	}
	wait.Wait()
	return first
}

// enterRow applies for what a row asks, in the name of the batch's maker. Application and row are stored in one transaction,
// so that no row has two.
func (a *Authority) enterRow(ctx context.Context, b Batch, row BatchRow) error {
	q, err := a.rowRequest(ctx, b.Maker, row.Line)
	if err == nil {
		q.batch = b.ID
		_, err = a.enter(ctx, b.Maker, q, func(w W, app Application) error {
			entered := row
			entered.State, entered.Application = RowApplied, app.ID
			return changed(w.MoveRow(entered, RowWaiting))
		})
	}
	return a.rowFailed(ctx, row, err)
}

// issueRow issues the certificates of a row. Issue itself sees to it that this happens once.
func (a *Authority) issueRow(ctx context.Context, row BatchRow) error {
	_, err := a.Issue(ctx, actor.ForSystem("batch"), row.Application)
	return a.rowFailed(ctx, row, err)
}

// rowFailed keeps a row's error with the row. Only what stops all rows is returned: something does not answer.
func (a *Authority) rowFailed(ctx context.Context, row BatchRow, cause error) error {
	if cause == nil {
		return nil
	}
	if ctx.Err() != nil || fault.KindOf(cause) == fault.Unavailable {
		return cause
	}
	from := row.State
	row.State = RowFailed
	if refusal, ok := errors.AsType[*fault.Error](cause); ok && refusal.Kind != fault.Internal {
		row.Code, row.Text = refusal.Code, refusal.Text
	} else {
		row.Code, row.Text = errRowInternal.Code, errRowInternal.Text
		if row.Tries++; row.Tries < rowTries {
			row.State, row.Code, row.Text = from, "", fault.Text{}
		}
	}
	return a.Store.Update(ctx, func(w W) error {
		_, err := w.MoveRow(row, from) // false: another worker was there before, and its word counts
		return err
	})
}

// rowRequest makes a request of a row's line. Numbers are looked up in the registry, as the maker.
func (a *Authority) rowRequest(ctx context.Context, by actor.Actor, line Line) (q Request, err error) {
	switch {
	case line.Twin != 0:
		return q, ErrBatchTwin.With("row %d", line.Twin)
	case line.Wrong != "" || (line.Holder == "") == (line.Number == "") || line.Organization != "" && line.OrganizationNumber != "":
		return q, ErrBatchRow
	}
	q = Request{Profile: line.Profile, Holder: line.Holder, Organization: line.Organization, Facts: line.Facts}
	if q.CSR, err = line.request(); err != nil {
		return q, err
	}
	if line.Number != "" {
		if q.Holder, err = a.find(ctx, by, line.NumberType, line.Number); err != nil {
			return q, err
		}
	}
	if line.OrganizationNumber != "" {
		q.Organization, err = a.find(ctx, by, "uscc", line.OrganizationNumber)
	}
	return q, err
}

func (a *Authority) find(ctx context.Context, by actor.Actor, kind, number string) (string, error) {
	if a.Directory == nil {
		return "", ErrBatchRow.With("no directory of numbers")
	}
	return a.Directory.Find(ctx, by, kind, number)
}

// RowReport is what a check found wrong with a row; Code "" says nothing.
type RowReport struct {
	Number int
	Code   string
	Text   fault.Text
}

// MaxBatchCheck is how many rows CheckBatch takes at once.
const MaxBatchCheck = 10_000

// CheckBatch checks every row of a batch's file as AddBatch and the jobs after it would, and stores nothing.
func (a *Authority) CheckBatch(ctx context.Context, by actor.Actor, o BatchOrder) ([]RowReport, error) {
	if err := mayBatch(by); err != nil {
		return nil, err
	}
	s, err := o.rows(false)
	if err != nil {
		return nil, err
	}
	if len(s.lines) > MaxBatchCheck {
		return nil, ErrBatchSize.With("%d rows to check", len(s.lines))
	}
	reports := make([]RowReport, len(s.lines))
	keys := &keyTwins{rows: map[string]int{}}
	err = manyHands(len(s.lines), func(i int) error {
		reports[i].Number = s.numbers[i]
		err := a.rehearse(ctx, by, s.lines[i], keys)
		if err == nil {
			return nil
		}
		refusal, ok := errors.AsType[*fault.Error](err)
		if !ok || refusal.Kind == fault.Internal || refusal.Kind == fault.Unavailable {
			return err
		}
		reports[i].Code, reports[i].Text = refusal.Code, refusal.Text
		return nil
	})
	return reports, err
}

// keyTwins finds rows with one key.
type keyTwins struct {
	mu   sync.Mutex
	rows map[string]int
}

// rehearse does for a row all that entering it does, but storing.
func (a *Authority) rehearse(ctx context.Context, by actor.Actor, line Line, keys *keyTwins) error {
	q, err := a.rowRequest(ctx, by, line)
	if err != nil {
		return err
	}
	p, err := a.offered(by, q)
	if err != nil {
		return err
	}
	app := Application{ID: "rehearsal", Maker: by}
	if err := a.complete(ctx, by, &app, q, nil); err != nil {
		return err
	}
	keys.mu.Lock()
	keys.rows[string(app.SPKI)]++
	again := keys.rows[string(app.SPKI)] > 1
	keys.mu.Unlock()
	if again {
		return ErrBatchTwin
	}
	return a.Store.View(ctx, func(r R) error { return keyFree(r, p, app) })
}
