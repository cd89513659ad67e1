package ca

import (
	"context"
	"errors"
	"fmt"

	"hufu/audit"
	"hufu/certs"
	"hufu/internal/actor"
)

// Enrolment is what Certify came to.
type Enrolment struct {
	Application  Application
	Certificates []*certs.Certificate // the holder's own first; none while the application waits for officers
	Chain        []*certs.Certificate // of those who issued them, the root last
}

// Enrol is Apply and, where the application is approved at once, Issue: with two commits, which it shares with others who
// ask at the same time. Asked again under the same idempotency key it returns what was issued, or issues what was left.
func (a *Authority) Enrol(ctx context.Context, by actor.Actor, q Request) (Application, error) {
	e, err := a.Certify(ctx, by, q)
	return e.Application, err
}

// Certify is Enrol for whoever wants the certificates themselves.
func (a *Authority) Certify(ctx context.Context, by actor.Actor, q Request) (Enrolment, error) {
	p, err := a.offered(by, q)
	if err != nil {
		return Enrolment{}, err
	}
	ctx = audit.Foresee(ctx, by.Subject)
	if q.Draft {
		app, err := a.Apply(ctx, by, q)
		return Enrolment{Application: app}, err
	}
	if q.Key != "" {
		if known, err := a.byKey(ctx, by, q.Key); err == nil {
			return a.resumeEnrolment(ctx, by, known)
		} else if !errors.Is(err, ErrUnknown) {
			return Enrolment{}, err
		}
	}
	i := &issuance{by: by, app: a.newApplication(by, q)}
	err = a.certifyNew(ctx, p, i, q)
	if errors.Is(err, ErrState) && q.Key != "" { // somebody else has used the key meanwhile, perhaps
		if known, other := a.byKey(ctx, by, q.Key); other == nil {
			return a.resumeEnrolment(ctx, by, known)
		}
	}
	if err != nil {
		return Enrolment{}, fmt.Errorf("apply for %q: %w", p.Name, err)
	}
	return a.enrolment(i)
}

// certifyNew carries a new application as far as it goes by itself.
func (a *Authority) certifyNew(ctx context.Context, profile *Profile, i *issuance, q Request) error {
	p, err := a.flow.enter()
	if err != nil {
		return err
	}
	defer p.leave()
	ready, err := a.completed(ctx, i.by, &i.app, q, nil)
	if err != nil {
		return err
	}
	i.ask = func(w *together) error { return keyFreeFor(w, profile, i.app, ready.asked.RawSPKI) }
	if profile.Pair != "" { // before a pair of keys is taken from the centre
		i.ask = nil
		if err := a.Store.Look(ctx, func(r R) error { return keyFreeFor(r, profile, i.app, ready.asked.RawSPKI) }); err != nil {
			return err
		}
	} else {
		i.asked = []Foreseen{foreseen(ready.asked.RawSPKI)}
	}
	i.store = func(w *together) error {
		if err := roomFor(w, i.by, i.app); err != nil {
			return err
		}
		if err := w.AddApplication(i.app); err != nil {
			return err
		}
		return record(w, i.by, "application.submit", i.app, i.app.At)
	}
	if i.app.State != Approved {
		return p.reserve(foresee(ctx, i.asked...), piece{i.ask, i.store, i.app.stored})
	}
	if mine, err := a.flow.claim(ctx, i.app.ID); err != nil || !mine {
		return ErrState.With("application %s: %w", i.app.ID, err) // nobody else has heard of it
	}
	defer a.flow.release(i.app.ID)
	i.ready, i.parent = []*prepared{ready}, a.issuer(ready.issuer)
	if i.parent == nil {
		return ErrIssuer.With("issuer %q does not exist", ready.issuer)
	}
	if profile.Pair != "" {
		if err := a.addPair(ctx, i); err != nil {
			return err
		}
	}
	return a.carryOut(ctx, p, i)
}

// addPair prepares the encryption certificate along with the signing certificate.
func (a *Authority) addPair(ctx context.Context, i *issuance) error {
	encryption, envelope, err := a.pairDraft(ctx, i.by, i.ready[0].draft, i.app)
	if err != nil {
		return err
	}
	second, err := a.prepare(encryption, i.parent)
	i.ready, i.envelope = append(i.ready, second), envelope
	return err
}

func (a *Authority) enrolment(i *issuance) (Enrolment, error) {
	e := Enrolment{Application: i.app}
	for _, s := range i.made {
		e.Certificates = append(e.Certificates, s.cert)
	}
	if len(i.made) == 0 {
		return e, nil
	}
	var err error
	e.Chain, err = a.issuersOf(e.Certificates[0], i.parent.Name)
	return e, err
}

// resumeEnrolment is what asking again under an idempotency key comes to.
func (a *Authority) resumeEnrolment(ctx context.Context, by actor.Actor, app Application) (Enrolment, error) {
	e := Enrolment{Application: app}
	var err error
	if app.State == Approved {
		if e.Application, err = a.Issue(ctx, by, app.ID); err != nil {
			return Enrolment{}, err
		}
	}
	for _, serial := range e.Application.Certificates {
		chain, err := a.Chain(ctx, by, serial)
		if err != nil {
			return Enrolment{}, err
		}
		e.Certificates, e.Chain = append(e.Certificates, chain[0]), chain[1:]
	}
	return e, nil
}
