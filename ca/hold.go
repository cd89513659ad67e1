package ca

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hufu/certs"
	"hufu/internal/actor"
)

// suspenders are the officers who may suspend: at the counter and on the telephone, quickly. Only enders let a certificate be
// used again.
var suspenders = []actor.Role{actor.RoleRegistrar, actor.RoleApprover, actor.RoleBusinessAdmin}

// Suspend puts a certificate on hold (reason certificateHold) until it is resumed or revoked, or until a time, zero for none,
// when it resumes by itself. The holder may, who represents the entity that holds it, and officers. On a certificate that is
// held already an officer puts an officer's hold with a new end, and a holder is told ErrHeld. Officers' suspensions count with what
// they revoke: more than may be done alone within an hour is ErrSecondOfficer.
func (a *Authority) Suspend(ctx context.Context, by actor.Actor, serial []byte, until time.Time) error {
	if err := a.standing(ctx, by); err != nil {
		return err
	}
	var issuer string
	err := a.Store.Update(ctx, func(w W) error {
		c, err := w.CertificateBySerial(serial)
		if err != nil {
			return err
		}
		if err := a.mayEnd(by, c, suspenders...); err != nil {
			return err
		}
		if a.isAuthority(c) {
			return ErrHold.With("certificate %x is an authority's, which is revoked or it is not", serial)
		}
		now := a.Now().UTC()
		held := Revocation{
			Serial: c.Serial, Issuer: c.Issuer, Shard: c.Shard, At: now, Reason: certs.ReasonCertificateHold, NotAfter: c.NotAfter,
			HoldUntil: until.UTC().Truncate(time.Microsecond), HeldBy: HeldByOfficer,
		}
		if until.IsZero() {
			held.HoldUntil = time.Time{}
		}
		if a.holds(by, c) {
			held.HeldBy = HeldByHolder
		}
		if err := a.checkHold(c, held, now); err != nil {
			return err
		}
		issuer = c.Issuer
		if err := a.hold(w, by, held); err != nil {
			return err
		}
		return a.takeAlone(w, by, 1, suspenders)
	})
	if err == nil {
		a.statusChanged(issuer, serial)
	}
	return err
}

func (a *Authority) checkHold(c Record, held Revocation, now time.Time) error {
	if !c.NotAfter.After(now) {
		return ErrEnded.With("certificate %x ended %s", c.Serial, c.NotAfter.Format(time.RFC3339))
	}
	if !held.HoldUntil.IsZero() && (!held.HoldUntil.After(now) || !held.HoldUntil.Before(c.NotAfter)) {
		return ErrHold.With("until %s, the certificate ends %s", held.HoldUntil.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339))
	}
	p := a.profile(c.Profile)
	if p == nil || p.Life.HoldDays == 0 || held.HeldBy == HeldByOfficer {
		return nil
	}
	if longest := now.AddDate(0, 0, p.Life.HoldDays); held.HoldUntil.IsZero() || held.HoldUntil.After(longest) {
		return ErrHold.With("until %s, profile %q lets holders suspend for %d days", held.HoldUntil.Format(time.RFC3339), p.Name, p.Life.HoldDays)
	}
	return nil
}

func (a *Authority) hold(w W, by actor.Actor, held Revocation) error {
	now := held.At
	before, err := w.Revocation(held.Issuer, held.Serial)
	if err != nil && !isUnknown(err) {
		return err
	}
	var done bool
	switch {
	case err != nil:
		done, err = w.AddRevocation(held)
	case !before.Held():
		return ErrRevoked.With("certificate %x", held.Serial)
	case held.HeldBy == HeldByHolder:
		return ErrHeld.With("certificate %x", held.Serial)
	default:
		held.At = before.At
		done, err = w.ReplaceRevocation(before, held)
	}
	if err == nil && !done {
		err = ErrHeld.With("certificate %x was suspended or revoked by another call meanwhile", held.Serial)
	}
	if err != nil {
		return err
	}
	return a.noteStatus(w, by, ActSuspend, held, now)
}

// Resume lets a suspended certificate be used again. Officers may; the holder may who suspended it, where the profile
// allows that.
func (a *Authority) Resume(ctx context.Context, by actor.Actor, serial []byte) error {
	if err := a.standing(ctx, by); err != nil {
		return err
	}
	var issuer string
	err := a.Store.Update(ctx, func(w W) error {
		c, err := w.CertificateBySerial(serial)
		if err != nil {
			return err
		}
		if err := a.mayEnd(by, c, enders...); err != nil {
			return err
		}
		held, err := w.Revocation(c.Issuer, serial)
		if isUnknown(err) {
			return ErrNotHeld.With("certificate %x", serial)
		}
		if err != nil {
			return err
		}
		if err := a.mayResume(by, c, held); err != nil {
			return err
		}
		issuer = c.Issuer
		return a.resume(w, by, held)
	})
	if err == nil {
		a.statusChanged(issuer, serial)
	}
	return err
}

func (a *Authority) mayResume(by actor.Actor, c Record, held Revocation) error {
	switch {
	case !held.Held():
		return ErrRevoked.With("certificate %x", c.Serial)
	case !c.NotAfter.After(a.Now()):
		return ErrEnded.With("certificate %x ended %s", c.Serial, c.NotAfter.Format(time.RFC3339))
	case by.Capacity == actor.System || by.Require(enders...) == nil && !a.holds(by, c):
		return nil
	}
	p := a.profile(c.Profile)
	if held.HeldBy != HeldByHolder || p == nil || !p.Life.HolderResumes {
		return ErrMayNotResume.With("%s for certificate %x, suspended by %s", by, c.Serial, held.HeldBy)
	}
	return nil
}

func (a *Authority) resume(w W, by actor.Actor, held Revocation) error {
	done, err := w.LiftHold(held)
	if err == nil && !done {
		err = ErrNotHeld.With("the status of %x was changed by another call meanwhile", held.Serial)
	}
	if err != nil {
		return err
	}
	return a.noteStatus(w, by, ActResume, held, a.Now().UTC())
}

// ResumeDue resumes the certificates whose suspension has come to the end that was set for it, and tells how many. It is run
// each minute; run again after a crash it goes on with what is left.
func (a *Authority) ResumeDue(ctx context.Context) (resumed int, err error) {
	by := actor.ForSystem("hold-over")
	for {
		var due []Revocation
		if err := a.Store.View(ctx, func(r R) (err error) {
			due, err = r.HoldsUntil(a.Now(), 100)
			return err
		}); err != nil {
			return resumed, fmt.Errorf("find suspensions that are over: %w", err)
		}
		done := 0
		for _, held := range due {
			err := a.Store.Update(ctx, func(w W) error { return a.resume(w, by, held) })
			if err == nil {
				a.statusChanged(held.Issuer, held.Serial)
				done++
			} else if !errors.Is(err, ErrNotHeld) { // resumed, prolonged or revoked meanwhile
				return resumed, fmt.Errorf("resume %x: %w", held.Serial, err)
			}
		}
		resumed += done
		if len(due) < 100 || done == 0 {
			return resumed, nil
		}
	}
}
