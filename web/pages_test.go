package web_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"hufu/ca"
	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/oidc"
	"hufu/seal/check"
	"hufu/web"
)

var samples = []web.Sample{
	{Account: "zhangsan", Password: password, Name: "张三", Who: fault.Text{ZH: "市民，杭州示例科技有限公司法定代表人", EN: "Citizen, legal representative of a company"}},
	{Account: "wangwu", Password: "another horse 9", Name: "王五", Who: fault.Text{ZH: "示例市市场监督管理局证照签发员", EN: "Licence officer"}},
}

// certificates is an authority with one certificate of each state.
type certificates struct{}

func (certificates) Certificates(context.Context, actor.Actor, ca.CertificateFilter) ([]ca.Record, error) {
	at := func(year int) time.Time { return time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC) }
	return []ca.Record{
		{Serial: []byte{1, 0xAB}, Issuer: "issuing", Profile: "person-sign", NotBefore: at(2026), NotAfter: at(2029)},
		{Serial: []byte{2, 0xAB}, Issuer: "issuing", Profile: "person-enc", NotBefore: at(2026), NotAfter: at(2029)},
		{Serial: []byte{3, 0xAB}, Issuer: "issuing", Profile: "person-sign", NotBefore: at(2020), NotAfter: at(2023)},
	}, nil
}

func (certificates) Revoked(_ context.Context, _ string, serial []byte) (ca.Revocation, bool, error) {
	return ca.Revocation{}, serial[0] == 2, nil
}

var (
	openTag   = regexp.MustCompile(`<[a-zA-Z][^>]*>`)
	heading   = regexp.MustCompile(`<h([1-6])[ >]`)
	idOf      = regexp.MustCompile(` id="([^"]*)"`)
	refTo     = regexp.MustCompile(` (?:for|aria-labelledby)="([^"]*)"`)
	fragment  = regexp.MustCompile(`href="#([^"]+)"`)
	code      = regexp.MustCompile(`(?s)<(code|pre)\b.*?</(code|pre)>`)
	halfWidth = regexp.MustCompile(`\p{Han} ?[,.:;?!()]|[,:;?!()] ?\p{Han}`)
	han       = regexp.MustCompile(`\p{Han}`)
)

// lint holds a page against what all pages keep.
func lint(t *testing.T, name, lang, body string) {
	t.Helper()
	if !strings.Contains(body, fmt.Sprintf(`<html lang="%s"`, map[string]string{"zh": "zh-CN", "en": "en"}[lang])) {
		t.Errorf("%s: lang is not %s", name, lang)
	}
	for _, tag := range openTag.FindAllString(body, -1) {
		if strings.HasPrefix(tag, "<script") || strings.HasPrefix(tag, "<style") || regexp.MustCompile(`\s(style|on[a-z]+|hx-on[^=]*)=`).MatchString(tag) {
			t.Errorf("%s: inline script or style: %s", name, tag)
		}
	}
	for _, bad := range []string{"javascript:", "ZgotmplZ", "<no value>", "%!", "map["} {
		if strings.Contains(body, bad) {
			t.Errorf("%s: the page has %s", name, bad)
		}
	}
	level := 0
	for n, h := range heading.FindAllStringSubmatch(body, -1) {
		now := int(h[1][0] - '0')
		if n == 0 && now != 1 && !strings.Contains(body, "summary") || now > level+1 || n > 0 && now == 1 {
			t.Errorf("%s: heading %d is h%d after h%d", name, n+1, now, level)
		}
		level = now
	}
	ids := map[string]bool{}
	for _, m := range idOf.FindAllStringSubmatch(body, -1) {
		if ids[m[1]] {
			t.Errorf("%s: two elements have the id %q", name, m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range append(refTo.FindAllStringSubmatch(body, -1), fragment.FindAllStringSubmatch(body, -1)...) {
		if !ids[m[1]] {
			t.Errorf("%s: %s leads to no element", name, m[0])
		}
	}
	text := page{body: code.ReplaceAllString(body, "")}.text()
	if lang == "zh" {
		if bad := halfWidth.FindString(text); bad != "" {
			t.Errorf("%s: half-width punctuation in Chinese: %q in %s", name, bad, text)
		}
	}
}

// english holds a page that shows nobody's data against Chinese left over.
func english(t *testing.T, name, body string) {
	t.Helper()
	text := strings.ReplaceAll(page{body: body}.text(), "中文", "")
	if i := han.FindStringIndex(text); i != nil {
		t.Errorf("%s: Chinese in the English page: %s", name, text[max(0, i[0]-40):])
	}
}

// guest is services for pages, whose person has everything.
type guest struct {
	hostile
	mustChange bool
}

func (g guest) Session(context.Context, string) (login.Session, error) {
	return login.Session{ID: "1", Subject: "p", Name: "张三", MustChange: g.mustChange}, nil
}

func (guest) List(context.Context, actor.Actor, string) ([]login.Session, error) {
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	return []login.Session{{ID: "1", UserAgent: "Chrome Windows", Seen: now, Created: now, RemoteIP: "192.0.2.1"}, {ID: "2", UserAgent: "", Seen: now}}, nil
}

func (guest) Login(context.Context, login.Attempt) (login.Session, string, error) {
	return login.Session{}, "", login.ErrBusy
}

func (guest) SetPassword(context.Context, actor.Actor, string, string) error {
	return login.ErrPassword
}

// TestEveryPageInBothLanguages executes each template with each of its views.
func TestEveryPageInBothLanguages(t *testing.T) {
	states := []web.StoryState{}
	for step := range web.StorySteps + 1 {
		states = append(states, until(step))
	}
	each(t, func(c *web.Config) {
		c.Certificates, c.Samples, c.Verifier, c.APIDocs = certificates{}, samples, &judge{}, "/api/docs"
	}, func(w *world) {
		for _, lang := range []string{"zh", "en"} {
			b := w.browser()
			lint(t, "home", lang, b.get("/?lang="+lang).body)
			english := func(name string, p page) {
				lint(t, name, lang, p.body)
				if lang == "en" {
					english(t, name, p.body)
				}
			}
			english("home", b.get("/"))
			english("signed out", b.get("/signedout"))
			english("verify", b.get("/verify"))
			english("no file", b.upload("file", "", ""))
			english("unknown kind", b.upload("file", "a.txt", "odd"))
			english("404", b.get("/nowhere"))
			lint(t, "plain log-in", lang, b.get("/login").body)
			p := b.authorize("scope", "openid profile phone identity entity offline_access api")
			for _, as := range []string{"person", "entity", "official", "nonsense"} {
				lint(t, "log-in "+as, lang, b.get(p.location+"&as="+as+"&fill=zhangsan").body)
			}
			lint(t, "wrong password", lang, b.post(p.location, "account", "zhangsan", "password", "wrong").body)
			lint(t, "empty log-in", lang, b.post(p.location).body)
			p = b.post(p.location, "account", "zhangsan", "password", password)
			lint(t, "acting", lang, b.get(p.location).body)
			lint(t, "no choice", lang, b.post(p.location).body)
			for _, as := range []string{"person::", "entity:" + w.company + ":"} {
				next := b.post(p.location, "as", as)
				w.goes(next, "/consent")
				lint(t, "consent "+as, lang, b.get(next.location).body)
			}
			lint(t, "account", lang, b.get("/account").body)
			lint(t, "logout", lang, b.get("/logout").body)
			english("password", b.get("/account/password"))
			english("bad password", b.post("/account/password", "old", "x", "new", "y"))
			english("common password", b.post("/account/password", "old", password, "new", "1234567890", "again", "1234567890"))
			for _, r := range []check.Result{check.Passed, check.Failed, check.Indeterminate} {
				lint(t, "report "+string(r), lang, b.upload("file", "a.ofd", string(r)).body)
			}
		}
	})
	for _, lang := range []string{"zh", "en"} {
		for n, state := range states {
			story := &tale{id: "s", state: state}
			site := must(web.New(web.Config{Origin: "http://localhost:8480", Logins: guest{}, People: guest{}, Story: story, Verifier: &judge{}}))
			lint(t, fmt.Sprintf("story %d", n), lang, ask(site, "GET", "/", lang, "hufu-story=s"))
		}
		site := must(web.New(web.Config{Origin: "http://localhost:8480", Logins: guest{}, People: guest{}, Story: &tale{}}))
		english := func(name, body string) {
			lint(t, name, lang, body)
			if lang == "en" {
				english(t, name, body)
			}
		}
		english("story", ask(site, "GET", "/", lang, ""))
		english("busy", ask(site, "POST", "/login", lang, "", "account", "x", "password", "y"))
		english("no provider", ask(site, "GET", "/login?i=1", lang, ""))
		site = must(web.New(web.Config{Origin: "http://localhost:8480", Logins: guest{mustChange: true}, People: guest{}}))
		english("first password", ask(site, "GET", "/account/password", lang, "hufu=x"))
		site.UseProvider(hostileProvider{oidc.StepLogin})
		lint(t, "fresh log-in", lang, ask(must(siteOf(guest{})), "GET", "/login", lang, ""))
	}
}

func siteOf(g guest) (*web.Site, error) {
	return web.New(web.Config{Origin: "http://localhost:8480", Logins: g, People: g})
}

// ask sends one request to a site without a server and returns the page.
func ask(site *web.Site, method, path, lang, cookies string, pairs ...string) string {
	var form []string
	for i := 0; i < len(pairs); i += 2 {
		form = append(form, pairs[i]+"="+pairs[i+1])
	}
	r := httptest.NewRequest(method, path, strings.NewReader(strings.Join(form, "&")))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Cookie", strings.TrimPrefix(cookies+"; hufu-lang="+lang, "; "))
	rec := httptest.NewRecorder()
	site.Handler().ServeHTTP(rec, r)
	return rec.Body.String()
}

// TestWhichLanguage: the address and the cookie, then the application's wish, then the browser's.
func TestWhichLanguage(t *testing.T) {
	each(t, nil, func(w *world) {
		for _, c := range []struct{ query, cookie, locales, accept, want string }{
			{want: "zh-CN"},
			{accept: "de, en;q=0.8", want: "en"},
			{accept: "en;q=0, fr", want: "zh-CN"},
			{accept: "zh-Hant-TW,en", want: "zh-CN"},
			{locales: "en-GB zh", accept: "zh", want: "en"},
			{cookie: "zh", locales: "en", accept: "en", want: "zh-CN"},
			{query: "en", cookie: "zh", want: "en"},
			{query: "<script>", cookie: "xx", accept: "klingon", want: "zh-CN"},
		} {
			b := w.browser()
			if c.cookie != "" {
				b.headers.Set("Cookie", "hufu-lang="+c.cookie)
			}
			if c.accept != "" {
				b.headers.Set("Accept-Language", c.accept)
			}
			p := b.get(b.authorize("ui_locales", c.locales).location + "&lang=" + c.query)
			if !strings.Contains(p.body, `<html lang="`+c.want+`"`) || p.header.Get("Content-Language") != c.want {
				w.Errorf("%+v: %s", c, p.header.Get("Content-Language"))
			}
		}
		b := w.browser()
		b.get("/?lang=en&theme=dark&view=elder")
		if p := b.get("/login?i="); !strings.Contains(p.body, `<html lang="en" data-theme="dark" data-view="elder">`) {
			w.Errorf("the choice was not kept: %.200s", p.body)
		}
		if p := b.get("/login?next=/account&theme=light"); !strings.Contains(p.body, `href="/login?lang=zh&amp;next=%2Faccount"`) {
			w.Errorf("the switch loses its way: %.1200s", p.body)
		}
	})
}

func TestAssets(t *testing.T) {
	each(t, nil, func(w *world) {
		b := w.browser()
		css := regexp.MustCompile(`/assets/hufu\.[0-9a-f]{12}\.css`).FindString(b.get("/").body)
		p := b.get(css)
		if p.status != http.StatusOK || !strings.Contains(p.header.Get("Cache-Control"), "immutable") || !strings.HasPrefix(p.header.Get("Content-Type"), "text/css") {
			w.Errorf("%s: %d %v", css, p.status, p.header)
		}
		if strings.Contains(p.body, "http:") || strings.Contains(p.body, "url(") {
			w.Error("the stylesheet fetches something")
		}
		if p := b.get("/favicon.ico"); p.status != http.StatusOK || p.header.Get("Content-Type") != "image/svg+xml" {
			w.Errorf("icon: %d %v", p.status, p.header)
		}
		for _, bad := range []string{"/assets/hufu.css", "/assets/hufu.000000000000.css", "/assets/", "/assets/..%2fsite.go"} {
			w.shows(b.get(bad), http.StatusNotFound)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	for _, bad := range []web.Config{
		{},
		{Origin: "http://localhost", People: guest{}},
		{Origin: "http://localhost", Logins: guest{}},
		{Origin: "localhost:8480", Logins: guest{}, People: guest{}},
		{Origin: "https://a.example/path", Logins: guest{}, People: guest{}},
		{Origin: "ftp://a.example", Logins: guest{}, People: guest{}},
	} {
		if _, err := web.New(bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
