package ca

import (
	"context"
	"fmt"
	"slices"

	"hufu/certs"
	"hufu/internal/actor"
)

// sketch puts a request into a draft as far as it is there. What is there of a certificate request must be one.
func (app *Application) sketch(p *Profile, q Request) error {
	der := []byte{}
	if len(q.CSR) > 0 {
		var err error
		if der, err = requestDER(q.CSR); err != nil {
			return err
		}
	}
	app.Profile, app.ProfileVersion, app.Holder, app.Organization, app.Facts = p.Name, p.Version, q.Holder, q.Organization, q.Facts
	app.Request, app.SPKI, app.State = der, []byte{}, Draft
	return nil
}

// requestDER returns a certificate request, given in DER or PEM, in DER. Its content is not looked at.
func requestDER(csr []byte) ([]byte, error) {
	if len(csr) == 0 || csr[0] != '-' {
		return csr, nil
	}
	der, err := certs.DecodePEM(csr, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
	if err != nil {
		return nil, ErrRequest.With("%w", err)
	}
	return der, nil
}

// asked is the request that an application holds.
func (app *Application) asked() Request {
	return Request{
		Profile: app.Profile, Holder: app.Holder, Organization: app.Organization, Facts: app.Facts, CSR: app.Request,
		Act: app.Act, Replaces: app.Replaces, batch: app.Batch,
	}
}

// Change puts another request into a draft. Only its maker may, and only for a holder for whom the maker may apply.
func (a *Authority) Change(ctx context.Context, by actor.Actor, id string, q Request) (Application, error) {
	p, err := a.offered(by, q)
	if err != nil {
		return Application{}, err
	}
	return a.rewrite(ctx, by, id, func(app *Application) error {
		app.note(step("change", by, a.Now().UTC(), ""))
		return app.sketch(p, q)
	})
}

// Submit hands a draft in: what Apply checks is checked now. Only its maker may.
func (a *Authority) Submit(ctx context.Context, by actor.Actor, id string) (Application, error) {
	evidence, err := a.Evidence(ctx, by, id)
	if err != nil {
		return Application{}, err
	}
	return a.rewrite(ctx, by, id, func(app *Application) error {
		q := app.asked()
		if _, err := a.offered(by, q); err != nil {
			return err
		}
		app.note(step("submit", by, a.Now().UTC(), ""))
		app.Checkers, app.Reason = nil, ""
		return a.complete(ctx, by, app, q, evidence)
	})
}

// note adds a step without touching the slice of whoever else holds it.
func (app *Application) note(s Step) { app.Steps = append(slices.Clip(app.Steps), s) }

// rewrite changes a draft for its maker. change works on a copy outside any transaction; the draft is written only if it is
// still as it was read.
func (a *Authority) rewrite(ctx context.Context, by actor.Actor, id string, change func(*Application) error) (Application, error) {
	app, err := a.Application(ctx, by, id)
	if err != nil {
		return Application{}, err
	}
	if err := app.madeBy(by); err != nil {
		return Application{}, err
	}
	if app.State != Draft {
		return Application{}, ErrState.With("application %s is %s, not a draft", id, app.State)
	}
	if err := change(&app); err != nil {
		return Application{}, err
	}
	err = a.Store.Update(ctx, func(w W) error {
		if p := a.profile(app.Profile); app.State != Draft && p != nil {
			if err := keyFree(w, p, app); err != nil {
				return err
			}
		}
		last := app.Steps[len(app.Steps)-1]
		if err := changed(w.ChangeApplication(app, Draft)); err != nil {
			return err
		}
		return record(w, by, "application."+last.Act, app, last.At)
	})
	if err != nil {
		return Application{}, fmt.Errorf("change application %s: %w", id, err)
	}
	app.Revision++
	return app, nil
}

// changed makes an error of a conditional change that did not find what it was made for.
func changed(done bool, err error) error {
	if err == nil && !done {
		err = ErrState.With("it was changed by another call meanwhile")
	}
	return err
}

// madeBy refuses whoever is not the maker. Persons are compared, not capacities.
func (app *Application) madeBy(by actor.Actor) error {
	if by.Capacity == actor.System || by.Subject != "" && by.Subject == app.Maker.Subject {
		return nil
	}
	return ErrNotMaker.With("%s is not the maker of application %s", by, app.ID)
}

// Withdraw takes a draft or a submitted application back, with a remark. The maker may, the holder, and who acts for it.
func (a *Authority) Withdraw(ctx context.Context, by actor.Actor, id, remark string) (Application, error) {
	app, err := a.Application(ctx, by, id)
	if err != nil {
		return Application{}, err
	}
	if err := a.ownedBy(by, app); err != nil {
		return Application{}, err
	}
	now := a.Now().UTC()
	err = a.Store.Update(ctx, func(w W) (err error) {
		if app, err = w.Application(id); err != nil {
			return err
		}
		if app.State != Draft && app.State != Submitted {
			return ErrState.With("application %s is %s", id, app.State)
		}
		from := app.State
		app.note(step("withdraw", by, now, remark))
		app.State = Withdrawn
		if err := changed(w.ChangeApplication(app, from)); err != nil {
			return err
		}
		return record(w, by, "application.withdraw", app, now)
	})
	if err != nil {
		return Application{}, fmt.Errorf("withdraw application %s: %w", id, err)
	}
	app.Revision++
	return app, nil
}

// ownedBy refuses whoever is neither the maker, nor the holder, nor one who acts for it.
func (a *Authority) ownedBy(by actor.Actor, app Application) error {
	if by.Capacity == actor.System || app.madeBy(by) == nil {
		return nil
	}
	p := a.profileVersion(app.Profile, app.ProfileVersion)
	if p == nil { // withdrawn; what was issued under it can still be fetched
		p = a.profile(app.Profile)
	}
	if p != nil && isHolder(by, p.Holder, app.Holder, app.Organization) {
		return nil
	}
	return ErrNotHolder.With("%s has no say in application %s", by, app.ID)
}

// Deliver hands out what was issued: the application with its serials and the envelope of the encryption key. The first time
// marks it Delivered; it can be fetched again. The holder may, who acts for it, and the maker, who has the key.
func (a *Authority) Deliver(ctx context.Context, by actor.Actor, id string) (Application, error) {
	app, err := a.Application(ctx, by, id)
	if err != nil {
		return Application{}, err
	}
	if err := a.ownedBy(by, app); err != nil {
		return Application{}, err
	}
	now := a.Now().UTC()
	err = a.Store.Update(ctx, func(w W) (err error) {
		if app, err = w.Application(id); err != nil || app.State == Delivered {
			return err
		}
		if app.State != Issued {
			return ErrState.With("application %s is %s", id, app.State)
		}
		app.State, app.DeliveredAt = Delivered, now
		if err := changed(w.ChangeApplication(app, Issued)); err != nil {
			return err
		}
		app.Revision++
		return record(w, by, "application.deliver", app, now)
	})
	if err != nil {
		return Application{}, fmt.Errorf("deliver application %s: %w", id, err)
	}
	return app, nil
}
