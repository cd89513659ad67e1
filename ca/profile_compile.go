package ca

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"hufu/certs"
)

// compiled is a profile made ready: nothing of it is read again for each certificate.
type compiled struct {
	usage     certs.KeyUsage
	extended  []certs.OID
	policies  []certs.Policy
	parts     []part
	forbidden []certs.OID // types that the request's subject must not have
	alt       [altForms]altName
	ids       []identity
	custom    []custom
	requested map[certs.OID]Rule
	fields    []field
	limited   limited
	named     []string // facts that values name
}

type part struct {
	name  string
	oid   certs.OID
	value value
	bound bound
	ask   bool // value comes from the request's subject
	empty string
}

type altName struct {
	on    bool
	value value
	bound bound
	ask   bool
	most  int
}

// Forms of alternative names.
const (
	altDNS = iota
	altIP
	altEmail
	altURI
	altForms
)

var altWords = [altForms]string{"dns", "ip", "email", "uri"}

type identity struct {
	oid   certs.OID
	kind  certs.IdentityKind
	value value
	bound bound
}

type custom struct {
	oid      certs.OID
	name     string
	encoding string
	critical bool
	value    value
	bound    bound
}

type field struct {
	name, empty string
	source      Source
	bound       bound
}

// nameType is a type of name attribute: its word in profiles and its upper bound in characters (RFC 5280, appendix A.1;
// X.520 for those that the RFC leaves out).
type nameType struct {
	oid   certs.OID
	bound int
}

var nameTypes = map[string]nameType{
	"C": {certs.OIDCountry, 2}, "ST": {certs.OIDProvince, 128}, "L": {certs.OIDLocality, 128}, "STREET": {certs.OIDStreet, 128},
	"O": {certs.OIDOrganization, 64}, "OU": {certs.OIDOrganizationalUnit, 64}, "CN": {certs.OIDCommonName, 64},
	"SN": {certs.OIDSerialNumber, 64}, "T": {certs.OIDTitle, 64}, "SURNAME": {certs.OIDSurname, 32768}, "GN": {certs.OIDGivenName, 32768},
	"DC": {certs.OIDDomainComponent, 63}, "E": {certs.OIDEmailAddress, 255}, "UID": {certs.OIDUserID, 256},
	"ORGID": {certs.OIDOrganizationID, 256},
}

var usageBits = map[string]certs.KeyUsage{
	"digitalSignature": certs.UsageDigitalSignature, "nonRepudiation": certs.UsageNonRepudiation,
	"keyEncipherment": certs.UsageKeyEncipherment, "dataEncipherment": certs.UsageDataEncipherment,
	"keyAgreement": certs.UsageKeyAgreement, "keyCertSign": certs.UsageCertSign, "cRLSign": certs.UsageCRLSign,
	"encipherOnly": certs.UsageEncipherOnly, "decipherOnly": certs.UsageDecipherOnly,
}

var extendedUsages = map[string]certs.OID{
	"clientAuth": certs.OIDClientAuth, "serverAuth": certs.OIDServerAuth, "emailProtection": certs.OIDEmailProtection,
	"timeStamping": certs.OIDTimeStamping, "OCSPSigning": certs.OIDOCSPSigning, "codeSigning": certs.OIDCodeSigning, "cmcRA": certs.OIDCMCRA,
}

// extensionNames are the extensions that "requested" may name by word.
var extensionNames = map[string]certs.OID{
	"keyUsage": certs.OIDKeyUsage, "extKeyUsage": certs.OIDExtKeyUsage, "subjectAltName": certs.OIDSubjectAltName,
	"basicConstraints": certs.OIDBasicConstraints, "certificatePolicies": certs.OIDCertificatePolicies, "nameConstraints": certs.OIDNameConstraints,
}

// compile checks the profile and makes it ready.
func (p *Profile) compile() error {
	p.made = compiled{}
	for _, step := range []func() error{
		p.checkWords, p.checkNumbers, p.compileUsage, p.compileFields, p.compilePolicies, p.compileSubject, p.compileAltNames,
		p.compileIdentities, p.compileCustom, p.compileRequested, p.compileLimits,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (p *Profile) compileUsage() error {
	for _, u := range p.Usage {
		if usageBits[u] == 0 {
			return fmt.Errorf("usage %q is unknown", u)
		}
		p.made.usage |= usageBits[u]
	}
	for _, name := range p.Extended {
		oid, ok := extendedUsages[name]
		if !ok {
			var err error
			if oid, err = certs.ParseOID(name); err != nil {
				return fmt.Errorf("extended usage %q is neither a known name nor an OID", name)
			}
		}
		p.made.extended = append(p.made.extended, oid)
	}
	return nil
}

func (p *Profile) compileFields() error {
	for _, f := range p.Fields {
		if !factName.MatchString(f.Name) || slices.Contains(registryFacts, f.Name) || slices.Contains([]string{factNotBefore, factNotAfter}, f.Name) {
			return fmt.Errorf("field %q: the name is no word in small letters, or the program's own", f.Name)
		}
		if f.source() != FromApplication && f.source() != FromOfficer {
			return fmt.Errorf("field %q: source %q is neither application nor officer", f.Name, f.Source)
		}
		made := field{name: f.Name, source: f.source(), empty: f.Default}
		rule := f.Rule
		if rule == "" {
			rule = Required
		}
		most := f.Max
		if most == 0 {
			most = 256
		}
		var err error
		if made.bound, err = boundOf(rule, f.Pattern, most, value{source: made.source}); err != nil {
			return fmt.Errorf("field %q: %w", f.Name, err)
		}
		if made.bound.rule == Forbidden {
			return fmt.Errorf("field %q: a forbidden field is left out", f.Name)
		}
		if err := made.bound.check(f.Default); f.Default != "" && err != nil {
			return fmt.Errorf("field %q: its default %w", f.Name, err)
		}
		p.made.fields = append(p.made.fields, made)
	}
	return nil
}

func (p *Profile) compilePolicies() error {
	for _, text := range p.Policies {
		id, err := certs.ParseOID(text.ID)
		if err != nil {
			return fmt.Errorf("policy %q is no OID", text.ID)
		}
		if len([]rune(text.Notice)) > 200 { // RFC 5280, 4.2.1.4
			return fmt.Errorf("policy %s: the notice has more than 200 characters", text.ID)
		}
		if text.CPS != "" && !webAddress(text.CPS) {
			return fmt.Errorf("policy %s: cps %q is no http address", text.ID, text.CPS)
		}
		p.made.policies = append(p.made.policies, certs.Policy{ID: id, CPS: text.CPS, Notice: text.Notice})
	}
	return nil
}

func (p *Profile) compileSubject() error {
	for _, s := range p.Subject {
		made, err := p.compilePart(s)
		if err != nil {
			return fmt.Errorf("subject %s %q: %w", s.Type, s.Value, err)
		}
		if made.bound.rule == Forbidden {
			p.made.forbidden = append(p.made.forbidden, made.oid)
			continue
		}
		p.made.parts = append(p.made.parts, made)
	}
	for _, made := range p.made.parts {
		if slices.Contains(p.made.forbidden, made.oid) {
			return fmt.Errorf("subject %s is forbidden in one line and there in another", made.name)
		}
	}
	if len(p.made.parts) == 0 {
		return errors.New("subject must be there")
	}
	return nil
}

func (p *Profile) compilePart(s Part) (made part, err error) {
	known, ok := nameTypes[s.Type]
	if !ok {
		return made, errors.New("type is unknown")
	}
	made = part{name: s.Type, oid: known.oid, empty: s.Default}
	if made.value, err = p.parseValue(s.Value); err != nil {
		return made, err
	}
	if s.Value == "" && s.Rule != Forbidden {
		made.ask, made.value.source = true, FromApplication
	}
	if s.Max > known.bound {
		return made, fmt.Errorf("max %d is above the upper bound %d of RFC 5280", s.Max, known.bound)
	}
	most := known.bound
	if s.Max > 0 {
		most = s.Max
	}
	if made.bound, err = boundOf(s.Rule, s.Pattern, most, made.value); err != nil {
		return made, err
	}
	if err := agrees(s.Source, made.value); err != nil && s.Rule != Forbidden {
		return made, err
	}
	if made.bound.rule == Fixed {
		if err := made.bound.check(s.Value); err != nil {
			return made, err
		}
	}
	return made, nil
}

func (p *Profile) compileAltNames() error {
	for form, a := range [altForms]*AltName{p.AltNames.DNS, p.AltNames.IP, p.AltNames.Email, p.AltNames.URI} {
		if a == nil {
			continue
		}
		made, err := p.compileAltName(*a)
		if err != nil {
			return fmt.Errorf("alt_names %s: %w", altWords[form], err)
		}
		p.made.alt[form] = made
	}
	return nil
}

func (p *Profile) compileAltName(a AltName) (made altName, err error) {
	made = altName{on: true, most: a.Max}
	if made.most == 0 {
		made.most = 20
	}
	if made.value, err = p.parseValue(a.Value); err != nil {
		return made, err
	}
	if a.Value == "" && a.Rule != Forbidden {
		made.ask, made.value.source = true, FromApplication
	}
	if made.bound, err = boundOf(a.Rule, a.Pattern, 2048, made.value); err != nil {
		return made, err
	}
	if a.Rule == Forbidden {
		return made, nil
	}
	return made, agrees(a.Source, made.value)
}

var customEncodings = []string{"utf8", "printable", "ia5", "octet", "hex"}

func (p *Profile) compileCustom() error {
	for _, c := range p.Custom {
		made := custom{name: c.Name, encoding: c.Encoding, critical: c.Critical}
		if err := p.compileCustomOne(c, &made); err != nil {
			return fmt.Errorf("custom extension %s %q: %w", c.OID, c.Name, err)
		}
		p.made.custom = append(p.made.custom, made)
	}
	return nil
}

func (p *Profile) compileCustomOne(c Custom, made *custom) (err error) {
	if made.oid, err = certs.ParseOID(c.OID); err != nil {
		return err
	}
	if certs.KnownExtension(made.oid) {
		return errors.New("the program writes this extension itself")
	}
	if slices.ContainsFunc(p.made.custom, func(x custom) bool { return x.oid == made.oid }) {
		return errors.New("stands twice")
	}
	if !slices.Contains(customEncodings, c.Encoding) {
		return fmt.Errorf("encoding %q is none of %v", c.Encoding, customEncodings)
	}
	if c.Value == "" {
		return errors.New("has no value")
	}
	if made.value, err = p.parseValue(c.Value); err != nil {
		return err
	}
	most := c.Max
	if most == 0 {
		most = 1024
	}
	if made.bound, err = boundOf(c.Rule, c.Pattern, most, made.value); err != nil {
		return err
	}
	if made.bound.rule == Fixed {
		if _, err = made.encode(c.Value); err != nil {
			return err
		}
	}
	return agrees(c.Source, made.value)
}

func (p *Profile) compileRequested() error {
	for name, rule := range p.Requested {
		oid, ok := extensionNames[name]
		if !ok {
			var err error
			if oid, err = certs.ParseOID(name); err != nil {
				return fmt.Errorf("requested: %q is neither a known extension nor an OID", name)
			}
		}
		if !slices.Contains(rules, rule) {
			return fmt.Errorf("requested %s: rule %q is none of %v", name, rule, rules)
		}
		if p.made.requested == nil {
			p.made.requested = map[certs.OID]Rule{}
		}
		p.made.requested[oid] = rule
	}
	return nil
}

// encode writes the value of a custom extension.
func (c *custom) encode(text string) ([]byte, error) {
	switch c.encoding {
	case "utf8", "printable", "ia5":
		return certs.EncodeString(c.encoding, text)
	}
	octets, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	if err != nil {
		return nil, fmt.Errorf("%q is not hexadecimal", text)
	}
	if c.encoding == "octet" {
		return certs.EncodeOctets(octets)
	}
	if !certs.SoleElement(octets) {
		return nil, errors.New("is not one element of DER")
	}
	return octets, nil
}
