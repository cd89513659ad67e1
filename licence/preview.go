package licence

import (
	"bytes"
	"fmt"
	_ "image/jpeg" // seals and licences may hold either
	_ "image/png"
	"path"
	"strconv"
	"strings"

	"hufu/internal/font"
	"hufu/seal/ofd"
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
