package ofd

import (
	"encoding/base64"
	"path"
	"strings"
)

// Type is the kind of a signature.
type Type string

// The two kinds of GB/T 33190 clause 18.
const (
	TypeSeal Type = "Seal"
	TypeSign Type = "Sign"
)

// LogProofName is our side file in a signature's folder: the inclusion proof of the use of the seal. It is made after
// the signature and so never listed; coverage knows it by this name.
const LogProofName = "LogProof.txt"

// Reference is one protected file of a signature.
type Reference struct {
	FileRef string // as written
	Path    string // folded
	Want    []byte // CheckValue; nil when it is no base64
}

// Signature is one Signature.xml, with what it names.
type Signature struct {
	ID          string
	Type        Type
	Path        string // of Signature.xml
	Raw         []byte // its bytes: dataHash is over these
	ValuePath   string
	Value       []byte // SignedValue.dat; nil when missing
	SealPath    string // "" when Signature.xml names no seal
	Seal        []byte // Seal.esl; nil when missing
	Provider    string
	Method      string // OID text as written
	CheckMethod string
	Time        string // SignatureDateTime as written: a claim only
	References  []Reference
	Stamps      []Stamp
	LogProof    []byte // our side file, nil when there is none
	Base        string // Relative: the signature that this one builds on
	Orphan      bool   // found in the container, named by no Signatures.xml
	Err         error  // Signature.xml is missing or unreadable; only ID, Type, Path stand
	Remarks     []Remark
	body        int
	position    int // in Signatures.xml
}

// Signatures is everything about signatures that the container holds.
type Signatures struct {
	List        []Signature // in the order of Signatures.xml; orphans last
	MissingList string      // path of a Signatures.xml that OFD.xml names and that is absent
	BadList     string      // path of a Signatures.xml that cannot be read
	Lists       []string    // paths of the Signatures.xml that were read
}

// Signatures reads every signature, listed or orphaned. It never fails: what cannot be read is said in the result.
func (c *Container) Signatures(m *Model) Signatures {
	var s Signatures
	known := map[string]bool{}
	for i, b := range m.Bodies {
		if b.Signatures == "" {
			continue
		}
		if c.byName[b.Signatures] == nil {
			s.MissingList = b.Signatures
			continue
		}
		root, err := parseXML(c.byName[b.Signatures].Data, c.limits, &m.budget)
		if err != nil || root.name != "Signatures" {
			s.BadList = b.Signatures
			continue
		}
		m.noteRoot(b.Signatures, root)
		s.Lists = append(s.Lists, b.Signatures)
		for _, n := range root.all("Signature") {
			sig := Signature{ID: n.attr("ID"), Type: Type(n.attr("Type")), Base: n.attr("Relative"), body: i, position: len(s.List)}
			at, ok := c.find(resolve(b.Signatures, n.attr("BaseLoc")))
			sig.Path = at
			if !ok {
				sig.Err = ErrMissing.With("signature %q names %q", sig.ID, at)
			} else {
				c.readSignature(m, &sig)
			}
			known[at] = true
			s.List = append(s.List, sig)
		}
	}
	s.List = append(s.List, c.orphans(m, known)...)
	return s
}

// orphans finds signatures that no list names: taking the entry out of Signatures.xml must not make a file "unsigned".
func (c *Container) orphans(m *Model, known map[string]bool) []Signature {
	var out []Signature
	for _, e := range c.entries {
		if known[e.Name] || m.Reach(e.Name) != Orphan || !looksLikeSignature(e) {
			continue
		}
		sig := Signature{ID: path.Base(path.Dir(e.Name)), Path: e.Name, Orphan: true, position: 1 << 30}
		c.readSignature(m, &sig)
		if sig.Err == nil || strings.EqualFold(path.Base(e.Name), "Signature.xml") {
			out = append(out, sig)
		}
	}
	return out
}

func looksLikeSignature(e *Entry) bool {
	if strings.EqualFold(path.Base(e.Name), "Signature.xml") {
		return true
	}
	head := string(e.Data[:min(len(e.Data), 1024)])
	return strings.Contains(head, "Signature") && strings.Contains(string(e.Data[:min(len(e.Data), 64<<10)]), "SignedInfo")
}

// readSignature fills sig from the file at sig.Path.
func (c *Container) readSignature(m *Model, sig *Signature) {
	sig.Raw = c.byName[sig.Path].Data
	root, err := parseXML(sig.Raw, c.limits, &m.budget)
	if err != nil {
		sig.Err = err
		return
	}
	info := root.child("SignedInfo")
	if root.name != "Signature" || info == nil {
		sig.Err = ErrXML.With("%q is no Signature", sig.Path)
		return
	}
	note := func(code string) { sig.Remarks = append(sig.Remarks, Remark{code, sig.Path}) }
	if root.space != Namespace {
		note(RemarkNamespace)
	}
	if sig.Type == "" {
		sig.Type = TypeSeal
		if !sig.Orphan {
			note(RemarkTypeAbsent)
		}
	}
	if sig.Base != "" {
		note(RemarkRelative)
	}
	p := info.child("Provider")
	sig.Provider = strings.TrimSpace(attrOf(p, "ProviderName") + " " + attrOf(p, "Version"))
	sig.Method, sig.Time = info.child("SignatureMethod").value(), info.child("SignatureDateTime").value()
	sig.CheckMethod = attrOf(info.child("References"), "CheckMethod")
	sig.ValuePath, _ = c.find(resolve(sig.Path, root.child("SignedValue").value()))
	sig.Value, _ = c.Read(sig.ValuePath)
	if loc := info.child("Seal").child("BaseLoc").value(); loc != "" {
		sig.SealPath, _ = c.find(resolve(sig.Path, loc))
		sig.Seal, _ = c.Read(sig.SealPath)
	}
	sig.LogProof, _ = c.Read(path.Join(path.Dir(sig.Path), LogProofName))
	for _, r := range info.child("References").all("Reference") {
		sig.References = append(sig.References, c.reference(sig.Path, r))
	}
	for _, n := range info.all("StampAnnot") {
		sig.Stamps = append(sig.Stamps, readStamp(m, n))
	}
	sig.Remarks = append(sig.Remarks, checkStamps(sig.Stamps, m.Pages)...)
}

func attrOf(n *node, name string) string {
	if n == nil {
		return ""
	}
	return n.attr(name)
}

func (c *Container) reference(from string, r *node) Reference {
	ref := Reference{FileRef: r.attr("FileRef")}
	ref.Path = resolve(from, ref.FileRef)
	if c.byName[ref.Path] == nil && !strings.HasPrefix(ref.FileRef, "/") {
		// Some products write paths from the root of the container without the slash.
		if p := resolve("OFD.xml", ref.FileRef); c.byName[p] != nil {
			ref.Path = p
		}
	}
	want, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(r.child("CheckValue").value()), ""))
	if err == nil {
		ref.Want = want
	}
	return ref
}

func readStamp(m *Model, n *node) Stamp {
	s := Stamp{ID: n.attr("ID"), PageRef: n.attr("PageRef"), Boundary: parseBox(n.attr("Boundary"))}
	s.Page = m.pageByID(s.PageRef)
	if clip := n.attr("Clip"); clip != "" {
		b := parseBox(clip)
		s.Clip = &b
	}
	return s
}

// CheckMethodKnown tells whether the text names plain SM3, in one of the forms met: the name, the OID, the keyed-hash OID.
func CheckMethodKnown(s string) (sm3, standard bool) {
	switch strings.TrimSpace(s) {
	case "1.2.156.10197.1.401":
		return true, true
	case "1.2.156.10197.1.401.1", "1.2.156.10197.1.401.2":
		return true, false
	}
	return strings.EqualFold(strings.TrimSpace(s), "SM3"), false
}

// ListsSignatures tells whether the signature protects Signatures.xml (WholeProtected): no further signature may follow.
func (s Signature) ListsSignatures(lists []string) bool {
	for _, r := range s.References {
		for _, l := range lists {
			if strings.EqualFold(r.Path, l) {
				return true
			}
		}
	}
	return false
}
