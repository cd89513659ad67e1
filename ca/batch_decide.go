package ca

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"hufu/internal/actor"
	"hufu/internal/fault"
)

// JobBatchDecision is the kind of the durable job that carries a decision on a batch out; the decision's id is its key.
const JobBatchDecision = "ca.batch-decision"

// maxChosen is how many rows a decision may name one by one.
const maxChosen = 1000

// JudgeBatch decides on many rows of a batch at once: on those named, or on all that stand submitted now. The rules are those
// of Judge, row by row: what the officer may not decide stays as it is and is counted. A durable job carries it out.
func (a *Authority) JudgeBatch(ctx context.Context, by actor.Actor, id string, d Decision, rows []int) (BatchDecision, error) {
	if err := mayJudge(by, d); err != nil {
		return BatchDecision{}, err
	}
	b, err := a.seenBatch(ctx, by, id)
	if err != nil {
		return BatchDecision{}, err
	}
	if err := actor.Checker(b.Maker, by); err != nil {
		return BatchDecision{}, err
	}
	if len(rows) > maxChosen {
		return BatchDecision{}, ErrBatchSize.With("%d rows named", len(rows))
	}
	slices.Sort(rows)
	made := BatchDecision{ID: rand.Text(), Batch: id, By: by, Decision: d, Rows: slices.Compact(rows), At: a.Now().UTC()}
	err = a.Store.Update(ctx, func(w W) error {
		counts, err := w.BatchCounts(id)
		if err != nil {
			return err
		}
		if counts[string(RowWaiting)] > 0 || b.State == BatchLoading { // what is entered later was not seen by the officer
			return ErrBatchBusy.With("batch %s: %d rows wait", id, counts[string(RowWaiting)])
		}
		if err := w.AddBatchDecision(made); err != nil {
			return err
		}
		if err := w.Enqueue(JobBatchDecision, made.ID, nil, made.At); err != nil {
			return err
		}
		return w.Record(a.batchEntry(by, "batch."+string(d.Verdict), b.ID, map[string]string{
			"submitted": strconv.Itoa(counts[string(Submitted)]), "rows": strconv.Itoa(len(made.Rows)),
		}))
	})
	if err != nil {
		return BatchDecision{}, fmt.Errorf("decide on batch %s: %w", id, err)
	}
	return made, nil
}

// WorkBatchDecision carries a decision on a batch out, in chunks of one transaction each, so that it goes on after a crash
// where it stopped.
func (a *Authority) WorkBatchDecision(ctx context.Context, id string) error {
	for {
		more, err := a.decideChunk(ctx, id)
		if err != nil || !more {
			return err
		}
	}
}

// decideChunk decides on the next rows.
func (a *Authority) decideChunk(ctx context.Context, id string) (more bool, err error) {
	var d BatchDecision
	var rows []RowResult
	err = a.Store.View(ctx, func(r R) error {
		if d, err = r.BatchDecision(id); err != nil || d.Done {
			return err
		}
		rows, err = r.BatchRows(RowFilter{Batch: d.Batch, Stands: string(Submitted), After: d.Next, Limit: batchChunk})
		return err
	})
	if err != nil || d.Done {
		return false, err
	}
	cause, err := a.dismissed(ctx, d.By)
	if err != nil {
		return false, err
	}
	if cause != nil {
		return false, a.stopDecision(ctx, d)
	}
	strange, err := a.strangeHolders(ctx, d.By, rows)
	if err != nil {
		return false, err
	}
	err = a.Store.Update(ctx, func(w W) error {
		next := d
		for _, row := range rows {
			if err := a.decideRow(w, &next, row, strange); err != nil {
				return err
			}
		}
		next.Done = len(rows) < batchChunk
		return changed(w.AdvanceDecision(next, d.Next))
	})
	if err != nil {
		return false, fmt.Errorf("decision %s: %w", id, err)
	}
	return len(rows) == batchChunk, nil
}

// stopDecision ends a decision whose officer may not decide any more: what was decided before stays, the rest waits for another.
func (a *Authority) stopDecision(ctx context.Context, d BatchDecision) error {
	return a.Store.Update(ctx, func(w W) error {
		next := d
		next.Done, next.Stopped = true, ErrBatchMaker.Code
		if err := changed(w.AdvanceDecision(next, d.Next)); err != nil {
			return err
		}
		return w.Record(a.batchEntry(actor.ForSystem("batch"), "batch.stop-decision", d.Batch, map[string]string{
			"decided": strconv.Itoa(d.Decided), "refused": strconv.Itoa(d.Refused),
		}))
	})
}

// strangeHolders asks for which rows' holders the officer may decide.
func (a *Authority) strangeHolders(ctx context.Context, by actor.Actor, rows []RowResult) (map[string]bool, error) {
	strange := map[string]bool{}
	for _, row := range rows {
		holder := row.Applied.Holder
		if _, known := strange[holder]; known {
			continue
		}
		err := a.notForHolder(ctx, by, holder)
		if err != nil && !errors.Is(err, actor.ErrSameActor) {
			return nil, err
		}
		strange[holder] = err == nil
	}
	return strange, nil
}

// decideRow decides on one row and counts it; only errors of our own are returned.
func (a *Authority) decideRow(w W, d *BatchDecision, row RowResult, strange map[string]bool) error {
	d.Next = row.Number
	if len(d.Rows) > 0 && !slices.Contains(d.Rows, row.Number) {
		return nil
	}
	app, err := w.Application(row.Application)
	if err != nil {
		return err
	}
	if !strange[app.Holder] || app.lastSubmitted().After(d.At) {
		d.Refused++
		return nil
	}
	_, err = a.judge(w, d.By, row.Application, d.Decision)
	if errors.Is(err, ErrApprovedBefore) {
		return nil
	}
	if kind := fault.KindOf(err); err != nil && kind != fault.Internal && kind != fault.Unavailable {
		d.Refused++
		return nil
	}
	if err == nil {
		d.Decided++
	}
	return err
}

// stopBatch gives up the rows that wait when the batch's maker may not act any more; it is asked before each chunk. What officers
// approved is issued all the same. Should the maker be back in office, RetryBatch goes on.
func (a *Authority) stopBatch(ctx context.Context, b Batch) (bool, error) {
	cause, err := a.dismissed(ctx, b.Maker)
	if err != nil || cause == nil {
		return false, err
	}
	return true, a.Store.Update(ctx, func(w W) error {
		n, err := w.StopRows(b.ID, ErrBatchMaker.Code, ErrBatchMaker.Text)
		if err != nil || n == 0 {
			return err
		}
		return w.Record(a.batchEntry(actor.ForSystem("batch"), "batch.stop", b.ID, map[string]string{"rows": strconv.FormatInt(n, 10)}))
	})
}

// dismissed asks whether whoever made a batch or decided on it may act now; cause says why not. Where that cannot be found out, it
// is an error, and the job tries again.
func (a *Authority) dismissed(ctx context.Context, by actor.Actor) (cause, err error) {
	err = a.standing(ctx, by)
	if kind := fault.KindOf(err); err == nil || kind == fault.Internal || kind == fault.Unavailable || kind == fault.Limited {
		return nil, err
	}
	return err, nil
}
