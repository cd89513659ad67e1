package ca

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"hufu/audit"
	"hufu/certs"
	"hufu/certs/cmp"
	"hufu/internal/gm"
)

// clockSkew is how far the clock of another authority may be ahead of ours.
const clockSkew = 5 * time.Minute

// issueByExternal has an application answered by an external authority. What is sent is stored before; asked again after a
// crash or without an answer it sends the same message, so that the other side issues once.
func (a *Authority) issueByExternal(ctx context.Context, i *issuance, name string) error {
	e, err := a.externalInForce(ctx, name)
	if err != nil {
		return err
	}
	drafts, _, err := a.drafts(ctx, i.by, i.app)
	if err != nil {
		return err
	}
	if len(drafts) != 1 {
		return ErrProfile.With("profile %q with a pair cannot be made by an external authority", i.app.Profile)
	}
	client, err := a.externalClient(ctx, e)
	if err != nil {
		return err
	}
	order, err := a.ordered(ctx, i, client, name)
	if err != nil {
		return err
	}
	if order.State == OrderRefused {
		return ErrExternalRefused.With("application %s: %s", i.app.ID, order.Failure)
	}
	cert, err := a.fetchOrder(ctx, e, client, order, drafts[0])
	if err != nil {
		return a.orderFailed(ctx, order, err)
	}
	return a.storeOrder(ctx, i, order, drafts[0], cert)
}

func (a *Authority) externalClient(ctx context.Context, e External) (*cmp.Client, error) {
	own, err1 := certs.ParseLenient(e.Own)
	issuer, err2 := certs.ParseLenient(e.Certificate)
	key, err3 := a.Keys.Signer(ctx, e.Label)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, ErrExternal.With("%w", err)
	}
	return &cmp.Client{Recipient: issuer.Subject, Certificate: own, Signer: key}, nil
}

// ordered returns the application's order, storing the intent when there is none.
func (a *Authority) ordered(ctx context.Context, i *issuance, client *cmp.Client, name string) (o Order, err error) {
	look := func() error {
		return a.Store.View(ctx, func(r R) (err error) {
			o, err = r.Order(i.app.ID)
			return err
		})
	}
	if err := look(); err == nil || !isUnknown(err) {
		return o, err
	}
	x, err := client.NewExchange(true)
	if err != nil {
		return o, err
	}
	message, err := x.Message(cmp.Body{Kind: cmp.P10CR, PKCS10: i.app.Request}, a.Now())
	if err != nil {
		return o, err
	}
	sent, err := cmp.Parse(message)
	if err != nil {
		return o, err
	}
	now := a.Now().UTC()
	o = Order{Application: i.app.ID, External: name, Exchange: sent.Header.TransactionID, Request: message, State: OrderSent, At: now}
	added := false
	err = a.Store.Update(ctx, func(w W) (err error) {
		if added, err = w.AddOrder(o); err != nil || !added {
			return err
		}
		return w.Record(audit.Entry{
			At: now, Actor: i.by, Action: "external.order", Object: audit.Object{Kind: "application", ID: i.app.ID},
			Public: map[string]string{"external": name, "message_sm3": hexSM3(message)},
		})
	})
	if err == nil && !added { // another node was faster; its message counts
		err = look()
	}
	return o, err
}

// fetchOrder sends the message and brings the transaction to its end.
func (a *Authority) fetchOrder(ctx context.Context, e External, client *cmp.Client, o Order, d draft) (*certs.Certificate, error) {
	x, err := client.Resume(o.Request)
	if err != nil {
		return nil, err
	}
	answer, err := a.call(ctx, e.URL, o.Request)
	if err != nil {
		return nil, err
	}
	m, err := x.Take(answer, e.trusts)
	if err != nil {
		return nil, ErrExternal.With("%w", err)
	}
	cert, id, err := m.Granted()
	if errors.Is(err, cmp.ErrWaiting) {
		if m, err = a.exchange(ctx, e, x, cmp.Body{Kind: cmp.PollReq, Polls: []cmp.Poll{{ID: id}}}); err != nil {
			return nil, err
		}
		if m.Body.Kind == cmp.PollRep {
			return nil, ErrWaits.With("application %s", o.Application)
		}
		cert, id, err = m.Granted()
	}
	if err != nil {
		return nil, ErrExternalRefused.With("%w", err)
	}
	wrong := a.fitsOrder(e, d, cert)
	if m.Confirms() {
		return cert, wrong
	}
	body, err := cmp.Accept(cert, id)
	if wrong != nil {
		body, err = cmp.Refuse(cert, id, "not what was asked for")
	}
	if err != nil {
		return nil, err
	}
	if _, err := a.exchange(ctx, e, x, body); err != nil {
		return nil, err
	}
	return cert, wrong
}

// exchange sends the next message of a transaction and takes its answer.
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

// orderFailed keeps why an order did not succeed, and ends it where the other side has refused.
func (a *Authority) orderFailed(ctx context.Context, o Order, why error) error {
	o.Failure, o.Changed = shortError(why), a.Now().UTC()
	if errors.Is(why, ErrExternalRefused) {
		o.State = OrderRefused
	}
	err := a.Store.Update(ctx, func(w W) error {
		_, err := w.ChangeOrder(o)
		return err
	})
	return errors.Join(why, err)
}

// storeOrder keeps the certificate like one of our own, in one transaction with the end of the order.
func (a *Authority) storeOrder(ctx context.Context, i *issuance, o Order, d draft, cert *certs.Certificate) error {
	now := a.Now().UTC()
	o.State, o.Answer, o.Failure, o.Changed = OrderAnswered, cert.Raw, "", now
	spki := gm.SM3(cert.RawSPKI)
	serials := []string{hex.EncodeToString(cert.Serial)}
	err := a.Store.Update(ctx, func(w W) error {
		done, err := w.ChangeOrder(o)
		if err == nil && !done {
			err = ErrState.With("the order of application %s was settled meanwhile", i.app.ID)
		}
		if err != nil {
			return err
		}
		if err := w.ClaimKey(spki[:], KeyOwner{Holder: d.holder.ID, Use: d.profile.use()}); err != nil {
			return err
		}
		hash := gm.SM3(cert.RawTBS)
		if err := w.Reserve(Reservation{ // what the store takes the certificate for; both are one commit here
			Serial: cert.Serial, Issuer: externalMark + o.External, Application: i.app.ID, Profile: i.app.Profile, TBS: cert.RawTBS, TBSHash: hash[:], At: now,
		}); err != nil {
			return err
		}
		if err := w.AddCertificate(Record{
			Serial: cert.Serial, Issuer: externalMark + o.External, Application: i.app.ID, Profile: i.app.Profile, Holder: d.holder.ID, SPKI: spki[:],
			NotBefore: cert.NotBefore, NotAfter: cert.NotAfter, DER: cert.Raw, IssuedAt: now,
		}); err != nil {
			return err
		}
		if err := w.SetIssued(i.app.ID, serials, nil); err != nil {
			return err
		}
		return w.Record(audit.Entry{
			At: now, Actor: i.by, Action: "external.issue", Object: audit.Object{Kind: "certificate", ID: serials[0]},
			Public: map[string]string{"external": o.External, "application": i.app.ID, "certificate_sm3": fingerprint(cert)},
		})
	})
	if err == nil {
		i.app.State, i.app.Certificates = Issued, serials
	}
	return err
}

// chainOutside returns a certificate and that of the external authority which made it. What stands above it is the business of who trusts it.
func (a *Authority) chainOutside(ctx context.Context, record Record, name string) ([]*certs.Certificate, error) {
	e, err := a.externalInForce(ctx, name)
	if err != nil {
		return nil, err
	}
	leaf, err1 := certs.ParseLenient(record.DER)
	issuer, err2 := certs.ParseLenient(e.Certificate)
	return []*certs.Certificate{leaf, issuer}, errors.Join(err1, err2)
}

// JobExternal is the kind of the durable job that has an external authority revoke what it made; its key is the serial,
// hexadecimal.
const JobExternal = "ca.external"

// RevokeExternal asks the external authority to revoke a certificate that is revoked here. One that it has revoked already is
// good.
func (a *Authority) RevokeExternal(ctx context.Context, serial string) error {
	number, err := parseSerial(serial)
	if err != nil {
		return err
	}
	var record Record
	var revoked Revocation
	err = a.Store.View(ctx, func(r R) (err error) {
		if record, err = r.CertificateBySerial(number); err != nil {
			return err
		}
		revoked, err = r.Revocation(record.Issuer, number)
		return err
	})
	if isUnknown(err) {
		return nil // a suspension that was lifted meanwhile
	}
	if err != nil {
		return err
	}
	e, err := a.externalInForce(ctx, strings.TrimPrefix(record.Issuer, externalMark))
	if err != nil {
		return err
	}
	cert, err := certs.ParseLenient(record.DER)
	if err != nil {
		return err
	}
	client, err := a.externalClient(ctx, e)
	if err != nil {
		return err
	}
	x, err := client.NewExchange(false)
	if err != nil {
		return err
	}
	der, err := certs.NewRevocationTemplate(cert)
	if err != nil {
		return err
	}
	template, err := certs.ParseRequestTemplate(der)
	if err != nil {
		return err
	}
	m, err := a.exchange(ctx, e, x, cmp.Body{Kind: cmp.RR, Revocations: []cmp.Revocation{{
		Template: template, Extensions: []certs.Extension{{ID: certs.OIDReasonCode, Value: []byte{10, 1, byte(revoked.Reason)}}},
	}}})
	if err != nil {
		return err
	}
	return revokedOutside(m)
}

// revokedOutside reads the answer to a revocation request.
func revokedOutside(m *cmp.Message) error {
	if m.Body.Kind == cmp.Error {
		return ErrExternal.With("%w", m.Body.Error.Status.Err())
	}
	if m.Body.Kind != cmp.RP || len(m.Body.Revoked) != 1 {
		return ErrExternal.With("an answer of kind %d to a revocation", m.Body.Kind)
	}
	if s := m.Body.Revoked[0]; s.Err() != nil && s.Failure&cmp.CertRevoked == 0 {
		return ErrExternal.With("%w", s.Err())
	}
	return nil
}
