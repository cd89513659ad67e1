package oidc

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// serveAuthorize is the authorization endpoint (RFC 6749 section 3.1, OpenID Connect Core section 3.1.2).
func (p *Provider) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	ctx, _ := withFlight(r.Context())
	r = r.WithContext(ctx)
	form, formErr := authorizeForm(w, r)
	req, err := p.target(ctx, form)
	if err != nil {
		p.showError(w, r, err)
		return
	}
	var answer *Answer
	if again := p.asGet(r, form); again != "" && formErr == nil {
		answer = &Answer{URL: again}
	} else {
		answer, err = p.authorize(w, r, req, form, formErr)
	}
	if err != nil {
		e := asOAuth(err)
		p.logFailure(r, e)
		if e.status() >= 500 && req.RedirectURI == "" {
			p.showError(w, r, err)
			return
		}
		answer = p.answerTo(req, e.values())
	}
	answer.Write(w, r)
}

// asGet returns the URL that asks the same by GET, when a POST brought no session: browsers leave SameSite=Lax cookies
// out of a POST that another site made, but send them with the GET that a redirect makes of it.
func (p *Provider) asGet(r *http.Request, form url.Values) string {
	if r.Method != http.MethodPost {
		return ""
	}
	query := form.Encode()
	if s, err := p.config.Pages.Session(r); (err == nil && s != nil) || len(query) > maxQuery || len(form) == 0 {
		return ""
	}
	return r.URL.Path + "?" + query
}

func authorizeForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if r.Method == http.MethodPost {
		if r.URL.RawQuery != "" {
			return nil, invalidRequest("Parameters belong either in the body or in the URL.")
		}
		return readBody(w, r)
	}
	if len(r.URL.RawQuery) > maxQuery {
		return nil, invalidRequest("The URL is too long.")
	}
	return parseForm(r.URL.RawQuery)
}

// target finds out where errors may be sent: to a registered redirect URI of a client that exists, or to nobody.
func (p *Provider) target(ctx context.Context, form url.Values) (*request, error) {
	id, uri := form["client_id"], form["redirect_uri"]
	if len(id) != 1 || len(uri) > 1 || !isText(id[0]) {
		return nil, ErrBadRequest.With("client_id or redirect_uri missing or repeated")
	}
	client, err := p.client(ctx, id[0])
	if errors.Is(err, ErrNotFound) {
		return nil, ErrUnknownClient.With("%w", err)
	}
	if err != nil {
		return nil, err
	}
	if len(uri) == 0 || !matchRedirect(client.Client, uri[0]) {
		return nil, ErrRedirectURI.With("client %q, redirect_uri %q", client.ID, uri)
	}
	req := &request{ClientID: client.ID, RedirectURI: uri[0], ResponseMode: modeQuery, client: client}
	if state := form["state"]; len(state) == 1 && isText(state[0]) && len(state[0]) <= maxState {
		req.State = state[0]
	}
	if form.Get("response_mode") == modeFormPost {
		req.ResponseMode = modeFormPost
	}
	return req, nil
}

// authorize answers a request whose redirect URI is right: with a code, an error or a page of ours.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request, req *request, form url.Values, formErr error) (*Answer, error) {
	if formErr != nil {
		return nil, formErr
	}
	ctx := r.Context()
	if err := p.check(ctx, req, form); err != nil {
		return nil, err
	}
	s, err := p.config.Pages.Session(r)
	if err != nil && fault.KindOf(err) != fault.Unauthenticated {
		return nil, unavailable(err)
	}
	if err != nil {
		s = nil
	}
	in := InteractionRecord{ID: rand.Text(), Client: req.ClientID, Created: p.now()}
	in.Expires = in.Created.Add(p.life.Interaction)
	if s != nil {
		in.PriorLogin, in.PriorAuth = s.ID, s.AuthTime
	}
	next := StepLogin
	if !req.needsLogin(in, s) {
		sit, err := p.situation(ctx, req, in, s)
		switch {
		case err != nil && gone(err):
			return nil, oauthError{Code: "access_denied", Description: "The person may not log in.", Cause: err}
		case err != nil:
			return nil, err
		case sit.wrongSubject:
			return nil, errOtherPerson
		case sit.missing == StepDone:
			return p.issueCode(ctx, InteractionRecord{Created: in.Created}, req, s, sit)
		default:
			next = sit.missing
		}
	}
	if req.prompts("none") {
		return nil, promptNone[next]
	}
	if err := p.begin(w, r, in, req); err != nil {
		return nil, err
	}
	return p.page(next, in.ID), nil
}

var promptNone = map[Step]oauthError{
	StepLogin:   {Code: "login_required", Description: "The person has to log in."},
	StepActing:  {Code: "interaction_required", Description: "The person has to choose whom to act for."},
	StepConsent: {Code: "consent_required", Description: "The person has to consent."},
}

// begin stores the interaction and binds it to the browser.
func (p *Provider) begin(w http.ResponseWriter, r *http.Request, in InteractionRecord, req *request) error {
	secret := p.BrowserSecret(r)
	if raw, err := base64.RawURLEncoding.DecodeString(secret); err != nil || len(raw) != 32 {
		secret = newSecret()
	}
	sum := gm.SM3([]byte(secret))
	in.BrowserHash = sum[:]
	var err error
	if in.Request, err = json.Marshal(req); err != nil {
		return err
	}
	if err := p.store.Update(r.Context(), func(w W) error { return w.AddInteraction(in) }); err != nil {
		return err
	}
	http.SetCookie(w, &http.Cookie{
		Name: p.cookieName, Value: secret, Path: "/", HttpOnly: true, Secure: p.secure, SameSite: http.SameSiteLaxMode,
		MaxAge: int((p.life.Interaction + time.Minute).Seconds()),
	})
	return nil
}

// newSecret returns 256 random bits in base64url.
func newSecret() string {
	var raw [32]byte
	rand.Read(raw[:])
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// showError answers a request that has no valid redirect URI.
func (p *Provider) showError(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusBadRequest
	switch fault.KindOf(err) {
	case fault.Internal:
		p.log.ErrorContext(r.Context(), "oidc", "path", r.URL.Path, "cause", err.Error())
		status, err = http.StatusInternalServerError, ErrUnavailable.With("%w", err)
	case fault.Unavailable, fault.Limited:
		p.log.ErrorContext(r.Context(), "oidc", "path", r.URL.Path, "cause", err.Error())
		status = http.StatusServiceUnavailable
	case fault.NotFound:
		status = http.StatusNotFound
	}
	w.Header().Set("Cache-Control", "no-store")
	p.config.Pages.Error(w, r, status, err)
}

// loadInteraction finds an interaction that is neither spent nor expired and belongs to the browser, and its request.
// The client is read anew: one that was disabled meanwhile gets no code.
func (p *Provider) loadInteraction(ctx context.Context, id, browserSecret string) (InteractionRecord, *request, error) {
	if id == "" || len(id) > 64 || !isText(id) || browserSecret == "" {
		return InteractionRecord{}, nil, ErrInteraction
	}
	var in InteractionRecord
	var client ClientRecord
	err := p.store.View(ctx, func(r R) (err error) {
		if in, err = r.Interaction(id); err != nil {
			return err
		}
		client, err = r.Client(in.Client)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return in, nil, ErrInteraction.With("interaction %q: %w", id, err)
	}
	if err != nil {
		return in, nil, err
	}
	if !sameHash(in.BrowserHash, browserSecret) {
		return in, nil, ErrInteraction.With("interaction %q: another browser", id)
	}
	if !in.Spent.IsZero() || !p.now().Before(in.Expires) || client.Disabled {
		return in, nil, ErrInteraction.With("interaction %q: spent or expired, or client disabled", id)
	}
	var req request
	if err := json.Unmarshal(in.Request, &req); err != nil {
		return in, nil, err
	}
	if !matchRedirect(client.Client, req.RedirectURI) {
		return in, nil, ErrRedirectURI.With("client %q changed its redirect URIs meanwhile", client.ID)
	}
	req.client = client
	return in, &req, nil
}

// personActor is the person of a session, for the record. The client is left out: the record's leaves are public, and who
// uses what is nobody's business; it stands in the sealed part.
func personActor(s *login.Session) actor.Actor {
	if s == nil {
		return actor.Actor{}
	}
	return s.Actor()
}
