package certs

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// MaxRequestSize bounds a certificate request.
const MaxRequestSize = 32 << 10

// Request is a certificate request, PKCS#10 (RFC 2986) or CRMF (RFC 4211), whose proof of possession was verified.
type Request struct {
	Raw        []byte
	RawInfo    []byte // CertificationRequestInfo, the signed part
	RawSubject []byte
	RawSPKI    []byte

	Subject            Name
	PublicKey          crypto.PublicKey
	SignatureAlgorithm SignatureAlgorithm
	Signature          []byte

	// Requested is what the extension request asks for, read like a certificate: AltNames, KeyUsage, Extensions …
	// A profile decides what of it is taken.
	Requested  Certificate
	Challenge  string // challenge password, "" when absent
	Attributes []RequestAttribute

	NonStandard []string // deviations that do not matter for safety: NULL parameters, old string types
}

// RequestAttribute is an attribute as found; Values are the DER elements of its SET.
type RequestAttribute struct {
	Type   OID
	Values [][]byte
}

// RequestOptions are the attributes of a request that we make.
type RequestOptions struct {
	AltNames  GeneralNames
	KeyUsage  KeyUsage
	Challenge string
	Extra     []Extension
}

// NewRequest makes a request for the signer's key and signs it (SM2: default id).
func NewRequest(signer crypto.Signer, subject Name, o RequestOptions) ([]byte, error) {
	pub := signer.Public()
	spki, err := MarshalPublicKey(pub)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	name, err := subject.Marshal()
	if err != nil {
		return nil, fmt.Errorf("make request: subject: %w", err)
	}
	attributes, err := o.attributes(subject)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddBytes(name)
		b.AddBytes(spki)
		AddSetOf(b, contextConstructed(0), attributes)
	})
	info, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	alg, sig, err := Sign(signer, info)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	return Assemble(info, alg, sig)
}

func (o RequestOptions) attributes(subject Name) ([][]byte, error) {
	var out [][]byte
	if o.Challenge != "" {
		der, err := requestAttribute(OIDChallengePassword, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(o.Challenge)) })
		})
		if err != nil {
			return nil, err
		}
		out = append(out, der)
	}
	var list extensionList
	(&Template{KeyUsage: o.KeyUsage}).usageExtensions(&list)
	if !o.AltNames.Empty() {
		list.add(OIDSubjectAltName, subject.Empty(), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { addGeneralNames(b, o.AltNames) })
		})
	}
	list.list = append(list.list, o.Extra...)
	if list.err != nil || len(list.list) == 0 {
		return out, list.err
	}
	der, err := requestAttribute(OIDExtensionRequest, func(b *cryptobyte.Builder) { addExtensions(b, list.list) })
	return append(out, der), err
}

func requestAttribute(id OID, value func(b *cryptobyte.Builder)) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		AddOID(b, id)
		b.AddASN1(cbasn1.SET, value)
	})
	return b.Bytes()
}

// ParseRequest reads a request and verifies its proof of possession: PKCS#10, or the CertReqMsg of RFC 4211 that CMP
// carries, of which Attributes and Challenge stay empty. Refused with different errors are: too
// large (ErrTooLarge), trailing bytes (ErrTrailing), other malformed DER (ErrMalformed), a key off its curve or on
// another one (ErrCurve), a weak key (ErrWeak), an SM2 signature under the empty id (ErrWrongID), any
// other signature that does not verify (ErrSignature).
func ParseRequest(der []byte) (*Request, error) {
	if len(der) > MaxRequestSize {
		return nil, fmt.Errorf("certificate request of %d octets: %w", len(der), ErrTooLarge)
	}
	if isRequestMessage(der) {
		m, err := ParseRequestMessage(der)
		if err != nil {
			return nil, err
		}
		return m.Request()
	}
	req, err := parseRequest(bytes.Clone(der))
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	if err := req.checkPossession(); err != nil {
		return nil, fmt.Errorf("certificate request: proof of possession: %w", err)
	}
	return req, nil
}

func parseRequest(der []byte) (*Request, error) {
	in := cryptobyte.String(der)
	var raw, outer, info cryptobyte.String
	var id AlgorithmIdentifier
	req := &Request{}
	if !in.ReadASN1Element(&raw, cbasn1.SEQUENCE) {
		return nil, malformed("outer structure")
	}
	if !in.Empty() {
		return nil, ErrTrailing
	}
	req.Raw = raw
	if !raw.ReadASN1(&outer, cbasn1.SEQUENCE) || !outer.ReadASN1Element(&info, cbasn1.SEQUENCE) || !ReadAlgorithm(&outer, &id) ||
		!outer.ReadASN1BitStringAsBytes(&req.Signature) || !outer.Empty() {
		return nil, malformed("outer structure")
	}
	req.RawInfo = info
	notes := reader{lenient: true} // strings and parameters of others; nothing that a signature or key depends on
	if req.SignatureAlgorithm = SignatureAlgorithmByOID(id.OID); req.SignatureAlgorithm == UnknownSignature {
		return nil, fmt.Errorf("signature algorithm %s: %w", id.OID, ErrUnsupported)
	}
	if _, err := notes.algorithm(id); err != nil {
		return nil, err
	}
	if err := notes.requestInfo(req, info); err != nil {
		return nil, err
	}
	req.NonStandard = notes.notes
	return req, nil
}

func (r *reader) requestInfo(req *Request, element cryptobyte.String) error {
	var s, spki cryptobyte.String
	var version int
	if !element.ReadASN1(&s, cbasn1.SEQUENCE) || !s.ReadASN1Integer(&version) || version != 0 {
		return malformed("version")
	}
	var err error
	if req.Subject, err = r.name(&s, "subject"); err != nil {
		return err
	}
	req.RawSubject = req.Subject.Raw
	if !s.ReadASN1Element(&spki, cbasn1.SEQUENCE) {
		return malformed("subject public key info")
	}
	req.RawSPKI = spki
	if req.PublicKey, err = ParsePublicKey(spki); err != nil {
		return err
	}
	if err := keyStrength(req.PublicKey); err != nil {
		return err
	}
	var attributes cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&attributes, &present, contextConstructed(0)) || !s.Empty() {
		return malformed("attributes")
	}
	if !present {
		_ = r.odd("attributes left out")
	}
	return r.requestAttributes(req, attributes)
}

func (r *reader) requestAttributes(req *Request, s cryptobyte.String) error {
	seen := make(map[OID]bool)
	for !s.Empty() {
		var one, set cryptobyte.String
		var a RequestAttribute
		if len(req.Attributes) == maxListEntries {
			return ErrTooLarge
		}
		if !s.ReadASN1(&one, cbasn1.SEQUENCE) || !ReadOID(&one, &a.Type) {
			return malformed("attribute")
		}
		if bare(a.Type) && !one.PeekASN1Tag(cbasn1.SET) {
			_ = r.odd("attribute %s without a SET", a.Type)
			set, one = one, nil
		} else if !one.ReadASN1(&set, cbasn1.SET) || !one.Empty() {
			return malformed("attribute")
		}
		if seen[a.Type] {
			return malformed("attribute %s occurs twice", a.Type)
		}
		seen[a.Type] = true
		for !set.Empty() {
			var value cryptobyte.String
			var tag cbasn1.Tag
			if !set.ReadAnyASN1Element(&value, &tag) || len(a.Values) == maxListEntries {
				return malformed("attribute %s", a.Type)
			}
			a.Values = append(a.Values, value)
		}
		req.Attributes = append(req.Attributes, a)
		if err := r.requestAttribute(req, a); err != nil {
			return err
		}
	}
	return nil
}

// bare tells the attributes that clients of CFCA send without the SET around the value.
func bare(id OID) bool { return id == OIDTemporaryKey || id == OIDChallengePassword }

// requestAttribute reads the attributes that we use; extensions are read strictly, for they are meant to be copied.
func (r *reader) requestAttribute(req *Request, a RequestAttribute) error {
	if a.Type != OIDExtensionRequest && a.Type != OIDChallengePassword {
		return nil
	}
	if len(a.Values) != 1 {
		return malformed("attribute %s with %d values", a.Type, len(a.Values))
	}
	s := cryptobyte.String(a.Values[0])
	if a.Type == OIDChallengePassword {
		var content cryptobyte.String
		var tag cbasn1.Tag
		if !s.ReadAnyASN1(&content, &tag) {
			return malformed("challenge password")
		}
		text, odd := decodeString(tag, content)
		if odd == notString || !utf8.ValidString(text) {
			return malformed("challenge password")
		}
		req.Challenge = text
		return nil
	}
	strict := reader{}
	list, err := strict.extensions(&s)
	if err != nil || !s.Empty() {
		return errors.Join(malformed("extension request"), err)
	}
	asked := &req.Requested
	*asked = Certificate{Version: 3, MaxPathLen: -1, RequireExplicit: -1, InhibitMapping: -1, InhibitAnyPolicy: -1, Extensions: list}
	if err := strict.interpret(asked); err != nil {
		return fmt.Errorf("extension request: %w", err)
	}
	return nil
}

func (req *Request) checkPossession() error {
	err := CheckSignature(req.PublicKey, req.SignatureAlgorithm, req.RawInfo, req.Signature)
	return explainID(err, req.PublicKey, req.SignatureAlgorithm, req.RawInfo, req.Signature)
}
