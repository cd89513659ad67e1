package certs

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Limits of a name that we read.
const (
	maxRDNs       = 64
	maxAttributes = 16 // in one RDN
)

// String tags that cryptobyte does not name.
const (
	tagVisibleString   = cbasn1.Tag(26)
	tagUniversalString = cbasn1.Tag(28)
	tagBMPString       = cbasn1.Tag(30)
	tagNumericString   = cbasn1.Tag(18)
)

// Attribute is one type and value of a name.
type Attribute struct {
	Type  OID
	Value string // as UTF-8; for a value that is no string, "#" and the hex of its DER
	Tag   uint8  // ASN.1 tag as found; 0 when building lets the type decide
}

// RDN is a relative distinguished name: usually one attribute, a SET of them in general.
type RDN []Attribute

// Name is a distinguished name, the most general RDN first, as in DER.
type Name struct {
	RDNs []RDN
	Raw  []byte // DER as found, or as Marshal made it; nil in a name just written down
}

// NewName makes a name of one attribute an RDN.
func NewName(attributes ...Attribute) Name {
	n := Name{RDNs: make([]RDN, len(attributes))}
	for i, a := range attributes {
		n.RDNs[i] = RDN{a}
	}
	return n
}

// Empty tells whether the name has no RDN.
func (n Name) Empty() bool { return len(n.RDNs) == 0 }

// Get returns the first value of a type, "" when there is none.
func (n Name) Get(t OID) string {
	if all := n.All(t); len(all) > 0 {
		return all[0]
	}
	return ""
}

// All returns every value of a type.
func (n Name) All(t OID) []string {
	var out []string
	for _, rdn := range n.RDNs {
		for _, a := range rdn {
			if a.Type == t {
				out = append(out, a.Value)
			}
		}
	}
	return out
}

// CommonName returns the last common name, the most specific one.
func (n Name) CommonName() string {
	all := n.All(OIDCommonName)
	if len(all) == 0 {
		return ""
	}
	return all[len(all)-1]
}

var attributeNames = map[OID]string{
	OIDCommonName: "CN", OIDSurname: "SN", OIDSerialNumber: "serialNumber", OIDCountry: "C", OIDLocality: "L",
	OIDProvince: "ST", OIDStreet: "street", OIDOrganization: "O", OIDOrganizationalUnit: "OU", OIDTitle: "title",
	OIDGivenName: "GN", OIDOrganizationID: "organizationIdentifier", OIDEmailAddress: "emailAddress",
	OIDUserID: "UID", OIDDomainComponent: "DC",
}

// String writes the name for people, in the order of its DER: "C=CN, O=…, CN=…". It is not meant to be parsed or compared.
func (n Name) String() string {
	var b strings.Builder
	for i, rdn := range n.RDNs {
		if i > 0 {
			b.WriteString(", ")
		}
		for j, a := range rdn {
			if j > 0 {
				b.WriteString(" + ")
			}
			label, ok := attributeNames[a.Type]
			if !ok {
				label = string(a.Type)
			}
			b.WriteString(label + "=" + escapeValue(a.Value))
		}
	}
	return b.String()
}

// escapeValue keeps a value from looking like further attributes, and control characters from reaching a terminal.
func escapeValue(v string) string {
	v = printable(v)
	var b strings.Builder
	for _, r := range v {
		if strings.ContainsRune(`,+"\<>;=`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// printable replaces what could mislead on a screen: control and direction characters, broken UTF-8.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, r < 0x20, r >= 0x7f && r < 0xa0, r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e,
			r >= 0x2060 && r <= 0x206f, r == 0xfeff:
			return '\uFFFD'
		}
		return r
	}, s)
}

// Marshal returns the DER: Raw when it is set, else the attributes encoded as GB/T 20518 and RFC 5280 want them:
// PrintableString for country, serialNumber and organizationIdentifier in ASCII, IA5String for e-mail and domain component, else UTF8String.
func (n Name) Marshal() ([]byte, error) {
	if n.Raw != nil {
		return n.Raw, nil
	}
	if len(n.RDNs) > maxRDNs {
		return nil, ErrTooLarge
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, rdn := range n.RDNs {
			addRDN(b, rdn)
		}
	})
	return b.Bytes()
}

func addRDN(b *cryptobyte.Builder, rdn RDN) {
	if len(rdn) == 0 || len(rdn) > maxAttributes {
		b.SetError(malformed("RDN of %d attributes", len(rdn)))
		return
	}
	elements := make([][]byte, len(rdn))
	for i, a := range rdn {
		der, err := marshalAttribute(a)
		if err != nil {
			b.SetError(err)
			return
		}
		elements[i] = der
	}
	AddSetOf(b, cbasn1.SET, elements)
}

func marshalAttribute(a Attribute) ([]byte, error) {
	tag, err := attributeTag(a)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		AddOID(b, a.Type)
		b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(a.Value)) })
	})
	return b.Bytes()
}

func attributeTag(a Attribute) (cbasn1.Tag, error) {
	tag := cbasn1.Tag(a.Tag)
	if tag == 0 {
		switch a.Type {
		case OIDCountry, OIDSerialNumber, OIDOrganizationID:
			tag = cbasn1.PrintableString
			if !isPrintableString(a.Value) && a.Type == OIDOrganizationID {
				tag = cbasn1.UTF8String
			}
		case OIDEmailAddress, OIDDomainComponent:
			tag = cbasn1.IA5String
		default:
			tag = cbasn1.UTF8String
		}
	}
	fits := a.Value != ""
	switch tag {
	case cbasn1.PrintableString:
		fits = fits && isPrintableString(a.Value)
	case cbasn1.IA5String:
		fits = fits && isASCII(a.Value)
	case cbasn1.UTF8String:
		fits = fits && utf8.ValidString(a.Value)
	default:
		fits = false
	}
	if a.Type == OIDCountry && len(a.Value) != 2 {
		fits = false
	}
	if !fits {
		return 0, malformed("name attribute %s: value %q does not fit", a.Type, printable(a.Value))
	}
	return tag, nil
}

// AddSetOf appends elements in the order that DER prescribes for SET OF.
func AddSetOf(b *cryptobyte.Builder, tag cbasn1.Tag, elements [][]byte) {
	sorted := slices.SortedFunc(slices.Values(elements), bytes.Compare)
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		for _, e := range sorted {
			b.AddBytes(e)
		}
	})
}
