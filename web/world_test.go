package web_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hufu/audit"
	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/oidc"
	"hufu/store"
	"hufu/store/storetest"
	"hufu/web"
)

const (
	password = "correct horse 9"
	number   = "110101199003070011"
	callback = "https://rp.example/callback"
	uscc     = "91330106MA00000190"
	bureau   = "11330105002500287C"
	verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 appendix B
)

var (
	system = actor.ForSystem("test")
	admin  = actor.Actor{Subject: "admin", Capacity: actor.Official, Roles: []actor.Role{actor.RoleBusinessAdmin}}
	rsaKey = must(rsa.GenerateKey(rand.Reader, 2048))
	ecKey  = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// world is the pages on real services and a real database, a clock that the test moves, and Zhang San, who represents a
// company and holds a post.
type world struct {
	*testing.T
	site    *web.Site
	people  *identity.Service
	logins  *login.Service
	p       *oidc.Provider
	base    string
	clock   *atomic.Int64
	log     *bytes.Buffer
	zhang   string // subject id
	company string
	office  string
}

func (w *world) now() time.Time { return time.UnixMicro(w.clock.Load()).UTC() }

func (w *world) pass(d time.Duration) { w.clock.Add(d.Microseconds()) }

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// each runs f on every engine with a fresh world; change may alter the configuration before the site is made.
func each(t *testing.T, change func(*web.Config), f func(w *world)) {
	t.Helper()
	t.Parallel()
	clock := new(atomic.Int64)
	now := func() time.Time { return time.UnixMicro(clock.Load()).UTC() }
	storetest.EachWith(t, store.Options{Now: now}, func(t *testing.T, db *store.DB) {
		f(newWorld(t, db, clock, change))
	})
}

func newWorld(t *testing.T, db *store.DB, clock *atomic.Int64, change func(*web.Config)) *world {
	t.Helper()
	w := &world{T: t, clock: clock, log: new(bytes.Buffer)}
	w.clock.Store(time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC).UnixMicro())
	var err error
	w.people, err = identity.New(identity.Config{Store: db.Identity(), Now: w.now})
	w.must(err)
	w.logins, err = login.New(login.Config{
		Store: db.Login(), Subjects: w.people, Peppers: [][]byte{bytes.Repeat([]byte{7}, 32)}, Now: w.now,
		Cost: login.Cost{Memory: 64, Time: 1, Threads: 1}, Parallel: 4,
	})
	w.must(err)
	w.populate()

	mux := http.NewServeMux()
	server := httptest.NewUnstartedServer(mux)
	w.base = "http://" + server.Listener.Addr().String()
	config := web.Config{
		Origin: w.base, Logins: w.logins, People: w.people, Now: w.now, Activity: &audit.Log{Config: audit.Config{Store: db.Audit(), Now: w.now}},
		Log: slog.New(slog.NewTextHandler(w.log, nil)),
	}
	if change != nil {
		change(&config)
	}
	w.site, err = web.New(config)
	w.must(err)
	w.p, err = oidc.New(oidc.Config{
		Issuer: w.base, Store: db.OIDC(), Subjects: w.people, Sessions: w.logins, Now: w.now, Pages: w.site.Pages(),
		Keys: []oidc.Key{{Signer: rsaKey}, {Signer: ecKey}}, TokenSecret: bytes.Repeat([]byte{9}, 32),
		Log: slog.New(slog.DiscardHandler),
	})
	w.must(err)
	w.site.UseProvider(w.p)
	mux.Handle("/oauth2/", w.p.Handler())
	mux.Handle("/.well-known/", w.p.Handler())
	mux.Handle("/", w.site.Handler())
	server.Start()
	t.Cleanup(server.Close)

	_, err = w.p.RegisterClient(t.Context(), admin, oidc.NewClient{Client: oidc.Client{
		ID: "portal", Name: "示例市网上办事大厅", NameEN: "Sample City Services", RedirectURIs: []string{callback}, Refresh: true,
		LogoutURIs: []string{"https://rp.example/bye"}, PolicyURI: "https://rp.example/privacy",
		Scopes: []string{"openid", "profile", "phone", "identity", "entity", "offline_access", "api"},
	}})
	w.must(err)
	return w
}

func (w *world) populate() {
	w.Helper()
	sub, err := w.logins.Enrol(w.Context(), system, login.Enrolment{
		Person: identity.PersonForm{
			Name: "张三", Phone: "13800000011", Identifiers: []identity.Identifier{{Type: identity.ResidentID, Number: number}},
			Evidence: []identity.Evidence{{Method: identity.ByFace, Source: "test"}},
		},
		Account: "zhangsan", Password: password,
	})
	w.must(err)
	w.zhang = sub.ID
	for _, e := range []struct {
		form identity.EntityForm
		id   *string
	}{
		{identity.EntityForm{Name: "杭州示例科技有限公司", USCC: uscc, LegalRep: sub.ID}, &w.company},
		{identity.EntityForm{Name: "示例市市场监督管理局", USCC: bureau}, &w.office},
	} {
		e.form.Evidence = []identity.Evidence{{Method: identity.ByRegistry, Source: "test"}}
		made, err := w.people.RegisterEntity(w.Context(), system, e.form)
		w.must(err)
		*e.id = made.ID
	}
	_, err = w.people.Appoint(w.Context(), system, identity.Appointment{Person: sub.ID, Organisation: w.office, Title: "科员"})
	w.must(err)
}

// browser is one person's browser. It follows no redirect by itself.
type browser struct {
	w       *world
	c       *http.Client
	headers http.Header
}

func (w *world) browser() *browser {
	return &browser{w, &http.Client{
		Jar:           must(cookiejar.New(nil)),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, http.Header{}}
}

// page is an answer that was read.
type page struct {
	status   int
	header   http.Header
	body     string
	location string
}

func (b *browser) do(method, where, contentType string, body io.Reader) page {
	b.w.Helper()
	if strings.HasPrefix(where, "/") {
		where = b.w.base + where
	}
	r, err := http.NewRequestWithContext(b.w.Context(), method, where, body)
	b.w.must(err)
	for name, values := range b.headers {
		r.Header[name] = values
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if method == http.MethodPost && r.Header.Get("Sec-Fetch-Site") == "" {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	resp, err := b.c.Do(r)
	b.w.must(err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	b.w.must(err)
	return page{resp.StatusCode, resp.Header, string(data), resp.Header.Get("Location")}
}

func (b *browser) get(where string) page {
	b.w.Helper()
	return b.do("GET", where, "", nil)
}

func (b *browser) post(where string, pairs ...string) page {
	b.w.Helper()
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return b.do("POST", where, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

func (b *browser) authorize(pairs ...string) page {
	b.w.Helper()
	sum := sha256.Sum256([]byte(verifier))
	v := url.Values{
		"client_id": {"portal"}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid profile"}, "state": {"s"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return b.get("/oauth2/authorize?" + v.Encode())
}

// login logs in to the pages themselves.
func (b *browser) login() {
	b.w.Helper()
	if p := b.post("/login", "account", "zhangsan", "password", password); p.status != http.StatusSeeOther {
		b.w.Fatalf("log-in: %d %s", p.status, p.text())
	}
}

var (
	tags   = regexp.MustCompile(`(?s)<svg.*?</svg>|<[^>]*>`)
	action = regexp.MustCompile(`<form method="post" action="([^"]*)"`)
)

// text is what a person reads.
func (p page) text() string {
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(p.body, " "))), " ")
}

// action returns where the first form goes.
func (p page) action(w *world) string {
	w.Helper()
	m := action.FindStringSubmatch(p.body)
	if m == nil {
		w.Fatalf("no form: %d %s", p.status, p.text())
	}
	return html.UnescapeString(m[1])
}

func (w *world) shows(p page, status int, words ...string) {
	w.Helper()
	if p.status != status {
		w.Errorf("status %d, want %d: %s", p.status, status, p.text())
	}
	for _, word := range words {
		if !strings.Contains(p.text(), word) {
			w.Errorf("not shown: %q in %s", word, p.text())
		}
	}
}

func (w *world) goes(p page, where string) {
	w.Helper()
	if p.status != http.StatusSeeOther || !strings.HasPrefix(p.location, where) {
		w.Errorf("%d to %q, want 303 to %q: %s", p.status, p.location, where, p.text())
	}
}

// broken is services that fail.
type broken struct{ web.Logins }

var errBroken = errors.New("table sessions is gone, password was hunter2")

var errDenied = fault.New(fault.Denied, "test.denied", "You may not. Ask.", "不可以，请咨询。")
