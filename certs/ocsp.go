package certs

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1" // clients of RFC 6960 and 5019 name certificates by it; nothing is signed over it
	"crypto/sha256"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/internal/gm"
)

// Limits of OCSP messages.
const (
	MaxOCSPRequestSize  = 64 << 10
	MaxOCSPResponseSize = 256 << 10
	maxOCSPIDs          = 100
	maxOCSPCertificates = 8
	minOwnNonce         = 32 // RFC 9654, 2.1: a client's nonce
	maxNonce            = 128
)

// CertID names one certificate in OCSP by hashes of its issuer's name and key and by its serial number (RFC 6960, 4.1.1).
type CertID struct {
	Hash     OID // OIDSM3, OIDSHA256 or OIDSHA1
	NameHash []byte
	KeyHash  []byte
	Serial   []byte // content octets of the INTEGER
	Raw      []byte // as found; an answer repeats it octet by octet
}

// NewCertID names the certificate of issuer with this serial number. hash is OIDSM3, OIDSHA256 or OIDSHA1.
func NewCertID(hash OID, issuer *Certificate, serial []byte) (CertID, error) {
	nameHash, ok := idHash(hash, issuer.RawSubject)
	if !ok {
		return CertID{}, fmt.Errorf("OCSP: hash %s: %w", hash, ErrUnsupported)
	}
	key, err := publicKeyOctets(issuer.RawSPKI)
	if err != nil {
		return CertID{}, err
	}
	keyHash, _ := idHash(hash, key)
	return CertID{Hash: hash, NameHash: nameHash, KeyHash: keyHash, Serial: integerOctets(serial)}, nil
}

// SameIssuer tells whether two names with the same hash are of the same issuer.
func (id CertID) SameIssuer(other CertID) bool {
	return id.Hash == other.Hash && bytes.Equal(id.NameHash, other.NameHash) && bytes.Equal(id.KeyHash, other.KeyHash)
}

// Names tells whether id names a certificate of issuer. Name and key must both fit: two CAs may share a name.
func (id CertID) Names(issuer *Certificate) bool {
	own, err := NewCertID(id.Hash, issuer, id.Serial)
	return err == nil && id.SameIssuer(own)
}

func idHash(hash OID, data []byte) ([]byte, bool) {
	switch hash {
	case OIDSM3:
		sum := gm.SM3(data)
		return sum[:], true
	case OIDSHA256:
		sum := sha256.Sum256(data)
		return sum[:], true
	case OIDSHA1:
		sum := sha1.Sum(data)
		return sum[:], true
	}
	return nil, false
}

// publicKeyOctets returns the content of the BIT STRING of a SubjectPublicKeyInfo, without its unused-bits octet.
func publicKeyOctets(spki []byte) ([]byte, error) {
	in := cryptobyte.String(spki)
	var seq cryptobyte.String
	var alg AlgorithmIdentifier
	var bits []byte
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !ReadAlgorithm(&seq, &alg) || !seq.ReadASN1BitStringAsBytes(&bits) {
		return nil, malformed("subject public key info")
	}
	return bits, nil
}

// DER encodes the name, or returns Raw where it is set.
func (id CertID) DER() ([]byte, error) {
	var b cryptobyte.Builder
	id.add(&b)
	return b.Bytes()
}

func (id CertID) add(b *cryptobyte.Builder) {
	if id.Raw != nil {
		b.AddBytes(id.Raw)
		return
	}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		AddAlgorithm(b, id.Hash, id.Hash == OIDSHA1) // SHA-1 with NULL, as every client since RFC 2560 writes it
		b.AddASN1OctetString(id.NameHash)
		b.AddASN1OctetString(id.KeyHash)
		b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(id.Serial) })
	})
}

func readCertID(s *cryptobyte.String) (CertID, error) {
	var raw, fields, name, key, serial cryptobyte.String
	var alg AlgorithmIdentifier
	if !s.ReadASN1Element(&raw, cbasn1.SEQUENCE) {
		return CertID{}, malformed("OCSP: certificate id")
	}
	in := raw
	if !in.ReadASN1(&fields, cbasn1.SEQUENCE) || !ReadAlgorithm(&fields, &alg) || !alg.NullOrAbsent() ||
		!fields.ReadASN1(&name, cbasn1.OCTET_STRING) || !fields.ReadASN1(&key, cbasn1.OCTET_STRING) ||
		!readSerial(&fields, &serial) || !fields.Empty() {
		return CertID{}, malformed("OCSP: certificate id")
	}
	// An unknown hash is no reason to refuse the request: the answer is "unknown" for that certificate.
	if sum, known := idHash(alg.OID, nil); known && (len(name) != len(sum) || len(key) != len(sum)) {
		return CertID{}, malformed("OCSP: hash length")
	}
	return CertID{Hash: alg.OID, NameHash: name, KeyHash: key, Serial: serial, Raw: raw}, nil
}

// OCSPRequest asks for the status of one or more certificates.
type OCSPRequest struct {
	IDs    []CertID
	Nonce  []byte // 1 to 128 octets; nil when absent
	Signed bool   // a signature is there; it is not checked, since answers are public
}

// NewNonce draws a nonce of the length that RFC 9654 wants of clients.
func NewNonce() []byte {
	nonce := make([]byte, minOwnNonce)
	rand.Read(nonce) // never fails (crypto/rand)
	return nonce
}

// BuildOCSPRequest asks for the given certificates. nonce is nil or has 32 to 128 octets.
func BuildOCSPRequest(ids []CertID, nonce []byte) ([]byte, error) {
	if len(ids) == 0 || len(ids) > maxOCSPIDs {
		return nil, fmt.Errorf("OCSP request for %d certificates: %w", len(ids), ErrTooLarge)
	}
	if nonce != nil && (len(nonce) < minOwnNonce || len(nonce) > maxNonce) {
		return nil, malformed("OCSP request: nonce of %d octets", len(nonce))
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, id := range ids {
					b.AddASN1(cbasn1.SEQUENCE, id.add)
				}
			})
			if nonce != nil {
				b.AddASN1(cbasn1.Tag(2).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { addNonceExtensions(b, nonce) })
			}
		})
	})
	return b.Bytes()
}

func addNonceExtensions(b *cryptobyte.Builder, nonce []byte) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addExtension(b, OIDOCSPNonce, false, func(b *cryptobyte.Builder) { b.AddASN1OctetString(nonce) })
	})
}

// ParseOCSPRequest reads a request of RFC 6960. A nonce outside 1 to 128 octets (RFC 9654) and unknown critical
// extensions are refused: answer OCSPMalformedRequest.
func ParseOCSPRequest(der []byte) (*OCSPRequest, error) {
	if len(der) > MaxOCSPRequestSize {
		return nil, fmt.Errorf("OCSP request of %d octets: %w", len(der), ErrTooLarge)
	}
	input := cryptobyte.String(der)
	var outer, tbs, signature, list cryptobyte.String
	r := new(OCSPRequest)
	if !input.ReadASN1(&outer, cbasn1.SEQUENCE) || !outer.ReadASN1(&tbs, cbasn1.SEQUENCE) ||
		!outer.ReadOptionalASN1(&signature, &r.Signed, cbasn1.Tag(0).Constructed().ContextSpecific()) || !outer.Empty() {
		return nil, malformed("OCSP request")
	}
	if !input.Empty() {
		return nil, fmt.Errorf("OCSP request: %w", ErrTrailing)
	}
	var version, name, extensions cryptobyte.String
	var hasVersion, hasName, hasExtensions bool
	if !tbs.ReadOptionalASN1(&version, &hasVersion, cbasn1.Tag(0).Constructed().ContextSpecific()) ||
		!tbs.ReadOptionalASN1(&name, &hasName, cbasn1.Tag(1).Constructed().ContextSpecific()) ||
		!tbs.ReadASN1(&list, cbasn1.SEQUENCE) ||
		!tbs.ReadOptionalASN1(&extensions, &hasExtensions, cbasn1.Tag(2).Constructed().ContextSpecific()) || !tbs.Empty() {
		return nil, malformed("OCSP request")
	}
	if hasVersion && string(version) != "\x02\x01\x00" {
		return nil, fmt.Errorf("OCSP request: version: %w", ErrUnsupported)
	}
	if err := r.readIDs(list); err != nil {
		return nil, err
	}
	if hasExtensions {
		var err error
		if r.Nonce, err = readOCSPExtensions(extensions); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *OCSPRequest) readIDs(list cryptobyte.String) error {
	for !list.Empty() {
		var one, extensions cryptobyte.String
		var hasExtensions bool
		if !list.ReadASN1(&one, cbasn1.SEQUENCE) {
			return malformed("OCSP request")
		}
		id, err := readCertID(&one)
		if err != nil {
			return err
		}
		if !one.ReadOptionalASN1(&extensions, &hasExtensions, cbasn1.Tag(0).Constructed().ContextSpecific()) || !one.Empty() {
			return malformed("OCSP request: single request")
		}
		if hasExtensions {
			if _, err := readOCSPExtensions(extensions); err != nil {
				return err
			}
		}
		if r.IDs = append(r.IDs, id); len(r.IDs) > maxOCSPIDs {
			return fmt.Errorf("OCSP request for more than %d certificates: %w", maxOCSPIDs, ErrTooLarge)
		}
	}
	if len(r.IDs) == 0 {
		return malformed("OCSP request for no certificate")
	}
	return nil
}

// readOCSPExtensions returns the nonce, nil when there is none.
func readOCSPExtensions(s cryptobyte.String) ([]byte, error) {
	all, err := readExtensions(s, "OCSP")
	if err != nil {
		return nil, err
	}
	var nonce cryptobyte.String
	for _, e := range all {
		switch {
		case e.ID == OIDOCSPNonce:
			value := cryptobyte.String(e.Value)
			if !value.ReadASN1(&nonce, cbasn1.OCTET_STRING) || !value.Empty() {
				return nil, malformed("OCSP: nonce")
			}
			if len(nonce) == 0 || len(nonce) > maxNonce {
				return nil, malformed("OCSP: nonce of %d octets", len(nonce))
			}
		case e.Critical:
			return nil, fmt.Errorf("OCSP: critical extension %s: %w", e.ID, ErrUnsupported)
		}
	}
	return nonce, nil
}
