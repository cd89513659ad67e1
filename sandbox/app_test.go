package sandbox_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/identity"
	"hufu/oidc"
	"hufu/sandbox"
)

func TestVisitorActsForHerCompany(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		if p := b.get("/sample/?story=s1&lang=zh"); p.status != http.StatusOK || !strings.Contains(p.body, `href="/sample/login?story=s1"`) ||
			!strings.Contains(p.body, "使用统一身份认证登录") {
			w.Fatalf("hall: %d %s", p.status, p.body)
		}
		if _, in := w.app.Visitor("s1"); in {
			w.Error("somebody is logged in before the log-in")
		}
		p := b.get("/sample/login?story=s1")
		if p.status != http.StatusOK || p.at != sandbox.Home || !strings.Contains(p.body, "您好，张三") ||
			!strings.Contains(p.body, "云岭小雅食品有限公司") || !strings.Contains(p.body, uscc) || !strings.Contains(p.body, "法定代表人") ||
			!strings.Contains(p.body, `href="/story"`) || !strings.Contains(p.body, "当前身份可办理") {
			w.Errorf("hall after the log-in: %d %s", p.status, p.body)
		}
		v, in := w.app.Visitor("s1")
		if !in || v.Name != "张三" || v.Sub == "" || v.SubjectKind != "entity" || v.Official != nil || v.ActFor == nil ||
			v.ActFor.Sub != w.company || v.ActFor.USCC != uscc || v.ActFor.Relation != "legal_rep" || v.ACR != "urn:hufu:acr:l2" || !v.Since.Equal(w.now()) {
			w.Errorf("visitor: %+v", v)
		}
		var claims map[string]any
		w.must(json.Unmarshal(v.Claims, &claims))
		if claims["sub"] != v.Sub || claims["aud"] != "sample-hall" || claimsOf(v.IDToken)["sub"] != v.Sub {
			w.Errorf("claims: %s", v.Claims)
		}
		if _, in := w.app.Visitor("s2"); in {
			w.Error("another story has the visitor")
		}

		// Another capacity needs no password, and is the one that counts from then on.
		w.capacity = oidc.CapacityChoice{Kind: identity.Person}
		p = b.get("/sample/login?story=s1&lang=en")
		if v, _ := w.app.Visitor("s1"); v.SubjectKind != "person" || v.ActFor != nil || !strings.Contains(p.body, "You are acting for yourself") {
			w.Errorf("after the change: %+v %s", v, p.body)
		}
		if strings.Contains(w.log.String(), "level=WARN") {
			w.Errorf("log: %s", w.log.String())
		}
	})
}

func TestAVisitOfAnotherStoryIsNotTakenOver(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		b.get("/sample/login?story=mine")
		p := b.get("/sample/?story=other&lang=en")
		if _, in := w.app.Visitor("other"); in || !strings.Contains(p.body, "Log in for this story") {
			w.Errorf("a link made the visitor part of another story: %s", p.body)
		}
		if p := b.get("/sample/?story=" + url.QueryEscape(`"><script>`)); strings.Contains(p.body, "script") {
			w.Errorf("story id on the page: %s", p.body)
		}
	})
}

func TestOneNameOfThisMachine(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		b.c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		for path, want := range map[string]string{
			"/sample/login?story=x": w.base + "/sample/login?story=x", "/sample//evil.example/": "",
		} {
			p := b.get(strings.Replace(w.base, "127.0.0.1", "localhost", 1) + path)
			if p.header.Get("Set-Cookie") != "" || want != "" && p.location != want || strings.HasPrefix(p.location, "//") {
				w.Errorf("%s: %d to %q", path, p.status, p.location)
			}
		}
		if p := b.get("/sample/"); p.status != http.StatusOK {
			w.Errorf("our own name: %d to %q", p.status, p.location)
		}
	})
}

func TestHeaders(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		for _, where := range []string{"/sample/", "/sample/callback", "/sample/nothing", "/sample/hall.css"} {
			p := b.get(where)
			if csp := p.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; style-src 'self'") ||
				!strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") ||
				p.header.Get("X-Content-Type-Options") != "nosniff" || strings.Contains(p.body, "<script") || strings.Contains(p.body, "style=") {
				w.Errorf("%s: %v", where, p.header)
			}
		}
		b.stop = func(u *url.URL) bool { return u.Path != "/sample/login" }
		p := b.get("/sample/login")
		u := must(url.Parse(p.location))
		q := u.Query()
		if p.status != http.StatusSeeOther || q.Get("code_challenge_method") != "S256" || len(q.Get("state")) < 22 || len(q.Get("nonce")) < 22 ||
			q.Get("state") == q.Get("nonce") || q.Get("scope") != "openid profile entity" || q.Get("code_verifier") != "" {
			w.Errorf("authorization request: %s", p.location)
		}
		set := p.header.Get("Set-Cookie")
		if !strings.Contains(set, "HttpOnly") || !strings.Contains(set, "SameSite=Lax") || !strings.Contains(set, "Path=/sample/") ||
			strings.Contains(set, q.Get("state")) || strings.Contains(set, q.Get("nonce")) {
			w.Errorf("cookie: %s", set)
		}
	})
}

func TestCookiesAreSecureUnderHTTPS(t *testing.T) {
	each(t, func(w *world) {
		c := w.config()
		c.BaseURL = "https://hall.example/"
		app, err := sandbox.NewApp(c)
		w.must(err)
		w.app = app
		r := must(http.NewRequestWithContext(t.Context(), "GET", "/sample/login", nil))
		rec := &recorder{header: http.Header{}}
		app.ServeHTTP(rec, r)
		if !strings.Contains(rec.header.Get("Set-Cookie"), "Secure") || !strings.Contains(rec.header.Get("Location"), url.QueryEscape("https://hall.example/sample/callback")) {
			w.Errorf("%v", rec.header)
		}
	})
}

type recorder struct{ header http.Header }

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(int)             {}
func (r *recorder) Write(p []byte) (int, error) { return len(p), nil }

// Attacks on the way back through the browser. Each begins a log-in of its own.
func TestAttacksOnTheCallback(t *testing.T) {
	each(t, func(w *world) {
		for name, c := range map[string]struct {
			change func(u *url.URL) string
			code   string
		}{
			"state of nobody":      {func(u *url.URL) string { return edit(u, "state", "AAAAAAAAAAAAAAAAAAAAAAAAAA") }, "sandbox.stale"},
			"no state":             {func(u *url.URL) string { return edit(u, "state", "-") }, "sandbox.answer"},
			"two states":           {func(u *url.URL) string { return u.String() + "&state=x" }, "sandbox.answer"},
			"two codes":            {func(u *url.URL) string { return u.String() + "&code=x" }, "sandbox.answer"},
			"code and error":       {func(u *url.URL) string { return u.String() + "&error=access_denied" }, "sandbox.answer"},
			"neither":              {func(u *url.URL) string { return edit(u, "code", "-") }, "sandbox.answer"},
			"malformed query":      {func(u *url.URL) string { return u.String() + "&%zz" }, "sandbox.answer"},
			"enormous":             {func(u *url.URL) string { return edit(u, "code", strings.Repeat("x", 9000)) }, "sandbox.answer"},
			"mix-up: other issuer": {func(u *url.URL) string { return edit(u, "iss", "https://evil.example") }, "sandbox.issuer"},
			"mix-up: no issuer":    {func(u *url.URL) string { return edit(u, "iss", "-") }, "sandbox.issuer"},
			"mix-up: by error": {func(u *url.URL) string {
				return edit(u, "iss", "https://evil.example", "code", "-", "error", "login_required")
			}, "sandbox.issuer"},
			"forged code":         {func(u *url.URL) string { return edit(u, "code", "AAAA.BBBB") }, "sandbox.stale"},
			"error of the server": {func(u *url.URL) string { return edit(u, "code", "-", "error", "server_error") }, "sandbox.answer"},
		} {
			b := w.browser()
			u := b.upToCallback("/sample/login?story=x")
			asked := w.wire.count("/oauth2/token")
			p := b.get(c.change(u))
			b.refused(p, c.code, "x")
			if name != "forged code" && w.wire.count("/oauth2/token") != asked {
				w.Errorf("%s: a code went to the token endpoint", name)
			}
			// A wrong state leaves the attempt alone, everything else has spent it.
			again := b.get(u.String())
			if left := strings.Contains(name, "state") || c.code == "sandbox.answer" && name != "error of the server"; left != (again.at == sandbox.Home) {
				w.Errorf("%s: the right answer afterwards: %d at %s", name, again.status, again.at)
			}
			if again.at == sandbox.Home {
				b.do("POST", "/sample/logout", url.Values{"here": {"yes"}})
			}
			if w.Failed() {
				w.Fatalf("in the case %q", name)
			}
		}
	})
}

func TestReplayedCallback(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		u := b.upToCallback("/sample/login?story=x")
		if p := b.get(u.String()); p.at != sandbox.Home {
			w.Fatalf("first: %d at %s", p.status, p.at)
		}
		p := b.get(u.String())
		if p.status != http.StatusBadRequest || !strings.Contains(p.body, "sandbox.stale") {
			w.Errorf("replay: %d %s", p.status, p.body)
		}
		if _, in := w.app.Visitor("x"); !in {
			w.Error("the replay ended the visit")
		}
	})
}

func TestCallbackInAnotherBrowser(t *testing.T) { // log-in CSRF
	each(t, func(w *world) {
		attacker, victim := w.browser(), w.browser()
		u := attacker.upToCallback("/sample/login?story=x")
		victim.upToCallback("/sample/login?story=y")
		victim.refused(victim.get(u.String()), "sandbox.stale", "x")
		if p := attacker.get(u.String()); p.at != sandbox.Home {
			w.Errorf("the other browser's try spent the attempt: %d %s", p.status, p.body)
		}
	})
}

func TestEightRacersWithOneCallback(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		u := b.upToCallback("/sample/login?story=x").String()
		var won atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if p := b.get(u); p.at == sandbox.Home {
					won.Add(1)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || w.wire.count("/oauth2/token") != 1 {
			w.Errorf("%d of 8 logged in with %d exchanges", won.Load(), w.wire.count("/oauth2/token"))
		}
	})
}

func TestTwoTabs(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		first, second := b.upToCallback("/sample/login?story=one"), b.upToCallback("/sample/login?story=two")
		for _, u := range []*url.URL{first, second} {
			if p := b.get(u.String()); p.at != sandbox.Home {
				w.Errorf("%d %s", p.status, p.body)
			}
		}
		if _, in := w.app.Visitor("one"); in {
			w.Error("the second log-in of the browser left the first visit")
		}
		if _, in := w.app.Visitor("two"); !in {
			w.Error("the second log-in is missing")
		}
	})
}

func TestAttemptsAndVisitsEnd(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		u := b.upToCallback("/sample/login?story=x")
		w.clock.Add((10 * time.Minute).Microseconds())
		b.refused(b.get(u.String()), "sandbox.stale", "x")
		b.get("/sample/login?story=x")
		if _, in := w.app.Visitor("x"); !in {
			w.Fatal("not logged in")
		}
		w.clock.Add((2 * time.Hour).Microseconds())
		if _, in := w.app.Visitor("x"); in {
			w.Error("the visit has no end")
		}
	})
}

func TestPersonSaysNo(t *testing.T) {
	each(t, func(w *world) {
		w.refuse = true
		b := w.browser()
		p := b.get("/sample/login?story=x")
		b.refused(p, "sandbox.declined", "x")
		if !strings.Contains(p.body, `href="/sample/login?story=x"`) {
			w.Errorf("the story is lost: %s", p.body)
		}
	})
}

// Attacks on the back channel: whoever sits there, or a provider gone bad, cannot make the hall believe in a visitor.
func TestForgedIDToken(t *testing.T) {
	each(t, func(w *world) {
		other := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		resign := func(change func(claims map[string]any)) func(string) string {
			return func(token string) string {
				claims := claimsOf(token)
				change(claims)
				return jws("ES256", "ec", ecKey, claims)
			}
		}
		for name, forge := range map[string]func(token string) string{
			"alg none":          func(t string) string { return jws("none", "ec", nil, claimsOf(t)) },
			"alg None":          func(t string) string { return jws("None", "ec", nil, claimsOf(t)) },
			"signature cut":     func(t string) string { return t[:strings.LastIndex(t, ".")+1] },
			"other key":         func(t string) string { return jws("ES256", "ec", other, claimsOf(t)) },
			"other key and kid": func(t string) string { return jws("ES256", "other", other, claimsOf(t)) },
			"HS256 with the public key as secret": func(t string) string {
				text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","kid":"ec"}`)) + "." + strings.Split(t, ".")[1]
				mac := hmac.New(sha256.New, must(ecKey.PublicKey.Bytes()))
				mac.Write([]byte(text))
				return text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
			},
			"payload changed": func(t string) string {
				parts := strings.Split(t, ".")
				claims := claimsOf(t)
				claims["sub"] = "somebody else"
				parts[1] = base64.RawURLEncoding.EncodeToString(must(json.Marshal(claims)))
				return strings.Join(parts, ".")
			},
			"wrong nonce":       resign(func(c map[string]any) { c["nonce"] = "x" }),
			"no nonce":          resign(func(c map[string]any) { delete(c, "nonce") }),
			"other issuer":      resign(func(c map[string]any) { c["iss"] = "https://evil.example" }),
			"other audience":    resign(func(c map[string]any) { c["aud"] = "other" }),
			"two audiences":     resign(func(c map[string]any) { c["aud"] = []string{"sample-hall", "other"} }),
			"other party":       resign(func(c map[string]any) { c["azp"] = "other" }),
			"expired":           resign(func(c map[string]any) { c["exp"] = w.now().Add(-time.Second).Unix() }),
			"from the future":   resign(func(c map[string]any) { c["iat"] = w.now().Add(2 * time.Minute).Unix() }),
			"no sub":            resign(func(c map[string]any) { delete(c, "sub") }),
			"no at_hash":        resign(func(c map[string]any) { delete(c, "at_hash") }),
			"other at_hash":     resign(func(c map[string]any) { c["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA" }),
			"act_for of a kind": resign(func(c map[string]any) { c["act_for"] = "everybody" }),
			"garbage":           func(string) string { return "garbage" },
		} {
			b := w.browser()
			w.wire.tamper("/oauth2/token", func(answer map[string]any) { answer["id_token"] = forge(answer["id_token"].(string)) })
			p := b.get("/sample/login?story=x")
			w.wire.set(nil)
			b.refused(p, "sandbox.proof", "x")
			if w.Failed() {
				w.Fatalf("in the case %q", name)
			}
		}
		// The same way of forging, with nothing changed, is taken: the cases above fail for what they change.
		w.wire.tamper("/oauth2/token", func(answer map[string]any) {
			answer["id_token"] = resign(func(map[string]any) {})(answer["id_token"].(string))
		})
		if p := w.browser().get("/sample/login?story=x"); p.at != sandbox.Home {
			w.Errorf("the re-signed token: %d %s", p.status, p.body)
		}
		for _, part := range []string{"id_token=", "eyJ"} {
			if strings.Contains(w.log.String(), part) {
				w.Errorf("a token in the log: %s", w.log.String())
			}
		}
	})
}

func TestProviderMisbehaves(t *testing.T) {
	each(t, func(w *world) {
		answer := func(path string, status int, body string) func(string, int, []byte) (int, []byte) {
			return func(at string, s int, b []byte) (int, []byte) {
				if at == path {
					return status, []byte(body)
				}
				return s, b
			}
		}
		for name, c := range map[string]struct {
			change func(string, int, []byte) (int, []byte)
			code   string
		}{
			"token: 500":     {answer("/oauth2/token", 500, `{}`), "sandbox.provider"},
			"token: garbage": {answer("/oauth2/token", 200, `<html>`), "sandbox.provider"},
			"token: endless": {func(at string, s int, b []byte) (int, []byte) {
				return s, append(b, strings.Repeat(" ", map[bool]int{true: 80 << 10}[at == "/oauth2/token"])...)
			}, "sandbox.provider"},
			"nobody in id_token and userinfo": {func(at string, s int, b []byte) (int, []byte) {
				var answer map[string]any
				if json.Unmarshal(b, &answer) != nil {
					return s, b
				}
				if token, ok := answer["id_token"].(string); ok {
					claims := claimsOf(token)
					delete(claims, "sub")
					answer["id_token"] = jws("ES256", "ec", ecKey, claims)
				}
				delete(answer, "sub")
				return s, must(json.Marshal(answer))
			}, "sandbox.proof"},
			"token: nothing":         {answer("/oauth2/token", 200, `{}`), "sandbox.provider"},
			"token: wrong type":      {answer("/oauth2/token", 200, `{"access_token":"a","id_token":"b","token_type":"mac"}`), "sandbox.provider"},
			"token: invalid_client":  {answer("/oauth2/token", 401, `{"error":"invalid_client"}`), "sandbox.provider"},
			"userinfo: 401":          {answer("/oauth2/userinfo", 401, `{}`), "sandbox.provider"},
			"userinfo: other person": {answer("/oauth2/userinfo", 200, `{"sub":"other","name":"李四"}`), "sandbox.proof"},
			"userinfo: nobody":       {answer("/oauth2/userinfo", 200, `{"name":"李四"}`), "sandbox.proof"},
			"userinfo: redirect":     {answer("/oauth2/userinfo", 307, `{}`), "sandbox.provider"},
			"token: redirect":        {answer("/oauth2/token", 307, `{}`), "sandbox.provider"},
		} {
			b := w.browser()
			w.wire.set(c.change)
			p := b.get("/sample/login?story=x")
			w.wire.set(nil)
			b.refused(p, c.code, "x")
			if w.Failed() {
				w.Fatalf("in the case %q", name)
			}
		}
		if w.wire.count("/elsewhere") > 0 {
			w.Error("the code or the token was carried to where a redirect led")
		}
	})
}

func TestProviderIsAbsentAtFirst(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		for _, change := range []func(string, int, []byte) (int, []byte){
			func(string, int, []byte) (int, []byte) { return 503, nil },
			func(_ string, s int, b []byte) (int, []byte) {
				return s, []byte(strings.ReplaceAll(string(b), `"issuer":"`+w.base, `"issuer":"https://evil.example`))
			},
			func(_ string, s int, b []byte) (int, []byte) {
				return s, []byte(strings.ReplaceAll(string(b), `"id_token_signing_alg_values_supported":["RS256","ES256"]`, `"id_token_signing_alg_values_supported":["none","HS256"]`))
			},
		} {
			w.wire.set(change)
			p := b.get("/sample/login?story=x")
			w.wire.set(nil)
			b.refused(p, "sandbox.provider", "x")
		}
		if p := b.get("/sample/login?story=x"); p.at != sandbox.Home {
			w.Errorf("a failed discovery was kept: %d %s", p.status, p.body)
		}
	})
}

func TestLogout(t *testing.T) {
	each(t, func(w *world) {
		b := w.browser()
		b.get("/sample/login?story=x")
		b.get("/sample/logout")
		if _, in := w.app.Visitor("x"); !in {
			w.Fatal("a GET logged out")
		}
		p := b.do("POST", "/sample/logout", url.Values{"everywhere": {"yes"}}, "Origin", "https://evil.example")
		if _, in := w.app.Visitor("x"); !in || p.status != http.StatusForbidden {
			w.Fatalf("another site logged out: %d", p.status)
		}
		p = b.do("POST", "/sample/logout", url.Values{"here": {"yes"}})
		if _, in := w.app.Visitor("x"); in || p.at != sandbox.Home {
			w.Errorf("log out here: %d at %s", p.status, p.at)
		}
		if s, err := w.session(b.request("/")); s == nil || err != nil {
			w.Errorf("logging out here ended the platform's session: %v", err)
		}
		b.get("/sample/login?story=x")
		p = b.do("POST", "/sample/logout", url.Values{"everywhere": {"yes"}})
		if _, in := w.app.Visitor("x"); in || p.at != sandbox.Home || p.status != http.StatusOK {
			w.Errorf("log out everywhere: %d at %s %s", p.status, p.at, p.body)
		}
		if s, err := w.session(b.request("/")); s != nil || err == nil {
			w.Error("logging out everywhere left the platform's session")
		}
		if p := b.do("POST", "/sample/logout", url.Values{"everywhere": {"yes"}}); p.at != sandbox.Home {
			w.Errorf("logging out twice: %d at %s", p.status, p.at)
		}
	})
}

// request returns a request with the cookies that the browser would send.
func (b *browser) request(path string) *http.Request {
	r := must(http.NewRequestWithContext(b.w.Context(), "GET", b.w.base+path, nil))
	for _, c := range b.c.Jar.Cookies(r.URL) {
		r.AddCookie(c)
	}
	return r
}

func TestConfigIsChecked(t *testing.T) {
	each(t, func(w *world) {
		for name, spoil := range map[string]func(*sandbox.Config){
			"Issuer": func(c *sandbox.Config) { c.Issuer = "javascript:alert(1)" }, "BaseURL": func(c *sandbox.Config) { c.BaseURL = "" },
			"ClientID": func(c *sandbox.Config) { c.ClientID = "" }, "ClientSecret": func(c *sandbox.Config) { c.ClientSecret = "" },
			"HTTP": func(c *sandbox.Config) { c.HTTP = nil }, "Now": func(c *sandbox.Config) { c.Now = nil },
			"Log": func(c *sandbox.Config) { c.Log = nil }, "StoryPath": func(c *sandbox.Config) { c.StoryPath = "//evil.example" },
		} {
			c := w.config()
			spoil(&c)
			if _, err := sandbox.NewApp(c); !errors.Is(err, sandbox.ErrConfig) || !strings.Contains(err.Error(), name) {
				w.Errorf("%s: %v", name, err)
			}
		}
	})
}
