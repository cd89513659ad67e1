package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"hufu/certs"
	"hufu/internal/gm"
)

// Sample is a certificate as a profile would make it, for invented people and a key that is thrown away. It is not signed.
type Sample struct {
	TBS  []byte // the bytes that would be signed, DER
	Dump string // the same for people
}

// sampleFacts are invented; the numbers are of no living holder.
var sampleFacts = map[HolderKind]Holder{
	HolderPerson:   {Name: "张三", Number: "110101199003070038", Level: 4},
	HolderEntity:   {Name: "示例科技有限公司", Number: "91110108MA0000001X", Level: 4},
	HolderOfficial: {Name: "张三", Number: "110101199003070038", Organization: "示例市场监督管理局", OrganizationNumber: "11330105002500287C", Post: "科员", Level: 4},
	HolderForeign:  {Name: "示例电子认证中心", Number: "91110108MA0000001X", Level: 4},
}

// Sample makes a sample under a profile, whether it is in force or not. facts replace those that are invented.
func (a *Authority) Sample(p *Profile, facts map[string]string) (Sample, error) {
	key, err := sampleKey(p.Keys[0])
	if err != nil {
		return Sample{}, err
	}
	holder := sampleFacts[p.Holder]
	holder.ID, holder.Kind = "sample", p.Holder
	if holder.Name == "" {
		holder.Name = p.Title.ZH
	}
	d := draft{profile: p, public: key.Public(), holder: holder, fields: p.sampleFields(a, facts), application: "sample"}
	if p.Holder != HolderAuthority {
		if d.asked, err = p.sampleRequest(key); err != nil {
			return Sample{}, err
		}
	}
	var parent *issuer
	if !p.selfSigned() {
		if parent, err = a.sampleIssuer(p); err != nil {
			return Sample{}, err
		}
	}
	made, err := a.prepare(d, parent)
	if err != nil {
		return Sample{}, err
	}
	c, err := certs.ParseTBS(made.tbs)
	if err != nil {
		return Sample{}, err
	}
	return Sample{made.tbs, dump(c)}, nil
}

func sampleKey(kind string) (crypto.Signer, error) {
	switch kind {
	case "p256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa":
		return rsa.GenerateKey(rand.Reader, 2048)
	default:
		return gm.GenerateKey()
	}
}

// sampleIssuer is the issuer in force, or one made up where there is none yet.
func (a *Authority) sampleIssuer(p *Profile) (*issuer, error) {
	if i, _ := a.newestIssuer(p.Issuer); i != nil {
		return i, nil
	}
	kind := "sm2"
	if q := a.profile(p.Issuer); q != nil {
		kind = q.Keys[0]
	}
	key, err := sampleKey(kind)
	if err != nil {
		return nil, err
	}
	name := certs.NewName(certs.Attribute{Type: certs.OIDCountry, Value: "CN"}, certs.Attribute{Type: certs.OIDCommonName, Value: "sample of " + p.Issuer})
	now := a.Now().UTC()
	cert, err := certs.Create(certs.Template{
		Serial: newSerial(1, now), Issuer: name, Subject: name, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(0, 0, maxDays),
		PublicKey: key.Public(), IsCA: true, MaxPathLen: -1, KeyUsage: certifyingBits,
	}, key)
	return &issuer{Issuer{Name: p.Issuer, Parent: p.Issuer}, cert}, err
}

// sampleFields invents a value for each field that the profile requires, and for those of its signing profile.
func (p *Profile) sampleFields(a *Authority, facts map[string]string) map[string]string {
	out := map[string]string{}
	for _, q := range a.withPartners(p) {
		for i := range q.made.fields {
			f := &q.made.fields[i]
			if out[f.name] = f.empty; f.empty == "" && f.bound.rule == Required {
				out[f.name] = sampleText(f.bound.pattern, "example.cn")
			}
		}
	}
	maps.Copy(out, facts)
	return out
}

// withPartners is the profile, and those in force whose pair it is.
func (a *Authority) withPartners(p *Profile) []*Profile {
	out := []*Profile{p}
	for _, name := range slices.Sorted(maps.Keys(a.ProfilesInForce())) {
		if q := a.profile(name); q.Pair == p.Name {
			out = append(out, q)
		}
	}
	return out
}

// sampleRequest is a request that asks for what the profile takes from requests.
func (p *Profile) sampleRequest(key crypto.Signer) (*certs.Request, error) {
	var attributes []certs.Attribute
	for i := range p.made.parts {
		part := &p.made.parts[i]
		text := sampleText(part.bound.pattern, "example.cn")
		switch {
		case part.bound.rule == Fixed:
			text = part.value.fill(nil)
		case part.oid == certs.OIDCountry:
			text = "CN"
		case !part.ask && p.SubjectOf != "request":
			continue
		}
		if p.SubjectOf == "request" || part.ask {
			attributes = append(attributes, certs.Attribute{Type: part.oid, Value: text})
		}
	}
	if len(attributes) == 0 && p.CSRSubject != "match" {
		attributes = append(attributes, certs.Attribute{Type: certs.OIDCommonName, Value: "example.cn"})
	}
	der, err := certs.NewRequest(key, certs.NewName(attributes...), certs.RequestOptions{AltNames: p.sampleNames()})
	if err != nil {
		return nil, err
	}
	return certs.ParseRequest(der)
}

func (p *Profile) sampleNames() (g certs.GeneralNames) {
	wanted := func(form int) bool { a := &p.made.alt[form]; return a.on && a.ask && a.bound.rule != Forbidden }
	text := func(form int, otherwise string) string { return sampleText(p.made.alt[form].bound.pattern, otherwise) }
	if wanted(altDNS) {
		g.DNS = []string{text(altDNS, "example.cn")}
	}
	if wanted(altIP) {
		g.IP = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	}
	if wanted(altEmail) {
		g.Email = []string{text(altEmail, "someone@example.cn")}
	}
	if wanted(altURI) {
		g.URI = []string{text(altURI, "https://example.cn/")}
	}
	return g
}

// dump tells what a certificate contains, a line a field.
func dump(c *certs.Certificate) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-22s "+format+"\n", append([]any{name}, args...)...)
	}
	line("serial", "%x", c.Serial)
	line("signature", "%s", c.SignatureAlgorithm)
	line("issuer", "%s", c.Issuer)
	line("not before", "%s", c.NotBefore.Format(time.RFC3339))
	line("not after", "%s", c.NotAfter.Format(time.RFC3339))
	line("subject", "%s", c.Subject)
	line("public key", "%s", keyKind(c.PublicKey))
	for _, e := range c.Extensions {
		critical := ""
		if e.Critical {
			critical = "critical "
		}
		line("extension", "%s %s%s", e.ID, critical, dumpExtension(c, e))
	}
	return b.String()
}

func dumpExtension(c *certs.Certificate, e certs.Extension) string {
	if number, ok := c.Identity[e.ID]; ok {
		return fmt.Sprintf("identity number (%s) %s", number.Kind, number.Value)
	}
	switch e.ID {
	case certs.OIDBasicConstraints:
		return fmt.Sprintf("basic constraints: CA, path length %d", c.MaxPathLen)
	case certs.OIDKeyUsage:
		return "key usage: " + strings.Join(usageWords(c.KeyUsage), ", ")
	case certs.OIDExtKeyUsage:
		return fmt.Sprintf("extended key usage: %v", c.ExtKeyUsage)
	case certs.OIDSubjectKeyID:
		return fmt.Sprintf("subject key identifier: %x", c.SubjectKeyID)
	case certs.OIDAuthorityKeyID:
		return fmt.Sprintf("authority key identifier: %x", c.AuthorityKeyID)
	case certs.OIDCertificatePolicies:
		return "policies:" + policyWords(c.Policies)
	case certs.OIDSubjectAltName:
		return fmt.Sprintf("alternative names: %v %v %v %v", c.AltNames.DNS, c.AltNames.IP, c.AltNames.Email, c.AltNames.URI)
	case certs.OIDCRLDistributionPoints:
		return fmt.Sprintf("CRL: %v", c.CRLPoints)
	case certs.OIDFreshestCRL:
		return fmt.Sprintf("delta CRL: %v", c.FreshestCRL)
	case certs.OIDAuthorityInfoAccess:
		return fmt.Sprintf("OCSP: %v, issuer: %v", c.OCSPServers, c.IssuerURLs)
	case certs.OIDOCSPNoCheck:
		return "OCSP no check"
	default:
		return fmt.Sprintf("%x", e.Value)
	}
}

func policyWords(all []certs.Policy) string {
	var b strings.Builder
	for _, p := range all {
		b.WriteString(" " + string(p.ID))
		if p.CPS+p.Notice != "" {
			b.WriteString(" (" + strings.TrimSpace(p.CPS+" "+p.Notice) + ")")
		}
	}
	return b.String()
}

func usageWords(usage certs.KeyUsage) (words []string) {
	for word, bit := range usageBits {
		if usage&bit != 0 {
			words = append(words, word)
		}
	}
	slices.SortFunc(words, func(x, y string) int { return int(usageBits[x]) - int(usageBits[y]) })
	return words
}

// SampleAlone makes a sample without an authority: what issues it is invented, too.
func SampleAlone(p *Profile, facts map[string]string, now func() time.Time) (Sample, error) {
	a := &Authority{Config: Config{
		BaseURL: "http://localhost:8480/pki", Instance: 1, Shards: 1, Now: now, Pseudonyms: noPseudonyms{},
		Profiles: map[string]*Profile{p.Name: p},
	}, issuers: map[string]*issuer{}}
	a.profiles.Store(&profileSet{force: a.Profiles})
	return a.Sample(p, facts)
}

// noPseudonyms are those of no installation.
type noPseudonyms struct{}

func (noPseudonyms) Pseudonym(kind, number string) (string, error) {
	return Pseudonym(nil, kind, number), nil
}
