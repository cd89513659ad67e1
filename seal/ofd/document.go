package ofd

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// ID is an object id; all ids of a document share one sequence.
type ID int

// Info describes a new document.
type Info struct {
	DocID   string // 32 hex digits, unique
	Title   string
	Author  string
	Subject string
	Creator string // product
	Version string // of the product
	Created time.Time
	Custom  []Property // CustomDatas, in order
}

// Property is a name and a value of OFD.xml's CustomDatas.
type Property struct{ Name, Value string }

// Font is a font to be embedded, usually a subset. Readers that ignore embedded fonts go by Name and Family: give a
// common one ("宋体") or the text may look different there.
type Font struct {
	Name, Family string
	Bold, Serif  bool
	Data         []byte // TrueType or OpenType; empty: not embedded
}

// Document builds a new OFD. Calls on it never fail; Bytes tells the first mistake. Same calls, same bytes.
type Document struct {
	info        Info
	last        ID
	fonts       []resource
	images      []resource
	templates   []*Sheet
	pages       []*Sheet
	attachments []newAttachment
	tags        []newTag
	err         error
}

type resource struct {
	id   ID
	font Font
	kind string // "PNG", "JPEG" for images
	data []byte
	file string
}

type newAttachment struct {
	name, format, file string
	data               []byte
	visible            bool
}

type newTag struct {
	space string
	root  string
	items []TagItem
}

// TagItem binds a name to the objects that show it, in reading order.
type TagItem struct {
	Name    string
	Objects []Object
}

// Object is a text, path or image object on a page.
type Object struct {
	page *Sheet
	ID   ID
}

// NewDocument begins a document without pages.
func NewDocument(info Info) *Document { return &Document{info: info} }

func (d *Document) next() ID {
	d.last++
	return d.last
}

func (d *Document) fail(format string, args ...any) {
	if d.err == nil {
		d.err = ErrContent.With(format, args...)
	}
}

// Font adds a font and returns the id for Text.Font.
func (d *Document) Font(f Font) ID {
	if f.Name == "" {
		d.fail("a font without a name")
	}
	r := resource{id: d.next(), font: f, data: f.Data}
	if len(f.Data) > 0 {
		ext := ".ttf"
		if strings.HasPrefix(string(f.Data), "OTTO") {
			ext = ".otf"
		}
		r.file = fmt.Sprintf("font_%d%s", r.id, ext)
	}
	d.fonts = append(d.fonts, r)
	return r.id
}

// Image adds a picture (PNG or JPEG by its first octets) and returns the id for Picture.Image.
func (d *Document) Image(data []byte) ID {
	r := resource{id: d.next(), data: data}
	switch {
	case strings.HasPrefix(string(data), "\x89PNG\r\n\x1a\n"):
		r.kind, r.file = "PNG", fmt.Sprintf("image_%d.png", r.id)
	case strings.HasPrefix(string(data), "\xff\xd8\xff"):
		r.kind, r.file = "JPEG", fmt.Sprintf("image_%d.jpg", r.id)
	default:
		d.fail("image %d is neither PNG nor JPEG", r.id)
	}
	d.images = append(d.images, r)
	return r.id
}

// Page adds a page of w × h mm.
func (d *Document) Page(w, h float64) *Sheet {
	s := d.sheet(w, h)
	d.pages = append(d.pages, s)
	return s
}

// Template adds a template page (the printed form under the data), for Sheet.Background.
func (d *Document) Template(w, h float64) *Sheet {
	s := d.sheet(w, h)
	d.templates = append(d.templates, s)
	return s
}

func (d *Document) sheet(w, h float64) *Sheet {
	if w <= 0 || h <= 0 || w > 5000 || h > 5000 {
		d.fail("a page of %g × %g mm", w, h)
	}
	return &Sheet{d: d, id: d.next(), layer: d.next(), w: w, h: h}
}

// Attach puts a file into the document. name is what a reader shows; file is its name in the container, ASCII without slashes.
func (d *Document) Attach(name, format, file string, data []byte) {
	if name == "" || !plainName(file) || slices.ContainsFunc(d.attachments, func(a newAttachment) bool { return strings.EqualFold(a.file, file) }) {
		d.fail("attachment %q in file %q", name, file)
	}
	d.attachments = append(d.attachments, newAttachment{name: name, format: format, file: file, data: data, visible: true})
}

// Tag adds a custom tag file: root element root of namespace space, one field element for each item, with references to its objects.
func (d *Document) Tag(space, root string, items []TagItem) {
	if space == "" || !plainName(root) {
		d.fail("tag %q of namespace %q", root, space)
	}
	for _, it := range items {
		for _, o := range it.Objects {
			if o.page == nil || o.page.d != d {
				d.fail("tag %q: an object of another document", it.Name)
			}
		}
	}
	d.tags = append(d.tags, newTag{space, root, items})
}

func plainName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-')
	}) && path.Clean(s) == s && s != ".." && s != "."
}

// Bytes writes the document, or tells the first mistake that a call made (ErrContent).
func (d *Document) Bytes() ([]byte, error) {
	if d.err == nil && len(d.pages) == 0 {
		d.fail("no pages")
	}
	if d.err == nil && d.info.DocID == "" {
		d.fail("no DocID")
	}
	if d.err != nil {
		return nil, d.err
	}
	entries := []*Entry{newEntry("OFD.xml", d.ofdXML()), newEntry("Doc_0/Document.xml", d.documentXML())}
	add := func(name string, data []byte) { entries = append(entries, newEntry("Doc_0/"+name, data)) }
	add("PublicRes.xml", d.fontsXML())
	if len(d.images) > 0 {
		add("DocumentRes.xml", d.imagesXML())
	}
	for _, r := range slices.Concat(d.fonts, d.images) {
		if r.file != "" {
			add("Res/"+r.file, r.data)
		}
	}
	for i, t := range d.templates {
		add(fmt.Sprintf("Tpls/Tpl_%d/Content.xml", i), t.xml())
	}
	for i, p := range d.pages {
		add(fmt.Sprintf("Pages/Page_%d/Content.xml", i), p.xml())
	}
	if len(d.attachments) > 0 {
		add("Attachs/Attachments.xml", d.attachmentsXML())
	}
	for _, a := range d.attachments {
		add("Attachs/"+a.file, a.data)
	}
	if len(d.tags) > 0 {
		add("Tags/CustomTags.xml", d.tagsXML())
	}
	for i, t := range d.tags {
		add(fmt.Sprintf("Tags/CustomTag_%d.xml", i), t.xml())
	}
	return writeZip(entries), nil
}
