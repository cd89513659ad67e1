package identity

import (
	"context"
	"slices"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
)

// AddEvidence adds a piece of evidence about a subject, entered by a registrar or the system; never about oneself.
func (s *Service) AddEvidence(ctx context.Context, a actor.Actor, subject string, e Evidence) error {
	if err := a.Require(actor.RoleRegistrar); err != nil {
		return err
	}
	if err := notSelf(a, subject); err != nil {
		return err
	}
	now := s.now()
	return s.store.Update(ctx, func(w W) error {
		sub, err := open(w, subject)
		if err != nil {
			return err
		}
		kept, err := prepareEvidence(a, sub, []Evidence{e}, now)
		if err != nil {
			return err
		}
		if err := w.AddEvidence(kept[0]); err != nil {
			return err
		}
		return w.Record(audit.Entry{
			At: now, Actor: a, Action: "subject.evidence", Object: audit.Object{Kind: "subject", ID: subject},
			Public: map[string]string{"method": string(kept[0].Method), "level": levelText(kept[0].Level), "source": kept[0].Source},
		})
	})
}

// notSelf keeps officers from raising their own level or changing their own data.
func notSelf(a actor.Actor, subject string) error {
	if a.Capacity != actor.System && a.Subject == subject {
		return actor.ErrSameActor.With("%s changes its own subject", a)
	}
	return nil
}

// AddIdentifier puts a further identifier in force. ErrNumberTaken: it belongs to a living subject.
func (s *Service) AddIdentifier(ctx context.Context, a actor.Actor, subject string, id Identifier) error {
	return s.changeIdentifier(ctx, a, identifierChange{subject, id, "subject.add-identifier", W.AddIdentifier})
}

// EndIdentifier ends an identifier: a passport that was replaced, a number that was corrected.
func (s *Service) EndIdentifier(ctx context.Context, a actor.Actor, subject string, id Identifier) error {
	return s.changeIdentifier(ctx, a, identifierChange{subject, id, "subject.end-identifier", W.EndIdentifier})
}

// identifierChange is what happens to an identifier of a subject, and its name in the record.
type identifierChange struct {
	subject string
	id      Identifier
	action  string
	do      func(W, string, Identifier, time.Time) error
}

func (s *Service) changeIdentifier(ctx context.Context, a actor.Actor, c identifierChange) error {
	if err := a.Require(actor.RoleRegistrar); err != nil {
		return err
	}
	if err := notSelf(a, c.subject); err != nil {
		return err
	}
	now := s.now()
	return s.store.Update(ctx, func(w W) error {
		sub, err := open(w, c.subject)
		if err != nil {
			return err
		}
		checked, err := checkIdentifierAt(sub.Kind, c.id, now)
		if err != nil {
			return err
		}
		if err := c.do(w, c.subject, checked, now); err != nil {
			return err
		}
		return w.Record(audit.Entry{
			At: now, Actor: a, Action: c.action, Object: audit.Object{Kind: "subject", ID: c.subject},
			Public:  map[string]string{"type": string(checked.Type), "country": checked.Country},
			Subject: c.subject, Personal: map[string]string{"number": checked.Number.Reveal()},
		})
	})
}

// SetContact changes name and phone; an empty phone takes it away. A registrar or the system does it.
func (s *Service) SetContact(ctx context.Context, a actor.Actor, subject, name, phone string) error {
	if err := a.Require(actor.RoleRegistrar); err != nil {
		return err
	}
	if err := notSelf(a, subject); err != nil {
		return err
	}
	name, err := cleanName(name)
	if err != nil {
		return err
	}
	var number Number
	if phone != "" {
		if number, err = ParsePhone(phone); err != nil {
			return err
		}
	}
	now := s.now()
	return s.store.Update(ctx, func(w W) error {
		before, err := open(w, subject)
		if err != nil {
			return err
		}
		if err := w.SetContact(subject, name, number, now); err != nil {
			return err
		}
		return w.Record(audit.Entry{
			At: now, Actor: a, Action: "subject.contact", Object: audit.Object{Kind: "subject", ID: subject},
			Subject: subject, Personal: map[string]string{
				"name": name, "phone": number.Reveal(), "name-before": before.Name, "phone-before": before.Phone.Reveal(),
			},
		})
	})
}

// SetEmail changes where reminders about a subject's certificates go; "" takes it away. A registrar or the system does it.
func (s *Service) SetEmail(ctx context.Context, a actor.Actor, subject, email string) error {
	if err := a.Require(actor.RoleRegistrar); err != nil {
		return err
	}
	if err := notSelf(a, subject); err != nil {
		return err
	}
	var address Number
	if email != "" {
		var err error
		if address, err = ParseEmail(email); err != nil {
			return err
		}
	}
	now := s.now()
	return s.store.Update(ctx, func(w W) error {
		before, err := open(w, subject)
		if err != nil {
			return err
		}
		if err := w.SetEmail(subject, address, now); err != nil {
			return err
		}
		return w.Record(audit.Entry{
			At: now, Actor: a, Action: "subject.contact", Object: audit.Object{Kind: "subject", ID: subject},
			Subject: subject, Personal: map[string]string{"email": address.Reveal(), "email-before": before.Email.Reveal()},
		})
	})
}

// hold holds several subjects, always in one order.
func hold(w W, subjects ...string) error {
	for _, id := range slices.Compact(slices.Sorted(slices.Values(subjects))) {
		if err := w.Hold(id); err != nil {
			return err
		}
	}
	return nil
}

// open returns a subject that is not closed, held against others' changes.
func open(w W, id string) (Subject, error) {
	if err := w.Hold(id); err != nil {
		return Subject{}, err
	}
	sub, err := w.Subject(id)
	if err == nil && sub.State == Closed {
		err = ErrClosed.With("subject %s", id)
	}
	return sub, err
}

// Freeze stops a subject from acting until Resume. reason is public in the record: a code or a file reference, no personal data.
func (s *Service) Freeze(ctx context.Context, a actor.Actor, id, reason string) error {
	return s.move(ctx, a, turn{id, reason, "subject.freeze", Frozen, []State{Active}})
}

// Resume ends a freeze.
func (s *Service) Resume(ctx context.Context, a actor.Actor, id, reason string) error {
	return s.move(ctx, a, turn{id, reason, "subject.resume", Active, []State{Frozen}})
}

// Close ends a subject for good: its posts and relations end and its numbers are free again.
func (s *Service) Close(ctx context.Context, a actor.Actor, id, reason string) error {
	return s.move(ctx, a, turn{id, reason, "subject.close", Closed, []State{Active, Frozen}})
}

// turn is a change of a subject's state, its reason and its name in the record.
type turn struct {
	id, reason, action string
	to                 State
	from               []State
}

func (s *Service) move(ctx context.Context, a actor.Actor, t turn) error {
	if err := a.Require(actor.RoleRegistrar); err != nil {
		return err
	}
	if err := notSelf(a, t.id); err != nil {
		return err
	}
	if len(t.reason) > 500 {
		return ErrForm.With("reason of %d bytes", len(t.reason))
	}
	now := s.now()
	return s.store.Update(ctx, func(w W) error {
		sub, err := open(w, t.id)
		if err != nil {
			return err
		}
		if len(t.from) == 1 && sub.State != t.from[0] {
			return ErrState.With("%s: subject %s is %s", t.action, t.id, sub.State)
		}
		if err := w.MoveSubject(t.id, sub.State, t.to, now); err != nil {
			return err
		}
		if t.to == Closed {
			if err := cutLoose(w, a, sub, now); err != nil {
				return err
			}
		}
		if t.to != Active {
			if err := announce(w, t.id, string(t.to), now); err != nil {
				return err
			}
		}
		return w.Record(audit.Entry{
			At: now, Actor: a, Action: t.action, Object: audit.Object{Kind: "subject", ID: t.id},
			Public: map[string]string{"from": string(sub.State), "reason": t.reason},
		})
	})
}

// cutLoose ends all that hangs on a subject that closes.
func cutLoose(w W, a actor.Actor, sub Subject, now time.Time) error {
	if err := w.EndIdentifiers(sub.ID, now); err != nil {
		return err
	}
	lookUp := w.PostsOf
	if sub.Kind == Entity {
		lookUp = w.PostsIn
	}
	posts, err := lookUp(sub.ID)
	if err != nil {
		return err
	}
	for _, p := range posts {
		if err := endPost(w, a, p, now); err != nil {
			return err
		}
	}
	if sub.Kind == Entity {
		return w.EndRepresentations(sub.ID, LegalRep, now)
	}
	reps, err := w.RepresentedBy(sub.ID)
	if err != nil {
		return err
	}
	for _, r := range reps {
		if err := w.EndRepresentations(r.Entity, r.Relation, now); err != nil {
			return err
		}
	}
	return nil
}
