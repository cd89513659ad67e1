package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/internal/gm"
)

// SignatureAlgorithm is a way to sign that this package can verify.
type SignatureAlgorithm int

// The algorithms. We sign with the first, second and third; the rest is verified only.
const (
	UnknownSignature SignatureAlgorithm = iota
	SM2WithSM3
	ECDSAWithSHA256
	RSAWithSHA256
	ECDSAWithSHA384
	ECDSAWithSHA512
	RSAWithSHA384
	RSAWithSHA512
)

type algorithmRow struct {
	name string
	oid  OID
	null bool // parameters are NULL (RSA) or absent (all others)
	hash crypto.Hash
}

var algorithms = map[SignatureAlgorithm]algorithmRow{
	SM2WithSM3:      {"SM2-with-SM3", OIDSM2WithSM3, false, 0},
	ECDSAWithSHA256: {"ECDSA-with-SHA256", OIDECDSAWithSHA256, false, crypto.SHA256},
	ECDSAWithSHA384: {"ECDSA-with-SHA384", OIDECDSAWithSHA384, false, crypto.SHA384},
	ECDSAWithSHA512: {"ECDSA-with-SHA512", OIDECDSAWithSHA512, false, crypto.SHA512},
	RSAWithSHA256:   {"RSA-with-SHA256", OIDRSAWithSHA256, true, crypto.SHA256},
	RSAWithSHA384:   {"RSA-with-SHA384", OIDRSAWithSHA384, true, crypto.SHA384},
	RSAWithSHA512:   {"RSA-with-SHA512", OIDRSAWithSHA512, true, crypto.SHA512},
}

// String returns the name of the algorithm.
func (a SignatureAlgorithm) String() string {
	if row, ok := algorithms[a]; ok {
		return row.name
	}
	return "unknown"
}

// OID returns the identifier, "" for UnknownSignature.
func (a SignatureAlgorithm) OID() OID { return algorithms[a].oid }

// SignatureAlgorithmByOID returns UnknownSignature for what we cannot verify.
func SignatureAlgorithmByOID(oid OID) SignatureAlgorithm {
	for a, row := range algorithms {
		if row.oid == oid {
			return a
		}
	}
	return UnknownSignature
}

// AddSignatureAlgorithm appends the AlgorithmIdentifier.
func AddSignatureAlgorithm(b *cryptobyte.Builder, a SignatureAlgorithm) {
	row, ok := algorithms[a]
	if !ok {
		b.SetError(fmt.Errorf("signature algorithm %d: %w", int(a), ErrUnsupported))
		return
	}
	AddAlgorithm(b, row.oid, row.null)
}

// AddAlgorithm appends an AlgorithmIdentifier with NULL or absent parameters.
func AddAlgorithm(b *cryptobyte.Builder, oid OID, null bool) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		AddOID(b, oid)
		if null {
			b.AddASN1NULL()
		}
	})
}

// AlgorithmIdentifier is an algorithm as found.
type AlgorithmIdentifier struct {
	OID    OID
	Params []byte // whole DER element, nil when absent
	Raw    []byte
}

// NullOrAbsent tells whether the parameters say nothing.
func (a AlgorithmIdentifier) NullOrAbsent() bool {
	return len(a.Params) == 0 || len(a.Params) == 2 && a.Params[0] == 5 && a.Params[1] == 0
}

// ReadAlgorithm reads an AlgorithmIdentifier with at most one parameter element.
func ReadAlgorithm(s *cryptobyte.String, out *AlgorithmIdentifier) bool {
	var raw, seq, params cryptobyte.String
	if !s.ReadASN1Element(&raw, cbasn1.SEQUENCE) {
		return false
	}
	out.Raw = raw
	in := raw
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !ReadOID(&seq, &out.OID) {
		return false
	}
	if seq.Empty() {
		out.Params = nil
		return true
	}
	var tag cbasn1.Tag
	if !seq.ReadAnyASN1Element(&params, &tag) || !seq.Empty() {
		return false
	}
	out.Params = params
	return true
}

// SigningAlgorithm returns the algorithm with which we sign under a key of this kind.
func SigningAlgorithm(pub crypto.PublicKey) (SignatureAlgorithm, error) {
	switch key := pub.(type) {
	case *ecdsa.PublicKey:
		if gm.IsSM2(key) {
			return SM2WithSM3, nil
		}
		if curveOID(key) == OIDP256 {
			return ECDSAWithSHA256, nil
		}
	case *rsa.PublicKey:
		return RSAWithSHA256, checkRSA(key)
	}
	return UnknownSignature, fmt.Errorf("signing key %T: %w", pub, ErrUnsupported)
}

// NewHash starts the digest that the algorithm signs. For SM2 it already holds Z_A of pub with the default id, so
// that Sum gives e; a long message can be streamed into it and its digest given to SignDigest or VerifyDigest.
func (a SignatureAlgorithm) NewHash(pub crypto.PublicKey) (hash.Hash, error) {
	if a == SM2WithSM3 {
		key, ok := pub.(*ecdsa.PublicKey)
		if !ok || !gm.IsSM2(key) {
			return nil, fmt.Errorf("%s with a key of another kind: %w", a, ErrSignature)
		}
		return gm.NewE(key, gm.DefaultID)
	}
	switch algorithms[a].hash {
	case crypto.SHA256:
		return sha256.New(), nil
	case crypto.SHA384:
		return sha512.New384(), nil
	case crypto.SHA512:
		return sha512.New(), nil
	}
	return nil, fmt.Errorf("signature algorithm %d: %w", int(a), ErrUnsupported)
}

// Sign signs a message with the algorithm that fits the signer's key, and verifies the signature before it returns it, unless
// the signer is gm.Verifying.
func Sign(signer crypto.Signer, message []byte) (SignatureAlgorithm, []byte, error) {
	pub := signer.Public()
	alg, err := SigningAlgorithm(pub)
	if err != nil {
		return UnknownSignature, nil, err
	}
	if alg == SM2WithSM3 {
		sig, err := gm.SignMessage(signer, message)
		return alg, sig, err
	}
	h, err := alg.NewHash(pub)
	if err != nil {
		return UnknownSignature, nil, err
	}
	h.Write(message)
	sig, err := SignDigest(signer, alg, h.Sum(nil))
	return alg, sig, err
}

// signerOptions is what tells a signer that it gets a finished digest.
func signerOptions(alg SignatureAlgorithm) crypto.SignerOpts {
	if alg == SM2WithSM3 {
		return gm.Digest
	}
	return algorithms[alg].hash
}

// SignDigest signs a finished digest (of NewHash) and verifies the signature before it returns it, unless the signer is
// gm.Verifying.
func SignDigest(signer crypto.Signer, alg SignatureAlgorithm, digest []byte) ([]byte, error) {
	sig, err := signer.Sign(rand.Reader, digest, signerOptions(alg))
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", alg, err)
	}
	if _, verified := signer.(gm.Verifying); verified {
		return sig, nil
	}
	if err := VerifyDigest(signer.Public(), alg, digest, sig); err != nil {
		return nil, fmt.Errorf("own signature with %s: %w", alg, err)
	}
	return sig, nil
}

// CheckSignature verifies a signature over a message; for SM2 with the default id. An SM2 key never
// verifies ECDSA and the reverse. RSA keys below 2048 bits give ErrWeak.
func CheckSignature(pub crypto.PublicKey, alg SignatureAlgorithm, message, sig []byte) error {
	h, err := alg.NewHash(pub)
	if err != nil {
		return err
	}
	h.Write(message)
	return VerifyDigest(pub, alg, h.Sum(nil), sig)
}

// VerifyDigest verifies a signature over a finished digest (of NewHash).
func VerifyDigest(pub crypto.PublicKey, alg SignatureAlgorithm, digest, sig []byte) error {
	row, known := algorithms[alg]
	if !known {
		return fmt.Errorf("signature algorithm %d: %w", int(alg), ErrUnsupported)
	}
	good := false
	switch key := pub.(type) {
	case *ecdsa.PublicKey:
		switch {
		case alg == SM2WithSM3:
			good = gm.IsSM2(key) && gm.VerifyE(key, digest, sig)
		case !row.null && !gm.IsSM2(key):
			good = ecdsa.VerifyASN1(key, digest, sig)
		}
	case *rsa.PublicKey:
		if !row.null {
			break
		}
		if err := checkRSA(key); err != nil {
			return err
		}
		good = rsa.VerifyPKCS1v15(key, row.hash, digest, sig) == nil
	default:
		return fmt.Errorf("public key %T: %w", pub, ErrUnsupported)
	}
	if !good {
		return fmt.Errorf("%s: %w", alg, ErrSignature)
	}
	return nil
}

// explainID turns a failed SM2 signature into ErrWrongID when it verifies under the empty id.
func explainID(err error, pub crypto.PublicKey, alg SignatureAlgorithm, message, sig []byte) error {
	key, ok := pub.(*ecdsa.PublicKey)
	if errors.Is(err, ErrSignature) && alg == SM2WithSM3 && ok && gm.IsSM2(key) && gm.VerifyID(key, nil, message, sig) {
		return ErrWrongID
	}
	return err
}
