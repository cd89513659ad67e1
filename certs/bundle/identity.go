package bundle

import (
	"slices"
	"strings"
	"unicode/utf8"

	"hufu/certs"
)

// IdentityField is whose number an extension holds.
type IdentityField string

// The fields.
const (
	FieldPerson       IdentityField = "person"
	FieldOrganisation IdentityField = "organisation"
)

// Decoder is in which encoding a CA writes numbers.
type Decoder string

// The decoders. The zero value is DecodeAny.
const (
	DecodeAny    Decoder = ""       // whichever of the others is met
	DecodeChoice Decoder = "choice" // the tagged CHOICE of GM/T 0015-2012
	DecodeString Decoder = "string" // a bare string
	DecodeSet    Decoder = "set"    // the SET of the RSA era
)

// IdentityRule says in which extensions the certificates of a CA hold a number, and how.
type IdentityRule struct {
	Field   IdentityField `json:"field"`
	OIDs    []certs.OID   `json:"oids"` // in order of preference
	Decoder Decoder       `json:"decoder,omitempty"`
	Strip   []string      `json:"strip,omitempty"` // prefixes that do not belong to the number: SF, JJ, N
}

func (r IdentityRule) check() error {
	switch {
	case r.Field != FieldPerson && r.Field != FieldOrganisation:
		return wrong("identity field %q", string(r.Field))
	case !slices.Contains([]Decoder{DecodeAny, DecodeChoice, DecodeString, DecodeSet}, r.Decoder):
		return wrong("identity decoder %q", string(r.Decoder))
	case len(r.OIDs) == 0 || len(r.OIDs) > maxRules || len(r.Strip) > maxRules:
		return wrong("identity rule of %d OIDs and %d prefixes", len(r.OIDs), len(r.Strip))
	}
	for _, o := range r.OIDs {
		if parsed, err := certs.ParseOID(string(o)); err != nil || parsed != o {
			return wrong("identity OID %q", string(o))
		}
	}
	for _, p := range r.Strip {
		if p == "" || len(p) > 8 || strings.ContainsFunc(p, func(c rune) bool { return c < 'A' || c > 'Z' }) {
			return wrong("identity prefix %q", p)
		}
	}
	return nil
}

// Identity is a number that a certificate holds.
type Identity struct {
	Field  IdentityField
	Kind   certs.IdentityKind // what sort of number, where the encoding tells it; else IdentityUnknown
	Number string             // without prefix
	OID    certs.OID
}

// maxNumber bounds an identity number in octets; the longest in use has 18.
const maxNumber = 64

// Identities reads the numbers of a certificate by rules, at most one a field: by the first rule, and its first OID, that
// finds one. An extension that is there and cannot be read by its rule gives nothing and ends the search for its
// field: a less preferred one must not speak in its place.
func Identities(c *certs.Certificate, rules []IdentityRule) (found []Identity) {
	done := map[IdentityField]bool{}
	for _, rule := range rules {
		for _, id := range rule.OIDs {
			value, there := c.Extension(id)
			if !there || done[rule.Field] {
				continue
			}
			done[rule.Field] = true
			if number, ok := rule.read(value); ok {
				number.OID = id
				found = append(found, number)
			}
		}
	}
	return found
}

func (r IdentityRule) read(value []byte) (Identity, bool) {
	if len(value) == 0 || r.Decoder != DecodeAny && encoding(value[0]) != r.Decoder {
		return Identity{}, false
	}
	decoded, _, ok := certs.DecodeIdentity(value)
	number := decoded.Value
	best := ""
	for _, p := range r.Strip {
		if strings.HasPrefix(number, p) && len(p) > len(best) && len(p) < len(number) {
			best = p
		}
	}
	number = strings.TrimPrefix(number, best)
	sane := utf8.ValidString(number) && number != "" && len(number) <= maxNumber &&
		!strings.ContainsFunc(number, func(c rune) bool { return c <= ' ' || c == 0x7f })
	return Identity{Field: r.Field, Kind: decoded.Kind, Number: number}, ok && sane
}

// encoding tells the form of a value by its first octet.
func encoding(tag byte) Decoder {
	switch {
	case tag == 0x31:
		return DecodeSet
	case tag&0xc0 == 0x80:
		return DecodeChoice
	}
	return DecodeString
}
