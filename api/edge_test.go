package api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"hufu/api"
	"hufu/identity/login"
	"hufu/oidc"
	"hufu/seal/check"
)

func TestWhoIsNotKnownIsRefused(t *testing.T) {
	each(t, nil, func(w *world) {
		none := w.get("/api/v1/me", "")
		none.refused(401, "api.no-token")
		if got := none.header.Get("WWW-Authenticate"); got != `Bearer realm="hufu", scope="api"` {
			t.Errorf("WWW-Authenticate %q", got)
		}
		wrong := w.get("/api/v1/me", "forged")
		wrong.refused(401, "oidc.token")
		if got := wrong.header.Get("WWW-Authenticate"); !strings.Contains(got, `error="invalid_token"`) {
			t.Errorf("WWW-Authenticate %q", got)
		}
		narrow := w.get("/api/v1/me", "narrow")
		narrow.refused(403, "oidc.scope")
		if got := narrow.header.Get("WWW-Authenticate"); !strings.Contains(got, `error="insufficient_scope", scope="api"`) {
			t.Errorf("WWW-Authenticate %q", got)
		}
		w.call("GET", "/api/v1/me", "", nil, "Authorization", "Basic d2FuZzp4").refused(401, "oidc.token")
		w.call("GET", "/api/v1/me", "", nil, "Cookie", "hufu-session=wang").refused(401, "api.no-token")
		w.get("/api/v1/me?access_token=wang", "").refused(401, "api.no-token")
		w.call("GET", "/api/v1/me", "", nil, "Authorization", "bearer wang").ok()
		req, _ := http.NewRequestWithContext(w.Context(), "GET", w.server.URL+"/api/v1/me", nil)
		req.Header["Authorization"] = []string{"Bearer wang", "Bearer super"}
		resp, err := w.server.Client().Do(req)
		w.must(err)
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("two tokens at once: %d", resp.StatusCode)
		}
		// Who may not call learns nothing of the form of the call.
		w.post("/api/v1/applications", "", "{").refused(401, "api.no-token")
	})
}

func TestMalformedRequestsGetOneClearLine(t *testing.T) {
	each(t, nil, func(w *world) {
		const secret = "330100199505050019"
		for body, want := range map[string]struct {
			status int
			code   string
		}{
			``:  {400, "api.unreadable"},
			`{`: {400, "api.unreadable"},
			`{"profile": "person-sign", "csr": "x"} {"a": 1}`: {400, "api.unreadable"},
			`[1]`: {422, "api.fields"},
			`{"profile": 7, "csr": "` + secret + `"}`:                          {422, "api.fields"},
			`{"profile": "p", "csr": "x", "surprise": "` + secret + `"}`:       {422, "api.fields"},
			`{"profile": "p", "csr": "x", "facts": {"a": ["` + secret + `"]}}`: {422, "api.fields"},
			`{"profile": "` + strings.Repeat("x", 65) + `", "csr": "x"}`:       {422, "api.fields"},
			strings.Repeat(`[`, 100000):                                        {400, "api.unreadable"},
		} {
			a := w.post("/api/v1/applications", "wang", body)
			p := a.refused(want.status, want.code)
			if bytes.Contains(a.body, []byte(secret)) || bytes.Contains(a.body, []byte("struct")) || bytes.Contains(a.body, []byte("goroutine")) {
				t.Errorf("the answer repeats what was sent: %s", a.body)
			}
			if want.code == "api.fields" && (len(p.Errors) == 0 || p.Errors[0].Location == "") {
				t.Errorf("no field is named: %s", a.body)
			}
		}
		w.post("/api/v1/applications", "wang", "x=1", "Content-Type", "application/x-www-form-urlencoded").refused(415, "api.media-type")
		if p := w.get("/api/v1/certificates?holdr=x", "wang").refused(422, "api.fields"); p.Errors[0].Location != "query.holdr" {
			t.Errorf("%+v", p)
		}
		w.get("/api/v1/nothing", "wang").refused(404, "api.no-route")
		method := w.call("DELETE", "/api/v1/applications", "wang", nil)
		method.refused(405, "api.method")
		if got := method.header.Get("Allow"); got != "GET, POST" {
			t.Errorf("Allow %q", got)
		}
	})
}

func TestLargeBodiesAreRefused(t *testing.T) {
	each(t, nil, func(w *world) {
		large := `{"profile": "p", "csr": "` + strings.Repeat("x", 300<<10) + `"}`
		w.post("/api/v1/applications", "wang", large).refused(413, "api.too-large")
		w.call("POST", "/api/v1/verifications", "", make([]byte, 34<<20), "Content-Type", "application/octet-stream").refused(413, "api.too-large")
	})
}

// failing is a verifier that breaks in a chosen way.
type failing func() error

func (f failing) Verify(context.Context, string, []byte, []byte, string) (check.Report, error) {
	return check.Report{}, f()
}

func TestAnInternalErrorLeaksNothing(t *testing.T) {
	const secret = "dsn=postgres://hufu:hunter2@db"
	fail := map[string]failing{
		"error": func() error { return errors.New(secret) },
		"panic": func() error { panic(secret) },
	}
	for name, f := range fail {
		t.Run(name, func(t *testing.T) {
			each(t, func(c *api.Config) { c.Verifier = f }, func(w *world) {
				a := w.call("POST", "/api/v1/verifications", "", "x", "Content-Type", "application/octet-stream")
				a.refused(500, "internal")
				if bytes.Contains(a.body, []byte("hunter2")) || bytes.Contains(a.body, []byte(".go")) || len(a.body) > 500 {
					t.Errorf("leaked: %s", a.body)
				}
				if !strings.Contains(w.log.String(), "hunter2") {
					t.Error("the operator's log does not tell the cause")
				}
				b := w.get("/api/v1/me", "broken")
				b.refused(500, "internal")
				if bytes.Contains(b.body, []byte("hunter2")) {
					t.Errorf("leaked: %s", b.body)
				}
			})
		})
	}
}

func TestProblemsSpeakTheReadersLanguage(t *testing.T) {
	each(t, nil, func(w *world) {
		for accept, want := range map[string]string{
			"": "访问令牌", "zh-CN,en;q=0.5": "访问令牌", "en-GB,zh;q=0.5": "access token", "fr": "访问令牌", "de,en;q=0.1": "access token",
			strings.Repeat("en,", 500): "访问令牌",
		} {
			a := w.call("GET", "/api/v1/me", "", nil, "Accept-Language", accept)
			if p := a.refused(401, "api.no-token"); !strings.Contains(p.Detail, want) || a.header.Get("Content-Language") == "" {
				t.Errorf("%q: %+v", accept, p)
			}
		}
		a := w.call("POST", "/api/v1/applications", "wang", "{", "Accept-Language", "en")
		if p := a.refused(400, "api.unreadable"); !strings.Contains(p.Detail, "JSON") || a.header.Get("Content-Language") != "en" {
			t.Errorf("%+v", p)
		}
	})
}

func TestCallersAreSlowedDown(t *testing.T) {
	each(t, func(c *api.Config) { c.Rate = api.Rate{PerSecond: 0.01, Burst: 5} }, func(w *world) {
		var last answer
		for range 6 {
			last = w.get("/api/v1/profiles", "")
		}
		last.refused(429, "api.too-many")
		if last.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	})
	// One owner of tokens is slowed down by whatever address it comes from; others are not.
	address := "1"
	each(t, func(c *api.Config) {
		c.Rate = api.Rate{PerSecond: 0.01, Burst: 3}
		c.RemoteIP = func(*http.Request) string { address += "1"; return address }
	}, func(w *world) {
		for range 3 {
			w.get("/api/v1/me", "wang").ok()
		}
		w.get("/api/v1/me", "wang").refused(429, "api.too-many")
		w.get("/api/v1/me", "clerk").ok()
	})
}

func TestTheDocumentDescribesEveryRoute(t *testing.T) {
	each(t, nil, func(w *world) {
		var doc struct {
			OpenAPI    string
			Paths      map[string]map[string]struct{ OperationID, Summary, Description string }
			Components struct{ Schemas map[string]json.RawMessage }
		}
		raw := w.get("/api/openapi.json", "")
		raw.into(&doc)
		if doc.OpenAPI != "3.1.0" || len(doc.Paths) < 40 || doc.Components.Schemas["Problem"] == nil {
			t.Fatalf("%s, %d paths, %d schemas", doc.OpenAPI, len(doc.Paths), len(doc.Components.Schemas))
		}
		seen := map[string]bool{}
		for path, methods := range doc.Paths {
			for method, op := range methods {
				if op.Summary == "" || op.Description == "" || seen[op.OperationID] {
					t.Errorf("%s %s: %+v", method, path, op)
				}
				seen[op.OperationID] = true
			}
		}
		if bytes.Contains(raw.body, []byte("$schema")) || !bytes.Contains(w.get("/api/openapi.yaml", "").body, []byte("openapi:")) {
			t.Error("the document has what was switched off, or no second form")
		}
		if me := w.get("/api/v1/me", "wang"); bytes.Contains(me.body, []byte("$schema")) || me.header.Get("Link") != "" {
			t.Errorf("schema links: %s %v", me.body, me.header)
		}
	})
}

func TestTheDocsPageLoadsNothingForeign(t *testing.T) {
	each(t, nil, func(w *world) {
		page := w.get("/api/docs", "")
		page.ok()
		policy := page.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; style-src 'self';") || strings.Contains(policy, "unsafe") {
			t.Errorf("policy %q", policy)
		}
		for _, m := range regexp.MustCompile(`(?:src|href|action)="([^"]*)"`).FindAllSubmatch(page.body, -1) {
			if !bytes.HasPrefix(m[1], []byte("/")) && !bytes.HasPrefix(m[1], []byte("#")) {
				t.Errorf("foreign address %s", m[1])
			}
		}
		if bytes.Contains(page.body, []byte("<script")) || bytes.Contains(page.body, []byte("style=")) || !bytes.Contains(page.body, []byte("申请证书")) {
			t.Error("a script, an inline style, or no text")
		}
		ids := map[string]bool{}
		for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllSubmatch(page.body, -1) {
			if ids[string(m[1])] {
				t.Errorf("id %s twice", m[1])
			}
			ids[string(m[1])] = true
		}
		if english := w.get("/api/docs?lang=en", ""); !bytes.Contains(english.body, []byte("Apply for a certificate")) {
			t.Error("no English page")
		}
		if style := w.get("/api/docs.css", ""); style.header.Get("Content-Type") != "text/css; charset=utf-8" {
			t.Errorf("%v", style.header)
		}
	})
}

// TestServicesThatDoNotRunHaveNoRoutes: the API of a process with some roles only.
func TestServicesThatDoNotRunHaveNoRoutes(t *testing.T) {
	a, err := api.New(api.Config{Tokens: tokens{}})
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	a.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/api/v1/profiles", nil))
	if rec.Code != http.StatusNotFound {
		t.Errorf("got %d", rec.Code)
	}
	if _, err := api.New(api.Config{}); !errors.Is(err, api.ErrConfig) {
		t.Errorf("without Tokens: %v", err)
	}
}

// TestATokenOfTheRealProvider goes from log-in to a call, and ends the session.
func TestATokenOfTheRealProvider(t *testing.T) {
	var real *oidc.Provider
	each(t, func(c *api.Config) { real, c.Tokens = c.Clients, c.Clients }, func(w *world) {
		const callback, verifier = "https://rp.example/callback", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
		reg, err := real.RegisterClient(w.Context(), system, oidc.NewClient{Client: oidc.Client{
			ID: "portal", Name: "门户", RedirectURIs: []string{callback}, Scopes: []string{"openid", "api"}, FirstParty: true,
		}})
		w.must(err)
		_, err = w.logins.OpenAccount(w.Context(), system, login.NewAccount{Name: "chief", Subject: w.ids["auditor"], Password: password})
		w.must(err)
		session, _, err := w.logins.Login(w.Context(), login.Attempt{Account: "chief", Password: password, RemoteIP: "127.0.0.1"})
		w.must(err)
		w.session = &session
		sum := sha256.Sum256([]byte(verifier))
		query := url.Values{
			"client_id": {"portal"}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid api"}, "state": {"state-123"},
			"nonce": {"nonce-123"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
		}
		rec := httptest.NewRecorder()
		real.Handler().ServeHTTP(rec, httptest.NewRequest("GET", "/oauth2/authorize?"+query.Encode(), nil))
		back := must(url.Parse(rec.Header().Get("Location")))
		form := url.Values{"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {callback}, "code_verifier": {verifier}}
		req := httptest.NewRequest("POST", "/oauth2/token", strings.NewReader(form.Encode()))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth("portal", reg.Secret)
		rec2 := httptest.NewRecorder()
		real.Handler().ServeHTTP(rec2, req)
		var token struct {
			Access string `json:"access_token"`
		}
		w.must(json.NewDecoder(rec2.Body).Decode(&token))
		if token.Access == "" {
			t.Fatalf("authorize %d %s, token %d", rec.Code, rec.Header().Get("Location"), rec2.Code)
		}
		var me struct{ Subject, Client string }
		w.get("/api/v1/me", token.Access).into(&me)
		if me.Subject != w.ids["auditor"] || me.Client != "portal" {
			t.Errorf("%+v", me)
		}
		w.must(w.logins.End(w.Context(), system, session.ID))
		w.get("/api/v1/me", token.Access).refused(401, "oidc.token")
	})
}

// TestTheTimeOfBodies: a body that does not end is given up, and its deadline does not break off the work that follows.
func TestTheTimeOfBodies(t *testing.T) {
	each(t, func(c *api.Config) {
		c.BodyTime = 100 * time.Millisecond / 6
		c.Verifier = patient{}
	}, func(w *world) {
		w.call("POST", "/api/v1/verifications", "", "x", "Content-Type", "text/plain").ok()
		body, feed := io.Pipe()
		defer feed.Close()
		w.endless(body).refused(408, "api.too-slow")
	})
}

// patient works longer than a body may take, and fails when it is broken off.
type patient struct{}

func (patient) Verify(ctx context.Context, _ string, _, _ []byte, _ string) (check.Report, error) {
	select {
	case <-ctx.Done():
		return check.Report{}, ctx.Err()
	case <-time.After(300 * time.Millisecond):
		return check.Report{}, nil
	}
}

// endless sends a file whose body comes from r.
func (w *world) endless(r io.Reader) answer {
	w.Helper()
	req, err := http.NewRequestWithContext(w.Context(), "POST", w.server.URL+"/api/v1/verifications", r)
	w.must(err)
	resp, err := w.server.Client().Do(req)
	w.must(err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	w.must(err)
	return answer{w, resp.StatusCode, resp.Header, data}
}
