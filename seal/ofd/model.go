package ofd

import (
	"path"
	"strconv"
	"strings"
)

// Reach says how the document gets at a file.
type Reach int

const (
	// Orphan: nothing names the file.
	Orphan Reach = iota
	// Metadata: named, but not drawn on a page (OFD.xml, attachments, custom tags, extensions).
	Metadata
	// Drawn: its bytes can change what a reader draws.
	Drawn
)

// Ref is a path named by a part of the document.
type Ref struct {
	From, Path string // both folded
	Reach      Reach
	Exists     bool
}

// Page is one page in reading order.
type Page struct {
	Number  int // from 1 over the whole file
	ID      string
	Path    string
	Box     Box  // physical box; zero when unknown
	Missing bool // the file is not in the container
	body    int
}

// Body is one DocBody of OFD.xml.
type Body struct {
	Root       string // path of Document.xml
	Signatures string // path of Signatures.xml, "" when the body names none
	DocID      string
	node       *node
}

// Attachment is a file carried along, found through Attachments.xml.
type Attachment struct{ ID, Name, Format, Path string }

// Model is what the XML parts say about the document.
type Model struct {
	Bodies      []Body
	Pages       []Page
	Attachments []Attachment
	Tags        []Ref // custom tag files
	Missing     []Ref // named, not there
	Remarks     []Remark
	reach       map[string]Reach
	drawnBy     map[string]int // page number of files that belong to one page
	c           *Container
	budget      int
	root        *node // OFD.xml
	docs        map[string]bool
}

// Model reads OFD.xml and all that hangs on it. An unreadable part below is a remark; an unreadable OFD.xml is an error.
func (c *Container) Model() (*Model, error) {
	m := &Model{c: c, reach: map[string]Reach{}, drawnBy: map[string]int{}, budget: c.limits.Elements, docs: map[string]bool{}}
	root, err := parseXML(c.byName["OFD.xml"].Data, c.limits, &m.budget)
	if err != nil {
		return nil, err
	}
	if root.name != "OFD" {
		return nil, ErrNotOFD.With("OFD.xml has root %q", root.name)
	}
	m.root = root
	m.reach["OFD.xml"] = Metadata
	m.noteRoot("OFD.xml", root)
	for _, n := range root.all("DocBody") {
		m.readBody(n)
	}
	if len(m.Bodies) == 0 {
		return nil, ErrXML.With("OFD.xml has no DocBody")
	}
	return m, nil
}

// Reach tells how the document gets at a file.
func (m *Model) Reach(name string) Reach { return m.reach[name] }

// PageOf returns the number of the page whose own file this is, or which alone uses it; 0 when there is none.
func (m *Model) PageOf(name string) int { return m.drawnBy[name] }

func (m *Model) noteRoot(part string, n *node) {
	if n.space != Namespace {
		m.Remarks = append(m.Remarks, Remark{RemarkNamespace, part})
	}
	if data, _ := m.c.Read(part); strings.HasPrefix(string(data), string(bom)) {
		m.Remarks = append(m.Remarks, Remark{RemarkBOM, part})
	}
}

// find looks a path up as readers on a case-insensitive disk would, exact match first.
func (c *Container) find(name string) (string, bool) {
	if c.byName[name] != nil {
		return name, true
	}
	for _, e := range c.entries {
		if strings.EqualFold(e.Name, name) {
			return e.Name, true
		}
	}
	return name, false
}

// name records that from names ref and returns the path and whether it is there.
func (m *Model) name(from, ref string, r Reach) (string, bool) {
	p := resolve(from, ref)
	if p == "" {
		return "", false
	}
	p, ok := m.c.find(p)
	if !ok {
		m.missing(from, p, r)
		return p, false
	}
	m.reach[p] = max(m.reach[p], r)
	return p, true
}

func (m *Model) missing(from, p string, r Reach) {
	for _, old := range m.Missing {
		if old.Path == p {
			return
		}
	}
	m.Missing = append(m.Missing, Ref{From: from, Path: p, Reach: r})
	m.Remarks = append(m.Remarks, Remark{RemarkPartMissing, p})
}

// part names and parses an XML part; nil when it is missing, unreadable or was read before.
func (m *Model) part(from, ref string, r Reach) (string, *node) {
	p, ok := m.name(from, ref, r)
	if !ok || m.docs[p] {
		return p, nil
	}
	m.docs[p] = true
	n, err := parseXML(m.c.byName[p].Data, m.c.limits, &m.budget)
	if err != nil {
		m.Remarks = append(m.Remarks, Remark{RemarkUnreadable, p})
		return p, nil
	}
	m.noteRoot(p, n)
	return p, n
}

func (m *Model) readBody(n *node) {
	b := Body{node: n, DocID: n.child("DocInfo").child("DocID").value()}
	if cover := n.child("DocInfo").child("Cover").value(); cover != "" {
		m.name("OFD.xml", cover, Metadata)
	}
	if s := n.child("Signatures").value(); s != "" {
		b.Signatures, _ = m.c.find(resolve("OFD.xml", s))
	}
	index := len(m.Bodies)
	root := n.child("DocRoot").value()
	b.Root = resolve("OFD.xml", root)
	m.Bodies = append(m.Bodies, b)
	m.readDocument("OFD.xml", root, index)
	for _, v := range n.child("Versions").all("Version") {
		p, vn := m.part("OFD.xml", v.attr("BaseLoc"), Drawn)
		if vn != nil {
			m.readDocument(p, vn.child("DocRoot").value(), index)
		}
	}
}

// references are the elements whose text is the path of a part, and what that part is.
var references = map[string]Reach{
	"PublicRes": Drawn, "DocumentRes": Drawn, "PageRes": Drawn, "Annotations": Drawn,
	"Attachments": Metadata, "CustomTags": Metadata, "Extensions": Metadata, "ExtendData": Metadata,
}

func (m *Model) readDocument(from, ref string, body int) {
	p, n := m.part(from, ref, Drawn)
	if n == nil {
		return
	}
	common := n.child("CommonData")
	box := parseBox(common.child("PageArea").child("PhysicalBox").value())
	for _, t := range common.all("TemplatePage") {
		m.readPage(p, t.attr("BaseLoc"), 0)
	}
	for _, pg := range n.child("Pages").all("Page") {
		page := Page{Number: len(m.Pages) + 1, ID: pg.attr("ID"), Box: box, body: body}
		var pn *node
		page.Path, pn = m.readPage(p, pg.attr("BaseLoc"), page.Number)
		_, there := m.c.Read(page.Path)
		page.Missing = !there
		if own := parseBox(pn.child("Area").child("PhysicalBox").value()); own.W > 0 {
			page.Box = own
		}
		m.Pages = append(m.Pages, page)
	}
	m.follow(p, common)
	m.follow(p, n)
}

// follow reads the parts that the children of n name.
func (m *Model) follow(from string, n *node) {
	if n == nil {
		return
	}
	for _, c := range n.children {
		r, known := references[c.name]
		if !known || c.value() == "" {
			continue
		}
		p, pn := m.part(from, c.value(), r)
		if pn == nil {
			continue
		}
		switch c.name {
		case "PublicRes", "DocumentRes", "PageRes":
			m.readResources(p, pn)
		case "Annotations":
			m.readAnnotations(p, pn)
		case "Attachments":
			m.readAttachments(p, pn)
		case "CustomTags":
			m.readTags(p, pn)
		default:
			m.follow(p, pn)
			for _, x := range pn.children {
				m.follow(p, x)
			}
		}
	}
}

func (m *Model) readPage(from, ref string, number int) (string, *node) {
	p, n := m.part(from, ref, Drawn)
	if p != "" && number > 0 && m.drawnBy[p] == 0 {
		m.drawnBy[p] = number
	}
	m.follow(p, n)
	return p, n
}

// mediaElements are the elements of a resource part whose text is a file below its BaseLoc.
var mediaElements = map[string]bool{"FontFile": true, "MediaFile": true}

func (m *Model) readResources(part string, n *node) {
	base := n.attr("BaseLoc")
	n.walk(func(x *node) {
		if mediaElements[x.name] {
			m.media(part, base, x.value())
		}
		if x.name == "ColorSpace" && x.attr("Profile") != "" {
			m.media(part, base, x.attr("Profile"))
		}
	})
}

// media marks every file that a reader may take ref for: below BaseLoc, as the standard says, or beside the part.
func (m *Model) media(part, base, ref string) {
	if ref == "" {
		return
	}
	want := resolve(part, path.Join(strings.ReplaceAll(base, `\`, "/"), ref))
	if strings.HasPrefix(ref, "/") {
		want = resolve(part, ref)
	}
	found := false
	for _, p := range []string{want, resolve(part, ref)} {
		if at, ok := m.c.find(p); ok {
			m.reach[at] = Drawn
			found = true
		}
	}
	if !found {
		m.missing(part, want, Drawn)
	}
}

func (m *Model) readAnnotations(part string, n *node) {
	for _, pg := range n.all("Page") {
		for _, f := range pg.all("FileLoc") {
			p, an := m.part(part, f.value(), Drawn)
			if number := m.pageByID(pg.attr("PageID")); number > 0 && m.drawnBy[p] == 0 {
				m.drawnBy[p] = number
			}
			m.follow(p, an)
		}
	}
}

func (m *Model) readAttachments(part string, n *node) {
	for _, a := range n.all("Attachment") {
		p, ok := m.name(part, a.child("FileLoc").value(), Metadata)
		if ok {
			m.Attachments = append(m.Attachments, Attachment{ID: a.attr("ID"), Name: a.attr("Name"), Format: a.attr("Format"), Path: p})
		}
	}
}

func (m *Model) readTags(part string, n *node) {
	for _, t := range n.all("CustomTag") {
		if s := t.child("SchemaLoc").value(); s != "" {
			m.name(part, s, Metadata)
		}
		if p, ok := m.name(part, t.child("FileLoc").value(), Metadata); ok {
			m.Tags = append(m.Tags, Ref{From: part, Path: p, Reach: Metadata, Exists: true})
		}
	}
}

func (m *Model) pageByID(id string) int {
	for _, p := range m.Pages {
		if sameID(p.ID, id) {
			return p.Number
		}
	}
	return 0
}

// sameID compares ids as text, but for leading zeros of plain numbers.
func sameID(a, b string) bool {
	if a == b {
		return a != ""
	}
	x, errA := strconv.ParseUint(a, 10, 64)
	y, errB := strconv.ParseUint(b, 10, 64)
	return errA == nil && errB == nil && x == y
}
