package certs

import (
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// IdentityKind says what sort of number an identity extension holds.
type IdentityKind string

// Kinds of identity numbers.
const (
	IdentityResident     IdentityKind = "resident"     // 居民身份证
	IdentityMilitary     IdentityKind = "military"     // 军官证
	IdentityPassport     IdentityKind = "passport"     // 护照
	IdentitySocial       IdentityKind = "social"       // 社会保险号
	IdentityBusiness     IdentityKind = "business"     // 工商注册号
	IdentityOrganization IdentityKind = "organization" // 组织机构代码, 统一社会信用代码
	IdentityTax          IdentityKind = "tax"          // 税号
	IdentityPerson       IdentityKind = "person"       // of a person, in an encoding that does not tell which number
	IdentityUnknown      IdentityKind = "unknown"
)

// IdentityNumber is the value of an identity extension.
type IdentityNumber struct {
	Kind  IdentityKind
	Value string // as found; prefixes such as SF or N are left on
}

var identityKinds = map[OID]IdentityKind{
	OIDIdentityPerson:       IdentityPerson,
	OIDIdentitySocial:       IdentitySocial,
	OIDIdentityBusiness:     IdentityBusiness,
	OIDIdentityOrganization: IdentityOrganization,
	OIDIdentityTax:          IdentityTax,
	OIDIdentityResident2023: IdentityResident,
	OIDIdentityPassport2023: IdentityPassport,
	OIDIdentityUSCC2023:     IdentityOrganization,
	OIDIdentityUSCC2023Alt:  IdentityOrganization,

	OIDOldIdentityPerson:       IdentityPerson,
	OIDOldIdentityOrganization: IdentityOrganization,
	OIDOldIdentityBusiness:     IdentityBusiness,
	OIDOldIdentityTax:          IdentityTax,
}

// IdentityExtension tells whether an extension is one of those that hold identity numbers.
func IdentityExtension(id OID) bool {
	_, known := identityKinds[id]
	return known
}

// pseudonymSize is the length of a pseudonym: 32 octets of HMAC-SM3 in hexadecimal. No number of the registers is as long.
const pseudonymSize = 64

// Pseudonym tells whether the value is no number but a keyed digest of one: 64 lower-case hexadecimal digits.
func (n IdentityNumber) Pseudonym() bool {
	for _, c := range []byte(n.Value) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return len(n.Value) == pseudonymSize
}

// personChoice is the CHOICE of 1.2.156.10260.4.1.1: context tag, kind, string type.
var personChoice = []struct {
	kind IdentityKind
	tag  cbasn1.Tag
}{
	{IdentityResident, cbasn1.PrintableString},
	{IdentityMilitary, cbasn1.UTF8String},
	{IdentityPassport, cbasn1.PrintableString},
}

// DecodeIdentity reads the value of an identity extension in any encoding that is met: the EXPLICIT or IMPLICIT CHOICE of
// GM/T 0015-2012, the SET round it of the older OIDs, and a bare string. Kind is IdentityUnknown unless the encoding tells it.
// standard is false for every form but the EXPLICIT CHOICE and the bare PrintableString or UTF8String.
func DecodeIdentity(value []byte) (number IdentityNumber, standard, ok bool) {
	s := cryptobyte.String(value)
	number, standard, ok = decodeIdentity(&s, 0)
	return number, standard && s.Empty(), ok
}

func decodeIdentity(s *cryptobyte.String, depth int) (IdentityNumber, bool, bool) {
	var content cryptobyte.String
	var tag cbasn1.Tag
	if depth > 3 || !s.ReadAnyASN1(&content, &tag) {
		return IdentityNumber{}, false, false
	}
	number := IdentityNumber{Kind: IdentityUnknown}
	choice := int(tag & 0x1f)
	switch {
	case tag == cbasn1.SET || tag == cbasn1.SEQUENCE || tag == cbasn1.OCTET_STRING:
		number, _, ok := decodeIdentity(&content, depth+1)
		return number, false, ok
	case tag == contextConstructed(uint8(choice)):
		inside := content
		number, standard, ok := decodeIdentity(&content, depth+1)
		if choice >= len(personChoice) {
			return number, false, ok
		}
		number.Kind = personChoice[choice].kind
		return number, standard && inside.PeekASN1Tag(personChoice[choice].tag) && content.Empty(), ok
	case tag == contextTag(uint8(choice)):
		if choice < len(personChoice) {
			number.Kind = personChoice[choice].kind
		}
		number.Value = string(content)
		return number, false, utf8.ValidString(number.Value) && number.Value != ""
	}
	var odd string
	number.Value, odd = decodeString(tag, content)
	standard := odd == "" && tag != cbasn1.IA5String
	return number, standard, odd != notString && number.Value != ""
}

// identity reads one identity extension; kind is what its OID says.
func (r *reader) identity(e Extension, kind IdentityKind) (IdentityNumber, error) {
	number, standard, ok := DecodeIdentity(e.Value)
	if !ok {
		return number, malformed("identity extension %s", e.ID)
	}
	told := number.Kind
	if told == IdentityUnknown {
		number.Kind = kind
	}
	choice := told != IdentityUnknown
	if e.ID == OIDIdentityPerson && !choice || e.ID != OIDIdentityPerson && choice {
		standard = false
	}
	if !standard {
		return number, r.odd("identity extension %s: another encoding", e.ID)
	}
	return number, nil
}

// marshalIdentity writes the value of an identity extension: for 1.2.156.10260.4.1.1 the CHOICE with EXPLICIT tags of
// GM/T 0015-2012, for all others a PrintableString, or a UTF8String where the value needs it. The passport of the 2023 form
// is always a UTF8String (as XiPKI writes it).
func marshalIdentity(id OID, number IdentityNumber) ([]byte, error) {
	if _, known := identityKinds[id]; !known || number.Value == "" || !utf8.ValidString(number.Value) {
		return nil, malformed("identity extension %s", id)
	}
	tag := cbasn1.PrintableString
	if !isPrintableString(number.Value) || id == OIDIdentityPassport2023 {
		tag = cbasn1.UTF8String
	}
	var b cryptobyte.Builder
	add := func(b *cryptobyte.Builder) {
		b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes([]byte(number.Value)) })
	}
	if id != OIDIdentityPerson {
		add(&b)
		return b.Bytes()
	}
	for i, choice := range personChoice {
		if choice.kind != number.Kind {
			continue
		}
		if choice.tag == cbasn1.PrintableString && tag != choice.tag {
			return nil, malformed("identity extension %s: value does not fit", id)
		}
		tag = choice.tag
		b.AddASN1(contextConstructed(uint8(i)), add)
		return b.Bytes()
	}
	return nil, malformed("identity extension %s: kind %q", id, number.Kind)
}
