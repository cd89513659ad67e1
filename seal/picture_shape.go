package seal

import (
	"math"

	"hufu/internal/font"
)

// shape is one figure of a seal: a character or the star. Lengths are millimetres from the upper left corner, y downwards.
type shape struct {
	path    font.Path
	corners []font.Point // points on the outline, every corner among them, never further apart than spacing
}

// spacing of the points by which distances are measured, in millimetres.
const spacing = 0.1

func newShape(path font.Path) shape {
	s := shape{path: path}
	var start, last font.Point
	walk := func(to font.Point) {
		dx, dy := to.X-last.X, to.Y-last.Y
		n := math.Ceil(math.Sqrt(dx*dx+dy*dy) / spacing)
		for i := 1.0; i <= n; i++ {
			s.corners = append(s.corners, font.Point{X: last.X + dx*i/n, Y: last.Y + dy*i/n})
		}
		last = to
	}
	path.Flatten(0.004, func(pt font.Point, first bool) {
		if !first {
			walk(pt)
			return
		}
		walk(start) // closes the contour before
		start, last = pt, pt
		s.corners = append(s.corners, pt)
	})
	walk(start)
	return s
}

// placed returns a path moved by f, which maps straight lines to straight lines.
func placed(path font.Path, f func(font.Point) font.Point) font.Path {
	out := make(font.Path, len(path))
	for i, s := range path {
		out[i].Op = s.Op
		for j := range s.Op.Points() {
			out[i].Args[j] = f(s.Args[j])
		}
	}
	return out
}

// star returns a five-pointed star within a circle of that diameter round c, one point upwards.
func star(c font.Point, diameter float64) font.Path {
	inner := math.Sin(math.Pi/10) / math.Sin(7*math.Pi/10) // where the sides of a pentagram cross
	var path font.Path
	for i := range 10 {
		r, op := diameter/2, font.Line
		if i%2 == 1 {
			r *= inner
		}
		if i == 0 {
			op = font.Move
		}
		sin, cos := math.Sincos(float64(i) * math.Pi / 5)
		path = append(path, font.Segment{Op: op, Args: [3]font.Point{{X: c.X + r*sin, Y: c.Y - r*cos}}})
	}
	return path
}

// ring returns the outer line of a seal: a circle, and within it one wound the other way.
func ring(diameter, width float64) font.Path {
	r := diameter / 2
	return append(circle(r, r, 1), circle(r, r-width, -1)...)
}

// circle returns four cubics round (c, c); way 1 runs clockwise, -1 counter-clockwise.
func circle(c, r, way float64) font.Path {
	const k = 0.5522847498307936 // 4/3 · (√2 - 1): within 0.03 % of a circle
	p := func(x, y float64) font.Point { return font.Point{X: c + x*r*way, Y: c + y*r} }
	return font.Path{
		{Op: font.Move, Args: [3]font.Point{p(0, -1)}},
		{Op: font.Cube, Args: [3]font.Point{p(k, -1), p(1, -k), p(1, 0)}},
		{Op: font.Cube, Args: [3]font.Point{p(1, k), p(k, 1), p(0, 1)}},
		{Op: font.Cube, Args: [3]font.Point{p(-k, 1), p(-1, k), p(-1, 0)}},
		{Op: font.Cube, Args: [3]font.Point{p(-1, -k), p(-k, -1), p(0, -1)}},
	}
}
