package enrol

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// JobSettle is the kind of the durable job that ends a transaction: its key is the transaction's. It revokes what was rejected
// or never confirmed, and marks as delivered what was accepted.
const JobSettle = "enrol.settle"

// transactionID names a transaction by who asks and what the peer calls it, so that no peer reaches another's.
func transactionID(whom string, theirs []byte) string {
	sum := gm.SM3([]byte(whom), []byte{0}, theirs)
	return hex.EncodeToString(sum[:])
}

// find returns a transaction, with ok false when it is not there.
func (s *Service) find(ctx context.Context, id string) (t Transaction, ok bool, err error) {
	err = s.Store.View(ctx, func(r R) error {
		t, err = r.Transaction(id)
		return err
	})
	if errors.Is(err, ErrUnknown) {
		return Transaction{}, false, nil
	}
	return t, err == nil, err
}

// begin stores a transaction before anything is done for it, takes a use of its secret, and arms the job that settles it: one
// commit. Where it stands already, it returns that one.
func (s *Service) begin(ctx context.Context, t Transaction, profile string) (Transaction, error) {
	now := s.Now().UTC()
	t.State, t.Due = Begun, now.Add(s.ConfirmTime)
	if t.At.Before(now) {
		t.At = now
	}
	err := s.Store.Update(ctx, func(w W) error {
		added, err := w.AddTransaction(t)
		if err != nil {
			return err
		}
		if !added {
			return errThere
		}
		if t.Secret != "" {
			if taken, err := w.Use(t.Secret, now); err != nil || !taken {
				return errors.Join(err, ErrSpent.With("secret %s", t.Secret))
			}
		}
		if err := w.Enqueue(JobSettle, t.ID, nil, t.Due); err != nil {
			return err
		}
		e := entry(now, t.By, "enrol.begin", t.ID, profile)
		if t.Secret != "" {
			e.Public["secret"] = recorded(t.Secret)
		}
		return w.Record(e)
	})
	if errors.Is(err, errThere) {
		known, _, err := s.find(ctx, t.ID)
		if err == nil && known.State == Begun {
			err = s.resume(ctx, &known)
		}
		return known, err
	}
	return t, err
}

var errThere = errors.New("the transaction is there already")

// apply makes the application of a begun transaction; repeated, it returns the same one. What is refused for good gives the use
// of the secret back: the peer may correct its request and begin another transaction.
func (s *Service) apply(ctx context.Context, t *Transaction, d demand) (ca.Application, error) {
	d.Key = "enrol-" + t.ID
	var app ca.Application
	var err error
	if d.replaces == nil {
		app, err = s.CA.Apply(ctx, t.By, d.Request)
	} else {
		app, err = s.renew(ctx, t.By, d)
	}
	if err == nil {
		t.Application = app.ID
		return app, nil
	}
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Denied, fault.Conflict, fault.NotFound:
		return app, errors.Join(err, s.refuse(ctx, t))
	default:
		return app, err // the same message may come again, and goes on
	}
}

// renew asks for a replacement: the same key anew, or a new one. The old key's signature is the message's own.
func (s *Service) renew(ctx context.Context, by actor.Actor, d demand) (ca.Application, error) {
	request, err := certs.ParseRequest(d.CSR)
	if err != nil {
		return ca.Application{}, ca.ErrRequest.With("%w", err)
	}
	old, err := s.CA.Issued(ctx, system(), d.replaces)
	if err != nil {
		return ca.Application{}, err
	}
	act, key := ca.ActRekey, gm.SM3(request.RawSPKI)
	if bytes.Equal(key[:], old.SPKI) {
		act = ca.ActRenew
	}
	return s.CA.Renew(ctx, by, ca.Replacement{Serial: d.replaces, Act: act, CSR: d.CSR, Proven: true, Key: d.Key})
}

// refuse ends a transaction for which nothing was issued.
func (s *Service) refuse(ctx context.Context, t *Transaction) error {
	after := *t
	after.State = Refused
	return s.Store.Update(ctx, func(w W) error {
		moved, err := w.Move(Begun, after)
		if err != nil || !moved || t.Secret == "" {
			return err
		}
		return w.GiveBack(t.Secret)
	})
}

// issue has the certificates of an approved application made. The transaction is begun before, so that the job which settles it
// is armed.
func (s *Service) issue(ctx context.Context, t *Transaction, app ca.Application) (ca.Application, error) {
	if t.State == Waiting {
		after := *t
		after.State, after.Due = Begun, s.Now().UTC().Add(s.ConfirmTime)
		err := s.Store.Update(ctx, func(w W) error {
			moved, err := w.Move(Waiting, after)
			if err != nil || !moved {
				return errors.Join(err, ErrTransaction.With("transaction %s is not waiting any more", t.ID))
			}
			return w.Enqueue(JobSettle, t.ID, nil, after.Due)
		})
		if err != nil {
			return app, err
		}
		*t = after
	}
	if app.State == ca.Issued || app.State == ca.Delivered {
		return app, nil
	}
	return s.CA.Issue(ctx, t.By, app.ID)
}

// moveOn stores the answer and the state that come after. Where the transaction has lapsed meanwhile, that is an error, and what
// was issued is revoked.
func (s *Service) moveOn(ctx context.Context, from State, after Transaction) error {
	now := s.Now().UTC()
	err := s.Store.Update(ctx, func(w W) error {
		moved, err := w.Move(from, after)
		if err == nil && !moved {
			err = ErrTransaction.With("transaction %s is not %s any more", after.ID, from)
		}
		if err != nil || from == after.State || after.State != Done && after.State != Rejected {
			return err
		}
		if err := w.Record(entry(now, after.By, "enrol."+string(after.State), after.ID, "")); err != nil {
			return err
		}
		return w.Enqueue(JobSettle, after.ID, nil, now)
	})
	if errors.Is(err, ErrTransaction) {
		if t, ok, _ := s.find(ctx, after.ID); ok && t.State == Lapsed {
			return errors.Join(err, s.void(ctx, after))
		}
	}
	return err
}

// resume gives a begun transaction that its peer takes up again the full time anew, so that it does not lapse under way.
func (s *Service) resume(ctx context.Context, t *Transaction) error {
	after := *t
	after.Due = s.Now().UTC().Add(s.ConfirmTime)
	err := s.Store.Update(ctx, func(w W) error {
		moved, err := w.Move(Begun, after)
		if err == nil && !moved {
			err = ErrTransaction.With("transaction %s is not begun any more", t.ID)
		}
		return err
	})
	*t = after
	return err
}

// Settle ends a transaction whose time has come; it may run more than once. It is the handler of JobSettle.
func (s *Service) Settle(ctx context.Context, id string) error {
	t, ok, err := s.find(ctx, id)
	if err != nil || !ok {
		return err
	}
	if t.State == Begun || t.State == Unconfirmed {
		if s.Now().Before(t.Due) { // it got more time since the job was enqueued
			return s.Store.Update(ctx, func(w W) error { return w.Enqueue(JobSettle, t.ID, nil, t.Due) })
		}
		if t, err = s.lapse(ctx, t); err != nil {
			return err
		}
	}
	switch t.State {
	case Done:
		return s.deliver(ctx, t)
	case Rejected, Lapsed:
		return s.void(ctx, t)
	default:
		return nil
	}
}

func (s *Service) deliver(ctx context.Context, t Transaction) error {
	if t.Application == "" {
		return nil
	}
	_, err := s.CA.Deliver(ctx, t.By, t.Application)
	return err
}

// void revokes what was issued in a transaction that did not come to its end (RFC 4210, section 5.3.18).
func (s *Service) void(ctx context.Context, t Transaction) error {
	if t.Application == "" {
		return nil
	}
	app, err := s.CA.Application(ctx, system(), t.Application)
	if err != nil {
		return err
	}
	for _, serial := range app.Certificates {
		number, err := hex.DecodeString(serial)
		if err != nil {
			return fmt.Errorf("serial %q: %w", serial, err)
		}
		err = s.CA.Revoke(ctx, system(), number, certs.ReasonCessationOfOperation, time.Time{})
		if err != nil && !errors.Is(err, ca.ErrRevoked) && !errors.Is(err, ca.ErrEnded) {
			return err
		}
	}
	return nil
}

// maker refuses a secret whose maker may not act any more: posts end, people leave.
func (s *Service) maker(ctx context.Context, by actor.Actor) error {
	if s.CA.People == nil || by.Capacity == actor.System {
		return nil
	}
	return s.CA.People.MayAct(ctx, by)
}
