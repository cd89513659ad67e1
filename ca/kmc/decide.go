package kmc

import (
	"context"
	"fmt"
	"slices"
	"time"

	"hufu/internal/actor"
)

// Standing tells which officers may still act, by subject: those whose account, post and role are in force and
// have been since the time of their approval. Whoever is not in it does not count.
type Standing = map[string]bool

// Decide approves or rejects. Recovery officers decide; of a judicial recovery a super administrator or audit administrator
// approves besides, as its witness. Nobody decides on what he or she asked for, or on the own keys. One rejection ends it.
// officers is how many persons hold the role now.
func (d *Desk) Decide(ctx context.Context, by actor.Actor, id string, v Verdict) (Recovery, error) {
	if !v.Approve && v.Reason == "" || len(v.Reason) > 600 {
		return Recovery{}, ErrReason.With("recovery %s", id)
	}
	if v.Officers > d.c.Quorum.Officers {
		return Recovery{}, ErrOfficers.With("%d hold the role, %d may", v.Officers, d.c.Quorum.Officers)
	}
	r, err := d.change(ctx, id, func(r *Recovery, now time.Time) (string, error) {
		a, err := judge(by, *r)
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(r.Approvals, func(a Approval) bool { return a.Officer.Subject == by.Subject }) {
			if v.Approve {
				return "", nil // said already, as a lost answer makes one say again
			}
			return "", ErrState.With("%s has approved recovery %s", by, r.ID)
		}
		if r.State != Requested && r.State != Approved { // one more may approve in the place of an officer who does not count any more
			return "", ErrState.With("recovery %s is %s", r.ID, r.State)
		}
		if !v.Approve {
			r.State, r.Reason, r.Decided = Rejected, v.Reason, now
			return "reject", nil
		}
		a.At = now
		r.Approvals = append(r.Approvals, a)
		if r.State == Requested && d.c.met(*r, nil) {
			r.State, r.Decided = Approved, now
		}
		return "approve", nil
	}, by)
	return r.shown(), err
}

// Verdict is what an officer decides.
type Verdict struct {
	Approve  bool   `json:"approve"`
	Reason   string `json:"reason,omitempty"` // needed for a rejection
	Officers int    `json:"officers"`         // persons who hold the role now, as the authority's registry says
}

// judge refuses who may not decide on a recovery, and tells as what the others do.
func judge(by actor.Actor, r Recovery) (Approval, error) {
	if by.Capacity == actor.System || by.Subject == "" {
		return Approval{}, actor.ErrUnknown.With("recovery %s is decided by persons", r.ID)
	}
	if err := actor.Checker(r.Maker, by); err != nil {
		return Approval{}, err
	}
	if by.Subject == r.Subject || by.For == r.Subject {
		return Approval{}, actor.ErrSameActor.With("%s would decide on the own keys", by)
	}
	if by.Is(actor.RoleRecoveryOfficer) {
		return Approval{Officer: by}, nil
	}
	if r.Kind == Judicial && (by.Is(actor.RoleSuperAdmin) || by.Is(actor.RoleAuditAdmin)) {
		return Approval{Officer: by, Witness: true}, nil
	}
	return Approval{}, actor.ErrRole.With("%s decides on recovery %s", by, r.ID)
}

// met tells whether enough have approved: of the standing ones where standing is given.
func (c *Centre) met(r Recovery, standing Standing) bool {
	officers, witnesses := map[string]bool{}, map[string]bool{}
	for _, a := range r.Approvals {
		switch {
		case standing != nil && !standing[a.Officer.Subject]:
		case a.Witness:
			witnesses[a.Officer.Subject] = true
		default:
			officers[a.Officer.Subject] = true
		}
	}
	if r.Kind == Judicial {
		return len(officers) >= c.Quorum.Judicial && len(witnesses) >= 1
	}
	return len(officers) >= c.Quorum.Approvals
}

// Cancel ends a recovery that is not delivered: by whoever asked for it, or the holder whose key it would be.
func (d *Desk) Cancel(ctx context.Context, by actor.Actor, id string) (Recovery, error) {
	r, err := d.change(ctx, id, func(r *Recovery, now time.Time) (string, error) {
		if by.Subject == "" || by.Subject != r.Maker.Subject && (r.Kind == Judicial || !speaksFor(by, r.Subject)) {
			return "", ErrNotAllowed.With("%s cancels recovery %s", by, id)
		}
		switch r.State {
		case Cancelled:
			return "", nil
		case Requested, Approved:
			r.State, r.Decided = Cancelled, now
			return "cancel", nil
		}
		return "", ErrState.With("recovery %s is %s", id, r.State)
	}, by)
	return r.shown(), err
}

// changes bounds how often a change that met another one is tried anew.
const changes = 8

// change reads a recovery, changes it, and writes it unless it was changed meanwhile. f returns the step for the record, ""
// when nothing is to be written.
func (d *Desk) change(ctx context.Context, id string, f func(r *Recovery, now time.Time) (string, error), by actor.Actor) (Recovery, error) {
	if err := by.Known(); err != nil {
		return Recovery{}, err
	}
	for range changes {
		r, done, err := d.changeOnce(ctx, id, f, by)
		if err != nil {
			return Recovery{}, fmt.Errorf("recovery %s: %w", id, err)
		}
		if done {
			return r, nil
		}
	}
	return Recovery{}, ErrBusy.With("recovery %s", id)
}

func (d *Desk) changeOnce(ctx context.Context, id string, f func(*Recovery, time.Time) (string, error), by actor.Actor) (out Recovery, done bool, err error) {
	now := d.c.Now().UTC()
	err = d.c.Store.Update(ctx, func(w W) error {
		if err := servedIn(w, d.client); err != nil {
			return err
		}
		r, err := w.Recovery(d.client, id)
		if err == nil && !r.mayLook(by) {
			err = ErrUnknown.With("recovery %s for %s", id, by)
		}
		if err != nil {
			return err
		}
		if r = r.at(now); r.State == Expired {
			return ErrExpired.With("recovery %s", id)
		}
		step, err := f(&r, now)
		if err != nil {
			return err
		}
		out, done = r, true
		if step == "" {
			return nil
		}
		out.Version++
		if done, err = w.PutRecovery(out); err != nil || !done {
			return err
		}
		return w.Record(out.entry(by, step, now, nil))
	})
	return out, done, err
}
