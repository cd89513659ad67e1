package ca_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/ca"
	"hufu/ca/kmc/kmctest"
	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/configs"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
	"hufu/store"
	"hufu/store/storetest"
)

var start = time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)

// world is an authority on a real database, with keys in memory and a registry of three holders.
type world struct {
	*ca.Authority
	db      *store.DB
	keys    *memoryKeys
	store   *faultyStore
	now     time.Time
	t       *testing.T
	citizen actor.Actor
}

var (
	officer = actor.Actor{Subject: "officer-1", Capacity: actor.Official, Roles: []actor.Role{actor.RoleApprover, actor.RoleRegistrar}}
	second  = actor.Actor{Subject: "officer-2", Capacity: actor.Official, Roles: []actor.Role{actor.RoleApprover}}
)

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	eachFresh(t, func(t *testing.T, w *world) {
		if err := w.Bootstrap(t.Context(), actor.ForSystem("test")); err != nil {
			t.Fatal(err)
		}
		f(t, w)
	})
}

// eachFresh gives a world without authorities.
func eachFresh(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := &world{db: db, keys: &memoryKeys{}, store: &faultyStore{Store: db.CA()}, now: start, t: t}
		w.citizen = actor.Actor{Subject: "p1", Capacity: actor.Person}
		w.open()
		f(t, w)
	})
}

// open makes a new Authority on the same database, as a restart does.
func (w *world) open() {
	w.t.Helper()
	profiles, err := ca.ParseProfiles(configs.Files, "profiles")
	if err != nil {
		w.t.Fatal(err)
	}
	clock := func() time.Time { return w.now }
	centre := kmctest.Local(w.t, w.db.KMC(), clock)
	w.Authority, err = ca.New(w.t.Context(), ca.Config{
		Store: w.store, Registry: registry{}, Keys: w.keys, Encryption: centre, Profiles: profiles,
		BaseURL: "http://localhost:8480/pki", Instance: 1, Now: clock,
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// registry knows one holder of each kind.
type registry struct{}

func (registry) Holder(_ context.Context, subject, organization string) (ca.Holder, error) {
	switch {
	case subject == "p2": // of the same name
		return ca.Holder{ID: "p2", Kind: ca.HolderPerson, Name: "王小雅", Number: "110101199003070038", Level: 2}, nil
	case subject == "p1" && organization == "":
		return ca.Holder{ID: "p1", Kind: ca.HolderPerson, Name: "王小雅", Number: "11010119900307002X", Level: 2}, nil
	case subject == "e1":
		return ca.Holder{ID: "e1", Kind: ca.HolderEntity, Name: "某某科技有限公司", Number: "91330106MA00000190"}, nil
	case subject == "p1" && organization == "o1":
		return ca.Holder{ID: "p1", Kind: ca.HolderOfficial, Name: "王小雅", Organization: "某某市场监督管理局", OrganizationNumber: "11330105002500287C", Post: "科员"}, nil
	}
	return ca.Holder{}, fmt.Errorf("no subject %q", subject)
}

// memoryKeys keeps keys in memory; before, when set, runs before each signature and may fail it.
type memoryKeys struct {
	mu     sync.Mutex
	keys   map[string]*gm.PrivateKey
	signed [][]byte // the digests signed, in order
	before func() error
}

func (m *memoryKeys) Ensure(_ context.Context, _ actor.Actor, label, _, _ string) (crypto.Signer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.keys == nil {
		m.keys = map[string]*gm.PrivateKey{}
	}
	if m.keys[label] == nil {
		k, err := gm.GenerateKey()
		if err != nil {
			return nil, err
		}
		m.keys[label] = k
	}
	return watched{m.keys[label], m}, nil
}

func (m *memoryKeys) Signer(_ context.Context, label string) (crypto.Signer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.keys[label] == nil {
		return nil, fmt.Errorf("no key %q", label)
	}
	return watched{m.keys[label], m}, nil
}

type watched struct {
	*gm.PrivateKey
	m *memoryKeys
}

func (w watched) Sign(r io.Reader, e []byte, opts crypto.SignerOpts) ([]byte, error) {
	w.m.mu.Lock()
	before := w.m.before
	w.m.signed = append(w.m.signed, bytes.Clone(e))
	w.m.mu.Unlock()
	if before != nil {
		if err := before(); err != nil {
			return nil, err
		}
	}
	return w.PrivateKey.Sign(r, e, opts)
}

// faultyStore fails the n-th update from now: before it begins, or after it has committed as a lost answer does.
type faultyStore struct {
	ca.Store
	mu         sync.Mutex
	left       int
	failBefore bool
	deaf       bool // after the failure nothing comes through any more, as from a dead process
}

// deadFrom is how far below zero the count of updates stands when none was to fail.
const deadFrom = -1 << 30

var errCrash = errors.New("crash")

func (s *faultyStore) Update(ctx context.Context, f func(ca.W) error) error {
	s.mu.Lock()
	s.left--
	now, before, dead := s.left == 0, s.failBefore, s.deaf && s.left < 0 && s.left > deadFrom
	s.mu.Unlock()
	if now && before || dead {
		return errCrash
	}
	if err := s.Store.Update(ctx, f); err != nil {
		return err
	}
	if now {
		return errCrash
	}
	return nil
}

func (s *faultyStore) failAt(n int, before bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left, s.failBefore = n, before
	if n == 0 {
		s.left = deadFrom
	}
}

func newCSR(t *testing.T) (*gm.PrivateKey, []byte) {
	t.Helper()
	k, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	csr, err := certs.NewRequest(k, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: "what the request says is not taken"}), certs.RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return k, csr
}

// approved applies as the citizen and lets an officer approve.
func (w *world) approved(csr []byte) ca.Application {
	w.t.Helper()
	app, err := w.Apply(w.t.Context(), w.citizen, ca.Request{Profile: "person-sign", Holder: "p1", CSR: csr})
	if err != nil {
		w.t.Fatal(err)
	}
	if app, err = w.Decide(w.t.Context(), officer, app.ID, true, ""); err != nil {
		w.t.Fatal(err)
	}
	return app
}

func (w *world) chain(serial string) []*certs.Certificate {
	w.t.Helper()
	chain, err := w.Chain(w.t.Context(), actor.ForSystem("test"), serial)
	if err != nil {
		w.t.Fatal(err)
	}
	return chain
}

func TestEveryHolderGetsAPairThatOnlyTheyCanUse(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for profile, q := range map[string]ca.Request{
			"person-sign":   {Holder: "p1"},
			"entity-sign":   {Holder: "e1"},
			"official-sign": {Holder: "p1", Organization: "o1"},
		} {
			key, csr := newCSR(t)
			q.Profile, q.CSR = profile, csr
			app, err := w.Apply(t.Context(), second2registrar(), q)
			if err != nil {
				t.Fatalf("%s: %v", profile, err)
			}
			if app, err = w.Decide(t.Context(), officer, app.ID, true, ""); err != nil {
				t.Fatal(err)
			}
			if app, err = w.Issue(t.Context(), officer, app.ID); err != nil {
				t.Fatal(err)
			}
			if len(app.Certificates) != 2 {
				t.Fatalf("%s: %d certificates, want signing and encryption", profile, len(app.Certificates))
			}
			sign, enc := w.chain(app.Certificates[0]), w.chain(app.Certificates[1])
			if len(sign) != 3 || !certs.SameKey(sign[0].PublicKey, key.Public()) || certs.SameKey(enc[0].PublicKey, key.Public()) {
				t.Errorf("%s: wrong chain or keys", profile)
			}
			if strings.Contains(sign[0].Subject.String(), "what the request says") {
				t.Errorf("%s: the name came from the request: %s", profile, sign[0].Subject)
			}
			if !sign[0].Has(certs.UsageNonRepudiation) || sign[0].Has(certs.UsageKeyEncipherment) || enc[0].Has(certs.UsageDigitalSignature) || !enc[0].Has(certs.UsageKeyEncipherment) {
				t.Errorf("%s: a key has both uses", profile)
			}
			opened, err := certs.OpenEnvelopedKey(app.Envelope, key)
			if err != nil || !certs.SameKey(opened.Public(), enc[0].PublicKey) {
				t.Errorf("%s: the holder cannot open the encryption key: %v", profile, err)
			}
		}
	})
}

// second2registrar is a registrar who did not approve anything.
func second2registrar() actor.Actor {
	return actor.Actor{Subject: "clerk", Capacity: actor.Official, Roles: []actor.Role{actor.RoleRegistrar}}
}

func TestWhoMayApplyAndWhoMayDecide(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, csr := newCSR(t)
		for name, by := range map[string]actor.Actor{
			"nobody": {}, "another person": {Subject: "p2", Capacity: actor.Person}, "as entity": {Subject: "p1", Capacity: actor.Entity, For: "e1"},
			"only approver": second,
		} {
			if _, err := w.Apply(t.Context(), by, ca.Request{Profile: "person-sign", Holder: "p1", CSR: csr}); err == nil {
				t.Errorf("%s applied for p1", name)
			}
		}
		app, err := w.Apply(t.Context(), w.citizen, ca.Request{Profile: "person-sign", Holder: "p1", CSR: csr, Key: "k"})
		if err != nil {
			t.Fatal(err)
		}
		if again, err := w.Apply(t.Context(), w.citizen, ca.Request{Profile: "person-sign", Holder: "p1", CSR: csr, Key: "k"}); err != nil || again.ID != app.ID {
			t.Errorf("the same idempotency key gave %v, %v", again.ID, err)
		}
		selfApprover := w.citizen
		selfApprover.Roles = []actor.Role{actor.RoleApprover}
		if _, err := w.Decide(t.Context(), selfApprover, app.ID, true, ""); !errors.Is(err, actor.ErrSameActor) {
			t.Errorf("the maker approved: %v", err)
		}
		if _, err := w.Decide(t.Context(), w.citizen, app.ID, true, ""); !errors.Is(err, actor.ErrRole) {
			t.Errorf("a citizen approved: %v", err)
		}
		if _, err := w.Issue(t.Context(), w.citizen, app.ID); !errors.Is(err, ca.ErrState) {
			t.Errorf("issued without approval: %v", err)
		}
		if _, err := w.Decide(t.Context(), officer, app.ID, false, ""); !errors.Is(err, ca.ErrReason) {
			t.Errorf("rejected without a reason: %v", err)
		}
		if _, err := w.Decide(t.Context(), officer, app.ID, false, "照片不符"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Decide(t.Context(), second, app.ID, true, ""); !errors.Is(err, ca.ErrState) {
			t.Errorf("decided twice: %v", err)
		}
		if _, err := w.Application(t.Context(), actor.Actor{Subject: "p2", Capacity: actor.Person}, app.ID); !errors.Is(err, ca.ErrUnknown) {
			t.Errorf("a stranger saw the application: %v", err)
		}
	})
}

func TestBadRequestsAreRefusedBeforeAnythingIsStored(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		key, good := newCSR(t)
		p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		foreign, err := certs.NewRequest(p256, certs.NewName(), certs.RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		flipped := bytes.Clone(good)
		flipped[len(flipped)-1] ^= 1
		for name, c := range map[string]struct {
			csr  []byte
			want error
		}{
			"garbage": {[]byte("garbage"), ca.ErrRequest}, "empty": {nil, ca.ErrRequest}, "truncated": {good[:len(good)-1], ca.ErrRequest},
			"oversized": {make([]byte, 1<<20), ca.ErrRequest}, "bad signature": {flipped, ca.ErrRequest}, "wrong curve": {foreign, ca.ErrKeyKind},
			"PEM garbage": {[]byte("-----BEGIN CERTIFICATE REQUEST-----\nx"), ca.ErrRequest},
		} {
			if _, err := w.Apply(t.Context(), w.citizen, ca.Request{Profile: "person-sign", Holder: "p1", CSR: c.csr}); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		for profile, want := range map[string]error{"person-enc": ca.ErrProfile, "nothing": ca.ErrProfile, "root": ca.ErrNotHolder, "ocsp": ca.ErrNotHolder, "entity-sign": ca.ErrNotHolder} {
			if _, err := w.Apply(t.Context(), w.citizen, ca.Request{Profile: profile, Holder: "p1", CSR: good}); !errors.Is(err, want) {
				t.Errorf("profile %s: %v, want %v", profile, err, want)
			}
		}
		if _, err := w.Apply(t.Context(), w.citizen, ca.Request{Profile: "person-sign", Holder: "p1", CSR: good, Facts: map[string]string{"name": "李四"}}); !errors.Is(err, ca.ErrFacts) || !names(err, `"name"`) || names(err, "李四") {
			t.Errorf("the applicant stated a name: %v", err)
		}
		// A key that belongs to one holder serves no other.
		if _, err := w.Issue(t.Context(), officer, w.approved(good).ID); err != nil {
			t.Fatal(err)
		}
		again, err := certs.NewRequest(key, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: "x"}), certs.RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Apply(t.Context(), second2registrar(), ca.Request{Profile: "entity-sign", Holder: "e1", CSR: again}); !errors.Is(err, ca.ErrKeyUsed) {
			t.Errorf("another holder took the key: %v", err)
		}
	})
}

func TestRevocationShowsInOCSPAtOnceAndInTheNextList(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		key, csr := newCSR(t)
		app, err := w.Issue(t.Context(), officer, w.approved(csr).ID)
		if err != nil {
			t.Fatal(err)
		}
		chain := w.chain(app.Certificates[0])
		if got := w.ocsp(chain[0].Serial, chain[1]); got.Status != certs.OCSPGood {
			t.Errorf("a new certificate is %v", got.Status)
		}
		if got := w.ocsp(bytes.Repeat([]byte{5}, 16), chain[1]); got.Status != certs.OCSPUnknown {
			t.Errorf("a serial that was never issued is %v", got.Status)
		}
		if err := w.Revoke(t.Context(), actor.Actor{Subject: "p2", Capacity: actor.Person}, chain[0].Serial, certs.ReasonSuperseded, time.Time{}); !errors.Is(err, ca.ErrUnknown) {
			t.Errorf("a stranger revoked: %v", err)
		}
		w.now = w.now.Add(time.Minute)
		if err := w.Revoke(t.Context(), w.citizen, chain[0].Serial, certs.ReasonKeyCompromise, start); err != nil {
			t.Fatal(err)
		}
		if err := w.Revoke(t.Context(), w.citizen, chain[0].Serial, certs.ReasonSuperseded, time.Time{}); !errors.Is(err, ca.ErrRevoked) {
			t.Errorf("revoked twice: %v", err)
		}
		if got := w.ocsp(chain[0].Serial, chain[1]); got.Status != certs.OCSPRevoked || got.Reason != certs.ReasonKeyCompromise {
			t.Errorf("after the revocation it is %v, reason %v", got.Status, got.Reason)
		}
		job, err := w.db.ClaimJob(t.Context())
		for err == nil && job != nil && job.Kind != ca.JobList {
			job, err = w.db.ClaimJob(t.Context())
		}
		if err != nil || job == nil || job.Kind != ca.JobList || job.Key != "issuing/0" {
			t.Errorf("job %+v, %v: the list must follow by a durable job", job, err)
		}
		if err := w.PublishLists(t.Context(), "issuing"); err != nil {
			t.Fatal(err)
		}
		list := w.list("issuing", 0)
		entry, found := list.Find(chain[0].Serial)
		if err := list.CheckSignature(chain[1]); err != nil || !found || entry.Reason != certs.ReasonKeyCompromise {
			t.Errorf("list: %v, found %v, %+v", err, found, entry)
		}
		blocked, err := certs.NewRequest(key, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: "x"}), certs.RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Apply(t.Context(), w.citizen, ca.Request{Profile: "person-sign", Holder: "p1", CSR: blocked}); !errors.Is(err, ca.ErrBlocked) {
			t.Errorf("a lost key was certified again: %v", err)
		}
		// The clock goes back: the number still rises, thisUpdate does not fall.
		w.now = start.Add(-time.Hour)
		if err := w.PublishLists(t.Context(), "issuing"); err != nil {
			t.Fatal(err)
		}
		if next := w.list("issuing", 0); next.Number.Cmp(list.Number) <= 0 || next.ThisUpdate.Before(list.ThisUpdate) {
			t.Errorf("number %d after %d, thisUpdate %s after %s", next.Number, list.Number, next.ThisUpdate, list.ThisUpdate)
		}
	})
}

func (w *world) list(issuer string, shard int) *certs.CRL {
	w.t.Helper()
	url := fmt.Sprintf("/pki/crl/%s/%d.crl", issuer, shard)
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, url, nil))
	if rec.Code != http.StatusOK {
		w.t.Fatalf("GET %s: %d", url, rec.Code)
	}
	list, err := certs.ParseCRL(rec.Body.Bytes())
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func (w *world) ocsp(serial []byte, issuer *certs.Certificate) certs.OCSPAnswer {
	w.t.Helper()
	id, err := certs.NewCertID(certs.OIDSM3, issuer, serial)
	if err != nil {
		w.t.Fatal(err)
	}
	nonce := certs.NewNonce()
	request, err := certs.BuildOCSPRequest([]certs.CertID{id}, nonce)
	if err != nil {
		w.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/pki/ocsp", bytes.NewReader(request))
	r.Header.Set("Content-Type", "application/ocsp-request")
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	response, err := certs.ParseOCSPResponse(rec.Body.Bytes())
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := response.Verify(issuer, nonce, w.now); err != nil {
		w.t.Fatal(err)
	}
	answer, err := response.Answer(issuer, serial, w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer
}

// TestCrashTable breaks an issuance at each step, restarts, and checks that every signature the device made is either an
// issued certificate or a revoked serial, that nothing is signed twice, and that the holder gets a certificate in the end.
func TestCrashTable(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if _, err := w.Service(t.Context(), actor.ForSystem("test"), "ocsp"); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			name   string
			update int // which Update of Issue fails: 1 reserves, 2 stores the result
			before bool
			sign   bool // the device fails instead
		}{
			{"reserve fails before", 1, true, false},
			{"reserve fails after", 1, false, false},
			{"signing fails", 0, false, true},
			{"result fails before", 2, true, false},
			{"result fails after", 2, false, false},
		} {
			t.Run(c.name, func(t *testing.T) {
				_, csr := newCSR(t)
				app := w.approved(csr)
				w.keys.signed = nil
				if c.sign {
					w.keys.before = func() error { return errCrash }
				} else {
					w.store.failAt(c.update, c.before)
				}
				if _, err := w.Issue(t.Context(), officer, app.ID); !errors.Is(err, errCrash) {
					t.Fatalf("the crash did not happen: %v", err)
				}
				w.keys.before = nil
				w.open() // the next start
				if _, err := w.Recover(t.Context(), true); err != nil {
					t.Fatal(err)
				}
				done, err := w.Issue(t.Context(), officer, app.ID)
				if err != nil || done.State != ca.Issued || len(done.Certificates) != 2 {
					t.Fatalf("after the restart: %+v, %v", done.State, err)
				}
				w.everySignatureIsKnown()
				chain := w.chain(done.Certificates[0])
				if got := w.ocsp(chain[0].Serial, chain[1]); got.Status != certs.OCSPGood {
					t.Errorf("the certificate handed out is %v", got.Status)
				}
				if left, err := w.Recover(t.Context(), true); err != nil || left != 0 {
					t.Errorf("%d reservations left, %v", left, err)
				}
			})
		}
	})
}

// everySignatureIsKnown compares the digests that the device signed with the to-be-signed bytes of issued and voided serials.
func (w *world) everySignatureIsKnown() {
	w.t.Helper()
	known := map[string]bool{}
	err := w.db.CA().View(w.t.Context(), func(r ca.R) error {
		all, err := r.Certificates(ca.CertificateFilter{Limit: 1000})
		if err != nil {
			return err
		}
		_, issuers := w.Issuers()
		for _, c := range all {
			cert, err := certs.Parse(c.DER)
			if err != nil {
				return err
			}
			if err := cert.CheckSignature(issuers[c.Issuer]); err != nil {
				return err
			}
			e, err := gm.E(issuers[c.Issuer].PublicKey.(*ecdsa.PublicKey), gm.DefaultID, cert.RawTBS)
			if err != nil {
				return err
			}
			if known[string(e[:])] {
				w.t.Errorf("certificate %x is there twice", c.Serial)
			}
			known[string(e[:])] = true
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	seen, unknown := map[string]bool{}, 0
	for _, e := range w.keys.signed {
		if seen[string(e)] {
			w.t.Errorf("digest %x was signed twice", e)
		}
		seen[string(e)] = true
		if !known[string(e)] {
			unknown++
		}
	}
	voided := 0
	err = w.db.CA().View(w.t.Context(), func(r ca.R) error {
		voided = 0
		return r.Revocations("issuing", ca.FullShard, w.now, func(ca.Revocation) error { voided++; return nil })
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if unknown > voided {
		w.t.Errorf("%d signatures belong to no issued certificate, only %d serials are voided", unknown, voided)
	}
}

func TestTimeStamps(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		post := func(body []byte) (*certs.TimeStampResponse, int) {
			t.Helper()
			r := httptest.NewRequest(http.MethodPost, "/pki/tsa", bytes.NewReader(body))
			r.Header.Set("Content-Type", "application/timestamp-query")
			rec := httptest.NewRecorder()
			w.Handler().ServeHTTP(rec, r)
			if rec.Code != http.StatusOK {
				return nil, rec.Code
			}
			response, err := certs.ParseTimeStampResponse(rec.Body.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			return response, rec.Code
		}
		q := certs.NewTimeStampRequest([]byte("内容"))
		der, err := q.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		response, _ := post(der)
		stamp, err := response.Check(q)
		if err != nil {
			t.Fatal(err)
		}
		tsa, _, err := stamp.Verify([]byte("内容"), w.now)
		if err != nil {
			t.Fatal(err)
		}
		_, issuers := w.Issuers()
		if err := tsa.CheckSignature(issuers["issuing"]); err != nil {
			t.Errorf("the time-stamping certificate is not ours: %v", err)
		}
		if _, _, err := stamp.Verify([]byte("别的"), w.now); err == nil {
			t.Error("the token stamps anything")
		}
		if response, _ := post([]byte("garbage")); response.Granted || response.Failure != certs.TimeStampBadDataFormat {
			t.Errorf("garbage: %+v", response)
		}
		other := q
		other.Policy = "2.999.1"
		if der, err = other.Marshal(); err != nil {
			t.Fatal(err)
		}
		if response, _ := post(der); response.Granted || response.Failure != certs.TimeStampUnacceptedPolicy {
			t.Errorf("foreign policy: %+v", response)
		}
		if _, code := post(make([]byte, 1<<16)); code != http.StatusRequestEntityTooLarge {
			t.Errorf("oversized: %d", code)
		}
	})
}

// factSource is a fixed source of facts.
type factSource ca.Facts

func (f factSource) Facts(context.Context) (ca.Facts, error) { return ca.Facts(f), nil }

func TestTheTrustBundleCountsUpAndNamesTheOneBefore(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if err := w.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		source := factSource{Seals: []bundle.StatusEntry{{ID: "33010000000001", State: bundle.Active, Since: start}}}
		var last *bundle.Info
		for n := uint64(start.UnixMilli()); n <= uint64(start.UnixMilli())+1; n++ {
			if _, err := w.PublishBundle(t.Context(), source); err != nil {
				t.Fatal(err)
			}
			rec := httptest.NewRecorder()
			w.Handler().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/trust/bundle", nil))
			key := httptest.NewRecorder()
			w.Handler().ServeHTTP(key, httptest.NewRequest(http.MethodGet, "/trust/bundle-key.pem", nil))
			pin, err := bundle.ParsePin(key.Body.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			b, info, err := bundle.Parse(rec.Body.Bytes(), pin)
			if err != nil || !info.Pinned || b.Sequence != n {
				t.Fatalf("bundle %d: %+v, %v", n, info, err)
			}
			if last != nil && b.Previous != last.Digest {
				t.Errorf("bundle %d names %q as the one before, it is %q", n, b.Previous, last.Digest)
			}
			if len(b.Roots(bundle.SealSigner)) != 1 || len(b.RevocationLists()) != 2 {
				t.Errorf("%d roots, %d lists", len(b.Roots(bundle.SealSigner)), len(b.RevocationLists()))
			}
			last = info
		}
	})
}

func TestADeviceThatSignsWrongNeverIssues(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, csr := newCSR(t)
		app := w.approved(csr)
		stale, err := gm.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		w.keys.keys["ca-issuing"] = stale // a handle that moved to another key
		if _, err := w.Issue(t.Context(), officer, app.ID); !errors.Is(err, ca.ErrIssuer) {
			t.Errorf("issued under another key: %v", err)
		}
	})
}

func TestTwoCallsIssueOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, csr := newCSR(t)
		app := w.approved(csr)
		var wg sync.WaitGroup
		var mu sync.Mutex
		var serials []string
		for range 4 {
			wg.Go(func() {
				done, err := w.Issue(t.Context(), officer, app.ID)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					serials = append(serials, done.Certificates[0])
				} else if !errors.Is(err, ca.ErrState) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, s := range serials {
			if s != serials[0] {
				t.Errorf("two different certificates were handed out: %v", serials)
			}
		}
		if len(serials) == 0 {
			t.Error("nobody got the certificate")
		}
		if _, err := w.Recover(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		w.everySignatureIsKnown()
	})
}

func TestOpensslFollowsOurChainAndOurCARefusesItsWrongID(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("openssl is needed")
		}
		t.Skip("openssl is not installed")
	}
	each(t, func(t *testing.T, w *world) {
		dir := t.TempDir()
		run := func(args ...string) string {
			t.Helper()
			cmd := exec.Command("openssl", args...)
			cmd.Dir = dir
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
			}
			return string(out)
		}
		run("genpkey", "-algorithm", "SM2", "-out", "key.pem")
		run("req", "-new", "-key", "key.pem", "-sm3", "-sigopt", "distid:1234567812345678", "-subj", "/CN=x", "-out", "good.csr")
		run("req", "-new", "-key", "key.pem", "-sm3", "-subj", "/CN=x", "-out", "wrong-id.csr")
		read := func(name string) []byte {
			t.Helper()
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		if _, err := w.Apply(t.Context(), w.citizen, ca.Request{Profile: "person-sign", Holder: "p1", CSR: read("wrong-id.csr")}); !errors.Is(err, ca.ErrRequest) {
			t.Errorf("a request signed under the empty identifier: %v", err)
		}
		app, err := w.Issue(t.Context(), officer, w.approved(read("good.csr")).ID)
		if err != nil {
			t.Fatal(err)
		}
		chain := w.chain(app.Certificates[0])
		for name, c := range map[string]*certs.Certificate{"leaf.pem": chain[0], "issuing.pem": chain[1], "root.pem": chain[2]} {
			if err := os.WriteFile(filepath.Join(dir, name), c.PEM(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		now := fmt.Sprint(w.now.Unix())
		// openssl gives the identifier to the certificate named on the command line alone, so each link is checked by itself.
		for _, link := range [][]string{{"-partial_chain", "-trusted", "issuing.pem", "leaf.pem"}, {"-CAfile", "root.pem", "issuing.pem"}} {
			args := append([]string{"verify", "-attime", now, "-vfyopt", "distid:1234567812345678"}, link...)
			if out := run(args...); !strings.Contains(out, link[len(link)-1]+": OK") {
				t.Errorf("openssl verify: %s", out)
			}
		}
	})
}

func TestAPersonsCertificateIsNotForStrangers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, csr := newCSR(t)
		app, err := w.Issue(t.Context(), officer, w.approved(csr).ID)
		if err != nil {
			t.Fatal(err)
		}
		for name, by := range map[string]actor.Actor{"nobody": {}, "another person": {Subject: "p2", Capacity: actor.Person}, "another entity": {Subject: "p2", Capacity: actor.Entity, For: "e1"}} {
			for _, serial := range app.Certificates {
				if _, err := w.Chain(t.Context(), by, serial); !errors.Is(err, ca.ErrUnknown) {
					t.Errorf("%s got a certificate with an identity number: %v", name, err)
				}
			}
		}
		if _, err := w.Chain(t.Context(), w.citizen, app.Certificates[0]); err != nil {
			t.Errorf("the holder: %v", err)
		}
		service, err := w.Service(t.Context(), actor.ForSystem("test"), "tsa")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Chain(t.Context(), actor.Actor{}, service.Certificate.SerialHex()); err != nil {
			t.Errorf("a service's certificate is public: %v", err)
		}
	})
}

func TestSerialsAreOurs(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, csr := newCSR(t)
		app, err := w.Issue(t.Context(), officer, w.approved(csr).ID)
		if err != nil {
			t.Fatal(err)
		}
		serial, err := hex.DecodeString(app.Certificates[0])
		week := uint16(start.Unix() / (7 * 24 * 3600))
		if err != nil || len(serial) != 16 || serial[0] != 1 || serial[1] != byte(week>>8) || serial[2] != byte(week) {
			t.Errorf("serial %s: want 16 octets, instance 1, week %d", app.Certificates[0], week)
		}
	})
}

// names tells whether both languages of a refusal say a word.
func names(err error, word string) bool {
	text, _ := fault.TextOf(err)
	return strings.Contains(text.EN, word) && strings.Contains(text.ZH, word)
}
