package enrol_test

import (
	"crypto"
	"errors"
	"fmt"
	"testing"
	"time"

	"hufu/ca"
	"hufu/ca/enrol"
	"hufu/certs"
	"hufu/certs/cmp"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// After each gap in which the server may die: the same message again gives one certificate, and silence leaves none that
// counts.
func TestCrashesLeaveNoCertificateThatNobodyKnows(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for where, updates := range map[string]int{"enrol": 4, "ca": 3} { // as many as an answer takes; the next one is none of them
			for n := 1; n <= updates+1; n++ {
				for _, before := range []bool{true, false} {
					again := before == (n%2 == 0)
					w.crash(fmt.Sprintf("%s update %d, before %t, asked again %t", where, n, before, again), where, n, before, again)
					if n > 2 {
						w.crash(fmt.Sprintf("%s update %d, before %t, asked again %t", where, n, before, !again), where, n, before, !again)
					}
				}
			}
		}
	})
}

func (w *world) crash(row, where string, n int, before, again bool) {
	t := w.t
	t.Helper()
	secret := w.secret(enrol.Order{Profile: "device", Holder: "e1"})
	key := newKey(t, "sm2")
	x := w.begin(bySecret(secret), false)
	der, err := x.Message(request(t, cmp.IR, key, certs.RequestMessageOptions{}), w.now)
	if err != nil {
		t.Fatal(err)
	}
	known := len(w.certificatesOf("e1", "device"))
	faults := &w.store.crashes
	if where == "ca" {
		faults = &w.ca.crashes
	}
	faults.failAt(n, before)
	_, err = w.Answer(t.Context(), der, "")
	faults.failAt(0, false)
	if err != nil && !errors.Is(err, errCrash) {
		t.Fatalf("%s: %v", row, err)
	}
	w.open(func(*enrol.Config) {})
	if _, err := w.CA.Recover(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if again {
		w.finish(row, x, der, key)
	}
	w.now = w.now.Add(time.Hour)
	w.settle()
	issued := w.certificatesOf("e1", "device")[:max(0, len(w.certificatesOf("e1", "device"))-known)]
	counting := 0
	for _, c := range issued {
		shown, err := w.CA.Shown(t.Context(), c.DER)
		if err != nil {
			t.Fatal(err)
		}
		if !shown.Revoked {
			counting++
		}
	}
	if want := map[bool]int{true: 1, false: 0}[again]; counting != want || len(issued) > 1 {
		t.Errorf("%s: %d certificates, of which %d count", row, len(issued), counting)
	}
}

// finish asks again as a peer does that got no answer, and confirms.
func (w *world) finish(row string, x *cmp.Exchange, der []byte, key crypto.Signer) {
	w.t.Helper()
	m, err := w.tell(x, "", der)
	if err != nil {
		w.t.Fatalf("%s: asked again: %v", row, err)
	}
	cert, id, err := m.Granted()
	if err != nil || !certs.SameKey(cert.PublicKey, key.Public()) {
		w.t.Fatalf("%s: asked again: %v", row, err)
	}
	body, err := cmp.Accept(cert, id)
	if err != nil {
		w.t.Fatal(err)
	}
	if m, err := w.ask(x, "", body); err != nil || m.Body.Kind != cmp.PKIConf {
		w.t.Fatalf("%s: confirmation: %v, %v", row, m, err)
	}
}

// submitted lists the applications that wait for an officer.
func (w *world) submitted() []ca.Application {
	w.t.Helper()
	apps, err := w.CA.Applications(w.t.Context(), actor.ForSystem("test"), ca.ApplicationFilter{State: ca.Submitted})
	if err != nil || len(apps) == 0 {
		w.t.Fatalf("%d applications, %v", len(apps), err)
	}
	return apps
}

// revocation is the body of a revocation request.
func revocation(t testing.TB, c *certs.Certificate, reason certs.Reason) cmp.Body {
	t.Helper()
	der, err := certs.NewRevocationTemplate(c)
	if err != nil {
		t.Fatal(err)
	}
	template, err := certs.ParseRequestTemplate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cmp.Body{Kind: cmp.RR, Revocations: []cmp.Revocation{{
		Template: template, Extensions: []certs.Extension{{ID: certs.OIDReasonCode, Value: []byte{10, 1, byte(reason)}}},
	}}}
}

// selfMade is a forger's certificate with the names and the serial of one of ours.
func selfMade(t testing.TB, key crypto.Signer, like *certs.Certificate) *certs.Certificate {
	t.Helper()
	alg, err := certs.SigningAlgorithm(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	tbs, err := certs.BuildTBS(certs.Template{
		Serial: like.Serial, Issuer: like.Issuer, Subject: like.Subject, NotBefore: like.NotBefore, NotAfter: like.NotAfter,
		PublicKey: key.Public(), SignatureAlgorithm: alg, KeyUsage: certs.UsageDigitalSignature,
	})
	if err != nil {
		t.Fatal(err)
	}
	alg, sig, err := certs.Sign(key, tbs)
	if err != nil {
		t.Fatal(err)
	}
	der, err := certs.Assemble(tbs, alg, sig)
	if err != nil {
		t.Fatal(err)
	}
	c, err := certs.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// openDual opens a dual-certificate response with the signing key, as a holder does.
func openDual(d *certs.DualResponse, key crypto.Signer) (sign, enc *certs.Certificate, err error) {
	sign, enc, err = d.Leaves(key.Public())
	if err != nil {
		return nil, nil, err
	}
	holder, ok := key.(*gm.PrivateKey)
	if !ok {
		return nil, nil, errors.New("not an SM2 key")
	}
	private, err := certs.OpenEnvelopedKey(d.Envelope, holder)
	if err != nil {
		return nil, nil, err
	}
	if !certs.SameKey(private.Public(), enc.PublicKey) {
		return nil, nil, errors.New("the enveloped key is not the certificate's")
	}
	return sign, enc, nil
}
