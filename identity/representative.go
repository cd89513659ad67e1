package identity

import (
	"context"
	"crypto/rand"

	"hufu/audit"
	"hufu/internal/actor"
)

// SetLegalRep makes a person the legal representative of an entity, as source (the register) says, in place of any other.
func (s *Service) SetLegalRep(ctx context.Context, a actor.Actor, entity, person, source string) error {
	if err := a.Require(actor.RoleRegistrar); err != nil {
		return err
	}
	if err := notSelf(a, person); err != nil {
		return err
	}
	if source == "" || len(source) > 200 {
		return ErrForm.With("source of the relation missing or too long")
	}
	now := s.now()
	return s.store.Update(ctx, func(w W) error {
		if err := hold(w, entity, person); err != nil {
			return err
		}
		return setLegalRep(w, a, Representation{Entity: entity, Person: person, Source: source, Since: now})
	})
}

// setLegalRep puts a representation by person, entity, source and time in place of those in force.
func setLegalRep(w W, a actor.Actor, rep Representation) error {
	sub, err := w.Subject(rep.Person)
	if err != nil {
		return err
	}
	org, err := w.Subject(rep.Entity)
	if err != nil {
		return err
	}
	if sub.Kind != Person || sub.State != Active || org.Kind != Entity || org.State != Active {
		return ErrForm.With("legal representative %s (%s, %s) of %s (%s, %s)", rep.Person, sub.Kind, sub.State, rep.Entity, org.Kind, org.State)
	}
	before, err := w.Representatives(rep.Entity)
	if err != nil {
		return err
	}
	if err := w.EndRepresentations(rep.Entity, LegalRep, rep.Since); err != nil {
		return err
	}
	for _, r := range before {
		if err := announce(w, r.Person, "representative", rep.Since); err != nil {
			return err
		}
	}
	rep.ID, rep.Relation = rand.Text(), LegalRep
	if err := w.AddRepresentation(rep); err != nil {
		return err
	}
	return w.Record(audit.Entry{
		At: rep.Since, Actor: a, Action: "subject.legal-rep", Object: audit.Object{Kind: "subject", ID: rep.Entity},
		Public: map[string]string{"source": rep.Source}, Subject: rep.Person, Personal: map[string]string{"person": rep.Person},
	})
}
