package certs

import (
	"crypto"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/internal/gm"
)

// Template says what a certificate is to contain. The same template gives the same bytes.
type Template struct {
	Serial             []byte // big endian, positive, at most 20 octets; ours are 16
	Issuer             Name   // take Certificate.Subject of the issuer: its Raw is then copied bit by bit
	Subject            Name
	NotBefore          time.Time // whole seconds are written
	NotAfter           time.Time
	PublicKey          crypto.PublicKey
	SignatureAlgorithm SignatureAlgorithm // see SigningAlgorithm

	IsCA       bool // only then is there a BasicConstraints extension, and it is critical
	MaxPathLen int  // of a CA: how many CAs may follow; -1 for any number

	KeyUsage            KeyUsage // critical; 0 leaves the extension out
	ExtKeyUsage         []OID
	ExtKeyUsageCritical bool   // time-stamping certificates need it (RFC 3161, 2.3)
	SubjectKeyID        []byte // nil: SubjectKeyID(PublicKey)
	AuthorityKeyID      []byte // nil leaves it out, as in a self-signed certificate
	AltNames            GeneralNames
	CRLPoints           []string // one distribution point each
	FreshestCRL         []string
	OCSPServers         []string
	IssuerURLs          []string

	Policies          []Policy
	PoliciesCritical  bool
	PolicyMappings    []PolicyMapping
	PolicyConstraints *PolicyConstraints
	InhibitAnyPolicy  *int
	NameConstraints   *NameConstraints
	OCSPNoCheck       bool
	Identity          map[OID]IdentityNumber
	Extra             []Extension // further extensions, written last, in this order
}

// PolicyConstraints are numbers of certificates after which a rule begins; -1 leaves the field out.
type PolicyConstraints struct{ RequireExplicit, InhibitMapping int }

// SubjectKeyID returns the key identifier that we give to keys: the leftmost 160 bits of the SM3 digest of the
// BIT STRING content of the public key (method 1 of RFC 7093 with SM3 for the hash).
func SubjectKeyID(pub crypto.PublicKey) ([]byte, error) {
	spki, err := MarshalPublicKey(pub)
	if err != nil {
		return nil, err
	}
	return SubjectKeyIDOf(spki)
}

// SubjectKeyIDOf is SubjectKeyID for a SubjectPublicKeyInfo, DER.
func SubjectKeyIDOf(spki []byte) ([]byte, error) {
	in := cryptobyte.String(spki)
	var seq cryptobyte.String
	var bits []byte
	if !in.ReadASN1(&seq, cbasn1.SEQUENCE) || !seq.SkipASN1(cbasn1.SEQUENCE) || !seq.ReadASN1BitStringAsBytes(&bits) {
		return nil, malformed("subject public key info")
	}
	sum := gm.SM3(bits)
	return sum[:20], nil
}

// BuildTBS returns the bytes to be signed. What comes out is read back by the strict parser before it is returned, so a
// template that contradicts RFC 5280 is an error here and never a certificate.
func BuildTBS(t Template) ([]byte, error) {
	tbs, _, err := Build(t)
	return tbs, err
}

// Build is BuildTBS and returns what the strict parser read, too, for further checks before the signature: see ParseTBS.
func Build(t Template) (tbs []byte, read *Certificate, err error) {
	if tbs, err = t.write(); err == nil {
		read, err = ParseTBS(tbs)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("build certificate: %w", err)
	}
	return tbs, read, nil
}

func (t *Template) write() ([]byte, error) {
	spki, err := MarshalPublicKey(t.PublicKey)
	if err != nil {
		return nil, err
	}
	issuer, err := t.Issuer.Marshal()
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	subject, err := t.Subject.Marshal()
	if err != nil {
		return nil, fmt.Errorf("subject: %w", err)
	}
	if t.SubjectKeyID == nil {
		if t.SubjectKeyID, err = SubjectKeyIDOf(spki); err != nil {
			return nil, err
		}
	}
	extensions, err := t.extensions()
	if err != nil {
		return nil, err
	}
	b := cryptobyte.NewBuilder(make([]byte, 0, 1024))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(contextConstructed(0), func(b *cryptobyte.Builder) { b.AddASN1Int64(2) })
		b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(t.Serial) })
		AddSignatureAlgorithm(b, t.SignatureAlgorithm)
		b.AddBytes(issuer)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			AddTime(b, t.NotBefore)
			AddTime(b, t.NotAfter)
		})
		b.AddBytes(subject)
		b.AddBytes(spki)
		b.AddASN1(contextConstructed(3), func(b *cryptobyte.Builder) { addExtensions(b, extensions) })
	})
	return b.Bytes()
}

// ParseTBS reads a to-be-signed part strictly, for checks before it is signed. Raw and Signature of the result are empty.
func ParseTBS(tbs []byte) (*Certificate, error) {
	if len(tbs) > MaxCertificateSize {
		return nil, fmt.Errorf("to-be-signed part of %d octets: %w", len(tbs), ErrTooLarge)
	}
	in := cryptobyte.String(slices.Clone(tbs))
	var element cryptobyte.String
	if !in.ReadASN1Element(&element, cbasn1.SEQUENCE) {
		return nil, malformed("to-be-signed part")
	}
	if !in.Empty() {
		return nil, fmt.Errorf("to-be-signed part: %w", ErrTrailing)
	}
	c := &Certificate{MaxPathLen: -1, RequireExplicit: -1, InhibitMapping: -1, InhibitAnyPolicy: -1}
	return c, (&reader{}).tbs(c, element, AlgorithmIdentifier{})
}

func addExtensions(b *cryptobyte.Builder, list []Extension) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, e := range list {
			AddExtension(b, e)
		}
	})
}

// AddExtension appends one Extension; critical is written when true only.
func AddExtension(b *cryptobyte.Builder, e Extension) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		AddOID(b, e.ID)
		if e.Critical {
			b.AddASN1Boolean(true)
		}
		b.AddASN1OctetString(e.Value)
	})
}

// extensions writes the values, in a fixed order.
func (t *Template) extensions() ([]Extension, error) {
	var out extensionList
	t.keyExtensions(&out)
	t.usageExtensions(&out)
	t.policyExtensions(&out)
	if !t.AltNames.Empty() {
		out.add(OIDSubjectAltName, t.Subject.Empty(), func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { addGeneralNames(b, t.AltNames) })
		})
	}
	if t.NameConstraints != nil {
		out.add(OIDNameConstraints, true, func(b *cryptobyte.Builder) { addNameConstraints(b, *t.NameConstraints) })
	}
	t.pointExtensions(&out)
	for _, id := range slices.Sorted(maps.Keys(t.Identity)) {
		value, err := marshalIdentity(id, t.Identity[id])
		if err != nil {
			return nil, err
		}
		out.list = append(out.list, Extension{ID: id, Value: value})
	}
	if t.OCSPNoCheck {
		out.add(OIDOCSPNoCheck, false, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
	}
	out.list = append(out.list, t.Extra...)
	return out.list, out.err
}

// extensionList gathers extensions and keeps the first error.
type extensionList struct {
	list []Extension
	err  error
}

func (l *extensionList) add(id OID, critical bool, value func(b *cryptobyte.Builder)) {
	b := cryptobyte.NewBuilder(make([]byte, 0, 64))
	value(b)
	der, err := b.Bytes()
	if err != nil && l.err == nil {
		l.err = fmt.Errorf("extension %s: %w", id, err)
	}
	l.list = append(l.list, Extension{ID: id, Critical: critical, Value: der})
}

func (t *Template) keyExtensions(out *extensionList) {
	if len(t.AuthorityKeyID) > 0 {
		out.add(OIDAuthorityKeyID, false, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { b.AddBytes(t.AuthorityKeyID) })
			})
		})
	}
	out.add(OIDSubjectKeyID, false, func(b *cryptobyte.Builder) { b.AddASN1OctetString(t.SubjectKeyID) })
}

func (t *Template) usageExtensions(out *extensionList) {
	if t.IsCA {
		out.add(OIDBasicConstraints, true, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Boolean(true)
				if t.MaxPathLen >= 0 {
					b.AddASN1Int64(int64(t.MaxPathLen))
				}
			})
		})
	}
	if t.KeyUsage != 0 {
		out.add(OIDKeyUsage, true, func(b *cryptobyte.Builder) { addKeyUsage(b, t.KeyUsage) })
	}
	if len(t.ExtKeyUsage) > 0 {
		out.add(OIDExtKeyUsage, t.ExtKeyUsageCritical, func(b *cryptobyte.Builder) {
			b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, id := range t.ExtKeyUsage {
					AddOID(b, id)
				}
			})
		})
	}
}

// addKeyUsage writes a named bit list: no trailing zero bits (X.690, 11.2.2).
func addKeyUsage(b *cryptobyte.Builder, usage KeyUsage) {
	var octets [2]byte
	last := 0
	for i := range 9 {
		if usage>>i&1 == 1 {
			octets[i/8] |= 0x80 >> (i % 8)
			last = i
		}
	}
	if usage >= 1<<9 {
		b.SetError(malformed("key usage %#x", uint16(usage)))
		return
	}
	b.AddASN1(cbasn1.BIT_STRING, func(b *cryptobyte.Builder) {
		b.AddUint8(uint8(7 - last%8))
		b.AddBytes(octets[:last/8+1])
	})
}
