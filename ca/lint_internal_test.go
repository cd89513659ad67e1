package ca

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"hufu/certs"
	"hufu/configs"
	"hufu/internal/fault"
)

// bench makes certificates to break: a profile, its template, and what it is linted against.
type workbench struct {
	t       *testing.T
	a       *Authority
	p       *prepared
	parent  *issuer
	good    certs.Template
	tbs     []byte
	profile Profile
}

func newWorkbench(t *testing.T, name string) *workbench {
	t.Helper()
	profiles, err := ParseProfiles(configs.Files, "profiles")
	if err != nil {
		t.Fatal(err)
	}
	p := profiles[name]
	b := &workbench{t: t, a: &Authority{Config: Config{
		BaseURL: "http://localhost:8480/pki", Instance: 1, Shards: 1, Now: time.Now, Pseudonyms: noPseudonyms{}, Profiles: profiles,
	}, issuers: map[string]*issuer{}}}
	b.a.profiles.Store(&profileSet{force: profiles})
	key, err := sampleKey(p.Keys[0])
	if err != nil {
		t.Fatal(err)
	}
	holder := sampleFacts[p.Holder]
	holder.Kind = p.Holder
	if holder.Name == "" {
		holder.Name = p.Title.ZH
	}
	request, err := p.sampleRequest(key)
	if err != nil {
		t.Fatal(err)
	}
	if !p.selfSigned() {
		if b.parent, err = b.a.sampleIssuer(p); err != nil {
			t.Fatal(err)
		}
	}
	b.profile = *p
	b.p = &prepared{draft: draft{profile: &b.profile, public: key.Public(), holder: holder, fields: p.sampleFields(b.a, nil), asked: request}, serial: newSerial(1, time.Now())}
	if b.good, err = b.a.template(b.p, b.parent); err != nil {
		t.Fatal(err)
	}
	if b.tbs, err = certs.BuildTBS(b.good); err != nil {
		t.Fatal(err)
	}
	return b
}

// linted reads bytes as leniently as we can: a lint must find what the strict parser would have refused before it.
func (b *workbench) linted(tbs []byte) *linted {
	b.t.Helper()
	var out cryptobyte.Builder
	out.AddASN1(asn1.SEQUENCE, func(o *cryptobyte.Builder) {
		o.AddBytes(tbs)
		o.AddBytes(elements(b.t, tbs)[2])
		o.AddASN1BitString(make([]byte, 70))
	})
	c, err := certs.ParseLenient(out.BytesOrPanic())
	if err != nil {
		b.t.Fatal(err)
	}
	p := *b.p
	p.tbs = tbs
	return &linted{&p, c, time.Now()}
}

// elements are those of a to-be-signed part: version, serial, algorithm, issuer, validity, subject, key, extensions.
func elements(t *testing.T, tbs []byte) (out [][]byte) {
	t.Helper()
	in := cryptobyte.String(tbs)
	var body, element cryptobyte.String
	var tag asn1.Tag
	if !in.ReadASN1(&body, asn1.SEQUENCE) {
		t.Fatal("no sequence")
	}
	for !body.Empty() {
		if !body.ReadAnyASN1Element(&element, &tag) {
			t.Fatal("broken element")
		}
		out = append(out, element)
	}
	return out
}

// with puts another element in the place of one.
func (b *workbench) with(index int, element []byte) []byte {
	b.t.Helper()
	all := slices.Clone(elements(b.t, b.tbs))
	all[index] = element
	var out cryptobyte.Builder
	out.AddASN1(asn1.SEQUENCE, func(o *cryptobyte.Builder) {
		for _, e := range all {
			o.AddBytes(e)
		}
	})
	return out.BytesOrPanic()
}

func build(f func(b *cryptobyte.Builder)) []byte {
	var b cryptobyte.Builder
	f(&b)
	return b.BytesOrPanic()
}

// extended adds extensions to those that are there, or replaces them by identifier.
func (b *workbench) extended(more ...certs.Extension) []byte {
	c, err := certs.ParseTBS(b.tbs)
	if err != nil {
		b.t.Fatal(err)
	}
	list := slices.DeleteFunc(slices.Clone(c.Extensions), func(e certs.Extension) bool {
		return slices.ContainsFunc(more, func(m certs.Extension) bool { return m.ID == e.ID })
	})
	list = append(list, more...)
	return b.with(7, build(func(o *cryptobyte.Builder) {
		o.AddASN1(asn1.Tag(3).Constructed().ContextSpecific(), func(o *cryptobyte.Builder) {
			o.AddASN1(asn1.SEQUENCE, func(o *cryptobyte.Builder) {
				for _, e := range list {
					certs.AddExtension(o, e)
				}
			})
		})
	}))
}

// named has another subject.
func (b *workbench) named(attributes ...certs.Attribute) []byte {
	der, err := certs.NewName(attributes...).Marshal()
	if err != nil {
		b.t.Fatal(err)
	}
	return b.with(5, der)
}

// built has another template.
func (b *workbench) built(change func(t *certs.Template)) []byte {
	b.t.Helper()
	t := b.good
	change(&t)
	tbs, err := certs.BuildTBS(t)
	if err != nil {
		b.t.Fatal(err)
	}
	return tbs
}

func times(from, to string, tag asn1.Tag) []byte {
	return build(func(o *cryptobyte.Builder) {
		o.AddASN1(asn1.SEQUENCE, func(o *cryptobyte.Builder) {
			for _, text := range []string{from, to} {
				o.AddASN1(tag, func(o *cryptobyte.Builder) { o.AddBytes([]byte(text)) })
			}
		})
	})
}

func printableDER(text string) []byte {
	der, _ := certs.EncodeString("printable", text)
	return der
}

// breakages break one thing each, by the lint that must find it. The first word is the profile.
var breakages = map[string]struct {
	profile string
	tbs     func(b *workbench) []byte
}{
	"size": {"person-sign", func(b *workbench) []byte {
		value, _ := certs.EncodeOctets(make([]byte, maxTBS))
		return b.built(func(t *certs.Template) { t.Extra = []certs.Extension{{ID: "2.999.1", Value: value}} })
	}},
	"version": {"person-sign", func(b *workbench) []byte {
		return bytes.Replace(b.tbs, []byte{0xa0, 3, 2, 1, 2}, []byte{0xa0, 3, 2, 1, 1}, 1)
	}},
	"serial-form": {"person-sign", func(b *workbench) []byte {
		return b.with(1, append([]byte{2, 16, 0x81}, b.p.serial[1:]...))
	}},
	"serial-reserved": {"person-sign", func(b *workbench) []byte { return b.with(1, append([]byte{2, 16, 0x02}, b.p.serial[1:]...)) }},
	"signature-algorithm": {"person-sign", func(b *workbench) []byte {
		return b.built(func(t *certs.Template) { t.SignatureAlgorithm = certs.ECDSAWithSHA256 })
	}},
	"issuer-name": {"person-sign", func(b *workbench) []byte {
		return b.built(func(t *certs.Template) {
			t.Issuer = certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: "another"})
		})
	}},
	"time-form": {"person-sign", func(b *workbench) []byte {
		return b.with(4, times("20270101000000Z", "20280101000000Z", asn1.GeneralizedTime))
	}},
	"time-order": {"person-sign", func(b *workbench) []byte { return b.with(4, times("280101000000Z", "270101000000Z", asn1.UTCTime)) }},
	"time-issuer": {"person-sign", func(b *workbench) []byte {
		return b.built(func(t *certs.Template) { t.NotAfter = b.parent.cert.NotAfter.Add(time.Second) })
	}},
	"key-asked": {"person-sign", func(b *workbench) []byte {
		return b.built(func(t *certs.Template) { t.PublicKey = b.parent.cert.PublicKey })
	}},
	"key-strength": {"person-sign", func(b *workbench) []byte {
		n, _ := rand.Prime(rand.Reader, 2048)
		return b.built(func(t *certs.Template) { t.PublicKey = &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 3} })
	}},
	"subject-present": {"person-sign", func(b *workbench) []byte { return b.with(5, []byte{0x30, 0}) }},
	"name-known":      {"person-sign", func(b *workbench) []byte { return b.named(certs.Attribute{Type: "2.5.4.65", Value: "x"}) }},
	"name-form": {"person-sign", func(b *workbench) []byte {
		return b.named(certs.Attribute{Type: certs.OIDCountry, Value: "CN", Tag: uint8(asn1.UTF8String)})
	}},
	"name-length": {"person-sign", func(b *workbench) []byte {
		return b.named(certs.Attribute{Type: certs.OIDCommonName, Value: strings.Repeat("长", 65)})
	}},
	"name-country": {"person-sign", func(b *workbench) []byte { return b.named(certs.Attribute{Type: certs.OIDCountry, Value: "cn"}) }},
	"name-blank": {"person-sign", func(b *workbench) []byte {
		return b.named(certs.Attribute{Type: certs.OIDCommonName, Value: " 张三"})
	}},
	"name-once": {"person-sign", func(b *workbench) []byte {
		return b.named(certs.Attribute{Type: certs.OIDCommonName, Value: "a"}, certs.Attribute{Type: certs.OIDCommonName, Value: "b"})
	}},
	"key-usage-present": {"person-sign", func(b *workbench) []byte { return b.built(func(t *certs.Template) { t.KeyUsage = 0 }) }},
	"key-usage-sm2": {"person-sign", func(b *workbench) []byte {
		return b.built(func(t *certs.Template) { t.KeyUsage |= certs.UsageKeyEncipherment })
	}},
	"key-usage-algorithm": {"person-p256", func(b *workbench) []byte {
		return b.built(func(t *certs.Template) { t.KeyUsage |= certs.UsageKeyEncipherment })
	}},
	"key-usage-only": {"person-sign", func(b *workbench) []byte {
		return b.built(func(t *certs.Template) { t.KeyUsage |= certs.UsageEncipherOnly })
	}},
	"key-usage-ca": {"subordinate", func(b *workbench) []byte {
		return b.built(func(t *certs.Template) { t.KeyUsage |= certs.UsageDigitalSignature })
	}},
	"key-usage-extended": {"person-enc", func(b *workbench) []byte {
		return b.built(func(t *certs.Template) { t.ExtKeyUsage = []certs.OID{certs.OIDCodeSigning} })
	}},
	"basic-constraints": {"person-sign", func(b *workbench) []byte {
		return b.extended(certs.Extension{ID: certs.OIDBasicConstraints, Critical: true, Value: []byte{0x30, 0}})
	}},
	"path-length": {"subordinate", func(b *workbench) []byte {
		parent := *b.parent.cert
		parent.MaxPathLen, b.p.chain = 0, &parent
		return b.tbs
	}},
	"subject-key-id": {"person-sign", func(b *workbench) []byte {
		return b.built(func(t *certs.Template) { t.SubjectKeyID = make([]byte, 20) })
	}},
	"authority-key-id": {"person-sign", func(b *workbench) []byte { return b.built(func(t *certs.Template) { t.AuthorityKeyID = nil }) }},
	"time-stamping":    {"tsa", func(b *workbench) []byte { return b.built(func(t *certs.Template) { t.ExtKeyUsageCritical = false }) }},
	"ocsp-signing":     {"person-sign", func(b *workbench) []byte { return b.built(func(t *certs.Template) { t.OCSPNoCheck = true }) }},
	"extension-twice": {"person-sign", func(b *workbench) []byte {
		e := certs.Extension{ID: "2.999.1", Value: []byte{5, 0}}
		return b.extended(e, e)
	}},
	"extension-der": {"person-sign", func(b *workbench) []byte { return b.extended(certs.Extension{ID: "2.999.1", Value: []byte{0x30, 5}}) }},
	"extension-critical": {"person-sign", func(b *workbench) []byte {
		return b.extended(certs.Extension{ID: "2.999.1", Critical: true, Value: []byte{5, 0}})
	}},
	"alt-names-present": {"tls-server", func(b *workbench) []byte {
		return b.built(func(t *certs.Template) { t.AltNames = certs.GeneralNames{} })
	}},
	"alt-names-form": {"tls-server", func(b *workbench) []byte {
		return b.built(func(t *certs.Template) { t.AltNames.DNS = []string{"a.cn", "A.cn"} })
	}},
	"alt-names-critical": {"tls-server", func(b *workbench) []byte {
		return b.extended(certs.Extension{ID: certs.OIDSubjectAltName, Critical: true, Value: append([]byte{0x30, 6, 0x82, 4}, "a.cn"...)})
	}},
	"list-point": {"person-sign", func(b *workbench) []byte {
		return b.built(func(t *certs.Template) { t.CRLPoints = []string{"ldap://x/y"} })
	}},
	"delta-point": {"person-sign", func(b *workbench) []byte {
		return b.built(func(t *certs.Template) { t.FreshestCRL, t.CRLPoints = t.CRLPoints, nil })
	}},
	"authority-info": {"person-sign", func(b *workbench) []byte {
		return b.built(func(t *certs.Template) { t.OCSPServers = []string{"http:///ocsp"} })
	}},
	"policy-form": {"person-sign", func(b *workbench) []byte {
		return b.built(func(t *certs.Template) { t.Policies = []certs.Policy{{ID: "2.999.1", CPS: "cps.example.cn"}} })
	}},
	"policy-mapping": {"person-sign", func(b *workbench) []byte {
		return b.extended(certs.Extension{ID: certs.OIDInhibitAnyPolicy, Value: []byte{2, 1, 0}})
	}},
	"identity-form": {"person-sign", func(b *workbench) []byte {
		return b.extended(certs.Extension{ID: certs.OIDIdentityPerson, Value: printableDER("110101199003070038")})
	}},
	"identity-hidden": {"person-sign-pseudonym", func(b *workbench) []byte {
		return b.named(certs.Attribute{Type: certs.OIDCommonName, Value: "张三 " + b.p.holder.Number})
	}},
	"profile-key": {"person-sign", func(b *workbench) []byte {
		b.profile.Keys = []string{"rsa"}
		return b.tbs
	}},
	"profile-time": {"person-sign", func(b *workbench) []byte {
		return b.built(func(t *certs.Template) { t.NotAfter = t.NotAfter.AddDate(0, 0, 1) })
	}},
	"profile-subject": {"person-sign", func(b *workbench) []byte {
		return b.named(certs.Attribute{Type: certs.OIDCountry, Value: "CN"}, certs.Attribute{Type: certs.OIDOrganization, Value: "x"}, certs.Attribute{Type: certs.OIDCommonName, Value: "x"})
	}},
	"profile-alt-names": {"person-sign", func(b *workbench) []byte {
		return b.built(func(t *certs.Template) { t.AltNames.DNS = []string{"a.cn"} })
	}},
	"profile-usage": {"person-sign", func(b *workbench) []byte {
		return b.built(func(t *certs.Template) { t.KeyUsage = certs.UsageDigitalSignature })
	}},
	"profile-extended": {"person-sign", func(b *workbench) []byte { return b.built(func(t *certs.Template) { t.ExtKeyUsageCritical = true }) }},
	"profile-policies": {"person-sign", func(b *workbench) []byte { return b.built(func(t *certs.Template) { t.Policies = nil }) }},
	"profile-identities": {"person-sign", func(b *workbench) []byte {
		return b.built(func(t *certs.Template) {
			t.Identity = map[certs.OID]certs.IdentityNumber{certs.OIDIdentityTax: {Kind: certs.IdentityTax, Value: "1"}}
		})
	}},
	"profile-status":     {"person-sign", func(b *workbench) []byte { return b.built(func(t *certs.Template) { t.CRLPoints = nil }) }},
	"profile-extensions": {"person-sign", func(b *workbench) []byte { return b.extended(certs.Extension{ID: "2.999.1", Value: []byte{5, 0}}) }},
}

func TestEachLintFindsWhatItIsFor(t *testing.T) {
	for _, l := range Lints() {
		t.Run(l.Code, func(t *testing.T) {
			c, ok := breakages[l.Code]
			if !ok {
				t.Fatal("this lint has no certificate that trips it")
			}
			b := newWorkbench(t, c.profile)
			good := b.linted(b.tbs)
			if err := lint(good); err != nil {
				t.Fatalf("the certificate is refused before it is broken: %v", err)
			}
			bad := b.linted(c.tbs(b))
			if l.wrong(bad) == "" {
				t.Error("the lint does not see it")
			}
			err := lint(bad)
			refused, _ := errors.AsType[*fault.Error](err)
			if refused == nil || !strings.HasPrefix(refused.Code, "ca.lint.") || refused.Text.ZH == "" {
				t.Errorf("refused as %v", err)
			}
		})
	}
	if extra := len(breakages) - len(Lints()); extra != 0 {
		t.Errorf("%d breakages too many", extra)
	}
}

func TestLintsAreNamedOnceAndSourced(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range Lints() {
		if seen[l.Code] || l.Source == "" || l.Says.EN == "" || l.Says.ZH == "" {
			t.Errorf("lint %q is named twice or says nothing", l.Code)
		}
		seen[l.Code] = true
	}
}

// Zero, too long and padded numbers: the forms that RFC 5280, 4.1.2.2 forbids.
func TestSerialNumbersOfEveryWrongForm(t *testing.T) {
	for name, serial := range map[string][]byte{
		"none": {}, "zero": {0}, "long zero": make([]byte, 16), "negative": {0x80}, "padded": {0, 1}, "21 octets": append([]byte{1}, make([]byte, 20)...),
	} {
		if serialForm(&linted{cert: &certs.Certificate{Serial: serial}}) == "" {
			t.Errorf("%s: a serial number of %x is let through", name, serial)
		}
	}
	for _, serial := range [][]byte{{1}, {0, 0x80}, big.NewInt(1 << 40).Bytes(), bytes.Repeat([]byte{1}, 20)} {
		if wrong := serialForm(&linted{cert: &certs.Certificate{Serial: serial}}); wrong != "" {
			t.Errorf("%x: %s", serial, wrong)
		}
	}
}
