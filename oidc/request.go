package oidc

import (
	"context"
	"encoding/base64"
	"net/url"
	"strconv"
	"strings"
	"time"

	"hufu/identity/login"
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
