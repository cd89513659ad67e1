package licence

import (
	"errors"
	"fmt"
	"time"

	"hufu/internal/font"
	"hufu/licence/card"
	"hufu/seal/ofd"
)

// page is what is drawn before fonts are cut: the runs of the template and of each field.
type page struct {
	words  []run
	fields map[string][]run
}

// set places every text of a licence, or names the field that cannot be printed.
func (t *Type) set(f faces, d *card.Data) (*page, error) {
	p := &page{fields: map[string][]run{}}
	for _, m := range t.Template.Objects {
		switch {
		case m.Text != nil:
			r, err := f.setWords(m.Text)
			if err != nil {
				return nil, fmt.Errorf("set text %q: %w", m.Text.Value, err)
			}
			p.words = append(p.words, r)
		case m.Field != nil:
			field, text := printedField(t, d, m.Field.Name)
			runs, err := f.setField(m.Field, text)
			if err != nil {
				return nil, fieldError(field, err)
			}
			p.fields[m.Field.Name] = runs
		}
	}
	for i := range d.Fields { // blanks at the end of a line are not on the page
		if text := joined(p.fields[d.Fields[i].Name]); text != d.Fields[i].Printed() {
			d.Fields[i].Text = text
		}
	}
	return p, nil
}

func printedField(t *Type, d *card.Data, name string) (*Field, string) {
	f, _ := t.Field(name)
	for i := range t.Fields {
		if t.Fields[i].Name == name {
			return f, d.Fields[i].Printed()
		}
	}
	return f, ""
}

// render makes the OFD of a licence, not yet sealed. The same type, data and link give the same bytes. It sets the
// printed text of the fields in d.
func (t *Type) render(f faces, d *card.Data, docID, link string, at time.Time) ([]byte, error) {
	p, err := t.set(f, d)
	if err != nil {
		return nil, err
	}
	doc := ofd.NewDocument(ofd.Info{
		DocID: docID, Title: d.Title + " " + d.Identifier, Author: d.Issuer.Name, Subject: d.Title,
		Creator: "Hufu", Version: "1", Created: at.UTC(),
	})
	fonts, err := p.embed(doc, f)
	if err != nil {
		return nil, err
	}
	back := doc.Template(t.Template.Width, t.Template.Height)
	if err := t.background(back, p.words, fonts, link); err != nil {
		return nil, err
	}
	front := doc.Page(t.Template.Width, t.Template.Height)
	front.Background(back)
	shown := map[string][]ofd.Object{}
	for _, field := range t.Fields {
		for _, r := range p.fields[field.Name] {
			shown[field.Name] = append(shown[field.Name], r.draw(front, fonts))
		}
	}
	if err := d.Attach(doc, shown); err != nil {
		return nil, err
	}
	return doc.Bytes()
}

// background draws all that is the same on every licence of the type, and the QR code.
func (t *Type) background(s *ofd.Sheet, words []run, fonts map[bool]ofd.ID, link string) error {
	ground := ofd.Color(t.Template.Ground)
	s.Rect(ofd.Box{W: t.Template.Width, H: t.Template.Height}, 0, nil, &ground)
	for _, m := range t.Template.Objects {
		switch {
		case m.Frame != nil:
			m.Frame.draw(s, t.Template.Width, t.Template.Height)
		case m.Rosette != nil:
			m.Rosette.draw(s)
		case m.Rule != nil:
			s.Line(m.Rule.From.X, m.Rule.From.Y, m.Rule.To.X, m.Rule.To.Y, m.Rule.Line, ofd.Color(m.Rule.Colour))
		case m.QR != nil:
			if err := m.QR.draw(s, link); err != nil {
				return err
			}
		case m.Text != nil:
			words[0].draw(s, fonts)
			words = words[1:]
		}
	}
	return nil
}

func (r run) draw(s *ofd.Sheet, fonts map[bool]ofd.ID) ofd.Object {
	return s.Text(ofd.Text{Value: r.text, Font: fonts[r.bold], Size: r.size, X: r.x, Y: r.y, DeltaX: r.steps, Color: ofd.Color(r.ink)})
}

// embed cuts the fonts to the characters of the page. Readers that ignore embedded fonts go by the common names.
func (p *page) embed(doc *ofd.Document, f faces) (map[bool]ofd.ID, error) {
	texts := map[bool][]string{}
	add := func(r run) { texts[r.bold] = append(texts[r.bold], r.text) }
	for _, r := range p.words {
		add(r)
	}
	for _, runs := range p.fields {
		for _, r := range runs {
			add(r)
		}
	}
	fonts := map[bool]ofd.ID{}
	for _, bold := range []bool{false, true} {
		if len(texts[bold]) == 0 {
			continue
		}
		subset, err := f.of(bold).Subset(texts[bold]...)
		if err != nil {
			return nil, err
		}
		fonts[bold] = doc.Font(ofd.Font{Name: "宋体", Family: "宋体", Bold: bold, Serif: true, Data: subset.Data})
	}
	return fonts, nil
}

// openFaces returns the fonts of pages; nil means the built-in one.
func openFaces(regular, bold *font.Font) (faces, error) {
	var err1, err2 error
	if regular == nil {
		regular, err1 = font.Regular()
	}
	if bold == nil {
		bold, err2 = font.Bold()
	}
	return faces{regular, bold}, errors.Join(err1, err2)
}
