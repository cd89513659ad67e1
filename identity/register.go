package identity

import (
	"context"
	"crypto/rand"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
)

// PersonForm registers a natural person. At least an identifier or a phone is needed.
type PersonForm struct {
	Name        string
	Identifiers []Identifier
	Phone       string     // as typed
	Evidence    []Evidence // Method and Source are needed; Level, At default to the method's best, now
}

// EntityForm registers a legal entity.
type EntityForm struct {
	Name     string
	USCC     string
	LegalRep string     // subject id of the person in the register; may be empty
	Evidence []Evidence // as in PersonForm
}

// RegisterPerson registers a natural person by a registrar or the system.
// ErrNumberTaken: a living subject has one of the identifiers.
func (s *Service) RegisterPerson(ctx context.Context, a actor.Actor, f PersonForm) (Subject, error) {
	if err := a.Require(actor.RoleRegistrar); err != nil {
		return Subject{}, err
	}
	sub := Subject{Kind: Person, Identifiers: f.Identifiers}
	if len(f.Identifiers) == 0 && f.Phone == "" {
		return Subject{}, ErrForm.With("register person: neither identifier nor phone")
	}
	if f.Phone != "" {
		phone, err := ParsePhone(f.Phone)
		if err != nil {
			return Subject{}, err
		}
		sub.Phone = phone
	}
	return s.register(ctx, a, sub, f.Name, f.Evidence, "")
}

// RegisterEntity registers a legal entity by a registrar or the system, with its legal representative if known.
func (s *Service) RegisterEntity(ctx context.Context, a actor.Actor, f EntityForm) (Subject, error) {
	if err := a.Require(actor.RoleRegistrar); err != nil {
		return Subject{}, err
	}
	if err := notSelf(a, f.LegalRep); err != nil {
		return Subject{}, err
	}
	sub := Subject{Kind: Entity, Identifiers: []Identifier{{Type: CreditCode, Number: Number(f.USCC)}}}
	return s.register(ctx, a, sub, f.Name, f.Evidence, f.LegalRep)
}

func (s *Service) register(ctx context.Context, a actor.Actor, sub Subject, name string, evidence []Evidence, rep string) (Subject, error) {
	now := s.now()
	sub.ID, sub.State, sub.Registered, sub.Changed = rand.Text(), Active, now, now
	var err error
	if sub.Name, err = cleanName(name); err != nil {
		return Subject{}, err
	}
	if sub.Identifiers, err = checkIdentifiers(sub.Kind, sub.Identifiers, now); err != nil {
		return Subject{}, err
	}
	if evidence, err = prepareEvidence(a, sub, evidence, now); err != nil {
		return Subject{}, err
	}
	err = s.store.Update(ctx, func(w W) error {
		if err := addSubject(w, sub, evidence, now); err != nil {
			return err
		}
		entry := registered(a, sub, evidence, now)
		if err := w.Record(entry); err != nil {
			return err
		}
		if rep == "" {
			return nil
		}
		if err := w.Hold(rep); err != nil {
			return err
		}
		return setLegalRep(w, a, Representation{Entity: sub.ID, Person: rep, Source: "registration", Since: now})
	})
	if err != nil {
		return Subject{}, err
	}
	return sub, nil
}

func addSubject(w W, sub Subject, evidence []Evidence, now time.Time) error {
	if err := w.AddSubject(sub); err != nil {
		return err
	}
	for _, id := range sub.Identifiers {
		if err := w.AddIdentifier(sub.ID, id, now); err != nil {
			return err
		}
	}
	for _, e := range evidence {
		if err := w.AddEvidence(e); err != nil {
			return err
		}
	}
	return nil
}

// registered is the record of a registration: what may be public, and the rest under the subject's own key.
func registered(a actor.Actor, sub Subject, evidence []Evidence, now time.Time) audit.Entry {
	personal := map[string]string{"name": sub.Name}
	if sub.Phone != "" {
		personal["phone"] = sub.Phone.Reveal()
	}
	for _, id := range sub.Identifiers {
		personal[string(id.Type)] = id.Number.Reveal()
	}
	return audit.Entry{
		At: now, Actor: a, Action: "subject.register", Object: audit.Object{Kind: "subject", ID: sub.ID},
		Public:  map[string]string{"kind": string(sub.Kind), "level": levelText(Known(evidence, now))},
		Subject: sub.ID, Personal: personal,
	}
}

func levelText(l actor.Level) string { return string(rune('0' + min(max(l, 0), 9))) }

func checkIdentifiers(k Kind, ids []Identifier, now time.Time) ([]Identifier, error) {
	if len(ids) > 10 {
		return nil, ErrForm.With("%d identifiers", len(ids))
	}
	kept := make([]Identifier, 0, len(ids))
	for _, id := range ids {
		id, err := checkIdentifierAt(k, id, now)
		if err != nil {
			return nil, err
		}
		kept = append(kept, id)
	}
	return kept, nil
}

// checkIdentifierAt is CheckIdentifier, and refuses who is not born yet.
func checkIdentifierAt(k Kind, id Identifier, now time.Time) (Identifier, error) {
	id, err := CheckIdentifier(k, id)
	if err != nil || id.Type != ResidentID {
		return id, err
	}
	parts, err := ParseResidentID(id.Number.Reveal())
	if err == nil && parts.Birth.After(now.Add(14*time.Hour)) { // it is tomorrow already somewhere
		err = ErrNumber.With("resident ID: date of birth in the future")
	}
	return id, err
}

func prepareEvidence(a actor.Actor, sub Subject, evidence []Evidence, now time.Time) ([]Evidence, error) {
	kept := make([]Evidence, 0, len(evidence))
	for _, e := range evidence {
		e, err := e.checked(sub.Kind, now)
		if err != nil {
			return nil, err
		}
		e.ID, e.Subject, e.By = rand.Text(), sub.ID, a.String()
		e.At, e.Expires = toStored(e.At), toStored(e.Expires)
		kept = append(kept, e)
	}
	return kept, nil
}

func toStored(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}
