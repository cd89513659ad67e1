package identity

import (
	"context"
	"errors"
	"slices"
	"time"

	"hufu/internal/actor"
)

// The calls of this file are for other packages, not for edges: they ask no actor and record nothing.

// Standing says who an active subject or post is and how well known; ErrFrozen, ErrClosed, ErrNoPost or ErrUnknown otherwise.
func (s *Service) Standing(ctx context.Context, id string) (Standing, error) {
	h, err := s.Holder(ctx, id)
	return Standing{ID: h.ID, Kind: h.Kind, Name: h.Name, Level: h.Level}, err
}

// Holder says what a certificate for a person, an entity or a post states; refused as by Standing.
// A post needs an active person and an active organisation, and has the person's level.
func (s *Service) Holder(ctx context.Context, id string) (Holder, error) {
	seen := memoryOf(ctx)
	h, ok := seen.holder(id, s.now())
	if ok {
		return h, nil
	}
	err := s.store.View(ctx, func(r R) (err error) {
		h, err = holder(r, id, s.now())
		return err
	})
	if err == nil {
		seen.keep(h, s.now())
	}
	return h, err
}

// HolderIn is Holder for whoever names an official by person and organisation; with an empty organisation it is Holder.
// ErrNoPost: the person has no post in force there.
func (s *Service) HolderIn(ctx context.Context, subject, organisation string) (Holder, error) {
	if organisation == "" {
		return s.Holder(ctx, subject)
	}
	var h Holder
	err := s.store.View(ctx, func(r R) error {
		posts, err := r.PostsOf(subject)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(posts, func(p Post) bool { return p.Organisation == organisation })
		if i < 0 {
			return ErrNoPost.With("person %q in organisation %q", subject, organisation)
		}
		h, err = official(r, posts[i].ID, s.now())
		return err
	})
	return h, err
}

func holder(r R, id string, now time.Time) (Holder, error) {
	sub, evidence, err := r.SubjectAndEvidence(id)
	if errors.Is(err, ErrUnknown) {
		return official(r, id, now)
	}
	if err == nil {
		err = sub.usable()
	}
	if err != nil {
		return Holder{}, err
	}
	main := sub.mainIdentifier()
	return Holder{
		ID: sub.ID, Kind: sub.Kind, Name: sub.Name, Number: main.Number, NumberType: main.Type, Level: Known(evidence, now),
	}, nil
}

func official(r R, postID string, now time.Time) (Holder, error) {
	post, err := r.Post(postID)
	if errors.Is(err, ErrNoPost) {
		return Holder{}, ErrUnknown.With("neither subject nor post %q", postID)
	}
	if err != nil {
		return Holder{}, err
	}
	if !post.Ended.IsZero() {
		return Holder{}, ErrNoPost.With("post %s ended %s", post.ID, post.Ended)
	}
	h, err := holder(r, post.Person, now)
	if err != nil {
		return Holder{}, err
	}
	org, err := r.Subject(post.Organisation)
	if err == nil {
		err = org.usable()
	}
	if err != nil {
		return Holder{}, err
	}
	h.ID, h.Kind, h.Person = post.ID, Official, post.Person
	h.Org, h.OrgUSCC, h.Post = org.Name, org.USCC(), post.Title
	return h, nil
}

func (s Subject) usable() error {
	switch s.State {
	case Active:
		return nil
	case Frozen:
		return ErrFrozen.With("subject %s", s.ID)
	default:
		return ErrClosed.With("subject %s is %s", s.ID, s.State)
	}
}

// mainIdentifier is the credit code of an entity; of a person the resident ID, else the oldest document.
func (s Subject) mainIdentifier() Identifier {
	for _, id := range s.Identifiers {
		if id.Type == ResidentID || id.Type == CreditCode {
			return id
		}
	}
	if len(s.Identifiers) == 0 {
		return Identifier{}
	}
	return s.Identifiers[0]
}

// Contact returns the name of an active person or entity and where mail to it goes, "" for nowhere.
func (s *Service) Contact(ctx context.Context, id string) (name string, email Number, err error) {
	err = s.store.View(ctx, func(r R) error {
		sub, err := r.Subject(id)
		if err == nil {
			err = sub.usable()
		}
		name, email = sub.Name, sub.Email
		return err
	})
	return name, email, err
}

// Profile returns what may be released about an active subject under scopes that the caller has checked.
func (s *Service) Profile(ctx context.Context, id string) (Profile, error) {
	var p Profile
	err := s.store.View(ctx, func(r R) error {
		h, err := holder(r, id, s.now())
		if err != nil {
			return err
		}
		whose := id
		if h.Kind == Official {
			whose = h.Person
		}
		sub, err := r.Subject(whose)
		p = Profile{
			Standing: Standing{ID: h.ID, Kind: h.Kind, Name: h.Name, Level: h.Level},
			Phone:    sub.Phone, Identifiers: sub.Identifiers,
		}
		return err
	})
	return p, err
}

// Capacities lists how an active person may act now: for himself or herself first, then for entities, then in office.
// Entities and organisations that are not active are left out.
func (s *Service) Capacities(ctx context.Context, personID string) ([]Capacity, error) {
	var all []Capacity
	err := s.store.View(ctx, func(r R) (err error) {
		all, err = capacities(r, personID)
		return err
	})
	return all, err
}

func capacities(r R, personID string) ([]Capacity, error) {
	person, err := r.Subject(personID)
	if err == nil {
		err = person.usable()
	}
	if err == nil && person.Kind != Person {
		err = ErrCapacity.With("subject %s is of kind %s", personID, person.Kind)
	}
	if err != nil {
		return nil, err
	}
	all := []Capacity{{Kind: Person, Name: person.Name}}
	reps, err := r.RepresentedBy(personID)
	if err != nil {
		return nil, err
	}
	for _, rep := range reps {
		c := Capacity{Kind: Entity, For: rep.Entity, Relation: rep.Relation, Since: rep.Since}
		if all, err = appendActive(r, all, c); err != nil {
			return nil, err
		}
	}
	posts, err := r.PostsOf(personID)
	if err != nil {
		return nil, err
	}
	for _, p := range posts {
		c := Capacity{Kind: Official, For: p.Organisation, PostID: p.ID, Post: p.Title, Roles: p.Roles, Since: p.RolesSince}
		if all, err = appendActive(r, all, c); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func appendActive(r R, all []Capacity, c Capacity) ([]Capacity, error) {
	org, err := r.Subject(c.For)
	if err != nil || org.State != Active {
		return all, err
	}
	c.Name, c.USCC = org.Name, org.USCC()
	return append(all, c), nil
}

// Act returns the actor of the same person and log-in in another capacity, which is looked up anew: only Kind, For and
// PostID of c count (an empty PostID takes the first post in the organisation). ErrCapacity: the person has it no more.
func (s *Service) Act(ctx context.Context, a actor.Actor, c Capacity) (actor.Actor, error) {
	if err := a.Known(); err != nil {
		return actor.Actor{}, err
	}
	if a.Capacity == actor.System || a.Capacity == actor.Client {
		return actor.Actor{}, ErrCapacity.With("%s is no person", a)
	}
	all, err := s.Capacities(ctx, a.Subject)
	if err != nil {
		return actor.Actor{}, err
	}
	i := slices.IndexFunc(all, func(have Capacity) bool {
		return have.Kind == c.Kind && have.For == c.For && (c.PostID == "" || have.PostID == c.PostID)
	})
	if i < 0 {
		return actor.Actor{}, ErrCapacity.With("%s as %s for %q", a, c.Kind, c.For)
	}
	a.Capacity, a.For, a.Roles = actor.Capacity(all[i].Kind), all[i].For, all[i].Roles
	return a, nil
}
