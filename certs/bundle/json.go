package bundle

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of arrays and objects.
const maxDepth = 32

// Canonical returns the canonical form (RFC 8785) of one JSON text. Duplicate names, invalid UTF-8, lone
// surrogates, numbers that no IEEE 754 double can hold and anything after the value are refused.
func Canonical(text []byte) ([]byte, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("json: not valid UTF-8")
	}
	p := &parser{in: text, out: make([]byte, 0, len(text))}
	p.space()
	if err := p.value(0); err != nil {
		return nil, fmt.Errorf("json: offset %d: %w", p.pos, err)
	}
	if p.space(); p.pos != len(p.in) {
		return nil, fmt.Errorf("json: offset %d: text after the value", p.pos)
	}
	return p.out, nil
}

// parser reads one JSON text and appends its canonical form to out as it goes.
type parser struct {
	in  []byte
	pos int
	out []byte
}

func (p *parser) peek() byte {
	if p.pos < len(p.in) {
		return p.in[p.pos]
	}
	return 0
}

func (p *parser) space() {
	for p.pos < len(p.in) {
		switch p.in[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

func (p *parser) take(c byte) bool {
	p.space()
	if p.peek() != c {
		return false
	}
	p.pos++
	p.space()
	return true
}

func (p *parser) value(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	switch c := p.peek(); {
	case c == '{':
		return p.object(depth)
	case c == '[':
		return p.array(depth)
	case c == '"':
		s, err := p.str()
		p.out = appendString(p.out, s)
		return err
	case c == '-' || '0' <= c && c <= '9':
		return p.number()
	}
	for _, word := range []string{"true", "false", "null"} {
		if strings.HasPrefix(string(p.in[p.pos:min(len(p.in), p.pos+len(word))]), word) {
			p.pos += len(word)
			p.out = append(p.out, word...)
			return nil
		}
	}
	return errors.New("no value here")
}

func (p *parser) array(depth int) error {
	p.take('[')
	p.out = append(p.out, '[')
	for first := true; !p.take(']'); first = false {
		if !first {
			if !p.take(',') {
				return errors.New("comma or ] missing")
			}
			p.out = append(p.out, ',')
		}
		if err := p.value(depth + 1); err != nil {
			return err
		}
	}
	p.out = append(p.out, ']')
	return nil
}

// member is one name of an object and where its canonical value stands in the parser's output.
type member struct {
	name  string
	order []uint16
	value []byte
}

func (p *parser) object(depth int) error {
	p.take('{')
	start := len(p.out)
	var members []member
	for first := true; !p.take('}'); first = false {
		if !first && !p.take(',') {
			return errors.New("comma or } missing")
		}
		if p.peek() != '"' {
			return errors.New("a name must be a string")
		}
		name, err := p.str()
		if err != nil {
			return err
		}
		if !p.take(':') {
			return errors.New("colon missing")
		}
		from := len(p.out)
		if err := p.value(depth + 1); err != nil {
			return err
		}
		members = append(members, member{name, utf16.Encode([]rune(name)), p.out[from:len(p.out):len(p.out)]})
	}
	return p.sorted(members, start)
}

// sorted writes the members by the UTF-16 code units of their names over the values that stand at out[start:].
func (p *parser) sorted(members []member, start int) error {
	slices.SortFunc(members, func(a, b member) int { return slices.Compare(a.order, b.order) })
	for i := 1; i < len(members); i++ {
		if members[i].name == members[i-1].name {
			return fmt.Errorf("duplicate name %q", members[i].name)
		}
	}
	object := []byte{'{'}
	for i, m := range members {
		if i > 0 {
			object = append(object, ',')
		}
		object = append(append(appendString(object, m.name), ':'), m.value...)
	}
	p.out = append(append(p.out[:start], object...), '}')
	return nil
}

// str reads a JSON string and returns its value.
func (p *parser) str() (string, error) {
	p.pos++
	start := p.pos
	for p.pos < len(p.in) && p.in[p.pos] != '"' && p.in[p.pos] != '\\' && p.in[p.pos] >= 0x20 {
		p.pos++
	}
	var b strings.Builder
	b.Write(p.in[start:p.pos])
	for p.pos < len(p.in) {
		c := p.in[p.pos]
		p.pos++
		switch {
		case c == '"':
			return b.String(), nil
		case c < 0x20:
			return "", errors.New("control character in a string")
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
		default:
			b.WriteByte(c)
		}
	}
	return "", errors.New("string without an end")
}

var escapes = map[byte]rune{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func (p *parser) escape() (rune, error) {
	c := p.peek()
	p.pos++
	if c != 'u' {
		r, ok := escapes[c]
		if !ok {
			return 0, errors.New("unknown escape")
		}
		return r, nil
	}
	r, err := p.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if p.peek() == '\\' && p.pos+1 < len(p.in) && p.in[p.pos+1] == 'u' {
		p.pos += 2
		low, err := p.hex4()
		if pair := utf16.DecodeRune(r, low); err == nil && pair != utf8.RuneError {
			return pair, nil
		}
	}
	return 0, errors.New("lone surrogate")
}

func (p *parser) hex4() (rune, error) {
	if p.pos+4 > len(p.in) {
		return 0, errors.New("escape cut short")
	}
	n, err := strconv.ParseUint(string(p.in[p.pos:p.pos+4]), 16, 16)
	if err != nil {
		return 0, errors.New("escape without four hexadecimal digits")
	}
	p.pos += 4
	return rune(n), nil
}

// number follows the grammar of RFC 8259 and writes the ECMAScript form of the nearest double.
func (p *parser) number() error {
	start := p.pos
	if p.peek() == '-' {
		p.pos++
	}
	if p.peek() == '0' {
		p.pos++
	} else if p.digits() == 0 {
		return errors.New("malformed number")
	}
	if p.peek() == '.' {
		if p.pos++; p.digits() == 0 {
			return errors.New("malformed number")
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.pos++
		if c := p.peek(); c == '+' || c == '-' {
			p.pos++
		}
		if p.digits() == 0 {
			return errors.New("malformed number")
		}
	}
	f, err := strconv.ParseFloat(string(p.in[start:p.pos]), 64)
	if err != nil {
		return errors.New("number out of range")
	}
	p.out = appendNumber(p.out, f)
	return nil
}

func (p *parser) digits() int {
	start := p.pos
	for c := p.peek(); '0' <= c && c <= '9'; c = p.peek() {
		p.pos++
	}
	return p.pos - start
}

func appendNumber(out []byte, f float64) []byte {
	if f == 0 {
		return append(out, '0')
	}
	if size := math.Abs(f); size >= 1e-6 && size < 1e21 {
		return strconv.AppendFloat(out, f, 'f', -1, 64)
	}
	text := strconv.FormatFloat(f, 'e', -1, 64)
	mantissa, exponent, _ := strings.Cut(text, "e")
	sign, digits := exponent[:1], strings.TrimLeft(exponent[1:], "0")
	return append(out, mantissa+"e"+sign+cmp.Or(digits, "0")...)
}

func appendString(out []byte, s string) []byte {
	out = append(out, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		out = append(out, s[start:i]...)
		start = i + 1
		if short := strings.IndexByte("\b\f\n\r\t\"\\", c); short >= 0 {
			out = append(out, '\\', `bfnrt"\`[short])
		} else {
			out = fmt.Appendf(out, `\u%04x`, c)
		}
	}
	return append(append(out, s[start:]...), '"')
}
