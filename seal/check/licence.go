package check

import (
	"path"
	"strings"
	"time"

	"hufu/certs/bundle"
	"hufu/seal/ofd"
)

// licenceSteps are what is found of the licence in a document; the same for each of its signatures. nil: no licence.
type licenceSteps struct {
	o        *Options
	facts    Facts
	err      error // the data cannot be read
	twice    bool
	bindings []ofd.Binding
	bound    bool
}

// readLicence looks for our attachment, nil when there is none. Also one that no part names counts: it must not be hidden by unnaming it.
func (o *Options) readLicence(c *ofd.Container, m *ofd.Model) *licenceSteps {
	if o.Reader == nil {
		return nil
	}
	var l *licenceSteps
	for _, name := range c.Names() {
		if path.Base(name) != o.Reader.File {
			continue
		}
		if l != nil {
			l.twice = true
			break
		}
		l = &licenceSteps{o: o}
		raw, _ := c.Read(name)
		l.facts, l.err = o.Reader.Data(raw)
		if l.facts.Fields == nil {
			l.facts.Fields = []Field{}
		}
	}
	if l != nil {
		l.bindings, l.bound = m.Bindings(o.Reader.Space)
	}
	return l
}

// write makes the three licence steps of a signature.
func (l *licenceSteps) write(r *record) {
	if l == nil {
		return
	}
	r.licenceIdentifier(l.facts)
	if l.err != nil {
		r.fail(StepLicenceData, "licence.data", "", clean(l.err.Error()))
	}
	if l.twice {
		r.fail(StepLicenceData, "licence.twice", "")
	}
	r.licenceStatus(l.facts)
	if l.err == nil && !l.twice {
		l.compare(r)
	}
}

func (r *record) licenceIdentifier(f Facts) {
	if f.IdentifierErr != nil {
		r.fail(StepLicenceIdentifier, "licence.identifier", "", clean(f.Identifier))
		return
	}
	if f.Identifier == "" {
		r.doubt(StepLicenceIdentifier, "not-possible", "")
		return
	}
	r.pass(StepLicenceIdentifier, "%s", clean(f.Identifier))
}

// licenceStatus asks the bundle, and the licence's own dates.
func (r *record) licenceStatus(f Facts) {
	const n = StepLicenceStatus
	switch at := r.o.At; {
	case !f.ValidTo.IsZero() && at.After(f.ValidTo):
		r.fail(n, "licence.expired", "", f.ValidTo.In(beijing).Format("2006-01-02"))
	case !f.ValidFrom.IsZero() && at.Before(f.ValidFrom):
		r.fail(n, "licence.not-yet", "", f.ValidFrom.In(beijing).Format("2006-01-02"))
	}
	b := r.o.Bundle
	if b == nil {
		r.doubt(n, "licence.unknown", r.o.text("bundle.missing"))
		return
	}
	r.age(n, b.IssuedAt)
	e, known := b.Licence(f.Identifier)
	switch {
	case b.Stale(r.o.At):
		r.doubt(n, "bundle.stale", bundleName(b), stamp(b.NextUpdate))
	case !known:
		r.doubt(n, "licence.unknown", bundleName(b))
	case e.State == bundle.Active:
		r.pass(n, "%s: %s", bundleName(b), e.State)
	default:
		since := e.Since.In(beijing).Format("2006-01-02")
		r.fail(n, "licence."+string(e.State), strings.TrimSpace(bundleName(b)+" "+clean(e.Reason+" "+e.ReplacedBy)), since)
	}
}

// compare holds what the page prints against what the attached data say, field by field.
func (l *licenceSteps) compare(r *record) {
	const n = StepLicenceData
	if !l.bound {
		r.doubt(n, "licence.unbound", "")
		return
	}
	byName := map[string]ofd.Binding{}
	for _, b := range l.bindings {
		if _, twice := byName[b.Name]; twice {
			r.fail(n, "licence.field-unknown", "", clean(b.Name))
		}
		byName[b.Name] = b
	}
	for _, f := range l.facts.Fields {
		b, bound := byName[f.Name]
		delete(byName, f.Name)
		var printed strings.Builder
		for _, o := range b.Objects {
			printed.WriteString(o.Text)
		}
		switch {
		case !bound || len(b.Objects) == 0 && len(b.Missing) == 0:
			if f.Text != "" { // an empty field prints nothing
				r.doubt(n, "licence.field-unbound", "", clean(f.Label), clean(f.Name))
			}
		case len(b.Missing) > 0:
			r.fail(n, "licence.field-missing", "", clean(f.Label), clean(f.Name))
		case printed.String() != strings.ReplaceAll(f.Text, "\n", ""):
			r.fail(n, "licence.field", "", b.Objects[0].Page, clean(f.Label), clean(f.Name), clean(printed.String()), clean(f.Text))
		}
	}
	for name := range byName {
		r.fail(n, "licence.field-unknown", "", clean(name))
	}
	r.pass(n, "%s", l.o.text("evidence.fields", len(l.facts.Fields)))
}

// qr checks a licence QR text.
func (o *Options) qr(r *Report, text string) {
	rec := newRecord(o, "", string(ofd.TypeSign))
	rec.out.Format = "cose"
	q, err := o.Reader.QR(text)
	if err != nil {
		rec.fail(StepParse, "parse.qr", "", clean(err.Error()))
		rec.doubt(StepSignature, "not-possible", "")
		r.single(rec)
		return
	}
	rec.pass(StepParse, "%s", o.text("evidence.octets", len(text)))
	f := q.Facts()
	l := f.Licence
	r.Licence = &l
	issued, expires := q.Life()
	rec.claim(issued)
	rec.qrSignature(q)
	rec.signingTime()
	if o.At.Add(clockSkew).Before(issued) || o.At.Add(-clockSkew).After(expires) {
		rec.fail(StepSigningTime, "qr.expired", "", stamp(issued), stamp(expires))
	}
	rec.licenceIdentifier(f)
	rec.licenceStatus(f)
	r.single(rec)
}

// qrSignature finds the signer by key id among the certificates of the bundle and those from outside.
func (r *record) qrSignature(q QRText) {
	for _, c := range r.outsideSigners() {
		if string(r.o.Reader.KeyID(c.Raw)) != string(q.KeyID()) {
			continue
		}
		r.out.Signer = signerOf(c)
		pub, ok := sm2Key(c)
		if !ok || q.Verify(pub) != nil {
			r.fail(StepSignature, "signature.wrong", c.Subject.String())
		} else {
			r.pass(StepSignature, "%s", c.Subject)
		}
		r.certificate(c, personPurposes, nil)
		return
	}
	r.doubt(StepSignature, "signer.unknown", "")
	r.doubt(StepSignerCertificate, "signer.unknown", "")
	r.doubt(StepSignerRevocation, "signer.unknown", "")
}

// EndOfDay gives the last second of a date in Beijing time, for Facts.ValidTo.
func EndOfDay(date string) (time.Time, bool) {
	t, err := time.ParseInLocation("2006-01-02", date, beijing)
	if err != nil {
		return time.Time{}, false
	}
	return t.AddDate(0, 0, 1).Add(-time.Second).UTC(), true
}

// StartOfDay gives the first second of a date in Beijing time, for Facts.ValidFrom.
func StartOfDay(date string) (time.Time, bool) {
	t, err := time.ParseInLocation("2006-01-02", date, beijing)
	if err != nil {
		return time.Time{}, false
	}
	return t.UTC(), true
}
