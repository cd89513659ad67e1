package certs

import (
	"crypto"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// OCSPResponseStatus says whether the responder answered at all (RFC 6960, 4.2.1).
type OCSPResponseStatus int

// The statuses; only OCSPSuccessful carries answers and a signature.
const (
	OCSPSuccessful       OCSPResponseStatus = 0
	OCSPMalformedRequest OCSPResponseStatus = 1
	OCSPInternalError    OCSPResponseStatus = 2
	OCSPTryLater         OCSPResponseStatus = 3
	OCSPSigRequired      OCSPResponseStatus = 5
	OCSPUnauthorized     OCSPResponseStatus = 6
)

// OCSPStatus is the state of one certificate.
type OCSPStatus int

// The states. A serial number that was never issued is OCSPUnknown, never OCSPGood.
const (
	OCSPGood    OCSPStatus = 0
	OCSPRevoked OCSPStatus = 1
	OCSPUnknown OCSPStatus = 2
)

// String returns the state as RFC 6960 names it.
func (s OCSPStatus) String() string {
	switch s {
	case OCSPGood:
		return "good"
	case OCSPRevoked:
		return "revoked"
	}
	return "unknown"
}

// OCSPAnswer is the state of one certificate at a time.
type OCSPAnswer struct {
	ID                     CertID
	Status                 OCSPStatus
	RevokedAt              time.Time // when revoked
	Reason                 Reason
	InvalidityDate         time.Time // zero when not told
	ThisUpdate, NextUpdate time.Time // NextUpdate zero: newer information is always available
}

// OCSPTemplate is what a response is made from.
type OCSPTemplate struct {
	Responder  *Certificate // the issuer itself, or a delegate whose certificate then goes into the response
	ByKey      bool         // name the responder by the SHA-1 of its key, as RFC 5019 wants, instead of its name
	ProducedAt time.Time
	Answers    []OCSPAnswer
	Nonce      []byte // of the request; nil when it had none, and in answers signed beforehand
}

// What a response and an entry of it take beside what they hold, in octets: buffers of that size grow seldom.
const (
	ocspFrame = 128
	ocspEntry = 192
)

// OCSPFailure returns the response for a request that is not answered. status is not OCSPSuccessful.
func OCSPFailure(status OCSPResponseStatus) []byte {
	return []byte{0x30, 3, 0x0a, 1, byte(status)}
}

// BuildOCSPResponse signs a response with the responder's key.
func BuildOCSPResponse(t OCSPTemplate, signer crypto.Signer) ([]byte, error) {
	tbs, err := t.tbs(signer)
	if err != nil {
		return nil, fmt.Errorf("build OCSP response: %w", err)
	}
	alg, sig, err := Sign(signer, tbs)
	if err != nil {
		return nil, fmt.Errorf("build OCSP response: %w", err)
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, len(tbs)+len(sig)+len(t.Responder.Raw)+ocspFrame))
	constructed := cbasn1.Tag(0).Constructed().ContextSpecific()
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(int64(OCSPSuccessful))
		b.AddASN1(constructed, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				AddOID(b, OIDOCSPBasic)
				b.AddASN1(cbasn1.OCTET_STRING, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddBytes(tbs)
						AddSignatureAlgorithm(b, alg)
						b.AddASN1BitString(sig)
						if !t.Responder.IsCA {
							b.AddASN1(constructed, func(b *cryptobyte.Builder) {
								b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(t.Responder.Raw) })
							})
						}
					})
				})
			})
		})
	})
	return b.Bytes()
}

func (t OCSPTemplate) tbs(signer crypto.Signer) ([]byte, error) {
	switch {
	case t.Responder == nil || !SameKey(signer.Public(), t.Responder.PublicKey):
		return nil, fmt.Errorf("signer: %w", ErrWrongIssuer)
	case !t.Responder.IsCA && !mayAnswer(t.Responder):
		return nil, fmt.Errorf("responder's extended key usage lacks OCSPSigning: %w", ErrWrongIssuer)
	case len(t.Answers) == 0 || len(t.Answers) > maxOCSPIDs:
		return nil, fmt.Errorf("%d answers: %w", len(t.Answers), ErrTooLarge)
	case t.Nonce != nil && (len(t.Nonce) == 0 || len(t.Nonce) > maxNonce):
		return nil, malformed("nonce of %d octets", len(t.Nonce))
	}
	id, err := t.responderID()
	if err != nil {
		return nil, err
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, len(id)+len(t.Nonce)+ocspFrame+len(t.Answers)*ocspEntry))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(id)
		AddGeneralizedTime(b, t.ProducedAt)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, a := range t.Answers {
				a.add(b)
			}
		})
		if t.Nonce != nil {
			b.AddASN1(cbasn1.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { addNonceExtensions(b, t.Nonce) })
		}
	})
	return b.Bytes()
}

func (t OCSPTemplate) responderID() ([]byte, error) {
	var b cryptobyte.Builder
	if !t.ByKey {
		b.AddASN1(cbasn1.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(t.Responder.RawSubject) })
		return b.Bytes()
	}
	key, err := publicKeyOctets(t.Responder.RawSPKI)
	if err != nil {
		return nil, err
	}
	sum, _ := idHash(OIDSHA1, key)
	b.AddASN1(cbasn1.Tag(2).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddASN1OctetString(sum) })
	return b.Bytes()
}

func (a OCSPAnswer) add(b *cryptobyte.Builder) {
	if err := a.check(); err != nil {
		b.SetError(err)
		return
	}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		a.ID.add(b)
		switch a.Status {
		case OCSPRevoked:
			b.AddASN1(cbasn1.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
				AddGeneralizedTime(b, a.RevokedAt)
				if a.Reason != ReasonUnspecified {
					b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(a.Reason)) })
				}
			})
		default:
			b.AddASN1(cbasn1.Tag(a.Status).ContextSpecific(), func(*cryptobyte.Builder) {})
		}
		AddGeneralizedTime(b, a.ThisUpdate)
		if !a.NextUpdate.IsZero() {
			b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { AddGeneralizedTime(b, a.NextUpdate) })
		}
		if a.Status == OCSPRevoked && !a.InvalidityDate.IsZero() {
			b.AddASN1(cbasn1.Tag(1).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					addExtension(b, OIDInvalidityDate, false, func(b *cryptobyte.Builder) { AddGeneralizedTime(b, a.InvalidityDate) })
				})
			})
		}
	})
}

func (a OCSPAnswer) check() error {
	switch {
	case a.Status < OCSPGood || a.Status > OCSPUnknown:
		return fmt.Errorf("status %d: %w", int(a.Status), ErrMalformed)
	case a.Status == OCSPRevoked && (a.RevokedAt.IsZero() || !a.Reason.Valid() || a.Reason == ReasonRemoveFromCRL):
		return malformed("revoked without time or with %s", a.Reason)
	case a.ThisUpdate.IsZero() || !a.NextUpdate.IsZero() && !a.ThisUpdate.Before(a.NextUpdate):
		return errors.New("thisUpdate missing, or nextUpdate not after it")
	}
	return nil
}

// mayAnswer tells whether a delegate carries OCSPSigning itself; anyExtendedKeyUsage does not count.
func mayAnswer(c *Certificate) bool {
	return hasOID(c.ExtKeyUsage, OIDOCSPSigning) && c.Has(UsageDigitalSignature)
}

func hasOID(list []OID, want OID) bool {
	for _, oid := range list {
		if oid == want {
			return true
		}
	}
	return false
}
