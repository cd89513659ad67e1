package certs

import (
	"bytes"
	"crypto"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Registration controls and information of RFC 4211, sections 6 and 7.
const (
	OIDRegControlToken   OID = "1.3.6.1.5.5.7.5.1.1"
	OIDRegControlOldCert OID = "1.3.6.1.5.5.7.5.1.5"
	OIDRegInfoPairs      OID = "1.3.6.1.5.5.7.5.2.1"
)

// Possession is how a request of RFC 4211 proves that its maker has the private key.
type Possession int

// Kinds of proof. Only PossessionSignature can be checked here; an authority decides whether it believes the others.
const (
	PossessionNone Possession = iota
	PossessionByRA
	PossessionSignature
	PossessionOther // by encryption or key agreement
)

// RequestMessage is one certificate request of RFC 4211 (CertReqMsg), as CMP carries them. Its proof was not verified yet:
// Request does that.
type RequestMessage struct {
	Raw        []byte
	RawRequest []byte // CertRequest: what the proof signs
	ID         int64
	Template   RequestTemplate
	Token      string            // control regToken, "" when absent
	OldIssuer  Name              // control oldCertID: the certificate to be replaced
	OldSerial  []byte            // nil when absent
	Pairs      map[string]string // regInfo utf8Pairs

	Possession Possession
	algorithm  AlgorithmIdentifier
	signature  []byte
}

// RequestTemplate is a CertTemplate: what a certificate should be like, or which one is meant.
type RequestTemplate struct {
	Raw        []byte
	Serial     []byte // content octets of the INTEGER; nil when absent
	Issuer     Name
	RawSubject []byte // nil when absent
	Subject    Name
	RawSPKI    []byte
	PublicKey  crypto.PublicKey // nil when absent
	Requested  Certificate      // the extensions asked for, read like a certificate's
}

// ParseRequestMessage reads a CertReqMsg strictly.
func ParseRequestMessage(der []byte) (*RequestMessage, error) {
	if len(der) > MaxRequestSize {
		return nil, fmt.Errorf("request message of %d octets: %w", len(der), ErrTooLarge)
	}
	in := cryptobyte.String(bytes.Clone(der))
	var raw cryptobyte.String
	if !in.ReadASN1Element(&raw, cbasn1.SEQUENCE) {
		return nil, malformed("request message")
	}
	if !in.Empty() {
		return nil, fmt.Errorf("request message: %w", ErrTrailing)
	}
	m := &RequestMessage{Raw: raw}
	if err := m.parse(raw); err != nil {
		return nil, fmt.Errorf("request message: %w", err)
	}
	return m, nil
}

func (m *RequestMessage) parse(raw cryptobyte.String) error {
	var s, request, info cryptobyte.String
	if !raw.ReadASN1(&s, cbasn1.SEQUENCE) || !s.ReadASN1Element(&request, cbasn1.SEQUENCE) {
		return malformed("outer structure")
	}
	m.RawRequest = request
	if err := m.parseRequest(request); err != nil {
		return err
	}
	if !s.Empty() && !s.PeekASN1Tag(cbasn1.SEQUENCE) {
		if err := m.parsePossession(&s); err != nil {
			return err
		}
	}
	var present bool
	if !s.ReadOptionalASN1(&info, &present, cbasn1.SEQUENCE) || !s.Empty() || present && info.Empty() {
		return malformed("registration information")
	}
	return eachAttribute(info, func(id OID, value cryptobyte.String) error {
		if id != OIDRegInfoPairs {
			return nil // what an authority does not know of this, it does without
		}
		var text cryptobyte.String
		if m.Pairs != nil || !value.ReadASN1(&text, cbasn1.UTF8String) || !value.Empty() {
			return malformed("utf8Pairs")
		}
		var err error
		m.Pairs, err = parsePairs(string(text))
		return err
	})
}

func (m *RequestMessage) parseRequest(element cryptobyte.String) error {
	var s, template, controls cryptobyte.String
	var present bool
	if !element.ReadASN1(&s, cbasn1.SEQUENCE) || !s.ReadASN1Integer(&m.ID) || !s.ReadASN1Element(&template, cbasn1.SEQUENCE) {
		return malformed("certificate request")
	}
	t, err := ParseRequestTemplate(template)
	if err != nil {
		return err
	}
	m.Template = *t
	if !s.ReadOptionalASN1(&controls, &present, cbasn1.SEQUENCE) || !s.Empty() || present && controls.Empty() {
		return malformed("controls")
	}
	return eachAttribute(controls, m.control)
}

func (m *RequestMessage) control(id OID, value cryptobyte.String) error {
	switch id {
	case OIDRegControlToken:
		var text cryptobyte.String
		if m.Token != "" || !value.ReadASN1(&text, cbasn1.UTF8String) || !value.Empty() {
			return malformed("registration token")
		}
		m.Token = string(text)
	case OIDRegControlOldCert:
		var s, name cryptobyte.String
		var serial cryptobyte.String
		if m.OldSerial != nil || !value.ReadASN1(&s, cbasn1.SEQUENCE) || !value.Empty() || !s.ReadASN1(&name, contextConstructed(4)) ||
			!readSerial(&s, &serial) || !s.Empty() {
			return malformed("old certificate")
		}
		m.OldSerial = serial
		notes := reader{lenient: true}
		var err error
		if m.OldIssuer, err = notes.name(&name, "issuer of the old certificate"); err != nil || !name.Empty() {
			return malformed("issuer of the old certificate")
		}
	}
	return nil
}

// parsePossession reads the proof. A poposkInput, which names the sender instead of the request, is for requests without
// subject or key; we take none.
func (m *RequestMessage) parsePossession(s *cryptobyte.String) error {
	var content cryptobyte.String
	var tag cbasn1.Tag
	if !s.ReadAnyASN1(&content, &tag) {
		return malformed("proof of possession")
	}
	switch tag {
	case cbasn1.Tag(0).ContextSpecific():
		m.Possession = PossessionByRA
		if !content.Empty() {
			return malformed("proof of possession")
		}
	case contextConstructed(1):
		m.Possession = PossessionSignature
		if content.PeekASN1Tag(contextConstructed(0)) {
			return fmt.Errorf("proof of possession with poposkInput: %w", ErrUnsupported)
		}
		if !ReadAlgorithm(&content, &m.algorithm) || !content.ReadASN1BitStringAsBytes(&m.signature) || !content.Empty() {
			return malformed("proof of possession")
		}
	case contextConstructed(2), contextConstructed(3):
		m.Possession = PossessionOther
	default:
		return malformed("proof of possession")
	}
	return nil
}

// Request verifies the proof of possession and returns what is asked for; the errors are those of ParseRequest.
func (m *RequestMessage) Request() (*Request, error) {
	t := m.Template
	if t.PublicKey == nil {
		return nil, malformed("request message without a public key")
	}
	if m.Possession != PossessionSignature {
		return nil, fmt.Errorf("request message without a signature as proof of possession: %w", ErrSignature)
	}
	if err := keyStrength(t.PublicKey); err != nil {
		return nil, err
	}
	req := &Request{
		Raw: m.Raw, RawInfo: m.RawRequest, RawSubject: t.RawSubject, RawSPKI: t.RawSPKI, Subject: t.Subject, PublicKey: t.PublicKey,
		SignatureAlgorithm: SignatureAlgorithmByOID(m.algorithm.OID), Signature: m.signature, Requested: t.Requested,
	}
	if req.SignatureAlgorithm == UnknownSignature || !m.algorithm.NullOrAbsent() {
		return nil, fmt.Errorf("signature algorithm %s: %w", m.algorithm.OID, ErrUnsupported)
	}
	if err := req.checkPossession(); err != nil {
		return nil, fmt.Errorf("request message: proof of possession: %w", err)
	}
	return req, nil
}

// isRequestMessage tells a CertReqMsg from a PKCS#10 request by what follows the part that is signed: a proof under a tag of
// its own, and not an algorithm.
func isRequestMessage(der []byte) bool {
	in := cryptobyte.String(der)
	var s cryptobyte.String
	return in.ReadASN1(&s, cbasn1.SEQUENCE) && s.SkipASN1(cbasn1.SEQUENCE) && !s.Empty() && s[0]&0xc0 == 0x80
}

// eachAttribute walks a SEQUENCE OF AttributeTypeAndValue.
func eachAttribute(s cryptobyte.String, f func(id OID, value cryptobyte.String) error) error {
	for n := 0; !s.Empty(); n++ {
		var one, value cryptobyte.String
		var id OID
		var tag cbasn1.Tag
		if n == maxListEntries {
			return ErrTooLarge
		}
		if !s.ReadASN1(&one, cbasn1.SEQUENCE) || !ReadOID(&one, &id) || !one.ReadAnyASN1Element(&value, &tag) || !one.Empty() {
			return malformed("attribute of a request message")
		}
		if err := f(id, value); err != nil {
			return err
		}
	}
	return nil
}
