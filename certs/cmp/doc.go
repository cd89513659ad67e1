// Package cmp is the wire of the certificate management protocol: GB/T 19714, which is RFC 4210, with what RFC 9480 and
// RFC 9810 added and the lightweight profile of RFC 9483. It reads and writes PKIMessages, for both sides.
//
// Parse takes a message apart and believes nothing of it: before VerifySignature or VerifyMAC has held, every field is a
// claim. Sign and Seal protect a message and return its bytes. Parsing is strict DER with limits on size and counts, so
// that a message that was read is written back the same; kinds of message that we do not speak are ErrUnsupported.
//
// Client is the asking side: it makes the first message of a transaction and holds every answer against it. The requests
// inside are those of certs (RequestMessage of RFC 4211, PKCS#10).
//
// The package is pure: bytes, keys and a time come in, values come out.
package cmp
