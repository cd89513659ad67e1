package ca

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"hufu/internal/actor"
)

// Verdict is what an officer says of a submitted application.
type Verdict string

// Verdicts. Return sends an application back for correction: it is a draft again.
const (
	Approve Verdict = "approve"
	Reject  Verdict = "reject"
	Return  Verdict = "return"
)

// Decision is a verdict with its reason, which all but Approve need.
type Decision struct {
	Verdict  Verdict
	Reason   string
	Revision int64 // of the application that the officer looked at; 0 leaves that open
}

// Decide approves or rejects a submitted application; see Judge.
func (a *Authority) Decide(ctx context.Context, by actor.Actor, id string, approve bool, reason string) (Application, error) {
	d := Decision{Verdict: Reject, Reason: reason}
	if approve {
		d.Verdict = Approve
	}
	return a.Judge(ctx, by, id, d)
}

// Judge decides on a submitted application. The checker holds RoleApprover and is neither the maker nor one who added
// evidence, neither the holder nor one who represents it. Where the profile asks for two officers, the first approval is kept
// and the second decides. An approval needs the evidence that the profile names.
func (a *Authority) Judge(ctx context.Context, by actor.Actor, id string, d Decision) (Application, error) {
	if err := mayJudge(by, d); err != nil {
		return Application{}, err
	}
	app, err := a.Application(ctx, by, id)
	if err != nil {
		return Application{}, err
	}
	if err := a.notForHolder(ctx, by, app.Holder); err != nil {
		return Application{}, err
	}
	err = a.Store.Update(ctx, func(w W) (err error) {
		app, err = a.judge(w, by, id, d)
		return err
	})
	if err != nil {
		return Application{}, err
	}
	return app, nil
}

func mayJudge(by actor.Actor, d Decision) error {
	if err := by.Require(actor.RoleApprover); err != nil {
		return err
	}
	switch d.Verdict {
	case Approve:
		return nil
	case Reject, Return:
		if strings.TrimSpace(d.Reason) == "" {
			return ErrReason.With("to %s needs a reason", d.Verdict)
		}
		return nil
	default:
		return ErrReason.With("verdict %q", d.Verdict)
	}
}

// notForHolder refuses an officer who is the holder, or may act for the holder when not in office.
func (a *Authority) notForHolder(ctx context.Context, by actor.Actor, holder string) error {
	if by.Capacity == actor.System {
		return nil
	}
	own := by.Subject == holder || by.Capacity == actor.Entity && by.For == holder
	if !own && a.Directory != nil && by.Subject != "" {
		var err error
		if own, err = a.Directory.Represents(ctx, by.Subject, holder); err != nil {
			return fmt.Errorf("ask whom %s represents: %w", by, err)
		}
	}
	if own {
		return actor.ErrSameActor.With("%s would decide for holder %s, which is %s's own", by, holder, by)
	}
	return nil
}

// judge is Judge inside a transaction, once notForHolder has been asked.
func (a *Authority) judge(w W, by actor.Actor, id string, d Decision) (Application, error) {
	app, err := w.Application(id)
	if err != nil {
		return app, err
	}
	if app.State != Submitted || d.Revision != 0 && d.Revision != app.Revision {
		return app, ErrState.With("application %s is %s, revision %d", id, app.State, app.Revision)
	}
	evidence, err := w.EvidenceOf(id)
	if err != nil {
		return app, err
	}
	if err := foreign(by, app, evidence); err != nil {
		return app, err
	}
	now := a.Now().UTC()
	app.note(step(string(d.Verdict), by, now, d.Reason))
	switch d.Verdict {
	case Approve:
		if err := a.approve(&app, by, evidence); err != nil {
			return app, err
		}
	case Reject:
		app.State = Rejected
	case Return:
		app.State, app.Checkers = Draft, nil
	}
	app.Reason, app.DecidedAt = d.Reason, now
	if err := changed(w.ChangeApplication(app, Submitted)); err != nil {
		return app, err
	}
	app.Revision++
	if app.Batch != "" && app.State == Approved {
		if err := w.Enqueue(JobBatch, app.Batch, nil, now); err != nil {
			return app, err
		}
	}
	return app, record(w, by, "application."+string(d.Verdict), app, now)
}

// foreign refuses a checker who had a hand in the application: the maker, and whoever added evidence.
func foreign(by actor.Actor, app Application, evidence []Evidence) error {
	if err := actor.Checker(app.Maker, by); err != nil {
		return err
	}
	for _, e := range evidence {
		_, subject, _ := strings.Cut(e.By, ":")
		if subject == by.Subject && by.Subject != "" {
			return actor.ErrSameActor.With("%s added evidence to application %s", by, app.ID)
		}
	}
	return nil
}

// approve counts an approval. The evidence must be complete; an officer counts once.
func (a *Authority) approve(app *Application, by actor.Actor, evidence []Evidence) error {
	p := a.profileVersion(app.Profile, app.ProfileVersion)
	if p == nil {
		return ErrProfile.With("version %d of profile %q was withdrawn", app.ProfileVersion, app.Profile)
	}
	if missing := lacking(p, evidence); len(missing) > 0 {
		return ErrEvidence.With("application %s lacks %s", app.ID, strings.Join(missing, ", "))
	}
	if slices.ContainsFunc(app.Checkers, func(c actor.Actor) bool { return c.Subject == by.Subject }) && by.Capacity != actor.System {
		return ErrApprovedBefore.With("%s approved application %s before", by, app.ID)
	}
	app.Checkers = append(slices.Clip(app.Checkers), by)
	if by.Capacity == actor.System || (actor.Quorum{K: max(1, p.Approval.Officers)}).Met(app.Checkers) {
		app.State = Approved
	}
	return nil
}

// lacking lists the kinds of evidence that a profile requires and that are not there.
func lacking(p *Profile, evidence []Evidence) (missing []string) {
	for _, kind := range p.Evidence {
		if !slices.ContainsFunc(evidence, func(e Evidence) bool { return e.Kind == kind }) {
			missing = append(missing, kind)
		}
	}
	return missing
}

// Application returns one application to its maker, to the holder, or to an officer of the registration authority.
func (a *Authority) Application(ctx context.Context, by actor.Actor, id string) (app Application, err error) {
	if err := by.Known(); err != nil {
		return app, err
	}
	err = a.Store.View(ctx, func(r R) error {
		app, err = r.Application(id)
		return err
	})
	if err != nil {
		return Application{}, err
	}
	if by.Require(officers...) != nil && app.Maker.Subject != by.Subject &&
		app.Holder != by.Subject && (app.Holder != by.For || by.For == "") {
		return Application{}, ErrUnknown.With("%s may not see application %s", by, id) // nor learn that it exists
	}
	return app, nil
}

// officers are the roles of the registration authority.
var officers = []actor.Role{actor.RoleRegistrar, actor.RoleApprover}

// Applications lists applications, newest first, at most 100: to officers; to others their own, as maker or as holder.
func (a *Authority) Applications(ctx context.Context, by actor.Actor, f ApplicationFilter) (apps []Application, err error) {
	if err := by.Known(); err != nil {
		return nil, err
	}
	if err := by.Require(officers...); err != nil {
		own := f.Maker == by.String() || f.Holder != "" && (f.Holder == by.Subject || f.Holder == by.For)
		if !own {
			return nil, err
		}
	}
	if f.Limit <= 0 || f.Limit > 100 {
		f.Limit = 100
	}
	err = a.Store.View(ctx, func(r R) error {
		apps, err = r.Applications(f)
		return err
	})
	return apps, err
}

// lastSubmitted is when an application was handed in as it stands.
func (app *Application) lastSubmitted() time.Time {
	for _, s := range slices.Backward(app.Steps) {
		if s.Act == "submit" {
			return s.At
		}
	}
	return app.At
}
