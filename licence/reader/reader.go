package reader

import (
	"crypto/ecdsa"
	"errors"
	"time"

	"hufu/licence/card"
	"hufu/seal/check"
)

// New returns the reader of our licences: attached data, custom tag and QR texts.
func New() *check.LicenceReader {
	return &check.LicenceReader{
		File: card.AttachmentFile, Space: card.TagSpace, IsQR: card.IsQR, KeyID: card.KeyID,
		Data: func(raw []byte) (check.Facts, error) { return facts(card.ParseData(raw)) },
		QR: func(text string) (check.QRText, error) {
			q, err := card.ParseQR(text)
			if err != nil {
				return nil, err
			}
			return qrText{q}, nil
		},
	}
}

// facts turns attached data into what the verifier compares with the page. A bad identifier alone does not stop it.
func facts(d *card.Data, err error) (check.Facts, error) {
	var f check.Facts
	if d == nil {
		return f, err
	}
	f.Identifier, f.Title, f.Holder, f.Issuer = d.Identifier, d.Title, d.Holder.Name, d.Issuer.Name
	for _, x := range d.Fields {
		f.Fields = append(f.Fields, check.Field{Name: x.Name, Label: x.Label, Text: x.Printed()})
	}
	f.ValidFrom, _ = check.StartOfDay(d.ValidFrom) // the zero time says "not told"
	f.ValidTo, _ = check.EndOfDay(d.ValidTo)
	if errors.Is(err, card.ErrCheck) || errors.Is(err, card.ErrIdentifier) {
		f.IdentifierErr, err = err, nil
	}
	return f, err
}

type qrText struct{ q *card.QR }

func (x qrText) Facts() check.Facts {
	f := check.Facts{Licence: check.Licence{Identifier: x.q.Identifier, Title: x.q.Title, Fields: []check.Field{}}}
	for _, shown := range x.q.Fields { // a QR text names fields by their labels
		f.Fields = append(f.Fields, check.Field{Name: shown.Label, Label: shown.Label, Text: shown.Value})
	}
	if _, err := card.ParseIdentifier(x.q.Identifier); err != nil {
		f.IdentifierErr = err
	}
	return f
}

func (x qrText) KeyID() []byte                     { return x.q.KeyID }
func (x qrText) Life() (issued, expires time.Time) { return x.q.Issued, x.q.Expires }
func (x qrText) Verify(pub *ecdsa.PublicKey) error { return x.q.Verify(pub) }
