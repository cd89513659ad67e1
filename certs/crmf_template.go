package certs

import (
	"bytes"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// ParseRequestTemplate reads a CertTemplate (RFC 4211, section 5). What an authority sets by itself (version, signature
// algorithm, validity) is looked over and left; unique identifiers, which nobody may use any more, are refused.
func ParseRequestTemplate(der []byte) (*RequestTemplate, error) {
	in := cryptobyte.String(bytes.Clone(der))
	var raw, s cryptobyte.String
	if !in.ReadASN1Element(&raw, cbasn1.SEQUENCE) || !in.Empty() {
		return nil, malformed("certificate template")
	}
	t := &RequestTemplate{Raw: raw, Requested: emptyRequested(nil)}
	outer := raw
	if !outer.ReadASN1(&s, cbasn1.SEQUENCE) {
		return nil, malformed("certificate template")
	}
	last := -1
	for !s.Empty() {
		var element cryptobyte.String
		var tag cbasn1.Tag
		if !s.ReadAnyASN1Element(&element, &tag) || tag&0xc0 != 0x80 || int(tag&0x1f) <= last {
			return nil, malformed("certificate template")
		}
		last = int(tag & 0x1f)
		if err := t.field(last, element, tag); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// field reads the element under one context tag. Names are tagged explicitly, since they are a CHOICE, all else implicitly.
func (t *RequestTemplate) field(n int, element cryptobyte.String, tag cbasn1.Tag) (err error) {
	in := element
	var content cryptobyte.String
	if !in.ReadASN1(&content, tag) {
		return malformed("field %d of a certificate template", n)
	}
	constructed := tag&0x20 != 0
	notes := reader{lenient: true}
	switch {
	case n == 0 && !constructed && len(content) == 1: // version
	case n == 1 && !constructed:
		var serial cryptobyte.String
		number := cryptobyte.String(retagged(element, 0x02))
		if !readSerial(&number, &serial) {
			return malformed("serial number of a certificate template")
		}
		t.Serial = serial
	case (n == 2 || n == 4) && constructed: // signature algorithm, validity
	case n == 3 && constructed:
		if t.Issuer, err = notes.name(&content, "issuer"); err == nil && !content.Empty() {
			err = malformed("issuer")
		}
	case n == 5 && constructed:
		if t.Subject, err = notes.name(&content, "subject"); err == nil && !content.Empty() {
			err = malformed("subject")
		}
		t.RawSubject = t.Subject.Raw
	case n == 6 && constructed:
		t.RawSPKI = retagged(element, 0x30)
		t.PublicKey, err = ParsePublicKey(t.RawSPKI)
	case n == 9 && constructed:
		err = t.extensions(retagged(element, 0x30))
	default:
		err = malformed("field %d of a certificate template", n)
	}
	return err
}

func (t *RequestTemplate) extensions(der []byte) error {
	strict, s := reader{}, cryptobyte.String(der)
	list, err := strict.extensions(&s)
	if err != nil {
		return err
	}
	t.Requested = emptyRequested(list)
	return strict.interpret(&t.Requested)
}

// emptyRequested is a certificate of which nothing but extensions is known.
func emptyRequested(list []Extension) Certificate {
	return Certificate{Version: 3, MaxPathLen: -1, RequireExplicit: -1, InhibitMapping: -1, InhibitAnyPolicy: -1, Extensions: list}
}
