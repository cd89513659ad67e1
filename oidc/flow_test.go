package oidc_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	foreign "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/oidc"
)

// A relying party that none of us wrote logs in: discovery, PKCE, token, signature, nonce, at_hash, userinfo, refresh.
func TestForeignRelyingParty(t *testing.T) {
	each(t, func(w *world) {
		for _, alg := range []string{"RS256", "ES256"} {
			c := w.register(oidc.NewClient{Client: oidc.Client{ID: "foreign-" + alg, IDTokenAlg: alg}})
			provider, err := foreign.NewProvider(w.Context(), w.base)
			w.must(err)
			rp := oauth2.Config{
				ClientID: c.Client.ID, ClientSecret: c.Secret, RedirectURL: callback, Endpoint: provider.Endpoint(),
				Scopes: []string{"openid", "profile", "phone"},
			}
			rp.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
			secret := oauth2.GenerateVerifier()
			b := w.browser()
			p := b.through(b.get(rp.AuthCodeURL("st", oauth2.S256ChallengeOption(secret), foreign.Nonce("nn"))))
			if p.query("state") != "st" || p.query("iss") != w.base {
				w.Errorf("answer %s: state or iss is wrong", p.location)
			}
			tok, err := rp.Exchange(w.Context(), p.query("code"), oauth2.VerifierOption(secret))
			w.must(err)
			raw, _ := tok.Extra("id_token").(string)
			id, err := provider.Verifier(&foreign.Config{ClientID: c.Client.ID, SupportedSigningAlgs: []string{alg}, Now: w.now}).Verify(w.Context(), raw)
			w.must(err)
			w.must(id.VerifyAccessToken(tok.AccessToken))
			if id.Nonce != "nn" || id.Subject == "" || id.Subject == w.zhang {
				w.Errorf("id_token: nonce %q, sub %q", id.Nonce, id.Subject)
			}
			info, err := provider.UserInfo(w.Context(), oauth2.StaticTokenSource(tok))
			w.must(err)
			var more struct {
				Name  string `json:"name"`
				Phone string `json:"phone_number"`
			}
			w.must(info.Claims(&more))
			if info.Subject != id.Subject || more.Name != "张三" || more.Phone != "+8613800000011" {
				w.Errorf("userinfo: %+v %+v", info, more)
			}
			again, err := rp.TokenSource(w.Context(), &oauth2.Token{RefreshToken: tok.RefreshToken}).Token()
			w.must(err)
			if again.RefreshToken == tok.RefreshToken || again.AccessToken == tok.AccessToken {
				w.Error("refresh gave the old tokens back")
			}
		}
	})
}

func TestIDTokenSaysWhatTheContractSays(t *testing.T) {
	each(t, func(w *world) {
		before := w.now().Unix()
		tok := w.browser().login()
		header, c := claims(tok.ID)
		if header["alg"] != "RS256" || header["typ"] != "JWT" || header["kid"] == "" {
			w.Errorf("header %v", header)
		}
		sum := sha256.Sum256([]byte(tok.Access))
		for name, want := range map[string]any{
			"iss": w.base, "aud": "portal", "azp": "portal", "nonce": "n-0S6", "acr": "urn:hufu:acr:l1",
			"at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]), "auth_time": float64(before), "iat": float64(before),
			"exp": float64(before + 600),
		} {
			if name == "acr" {
				if acr, _ := c["acr"].(string); !strings.HasPrefix(acr, "urn:hufu:acr:l") {
					w.Errorf("acr = %v", c["acr"])
				}
				continue
			}
			if c[name] != want {
				w.Errorf("%s = %v, want %v", name, c[name], want)
			}
		}
		for _, name := range []string{"subject_kind", "act_for", "official", "name", "rat"} {
			if _, ok := c[name]; ok {
				w.Errorf("unasked claim %s", name)
			}
		}
		if tok.Type != "bearer" || tok.Scope != "openid profile" || tok.Expires != 600 {
			w.Errorf("%+v", tok)
		}
		w.pass(time.Minute)
		second := w.refresh(w.client, tok.Refresh)
		_, c2 := claims(second.ID)
		for _, name := range []string{"iss", "sub", "aud", "auth_time", "sid", "acr"} {
			if c2[name] != c[name] {
				w.Errorf("after refresh %s = %v, was %v", name, c2[name], c[name])
			}
		}
		if c2["iat"] != float64(before+60) || c2["at_hash"] == c["at_hash"] || c2["nonce"] != nil {
			w.Errorf("after refresh iat %v, at_hash %v", c2["iat"], c2["at_hash"])
		}
	})
}

func TestSubIsStableAndPairwiseBySector(t *testing.T) {
	each(t, func(w *world) {
		sub := func(c oidc.Registered) any {
			b := w.browser()
			tok := w.exchange(c, b.code("client_id", c.Client.ID))
			_, cl := claims(tok.ID)
			return cl["sub"]
		}
		other := w.register(oidc.NewClient{Client: oidc.Client{ID: "other"}})
		sector := w.register(oidc.NewClient{Client: oidc.Client{ID: "sectored", Sector: "bank.example"}})
		if a, b := sub(w.client), sub(other); a != b || a == w.zhang {
			w.Errorf("public sub %v and %v", a, b)
		}
		if a, b := sub(w.client), sub(sector); a == b {
			w.Errorf("sub %v is the same in another sector", a)
		}
	})
}

func TestSingleSignOnAndRememberedConsent(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		b.login()
		if p := b.authorize(); p.query("code") == "" {
			w.Errorf("a second log-in asked again: %s", p.location)
		}
		if p := b.authorize("scope", "openid profile phone"); p.to().Path != "/consent" {
			w.Errorf("a new scope was not asked for: %s", p.location)
		}
		if p := b.authorize("prompt", "consent"); p.to().Path != "/consent" {
			w.Errorf("prompt=consent: %s", p.location)
		}
		first := w.register(oidc.NewClient{Client: oidc.Client{ID: "own", FirstParty: true}})
		if p := b.authorize("client_id", first.Client.ID, "scope", "openid identity"); p.query("code") == "" {
			w.Errorf("our own application asked for consent: %s", p.location)
		}
	})
}

func TestPersonGrantsLessOrNothing(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		consent := func(form url.Values) page {
			p := b.authorize("scope", "openid profile phone", "prompt", "consent")
			for p.to().Path == "/login" {
				p = b.post("/login", url.Values{"i": {p.query("i")}, "account": {w.account}, "password": {password}})
			}
			form.Set("i", p.query("i"))
			return b.post("/consent", form)
		}
		p := consent(url.Values{"scopes": {"phone"}})
		tok := w.exchange(w.client, p.query("code"))
		if tok.Scope != "openid phone" {
			w.Errorf("granted %q", tok.Scope)
		}
		info, _ := w.userinfo(tok.Access)
		if info["name"] != nil || info["phone_number"] != "+8613800000011" {
			w.Errorf("userinfo %v", info)
		}
		if p := consent(url.Values{"scopes": {"phone api"}}); p.status != http.StatusBadRequest {
			w.Errorf("more than asked for was granted: %d %s", p.status, p.location)
		}
		p = consent(url.Values{"no": {"1"}})
		if p.query("error") != "access_denied" || p.query("state") != "s t&a" || p.query("iss") != w.base {
			w.Errorf("refusal: %s", p.location)
		}
	})
}

func TestStateIsOptional(t *testing.T) { // sharp edge 1
	each(t, func(w *world) {
		b := w.browser()
		for _, state := range []string{"-", "", "x", strings.Repeat("long", 1024)} {
			p := b.through(b.authorize("state", state))
			if _, sent := p.to().Query()["state"]; p.query("code") == "" || sent != (len(state) > 0 && state != "-") || (sent && p.query("state") != state) {
				w.Errorf("state %.10q: %.200s", state, p.location)
			}
			if p.to().Query().Has("scope") {
				w.Error("scope in the answer")
			}
		}
		p := b.authorize("state", strings.Repeat("x", 5000))
		if p.query("error") != "invalid_request" || p.to().Query().Has("state") {
			w.Errorf("overlong state: %.200s", p.location)
		}
	})
}

func TestPromptAndMaxAge(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		if p := b.authorize("prompt", "none"); p.query("error") != "login_required" || p.query("state") != "s t&a" {
			w.Errorf("prompt=none without session: %s", p.location)
		}
		first := b.login()
		_, c1 := claims(first.ID)
		if p := b.authorize("prompt", "none", "id_token_hint", first.ID); p.query("code") == "" {
			w.Errorf("prompt=none with session: %s", p.location)
		}
		if p := b.authorize("prompt", "none", "scope", "openid identity"); p.query("error") != "consent_required" {
			w.Errorf("prompt=none without consent: %s", p.location)
		}
		if p := b.authorize("prompt", "none login"); p.query("error") != "invalid_request" {
			w.Errorf("prompt=none login: %s", p.location)
		}
		if p := b.authorize("max_age", "10000"); p.query("code") == "" {
			w.Errorf("max_age=10000: %s", p.location)
		}
		for _, pair := range [][2]string{{"prompt", "login"}, {"max_age", "0"}, {"prompt", "select_account"}} {
			if p := b.authorize(pair[0], pair[1]); p.to().Path != "/login" {
				w.Errorf("%v took the session that was there: %s", pair, p.location)
			}
		}
		w.pass(3 * time.Second)
		if p := b.authorize("max_age", "1", "prompt", "none"); p.query("error") != "login_required" {
			w.Errorf("max_age=1: %s", p.location)
		}
		p := b.authorize("prompt", "login")
		if again := b.get(p.location); again.status != http.StatusOK {
			w.Errorf("the old session did for prompt=login: %d %s", again.status, again.location)
		}
		tok := w.exchange(w.client, b.through(p).query("code"))
		if _, c := claims(tok.ID); c["auth_time"].(float64) <= c1["auth_time"].(float64) {
			w.Errorf("prompt=login: auth_time %v after %v", c["auth_time"], c1["auth_time"])
		}
		for _, bad := range []string{"-1", "x", "1.5", "99999999999999999999"} {
			if p := b.authorize("max_age", bad); p.query("error") != "invalid_request" {
				w.Errorf("max_age=%s: %s", bad, p.location)
			}
		}
	})
}

func TestHintHasToBeOursAndOfThePerson(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		mine := b.login()
		forged := mine.ID[:len(mine.ID)-6] + "AAAAAA"
		none := noneToken(mine.ID)
		for _, hint := range []string{forged, none, "x", "a.b.c", mine.Access} {
			if p := b.authorize("id_token_hint", hint); p.query("error") != "invalid_request" {
				w.Errorf("hint %.10s: %s", hint, p.location)
			}
		}
		w.enrol("lisi")
		w.account = "lisi"
		li := w.browser()
		if p := li.through(li.authorize("id_token_hint", mine.ID)); p.query("error") != "login_required" {
			w.Errorf("another person than the hint's: %s", p.location)
		}
		other := w.register(oidc.NewClient{Client: oidc.Client{ID: "other"}})
		if p := b.authorize("client_id", other.Client.ID, "id_token_hint", mine.ID); p.query("error") != "invalid_request" {
			w.Errorf("a hint made for another client: %s", p.location)
		}
	})
}

// enrol makes another person, and returns the subject.
func (w *world) enrol(name string) string {
	w.Helper()
	sub, err := w.logins.Enrol(w.Context(), system, login.Enrolment{
		Person: identity.PersonForm{
			Name: "李四", Phone: "13900000022", Identifiers: []identity.Identifier{{Type: identity.ResidentID, Number: "34052419800101001X"}},
			Evidence: []identity.Evidence{{Method: identity.ByFace, Source: "test"}},
		}, Account: name, Password: password,
	})
	w.must(err)
	return sub.ID
}

// noneToken turns an id_token into an unsigned one.
func noneToken(t string) string {
	parts := strings.Split(t, ".")
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
}

func TestFormPost(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		p := b.through(b.authorize("response_mode", "form_post", "state", `"><script>`))
		if p.status != http.StatusOK || p.location != "" || !strings.Contains(p.body, `action="`+callback+`"`) {
			w.Fatalf("%d %s %s", p.status, p.location, p.body)
		}
		csp := p.header.Get("Content-Security-Policy")
		if strings.Contains(p.body, "<script>") || !strings.Contains(csp, "script-src 'self'; form-action https://rp.example;") {
			w.Errorf("policy %q, page %s", csp, p.body)
		}
		_, rest, _ := strings.Cut(p.body, `name="code" value="`)
		code, _, _ := strings.Cut(rest, `"`)
		if tok := w.exchange(w.client, code); tok.status != http.StatusOK {
			w.Errorf("%+v", tok)
		}
		e := b.authorize("response_mode", "form_post", "response_type", "token")
		if e.status != http.StatusOK || !strings.Contains(e.body, `name="error" value="unsupported_response_type"`) || !strings.Contains(e.body, `name="iss"`) {
			w.Errorf("error by form_post: %d %s", e.status, e.body)
		}
		if js := b.get("/oauth2/form_post.js"); !strings.Contains(js.body, "submit()") {
			w.Errorf("script: %q", js.body)
		}
		if p := b.authorize("response_mode", "fragment"); p.query("error") != "invalid_request" || p.to().Fragment != "" {
			w.Errorf("response_mode=fragment: %s", p.location)
		}
	})
}

func TestAuthorizeByPost(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		p := b.post("/oauth2/authorize", w.params("portal"))
		if p.to().Path != "/oauth2/authorize" { // no session cookie came along: asked again by GET
			w.Fatalf("%d %s", p.status, p.location)
		}
		p = b.through(b.get(p.location))
		if p.query("code") == "" {
			w.Fatalf("%s", p.location)
		}
		if p := b.post("/oauth2/authorize", w.params("portal")); p.query("code") == "" {
			w.Errorf("with a session: %d %s", p.status, p.location)
		}
	})
}

func TestWordsForThePagesAreHandedOver(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		p := b.authorize("login_hint", "zhangsan", "ui_locales", "en zh-CN", "acr_values", "urn:hufu:acr:l3", "unknown", "ignored",
			"display", "popup", "claims_locales", "en")
		var in oidc.Interaction
		w.must(json.Unmarshal([]byte(b.get(p.location).body), &in))
		if in.LoginHint != "zhangsan" || len(in.Locales) != 2 || in.Client.Name != "示例应用" || in.RedirectOrigin != "https://rp.example" ||
			in.Next != oidc.StepLogin || len(in.ACRValues) != 1 {
			w.Errorf("%+v", in)
		}
	})
}

// company gives Zhang San a company that he represents, and returns its id.
func (w *world) company() string {
	w.Helper()
	e, err := w.people.RegisterEntity(w.Context(), system, identity.EntityForm{Name: "杭州示例有限公司", USCC: uscc, LegalRep: w.zhang})
	w.must(err)
	return e.ID
}

// office gives Zhang San a post in a public body.
func (w *world) office() (org, post string) {
	w.Helper()
	e, err := w.people.RegisterEntity(w.Context(), system, identity.EntityForm{Name: "示例市数据局", USCC: bureau})
	w.must(err)
	p, err := w.people.Appoint(w.Context(), system, identity.Appointment{
		Person: w.zhang, Organisation: e.ID, Title: "科长", Roles: []actor.Role{actor.RoleRegistrar},
	})
	w.must(err)
	return e.ID, p.ID
}

// acting logs in for the scope entity and chooses.
func (b *browser) acting(kind, acts, post string, pairs ...string) tokens {
	b.w.Helper()
	p := b.through(b.authorize(append([]string{"scope", "openid profile entity api"}, pairs...)...))
	if p.status != http.StatusSeeOther || p.to().Path != "/acting" {
		b.w.Fatalf("no choice was offered: %d %s %s", p.status, p.location, p.body)
	}
	p = b.through(b.post("/acting", url.Values{"i": {p.query("i")}, "kind": {kind}, "for": {acts}, "post": {post}}))
	t := b.w.exchange(b.w.client, p.query("code"))
	if t.status != http.StatusOK {
		b.w.Fatalf("no tokens after %d %s %s: %+v", p.status, p.location, p.body, t)
	}
	return t
}

func TestActingForACompanyAndInOffice(t *testing.T) {
	each(t, func(w *world) {
		company := w.company()
		org, post := w.office()
		b := w.browser()
		tok := b.acting("entity", company, "")
		_, c := claims(tok.ID)
		want := map[string]any{"sub": company, "kind": "entity", "name": "杭州示例有限公司", "uscc": uscc, "relation": "legal_rep"}
		if got, _ := json.Marshal(c["act_for"]); c["subject_kind"] != "entity" || string(got) != string(must(json.Marshal(want))) || c["official"] != nil {
			w.Errorf("claims %v", c)
		}
		a, err := w.p.Bearer(w.Context(), tok.Access)
		w.must(err)
		if a.Subject != w.zhang || a.Capacity != "entity" || a.For != company || a.Name != "张三" || len(a.Roles) != 0 || a.Client != "portal" {
			w.Errorf("actor %+v", a)
		}
		if p := b.authorize("scope", "openid profile entity api", "prompt", "none"); p.query("code") == "" {
			w.Errorf("prompt=none did not take the capacity of last time: %s", p.location)
		}
		tok = b.acting("official", org, post)
		_, c = claims(tok.ID)
		if c["subject_kind"] != "official" || c["act_for"] != nil || c["official"].(map[string]any)["post"] != "科长" {
			w.Errorf("claims %v", c)
		}
		a, err = w.p.Bearer(w.Context(), tok.Access)
		w.must(err)
		if !a.Is("registrar") || a.For != org {
			w.Errorf("actor %+v", a)
		}
		info, _ := w.userinfo(tok.Access)
		if info["official"] == nil {
			w.Errorf("userinfo %v", info)
		}
		tok = b.acting("person", "", "")
		if _, c = claims(tok.ID); c["subject_kind"] != "person" || c["act_for"] != nil {
			w.Errorf("claims %v", c)
		}
	})
}
