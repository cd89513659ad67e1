package ofd

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// Namespace is the one that we write; others are read with a remark.
const Namespace = "http://www.ofdspec.org/2016"

// node is an element, matched by local name. The offsets let a writer splice without touching other bytes.
type node struct {
	name, space string
	attrs       []xml.Attr
	text        string // own character data, children's not included
	children    []*node

	start, inner int // of the start tag and just after it
	innerEnd     int // of the end tag; equals inner for <a/>
	end          int // just after the end tag
}

var bom = []byte("\xef\xbb\xbf")

// parseXML reads one document: one root, UTF-8, no DTD, no duplicate attributes, bounded depth and number of elements.
// budget is what is left of Limits.Elements over all parts, and is lowered.
func parseXML(b []byte, l Limits, budget *int) (*node, error) {
	if int64(len(b)) > l.XMLSize {
		return nil, ErrTooLarge.With("XML of %d octets", len(b))
	}
	skip := 0
	if bytes.HasPrefix(b, bom) {
		skip = len(bom)
	}
	d := xml.NewDecoder(bytes.NewReader(b[skip:]))
	var root *node
	var stack []*node
	for {
		at := skip + int(d.InputOffset())
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, ErrXML.With("at octet %d: %w", at, err)
		}
		after := skip + int(d.InputOffset())
		switch t := tok.(type) {
		case xml.StartElement:
			n, err := newNode(t, at, after, len(stack), l, budget)
			if err != nil {
				return nil, err
			}
			if len(stack) == 0 {
				if root != nil {
					return nil, ErrXML.With("a second root element at octet %d", at)
				}
				root = n
			} else {
				p := stack[len(stack)-1]
				p.children = append(p.children, n)
			}
			stack = append(stack, n)
		case xml.EndElement:
			n := stack[len(stack)-1]
			n.innerEnd, n.end = at, after
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text += string(t)
			} else if len(bytes.TrimSpace(t)) > 0 {
				return nil, ErrXML.With("text outside the root at octet %d", at)
			}
		case xml.Directive:
			return nil, ErrXML.With("a document type declaration at octet %d", at)
		}
	}
	if root == nil {
		return nil, ErrXML.With("no root element")
	}
	return root, nil
}

func newNode(t xml.StartElement, at, after, depth int, l Limits, budget *int) (*node, error) {
	if depth >= l.Depth {
		return nil, ErrTooLarge.With("XML nested deeper than %d", l.Depth)
	}
	if *budget--; *budget < 0 {
		return nil, ErrTooLarge.With("more than %d XML elements", l.Elements)
	}
	for i, a := range t.Attr {
		for _, o := range t.Attr[:i] {
			if a.Name == o.Name {
				return nil, ErrXML.With("attribute %q twice at octet %d", a.Name.Local, at)
			}
		}
	}
	return &node{name: t.Name.Local, space: t.Name.Space, attrs: t.Attr, start: at, inner: after}, nil
}

// attr returns the attribute's value by local name, "" when absent.
func (n *node) attr(name string) string {
	for _, a := range n.attrs {
		if a.Name.Local == name && a.Name.Space != "xmlns" {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

// child returns the first child of that name, or nil.
func (n *node) child(name string) *node {
	if n == nil {
		return nil
	}
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// all returns the children of that name.
func (n *node) all(name string) []*node {
	if n == nil {
		return nil
	}
	var out []*node
	for _, c := range n.children {
		if c.name == name {
			out = append(out, c)
		}
	}
	return out
}

// value returns the trimmed text, "" for nil.
func (n *node) value() string {
	if n == nil {
		return ""
	}
	return strings.TrimSpace(n.text)
}

// walk calls f for n and everything below it.
func (n *node) walk(f func(*node)) {
	f(n)
	for _, c := range n.children {
		c.walk(f)
	}
}

var xmlEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\t", "&#9;", "\n", "&#10;", "\r", "&#13;")

// esc escapes text for element content and double-quoted attributes.
func esc(s string) string { return xmlEscaper.Replace(s) }
