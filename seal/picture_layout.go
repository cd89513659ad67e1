package seal

import (
	"math"
	"sort"
	"unicode"

	"hufu/internal/font"
)

// layout finds where the figures of one seal go. Angles are radians, clockwise from the top.
type layout struct {
	design Design
	plane  *plane
	d      float64 // diameter
	centre font.Point

	name, line, code row
	star             []shape
}

// row is the characters of one text.
type row struct {
	glyphs []font.Glyph
	cells  []float64 // width that each character takes, 1 for a Chinese one
	total  float64   // way from the middle of the first cell to that of the last
	middle float64   // height of the middle of the ink common to all, above the baseline
}

// Proportions of a seal, of the diameter unless said otherwise.
const (
	nameHeight = 0.155 // em of the name
	nameWidth  = 0.8   // width of a character as a part of its height, before it is narrowed
	nameGap    = 0.018 // between ring and name
	nameStep   = 0.36  // radians from character to character of a name of eight or more, where there is room
	shortStep  = 0.03  // radians added for each character fewer than eight
	fill       = 0.88  // part of a step that the em of a character takes at most
	narrowest  = 0.55  // of the normal width
	lowest     = 0.6   // of the normal height
	lowestName = 2.2   // millimetres: no em of a name is lower

	lineHeight = 0.09
	lineWidth  = 0.85
	lowestLine = 1.8  // millimetres
	lineBelow  = 0.26 // middle of the line below the centre

	codeHeight = 0.036 // of the digits themselves
	codeInset  = 0.035 // from ring to the middle of the digits
	codeStep   = 0.064 // radians
)

// Arc of the name in degrees: how long it is at most while characters are only narrowed, and how long when all else fails.
const (
	easyArc         = 212
	longestArc      = 262 // clear of the code
	easyArcAbove    = 200 // above a line
	longestArcAbove = 240
)

func newLayout(d Design, face *font.Font) (*layout, error) {
	size := d.Style.Diameter
	l := &layout{design: d, d: size, centre: font.Point{X: size / 2, Y: size / 2}, plane: newPlane(size, d.Style.Ring)}
	for _, r := range []struct {
		to   *row
		text string
	}{{&l.name, d.Name}, {&l.line, d.Line}, {&l.code, d.Code}} {
		var err error
		if *r.to, err = newRow(face, r.text); err != nil {
			return nil, err
		}
	}
	if d.Style.Star > 0 {
		l.star = []shape{newShape(star(l.centre, d.Style.Star))}
	}
	return l, nil
}

func newRow(face *font.Font, text string) (row, error) {
	var r row
	low, high := math.Inf(1), math.Inf(-1)
	for _, c := range text {
		g, err := face.Glyph(c)
		if err != nil {
			return row{}, err
		}
		cell := 1.0
		if !unicode.Is(unicode.Han, c) { // a bracket, digit or letter takes what its ink needs
			cell = min(max(g.Ink.MaxX-g.Ink.MinX+0.15, 0.45), 1)
		}
		r.glyphs, r.cells = append(r.glyphs, g), append(r.cells, cell)
		low, high = min(low, g.Ink.MinY), max(high, g.Ink.MaxY)
	}
	for i := 1; i < len(r.cells); i++ {
		r.total += (r.cells[i-1] + r.cells[i]) / 2
	}
	r.middle = (low + high) / 2
	return r, nil
}

// offsets returns the middle of each cell, counted from the middle of the row, in cells.
func (r row) offsets() []float64 {
	out := make([]float64, len(r.cells))
	at := -r.total / 2
	for i := range r.cells {
		if i > 0 {
			at += (r.cells[i-1] + r.cells[i]) / 2
		}
		out[i] = at
	}
	return out
}

// set returns the characters of the row at their places: a character is centred across by its own ink and upright by
// the ink of the whole row, so that 一 keeps its form; put maps millimetres from there, y upwards, onto the seal.
func (r row) set(width, height float64, put func(i int, x, y float64) font.Point) []shape {
	out := make([]shape, len(r.glyphs))
	for i, g := range r.glyphs {
		middle := (g.Ink.MinX + g.Ink.MaxX) / 2
		out[i] = newShape(placed(g.Path, func(p font.Point) font.Point {
			return put(i, (p.X-middle)*width, (p.Y-r.middle)*height)
		}))
	}
	return out
}

// fit returns all figures, or ErrNameTooLong or ErrLineTooLong.
func (l *layout) fit() ([]shape, error) {
	code, ok := l.fitCode()
	if !ok {
		return nil, ErrBadCode.With("draw seal: no room for the code on %v mm", l.d)
	}
	nameFits := false
	for _, c := range l.arcs() {
		name, ok := l.fitName(c, code)
		if !ok {
			continue
		}
		nameFits = true
		if line, ok := l.fitLine(name, code); ok {
			return append(append(append(l.star, name...), line...), code...), nil
		}
	}
	if nameFits {
		return nil, ErrLineTooLong.With("draw seal: line %q below name %q on %v mm", l.design.Line, l.design.Name, l.d)
	}
	return nil, ErrNameTooLong.With("draw seal: name %q on %v mm", l.design.Name, l.d)
}

// arc is one way to set the name.
type arc struct {
	height float64 // em in millimetres
	step   float64 // radians from one Chinese character to the next
}

// arcs returns the ways to set the name in order of preference: long arcs before low characters.
func (l *layout) arcs() []arc {
	easy, longest := float64(easyArc), float64(longestArc)
	if l.design.Line != "" {
		easy, longest = easyArcAbove, longestArcAbove
	}
	step := nameStep + shortStep*float64(max(8-len(l.name.glyphs), 0))
	natural := step * l.name.total * 180 / math.Pi
	var out []arc
	for height := 100; height >= lowest*100; height -= 5 {
		if nameHeight*l.d*float64(height)/100 < lowestName {
			break
		}
		for span := min(natural, easy); span <= longest; span += 6 {
			out = append(out, arc{
				height: nameHeight * l.d * float64(height) / 100,
				step:   span * math.Pi / 180 / l.name.total,
			})
			if span == natural {
				break // a short name is never spread
			}
		}
	}
	return out
}

// fitName sets the name as wide as it can be without a collision, if that is wide enough.
func (l *layout) fitName(a arc, code []shape) ([]shape, bool) {
	r := l.plane.inner - nameGap*l.d - a.height/2
	normal := nameWidth * a.height
	widest := min(1, fill*r*a.step/normal)
	if widest < narrowest {
		return nil, false
	}
	const pace = 0.02
	steps := int((widest-narrowest)/pace) + 1
	first := sort.Search(steps, func(i int) bool {
		return l.plane.clear(l.star, l.setName(a, r, normal*(widest-pace*float64(i))), code)
	})
	if first == steps {
		return nil, false
	}
	return l.setName(a, r, normal*(widest-pace*float64(first))), true
}

func (l *layout) setName(a arc, r, width float64) []shape {
	offsets := l.name.offsets()
	return l.name.set(width, a.height, func(i int, x, y float64) font.Point {
		sin, cos := math.Sincos(offsets[i] * a.step)
		return font.Point{X: l.centre.X + x*cos + (r+y)*sin, Y: l.centre.Y + x*sin - (r+y)*cos}
	})
}

// fitLine sets the horizontal line, as large as it can be without a collision.
func (l *layout) fitLine(name, code []shape) ([]shape, bool) {
	if len(l.line.glyphs) == 0 {
		return nil, true
	}
	offsets := l.line.offsets()
	for height := 1.0; height >= lowest && lineHeight*l.d*height >= lowestLine; height -= 0.08 {
		for share := 1.0; share >= narrowest/lineWidth; share -= 0.05 {
			em := lineHeight * l.d * height
			width := em * lineWidth * share
			pitch := width/fill + 0.1
			line := l.line.set(width, em, func(i int, x, y float64) font.Point {
				return font.Point{X: l.centre.X + offsets[i]*pitch + x, Y: l.centre.Y + lineBelow*l.d - y}
			})
			if l.plane.clear(l.star, name, code, line) {
				return line, true
			}
		}
	}
	return nil, false
}

// fitCode sets the digits along the bottom, heads to the centre.
func (l *layout) fitCode() ([]shape, bool) {
	if len(l.code.glyphs) == 0 {
		return nil, true
	}
	offsets := l.code.offsets()
	ink := l.code.glyphs[0].Ink
	em := codeHeight * l.d / (ink.MaxY - ink.MinY)
	r := l.plane.inner - codeInset*l.d
	step := codeStep * float64(len(l.code.glyphs)-1) / l.code.total
	for share := 1.0; share >= 0.5; share -= 0.05 {
		code := l.code.set(em*share, em, func(i int, x, y float64) font.Point {
			sin, cos := math.Sincos(offsets[i] * step)
			return font.Point{X: l.centre.X + (r-y)*sin + x*cos, Y: l.centre.Y + (r-y)*cos - x*sin}
		})
		if l.plane.clear(code) {
			return code, true
		}
	}
	return nil, false
}
