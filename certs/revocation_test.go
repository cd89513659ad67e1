package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"hufu/internal/gm"
)

// day is the time at which all that these tests make is good.
var day = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)

// party is a certificate with its key, made by another implementation.
type party struct {
	*Certificate
	key crypto.Signer
}

// sign returns what the other implementation's functions take as a private key.
func (p party) template(t testing.TB) *smx509.Certificate {
	t.Helper()
	c, err := smx509.ParseCertificate(p.Raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

type certOption func(*smx509.Certificate)

func withEKU(usages ...smx509.ExtKeyUsage) certOption {
	return func(c *smx509.Certificate) { c.ExtKeyUsage = usages }
}

func withCRLPoint(uri string) certOption {
	return func(c *smx509.Certificate) { c.CRLDistributionPoints = []string{uri} }
}

func validFrom(from, to time.Time) certOption {
	return func(c *smx509.Certificate) { c.NotBefore, c.NotAfter = from, to }
}

func withUsage(u smx509.KeyUsage) certOption { return func(c *smx509.Certificate) { c.KeyUsage = u } }

// critical lets the extended key usage be critical, as RFC 3161 wants of a time-stamp certificate.
func critical(t testing.TB, value string) certOption {
	return func(c *smx509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: []int{2, 5, 29, 37}, Critical: true, Value: []byte(value)})
	}
}

func newKey(t testing.TB, sm2 bool) crypto.Signer {
	t.Helper()
	if sm2 {
		return newSM2(t)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var serials int64 = 0x1122334400

// newCA makes a self-signed authority.
func newCA(t testing.TB, name string, sm2 bool, options ...certOption) party {
	return issue(t, party{}, name, sm2, append([]certOption{func(c *smx509.Certificate) {
		c.IsCA, c.BasicConstraintsValid = true, true
		c.KeyUsage = smx509.KeyUsageCertSign | smx509.KeyUsageCRLSign | smx509.KeyUsageDigitalSignature
	}}, options...)...)
}

// issue makes a certificate under ca, or a self-signed one when ca is empty.
func issue(t testing.TB, ca party, name string, sm2 bool, options ...certOption) party {
	t.Helper()
	key := newKey(t, sm2)
	serials++
	spki, err := MarshalPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	id := gm.SM3(spki)
	template := &smx509.Certificate{
		SerialNumber: big.NewInt(serials), Subject: pkix.Name{Country: []string{"CN"}, CommonName: name},
		NotBefore: day.AddDate(-1, 0, 0), NotAfter: day.AddDate(9, 0, 0), SubjectKeyId: id[:20],
		KeyUsage: smx509.KeyUsageDigitalSignature,
	}
	for _, o := range options {
		o(template)
	}
	parent := template
	signer := key
	if ca.key != nil {
		parent, signer = ca.template(t), ca.key
	}
	der, err := smx509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return party{c, key}
}

// openssl runs the command in a folder and returns its output; most of its subcommands tell failure there only.
func openssl(t *testing.T, dir string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") == "" {
			t.Skip("openssl is not installed")
		}
		t.Fatal("openssl is not installed")
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	out, _ := cmd.CombinedOutput()
	return string(out)
}

func writeFile(t *testing.T, dir, name string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func readFile(t *testing.T, dir, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
