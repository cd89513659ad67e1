package oidc

import (
	"context"
	"net/http"
	"slices"
	"time"

	"hufu/identity"
	"hufu/identity/login"
)

// Step is what an interaction needs next.
type Step string

// The steps, in their order.
const (
	StepLogin   Step = "login"   // a log-in session, perhaps a fresh one
	StepActing  Step = "acting"  // a capacity
	StepConsent Step = "consent" // consent to scopes
	StepDone    Step = ""        // nothing
)

// Interaction is a log-in in progress, as the pages show it.
type Interaction struct {
	ID             string
	Client         Client
	Scopes         []string            // asked for
	RedirectOrigin string              // scheme://host[:port] of the client: a page whose form ends the interaction needs it in form-action
	LoginHint      string              // account name to fill in; as sent by the client, so untrusted
	Locales        []string            // ui_locales, in order of preference; untrusted
	ACRValues      []string            // asked for; untrusted
	NeedsFresh     bool                // a session that exists already is not enough
	Capacity       *identity.Capacity  // chosen; nil until then
	Remembered     []string            // scopes that the person agreed to before; filled when a session is given
	Capacities     []identity.Capacity // to choose from; filled when a session is given
	Next           Step                // what is missing now
	Expires        time.Time
}

// CapacityChoice names one of the capacities of a person.
type CapacityChoice struct {
	Kind identity.Kind
	For  string // id of the entity or organisation; empty for oneself
	Post string // PostID, for an official
}

// Decision is what a page found out. Give what is known; Decide says what is still missing.
type Decision struct {
	Session  *login.Session  // the browser's session, looked up by its secret now; nil if it has none
	Capacity *CapacityChoice // from the acting page
	Consent  bool            // from the consent page: the person agreed to Scopes
	Scopes   []string        // agreed to; a subset of the interaction's, openid is always kept
	Refused  bool            // the person said no: the client gets access_denied
}

// Interaction returns the log-in in progress for a page to show. session may be nil; given one, the answer
// holds what can be chosen and what is missing. Anyone but the browser that began it gets ErrInteraction.
func (p *Provider) Interaction(ctx context.Context, id, browserSecret string, session *login.Session) (Interaction, error) {
	in, req, err := p.loadInteraction(ctx, id, browserSecret)
	if err != nil {
		return Interaction{}, err
	}
	view := Interaction{
		ID: in.ID, Client: req.client.Client, Scopes: req.Scopes, RedirectOrigin: origin(req.RedirectURI),
		LoginHint: req.LoginHint, Locales: req.Locales, ACRValues: req.ACRValues,
		Capacity: in.Capacity, Expires: in.Expires, Next: StepLogin,
	}
	view.NeedsFresh = req.needsLogin(in, session) && session != nil
	if session == nil || req.needsLogin(in, session) {
		return view, nil
	}
	s, err := p.situation(ctx, req, in, session)
	if err != nil {
		return Interaction{}, err
	}
	view.Capacities, view.Remembered, view.Next = s.capacities, s.consent.Scopes, s.missing
	return view, nil
}

// Decide takes what a page found out and answers where the browser goes next: another page of ours, or back to
// the client with a code or an error. Write the answer with Answer.Write. An interaction is answered once.
func (p *Provider) Decide(ctx context.Context, id, browserSecret string, d Decision) (*Answer, error) {
	in, req, err := p.loadInteraction(ctx, id, browserSecret)
	if err != nil {
		return nil, err
	}
	if d.Refused {
		return p.refuse(ctx, in, req, d.Session)
	}
	if d.Session == nil || req.needsLogin(in, d.Session) {
		return p.page(StepLogin, id), nil
	}
	if d.Capacity != nil {
		if err := p.choose(ctx, &in, req, d); err != nil {
			return nil, err
		}
	}
	s, err := p.situation(ctx, req, in, d.Session)
	if err != nil {
		return nil, err
	}
	if s.wrongSubject {
		return p.end(ctx, in, req, errOtherPerson)
	}
	if s.missing == StepConsent && d.Consent {
		if s.granted, err = agreed(req.Scopes, d.Scopes); err != nil {
			return nil, err
		}
		s.remember, s.missing = true, StepDone
	}
	if s.missing != StepDone {
		return p.page(s.missing, id), nil
	}
	return p.issueCode(ctx, in, req, d.Session, s)
}

var errOtherPerson = oauthError{Code: "login_required", Description: "Another person is logged in than id_token_hint names."}

// agreed returns the scopes that the person let the client have, in the order asked for.
func agreed(asked, given []string) ([]string, error) {
	for _, s := range given {
		if !has(asked, s) {
			return nil, ErrScopes.With("scope %q was not asked for", s)
		}
	}
	return slices.DeleteFunc(slices.Clone(asked), func(s string) bool { return s != ScopeOpenID && !has(given, s) }), nil
}

// BrowserSecret returns the secret by which a browser is bound to its interactions; "" if it has none.
func (p *Provider) BrowserSecret(r *http.Request) string {
	c, err := r.Cookie(p.cookieName)
	if err != nil || len(c.Value) > 128 {
		return ""
	}
	return c.Value
}
