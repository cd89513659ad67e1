package gm

import (
	"crypto/hmac"
	"encoding"
	"hash"

	"github.com/emmansun/gmsm/sm3"
)

// NewSM3 returns a new SM3 hash (GB/T 32905), 32 octets.
func NewSM3() hash.Hash { return sm3.New() }

// SM3 returns the hash of the parts one after another, without separators.
func SM3(parts ...[]byte) (sum [32]byte) {
	if len(parts) == 1 {
		return sm3.Sum(parts[0])
	}
	h := sm3.New()
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(sum[:0])
	return sum
}

// NewHMAC returns HMAC-SM3 (RFC 2104 with GB/T 32905) under key.
func NewHMAC(key []byte) hash.Hash { return hmac.New(sm3.New, key) }

// HMAC returns the HMAC-SM3 of the parts one after another, without separators. Compare tags with crypto/subtle or hmac.Equal.
func HMAC(key []byte, parts ...[]byte) (tag [32]byte) {
	h := NewHMAC(key)
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(tag[:0])
	return tag
}

// MAC is HMAC-SM3 under one key, of which it keeps the hash's two states after the blocks that the key fills (RFC 2104,
// section 4). They are as secret as the key. Several may use it at the same time.
type MAC struct{ inner, outer []byte }

// NewMAC prepares HMAC-SM3 under a key.
func NewMAC(key []byte) *MAC {
	if len(key) > sm3.BlockSize {
		sum := SM3(key)
		key = sum[:]
	}
	return &MAC{afterPad(key, 0x36), afterPad(key, 0x5c)}
}

// afterPad is the state of SM3 after the key, filled up with zeros to a block and masked.
func afterPad(key []byte, mask byte) []byte {
	var block [sm3.BlockSize]byte
	copy(block[:], key)
	for i := range block {
		block[i] ^= mask
	}
	h := sm3.New()
	h.Write(block[:])
	clear(block[:])
	state, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		panic("SM3 does not tell its state: " + err.Error())
	}
	return state
}

// Sum returns the HMAC-SM3 of the parts one after another, without separators.
func (m *MAC) Sum(parts ...[]byte) (tag [32]byte) {
	h := sm3.New()
	resume(h, m.inner)
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(tag[:0])
	resume(h, m.outer)
	h.Write(tag[:])
	h.Sum(tag[:0])
	return tag
}

func resume(h hash.Hash, state []byte) {
	if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(state); err != nil {
		panic("SM3 refuses its own state: " + err.Error())
	}
}
