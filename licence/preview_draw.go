package licence

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	_ "image/jpeg" // seals and licences may hold either
	_ "image/png"
	"math"
	"strconv"
	"strings"

	"hufu/internal/font"
	"hufu/seal/ofd"
	"hufu/seal/ses"
)

func (p *preview) text(o *element) {
	f := p.fonts[o.attr["Font"]]
	size, ok := numbers(o.attr["Size"], 1)
	at, placed := o.matrix()
	if f == nil || !ok || !placed || !within(size[0], 0.1, 500) || o.attr["Visible"] == "false" {
		return
	}
	fmt.Fprintf(&p.body, `<g transform="%s" fill="%s">`, at, o.colour("FillColor", "#000000"))
	for _, code := range o.all("TextCode") {
		x, okX := numbers(code.attr["X"], 1)
		y, okY := numbers(code.attr["Y"], 1)
		if !okX || !okY {
			continue
		}
		runes := []rune(code.text)
		dx, dy := deltas(code.attr["DeltaX"], len(runes)), deltas(code.attr["DeltaY"], len(runes))
		for i, r := range runes {
			if p.drawn++; p.full() {
				break
			}
			advance := p.glyph(f, r, x[0], y[0], size[0])
			switch {
			case i < len(dx):
				x[0] += dx[i]
			case len(dy) == 0:
				x[0] += advance
			}
			if i < len(dy) {
				y[0] += dy[i]
			}
		}
	}
	p.body.WriteString(`</g>`)
}

// glyph draws a character and returns its advance. Outlines are defined once and used many times; a character that no
// font has is a hollow box.
func (p *preview) glyph(f *previewFont, r rune, x, y, size float64) float64 {
	id := fmt.Sprintf("g%s-%x", f.key, r)
	advance, defined := p.glyphs[id]
	if !defined {
		advance = p.define(id, f, r)
		p.glyphs[id] = advance
	}
	switch {
	case advance < 0:
		fmt.Fprintf(&p.body, `<path d="M%s %sh%sv%sh-%sz" fill="none" stroke="#c00" stroke-width="%s"/>`, number(x+size*0.08), number(y+size*0.08),
			number(size*0.84), number(-size*0.84), number(size*0.84), number(size*0.04))
		return size
	case r != ' ' && r != '\u3000':
		scale := strconv.FormatFloat(size/1000, 'f', 6, 64)
		fmt.Fprintf(&p.body, `<use href="#%s" transform="translate(%s %s) scale(%s)"/>`, id, number(x), number(y), scale)
	}
	return advance * size
}

// define writes an outline and returns its advance in ems, −1 when no font has the character.
func (p *preview) define(id string, f *previewFont, r rune) float64 {
	g, err := font.Glyph{}, error(font.ErrMissing)
	if f.embedded != nil {
		g, err = f.embedded.Glyph(r)
	}
	if err != nil {
		g, err = f.fallback.Glyph(r)
	}
	if err != nil {
		return -1
	}
	p.segments += len(g.Path)
	fmt.Fprintf(&p.defs, `<path id="%s" d="%s"/>`, id, outline(g.Path))
	return g.Advance
}

// outline writes a glyph in thousandths of an em, y downwards.
func outline(path font.Path) string {
	if len(path) == 0 {
		return "M0 0"
	}
	var b strings.Builder
	for i, s := range path {
		if s.Op == font.Move && i > 0 {
			b.WriteByte('Z')
		}
		b.WriteByte("MLQC"[s.Op])
		for k := range s.Op.Points() {
			if k > 0 {
				b.WriteByte(' ')
			}
			fmt.Fprintf(&b, "%d %d", int(math.Round(s.Args[k].X*1000)), int(math.Round(-s.Args[k].Y*1000)))
		}
	}
	b.WriteByte('Z')
	return b.String()
}

func (p *preview) path(o *element) {
	at, ok := o.matrix()
	data, readable := pathData(o.child("AbbreviatedData"))
	if !ok || !readable || o.attr["Visible"] == "false" {
		return
	}
	fill, stroke, width := "none", "none", 0.353
	if o.attr["Fill"] == "true" {
		fill = o.colour("FillColor", "#000000")
	}
	if o.attr["Stroke"] != "false" {
		stroke = o.colour("StrokeColor", "#000000")
	}
	if v, ok := numbers(o.attr["LineWidth"], 1); ok {
		width = v[0]
	}
	rule := ""
	if o.attr["Rule"] == "Even-Odd" {
		rule = ` fill-rule="evenodd"`
	}
	fmt.Fprintf(&p.body, `<path transform="%s" d="%s" fill="%s" stroke="%s" stroke-width="%s"%s/>`, at, data, fill, stroke, number(width), rule)
}

func (p *preview) image(o *element) {
	at, ok := o.matrix()
	if data, there := p.images[o.attr["ResourceID"]]; ok && there && o.attr["CTM"] != "" {
		p.picture(data, fmt.Sprintf(`transform="%s" width="1" height="1"`, at))
	}
}

// picture writes a PNG or JPEG of bounded size; place is its attributes.
func (p *preview) picture(data []byte, place string) {
	c, kind, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil || (kind != "png" && kind != "jpeg") || c.Width < 1 || c.Height < 1 || c.Width > maxPixels/c.Height {
		return
	}
	fmt.Fprintf(&p.body, `<image %s preserveAspectRatio="none" href="data:image/%s;base64,%s"/>`, place, kind, base64.StdEncoding.EncodeToString(data))
}

// stamps draws the seal of a signature at its places on the first page.
func (p *preview) stamps(s ofd.Signature) {
	var found *ses.Seal
	if sig, err := ses.ParseSignature(s.Value); err == nil {
		found = sig.Seal
	} else if alone, err := ses.ParseSeal(s.Seal); err == nil {
		found = alone
	}
	if found == nil {
		return
	}
	for _, stamp := range s.Stamps {
		b := stamp.Boundary
		if p.full() || stamp.Page != 1 || !within(b.W, 1, 300) || !within(b.H, 1, 300) || !within(math.Abs(b.X), 0, 3000) || !within(math.Abs(b.Y), 0, 3000) {
			continue
		}
		place := fmt.Sprintf(`x="%s" y="%s" width="%s" height="%s"`, number(b.X), number(b.Y), number(b.W), number(b.H))
		if c := stamp.Clip; c != nil { // a riding seal: each page shows its slice
			fmt.Fprintf(&p.body, `<svg x="%s" y="%s" width="%s" height="%s" viewBox="%s %s %s %s">`, number(b.X+c.X), number(b.Y+c.Y), number(c.W), number(c.H),
				number(c.X), number(c.Y), number(c.W), number(c.H))
			place = fmt.Sprintf(`width="%s" height="%s"`, number(b.W), number(b.H))
		}
		p.picture(found.Picture.Data, place)
		if stamp.Clip != nil {
			p.body.WriteString(`</svg>`)
		}
	}
}
