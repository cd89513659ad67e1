package remote_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hufu/ca/kmc"
	"hufu/ca/kmc/kmctest"
	"hufu/ca/kmc/remote"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/internal/outbound"
	"hufu/store"
	"hufu/store/storetest"
)

var (
	system  = actor.ForSystem("test")
	citizen = actor.Actor{Subject: "p1", Capacity: actor.Person}
)

// identity is a self-signed certificate with its key.
func identity(t *testing.T, curve elliptic.Curve, until time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// rig is a centre that serves east and west over the network.
type rig struct {
	t          *testing.T
	centre     *kmc.Centre
	server     *httptest.Server
	own        tls.Certificate
	east, west tls.Certificate
	cut        atomic.Int32 // how many of the next answers are cut off behind the work
}

func each(t *testing.T, f func(t *testing.T, r *rig)) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		until := time.Now().Add(time.Hour)
		r := &rig{t: t, own: identity(t, elliptic.P256(), until), east: identity(t, elliptic.P256(), until), west: identity(t, elliptic.P256(), until)}
		var err error
		r.centre, err = kmc.New(kmc.Config{Store: db.KMC(), Master: kmctest.NewMaster(), Now: time.Now})
		r.ok(err)
		r.serve("east", "west")
		s := remote.NewServer(r.centre, time.Now, slog.New(slog.DiscardHandler))
		r.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if r.cut.Add(-1) >= 0 {
				s.ServeHTTP(httptest.NewRecorder(), q)
				panic(http.ErrAbortHandler)
			}
			s.ServeHTTP(w, q)
		}))
		r.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
		r.server.TLS = s.TLS(r.own)
		r.server.StartTLS()
		t.Cleanup(r.server.Close)
		f(t, r)
	})
}

func (r *rig) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) serve(names ...string) {
	r.t.Helper()
	var clients []kmc.Client
	for _, name := range names {
		c, err := remote.ClientOf(name, map[string]tls.Certificate{"east": r.east, "west": r.west}[name].Certificate[0])
		r.ok(err)
		clients = append(clients, c)
	}
	r.ok(r.centre.Serve(r.t.Context(), system, clients))
}

// http is a client that believes the centre's certificate and shows what it is given.
func (r *rig) http(shown ...tls.Certificate) *http.Client {
	roots := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(r.own.Certificate[0])
	r.ok(err)
	roots.AddCert(leaf)
	return outbound.NewClient(outbound.Options{
		Allow: outbound.Loopback(), TLS: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: shown},
	})
}

func (r *rig) client(shown ...tls.Certificate) *remote.Client {
	return remote.NewClient(r.server.URL, r.http(shown...))
}

func newKey(t *testing.T) (*gm.PrivateKey, *ecdsa.PublicKey) {
	t.Helper()
	k, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k, k.Public().(*ecdsa.PublicKey)
}

func TestAnAuthorityIsServedOverTheNetwork(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		ctx, c := t.Context(), r.client(r.east)
		holder, pub := newKey(t)
		got, err := c.Provide(ctx, system, kmc.Order{Request: "r", Signing: pub, Subject: "p1"})
		r.ok(err)
		lost, err := certs.OpenEnvelopedKey(got.Envelope, holder)
		r.ok(err)
		r.ok(c.Certified(ctx, system, kmc.Certification{Public: got.Public, Serial: "0a", NotAfter: time.Now()}))
		if h, err := c.History(ctx, citizen, "p1"); err != nil || len(h) != 1 || h[0].Serials[0] != "0a" {
			t.Errorf("history %+v: %v", h, err)
		}
		if s, err := c.Pool(ctx, system); err != nil || s.Held != 1 {
			t.Errorf("pool %+v: %v", s, err)
		}
		fresh, to := newKey(t)
		rec, err := c.Request(ctx, citizen, kmc.Ask{Kind: kmc.ForHolder, Subject: "p1", Why: "lost", Recipient: gm.Point(to), Key: "k"})
		r.ok(err)
		for _, id := range []string{"o1", "o2"} {
			officer := actor.Actor{Subject: id, Capacity: actor.Official, Roles: []actor.Role{actor.RoleRecoveryOfficer}}
			if id == "o2" {
				r.cut.Store(1)
			}
			rec, err = c.Decide(ctx, officer, rec.ID, kmc.Verdict{Approve: true, Officers: 2})
			r.ok(err)
		}
		if rec.State != kmc.Approved || len(rec.Approvals) != 2 {
			t.Fatalf("approved: %+v", rec)
		}
		r.cut.Store(2)
		taken, err := c.Take(ctx, citizen, rec.ID, "x", kmc.Standing{"o1": true, "o2": true})
		r.ok(err)
		opened, err := certs.OpenEnvelopedKey(taken.Keys[0].Envelope, fresh)
		if err != nil || !bytes.Equal(opened.Bytes(), lost.Bytes()) {
			t.Errorf("recovered: %v", err)
		}
		_, err = c.Take(ctx, citizen, rec.ID, "y", kmc.Standing{"o1": true, "o2": true})
		if !errors.Is(err, kmc.ErrTaken) {
			t.Errorf("taken twice: %v", err)
		}
		if all, err := c.Recoveries(ctx, citizen, kmc.RecoveryFilter{}); err != nil || len(all) != 1 || all[0].State != kmc.Delivered {
			t.Errorf("list %+v: %v", all, err)
		}
		if _, err := c.Cancel(ctx, citizen, rec.ID); !errors.Is(err, kmc.ErrState) {
			t.Errorf("cancelled afterwards: %v", err)
		}
		other := r.client(r.west)
		if _, err := other.Recovery(ctx, system, rec.ID); !errors.Is(err, kmc.ErrUnknown) {
			t.Errorf("another authority sees the recovery: %v", err)
		}
		if h, err := other.History(ctx, system, "p1"); err != nil || len(h) != 0 {
			t.Errorf("another authority sees %d keys: %v", len(h), err)
		}
		mine, err := other.Provide(ctx, system, kmc.Order{Request: "r", Signing: pub, Subject: "p1"})
		if err != nil || mine.Public.Equal(got.Public) {
			t.Errorf("two authorities share a key: %v", err)
		}
	})
}

func TestACutConnectionGivesTheSameKey(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		_, pub := newKey(t)
		r.cut.Store(2)
		got, err := r.client(r.east).Provide(t.Context(), system, kmc.Order{Request: "r", Signing: pub})
		r.ok(err)
		again, err := r.client(r.east).Provide(t.Context(), system, kmc.Order{Request: "r", Signing: pub})
		if err != nil || !bytes.Equal(again.Envelope, got.Envelope) {
			t.Errorf("after the cut: %v", err)
		}
		if s, err := r.client(r.east).Pool(t.Context(), system); err != nil || s.Held != 1 {
			t.Errorf("%d keys for one request: %v", s.Held, err)
		}
		r.cut.Store(100)
		if _, err := r.client(r.east).Provide(t.Context(), system, kmc.Order{Request: "r2", Signing: pub}); !errors.Is(err, kmc.ErrRemote) {
			t.Errorf("no answer at all: %v", err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer stop()
		began := time.Now()
		if _, err := r.client(r.east).Provide(ctx, system, kmc.Order{Request: "r3", Signing: pub}); err == nil || time.Since(began) > 5*time.Second {
			t.Errorf("the deadline was not kept: %v", err)
		}
	})
}

func TestStrangersAreRefused(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		_, pub := newKey(t)
		order := kmc.Order{Request: "r", Signing: pub}
		if _, err := r.client().Provide(ctx, system, order); !errors.Is(err, kmc.ErrClient) {
			t.Errorf("without a certificate: %v", err)
		}
		for name, shown := range map[string]tls.Certificate{
			"an unregistered certificate": identity(t, elliptic.P256(), time.Now().Add(time.Hour)),
			"the centre's own":            r.own,
		} {
			if _, err := r.client(shown).Provide(ctx, system, order); err == nil {
				t.Errorf("%s was served", name)
			}
		}
		stolen := tls.Certificate{Certificate: r.east.Certificate, PrivateKey: r.west.PrivateKey}
		if _, err := r.client(stolen).Provide(ctx, system, order); err == nil {
			t.Error("a certificate without its key was served")
		}
		old := r.http(r.east)
		old.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, Certificates: []tls.Certificate{r.east}}} //nolint:gosec // the attacker's side
		if _, err := remote.NewClient(r.server.URL, old).Provide(ctx, system, order); err == nil {
			t.Error("TLS 1.2 was served")
		}
		live := r.client(r.east)
		_, err := live.Provide(ctx, system, order)
		r.ok(err)
		r.serve("west")
		if _, err := live.Provide(ctx, system, kmc.Order{Request: "r2", Signing: pub}); !errors.Is(err, kmc.ErrClient) {
			t.Errorf("on the open connection of an authority that was ended: %v", err)
		}
		if _, err := r.client(r.east).Provide(ctx, system, order); err == nil {
			t.Error("an authority that was ended was served")
		}
		lying := remote.NewClient(r.server.URL, outbound.NewClient(outbound.Options{Allow: outbound.Loopback()}))
		if _, err := lying.Provide(ctx, system, order); !errors.Is(err, kmc.ErrRemote) {
			t.Errorf("a centre with an unknown certificate was believed: %v", err)
		}
	})
}

func TestBadCallsAreRefused(t *testing.T) {
	each(t, func(t *testing.T, r *rig) {
		for name, c := range map[string]struct {
			path, body string
			status     int
		}{
			"garbage":             {"provide", "{", 400},
			"an unknown field":    {"provide", `{"by":{},"body":{},"private":"x"}`, 400},
			"a private key":       {"provide", `{"by":{"Capacity":"system","Name":"x"},"body":{"request":"r","private":"AAAA"}}`, 400},
			"two values":          {"provide", `{"by":{},"body":{}} {}`, 400},
			"nobody":              {"pool", `{"by":{},"body":{}}`, 401},
			"off the curve":       {"provide", `{"by":{"Capacity":"system","Name":"x"},"body":{"request":"r","signing":"BAAA"}}`, 400},
			"an unknown recovery": {"recovery", `{"by":{"Capacity":"system","Name":"x"},"body":{"id":"x"}}`, 404},
			"too large":           {"provide", strings.Repeat(" ", 5<<20), 400},
			"an unknown call":     {"export", `{}`, 404},
		} {
			resp, err := r.http(r.east).Post(r.server.URL+"/kmc/v1/"+c.path, "application/json", strings.NewReader(c.body))
			r.ok(err)
			said, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode != c.status || bytes.Contains(said, []byte(".go:")) {
				t.Errorf("%s: %d %s, want %d", name, resp.StatusCode, said, c.status)
			}
		}
		for name, der := range map[string][]byte{
			"no certificate": {1}, "another curve": identity(t, elliptic.P384(), time.Now().Add(time.Hour)).Certificate[0],
		} {
			if _, err := remote.ClientOf("north", der); !errors.Is(err, kmc.ErrClient) {
				t.Errorf("%s was registered: %v", name, err)
			}
		}
		if _, err := remote.ClientOf(kmc.Local, r.east.Certificate[0]); !errors.Is(err, kmc.ErrClient) {
			t.Errorf("the name of the local authority was given away: %v", err)
		}
	})
}
