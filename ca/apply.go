package ca

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"time"

	"hufu/audit"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// Request is what a maker asks for.
type Request struct {
	Profile      string
	Holder       string            // subject id; a name for services
	Organization string            // for officials: where they serve
	Facts        map[string]string // the profile's fields
	CSR          []byte            // PKCS#10, DER or PEM
	Key          string            // idempotency key; the same maker and key give the same application
	Act          Act               // what it is for; only the program's own calls set it
	Replaces     string            // serial of the certificate to replace, hexadecimal
	Authorised   string            // serial of the certificate whose key signed for this, hexadecimal; only the program's own calls set it
	Draft        bool              // to be kept, and submitted later

	batch   string   // id of the batch that it comes in
	renewal *renewal // what Renew found out; nil for a first certificate
}

// Words in a profile's apply list that are no roles.
const (
	ApplyForHolder = "holder" // holders apply for themselves
	ApplyBySystem  = "system" // the program alone, for keys that it made itself; no person, in whatever role
)

// Apply takes a request in. The proof of possession is checked, the key must not serve anyone or anything else, and the
// maker must be one whom the profile allows. Where the profile approves automatically, the application comes back Approved.
// A draft is kept without these checks, but for who may apply; Submit makes them.
func (a *Authority) Apply(ctx context.Context, by actor.Actor, q Request) (Application, error) {
	return a.enter(ctx, by, q, nil)
}

// enter is Apply. then, if not nil, runs in the transaction that stores the application.
func (a *Authority) enter(ctx context.Context, by actor.Actor, q Request, then func(W, Application) error) (Application, error) {
	p, err := a.offered(by, q)
	if err != nil {
		return Application{}, err
	}
	if q.Key != "" {
		if known, err := a.byKey(ctx, by, q.Key); err == nil || !errors.Is(err, ErrUnknown) {
			return known, err
		}
	}
	app := a.newApplication(by, q)
	if q.Draft {
		app.Steps[0].Act = "draft"
		err = app.sketch(p, q)
	} else {
		err = a.complete(ctx, by, &app, q, nil)
	}
	if err != nil {
		return Application{}, err
	}
	err = a.Store.Update(ctx, func(w W) error {
		if err := roomFor(w, by, app); err != nil {
			return err
		}
		if !q.Draft {
			if err := keyFree(w, p, app); err != nil {
				return err
			}
		}
		if err := w.AddApplication(app); err != nil {
			return err
		}
		if then != nil {
			if err := then(w, app); err != nil {
				return err
			}
		}
		return record(w, by, "application."+app.Steps[0].Act, app, app.At)
	})
	if err != nil {
		return Application{}, fmt.Errorf("apply for %q: %w", p.Name, err)
	}
	return app, nil
}

// maxOpen is how many applications somebody without duties may have open, each of which may have MaxKept octets of evidence.
const maxOpen = 200

// roomFor refuses one more open application of somebody who has too many. Those who enter them for others have no such bound.
func roomFor(r R, by actor.Actor, app Application) error {
	if app.State == Approved || by.Capacity == actor.System || by.Is(actor.RoleRegistrar) || by.Is(actor.RoleCertificateUser) {
		return nil
	}
	n, err := r.OpenApplications(by.String(), maxOpen)
	if err == nil && n >= maxOpen {
		err = ErrOpen.With("%s has %d open applications", by, n)
	}
	return err
}

// newApplication is an application to be submitted, before anything of the request was looked at.
func (a *Authority) newApplication(by actor.Actor, q Request) Application {
	now := a.Now().UTC()
	return Application{
		ID: rand.Text(), Act: q.Act, Replaces: q.Replaces, Authorised: q.Authorised, Maker: by, Batch: q.batch, Key: q.Key, At: now, Steps: []Step{step("submit", by, now, "")},
	}
}

// offered returns the profile that a request names, if the actor may apply under it for that holder.
func (a *Authority) offered(by actor.Actor, q Request) (*Profile, error) {
	p := a.profile(q.Profile)
	if p == nil || p.KeyFrom == "kmc" {
		return nil, ErrProfile.With("profile %q", q.Profile)
	}
	return p, mayApply(by, p, q)
}

// complete checks a request in full and puts it into the application, which is Submitted then, or Approved where the profile
// needs no officer and all its evidence is there.
func (a *Authority) complete(ctx context.Context, by actor.Actor, app *Application, q Request, evidence []Evidence) error {
	_, err := a.completed(ctx, by, app, q, evidence)
	return err
}

// completed is complete; it returns what the certificate would be, if it were made now.
func (a *Authority) completed(ctx context.Context, by actor.Actor, app *Application, q Request, evidence []Evidence) (*prepared, error) {
	p := a.profile(q.Profile)
	request, spki, err := a.checkRequest(p, q)
	if err == nil {
		err = p.checkFacts(by, q)
	}
	if err != nil {
		return nil, err
	}
	app.Profile, app.ProfileVersion, app.Holder, app.Organization, app.Facts = p.Name, p.Version, q.Holder, q.Organization, q.Facts
	app.Request, app.SPKI, app.State = request.Raw, spki, Submitted
	holder, err := a.holder(ctx, p, *app)
	if err != nil {
		return nil, err
	}
	if automatic(by, p, q, holder) && (q.renewal.vouched() || len(lacking(p, evidence)) == 0) {
		app.State, app.DecidedAt = Approved, a.Now().UTC()
	}
	parent, _ := a.newestIssuer(p.Issuer)
	if parent == nil && externalName(p) == "" {
		return nil, ErrNoIssuer.With("issuer %q of profile %q", p.Issuer, p.Name)
	}
	prepared, err := a.prepare(draftOf(p, request, holder, *app), parent)
	if err == nil {
		err = a.replaces(ctx, *app, prepared)
	}
	if err == nil && p.keepsNames() {
		err = a.Store.View(ctx, func(r R) error { return nameFree(r, prepared) })
	}
	return prepared, err // what could not be issued is refused now, not after the approval
}

// step is one that was taken now.
func step(act string, by actor.Actor, at time.Time, remark string) Step {
	return Step{Act: act, By: by.String(), At: at, Remark: remark}
}

// record is the audit entry of what was done to an application.
func record(w W, by actor.Actor, action string, app Application, at time.Time) error {
	return w.Record(audit.Entry{
		At: at, Actor: by, Action: action, Object: audit.Object{Kind: "application", ID: app.ID},
		Public: map[string]string{"profile": app.Profile, "state": string(app.State)},
	})
}

// automatic tells whether an application needs no officer: where the profile asks for none, or for a well-known holder who
// applies in person. An officer who applies for somebody brings the key along, so another one has to look.
func automatic(by actor.Actor, p *Profile, q Request, holder Holder) bool {
	if p.Approval.Officers == 0 || q.renewal.vouched() {
		return true
	}
	return p.Approval.LevelFree > 0 && holder.Level >= p.Approval.LevelFree && isHolder(by, p.Holder, q.Holder, q.Organization)
}

// mayApply decides whether the actor may apply under the profile: as the holder, or in one of the roles it lists.
func mayApply(by actor.Actor, p *Profile, q Request) error {
	if err := by.Known(); err != nil {
		return err
	}
	if by.Capacity == actor.System || q.renewal != nil {
		return nil
	}
	for _, who := range p.Apply {
		switch who {
		case ApplyBySystem:
		case ApplyForHolder:
			if isHolder(by, p.Holder, q.Holder, q.Organization) {
				return nil
			}
		default:
			if by.Is(actor.Role(who)) {
				return nil
			}
		}
	}
	return ErrNotHolder.With("%s for holder %s, profile %q allows %v", by, q.Holder, p.Name, p.Apply)
}

// isHolder tells whether the actor is the holder, or acts for it, in the capacity that the kind of holder asks for.
func isHolder(by actor.Actor, kind HolderKind, holder, organization string) bool {
	switch kind {
	case HolderPerson:
		return by.Capacity == actor.Person && by.Subject == holder
	case HolderEntity:
		return by.Capacity == actor.Entity && by.For == holder
	case HolderOfficial:
		return by.Capacity == actor.Official && by.Subject == holder && by.For == organization
	default:
		return false
	}
}

func (a *Authority) byKey(ctx context.Context, by actor.Actor, key string) (app Application, err error) {
	err = a.Store.View(ctx, func(r R) error {
		app, err = r.ApplicationByKey(by.String(), key)
		return err
	})
	return app, err
}

// checkRequest parses the request, which proves possession of the key, and holds it against the profile.
func (a *Authority) checkRequest(p *Profile, q Request) (*certs.Request, []byte, error) {
	der, err := requestDER(q.CSR)
	if err != nil {
		return nil, nil, err
	}
	request, err := certs.ParseRequest(der)
	if err != nil {
		return nil, nil, ErrRequest.With("%w", err)
	}
	if kind := keyKind(request.PublicKey); !slices.Contains(p.Keys, kind) {
		return nil, nil, ErrKeyKind.With("profile %q takes %v, the request has %q", p.Name, p.Keys, kind)
	}
	if _, err := temporaryKey(request); err != nil {
		return nil, nil, err
	}
	spki := gm.SM3(request.RawSPKI)
	return request, spki[:], nil
}

func keyKind(pub crypto.PublicKey) string {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		if gm.IsSM2(k) {
			return "sm2"
		}
		if k.Curve.Params().Name == "P-256" {
			return "p256"
		}
	case *rsa.PublicKey:
		return "rsa"
	}
	return "unknown"
}

// keyFree refuses a key that was reported as lost, belongs to another holder, or serves another use. Reserving claims
// the key; this look beforehand only spares the maker a wait.
func keyFree(r R, p *Profile, app Application) error {
	request, err := certs.ParseRequest(app.Request)
	if err != nil {
		return err
	}
	return keyFreeFor(r, p, app, request.RawSPKI)
}

// keyFreeFor is keyFree for whoever has parsed the request.
func keyFreeFor(r R, p *Profile, app Application, spki []byte) error {
	owner, err := keyState(r, spki)
	if err == nil && owner != nil && (!owner.Blocked.IsZero() || owner.Holder != app.Holder || owner.Use != p.use()) {
		err = ErrKeyUsed.With("key %x is bound to %+v", app.SPKI, *owner)
	}
	return err
}

// reservationLife is how long an issuance may take from reservation to result before Recover counts it as dead.
const reservationLife = 10 * time.Minute
