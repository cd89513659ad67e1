package certs

import (
	"bytes"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// BuildCertificates writes a SignedData without content and signers that carries certificates alone ("certs-only", RFC 5652,
// section 5; EST and SCEP hand certificates out in it). The types are those of PKCS#7, which every peer reads.
func BuildCertificates(list []*Certificate) ([]byte, error) {
	raw := make([][]byte, len(list))
	for i, c := range list {
		raw[i] = c.Raw
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		AddOID(b, OIDSignedData)
		b.AddASN1(contextConstructed(0), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddASN1(cbasn1.SET, func(*cryptobyte.Builder) {})
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { AddOID(b, OIDData) })
				AddSetOf(b, contextConstructed(0), raw)
				b.AddASN1(cbasn1.SET, func(*cryptobyte.Builder) {})
			})
		})
	})
	return b.Bytes()
}

// ParseCertificates reads such a SignedData of PKCS#7 or GB/T 35275, in the order of its certificates. Nothing in it is
// signed: whoever hands it over vouches for it.
func ParseCertificates(der []byte) ([]*Certificate, error) {
	if len(der) > MaxDualResponseSize {
		return nil, fmt.Errorf("certificates of %d octets: %w", len(der), ErrTooLarge)
	}
	in := cryptobyte.String(bytes.Clone(der))
	var outer, explicit, s, digests, content, list, signers cryptobyte.String
	var kind, inner OID
	var version int
	if !in.ReadASN1(&outer, cbasn1.SEQUENCE) || !in.Empty() || !ReadOID(&outer, &kind) || kind != OIDSignedData && kind != OIDGMSignedData ||
		!outer.ReadASN1(&explicit, contextConstructed(0)) || !outer.Empty() || !explicit.ReadASN1(&s, cbasn1.SEQUENCE) || !explicit.Empty() {
		return nil, malformed("certificates: outer structure")
	}
	if !s.ReadASN1Integer(&version) || !s.ReadASN1(&digests, cbasn1.SET) || !digests.Empty() || !s.ReadASN1(&content, cbasn1.SEQUENCE) ||
		!ReadOID(&content, &inner) || inner != OIDData && inner != OIDGMData || !content.Empty() || !s.ReadASN1(&list, contextConstructed(0)) {
		return nil, malformed("certificates: SignedData with content or without certificates")
	}
	if s.PeekASN1Tag(contextConstructed(1)) && !s.SkipASN1(contextConstructed(1)) || !s.ReadASN1(&signers, cbasn1.SET) || !signers.Empty() || !s.Empty() {
		return nil, malformed("certificates: SignedData with signers")
	}
	var all []*Certificate
	for !list.Empty() {
		var one cryptobyte.String
		if len(all) == maxListEntries || !list.ReadASN1Element(&one, cbasn1.SEQUENCE) {
			return nil, malformed("certificates: list")
		}
		c, err := ParseLenient(one)
		if err != nil {
			return nil, fmt.Errorf("certificates: %w", err)
		}
		all = append(all, c)
	}
	return all, nil
}
