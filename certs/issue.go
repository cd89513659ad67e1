package certs

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/internal/gm"
)

var errOtherTBS = errors.New("the certificate is not what was to be signed")

// SignTBS signs a TBSCertificate once, reads the certificate that comes of it as a relying party would, compares what it
// says with what was to be signed, octet by octet, and verifies the signature with the signer's key, unless the signer has.
func SignTBS(signer crypto.Signer, tbs []byte) (*Certificate, error) {
	alg, err := SigningAlgorithm(signer.Public())
	if err != nil {
		return nil, err
	}
	h, err := alg.NewHash(signer.Public())
	if err != nil {
		return nil, err
	}
	h.Write(tbs)
	sig, err := signer.Sign(rand.Reader, h.Sum(nil), signerOptions(alg))
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", alg, err)
	}
	der, err := Assemble(tbs, alg, sig)
	if err != nil {
		return nil, err
	}
	c, err := Parse(der) // refuses another algorithm in tbs
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(c.RawTBS, tbs) {
		return nil, errOtherTBS
	}
	if _, ok := signer.(gm.Verifying); ok && c.SignatureAlgorithm == alg {
		return c, nil
	}
	return c, c.CheckSignatureKey(signer.Public())
}

// Assemble joins a to-be-signed part, of a certificate or a request, and its signature. It verifies neither the signature nor
// that a certificate's part names the same algorithm, which Parse does.
func Assemble(tbs []byte, alg SignatureAlgorithm, sig []byte) ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, len(tbs)+len(sig)+32))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		AddSignatureAlgorithm(b, alg)
		b.AddASN1BitString(sig)
	})
	return b.Bytes()
}

// Create builds, signs with signer and parses back: for the few places where the issuing key is at hand and no
// intent has to be stored between (test authorities, self-signed roots, the demonstration).
func Create(t Template, signer crypto.Signer) (*Certificate, error) {
	alg, err := SigningAlgorithm(signer.Public())
	if err != nil {
		return nil, err
	}
	t.SignatureAlgorithm = alg
	tbs, err := BuildTBS(t)
	if err != nil {
		return nil, err
	}
	_, sig, err := Sign(signer, tbs)
	if err != nil {
		return nil, err
	}
	der, err := Assemble(tbs, alg, sig)
	if err != nil {
		return nil, err
	}
	return Parse(der)
}
