package oidc

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// The response modes.
const (
	modeQuery    = "query"
	modeFormPost = "form_post"
)

// request is a checked authorization request, and what is kept of it with an interaction.
type request struct {
	ClientID     string   `json:"client_id"`
	RedirectURI  string   `json:"redirect_uri"`
	ResponseMode string   `json:"response_mode"`
	State        string   `json:"state,omitempty"`
	Scopes       []string `json:"scopes,omitempty"`
	Audience     []string `json:"audience,omitempty"`
	Nonce        string   `json:"nonce,omitempty"`
	Challenge    string   `json:"code_challenge,omitempty"`
	Prompt       []string `json:"prompt,omitempty"`
	MaxAge       *int64   `json:"max_age,omitempty"` // seconds
	LoginHint    string   `json:"login_hint,omitempty"`
	Locales      []string `json:"ui_locales,omitempty"`
	ACRValues    []string `json:"acr_values,omitempty"`
	HintSub      string   `json:"hint_sub,omitempty"` // sub of id_token_hint, verified

	client ClientRecord
}

func (q *request) prompts(what string) bool { return has(q.Prompt, what) }

// needsLogin reports whether the session does not do for the request: there is none, the password has to be changed
// first, it is too old, or a fresh log-in was asked for and this is still the session of before. in tells when the
// request came; max_age=0 means the same as prompt=login.
func (q *request) needsLogin(in InteractionRecord, s *login.Session) bool {
	switch {
	case s == nil || s.MustChange:
		return true
	case q.prompts("login") || q.prompts("select_account") || (q.MaxAge != nil && *q.MaxAge == 0):
		return s.AuthTime.Before(in.Created.Truncate(time.Second)) || (s.ID == in.PriorLogin && !s.AuthTime.After(in.PriorAuth))
	case q.MaxAge != nil:
		return s.AuthTime.Add(time.Duration(*q.MaxAge) * time.Second).Before(in.Created)
	}
	return false
}

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

// check fills in the rest of the request, first by our rules, then by fosite's.
func (p *Provider) check(ctx context.Context, req *request, form url.Values) error {
	if mode := form.Get("response_mode"); mode != "" && mode != modeQuery && mode != modeFormPost {
		return invalidRequest("This response_mode is not supported.")
	}
	for name, code := range map[string]string{
		"request": "request_not_supported", "request_uri": "request_uri_not_supported", "registration": "registration_not_supported",
	} {
		if form.Has(name) {
			return oauthError{Code: code, Description: "The parameter " + name + " is not supported."}
		}
	}
	if len(form.Get("state")) > maxState || len(form.Get("nonce")) > maxNonce {
		return invalidRequest("state or nonce is too long.")
	}
	req.Scopes, req.Nonce, req.LoginHint = fields(form.Get("scope")), form.Get("nonce"), form.Get("login_hint")
	req.Locales, req.ACRValues = fields(form.Get("ui_locales")), fields(form.Get("acr_values"))
	if len(req.Scopes) == 0 {
		return oauthError{Code: "invalid_scope", Description: "The parameter scope is missing."}
	}
	if err := req.readPKCE(form); err != nil {
		return err
	}
	if err := req.readPrompt(form); err != nil {
		return err
	}
	if err := p.readHint(req, form.Get("id_token_hint")); err != nil {
		return err
	}
	ar, err := p.engine.NewAuthorizeRequest(ctx, engineRequest(ctx, req.engineForm(form.Get("response_type"), form.Get("audience")), ""))
	if err != nil {
		return err
	}
	req.Audience = ar.GetRequestedAudience()
	return nil
}

// engineForm is what fosite sees of the request. It wants a state always, so it gets a placeholder; what concerns the
// session (prompt, max_age, id_token_hint) is decided by us before.
func (q *request) engineForm(responseType, audience string) url.Values {
	form := url.Values{
		"client_id": {q.ClientID}, "redirect_uri": {q.RedirectURI}, "response_type": {responseType}, "response_mode": {q.ResponseMode},
		"scope": {strings.Join(q.Scopes, " ")}, "state": {"placeholder"},
	}
	for name, value := range map[string]string{"nonce": q.Nonce, "audience": audience} {
		if value != "" {
			form.Set(name, value)
		}
	}
	if q.Challenge != "" {
		form.Set("code_challenge", q.Challenge)
		form.Set("code_challenge_method", "S256")
	}
	return form
}

// readPKCE takes S256 (RFC 7636), which only chosen confidential clients may leave out.
func (q *request) readPKCE(form url.Values) error {
	challenge, method := form.Get("code_challenge"), form.Get("code_challenge_method")
	if challenge == "" && method == "" && q.client.OmitPKCE && !q.client.Public() {
		return nil
	}
	if method != "S256" {
		return invalidRequest("PKCE is required: send code_challenge and code_challenge_method=S256.")
	}
	if raw, err := base64.RawURLEncoding.Strict().DecodeString(challenge); err != nil || len(raw) != 32 {
		return invalidRequest("code_challenge is not the base64url form of a SHA-256 hash.")
	}
	q.Challenge = challenge
	return nil
}

func (q *request) readPrompt(form url.Values) error {
	q.Prompt = fields(form.Get("prompt"))
	for _, v := range q.Prompt {
		if !has([]string{"none", "login", "consent", "select_account"}, v) {
			return invalidRequest("This value of prompt is not supported.")
		}
	}
	if q.prompts("none") && len(q.Prompt) > 1 {
		return invalidRequest("prompt=none stands alone.")
	}
	if raw := form.Get("max_age"); raw != "" {
		age, err := strconv.ParseInt(raw, 10, 32)
		if err != nil || age < 0 {
			return invalidRequest("max_age is not a number of seconds.")
		}
		q.MaxAge = &age
	}
	return nil
}

// readHint takes an id_token of ours, expired or not, that was made for this client.
func (p *Provider) readHint(req *request, hint string) error {
	if hint == "" {
		return nil
	}
	_, claims, err := p.keys.Load().open(hint)
	if err != nil {
		return invalidRequest("id_token_hint is not an id_token of this server.")
	}
	sub, _ := claims["sub"].(string)
	if aud, _ := claims["aud"].(string); aud != req.ClientID || sub == "" || claims["iss"] != p.base {
		return invalidRequest("id_token_hint was not made for this client.")
	}
	req.HintSub = sub
	return nil
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

// personActor is the person of a session, for the record.
func personActor(s *login.Session, client string) actor.Actor {
	if s == nil {
		return actor.Actor{}
	}
	a := s.Actor()
	a.Client = client
	return a
}
