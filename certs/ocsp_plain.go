package certs

import (
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// PlainOCSPRequest returns the name of the certificate, in DER, in a request of the form that RFC 5019 wants of clients: for
// one certificate, with neither version, requestor, extension nor signature. It is a part of der and not checked any further.
// false for every other form, which ParseOCSPRequest reads. It allocates nothing: a responder may look the name up among
// answers that it has ready.
func PlainOCSPRequest(der []byte) (id []byte, ok bool) {
	s := cryptobyte.String(der)
	for range 4 { // OCSPRequest, TBSRequest, requestList, Request
		var inner cryptobyte.String
		if !s.ReadASN1(&inner, cbasn1.SEQUENCE) || !s.Empty() {
			return nil, false
		}
		s = inner
	}
	var element cryptobyte.String
	if !s.ReadASN1Element(&element, cbasn1.SEQUENCE) || !s.Empty() {
		return nil, false
	}
	return element, true
}
