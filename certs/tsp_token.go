package certs

import (
	"bytes"
	"crypto"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// TimeStamp is a parsed time-stamp token. What Info says may not be believed before Verify.
type TimeStamp struct {
	Info   *TimeStampInfo
	Signed *SignedData
}

// BuildTimeStamp signs a token: a SignedData over TSTInfo, with GB/T 35275 types under an SM2 key, whose signed attributes
// bind the authority's certificate. withCertificate is what the request asked for.
func BuildTimeStamp(info TimeStampInfo, tsa *Certificate, signer crypto.Signer, withCertificate bool) ([]byte, error) {
	if !isTimeStampCertificate(tsa) {
		return nil, fmt.Errorf("time-stamp: extended key usage must be time-stamping alone and critical: %w", ErrWrongIssuer)
	}
	if err := current("time-stamp certificate", tsa.NotBefore, tsa.NotAfter, info.Time); err != nil {
		return nil, err
	}
	content, err := info.marshal()
	if err != nil {
		return nil, fmt.Errorf("time-stamp: %w", err)
	}
	hash := OIDSHA256
	if alg, err := SigningAlgorithm(signer.Public()); err == nil && alg == SM2WithSM3 {
		hash = OIDSM3
	}
	bound, err := signingCertificate(hash, tsa)
	if err != nil {
		return nil, fmt.Errorf("time-stamp: %w", err)
	}
	return BuildSignedData(SignedDataTemplate{
		Content: content, ContentType: OIDTSTInfo, SigningTime: info.Time,
		Attributes:  []CMSAttribute{{OIDSigningCertificateV2, [][]byte{bound}}},
		Certificate: tsa, OmitCertificates: !withCertificate,
	}, signer)
}

// signingCertificate returns SigningCertificateV2 of one certificate (RFC 5035). SHA-256 is the default and left out.
func signingCertificate(hash OID, c *Certificate) ([]byte, error) {
	digest, _ := idHash(hash, c.Raw)
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				if hash != OIDSHA256 {
					AddAlgorithm(b, hash, false)
				}
				b.AddASN1OctetString(digest)
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1(cbasn1.Tag(4).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(c.RawIssuer) })
					})
					b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(c.Serial) })
				})
			})
		})
	})
	return b.Bytes()
}

// isTimeStampCertificate: time-stamping is the only extended key usage, and critical (RFC 3161, 2.3).
func isTimeStampCertificate(c *Certificate) bool {
	if len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != OIDTimeStamping || c.IsCA {
		return false
	}
	for _, e := range c.Extensions {
		if e.ID == OIDExtKeyUsage {
			return e.Critical
		}
	}
	return false
}

// ParseTimeStamp reads a token. Both outer types are taken, that of CMS and that of GB/T 35275.
func ParseTimeStamp(der []byte) (*TimeStamp, error) {
	if len(der) > MaxTimeStampTokenSize {
		return nil, fmt.Errorf("time-stamp of %d octets: %w", len(der), ErrTooLarge)
	}
	signed, err := ParseSignedData(der)
	if err != nil {
		return nil, fmt.Errorf("time-stamp: %w", err)
	}
	if signed.ContentType != OIDTSTInfo || signed.Detached || len(signed.Signers) != 1 || signed.Signers[0].Attributes == nil {
		return nil, malformed("time-stamp: content type, signer or attributes")
	}
	info, err := parseTimeStampInfo(signed.Content)
	if err != nil {
		return nil, err
	}
	return &TimeStamp{Info: info, Signed: signed}, nil
}

// Verify checks that the token stamps message, that its signature holds, that it is from a time-stamp certificate which
// was valid then, and that it is not from the future of at. It returns that certificate with remarks on the form; whether
// the certificate is trusted and was not revoked at Info.Time is Validate's question. more are certificates to look in.
func (t *TimeStamp) Verify(message []byte, at time.Time, more ...*Certificate) (*Certificate, []string, error) {
	if err := checkImprint(t.Info.Hash, t.Info.Imprint); err != nil {
		return nil, nil, fmt.Errorf("time-stamp: %w", err)
	}
	if !t.Info.Stamps(message) {
		return nil, nil, fmt.Errorf("time-stamp is of something else: %w", ErrSignature)
	}
	if t.Info.Time.After(at) {
		return nil, nil, fmt.Errorf("time-stamp of %s, checked at %s: %w", t.Info.Time.Format(time.RFC3339), at.UTC().Format(time.RFC3339), ErrNotYet)
	}
	who, err := t.Signed.Verify(nil, more...)
	if err != nil {
		return nil, nil, fmt.Errorf("time-stamp: %w", err)
	}
	cert, notes := who[0].Certificate, who[0].NonStandard
	if !isTimeStampCertificate(cert) {
		return nil, nil, fmt.Errorf("time-stamp by %s, whose extended key usage is not time-stamping alone and critical: %w", cert.Subject, ErrWrongIssuer)
	}
	if err := current("time-stamp certificate", cert.NotBefore, cert.NotAfter, t.Info.Time); err != nil {
		return nil, nil, err
	}
	note, err := t.checkBinding(cert)
	if err != nil {
		return nil, nil, err
	}
	if note != "" {
		notes = append(notes, note)
	}
	return cert, notes, nil
}

// checkBinding holds the certificate against the signed attribute that names it.
func (t *TimeStamp) checkBinding(cert *Certificate) (note string, err error) {
	signer := &t.Signed.Signers[0]
	hash, value := OIDSHA256, []byte(nil)
	var ok bool
	if value, ok = signer.Attribute(OIDSigningCertificateV2); !ok {
		if value, ok = signer.Attribute(OIDSigningCertificate); !ok {
			return "time-stamp does not bind its certificate", nil
		}
		hash, note = OIDSHA1, "time-stamp binds its certificate by SHA-1"
	}
	in := cryptobyte.String(value)
	var outer, list, first, digest cryptobyte.String
	if !in.ReadASN1(&outer, cbasn1.SEQUENCE) || !in.Empty() || !outer.ReadASN1(&list, cbasn1.SEQUENCE) || !list.ReadASN1(&first, cbasn1.SEQUENCE) {
		return "", malformed("time-stamp: signing certificate")
	}
	if first.PeekASN1Tag(cbasn1.SEQUENCE) {
		var alg AlgorithmIdentifier
		if !ReadAlgorithm(&first, &alg) {
			return "", malformed("time-stamp: signing certificate")
		}
		hash = alg.OID
	}
	want, known := contentDigest(hash, cert.Raw)
	if hash == OIDSHA1 {
		want, known = idHash(hash, cert.Raw)
	}
	if !known {
		return "", fmt.Errorf("time-stamp: signing certificate by hash %s: %w", hash, ErrUnsupported)
	}
	if !first.ReadASN1(&digest, cbasn1.OCTET_STRING) || !bytes.Equal(digest, want) {
		return "", fmt.Errorf("time-stamp names another certificate as its signer's: %w", ErrSignature)
	}
	return note, nil
}
