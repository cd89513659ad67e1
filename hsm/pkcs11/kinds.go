//go:build cgo

package pkcs11

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/asn1"
	"math/big"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
	"hufu/internal/gm"
)

// public reads the public half of an object; nil where the driver has no use for such a key.
func (p *Profile) public(o object) (string, crypto.PublicKey) {
	switch kind := o.number(p11.CKA_KEY_TYPE); {
	case kind == p11.CKK_RSA:
		n, e := new(big.Int).SetBytes(o.attrs[p11.CKA_MODULUS]), new(big.Int).SetBytes(o.attrs[p11.CKA_PUBLIC_EXPONENT])
		algorithm := map[int]string{2048: hsm.RSA2048, 3072: hsm.RSA3072}[n.BitLen()]
		if algorithm == "" || e.BitLen() > 31 || e.Int64() < 3 {
			return "", nil
		}
		return algorithm, &rsa.PublicKey{N: n, E: int(e.Int64())}
	case kind == p11.CKK_EC, p.Codes.KeySM2 != 0 && kind == p.Codes.KeySM2:
		return ecPublic(o.attrs[p11.CKA_EC_POINT], o.attrs[p11.CKA_EC_PARAMS], kind != p11.CKK_EC)
	}
	return "", nil
}

// Curves as CKA_EC_PARAMS names them.
var (
	paramsSM2  = []byte{0x06, 0x08, 0x2A, 0x81, 0x1C, 0xCF, 0x55, 0x01, 0x82, 0x2D}
	paramsP256 = []byte{0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07}
)

// ecPublic reads a point, bare or in an OCTET STRING; a vendor's SM2 key may lack the name of its curve.
func ecPublic(point, params []byte, sm2 bool) (string, crypto.PublicKey) {
	var inner []byte
	if rest, err := asn1.Unmarshal(point, &inner); err == nil && len(rest) == 0 && len(inner) == 65 {
		point = inner
	}
	if len(point) == 64 {
		point = append([]byte{4}, point...)
	}
	switch {
	case bytes.Equal(params, paramsSM2) || sm2 && len(params) == 0:
		if pub, err := gm.PublicKey(point); err == nil {
			return hsm.SM2, pub
		}
	case bytes.Equal(params, paramsP256):
		if pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point); err == nil {
			return hsm.P256, pub
		}
	}
	return "", nil
}

// useOf derives the one use of a key pair from its attributes. A vendor's console may have allowed more than one; then it signs.
func useOf(algorithm string, private object) string {
	switch {
	case private.flag(p11.CKA_SIGN):
		return hsm.UseSign
	case algorithm == hsm.SM2 && (private.flag(p11.CKA_DECRYPT) || private.flag(p11.CKA_DERIVE)):
		return hsm.UseDecrypt
	}
	return ""
}

// secret makes a key of a secret object; nil where the driver has no use for it.
func (s *session) secret(o object) *key {
	p := s.d.profile
	kind := o.number(p11.CKA_KEY_TYPE)
	algorithm, use := "", hsm.UseWrap
	switch {
	case readNote(o.id()).kind == kindInside:
		return nil
	case kind == p11.CKK_AES && o.number(p11.CKA_VALUE_LEN) == 32:
		algorithm = hsm.AES256
	case p.Codes.KeySM4 != 0 && kind == p.Codes.KeySM4:
		algorithm = hsm.SM4
	case kind == p.hmacKeyType() && p.Codes.HMACSM3 != 0:
		algorithm, use = hsm.HMACSM3, hsm.UseMAC
	}
	needs := uint(p11.CKA_ENCRYPT)
	if use == hsm.UseMAC {
		needs = p11.CKA_SIGN
	}
	if algorithm == "" || !o.flag(needs) {
		return nil
	}
	return s.newKey(o, algorithm, use, nil)
}

func (p *Profile) hmacKeyType() uint {
	if p.Codes.KeyHMACSM3 != 0 {
		return p.Codes.KeyHMACSM3
	}
	return p11.CKK_GENERIC_SECRET
}
