package licence

import (
	"context"
	"unicode/utf8"

	"hufu/internal/actor"
)

// Suspend (暂扣, 挂起) stops a licence until Resume. Officers of the issuer may, as with all changes of state.
func (s *Service) Suspend(ctx context.Context, by actor.Actor, id, reason string) error {
	return s.move(ctx, by, id, Suspended, reason, "licence.suspend", Active)
}

// Resume puts a suspended licence in force again.
func (s *Service) Resume(ctx context.Context, by actor.Actor, id, reason string) error {
	return s.move(ctx, by, id, Active, reason, "licence.resume", Suspended)
}

// Cancel (注销) ends a licence because its reason has gone: the holder asked for it, closed down or died.
func (s *Service) Cancel(ctx context.Context, by actor.Actor, id, reason string) error {
	return s.move(ctx, by, id, Cancelled, reason, "licence.cancel", Active, Suspended)
}

// Revoke (吊销) ends a licence as a penalty.
func (s *Service) Revoke(ctx context.Context, by actor.Actor, id, reason string) error {
	return s.move(ctx, by, id, Revoked, reason, "licence.revoke", Active, Suspended)
}

// Withdraw (撤销) ends a licence that should never have been issued.
func (s *Service) Withdraw(ctx context.Context, by actor.Actor, id, reason string) error {
	return s.move(ctx, by, id, Withdrawn, reason, "licence.withdraw", Active, Suspended)
}

func (s *Service) move(ctx context.Context, by actor.Actor, id string, to State, reason, action string, from ...State) error {
	if n := utf8.RuneCountInString(reason); n < 1 || n > 200 || !utf8.ValidString(reason) {
		return ErrReason.With("%d characters", n)
	}
	if err := inOffice(by); err != nil {
		return err
	}
	return s.Store.Update(ctx, func(w W) error {
		l, err := w.Licence(id)
		if err != nil {
			return err
		}
		if !issues(by, &l) {
			return ErrUnknown.With("%s may not change licence %s", by, id)
		}
		now := s.Now().UTC()
		if state := l.StateAt(now); to != Withdrawn && state == Expired {
			return ErrState.With("licence %s has expired", id)
		}
		done, err := w.Move(id, to, reason, now, from...)
		if err == nil && !done {
			err = ErrState.With("licence %s is %s", id, l.State)
		}
		if err != nil {
			return err
		}
		return w.Record(about(s.entry(by, action, &l, map[string]string{"type": l.Type}), &l, map[string]string{"reason": reason}))
	})
}

// Statuses lists the state of every licence that was made, for the trust bundle. A void draft is told as withdrawn: had it
// been sealed before it was given up, nobody may take the document for good.
func (s *Service) Statuses(ctx context.Context) (out []Status, err error) {
	const page = 1000
	now := s.Now()
	for after := ""; ; {
		var part []Licence
		if err := s.Store.View(ctx, func(r R) error {
			part, err = r.States(after, page)
			return err
		}); err != nil {
			return nil, err
		}
		for i := range part {
			l := &part[i]
			st := Status{ID: l.ID, State: l.StateAt(now), Since: l.ChangedAt, ReplacedBy: l.ReplacedBy}
			switch st.State {
			case Void:
				st.State = Withdrawn
			case Expired:
				st.Since = l.Until
			}
			out, after = append(out, st), l.ID
		}
		if len(part) < page {
			return out, nil
		}
	}
}
