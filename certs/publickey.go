package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/internal/gm"
)

// Sizes of RSA keys: what is relied on, and what is read at all.
const (
	minRSABits  = 2048
	readRSABits = 1024
	maxRSABits  = 8192
)

// curveOID names the curve of a key, "" when we do not take it.
func curveOID(key *ecdsa.PublicKey) OID {
	switch {
	case gm.IsSM2(key):
		return OIDSM2
	case key.Curve == elliptic.P256():
		return OIDP256
	case key.Curve == elliptic.P384():
		return OIDP384
	case key.Curve == elliptic.P521():
		return OIDP521
	}
	return ""
}

// checkRSA refuses keys that must not be relied on.
func checkRSA(key *rsa.PublicKey) error {
	if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
		return fmt.Errorf("RSA key of %d bits: %w", bits, ErrWeak)
	}
	return nil
}

// keyStrength refuses a key that is read but must not be relied on.
func keyStrength(pub crypto.PublicKey) error {
	if key, ok := pub.(*rsa.PublicKey); ok {
		return checkRSA(key)
	}
	return nil
}

// SameKey tells whether two public keys are equal.
func SameKey(a, b crypto.PublicKey) bool {
	switch a := a.(type) {
	case *ecdsa.PublicKey:
		return a.Equal(b)
	case *rsa.PublicKey:
		return a.Equal(b)
	}
	return false
}

// MarshalPublicKey returns the SubjectPublicKeyInfo of an SM2, P-256, P-384, P-521 or RSA key.
func MarshalPublicKey(pub crypto.PublicKey) ([]byte, error) {
	var b cryptobyte.Builder
	switch key := pub.(type) {
	case *ecdsa.PublicKey:
		curve := curveOID(key)
		if curve == "" {
			return nil, ErrCurve
		}
		point, err := publicPoint(key)
		if err != nil {
			return nil, err
		}
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				AddOID(b, OIDECPublicKey)
				AddOID(b, curve)
			})
			b.AddASN1BitString(point)
		})
	case *rsa.PublicKey:
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			AddAlgorithm(b, OIDRSA, true)
			b.AddASN1BitString(marshalRSA(key))
		})
	default:
		return nil, fmt.Errorf("public key %T: %w", pub, ErrUnsupported)
	}
	return b.Bytes()
}

func publicPoint(key *ecdsa.PublicKey) ([]byte, error) {
	if gm.IsSM2(key) {
		return gm.Point(key), nil
	}
	point, err := key.Bytes()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCurve, err)
	}
	return point, nil
}

func marshalRSA(key *rsa.PublicKey) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(key.N)
		b.AddASN1Int64(int64(key.E))
	})
	return b.BytesOrPanic()
}

// ParsePublicKey reads a SubjectPublicKeyInfo. The point must be on its curve and uncompressed; else ErrCurve.
func ParsePublicKey(spki []byte) (crypto.PublicKey, error) {
	in := cryptobyte.String(spki)
	pub, err := readPublicKey(&in)
	if err == nil && !in.Empty() {
		return nil, fmt.Errorf("public key: %w", ErrTrailing)
	}
	return pub, err
}

func readPublicKey(s *cryptobyte.String) (crypto.PublicKey, error) {
	var seq cryptobyte.String
	var alg AlgorithmIdentifier
	var bits []byte
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !ReadAlgorithm(&seq, &alg) || !seq.ReadASN1BitStringAsBytes(&bits) || !seq.Empty() {
		return nil, malformed("subject public key info")
	}
	switch alg.OID {
	case OIDECPublicKey:
		params := cryptobyte.String(alg.Params)
		var curve OID
		if !ReadOID(&params, &curve) || !params.Empty() {
			return nil, fmt.Errorf("curve parameters: %w", ErrCurve)
		}
		return parsePoint(curve, bits)
	case OIDRSA:
		if !alg.NullOrAbsent() {
			return nil, malformed("RSA parameters")
		}
		return parseRSA(bits)
	}
	return nil, fmt.Errorf("public key algorithm %s: %w", alg.OID, ErrUnsupported)
}

func parsePoint(curve OID, point []byte) (crypto.PublicKey, error) {
	var named elliptic.Curve
	switch curve {
	case OIDSM2:
		key, err := gm.PublicKey(point)
		if err != nil {
			return nil, fmt.Errorf("SM2 point: %w: %w", ErrCurve, err)
		}
		return key, nil
	case OIDP256:
		named = elliptic.P256()
	case OIDP384:
		named = elliptic.P384()
	case OIDP521:
		named = elliptic.P521()
	default:
		return nil, fmt.Errorf("curve %s: %w", curve, ErrCurve)
	}
	key, err := ecdsa.ParseUncompressedPublicKey(named, point)
	if err != nil {
		return nil, fmt.Errorf("point: %w: %w", ErrCurve, err)
	}
	return key, nil
}

func parseRSA(der []byte) (crypto.PublicKey, error) {
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	n := new(big.Int)
	var e int64
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Integer(n) || !seq.ReadASN1Integer(&e) || !seq.Empty() {
		return nil, malformed("RSA public key")
	}
	if n.Sign() <= 0 || n.BitLen() < readRSABits || n.BitLen() > maxRSABits || n.Bit(0) == 0 {
		return nil, fmt.Errorf("RSA modulus of %d bits: %w", n.BitLen(), ErrWeak)
	}
	if e < 3 || e > 1<<31-1 || e&1 == 0 {
		return nil, malformed("RSA exponent %d", e)
	}
	return &rsa.PublicKey{N: n, E: int(e)}, nil
}
