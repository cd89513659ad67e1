package licence

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"hufu/seal/ofd"
)

// element is an XML element by local names, as readers of OFD take it.
type element struct {
	name string
	attr map[string]string
	text string
	kids []*element
}

// xml reads a part of the document within bounds.
func (p *preview) xml(name string) (*element, error) {
	data, ok := p.c.Read(name)
	if !ok {
		return nil, ErrPreview.With("no part %q", name)
	}
	root, err := parseElement(data)
	if err != nil {
		return nil, ErrPreview.With("part %q: %w", name, err)
	}
	return root, nil
}

func parseElement(data []byte) (*element, error) {
	if len(data) > int(previewLimits.XMLSize) {
		return nil, errors.New("too large")
	}
	d := xml.NewDecoder(bytes.NewReader(data))
	d.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) { return nil, fmt.Errorf("charset %q", charset) }
	var open []*element
	var root *element
	for count := 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && root != nil && len(open) == 0 {
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if count++; count > previewLimits.Elements || len(open) >= previewLimits.Depth {
				return nil, errors.New("too many elements")
			}
			e := &element{name: t.Name.Local, attr: make(map[string]string, len(t.Attr))}
			for _, a := range t.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			if len(open) > 0 {
				open[len(open)-1].kids = append(open[len(open)-1].kids, e)
			} else if root == nil {
				root = e
			}
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text += string(t)
			}
		case xml.Directive:
			return nil, errors.New("a document type")
		}
	}
}

// all lists the descendants of a name.
func (e *element) all(name string) (out []*element) {
	for _, k := range e.kids {
		if k.name == name {
			out = append(out, k)
		}
		out = append(out, k.all(name)...)
	}
	return out
}

// child is the text of the first child of a name.
func (e *element) child(name string) string {
	for _, k := range e.kids {
		if k.name == name {
			return k.text
		}
	}
	return ""
}

// objects lists what is drawn, in order, blocks taken apart.
func (e *element) objects() (out []*element) {
	for _, k := range e.kids {
		switch k.name {
		case "TextObject", "PathObject", "ImageObject":
			out = append(out, k)
		default:
			out = append(out, k.objects()...)
		}
	}
	return out
}

func (e *element) box(otherwise ofd.Box) ofd.Box {
	for _, area := range e.all("PhysicalBox") {
		if v, ok := numbers(area.text, 4); ok {
			return ofd.Box{W: v[2], H: v[3]}
		}
	}
	return otherwise
}

// colour reads "r g b" of a child element; alpha is part of the value, since a forger may use it.
func (e *element) colour(name, otherwise string) string {
	for _, k := range e.kids {
		if k.name != name {
			continue
		}
		v, ok := numbers(k.attr["Value"], 3)
		if !ok {
			return otherwise
		}
		out := "#"
		for _, c := range v {
			out += fmt.Sprintf("%02x", uint8(min(max(c, 0), 255)))
		}
		if a, ok := numbers(k.attr["Alpha"], 1); ok {
			out += fmt.Sprintf("%02x", uint8(min(max(a[0], 0), 255)))
		}
		return out
	}
	return otherwise
}

// numbers reads exactly n finite numbers.
func numbers(s string, n int) ([]float64, bool) {
	f := strings.Fields(s)
	if len(f) != n {
		return nil, false
	}
	out := make([]float64, n)
	for i, v := range f {
		x, err := strconv.ParseFloat(v, 64)
		if err != nil || math.IsNaN(x) || math.Abs(x) > 1e5 {
			return nil, false
		}
		out[i] = x
	}
	return out, true
}

// deltas reads the ways between n characters: numbers, and "g count value" for repeated ones. When there are fewer than
// the text needs, the last one holds for the rest.
func deltas(s string, n int) []float64 {
	f := strings.Fields(s)
	var out []float64
	for i := 0; i < len(f) && len(out) < n; i++ {
		if f[i] == "g" && i+2 < len(f) {
			count, err := strconv.Atoi(f[i+1])
			v, ok := numbers(f[i+2], 1)
			if err != nil || !ok || count < 0 {
				return out
			}
			for range min(count, n-len(out)) {
				out = append(out, v[0])
			}
			i += 2
			continue
		}
		v, ok := numbers(f[i], 1)
		if !ok {
			return out
		}
		out = append(out, v[0])
	}
	for len(out) > 0 && len(out) < n {
		out = append(out, out[len(out)-1])
	}
	return out
}

var pathOps = map[string]struct {
	svg    string
	values int
}{"M": {"M", 2}, "S": {"M", 2}, "L": {"L", 2}, "Q": {"Q", 4}, "B": {"C", 6}, "A": {"A", 7}, "C": {"Z", 0}}

// pathData turns OFD's abbreviated data into SVG's; ok is false for anything else.
func pathData(s string) (string, bool) {
	f := strings.Fields(s)
	var b strings.Builder
	for i := 0; i < len(f); {
		op, known := pathOps[f[i]]
		if !known || i+1+op.values > len(f) {
			return "", false
		}
		if i == 0 && op.svg != "M" {
			return "", false
		}
		v, ok := numbers(strings.Join(f[i+1:i+1+op.values], " "), op.values)
		if !ok {
			return "", false
		}
		b.WriteString(op.svg)
		for k, x := range v {
			if k > 0 {
				b.WriteByte(' ')
			}
			if op.svg == "A" && (k == 3 || k == 4) {
				x = min(max(math.Round(x), 0), 1) // flags
			}
			b.WriteString(number(x))
		}
		i += 1 + op.values
	}
	return b.String(), b.Len() > 0
}
