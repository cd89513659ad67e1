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
	lose  atomic.Bool // the next answer is lost on the way back
	app   ca.Application
}

// RoundTrip calls the external authority, and loses its answer when told so.
func (f *front) RoundTrip(r *http.Request) (*http.Response, error) {
	f.calls.Add(1)
	answer, err := http.DefaultTransport.RoundTrip(r)
	if f.lose.Swap(false) && err == nil {
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
	clock := w.now
	f.Authority, err = ca.New(t.Context(), ca.Config{
		Store: f.store, Registry: registry{}, Keys: &memoryKeys{}, Encryption: kmctest.Local(t, db.KMC(), func() time.Time { return w.now }), Profiles: profiles,
		BaseURL: "http://localhost:8481/pki", Instance: 2, Now: func() time.Time { return clock }, Client: &http.Client{Transport: f},
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// enter enters the other installation as external authority: its registration client's certificate is for our key.
func (f *front) enter(t *testing.T, w *world, address string) {
	t.Helper()
	ctx := t.Context()
	csr, err := f.ExternalRequest(ctx, super1, "upstream", "sm2")
	if err != nil {
		t.Fatal(err)
	}
	app, err := w.CA.Apply(ctx, registrar, ca.Request{Profile: "device", Holder: "ra", CSR: csr})
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
	e := ca.External{Name: "upstream", URL: address, Certificate: chain[1].Raw, Signer: service.Certificate.Raw, Own: chain[0].Raw}
	other := e
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
			f.enter(t, w, server.URL+"/.well-known/cmp")
			for what, crash := range map[string]func(){
				"nothing":                      func() {},
				"the answer":                   func() { f.lose.Store(true) },
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

			// What is revoked here is revoked there.
			serial := f.app.Certificates[0]
			chain, err := f.Chain(ctx, registrar, serial)
			if err != nil || len(chain) != 2 {
				t.Fatalf("%d, %v", len(chain), err)
			}
			if err := f.Revoke(ctx, actor.ForSystem("test"), chain[0].Serial, certs.ReasonSuperseded, time.Time{}); err != nil {
				t.Fatal(err)
			}
			for range 2 { // a job may come twice
				if err := f.RevokeExternal(ctx, serial); err != nil {
					t.Error(err)
				}
			}
			if !w.revoked(chain[0]) {
				t.Error("the other side still answers for it")
			}

			// The other side certifies its own holder; a certificate in another name than ours is not taken.
			wrong := f.apply(t, "e1")
			if err := f.issue(ctx, wrong.ID); !errors.Is(err, ca.ErrExternal) {
				t.Errorf("a certificate in another name was taken: %v", err)
			}
			server.CloseClientConnections()
			if err := f.SettleOrders(ctx); err != nil {
				t.Errorf("%v", err)
			}
		})
	})
}
