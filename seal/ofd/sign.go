package ofd

import (
	"encoding/base64"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"hufu/internal/gm"
)

// OIDs that we write.
const (
	OIDSM2WithSM3 = "1.2.156.10197.1.501"
	OIDSM3        = "1.2.156.10197.1.401"
)

// Request says what a new signature is to be.
type Request struct {
	Type     Type
	Provider string // name of the product; Company and Version beside it
	Company  string
	Version  string
	Time     time.Time // claimed time, written in UTC
	Stamps   []Stamp   // Page and Boundary (and Clip) count; ids and PageRef are given here
	Seal     []byte    // the DER of the seal, for TypeSeal
	// WholeProtected also lists Signatures.xml, so that no further signature can follow. The default leaves it open.
	WholeProtected bool
}

// Pending is a document whose protected bytes are fixed and whose signature value is missing.
// Only Prepare makes one; Finish is the only way on.
type Pending struct {
	c         *Container
	xml       []byte
	xmlPath   string
	valuePath string
	id        string
}

// Prepare adds a signature to the document up to its value. Every file is protected but the signature's own two, proof
// side files and (unless WholeProtected) the list of signatures. It refuses with ErrWholeProtected when an
// earlier signature protects that list.
func (c *Container) Prepare(r Request) (*Pending, error) {
	m, err := c.Model()
	if err != nil {
		return nil, err
	}
	all := c.Signatures(m)
	if err := mayFollow(m, all); err != nil {
		return nil, err
	}
	if r.Type != TypeSeal && r.Type != TypeSign || r.Type == TypeSeal && len(r.Seal) == 0 {
		return nil, ErrContent.With("type %q with a seal of %d octets", r.Type, len(r.Seal))
	}
	stamps, err := placeStamps(m, r.Stamps)
	if err != nil {
		return nil, err
	}
	body := m.Bodies[0]
	list := body.Signatures
	if list == "" {
		list = path.Join(path.Dir(body.Root), "Signs", "Signatures.xml")
	}
	folder := c.freeFolder(path.Dir(list))
	next := nextID(c, m, all)
	id := next()
	for i := range stamps {
		stamps[i].ID = next()
	}
	last := id
	if len(stamps) > 0 {
		last = stamps[len(stamps)-1].ID
	}
	p := &Pending{xmlPath: folder + "/Signature.xml", valuePath: folder + "/SignedValue.dat", id: id}
	if p.c, err = c.enlist(m, list, p.xmlPath, id, last, r.Type); err != nil {
		return nil, err
	}
	sealPath := ""
	if r.Type == TypeSeal {
		sealPath = folder + "/Seal.esl"
		if p.c, err = p.c.With(sealPath, r.Seal); err != nil {
			return nil, err
		}
	}
	p.xml = signatureXML(p.c, r, stamps, p, sealPath, list)
	return p, nil
}

// mayFollow says whether another signature may be added.
func mayFollow(m *Model, all Signatures) error {
	switch {
	case len(m.Bodies) != 1:
		return ErrBody.With("%d document bodies", len(m.Bodies))
	case all.MissingList != "":
		return ErrListMissing.With("%q", all.MissingList)
	case all.BadList != "":
		return ErrXML.With("%q", all.BadList)
	}
	for _, s := range all.List {
		if !s.Orphan && s.Err == nil && s.ListsSignatures(all.Lists) {
			return ErrWholeProtected.With("signature %q", s.ID)
		}
	}
	return nil
}

func placeStamps(m *Model, in []Stamp) ([]Stamp, error) {
	out := make([]Stamp, len(in))
	for i, s := range in {
		if s.Page < 1 || s.Page > len(m.Pages) {
			return nil, ErrStamp.With("page %d of %d", s.Page, len(m.Pages))
		}
		page := m.Pages[s.Page-1]
		s.PageRef = page.ID
		if s.Boundary.W <= 0 || s.Boundary.H <= 0 || page.Box.W > 0 && !s.visible().within(page.Box) {
			return nil, ErrStamp.With("stamp %q on page %d of %g × %g mm", s.Boundary, s.Page, page.Box.W, page.Box.H)
		}
		out[i] = s
	}
	return out, nil
}

// freeFolder gives the first Sign_N below signs in which there is nothing.
func (c *Container) freeFolder(signs string) string {
	for n := 0; ; n++ {
		dir := fmt.Sprintf("%s/Sign_%d", signs, n)
		free := true
		for _, e := range c.entries {
			if len(e.Name) > len(dir) && strings.EqualFold(e.Name[:len(dir)+1], dir+"/") {
				free = false
				break
			}
		}
		if free {
			return dir
		}
	}
}

// nextID continues the sequence that signatures and stamps share. Ids are text such as "s006": prefix and width are kept.
func nextID(c *Container, m *Model, all Signatures) func() string {
	prefix, width, top := "", 0, 0
	see := func(id string) {
		i := len(id)
		for i > 0 && id[i-1] >= '0' && id[i-1] <= '9' {
			i--
		}
		n, err := strconv.Atoi(id[i:])
		if err != nil || n > 1<<30 || n < top {
			return
		}
		prefix, width, top = id[:i], len(id)-i, n
	}
	for _, l := range all.Lists {
		if root, err := parseXML(c.byName[l].Data, c.limits, &m.budget); err == nil {
			see(root.child("MaxSignId").value())
		}
	}
	for _, s := range all.List {
		see(s.ID)
		for _, st := range s.Stamps {
			see(st.ID)
		}
	}
	return func() string {
		top++
		return prefix + fmt.Sprintf("%0*d", width, top)
	}
}

// enlist names the new signature in Signatures.xml, and that list in OFD.xml when it is new. Other bytes stay.
func (c *Container) enlist(m *Model, list, xmlPath, id, last string, t Type) (*Container, error) {
	entry := func(prefix string) string {
		return fmt.Sprintf(`<%sSignature ID="%s" Type="%s" BaseLoc="%s"/>`, prefix, esc(id), t, esc("/"+xmlPath))
	}
	old, exists := c.Read(list)
	if exists {
		root, err := parseXML(old, c.limits, &m.budget)
		if err != nil {
			return nil, err
		}
		return c.With(list, spliceList(old, root, entry(prefixOf(old, root)), last))
	}
	doc, err := c.With(list, []byte(xmlHead+`<ofd:Signatures xmlns:ofd="`+Namespace+`"><ofd:MaxSignId>`+esc(last)+`</ofd:MaxSignId>`+entry("ofd:")+`</ofd:Signatures>`))
	if err != nil {
		return nil, err
	}
	raw := c.byName["OFD.xml"].Data
	body := m.Bodies[0].node
	ref := fmt.Sprintf("<%[1]sSignatures>%[2]s</%[1]sSignatures>", prefixOf(raw, body), esc("/"+list))
	if empty := body.child("Signatures"); empty != nil {
		raw = append(append(append([]byte{}, raw[:empty.start]...), raw[empty.end:]...), nil...)
		again, err := parseXML(raw, c.limits, &m.budget)
		if err != nil {
			return nil, err
		}
		body = again.child("DocBody")
	}
	return doc.With("OFD.xml", insertInside(raw, body, ref))
}

// spliceList puts entry behind the last Signature and brings MaxSignId up to date.
func spliceList(raw []byte, root *node, entry, last string) []byte {
	type edit struct {
		at, to int
		text   string
	}
	var edits []edit
	if sigs := root.all("Signature"); len(sigs) > 0 {
		end := sigs[len(sigs)-1].end
		edits = append(edits, edit{end, end, entry})
	} else if n := root.child("MaxSignId"); n != nil {
		edits = append(edits, edit{n.end, n.end, entry})
	} else {
		return insertInside(raw, root, entry)
	}
	if n := root.child("MaxSignId"); n != nil && n.inner < n.end {
		edits = append(edits, edit{n.inner, n.innerEnd, esc(last)})
	}
	out := append([]byte{}, raw...)
	if len(edits) == 2 && edits[0].at < edits[1].at { // later edit first
		edits[0], edits[1] = edits[1], edits[0]
	}
	for _, e := range edits {
		out = append(out[:e.at:e.at], append([]byte(e.text), out[e.to:]...)...)
	}
	return out
}

// insertInside puts text at the end of n's content.
func insertInside(raw []byte, n *node, text string) []byte {
	out := append([]byte{}, raw[:n.innerEnd]...)
	if n.inner == n.end { // <a/>
		out = append(out[:n.inner-2], '>')
		text += "</" + prefixOf(raw, n) + n.name + ">"
	}
	out = append(out, text...)
	return append(out, raw[n.innerEnd:]...)
}

// prefixOf gives the namespace prefix of n as written, with its colon.
func prefixOf(raw []byte, n *node) string {
	tag := string(raw[n.start+1 : n.inner])
	if i := strings.Index(tag, ":"+n.name); i > 0 && !strings.ContainsAny(tag[:i], " \t\r\n/>") {
		return tag[:i+1]
	}
	return ""
}

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// signatureXML lists the digests of everything that the signature protects.
func signatureXML(c *Container, r Request, stamps []Stamp, p *Pending, sealPath, list string) []byte {
	var b strings.Builder
	b.WriteString(xmlHead + `<ofd:Signature xmlns:ofd="` + Namespace + `"><ofd:SignedInfo>`)
	fmt.Fprintf(&b, `<ofd:Provider ProviderName="%s" Version="%s" Company="%s"/>`, esc(r.Provider), esc(r.Version), esc(r.Company))
	fmt.Fprintf(&b, `<ofd:SignatureMethod>%s</ofd:SignatureMethod><ofd:SignatureDateTime>%s</ofd:SignatureDateTime>`,
		OIDSM2WithSM3, r.Time.UTC().Format("2006-01-02T15:04:05Z"))
	b.WriteString(`<ofd:References CheckMethod="` + OIDSM3 + `">`)
	for _, e := range c.entries {
		if e.Name == list && !r.WholeProtected || path.Base(e.Name) == LogProofName && path.Dir(path.Dir(e.Name)) == path.Dir(list) {
			continue
		}
		sum := gm.SM3(e.Data)
		fmt.Fprintf(&b, `<ofd:Reference FileRef="%s"><ofd:CheckValue>%s</ofd:CheckValue></ofd:Reference>`, esc("/"+e.Name), base64.StdEncoding.EncodeToString(sum[:]))
	}
	b.WriteString(`</ofd:References>`)
	for _, s := range stamps {
		fmt.Fprintf(&b, `<ofd:StampAnnot ID="%s" PageRef="%s" Boundary="%s"`, esc(s.ID), esc(s.PageRef), s.Boundary)
		if s.Clip != nil {
			fmt.Fprintf(&b, ` Clip="%s"`, *s.Clip)
		}
		b.WriteString(`/>`)
	}
	if sealPath != "" {
		fmt.Fprintf(&b, `<ofd:Seal><ofd:BaseLoc>%s</ofd:BaseLoc></ofd:Seal>`, esc("/"+sealPath))
	}
	fmt.Fprintf(&b, `</ofd:SignedInfo><ofd:SignedValue>%s</ofd:SignedValue></ofd:Signature>`, esc("/"+p.valuePath))
	return []byte(b.String())
}

// ID is the id of the new signature.
func (p *Pending) ID() string { return p.id }

// SignatureXML is what the signature protects in the end; dataHash is SM3 over these bytes. The caller does not change them.
func (p *Pending) SignatureXML() []byte { return p.xml }

// Digest is SM3 over SignatureXML.
func (p *Pending) Digest() [32]byte { return gm.SM3(p.xml) }

// PropertyInfo is the absolute path of Signature.xml, as TBS_Sign wants it.
func (p *Pending) PropertyInfo() string { return "/" + p.xmlPath }

// LogProofPath is where the proof from the log goes once there is one (Container.With).
func (p *Pending) LogProofPath() string { return path.Dir(p.xmlPath) + "/" + LogProofName }

// Finish puts the signature value in and writes the document.
func (p *Pending) Finish(value []byte) ([]byte, error) {
	if len(value) == 0 {
		return nil, ErrContent.With("an empty signature value")
	}
	c, err := p.c.With(p.xmlPath, p.xml)
	if err != nil {
		return nil, err
	}
	if c, err = c.With(p.valuePath, value); err != nil {
		return nil, err
	}
	return c.Bytes(), nil
}
