package ofd

import (
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
