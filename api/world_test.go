package api_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/api"
	"hufu/audit"
	"hufu/audit/tree"
	"hufu/ca"
	"hufu/ca/kmc/kmctest"
	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/configs"
	"hufu/hsm/hsmtest"
	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/keys"
	"hufu/licence"
	"hufu/licence/reader"
	"hufu/oidc"
	"hufu/seal"
	"hufu/seal/check"
	"hufu/store"
	"hufu/store/storetest"
)

const (
	bureauUSCC  = "11330100000000019E"
	companyUSCC = "91330100MA0000A192"
	password    = "correct horse 9"
	sealCode    = "33010000000001"
	business    = "11990000MB0000019F001"
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

// world is the API over HTTP on real services and a real database, with keys in memory.
type world struct {
	*testing.T
	db       *store.DB
	people   *identity.Service
	logins   *login.Service
	ca       *ca.Authority
	seals    *seal.Service
	licences *licence.Service
	provider *oidc.Provider
	audit    *audit.Log
	sequence *audit.Sequencer
	tokens   tokens
	log      *safeBuffer
	server   *httptest.Server
	session  *login.Session // of the browser, for the provider
	ids      map[string]string
}

// tokens are access tokens by their text.
type tokens map[string]actor.Actor

func (t tokens) Bearer(_ context.Context, token string, scopes ...string) (actor.Actor, error) {
	a, ok := t[token]
	if token == "broken" {
		return a, errors.New("database password is hunter2")
	}
	if !ok {
		return a, oidc.ErrToken
	}
	for _, s := range scopes {
		if !slices.Contains(a.Scopes, s) {
			return actor.Actor{}, oidc.ErrScope
		}
	}
	return a, nil
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// each runs f on every engine. change, if not nil, changes the configuration.
func each(t *testing.T, change func(*api.Config), f func(w *world)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := &world{T: t, db: db, tokens: tokens{}, log: &safeBuffer{}, ids: map[string]string{}}
		w.openServices()
		w.fill()
		c := api.Config{
			Tokens: w.tokens, CA: w.ca, People: w.people, Logins: w.logins, Clients: w.provider, Seals: w.seals, Licences: w.licences,
			Audit: w.audit, Verifier: w, Log: slog.New(slog.NewTextHandler(w.log, nil)),
		}
		if change != nil {
			change(&c)
		}
		a := must(api.New(c))
		w.server = httptest.NewServer(a.Handler())
		t.Cleanup(w.server.Close)
		f(w)
	})
}

func (w *world) openServices() {
	memory, ctx := &memoryKeys{}, w.Context()
	w.people = must(identity.New(identity.Config{Store: w.db.Identity()}))
	w.logins = must(login.New(login.Config{
		Store: w.db.Login(), Subjects: w.people, Peppers: [][]byte{bytes.Repeat([]byte{7}, 32)}, Cost: login.Cost{Memory: 64, Time: 1, Threads: 1},
	}))
	profiles := must(ca.ParseProfiles(configs.Files, "profiles"))
	w.ca = must(ca.New(ctx, ca.Config{
		Store: w.db.CA(), Registry: registry{w.people}, Keys: memory, Encryption: kmctest.Local(w, w.db.KMC(), time.Now), Profiles: profiles,
		BaseURL: "http://localhost:8480/pki", Instance: 1, Now: time.Now,
	}))
	w.must(w.ca.Bootstrap(ctx, system))
	w.seals = must(seal.New(seal.Config{
		Store: w.db.Seals(), Keys: w.sealKeys(), Certifier: certifier{w.ca}, Maker: maker{w.ca}, TimeStamps: w.ca, Owners: owners{w.people},
		VendorID: "HUFU", Now: time.Now,
	}))
	w.licences = must(licence.New(licence.Config{
		Store: w.db.Licences(), Catalogue: must(licence.ParseCatalogue(configs.Files, "licences")), Registry: w.people, Seals: w.seals,
		QR: maker{w.ca}, VerifyURL: "http://localhost:8480/verify", Now: time.Now,
	}))
	signer := must(gm.GenerateKey())
	key := must(tree.NewKey("localhost:8480/pki/log", tree.Log, signer.Public()))
	w.audit = must(audit.New(audit.Config{Store: w.db.Audit(), Key: key, Now: time.Now}))
	w.sequence = must(audit.NewSequencer(audit.SequencerConfig{Store: w.db.Audit(), Key: key, Signer: signer, Holder: "test", Now: time.Now}))
	page := func(http.ResponseWriter, *http.Request) {}
	w.provider = must(oidc.New(oidc.Config{
		Issuer: "http://localhost:8480", Store: w.db.OIDC(), Subjects: w.people, Sessions: w.logins,
		Keys: []oidc.Key{{Signer: rsaKey}, {Signer: ecKey}}, TokenSecret: bytes.Repeat([]byte{9}, 32),
		Pages: oidc.Pages{
			Session: func(*http.Request) (*login.Session, error) { return w.session, nil },
			Error: func(rw http.ResponseWriter, _ *http.Request, status int, err error) {
				rw.WriteHeader(status)
				fmt.Fprint(rw, err)
			},
			Logout: page, LoggedOut: page, EndSession: func(http.ResponseWriter, *http.Request) error { return nil },
		},
	}))
}

// sealKeys are the real ones, on a device of their own.
func (w *world) sealKeys() *keys.Many {
	w.Helper()
	all := must(keys.New(keys.Config{Store: w.db.Keys(), Device: hsmtest.Soft(w.T), PIN: keys.PINCost{Memory: 64, Passes: 1, Lanes: 1}}))
	must(all.Ensure(w.Context(), system, "seal-master", keys.Master, keys.SM4))
	return must(all.Many(system, keys.ManySeal, "seal-master"))
}

// fill registers a citizen, her company, a bureau, and officials whose tokens are called like them.
func (w *world) fill() {
	ctx := w.Context()
	w.ids["bureau"] = w.entity("示例市市场监督管理局", bureauUSCC, "")
	for _, p := range []struct {
		name, number, title string
		roles               []actor.Role
	}{
		{"clerk", "330100199001010028", "科员", []actor.Role{actor.RoleRegistrar, actor.RoleSealOfficer, actor.RoleLicenceOfficer}},
		{"chief", "330100198502020035", "科长", []actor.Role{actor.RoleApprover, actor.RoleSealOfficer}},
		{"auditor", "330100197809150067", "审计员", []actor.Role{actor.RoleAuditAdmin}},
		{"business", "33010019920820003X", "系统管理员", []actor.Role{actor.RoleBusinessAdmin}},
		{"super", "330100198811110015", "管理员", []actor.Role{actor.RoleSuperAdmin}},
	} {
		w.ids[p.name] = w.person(p.name, p.number, identity.ByCounter)
		must(w.people.Appoint(ctx, system, identity.Appointment{Person: w.ids[p.name], Organisation: w.ids["bureau"], Title: p.title, Roles: p.roles}))
		w.tokens[p.name] = w.acting(p.name, identity.Capacity{Kind: identity.Official, For: w.ids["bureau"]})
	}
	w.ids["wang"] = w.person("wang", "11010119900307002X", identity.ByMatch)
	w.tokens["wang"] = w.acting("wang", identity.Capacity{Kind: identity.Person})
	w.ids["company"] = w.entity("云帆科技（示例）有限公司", companyUSCC, w.ids["wang"])
	w.tokens["company"] = w.acting("wang", identity.Capacity{Kind: identity.Entity, For: w.ids["company"]})
	narrow := w.tokens["wang"]
	narrow.Scopes = []string{"openid"}
	w.tokens["narrow"] = narrow
}

func (w *world) person(name, number string, by identity.Method) string {
	w.Helper()
	number = number[:17] + checkDigit(number[:17])
	s, err := w.people.RegisterPerson(w.Context(), system, identity.PersonForm{
		Name: name, Identifiers: []identity.Identifier{{Type: identity.ResidentID, Number: identity.Number(number)}},
		Evidence: []identity.Evidence{{Method: by, Source: "test"}},
	})
	w.must(err)
	return s.ID
}

// checkDigit is that of GB 11643.
func checkDigit(digits string) string {
	sum := 0
	for i, c := range digits {
		sum += int(c-'0') * (1 << (17 - i) % 11)
	}
	return string("10X98765432"[sum%11])
}

func (w *world) entity(name, uscc, rep string) string {
	w.Helper()
	s, err := w.people.RegisterEntity(w.Context(), system, identity.EntityForm{
		Name: name, USCC: uscc, LegalRep: rep, Evidence: []identity.Evidence{{Method: identity.ByRegistry, Source: "test"}},
	})
	w.must(err)
	return s.ID
}

func (w *world) acting(name string, c identity.Capacity) actor.Actor {
	w.Helper()
	person := actor.Actor{Subject: w.ids[name], Name: name, Capacity: actor.Person, IdentityLevel: 4, AuthLevel: 2}
	a, err := w.people.Act(w.Context(), person, c)
	w.must(err)
	a.Scopes, a.Client = []string{"openid", "api", "audit"}, "app"
	return a
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// sequenced grows the log until all entries stand in it.
func (w *world) sequenced() {
	w.Helper()
	for {
		more, err := w.sequence.Round(w.Context())
		w.must(err)
		if !more {
			return
		}
	}
}

// Facts tells the trust bundle of seals and licences.
func (w *world) Facts(ctx context.Context) (out ca.Facts, err error) {
	all, err := w.seals.List(ctx, system, seal.Filter{})
	if err != nil {
		return out, err
	}
	for _, s := range all {
		if s.State == seal.Active {
			out.Seals = append(out.Seals, bundle.StatusEntry{ID: s.Code, State: bundle.Active, Since: s.ChangedAt})
		}
	}
	states, err := w.licences.Statuses(ctx)
	for _, s := range states {
		out.Licences = append(out.Licences, bundle.StatusEntry{ID: s.ID, State: bundle.State(s.State), Since: s.Since})
	}
	cert, _, err2 := maker{w.ca}.QRSigner(ctx)
	out.Signers = [][]byte{cert}
	return out, errors.Join(err, err2)
}

// Verify checks with the trust bundle of now.
func (w *world) Verify(ctx context.Context, name string, file, own []byte, lang string) (check.Report, error) {
	if len(own) == 0 {
		if err := w.ca.Refresh(ctx); err != nil {
			return check.Report{}, err
		}
		b, err := w.ca.PublishBundle(ctx, w)
		if err != nil {
			return check.Report{}, err
		}
		own = b.Data
	}
	b, info, err := bundle.Parse(own, bundle.Pin{})
	if err != nil {
		return check.Report{}, err
	}
	r, err := check.Check(file, check.Options{Name: name, At: time.Now(), Lang: lang, Bundle: b, BundleInfo: info, Reader: reader.New()})
	if err != nil {
		return check.Report{}, err
	}
	return *r, nil
}

// answer is an answer that was read.
type answer struct {
	w      *world
	status int
	header http.Header
	body   []byte
}

// call sends a request. body is marshalled unless it is octets or text; headers are pairs.
func (w *world) call(method, path, token string, body any, headers ...string) answer {
	w.Helper()
	var r io.Reader
	switch b := body.(type) {
	case nil:
	case []byte:
		r = bytes.NewReader(b)
	case string:
		r = strings.NewReader(b)
	default:
		r = bytes.NewReader(must(json.Marshal(b)))
	}
	req, err := http.NewRequestWithContext(w.Context(), method, w.server.URL+path, r)
	w.must(err)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.server.Client().Do(req)
	w.must(err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	w.must(err)
	return answer{w, resp.StatusCode, resp.Header, data}
}

func (w *world) get(path, token string) answer { w.Helper(); return w.call("GET", path, token, nil) }

func (w *world) post(path, token string, body any, headers ...string) answer {
	w.Helper()
	return w.call("POST", path, token, body, headers...)
}

// into expects a status of success and reads the body.
func (a answer) into(v any) {
	a.w.Helper()
	a.ok()
	if err := json.Unmarshal(a.body, v); err != nil {
		a.w.Fatalf("%v in %s", err, a.body)
	}
}

func (a answer) ok() {
	a.w.Helper()
	if a.status < 200 || a.status > 299 {
		a.w.Fatalf("got %d %s", a.status, a.body)
	}
}

// problem is what a refusal says.
type problem struct {
	Type, Title, Detail, Code, Reference string
	Status                               int
	Errors                               []struct{ Location, Message string }
}

// refused expects a problem of that status and code, in one line of JSON.
func (a answer) refused(status int, code string) (p problem) {
	a.w.Helper()
	if err := json.Unmarshal(a.body, &p); err != nil {
		a.w.Fatalf("not a problem: %d %s", a.status, a.body)
	}
	if a.status != status || p.Status != status || p.Code != code || a.header.Get("Content-Type") != "application/problem+json" {
		a.w.Errorf("got %d %s, want %d %s", a.status, a.body, status, code)
	}
	if !strings.HasPrefix(p.Type, "urn:hufu:problem:") || p.Title == "" || p.Detail == "" || p.Reference == "" || bytes.Count(bytes.TrimSpace(a.body), []byte("\n")) > 0 {
		a.w.Errorf("a problem with gaps: %s", a.body)
	}
	if !strings.Contains(a.w.log.String(), p.Reference) {
		a.w.Errorf("reference %s is not in the log", p.Reference)
	}
	return p
}

// The adapters between the pillars, as cmd makes them.

type registry struct{ *identity.Service }

func (r registry) Holder(ctx context.Context, subject, organization string) (ca.Holder, error) {
	h, err := r.HolderIn(ctx, subject, organization)
	out := ca.Holder{ID: h.ID, Kind: ca.HolderKind(h.Kind), Name: h.Name, Number: h.Number.Reveal(), Level: h.Level}
	if organization != "" {
		out.ID, out.Organization, out.OrganizationNumber, out.Post = h.Person, h.Org, h.OrgUSCC, h.Post
	}
	return out, err
}

type owners struct{ *identity.Service }

func (o owners) OwnerName(ctx context.Context, subject string) (string, error) {
	s, err := o.Standing(ctx, subject)
	return s.Name, err
}

func (o owners) ActingFor(ctx context.Context, person, organisation string) (ways []seal.Way, err error) {
	all, err := o.Capacities(ctx, person)
	for _, c := range all {
		if c.For == organisation {
			ways = append(ways, seal.Way{Actor: actor.Actor{Subject: person, Capacity: actor.Capacity(c.Kind), For: c.For, Roles: c.Roles}, Since: c.Since})
		}
	}
	return ways, err
}

type maker struct{ *ca.Authority }

func (m maker) Maker(ctx context.Context) (*certs.Certificate, crypto.Signer, error) {
	s, err := m.Service(ctx, system, "seal-maker")
	return s.Certificate, s.Signer, err
}

func (m maker) QRSigner(ctx context.Context) ([]byte, crypto.Signer, error) {
	c, key, err := m.Maker(ctx)
	if err != nil {
		return nil, nil, err
	}
	return c.Raw, key, nil
}

type certifier struct{ *ca.Authority }

func (c certifier) Certify(ctx context.Context, _ actor.Actor, owner, code string, key crypto.Signer) ([]byte, error) {
	csr, err := certs.NewRequest(key, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: code}), certs.RequestOptions{})
	if err != nil {
		return nil, err
	}
	a := actor.ForSystem("seal")
	app, err := c.Apply(ctx, a, ca.Request{Profile: "seal-signer", Holder: owner, Facts: map[string]string{"seal_code": code}, CSR: csr, Key: "seal-" + code})
	if err != nil {
		return nil, err
	}
	if app, err = c.Issue(ctx, a, app.ID); err != nil {
		return nil, err
	}
	chain, err := c.Chain(ctx, a, app.Certificates[0])
	if err != nil {
		return nil, err
	}
	return chain[0].Raw, nil
}

func (c certifier) Revoke(ctx context.Context, a actor.Actor, cert []byte) error {
	return c.Authority.Revoke(ctx, a, must(certs.Parse(cert)).Serial, certs.ReasonCessationOfOperation, time.Now())
}

// memoryKeys keeps the authority's keys in memory, by label.
type memoryKeys struct {
	mu   sync.Mutex
	keys map[string]*gm.PrivateKey
}

func (m *memoryKeys) Ensure(_ context.Context, _ actor.Actor, label, _, _ string) (crypto.Signer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.keys == nil {
		m.keys = map[string]*gm.PrivateKey{}
	}
	if m.keys[label] == nil {
		m.keys[label] = must(gm.GenerateKey())
	}
	return m.keys[label], nil
}

func (m *memoryKeys) Signer(_ context.Context, label string) (crypto.Signer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.keys[label] == nil {
		return nil, fmt.Errorf("no key %q", label)
	}
	return m.keys[label], nil
}

// newCSR makes a key and a request for it in PEM.
func (w *world) newCSR() string {
	w.Helper()
	der, err := certs.NewRequest(must(gm.GenerateKey()), certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: "x"}), certs.RequestOptions{})
	w.must(err)
	return string(certs.EncodePEM("CERTIFICATE REQUEST", der))
}

type object = map[string]any
