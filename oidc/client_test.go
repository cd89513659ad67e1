package oidc_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"hufu/internal/actor"
	"hufu/oidc"
)

func TestOnlyAdministratorsRegisterClients(t *testing.T) {
	each(t, func(w *world) {
		ctx := w.Context()
		n := oidc.NewClient{Client: oidc.Client{ID: "new", Name: "新应用", RedirectURIs: []string{callback}}}
		citizen := actor.Actor{Subject: w.zhang, Capacity: actor.Person}
		auditor := actor.Actor{Subject: "a", Capacity: actor.Official, Roles: []actor.Role{actor.RoleAuditAdmin}}
		for _, a := range []actor.Actor{{}, citizen, auditor, {Subject: "portal", Capacity: actor.Client}} {
			if _, err := w.p.RegisterClient(ctx, a, n); err == nil {
				w.Errorf("%s registered a client", a)
			}
			if _, err := w.p.RotateSecret(ctx, a, "portal", 0); err == nil {
				w.Errorf("%s rotated a secret", a)
			}
			if err := w.p.DisableClient(ctx, a, "portal"); err == nil {
				w.Errorf("%s disabled a client", a)
			}
			if _, err := w.p.ChangeClient(ctx, a, w.client.Client); err == nil {
				w.Errorf("%s changed a client", a)
			}
		}
		if _, err := w.p.Clients(ctx, citizen, "", 0); err == nil {
			w.Error("a citizen listed the clients")
		}
		reg, err := w.p.RegisterClient(ctx, system, n)
		w.must(err)
		if len(reg.Secret) != 43 {
			w.Errorf("secret of %d characters", len(reg.Secret))
		}
		if _, err := w.p.RegisterClient(ctx, admin, n); !errors.Is(err, oidc.ErrClientTaken) {
			w.Errorf("twice: %v", err)
		}
		if _, err := w.p.RegisterClient(ctx, admin, oidc.NewClient{Client: n.Client, Secret: strings.Repeat("x", 40)}); !errors.Is(err, oidc.ErrClient) {
			w.Errorf("a secret chosen by a person: %v", err)
		}
		list, err := w.p.Clients(ctx, auditor, "", 0)
		w.must(err)
		if len(list) != 2 || strings.Contains(fmt.Sprintf("%+v", list), reg.Secret) {
			w.Errorf("%+v", list)
		}
		one, err := w.p.Client(ctx, admin, "new")
		w.must(err)
		if one.IDTokenAlg != "RS256" || one.AuthMethod != oidc.AuthBasic || one.Name != "新应用" {
			w.Errorf("%+v", one)
		}
	})
}

func TestRegistrationIsChecked(t *testing.T) {
	each(t, func(w *world) {
		good := oidc.Client{ID: "good", Name: "应用", RedirectURIs: []string{callback}, Scopes: []string{"openid"}}
		for name, change := range map[string]func(*oidc.Client){
			"id":             func(c *oidc.Client) { c.ID = "a b" },
			"short id":       func(c *oidc.Client) { c.ID = "x" },
			"no name":        func(c *oidc.Client) { c.Name = "" },
			"control":        func(c *oidc.Client) { c.Name = "a\x00b" },
			"no redirect":    func(c *oidc.Client) { c.RedirectURIs = nil },
			"http":           func(c *oidc.Client) { c.RedirectURIs = []string{"http://rp.example/cb"} },
			"fragment":       func(c *oidc.Client) { c.RedirectURIs = []string{"https://rp.example/cb#x"} },
			"empty fragment": func(c *oidc.Client) { c.RedirectURIs = []string{"https://rp.example/cb#"} },
			"user":           func(c *oidc.Client) { c.RedirectURIs = []string{"https://me@rp.example/cb"} },
			"relative":       func(c *oidc.Client) { c.RedirectURIs = []string{"/cb"} },
			"script":         func(c *oidc.Client) { c.RedirectURIs = []string{"javascript:alert(1)"} },
			"policy":         func(c *oidc.Client) { c.RedirectURIs = []string{"https://rp.example;script-src/cb"} },
			"custom scheme":  func(c *oidc.Client) { c.RedirectURIs = []string{"com.example:/cb"} },
			"logout uri":     func(c *oidc.Client) { c.LogoutURIs = []string{"ftp://rp.example"} },
			"homepage":       func(c *oidc.Client) { c.Homepage = "javascript:alert(1)" },
			"scope":          func(c *oidc.Client) { c.Scopes = []string{"a b"} },
			"method":         func(c *oidc.Client) { c.AuthMethod = "client_secret_jwt" },
			"alg":            func(c *oidc.Client) { c.IDTokenAlg = "none" },
			"public no pkce": func(c *oidc.Client) { c.AuthMethod, c.OmitPKCE = oidc.AuthNone, true },
			"no keys":        func(c *oidc.Client) { c.AuthMethod = oidc.AuthJWT },
			"keys for basic": func(c *oidc.Client) { c.JWKS = `{"keys":[]}` },
			"refresh life":   func(c *oidc.Client) { c.RefreshLife = -1 },
		} {
			c := good
			change(&c)
			if _, err := w.p.RegisterClient(w.Context(), admin, oidc.NewClient{Client: c}); !errors.Is(err, oidc.ErrClient) {
				w.Errorf("%s: %v", name, err)
			}
		}
		good.RedirectURIs = []string{"http://127.0.0.1:8000/cb", "http://localhost/cb", "https://rp.example/cb?x=1", "http://[::1]/cb"}
		if _, err := w.p.RegisterClient(w.Context(), admin, oidc.NewClient{Client: good}); err != nil {
			w.Error(err)
		}
	})
}

func TestRedirectURIWithQueryAndLoopbackPorts(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		uris := []string{"https://rp.example/cb?x=1", "http://127.0.0.1/cb"}
		w.register(oidc.NewClient{Client: oidc.Client{ID: "app", AuthMethod: oidc.AuthNone, RedirectURIs: uris}})
		w.register(oidc.NewClient{Client: oidc.Client{ID: "server", RedirectURIs: uris}})
		if p := b.through(b.authorize("client_id", "app", "redirect_uri", uris[0])); p.query("code") == "" || p.query("x") != "1" {
			w.Errorf("query: %s", p.location)
		}
		for id, allowed := range map[string]bool{"app": true, "server": false} {
			p := b.authorize("client_id", id, "redirect_uri", "http://127.0.0.1:43210/cb", "prompt", "none", "scope", "openid identity")
			if (p.query("error") == "consent_required") != allowed {
				w.Errorf("%s with another port: %d %s", id, p.status, p.location)
			}
		}
		for _, uri := range []string{"http://127.0.0.1:1/other", "http://localhost:1/cb", "https://127.0.0.1:1/cb", "http://127.0.0.2:1/cb", "http://127.0.0.1:1/cb?x"} {
			if p := b.authorize("client_id", "app", "redirect_uri", uri); p.location != "" {
				w.Errorf("%s: %s", uri, p.location)
			}
		}
	})
}

func TestClientHasOneMethod(t *testing.T) { // sharp edge 21
	each(t, func(w *world) {
		post := w.register(oidc.NewClient{Client: oidc.Client{ID: "poster", AuthMethod: oidc.AuthPost}})
		public := w.register(oidc.NewClient{Client: oidc.Client{ID: "public", AuthMethod: oidc.AuthNone}})
		grant := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x.y"}}
		for name, c := range map[string]struct {
			as   oidc.Registered
			form []string
			want string
		}{
			"basic":                {w.client, nil, "invalid_grant"},
			"basic, wrong secret":  {oidc.Registered{Client: w.client.Client, Secret: "wrong"}, nil, "invalid_client"},
			"basic, unknown":       {oidc.Registered{Client: oidc.Client{ID: "nobody"}, Secret: "x"}, nil, "invalid_client"},
			"basic as none":        {oidc.Registered{Client: w.client.Client}, nil, "invalid_client"},
			"basic as post":        {oidc.Registered{Client: w.client.Client}, []string{"client_secret", w.client.Secret}, "invalid_client"},
			"basic and post":       {w.client, []string{"client_secret", w.client.Secret}, "invalid_request"},
			"basic, other id":      {w.client, []string{"client_id", "poster"}, "invalid_client"},
			"basic, same id":       {w.client, []string{"client_id", "portal"}, "invalid_grant"},
			"post":                 {oidc.Registered{Client: post.Client}, []string{"client_secret", post.Secret}, "invalid_grant"},
			"post, wrong secret":   {oidc.Registered{Client: post.Client}, []string{"client_secret", "wrong"}, "invalid_client"},
			"post, empty secret":   {oidc.Registered{Client: post.Client}, []string{"client_secret", ""}, "invalid_client"},
			"post as basic":        {post, nil, "invalid_client"},
			"public":               {public, nil, "invalid_grant"},
			"public with secret":   {oidc.Registered{Client: public.Client, Secret: "x"}, nil, "invalid_client"},
			"public, posts secret": {public, []string{"client_secret", "x"}, "invalid_client"},
			"assertion type":       {public, []string{"client_assertion", "x", "client_assertion_type", "y"}, "invalid_request"},
			"assertion of nobody":  {public, []string{"client_assertion", "x", "client_assertion_type", assertionType}, "invalid_client"},
			"nobody":               {oidc.Registered{}, []string{"client_id", ""}, "invalid_client"},
		} {
			got := w.token(c.as, with(grant, c.form...))
			if got.Error != c.want || (c.want == "invalid_client") != (got.status == http.StatusUnauthorized) {
				w.Errorf("%s: %d %s (%s), want %s", name, got.status, got.Error, got.Why, c.want)
			}
		}
		for _, header := range []string{"Basic", "Basic !!!", "Basic Og==", "Bearer x", "basic cG9ydGFsOiV6eg=="} {
			r, err := http.NewRequest("POST", w.base+"/oauth2/token", strings.NewReader(grant.Encode()))
			w.must(err)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Authorization", header)
			if p := w.browser().do(r, nil); p.status != http.StatusUnauthorized || p.header.Get("WWW-Authenticate") == "" {
				w.Errorf("%q: %d %s", header, p.status, p.body)
			}
		}
		if p := w.call("/oauth2/introspect", public, url.Values{"token": {"x"}}); p.status != http.StatusUnauthorized {
			w.Errorf("a public client introspected: %d", p.status)
		}
	})
}

func TestPublicClientLogsInWithPKCEAlone(t *testing.T) {
	each(t, func(w *world) {
		app := w.register(oidc.NewClient{Client: oidc.Client{ID: "app", AuthMethod: oidc.AuthNone, IDTokenAlg: "ES256"}})
		if app.Secret != "" {
			w.Error("a public client got a secret")
		}
		tok := w.exchange(app, w.browser().code("client_id", "app"))
		if header, _ := claims(tok.ID); header["alg"] != "ES256" {
			w.Errorf("header %v", header)
		}
		if next := w.refresh(app, tok.Refresh); next.status != http.StatusOK {
			w.Errorf("%+v", next)
		}
	})
}

func TestSecretRotationOverlaps(t *testing.T) {
	each(t, func(w *world) {
		works := func(c oidc.Registered) bool {
			return w.token(c, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x.y"}}).Error == "invalid_grant"
		}
		old := w.client
		secret, err := w.p.RotateSecret(w.Context(), admin, "portal", time.Hour)
		w.must(err)
		fresh := oidc.Registered{Client: old.Client, Secret: secret}
		if !works(old) || !works(fresh) {
			w.Error("one of the two secrets does not work")
		}
		w.pass(time.Hour)
		if works(old) || !works(fresh) {
			w.Error("the old secret works too long")
		}
		last, err := w.p.RotateSecret(w.Context(), admin, "portal", 0)
		w.must(err)
		if works(fresh) || !works(oidc.Registered{Client: old.Client, Secret: last}) {
			w.Error("a rotation without overlap left the old secret")
		}
		w.register(oidc.NewClient{Client: oidc.Client{ID: "public", AuthMethod: oidc.AuthNone}})
		if _, err := w.p.RotateSecret(w.Context(), admin, "public", 0); !errors.Is(err, oidc.ErrNoSecret) {
			w.Errorf("%v", err)
		}
		if _, err := w.p.RotateSecret(w.Context(), admin, "nobody", 0); !errors.Is(err, oidc.ErrNotFound) {
			w.Errorf("%v", err)
		}
	})
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

func TestPrivateKeyJWT(t *testing.T) { // sharp edges 20, 21
	each(t, func(w *world) {
		key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		set := func(k jose.JSONWebKey) string {
			return string(must(json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{k}})))
		}
		public := jose.JSONWebKey{Key: key.Public(), KeyID: "k1", Use: "sig"}
		for name, bad := range map[string]string{
			"no kid": set(jose.JSONWebKey{Key: key.Public(), Use: "sig"}), "no use": set(jose.JSONWebKey{Key: key.Public(), KeyID: "k"}),
			"private": set(jose.JSONWebKey{Key: key, KeyID: "k", Use: "sig"}), "junk": "{", "empty": `{"keys":[]}`,
			"symmetric": set(jose.JSONWebKey{Key: []byte("0123456789abcdef"), KeyID: "k", Use: "sig"}),
		} {
			c := oidc.Client{ID: "bad", Name: "x", RedirectURIs: []string{callback}, AuthMethod: oidc.AuthJWT, JWKS: bad}
			if _, err := w.p.RegisterClient(w.Context(), admin, oidc.NewClient{Client: c}); !errors.Is(err, oidc.ErrClient) {
				w.Errorf("%s keys: %v", name, err)
			}
		}
		w.register(oidc.NewClient{Client: oidc.Client{ID: "machine", AuthMethod: oidc.AuthJWT, JWKS: set(public)}})

		assert := func(change func(*jwt.Claims), kid string, with any, alg jose.SignatureAlgorithm) string {
			claims := jwt.Claims{
				Issuer: "machine", Subject: "machine", Audience: jwt.Audience{w.base}, ID: rand.Text(),
				Expiry: jwt.NewNumericDate(w.now().Add(time.Minute)), IssuedAt: jwt.NewNumericDate(w.now()),
			}
			change(&claims)
			opts := &jose.SignerOptions{}
			if kid != "" {
				opts.WithHeader("kid", kid)
			}
			s := must(jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: with}, opts))
			return must(jwt.Signed(s).Claims(claims).Serialize())
		}
		call := func(assertion string) string {
			return w.token(oidc.Registered{Client: oidc.Client{ID: "machine"}}, url.Values{
				"grant_type": {"refresh_token"}, "refresh_token": {"x.y"},
				"client_assertion_type": {assertionType}, "client_assertion": {assertion},
			}).Error
		}
		same := func(*jwt.Claims) {}
		for _, aud := range []string{w.base, w.base + "/oauth2/token"} {
			if got := call(assert(func(c *jwt.Claims) { c.Audience = jwt.Audience{aud} }, "k1", key, jose.ES256)); got != "invalid_grant" {
				w.Errorf("aud %s: %s", aud, got)
			}
		}
		stranger := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		for name, bad := range map[string]string{
			"stranger's key": assert(same, "k1", stranger, jose.ES256),
			"no kid":         assert(same, "", key, jose.ES256),
			"other kid":      assert(same, "k2", key, jose.ES256),
			"hmac":           assert(same, "k1", []byte(strings.Repeat("x", 32)), jose.HS256),
			"other issuer":   assert(func(c *jwt.Claims) { c.Issuer = "portal" }, "k1", key, jose.ES256),
			"other subject":  assert(func(c *jwt.Claims) { c.Subject = "portal" }, "k1", key, jose.ES256),
			"no jti":         assert(func(c *jwt.Claims) { c.ID = "" }, "k1", key, jose.ES256),
			"no exp":         assert(func(c *jwt.Claims) { c.Expiry = nil }, "k1", key, jose.ES256),
			"expired":        assert(func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(w.now().Add(-time.Minute)) }, "k1", key, jose.ES256),
			"for years":      assert(func(c *jwt.Claims) { c.Expiry = jwt.NewNumericDate(w.now().Add(2 * time.Hour)) }, "k1", key, jose.ES256),
			"not yet":        assert(func(c *jwt.Claims) { c.NotBefore = jwt.NewNumericDate(w.now().Add(time.Minute)) }, "k1", key, jose.ES256),
			"other aud":      assert(func(c *jwt.Claims) { c.Audience = jwt.Audience{"https://elsewhere.example"} }, "k1", key, jose.ES256),
			"two auds":       assert(func(c *jwt.Claims) { c.Audience = jwt.Audience{w.base, "x"} }, "k1", key, jose.ES256),
			"none":           noneToken(assert(same, "k1", key, jose.ES256)),
			"junk":           "x",
		} {
			if got := call(bad); got != "invalid_client" {
				w.Errorf("%s: %s", name, got)
			}
		}
		once := assert(same, "k1", key, jose.ES256)
		var mu sync.Mutex
		var wg sync.WaitGroup
		passed := 0
		for range 8 {
			wg.Go(func() {
				got := call(once)
				mu.Lock()
				defer mu.Unlock()
				if got == "invalid_grant" {
					passed++
				} else if got != "invalid_client" {
					w.Errorf("racer: %s", got)
				}
			})
		}
		wg.Wait()
		if passed != 1 {
			w.Errorf("%d of 8 used one assertion", passed)
		}
	})
}
