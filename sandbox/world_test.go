package sandbox_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/oidc"
	"hufu/sandbox"
	"hufu/store"
	"hufu/store/storetest"
)

const (
	account  = "zhangsan"
	password = "correct horse 9"
	secret   = "a secret of the sample hall, long+enough & odd%"
	uscc     = "91330106MA00000190"
)

var (
	system = actor.ForSystem("test")
	rsaKey = must(rsa.GenerateKey(rand.Reader, 2048))
	ecKey  = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// world is the sample application beside a real provider on real services. The person Zhang San is the legal
// representative of a company; the edge logs him in without asking.
type world struct {
	*testing.T
	app      *sandbox.App
	p        *oidc.Provider
	logins   *login.Service
	base     string
	clock    atomic.Int64
	log      lockedBuffer
	wire     *wire
	company  string
	capacity oidc.CapacityChoice // that the edge chooses
	refuse   bool                // the person says no at the provider
}

// wire is the back channel; a test may read and change every answer on it.
type wire struct {
	mu     sync.Mutex
	change func(path string, status int, body []byte) (int, []byte)
	calls  map[string]int
}

func (x *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.calls[r.URL.Path]++
	if x.change == nil {
		return resp, nil
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.StatusCode, body = x.change(r.URL.Path, resp.StatusCode, body)
	if resp.StatusCode == http.StatusTemporaryRedirect {
		resp.Header.Set("Location", "/elsewhere")
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}

func (x *wire) count(path string) int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.calls[path]
}

// tamper changes the JSON answer of one path from now on.
func (x *wire) tamper(path string, f func(answer map[string]any)) {
	x.set(func(at string, status int, body []byte) (int, []byte) {
		if at != path {
			return status, body
		}
		answer := map[string]any{}
		if err := json.Unmarshal(body, &answer); err != nil {
			return status, body
		}
		f(answer)
		return status, must(json.Marshal(answer))
	})
}

func (x *wire) set(f func(path string, status int, body []byte) (int, []byte)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.change = f
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (w *world) now() time.Time { return time.UnixMicro(w.clock.Load()).UTC() }

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func each(t *testing.T, f func(w *world)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) { f(newWorld(t, db)) })
}

func newWorld(t *testing.T, db *store.DB) *world {
	t.Helper()
	w := &world{T: t, wire: &wire{calls: map[string]int{}}}
	w.clock.Store(time.Now().UnixMicro())
	people, err := identity.New(identity.Config{Store: db.Identity(), Now: w.now})
	w.must(err)
	w.logins, err = login.New(login.Config{
		Store: db.Login(), Subjects: people, Peppers: [][]byte{bytes.Repeat([]byte{7}, 32)}, Now: w.now,
		Cost: login.Cost{Memory: 64, Time: 1, Threads: 1}, Parallel: 4,
	})
	w.must(err)
	person, err := w.logins.Enrol(t.Context(), system, login.Enrolment{
		Person: identity.PersonForm{
			Name: "张三", Identifiers: []identity.Identifier{{Type: identity.ResidentID, Number: "110101199003070011"}},
			Evidence: []identity.Evidence{{Method: identity.ByFace, Source: "test"}},
		},
		Account: account, Password: password,
	})
	w.must(err)
	company, err := people.RegisterEntity(t.Context(), system, identity.EntityForm{
		Name: "云岭小雅食品有限公司", USCC: uscc, LegalRep: person.ID, Evidence: []identity.Evidence{{Method: identity.ByRegistry, Source: "test"}},
	})
	w.must(err)
	w.company = company.ID
	w.capacity = oidc.CapacityChoice{Kind: identity.Entity, For: company.ID}

	mux := http.NewServeMux()
	server := httptest.NewUnstartedServer(mux)
	w.base = "http://" + server.Listener.Addr().String()
	w.p, err = oidc.New(oidc.Config{
		Issuer: w.base, Store: db.OIDC(), Subjects: people, Sessions: w.logins, Pages: w.edge(), Now: w.now,
		Keys: []oidc.Key{{ID: "rsa", Signer: rsaKey}, {ID: "ec", Signer: ecKey}}, TokenSecret: bytes.Repeat([]byte{9}, 32),
		LoginPath: "/pages", ActingPath: "/pages", ConsentPath: "/pages", Log: slog.New(slog.DiscardHandler),
	})
	w.must(err)
	_, err = w.p.RegisterClient(t.Context(), system, oidc.NewClient{
		Client: oidc.Client{
			ID: "sample-hall", Name: "办事大厅", RedirectURIs: []string{w.base + sandbox.Callback}, LogoutURIs: []string{w.base + sandbox.Home},
			Scopes: []string{"openid", "profile", "entity"}, IDTokenAlg: "ES256",
		},
		Secret: secret,
	})
	w.must(err)
	w.app, err = sandbox.NewApp(w.config())
	w.must(err)
	mux.Handle("/oauth2/", w.p.Handler())
	mux.Handle("/.well-known/", w.p.Handler())
	mux.HandleFunc("/pages", w.pages)
	mux.Handle("/sample/", w.app)
	server.Start()
	t.Cleanup(server.Close)
	return w
}

func (w *world) config() sandbox.Config {
	return sandbox.Config{
		Issuer: w.base, ClientID: "sample-hall", ClientSecret: secret, BaseURL: w.base, StoryPath: "/story", Now: w.now,
		HTTP: &http.Client{Transport: w.wire, Timeout: 5 * time.Second}, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	}
}

// The edge: what web is in the real program.

func (w *world) edge() oidc.Pages {
	return oidc.Pages{
		Session: w.session,
		Error: func(rw http.ResponseWriter, _ *http.Request, status int, err error) {
			text, _ := fault.TextOf(err)
			rw.WriteHeader(status)
			fmt.Fprintf(rw, "error page: %s", text.EN)
		},
		Logout:    func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "confirm page") },
		LoggedOut: func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "logged-out page") },
		EndSession: func(_ http.ResponseWriter, r *http.Request) error {
			s, err := w.session(r)
			if err != nil {
				return err
			}
			return w.logins.End(r.Context(), s.Actor(), s.ID)
		},
	}
}

func (w *world) session(r *http.Request) (*login.Session, error) {
	c, err := r.Cookie("session")
	if err != nil {
		return nil, nil
	}
	s, err := w.logins.Session(r.Context(), c.Value)
	if err != nil {
		return nil, err
	}
	return &s, nil
}

// pages plays the person: it logs in, chooses the capacity and agrees, or refuses.
func (w *world) pages(rw http.ResponseWriter, r *http.Request) {
	s, err := w.session(r)
	if s == nil || err != nil {
		fresh, value, err := w.logins.Login(r.Context(), login.Attempt{Account: account, Password: password, RemoteIP: "127.0.0.1"})
		if err != nil {
			http.Error(rw, err.Error(), http.StatusUnauthorized)
			return
		}
		http.SetCookie(rw, &http.Cookie{Name: "session", Value: value, Path: "/"})
		s = &fresh
	}
	id, browser := r.FormValue("i"), w.p.BrowserSecret(r)
	in, err := w.p.Interaction(r.Context(), id, browser, s)
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	a, err := w.p.Decide(r.Context(), id, browser, oidc.Decision{
		Session: s, Capacity: &w.capacity, Consent: true, Scopes: in.Scopes, Refused: w.refuse,
	})
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	a.Write(rw, r)
}

// browser is one person's browser. It follows redirects until stop says no.
type browser struct {
	w    *world
	c    *http.Client
	stop func(u *url.URL) bool
}

func (w *world) browser() *browser {
	b := &browser{w: w}
	b.c = &http.Client{Jar: must(cookiejar.New(nil)), CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > 12 || b.stop != nil && b.stop(r.URL) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	return b
}

type page struct {
	status   int
	header   http.Header
	body     string
	location string
	at       string // path that answered
}

func (b *browser) do(method, where string, form url.Values, headers ...string) page {
	b.w.Helper()
	if strings.HasPrefix(where, "/") {
		where = b.w.base + where
	}
	r, err := http.NewRequestWithContext(b.w.Context(), method, where, strings.NewReader(form.Encode()))
	b.w.must(err)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := b.c.Do(r)
	b.w.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	b.w.must(err)
	return page{resp.StatusCode, resp.Header, string(body), resp.Header.Get("Location"), resp.Request.URL.Path}
}

func (b *browser) get(where string, headers ...string) page {
	b.w.Helper()
	return b.do(http.MethodGet, where, nil, headers...)
}

// upToCallback begins a log-in and returns the address of the callback that the provider sends the browser to, unvisited.
func (b *browser) upToCallback(where string) *url.URL {
	b.w.Helper()
	b.stop = func(u *url.URL) bool { return u.Path == sandbox.Callback }
	defer func() { b.stop = nil }()
	p := b.get(where)
	u, err := url.Parse(p.location)
	if err != nil || u.Path != sandbox.Callback {
		b.w.Fatalf("no callback: %d %s %s", p.status, p.location, p.body)
	}
	return u
}

// edit returns the address with parameters set; "-" takes one out.
func edit(u *url.URL, pairs ...string) string {
	q := u.Query()
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "-" {
			q.Del(pairs[i])
		} else {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	out := *u
	out.RawQuery = q.Encode()
	return out.String()
}

// refused fails the test unless the page is the refusal with the code, and nobody is logged in by it.
func (b *browser) refused(p page, code, story string) {
	b.w.Helper()
	if p.status < 400 || !strings.Contains(p.body, "<code>"+code+"</code>") {
		b.w.Errorf("want the refusal %s, got %d at %s: %s", code, p.status, p.at, p.body)
	}
	if _, in := b.w.app.Visitor(story); in {
		b.w.Errorf("%s: somebody is logged in all the same", code)
	}
	if hall := b.get("/sample/?lang=en"); !strings.Contains(hall.body, "Log in with the identity platform") {
		b.w.Errorf("%s: the hall knows the browser", code)
	}
}

// jws signs claims as a compact JWS; alg "none" leaves the signature empty.
func jws(alg, kid string, key crypto.Signer, claims map[string]any) string {
	head := base64.RawURLEncoding.EncodeToString(must(json.Marshal(map[string]any{"alg": alg, "kid": kid, "typ": "JWT"})))
	text := head + "." + base64.RawURLEncoding.EncodeToString(must(json.Marshal(claims)))
	digest := sha256.Sum256([]byte(text))
	var sig []byte
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
		must(0, err)
		sig = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case *rsa.PrivateKey:
		sig = must(rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:]))
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// claimsOf reads a token without verifying it.
func claimsOf(token string) map[string]any {
	claims := map[string]any{}
	must(0, json.Unmarshal(must(base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])), &claims))
	return claims
}
