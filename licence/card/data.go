package card

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"hufu/certs/bundle"
	"hufu/seal/ofd"
)

// How the data stands in the OFD: an attachment and a custom tag that binds fields to objects of the page.
const (
	AttachmentName = "licence"
	AttachmentFile = "licence.json"
	TagSpace       = "urn:hufu:licence:1"
	TagRoot        = "licence"
	Format         = "hufu-licence-1"
)

const (
	maxData   = 256 << 10
	maxFields = 200
	maxValue  = 4000 // octets
	dateForm  = "2006-01-02"
)

// Data is what a licence says, as attached to its OFD in canonical JSON (RFC 8785).
type Data struct {
	Format     string  `json:"format"`     // always Format
	Identifier string  `json:"identifier"` // with its check character
	Title      string  `json:"title"`      // name of the licence
	Holder     Party   `json:"holder"`
	Issuer     Party   `json:"issuer"`
	Issued     string  `json:"issued"`                // date, 2006-01-02
	ValidFrom  string  `json:"validFrom"`             // date
	ValidTo    string  `json:"validTo,omitempty"`     // last day; empty: no end
	StatusList string  `json:"statusList,omitempty"`  // name of the status list in the trust bundle
	StatusAt   *uint64 `json:"statusIndex,omitempty"` // position in it
	Fields     []Field `json:"fields"`
}

// Party is a holder or an issuer.
type Party struct {
	Kind string `json:"kind"` // person, entity
	Name string `json:"name"`
	Code string `json:"code,omitempty"` // credit code; never the identity number of a person
}

// Field is one fact. Text is what is printed, all runs joined without separators; empty means that Value is printed.
type Field struct {
	Name  string `json:"name"`  // of the licence type, letters, digits and . _ -
	Label string `json:"label"` // as printed beside it
	Value string `json:"value"`
	Text  string `json:"text,omitempty"`
}

// Printed is the text that the page must show for the field.
func (f Field) Printed() string {
	if f.Text != "" {
		return f.Text
	}
	return f.Value
}

// Check names what is wrong with the data.
func (d *Data) Check() error {
	id, err := ParseIdentifier(d.Identifier)
	if err != nil {
		return err
	}
	bad := func(what string, v any) error { return ErrData.With("%s: %s %q", id, what, v) }
	switch {
	case d.Format != Format:
		return bad("format", d.Format)
	case !text(d.Title) || d.Title == "":
		return bad("title", d.Title)
	case d.Holder.Name == "" || !text(d.Holder.Name) || d.Issuer.Name == "" || !text(d.Issuer.Name):
		return bad("party", d.Holder.Name+" / "+d.Issuer.Name)
	case len(d.Fields) == 0 || len(d.Fields) > maxFields:
		return bad("number of fields", len(d.Fields))
	case (d.StatusList == "") != (d.StatusAt == nil):
		return bad("status list", d.StatusList)
	}
	for _, v := range []string{d.Issued, d.ValidFrom, d.ValidTo} {
		if _, err := time.Parse(dateForm, v); err != nil && v != "" {
			return bad("date", v)
		}
	}
	if d.Issued == "" || d.ValidFrom == "" || d.ValidTo != "" && d.ValidTo < d.ValidFrom {
		return bad("dates", d.ValidFrom+" to "+d.ValidTo)
	}
	seen := map[string]bool{}
	for _, f := range d.Fields {
		if f.Name == "" || len(f.Name) > 64 || seen[f.Name] || !text(f.Label) || !text(f.Value) || !text(f.Text) ||
			strings.Trim(f.Name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" {
			return bad("field", f.Name)
		}
		seen[f.Name] = true
	}
	return nil
}

func text(s string) bool {
	return len(s) <= maxValue && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\n' })
}

// Marshal checks the data and writes its canonical JSON.
func (d *Data) Marshal() ([]byte, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(d); err != nil {
		return nil, ErrData.With("%w", err)
	}
	return bundle.Canonical(b.Bytes())
}

// ParseData reads what Marshal writes and nothing else: unknown or repeated names, other encodings and data that
// Check refuses are errors. A wrong identifier is ErrIdentifier or ErrCheck with the rest of the data still returned.
func ParseData(raw []byte) (*Data, error) {
	if len(raw) > maxData {
		return nil, ErrData.With("%d octets", len(raw))
	}
	canonical, err := bundle.Canonical(raw)
	if err != nil || !bytes.Equal(canonical, raw) {
		return nil, ErrData.With("not canonical JSON")
	}
	var d Data
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return nil, ErrData.With("%w", err)
	}
	if err := d.Check(); err != nil {
		return &d, err
	}
	return &d, nil
}

// Attach puts the data into a document and binds each field to the objects that show it (objects by field name).
func (d *Data) Attach(doc *ofd.Document, shown map[string][]ofd.Object) error {
	raw, err := d.Marshal()
	if err != nil {
		return err
	}
	var items []ofd.TagItem
	for _, f := range d.Fields {
		if objects := shown[f.Name]; len(objects) > 0 {
			items = append(items, ofd.TagItem{Name: f.Name, Objects: objects})
		}
	}
	doc.Attach(AttachmentName, "json", AttachmentFile, raw)
	doc.Tag(TagSpace, TagRoot, items)
	return nil
}
