package enrol_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hufu/ca/enrol"
	"hufu/certs"
)

// secure serves the world's handler by TLS and asks for client certificates, as the server does with ask_client.
func (w *world) secure() (server *httptest.Server, root []byte) {
	w.t.Helper()
	key, ok := newKey(w.t, "p256").(*ecdsa.PrivateKey)
	if !ok {
		w.t.Fatal("no key")
	}
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "TLS root"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	site := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	root, err := x509.CreateCertificate(rand.Reader, authority, authority, &key.PublicKey, key)
	if err != nil {
		w.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, site, authority, &key.PublicKey, key)
	if err != nil {
		w.t.Fatal(err)
	}
	server = httptest.NewUnstartedServer(w.Handler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, ClientAuth: tls.RequestClientCert}
	server.StartTLS()
	w.t.Cleanup(server.Close)
	return server, root
}

func csrFor(t testing.TB, key crypto.Signer, subject certs.Name) []byte {
	t.Helper()
	csr, err := certs.NewRequest(key, subject, certs.RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return []byte(base64.StdEncoding.EncodeToString(csr))
}

// issuedBy reads the certificate of an answer.
func issuedBy(t testing.TB, status int, body []byte) *certs.Certificate {
	t.Helper()
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(body)), ""))
	if err != nil {
		t.Fatal(err)
	}
	list, err := certs.ParseCertificates(der)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d certificates, %v", len(list), err)
	}
	return list[0]
}

func basic(id, value string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(id, value) }
}

const typeCSR = "application/pkcs10"

func TestESTEnrolsUnderASecret(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for profile, kind := range map[string]string{"device": "sm2", "device-p256": "p256"} {
			secret := w.secret(enrol.Order{Profile: profile, Holder: "e1"})
			key := newKey(t, kind)
			csr := csrFor(t, key, name("x"))
			rec := w.post("/.well-known/est/simpleenroll", typeCSR, csr, basic(secret.ID, secret.Value))
			cert := issuedBy(t, rec.Code, rec.Body.Bytes())
			if !certs.SameKey(cert.PublicKey, key.Public()) || rec.Header().Get("Content-Type") != "application/pkcs7-mime; smime-type=certs-only" {
				t.Errorf("%s: %v", profile, rec.Header())
			}
			rec = w.post("/.well-known/est/"+profile+"/simpleenroll", typeCSR, csr, basic(secret.ID, secret.Value))
			if again := issuedBy(t, rec.Code, rec.Body.Bytes()); !bytes.Equal(again.Raw, cert.Raw) {
				t.Error("the same request gave another certificate")
			}
			rec = w.post("/.well-known/est/simpleenroll", typeCSR, csrFor(t, newKey(t, kind), name("x")), basic(secret.ID, secret.Value))
			if rec.Code != http.StatusForbidden {
				t.Errorf("a used secret: %d", rec.Code)
			}
		}
	})
}

func TestESTTellsWhatItTakes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		get := func(path string) (int, []byte) {
			rec := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, "/.well-known/est/"+path, nil)
			w.Handler().ServeHTTP(rec, r)
			der, _ := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(rec.Body.String()), ""))
			return rec.Code, der
		}
		for path, n := range map[string]int{"cacerts": 4, "device/cacerts": 2} {
			code, der := get(path)
			if list, err := certs.ParseCertificates(der); code != http.StatusOK || err != nil || len(list) != n {
				t.Errorf("%s: %d, %d certificates, %v", path, code, len(list), err)
			}
		}
		if code, der := get("device/csrattrs"); code != http.StatusOK || !bytes.Contains(der, []byte{0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x82, 0x2d}) {
			t.Errorf("csrattrs: %d %x", code, der)
		}
		if code, _ := get("csrattrs"); code != http.StatusNoContent {
			t.Errorf("csrattrs of no profile: %d", code)
		}
		if code, _ := get("nothing/cacerts"); code != http.StatusBadRequest {
			t.Errorf("cacerts of an unknown profile: %d", code)
		}
	})
}

func TestESTRefuses(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		secret := w.secret(enrol.Order{Profile: "device", Holder: "e1"})
		pair := w.secret(enrol.Order{Profile: "pair", Holder: "e1"})
		csr := csrFor(t, newKey(t, "sm2"), name("x"))
		for what, c := range map[string]struct {
			path, kind string
			body       []byte
			edit       func(*http.Request)
			code       int
		}{
			"nobody":          {"simpleenroll", typeCSR, csr, nil, http.StatusUnauthorized},
			"a wrong secret":  {"simpleenroll", typeCSR, csr, basic(secret.ID, "x"), http.StatusUnauthorized},
			"unknown":         {"simpleenroll", typeCSR, csr, basic("nobody", "x"), http.StatusUnauthorized},
			"another type":    {"simpleenroll", "text/plain", csr, basic(secret.ID, secret.Value), http.StatusUnsupportedMediaType},
			"rubbish":         {"simpleenroll", typeCSR, []byte("AAAA"), basic(secret.ID, secret.Value), http.StatusBadRequest},
			"no base64":       {"simpleenroll", typeCSR, []byte("???"), basic(secret.ID, secret.Value), http.StatusBadRequest},
			"a large one":     {"simpleenroll", typeCSR, bytes.Repeat([]byte("A"), 1<<20), basic(secret.ID, secret.Value), http.StatusBadRequest},
			"another profile": {"device-p256/simpleenroll", typeCSR, csr, basic(secret.ID, secret.Value), http.StatusForbidden},
			"a pair":          {"simpleenroll", typeCSR, csr, basic(pair.ID, pair.Value), http.StatusForbidden},
			"re-enrolment":    {"simplereenroll", typeCSR, csr, basic(secret.ID, secret.Value), http.StatusForbidden},
			"in clear": {"simpleenroll", typeCSR, csr, func(r *http.Request) {
				r.SetBasicAuth(secret.ID, secret.Value)
				r.RemoteAddr = "192.0.2.1:1"
			}, http.StatusForbidden},
		} {
			if rec := w.post("/.well-known/est/"+c.path, c.kind, c.body, c.edit); rec.Code != c.code || (rec.Body.Len() == 0) != (c.code == http.StatusUnauthorized) {
				t.Errorf("%s: %d %s", what, rec.Code, rec.Body)
			}
		}
		rec := w.post("/.well-known/est/simpleenroll", typeCSR, csr, basic(secret.ID, secret.Value))
		issuedBy(t, rec.Code, rec.Body.Bytes()) // after all that, the secret is good
	})
}

func TestESTWaitsForAnOfficer(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		secret := w.secret(enrol.Order{Profile: "watched", Holder: "e1"})
		csr := csrFor(t, newKey(t, "sm2"), name("x"))
		ask := func() *httptest.ResponseRecorder {
			return w.post("/.well-known/est/simpleenroll", typeCSR, csr, basic(secret.ID, secret.Value))
		}
		for range 2 {
			if rec := ask(); rec.Code != http.StatusAccepted || rec.Header().Get("Retry-After") != "60" {
				t.Fatalf("%d %v", rec.Code, rec.Header())
			}
		}
		w.now = w.now.Add(10 * 24 * time.Hour) // past the end of the secret: what was begun under it goes on
		w.settle()
		if _, err := w.CA.Decide(t.Context(), approver, w.submitted()[0].ID, true, ""); err != nil {
			t.Fatal(err)
		}
		rec := ask()
		issuedBy(t, rec.Code, rec.Body.Bytes())
	})
}

func TestADeviceReenrolsWithItsCertificate(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		old, key := w.enrolled("device-p256", "e1", "p256")
		server, root := w.secure()
		pool := x509.NewCertPool()
		ca, err := x509.ParseCertificate(root)
		if err != nil {
			t.Fatal(err)
		}
		pool.AddCert(ca)
		ask := func(cert *certs.Certificate, key crypto.Signer, csr []byte) (int, []byte) {
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{
				RootCAs: pool, ServerName: "localhost", Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key}},
			}}}
			defer client.CloseIdleConnections()
			resp, err := client.Post(server.URL+"/.well-known/est/simplereenroll", typeCSR, bytes.NewReader(csr))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode, body
		}
		if code, _ := ask(old, key, csrFor(t, newKey(t, "p256"), name("somebody else"))); code != http.StatusBadRequest {
			t.Errorf("under another name: %d", code)
		}
		if code, _ := ask(selfMade(t, key, old), key, csrFor(t, newKey(t, "p256"), old.Subject)); code != http.StatusUnauthorized {
			t.Errorf("with a forged certificate: %d", code)
		}
		code, body := ask(old, key, csrFor(t, newKey(t, "p256"), old.Subject))
		next := issuedBy(t, code, body)
		if !next.Subject.Equal(old.Subject) || certs.SameKey(next.PublicKey, old.PublicKey) {
			t.Errorf("successor: %s", next.Subject)
		}
		if err := w.CA.Revoke(t.Context(), approver, old.Serial, certs.ReasonSuperseded, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if code, _ := ask(old, key, csrFor(t, newKey(t, "p256"), old.Subject)); code != http.StatusUnauthorized {
			t.Errorf("with a revoked certificate: %d", code)
		}
	})
}

func TestTooManyRequestsAreTurnedAway(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.open(func(c *enrol.Config) { c.Rate = 1 })
		code := 0
		for range 12 {
			code = w.post("/.well-known/est/simpleenroll", typeCSR, []byte("AAAA"), nil).Code
		}
		if code != http.StatusTooManyRequests {
			t.Errorf("the twelfth at once: %d", code)
		}
		if rec := w.post("/.well-known/cmp", "application/pkixcmp", make([]byte, 100), func(r *http.Request) { r.RemoteAddr = "192.0.2.7:1" }); rec.Code != http.StatusOK {
			t.Errorf("from elsewhere: %d", rec.Code)
		}
	})
}

// An EST request killed at any commit: the same request again gives one certificate.
func TestESTAfterCrashes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for where, updates := range map[string]int{"enrol": 4, "ca": 3} {
			for n := 1; n <= updates; n++ {
				row := fmt.Sprintf("%s update %d", where, n)
				secret := w.secret(enrol.Order{Profile: "device", Holder: "e1"})
				csr := csrFor(t, newKey(t, "sm2"), name("x"))
				faults := &w.store.crashes
				if where == "ca" {
					faults = &w.ca.crashes
				}
				faults.failAt(n, n%2 == 0)
				rec := w.post("/.well-known/est/simpleenroll", typeCSR, csr, basic(secret.ID, secret.Value))
				faults.failAt(0, false)
				if rec.Code != http.StatusInternalServerError {
					t.Errorf("%s: %d", row, rec.Code)
				}
				w.open(func(*enrol.Config) {})
				if _, err := w.CA.Recover(t.Context(), true); err != nil {
					t.Fatal(err)
				}
				rec = w.post("/.well-known/est/simpleenroll", typeCSR, csr, basic(secret.ID, secret.Value))
				cert := issuedBy(t, rec.Code, rec.Body.Bytes())
				w.now = w.now.Add(time.Hour)
				if w.settle(); w.revoked(cert) {
					t.Errorf("%s: the certificate was revoked", row)
				}
			}
		}
	})
}
