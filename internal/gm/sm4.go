package gm

import (
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/emmansun/gmsm/sm4"
)

// KeySize is the size of an SM4 key in octets.
const KeySize = 16

const nonceSize, tagSize = 12, 16

// ErrOpen means that sealed data was changed, belongs to another key or stands under other associated data.
var ErrOpen = errors.New("sealed data cannot be opened: it was changed, or key or context is another one")

// NewSM4 returns the bare block cipher (GB/T 32907) for a key of 16 octets.
func NewSM4(key []byte) (cipher.Block, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("SM4 key of %d octets, want %d", len(key), KeySize)
	}
	return sm4.NewCipher(key)
}

// Seal encrypts with SM4-GCM (RFC 8998 section 3.2's mode). The result is nonce (12, random) ‖ ciphertext ‖ tag (16); aad is
// bound, not stored. One key must not seal more than about 2^32 times.
func Seal(key, plaintext, aad []byte) ([]byte, error) {
	s, err := NewSealer(key)
	if err != nil {
		return nil, err
	}
	return s.Seal(nil, plaintext, aad)
}

// Open is the inverse of Seal. Every failure but a wrong key size is ErrOpen.
func Open(key, sealed, aad []byte) ([]byte, error) {
	s, err := NewSealer(key)
	if err != nil {
		return nil, err
	}
	return s.Open(sealed, aad)
}

// Sealer seals and opens under one key, which is expanded once. Several may use it at the same time.
type Sealer struct{ gcm cipher.AEAD }

// NewSealer returns the sealer of a key of 16 octets.
func NewSealer(key []byte) (*Sealer, error) {
	block, err := NewSM4(key)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	return &Sealer{gcm}, err
}

// SealedSize is how many octets Seal makes of n.
func SealedSize(n int) int { return nonceSize + n + tagSize }

// Seal is the function Seal, whose result it appends to dst.
func (s *Sealer) Seal(dst, plaintext, aad []byte) ([]byte, error) {
	dst = slices.Grow(dst, SealedSize(len(plaintext)))
	nonce := dst[len(dst) : len(dst)+nonceSize]
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("draw nonce: %w", err)
	}
	return s.gcm.Seal(dst[:len(dst)+nonceSize], nonce, plaintext, aad), nil
}

// Open is the function Open. Every failure is ErrOpen.
func (s *Sealer) Open(sealed, aad []byte) ([]byte, error) {
	if len(sealed) < nonceSize+tagSize {
		return nil, ErrOpen
	}
	plain, err := s.gcm.Open(nil, sealed[:nonceSize], sealed[nonceSize:], aad)
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}
