package enrol_test

import (
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hufu/ca/enrol"
	"hufu/certs"
)

// openssl runs a command of openssl in a folder; its exit code says little, so the files that it leaves are looked at.
func openssl(t *testing.T, dir string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") == "" {
			t.Skip("openssl is not installed")
		}
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Dir = dir
	out, _ := cmd.CombinedOutput()
	return string(out)
}

// written reads the only certificate in a file that openssl has written.
func written(t *testing.T, file, said string) *certs.Certificate {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("openssl has written no certificate: %v\n%s", err, said)
	}
	der, err := certs.DecodePEM(text, "CERTIFICATE")
	if err != nil {
		t.Fatal(err)
	}
	c, err := certs.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func writeKey(t *testing.T, file string, key any) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

func writeCertificate(t *testing.T, file string, c *certs.Certificate) {
	t.Helper()
	if err := os.WriteFile(file, certs.EncodePEM("CERTIFICATE", c.Raw), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestOpenSSLAsCMPClient goes with openssl through the life of a P-256 device: first certificate under a secret, another by
// PKCS#10, a new key, revocation; messages signed on both sides from the second on.
func TestOpenSSLAsCMPClient(t *testing.T) {
	once(t, func(t *testing.T, w *world) {
		w.now = time.Now()
		dir := t.TempDir()
		server := httptest.NewServer(w.Handler())
		t.Cleanup(server.Close)
		_, all := w.CA.Issuers()
		writeCertificate(t, filepath.Join(dir, "root.pem"), all["root-p256"])
		writeKey(t, filepath.Join(dir, "first.key"), newKey(t, "p256"))
		writeKey(t, filepath.Join(dir, "next.key"), newKey(t, "p256"))
		at := []string{"cmp", "-server", strings.TrimPrefix(server.URL, "http://"), "-path", ".well-known/cmp"}
		run := func(args ...string) string { return openssl(t, dir, append(append([]string{}, at...), args...)...) }
		under := func(s enrol.Secret) []string { return []string{"-ref", s.ID, "-secret", "pass:" + s.Value} }

		secret := w.secret(enrol.Order{Profile: "device-p256", Holder: "e1", Uses: 2})
		said := run(append(under(secret), "-cmd", "ir", "-newkey", "first.key", "-subject", "/CN=x", "-certout", "first.pem", "-cacertsout", "ca.pem", "-out_trusted", "root.pem")...)
		first := written(t, filepath.Join(dir, "first.pem"), said)
		if first.Subject.CommonName() != "水务一号站" {
			t.Errorf("certificate of %s", first.Subject)
		}
		if root := written(t, filepath.Join(dir, "ca.pem"), said); root.SerialHex() != all["root-p256"].SerialHex() {
			t.Errorf("caPubs holds %s", root.Subject)
		}
		openssl(t, dir, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ten.key", "-subj", "/CN=x", "-out", "ten.csr")
		said = run(append(under(secret), "-cmd", "p10cr", "-csr", "ten.csr", "-implicit_confirm", "-certout", "ten.pem")...)
		written(t, filepath.Join(dir, "ten.pem"), said)

		signed := []string{"-cert", "first.pem", "-key", "first.key", "-trusted", "root.pem"}
		said = run(append(signed, "-cmd", "cr", "-newkey", "next.key", "-subject", "/CN=x", "-certout", "other.pem")...)
		other := written(t, filepath.Join(dir, "other.pem"), said)
		writeKey(t, filepath.Join(dir, "third.key"), newKey(t, "p256"))
		said = run(append(signed, "-cmd", "kur", "-newkey", "third.key", "-certout", "third.pem")...)
		third := written(t, filepath.Join(dir, "third.pem"), said)
		if certs.SameKey(third.PublicKey, first.PublicKey) || !third.Subject.Equal(first.Subject) {
			t.Errorf("successor %s", third.Subject)
		}
		if said = openssl(t, dir, "verify", "-CAfile", "root.pem", "-untrusted", intermediates(t, dir, all["issuing-p256"]), "third.pem"); !strings.Contains(said, "third.pem: OK") {
			t.Errorf("chain: %s", said)
		}
		said = run("-cert", "other.pem", "-key", "next.key", "-trusted", "root.pem", "-cmd", "rr", "-oldcert", "other.pem", "-revreason", "4")
		if w.settle(); !w.revoked(other) || w.revoked(third) || w.revoked(first) {
			t.Errorf("revocation: %s", said)
		}
		said = run("-cert", "other.pem", "-key", "next.key", "-trusted", "root.pem", "-unprotected_errors", "-cmd", "cr", "-newkey", "ten.key", "-subject", "/CN=x", "-certout", "never.pem")
		if _, err := os.Stat(filepath.Join(dir, "never.pem")); err == nil || !strings.Contains(said, "signerNotTrusted") {
			t.Errorf("a revoked certificate got another: %s", said)
		}
	})
}

func intermediates(t *testing.T, dir string, c *certs.Certificate) string {
	t.Helper()
	writeCertificate(t, filepath.Join(dir, "issuing.pem"), c)
	return "issuing.pem"
}

// TestOpenSSLAsCMPClientIsRefused: what openssl may not have, it does not get; and what it says shows why.
func TestOpenSSLAsCMPClientIsRefused(t *testing.T) {
	once(t, func(t *testing.T, w *world) {
		w.now = time.Now()
		dir := t.TempDir()
		server := httptest.NewServer(w.Handler())
		t.Cleanup(server.Close)
		writeKey(t, filepath.Join(dir, "k.key"), newKey(t, "p256"))
		secret := w.secret(enrol.Order{Profile: "device-p256", Holder: "e1"})
		at := []string{"cmp", "-server", strings.TrimPrefix(server.URL, "http://"), "-unprotected_errors", "-newkey", "k.key", "-subject", "/CN=x", "-certout", "never.pem", "-cmd", "ir"}
		for name, c := range map[string]struct {
			args []string
			says string
		}{
			"a wrong secret":  {[]string{"-path", ".well-known/cmp", "-ref", secret.ID, "-secret", "pass:wrong"}, "badMessageCheck"},
			"another profile": {[]string{"-path", ".well-known/cmp/p/device", "-ref", secret.ID, "-secret", "pass:" + secret.Value}, "notAuthorized"},
			"raVerified":      {[]string{"-path", ".well-known/cmp", "-popo", "0", "-ref", secret.ID, "-secret", "pass:" + secret.Value}, "badPOP"},
		} {
			said := openssl(t, dir, append(append([]string{}, at...), c.args...)...)
			if _, err := os.Stat(filepath.Join(dir, "never.pem")); err == nil || !strings.Contains(said, c.says) {
				t.Errorf("%s: %s", name, said)
			}
		}
	})
}

// TestOpenSSLReadsESTAnswers: openssl finds the certificates in what EST hands out.
func TestOpenSSLReadsESTAnswers(t *testing.T) {
	once(t, func(t *testing.T, w *world) {
		dir := t.TempDir()
		secret := w.secret(enrol.Order{Profile: "device-p256", Holder: "e1"})
		rec := w.post("/.well-known/est/simpleenroll", typeCSR, csrFor(t, newKey(t, "p256"), name("x")), basic(secret.ID, secret.Value))
		cert := issuedBy(t, rec.Code, rec.Body.Bytes())
		text := "-----BEGIN PKCS7-----\n" + strings.ReplaceAll(rec.Body.String(), "\r", "") + "-----END PKCS7-----\n"
		if err := os.WriteFile(filepath.Join(dir, "p7.pem"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		said := openssl(t, dir, "pkcs7", "-in", "p7.pem", "-print_certs", "-out", "out.pem")
		if got := written(t, filepath.Join(dir, "out.pem"), said); got.SerialHex() != cert.SerialHex() {
			t.Errorf("openssl reads %s", got.SerialHex())
		}
	})
}
