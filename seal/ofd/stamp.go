package ofd

import (
	"math"
	"strconv"
	"strings"
)

// Box is a rectangle in millimetres, origin top left.
type Box struct{ X, Y, W, H float64 }

// String writes the box as an OFD ST_Box.
func (b Box) String() string {
	return num(b.X) + " " + num(b.Y) + " " + num(b.W) + " " + num(b.H)
}

// within tells whether b lies in the page o, to a tenth of a millimetre.
func (b Box) within(o Box) bool {
	const slack = 0.1
	return b.X >= -slack && b.Y >= -slack && b.X+b.W <= o.W+slack && b.Y+b.H <= o.H+slack
}

// parseBox reads "x y w h"; anything else gives the zero Box.
func parseBox(s string) Box {
	f := strings.Fields(s)
	if len(f) != 4 {
		return Box{}
	}
	var v [4]float64
	for i := range v {
		x, err := strconv.ParseFloat(f[i], 64)
		if err != nil || math.IsNaN(x) || math.Abs(x) > 1e6 {
			return Box{}
		}
		v[i] = x
	}
	return Box{v[0], v[1], v[2], v[3]}
}

// num writes a length with at most four decimals, without trailing zeros.
func num(v float64) string {
	s := strconv.FormatFloat(math.Round(v*1e4)/1e4, 'f', -1, 64)
	if s == "-0" {
		return "0"
	}
	return s
}

// Stamp is one StampAnnot: the seal's picture fills Boundary, and Clip (relative to Boundary) says which part shows.
type Stamp struct {
	ID       string
	PageRef  string // id of the page; set by Prepare from Page
	Page     int    // number of the page from 1; 0 when the PageRef is unknown
	Boundary Box
	Clip     *Box
}

// visible is the part of the page that the stamp covers.
func (s Stamp) visible() Box {
	if s.Clip == nil {
		return s.Boundary
	}
	return Box{s.Boundary.X + s.Clip.X, s.Boundary.Y + s.Clip.Y, s.Clip.W, s.Clip.H}
}

// Riding cuts a seal of w × h mm into one slice for each page, for the right edge, top at y. The slices tile the
// seal from left to right in page order. Pages must be at least two.
func Riding(pages []Page, w, h, y float64) ([]Stamp, error) {
	if len(pages) < 2 || w <= 0 || h <= 0 {
		return nil, ErrStamp.With("a riding seal needs two pages and a size, got %d pages, %g × %g mm", len(pages), w, h)
	}
	slice := w / float64(len(pages))
	out := make([]Stamp, len(pages))
	for i, p := range pages {
		left := slice * float64(i)
		out[i] = Stamp{
			Page:     p.Number,
			Boundary: Box{p.Box.W - slice - left, y, w, h},
			Clip:     &Box{left, 0, slice, h},
		}
	}
	return out, nil
}

// checkStamps remarks on stamps that lie on no page or beside it, and on riding slices that do not tile the seal
// once, in page order.
func checkStamps(stamps []Stamp, pages []Page) []Remark {
	var out []Remark
	clipped := 0
	for _, s := range stamps {
		if s.Page == 0 {
			out = append(out, Remark{RemarkStampPage, s.PageRef})
			continue
		}
		if page := pages[s.Page-1]; page.Box.W > 0 && !s.visible().within(page.Box) {
			out = append(out, Remark{RemarkStampOutside, page.Path})
		}
		if s.Clip != nil {
			clipped++
		}
	}
	if clipped > 0 && !tiles(stamps) {
		out = append(out, Remark{RemarkTiling, ""})
	}
	return out
}

func tiles(stamps []Stamp) bool {
	const slack = 0.05
	at, page := 0.0, 0
	for _, s := range stamps {
		if s.Clip == nil || s.Page <= page || math.Abs(s.Clip.X-at) > slack || s.Clip.Y != 0 || math.Abs(s.Clip.H-s.Boundary.H) > slack {
			return false
		}
		if s.Boundary.W != stamps[0].Boundary.W || s.Boundary.H != stamps[0].Boundary.H {
			return false
		}
		page, at = s.Page, at+s.Clip.W
	}
	return math.Abs(at-stamps[0].Boundary.W) <= slack*float64(len(stamps))
}
