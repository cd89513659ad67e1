package certs

import (
	"bytes"
	"crypto/subtle"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// OCSPResponse is a parsed response. Nothing in it may be believed before Verify.
type OCSPResponse struct {
	Raw                []byte
	Status             OCSPResponseStatus // unless OCSPSuccessful, all that follows is empty
	RawTBS             []byte
	ResponderName      []byte // DER name; or
	ResponderKeyHash   []byte // hash of the key
	ProducedAt         time.Time
	Answers            []OCSPAnswer
	Nonce              []byte
	Certificates       []*Certificate
	SignatureAlgorithm SignatureAlgorithm
	Signature          []byte
}

// ParseOCSPResponse reads a response of RFC 6960.
func ParseOCSPResponse(der []byte) (*OCSPResponse, error) {
	if len(der) > MaxOCSPResponseSize {
		return nil, fmt.Errorf("OCSP response of %d octets: %w", len(der), ErrTooLarge)
	}
	input := cryptobyte.String(der)
	var outer, wrapped, fields, basic cryptobyte.String
	var status int
	var has bool
	var kind OID
	if !input.ReadASN1(&outer, cbasn1.SEQUENCE) || !outer.ReadASN1Enum(&status) ||
		!outer.ReadOptionalASN1(&wrapped, &has, cbasn1.Tag(0).Constructed().ContextSpecific()) || !outer.Empty() {
		return nil, malformed("OCSP response")
	}
	if !input.Empty() {
		return nil, fmt.Errorf("OCSP response: %w", ErrTrailing)
	}
	r := &OCSPResponse{Raw: der, Status: OCSPResponseStatus(status)}
	if status < 0 || status > int(OCSPUnauthorized) || status == 4 || has != (r.Status == OCSPSuccessful) {
		return nil, malformed("OCSP response: status %d", status)
	}
	if !has {
		return r, nil
	}
	if !wrapped.ReadASN1(&fields, cbasn1.SEQUENCE) || !wrapped.Empty() || !ReadOID(&fields, &kind) ||
		!fields.ReadASN1(&basic, cbasn1.OCTET_STRING) || !fields.Empty() {
		return nil, malformed("OCSP response")
	}
	if kind != OIDOCSPBasic {
		return nil, fmt.Errorf("OCSP response of type %s: %w", kind, ErrUnsupported)
	}
	if err := r.parseBasic(basic); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *OCSPResponse) parseBasic(s cryptobyte.String) error {
	var fields, tbs, wrapped, list cryptobyte.String
	var alg AlgorithmIdentifier
	var has bool
	if !s.ReadASN1(&fields, cbasn1.SEQUENCE) || !s.Empty() || !fields.ReadASN1Element(&tbs, cbasn1.SEQUENCE) ||
		!ReadAlgorithm(&fields, &alg) || !alg.NullOrAbsent() || !fields.ReadASN1BitStringAsBytes(&r.Signature) ||
		!fields.ReadOptionalASN1(&wrapped, &has, cbasn1.Tag(0).Constructed().ContextSpecific()) || !fields.Empty() {
		return malformed("OCSP response: basic response")
	}
	r.RawTBS, r.SignatureAlgorithm = tbs, SignatureAlgorithmByOID(alg.OID)
	if has {
		if !wrapped.ReadASN1(&list, cbasn1.SEQUENCE) || !wrapped.Empty() {
			return malformed("OCSP response: certificates")
		}
		var err error
		if r.Certificates, err = readCertificates(list, maxOCSPCertificates); err != nil {
			return fmt.Errorf("OCSP response: %w", err)
		}
	}
	return r.parseTBS(tbs)
}

// readCertificates reads certificates, leniently, up to the end of s. X.509 certificates only.
func readCertificates(s cryptobyte.String, limit int) ([]*Certificate, error) {
	var all []*Certificate
	for !s.Empty() {
		var one cryptobyte.String
		if !s.ReadASN1Element(&one, cbasn1.SEQUENCE) {
			return nil, malformed("certificates")
		}
		if len(all) == limit {
			return nil, fmt.Errorf("more than %d certificates: %w", limit, ErrTooLarge)
		}
		c, err := ParseLenient(one)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(all), err)
		}
		all = append(all, c)
	}
	return all, nil
}

func (r *OCSPResponse) parseTBS(s cryptobyte.String) error {
	var fields, version, id, list, extensions cryptobyte.String
	var tag cbasn1.Tag
	var has, ok bool
	if !s.ReadASN1(&fields, cbasn1.SEQUENCE) ||
		!fields.ReadOptionalASN1(&version, &has, cbasn1.Tag(0).Constructed().ContextSpecific()) ||
		has && string(version) != "\x02\x01\x00" || !fields.ReadAnyASN1(&id, &tag) {
		return malformed("OCSP response: data")
	}
	if !r.readResponderID(tag, id) {
		return malformed("OCSP response: responder")
	}
	if r.ProducedAt, ok = ReadGeneralizedTime(&fields); !ok || !fields.ReadASN1(&list, cbasn1.SEQUENCE) ||
		!fields.ReadOptionalASN1(&extensions, &has, cbasn1.Tag(1).Constructed().ContextSpecific()) || !fields.Empty() {
		return malformed("OCSP response: data")
	}
	for !list.Empty() {
		a, err := readOCSPAnswer(&list)
		if err != nil {
			return err
		}
		if r.Answers = append(r.Answers, a); len(r.Answers) > maxOCSPIDs {
			return fmt.Errorf("OCSP response: answers: %w", ErrTooLarge)
		}
	}
	if !has {
		return nil
	}
	var err error
	r.Nonce, err = readOCSPExtensions(extensions)
	return err
}

func (r *OCSPResponse) readResponderID(tag cbasn1.Tag, id cryptobyte.String) bool {
	var value cryptobyte.String
	switch tag {
	case cbasn1.Tag(1).Constructed().ContextSpecific():
		ok := id.ReadASN1Element(&value, cbasn1.SEQUENCE)
		r.ResponderName = value
		return ok && id.Empty()
	case cbasn1.Tag(2).Constructed().ContextSpecific():
		ok := id.ReadASN1(&value, cbasn1.OCTET_STRING)
		r.ResponderKeyHash = value
		return ok && id.Empty()
	}
	return false
}

func readOCSPAnswer(s *cryptobyte.String) (OCSPAnswer, error) {
	var a OCSPAnswer
	var fields, status, next, extensions cryptobyte.String
	var tag cbasn1.Tag
	var hasNext, has, ok bool
	bad := malformed("OCSP response: answer")
	if !s.ReadASN1(&fields, cbasn1.SEQUENCE) {
		return a, bad
	}
	var err error
	if a.ID, err = readCertID(&fields); err != nil {
		return a, err
	}
	if !fields.ReadAnyASN1(&status, &tag) || !a.readStatus(tag, status) {
		return a, bad
	}
	if a.ThisUpdate, ok = ReadGeneralizedTime(&fields); !ok ||
		!fields.ReadOptionalASN1(&next, &hasNext, cbasn1.Tag(0).Constructed().ContextSpecific()) ||
		!fields.ReadOptionalASN1(&extensions, &has, cbasn1.Tag(1).Constructed().ContextSpecific()) || !fields.Empty() {
		return a, bad
	}
	if hasNext {
		if a.NextUpdate, ok = ReadGeneralizedTime(&next); !ok || !next.Empty() || a.NextUpdate.Before(a.ThisUpdate) {
			return a, bad
		}
	}
	if has {
		return a, a.readExtensions(extensions)
	}
	return a, nil
}

func (a *OCSPAnswer) readStatus(tag cbasn1.Tag, s cryptobyte.String) bool {
	switch tag {
	case cbasn1.Tag(0).ContextSpecific():
		a.Status = OCSPGood
		return s.Empty()
	case cbasn1.Tag(2).ContextSpecific():
		a.Status = OCSPUnknown
		return s.Empty()
	case cbasn1.Tag(1).Constructed().ContextSpecific():
	default:
		return false
	}
	a.Status = OCSPRevoked
	var ok, has bool
	var wrapped cryptobyte.String
	if a.RevokedAt, ok = ReadGeneralizedTime(&s); !ok ||
		!s.ReadOptionalASN1(&wrapped, &has, cbasn1.Tag(0).Constructed().ContextSpecific()) || !s.Empty() {
		return false
	}
	if !has {
		return true
	}
	var reason int
	ok = wrapped.ReadASN1Enum(&reason) && wrapped.Empty()
	a.Reason = Reason(reason)
	return ok && a.Reason.Valid()
}

func (a *OCSPAnswer) readExtensions(s cryptobyte.String) error {
	all, err := readExtensions(s, "OCSP answer")
	if err != nil {
		return err
	}
	for _, e := range all {
		switch {
		case e.ID == OIDInvalidityDate:
			value := cryptobyte.String(e.Value)
			var ok bool
			if a.InvalidityDate, ok = ReadGeneralizedTime(&value); !ok || !value.Empty() {
				return malformed("OCSP answer: invalidity date")
			}
		case e.Critical:
			return fmt.Errorf("OCSP answer: critical extension %s: %w", e.ID, ErrUnsupported)
		}
	}
	return nil
}

// Verify checks that the response was signed by issuer or by a delegate of it that was valid at the time, and that it
// repeats nonce when one is given. It returns the responder's certificate; when that is a delegate without OCSPNoCheck, its
// own revocation is still to be asked for. Times of the answers are checked by Answer.
func (r *OCSPResponse) Verify(issuer *Certificate, nonce []byte, at time.Time) (*Certificate, error) {
	if r.Status != OCSPSuccessful {
		return nil, fmt.Errorf("OCSP response: the responder answered with status %d: %w", int(r.Status), ErrUnsupported)
	}
	responder, err := r.responder(issuer, at)
	if err != nil {
		return nil, err
	}
	if err := CheckSignature(responder.PublicKey, r.SignatureAlgorithm, r.RawTBS, r.Signature); err != nil {
		return nil, fmt.Errorf("OCSP response: %w", err)
	}
	if nonce != nil && subtle.ConstantTimeCompare(nonce, r.Nonce) != 1 {
		return nil, fmt.Errorf("OCSP response: another nonce than the request's: %w", ErrStale)
	}
	return responder, nil
}

// responder finds who signed: the issuer itself, or a certificate in the response that the issuer itself has issued for it.
func (r *OCSPResponse) responder(issuer *Certificate, at time.Time) (*Certificate, error) {
	if r.isResponder(issuer) {
		return issuer, nil
	}
	for _, c := range r.Certificates {
		if !r.isResponder(c) {
			continue
		}
		switch {
		case !bytes.Equal(c.RawIssuer, issuer.RawSubject) || c.CheckSignature(issuer) != nil:
			return nil, fmt.Errorf("OCSP responder %s was not issued by %s: %w", c.Subject, issuer.Subject, ErrWrongIssuer)
		case !mayAnswer(c):
			return nil, fmt.Errorf("OCSP responder %s: extended key usage lacks OCSPSigning: %w", c.Subject, ErrWrongIssuer)
		case len(c.UnknownCritical) > 0:
			return nil, fmt.Errorf("OCSP responder %s: critical extension %s: %w", c.Subject, c.UnknownCritical[0], ErrUnsupported)
		}
		return c, current("OCSP responder's certificate", c.NotBefore, c.NotAfter, at)
	}
	return nil, fmt.Errorf("OCSP response: responder's certificate is missing: %w", ErrWrongIssuer)
}

func (r *OCSPResponse) isResponder(c *Certificate) bool {
	if r.ResponderName != nil {
		return bytes.Equal(r.ResponderName, c.RawSubject)
	}
	key, err := publicKeyOctets(c.RawSPKI)
	if err != nil {
		return false
	}
	hash := OIDSHA1
	if len(r.ResponderKeyHash) == 32 { // responders of national cryptography are said to write SM3 here
		hash = OIDSM3
	}
	sum, _ := idHash(hash, key)
	return bytes.Equal(sum, r.ResponderKeyHash)
}

// Answer returns what the response says of issuer's certificate with this serial number at a time. An answer about
// another issuer's certificate of the same number is never taken; of several the newest counts.
func (r *OCSPResponse) Answer(issuer *Certificate, serial []byte, at time.Time) (OCSPAnswer, error) {
	var found *OCSPAnswer
	for i := range r.Answers {
		a := &r.Answers[i]
		if !bytes.Equal(a.ID.Serial, integerOctets(serial)) && !bytes.Equal(a.ID.Serial, serial) || !a.ID.Names(issuer) {
			continue
		}
		if found == nil || a.ThisUpdate.After(found.ThisUpdate) {
			found = a
		}
	}
	if found == nil {
		return OCSPAnswer{Status: OCSPUnknown}, fmt.Errorf("OCSP response: no answer for serial %x of %s: %w", serial, issuer.Subject, ErrWrongIssuer)
	}
	return *found, current("OCSP answer", found.ThisUpdate, found.NextUpdate, at)
}
