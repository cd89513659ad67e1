package sandbox

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"regexp"

	"hufu/internal/fault"
	"hufu/seal/ofd"
)

// ErrForge: the document has no such field to forge.
var ErrForge = fault.New(fault.Invalid, "sandbox.forge",
	"This document has no printed field of that name. Take a licence, and one of its fields.", "该文件没有这个印出的字段。请使用证照文件及其字段名。")

// licenceTag is the name space of the custom tag that binds a licence's fields to the page.
const licenceTag = "urn:hufu:licence:1"

// Forge returns a copy of a licence whose page shows value for a field, as a forger would make it: only the page's
// Content.xml is edited. It is a demonstration; every verifier must refuse the result.
func Forge(document []byte, field, value string) ([]byte, error) {
	c, err := ofd.Open(document)
	if err != nil {
		return nil, ErrForge.With("%w", err)
	}
	m, err := c.Model()
	if err != nil {
		return nil, ErrForge.With("%w", err)
	}
	bindings, _ := m.Bindings(licenceTag)
	for _, b := range bindings {
		if b.Name != field || len(b.Objects) == 0 {
			continue
		}
		return forge(c, m, b.Objects, []rune(value))
	}
	return nil, ErrForge.With("field %q", field)
}

// forge spreads the text over the lines of the field; what is over stands on the last.
func forge(c *ofd.Container, m *ofd.Model, lines []ofd.Printed, text []rune) ([]byte, error) {
	for i, line := range lines {
		page := m.Pages[line.Page-1].Path
		content, _ := c.Read(page)
		n := min(len([]rune(line.Text)), len(text))
		if i == len(lines)-1 {
			n = len(text)
		}
		edited, err := edit(content, line.ID, string(text[:n]))
		if err != nil {
			return nil, err
		}
		if c, err = c.With(page, edited); err != nil {
			return nil, ErrForge.With("%w", err)
		}
		text = text[n:]
	}
	return c.Bytes(), nil
}

var textCode = regexp.MustCompile(`(?s)(<(?:\w+:)?TextCode\b[^>]*>)[^<]*(</)`)

// edit replaces the text of the text object with that id.
func edit(content []byte, id, text string) ([]byte, error) {
	object := regexp.MustCompile(`(?s)<(?:\w+:)?TextObject\b[^>]*\bID="` + regexp.QuoteMeta(id) + `".*?</(?:\w+:)?TextObject>`)
	at := object.FindIndex(content)
	if at == nil {
		return nil, ErrForge.With("no text object %q", id)
	}
	var escaped bytes.Buffer
	if err := xml.EscapeText(&escaped, []byte(text)); err != nil {
		return nil, fmt.Errorf("escape text: %w", err)
	}
	whole := textCode.ReplaceAllFunc(content[at[0]:at[1]], func(code []byte) []byte {
		parts := textCode.FindSubmatch(code)
		return bytes.Join([][]byte{parts[1], escaped.Bytes(), parts[2]}, nil)
	})
	return bytes.Join([][]byte{content[:at[0]], whole, content[at[1]:]}, nil), nil
}
