package cmp

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"

	"hufu/certs"
	"hufu/internal/gm"
)

var confirmHashes = map[certs.OID]func() hash.Hash{
	certs.OIDSM3: gm.NewSM3, certs.OIDSHA256: sha256.New, certs.OIDSHA384: sha512.New384, certs.OIDSHA512: sha512.New,
}

var hashOfSignature = map[certs.SignatureAlgorithm]certs.OID{
	certs.SM2WithSM3:      certs.OIDSM3,
	certs.ECDSAWithSHA256: certs.OIDSHA256, certs.ECDSAWithSHA384: certs.OIDSHA384, certs.ECDSAWithSHA512: certs.OIDSHA512,
	certs.RSAWithSHA256: certs.OIDSHA256, certs.RSAWithSHA384: certs.OIDSHA384, certs.RSAWithSHA512: certs.OIDSHA512,
}

// CertHash returns the hash by which a confirmation names a certificate: that of the algorithm with which it was signed
// (RFC 4210, section 5.3.18), SM3 under SM2.
func CertHash(c *certs.Certificate) ([]byte, error) {
	return certHash(c, hashOfSignature[c.SignatureAlgorithm])
}

func certHash(c *certs.Certificate, algorithm certs.OID) ([]byte, error) {
	start := confirmHashes[algorithm]
	if start == nil {
		return nil, fmt.Errorf("hash %q of a confirmation: %w", algorithm, ErrUnsupported)
	}
	h := start()
	h.Write(c.Raw)
	return h.Sum(nil), nil
}

// Names tells whether the confirmation speaks of this certificate.
func (c Confirmation) Names(cert *certs.Certificate) bool {
	algorithm := hashOfSignature[cert.SignatureAlgorithm]
	if c.Algorithm.Raw != nil {
		algorithm = c.Algorithm.OID
	}
	sum, err := certHash(cert, algorithm)
	return err == nil && bytes.Equal(sum, c.Hash)
}
