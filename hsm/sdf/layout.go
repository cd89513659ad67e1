package sdf

import (
	"crypto/ecdsa"
	"encoding/binary"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/hsm"
	"hufu/internal/gm"
)

// Sizes of buffers, each as large as any known header makes it and a little more.
const (
	number     = 32   // octets of a coordinate or of r, s
	untouched  = 0xA5 // what output buffers hold before the call
	keyRoom    = 256  // ECCrefPublicKey: 4 + 2 arrays
	sigRoom    = 256  // ECCSignature: 2 arrays
	infoRoom   = 256  // DEVICEINFO: 100
	blobRoom   = 256  // a session key under a KEK
	cipherTail = 1024
)

// array is the length of the number arrays of a library, 32 or 64. Values stand at the right, zeros before them.
type array int

// room returns an output buffer that shows what the library wrote.
func room(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = untouched
	}
	return b
}

// value takes one array off b: the number, and whether the octets before it are zero.
func (a array) value(b []byte) (v, rest []byte, clean bool) {
	pad := int(a) - number
	clean = true
	for _, octet := range b[:pad] {
		clean = clean && octet == 0
	}
	return b[pad:a], b[a:], clean
}

// publicKey reads an ECCrefPublicKey: bits, x, y.
func (a array) publicKey(b []byte) (*ecdsa.PublicKey, error) {
	if bits := binary.NativeEndian.Uint32(b); bits != 8*number {
		return nil, hsm.ErrProfile.With("SDF: a public key of %d bits", bits)
	}
	x, rest, cleanX := a.value(b[4:])
	y, _, cleanY := a.value(rest)
	if !cleanX || !cleanY {
		return nil, hsm.ErrProfile.With("SDF: a public key with more than %d octets in a coordinate", number)
	}
	pub, err := gm.PublicKey(append(append([]byte{4}, x...), y...))
	if err != nil {
		return nil, hsm.ErrProfile.With("SDF: a public key off the curve: %w", err)
	}
	return pub, nil
}

// arrayOf tells from an exported public key, in a buffer of room, how long this library's arrays are.
func arrayOf(b []byte) (array, error) {
	if _, err := array(64).publicKey(b); err == nil {
		return 64, nil
	}
	if _, err := array(32).publicKey(b); err == nil && b[4+2*32] == untouched {
		return 32, nil
	}
	return 0, hsm.ErrProfile.With("SDF: the exported public key has neither arrays of 64 nor of 32 octets")
}

// signature turns an ECCSignature into DER. Anything but zeros before r or s is refused: the number would be another one.
func (a array) signature(b []byte) ([]byte, error) {
	r, rest, cleanR := a.value(b)
	s, _, cleanS := a.value(rest)
	if !cleanR || !cleanS {
		return nil, hsm.ErrSignature.With("SDF: r or s is longer than %d octets", number)
	}
	der, err := gm.DERSignature(append(append(make([]byte, 0, 2*number), r...), s...))
	if err != nil {
		return nil, hsm.ErrSignature.With("SDF: %w", err)
	}
	return der, nil
}

// cipher turns a ciphertext in ASN.1 (GM/T 0009 clause 7.2) into an ECCCipher: x, y, C3, length, C2. The point is checked
// to be on the curve before any device sees it. What is no such ciphertext, or too long, is hsm.ErrNotAuthentic.
func (a array) cipher(der []byte, longest int) (b []byte, plain int, err error) {
	input := cryptobyte.String(der)
	var seq, c3, c2 cryptobyte.String
	x, y := new(big.Int), new(big.Int)
	if !input.ReadASN1(&seq, cbasn1.SEQUENCE) || !input.Empty() || !seq.ReadASN1Integer(x) || !seq.ReadASN1Integer(y) ||
		!seq.ReadASN1(&c3, cbasn1.OCTET_STRING) || !seq.ReadASN1(&c2, cbasn1.OCTET_STRING) || !seq.Empty() ||
		len(c3) != number || len(c2) == 0 || len(c2) > longest ||
		x.Sign() < 0 || y.Sign() < 0 || x.BitLen() > 8*number || y.BitLen() > 8*number {
		return nil, 0, hsm.ErrNotAuthentic
	}
	point := make([]byte, 1+2*number)
	point[0] = 4
	x.FillBytes(point[1 : 1+number])
	y.FillBytes(point[1+number:])
	if _, err := gm.PublicKey(point); err != nil {
		return nil, 0, hsm.ErrNotAuthentic
	}
	b = make([]byte, 2*int(a)+number+4+len(c2)+cipherTail) // libraries copy the whole structure: give them one
	copy(b[int(a)-number:], point[1:1+number])
	copy(b[2*int(a)-number:], point[1+number:])
	copy(b[2*int(a):], c3)
	binary.NativeEndian.PutUint32(b[2*int(a)+number:], uint32(len(c2)))
	copy(b[2*int(a)+number+4:], c2)
	return b, len(c2), nil
}
