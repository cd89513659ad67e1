package ofd

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// Color is red, green, blue, 0 to 255. The zero value is black.
type Color [3]uint8

func (c Color) String() string { return fmt.Sprintf("%d %d %d", c[0], c[1], c[2]) }

// Sheet is a page or template under construction. Lengths are millimetres, origin top left.
type Sheet struct {
	d          *Document
	id, layer  ID
	w, h       float64
	background *Sheet
	body       strings.Builder
}

// Text is one run on one line.
type Text struct {
	Value  string
	Font   ID      // from Document.Font
	Size   float64 // mm (1 pt = 0.3528 mm)
	X, Y   float64 // start of the baseline
	DeltaX []float64
	// DeltaX[i] is the way from character i to i+1; it must have one number fewer than Value has characters, or be
	// empty, when every character advances by Size.
	Glyphs []uint16 // glyph ids in the embedded font, one a character; empty: the reader maps by the font's cmap
	Color  Color
}

// Path is a line or area. Data is OFD's AbbreviatedData relative to Box's origin: M x y, L x y, Q…, B x1 y1 x2 y2 x3 y3, C (close).
type Path struct {
	Box       Box
	Data      string
	LineWidth float64
	Stroke    *Color
	Fill      *Color
	EvenOdd   bool
}

// Picture places an image of Document.Image.
type Picture struct {
	Image ID
	Box   Box
}

// Background draws a template below everything of this page.
func (s *Sheet) Background(t *Sheet) { s.background = t }

// Text adds a run and returns the object for Document.Tag.
func (s *Sheet) Text(t Text) Object {
	id := s.d.next()
	n := utf8.RuneCountInString(t.Value)
	switch {
	case n == 0 || !utf8.ValidString(t.Value) || strings.ContainsFunc(t.Value, func(r rune) bool { return r < ' ' || r == 0xfffd }):
		s.d.fail("text %q", t.Value)
	case t.Size <= 0 || !finite(t.X, t.Y, t.Size) || !finite(t.DeltaX...):
		s.d.fail("text %q: size %g at %g, %g", t.Value, t.Size, t.X, t.Y)
	case len(t.DeltaX) != 0 && len(t.DeltaX) != n-1:
		s.d.fail("text %q: %d advances for %d characters", t.Value, len(t.DeltaX), n)
	case len(t.Glyphs) != 0 && len(t.Glyphs) != n:
		s.d.fail("text %q: %d glyphs for %d characters", t.Value, len(t.Glyphs), n)
	case !s.d.hasFont(t.Font):
		s.d.fail("text %q: no font %d", t.Value, t.Font)
	}
	advances := t.DeltaX
	if len(advances) == 0 {
		for range n - 1 {
			advances = append(advances, t.Size)
		}
	}
	width := t.Size
	for _, a := range advances {
		width += a
	}
	box := Box{t.X, t.Y - t.Size, width, t.Size * 1.3}
	fmt.Fprintf(&s.body, `<ofd:TextObject ID="%d" Boundary="%s" Font="%d" Size="%s"><ofd:FillColor Value="%s"/>`, id, box, t.Font, num(t.Size), t.Color)
	if len(t.Glyphs) > 0 {
		fmt.Fprintf(&s.body, `<ofd:CGTransform CodePosition="0" CodeCount="%[1]d" GlyphCount="%[1]d"><ofd:Glyphs>%[2]s</ofd:Glyphs></ofd:CGTransform>`, n, strings.Trim(fmt.Sprint(t.Glyphs), "[]"))
	}
	fmt.Fprintf(&s.body, `<ofd:TextCode X="0" Y="%s"`, num(t.Size))
	if n > 1 {
		s.body.WriteString(` DeltaX="`)
		for i, a := range advances {
			if i > 0 {
				s.body.WriteByte(' ')
			}
			s.body.WriteString(num(a))
		}
		s.body.WriteByte('"')
	}
	fmt.Fprintf(&s.body, `>%s</ofd:TextCode></ofd:TextObject>`, esc(t.Value))
	return Object{s, id}
}

func (d *Document) hasFont(id ID) bool {
	for _, r := range d.fonts {
		if r.id == id {
			return true
		}
	}
	return false
}

func finite(v ...float64) bool {
	for _, x := range v {
		if math.IsNaN(x) || math.Abs(x) > 1e5 {
			return false
		}
	}
	return true
}

// Path adds a path.
func (s *Sheet) Path(p Path) Object {
	id := s.d.next()
	if p.Data == "" || p.Stroke == nil && p.Fill == nil || !finite(p.Box.X, p.Box.Y, p.Box.W, p.Box.H, p.LineWidth) ||
		strings.Trim(p.Data, "MLQBASC0123456789.-+eE \n") != "" {
		s.d.fail("path %q", p.Data)
	}
	fmt.Fprintf(&s.body, `<ofd:PathObject ID="%d" Boundary="%s"`, id, p.Box)
	if p.LineWidth > 0 {
		fmt.Fprintf(&s.body, ` LineWidth="%s"`, num(p.LineWidth))
	}
	fmt.Fprintf(&s.body, ` Stroke="%t" Fill="%t"`, p.Stroke != nil, p.Fill != nil)
	if p.EvenOdd {
		s.body.WriteString(` Rule="Even-Odd"`)
	}
	s.body.WriteByte('>')
	if p.Stroke != nil {
		fmt.Fprintf(&s.body, `<ofd:StrokeColor Value="%s"/>`, *p.Stroke)
	}
	if p.Fill != nil {
		fmt.Fprintf(&s.body, `<ofd:FillColor Value="%s"/>`, *p.Fill)
	}
	fmt.Fprintf(&s.body, `<ofd:AbbreviatedData>%s</ofd:AbbreviatedData></ofd:PathObject>`, esc(p.Data))
	return Object{s, id}
}

// Line adds a straight line.
func (s *Sheet) Line(x1, y1, x2, y2, width float64, c Color) Object {
	x, y := min(x1, x2), min(y1, y2)
	half := width / 2
	box := Box{x - half, y - half, math.Abs(x2-x1) + width, math.Abs(y2-y1) + width}
	data := fmt.Sprintf("M %s %s L %s %s", num(x1-x+half), num(y1-y+half), num(x2-x+half), num(y2-y+half))
	return s.Path(Path{Box: box, Data: data, LineWidth: width, Stroke: &c})
}

// Rect adds a rectangle; stroke or fill may be nil.
func (s *Sheet) Rect(b Box, width float64, stroke, fill *Color) Object {
	data := fmt.Sprintf("M 0 0 L %[1]s 0 L %[1]s %[2]s L 0 %[2]s C", num(b.W), num(b.H))
	return s.Path(Path{Box: b, Data: data, LineWidth: width, Stroke: stroke, Fill: fill})
}

// Picture adds an image, filling its box.
func (s *Sheet) Picture(p Picture) Object {
	id := s.d.next()
	known := false
	for _, r := range s.d.images {
		known = known || r.id == p.Image
	}
	if !known || p.Box.W <= 0 || p.Box.H <= 0 || !finite(p.Box.X, p.Box.Y, p.Box.W, p.Box.H) {
		s.d.fail("image %d in box %q", p.Image, p.Box)
	}
	fmt.Fprintf(&s.body, `<ofd:ImageObject ID="%d" Boundary="%s" CTM="%s 0 0 %s 0 0" ResourceID="%d"/>`, id, p.Box, num(p.Box.W), num(p.Box.H), p.Image)
	return Object{s, id}
}

func (s *Sheet) xml() []byte {
	var b strings.Builder
	b.WriteString(xmlHead + `<ofd:Page xmlns:ofd="` + Namespace + `">`)
	if s.background != nil {
		fmt.Fprintf(&b, `<ofd:Template TemplateID="%d" ZOrder="Background"/>`, s.background.id)
	}
	fmt.Fprintf(&b, `<ofd:Area><ofd:PhysicalBox>0 0 %s %s</ofd:PhysicalBox></ofd:Area>`, num(s.w), num(s.h))
	fmt.Fprintf(&b, `<ofd:Content><ofd:Layer ID="%d" Type="Body">`, s.layer)
	b.WriteString(s.body.String())
	b.WriteString(`</ofd:Layer></ofd:Content></ofd:Page>`)
	return []byte(b.String())
}
