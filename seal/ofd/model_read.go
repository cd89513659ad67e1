package ofd

import (
	"path"
	"strings"
)

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
