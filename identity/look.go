package identity

import (
	"context"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
)

// readers are the roles whose work needs other subjects' data.
var readers = []actor.Role{
	actor.RoleRegistrar, actor.RoleApprover, actor.RoleSealOfficer, actor.RoleLicenceOfficer, actor.RoleBusinessAdmin,
}

// Get returns a subject to itself, to whoever acts for it, and, recorded, to officers.
func (s *Service) Get(ctx context.Context, a actor.Actor, id string) (Subject, error) {
	if err := a.Known(); err != nil {
		return Subject{}, err
	}
	var sub Subject
	if a.Capacity == actor.System || (a.Capacity != actor.Client && (id == a.Subject || id == a.For)) {
		err := s.store.View(ctx, func(r R) (err error) {
			sub, err = r.Subject(id)
			return err
		})
		return sub, err
	}
	if a.Require(readers...) != nil {
		return Subject{}, ErrNotYours.With("%s reads subject %s", a, id)
	}
	err := s.store.Update(ctx, func(w W) (err error) {
		if sub, err = w.Subject(id); err != nil {
			return err
		}
		return w.Record(s.look(a, "subject.read", id))
	})
	return sub, err
}

func (s *Service) look(a actor.Actor, action, id string) audit.Entry {
	return audit.Entry{At: s.now(), Actor: a, Action: action, Object: audit.Object{Kind: "subject", ID: id}}
}

// ByNumber returns the subject that an identifier in force belongs to, to officers and the system; recorded.
func (s *Service) ByNumber(ctx context.Context, a actor.Actor, id Identifier) (Subject, error) {
	if err := a.Require(readers...); err != nil {
		return Subject{}, err
	}
	kind := Person
	if id.Type == CreditCode {
		kind = Entity
	}
	id, err := CheckIdentifier(kind, id)
	if err != nil {
		return Subject{}, err
	}
	var sub Subject
	err = s.store.Update(ctx, func(w W) error {
		found, err := w.SubjectByNumber(id)
		if err != nil {
			return err
		}
		if sub, err = w.Subject(found); err != nil {
			return err
		}
		return w.Record(s.look(a, "subject.look-up", found))
	})
	return sub, err
}

// Query is what an officer looks for. Text is the beginning of a name, or a whole phone, resident ID or credit code.
type Query struct {
	Text  string
	Kind  Kind   // empty: both
	State State  // empty: all
	Page  string // Next of the page before; empty for the first
	Limit int    // 0: 20; at most 100
}

// Page is one page of subjects.
type Page struct {
	Subjects []Subject
	Next     string // empty on the last page
}

// Search lists subjects for officers, newest first; recorded without the text.
func (s *Service) Search(ctx context.Context, a actor.Actor, q Query) (Page, error) {
	if err := a.Require(readers...); err != nil {
		return Page{}, err
	}
	find, number, err := q.plan()
	if err != nil {
		return Page{}, err
	}
	var page Page
	err = s.store.Update(ctx, func(w W) error {
		var found []Subject
		if number.Type != "" {
			found, err = oneByNumber(w, number, find)
		} else {
			found, err = w.FindSubjects(find)
		}
		if err != nil {
			return err
		}
		page = Page{Subjects: found}
		if len(found) == find.Limit { // one more than asked for: there is a next page
			page.Subjects = found[:find.Limit-1]
			page.Next = encodeCursor(page.Subjects[len(page.Subjects)-1])
		}
		entry := s.look(a, "subject.search", "")
		entry.Public = map[string]string{"hits": strconv.Itoa(len(page.Subjects))}
		return w.Record(entry)
	})
	return page, err
}

// plan says how to find what the officer typed. The number is set when Text is one.
func (q Query) plan() (Find, Identifier, error) {
	find := Find{Kind: q.Kind, State: q.State, Limit: q.Limit}
	if q.Limit == 0 {
		find.Limit = 20
	}
	if find.Limit < 1 || find.Limit > 100 || len(q.Text) > 4*maxName {
		return Find{}, Identifier{}, ErrForm.With("limit %d, text of %d bytes", q.Limit, len(q.Text))
	}
	find.Limit++
	var err error
	if q.Page != "" {
		if find.After, err = decodeCursor(q.Page); err != nil {
			return Find{}, Identifier{}, err
		}
	}
	if strings.TrimSpace(q.Text) == "" {
		return find, Identifier{}, nil
	}
	for _, try := range []struct {
		kind Kind
		id   Identifier
	}{{Person, Identifier{Type: ResidentID}}, {Entity, Identifier{Type: CreditCode}}} {
		try.id.Number = Number(q.Text)
		if id, err := CheckIdentifier(try.kind, try.id); err == nil {
			return find, id, nil
		}
	}
	if phone, err := ParsePhone(q.Text); err == nil {
		find.Phone = phone
		return find, Identifier{}, nil
	}
	find.NamePrefix, err = cleanName(q.Text)
	return find, Identifier{}, err
}

func oneByNumber(r R, id Identifier, find Find) ([]Subject, error) {
	found, err := r.SubjectByNumber(id)
	if errors.Is(err, ErrUnknown) || find.After.ID != "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	sub, err := r.Subject(found)
	if err != nil || (find.Kind != "" && sub.Kind != find.Kind) || (find.State != "" && sub.State != find.State) {
		return nil, err
	}
	return []Subject{sub}, nil
}

func encodeCursor(s Subject) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(s.Registered.UnixMicro(), 10) + "." + s.ID))
}

func decodeCursor(page string) (Cursor, error) {
	raw, err := base64.RawURLEncoding.DecodeString(page)
	at, id, ok := strings.Cut(string(raw), ".")
	micros, numErr := strconv.ParseInt(at, 10, 64)
	if err != nil || !ok || numErr != nil || id == "" || len(page) > 200 {
		return Cursor{}, ErrPage
	}
	return Cursor{Registered: time.UnixMicro(micros).UTC(), ID: id}, nil
}

// EvidenceOf returns the evidence about a subject, to itself, to registrars, approvers and the system.
func (s *Service) EvidenceOf(ctx context.Context, a actor.Actor, id string) ([]Evidence, error) {
	if err := a.Known(); err != nil {
		return nil, err
	}
	if a.Subject != id && a.Require(actor.RoleRegistrar, actor.RoleApprover) != nil {
		return nil, ErrNotYours.With("%s reads evidence of %s", a, id)
	}
	var list []Evidence
	err := s.store.View(ctx, func(r R) (err error) {
		list, err = r.Evidence(id)
		return err
	})
	return list, err
}
