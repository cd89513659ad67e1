package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/oidc"
	"hufu/web"
)

func person(name, number string) identity.PersonForm {
	return identity.PersonForm{
		Name: name, Identifiers: []identity.Identifier{{Type: identity.ResidentID, Number: identity.Number(number)}},
		Evidence: []identity.Evidence{{Method: identity.ByFace, Source: "test"}},
	}
}

// TestForeignPostsAreRefused sends what a page of another site would make the browser send.
func TestForeignPostsAreRefused(t *testing.T) {
	each(t, nil, func(w *world) {
		b := w.browser()
		b.login()
		for _, headers := range []http.Header{
			{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}},
			{"Sec-Fetch-Site": {"same-site"}, "Origin": {"http://other.127.0.0.1"}},
			{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"null"}},
		} {
			b.headers = headers
			for _, path := range []string{"/login", "/logout", "/account/password", "/account/sessions/end", "/account/sessions/end-others", "/acting", "/consent", "/seals/1/activations"} {
				w.shows(b.post(path, "account", "zhangsan", "password", password), http.StatusForbidden, "该请求来自其他网站")
			}
		}
		b.headers = http.Header{}
		w.shows(b.get("/account"), http.StatusOK, "张三")
	})
}

// TestLoginLeadsNowhereElse tries to make the log-in an open redirect.
func TestLoginLeadsNowhereElse(t *testing.T) {
	each(t, nil, func(w *world) {
		for _, next := range []string{
			"https://evil.example/", "//evil.example/", `/\evil.example/`, `\\evil.example`, "/\t/evil.example", "javascript:alert(1)",
			"/%2f/../..//evil.example\n", "///evil.example", "/ /evil.example", "http:/evil.example", "//evil.example%2f@ours/", "/\r\nLocation: https://evil.example",
		} {
			b := w.browser()
			p := b.post("/login?"+url.Values{"next": {next}}.Encode(), "account", "zhangsan", "password", password)
			w.goes(p, "/")
			if u, err := url.Parse(p.location); err != nil || u.Host != "" || strings.HasPrefix(p.location, "//") || strings.Contains(p.location, `\`) {
				w.Errorf("next=%q leads to %q", next, p.location)
			}
			if p := b.get("/login?" + url.Values{"next": {next}}.Encode()); p.location != "/account" {
				w.Errorf("next=%q leads a session to %q", next, p.location)
			}
		}
	})
}

const evil = `"><script>alert(1)</script><img src=x onerror=alert(2)>'{{.}}`

// hostile is a provider and services that hand over what an attacker would like to see on a page.
type hostile struct{ web.Logins }

func (hostile) Session(context.Context, string) (login.Session, error) {
	return login.Session{ID: evil, Subject: "s", Name: evil}, nil
}

func (hostile) List(context.Context, actor.Actor, string) ([]login.Session, error) {
	return []login.Session{{ID: evil, UserAgent: evil, RemoteIP: evil}, {ID: "2", UserAgent: "Chrome " + evil}}, nil
}

func (hostile) Profile(context.Context, string) (identity.Profile, error) {
	return identity.Profile{
		Standing: identity.Standing{Name: evil}, Phone: identity.Number(evil),
		Identifiers: []identity.Identifier{{Type: evil, Number: evil}},
	}, nil
}

func (hostile) Capacities(context.Context, string) ([]identity.Capacity, error) {
	return []identity.Capacity{
		{Kind: identity.Person, Name: evil}, {Kind: identity.Entity, For: evil, Name: evil, USCC: evil}, {Kind: identity.Official, Name: evil, Post: evil, PostID: evil},
	}, nil
}

func (hostile) Act(_ context.Context, a actor.Actor, c identity.Capacity) (actor.Actor, error) {
	a.Capacity, a.For = actor.Capacity(c.Kind), c.For
	return a, nil
}

type hostileProvider struct{ next oidc.Step }

func (h hostileProvider) Interaction(ctx context.Context, _, _ string, _ *login.Session) (oidc.Interaction, error) {
	capacities, err := hostile{}.Capacities(ctx, "")
	return oidc.Interaction{
		ID: evil, Client: oidc.Client{Name: evil, NameEN: evil, PolicyURI: "javascript:alert(3)"}, Scopes: []string{"openid", evil, "phone"},
		RedirectOrigin: "https://a.example; script-src 'unsafe-inline'", LoginHint: evil, Locales: []string{evil}, Capacities: capacities,
		Next: h.next, NeedsFresh: h.next == oidc.StepLogin,
	}, err
}

func (hostileProvider) Decide(context.Context, string, string, oidc.Decision) (*oidc.Answer, error) {
	return nil, errDenied
}
func (hostileProvider) BrowserSecret(*http.Request) string { return "" }

func (hostileProvider) Grants(context.Context, actor.Actor) ([]oidc.Grant, error) {
	return []oidc.Grant{{Client: evil, Scopes: []string{evil, "openid"}}}, nil
}

func (hostileProvider) Withdraw(context.Context, actor.Actor, string) error { return errDenied }

func (hostileProvider) Client(context.Context, actor.Actor, string) (oidc.Client, error) {
	return oidc.Client{Name: evil, NameEN: evil}, nil
}

// TestNamesAndHintsAreEscaped puts markup into everything that comes from outside.
func TestNamesAndHintsAreEscaped(t *testing.T) {
	site := must(web.New(web.Config{Origin: "https://ours.example", Logins: hostile{}, People: hostile{}, Verifier: &judge{}, Seals: &keeper{evil: true}}))
	for path, step := range map[string]oidc.Step{
		"/login?i=1": oidc.StepLogin, "/acting?i=1": oidc.StepActing, "/consent?i=1": oidc.StepConsent, "/account": "", "/logout": "",
		"/seals": "", "/seals/33010000000001": "",
		"/verify?licence=" + url.QueryEscape(evil): "", "/nowhere/" + url.PathEscape(evil) + "?x=" + url.QueryEscape(evil): "",
	} {
		site.UseProvider(hostileProvider{step})
		for _, lang := range []string{"zh", "en"} {
			r := httptest.NewRequest("GET", path, nil)
			r.AddCookie(&http.Cookie{Name: "__Host-hufu", Value: "secret"})
			r.AddCookie(&http.Cookie{Name: "hufu-lang", Value: lang})
			r.AddCookie(&http.Cookie{Name: "hufu-theme", Value: `dark'><script>`})
			rec := httptest.NewRecorder()
			site.Handler().ServeHTTP(rec, r)
			body := rec.Body.String()
			if rec.Code >= 500 || !strings.Contains(body, "</html>") {
				t.Errorf("%s: %d %s", path, rec.Code, body)
			}
			for _, bad := range []string{"<script", "<img src=x", `href="javascript:`} {
				if strings.Contains(body, bad) {
					t.Errorf("%s: the page has %s", path, bad)
				}
			}
			if csp := rec.Header().Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || strings.Contains(csp, "a.example") {
				t.Errorf("%s: an origin broke out of its directive: %s", path, csp)
			}
		}
	}
}

func TestTheCookieIsBoundToHTTPS(t *testing.T) {
	each(t, func(c *web.Config) { c.Origin = "https://id.example" }, func(w *world) {
		rec := httptest.NewRecorder()
		r := httptest.NewRequest("POST", "/login", strings.NewReader(url.Values{"account": {"zhangsan"}, "password": {password}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w.site.Handler().ServeHTTP(rec, r)
		if rec.Header().Get("Strict-Transport-Security") == "" {
			w.Error("a browser that was here once may be led back to plain HTTP")
		}
		c := rec.Header().Get("Set-Cookie")
		for _, want := range []string{"__Host-hufu=", "; Path=/", "; HttpOnly", "; Secure", "; SameSite=Lax"} {
			if !strings.Contains(c, want) || strings.Contains(c, "Domain") {
				w.Errorf("cookie %q lacks %s", c, want)
			}
		}
	})
}

func TestLargeAndMalformedForms(t *testing.T) {
	each(t, nil, func(w *world) {
		b := w.browser()
		w.shows(b.post("/login", "account", strings.Repeat("x", 70<<10)), http.StatusRequestEntityTooLarge, "提交的内容过大")
		p := b.do("POST", "/login", "application/x-www-form-urlencoded", strings.NewReader("a=%zz"))
		w.shows(p, http.StatusBadRequest, "无法读取提交的表单")
		w.shows(b.do("DELETE", "/login", "", nil), http.StatusMethodNotAllowed, "该网址不支持这种请求方式")
		w.shows(b.get("/nowhere"), http.StatusNotFound, "没有这个页面")
	})
}

func (broken) Session(context.Context, string) (login.Session, error) {
	return login.Session{}, errBroken
}

// TestWhatFailsInsideIsNotShown: the person gets a reference number, the operator the cause under it.
func TestWhatFailsInsideIsNotShown(t *testing.T) {
	each(t, func(c *web.Config) { c.Logins = broken{c.Logins} }, func(w *world) {
		for _, path := range []string{"/account", "/login", "/logout"} {
			b := w.browser()
			jar := must(url.Parse(w.base))
			b.c.Jar.SetCookies(jar, []*http.Cookie{{Name: "hufu", Value: "x"}})
			p := b.get(path)
			w.shows(p, http.StatusInternalServerError, "系统出现问题", "编号", "请一分钟后重试")
			if strings.Contains(p.body, "hunter2") || strings.Contains(p.body, "sessions is gone") {
				w.Errorf("%s shows the cause", path)
			}
			_, after, _ := strings.Cut(p.text(), "编号 ")
			if reference, _, _ := strings.Cut(after, " "); len(reference) != 10 || !strings.Contains(w.log.String(), reference) {
				w.Errorf("reference %q is not in the log", reference)
			}
		}
	})
}
