package certs

import (
	"slices"
	"strings"
	"testing"
	"time"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func readOne(t *testing.T, id OID, value []byte) *Certificate {
	t.Helper()
	key := newSM2(t)
	f := newForge(t, key)
	f.extensions = ext(id, false, value)
	c, err := ParseLenient(f.make(t, key))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func uri(s string) []byte { return element(contextTag(nameURI), []byte(s)) }

// TestDistributionPoints: only a point for all reasons by the certificate's own issuer is one that clears a certificate.
func TestDistributionPoints(t *testing.T) {
	full := element(contextConstructed(0), element(contextConstructed(0), uri("http://a/1.crl"), uri("ldap://a/cn=x")))
	relative := element(contextConstructed(0), element(contextConstructed(1), seq(rawOID(OIDCommonName), utf8s("x"))))
	reasons := element(contextTag(1), []byte{1, 2})
	other := element(contextConstructed(2), element(contextConstructed(nameDirectory), seq(rdn(OIDCommonName, utf8s("x")))))
	for name, row := range map[string]struct {
		point []byte
		want  []string
		odd   bool
	}{
		"full":         {seq(full), []string{"http://a/1.crl", "ldap://a/cn=x"}, false},
		"some reasons": {seq(full, reasons), nil, false},
		"other issuer": {seq(full, other), nil, false},
		"relative":     {seq(relative), nil, false},
		"issuer only":  {seq(other), nil, false},
		"junk":         {seq(full, full), nil, true},
		"both names":   {seq(element(contextConstructed(0), element(contextConstructed(0), uri("http://a")), element(contextConstructed(1)))), nil, true},
	} {
		c := readOne(t, OIDCRLDistributionPoints, seq(row.point))
		if !slices.Equal(c.CRLPoints, row.want) || (len(c.NonStandard) > 0) != row.odd {
			t.Errorf("%s: %q %q", name, c.CRLPoints, c.NonStandard)
		}
	}
}

func TestPolicyQualifiers(t *testing.T) {
	policy := func(qualifiers ...[]byte) []byte { return seq(seq(rawOID("1.2.3"), seq(qualifiers...))) }
	notice := func(parts ...[]byte) []byte { return seq(rawOID(OIDQualifierNotice), seq(parts...)) }
	reference := seq(utf8s("org"), seq([]byte{2, 1, 1}))
	for name, row := range map[string]struct {
		der  []byte
		want Policy
		note string
	}{
		"notice with reference": {policy(notice(reference, utf8s("说明"))), Policy{ID: "1.2.3", Notice: "说明"}, ""},
		"reference alone":       {policy(notice(reference)), Policy{ID: "1.2.3"}, ""},
		"empty notice":          {policy(notice()), Policy{ID: "1.2.3"}, ""},
		"BMP notice":            {policy(notice(element(tagBMPString, []byte{0x8b, 0xf4, 0x66, 0x0e}))), Policy{ID: "1.2.3", Notice: "说明"}, ""},
		"universal notice":      {policy(notice(element(tagUniversalString, []byte{0, 0, 0x8b, 0xf4, 0xff, 0xff, 0xff, 0xff}))), Policy{ID: "1.2.3", Notice: "说\uFFFD"}, ""},
		"unknown qualifier":     {policy(seq(rawOID("1.2.9"), []byte{5, 0})), Policy{ID: "1.2.3"}, ""},
		"notice is a number":    {policy(notice([]byte{2, 1, 1})), Policy{ID: "1.2.3"}, "user notice"},
		"CPS with a blank":      {policy(seq(rawOID(OIDQualifierCPS), element(cbasn1.IA5String, []byte("a b")))), Policy{ID: "1.2.3"}, "CPS address"},
		"empty qualifiers":      {policy(), Policy{ID: "1.2.3"}, "empty qualifiers"},
		"CPS":                   {policy(seq(rawOID(OIDQualifierCPS), element(cbasn1.IA5String, []byte("http://a")))), Policy{ID: "1.2.3", CPS: "http://a"}, ""},
	} {
		c := readOne(t, OIDCertificatePolicies, row.der)
		noted := strings.Join(c.NonStandard, "\n")
		if len(c.Policies) != 1 || c.Policies[0] != row.want || (row.note == "") != (noted == "") || !strings.Contains(noted, row.note) {
			t.Errorf("%s: %+v %q", name, c.Policies, noted)
		}
	}
}

// TestWeakAndUnknownSignatures: nothing can be said of them, so they are neither good nor forged.
func TestWeakAndUnknownSignatures(t *testing.T) {
	key := newSM2(t)
	for oid, code := range map[OID]string{OIDRSAWithSHA1: "signature.weak", OIDRSAWithMD5: "signature.weak", "1.2.156.10197.501": "signature.unsupported"} {
		f := newForge(t, key)
		f.alg = seq(rawOID(oid))
		f.subject = seq(rdn(OIDCommonName, utf8s("叶")))
		leaf, err := ParseLenient(f.make(t, key))
		if err != nil {
			t.Fatal(err)
		}
		root, err := Parse(newForge(t, key).make(t, key))
		if err != nil {
			t.Fatal(err)
		}
		v := Validate(leaf, Options{Roots: []*Certificate{root}, At: day})
		if got := v.Step(StepSignature); v.Outcome != Indeterminate || got.Outcome != Indeterminate || got.Code != code {
			t.Errorf("%s: %s %+v", oid, v.Outcome, got)
		}
	}
}

// TestBestOfTheBad: where every path fails, the one with the fewest failures is reported.
func TestBestOfTheBad(t *testing.T) {
	past := valid(day.AddDate(-9, 0, 0), day.AddDate(-1, 0, 0))
	worse := under(t, holder{}, person("差根"), newSM2(t), asCA(-1), past)
	bad := under(t, holder{}, person("根"), newSM2(t), asCA(-1), past)
	key := newSM2(t)
	viaWorse := under(t, worse, person("签发"), key, asCA(0), past)
	viaBad := under(t, bad, person("签发"), key, asCA(0))
	leaf := under(t, viaBad, person("张三"), newSM2(t))
	for _, inter := range [][]holder{{viaWorse, viaBad}, {viaBad, viaWorse}} {
		v := Validate(leaf.Certificate, Options{Roots: pool(worse, bad), Intermediates: pool(inter...), At: day})
		if v.Outcome != Failed || v.Path[2] != bad.Certificate {
			t.Errorf("%s %+v", v.Outcome, v.Steps)
		}
	}
}

func TestExtensionLookup(t *testing.T) {
	c := readOne(t, "1.2.3.4", []byte{5, 0})
	if v, ok := c.Extension("1.2.3.4"); !ok || len(v) != 2 {
		t.Errorf("%x %v", v, ok)
	}
	if _, ok := c.Extension("1.2.3.5"); ok {
		t.Error("found what is not there")
	}
}

func TestOldTimesKeepTheirCentury(t *testing.T) {
	for text, year := range map[string]int{"491231235959Z": 2049, "500101000000Z": 1950, "680101000000Z": 1968, "700101000000Z": 1970} {
		in := buildRaw(utcTime(text))
		got, ok := ReadTime(&in)
		if !ok || got.Year() != year || got.Location() != time.UTC {
			t.Errorf("%s is read as %s", text, got)
		}
	}
}
