package certs

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// holder is a certificate made by this package, with its key.
type holder struct {
	*Certificate
	key crypto.Signer
}

func attr(t OID, v string) Attribute { return Attribute{Type: t, Value: v} }

func person(cn string) Name {
	return NewName(attr(OIDCountry, "CN"), attr(OIDOrganization, "虎符测试"), attr(OIDCommonName, cn))
}

func newRSA(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var lastSerial int64 = 0x0100_0000_0001

// make16 returns a serial number of 16 octets as we give them out.
func make16() []byte {
	lastSerial++
	out := make([]byte, 16)
	out[0] = 1
	big.NewInt(lastSerial).FillBytes(out[1:])
	return out
}

func leafTemplate(subject Name, key crypto.Signer) Template {
	return Template{
		Serial: make16(), Subject: subject, NotBefore: day.AddDate(0, -1, 0), NotAfter: day.AddDate(2, 0, 0), PublicKey: key.Public(),
		KeyUsage: UsageDigitalSignature | UsageNonRepudiation,
	}
}

type change func(*Template)

// under makes a certificate below ca; a zero ca makes it self-signed.
func under(t testing.TB, ca holder, subject Name, key crypto.Signer, changes ...change) holder {
	t.Helper()
	tmpl := leafTemplate(subject, key)
	signer := key
	tmpl.Issuer = subject
	if ca.Certificate != nil {
		tmpl.Issuer, tmpl.AuthorityKeyID, signer = ca.Subject, ca.SubjectKeyID, ca.key
	}
	for _, c := range changes {
		c(&tmpl)
	}
	c, err := Create(tmpl, signer)
	if err != nil {
		t.Fatal(err)
	}
	return holder{c, key}
}

func asCA(pathLen int) change {
	return func(t *Template) {
		t.IsCA, t.MaxPathLen, t.KeyUsage = true, pathLen, UsageCertSign|UsageCRLSign
		t.NotBefore, t.NotAfter = day.AddDate(-5, 0, 0), day.AddDate(15, 0, 0)
	}
}

func valid(from, to time.Time) change {
	return func(t *Template) { t.NotBefore, t.NotAfter = from, to }
}

// chain is root, issuing CA and leaf with SM2 keys.
func chain(t testing.TB, changes ...change) (root, issuing, leaf holder) {
	t.Helper()
	root = under(t, holder{}, person("根"), newSM2(t), asCA(-1))
	issuing = under(t, root, person("签发"), newSM2(t), asCA(0))
	leaf = under(t, issuing, person("张三"), newSM2(t), changes...)
	return root, issuing, leaf
}

// full is a template that uses everything.
func full(key crypto.Signer) Template {
	t := leafTemplate(person("全"), key)
	t.Issuer = person("签发")
	t.AuthorityKeyID = []byte{1, 2, 3, 4}
	t.ExtKeyUsage = []OID{OIDClientAuth, OIDEmailProtection}
	t.AltNames = GeneralNames{
		DNS: []string{"a.example.cn", "*.example.cn"}, Email: []string{"z@example.cn"}, URI: []string{"https://example.cn/x"},
		IP: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, Directory: []Name{person("别名")},
	}
	t.CRLPoints = []string{"http://pki.example.cn/pki/crl/1/3.crl"}
	t.FreshestCRL = []string{"http://pki.example.cn/pki/crl/1/3-delta.crl"}
	t.OCSPServers = []string{"http://pki.example.cn/pki/ocsp"}
	t.IssuerURLs = []string{"http://pki.example.cn/pki/ca/1.cer"}
	t.Policies = []Policy{{ID: "1.2.156.999.1", CPS: "http://pki.example.cn/cps", Notice: "仅供测试"}, {ID: "1.2.156.999.2"}}
	t.Identity = map[OID]IdentityNumber{
		OIDIdentityPerson:       {IdentityResident, "11010519491231002X"},
		OIDIdentityOrganization: {IdentityOrganization, "91350211M000100Y43"},
		OIDIdentitySocial:       {IdentitySocial, "社保0001"},
	}
	t.Extra = []Extension{{ID: "1.2.156.999.9", Value: []byte{5, 0}}}
	return t
}

// forge builds a certificate by hand, so that a test can break any part of it.
type forge struct {
	version, serial, alg, issuer, validity, subject, spki, tail, extensions []byte
	outerAlg                                                                []byte
	after                                                                   []byte // after the certificate
}

func element(tag cbasn1.Tag, parts ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		for _, p := range parts {
			b.AddBytes(p)
		}
	})
	return b.BytesOrPanic()
}

func rawOID(o OID) []byte {
	var b cryptobyte.Builder
	AddOID(&b, o)
	return b.BytesOrPanic()
}

func seq(parts ...[]byte) []byte    { return element(cbasn1.SEQUENCE, parts...) }
func utf8s(s string) []byte         { return element(cbasn1.UTF8String, []byte(s)) }
func utcTime(s string) []byte       { return element(cbasn1.UTCTime, []byte(s)) }
func octets(parts ...[]byte) []byte { return element(cbasn1.OCTET_STRING, parts...) }

func rdn(t OID, value []byte) []byte { return element(cbasn1.SET, seq(rawOID(t), value)) }

func ext(id OID, critical bool, value []byte) []byte {
	if critical {
		return seq(rawOID(id), []byte{1, 1, 0xff}, octets(value))
	}
	return seq(rawOID(id), octets(value))
}

func newForge(t testing.TB, key crypto.Signer) *forge {
	t.Helper()
	spki, err := MarshalPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	name := seq(rdn(OIDCommonName, utf8s("伪")))
	return &forge{
		version: element(contextConstructed(0), []byte{2, 1, 2}), serial: []byte{2, 4, 0x11, 0x22, 0x33, 0x44},
		alg: seq(rawOID(OIDSM2WithSM3)), issuer: name, validity: seq(utcTime("260101000000Z"), utcTime("280101000000Z")),
		subject: name, spki: spki, extensions: ext(OIDKeyUsage, true, []byte{3, 2, 6, 0xc0}),
	}
}

// make signs with key and returns the DER.
func (f *forge) make(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	extensions := []byte(nil)
	if f.extensions != nil {
		extensions = element(contextConstructed(3), seq(f.extensions))
	}
	tbs := seq(f.version, f.serial, f.alg, f.issuer, f.validity, f.subject, f.spki, f.tail, extensions)
	_, sig, err := Sign(key, tbs)
	if err != nil {
		t.Fatal(err)
	}
	outer := f.outerAlg
	if outer == nil {
		outer = f.alg
	}
	return append(seq(tbs, outer, element(cbasn1.BIT_STRING, []byte{0}, sig)), f.after...)
}

func buildRaw(der []byte) cryptobyte.String { return der }
