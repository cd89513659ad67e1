package ca

import (
	"context"
	"encoding/hex"
	"errors"
	"maps"
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
	order, err := a.ordered(ctx, i, client, e)
	if err != nil {
		return err
	}
	if order.State == OrderRefused {
		return ErrExternalRefused.With("application %s: %s", i.app.ID, order.Failure)
	}
	t, err := a.resumeOrder(e, client, order)
	if err != nil {
		return err
	}
	cert, err := t.fetch(ctx, drafts[0])
	if err != nil {
		return a.orderFailed(ctx, t.order, err)
	}
	return a.storeOrder(ctx, i, t.order, drafts[0], cert)
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
func (a *Authority) ordered(ctx context.Context, i *issuance, client *cmp.Client, e External) (o Order, err error) {
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
	if x.General, err = e.onBehalf(i.app); err != nil {
		return o, err
	}
	message, err := x.Message(cmp.Body{Kind: cmp.P10CR, PKCS10: i.app.Request}, timeless)
	if err != nil {
		return o, err
	}
	sent, err := cmp.Parse(message)
	if err != nil {
		return o, err
	}
	now := a.Now().UTC()
	o = Order{Application: i.app.ID, External: e.Name, Exchange: sent.Header.TransactionID, Request: message, State: OrderSent, At: now, Changed: now}
	added := false
	err = a.Store.Update(ctx, func(w W) (err error) {
		if added, err = w.AddOrder(o); err != nil || !added {
			return err
		}
		return w.Record(audit.Entry{
			At: now, Actor: i.by, Action: "external.order", Object: audit.Object{Kind: "application", ID: i.app.ID},
			Public: map[string]string{"external": e.Name, "message_sm3": hexSM3(message)},
		})
	})
	if err == nil && !added { // another node was faster; its message counts
		err = look()
	}
	return o, err
}

// onBehalf names the holder and the facts of an application where the other side takes them from the message, as the pairs of
// RFC 4211: a request of PKCS#10, which proves possession of the holder's key, has no place for them.
func (e External) onBehalf(app Application) ([]cmp.Info, error) {
	if e.Dialect != DialectHufu {
		return nil, nil
	}
	pairs := make(map[string]string, len(app.Facts)+2)
	maps.Copy(pairs, app.Facts)
	pairs["holder"] = app.Holder
	delete(pairs, "organization")
	if app.Organization != "" {
		pairs["organization"] = app.Organization
	}
	value, err := certs.MarshalPairs(pairs)
	return []cmp.Info{{Type: certs.OIDRegInfoPairs, Value: value}}, err
}

// orderFailed keeps why an order did not succeed, and ends it where the other side has refused, or gave what nobody asked for.
func (a *Authority) orderFailed(ctx context.Context, o Order, why error) error {
	if errors.Is(why, ErrWaits) {
		return why // it stands as it should
	}
	o.Failure, o.Changed = shortError(why), a.Now().UTC()
	if errors.Is(why, ErrExternalRefused) || errors.Is(why, ErrExternalUnfit) {
		o.State = OrderRefused
	}
	err := a.Store.Update(ctx, func(w W) error {
		_, err := w.ChangeOrder(o, o.Request)
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
		done, err := w.ChangeOrder(o, o.Request)
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
	return a.endOutside(ctx, e, cert, revoked.Reason)
}

// endOutside asks the external authority to revoke a certificate of its own.
func (a *Authority) endOutside(ctx context.Context, e External, cert *certs.Certificate, reason certs.Reason) error {
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
		Template: template, Extensions: []certs.Extension{{ID: certs.OIDReasonCode, Value: []byte{10, 1, byte(reason)}}},
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
