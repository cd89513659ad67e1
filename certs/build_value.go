package certs

import (
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// KnownExtension tells whether this package writes or reads the extension itself, so that nobody else may write it.
func KnownExtension(id OID) bool {
	_, read := extensionReaders[id]
	return read || IdentityExtension(id)
}

// EncodeString returns the DER of a string: form is utf8, printable or ia5.
func EncodeString(form, text string) ([]byte, error) {
	var tag cbasn1.Tag
	var fits bool
	switch form {
	case "utf8":
		tag, fits = cbasn1.UTF8String, utf8.ValidString(text)
	case "printable":
		tag, fits = cbasn1.PrintableString, isPrintableString(text)
	case "ia5":
		tag, fits = cbasn1.IA5String, isASCII(text)
	}
	if !fits || text == "" {
		return nil, malformed("value %q as %s string", printable(text), form)
	}
	return wrapped(tag, []byte(text))
}

// EncodeOctets returns the DER of an OCTET STRING.
func EncodeOctets(octets []byte) ([]byte, error) { return wrapped(cbasn1.OCTET_STRING, octets) }

func wrapped(tag cbasn1.Tag, content []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(content) })
	return b.Bytes()
}

// SoleElement tells whether the octets are one element of DER with nothing behind it; tags of one octet and lengths are
// checked here and within everything constructed.
func SoleElement(der []byte) bool {
	in := cryptobyte.String(der)
	return soleElement(&in, 0) && in.Empty()
}

func soleElement(s *cryptobyte.String, depth int) bool {
	var content cryptobyte.String
	var tag cbasn1.Tag
	if depth > 16 || !s.ReadAnyASN1(&content, &tag) {
		return false
	}
	for tag&0x20 != 0 && !content.Empty() {
		if !soleElement(&content, depth+1) {
			return false
		}
	}
	return true
}

// RightTimes tells whether the validity of a to-be-signed part is written as RFC 5280, 4.1.2.5 wants it: UTCTime through
// 2049, GeneralizedTime from then, in UTC with whole seconds.
func RightTimes(tbs []byte) bool {
	in := cryptobyte.String(tbs)
	var body, validity cryptobyte.String
	if !in.ReadASN1(&body, cbasn1.SEQUENCE) || !body.SkipOptionalASN1(contextConstructed(0)) || !body.SkipASN1(cbasn1.INTEGER) ||
		!body.SkipASN1(cbasn1.SEQUENCE) || !body.SkipASN1(cbasn1.SEQUENCE) || !body.ReadASN1(&validity, cbasn1.SEQUENCE) {
		return false
	}
	_, from := ReadTime(&validity)
	_, to := ReadTime(&validity)
	return from && to && validity.Empty()
}
