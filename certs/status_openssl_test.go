package certs

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"
)

// A CA that openssl made, with P-256 and with RSA: openssl verifies our list, our delta and our answers, under each hash that
// it names certificates by. It is judged by what it prints: its exit codes say nothing.
func TestStatusOfP256AndRSAByOpenSSL(t *testing.T) {
	for name, kind := range map[string][2][]string{
		"p256": {{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}, {"-sha256"}},
		"rsa":  {{"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}, {"-sha256"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			chain := opensslChain(t, dir, kind[0], kind[1])
			block, _ := pem.Decode(readFile(t, dir, "ca.key"))
			key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			ca := party{chain[1], key.(crypto.Signer)}
			now := time.Now().UTC().Truncate(time.Second)
			opensslReadsLists(t, dir, ca, chain[2], now)
			for _, hash := range []string{"-sha1", "-sha256"} {
				opensslReadsAnswers(t, dir, ca, hash, now)
			}
		})
	}
}

func opensslReadsLists(t *testing.T, dir string, ca party, leaf *Certificate, now time.Time) {
	t.Helper()
	template := crlTemplate(ca, []CRLEntry{{Serial: leaf.Serial, RevokedAt: now, Reason: ReasonCertificateHold}})
	template.ThisUpdate, template.NextUpdate = now, now.Add(time.Hour)
	template.Distribution = &IssuingDistributionPoint{URIs: []string{"http://ca.example/crl/1"}}
	template.FreshestCRL = []string{"http://ca.example/crl/1-delta"}
	writeFile(t, dir, "a.crl", writeCRL(t, template, ca))
	template.FreshestCRL, template.BaseNumber = nil, 6
	writeFile(t, dir, "d.crl", writeCRL(t, template, ca))
	for file, want := range map[string]string{"a.crl": "URI:http://ca.example/crl/1-delta", "d.crl": "X509v3 Delta CRL Indicator: critical"} {
		out := openssl(t, dir, "crl", "-inform", "DER", "-in", file, "-CAfile", "ca.pem", "-noout", "-text")
		for _, want := range []string{want, "verify OK", "X509v3 Issuing Distribution Point: critical", "Certificate Hold"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: openssl does not say %q:\n%s", file, want, out)
			}
		}
	}
}

func opensslReadsAnswers(t *testing.T, dir string, ca party, hash string, now time.Time) {
	t.Helper()
	openssl(t, dir, "ocsp", "-issuer", "ca.pem", hash, "-cert", "leaf.pem", hash, "-cert", "ca.pem", "-reqout", "req.der", "-nonce")
	request, err := ParseOCSPRequest(readFile(t, dir, "req.der"))
	if err != nil || len(request.IDs) != 2 || !request.IDs[0].Names(ca.Certificate) {
		t.Fatalf("%+v, %v", request, err)
	}
	template := OCSPTemplate{Nonce: request.Nonce, Responder: ca.Certificate, ProducedAt: now}
	for i, id := range request.IDs {
		template.Answers = append(template.Answers, OCSPAnswer{
			ID: id, Status: []OCSPStatus{OCSPRevoked, OCSPUnknown}[i], RevokedAt: now, Reason: ReasonCertificateHold, ThisUpdate: now, NextUpdate: now.Add(time.Hour),
		})
	}
	der, err := BuildOCSPResponse(template, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "resp.der", der)
	same := openssl(t, dir, "ocsp", "-reqin", "req.der", "-respin", "resp.der", "-issuer", "ca.pem", "-VAfile", "ca.pem")
	if !strings.Contains(same, "Response verify OK") || strings.Contains(same, "once") {
		t.Errorf("%s: with the nonce: %s", hash, same)
	}
	// With -cert openssl makes up a nonce of its own, which nobody was asked for.
	out := openssl(t, dir, "ocsp", "-no_nonce", "-reqin", "req.der", "-respin", "resp.der", "-issuer", "ca.pem", "-VAfile", "ca.pem",
		hash, "-cert", "leaf.pem", hash, "-cert", "ca.pem")
	for _, want := range []string{"Response verify OK", "leaf.pem: revoked", "certificateHold", "ca.pem: unknown"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s: openssl does not say %q:\n%s", hash, want, out)
		}
	}
	der[len(der)-1] ^= 1
	writeFile(t, dir, "resp.der", der)
	if out := openssl(t, dir, "ocsp", "-reqin", "req.der", "-respin", "resp.der", "-issuer", "ca.pem", "-VAfile", "ca.pem"); strings.Contains(out, "Response verify OK") {
		t.Errorf("%s: a changed answer verifies", hash)
	}
}
