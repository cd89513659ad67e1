package oidc_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"hufu/audit"
	"hufu/internal/actor"
	"hufu/oidc"
)

func TestDiscoveryAndKeys(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		one, two := b.get("/.well-known/openid-configuration"), b.get("/.well-known/oauth-authorization-server")
		if one.status != http.StatusOK || one.body != two.body || one.header.Get("Content-Type") != "application/json" || one.body != string(w.p.Discovery()) {
			w.Fatalf("%d %v", one.status, one.header)
		}
		var doc map[string]any
		w.must(json.Unmarshal([]byte(one.body), &doc))
		if doc["issuer"] != w.base || doc["authorization_response_iss_parameter_supported"] != true || doc["request_uri_parameter_supported"] != false {
			w.Errorf("%v", doc)
		}
		for _, must := range []struct{ field, value string }{
			{"id_token_signing_alg_values_supported", "RS256"},
			{"id_token_signing_alg_values_supported", "ES256"},
			{"code_challenge_methods_supported", "S256"},
			{"scopes_supported", "openid"},
			{"subject_types_supported", "public"},
			{"subject_types_supported", "pairwise"},
			{"response_modes_supported", "form_post"},
			{"grant_types_supported", "refresh_token"},
			{"claims_supported", "act_for"},
		} {
			if list, _ := doc[must.field].([]any); !slices.Contains(list, any(must.value)) {
				w.Errorf("%s = %v, %s is missing", must.field, doc[must.field], must.value)
			}
		}
		for name, v := range doc { // every endpoint that is named answers
			if uri, ok := v.(string); ok && (strings.HasSuffix(name, "_endpoint") || name == "jwks_uri") {
				if p := b.get(uri); p.status == http.StatusNotFound {
					w.Errorf("%s: %d", name, p.status)
				}
			}
		}
		p := b.get("/oauth2/jwks")
		var set jose.JSONWebKeySet
		w.must(json.Unmarshal([]byte(p.body), &set))
		if len(set.Keys) != 2 || set.Keys[0].KeyID == set.Keys[1].KeyID || !set.Keys[0].IsPublic() || !set.Keys[1].IsPublic() || set.Keys[0].Use != "sig" {
			w.Errorf("keys %s", p.body)
		}
		r, err := http.NewRequest("GET", w.base+"/oauth2/jwks", nil)
		w.must(err)
		r.Header.Set("If-None-Match", p.header.Get("ETag"))
		if again := b.do(r, nil); again.status != http.StatusNotModified {
			w.Errorf("ETag: %d", again.status)
		}
	})
}

func TestKeyRotation(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		old := b.login()
		header, _ := claims(old.ID)
		next := []oidc.Key{{ID: "new", Signer: must(rsa.GenerateKey(rand.Reader, 2048))}, {Signer: w.ec}, {Public: rsaKey.Public()}}
		w.must(w.p.SetKeys(next))
		tok := w.refresh(w.client, old.Refresh)
		if h, _ := claims(tok.ID); h["kid"] != "new" {
			w.Errorf("signed by %v", h["kid"])
		}
		if !strings.Contains(string(w.p.JWKS()), header["kid"].(string)) {
			w.Error("the old key is not published any more")
		}
		if p := b.authorize("prompt", "none", "id_token_hint", old.ID); p.query("code") == "" {
			w.Errorf("a hint under the old key: %s", p.location)
		}
		for name, bad := range map[string][]oidc.Key{
			"none": nil, "no RSA": {{Signer: w.ec}}, "no EC": {{Signer: w.rsa}}, "twice": {{Signer: w.rsa}, {Signer: w.rsa}, {Signer: w.ec}},
			"no signer": {{Public: rsaKey.Public()}, {Signer: w.ec}}, "empty": {{}, {Signer: w.rsa}, {Signer: w.ec}},
		} {
			if err := w.p.SetKeys(bad); !errors.Is(err, oidc.ErrConfig) {
				w.Errorf("%s: %v", name, err)
			}
		}
		w.alive(tok.Access)
	})
}

// Tokens under the secret of before hold until it is dropped, and another node that knows both takes the new ones.
func TestSecretsRotate(t *testing.T) {
	each(t, func(w *world) {
		b, before, fresh := w.browser(), w.config().TokenSecret, bytes.Repeat([]byte{77}, 32)
		old := b.login()
		w.must(w.p.SetSecrets(before, [][]byte{fresh})) // to come: accepted, and makes nothing
		w.alive(old.Access)
		w.must(w.p.SetSecrets(fresh, [][]byte{before}))
		w.alive(old.Access)
		next := w.refresh(w.client, old.Refresh)
		w.alive(next.Access)
		w.must(w.p.SetSecrets(before, [][]byte{fresh})) // a node that is behind
		w.alive(next.Access)
		w.must(w.p.SetSecrets(before, nil))
		w.dead(next.Access)
		w.must(w.p.SetSecrets(fresh, nil))
		w.alive(next.Access)
		for _, bad := range [][]byte{nil, fresh[:31]} {
			if err := w.p.SetSecrets(bad, nil); !errors.Is(err, oidc.ErrConfig) {
				w.Errorf("a secret of %d octets: %v", len(bad), err)
			}
			if err := w.p.SetSecrets(fresh, [][]byte{bad}); !errors.Is(err, oidc.ErrConfig) {
				w.Errorf("another secret of %d octets: %v", len(bad), err)
			}
		}
		w.alive(next.Access)
	})
}

func TestConfigurationIsChecked(t *testing.T) {
	each(t, func(w *world) {
		for name, change := range map[string]func(*oidc.Config){
			"issuer path":  func(c *oidc.Config) { c.Issuer = "https://id.example/x" },
			"issuer ftp":   func(c *oidc.Config) { c.Issuer = "ftp://id.example" },
			"issuer empty": func(c *oidc.Config) { c.Issuer = "" },
			"store":        func(c *oidc.Config) { c.Store = nil },
			"sessions":     func(c *oidc.Config) { c.Sessions = nil },
			"page":         func(c *oidc.Config) { c.Pages.Error = nil },
			"secret":       func(c *oidc.Config) { c.TokenSecret = c.TokenSecret[:31] },
			"old secret":   func(c *oidc.Config) { c.OldSecrets = [][]byte{{1}} },
			"keys":         func(c *oidc.Config) { c.Keys = nil },
		} {
			c := w.config()
			change(&c)
			if _, err := oidc.New(c); !errors.Is(err, oidc.ErrConfig) {
				w.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestTokensOutliveASecretRotation(t *testing.T) {
	each(t, func(w *world) {
		tok := w.browser().login()
		c := w.config()
		c.OldSecrets, c.TokenSecret = [][]byte{c.TokenSecret}, bytes.Repeat([]byte{1}, 32)
		p, err := oidc.New(c)
		w.must(err)
		if _, err := p.Bearer(w.Context(), tok.Access, "openid"); err != nil {
			w.Error(err)
		}
		c.OldSecrets = nil
		p, err = oidc.New(c)
		w.must(err)
		if _, err := p.Bearer(w.Context(), tok.Access, "openid"); !errors.Is(err, oidc.ErrToken) {
			w.Errorf("a token under a forgotten secret: %v", err)
		}
	})
}

func TestCORSWhereNoCookiesCount(t *testing.T) {
	each(t, func(w *world) {
		for path, open := range map[string]bool{
			"/.well-known/openid-configuration": true, "/oauth2/jwks": true, "/oauth2/token": true, "/oauth2/userinfo": true,
			"/oauth2/authorize": false, "/oauth2/revoke": false, "/oauth2/introspect": false, "/oauth2/logout": false,
		} {
			r, err := http.NewRequest("OPTIONS", w.base+path, nil)
			w.must(err)
			r.Header.Set("Origin", "https://spa.example")
			p := w.browser().do(r, nil)
			if (p.header.Get("Access-Control-Allow-Origin") == "*") != open || p.header.Get("Access-Control-Allow-Credentials") != "" {
				w.Errorf("%s: %d %v", path, p.status, p.header)
			}
		}
		for path, method := range map[string]string{"/oauth2/token": "GET", "/oauth2/jwks": "POST", "/oauth2/userinfo": "DELETE", "/oauth2/revoke": "GET"} {
			r, err := http.NewRequest(method, w.base+path, nil)
			w.must(err)
			if p := w.browser().do(r, nil); p.status != http.StatusMethodNotAllowed {
				w.Errorf("%s %s: %d", method, path, p.status)
			}
		}
	})
}

func TestFormsAreBounded(t *testing.T) {
	each(t, func(w *world) {
		send := func(path, media, body string) page {
			r, err := http.NewRequest("POST", w.base+path, strings.NewReader(body))
			w.must(err)
			r.Header.Set("Content-Type", media)
			r.SetBasicAuth("portal", w.client.Secret)
			return w.browser().do(r, nil)
		}
		const form = "application/x-www-form-urlencoded"
		for _, path := range []string{"/oauth2/token", "/oauth2/revoke", "/oauth2/introspect"} {
			for name, c := range map[string]struct{ media, body string }{
				"large":     {form, "token=" + strings.Repeat("x", 70<<10)},
				"long":      {form, "token=" + strings.Repeat("x", 20<<10)},
				"json":      {"application/json", `{"token":"x"}`},
				"multipart": {"multipart/form-data; boundary=x", "--x--"},
				"no type":   {"", "token=x"},
				"twice":     {form, "token=x&token=y&grant_type=refresh_token"},
				"control":   {form, "token=%00&grant_type=%0a"},
				"not utf8":  {form, "token=%ff&grant_type=refresh_token"},
				"escape":    {form, "token=%zz"},
				"semicolon": {form, "token=a;b=c"},
				"empty":     {form, ""},
			} {
				p := send(path, c.media, c.body)
				if (p.status != http.StatusBadRequest && p.status != http.StatusRequestEntityTooLarge) || !strings.Contains(p.body, "invalid_request") {
					w.Errorf("%s %s: %d %s", path, name, p.status, p.body)
				}
				if p.header.Get("Cache-Control") != "no-store" {
					w.Errorf("%s %s may be cached", path, name)
				}
			}
		}
		for body, want := range map[string]string{
			"grant_type=password&username=x&password=y": "unsupported_grant_type", "grant_type=client_credentials": "unsupported_grant_type",
			"grant_type=authorization_code": "invalid_grant", "grant_type=authorization_code+refresh_token": "unsupported_grant_type",
			"grant_type=refresh_token": "invalid_grant", "code=x": "invalid_request",
		} {
			if p := send("/oauth2/token", form, body); p.status != http.StatusBadRequest || !strings.Contains(p.body, want) {
				w.Errorf("%s: %d %s, want %s", body, p.status, p.body, want)
			}
		}
		if p := w.browser().get("/oauth2/authorize?client_id=" + strings.Repeat("x", 40<<10)); p.status != http.StatusBadRequest {
			w.Errorf("a long URL: %d", p.status)
		}
	})
}

func TestIntrospection(t *testing.T) {
	each(t, func(w *world) {
		w.register(oidc.NewClient{Client: oidc.Client{ID: "asker", Audience: []string{"files"}}})
		asker, err := w.p.RotateSecret(w.Context(), admin, "asker", 0)
		w.must(err)
		files := w.register(oidc.NewClient{Client: oidc.Client{ID: "files"}})
		other := w.register(oidc.NewClient{Client: oidc.Client{ID: "other"}})
		server := w.register(oidc.NewClient{Client: oidc.Client{ID: "server", ResourceServer: true}})
		c := oidc.Registered{Client: oidc.Client{ID: "asker"}, Secret: asker}
		tok := w.exchange(c, w.browser().code("client_id", "asker", "audience", "files", "scope", "openid entity"))
		_, id := claims(tok.ID)
		for _, who := range []oidc.Registered{c, files, server} {
			info := w.introspect(who, tok.Access)
			if info["active"] != true || info["client_id"] != "asker" || info["scope"] != "openid entity" || info["sub"] != id["sub"] ||
				info["subject_kind"] != "person" || info["exp"].(float64)-info["iat"].(float64) != 600 {
				w.Errorf("%s: %v", who.Client.ID, info)
			}
			if info := w.introspect(who, tok.Refresh); info["active"] != false {
				w.Errorf("a refresh token passed for an access token: %v", info)
			}
		}
		if info := w.introspect(other, tok.Access); info["active"] != false || len(info) != 1 {
			w.Errorf("a stranger learned %v", info)
		}
		r, err := http.NewRequest("POST", w.base+"/oauth2/introspect", strings.NewReader("token="+url.QueryEscape(tok.Access)))
		w.must(err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Authorization", "Bearer "+tok.Access) // sharp edge 24: an access token is no caller's credential
		if p := w.browser().do(r, nil); p.status != http.StatusUnauthorized {
			w.Errorf("an access token introspected itself: %d %s", p.status, p.body)
		}
		w.pass(10 * time.Minute)
		if info := w.introspect(c, tok.Access); info["active"] != false {
			w.Errorf("expired: %v", info)
		}
	})
}

func TestUserinfoByScope(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		for scope, want := range map[string][]string{
			"openid": {"sub"}, "openid profile": {"name", "sub"}, "openid phone": {"phone_number", "phone_number_verified", "sub"},
			"openid address": {"sub"}, "openid entity": {"sub", "subject_kind"},
			"openid identity": {"birthdate", "gender", "identity_level", "identity_number", "identity_type", "sub"},
		} {
			info, _ := w.userinfo(b.login("scope", scope).Access)
			var got []string
			for name := range info {
				got = append(got, name)
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				w.Errorf("%s: %v, want %v", scope, got, want)
			}
			if scope == "openid identity" && (info["identity_number"] != number || info["birthdate"] != "1990-03-07") {
				w.Errorf("%v", info)
			}
		}
		plain := b.code("scope", "api")
		tok := w.exchange(w.client, plain)
		if tok.ID != "" || tok.status != http.StatusOK {
			w.Errorf("without openid: %+v", tok)
		}
		if _, status := w.userinfo(tok.Access); status != http.StatusForbidden {
			w.Errorf("userinfo without openid: %d", status)
		}
		r, err := http.NewRequest("GET", w.base+"/oauth2/userinfo", nil)
		w.must(err)
		if p := b.do(r, nil); p.status != http.StatusUnauthorized || !strings.HasPrefix(p.header.Get("WWW-Authenticate"), "Bearer ") {
			w.Errorf("no token: %d %v", p.status, p.header)
		}
	})
}

// Releasing the number leaves a record; nobody without the person's key reads from it who used what.
func TestRecordsOfALogIn(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		tok := b.login("scope", "openid identity")
		w.userinfo(tok.Access)
		w.refresh(w.client, tok.Refresh)
		w.exchange(w.client, "x.y")
		w.must(w.p.Withdraw(w.Context(), w.person(), "portal"))
		want := map[string]string{
			"consent.grant": "person:" + w.zhang, "grant.open": "person:" + w.zhang, "token.issue": "client:portal",
			"identity.release": "client:portal", "grant.revoke": "person:" + w.zhang, "client.register": "official:admin",
		}
		w.must(w.db.Audit().View(w.Context(), func(r audit.R) error {
			for action, by := range want {
				rows, err := r.Find(audit.Query{Action: action, Limit: 10})
				if err != nil || len(rows) != 1 || rows[0].Actor != by {
					w.Errorf("%s: %d records, %v", action, len(rows), err)
					continue
				}
				leaf := string(rows[0].Leaf)
				if strings.Contains(leaf, number) || (strings.Contains(leaf, w.zhang) && strings.Contains(leaf, "portal")) {
					w.Errorf("%s tells too much: %s", action, leaf)
				}
				if action != "client.register" && action != "grant.revoke" && rows[0].Subject != w.zhang {
					w.Errorf("%s is not sealed under the person's key", action)
				}
			}
			return nil
		}))
	})
}

func TestBearerNeedsTheScope(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		tok := b.login("scope", "openid profile")
		for _, scopes := range [][]string{nil, {"api"}, {"openid", "identity"}} {
			if _, err := w.p.Bearer(w.Context(), tok.Access, scopes...); !errors.Is(err, oidc.ErrScope) {
				w.Errorf("%v: %v", scopes, err)
			}
		}
		a, err := w.p.Bearer(w.Context(), b.login("scope", "openid api").Access)
		w.must(err)
		if a.Subject != w.zhang || a.Capacity != actor.Person || a.Session == "" || a.Level() < 1 || !a.Allows("api") || a.Allows("identity") {
			w.Errorf("%+v", a)
		}
	})
}

func TestLogout(t *testing.T) {
	each(t, func(w *world) {
		const back = "https://rp.example/bye?a=b"
		c := w.client.Client
		c.LogoutURIs = []string{back}
		_, err := w.p.ChangeClient(w.Context(), admin, c)
		w.must(err)
		out := func(b *browser, pairs ...string) page {
			return b.get("/oauth2/logout?" + with(url.Values{}, pairs...).Encode())
		}
		b := w.browser()
		tok := b.login()
		live := func() bool { return b.authorize("prompt", "none").query("code") != "" }
		other := w.register(oidc.NewClient{Client: oidc.Client{ID: "other"}})
		for name, pairs := range map[string][]string{
			"nothing":            nil,
			"only state":         {"state", "x"},
			"URI without hint":   {"post_logout_redirect_uri", back},
			"unregistered URI":   {"post_logout_redirect_uri", "https://evil.example/", "id_token_hint", tok.ID},
			"query added":        {"post_logout_redirect_uri", back + "&c=d", "id_token_hint", tok.ID},
			"hint unsigned":      {"post_logout_redirect_uri", back, "id_token_hint", noneToken(tok.ID)},
			"hint damaged":       {"post_logout_redirect_uri", back, "id_token_hint", tok.ID[:len(tok.ID)-5] + "AAAAA"},
			"hint of other":      {"post_logout_redirect_uri", back, "id_token_hint", tok.ID, "client_id", other.Client.ID},
			"hint of a stranger": {"post_logout_redirect_uri", back, "id_token_hint", w.browser().login().ID},
		} {
			if p := out(b, pairs...); p.location != "" || (!strings.Contains(p.body, "confirm page") && !strings.Contains(p.body, "error page")) {
				w.Errorf("%s: %d %s %s", name, p.status, p.location, p.body)
			}
			if !live() {
				w.Fatalf("%s ended the session", name)
			}
		}
		w.pass(time.Hour / 4) // the hint has expired by then, and does
		state := strings.Repeat("s&", 64)
		p := out(b, "post_logout_redirect_uri", back, "id_token_hint", tok.ID, "state", state)
		if !strings.HasPrefix(p.location, back) || p.query("state") != state || p.query("a") != "b" {
			w.Errorf("%d %s %s", p.status, p.location, p.body)
		}
		if p := b.authorize("prompt", "none"); p.query("error") != "login_required" {
			w.Errorf("still logged in: %s", p.location)
		}
		w.refused(w.refresh(w.client, tok.Refresh), "invalid_grant")
		if p := out(b, "post_logout_redirect_uri", back, "id_token_hint", tok.ID); p.location != back {
			w.Errorf("logged out already: %d %s", p.status, p.location)
		}
		if p := out(b); !strings.Contains(p.body, "logged-out page") {
			w.Errorf("%s", p.body)
		}
		tok = b.login()
		form := url.Values{"post_logout_redirect_uri": {back}, "id_token_hint": {tok.ID}}
		if p := b.post("/oauth2/logout", form); p.location != back {
			w.Errorf("by POST: %d %s", p.status, p.location)
		}
	})
}

func TestWithdrawingConsentEndsTheGrants(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		tok := b.login("scope", "openid offline_access")
		grants, err := w.p.Grants(w.Context(), w.person())
		w.must(err)
		if len(grants) != 1 || grants[0].Client != "portal" {
			w.Errorf("%+v", grants)
		}
		if err := w.p.Withdraw(w.Context(), actor.Actor{}, "portal"); !errors.Is(err, actor.ErrUnknown) {
			w.Errorf("nobody withdrew: %v", err)
		}
		w.must(w.p.Withdraw(w.Context(), w.person(), "portal"))
		w.dead(tok.Access)
		w.refused(w.refresh(w.client, tok.Refresh), "invalid_grant")
		if p := b.authorize("scope", "openid offline_access"); p.to().Path != "/consent" {
			w.Errorf("consent was remembered: %s", p.location)
		}
	})
}

func TestNothingSecretIsLogged(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		code := b.code()
		tok := w.exchange(w.client, code)
		w.exchange(w.client, code)
		w.refresh(w.client, tok.Refresh)
		for _, secret := range []string{code, tok.Access, tok.Refresh, w.client.Secret} {
			_, signature, _ := strings.Cut(secret, ".")
			if strings.Contains(w.log.String(), secret) || (signature != "" && strings.Contains(w.log.String(), signature)) {
				w.Error("a secret is in the log")
			}
		}
	})
}
