package oidc_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
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
	"hufu/store"
	"hufu/store/storetest"
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

func challenge(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// gate lets callers on only when as many as it waits for have come; zero waits for nobody.
type gate struct {
	mu   sync.Mutex
	wait int
	open chan struct{}
}

func (g *gate) set(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wait, g.open = n, make(chan struct{})
}

func (g *gate) pass() {
	g.mu.Lock()
	if g.wait == 0 {
		g.mu.Unlock()
		return
	}
	if g.wait--; g.wait == 0 {
		close(g.open)
	}
	open := g.open
	g.mu.Unlock()
	<-open
}

// flaky is a signer that can be switched off, as a device that was pulled, or slowed down by a gate.
type flaky struct {
	crypto.Signer
	off  atomic.Bool
	gate gate
}

func (f *flaky) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if f.off.Load() {
		return nil, errors.New("device removed")
	}
	f.gate.pass()
	return f.Signer.Sign(r, digest, opts)
}

// gated is the register of persons behind a gate.
type gated struct {
	*identity.Service
	gate gate
}

func (g *gated) Standing(ctx context.Context, id string) (identity.Standing, error) {
	g.gate.pass()
	return g.Service.Standing(ctx, id)
}

// world is a provider on real services and a real database, with the small edge that web is: a log-in page, an acting
// page and a consent page, a clock that the test moves, and Zhang San with an account.
type world struct {
	*testing.T
	p       *oidc.Provider
	db      *store.DB
	store   *crashing
	people  *gated
	logins  *login.Service
	base    string
	clock   *atomic.Int64
	rsa, ec *flaky
	log     bytes.Buffer
	zhang   string // subject id
	account string // that browsers log in with
	client  oidc.Registered
	broken  atomic.Bool // the session lookup of the edge fails
}

func (w *world) now() time.Time { return time.UnixMicro(w.clock.Load()).UTC() }

func (w *world) pass(d time.Duration) { w.clock.Add(d.Microseconds()) }

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// person is Zhang San acting for himself.
func (w *world) person() actor.Actor { return actor.Actor{Subject: w.zhang, Capacity: actor.Person} }

// each runs f on every engine with a fresh world.
func each(t *testing.T, f func(w *world)) {
	t.Helper()
	t.Parallel()
	clock := new(atomic.Int64)
	now := func() time.Time { return time.UnixMicro(clock.Load()).UTC() }
	storetest.EachWith(t, store.Options{Now: now}, func(t *testing.T, db *store.DB) {
		f(newWorld(t, db, clock))
	})
}

func newWorld(t *testing.T, db *store.DB, clock *atomic.Int64) *world {
	t.Helper()
	w := &world{T: t, db: db, store: &crashing{Store: db.OIDC()}, clock: clock, account: "zhangsan", rsa: &flaky{Signer: rsaKey}, ec: &flaky{Signer: ecKey}}
	w.clock.Store(time.Now().UnixMicro())
	people, err := identity.New(identity.Config{Store: db.Identity(), Now: w.now})
	w.must(err)
	w.people = &gated{Service: people}
	w.logins, err = login.New(login.Config{
		Store: db.Login(), Subjects: people, Peppers: [][]byte{bytes.Repeat([]byte{7}, 32)}, Now: w.now,
		Cost: login.Cost{Memory: 64, Time: 1, Threads: 1}, Parallel: 4,
	})
	w.must(err)
	sub, err := w.logins.Enrol(t.Context(), system, login.Enrolment{
		Person: identity.PersonForm{
			Name: "张三", Phone: "13800000011", Identifiers: []identity.Identifier{{Type: identity.ResidentID, Number: number}},
			Evidence: []identity.Evidence{{Method: identity.ByFace, Source: "test"}},
		},
		Account: w.account, Password: password,
	})
	w.must(err)
	w.zhang = sub.ID

	mux := http.NewServeMux()
	server := httptest.NewUnstartedServer(mux)
	w.base = "http://" + server.Listener.Addr().String()
	w.p, err = oidc.New(w.config())
	w.must(err)
	mux.Handle("/oauth2/", w.p.Handler())
	mux.Handle("/.well-known/", w.p.Handler())
	mux.HandleFunc("/login", w.loginPage)
	mux.HandleFunc("/acting", w.actingPage)
	mux.HandleFunc("/consent", w.consentPage)
	server.Start()
	t.Cleanup(server.Close)

	w.client = w.register(oidc.NewClient{Client: oidc.Client{ID: "portal"}})
	return w
}

func (w *world) config() oidc.Config {
	return oidc.Config{
		Issuer: w.base, Store: w.store, Subjects: w.people, Sessions: w.logins, Now: w.now,
		Keys:        []oidc.Key{{Signer: w.rsa}, {Signer: w.ec}},
		TokenSecret: bytes.Repeat([]byte{9}, 32),
		Log:         slog.New(slog.NewTextHandler(&w.log, nil)),
		Pages: oidc.Pages{
			Session: w.session,
			Error: func(rw http.ResponseWriter, _ *http.Request, status int, err error) {
				text, _ := fault.TextOf(err)
				rw.WriteHeader(status)
				fmt.Fprintf(rw, "error page: %s", text.EN)
			},
			Logout:    func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "confirm page") },
			LoggedOut: func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprint(rw, "logged-out page") },
			EndSession: func(rw http.ResponseWriter, r *http.Request) error {
				s, err := w.session(r)
				if err != nil {
					return err
				}
				return w.logins.End(r.Context(), s.Actor(), s.ID)
			},
		},
	}
}

// register adds a client; what the test leaves empty is filled in.
func (w *world) register(n oidc.NewClient) oidc.Registered {
	w.Helper()
	if n.Name == "" {
		n.Name = "示例应用"
	}
	if n.RedirectURIs == nil {
		n.RedirectURIs = []string{callback}
	}
	if n.Scopes == nil {
		n.Scopes = []string{"openid", "profile", "phone", "address", "offline_access", "identity", "entity", "api"}
	}
	n.Refresh = true
	reg, err := w.p.RegisterClient(w.Context(), admin, n)
	w.must(err)
	return reg
}

// The edge.

func (w *world) session(r *http.Request) (*login.Session, error) {
	if w.broken.Load() {
		return nil, errors.New("session table is gone")
	}
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

func (w *world) decide(rw http.ResponseWriter, r *http.Request, d oidc.Decision) {
	a, err := w.p.Decide(r.Context(), r.FormValue("i"), w.p.BrowserSecret(r), d)
	if err != nil {
		rw.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(rw, err.Error())
		return
	}
	a.Write(rw, r)
}

func (w *world) loginPage(rw http.ResponseWriter, r *http.Request) {
	s, _ := w.session(r)
	if r.Method == http.MethodPost {
		fresh, secret, err := w.logins.Login(r.Context(), login.Attempt{
			Account: r.FormValue("account"), Password: r.FormValue("password"), RemoteIP: "127.0.0.1",
		})
		if err != nil {
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.SetCookie(rw, &http.Cookie{Name: "session", Value: secret, Path: "/"})
		s = &fresh
	}
	in, err := w.p.Interaction(r.Context(), r.FormValue("i"), w.p.BrowserSecret(r), s)
	if err != nil {
		rw.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(rw, err.Error())
		return
	}
	if in.Next == oidc.StepLogin {
		_ = json.NewEncoder(rw).Encode(in)
		return
	}
	w.decide(rw, r, oidc.Decision{Session: s})
}

func (w *world) actingPage(rw http.ResponseWriter, r *http.Request) {
	s, _ := w.session(r)
	if r.Method == http.MethodPost {
		w.decide(rw, r, oidc.Decision{Session: s, Capacity: &oidc.CapacityChoice{
			Kind: identity.Kind(r.FormValue("kind")), For: r.FormValue("for"), Post: r.FormValue("post"),
		}})
		return
	}
	w.show(rw, r, s)
}

func (w *world) consentPage(rw http.ResponseWriter, r *http.Request) {
	s, _ := w.session(r)
	if r.Method == http.MethodPost {
		w.decide(rw, r, oidc.Decision{
			Session: s, Consent: true, Scopes: strings.Fields(r.FormValue("scopes")), Refused: r.FormValue("no") != "",
		})
		return
	}
	w.show(rw, r, s)
}

func (w *world) show(rw http.ResponseWriter, r *http.Request, s *login.Session) {
	in, err := w.p.Interaction(r.Context(), r.FormValue("i"), w.p.BrowserSecret(r), s)
	if err != nil {
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	_ = json.NewEncoder(rw).Encode(in)
}

// browser is one person's browser. It follows no redirect by itself.
type browser struct {
	w *world
	c *http.Client
}

func (w *world) browser() *browser {
	jar := must(cookiejar.New(nil))
	return &browser{w, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// page is an answer that was read.
type page struct {
	status   int
	header   http.Header
	body     string
	location string
}

func (p page) to() *url.URL { return must(url.Parse(p.location)) }

func (p page) query(name string) string { return p.to().Query().Get(name) }

func (b *browser) do(r *http.Request, err error) page {
	b.w.Helper()
	b.w.must(err)
	resp, err := b.c.Do(r)
	b.w.must(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	b.w.must(err)
	return page{resp.StatusCode, resp.Header, string(body), resp.Header.Get("Location")}
}

func (b *browser) get(where string) page {
	b.w.Helper()
	if strings.HasPrefix(where, "/") {
		where = b.w.base + where
	}
	return b.do(http.NewRequestWithContext(b.w.Context(), "GET", where, nil))
}

func (b *browser) post(where string, form url.Values) page {
	b.w.Helper()
	if strings.HasPrefix(where, "/") {
		where = b.w.base + where
	}
	r, err := http.NewRequestWithContext(b.w.Context(), "POST", where, strings.NewReader(form.Encode()))
	b.w.must(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r, nil)
}

// params are those of a plain request of the client, changed by pairs of name and value; a value "-" takes one out.
func (w *world) params(clientID string, pairs ...string) url.Values {
	v := url.Values{
		"client_id": {clientID}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid profile"},
		"state": {"s t&a"}, "nonce": {"n-0S6"}, "code_challenge": {challenge(verifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "-" {
			v.Del(pairs[i])
		} else {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v
}

func (b *browser) authorize(pairs ...string) page {
	b.w.Helper()
	return b.get("/oauth2/authorize?" + b.w.params(b.w.client.Client.ID, pairs...).Encode())
}

// through takes the person through the pages, agreeing to everything, until the browser would leave for the client.
func (b *browser) through(p page) page {
	b.w.Helper()
	for range 8 {
		if p.status != http.StatusSeeOther || strings.HasPrefix(p.location, "https://") {
			return p
		}
		u := p.to()
		i := u.Query().Get("i")
		switch u.Path {
		case "/login":
			p = b.get(p.location)
			if p.status == http.StatusOK {
				p = b.post("/login", url.Values{"i": {i}, "account": {b.w.account}, "password": {password}})
			}
		case "/consent":
			var in oidc.Interaction
			b.w.must(json.Unmarshal([]byte(b.get(p.location).body), &in))
			p = b.post("/consent", url.Values{"i": {i}, "scopes": {strings.Join(in.Scopes, " ")}})
		default:
			return p
		}
	}
	b.w.Fatal("the pages lead nowhere")
	return p
}

// code logs in and returns the code.
func (b *browser) code(pairs ...string) string {
	b.w.Helper()
	p := b.through(b.authorize(pairs...))
	if p.status != http.StatusSeeOther || p.query("code") == "" {
		b.w.Fatalf("no code: %d %s %s", p.status, p.location, p.body)
	}
	return p.query("code")
}

// tokens is what the token endpoint answers.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Type    string `json:"token_type"`
	Scope   string `json:"scope"`
	Expires int    `json:"expires_in"`
	Error   string `json:"error"`
	Why     string `json:"error_description"`
	status  int
}

// token asks the token endpoint as a client with client_secret_basic.
func (w *world) token(c oidc.Registered, form url.Values) tokens {
	w.Helper()
	p := w.call("/oauth2/token", c, form)
	var t tokens
	if err := json.Unmarshal([]byte(p.body), &t); err != nil {
		w.Fatalf("token endpoint: %d %q", p.status, p.body)
	}
	t.status = p.status
	return t
}

// call posts a form as the client.
func (w *world) call(path string, c oidc.Registered, form url.Values) page {
	w.Helper()
	r, err := http.NewRequestWithContext(context.Background(), "POST", w.base+path, strings.NewReader(form.Encode()))
	w.must(err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.Secret != "" {
		r.SetBasicAuth(url.QueryEscape(c.Client.ID), url.QueryEscape(c.Secret))
	} else if !form.Has("client_id") {
		form = with(form, "client_id", c.Client.ID)
		r.Body = io.NopCloser(strings.NewReader(form.Encode()))
		r.ContentLength = int64(len(form.Encode()))
	}
	return w.browser().do(r, nil)
}

func with(form url.Values, pairs ...string) url.Values {
	out := url.Values{}
	for k, v := range form {
		out[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		out.Set(pairs[i], pairs[i+1])
	}
	return out
}

func (w *world) exchange(c oidc.Registered, code string, pairs ...string) tokens {
	w.Helper()
	return w.token(c, with(url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier},
	}, pairs...))
}

func (w *world) refresh(c oidc.Registered, token string, pairs ...string) tokens {
	w.Helper()
	return w.token(c, with(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, pairs...))
}

// login goes all the way.
func (b *browser) login(pairs ...string) tokens {
	b.w.Helper()
	t := b.w.exchange(b.w.client, b.code(pairs...))
	if t.status != http.StatusOK {
		b.w.Fatalf("no tokens: %+v", t)
	}
	return t
}

// userinfo asks with the access token; status 0 stands for claims.
func (w *world) userinfo(token string) (map[string]any, int) {
	w.Helper()
	r, err := http.NewRequestWithContext(context.Background(), "GET", w.base+"/oauth2/userinfo", nil)
	w.must(err)
	r.Header.Set("Authorization", "Bearer "+token)
	p := w.browser().do(r, nil)
	var claims map[string]any
	w.must(json.Unmarshal([]byte(p.body), &claims))
	return claims, p.status
}

// dead fails the test unless the access token is refused everywhere.
func (w *world) dead(token string) {
	w.Helper()
	if _, status := w.userinfo(token); status != http.StatusUnauthorized {
		w.Errorf("userinfo took a dead token: %d", status)
	}
	if _, err := w.p.Bearer(w.Context(), token, "openid"); !errors.Is(err, oidc.ErrToken) {
		w.Errorf("Bearer took a dead token: %v", err)
	}
	if info := w.introspect(w.client, token); info["active"] != false {
		w.Errorf("introspection takes a dead token for active: %v", info)
	}
}

func (w *world) alive(token string) {
	w.Helper()
	if _, status := w.userinfo(token); status != http.StatusOK {
		w.Errorf("userinfo refused a live token: %d", status)
	}
}

func (w *world) introspect(c oidc.Registered, token string) map[string]any {
	w.Helper()
	p := w.call("/oauth2/introspect", c, url.Values{"token": {token}})
	var info map[string]any
	w.must(json.Unmarshal([]byte(p.body), &info))
	return info
}

// claims reads an id_token without verifying it.
func claims(t string) (header, body map[string]any) {
	parts := strings.Split(t, ".")
	for i, dest := range []*map[string]any{&header, &body} {
		_ = json.Unmarshal(must(base64.RawURLEncoding.DecodeString(parts[i])), dest)
	}
	return header, body
}

func (w *world) refused(t tokens, code string) {
	w.Helper()
	if t.Error != code || t.Access != "" || t.ID != "" || t.status < 400 || t.status >= 500 {
		w.Errorf("got %d %q (%s), want %s", t.status, t.Error, t.Why, code)
	}
}
