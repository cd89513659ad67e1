package certs

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"

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
