package certs

import (
	"bytes"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Limits of CMS messages.
const (
	MaxSignedDataSize  = 128 << 20
	maxCMSCertificates = 32
	maxCMSSigners      = 16
	maxCMSAttributes   = 32
	maxCMSLists        = 64
)

// CMSAttribute is an attribute of a signer.
type CMSAttribute struct {
	Type   OID
	Values [][]byte // whole DER elements
}

// SignedData is a parsed SignedData of GB/T 35275 or of CMS and PKCS#7. Nothing in it may be believed before Verify.
type SignedData struct {
	Raw          []byte
	Type         OID // OIDGMSignedData or OIDSignedData
	Version      int
	ContentType  OID
	Content      []byte // octets of the content; nil when Detached
	Detached     bool
	Certificates []*Certificate // those that can be read
	CRLs         [][]byte
	Signers      []SignerInfo
	NonStandard  []string // what deviates from the standards, for a report
}

// SignerInfo is one signer's part.
type SignerInfo struct {
	Issuer          Name // with Serial, or SubjectKeyID
	Serial          []byte
	SubjectKeyID    []byte
	DigestAlgorithm OID
	SignatureOID    OID
	Attributes      []CMSAttribute // signed ones; nil when the content itself is signed
	Unsigned        []CMSAttribute
	SigningTime     time.Time // signed, but only claimed; zero when absent
	Signature       []byte

	signed []byte // the signed attributes as a SET, as found
}

// Attribute returns the only value of a signed attribute; ok is false when it is absent or has several values.
func (s *SignerInfo) Attribute(t OID) (value []byte, ok bool) { return attributeOf(s.Attributes, t) }

// UnsignedAttribute is Attribute for those that anyone may add, such as a time-stamp token.
func (s *SignerInfo) UnsignedAttribute(t OID) (value []byte, ok bool) {
	return attributeOf(s.Unsigned, t)
}

func attributeOf(all []CMSAttribute, t OID) ([]byte, bool) {
	for _, a := range all {
		if a.Type == t {
			if len(a.Values) != 1 {
				return nil, false
			}
			return a.Values[0], true
		}
	}
	return nil, false
}

// ParseSignedData reads a ContentInfo with SignedData in DER.
func ParseSignedData(der []byte) (*SignedData, error) {
	if len(der) > MaxSignedDataSize {
		return nil, fmt.Errorf("signed data of %d octets: %w", len(der), ErrTooLarge)
	}
	input := cryptobyte.String(der)
	var outer, wrapped, fields cryptobyte.String
	s := &SignedData{Raw: der}
	if !input.ReadASN1(&outer, cbasn1.SEQUENCE) || !ReadOID(&outer, &s.Type) {
		return nil, malformed("signed data")
	}
	if !input.Empty() {
		return nil, fmt.Errorf("signed data: %w", ErrTrailing)
	}
	if s.Type != OIDGMSignedData && s.Type != OIDSignedData {
		return nil, fmt.Errorf("content of type %s, not signed data: %w", s.Type, ErrUnsupported)
	}
	if !outer.ReadASN1(&wrapped, cbasn1.Tag(0).Constructed().ContextSpecific()) || !outer.Empty() ||
		!wrapped.ReadASN1(&fields, cbasn1.SEQUENCE) || !wrapped.Empty() {
		return nil, malformed("signed data")
	}
	if err := s.parse(fields); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *SignedData) note(format string, args ...any) {
	if len(s.NonStandard) < maxNotes {
		s.NonStandard = append(s.NonStandard, fmt.Sprintf(format, args...))
	}
}

func (s *SignedData) parse(fields cryptobyte.String) error {
	var digests, content, certificates, lists, signers cryptobyte.String
	var hasCertificates, hasLists bool
	if !fields.ReadASN1Integer(&s.Version) || !fields.ReadASN1(&digests, cbasn1.SET) || !fields.ReadASN1(&content, cbasn1.SEQUENCE) ||
		!fields.ReadOptionalASN1(&certificates, &hasCertificates, cbasn1.Tag(0).Constructed().ContextSpecific()) ||
		!fields.ReadOptionalASN1(&lists, &hasLists, cbasn1.Tag(1).Constructed().ContextSpecific()) ||
		!fields.ReadASN1(&signers, cbasn1.SET) || !fields.Empty() {
		return malformed("signed data")
	}
	if s.Version < 1 || s.Version > 5 {
		return fmt.Errorf("signed data: version %d: %w", s.Version, ErrUnsupported)
	}
	for n := 0; !digests.Empty(); n++ {
		var alg AlgorithmIdentifier
		if !ReadAlgorithm(&digests, &alg) || n == maxCMSSigners {
			return malformed("signed data: digest algorithms")
		}
	}
	if err := s.parseContent(content); err != nil {
		return err
	}
	if err := s.parseCertificates(certificates); err != nil {
		return err
	}
	for !lists.Empty() {
		var list cryptobyte.String
		var tag cbasn1.Tag
		if !lists.ReadAnyASN1Element(&list, &tag) || len(s.CRLs) == maxCMSLists {
			return malformed("signed data: CRLs")
		}
		s.CRLs = append(s.CRLs, list)
	}
	for !signers.Empty() {
		if len(s.Signers) == maxCMSSigners {
			return fmt.Errorf("signed data: more than %d signers: %w", maxCMSSigners, ErrTooLarge)
		}
		signer, err := readSignerInfo(&signers)
		if err != nil {
			return err
		}
		s.Signers = append(s.Signers, signer)
	}
	return nil
}

func (s *SignedData) parseContent(fields cryptobyte.String) error {
	if !ReadOID(&fields, &s.ContentType) {
		return malformed("signed data: content")
	}
	if s.Detached = fields.Empty(); s.Detached {
		return nil
	}
	var wrapped, content cryptobyte.String
	var tag cbasn1.Tag
	if !fields.ReadASN1(&wrapped, cbasn1.Tag(0).Constructed().ContextSpecific()) || !fields.Empty() ||
		!wrapped.ReadAnyASN1(&content, &tag) || !wrapped.Empty() {
		return malformed("signed data: content")
	}
	if tag != cbasn1.OCTET_STRING {
		s.note("content is not in an OCTET STRING") // PKCS#7 1.5 signs the octets inside any element
	}
	s.Content = content
	return nil
}

// parseCertificates keeps what can be read: a damaged certificate that no signer needs is no reason to refuse.
func (s *SignedData) parseCertificates(list cryptobyte.String) error {
	for n := 0; !list.Empty(); n++ {
		var one cryptobyte.String
		var tag cbasn1.Tag
		if !list.ReadAnyASN1Element(&one, &tag) {
			return malformed("signed data: certificates")
		}
		if n == maxCMSCertificates {
			return fmt.Errorf("signed data: more than %d certificates: %w", n, ErrTooLarge)
		}
		c, err := ParseLenient(one)
		if err != nil {
			s.note("certificate %d cannot be read", n+1)
			continue
		}
		s.Certificates = append(s.Certificates, c)
	}
	return nil
}

func readSignerInfo(in *cryptobyte.String) (SignerInfo, error) {
	var s SignerInfo
	var fields, signature, signed, unsigned cryptobyte.String
	var version int
	var digest, alg AlgorithmIdentifier
	var hasSigned, hasUnsigned bool
	bad := malformed("signed data: signer")
	if !in.ReadASN1(&fields, cbasn1.SEQUENCE) || !fields.ReadASN1Integer(&version) || !s.readID(&fields) ||
		!ReadAlgorithm(&fields, &digest) || !digest.NullOrAbsent() ||
		fields.PeekASN1Tag(cbasn1.Tag(0).Constructed().ContextSpecific()) && !fields.ReadASN1Element(&signed, cbasn1.Tag(0).Constructed().ContextSpecific()) ||
		!ReadAlgorithm(&fields, &alg) || !alg.NullOrAbsent() || !fields.ReadASN1(&signature, cbasn1.OCTET_STRING) ||
		!fields.ReadOptionalASN1(&unsigned, &hasUnsigned, cbasn1.Tag(1).Constructed().ContextSpecific()) || !fields.Empty() {
		return s, bad
	}
	s.DigestAlgorithm, s.SignatureOID, s.Signature = digest.OID, alg.OID, signature
	var err error
	if hasSigned = signed != nil; hasSigned {
		s.signed = bytes.Clone(signed)
		s.signed[0] = byte(cbasn1.SET) // RFC 5652, 5.4: the SET's own tag is what is signed
		var list cryptobyte.String
		set := cryptobyte.String(s.signed)
		if !set.ReadASN1(&list, cbasn1.SET) || list.Empty() {
			return s, bad
		}
		if s.Attributes, err = readAttributes(list); err != nil {
			return s, err
		}
	}
	if hasUnsigned {
		if s.Unsigned, err = readAttributes(unsigned); err != nil {
			return s, err
		}
	}
	if value, ok := s.Attribute(OIDSigningTime); ok {
		text := cryptobyte.String(value)
		if s.SigningTime, _, ok = readTime(&text); !ok || !text.Empty() {
			return s, malformed("signed data: signing time")
		}
	}
	return s, nil
}

// readID reads issuerAndSerialNumber, or the subject key identifier of CMS version 3.
func (s *SignerInfo) readID(fields *cryptobyte.String) bool {
	var id, serial cryptobyte.String
	if fields.PeekASN1Tag(cbasn1.Tag(0).ContextSpecific()) {
		ok := fields.ReadASN1(&id, cbasn1.Tag(0).ContextSpecific())
		s.SubjectKeyID = id
		return ok && len(id) > 0
	}
	if !fields.ReadASN1(&id, cbasn1.SEQUENCE) {
		return false
	}
	lenient := reader{lenient: true}
	var err error
	if s.Issuer, err = lenient.name(&id, "signer"); err != nil || !id.ReadASN1(&serial, cbasn1.INTEGER) || len(serial) == 0 {
		return false
	}
	s.Serial = serial
	return id.Empty()
}

// readAttributes refuses a type that stands twice: which of the two would count is what attackers play with.
func readAttributes(list cryptobyte.String) ([]CMSAttribute, error) {
	var all []CMSAttribute
	for !list.Empty() {
		var fields, values cryptobyte.String
		var a CMSAttribute
		if !list.ReadASN1(&fields, cbasn1.SEQUENCE) || !ReadOID(&fields, &a.Type) || !fields.ReadASN1(&values, cbasn1.SET) || !fields.Empty() {
			return nil, malformed("signed data: attribute")
		}
		for !values.Empty() {
			var value cryptobyte.String
			var tag cbasn1.Tag
			if !values.ReadAnyASN1Element(&value, &tag) || len(a.Values) == maxCMSAttributes {
				return nil, malformed("signed data: attribute %s", a.Type)
			}
			a.Values = append(a.Values, value)
		}
		for _, other := range all {
			if other.Type == a.Type {
				return nil, malformed("signed data: attribute %s twice", a.Type)
			}
		}
		if all = append(all, a); len(all) > maxCMSAttributes {
			return nil, fmt.Errorf("signed data: attributes: %w", ErrTooLarge)
		}
	}
	return all, nil
}
