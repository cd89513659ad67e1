package certs

import (
	"bytes"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Parse reads a certificate as we make them: DER, version 3, RFC 5280 and GB/T 20518 without any deviation.
// Critical extensions that we do not know are parsed and named in UnknownCritical; it is Validate that refuses them.
func Parse(der []byte) (*Certificate, error) {
	return parse(der, &reader{})
}

// ParseLenient reads a certificate of somebody else. Names with broken strings, wrong alternative names, missing
// or empty fields and the like are named in NonStandard; what cannot be read without guessing what was
// signed (the outer form, the algorithms, the key) is an error as in Parse.
func ParseLenient(der []byte) (*Certificate, error) {
	return parse(der, &reader{lenient: true})
}

func parse(der []byte, r *reader) (*Certificate, error) {
	if len(der) > MaxCertificateSize {
		return nil, fmt.Errorf("certificate of %d octets: %w", len(der), ErrTooLarge)
	}
	in := cryptobyte.String(bytes.Clone(der))
	var raw, outer, tbs cryptobyte.String
	var alg AlgorithmIdentifier
	c := &Certificate{MaxPathLen: -1, RequireExplicit: -1, InhibitMapping: -1, InhibitAnyPolicy: -1}
	if !in.ReadASN1Element(&raw, cbasn1.SEQUENCE) {
		return nil, malformed("certificate")
	}
	if !in.Empty() {
		if !r.lenient {
			return nil, fmt.Errorf("certificate: %w", ErrTrailing)
		}
		_ = r.odd("%d octets after the certificate", len(in))
	}
	c.Raw = raw
	if !raw.ReadASN1(&outer, cbasn1.SEQUENCE) || !outer.ReadASN1Element(&tbs, cbasn1.SEQUENCE) ||
		!ReadAlgorithm(&outer, &alg) || !outer.ReadASN1BitStringAsBytes(&c.Signature) || !outer.Empty() {
		return nil, malformed("certificate: outer structure")
	}
	if err := r.tbs(c, tbs, alg); err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	c.NonStandard = r.notes
	return c, nil
}

// tbs reads the to-be-signed part. outer is the algorithm beside the signature; an empty one is not compared.
func (r *reader) tbs(c *Certificate, element cryptobyte.String, outer AlgorithmIdentifier) error {
	c.RawTBS = element
	var s cryptobyte.String
	if !element.ReadASN1(&s, cbasn1.SEQUENCE) {
		return malformed("to-be-signed part")
	}
	if err := r.version(c, &s); err != nil {
		return err
	}
	if err := r.serial(c, &s); err != nil {
		return err
	}
	if err := r.signatureAlgorithm(c, &s, outer); err != nil {
		return err
	}
	if err := r.issuerToSubject(c, &s); err != nil {
		return err
	}
	if err := r.publicKey(c, &s); err != nil {
		return err
	}
	if err := r.uniqueIDs(&s); err != nil {
		return err
	}
	if err := r.extensionField(c, &s); err != nil {
		return err
	}
	if !s.Empty() {
		return malformed("bytes after the extensions")
	}
	return r.whole(c)
}

func (r *reader) version(c *Certificate, s *cryptobyte.String) error {
	var field cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&field, &present, cbasn1.Tag(0).Constructed().ContextSpecific()) {
		return malformed("version")
	}
	v := 0
	if present && (!field.ReadASN1Integer(&v) || !field.Empty() || v < 0 || v > 2) {
		return malformed("version")
	}
	c.Version = v + 1
	if present && v == 0 {
		return r.odd("version 1 written out")
	}
	if v != 2 {
		return r.odd("version %d", c.Version)
	}
	return nil
}

func (r *reader) serial(c *Certificate, s *cryptobyte.String) error {
	var content cryptobyte.String
	if !s.ReadASN1(&content, cbasn1.INTEGER) || len(content) == 0 {
		return malformed("serial number")
	}
	c.Serial = content
	if len(content) > 4*maxSerialOctets {
		return fmt.Errorf("serial number of %d octets: %w", len(content), ErrTooLarge)
	}
	return r.checkSerial(content)
}

// checkSerial holds content octets of an INTEGER against RFC 5280, 4.1.2.2.
func (r *reader) checkSerial(content []byte) error {
	switch {
	case len(content) > 1 && (content[0] == 0 && content[1] < 0x80 || content[0] == 0xff && content[1] >= 0x80):
		return r.odd("serial number with superfluous octets")
	case content[0] >= 0x80:
		return r.odd("negative serial number")
	case len(content) == 1 && content[0] == 0:
		return r.odd("serial number zero")
	case len(content) > maxSerialOctets:
		return r.odd("serial number of %d octets", len(content))
	}
	return nil
}

func (r *reader) signatureAlgorithm(c *Certificate, s *cryptobyte.String, outer AlgorithmIdentifier) error {
	var inner AlgorithmIdentifier
	if !ReadAlgorithm(s, &inner) {
		return malformed("signature algorithm")
	}
	if outer.Raw != nil && !bytes.Equal(inner.Raw, outer.Raw) {
		return malformed("signature algorithm inside and outside differ")
	}
	var err error
	c.SignatureOID = inner.OID
	c.SignatureAlgorithm, err = r.algorithm(inner)
	return err
}

// algorithm maps an identifier to what we verify. Others are read too, so that they can be reported: UnknownSignature.
func (r *reader) algorithm(id AlgorithmIdentifier) (SignatureAlgorithm, error) {
	alg := SignatureAlgorithmByOID(id.OID)
	if alg == UnknownSignature {
		if r.lenient {
			return alg, r.odd("signature algorithm %s", id.OID)
		}
		return alg, fmt.Errorf("signature algorithm %s: %w", id.OID, ErrUnsupported)
	}
	if !id.NullOrAbsent() {
		return UnknownSignature, malformed("signature algorithm %s with parameters", id.OID)
	}
	if null := len(id.Params) > 0; null != algorithms[alg].null {
		word := "absent"
		if null {
			word = "NULL"
		}
		return alg, r.odd("%s with parameters %s", alg, word)
	}
	return alg, nil
}

func (r *reader) issuerToSubject(c *Certificate, s *cryptobyte.String) (err error) {
	if c.Issuer, err = r.name(s, "issuer"); err != nil {
		return err
	}
	c.RawIssuer = c.Issuer.Raw
	if c.Issuer.Empty() {
		if err := r.odd("empty issuer"); err != nil {
			return err
		}
	}
	if err := r.validity(c, s); err != nil {
		return err
	}
	c.Subject, err = r.name(s, "subject")
	c.RawSubject = c.Subject.Raw
	return err
}

func (r *reader) validity(c *Certificate, s *cryptobyte.String) error {
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) {
		return malformed("validity")
	}
	var odds [2]string
	var ok [2]bool
	c.NotBefore, odds[0], ok[0] = readTime(&seq)
	c.NotAfter, odds[1], ok[1] = readTime(&seq)
	if !ok[0] || !ok[1] || !seq.Empty() {
		return malformed("validity")
	}
	for _, odd := range odds {
		if odd != "" {
			if err := r.odd("validity: %s", odd); err != nil {
				return err
			}
		}
	}
	if c.NotAfter.Before(c.NotBefore) {
		return r.odd("validity ends before it begins")
	}
	return nil
}

func (r *reader) publicKey(c *Certificate, s *cryptobyte.String) error {
	var raw cryptobyte.String
	if !s.ReadASN1Element(&raw, cbasn1.SEQUENCE) {
		return malformed("subject public key info")
	}
	c.RawSPKI = raw
	var err error
	if c.PublicKey, err = ParsePublicKey(raw); err != nil {
		return err
	}
	if err := keyStrength(c.PublicKey); err != nil {
		return r.odd("%s", err)
	}
	return nil
}

func (r *reader) uniqueIDs(s *cryptobyte.String) error {
	for tag := cbasn1.Tag(1); tag <= 2; tag++ {
		var ignored cryptobyte.String
		var present bool
		if !s.ReadOptionalASN1(&ignored, &present, tag.ContextSpecific()) {
			return malformed("unique identifier")
		}
		if present {
			if err := r.odd("unique identifier [%d]", tag); err != nil {
				return err
			}
		}
	}
	return nil
}

// whole checks what concerns several fields.
func (r *reader) whole(c *Certificate) error {
	if c.Subject.Empty() {
		if err := r.emptySubject(c); err != nil {
			return err
		}
	}
	if c.MaxPathLen >= 0 && !c.IsCA {
		if err := r.odd("path length in a certificate that is not a CA's"); err != nil {
			return err
		}
	}
	if c.HasKeyUsage && c.KeyUsage&UsageCertSign != 0 && !c.IsCA {
		if err := r.odd("key usage keyCertSign in a certificate that is not a CA's"); err != nil {
			return err
		}
	}
	if c.NameConstraints != nil && !c.IsCA {
		return r.odd("name constraints in a certificate that is not a CA's")
	}
	return nil
}

// emptySubject: RFC 5280, 4.1.2.6 allows an empty subject where a critical alternative name says who it is, and never in a CA certificate.
func (r *reader) emptySubject(c *Certificate) error {
	san := slices.IndexFunc(c.Extensions, func(e Extension) bool { return e.ID == OIDSubjectAltName && e.Critical })
	if c.IsCA || san < 0 {
		return r.odd("empty subject")
	}
	return nil
}
