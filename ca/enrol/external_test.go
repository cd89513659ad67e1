package enrol_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"hufu/ca"
	"hufu/ca/enrol"
	"hufu/ca/kmc/kmctest"
	"hufu/certs"
	"hufu/certs/cmp"
	"hufu/internal/actor"
	"hufu/store"
	"hufu/store/storetest"
)

var (
	super1 = actor.Actor{Subject: "super-1", Capacity: actor.Official, Roles: []actor.Role{actor.RoleSuperAdmin}}
	super2 = actor.Actor{Subject: "super-2", Capacity: actor.Official, Roles: []actor.Role{actor.RoleSuperAdmin}}
)

// front is a registration authority whose certificates another installation makes.
type front struct {
	*ca.Authority
	store *faultyCA
	calls atomic.Int32
	lose  atomic.Int32 // the answer to the n-th call from now is lost on the way back
	app   ca.Application
}

// RoundTrip calls the external authority, and loses its answer when told so.
func (f *front) RoundTrip(r *http.Request) (*http.Response, error) {
	f.calls.Add(1)
	answer, err := http.DefaultTransport.RoundTrip(r)
	if f.lose.Add(-1) == 0 && err == nil {
		answer.Body.Close()
		return nil, errCrash
	}
	return answer, err
}

func newFront(t *testing.T, w *world, db *store.DB) *front {
	t.Helper()
	f := &front{store: &faultyCA{Store: db.CA()}}
	files := profileFiles()
	files["p/outside.yaml"] = &fstest.MapFile{Data: []byte(`name: outside
version: 1
title: {zh: 外部, en: Outside}
issuer: external:upstream
holder: entity
keys: [sm2]
apply: [registrar]
usage: [digitalSignature]
days: 300
subject:
  - {type: O, value: 虎符}
  - {type: CN, value: "{name}", rule: required}
`)}
	profiles, err := ca.ParseProfiles(files, "p")
	if err != nil {
		t.Fatal(err)
	}
	f.Authority, err = ca.New(t.Context(), ca.Config{
		Store: f.store, Registry: registry{}, Keys: &memoryKeys{}, Encryption: kmctest.Local(t, db.KMC(), func() time.Time { return w.now }), Profiles: profiles,
		BaseURL: "http://localhost:8481/pki", Instance: 2, Now: func() time.Time { return w.now }, Client: &http.Client{Transport: f},
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// enter enters the other installation as external authority: a certificate of a profile there is for our key.
func (f *front) enter(t *testing.T, w *world, profile string, e ca.External) {
	t.Helper()
	ctx := t.Context()
	csr, err := f.ExternalRequest(ctx, super1, "upstream", "sm2")
	if err != nil {
		t.Fatal(err)
	}
	app, err := w.CA.Apply(ctx, registrar, ca.Request{Profile: profile, Holder: "ra", CSR: csr})
	if err != nil {
		t.Fatal(err)
	}
	if app, err = w.CA.Issue(ctx, registrar, app.ID); err != nil {
		t.Fatal(err)
	}
	chain, err := w.CA.Chain(ctx, actor.ForSystem("test"), app.Certificates[0])
	if err != nil {
		t.Fatal(err)
	}
	service, err := w.CA.Service(ctx, actor.ForSystem("test"), enrol.ServiceSM2)
	if err != nil {
		t.Fatal(err)
	}
	e.Name, e.Certificate, e.Signer, e.Own = "upstream", chain[1].Raw, service.Certificate.Raw, chain[0].Raw
	other := e
	other.Dialect = "klingon"
	if _, err := f.ProposeExternal(ctx, super1, other, "x"); !errors.Is(err, ca.ErrExternalEntry) {
		t.Errorf("a dialect that nobody speaks: %v", err)
	}
	other = e
	other.Own = chain[1].Raw
	if _, err := f.ProposeExternal(ctx, super1, other, "x"); !errors.Is(err, ca.ErrExternalEntry) {
		t.Errorf("a certificate of another key: %v", err)
	}
	other = e
	other.Certificate = chain[0].Raw
	if _, err := f.ProposeExternal(ctx, super1, other, "x"); !errors.Is(err, ca.ErrExternalEntry) {
		t.Errorf("no CA: %v", err)
	}
	if e, err = f.ProposeExternal(ctx, super1, e, "x"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.DecideExternal(ctx, super1, e.ID, true); !errors.Is(err, actor.ErrSameActor) {
		t.Errorf("the maker agreed: %v", err)
	}
	if _, err := f.DecideExternal(ctx, super2, e.ID, true); err != nil {
		t.Fatal(err)
	}
}

// enterAsClient enters the other installation, where we are a registration client for a profile on which an officer decides.
func (f *front) enterAsClient(t *testing.T, w *world, address string) {
	t.Helper()
	if _, err := w.PutClient(t.Context(), business, enrol.Client{Subject: "ra", Profiles: []string{"watched"}, Revokes: true}); err != nil {
		t.Fatal(err)
	}
	f.enter(t, w, "ra", ca.External{URL: address + "/.well-known/cmp/p/watched", Dialect: ca.DialectHufu})
}

// decide lets the other side's officer decide on the only application that waits there.
func (f *front) decide(t *testing.T, w *world, approve bool) ca.Application {
	t.Helper()
	all, err := w.CA.Applications(t.Context(), approver, ca.ApplicationFilter{State: ca.Submitted, Profile: "watched", Limit: 5})
	if err != nil || len(all) != 1 {
		t.Fatalf("%d applications wait there: %v", len(all), err)
	}
	if _, err := w.CA.Decide(t.Context(), approver, all[0].ID, approve, "looked at"); err != nil {
		t.Fatal(err)
	}
	return all[0]
}

// apply enters an application for the registration authority's own device, which the other side may answer.
func (f *front) apply(t *testing.T, holder string) ca.Application {
	t.Helper()
	csr, err := certs.NewRequest(newKey(t, "sm2"), name("x"), certs.RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	app, err := f.Apply(t.Context(), registrar, ca.Request{Profile: "outside", Holder: holder, CSR: csr})
	if err != nil {
		t.Fatal(err)
	}
	return app
}

func (f *front) issue(ctx context.Context, id string) error {
	app, err := f.Issue(ctx, registrar, id)
	f.app = app
	return err
}

// TestFrontOfAnExternalAuthority: another installation is the external authority, and the answer is lost at each place.
func TestFrontOfAnExternalAuthority(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		server := httptest.NewServer(w.Handler())
		defer server.Close()
		storetest.EachWith(t, store.Options{}, func(t *testing.T, db *store.DB) {
			ctx := t.Context()
			f := newFront(t, w, db)
			f.enter(t, w, "device", ca.External{URL: server.URL + "/.well-known/cmp"})
			for what, crash := range map[string]func(){
				"nothing":                      func() {},
				"the answer":                   func() { f.lose.Store(1) },
				"before the intent is stored":  func() { f.store.failAt(1, true) },
				"after the intent is stored":   func() { f.store.failAt(1, false) },
				"before the result is stored":  func() { f.store.failAt(2, true) },
				"the result's acknowledgement": func() { f.store.failAt(2, false) },
			} {
				app := f.apply(t, "ra")
				crash()
				err := f.issue(ctx, app.ID)
				if what != "nothing" && err == nil {
					t.Errorf("%s was lost, and nobody noticed", what)
				}
				if err != nil {
					if err = f.issue(ctx, app.ID); err != nil {
						t.Errorf("%s lost: again: %v", what, err)
						continue
					}
				}
				if f.app.State != ca.Issued || len(f.app.Certificates) != 1 {
					t.Errorf("%s: %+v", what, f.app)
				}
				theirs, err := w.CA.Certificates(ctx, registrar, ca.CertificateFilter{Holder: "ra"})
				if err != nil {
					t.Fatal(err)
				}
				count := 0
				for _, r := range theirs {
					if c, err := certs.Parse(r.DER); err == nil && c.SerialHex() == f.app.Certificates[0] {
						count++
					}
				}
				if count != 1 {
					t.Errorf("%s: the other side has it %d times", what, count)
				}
			}

			// The other side certifies its own holder; a certificate in another name than ours is not taken.
			wrong := f.apply(t, "e1")
			if err := f.issue(ctx, wrong.ID); !errors.Is(err, ca.ErrExternalUnfit) {
				t.Errorf("a certificate in another name was taken: %v", err)
			}
			server.CloseClientConnections()
			if err := f.SettleOrders(ctx); err != nil {
				t.Errorf("%v", err)
			}
		})
	})
}

// TestTheFrontAsksForItsCitizens: an application here becomes a certificate of the other installation for the same holder, once
// its officer has agreed, wherever the way there is interrupted.
func TestTheFrontAsksForItsCitizens(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, must := range []bool{false, true} {
			w.open(func(c *enrol.Config) { c.MustConfirm = must })
			server := httptest.NewServer(w.Handler())
			defer server.Close()
			storetest.EachWith(t, store.Options{}, func(t *testing.T, db *store.DB) {
				f := newFront(t, w, db)
				f.enterAsClient(t, w, server.URL)
				for what, crash := range map[string]func(){
					"nothing":                 func() {},
					"before the poll is kept": func() { f.store.failAt(1, true) },
					"after the poll is kept":  func() { f.store.failAt(1, false) },
					"the poll's answer":       func() { f.lose.Store(1) },
					"before the second":       func() { f.store.failAt(2, true) },
					"after the second":        func() { f.store.failAt(2, false) },
					"the second answer":       func() { f.lose.Store(2) },
					"before the result":       func() { f.store.failAt(3, true) },
					"after the result":        func() { f.store.failAt(3, false) },
				} {
					f.travel(t, w, what, crash)
				}
				f.endsThereToo(t, w)
			})
		}
	})
}

// travel takes one application all the way.
func (f *front) travel(t *testing.T, w *world, what string, crash func()) {
	t.Helper()
	ctx := t.Context()
	app := f.apply(t, "e1")
	f.lose.Store(1)
	if err := f.issue(ctx, app.ID); err == nil || errors.Is(err, ca.ErrExternalRefused) {
		t.Fatalf("%s: the first answer was lost: %v", what, err)
	}
	for range 3 { // a peer that looks at the time of messages finds ours old
		if err := f.issue(ctx, app.ID); !errors.Is(err, ca.ErrWaits) {
			t.Fatalf("%s: before anybody decided: %v", what, err)
		}
		w.now = w.now.Add(20 * time.Minute)
	}
	orders, err := f.Orders(ctx, super1, ca.OrderSent)
	if err != nil || len(orders) != 1 || !orders[0].Waits() {
		t.Errorf("%s: %d orders wait: %v", what, len(orders), err)
	}
	theirs := f.decide(t, w, true)
	if theirs.Holder != "e1" {
		t.Errorf("%s: there it is for %q", what, theirs.Holder)
	}
	crash()
	err = f.issue(ctx, app.ID)
	f.store.failAt(0, false)
	f.lose.Store(0)
	if err != nil {
		w.now = w.now.Add(11 * time.Minute)
		err = f.issue(ctx, app.ID)
	}
	if err != nil || f.app.State != ca.Issued || len(f.app.Certificates) != 1 {
		t.Fatalf("%s: %v, %s %v", what, err, f.app.State, f.app.Certificates)
	}
	made, err := w.CA.Application(ctx, actor.ForSystem("test"), theirs.ID)
	if err != nil || len(made.Certificates) != 1 || made.Certificates[0] != f.app.Certificates[0] {
		t.Errorf("%s: there it is %v, here %v, %v", what, made.Certificates, f.app.Certificates, err)
	}
	w.settle()
	chain, err := f.Chain(ctx, registrar, f.app.Certificates[0])
	if err != nil || w.revoked(chain[0]) {
		t.Errorf("%s: it is revoked there, %v", what, err)
	}
}

// endsThereToo: what is revoked here is revoked there, what is refused there ends here, and without rights nothing is issued.
func (f *front) endsThereToo(t *testing.T, w *world) {
	t.Helper()
	ctx := t.Context()
	chain, err := f.Chain(ctx, registrar, f.app.Certificates[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Revoke(ctx, actor.ForSystem("test"), chain[0].Serial, certs.ReasonSuperseded, time.Time{}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a job may come twice
		if err := f.RevokeExternal(ctx, f.app.Certificates[0]); err != nil || !w.revoked(chain[0]) {
			t.Errorf("revoked there: %t, %v", w.revoked(chain[0]), err)
		}
	}
	app := f.apply(t, "e2")
	if err := f.issue(ctx, app.ID); !errors.Is(err, ca.ErrWaits) {
		t.Fatal(err)
	}
	f.decide(t, w, false)
	if err := f.SettleOrders(ctx); err != nil {
		t.Error(err)
	}
	if err := f.issue(ctx, app.ID); !errors.Is(err, ca.ErrExternalRefused) {
		t.Errorf("refused there, here %v", err)
	}
	if err := w.DropClient(ctx, business, "ra"); err != nil {
		t.Fatal(err)
	}
	app = f.apply(t, "e2")
	if err := f.issue(ctx, app.ID); !errors.Is(err, ca.ErrExternalRefused) {
		t.Errorf("without rights: %v", err)
	}
	if all := w.certificatesOf("e2", "watched"); len(all) != 0 {
		t.Errorf("%d certificates for one whose application was refused", len(all))
	}
}

// TestADeviceWaitsForTheExternalOfficer: a device that enrols here polls until the other installation's officer has agreed.
func TestADeviceWaitsForTheExternalOfficer(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		server := httptest.NewServer(w.Handler())
		defer server.Close()
		storetest.EachWith(t, store.Options{}, func(t *testing.T, db *store.DB) {
			f := newFront(t, w, db)
			f.enterAsClient(t, w, server.URL)
			service, err := enrol.New(enrol.Config{Store: db.Enrol(), CA: f.Authority, Now: func() time.Time { return w.now }, Rate: 1000})
			if err != nil {
				t.Fatal(err)
			}
			here := &world{Service: service, t: t, db: db, now: w.now}
			x := here.begin(bySecret(here.secret(enrol.Order{Profile: "outside", Holder: "e1"})), true)
			m, err := here.ask(x, "", request(t, cmp.P10CR, newKey(t, "sm2"), certs.RequestMessageOptions{}))
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := m.Granted(); !errors.Is(err, cmp.ErrWaiting) {
				t.Fatalf("before anybody decided: %v", err)
			}
			poll := cmp.Body{Kind: cmp.PollReq, Polls: []cmp.Poll{{ID: -1}}}
			for range 2 {
				if m, err = here.ask(x, "", poll); err != nil || m.Body.Kind != cmp.PollRep {
					t.Fatalf("polled: kind %d, %v", m.Body.Kind, err)
				}
			}
			f.decide(t, w, true)
			if m, err = here.ask(x, "", poll); err != nil {
				t.Fatal(err)
			}
			if cert, _, err := m.Granted(); err != nil || cert.Subject.CommonName() != "水务一号站" {
				t.Errorf("after the officer agreed: %v", err)
			}
		})
	})
}
