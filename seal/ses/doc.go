// Package ses is the ASN.1 of electronic seals: SESeal and SES_Signature of
// GM/T 0031-2014 (v1), GB/T 38540-2020 (v4) and GM/T 0031-2025 (v5).
//
// ParseSeal and ParseSignature read all three; shape decides how a structure is
// read, and a header version that disagrees is named in NonStandard. They keep
// the bytes as found: SignedBytes gives exactly what the maker or the signer
// signed, never a re-encoding, because seals in the field are not strict DER.
// What is unreadable is an error that wraps ErrMalformed; nothing panics.
//
// NewSeal and NewSignature build v4 (v5 by option, v1 never) in two steps: a
// pending value fixes the signed bytes, and only it takes the signature.
//
// v5 is known from open implementations only; claim no conformance on it.
// The package is pure and knows nothing of certificates: they are octets here.
package ses
