package certs

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"hufu/internal/gm"
)

var update = flag.Bool("update", false, "write golden files anew")

func testKey(t testing.TB) *gm.PrivateKey {
	t.Helper()
	d, _ := hex.DecodeString("3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8")
	key, err := gm.NewPrivateKey(d)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func goldenTemplate(t testing.TB) Template {
	key := testKey(t)
	tmpl := full(key)
	tmpl.Serial = []byte{1, 0x0a, 0xc1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	tmpl.NotBefore = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	tmpl.NotAfter = time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC) // the first second that is a GeneralizedTime
	tmpl.SignatureAlgorithm = SM2WithSM3
	return tmpl
}

// What is signed is read again as a whole: another algorithm inside, something behind, or no certificate at all is refused.
func TestSignTBSRefusesWhatIsNoCertificate(t *testing.T) {
	key, tmpl := testKey(t), goldenTemplate(t)
	good, err := BuildTBS(tmpl)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := SignTBS(key, good); err != nil || !bytes.Equal(c.RawTBS, good) {
		t.Fatalf("(control) %v", err)
	}
	tmpl.SignatureAlgorithm = ECDSAWithSHA256
	other, err := BuildTBS(tmpl)
	if err != nil {
		t.Fatal(err)
	}
	for name, tbs := range map[string][]byte{
		"another algorithm": other, "something behind": append(slices.Clone(good), 5, 0), "nothing": nil, "another structure": {0x30, 0},
		"cut off": good[:len(good)-1], "too large": make([]byte, MaxCertificateSize+1),
	} {
		if c, err := SignTBS(key, tbs); err == nil {
			t.Errorf("%s: signed as %x", name, c.Raw)
		}
	}
}

func TestGolden(t *testing.T) {
	const file = "testdata/person-sign.der"
	tbs, err := BuildTBS(goldenTemplate(t))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		alg, sig, err := Sign(testKey(t), tbs)
		if err != nil {
			t.Fatal(err)
		}
		der, _ := Assemble(tbs, alg, sig)
		if err := os.WriteFile(file, der, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	der, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(c.RawTBS, tbs) {
		t.Fatal("the same template no longer gives the same bytes")
	}
	if err := c.CheckSignatureKey(testKey(t).Public()); err != nil {
		t.Error(err)
	}
	want := goldenTemplate(t)
	for field, ok := range map[string]bool{
		"version":     c.Version == 3,
		"serial":      bytes.Equal(c.Serial, want.Serial),
		"subject":     c.Subject.String() == "C=CN, O=虎符测试, CN=全",
		"issuer":      c.Issuer.CommonName() == "签发",
		"times":       c.NotBefore.Equal(want.NotBefore) && c.NotAfter.Equal(want.NotAfter),
		"general":     bytes.Contains(der, []byte("\x17\x0d261120080000Z\x18\x0f20500101000000Z")),
		"key":         SameKey(c.PublicKey, want.PublicKey),
		"no BC":       !c.HasBasicConstraints && !c.IsCA && c.MaxPathLen == -1,
		"usage":       c.KeyUsage == UsageDigitalSignature|UsageNonRepudiation,
		"ext usage":   slices.Equal(c.ExtKeyUsage, want.ExtKeyUsage),
		"AKI":         bytes.Equal(c.AuthorityKeyID, want.AuthorityKeyID),
		"SKI":         len(c.SubjectKeyID) == 20,
		"SAN":         slices.Equal(c.AltNames.DNS, want.AltNames.DNS) && slices.Equal(c.AltNames.Email, want.AltNames.Email) && slices.Equal(c.AltNames.URI, want.AltNames.URI) && slices.Equal(c.AltNames.IP, want.AltNames.IP),
		"SAN dir":     len(c.AltNames.Directory) == 1 && c.AltNames.Directory[0].CommonName() == "别名",
		"CRL":         slices.Equal(c.CRLPoints, want.CRLPoints) && slices.Equal(c.FreshestCRL, want.FreshestCRL),
		"AIA":         slices.Equal(c.OCSPServers, want.OCSPServers) && slices.Equal(c.IssuerURLs, want.IssuerURLs),
		"policies":    slices.Equal(c.Policies, want.Policies),
		"identity":    reflect.DeepEqual(c.Identity, want.Identity),
		"explicit":    bytes.Contains(der, append([]byte{0x04, 0x16, 0xa0, 0x14, 0x13, 0x12}, "11010519491231002X"...)),
		"standard":    len(c.NonStandard) == 0 && len(c.UnknownCritical) == 0,
		"fingerprint": c.Fingerprint() == gm.SM3(der),
	} {
		if !ok {
			t.Errorf("%s: not as in the template: %+v", field, c)
		}
	}
}

func TestParseBuildGivesTheSameBytes(t *testing.T) {
	for _, make := range []func(*Template){
		func(*Template) {},
		asCA(3),
		func(tmpl *Template) {
			n := 2
			asCA(-1)(tmpl)
			tmpl.Policies = []Policy{{ID: OIDAnyPolicy}}
			tmpl.PolicyMappings = []PolicyMapping{{"1.2.3", "1.2.4"}}
			tmpl.PolicyConstraints = &PolicyConstraints{RequireExplicit: 0, InhibitMapping: 300}
			tmpl.InhibitAnyPolicy = &n
			tmpl.NameConstraints = sampleConstraints()
		},
		func(tmpl *Template) { tmpl.OCSPNoCheck = true; tmpl.ExtKeyUsage = []OID{OIDOCSPSigning} },
		func(tmpl *Template) { tmpl.ExtKeyUsage, tmpl.ExtKeyUsageCritical = []OID{OIDTimeStamping}, true },
		func(tmpl *Template) { tmpl.Subject = Name{} },
	} {
		tmpl := full(testKey(t))
		tmpl.SignatureAlgorithm = SM2WithSM3
		make(&tmpl)
		tbs, err := BuildTBS(tmpl)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseTBS(tbs)
		if err != nil {
			t.Fatal(err)
		}
		again, err := BuildTBS(rebuild(c))
		if err != nil || !bytes.Equal(again, tbs) {
			t.Errorf("rebuilt differently (%v)\n%x\n%x", err, tbs, again)
		}
	}
}

// rebuild makes a template of everything that was read.
func rebuild(c *Certificate) Template {
	t := Template{
		Serial: c.Serial, Issuer: c.Issuer, Subject: c.Subject, NotBefore: c.NotBefore, NotAfter: c.NotAfter, PublicKey: c.PublicKey,
		SignatureAlgorithm: c.SignatureAlgorithm, IsCA: c.IsCA, MaxPathLen: c.MaxPathLen, KeyUsage: c.KeyUsage, ExtKeyUsage: c.ExtKeyUsage,
		SubjectKeyID: c.SubjectKeyID, AuthorityKeyID: c.AuthorityKeyID, AltNames: c.AltNames, CRLPoints: c.CRLPoints, FreshestCRL: c.FreshestCRL,
		OCSPServers: c.OCSPServers, IssuerURLs: c.IssuerURLs, Policies: c.Policies, PolicyMappings: c.PolicyMappings,
		NameConstraints: c.NameConstraints, OCSPNoCheck: c.OCSPNoCheck, Identity: c.Identity,
	}
	if c.RequireExplicit >= 0 || c.InhibitMapping >= 0 {
		t.PolicyConstraints = &PolicyConstraints{c.RequireExplicit, c.InhibitMapping}
	}
	if c.InhibitAnyPolicy >= 0 {
		t.InhibitAnyPolicy = &c.InhibitAnyPolicy
	}
	for _, e := range c.Extensions {
		switch _, known := extensionReaders[e.ID]; {
		case e.ID == OIDExtKeyUsage:
			t.ExtKeyUsageCritical = e.Critical
		case e.ID == OIDCertificatePolicies:
			t.PoliciesCritical = e.Critical
		case !known && identityKinds[e.ID] == "":
			t.Extra = append(t.Extra, e)
		}
	}
	return t
}

func TestGmsmReadsOurs(t *testing.T) {
	root, issuing, leaf := chain(t, func(tmpl *Template) {
		f := full(testKey(t))
		tmpl.AltNames, tmpl.Policies, tmpl.Identity, tmpl.CRLPoints = f.AltNames, f.Policies, f.Identity, f.CRLPoints
	})
	pool := smx509.NewCertPool()
	inter := smx509.NewCertPool()
	add := func(p *smx509.CertPool, c *Certificate) *smx509.Certificate {
		theirs, err := smx509.ParseCertificate(c.Raw)
		if err != nil {
			t.Fatal(err)
		}
		p.AddCert(theirs)
		return theirs
	}
	add(pool, root.Certificate)
	add(inter, issuing.Certificate)
	theirs := add(smx509.NewCertPool(), leaf.Certificate)
	if _, err := theirs.Verify(smx509.VerifyOptions{Roots: pool, Intermediates: inter, CurrentTime: day, KeyUsages: []smx509.ExtKeyUsage{smx509.ExtKeyUsageAny}}); err != nil {
		t.Error(err)
	}
	if theirs.Subject.CommonName != "张三" || !slices.Equal(theirs.DNSNames, leaf.AltNames.DNS) || len(theirs.IPAddresses) != 2 {
		t.Errorf("gmsm reads %+v", theirs.Subject)
	}
}

func TestBuildRefuses(t *testing.T) {
	for name, broken := range map[string]change{
		"no serial":           func(x *Template) { x.Serial = nil },
		"serial zero":         func(x *Template) { x.Serial = []byte{0} },
		"negative serial":     func(x *Template) { x.Serial = []byte{0x80, 1} },
		"padded serial":       func(x *Template) { x.Serial = []byte{0, 1} },
		"serial of 21 octets": func(x *Template) { x.Serial = bytes.Repeat([]byte{1}, 21) },
		"end before begin":    func(x *Template) { x.NotAfter = x.NotBefore.Add(-time.Second) },
		"no issuer":           func(x *Template) { x.Issuer = Name{} },
		"no subject, no SAN":  func(x *Template) { x.Subject = Name{}; x.AltNames = GeneralNames{} },
		"country of three":    func(x *Template) { x.Subject = NewName(attr(OIDCountry, "CHN")) },
		"empty attribute":     func(x *Template) { x.Subject = NewName(attr(OIDCommonName, "")) },
		"broken UTF-8":        func(x *Template) { x.Subject = NewName(attr(OIDCommonName, "\xff")) },
		"non-ASCII e-mail":    func(x *Template) { x.AltNames.Email = []string{"张@example.cn"} },
		"NUL in a DNS name":   func(x *Template) { x.AltNames.DNS = []string{"a.cn\x00.b.cn"} },
		"DNS name with blank": func(x *Template) { x.AltNames.DNS = []string{"a b.cn"} },
		"bare wildcard":       func(x *Template) { x.AltNames.DNS = []string{"*"} },
		"wildcard inside":     func(x *Template) { x.AltNames.DNS = []string{"a.*.cn"} },
		"CertSign, no CA":     func(x *Template) { x.KeyUsage |= UsageCertSign },
		"usage bit 10":        func(x *Template) { x.KeyUsage |= 1 << 9 },
		"constraints, no CA":  func(x *Template) { x.NameConstraints = sampleConstraints() },
		"identity unknown":    func(x *Template) { x.Identity = map[OID]IdentityNumber{"1.2.3": {IdentityTax, "1"}} },
		"identity kind":       func(x *Template) { x.Identity = map[OID]IdentityNumber{OIDIdentityPerson: {IdentityTax, "1"}} },
		"resident in Chinese": func(x *Template) { x.Identity = map[OID]IdentityNumber{OIDIdentityPerson: {IdentityResident, "一"}} },
		"extension twice": func(x *Template) {
			x.Extra = []Extension{{ID: OIDKeyUsage, Critical: true, Value: []byte{3, 2, 6, 0xc0}}}
		},
		"policy twice":       func(x *Template) { x.Policies = []Policy{{ID: "1.2.3"}, {ID: "1.2.3"}} },
		"bad OID":            func(x *Template) { x.ExtKeyUsage = []OID{"1.2.x"} },
		"no algorithm":       func(x *Template) { x.SignatureAlgorithm = UnknownSignature },
		"no key":             func(x *Template) { x.PublicKey = nil },
		"weak key":           func(x *Template) { x.PublicKey = newRSA(t, 1024).Public() },
		"larger than 64 KiB": func(x *Template) { x.Extra = []Extension{{ID: "1.2.3", Value: make([]byte, 1<<16)}} },
		"65 extensions":      func(x *Template) { x.Extra = manyExtensions(65) },
	} {
		tmpl := full(testKey(t))
		tmpl.SignatureAlgorithm = SM2WithSM3
		broken(&tmpl)
		if tbs, err := BuildTBS(tmpl); err == nil {
			t.Errorf("%s: built %x", name, tbs)
		}
	}
}

func manyExtensions(n int) []Extension {
	out := make([]Extension, n)
	for i := range out {
		out[i] = Extension{ID: OID("1.2.3." + strings.Repeat("1", i%15+1) + "." + string(rune('1'+i/15))), Value: []byte{5, 0}}
	}
	return out
}

func TestTimesChangeFormIn2050(t *testing.T) {
	for at, tag := range map[time.Time]string{
		time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC):                            "500101000000Z",
		time.Date(2049, 12, 31, 23, 59, 59, 999, time.UTC):                     "491231235959Z",
		time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC):                            "20500101000000Z",
		time.Date(1949, 12, 31, 23, 59, 59, 0, time.UTC):                       "19491231235959Z",
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC):                       "99991231235959Z",
		time.Date(2050, 1, 1, 7, 59, 59, 0, time.FixedZone("Beijing", 8*3600)): "491231235959Z",
	} {
		der := buildTime(t, at)
		if string(der[2:]) != tag {
			t.Errorf("%s is written %q", at, der[2:])
		}
		back, ok := ReadTime(&der)
		if !ok || !back.Equal(at.Truncate(time.Second)) {
			t.Errorf("%s comes back as %s", at, back)
		}
	}
}

func TestParseTBSRefusesOtherBytes(t *testing.T) {
	if _, err := ParseTBS([]byte{0x30, 0}); !errors.Is(err, ErrMalformed) {
		t.Errorf("got %v", err)
	}
	tbs, err := BuildTBS(goldenTemplate(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseTBS(append(tbs, 0)); !errors.Is(err, ErrTrailing) {
		t.Errorf("got %v", err)
	}
}
