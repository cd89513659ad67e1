package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"math/big"
	"strconv"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/internal/gm"
)

// The form of CFCA in which clients of its key library ask for an encryption key and get it back. No standard names it: it is
// read off the clients. A request carries a temporary public key as attribute 1.2.840.113549.1.9.63, beside a challenge
// password, both without the SET that PKCS#10 asks for. The answer is the base64 text of
// SEQUENCE { INTEGER 1, OCTET STRING C1 ‖ C3 ‖ C2 }, an SM2 ciphertext to that key of x ‖ y ‖ d of the encryption key; some
// peers put 80 octets of lengths before it and commas into it.

// OIDTemporaryKey is the attribute of a request that carries the temporary public key.
const OIDTemporaryKey OID = "1.2.840.113549.1.9.63"

// temporaryHead begins the 136 octets of a temporary SM2 key: type, and 256 bits. x and y follow, each at the head of a field
// of 64 octets that zeros fill up.
var temporaryHead = []byte{0, 0xb4, 0, 0, 0, 1, 0, 0}

const (
	temporarySize = 136
	temporaryX    = 8
	temporaryY    = 72
)

// maxCFCA bounds the text of a returned key; ours has 268 octets.
const maxCFCA = 1024

// cfcaHead begins what some peers put before the text; 16 digits with its length follow.
const cfcaHead = "0000000000000001000000000000000100000000000000000000000000000000"

// TemporaryKey returns the temporary SM2 key that a request in the form of CFCA brings for the returned encryption key, or nil.
func (req *Request) TemporaryKey() (*ecdsa.PublicKey, error) {
	for _, a := range req.Attributes {
		if a.Type != OIDTemporaryKey {
			continue
		}
		if len(a.Values) != 1 {
			return nil, malformed("temporary key: %d values", len(a.Values))
		}
		return parseTemporaryKey(a.Values[0])
	}
	return nil, nil
}

// parseTemporaryKey reads OCTET STRING { SEQUENCE { INTEGER 1, OCTET STRING of 136 } }; every filler must be zero.
func parseTemporaryKey(der []byte) (*ecdsa.PublicKey, error) {
	in := cryptobyte.String(der)
	var outer, seq, field cryptobyte.String
	var version int
	if !in.ReadASN1(&outer, cbasn1.OCTET_STRING) || !in.Empty() || !outer.ReadASN1(&seq, cbasn1.SEQUENCE) || !outer.Empty() ||
		!seq.ReadASN1Integer(&version) || version != 1 || !seq.ReadASN1(&field, cbasn1.OCTET_STRING) || !seq.Empty() {
		return nil, malformed("temporary key")
	}
	if len(field) != temporarySize || !bytes.HasPrefix(field, temporaryHead) {
		return nil, malformed("temporary key")
	}
	x, y := field[temporaryX:temporaryX+32], field[temporaryY:temporaryY+32]
	filler := append(bytes.Clone(field[temporaryX+32:temporaryY]), field[temporaryY+32:]...)
	if len(bytes.Trim(filler, "\x00")) != 0 {
		return nil, malformed("temporary key: filler")
	}
	pub, err := gm.PublicKey(append(append([]byte{4}, x...), y...))
	if err != nil {
		return nil, fmt.Errorf("temporary key: %w", ErrCurve)
	}
	return pub, nil
}

// NewCFCARequest makes a request in the form of CFCA: as NewRequest, with a temporary SM2 key and a challenge password.
func NewCFCARequest(signer crypto.Signer, subject Name, temporary *ecdsa.PublicKey, challenge string) ([]byte, error) {
	spki, err := MarshalPublicKey(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	name, err := subject.Marshal()
	if err != nil {
		return nil, fmt.Errorf("make request: subject: %w", err)
	}
	if !gm.IsSM2(temporary) || challenge == "" {
		return nil, fmt.Errorf("make request: a temporary SM2 key and a challenge password are needed: %w", gm.ErrKey)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(0)
		b.AddBytes(name)
		b.AddBytes(spki)
		b.AddASN1(contextConstructed(0), func(b *cryptobyte.Builder) { addCFCAAttributes(b, temporary, challenge) })
	})
	info, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	alg, sig, err := Sign(signer, info)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	return Assemble(info, alg, sig)
}

func addCFCAAttributes(b *cryptobyte.Builder, temporary *ecdsa.PublicKey, challenge string) {
	field := make([]byte, temporarySize)
	copy(field, temporaryHead)
	point := gm.Point(temporary)
	copy(field[temporaryX:], point[1:33])
	copy(field[temporaryY:], point[33:])
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		AddOID(b, OIDTemporaryKey)
		b.AddASN1(cbasn1.OCTET_STRING, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddASN1OctetString(field)
			})
		})
	})
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		AddOID(b, OIDChallengePassword)
		b.AddASN1(cbasn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(challenge)) })
	})
}

// BuildCFCAKey returns key in the form of CFCA for the holder of recipient's private half.
func BuildCFCAKey(recipient *ecdsa.PublicKey, key *gm.PrivateKey) ([]byte, error) {
	pub, ok := key.Public().(*ecdsa.PublicKey)
	if !ok || pub.Equal(recipient) {
		return nil, fmt.Errorf("key in the form of CFCA: recipient and key are the same: %w", gm.ErrKey)
	}
	plain := make([]byte, 0, 96)
	plain = append(plain, gm.Point(pub)[1:]...)
	d := key.Bytes()
	plain = append(plain, d...)
	clear(d)
	defer clear(plain)
	sealed, err := gm.Encrypt(recipient, plain)
	if err != nil {
		return nil, fmt.Errorf("key in the form of CFCA: %w", err)
	}
	raw, err := rawCiphertext(sealed)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1OctetString(raw)
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.AppendEncode(nil, der), nil
}

// rawCiphertext turns SM2Cipher (GM/T 0009 clause 7.2) into x ‖ y ‖ C3 ‖ C2.
func rawCiphertext(der []byte) ([]byte, error) {
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	var x, y big.Int
	var c3, c2 []byte
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1Integer(&x) || !seq.ReadASN1Integer(&y) ||
		!seq.ReadASN1Bytes(&c3, cbasn1.OCTET_STRING) || !seq.ReadASN1Bytes(&c2, cbasn1.OCTET_STRING) || len(c3) != 32 {
		return nil, malformed("SM2 ciphertext")
	}
	raw := make([]byte, 64, 96+len(c2))
	x.FillBytes(raw[:32])
	y.FillBytes(raw[32:])
	return append(append(raw, c3...), c2...), nil
}

// derCiphertext is the inverse of rawCiphertext.
func derCiphertext(raw []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[:32]))
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[32:64]))
		b.AddASN1OctetString(raw[64:96])
		b.AddASN1OctetString(raw[96:])
	})
	return b.Bytes()
}

// OpenCFCAKey opens what BuildCFCAKey or a peer made, with or without the lengths and commas of some, through the decrypter of the
// temporary key. A key whose halves do not belong together is refused like one that cannot be decrypted.
func OpenCFCAKey(text []byte, recipient crypto.Decrypter) (*gm.PrivateKey, error) {
	raw, err := parseCFCAKey(text)
	if err != nil {
		return nil, err
	}
	sealed, err := derCiphertext(raw)
	if err != nil {
		return nil, ErrEnvelope
	}
	plain, err := recipient.Decrypt(rand.Reader, sealed, nil)
	if err != nil || len(plain) != 96 {
		return nil, ErrEnvelope
	}
	defer clear(plain)
	key, err := gm.NewPrivateKey(plain[64:])
	if err != nil || !bytes.Equal(gm.Point(key.Public().(*ecdsa.PublicKey))[1:], plain[:64]) {
		return nil, ErrEnvelope
	}
	return key, nil
}

// parseCFCAKey returns the raw ciphertext of a key of 96 octets: 192 octets.
func parseCFCAKey(text []byte) ([]byte, error) {
	if len(text) > maxCFCA {
		return nil, fmt.Errorf("key in the form of CFCA of %d octets: %w", len(text), ErrTooLarge)
	}
	if rest, ok := bytes.CutPrefix(text, []byte(cfcaHead)); ok {
		if len(rest) < 16 {
			return nil, malformed("key in the form of CFCA")
		}
		if n, err := strconv.ParseUint(string(rest[:16]), 10, 16); err != nil || int(n) != len(rest)-16 {
			return nil, malformed("key in the form of CFCA: length")
		}
		text = rest[16:]
	}
	der, err := base64.StdEncoding.Strict().DecodeString(string(bytes.ReplaceAll(text, []byte{','}, nil)))
	if err != nil {
		return nil, malformed("key in the form of CFCA: %v", err)
	}
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	var version int
	var raw []byte
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Integer(&version) || version != 1 ||
		!seq.ReadASN1Bytes(&raw, cbasn1.OCTET_STRING) || !seq.Empty() || len(raw) != 192 {
		return nil, malformed("key in the form of CFCA")
	}
	return raw, nil
}
