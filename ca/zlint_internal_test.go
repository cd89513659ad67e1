package ca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	zrules "github.com/zmap/zlint/v3/lint"

	"hufu/certs"
	"hufu/configs"
)

// notApplicable are rules of RFCs that a profile breaks in the shadow, with the reason: what is not in the list must not fire,
// and what is in it must.
var notApplicable = map[string]struct {
	why  string
	when func(p *Profile) bool
}{
	"e_ecdsa_allowed_ku": {
		"RFC 8813, 3 forbids P-256 keys to encipher; the real key is SM2, which does (GM/T 0009), and P-256 comes from the shadow alone",
		func(p *Profile) bool { return p.KeyFrom == keyFromKMC },
	},
}

// A second opinion: zlint reads no SM2, so it gets a shadow, the same certificate with a throw-away P-256 key and issuer.
// Only rules of RFCs count; those of the CA/Browser Forum are for the Web's own certificates.
func TestZlintFindsNothingInAnyProfile(t *testing.T) {
	registry, err := zrules.GlobalRegistry().Filter(zrules.FilterOptions{IncludeSources: zrules.SourceList{
		zrules.RFC3279, zrules.RFC5280, zrules.RFC5480, zrules.RFC5891, zrules.RFC6960, zrules.RFC6962, zrules.RFC8813,
	}})
	if err != nil {
		t.Fatal(err)
	}
	profiles, err := ParseProfiles(configs.Files, "profiles")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(profiles)) {
		t.Run(name, func(t *testing.T) {
			b := newWorkbench(t, name)
			shadow := b.shadow()
			c, err := x509.ParseCertificate(shadow)
			if err != nil {
				t.Fatal(err)
			}
			passed, excused := 0, 0
			for code, result := range zlint.LintCertificateEx(c, registry).Results {
				if result.Status == zrules.Pass {
					passed++
				}
				if result.Status != zrules.Warn && result.Status != zrules.Error && result.Status != zrules.Fatal {
					continue
				}
				if known, ok := notApplicable[code]; ok && known.when(profiles[name]) {
					excused++
					continue
				}
				t.Errorf("%s: %s %s", code, result.Status, result.Details)
			}
			for code, known := range notApplicable {
				if known.when(profiles[name]) {
					if excused--; excused < 0 {
						t.Errorf("%s does not fire any more: take it off the list (%s)", code, known.why)
					}
				}
			}
			if passed < 20 {
				t.Errorf("only %d lints had something to look at", passed)
			}
		})
	}
}

// shadow is the certificate with another key and issuer's key: signed, and held against the real one byte for byte but
// for signature algorithm, key, and the two key identifiers.
func (b *workbench) shadow() []byte {
	b.t.Helper()
	subject, issuer := shadowKey(b.t), shadowKey(b.t)
	t := b.good
	t.PublicKey = subject.Public()
	self := b.p.chain == nil
	if self {
		issuer = subject
	}
	id, err := certs.SubjectKeyID(issuer.Public())
	if err != nil {
		b.t.Fatal(err)
	}
	if !self {
		t.AuthorityKeyID = id
	}
	c, err := certs.Create(t, issuer)
	if err != nil {
		b.t.Fatal(err)
	}
	if !bytes.Equal(blank(b.t, b.tbs), blank(b.t, c.RawTBS)) {
		b.t.Fatal("the shadow is another certificate")
	}
	return c.Raw
}

func shadowKey(t *testing.T) crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// blank is a to-be-signed part without what a shadow has of its own.
func blank(t *testing.T, tbs []byte) []byte {
	t.Helper()
	c, err := certs.ParseTBS(tbs)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for i, element := range elements(t, tbs) {
		if i == 2 || i == 6 || i == 7 {
			continue
		}
		out = append(out, element...)
	}
	for _, e := range c.Extensions {
		line := string(e.ID) + " " + strings.Repeat("critical", map[bool]int{true: 1}[e.Critical])
		if e.ID != certs.OIDSubjectKeyID && e.ID != certs.OIDAuthorityKeyID {
			line += string(e.Value)
		}
		out = append(out, line...)
	}
	return out
}
