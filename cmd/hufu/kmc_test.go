package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hufu/ca/kmc"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/store/storetest"
)

// pemPair writes a self-signed P-256 certificate and its key, and returns their files.
func pemPair(t *testing.T, dir, name string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	for file, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}

// apart are a key management centre and an authority, each a server with database, device and log of its own.
type apart struct {
	*walker     // at the authority
	t           *testing.T
	centre      *server
	authority   *server
	at          string // of the centre
	centreFiles [2]string
	client      [2]string // certificate and key of the authority
}

func (a *apart) must(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// run opens and serves until the test ends.
func (a *apart) run(cfg Config, l net.Listener, o openOptions) *server {
	a.t.Helper()
	cfg.fill()
	a.must(cfg.check())
	o.create, o.migrate, o.log = true, true, slog.New(slog.DiscardHandler)
	s, err := open(a.t.Context(), cfg, o)
	a.must(err)
	ctx, stop := context.WithCancel(context.WithoutCancel(a.t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	a.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			a.t.Error(err)
		}
		if err := s.Close(); err != nil {
			a.t.Error(err)
		}
	})
	return s
}

func startApart(t *testing.T, dsn string) *apart {
	dir := t.TempDir()
	a := &apart{t: t}
	a.centreFiles[0], a.centreFiles[1] = pemPair(t, dir, "centre")
	a.client[0], a.client[1] = pemPair(t, dir, "province")
	other, _ := pemPair(t, dir, "other")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	a.must(err)
	a.at = "https://" + l.Addr().String()
	cfg := Config{
		Data: filepath.Join(dir, "centre"), Listen: l.Addr().String(), Database: dsn, TLS: TLS{Certificate: a.centreFiles[0], Key: a.centreFiles[1]},
		KMC: KMC{Pool: 8, Clients: []KMCClient{{"province", a.client[0]}, {"other", other}}},
	}
	a.centre = a.run(cfg, l, openOptions{roles: rolesKMC})
	l, err = net.Listen("tcp", "127.0.0.1:0")
	a.must(err)
	cfg = Config{
		Data: filepath.Join(dir, "authority"), Listen: l.Addr().String(),
		KMC: KMC{URL: a.at, CAFile: a.centreFiles[0], Certificate: a.client[0], KeyFile: a.client[1]},
	}
	cfg.fill()
	a.authority = a.run(cfg, l, openOptions{roles: rolesButKMC, demo: true})
	a.walker, err = newWalker(cfg.URL)
	a.must(err)
	return a
}

// as logs somebody of the sample province in.
func (a *apart) as(account, capacity string) string {
	a.t.Helper()
	got, err := a.login(a.t.Context(), toolClient, account, samplePassword, capacity)
	a.must(err)
	return got.Access
}

// roles gives an official of the sample roles in his or her post.
func (a *apart) roles(account string, roles ...actor.Role) {
	a.t.Helper()
	person := a.authority.demo.people[account]
	ways, err := a.authority.identity.Capacities(a.t.Context(), person)
	a.must(err)
	for _, w := range ways {
		if w.PostID != "" {
			a.must(a.authority.identity.SetRoles(a.t.Context(), actor.ForSystem("test"), w.PostID, roles))
		}
	}
}

type issuedPair struct {
	Certificates []struct{ Serial string }
	Envelope     []byte
	Response     []byte
	CFCA         string
}

// certify has a pair of certificates issued for the citizen, by a request of a key of hers.
func (a *apart) certify(token string, csr []byte) (got issuedPair) {
	a.t.Helper()
	var app struct{ ID string }
	in := map[string]any{"profile": "person-sign", "csr": string(certs.EncodePEM("CERTIFICATE REQUEST", csr))}
	a.must(a.call(a.t.Context(), token, "POST", "/api/v1/applications", in, &app))
	a.must(a.call(a.t.Context(), token, "POST", "/api/v1/applications/"+app.ID+"/issue", nil, &got))
	return got
}

func (a *apart) request() (*gm.PrivateKey, []byte) {
	a.t.Helper()
	key, err := gm.GenerateKey()
	a.must(err)
	csr, err := certs.NewRequest(key, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: "x"}), certs.RequestOptions{})
	a.must(err)
	return key, csr
}

// A centre of its own beside an authority: an application goes to the pair of certificates in both forms, a lost key comes back
// by k officers, whoever's role ended does not count, and strangers get nothing.
func TestCentreAndAuthorityApart(t *testing.T) {
	t.Parallel()
	dsns := storetest.DSNs(t)
	dsn := dsns["postgres"]
	if dsn == "" {
		dsn = dsns["sqlite"]
	}
	a := startApart(t, dsn)
	if a.authority.kmc != nil || a.centre.ca != nil {
		t.Fatal("the parts are not apart")
	}
	citizen := a.as("wangxiaoya", "person")
	first, csr := a.request()
	issued := a.certify(citizen, csr)
	lost, err := certs.OpenEnvelopedKey(issued.Envelope, first)
	a.must(err)
	response, err := certs.ParseDualResponse(issued.Response)
	a.must(err)
	if _, encryption, err := response.Leaves(first.Public()); err != nil || !certs.SameKey(encryption.PublicKey, lost.Public()) {
		t.Errorf("the response of GM/T 0092: %v", err)
	}
	a.cfca(citizen)
	a.recover(citizen, lost)
	t.Run("strangers", func(t *testing.T) { a.strangers(t) })
	t.Run("only its own routes", func(t *testing.T) { a.onlyItsRoutes(t) })
}

// cfca asks in the form of CFCA.
func (a *apart) cfca(token string) {
	a.t.Helper()
	key, err := gm.GenerateKey()
	a.must(err)
	temporary, err := gm.GenerateKey()
	a.must(err)
	csr, err := certs.NewCFCARequest(key, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: "x"}), temporary.Public().(*ecdsa.PublicKey), "111111")
	a.must(err)
	issued := a.certify(token, csr)
	if _, err := certs.OpenCFCAKey([]byte(issued.CFCA), temporary); err != nil || issued.Envelope != nil {
		a.t.Errorf("the form of CFCA: %v", err)
	}
}

func (a *apart) recover(citizen string, lost *gm.PrivateKey) {
	t, ctx := a.t, a.t.Context()
	fresh, csr := a.request()
	issued := a.certify(citizen, csr)
	history := a.history(citizen)
	ask := map[string]any{"kind": "holder", "reason": "token lost", "serials": []string{history[len(history)-1]}, "recipient": issued.Certificates[1].Serial}
	var r recoveryItem
	if err := a.call(ctx, citizen, "POST", "/api/v1/recoveries", ask, &r); err == nil || !strings.Contains(err.Error(), "kmc.recipient") {
		t.Errorf("recovered to an encryption key: %v", err)
	}
	ask["recipient"] = issued.Certificates[0].Serial
	a.must(a.call(ctx, citizen, "POST", "/api/v1/recoveries", ask, &r))
	path := "/api/v1/recoveries/" + r.ID
	take := map[string]any{"receipt": rand.Text()}
	yes := map[string]any{"approve": true}
	a.must(a.call(ctx, a.as("linwei", "official"), "POST", path+"/decision", yes, nil))
	if err := a.call(ctx, citizen, "POST", path+"/take", take, nil); err == nil || !strings.Contains(err.Error(), "kmc.quorum") {
		t.Errorf("taken with one approval: %v", err)
	}
	a.must(a.call(ctx, a.as("tangyu", "official"), "POST", path+"/decision", yes, nil))
	a.roles("linwei", actor.RoleRegistrar)
	if err := a.call(ctx, citizen, "POST", path+"/take", take, nil); err == nil || !strings.Contains(err.Error(), "kmc.quorum") {
		t.Errorf("taken though an approver's role had ended: %v", err)
	}
	a.roles("linwei", actor.RoleRecoveryOfficer)
	if err := a.call(ctx, citizen, "POST", path+"/take", take, nil); err == nil || !strings.Contains(err.Error(), "kmc.quorum") {
		t.Errorf("taken though an approver got the role anew behind the approval: %v", err)
	}
	var got struct {
		Keys []struct{ Envelope []byte }
	}
	a.late(path, &r, yes)
	a.must(a.call(ctx, citizen, "POST", path+"/take", take, &got))
	opened, err := certs.OpenEnvelopedKey(got.Keys[0].Envelope, fresh)
	if err != nil || !bytes.Equal(opened.Bytes(), lost.Bytes()) {
		t.Errorf("another key came back: %v", err)
	}
	if err := a.call(ctx, citizen, "POST", path+"/take", map[string]any{"receipt": rand.Text()}, nil); err == nil || !strings.Contains(err.Error(), "kmc.taken") {
		t.Errorf("taken twice: %v", err)
	}
}

// late lets a further officer approve what had its quorum already, since one of them does not count any more.
func (a *apart) late(path string, r *recoveryItem, yes map[string]any) {
	a.t.Helper()
	a.must(a.call(a.t.Context(), a.as("fangmin", "official"), "POST", path+"/decision", yes, r))
	if len(r.Approvals) != 3 {
		a.t.Errorf("%d approvals", len(r.Approvals))
	}
}

// history waits until the centre was told the certificates, and lists them, the oldest key last.
func (a *apart) history(token string) (serials []string) {
	a.t.Helper()
	for range 100 {
		var all items[struct{ Serials []string }]
		a.must(a.call(a.t.Context(), token, "GET", "/api/v1/encryption-keys", nil, &all))
		serials = nil
		for _, k := range all.Items {
			serials = append(serials, k.Serials...)
		}
		if len(serials) == len(all.Items) && len(serials) >= 3 {
			return serials
		}
		time.Sleep(100 * time.Millisecond)
	}
	a.t.Fatalf("the centre was not told the certificates: %v", serials)
	return nil
}

// https calls the centre with what is shown.
func (a *apart) https(t *testing.T, path, body string, shown ...tls.Certificate) (int, string, error) {
	t.Helper()
	roots := x509.NewCertPool()
	text, err := os.ReadFile(a.centreFiles[0])
	a.must(err)
	roots.AppendCertsFromPEM(text)
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: shown, MinVersion: tls.VersionTLS13}}}
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(t.Context(), method, a.at+path, strings.NewReader(body))
	a.must(err)
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(said), err
}

func (a *apart) strangers(t *testing.T) {
	const call = `{"by":{"Capacity":"system","Name":"x"},"body":{"subject":"%s"}}`
	body := fmt.Sprintf(call, a.authority.demo.people["wangxiaoya"])
	if status, said, err := a.https(t, "/kmc/v1/history", body); err != nil || status != http.StatusForbidden {
		t.Errorf("without a certificate: %d %s %v", status, said, err)
	}
	dir := t.TempDir()
	load := func(certificate, key string) tls.Certificate {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			t.Fatal(err)
		}
		return pair
	}
	if status, said, err := a.https(t, "/kmc/v1/history", body, load(pemPair(t, dir, "stranger"))); err == nil {
		t.Errorf("with an unregistered certificate: %d %s", status, said)
	}
	other := filepath.Join(filepath.Dir(a.client[0]), "other")
	if status, said, err := a.https(t, "/kmc/v1/history", body, load(other+".pem", other+".key")); err != nil || status != http.StatusOK || strings.TrimSpace(said) != "[]" {
		t.Errorf("another authority sees: %d %s %v", status, said, err)
	}
	if status, said, err := a.https(t, "/kmc/v1/history", body, load(a.client[0], a.client[1])); err != nil || status != http.StatusOK || !strings.Contains(said, "serials") {
		t.Errorf("the authority itself: %d %s %v", status, said, err)
	}
}

func (a *apart) onlyItsRoutes(t *testing.T) {
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/pki/log/checkpoint": 200, "/": 404, "/login": 404, "/api/v1/keys": 404, "/pki/ocsp": 404, "/kmc/v1/provide": 405} {
		if status, said, err := a.https(t, path, ""); err != nil || status != want {
			t.Errorf("%s: %d %s %v, want %d", path, status, said, err, want)
		}
	}
	if held := a.count(t); held < 3 {
		t.Errorf("%d keys in escrow at the centre", held)
	}
}

func (a *apart) count(t *testing.T) (held int) {
	t.Helper()
	a.must(a.centre.db.KMC().View(t.Context(), func(r kmc.R) (err error) {
		held, _, err = r.Count("province")
		return err
	}))
	return held
}
