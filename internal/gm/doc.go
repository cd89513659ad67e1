// Package gm is the house's one door to the national algorithms: SM2
// signatures and encryption (GB/T 32918), the SM3 hash (GB/T 32905) and the SM4
// block cipher (GB/T 32907). It alone imports the engine, emmansun/gmsm.
//
// Two rules are built into its types. A signer is told whether it gets a whole
// message (Message) or the finished digest e (Digest); anything else is an
// error, since the engine would silently sign the first 32 bytes of whatever it
// is given. And what comes from outside is strict: DER without trailing bytes,
// points on the curve, exact lengths.
//
// The signer's identifier is DefaultID unless a function says otherwise.
// Everything here is pure: bytes in, bytes out; the only source of randomness
// is crypto/rand.
package gm
