package certs

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// OID is an object identifier in dotted decimal form, "1.2.156.10197.1.301".
// It is comparable, and arcs may be of any size up to 64 bits.
type OID string

// maxOIDOctets bounds the DER content of an OID that we read.
const maxOIDOctets = 128

// ParseOID checks a dotted decimal text.
func ParseOID(s string) (OID, error) {
	if _, err := OID(s).content(); err != nil {
		return "", err
	}
	return OID(s), nil
}

// content returns the content octets of the DER encoding.
func (o OID) content() ([]byte, error) {
	if c, ok := knownContents[o]; ok {
		return []byte(c), nil
	}
	return encodeOID(o)
}

func encodeOID(o OID) ([]byte, error) {
	parts := strings.Split(string(o), ".")
	if len(parts) < 2 {
		return nil, malformed("object identifier %q", string(o))
	}
	arcs := make([]uint64, len(parts))
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 64)
		if err != nil || strconv.FormatUint(n, 10) != p {
			return nil, malformed("object identifier %q", string(o))
		}
		arcs[i] = n
	}
	if arcs[0] > 2 || (arcs[0] < 2 && arcs[1] > 39) || arcs[1] > 1<<62 {
		return nil, malformed("object identifier %q", string(o))
	}
	out := appendBase128(nil, arcs[0]*40+arcs[1])
	for _, a := range arcs[2:] {
		out = appendBase128(out, a)
	}
	if len(out) > maxOIDOctets {
		return nil, malformed("object identifier %q", string(o))
	}
	return out, nil
}

func appendBase128(out []byte, n uint64) []byte {
	size := 1
	for m := n >> 7; m > 0; m >>= 7 {
		size++
	}
	for i := size - 1; i >= 0; i-- {
		b := byte(n>>(7*i)) & 0x7f
		if i > 0 {
			b |= 0x80
		}
		out = append(out, b)
	}
	return out
}

// decodeOID reads content octets; false when they are not minimal, cut off, or an arc exceeds 64 bits.
func decodeOID(content []byte) (OID, bool) {
	if o, ok := knownOIDs[string(content)]; ok {
		return o, true
	}
	if len(content) == 0 || len(content) > maxOIDOctets {
		return "", false
	}
	var text []byte
	var arc uint64
	start := true
	for i, b := range content {
		if start && b == 0x80 || arc >= 1<<57 {
			return "", false
		}
		start = b&0x80 == 0
		arc = arc<<7 | uint64(b&0x7f)
		if !start {
			if i == len(content)-1 {
				return "", false
			}
			continue
		}
		if text == nil {
			first := min(arc/40, 2)
			text = append(strconv.AppendUint(text, first, 10), '.')
			text = strconv.AppendUint(text, arc-first*40, 10)
		} else {
			text = strconv.AppendUint(append(text, '.'), arc, 10)
		}
		arc = 0
	}
	return OID(text), true
}

// AddOID appends an OBJECT IDENTIFIER; a text that is no identifier becomes the builder's error.
func AddOID(b *cryptobyte.Builder, o OID) {
	content, err := o.content()
	if err != nil {
		b.SetError(err)
		return
	}
	b.AddASN1(cbasn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes(content) })
}

// ReadOID reads an OBJECT IDENTIFIER.
func ReadOID(s *cryptobyte.String, o *OID) bool {
	var content cryptobyte.String
	if !s.ReadASN1(&content, cbasn1.OBJECT_IDENTIFIER) {
		return false
	}
	var ok bool
	*o, ok = decodeOID(content)
	return ok
}

// MarshalText returns the dotted form.
func (o OID) MarshalText() ([]byte, error) { return []byte(o), nil }

// UnmarshalText checks and takes the dotted form.
func (o *OID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errors.New("empty object identifier")
	}
	parsed, err := ParseOID(string(text))
	*o = parsed
	return err
}

// Under tells whether o is arc itself or below it.
func (o OID) Under(arc OID) bool {
	return o == arc || strings.HasPrefix(string(o), string(arc)+".")
}
