package certs

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxNotes bounds Certificate.NonStandard.
const maxNotes = 64

// reader carries how a structure is read: strictly, where an oddity is an error, or leniently, where it is noted.
type reader struct {
	lenient bool
	notes   []string
}

// odd is the error for an oddity when reading strictly, and nil (with a note) when reading leniently.
func (r *reader) odd(format string, args ...any) error {
	err := malformed(format, args...)
	if !r.lenient {
		return err
	}
	note := strings.TrimSuffix(err.Error(), ": "+ErrMalformed.Error())
	if len(r.notes) < maxNotes && !slices.Contains(r.notes, note) {
		r.notes = append(r.notes, note)
	}
	return nil
}

// ParseName reads a DER name strictly.
func ParseName(der []byte) (Name, error) {
	in := cryptobyte.String(der)
	var r reader
	n, err := r.name(&in, "name")
	if err == nil && !in.Empty() {
		return Name{}, malformed("name: trailing bytes")
	}
	return n, err
}

// name reads a Name; where names it in errors and notes.
func (r *reader) name(s *cryptobyte.String, where string) (Name, error) {
	var raw, seq cryptobyte.String
	if !s.ReadASN1Element(&raw, cbasn1.SEQUENCE) {
		return Name{}, malformed("%s", where)
	}
	n := Name{Raw: raw}
	in := raw
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return Name{}, malformed("%s", where)
	}
	for !seq.Empty() {
		if len(n.RDNs) == maxRDNs {
			return Name{}, ErrTooLarge
		}
		var set cryptobyte.String
		if !seq.ReadASN1(&set, cbasn1.SET) {
			return Name{}, malformed("%s: RDN is not a SET", where)
		}
		rdn, err := r.rdn(set, where)
		if err != nil {
			return Name{}, err
		}
		n.RDNs = append(n.RDNs, rdn)
	}
	return n, nil
}

func (r *reader) rdn(set cryptobyte.String, where string) (RDN, error) {
	if set.Empty() {
		return nil, r.odd("%s: empty RDN", where)
	}
	var rdn RDN
	var last []byte
	for !set.Empty() {
		if len(rdn) == maxAttributes {
			return nil, ErrTooLarge
		}
		var element cryptobyte.String
		if !set.ReadASN1Element(&element, cbasn1.SEQUENCE) {
			return nil, malformed("%s: attribute", where)
		}
		if bytes.Compare(last, element) > 0 {
			if err := r.odd("%s: attributes of an RDN out of order", where); err != nil {
				return nil, err
			}
		}
		last = element
		a, err := r.attribute(element, where)
		if err != nil {
			return nil, err
		}
		rdn = append(rdn, a)
	}
	return rdn, nil
}

func (r *reader) attribute(element cryptobyte.String, where string) (Attribute, error) {
	var seq, whole, content cryptobyte.String
	var a Attribute
	var tag cbasn1.Tag
	if !element.ReadASN1(&seq, cbasn1.SEQUENCE) || !ReadOID(&seq, &a.Type) || !seq.ReadAnyASN1Element(&whole, &tag) {
		return a, malformed("%s: attribute", where)
	}
	if !seq.Empty() {
		if err := r.odd("%s: bytes after attribute %s", where, a.Type); err != nil {
			return a, err
		}
	}
	in := whole
	if !in.ReadAnyASN1(&content, &tag) {
		return a, malformed("%s: attribute %s", where, a.Type)
	}
	a.Tag = uint8(tag)
	var odd string
	a.Value, odd = decodeString(tag, content)
	if odd == "" && tag == cbasn1.IA5String && a.Type != OIDEmailAddress && a.Type != OIDDomainComponent {
		odd = "IA5String"
	}
	if odd == notString {
		a.Value = "#" + hex.EncodeToString(whole)
	}
	if odd != "" {
		return a, r.odd("%s: attribute %s: %s", where, a.Type, odd)
	}
	return a, nil
}

const notString = "not a string"

// decodeString turns a string type into UTF-8. odd names what RFC 5280 does not allow in what is written today.
func decodeString(tag cbasn1.Tag, content []byte) (value, odd string) {
	value = string(content)
	switch tag {
	case cbasn1.UTF8String:
		if !utf8.ValidString(value) {
			return strings.ToValidUTF8(value, "\uFFFD"), "UTF8String is not UTF-8"
		}
	case cbasn1.PrintableString:
		if !isPrintableString(value) {
			return strings.ToValidUTF8(value, "\uFFFD"), "PrintableString with other characters"
		}
	case cbasn1.IA5String:
		if !isASCII(value) {
			return strings.ToValidUTF8(value, "\uFFFD"), "IA5String with other characters"
		}
	case tagNumericString, tagVisibleString:
		return strings.ToValidUTF8(value, "\uFFFD"), "old string type"
	case cbasn1.T61String:
		return strings.ToValidUTF8(value, "\uFFFD"), "T61String"
	case tagBMPString:
		return decodeBMP(content), "BMPString"
	case tagUniversalString:
		return decodeUniversal(content), "UniversalString"
	default:
		return "", notString
	}
	if value == "" {
		return value, "empty string"
	}
	return value, ""
}

func decodeBMP(content []byte) string {
	units := make([]uint16, 0, len(content)/2)
	for i := 0; i+1 < len(content); i += 2 {
		units = append(units, uint16(content[i])<<8|uint16(content[i+1]))
	}
	return string(utf16.Decode(units))
}

func decodeUniversal(content []byte) string {
	var b strings.Builder
	for i := 0; i+3 < len(content); i += 4 {
		r := uint32(content[i])<<24 | uint32(content[i+1])<<16 | uint32(content[i+2])<<8 | uint32(content[i+3])
		if r > utf8.MaxRune {
			r = utf8.RuneError
		}
		b.WriteRune(rune(r))
	}
	return b.String()
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func isPrintableString(s string) bool {
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(" '()+,-./:=?", c) >= 0 {
			continue
		}
		return false
	}
	return true
}

// Equal compares two names as RFC 5280, 7.1: the same bytes, or the same attributes when letter case and repeated
// white space are left out of account.
func (n Name) Equal(other Name) bool {
	if n.Raw != nil && bytes.Equal(n.Raw, other.Raw) {
		return true
	}
	return len(n.RDNs) == len(other.RDNs) && n.hasPrefix(other)
}

// hasPrefix tells whether prefix's RDNs are the first ones of n: n lies in the subtree.
func (n Name) hasPrefix(prefix Name) bool {
	if len(prefix.RDNs) > len(n.RDNs) {
		return false
	}
	for i, rdn := range prefix.RDNs {
		if !sameRDN(n.RDNs[i], rdn) {
			return false
		}
	}
	return true
}

func sameRDN(a, b RDN) bool {
	if len(a) != len(b) {
		return false
	}
	return slices.Equal(canonicalRDN(a), canonicalRDN(b))
}

func canonicalRDN(rdn RDN) []string {
	out := make([]string, len(rdn))
	for i, a := range rdn {
		out[i] = string(a.Type) + "=" + strings.ToLower(strings.Join(strings.Fields(a.Value), " "))
	}
	slices.Sort(out)
	return out
}
