package ca

import (
	"context"
	"errors"
	"time"

	"hufu/certs"
	"hufu/certs/cmp"
)

// timeless leaves the time out of an order's messages: one that is sent again after days would be turned away for its age. A
// message that somebody else sends again meets the transaction that it began.
var timeless time.Time

// passing are failures that are not about the request; it is sent again.
const passing = cmp.SystemUnavailable | cmp.SystemFailure | cmp.BadTime | cmp.SignerNotTrusted

// talk is the transaction of an order. Each message is kept before it is sent and, while the other side has not decided, each
// answer before the next message is made: after a crash the last message is sent again, unchanged, whichever it was.
type talk struct {
	a     *Authority
	e     External
	x     *cmp.Exchange
	order Order
}

func (a *Authority) resumeOrder(e External, client *cmp.Client, o Order) (*talk, error) {
	x, err := client.Resume(o.Request)
	return &talk{a, e, x, o}, err
}

// Waits tells whether the external authority has the order and had not decided when it was asked last.
func (o Order) Waits() bool { return o.State == OrderSent && len(o.Answer) > 0 && o.Failure == "" }

// fetch brings the transaction to its end.
func (t *talk) fetch(ctx context.Context, d draft) (*certs.Certificate, error) {
	sent, err := cmp.Parse(t.order.Request)
	if err != nil {
		return nil, err
	}
	if sent.Body.Kind == cmp.CertConf {
		return t.confirmAgain(ctx, d, sent)
	}
	m, err := t.decision(ctx)
	if err != nil {
		return nil, err
	}
	cert, id, err := m.Granted()
	if err != nil {
		return nil, refusal(m, err)
	}
	wrong := t.a.fitsOrder(t.e, d, cert)
	if m.Confirms() {
		if wrong != nil {
			wrong = errors.Join(wrong, t.a.endOutside(ctx, t.e, cert, certs.ReasonCessationOfOperation))
		}
		return cert, wrong
	}
	return cert, t.confirm(ctx, m, id, wrong)
}

// refusal tells a refusal that is final from one that the other side may get over.
func refusal(m *cmp.Message, why error) error {
	status := cmp.StatusInfo{}
	switch {
	case m.Body.Error != nil:
		status = m.Body.Error.Status
	case m.Body.Reply != nil && len(m.Body.Reply.Responses) == 1:
		status = m.Body.Reply.Responses[0].Status
	}
	if status.Err() == nil || status.Failure&passing != 0 {
		return ErrExternal.With("%w", why)
	}
	return ErrExternalRefused.With("%w", why)
}

// decision returns the answer that decides on the request. Where there is none yet it asks once, and is ErrWaits.
func (t *talk) decision(ctx context.Context) (*cmp.Message, error) {
	known := len(t.order.Answer) > 0
	m, err := t.answer(ctx)
	if err != nil {
		return nil, err
	}
	if id, waits := waiting(m); waits && (known || m.Body.Kind != cmp.PollRep) {
		if err := t.next(ctx, cmp.Body{Kind: cmp.PollReq, Polls: []cmp.Poll{{ID: id}}}, nil); err != nil {
			return nil, err
		}
		if m, err = t.answer(ctx); err != nil {
			return nil, err
		}
	}
	if _, waits := waiting(m); waits {
		t.order.Answer = m.Raw
		err := t.keep(ctx, t.order.Request)
		return nil, errors.Join(ErrWaits.With("application %s", t.order.Application), err)
	}
	return m, nil
}

// waiting tells whether an answer leaves the request open, and the request's number.
func waiting(m *cmp.Message) (id int64, waits bool) {
	if m.Body.Kind == cmp.PollRep && len(m.Body.Polls) == 1 {
		return m.Body.Polls[0].ID, true
	}
	_, id, err := m.Granted()
	return id, errors.Is(err, cmp.ErrWaiting)
}

// answer returns the answer to the last message: the one that is kept, or what comes when the message is sent.
func (t *talk) answer(ctx context.Context) (*cmp.Message, error) {
	der := t.order.Answer
	if len(der) == 0 {
		var err error
		if der, err = t.a.call(ctx, t.e.URL, t.order.Request); err != nil {
			return nil, err
		}
	}
	m, err := t.x.Take(der, t.e.trusts)
	if err != nil {
		return nil, ErrExternal.With("%w", err)
	}
	return m, nil
}

// next makes the next message and keeps it, with the answer that it rests on where that is needed later.
func (t *talk) next(ctx context.Context, body cmp.Body, rests []byte) error {
	message, err := t.x.Message(body, timeless)
	if err != nil {
		return err
	}
	before := t.order.Request
	t.order.Request, t.order.Answer = message, rests
	return t.keep(ctx, before)
}

// keep stores where the transaction stands, unless another node has taken it further.
func (t *talk) keep(ctx context.Context, before []byte) error {
	t.order.Failure, t.order.Changed = "", t.a.Now().UTC()
	return t.a.Store.Update(ctx, func(w W) error {
		done, err := w.ChangeOrder(t.order, before)
		if err == nil && !done {
			err = ErrWaits.With("the order of application %s is in another node's hands", t.order.Application)
		}
		return err
	})
}

// confirm takes the certificate that an answer grants, or says why not; the other side revokes it then.
func (t *talk) confirm(ctx context.Context, m *cmp.Message, id int64, wrong error) error {
	cert, _, err := m.Granted()
	if err != nil {
		return err
	}
	body, err := cmp.Accept(cert, id)
	if wrong != nil {
		body, err = cmp.Refuse(cert, id, "not what was asked for")
	}
	if err == nil {
		err = t.next(ctx, body, m.Raw)
	}
	if err != nil {
		return err
	}
	return t.confirmed(ctx, wrong)
}

// confirmed sends the confirmation. The certificate counts once the other side has taken note.
func (t *talk) confirmed(ctx context.Context, wrong error) error {
	der, err := t.a.call(ctx, t.e.URL, t.order.Request)
	if err != nil {
		return err
	}
	m, err := t.x.Take(der, t.e.trusts)
	switch {
	case err != nil:
		return ErrExternal.With("%w", err)
	case wrong != nil:
		return wrong
	case m.Body.Kind == cmp.Error:
		return refusal(m, m.Body.Error.Status.Err())
	case m.Body.Kind != cmp.PKIConf:
		return ErrExternal.With("an answer of kind %d to a confirmation", m.Body.Kind)
	}
	return nil
}

// confirmAgain goes on where the confirmation was kept, and perhaps sent: the certificate is in the answer that is kept with it.
func (t *talk) confirmAgain(ctx context.Context, d draft, sent *cmp.Message) (*certs.Certificate, error) {
	m, err := cmp.Parse(t.order.Answer)
	if err != nil {
		return nil, err
	}
	cert, _, err := m.Granted()
	if err != nil {
		return nil, err
	}
	wrong := t.a.fitsOrder(t.e, d, cert)
	if wrong == nil && !sent.Body.Confirm[0].Accepted() {
		wrong = ErrExternalUnfit.With("the certificate was not taken")
	}
	if wrong != nil && sent.Body.Confirm[0].Accepted() { // it has ended since, or the name changed
		wrong = errors.Join(wrong, t.a.endOutside(ctx, t.e, cert, certs.ReasonCessationOfOperation))
	}
	return cert, t.confirmed(ctx, wrong)
}

// exchange sends the only message of a transaction that nothing is kept of, and takes its answer.
func (a *Authority) exchange(ctx context.Context, e External, x *cmp.Exchange, body cmp.Body) (*cmp.Message, error) {
	message, err := x.Message(body, a.Now())
	if err != nil {
		return nil, err
	}
	answer, err := a.call(ctx, e.URL, message)
	if err != nil {
		return nil, err
	}
	m, err := x.Take(answer, e.trusts)
	if err != nil {
		return nil, ErrExternal.With("%w", err)
	}
	return m, nil
}
