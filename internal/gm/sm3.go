package gm

import (
	"crypto/hmac"
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
