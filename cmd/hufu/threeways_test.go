package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hufu/audit/tree"
	"hufu/certs"
	"hufu/certs/cmp"
	"hufu/hsm/hsmtest"
	"hufu/internal/gm"
	"hufu/store/storetest"
)

// TestAnApplicationGoesThreeWays: the issuing key is in a token, the database is PostgreSQL where there is one, and a
// certificate is asked for by the API, by CMP and by EST, over HTTP, with an officer's decision in between. openssl judges
// each certificate, and each of them, its approval and its revocation stand in the log.
func TestAnApplicationGoesThreeWays(t *testing.T) {
	t.Parallel()
	dsns := storetest.DSNs(t)
	dsn := dsns["postgres"]
	if dsn == "" {
		dsn = dsns["sqlite"]
	}
	w := &ways{&onHardware{victim: newVictim(t, dsn), token: hsmtest.Token(t, "neutral")}}
	w.configure("authorities: [root-p256, issuing-p256]\n")
	w.start()
	w.must(awaitAnswer(t.Context(), w.base, "/readyz"))
	w.logIn()
	for name, way := range map[string]func(context.Context) (*certs.Certificate, string){"API": w.byAPI, "CMP": w.byCMP, "EST": w.byEST} {
		cert, application := way(t.Context())
		w.judge(name, cert)
		w.logged(name, "application", application, "application.submit")
		w.logged(name, "certificate", cert.SerialHex(), "certificate.issue")
		w.must(w.call(t.Context(), w.chief.Access, "POST", "/api/v1/certificates/"+cert.SerialHex()+"/revocation", map[string]any{"reason": "superseded"}, nil))
		w.logged(name, "certificate", cert.SerialHex(), "certificate.revoke")
		if name != "API" { // there a well-known citizen needs no officer
			w.logged(name, "application", application, "application.approve")
		}
	}
}

// ways are how a certificate is come by.
type ways struct{ *onHardware }

func (w *ways) key() *gm.PrivateKey {
	key, err := gm.GenerateKey()
	w.must(err)
	return key
}

func (w *ways) byAPI(ctx context.Context) (*certs.Certificate, string) {
	key := w.key()
	csr, err := certs.NewRequest(key, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: "x"}), certs.RequestOptions{})
	w.must(err)
	id, serials, err := w.ask(ctx, "three-ways", string(certs.EncodePEM("CERTIFICATE REQUEST", csr)))
	w.must(err)
	a, err := w.send(ctx, "GET", w.base+"/api/v1/certificates/"+serials[0], "", nil, "Authorization", "Bearer "+w.citizen.Access, "Accept", "application/pkix-cert")
	w.must(err)
	cert, err := certs.Parse(a.body)
	w.must(err)
	if !certs.SameKey(cert.PublicKey, key.Public()) {
		w.t.Error("the certificate has another key")
	}
	return cert, id
}

// secret has the registrar make one for the sample company.
func (w *ways) secret(ctx context.Context, profile string) (id, value string) {
	var made struct{ ID, Secret string }
	w.must(w.call(ctx, w.officer.Access, "POST", "/api/v1/enrolment/secrets", map[string]any{"profile": profile, "holder": w.company}, &made))
	return made.ID, made.Secret
}

// approve has another officer decide on the only application that waits.
func (w *ways) approve(ctx context.Context, profile string) string {
	var waiting struct {
		Items []struct{ ID, Profile string }
	}
	w.must(w.call(ctx, w.chief.Access, "GET", "/api/v1/applications?state=submitted&profile="+profile, nil, &waiting))
	if len(waiting.Items) != 1 {
		w.t.Fatalf("%d applications wait", len(waiting.Items))
	}
	w.must(w.call(ctx, w.chief.Access, "POST", "/api/v1/applications/"+waiting.Items[0].ID+"/decision", map[string]any{"approve": true}, nil))
	return waiting.Items[0].ID
}

func (w *ways) byCMP(ctx context.Context) (*certs.Certificate, string) {
	key := w.key()
	id, value := w.secret(ctx, "tls-client")
	client := &cmp.Client{Reference: []byte(id), Secret: []byte(value)}
	x, err := client.NewExchange(false)
	w.must(err)
	der, err := certs.NewRequestMessage(key, certs.RequestMessageOptions{Subject: certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: "gateway-1"})})
	w.must(err)
	request, err := certs.ParseRequestMessage(der)
	w.must(err)
	said := w.cmp(ctx, x, cmp.Body{Kind: cmp.IR, Requests: []*certs.RequestMessage{request}})
	if _, _, err := said.Granted(); err == nil {
		w.t.Fatal("nobody had to decide")
	}
	application := w.approve(ctx, "tls-client")
	said = w.cmp(ctx, x, cmp.Body{Kind: cmp.PollReq, Polls: []cmp.Poll{{ID: request.ID}}})
	cert, number, err := said.Granted()
	w.must(err)
	dual, ok := said.Header.Info(cmp.OIDDualResponse)
	if !ok {
		w.t.Fatal("no encryption pair came along")
	}
	w.opens(dual, key)
	accept, err := cmp.Accept(cert, number)
	w.must(err)
	if said = w.cmp(ctx, x, accept); said.Body.Kind != cmp.PKIConf {
		w.t.Errorf("the confirmation was answered with kind %d", said.Body.Kind)
	}
	return cert, application
}

func (w *ways) cmp(ctx context.Context, x *cmp.Exchange, body cmp.Body) *cmp.Message {
	w.t.Helper()
	der, err := x.Message(body, time.Now())
	w.must(err)
	a, err := w.send(ctx, "POST", w.base+"/.well-known/cmp", "application/pkixcmp", der)
	w.must(err)
	m, err := x.Take(a.body, nil)
	if err != nil {
		w.t.Fatalf("answer %d %s: %v", a.status, firstLine(a.body), err)
	}
	return m
}

// opens recovers the encryption key with the signing key.
func (w *ways) opens(dual []byte, key *gm.PrivateKey) {
	w.t.Helper()
	r, err := certs.ParseDualResponse(dual)
	w.must(err)
	_, encrypt, err := r.Leaves(key.Public())
	w.must(err)
	delivered, err := certs.OpenEnvelopedKey(r.Envelope, key)
	w.must(err)
	if !certs.SameKey(delivered.Public(), encrypt.PublicKey) {
		w.t.Error("the key that was delivered is not the certificate's")
	}
}

// byEST is for P-256: a profile with an encryption pair is not given by EST, which has no place for the pair.
func (w *ways) byEST(ctx context.Context) (*certs.Certificate, string) {
	const profile = "tls-client-p256"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	id, value := w.secret(ctx, profile)
	csr, err := certs.NewRequest(key, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: "gateway-2"}), certs.RequestOptions{})
	w.must(err)
	post := func() answer {
		a, err := w.send(ctx, "POST", w.base+"/.well-known/est/"+profile+"/simpleenroll", "application/pkcs10",
			[]byte(base64.StdEncoding.EncodeToString(csr)), "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(id+":"+value)))
		w.must(err)
		return a
	}
	if a := post(); a.status != http.StatusAccepted {
		w.t.Fatalf("EST: %d %s", a.status, firstLine(a.body))
	}
	application := w.approve(ctx, profile)
	a := post()
	if a.status != http.StatusOK {
		w.t.Fatalf("EST after the approval: %d %s", a.status, firstLine(a.body))
	}
	der, err := base64.StdEncoding.DecodeString(string(bytes.Join(bytes.Fields(a.body), nil)))
	w.must(err)
	all, err := certs.ParseCertificates(der)
	w.must(err)
	for _, c := range all {
		if certs.SameKey(c.PublicKey, key.Public()) {
			return c, application
		}
	}
	w.t.Fatalf("none of %d certificates is the holder's", len(all))
	return nil, ""
}

// judge has openssl check the certificate under the authority's.
func (w *ways) judge(name string, cert *certs.Certificate) {
	w.t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") != "" {
			w.t.Fatal(err)
		}
		return
	}
	authority, identifier := "issuing", []string{"-vfyopt", "distid:1234567812345678"}
	if !gm.IsSM2(cert.PublicKey) {
		authority, identifier = "issuing-p256", nil
	}
	der, err := w.get(w.t.Context(), "/pki/ca/"+authority+".cer")
	w.must(err)
	dir := w.t.TempDir()
	issuing, leaf := filepath.Join(dir, "issuing.pem"), filepath.Join(dir, "leaf.pem")
	w.must(os.WriteFile(issuing, certs.EncodePEM("CERTIFICATE", der), 0o600))
	w.must(os.WriteFile(leaf, cert.PEM(), 0o600))
	out, _ := exec.Command("openssl", append(append([]string{"verify", "-partial_chain", "-trusted", issuing}, identifier...), leaf)...).CombinedOutput()
	if !strings.Contains(string(out), "leaf.pem: OK") {
		w.t.Errorf("%s: openssl: %s", name, out)
	}
}

// logged wants a proof that an act about something stands in the log, and that it holds under the log's key.
func (w *ways) logged(name, kind, id, action string) {
	w.t.Helper()
	text, err := w.get(w.t.Context(), "/pki/log/log.vkey")
	w.must(err)
	key, err := tree.ParseKey(strings.TrimSpace(string(text)))
	w.must(err)
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		for _, one := range w.proofs(kind, id) {
			proof, err := tree.ParseProof([]byte(one))
			w.must(err)
			if !bytes.Contains(proof.Entry, fmt.Appendf(nil, `"action":%q`, action)) {
				continue
			}
			if _, err := proof.Verify(key, nil, 0); err != nil {
				w.t.Errorf("%s: %s of %s: %v", name, action, id, err)
			}
			return
		}
	}
	w.t.Errorf("%s: no proof of %s of %s", name, action, id)
}

// proofs are those of all acts about something that a signed checkpoint covers: of certificates by the API.
func (w *ways) proofs(kind, id string) []string {
	if kind == "certificate" {
		var all struct{ Proofs []string }
		_ = w.call(w.t.Context(), w.officer.Access, "GET", "/api/v1/certificates/"+id+"/proof", nil, &all) // none yet
		return all.Proofs
	}
	const begin = "c2sp.org/tlog-proof@v1\n"
	text, _ := w.get(w.t.Context(), "/pki/log/proof?kind="+kind+"&object="+url.QueryEscape(id))
	var all []string
	for _, one := range strings.Split(string(text), begin)[1:] {
		all = append(all, begin+strings.TrimRight(one, "\n")+"\n")
	}
	return all
}
