package certs

import (
	"crypto"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// MaxDualResponseSize bounds a dual-certificate response.
const MaxDualResponseSize = 1 << 20

// DualResponse delivers a pair of certificates with the encryption key (GM/T 0092 section 8). The envelope is opaque to
// whoever passes it on: it was made inside the key management centre for the holder's signing key.
type DualResponse struct {
	Sign     []*Certificate
	Envelope []byte // SM2EnvelopedKey; nil when only a signing certificate is delivered
	Encrypt  []*Certificate
}

// BuildDualResponse writes a response with one certificate each: peers take the first of a sorted SET for the holder's,
// so that sending a CA along breaks them whenever it sorts first. envelope and encrypt are both there or both absent.
func BuildDualResponse(sign *Certificate, envelope []byte, encrypt *Certificate) ([]byte, error) {
	if sign == nil || (envelope == nil) != (encrypt == nil) {
		return nil, malformed("dual response: a part is missing")
	}
	if encrypt != nil {
		key, err := ParseEnvelopedKey(envelope)
		if err != nil {
			return nil, fmt.Errorf("dual response: %w", err)
		}
		if !SameKey(encrypt.PublicKey, key.PublicKey) {
			return nil, fmt.Errorf("dual response: envelope and encryption certificate are of two keys: %w", ErrEnvelope)
		}
		if SameKey(encrypt.PublicKey, sign.PublicKey) {
			return nil, fmt.Errorf("dual response: one key in both certificates: %w", ErrEnvelope)
		}
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(sign.Raw) })
		if encrypt != nil {
			b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(envelope) })
			b.AddASN1(cbasn1.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(encrypt.Raw) })
		}
	})
	return b.Bytes()
}

// ParseDualResponse reads a response; certificates leniently, in the order found.
func ParseDualResponse(der []byte) (*DualResponse, error) {
	if len(der) > MaxDualResponseSize {
		return nil, fmt.Errorf("dual response of %d octets: %w", len(der), ErrTooLarge)
	}
	input := cryptobyte.String(der)
	var fields, sign, envelope, encrypt cryptobyte.String
	var hasEnvelope, hasEncrypt bool
	if !input.ReadASN1(&fields, cbasn1.SEQUENCE) || !fields.ReadASN1(&sign, cbasn1.SET) ||
		!fields.ReadOptionalASN1(&envelope, &hasEnvelope, cbasn1.Tag(0).Constructed().ContextSpecific()) ||
		!fields.ReadOptionalASN1(&encrypt, &hasEncrypt, cbasn1.Tag(1).Constructed().ContextSpecific()) || !fields.Empty() {
		return nil, malformed("dual response")
	}
	if !input.Empty() {
		return nil, fmt.Errorf("dual response: %w", ErrTrailing)
	}
	r := new(DualResponse)
	var err error
	if r.Sign, err = readCertificates(sign, maxCMSCertificates); err != nil {
		return nil, fmt.Errorf("dual response: %w", err)
	}
	if r.Encrypt, err = readCertificates(encrypt, maxCMSCertificates); err != nil {
		return nil, fmt.Errorf("dual response: %w", err)
	}
	if len(r.Sign) == 0 || hasEnvelope && len(r.Encrypt) == 0 {
		return nil, malformed("dual response: a certificate is missing")
	}
	if hasEnvelope {
		if _, err := ParseEnvelopedKey(envelope); err != nil {
			return nil, fmt.Errorf("dual response: %w", err)
		}
		r.Envelope = envelope
	}
	return r, nil
}

// Leaves finds the holder's two certificates among what was sent, whatever their order: the signing one by the holder's
// public key, the encryption one by the key in the envelope. encrypt is nil when no envelope came.
func (r *DualResponse) Leaves(holder crypto.PublicKey) (sign, encrypt *Certificate, err error) {
	if sign = withKey(r.Sign, holder); sign == nil {
		return nil, nil, fmt.Errorf("dual response: no signing certificate for this key: %w", ErrEnvelope)
	}
	if r.Envelope == nil {
		return sign, nil, nil
	}
	key, err := ParseEnvelopedKey(r.Envelope)
	if err != nil {
		return nil, nil, err
	}
	if encrypt = withKey(r.Encrypt, key.PublicKey); encrypt == nil {
		return nil, nil, fmt.Errorf("dual response: no encryption certificate for the enveloped key: %w", ErrEnvelope)
	}
	return sign, encrypt, nil
}

func withKey(all []*Certificate, key crypto.PublicKey) *Certificate {
	for _, c := range all {
		if SameKey(c.PublicKey, key) {
			return c
		}
	}
	return nil
}
