// Package known verifies SM2 signatures (GB/T 32918.2) with keys that are known
// in advance, several times faster than package gm does with any key.
//
// A verification computes s·G + t·P. For a point known beforehand a table of
// multiples of 2^(w·i)·P makes each multiplication a few dozen additions without
// any doubling (fixed-base scalar multiplication by windows). The engine offers
// such a table for G alone, so this one is our own, down to the arithmetic.
//
// To be read from below: field.go (numbers modulo p), point.go (points of the
// curve), table.go (multiples of a point), verify.go (the signature).
//
// All of it takes time that depends on its input: it is for public keys and
// signatures, never for a private key or a nonce.
package known
