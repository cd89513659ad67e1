package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/internal/gm"
)

func buildTime(t testing.TB, at time.Time) cryptobyte.String {
	t.Helper()
	var b cryptobyte.Builder
	AddTime(&b, at)
	der, err := b.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestOddities: what the strict parser refuses and the lenient one names.
func TestOddities(t *testing.T) {
	key := newSM2(t)
	for _, row := range []struct {
		name  string
		spoil func(f *forge)
		note  string
	}{
		{"version 1", func(f *forge) { f.version, f.extensions = nil, nil }, "version 1"},
		{"extensions in version 2", func(f *forge) { f.version = element(contextConstructed(0), []byte{2, 1, 1}) }, "extensions in version 2"},
		{"negative serial", func(f *forge) { f.serial = []byte{2, 1, 0x80} }, "negative serial number"},
		{"serial zero", func(f *forge) { f.serial = []byte{2, 1, 0} }, "serial number zero"},
		{"padded serial", func(f *forge) { f.serial = []byte{2, 2, 0, 1} }, "superfluous"},
		{"long serial", func(f *forge) { f.serial = element(cbasn1.INTEGER, bytes.Repeat([]byte{1}, 21)) }, "21 octets"},
		{"NULL parameters", func(f *forge) { f.alg = seq(rawOID(OIDSM2WithSM3), []byte{5, 0}) }, "parameters NULL"},
		{"wrong OID in circulation", func(f *forge) { f.alg = seq(rawOID("1.2.156.10197.501")) }, "signature algorithm 1.2.156.10197.501"},
		{"empty issuer", func(f *forge) { f.issuer = seq() }, "empty issuer"},
		{"empty subject", func(f *forge) { f.subject = seq() }, "empty subject"},
		{"IA5String", func(f *forge) { f.subject = seq(rdn(OIDCommonName, element(cbasn1.IA5String, []byte("张")))) }, "IA5String with other characters"},
		{"PrintableString", func(f *forge) { f.subject = seq(rdn(OIDCommonName, element(cbasn1.PrintableString, []byte("a@b")))) }, "PrintableString with other characters"},
		{"broken UTF-8", func(f *forge) { f.subject = seq(rdn(OIDCommonName, utf8s("\xff\xfe"))) }, "not UTF-8"},
		{"GBK in T61String", func(f *forge) { f.subject = seq(rdn(OIDCommonName, element(cbasn1.T61String, []byte{0xd5, 0xc5}))) }, "T61String"},
		{"BMPString", func(f *forge) { f.subject = seq(rdn(OIDCommonName, element(tagBMPString, []byte{0x5f, 0x20}))) }, "BMPString"},
		{"empty value", func(f *forge) { f.subject = seq(rdn(OIDCommonName, utf8s(""))) }, "empty string"},
		{"INTEGER in a name", func(f *forge) { f.subject = seq(rdn(OIDCommonName, []byte{2, 1, 5})) }, "not a string"},
		{"empty RDN", func(f *forge) { f.subject = seq(element(cbasn1.SET), rdn(OIDCommonName, utf8s("a"))) }, "empty RDN"},
		{"RDN out of order", func(f *forge) {
			f.subject = seq(element(cbasn1.SET, seq(rawOID(OIDOrganization), utf8s("b")), seq(rawOID(OIDCommonName), utf8s("a"))))
		}, "out of order"},
		{"no seconds", func(f *forge) { f.validity = seq(utcTime("2601010000Z"), utcTime("280101000000Z")) }, "time in the form"},
		{"zone", func(f *forge) { f.validity = seq(utcTime("260101000000+0800"), utcTime("280101000000Z")) }, "time in the form"},
		{"GeneralizedTime", func(f *forge) {
			f.validity = seq(element(cbasn1.GeneralizedTime, []byte("20260101000000Z")), utcTime("280101000000Z"))
		}, "before 2050"},
		{"ends before it begins", func(f *forge) { f.validity = seq(utcTime("280101000000Z"), utcTime("260101000000Z")) }, "ends before"},
		{"unique identifier", func(f *forge) { f.tail = element(contextTag(1), []byte{0, 1}) }, "unique identifier"},
		{"no extensions", func(f *forge) { f.extensions = nil }, "no extensions"},
		{"empty extensions", func(f *forge) { f.extensions = []byte{} }, "empty list of extensions"},
		{"extension twice", func(f *forge) { f.extensions = append(f.extensions, f.extensions...) }, "occurs twice"},
		{"critical FALSE", func(f *forge) { f.extensions = seq(rawOID("1.2.3"), []byte{1, 1, 0}, octets([]byte{5, 0})) }, "critical FALSE"},
		{"critical 01", func(f *forge) { f.extensions = seq(rawOID("1.2.3"), []byte{1, 1, 1}, octets([]byte{5, 0})) }, "boolean with octet 01"},
		{"basic constraints FALSE", func(f *forge) { f.extensions = ext(OIDBasicConstraints, true, seq([]byte{1, 1, 0})) }, "cA FALSE"},
		{"path length, no CA", func(f *forge) { f.extensions = ext(OIDBasicConstraints, true, seq([]byte{2, 1, 0})) }, "path length"},
		{"certSign, no CA", func(f *forge) { f.extensions = ext(OIDKeyUsage, true, []byte{3, 2, 2, 4}) }, "keyCertSign"},
		{"key usage without bits", func(f *forge) { f.extensions = ext(OIDKeyUsage, true, []byte{3, 1, 0}) }, "without a bit"},
		{"key usage padded", func(f *forge) { f.extensions = ext(OIDKeyUsage, true, []byte{3, 2, 0, 0xc0}) }, "shortest form"},
		{"key usage broken", func(f *forge) { f.extensions = ext(OIDKeyUsage, false, []byte{4, 0}) }, "key usage"},
		{"EKU empty", func(f *forge) { f.extensions = ext(OIDExtKeyUsage, false, seq()) }, "extended key usage"},
		{"SAN with broken mail", func(f *forge) {
			f.extensions = ext(OIDSubjectAltName, false, seq(element(contextTag(nameEmail), []byte("张@a.cn")), element(contextTag(nameDNS), []byte("ok.cn"))))
		}, "other characters"},
		{"SAN with odd host", func(f *forge) {
			f.extensions = ext(OIDSubjectAltName, false, seq(element(contextTag(nameDNS), []byte("a_b.cn"))))
		}, "DNS name"},
		{"SAN with IP of 5 octets", func(f *forge) {
			f.extensions = ext(OIDSubjectAltName, false, seq(element(contextTag(nameIP), []byte{1, 2, 3, 4, 5})))
		}, "IP address"},
		{"SAN empty", func(f *forge) { f.extensions = ext(OIDSubjectAltName, false, seq()) }, "empty"},
		{"SAN not DER", func(f *forge) { f.extensions = ext(OIDSubjectAltName, false, []byte{0x30, 9}) }, "subject alternative name"},
		{"AKI without id", func(f *forge) { f.extensions = ext(OIDAuthorityKeyID, false, seq()) }, "without key identifier"},
		{"implicit identity", func(f *forge) {
			f.extensions = ext(OIDIdentityPerson, false, element(contextTag(0), []byte("11010519491231002X")))
		}, "another encoding"},
		{"trailing bytes", func(f *forge) { f.after = []byte{0, 0, 0} }, "3 octets after"},
	} {
		f := newForge(t, key)
		row.spoil(f)
		der := f.make(t, key)
		if _, err := Parse(der); err == nil {
			t.Errorf("%s: the strict parser took it", row.name)
		} else if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v is no known kind of error", row.name, err)
		}
		c, err := ParseLenient(der)
		if err != nil {
			t.Errorf("%s: the lenient parser refused: %v", row.name, err)
			continue
		}
		if !slices.ContainsFunc(c.NonStandard, func(s string) bool { return strings.Contains(s, row.note) }) {
			t.Errorf("%s: noted as %q", row.name, c.NonStandard)
		}
		if err := c.CheckSignatureKey(key.Public()); err != nil && c.SignatureAlgorithm != UnknownSignature {
			t.Errorf("%s: %v", row.name, err)
		}
	}
	if _, err := Parse(newForge(t, key).make(t, key)); err != nil {
		t.Errorf("the forge itself is off: %v", err)
	}
}

// TestNeverRead: what both parsers refuse, because what was signed, or by whom, would be a guess.
func TestNeverRead(t *testing.T) {
	key := newSM2(t)
	good := newForge(t, key)
	offCurve := bytes.Clone(good.spki)
	offCurve[len(offCurve)-1] ^= 1
	infinity := seq(seq(rawOID(OIDECPublicKey), rawOID(OIDSM2)), element(cbasn1.BIT_STRING, []byte{0, 0}))
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, _ := p256.PublicKey.Bytes()
	mixed := seq(seq(rawOID(OIDECPublicKey), rawOID(OIDSM2)), element(cbasn1.BIT_STRING, []byte{0}, point))
	compressed := seq(seq(rawOID(OIDECPublicKey), rawOID(OIDSM2)), element(cbasn1.BIT_STRING, []byte{0, 2}, gm.Point(publicOf(key))[1:33]))
	for _, row := range []struct {
		name  string
		spoil func(f *forge)
		want  error
	}{
		{"off-curve point", func(f *forge) { f.spki = offCurve }, ErrCurve},
		{"point at infinity", func(f *forge) { f.spki = infinity }, ErrCurve},
		{"P-256 point said to be on SM2", func(f *forge) { f.spki = mixed }, ErrCurve},
		{"compressed point", func(f *forge) { f.spki = compressed }, ErrCurve},
		{"secp256k1", func(f *forge) {
			f.spki = seq(seq(rawOID(OIDECPublicKey), rawOID("1.3.132.0.10")), element(cbasn1.BIT_STRING, []byte{0}, point))
		}, ErrCurve},
		{"explicit curve parameters", func(f *forge) {
			f.spki = seq(seq(rawOID(OIDECPublicKey), seq([]byte{2, 1, 1})), element(cbasn1.BIT_STRING, []byte{0}, point))
		}, ErrCurve},
		{"unknown key algorithm", func(f *forge) {
			f.spki = seq(seq(rawOID("1.3.101.112")), element(cbasn1.BIT_STRING, []byte{0}, point[1:33]))
		}, ErrUnsupported},
		{"RSA of 512 bits", func(f *forge) {
			f.spki = seq(seq(rawOID(OIDRSA), []byte{5, 0}), element(cbasn1.BIT_STRING, []byte{0}, seq(element(cbasn1.INTEGER, bytes.Repeat([]byte{0x7f}, 64)), []byte{2, 3, 1, 0, 1})))
		}, ErrWeak},
		{"algorithms differ", func(f *forge) { f.outerAlg = seq(rawOID(OIDECDSAWithSHA256)) }, ErrMalformed},
		{"parameters differ", func(f *forge) { f.outerAlg = seq(rawOID(OIDSM2WithSM3), []byte{5, 0}) }, ErrMalformed},
		{"no serial", func(f *forge) { f.serial = []byte{2, 0} }, ErrMalformed},
		{"serial of 100 octets", func(f *forge) { f.serial = element(cbasn1.INTEGER, bytes.Repeat([]byte{1}, 100)) }, ErrTooLarge},
		{"version 5", func(f *forge) { f.version = element(contextConstructed(0), []byte{2, 1, 4}) }, ErrMalformed},
		{"validity in words", func(f *forge) { f.validity = seq(utf8s("now"), utf8s("then")) }, ErrMalformed},
		{"bytes after the extensions", func(f *forge) { f.tail = element(contextConstructed(3), seq(f.extensions)) }, ErrMalformed},
		{"65 extensions", func(f *forge) {
			f.extensions = nil
			for i := range 65 {
				f.extensions = append(f.extensions, ext(OID("1.2.3."+string(rune('1'+i%9))+"."+strings.Repeat("1", i/9+1)), false, []byte{5, 0})...)
			}
		}, ErrTooLarge},
		{"65 RDNs", func(f *forge) { f.subject = seq(bytes.Repeat(rdn(OIDCommonName, utf8s("a")), 65)) }, ErrTooLarge},
	} {
		f := *good
		row.spoil(&f)
		der := f.make(t, key)
		for _, parse := range []func([]byte) (*Certificate, error){Parse, ParseLenient} {
			if _, err := parse(der); !errors.Is(err, row.want) {
				t.Errorf("%s: got %v, want %v", row.name, err, row.want)
			}
		}
	}
	if _, err := ParseLenient(make([]byte, MaxCertificateSize+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	if _, err := Parse(append(good.make(t, key), 0)); !errors.Is(err, ErrTrailing) {
		t.Errorf("got %v", err)
	}
}

func TestTruncatedAndNonMinimal(t *testing.T) {
	der, err := os.ReadFile("testdata/person-sign.der")
	if err != nil {
		t.Fatal(err)
	}
	for n := range der {
		if _, err := Parse(der[:n]); err == nil {
			t.Fatalf("%d of %d octets were read", n, len(der))
		}
		if _, err := ParseLenient(der[:n]); err == nil {
			t.Fatalf("%d of %d octets were read leniently", n, len(der))
		}
	}
	long := append([]byte{0x30, 0x83, 0}, der[2:]...) // length in three octets
	indefinite := append(append([]byte{0x30, 0x80}, der[4:]...), 0, 0)
	for _, form := range [][]byte{long, indefinite} {
		if _, err := ParseLenient(form); !errors.Is(err, ErrMalformed) {
			t.Errorf("got %v", err)
		}
	}
}

// TestLenientDoesNotLoosen: what cannot be read and would have forbidden something makes validation refuse.
func TestLenientDoesNotLoosen(t *testing.T) {
	key := newSM2(t)
	bc := ext(OIDBasicConstraints, true, seq([]byte{1, 1, 0xff}))
	for name, extensions := range map[string][]byte{
		"key usage":        append(ext(OIDKeyUsage, false, []byte{4, 0}), bc...),
		"EKU":              append(ext(OIDExtKeyUsage, false, []byte{4, 0}), bc...),
		"name constraints": append(ext(OIDNameConstraints, false, seq()), bc...),
		"two constraints":  append(ext(OIDBasicConstraints, true, seq()), bc...),
		"critical SAN":     append(ext(OIDSubjectAltName, true, []byte{4, 0}), bc...),
		"unknown critical": append(ext("1.2.3.4", true, []byte{5, 0}), bc...),
		"subtree minimum": append(ext(OIDNameConstraints, true, seq(element(contextConstructed(0),
			seq(element(contextTag(nameDNS), []byte("a.cn")), element(contextTag(0), []byte{1}))))), bc...),
		"mask with holes": append(ext(OIDNameConstraints, true, seq(element(contextConstructed(0),
			seq(element(contextTag(nameIP), []byte{10, 0, 0, 0, 255, 0, 255, 0}))))), bc...),
	} {
		f := newForge(t, key)
		f.extensions = extensions
		c, err := ParseLenient(f.make(t, key))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		v := Validate(c, Options{Roots: []*Certificate{c}, At: day})
		if got := v.Step(StepConstraints); got.Outcome != Failed || got.Code != "constraints.unknown-critical" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestCertificatesOfSampleSeals(t *testing.T) {
	for file, serial := range map[string]string{"testdata/esl-1.der": "01719d2dab60", "testdata/esl-2.der": "01719d2e201d"} {
		der, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(der); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: the strict parser says %v", file, err)
		}
		c, err := ParseLenient(der)
		if err != nil {
			t.Fatal(err)
		}
		if c.SerialHex() != serial || c.Subject.CommonName() != "Test Certificate" || !gm.IsSM2(c.PublicKey) || c.IsCA ||
			c.KeyUsage != UsageDigitalSignature|UsageNonRepudiation|UsageCertSign || !slices.Equal(c.ExtKeyUsage, []OID{OIDClientAuth}) {
			t.Errorf("%s: %+v", file, c)
		}
		if !slices.Contains(c.NonStandard, "key usage keyCertSign in a certificate that is not a CA's") {
			t.Errorf("%s: notes %q", file, c.NonStandard)
		}
		v := Validate(c, Options{At: time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC), Purpose: PurposeSeal})
		if v.Outcome != Indeterminate || v.Step(StepPath).Code != "path.no-root" || v.Step(StepValidity).Outcome != Passed {
			t.Errorf("%s: %+v", file, v)
		}
	}
}

func TestPEM(t *testing.T) {
	root, issuing, _ := chain(t)
	text := append(root.PEM(), issuing.PEM()...)
	first, err := ParsePEM(text)
	if err != nil || !bytes.Equal(first.Raw, root.Raw) {
		t.Errorf("got %v, %v", first, err)
	}
	all, err := ParseAnyPEM(append(EncodePEM("SM2 PARAMETERS", []byte{5, 0}), text...))
	if err != nil || len(all) != 2 || !bytes.Equal(all[1].Raw, issuing.Raw) {
		t.Errorf("got %v, %v", all, err)
	}
	for _, bad := range []string{"", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN X-----\nBQA=\n-----END X-----\n"} {
		if _, err := ParsePEM([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", bad, err)
		}
		if _, err := ParseAnyPEM([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Blocks are written as encoding/pem writes them, whatever does not fill a line.
func TestPEMIsWrittenAsTheLibraryDoes(t *testing.T) {
	for n := range 200 {
		der := bytes.Repeat([]byte{byte(n), 0xff}, n)[:n]
		want := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		if got := EncodePEM("CERTIFICATE", der); !bytes.Equal(got, want) {
			t.Errorf("%d octets:\n%s\nwant\n%s", n, got, want)
		}
	}
}

func TestIdentityEncodings(t *testing.T) {
	id := "11010519491231002X"
	printableID := element(cbasn1.PrintableString, []byte(id))
	for _, row := range []struct {
		name     string
		der      []byte
		kind     IdentityKind
		standard bool
	}{
		{"explicit", element(contextConstructed(0), printableID), IdentityResident, true},
		{"explicit passport", element(contextConstructed(2), printableID), IdentityPassport, true},
		{"explicit military", element(contextConstructed(1), utf8s(id)), IdentityMilitary, true},
		{"explicit resident in UTF-8", element(contextConstructed(0), utf8s(id)), IdentityResident, false},
		{"implicit", element(contextTag(0), []byte(id)), IdentityResident, false},
		{"set, old OID", element(cbasn1.SET, element(contextConstructed(0), printableID)), IdentityResident, false},
		{"bare", printableID, IdentityUnknown, true},
		{"bare UTF-8", utf8s(id), IdentityUnknown, true},
		{"IA5", element(cbasn1.IA5String, []byte(id)), IdentityUnknown, false},
		{"in an octet string", octets(printableID), IdentityUnknown, false},
	} {
		got, standard, ok := DecodeIdentity(row.der)
		if !ok || got.Value != id || got.Kind != row.kind || standard != row.standard {
			t.Errorf("%s: %+v standard=%v ok=%v", row.name, got, standard, ok)
		}
	}
	for _, bad := range [][]byte{nil, {5, 0}, {0xa0, 0}, {0x13, 0}, seq(seq(seq(seq(seq(printableID))))), {0x80, 2, 0xff, 0xff}} {
		if got, _, ok := DecodeIdentity(bad); ok {
			t.Errorf("%x was read as %+v", bad, got)
		}
	}
}

func TestNamesCompare(t *testing.T) {
	der := func(parts ...[]byte) Name {
		n, err := ParseName(seq(parts...))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	a := der(rdn(OIDOrganization, utf8s("Example  Org")), rdn(OIDCommonName, utf8s("x")))
	b := der(rdn(OIDOrganization, element(cbasn1.PrintableString, []byte("example org "))), rdn(OIDCommonName, utf8s("X")))
	c := der(rdn(OIDCommonName, utf8s("x")), rdn(OIDOrganization, utf8s("Example Org")))
	if !a.Equal(b) || a.Equal(c) || a.Equal(der(rdn(OIDOrganization, utf8s("Example Org")))) {
		t.Error("comparison of RFC 5280, 7.1 is off")
	}
	if got := NewName(attr(OIDCommonName, "a, O=b\u202e\n")).String(); got != "CN=a\\, O\\=b\uFFFD\uFFFD" {
		t.Errorf("a value can pass itself off as more: %q", got)
	}
}
