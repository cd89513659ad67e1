package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/internal/gm"
)

// ErrEnvelope: an enveloped key cannot be opened: it is for another key, was changed, or holds another key than it says.
// Which of these it was is not told.
var ErrEnvelope = errors.New("enveloped key cannot be opened")

// maxEnvelope bounds an SM2EnvelopedKey; the form that we take has about 250 octets.
const maxEnvelope = 4096

// EnvelopedKey is a parsed SM2EnvelopedKey (GB/T 35276 clause 7.4): an SM2 private key under a fresh SM4 key, which is
// encrypted to the recipient. The public half stands in clear.
type EnvelopedKey struct {
	Raw        []byte
	PublicKey  *ecdsa.PublicKey // of the enveloped key
	wrappedKey []byte           // SM2Cipher of the SM4 key
	encrypted  []byte           // d under SM4-ECB, 32 octets
}

// BuildEnvelopedKey wraps key for the holder of recipient's private half: the subject's signing key, or a temporary one.
// SM4-ECB is the standard's choice; it is sound here since a fresh key encrypts two random blocks once.
func BuildEnvelopedKey(recipient *ecdsa.PublicKey, key *gm.PrivateKey) ([]byte, error) {
	pub, ok := key.Public().(*ecdsa.PublicKey)
	if !ok {
		return nil, gm.ErrKey
	}
	if pub.Equal(recipient) {
		return nil, fmt.Errorf("enveloped key: recipient and enveloped key are the same: %w", gm.ErrKey)
	}
	kek := make([]byte, gm.KeySize)
	defer clear(kek)
	if _, err := rand.Read(kek); err != nil {
		return nil, fmt.Errorf("enveloped key: draw SM4 key: %w", err)
	}
	wrapped, err := gm.Encrypt(recipient, kek)
	if err != nil {
		return nil, fmt.Errorf("enveloped key: %w", err)
	}
	d := key.Bytes()
	defer clear(d)
	block, err := gm.NewSM4(kek)
	if err != nil {
		return nil, fmt.Errorf("enveloped key: %w", err)
	}
	encrypted := make([]byte, len(d))
	block.Encrypt(encrypted[:16], d[:16])
	block.Encrypt(encrypted[16:], d[16:])

	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			AddOID(b, OIDSM4ECB)
			b.AddASN1NULL()
		})
		b.AddBytes(wrapped)
		b.AddASN1BitString(gm.Point(pub))
		b.AddASN1BitString(encrypted)
	})
	return b.Bytes()
}

// ParseEnvelopedKey reads an SM2EnvelopedKey without opening it. The only cipher taken is SM4-ECB without padding,
// 32 octets; the algorithm's parameters may be NULL or absent.
func ParseEnvelopedKey(der []byte) (*EnvelopedKey, error) {
	if len(der) > maxEnvelope {
		return nil, fmt.Errorf("enveloped key of %d octets: %w", len(der), ErrTooLarge)
	}
	input := cryptobyte.String(der)
	var seq, alg, wrapped cryptobyte.String
	var oid OID
	var point, encrypted []byte
	if !input.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.ReadASN1(&alg, cbasn1.SEQUENCE) || !ReadOID(&alg, &oid) ||
		!seq.ReadASN1Element(&wrapped, cbasn1.SEQUENCE) ||
		!seq.ReadASN1BitStringAsBytes(&point) || !seq.ReadASN1BitStringAsBytes(&encrypted) || !seq.Empty() {
		return nil, malformed("enveloped key")
	}
	if !input.Empty() {
		return nil, fmt.Errorf("enveloped key: %w", ErrTrailing)
	}
	if oid != OIDSM4ECB && oid != OIDSM4 {
		return nil, fmt.Errorf("enveloped key: cipher %s: %w", oid, ErrUnsupported)
	}
	if len(alg) != 0 && string(alg) != "\x05\x00" || len(encrypted) != 32 {
		return nil, malformed("enveloped key")
	}
	pub, err := gm.PublicKey(point)
	if err != nil {
		return nil, fmt.Errorf("enveloped key: %w", ErrCurve)
	}
	return &EnvelopedKey{Raw: der, PublicKey: pub, wrappedKey: wrapped, encrypted: encrypted}, nil
}

// Open recovers the private key through the recipient's decrypter, in memory or in a device. A key that does not belong
// to PublicKey is refused.
func (k *EnvelopedKey) Open(recipient crypto.Decrypter) (*gm.PrivateKey, error) {
	kek, err := recipient.Decrypt(rand.Reader, k.wrappedKey, nil)
	if err != nil || len(kek) != gm.KeySize {
		return nil, ErrEnvelope
	}
	defer clear(kek)
	block, err := gm.NewSM4(kek)
	if err != nil {
		return nil, ErrEnvelope
	}
	d := make([]byte, 32)
	defer clear(d)
	block.Decrypt(d[:16], k.encrypted[:16])
	block.Decrypt(d[16:], k.encrypted[16:])
	key, err := gm.NewPrivateKey(d)
	if err != nil || !k.PublicKey.Equal(key.Public()) {
		return nil, ErrEnvelope
	}
	return key, nil
}

// OpenEnvelopedKey parses and opens in one step.
func OpenEnvelopedKey(der []byte, recipient crypto.Decrypter) (*gm.PrivateKey, error) {
	k, err := ParseEnvelopedKey(der)
	if err != nil {
		return nil, err
	}
	return k.Open(recipient)
}
