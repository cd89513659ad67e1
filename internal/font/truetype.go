package font

import (
	"encoding/binary"
	"math"
	"slices"

	"golang.org/x/image/font/sfnt"
)

// trueGlyph is one entry of the glyf table, with what the other tables need to know of it.
type trueGlyph struct {
	data                   []byte // empty for a glyph without ink
	advance                int
	xMin, yMin, xMax, yMax int
	points, contours       int
}

// corner is a point of a TrueType contour, in font units, y upwards.
type corner struct {
	x, y int
	on   bool // on the curve; otherwise the control point of a quadratic
}

// trueGlyph converts a glyph of the source.
func (f *Font) trueGlyph(b *sfnt.Buffer, i sfnt.GlyphIndex) (*trueGlyph, error) {
	segments, advance, err := f.load(b, i)
	if err != nil {
		return nil, err
	}
	contours, err := quadratic(segments)
	if err != nil {
		return nil, err
	}
	if f.cubic { // TrueType wants outer contours clockwise
		for _, c := range contours {
			slices.Reverse(c[1:]) // the first point stays the first: it is on the curve
		}
	}
	g := &trueGlyph{advance: advance, contours: len(contours)}
	for _, c := range contours {
		g.points += len(c)
	}
	if g.points == 0 {
		return g, nil
	}
	if g.points > math.MaxUint16 {
		return nil, ErrUnreadable.With("glyph %d has %d points", i, g.points)
	}
	g.encode(contours)
	return g, nil
}

// tolerance is how far, in font units, a quadratic may stray from the cubic that it stands for: at 1000 units per em and
// 10 mm type, 0.01 mm.
const tolerance = 1.0

// maxCorner bounds the coordinates, which the glyf table holds in 16 bits with their differences.
const maxCorner = 1 << 14

// quadratic turns outlines in font units with y downwards into TrueType contours with y upwards.
func quadratic(segments sfnt.Segments) ([][]corner, error) {
	var contours [][]corner
	var contour []corner
	var at Point
	end := func() {
		if c := tidy(contour); len(c) >= 3 {
			contours = append(contours, c)
		}
		contour = nil
	}
	for _, s := range segments {
		var a [3]Point
		op := ops[s.Op]
		for j := range op.Points() {
			a[j] = Point{X: float64(s.Args[j].X), Y: -float64(s.Args[j].Y)}
			if math.Abs(a[j].X) > maxCorner || math.Abs(a[j].Y) > maxCorner {
				return nil, ErrUnreadable.With("outline reaches to %v", a[j])
			}
		}
		switch op {
		case Move:
			end()
			contour = append(contour, round(a[0], true))
		case Line:
			contour = append(contour, round(a[0], true))
		case Quad:
			contour = append(contour, round(a[0], false), round(a[1], true))
		case Cube:
			contour = appendCube(contour, at, a)
		}
		at = a[op.Points()-1]
	}
	end()
	return contours, nil
}

func round(p Point, on bool) corner {
	return corner{x: int(math.Round(p.X)), y: int(math.Round(p.Y)), on: on}
}

// appendCube adds a cubic as n quadratics. The best quadratic of one nth strays by √3/36 · |third difference| / n³.
func appendCube(contour []corner, p0 Point, a [3]Point) []corner {
	third := math.Hypot(a[2].X-3*a[1].X+3*a[0].X-p0.X, a[2].Y-3*a[1].Y+3*a[0].Y-p0.Y)
	n := min(max(int(math.Ceil(math.Cbrt(math.Sqrt(3)/36*third/tolerance))), 1), 16)
	for i := range n {
		c0, c := slice(p0, a, float64(i)/float64(n), float64(i+1)/float64(n))
		control := Point{X: (3*(c[0].X+c[1].X) - c0.X - c[2].X) / 4, Y: (3*(c[0].Y+c[1].Y) - c0.Y - c[2].Y) / 4}
		contour = append(contour, round(control, false), round(c[2], true))
	}
	return contour
}

// slice returns the part of a cubic between two parameters, as a cubic.
func slice(p0 Point, a [3]Point, from, to float64) (Point, [3]Point) {
	start, end := at(p0, a, from), at(p0, a, to)
	third := (to - from) / 3
	d0, d1 := slope(p0, a, from), slope(p0, a, to)
	return start, [3]Point{
		{X: start.X + d0.X*third, Y: start.Y + d0.Y*third}, {X: end.X - d1.X*third, Y: end.Y - d1.Y*third}, end,
	}
}

// slope returns the derivative of a cubic at t.
func slope(p0 Point, a [3]Point, t float64) Point {
	u := 1 - t
	d := func(v0, v1, v2, v3 float64) float64 { return 3 * (u*u*(v1-v0) + 2*u*t*(v2-v1) + t*t*(v3-v2)) }
	return Point{X: d(p0.X, a[0].X, a[1].X, a[2].X), Y: d(p0.Y, a[0].Y, a[1].Y, a[2].Y)}
}

// tidy removes from a closed contour the points that TrueType implies or that say nothing: repeated ones, and a point on
// the curve midway (within half a unit) between two control points.
func tidy(c []corner) []corner {
	c = slices.CompactFunc(c, func(p, q corner) bool { return p.x == q.x && p.y == q.y && p.on == q.on })
	if n := len(c); n > 1 && c[0] == c[n-1] {
		c = c[:n-1]
	}
	var kept []corner
	for i, p := range c {
		before, after := c[(i+len(c)-1)%len(c)], c[(i+1)%len(c)]
		midway := p.on && !before.on && !after.on &&
			distance(2*p.x, before.x+after.x) <= 1 && distance(2*p.y, before.y+after.y) <= 1
		if !midway || len(kept) == 0 { // the first point stays on the curve: some readers want to start there
			kept = append(kept, p)
		}
	}
	return kept
}

func distance(a, b int) int { return max(a-b, b-a) }

// Flags of a point in a simple glyph description.
const (
	onCurve = 1 << iota
	xShort
	yShort
	repeat
	xSame // with xShort: the byte is positive
	ySame // with yShort: the byte is positive
)

// encode writes the simple glyph description.
func (g *trueGlyph) encode(contours [][]corner) {
	g.xMin, g.yMin, g.xMax, g.yMax = math.MaxInt16, math.MaxInt16, math.MinInt16, math.MinInt16
	var ends, flags, xs, ys []byte
	var at corner
	last, n := -1, 0
	for _, c := range contours {
		for _, p := range c {
			g.xMin, g.xMax, g.yMin, g.yMax = min(g.xMin, p.x), max(g.xMax, p.x), min(g.yMin, p.y), max(g.yMax, p.y)
			var flag int
			if p.on {
				flag = onCurve
			}
			xs, flag = appendStep(xs, flag, p.x-at.x, xShort, xSame)
			ys, flag = appendStep(ys, flag, p.y-at.y, yShort, ySame)
			flags, last = appendFlag(flags, last, flag)
			at = p
		}
		n += len(c)
		ends = binary.BigEndian.AppendUint16(ends, uint16(n-1))
	}
	for _, v := range []int{len(contours), g.xMin, g.yMin, g.xMax, g.yMax} {
		g.data = binary.BigEndian.AppendUint16(g.data, uint16(v))
	}
	g.data = append(g.data, ends...)
	g.data = append(g.data, 0, 0) // no instructions
	g.data = append(g.data, flags...)
	g.data = append(g.data, xs...)
	g.data = append(g.data, ys...)
	if len(g.data)%2 != 0 { // the short form of loca counts in pairs
		g.data = append(g.data, 0)
	}
}

// appendStep writes one coordinate as a difference and notes in flag how.
func appendStep(b []byte, flag, d, short, same int) ([]byte, int) {
	switch {
	case d == 0:
		return b, flag | same
	case d > 0 && d < 256:
		return append(b, byte(d)), flag | short | same
	case d < 0 && d > -256:
		return append(b, byte(-d)), flag | short
	}
	return binary.BigEndian.AppendUint16(b, uint16(d)), flag
}

// appendFlag writes a flag, or counts it as a repetition of the last one.
func appendFlag(b []byte, last, flag int) ([]byte, int) {
	n := len(b)
	if last&^repeat != flag || last < 0 {
		return append(b, byte(flag)), flag
	}
	if last&repeat == 0 {
		b[n-1] |= repeat
		return append(b, 1), flag | repeat
	}
	if b[n-1] == 255 {
		return append(b, byte(flag)), flag
	}
	b[n-1]++
	return b, last
}
