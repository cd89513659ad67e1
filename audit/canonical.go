package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"unicode/utf8"
)

// appendString escapes what RFC 8785 section 3.2.2.2 escapes, and nothing else.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	if isPlain(s) {
		return append(append(b, s...), '"')
	}
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < 0x20:
			b = append(b, shortEscape(byte(r))...)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// isPlain tells a text that is written as it is.
func isPlain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func shortEscape(c byte) string {
	switch c {
	case '\b':
		return `\b`
	case '\t':
		return `\t`
	case '\n':
		return `\n`
	case '\f':
		return `\f`
	case '\r':
		return `\r`
	}
	const hex = "0123456789abcdef"
	return `\u00` + string([]byte{hex[c>>4], hex[c&15]})
}

// appendKey begins a member of the object that b ends in.
func appendKey(b []byte, key string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return append(appendString(b, key), ':')
}

// appendMember adds a member to the object that b ends in.
func appendMember(b []byte, key, value string) []byte { return appendString(appendKey(b, key), value) }

// appendTexts adds an object as a member, its members in the order of their keys: these are ASCII here, so that order by bytes
// is the order that RFC 8785 asks for.
func appendTexts(b []byte, key string, texts map[string]string) []byte {
	b = append(appendKey(b, key), '{')
	keys := make([]string, 0, 8)
	for k := range texts {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		b = appendMember(b, k, texts[k])
	}
	return append(b, '}')
}

// cursor reads what is written in one known form. What is otherwise makes it bad, and it then reads nothing more.
type cursor struct {
	rest []byte
	bad  bool
}

// has skips s if it comes next.
func (c *cursor) has(s string) bool {
	if c.bad || !bytes.HasPrefix(c.rest, []byte(s)) {
		return false
	}
	c.rest = c.rest[len(s):]
	return true
}

func (c *cursor) skip(s string) { c.bad = !c.has(s) }

// text reads a string. It takes more escapes than appendString writes.
func (c *cursor) text() string {
	c.skip(`"`)
	end := bytes.IndexAny(c.rest, `"\`)
	for end >= 0 && c.rest[end] == '\\' && end+2 <= len(c.rest) {
		next := bytes.IndexAny(c.rest[end+2:], `"\`)
		if next < 0 {
			end = -1
			break
		}
		end += 2 + next
	}
	if c.bad || end < 0 || c.rest[end] != '"' {
		c.bad = true
		return ""
	}
	raw := c.rest[:end]
	c.rest = c.rest[end+1:]
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw)
	}
	var s string
	c.bad = json.Unmarshal(slices.Concat([]byte{'"'}, raw, []byte{'"'}), &s) != nil
	return s
}

var errNotCanonical = errors.New("not canonical JSON of a known form")

// decode reads JSON into dst; the caller proves strictness by writing it again.
func decode(b []byte, dst any) error {
	if !utf8.Valid(b) || json.Unmarshal(b, dst) != nil {
		return errNotCanonical
	}
	return nil
}
