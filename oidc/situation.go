package oidc

import (
	"context"
	"errors"

	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/actor"
)

// situation is what is known about a request once the person has a session that does for it.
type situation struct {
	missing      Step
	level        actor.Level         // how well the person is known now
	capacities   []identity.Capacity // to choose from
	capacity     *identity.Capacity  // chosen, or the only one there is
	consent      Consent             // of before; zero if none
	granted      []string            // scopes, once missing is StepDone
	remember     bool                // consent was given just now
	wrongSubject bool                // id_token_hint names another person
}

// situation asks what the person may act as and what it has consented to before, and says what is still missing.
func (p *Provider) situation(ctx context.Context, req *request, in InteractionRecord, s *login.Session) (situation, error) {
	var sit situation
	standing, err := p.config.Subjects.Standing(ctx, s.Subject)
	if err != nil {
		return sit, err
	}
	sit.level = standing.Level
	sit.capacities = []identity.Capacity{{Kind: identity.Person, Name: standing.Name}}
	if has(req.Scopes, ScopeEntity) {
		if sit.capacities, err = p.config.Subjects.Capacities(ctx, s.Subject); err != nil {
			return sit, err
		}
	}
	hinted := s.Subject
	err = p.store.View(ctx, func(r R) (err error) {
		if sit.consent, err = r.Consent(s.Subject, req.ClientID); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
		if req.HintSub != "" {
			hinted, err = r.SubjectOf(req.HintSub, req.client.Sector)
		}
		if errors.Is(err, ErrNotFound) {
			err = nil
		}
		return err
	})
	if err != nil {
		return sit, err
	}
	sit.wrongSubject = hinted != s.Subject
	sit.capacity = chosen(req, in, sit)
	switch {
	case sit.capacity == nil:
		sit.missing = StepActing
	case !req.client.FirstParty && (req.prompts("consent") || !covers(sit.consent.Scopes, req.Scopes)):
		sit.missing = StepConsent
	default:
		sit.granted = req.Scopes
	}
	return sit, nil
}

// chosen returns the capacity to act in: the one chosen on the acting page, the only one, or with prompt=none the one
// of last time. It is nil when the person has to choose, also when the chosen one has ended meanwhile.
func chosen(req *request, in InteractionRecord, sit situation) *identity.Capacity {
	switch {
	case in.Capacity != nil:
		return findCapacity(sit.capacities, CapacityChoice{in.Capacity.Kind, in.Capacity.For, in.Capacity.PostID})
	case len(sit.capacities) == 1:
		return &sit.capacities[0]
	case req.prompts("none") && sit.consent.Kind != "":
		return findCapacity(sit.capacities, CapacityChoice{sit.consent.Kind, sit.consent.For, sit.consent.Post})
	}
	return nil
}

func findCapacity(list []identity.Capacity, c CapacityChoice) *identity.Capacity {
	for i := range list {
		if list[i].Kind == c.Kind && list[i].For == c.For && list[i].PostID == c.Post {
			return &list[i]
		}
	}
	return nil
}

// choose stores the capacity from the acting page, and sets it in in. It has to be one that the person has now.
func (p *Provider) choose(ctx context.Context, in *InteractionRecord, req *request, d Decision) error {
	if !has(req.Scopes, ScopeEntity) {
		if d.Capacity.Kind == identity.Person && d.Capacity.For == "" {
			return nil
		}
		return ErrCapacity.With("client %q did not ask for scope %s", req.ClientID, ScopeEntity)
	}
	list, err := p.config.Subjects.Capacities(ctx, d.Session.Subject)
	if err != nil {
		return err
	}
	c := findCapacity(list, *d.Capacity)
	if c == nil {
		return ErrCapacity.With("%s as %+v", d.Session.Subject, *d.Capacity)
	}
	in.Capacity = c
	return p.store.Update(ctx, func(w W) error {
		ok, err := w.ChooseCapacity(*in)
		if err == nil && !ok {
			err = ErrInteraction.With("interaction %q: spent meanwhile", in.ID)
		}
		return err
	})
}

// standing is what a live grant says about its person now.
type standing struct {
	name     string
	level    actor.Level
	capacity identity.Capacity
}

// Reasons for which a grant is revoked.
const (
	whyReuse    = "reuse"             // a code or refresh token came twice
	whyClient   = "revoked-by-client" //
	whySession  = "session-ended"     //
	whySubject  = "subject"           // the person is frozen or closed
	whyCapacity = "capacity"          // the capacity acted in has ended
	whyConsent  = "consent-withdrawn" //
	whyDisabled = "client-disabled"   //
)

// errDead means that a grant lives no more, and why.
type errDead string

func (e errDead) Error() string { return "grant is dead: " + string(e) }

// current asks whether the grant still holds: its log-in session unless it has offline_access, the person's standing,
// and the capacity acted in. errDead says that it does not.
func (p *Provider) current(ctx context.Context, g Grant) (standing, error) {
	if !g.Has(ScopeOffline) {
		alive, err := p.config.Sessions.Alive(ctx, g.Session)
		if err != nil {
			return standing{}, err
		}
		if !alive {
			return standing{}, errDead(whySession)
		}
	}
	st, err := p.config.Subjects.Standing(ctx, g.Subject)
	if err != nil {
		return standing{}, dead(err, whySubject)
	}
	now := standing{name: st.Name, level: st.Level, capacity: g.Capacity}
	if g.Capacity.Kind == identity.Person && g.Capacity.For == "" {
		return now, nil
	}
	list, err := p.config.Subjects.Capacities(ctx, g.Subject)
	if err != nil {
		return now, dead(err, whySubject)
	}
	c := findCapacity(list, CapacityChoice{g.Capacity.Kind, g.Capacity.For, g.Capacity.PostID})
	if c == nil || c.Relation != g.Capacity.Relation {
		return now, errDead(whyCapacity)
	}
	now.capacity = *c
	return now, nil
}

func dead(err error, why string) error {
	if gone(err) {
		return errDead(why)
	}
	return err
}
