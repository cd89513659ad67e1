package hsm

import (
	"crypto/rand"

	"hufu/internal/gm"
)

// A wrapping key of a device that knows no authenticated encryption still encrypts blocks, and so serves as a
// pseudo-random function: 30 random octets select a key for one use, which seals with SM4-GCM on the host. The device key
// itself never leaves, and whoever has one wrapped secret has nothing towards another.
const (
	derivedNonce = 30
	blockLen     = 16
)

// EncryptBlocks encrypts two blocks of 16 octets under a device's key, each for itself (ECB).
type EncryptBlocks func(blocks []byte) ([]byte, error)

// SealDerived encrypts data with authentication under a key derived by a device key. The result begins with the nonce.
func SealDerived(encrypt EncryptBlocks, data, aad []byte) ([]byte, error) {
	nonce := make([]byte, derivedNonce)
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	key, err := deriveKey(encrypt, nonce)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	sealed, err := gm.Seal(key, data, aad)
	return append(nonce, sealed...), err
}

// OpenDerived is the inverse of SealDerived; what was changed is ErrNotAuthentic, and failures of encrypt are handed on.
func OpenDerived(encrypt EncryptBlocks, sealed, aad []byte) ([]byte, error) {
	if len(sealed) < derivedNonce {
		return nil, ErrNotAuthentic.With("%d octets", len(sealed))
	}
	key, err := deriveKey(encrypt, sealed[:derivedNonce])
	if err != nil {
		return nil, err
	}
	defer clear(key)
	data, err := gm.Open(key, sealed[derivedNonce:], aad)
	if err != nil {
		return nil, ErrNotAuthentic.With("sealed under a derived key")
	}
	return data, nil
}

// deriveKey encrypts both halves of the nonce, told apart by their last octet, and hashes the result to an SM4 key.
func deriveKey(encrypt EncryptBlocks, nonce []byte) ([]byte, error) {
	const half = derivedNonce / 2
	blocks := make([]byte, 0, 2*blockLen)
	blocks = append(append(blocks, nonce[:half]...), 1)
	blocks = append(append(blocks, nonce[half:]...), 2)
	out, err := encrypt(blocks)
	if err != nil {
		return nil, err
	}
	defer clear(out)
	if len(out) != 2*blockLen {
		return nil, ErrUnavailable.With("the device returned %d octets for two blocks", len(out))
	}
	sum := gm.HMAC(out, []byte("hufu derived wrap v1"))
	return sum[:gm.KeySize], nil
}
