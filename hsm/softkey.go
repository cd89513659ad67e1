package hsm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"

	"hufu/internal/gm"
)

// generate makes the private part of a key, encoded as a key file keeps it, and the encoded public half.
// SM2 and P-256: d, 32 octets. RSA: PKCS#1. SM4 and HMAC-SM3: the key itself.
func generate(algorithm string) (private, public []byte, err error) {
	switch algorithm {
	case SM2:
		k, err := gm.GenerateKey()
		if err != nil {
			return nil, nil, err
		}
		return k.Bytes(), gm.Point(k.Public().(*ecdsa.PublicKey)), nil
	case P256:
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		if private, err = k.Bytes(); err != nil {
			return nil, nil, err
		}
		public, err = k.PublicKey.Bytes()
		return private, public, err
	case RSA2048, RSA3072:
		k, err := rsa.GenerateKey(rand.Reader, rsaBits[algorithm])
		if err != nil {
			return nil, nil, err
		}
		return x509.MarshalPKCS1PrivateKey(k), x509.MarshalPKCS1PublicKey(&k.PublicKey), nil
	case SM4, AES256, HMACSM3:
		private = make([]byte, secretLen[algorithm])
		_, err = rand.Read(private)
		return private, nil, err
	}
	return nil, nil, ErrMechanism.With("algorithm %q", algorithm)
}

var (
	rsaBits   = map[string]int{RSA2048: 2048, RSA3072: 3072}
	secretLen = map[string]int{SM4: gm.KeySize, AES256: 32, HMACSM3: 32}
)

// parsePublic decodes the public half of a key file; nil for a secret key.
func parsePublic(algorithm string, b []byte) (crypto.PublicKey, error) {
	switch algorithm {
	case SM2:
		return gm.PublicKey(b)
	case P256:
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), b)
	case RSA2048, RSA3072:
		pub, err := x509.ParsePKCS1PublicKey(b)
		if err == nil && pub.N.BitLen() != rsaBits[algorithm] {
			err = fmt.Errorf("RSA key of %d bits", pub.N.BitLen())
		}
		return pub, err
	}
	if len(b) != 0 {
		return nil, errors.New("a secret key has no public half")
	}
	return nil, nil
}

// opened is a key whose private part is in memory.
type opened struct {
	signer crypto.Signer  // SM2, P-256, RSA
	sm2    *gm.PrivateKey // SM2
	secret []byte         // SM4, HMAC-SM3; cleared on close
}

// parsePrivate decodes the private part and holds it against the public half.
func parsePrivate(algorithm string, private []byte, public crypto.PublicKey) (*opened, error) {
	o := new(opened)
	var err error
	switch algorithm {
	case SM2:
		o.sm2, err = gm.NewPrivateKey(private)
		o.signer = o.sm2
	case P256:
		o.signer, err = ecdsa.ParseRawPrivateKey(elliptic.P256(), private)
	case RSA2048, RSA3072:
		o.signer, err = x509.ParsePKCS1PrivateKey(private)
	default:
		if len(private) != secretLen[algorithm] {
			return nil, fmt.Errorf("secret key of %d octets", len(private))
		}
		o.secret = append([]byte(nil), private...)
		return o, nil
	}
	if err != nil {
		return nil, err
	}
	if !samePublic(o.signer.Public(), public) {
		return nil, errors.New("private and public half do not belong together")
	}
	return o, nil
}

func samePublic(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}
