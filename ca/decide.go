package ca

import (
	"context"

	"hufu/audit"
	"hufu/internal/actor"
)

// Decide approves or rejects a submitted application. The checker holds RoleApprover and is neither the maker nor the
// holder; where the profile asks for two officers, the first approval is kept and the second decides. A rejection needs a reason.
func (a *Authority) Decide(ctx context.Context, by actor.Actor, id string, approve bool, reason string) (Application, error) {
	if err := by.Require(actor.RoleApprover); err != nil {
		return Application{}, err
	}
	if !approve && reason == "" {
		return Application{}, ErrReason.With("a rejection needs a reason")
	}
	var app Application
	err := a.Store.Update(ctx, func(w W) (err error) {
		if app, err = w.Application(id); err != nil {
			return err
		}
		if app.State != Submitted {
			return ErrState.With("application %s is %s", id, app.State)
		}
		if err := actor.Checker(app.Maker, by); err != nil {
			return err
		}
		if by.Subject != "" && by.Subject == app.Holder {
			return actor.ErrSameActor.With("%s decides on its own application %s", by, id)
		}
		action, now := "application.reject", a.Now().UTC()
		state := Rejected
		if approve {
			app.Checkers = append(app.Checkers, by)
			action, state = "application.approve", Submitted
			if by.Capacity == actor.System || (actor.Quorum{K: a.officers(app)}).Met(app.Checkers) {
				state = Approved
			}
		}
		app.State, app.Reason, app.DecidedAt = state, reason, now
		done, err := w.ChangeApplication(app, Submitted)
		if err == nil && !done {
			err = ErrState.With("application %s was decided by another officer meanwhile", id)
		}
		if err != nil {
			return err
		}
		return w.Record(audit.Entry{
			At: now, Actor: by, Action: action, Object: audit.Object{Kind: "application", ID: id},
			Public: map[string]string{"profile": app.Profile, "state": string(state)},
		})
	})
	return app, err
}

func (a *Authority) officers(app Application) int {
	if p := a.profileVersion(app.Profile, app.ProfileVersion); p != nil && p.Approval.Officers > 0 {
		return p.Approval.Officers
	}
	return 1
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
	if by.Require(actor.RoleRegistrar, actor.RoleApprover) != nil && app.Maker.Subject != by.Subject &&
		app.Holder != by.Subject && (app.Holder != by.For || by.For == "") {
		return Application{}, ErrUnknown.With("%s may not see application %s", by, id) // nor learn that it exists
	}
	return app, nil
}

// Applications lists applications for officers, newest first, at most 100.
func (a *Authority) Applications(ctx context.Context, by actor.Actor, f ApplicationFilter) (apps []Application, err error) {
	if err := by.Require(actor.RoleRegistrar, actor.RoleApprover); err != nil {
		return nil, err
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
