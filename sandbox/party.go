package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// scopes are what the sample application asks for.
const scopes = "openid profile entity"

// Limits of what the provider may answer, in octets, and how far its clock may be ahead.
const (
	maxAnswer = 64 << 10
	skew      = time.Minute
)

// party is the relying party: it asks for a log-in and proves the answer (OpenID Connect Core section 3.1, RFC 7636,
// RFC 9207). It keeps no token but what it returns.
type party struct {
	config   Config
	redirect string // redirect_uri
	found    *discovered
}

// discovered is what the provider says about itself, read once.
type discovered struct {
	mu       sync.Mutex
	metadata *metadata // nil until it was read
}

// metadata is the part of the discovery document that is needed.
type metadata struct {
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Userinfo      string   `json:"userinfo_endpoint"`
	EndSession    string   `json:"end_session_endpoint"`
	SendsIssuer   bool     `json:"authorization_response_iss_parameter_supported"`
	Algs          []string `json:"id_token_signing_alg_values_supported"`

	verifier *oidc.IDTokenVerifier
}

// proven is what the id_token and userinfo said, after both were checked.
type proven struct {
	Name        string          `json:"-"` // from userinfo
	Sub         string          `json:"-"`
	ACR         string          `json:"acr"`
	AMR         []string        `json:"amr"`
	SubjectKind string          `json:"subject_kind"`
	ActFor      *ActFor         `json:"act_for"`
	Official    *Official       `json:"official"`
	IDToken     string          `json:"-"`
	Claims      json.RawMessage `json:"-"` // of the id_token, indented
	Alg, KeyID  string          `json:"-"` // of its header
}

func newParty(c Config, redirect string) party {
	client := *c.HTTP
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.HTTP = &client
	return party{config: c, redirect: redirect, found: &discovered{}}
}

// discover reads the discovery document at the first call that succeeds. The keys it names are read when they are needed,
// and again when a token has an unknown one.
func (p *party) discover() (*metadata, error) {
	p.found.mu.Lock()
	defer p.found.mu.Unlock()
	if p.found.metadata != nil {
		return p.found.metadata, nil
	}
	// The key set keeps this context, so it must not be a request's.
	provider, err := oidc.NewProvider(oidc.ClientContext(context.Background(), p.config.HTTP), p.config.Issuer)
	if err != nil {
		return nil, ErrProvider.With("discovery of %s: %w", p.config.Issuer, err)
	}
	m := new(metadata)
	if err := provider.Claims(m); err != nil {
		return nil, ErrProvider.With("discovery of %s: %w", p.config.Issuer, err)
	}
	var algs []string
	for _, alg := range []string{oidc.ES256, oidc.RS256, oidc.PS256} {
		if slices.Contains(m.Algs, alg) {
			algs = append(algs, alg)
		}
	}
	if len(algs) == 0 || m.Authorization == "" || m.Token == "" || m.Userinfo == "" {
		return nil, ErrProvider.With("discovery of %s: an endpoint or a usable algorithm is missing", p.config.Issuer)
	}
	m.verifier = provider.Verifier(&oidc.Config{ClientID: p.config.ClientID, SupportedSigningAlgs: algs, Now: p.config.Now})
	p.found.metadata = m
	return m, nil
}

// authorizeURL is where the browser asks for a log-in.
func (p *party) authorizeURL(state, nonce, verifier, lang string) (string, error) {
	m, err := p.discover()
	if err != nil {
		return "", err
	}
	challenge := sha256.Sum256([]byte(verifier))
	return withQuery(m.Authorization, url.Values{
		"response_type": {"code"}, "client_id": {p.config.ClientID}, "redirect_uri": {p.redirect}, "scope": {scopes},
		"state": {state}, "nonce": {nonce}, "ui_locales": {lang},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	})
}

// logoutURL is where the browser asks to be logged out at the provider; "" when it offers no such thing.
func (p *party) logoutURL(idToken, back string) (string, error) {
	m, err := p.discover()
	if err != nil || m.EndSession == "" {
		return "", err
	}
	return withQuery(m.EndSession, url.Values{
		"id_token_hint": {idToken}, "client_id": {p.config.ClientID}, "post_logout_redirect_uri": {back},
	})
}

func withQuery(address string, add url.Values) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", ErrProvider.With("discovery names a malformed address: %w", err)
	}
	q := u.Query()
	for name, values := range add {
		q[name] = values
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// answer is what the provider sent through the browser, so untrusted.
type answer struct{ state, code, iss, err string }

// parseAnswer refuses parameters that come twice, since two readers could choose different ones.
func parseAnswer(query string) (a answer, err error) {
	if len(query) > 8<<10 {
		return a, ErrAnswer.With("query of %d octets", len(query))
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return a, ErrAnswer.With("query: %w", err)
	}
	for name, to := range map[string]*string{"state": &a.state, "code": &a.code, "iss": &a.iss, "error": &a.err} {
		if len(q[name]) > 1 {
			return a, ErrAnswer.With("%s comes %d times", name, len(q[name]))
		}
		*to = q.Get(name)
	}
	if a.state == "" || (a.code == "") == (a.err == "") {
		return a, ErrAnswer.With("state missing, or not exactly one of code and error")
	}
	return a, nil
}

// complete proves an answer whose state was found: that it comes from our provider, then the code, then the id_token.
func (p *party) complete(ctx context.Context, a answer, at attempt) (proven, error) {
	m, err := p.discover()
	if err != nil {
		return proven{}, err
	}
	switch {
	case a.iss != p.config.Issuer && (m.SendsIssuer || a.iss != ""):
		return proven{}, ErrIssuer.With("iss is %q", a.iss)
	case a.err == "access_denied":
		return proven{}, ErrDeclined
	case a.err != "":
		return proven{}, ErrAnswer.With("authorization endpoint: %q", a.err)
	}
	t, err := p.exchange(ctx, m, a.code, at.verifier)
	if err != nil {
		return proven{}, err
	}
	who, err := p.prove(ctx, m, t, at.nonce)
	if err != nil {
		return proven{}, err
	}
	who.Name, err = p.name(ctx, m, t.Access, who.Sub)
	return who, err
}

// tokens is what the token endpoint answers, errors included (RFC 6749 section 5).
type tokens struct {
	Access string `json:"access_token"`
	Type   string `json:"token_type"`
	ID     string `json:"id_token"`
	Error  string `json:"error"`
}

func (p *party) exchange(ctx context.Context, m *metadata, code, verifier string) (t tokens, err error) {
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {p.redirect}, "code_verifier": {verifier},
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Token, strings.NewReader(form.Encode()))
	if err != nil {
		return t, ErrProvider.With("token endpoint: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(p.config.ClientID), url.QueryEscape(p.config.ClientSecret))
	status, err := p.ask(r, &t)
	switch {
	case err != nil:
		return t, ErrProvider.With("token endpoint: %w", err)
	case t.Error == "invalid_grant":
		return t, ErrStale.With("token endpoint: invalid_grant")
	case status != http.StatusOK:
		return t, ErrProvider.With("token endpoint: status %d, error %q", status, t.Error)
	case t.Access == "" || t.ID == "" || !strings.EqualFold(t.Type, "Bearer"):
		return t, ErrProvider.With("token endpoint: access_token, id_token or token_type missing")
	}
	return t, nil
}

// prove verifies the id_token (Core section 3.1.3.7): signature by a published key and with an algorithm of ours, issuer,
// audience, expiry, nonce, and that the access token is the one it was issued with.
func (p *party) prove(ctx context.Context, m *metadata, t tokens, nonce string) (proven, error) {
	token, err := m.verifier.Verify(oidc.ClientContext(ctx, p.config.HTTP), t.ID)
	if err != nil {
		return proven{}, ErrProof.With("id_token: %w", err)
	}
	var extra struct {
		AZP string `json:"azp"`
	}
	var raw json.RawMessage
	who := proven{IDToken: t.ID, Sub: token.Subject}
	if err := errors.Join(token.Claims(&who), token.Claims(&extra), token.Claims(&raw)); err != nil {
		return proven{}, ErrProof.With("id_token: %w", err)
	}
	switch {
	case !same(token.Nonce, nonce):
		return proven{}, ErrProof.With("id_token: nonce is not the one that was sent")
	case len(token.Audience) != 1 || (extra.AZP != "" && extra.AZP != p.config.ClientID):
		return proven{}, ErrProof.With("id_token: meant for %q by %q", token.Audience, extra.AZP)
	case token.Subject == "":
		return proven{}, ErrProof.With("id_token: sub missing")
	case token.IssuedAt.After(p.config.Now().Add(skew)):
		return proven{}, ErrProof.With("id_token: issued in the future")
	}
	if err := token.VerifyAccessToken(t.Access); err != nil {
		return proven{}, ErrProof.With("id_token: at_hash: %w", err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, raw, "", "  "); err != nil {
		return proven{}, ErrProof.With("id_token: %w", err)
	}
	who.Claims = indented.Bytes()
	who.Alg, who.KeyID = header(t.ID)
	return who, nil
}

// header reads alg and kid of a token that was verified, to show them.
func header(token string) (alg, kid string) {
	first, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	var h struct{ Alg, Kid string }
	if err != nil || json.Unmarshal(text, &h) != nil {
		return "", ""
	}
	return h.Alg, h.Kid
}

// name asks userinfo, whose sub must be that of the id_token (Core section 5.3.4).
func (p *party) name(ctx context.Context, m *metadata, access, sub string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, m.Userinfo, nil)
	if err != nil {
		return "", ErrProvider.With("userinfo: %w", err)
	}
	r.Header.Set("Authorization", "Bearer "+access)
	var claims struct{ Sub, Name string }
	status, err := p.ask(r, &claims)
	switch {
	case err != nil:
		return "", ErrProvider.With("userinfo: %w", err)
	case status != http.StatusOK:
		return "", ErrProvider.With("userinfo: status %d", status)
	case claims.Sub != sub:
		return "", ErrProof.With("userinfo is of another person")
	}
	return claims.Name, nil
}

// ask sends a request and decodes the JSON answer, whatever its status.
func (p *party) ask(r *http.Request, into any) (status int, err error) {
	r.Header.Set("Accept", "application/json")
	resp, err := p.config.HTTP.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return resp.StatusCode, err
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if len(body) > maxAnswer || kind != "application/json" {
		return resp.StatusCode, fmt.Errorf("status %d, %q of %d octets", resp.StatusCode, kind, len(body))
	}
	return resp.StatusCode, json.Unmarshal(body, into)
}
