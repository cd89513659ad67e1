package seal

import (
	"errors"
	"math"
	"slices"
	"testing"

	"hufu/internal/font"
)

const (
	longName = "新疆维吾尔自治区伊犁哈萨克自治州察布查尔锡伯自治县市场监督局"
	widest   = "鑫鑫圆国圜圝龘靐麤囊鬱釁爨齉国国圆圆鑫龘龘国圆圜圝靐国国鑫国" // square characters, wide at their feet
)

// TestNothingCollides draws names of 2 to 30 characters, with and without line and code, on seals of each size, and
// measures the distances of all outlines in a second way. What does not fit must be refused as such.
func TestNothingCollides(t *testing.T) {
	drawn := 0
	for i, diameter := range []float64{38, 40, 42, 45, 50, 60} {
		for n := 2 + i; n <= maxName; n += 6 { // the six sizes together have each length
			for k, line := range []string{"", "专用章", "电子证照专用章"} {
				text := longName
				if (n+k)%2 == 0 {
					text = widest
				}
				d := Design{
					Style: Style{Diameter: diameter, Ring: 1 + 0.2*float64(k), Star: diameter / 3 * float64(1-k%2)},
					Name:  string([]rune(text)[:n]), Line: line, Code: []string{"", "3301061234567"}[(n+i)%2],
				}
				shapes := layShapes(t, d)
				if shapes == nil {
					mustBeTight(t, d)
					continue
				}
				drawn++
				if gap := leastGap(shapes, diameter/2, diameter/2-d.Style.Ring); gap < clearance-0.01 {
					t.Errorf("%v mm, name %q, line %q: two outlines are %.3f mm apart", diameter, d.Name, line, gap)
				}
			}
		}
	}
	if drawn < 60 {
		t.Errorf("only %d seals were drawn", drawn)
	}
}

// layShapes returns the figures of a design, or nil if it was refused for its length.
func layShapes(t *testing.T, d Design) []shape {
	t.Helper()
	face, err := font.Bold()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.check(face); err != nil {
		t.Fatalf("%+v: %v", d, err)
	}
	l, err := newLayout(d, face)
	if err != nil {
		t.Fatal(err)
	}
	shapes, err := l.fit()
	if err != nil && !errors.Is(err, ErrNameTooLong) && !errors.Is(err, ErrLineTooLong) {
		t.Errorf("%+v: %v", d, err)
	}
	return shapes
}

// mustBeTight fails if a design was refused that a person would expect to fit.
func mustBeTight(t *testing.T, d Design) {
	t.Helper()
	n := len([]rune(d.Name))
	room := 20.0 // characters on a seal of 40 mm
	if d.Line != "" {
		room = 16
	}
	if float64(n) <= room*d.Style.Diameter/40 {
		t.Errorf("refused: %v mm, name of %d, line %q", d.Style.Diameter, n, d.Line)
	}
}

// leastGap measures side against side, without the grid and the spacing that the layout goes by.
func leastGap(shapes []shape, centre, inner float64) float64 {
	type side struct{ a, b font.Point }
	sides, boxes := make([][]side, len(shapes)), make([]font.Rect, len(shapes))
	least := math.Inf(1)
	for i, s := range shapes {
		var start, last font.Point
		s.path.Flatten(0.003, func(p font.Point, first bool) {
			least = min(least, inner-math.Hypot(p.X-centre, p.Y-centre))
			if first {
				if last != start {
					sides[i] = append(sides[i], side{last, start})
				}
				start = p
			} else {
				sides[i] = append(sides[i], side{last, p})
			}
			last = p
		})
		sides[i] = append(sides[i], side{last, start})
		boxes[i] = s.path.Bounds()
	}
	const far = 0.35
	for i := range shapes {
		for j := range i {
			a, b := boxes[i], boxes[j]
			if a.MinX > b.MaxX+far || b.MinX > a.MaxX+far || a.MinY > b.MaxY+far || b.MinY > a.MaxY+far {
				continue
			}
			beyond := func(box font.Rect) func(side) bool {
				return func(s side) bool {
					return max(s.a.X, s.b.X) < box.MinX-far || min(s.a.X, s.b.X) > box.MaxX+far ||
						max(s.a.Y, s.b.Y) < box.MinY-far || min(s.a.Y, s.b.Y) > box.MaxY+far
				}
			}
			mine := slices.DeleteFunc(slices.Clone(sides[i]), beyond(b))
			theirs := slices.DeleteFunc(slices.Clone(sides[j]), beyond(a))
			for _, s := range mine {
				for _, u := range theirs {
					least = min(least, sideGap(s.a, s.b, u.a, u.b))
				}
			}
		}
	}
	return least
}

// sideGap returns the distance of two sides, 0 if they cross.
func sideGap(a, b, c, d font.Point) float64 {
	turn := func(p, q, r font.Point) float64 { return (q.X-p.X)*(r.Y-p.Y) - (q.Y-p.Y)*(r.X-p.X) }
	if turn(a, b, c)*turn(a, b, d) < 0 && turn(c, d, a)*turn(c, d, b) < 0 {
		return 0
	}
	return min(cornerGap(a, c, d), cornerGap(b, c, d), cornerGap(c, a, b), cornerGap(d, a, b))
}

func cornerGap(p, a, b font.Point) float64 {
	dx, dy := b.X-a.X, b.Y-a.Y
	t := 0.0
	if l := dx*dx + dy*dy; l > 0 {
		t = min(max(((p.X-a.X)*dx+(p.Y-a.Y)*dy)/l, 0), 1)
	}
	return math.Hypot(p.X-a.X-t*dx, p.Y-a.Y-t*dy)
}

// TestPlaneFindsCollisions makes the collisions that the layout must avoid.
func TestPlaneFindsCollisions(t *testing.T) {
	square := func(x, y, size float64) shape {
		at := func(op font.Op, dx, dy float64) font.Segment {
			return font.Segment{Op: op, Args: [3]font.Point{{X: x + dx*size, Y: y + dy*size}}}
		}
		return newShape(font.Path{at(font.Move, 0, 0), at(font.Line, 1, 0), at(font.Line, 1, 1), at(font.Line, 0, 1)})
	}
	p := newPlane(42, 1.2)
	for name, c := range map[string]struct {
		a, b shape
		want bool
	}{
		"apart":              {square(15, 15, 3), square(20, 15, 3), true},
		"just far enough":    {square(15, 15, 3), square(18.31, 15, 3), true},
		"just too near":      {square(15, 15, 3), square(18.29, 15, 3), false},
		"corner to corner":   {square(15, 15, 3), square(18.2, 18.2, 3), false},
		"corner to side":     {square(15, 15, 3), square(18.2, 16.5, 0.5), false},
		"crossing":           {square(15, 15, 3), square(16, 14, 1.5), false},
		"outside the ring":   {square(15, 15, 3), square(45, 45, 3), false},
		"beyond the corner":  {square(15, 15, 3), square(-9, -9, 3), false},
		"on the ring":        {square(15, 15, 3), square(0, 20, 2), false},
		"too near the ring":  {square(15, 15, 3), square(1.45, 20.9, 0.2), false},
		"far enough from it": {square(15, 15, 3), square(1.55, 20.9, 0.2), true},
		"not with itself":    {square(15, 15, 0.1), square(20, 20, 0.1), true},
	} {
		if got := p.clear([]shape{c.a}, []shape{c.b}); got != c.want {
			t.Errorf("%s: clear %v, want %v", name, got, c.want)
		}
	}
}

// TestLongNamesGiveWayInOrder: narrower first, then a longer arc, then lower.
func TestLongNamesGiveWayInOrder(t *testing.T) {
	previous := shapeOfName{height: math.Inf(1)}
	for n := 4; n <= 24; n++ {
		got := nameShape(t, string([]rune(longName)[:n]))
		if got.height > previous.height+1e-9 {
			t.Errorf("%d characters are higher (%.2f) than fewer (%.2f)", n, got.height, previous.height)
		}
		if got.height < nameHeight*42-1e-9 && got.span < easyArc*math.Pi/180 {
			t.Errorf("%d characters were made lower before the arc was lengthened", n)
		}
		if got.span > longestArc*math.Pi/180+1e-9 {
			t.Errorf("%d characters span %.0f degrees", n, got.span*180/math.Pi)
		}
		previous = got
	}
	if previous.height == nameHeight*42 {
		t.Error("no name was so long that it had to be made lower: the test tests nothing")
	}
}

type shapeOfName struct{ height, span float64 }

// nameShape returns the first arc on which a name fits a 42 mm seal with star and code.
func nameShape(t *testing.T, name string) shapeOfName {
	t.Helper()
	face, err := font.Bold()
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLayout(Design{Style: style(t, "company"), Name: name, Code: "3301061234567"}, face)
	if err != nil {
		t.Fatal(err)
	}
	code, _ := l.fitCode()
	for _, a := range l.arcs() {
		if _, ok := l.fitName(a, code); ok {
			return shapeOfName{height: a.height, span: a.step * l.name.total}
		}
	}
	t.Fatalf("%q does not fit", name)
	return shapeOfName{}
}
