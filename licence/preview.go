package licence

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	_ "image/jpeg" // seals and licences may hold either
	_ "image/png"
	"math"
	"path"
	"strconv"
	"strings"

	"hufu/internal/font"
	"hufu/seal/ofd"
	"hufu/seal/ses"
)

// previewLimits bound what a preview reads and writes.
var previewLimits = ofd.Limits{
	Entries: 500, EntrySize: 8 << 20, TotalSize: 32 << 20, Ratio: 300, Name: 512, XMLSize: 4 << 20, Elements: 100_000, Depth: 32,
}

const (
	maxGlyphs   = 20_000  // drawn
	maxSegments = 300_000 // of all outlines; an embedded font is foreign and may hold monsters
	maxPixels   = 4000 * 4000
	maxPreview  = 16 << 20
)

// Preview draws the first page of an OFD as an SVG that stands alone: no script, no link, no font. It is made for what this
// package renders, sealed or not, and shows a forged copy as a reader does: with the forged text. Seals are drawn last,
// whole and in full colour. Anything that is not a known object is left out.
func Preview(file []byte) ([]byte, error) {
	c, err := ofd.OpenLimited(file, previewLimits)
	if err != nil {
		return nil, ErrPreview.With("%w", err)
	}
	m, err := c.Model()
	if err != nil {
		return nil, ErrPreview.With("%w", err)
	}
	if len(m.Pages) == 0 || m.Pages[0].Missing {
		return nil, ErrPreview.With("no first page")
	}
	p := &preview{c: c, fonts: map[string]*previewFont{}, images: map[string][]byte{}, templates: map[string]string{}, glyphs: map[string]float64{}}
	if err := p.resources(m.Bodies[0].Root); err != nil {
		return nil, err
	}
	page, err := p.xml(m.Pages[0].Path)
	if err != nil {
		return nil, err
	}
	if p.box = page.box(m.Pages[0].Box); !within(p.box.W, 1, 2000) || !within(p.box.H, 1, 2000) {
		return nil, ErrPreview.With("page of %g × %g mm", p.box.W, p.box.H)
	}
	for _, t := range page.all("Template") {
		if back, err := p.xml(p.templates[t.attr["TemplateID"]]); err == nil {
			p.sheet(back)
		}
	}
	p.sheet(page)
	for _, s := range c.Signatures(m).List {
		if !s.Orphan && s.Err == nil {
			p.stamps(s)
		}
	}
	return p.svg()
}

type preview struct {
	c         *ofd.Container
	box       ofd.Box
	fonts     map[string]*previewFont
	images    map[string][]byte
	templates map[string]string  // id → path
	glyphs    map[string]float64 // advance of each outline defined
	defs      strings.Builder
	body      strings.Builder
	drawn     int
	segments  int
}

// full tells that the drawing has reached its bounds; what is left is not drawn, and svg refuses.
func (p *preview) full() bool {
	return p.drawn > maxGlyphs || p.segments > maxSegments || p.body.Len()+p.defs.Len() > maxPreview
}

// previewFont is the embedded font, and ours for what it lacks, as a reader falls back to another font.
type previewFont struct {
	key      string
	embedded *font.Font
	fallback *font.Font
}

func (p *preview) resources(root string) error {
	doc, err := p.xml(root)
	if err != nil {
		return err
	}
	for _, n := range doc.all("TemplatePage") {
		p.templates[n.attr["ID"]] = resolvePath(root, n.attr["BaseLoc"])
	}
	for _, kind := range []string{"PublicRes", "DocumentRes"} {
		for _, n := range doc.all(kind) {
			loc := resolvePath(root, n.text)
			res, err := p.xml(loc)
			if err != nil {
				continue
			}
			base := resolvePath(loc, res.attr["BaseLoc"]+"/x")
			for _, f := range res.all("Font") {
				if err := p.font(f, base); err != nil {
					return err
				}
			}
			for _, i := range res.all("MultiMedia") {
				if data, ok := p.c.Read(resolvePath(base, i.child("MediaFile"))); ok {
					p.images[i.attr["ID"]] = data
				}
			}
		}
	}
	return nil
}

func (p *preview) font(n *element, base string) error {
	if len(p.fonts) >= 16 {
		return nil
	}
	weight := font.WeightRegular
	if n.attr["Bold"] == "true" {
		weight = font.WeightBold
	}
	f := &previewFont{key: strconv.Itoa(len(p.fonts))}
	var err error
	if f.fallback, err = font.Open(weight); err != nil {
		return err
	}
	if data, ok := p.c.Read(resolvePath(base, n.child("FontFile"))); ok {
		if own, err := font.Parse(data, weight); err == nil {
			f.embedded = own
		}
	}
	p.fonts[n.attr["ID"]] = f
	return nil
}

// resolvePath resolves a location named in a file against that file's folder.
func resolvePath(from, loc string) string {
	loc = strings.TrimSpace(loc)
	if strings.HasPrefix(loc, "/") {
		return strings.TrimPrefix(path.Clean(loc), "/")
	}
	return path.Join(path.Dir(from), loc)
}

// sheet draws the layers of a page or template in their order.
func (p *preview) sheet(page *element) {
	for _, o := range page.objects() {
		if p.full() {
			return
		}
		switch o.name {
		case "TextObject":
			p.text(o)
		case "PathObject":
			p.path(o)
		case "ImageObject":
			p.image(o)
		}
	}
}

// matrix gives the SVG transform of an object: its CTM, then the place of its boundary.
func (o *element) matrix() (string, bool) {
	box, ok := numbers(o.attr["Boundary"], 4)
	if !ok {
		return "", false
	}
	if o.attr["CTM"] == "" {
		return fmt.Sprintf("translate(%s %s)", number(box[0]), number(box[1])), true
	}
	m, ok := numbers(o.attr["CTM"], 6)
	if !ok {
		return "", false
	}
	return fmt.Sprintf("translate(%s %s) matrix(%s %s %s %s %s %s)", number(box[0]), number(box[1]),
		number(m[0]), number(m[1]), number(m[2]), number(m[3]), number(m[4]), number(m[5])), true
}

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

func (p *preview) svg() ([]byte, error) {
	if p.full() {
		return nil, ErrPreview.With("too much to draw: %d characters, %d segments, %d octets", p.drawn, p.segments, p.body.Len()+p.defs.Len())
	}
	var out bytes.Buffer
	w, h := number(p.box.W), number(p.box.H)
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]smm" height="%[2]smm" viewBox="0 0 %[1]s %[2]s" role="img">`, w, h)
	fmt.Fprintf(&out, `<defs>%s</defs><rect width="%s" height="%s" fill="#fff"/>%s</svg>`, p.defs.String(), w, h, p.body.String())
	return out.Bytes(), nil
}
