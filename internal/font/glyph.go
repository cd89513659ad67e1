package font

import (
	"math"

	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

// Point is a place in the em square: 1 is one em, y grows upwards from the baseline.
type Point struct{ X, Y float64 }

// Op is what a segment of an outline does.
type Op uint8

// The segments: each goes on from where the one before ended. A contour ends where the next Move or the path ends, and is closed.
const (
	Move Op = iota // to Args[0]; opens a contour
	Line           // to Args[0]
	Quad           // by control point Args[0] to Args[1]
	Cube           // by control points Args[0], Args[1] to Args[2]
)

// Points returns how many of a segment's Args the operation uses.
func (o Op) Points() int {
	switch o {
	case Quad:
		return 2
	case Cube:
		return 3
	}
	return 1
}

// Segment is one step of an outline.
type Segment struct {
	Op   Op
	Args [3]Point
}

// Path is an outline, to be filled by the nonzero rule.
type Path []Segment

// Rect is a box; a glyph without ink has the zero Rect.
type Rect struct{ MinX, MinY, MaxX, MaxY float64 }

// Glyph is the look of one character, in ems.
type Glyph struct {
	Path    Path
	Advance float64 // from this origin to that of the next character
	Ink     Rect    // the smallest box round the outline itself, not round its control points
}

// Glyph returns the look of a character, or an ErrMissing.
func (f *Font) Glyph(r rune) (g Glyph, err error) {
	defer refuse(&err)
	b := f.buffers.Get().(*sfnt.Buffer)
	defer f.buffers.Put(b)
	i, ok := f.index(b, r)
	if !ok {
		return Glyph{}, missingError([]rune{r})
	}
	segments, advance, err := f.load(b, i)
	if err != nil {
		return Glyph{}, err
	}
	em := float64(f.units)
	g.Advance = float64(advance) / em
	g.Path = make(Path, len(segments))
	for k, s := range segments {
		g.Path[k].Op = ops[s.Op]
		for j := range ops[s.Op].Points() {
			g.Path[k].Args[j] = Point{X: float64(s.Args[j].X) / em, Y: -float64(s.Args[j].Y) / em}
		}
	}
	g.Ink = g.Path.Bounds()
	return g, nil
}

var ops = map[sfnt.SegmentOp]Op{
	sfnt.SegmentOpMoveTo: Move, sfnt.SegmentOpLineTo: Line, sfnt.SegmentOpQuadTo: Quad, sfnt.SegmentOpCubeTo: Cube,
}

// load returns outline and advance in font units; y grows downwards. The segments are valid until b is used again.
func (f *Font) load(b *sfnt.Buffer, i sfnt.GlyphIndex) (sfnt.Segments, int, error) {
	em := fixed.Int26_6(f.units) // so that the results are whole font units
	advance, err := f.file.GlyphAdvance(b, i, em, font.HintingNone)
	if err != nil {
		return nil, 0, ErrUnreadable.With("advance of glyph %d: %w", i, err)
	}
	segments, err := f.file.LoadGlyph(b, i, em, nil)
	if err != nil {
		return nil, 0, ErrUnreadable.With("outline of glyph %d: %w", i, err)
	}
	if advance < 0 || advance > math.MaxUint16 {
		return nil, 0, ErrUnreadable.With("advance of glyph %d: %d", i, advance)
	}
	return segments, int(advance), nil
}

// Bounds returns the smallest box round the outline.
func (p Path) Bounds() Rect {
	if len(p) == 0 {
		return Rect{}
	}
	box := Rect{MinX: math.Inf(1), MinY: math.Inf(1), MaxX: math.Inf(-1), MaxY: math.Inf(-1)}
	p.Flatten(0.001, func(pt Point, _ bool) {
		box.MinX, box.MaxX = min(box.MinX, pt.X), max(box.MaxX, pt.X)
		box.MinY, box.MaxY = min(box.MinY, pt.Y), max(box.MaxY, pt.Y)
	})
	return box
}

// Flatten calls emit with the corners of a polygon that keeps within tolerance of the path; first tells that pt opens a contour.
func (p Path) Flatten(tolerance float64, emit func(pt Point, first bool)) {
	var at Point
	for _, s := range p {
		a := s.Args
		switch s.Op {
		case Quad: // as the cubic of the same shape
			a = [3]Point{mix(at, a[0], 2.0/3), mix(a[1], a[0], 2.0/3), a[1]}
			curve(at, a, tolerance, emit)
		case Cube:
			curve(at, a, tolerance, emit)
		default:
			emit(a[0], s.Op == Move)
		}
		at = s.Args[s.Op.Points()-1]
	}
}

func mix(a, b Point, t float64) Point { return Point{X: a.X + (b.X-a.X)*t, Y: a.Y + (b.Y-a.Y)*t} }

// curve emits the corners after p0. The chord of one nth of a cubic strays from it by at most 3/4 · (largest second difference) / n².
func curve(p0 Point, a [3]Point, tolerance float64, emit func(Point, bool)) {
	bend := max(math.Hypot(p0.X-2*a[0].X+a[1].X, p0.Y-2*a[0].Y+a[1].Y), math.Hypot(a[0].X-2*a[1].X+a[2].X, a[0].Y-2*a[1].Y+a[2].Y))
	n := min(max(int(math.Ceil(math.Sqrt(0.75*bend/tolerance))), 1), 256)
	for i := 1; i < n; i++ {
		emit(at(p0, a, float64(i)/float64(n)), false)
	}
	emit(a[2], false)
}

// at returns the point of the cubic at t.
func at(p0 Point, a [3]Point, t float64) Point {
	p, q, r := mix(p0, a[0], t), mix(a[0], a[1], t), mix(a[1], a[2], t)
	return mix(mix(p, q, t), mix(q, r, t), t)
}
