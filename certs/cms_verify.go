package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/internal/gm"
)

// ErrNoSigner: there is no signer, or the certificate of one is not at hand.
var ErrNoSigner = errors.New("signer or signer's certificate missing")

// VerifiedSigner is a signer whose signature holds. Whether its certificate may be trusted is another question.
type VerifiedSigner struct {
	Certificate *Certificate
	Info        *SignerInfo
	NonStandard []string
}

// Verify checks every signer over the content: the one inside, or detached (then content inside is refused). Certificates
// are looked for in the message and in more. There is at least one signer, and each of them must hold.
func (s *SignedData) Verify(detached []byte, more ...*Certificate) ([]VerifiedSigner, error) {
	content := s.Content
	if s.Detached != (detached != nil) {
		return nil, malformed("signed data: content both inside and outside, or neither")
	}
	if s.Detached {
		content = detached
	}
	if len(s.Signers) == 0 {
		return nil, fmt.Errorf("signed data: %w", ErrNoSigner)
	}
	verified := make([]VerifiedSigner, len(s.Signers))
	for i := range s.Signers {
		info := &s.Signers[i]
		cert := info.find(s.Certificates)
		if cert == nil {
			cert = info.find(more)
		}
		if cert == nil {
			return nil, fmt.Errorf("signed data: signer %s, serial %x: %w", info.Issuer, info.Serial, ErrNoSigner)
		}
		notes, err := info.verify(s.ContentType, content, cert)
		if err != nil {
			return nil, fmt.Errorf("signed data: signer %s: %w", cert.Subject, err)
		}
		verified[i] = VerifiedSigner{cert, info, append(notes, s.NonStandard...)}
	}
	return verified, nil
}

func (s *SignerInfo) find(all []*Certificate) *Certificate {
	for _, c := range all {
		if s.SubjectKeyID != nil {
			if bytes.Equal(c.SubjectKeyID, s.SubjectKeyID) {
				return c
			}
			continue
		}
		if bytes.Equal(c.Serial, s.Serial) && (bytes.Equal(c.RawIssuer, s.Issuer.Raw) || c.Issuer.Equal(s.Issuer)) {
			return c
		}
	}
	return nil
}

func (s *SignerInfo) verify(contentType OID, content []byte, cert *Certificate) ([]string, error) {
	alg, notes, err := s.algorithm(cert)
	if err != nil {
		return nil, err
	}
	message := content
	if s.signed == nil {
		if looksLikeAttributes(content) {
			return nil, malformed("content that reads as signed attributes, without any")
		}
	} else {
		message = s.signed
		if err := s.checkAttributes(contentType, content); err != nil {
			return nil, err
		}
		if !sortedSet(s.signed) {
			notes = append(notes, "signed attributes are not in DER order")
		}
	}
	return notes, CheckSignature(cert.PublicKey, alg, message, s.Signature)
}

// algorithm maps the pair of digest and signature identifiers as peers write them to what is to be verified.
func (s *SignerInfo) algorithm(cert *Certificate) (SignatureAlgorithm, []string, error) {
	var notes []string
	alg := UnknownSignature
	switch key := cert.PublicKey.(type) {
	case *ecdsa.PublicKey:
		if !gm.IsSM2(key) {
			alg = map[OID]SignatureAlgorithm{OIDSHA256: ECDSAWithSHA256, OIDSHA384: ECDSAWithSHA384, OIDSHA512: ECDSAWithSHA512}[s.DigestAlgorithm]
			break
		}
		if s.DigestAlgorithm != OIDSM3 && s.DigestAlgorithm != OIDSM3Plain {
			break
		}
		switch s.SignatureOID {
		case OIDSM2Sign:
			return SM2WithSM3, nil, nil
		case OIDSM2WithSM3, OIDSM2:
			return SM2WithSM3, []string{"signature algorithm " + string(s.SignatureOID) + " instead of " + string(OIDSM2Sign)}, nil
		}
	case *rsa.PublicKey:
		alg = map[OID]SignatureAlgorithm{OIDSHA256: RSAWithSHA256, OIDSHA384: RSAWithSHA384, OIDSHA512: RSAWithSHA512}[s.DigestAlgorithm]
		if s.SignatureOID == OIDRSA {
			return alg, notes, checkKnown(alg, s)
		}
	}
	if alg != UnknownSignature && s.SignatureOID != alg.OID() {
		alg = UnknownSignature
	}
	return alg, notes, checkKnown(alg, s)
}

func checkKnown(alg SignatureAlgorithm, s *SignerInfo) error {
	if alg == UnknownSignature {
		return fmt.Errorf("digest %s with signature %s: %w", s.DigestAlgorithm, s.SignatureOID, ErrUnsupported)
	}
	return nil
}

// checkAttributes checks that the signed attributes speak of this content: its type and its digest (RFC 5652, 11).
func (s *SignerInfo) checkAttributes(contentType OID, content []byte) error {
	value, ok := s.Attribute(OIDContentType)
	in := cryptobyte.String(value)
	var named OID
	if !ok || !ReadOID(&in, &named) || !in.Empty() || named != contentType {
		return malformed("signed content type")
	}
	value, ok = s.Attribute(OIDMessageDigest)
	in = value
	var digest cryptobyte.String
	if !ok || !in.ReadASN1(&digest, cbasn1.OCTET_STRING) || !in.Empty() {
		return malformed("signed message digest")
	}
	want, ok := contentDigest(s.DigestAlgorithm, content)
	if !ok {
		return fmt.Errorf("digest %s: %w", s.DigestAlgorithm, ErrUnsupported)
	}
	if subtle.ConstantTimeCompare(digest, want) != 1 {
		return fmt.Errorf("message digest is of another content: %w", ErrSignature)
	}
	return nil
}

// contentDigest is idHash without SHA-1, with what foreign signers use besides.
func contentDigest(alg OID, data []byte) ([]byte, bool) {
	switch alg {
	case OIDSM3Plain:
		return idHash(OIDSM3, data)
	case OIDSM3, OIDSHA256:
		return idHash(alg, data)
	case OIDSHA384:
		sum := sha512.Sum384(data)
		return sum[:], true
	case OIDSHA512:
		sum := sha512.Sum512(data)
		return sum[:], true
	}
	return nil, false
}

// looksLikeAttributes tells whether content could be a SET of signed attributes. A signature over such attributes would
// verify as one over that content, so that content of this shape is neither signed nor accepted without attributes.
func looksLikeAttributes(content []byte) bool {
	in := cryptobyte.String(content)
	var set cryptobyte.String
	if !in.ReadASN1(&set, cbasn1.SET) || !in.Empty() || set.Empty() {
		return false
	}
	_, err := readAttributes(set)
	return err == nil
}

// sortedSet tells whether the elements of a SET OF stand in DER order.
func sortedSet(set []byte) bool {
	in := cryptobyte.String(set)
	var list, last cryptobyte.String
	if !in.ReadASN1(&list, cbasn1.SET) {
		return false
	}
	for !list.Empty() {
		var one cryptobyte.String
		var tag cbasn1.Tag
		if !list.ReadAnyASN1Element(&one, &tag) || bytes.Compare(last, one) > 0 {
			return false
		}
		last = one
	}
	return true
}
