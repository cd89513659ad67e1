package enrol

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hufu/ca"
	"hufu/internal/fault"
)

// errLapsed answers who asks after a transaction that waited for an officer for too long.
var errLapsed = fault.New(fault.Conflict, "enrol.lapsed",
	"Nobody decided on this application in time, and it has lapsed. Begin a new transaction with a new request.", "该申请逾期未获审核，已失效。请重新生成请求并发起新的事务。")

// overdue tells whether a transaction has waited for an officer for too long.
func (s *Service) overdue(t Transaction) bool { return t.State == Waiting && !s.Now().Before(t.Due) }

// over is what a peer is told of a transaction that has come to an end without a certificate.
func (s *Service) over(t Transaction) error {
	if t.State == Lapsed || s.overdue(t) {
		return errLapsed.With("transaction %s is %s until %s", t.ID, t.State, t.Due)
	}
	return ErrTransaction.With("transaction %s is %s", t.ID, t.State)
}

// lapse gives a transaction up that nobody finished. If nothing was issued in it, its secret can be used again.
func (s *Service) lapse(ctx context.Context, t Transaction) (Transaction, error) {
	app, err := s.CA.ApplicationMade(ctx, system(), t.By, "enrol-"+t.ID) // the row may not name it: a crash before the answer
	if err != nil && !errors.Is(err, ca.ErrUnknown) {
		return t, err
	}
	t.Application = app.ID
	from := t.State
	t.State = Lapsed
	err = s.Store.Update(ctx, func(w W) error {
		moved, err := w.Move(from, t)
		if err != nil || !moved {
			return errors.Join(err, ErrTransaction.With("transaction %s moved on", t.ID))
		}
		if len(app.Certificates) == 0 && t.Secret != "" {
			if err := w.GiveBack(t.Secret); err != nil {
				return err
			}
		}
		return w.Record(entry(s.Now().UTC(), system(), "enrol.lapse", t.ID, ""))
	})
	return t, err
}

// Prune lets transactions lapse that waited for an officer for too long, and forgets those that have been over for long: 90 days
// after they began.
func (s *Service) Prune(ctx context.Context) error {
	if err := s.lapseWaiting(ctx); err != nil {
		return err
	}
	for {
		n := 0
		err := s.Store.Update(ctx, func(w W) (err error) {
			n, err = w.Prune(s.Now().Add(-90*24*time.Hour), 500)
			return err
		})
		if err != nil || n < 500 {
			return err
		}
	}
}

// lapseWaiting ends transactions that have waited for too long, and withdraws their applications, so that no officer decides on what
// nobody fetches any more.
func (s *Service) lapseWaiting(ctx context.Context) error {
	for {
		var ids []string
		err := s.Store.View(ctx, func(r R) (err error) {
			ids, err = r.Overdue(s.Now(), 500)
			return err
		})
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := s.giveUp(ctx, id); err != nil {
				return fmt.Errorf("give transaction %s up: %w", id, err)
			}
		}
		if len(ids) < 500 {
			return nil
		}
	}
}

func (s *Service) giveUp(ctx context.Context, id string) error {
	t, ok, err := s.find(ctx, id)
	if err != nil || !ok || !s.overdue(t) {
		return err
	}
	_, err = s.CA.Withdraw(ctx, system(), t.Application, "逾期未审核。 Nobody decided in time.")
	if err != nil && !errors.Is(err, ca.ErrState) && !errors.Is(err, ca.ErrUnknown) { // it was decided, and nobody fetched it
		return err
	}
	if t, err = s.lapse(ctx, t); errors.Is(err, ErrTransaction) {
		return nil // the peer came at this moment
	}
	if err != nil {
		return err
	}
	return s.void(ctx, t)
}
