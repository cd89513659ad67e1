package licence

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/boombuler/barcode/qr"

	"hufu/seal/ofd"
)

// number writes a length with three decimals at most.
func number(v float64) string {
	s := strconv.FormatFloat(math.Round(v*1e3)/1e3, 'f', -1, 64)
	if s == "-0" {
		return "0"
	}
	return s
}

// pen collects the path data of an ornament.
type pen struct{ strings.Builder }

func (p *pen) move(x, y float64) { fmt.Fprintf(p, "M %s %s ", number(x), number(y)) }
func (p *pen) line(x, y float64) { fmt.Fprintf(p, "L %s %s ", number(x), number(y)) }
func (p *pen) close()            { p.WriteString("C ") }
func (p *pen) data() string      { return strings.TrimSpace(p.String()) }

func (p *pen) rect(x, y, w, h float64) {
	p.move(x, y)
	p.line(x+w, y)
	p.line(x+w, y+h)
	p.line(x, y+h)
	p.close()
}

// meander is one turn of the fret in a cell one wide and one high; turns join at the foot.
var meander = [][2]float64{{0, 1}, {0, 0}, {0.75, 0}, {0.75, 0.72}, {0.3, 0.72}, {0.3, 0.36}, {0.5, 0.36}}

// draw puts the border on a sheet of w × h mm.
func (f *Frame) draw(s *ofd.Sheet, w, h float64) {
	ink := ofd.Color(f.Colour)
	outer := ofd.Box{X: f.Inset, Y: f.Inset, W: w - 2*f.Inset, H: h - 2*f.Inset}
	s.Rect(outer, 0.9, &ink, nil)
	in := f.Inset + f.Band
	s.Rect(ofd.Box{X: in, Y: in, W: w - 2*in, H: h - 2*in}, 0.3, &ink, nil)
	hair := in + 1.3
	s.Rect(ofd.Box{X: hair, Y: hair, W: w - 2*hair, H: h - 2*hair}, 0.15, &ink, nil)
	var p pen
	f.fret(&p, w, h)
	s.Path(ofd.Path{Box: ofd.Box{W: w, H: h}, Data: p.data(), LineWidth: f.Band / 18, Stroke: &ink})
	var squares pen
	for _, x := range []float64{f.Inset, w - in} {
		for _, y := range []float64{f.Inset, h - in} {
			for _, k := range []float64{0.16, 0.32} {
				squares.rect(x+f.Band*k, y+f.Band*k, f.Band*(1-2*k), f.Band*(1-2*k))
			}
		}
	}
	s.Path(ofd.Path{Box: ofd.Box{W: w, H: h}, Data: squares.data(), LineWidth: f.Band / 18, Stroke: &ink})
	var cores pen
	for _, x := range []float64{f.Inset, w - in} {
		for _, y := range []float64{f.Inset, h - in} {
			cores.rect(x+f.Band*0.43, y+f.Band*0.43, f.Band*0.14, f.Band*0.14)
		}
	}
	s.Path(ofd.Path{Box: ofd.Box{W: w, H: h}, Data: cores.data(), Fill: &ink})
}

// fret draws the meanders of the four sides, mirrored about both axes.
func (f *Frame) fret(p *pen, w, h float64) {
	cell, margin := f.Band*0.64, f.Band*0.18
	side := func(length float64, at func(u, v float64) (x, y float64)) {
		free := length/2 - f.Inset - f.Band
		n := max(1, int(free/(cell*1.12)))
		step := free / float64(n)
		for i := range n {
			for _, mirror := range []float64{1, -1} {
				for k, m := range meander {
					x, y := at(mirror*(free-(float64(i)*step+m[0]*step)), f.Inset+margin+m[1]*cell)
					if k == 0 {
						p.move(x, y)
					} else {
						p.line(x, y)
					}
				}
				x0, y0 := at(mirror*(free-float64(i)*step), f.Inset+margin+cell)
				x1, y1 := at(mirror*(free-float64(i+1)*step), f.Inset+margin+cell)
				p.move(x0, y0)
				p.line(x1, y1)
			}
		}
	}
	side(w, func(u, v float64) (float64, float64) { return w/2 + u, v })
	side(w, func(u, v float64) (float64, float64) { return w/2 + u, h - v })
	side(h, func(u, v float64) (float64, float64) { return v, h/2 + u })
	side(h, func(u, v float64) (float64, float64) { return w - v, h/2 + u })
}

// draw puts the rosette on a sheet: families of closed curves r = R·(a + b·cos(petals·φ + shift)), in cubics.
func (r *Rosette) draw(s *ofd.Sheet) {
	ink := ofd.Color(r.Colour)
	var p pen
	const families = 7
	for k := range families {
		t := float64(k) / families
		for _, shift := range []float64{0, math.Pi} {
			r.curve(&p, 0.93-0.62*t, 0.07-0.035*t, shift+t*math.Pi)
		}
	}
	box := ofd.Box{X: r.X - r.Radius*1.1, Y: r.Y - r.Radius*1.1, W: r.Radius * 2.2, H: r.Radius * 2.2}
	s.Path(ofd.Path{Box: box, Data: p.data(), LineWidth: r.Line, Stroke: &ink})
}

func (r *Rosette) curve(p *pen, a, b, shift float64) {
	c := r.Radius * 1.1
	n := r.Petals * 6
	radius := func(phi float64) float64 { return r.Radius * (a + b*math.Cos(float64(r.Petals)*phi+shift)) }
	slope := func(phi float64) float64 {
		return -r.Radius * b * float64(r.Petals) * math.Sin(float64(r.Petals)*phi+shift)
	}
	point := func(phi float64) (x, y, dx, dy float64) {
		sin, cos := math.Sincos(phi)
		v, d := radius(phi), slope(phi)
		return c + v*cos, c + v*sin, d*cos - v*sin, d*sin + v*cos
	}
	step := 2 * math.Pi / float64(n)
	x, y, dx, dy := point(0)
	p.move(x, y)
	for i := 1; i <= n; i++ { // cubics with the curve's own tangents
		x1, y1, dx1, dy1 := point(float64(i) * step)
		k := step / 3
		fmt.Fprintf(p, "B %s %s %s %s %s %s ", number(x+dx*k), number(y+dy*k), number(x1-dx1*k), number(y1-dy1*k), number(x1), number(y1))
		x, y, dx, dy = x1, y1, dx1, dy1
	}
	p.close()
}

// quiet is the margin of a QR code in modules.
const quiet = 4

// draw puts a QR code of text on a sheet as one area, dark modules of a row joined.
func (q *Square) draw(s *ofd.Sheet, text string) error {
	code, err := qr.Encode(text, qr.M, qr.Auto)
	if err != nil {
		return fmt.Errorf("QR code: %w", err)
	}
	n := code.Bounds().Dx()
	module := q.Size / float64(n+2*quiet)
	dark := func(x, y int) bool {
		r, _, _, _ := code.At(x, y).RGBA()
		return r < 0x8000
	}
	var p pen
	for y := range n {
		for x := 0; x < n; x++ {
			from := x
			for x < n && dark(x, y) {
				x++
			}
			if x > from {
				p.rect(float64(from+quiet)*module, float64(y+quiet)*module, float64(x-from)*module, module)
			}
		}
	}
	ink, white := ofd.Color(q.Colour), ofd.Color{255, 255, 255}
	box := ofd.Box{X: q.X, Y: q.Y, W: q.Size, H: q.Size}
	s.Rect(box, 0, nil, &white)
	s.Path(ofd.Path{Box: box, Data: p.data(), Fill: &ink})
	return nil
}
