package ses

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"hufu/internal/gm"
)

// ErrMalformed is wrapped by every parsing error.
var ErrMalformed = errors.New("malformed seal structure")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrMalformed)
}

// Bounds of what is read.
const (
	MaxSize       = 8 << 20 // octets of a seal or signature
	maxCerts      = 1000
	maxExtensions = 100
	maxText       = 1024
)

// Tags, first octet.
const (
	tagBool      = 0x01
	tagInt       = 0x02
	tagBits      = 0x03
	tagOctets    = 0x04
	tagOID       = 0x06
	tagUTF8      = 0x0c
	tagPrintable = 0x13
	tagIA5       = 0x16
	tagUTCTime   = 0x17
	tagGenTime   = 0x18
	tagSeq       = 0x30
	tagExplicit0 = 0xa0
)

// tlv is one element: raw is header and body as found.
type tlv struct {
	tag       byte
	raw, body []byte
}

// reader walks the elements of one constructed value. The first error stays; what follows gives zero values.
type reader struct {
	rest  []byte
	notes *[]string
	err   error
}

func (r *reader) note(code string) {
	if !slices.Contains(*r.notes, code) {
		*r.notes = append(*r.notes, code)
	}
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = malformed(format, args...)
	}
}

// next takes one element. Definite lengths only; a length that is longer than needed is noted.
func (r *reader) next(what string) tlv {
	if r.err != nil {
		return tlv{}
	}
	b := r.rest
	if len(b) < 2 {
		r.fail("%s is missing", what)
		return tlv{}
	}
	if b[0]&0x1f == 0x1f {
		r.fail("%s: tag of several octets", what)
		return tlv{}
	}
	head, n := 2, int(b[1])
	if b[1] >= 0x80 {
		count := int(b[1] & 0x7f)
		if count == 0 || count > 4 || len(b) < 2+count {
			r.fail("%s: length", what)
			return tlv{}
		}
		n = 0
		for _, c := range b[2 : 2+count] {
			n = n<<8 | int(c)
		}
		if n < 0x80 || b[2] == 0 {
			r.note("length-not-minimal")
		}
		head += count
	}
	if n < 0 || n > len(b)-head {
		r.fail("%s: %d octets wanted, %d there", what, n, len(b)-head)
		return tlv{}
	}
	r.rest = b[head+n:]
	return tlv{b[0], b[:head+n], b[head : head+n]}
}

func (r *reader) peek() byte {
	if r.err != nil || len(r.rest) == 0 {
		return 0
	}
	return r.rest[0]
}

// take takes an element whose tag is one of tags; the first is the standard's, another is noted.
func (r *reader) take(what string, tags ...byte) tlv {
	e := r.next(what)
	if r.err != nil {
		return tlv{}
	}
	switch i := slices.Index(tags, e.tag); {
	case i < 0:
		r.fail("%s: tag %#x", what, e.tag)
		return tlv{}
	case i > 0:
		r.note("type-of-" + strings.ReplaceAll(what, " ", "-"))
	}
	return e
}

// inside opens a constructed element. done must be called when all was read.
func (r *reader) inside(e tlv) *reader { return &reader{rest: e.body, notes: r.notes, err: r.err} }

// done reports the error of r, and data left over.
func (r *reader) done(what string) error {
	if r.err == nil && len(r.rest) > 0 {
		r.fail("%s: %d octets too many", what, len(r.rest))
	}
	return r.err
}

// count tells how many elements are left.
func (r *reader) count() int {
	c := &reader{rest: r.rest, notes: new([]string)}
	n := 0
	for len(c.rest) > 0 && c.err == nil {
		c.next("element")
		n++
	}
	if c.err != nil {
		return -1
	}
	return n
}

func (r *reader) integer(what string) int {
	e := r.take(what, tagInt)
	if r.err != nil {
		return 0
	}
	if len(e.body) == 0 || len(e.body) > 4 || e.body[0] >= 0x80 {
		r.fail("%s: integer of %d octets", what, len(e.body))
		return 0
	}
	n := 0
	for _, c := range e.body {
		n = n<<8 | int(c)
	}
	if len(e.body) > 1 && e.body[0] == 0 && e.body[1] < 0x80 {
		r.note("integer-not-minimal")
	}
	return n
}

func (r *reader) octets(what string) []byte { return r.take(what, tagOctets).body }

// bits takes a BIT STRING without unused bits.
func (r *reader) bits(what string, more ...byte) []byte {
	e := r.take(what, append([]byte{tagBits}, more...)...)
	if r.err != nil || e.tag != tagBits {
		return e.body
	}
	if len(e.body) == 0 || e.body[0] != 0 {
		r.fail("%s: unused bits", what)
		return nil
	}
	return e.body[1:]
}

func (r *reader) text(what string, tag byte) string {
	tags := []byte{tag}
	for _, t := range []byte{tagIA5, tagUTF8, tagPrintable} {
		if t != tag {
			tags = append(tags, t)
		}
	}
	e := r.take(what, tags...)
	if len(e.body) > maxText {
		r.fail("%s: %d octets", what, len(e.body))
		return ""
	}
	if !utf8.Valid(e.body) {
		r.note("encoding-of-" + strings.ReplaceAll(what, " ", "-"))
		return strings.ToValidUTF8(string(e.body), "�")
	}
	return string(e.body)
}

func (r *reader) oid(what string) string {
	e := r.take(what, tagOID)
	if r.err != nil {
		return ""
	}
	var id asn1.ObjectIdentifier
	if rest, err := asn1.Unmarshal(e.raw, &id); err != nil || len(rest) > 0 {
		r.fail("%s: object identifier", what)
		return ""
	}
	return id.String()
}

// time takes UTCTime or GeneralizedTime; want is the tag of the version at hand.
func (r *reader) time(what string, want byte) time.Time {
	other := byte(tagUTCTime)
	if want == tagUTCTime {
		other = tagGenTime
	}
	e := r.take(what, want, other)
	if r.err != nil {
		return time.Time{}
	}
	t, standard, ok := parseTime(string(e.body), e.tag == tagUTCTime)
	if !ok {
		r.fail("%s: time %q", what, clip(e.body))
		return time.Time{}
	}
	if !standard {
		r.note("form-of-" + strings.ReplaceAll(what, " ", "-"))
	}
	return t
}

// parseTime reads the forms met. Only "…Z" with seconds and no fraction is the standard's; a time without zone is taken as UTC.
func parseTime(s string, utc bool) (t time.Time, standard, ok bool) {
	layouts := []string{"20060102150405Z", "20060102150405.999999999Z", "20060102150405-0700", "20060102150405", "200601021504Z"}
	if utc {
		layouts = []string{"060102150405Z", "0601021504Z", "060102150405-0700", "060102150405"}
	}
	for i, l := range layouts {
		if t, err := time.Parse(l, s); err == nil {
			if utc && t.Year() >= 2050 {
				t = t.AddDate(-100, 0, 0)
			}
			return t.UTC(), i == 0 && t.Format(l) == s, true
		}
	}
	return time.Time{}, false, false
}

func clip(b []byte) []byte { return b[:min(len(b), 40)] }

// signature gives the DER form of a signature value. 64 raw octets r‖s are accepted and noted.
func (r *reader) signature(what string, raw []byte) []byte {
	if r.err != nil || len(raw) != 64 {
		return raw
	}
	if raw[0] == tagSeq && int(raw[1]) == len(raw)-2 {
		return raw
	}
	der, err := gm.DERSignature(raw)
	if err != nil {
		return raw
	}
	r.note("raw-" + strings.ReplaceAll(what, " ", "-"))
	return der
}
