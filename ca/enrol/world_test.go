package enrol_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"hufu/ca"
	"hufu/ca/enrol"
	"hufu/ca/kmc/kmctest"
	"hufu/certs"
	"hufu/certs/cmp"
	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/store"
	"hufu/store/storetest"
)

var start = time.Now().UTC().Truncate(time.Second) // peers look at the real clock

// world is an authority with an SM2 and a P-256 branch, on a real database, with keys in memory.
type world struct {
	*enrol.Service
	t     *testing.T
	db    *store.DB
	keys  *memoryKeys
	ca    *faultyCA
	store *faultyStore
	now   time.Time
}

var (
	registrar = actor.Actor{Subject: "officer-1", Capacity: actor.Official, For: "o1", Roles: []actor.Role{actor.RoleRegistrar}}
	approver  = actor.Actor{Subject: "officer-2", Capacity: actor.Official, For: "o1", Roles: []actor.Role{actor.RoleApprover}}
	business  = actor.Actor{Subject: "officer-3", Capacity: actor.Official, For: "o1", Roles: []actor.Role{actor.RoleBusinessAdmin}}
)

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	w := &world{now: start}
	storetest.EachWith(t, store.Options{Now: func() time.Time { return w.now }}, func(t *testing.T, db *store.DB) {
		*w = world{t: t, db: db, keys: &memoryKeys{}, now: start, ca: &faultyCA{Store: db.CA()}, store: &faultyStore{Store: db.Enrol()}}
		w.open(func(*enrol.Config) {})
		if err := w.CA.Bootstrap(t.Context(), actor.ForSystem("test")); err != nil {
			t.Fatal(err)
		}
		f(t, w)
	})
}

// once is each on one database, for tests of what does not depend on it.
func once(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	t.Setenv("HUFU_TEST_PG", "")
	each(t, f)
}

// open makes service and authority anew on the same database, as a restart does.
func (w *world) open(change func(*enrol.Config)) {
	w.t.Helper()
	profiles, err := ca.ParseProfiles(profileFiles(), "p")
	if err != nil {
		w.t.Fatal(err)
	}
	clock := func() time.Time { return w.now }
	authority, err := ca.New(w.t.Context(), ca.Config{
		Store: w.ca, Registry: registry{}, Keys: w.keys, Encryption: kmctest.Local(w.t, w.db.KMC(), clock), Profiles: profiles,
		BaseURL: "http://localhost:8480/pki", Instance: 1, Now: clock,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	c := enrol.Config{Store: w.store, CA: authority, Now: clock, Rate: 1000}
	change(&c)
	if w.Service, err = enrol.New(c); err != nil {
		w.t.Fatal(err)
	}
}

const profileText = `name: %s
version: 1
title: {zh: 测试, en: Test}
issuer: %s
holder: %s
%s
days: %d
subject:
  - {type: O, value: 虎符}
  - {type: CN, value: "{name}", rule: required}
`

func profileFiles() fstest.MapFS {
	const leaf = "usage: [digitalSignature]\n"
	files := fstest.MapFS{}
	add := func(name, issuer, holder string, days int, more string) {
		files["p/"+name+".yaml"] = &fstest.MapFile{Data: fmt.Appendf(nil, profileText, name, issuer, holder, more, days)}
	}
	for suffix, key := range map[string]string{"": "sm2", "-p256": "p256"} {
		add("root"+suffix, "root"+suffix, "authority", 7000, "keys: ["+key+"]\napply: [system]\nusage: [keyCertSign, cRLSign]\npath_len: 1")
		add("issuing"+suffix, "root"+suffix, "authority", 3000, "keys: ["+key+"]\napply: [system]\nusage: [keyCertSign, cRLSign]\npath_len: 0")
		add("cmp"+suffix, "issuing"+suffix, "service", 700, leaf+"keys: ["+key+"]\napply: [system]\nextended: [\"1.3.6.1.5.5.7.3.27\"]")
		add("device"+suffix, "issuing"+suffix, "entity", 300, leaf+"keys: ["+key+"]\napply: [holder, registrar]\nrenewal: {automatic: true}\nextended: [clientAuth]")
		add("watched"+suffix, "issuing"+suffix, "entity", 300, leaf+"keys: ["+key+"]\napply: [holder, registrar]\napproval: {officers: 1}")
		add("ra"+suffix, "issuing"+suffix, "entity", 300, leaf+"keys: ["+key+"]\napply: [registrar]\nextended: [\"1.3.6.1.5.5.7.3.28\"]")
	}
	add("ocsp", "issuing", "service", 700, leaf+"keys: [sm2]\napply: [system]\nextended: [OCSPSigning]\nno_status: true")
	add("pair", "issuing", "entity", 300, leaf+"keys: [sm2]\napply: [registrar]\npair: pair-enc")
	add("pair-enc", "issuing", "entity", 300, "keys: [sm2]\nkey_from: kmc\nusage: [keyEncipherment]")
	add("est-only", "issuing-p256", "entity", 300, leaf+"keys: [p256]\napply: [registrar]\nserves: [est]")
	add("api-only", "issuing-p256", "entity", 300, leaf+"keys: [p256]\napply: [registrar]\nserves: [api]")
	return files
}

// registry knows three entities.
type registry struct{}

func (registry) Holder(_ context.Context, subject, _ string) (ca.Holder, error) {
	names := map[string]string{"e1": "水务一号站", "e2": "水务二号站", "ra": "设备登记中心"}
	if names[subject] == "" {
		return ca.Holder{}, ca.ErrUnknown.With("no subject %q", subject)
	}
	return ca.Holder{ID: subject, Kind: ca.HolderEntity, Name: names[subject], Number: "91330106MA00000190"}, nil
}

// memoryKeys keeps keys in memory.
type memoryKeys struct {
	mu   sync.Mutex
	keys map[string]crypto.Signer
}

func (m *memoryKeys) Ensure(_ context.Context, _ actor.Actor, label, algorithm, _ string) (crypto.Signer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.keys == nil {
		m.keys = map[string]crypto.Signer{}
	}
	if m.keys[label] == nil {
		var k crypto.Signer
		var err error
		if algorithm == "sm2" {
			k, err = gm.GenerateKey()
		} else {
			k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		}
		if err != nil {
			return nil, err
		}
		m.keys[label] = k
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

var errCrash = errors.New("crash")

// crashes fails the n-th update from now: before it begins, or after it has committed, as a lost answer does.
type crashes struct {
	mu     sync.Mutex
	left   int
	before bool
	count  int
}

func (c *crashes) failAt(n int, before bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left, c.before, c.count = n, before, 0
}

func (c *crashes) update(run func() error) error {
	c.mu.Lock()
	c.left--
	c.count++
	now, before := c.left == 0, c.before
	c.mu.Unlock()
	if now && before {
		return errCrash
	}
	if err := run(); err != nil {
		return err
	}
	if now {
		return errCrash
	}
	return nil
}

type faultyCA struct {
	ca.Store
	crashes
}

func (s *faultyCA) Update(ctx context.Context, f func(ca.W) error) error {
	return s.update(func() error { return s.Store.Update(ctx, f) })
}

type faultyStore struct {
	enrol.Store
	crashes
}

func (s *faultyStore) Update(ctx context.Context, f func(enrol.W) error) error {
	return s.update(func() error { return s.Store.Update(ctx, f) })
}

func newKey(t testing.TB, kind string) crypto.Signer {
	t.Helper()
	var k crypto.Signer
	var err error
	if kind == "sm2" {
		k, err = gm.GenerateKey()
	} else {
		k, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (w *world) secret(o enrol.Order) enrol.Secret {
	w.t.Helper()
	secret, err := w.MakeSecret(w.t.Context(), registrar, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return secret
}

func name(cn string) certs.Name {
	return certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: cn})
}

// request makes a body of a kind that asks for a certificate for a key.
func request(t testing.TB, kind cmp.Kind, key crypto.Signer, o certs.RequestMessageOptions) cmp.Body {
	t.Helper()
	if kind == cmp.P10CR {
		csr, err := certs.NewRequest(key, name("x"), certs.RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return cmp.Body{Kind: kind, PKCS10: csr}
	}
	o.Subject = name("what the request says is not taken")
	der, err := certs.NewRequestMessage(key, o)
	if err != nil {
		t.Fatal(err)
	}
	m, err := certs.ParseRequestMessage(der)
	if err != nil {
		t.Fatal(err)
	}
	return cmp.Body{Kind: kind, Requests: []*certs.RequestMessage{m}}
}

func bySecret(s enrol.Secret) *cmp.Client {
	mac := cmp.PasswordMAC()
	mac.Rounds = 100
	return &cmp.Client{Reference: []byte(s.ID), Secret: []byte(s.Value), MAC: mac}
}

// ask sends a message of an exchange and takes the answer.
func (w *world) ask(x *cmp.Exchange, profile string, body cmp.Body) (*cmp.Message, error) {
	w.t.Helper()
	der, err := x.Message(body, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.tell(x, profile, der)
}

func (w *world) tell(x *cmp.Exchange, profile string, der []byte) (*cmp.Message, error) {
	w.t.Helper()
	answer, err := w.Answer(w.t.Context(), der, profile)
	if err != nil {
		return nil, err
	}
	return x.Take(answer, w.trust)
}

// trust is what a signed answer is held against: a certificate of our own authority for this use.
func (w *world) trust(signer *certs.Certificate, _ *cmp.Message) error {
	_, all := w.CA.Issuers()
	for _, issuer := range all {
		if signer.CheckSignature(issuer) == nil && len(signer.ExtKeyUsage) == 1 && signer.ExtKeyUsage[0] == cmp.OIDCMCCA {
			return nil
		}
	}
	return errors.New("answer of a stranger")
}

// enrolled takes a key through ir and certConf under a secret.
func (w *world) enrolled(profile, holder, kind string) (*certs.Certificate, crypto.Signer) {
	w.t.Helper()
	key := newKey(w.t, kind)
	x := w.begin(bySecret(w.secret(enrol.Order{Profile: profile, Holder: holder})), true)
	m, err := w.ask(x, "", request(w.t, cmp.IR, key, certs.RequestMessageOptions{}))
	if err != nil {
		w.t.Fatal(err)
	}
	cert, _, err := m.Granted()
	if err != nil {
		w.t.Fatal(err)
	}
	return cert, key
}

func (w *world) begin(c *cmp.Client, implicit bool) *cmp.Exchange {
	w.t.Helper()
	x, err := c.NewExchange(implicit)
	if err != nil {
		w.t.Fatal(err)
	}
	return x
}

// settle does the jobs that are due, as a worker does.
func (w *world) settle() {
	w.t.Helper()
	for range 100 {
		job, err := w.db.ClaimJob(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		if job == nil {
			return
		}
		if job.Kind == enrol.JobSettle {
			if err := w.Settle(w.t.Context(), job.Key); err != nil {
				w.t.Fatal(err)
			}
		}
		if err := w.db.FinishJob(w.t.Context(), job); err != nil {
			w.t.Fatal(err)
		}
	}
}

// revoked tells whether a certificate is revoked.
func (w *world) revoked(c *certs.Certificate) bool {
	w.t.Helper()
	shown, err := w.CA.Shown(w.t.Context(), c.Raw)
	if err != nil {
		w.t.Fatal(err)
	}
	return shown.Revoked
}

// certificatesOf lists all that was issued for an entity under a profile.
func (w *world) certificatesOf(holder, profile string) []ca.Record {
	w.t.Helper()
	all, err := w.CA.Certificates(w.t.Context(), actor.ForSystem("test"), ca.CertificateFilter{Holder: holder, Profile: profile})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// refusedWith tells the failure of an answer that refuses, by whichever kind of body.
func refusedWith(m *cmp.Message) cmp.Failure {
	switch {
	case m == nil:
		return 0
	case m.Body.Error != nil:
		return m.Body.Error.Status.Failure
	case m.Body.Reply != nil && len(m.Body.Reply.Responses) == 1:
		return m.Body.Reply.Responses[0].Status.Failure
	case len(m.Body.Revoked) == 1:
		return m.Body.Revoked[0].Failure
	}
	return 0
}

func (w *world) post(path, kind string, body []byte, edit func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", kind)
	r.RemoteAddr = "127.0.0.1:4000"
	if edit != nil {
		edit(r)
	}
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	return rec
}
