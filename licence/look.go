package licence

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"hufu/internal/actor"
)

// Query is what to look for. Empty fields do not restrict.
type Query struct {
	Text  string // officers: a whole identifier or a holder's whole name
	Type  string // code
	State State
	Page  string // Next of the page before; empty for the first
	Limit int    // 0: 20; at most 100
}

// Page is one page of licences, newest first.
type Page struct {
	Licences []Licence
	Next     string // empty on the last page
}

func (s *Service) licence(ctx context.Context, id string) (l Licence, err error) {
	err = s.Store.View(ctx, func(r R) error {
		l, err = r.Licence(id)
		return err
	})
	return l, err
}

// Get returns a licence to its holder and to officers of its issuer. Holders don't see drafts.
func (s *Service) Get(ctx context.Context, by actor.Actor, id string) (Licence, error) {
	if err := by.Known(); err != nil {
		return Licence{}, err
	}
	l, err := s.licence(ctx, id)
	if err != nil {
		return Licence{}, err
	}
	if made := l.State != Drafted && l.State != Void; !issues(by, &l) && !(made && holds(by, &l)) {
		return Licence{}, ErrUnknown.With("%s may not see licence %s", by, id)
	}
	l.State = l.StateAt(s.Now())
	return l, nil
}

// List lists the licences of the person, or of the entity acted for.
func (s *Service) List(ctx context.Context, by actor.Actor, q Query) (Page, error) {
	if err := by.Known(); err != nil {
		return Page{}, err
	}
	f := Filter{Type: q.Type, State: q.State}
	switch {
	case by.Capacity == actor.Person && by.For == "":
		f.Holder = by.Subject
	case by.Capacity == actor.Entity && by.For != "":
		f.Holder = by.For
	default:
		return Page{}, ErrNotHolder.With("%s for %q lists own licences", by, by.For)
	}
	return s.page(ctx, f, q)
}

// Search lists the licences that the officer's organisation issued, drafts and void ones too.
func (s *Service) Search(ctx context.Context, by actor.Actor, q Query) (Page, error) {
	if err := inOffice(by); err != nil {
		return Page{}, err
	}
	if strings.Contains(q.Text, ".") {
		l, err := s.Get(ctx, by, strings.TrimSpace(q.Text))
		if err != nil {
			return Page{}, err
		}
		return Page{Licences: []Licence{l}}, nil
	}
	return s.page(ctx, Filter{Issuer: by.For, HolderName: strings.TrimSpace(q.Text), Type: q.Type, State: q.State, Unmade: true}, q)
}

func (s *Service) page(ctx context.Context, f Filter, q Query) (p Page, err error) {
	if f.Limit = q.Limit; f.Limit <= 0 {
		f.Limit = 20
	}
	f.Limit, f.Now = min(f.Limit, 100), s.Now()
	if q.Page != "" {
		raw, err := base64.RawURLEncoding.DecodeString(q.Page)
		if err != nil || json.Unmarshal(raw, &f.Before) != nil || f.Before.ID == "" || !utf8.ValidString(f.Before.ID) {
			return p, ErrPage.With("page %.80q", q.Page)
		}
	}
	f.Limit++ // one more tells whether there is a next page
	if err := s.Store.View(ctx, func(r R) error {
		p.Licences, err = r.Licences(f)
		return err
	}); err != nil {
		return Page{}, err
	}
	if len(p.Licences) == f.Limit {
		p.Licences = p.Licences[:f.Limit-1]
		last := p.Licences[len(p.Licences)-1]
		raw, err := json.Marshal(Cursor{last.At, last.ID})
		if err != nil {
			return Page{}, err
		}
		p.Next = base64.RawURLEncoding.EncodeToString(raw)
	}
	for i := range p.Licences {
		p.Licences[i].State = p.Licences[i].StateAt(f.Now)
	}
	return p, nil
}

// Document returns the sealed document, with the log's proof in it once there is one. That an officer took a copy is recorded.
func (s *Service) Document(ctx context.Context, by actor.Actor, id string) ([]byte, error) {
	l, err := s.Get(ctx, by, id)
	if err != nil {
		return nil, err
	}
	var d Document
	if err := s.Store.View(ctx, func(r R) error {
		d, err = r.Document(id)
		return err
	}); err != nil {
		return nil, err
	}
	if !holds(by, &l) {
		if err := s.Store.Update(ctx, func(w W) error { return w.Record(s.entry(by, "licence.read", &l, nil)) }); err != nil {
			return nil, err
		}
	}
	if len(d.Proof) == 0 {
		return d.OFD, nil
	}
	return WithProof(d.OFD, l.Stamp.Path, d.Proof)
}
