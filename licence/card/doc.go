// Package card is what an electronic licence (电子证照) carries on itself: its
// identifier, the data attached to its OFD, and the QR text that stands for it.
//
// Identifier is 1.2.156.3005.2.<type>.<issuer>.<serial>.<version>.<check>
// (GB/T 36904) with the ISO 7064 MOD 37,36 check character; a wrong one is
// refused, never repaired. Data is the attached licence.json: what is printed,
// field by field, bound to the objects of the page by a custom tag, so that a
// verifier can compare the two. A QR text is a short-lived COSE_Sign1 over
// chosen fields, base45 behind the prefix "CL1:", checked without a network.
//
// Making takes a crypto.Signer and a time; checking takes bytes, keys and a
// time. The package is pure and decides nothing about trust: whose key signed
// is told by the caller's look-up.
package card
