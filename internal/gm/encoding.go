package gm

import (
	"crypto/ecdsa"
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// strictSignature reports whether sig is SEQUENCE{ INTEGER r, INTEGER s } in DER, both positive and at most 32 octets, and nothing else.
func strictSignature(sig []byte) bool {
	_, err := RawSignature(sig)
	return err == nil
}

// RawSignature turns a DER signature into r ‖ s, 64 octets, as JWS and most devices write it. Only strict DER is taken.
func RawSignature(der []byte) ([]byte, error) {
	input, raw := cryptobyte.String(der), make([]byte, 64)
	var seq cryptobyte.String
	if !input.ReadASN1(&seq, cbasn1.SEQUENCE) || !input.Empty() ||
		!readScalar(&seq, raw[:32]) || !readScalar(&seq, raw[32:]) || !seq.Empty() {
		return nil, fmt.Errorf("SM2 signature: %w", ErrEncoding)
	}
	return raw, nil
}

// DERSignature is the inverse of RawSignature. It takes exactly 64 octets with r and s not zero.
func DERSignature(raw []byte) ([]byte, error) {
	if len(raw) != 64 || isZero(raw[:32]) || isZero(raw[32:]) {
		return nil, fmt.Errorf("SM2 signature as r ‖ s: %w", ErrEncoding)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addScalar(b, raw[:32])
		addScalar(b, raw[32:])
	})
	return b.Bytes()
}

// readScalar reads a positive DER INTEGER of at most 32 octets into out, right-aligned.
func readScalar(s *cryptobyte.String, out []byte) bool {
	var v cryptobyte.String
	if !s.ReadASN1(&v, cbasn1.INTEGER) || len(v) == 0 || v[0]&0x80 != 0 {
		return false
	}
	if v[0] == 0 {
		if len(v) == 1 || v[1]&0x80 == 0 { // zero, or not minimal
			return false
		}
		v = v[1:]
	}
	if len(v) > len(out) {
		return false
	}
	copy(out[len(out)-len(v):], v)
	return true
}

func addScalar(b *cryptobyte.Builder, v []byte) {
	for len(v) > 1 && v[0] == 0 {
		v = v[1:]
	}
	b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) {
		if v[0]&0x80 != 0 {
			b.AddUint8(0)
		}
		b.AddBytes(v)
	})
}

func isZero(b []byte) bool {
	var or byte
	for _, x := range b {
		or |= x
	}
	return or == 0
}

// strictCiphertext reports whether c is SEQUENCE{ x, y INTEGER, C3 OCTET STRING (32), C2 OCTET STRING } in DER (GM/T 0009
// clause 7.2) with a point on the curve. The check comes before any use of the private key, so that no point off the
// curve ever meets d.
func strictCiphertext(c []byte) bool {
	input := cryptobyte.String(c)
	var seq, c3, c2 cryptobyte.String
	point := make([]byte, 65)
	point[0] = 4
	if !input.ReadASN1(&seq, cbasn1.SEQUENCE) || !input.Empty() ||
		!readScalar(&seq, point[1:33]) || !readScalar(&seq, point[33:]) ||
		!seq.ReadASN1(&c3, cbasn1.OCTET_STRING) || len(c3) != 32 ||
		!seq.ReadASN1(&c2, cbasn1.OCTET_STRING) || len(c2) == 0 || !seq.Empty() {
		return false
	}
	_, err := PublicKey(point)
	return err == nil
}

var (
	oidECPublicKey = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
	oidSM2Curve    = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 301}
)

// MarshalPKCS8 writes the key as an unencrypted PrivateKeyInfo with the public half inside (RFC 5208, RFC 5915), as
// openssl does. The caller owns the bytes and clears them after use.
func MarshalPKCS8(k *PrivateKey) ([]byte, error) {
	d := k.Bytes()
	defer clear(d)
	var inner, b cryptobyte.Builder
	inner.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1OctetString(d)
		b.AddASN1(cbasn1.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
			b.AddASN1BitString(Point(k.Public().(*ecdsa.PublicKey)))
		})
	})
	ec, err := inner.Bytes()
	if err != nil {
		return nil, err
	}
	defer clear(ec)
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oidECPublicKey)
			b.AddASN1ObjectIdentifier(oidSM2Curve)
		})
		b.AddASN1OctetString(ec)
	})
	return b.Bytes()
}

// ParsePKCS8 reads an unencrypted SM2 PrivateKeyInfo. A public half inside must belong to d; attributes are refused.
func ParsePKCS8(der []byte) (*PrivateKey, error) {
	bad := fmt.Errorf("PKCS #8 private key: %w", ErrEncoding)
	input := cryptobyte.String(der)
	var info, alg, octets cryptobyte.String
	var version int
	var keyType, curve asn1.ObjectIdentifier
	if !input.ReadASN1(&info, cbasn1.SEQUENCE) || !input.Empty() ||
		!info.ReadASN1Integer(&version) || version != 0 ||
		!info.ReadASN1(&alg, cbasn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&keyType) || !alg.ReadASN1ObjectIdentifier(&curve) || !alg.Empty() ||
		!info.ReadASN1(&octets, cbasn1.OCTET_STRING) || !info.Empty() {
		return nil, bad
	}
	// openssl up to 3.0 writes the key type of SM2 as the curve's own identifier in some builds; both name one thing.
	if !curve.Equal(oidSM2Curve) || (!keyType.Equal(oidECPublicKey) && !keyType.Equal(oidSM2Curve)) {
		return nil, ErrKey
	}
	return parseECPrivateKey(octets, bad)
}

// parseECPrivateKey reads the ECPrivateKey of RFC 5915.
func parseECPrivateKey(octets cryptobyte.String, bad error) (*PrivateKey, error) {
	var seq, d, params, public cryptobyte.String
	var version int
	var hasParams, hasPublic bool
	if !octets.ReadASN1(&seq, cbasn1.SEQUENCE) || !octets.Empty() ||
		!seq.ReadASN1Integer(&version) || version != 1 || !seq.ReadASN1(&d, cbasn1.OCTET_STRING) ||
		!seq.ReadOptionalASN1(&params, &hasParams, cbasn1.Tag(0).Constructed().ContextSpecific()) ||
		!seq.ReadOptionalASN1(&public, &hasPublic, cbasn1.Tag(1).Constructed().ContextSpecific()) || !seq.Empty() {
		return nil, bad
	}
	if hasParams {
		var curve asn1.ObjectIdentifier
		if !params.ReadASN1ObjectIdentifier(&curve) || !params.Empty() {
			return nil, bad
		}
		if !curve.Equal(oidSM2Curve) {
			return nil, ErrKey
		}
	}
	k, err := NewPrivateKey(d)
	if err != nil || !hasPublic {
		return k, err
	}
	var point []byte
	if !public.ReadASN1BitStringAsBytes(&point) || !public.Empty() {
		return nil, bad
	}
	if string(point) != string(Point(k.Public().(*ecdsa.PublicKey))) {
		return nil, fmt.Errorf("public half belongs to another key: %w", ErrKey)
	}
	return k, nil
}
