// Package certs says what a certificate is: it builds and parses X.509
// certificates and requests on SM2 with SM3 (GB/T 20518, RFC 5280), and on P-256
// and RSA where a standard needs them; it validates certification paths, and it
// knows the formats round them: CRL, OCSP, CMS, time-stamps, enveloped keys.
//
// Parse is strict and is for what we issue ourselves: any deviation is an error.
// ParseLenient is for certificates of others: what deviates is named in
// Certificate.NonStandard and the rest is read. Both refuse a public key that is
// not on its curve, and neither panics on any input.
//
// A certificate is built in three steps that leave the key outside: BuildTBS
// gives the exact bytes to be signed, the caller signs them, Assemble joins the
// two. Validate answers with a report of steps and never with a bool.
//
// The package is pure: bytes and a time come in, values come out. It reads no
// disk, network, environment or clock, and does not import crypto/x509.
package certs
