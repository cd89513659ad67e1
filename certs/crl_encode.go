package certs

import (
	"bytes"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// appendEntry appends one entry in DER. It is the inner loop of a list of millions: no builder, no allocation.
func (u *UnsignedCRL) appendEntry(buf []byte, e CRLEntry) ([]byte, error) {
	serial := bytes.TrimLeft(e.Serial, "\x00")
	if len(serial) == 0 || len(serial) > maxSerialOctets {
		return nil, fmt.Errorf("serial number of %d octets: %w", len(serial), ErrMalformed)
	}
	if !e.Reason.Valid() || e.Reason == ReasonRemoveFromCRL && u.t.BaseNumber == 0 {
		return nil, fmt.Errorf("serial %x: %s: %w", serial, e.Reason, ErrMalformed)
	}
	at := e.RevokedAt.UTC()
	timeSize, err := timeSize(at)
	if err != nil {
		return nil, fmt.Errorf("serial %x: %w", serial, err)
	}
	pad := int(serial[0] >> 7)
	extensions := 0
	if e.Reason != ReasonUnspecified {
		extensions += reasonSize
	}
	if !e.InvalidityDate.IsZero() {
		extensions += invaliditySize
	}
	size := 2 + pad + len(serial) + timeSize
	if extensions > 0 {
		size += 2 + extensions
	}
	buf = append(buf, 0x30, byte(size), 0x02, byte(pad+len(serial)))
	buf = append(append(buf, "\x00"[:pad]...), serial...)
	buf = appendTime(buf, at)
	if extensions == 0 {
		return buf, nil
	}
	buf = append(buf, 0x30, byte(extensions))
	if e.Reason != ReasonUnspecified {
		buf = append(append(buf, reasonHead...), byte(e.Reason))
	}
	if !e.InvalidityDate.IsZero() {
		buf = append(buf, invalidityHead...)
		buf = e.InvalidityDate.UTC().AppendFormat(buf, generalTimeForm)
	}
	return buf, nil
}

// The two entry extensions up to their values: SEQUENCE { OID, OCTET STRING { ENUMERATED | GeneralizedTime.
const (
	reasonHead     = "\x30\x0a\x06\x03\x55\x1d\x15\x04\x03\x0a\x01"
	reasonSize     = len(reasonHead) + 1
	invalidityHead = "\x30\x18\x06\x03\x55\x1d\x18\x04\x11\x18\x0f"
	invaliditySize = len(invalidityHead) + len(generalTimeForm)
)

// timeSize is the size of a Time of the year of t, with its header.
func timeSize(t time.Time) (int, error) {
	switch year := t.Year(); {
	case year >= 1950 && year < 2050:
		return 2 + len(utcTimeForm), nil
	case year >= 2050 && year <= 9999:
		return 2 + len(generalTimeForm), nil
	}
	return 0, malformed("time outside the years 1950 to 9999")
}

// appendTime appends a Time without package time's general formatter.
func appendTime(buf []byte, t time.Time) []byte {
	year, month, date := t.Date()
	hour, minute, second := t.Clock()
	if year < 2050 {
		buf = append(buf, byte(cbasn1.UTCTime), byte(len(utcTimeForm)))
	} else {
		buf = appendTwo(append(buf, byte(cbasn1.GeneralizedTime), byte(len(generalTimeForm))), year/100)
	}
	for _, n := range [...]int{year % 100, int(month), date, hour, minute, second} {
		buf = appendTwo(buf, n)
	}
	return append(buf, 'Z')
}

func appendTwo(buf []byte, n int) []byte { return append(buf, '0'+byte(n/10), '0'+byte(n%10)) }

// headerSize is the size of tag and length before n octets of content.
func headerSize(n int) int { return len(appendHeader(make([]byte, 0, 10), 0x30, n)) }

func appendHeader(buf []byte, tag byte, n int) []byte {
	buf = append(buf, tag)
	if n < 0x80 {
		return append(buf, byte(n))
	}
	octets := 1
	for m := n >> 8; m > 0; m >>= 8 {
		octets++
	}
	buf = append(buf, 0x80|byte(octets))
	for i := octets - 1; i >= 0; i-- {
		buf = append(buf, byte(n>>(8*i)))
	}
	return buf
}

// extensions returns the list's extensions under their context tag.
func (t CRLTemplate) extensions() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if id := t.Issuer.SubjectKeyID; len(id) > 0 {
				addExtension(b, OIDAuthorityKeyID, false, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(id) })
					})
				})
			}
			addExtension(b, OIDCRLNumber, false, func(b *cryptobyte.Builder) { b.AddASN1Uint64(t.Number) })
			if t.BaseNumber > 0 {
				addExtension(b, OIDDeltaCRLIndicator, true, func(b *cryptobyte.Builder) { b.AddASN1Uint64(t.BaseNumber) })
			}
			if t.Distribution != nil {
				addExtension(b, OIDIssuingDistPoint, true, t.Distribution.add)
			}
			if len(t.FreshestCRL) > 0 {
				addExtension(b, OIDFreshestCRL, false, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) { addPointURIs(b, t.FreshestCRL) })
					})
				})
			}
		})
	})
	return b.Bytes()
}

func (d *IssuingDistributionPoint) add(b *cryptobyte.Builder) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if len(d.URIs) > 0 {
			addPointURIs(b, d.URIs)
		}
		if d.OnlyUsers {
			b.AddASN1(cbasn1.Tag(1).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddUint8(0xff) })
		}
		if d.OnlyCAs {
			b.AddASN1(cbasn1.Tag(2).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddUint8(0xff) })
		}
	})
}

// addPointURIs appends distributionPoint [0] { fullName [0] { uniformResourceIdentifier [6] … } }.
func addPointURIs(b *cryptobyte.Builder, uris []string) {
	constructed := cbasn1.Tag(0).Constructed().ContextSpecific()
	b.AddASN1(constructed, func(b *cryptobyte.Builder) {
		b.AddASN1(constructed, func(b *cryptobyte.Builder) {
			for _, uri := range uris {
				b.AddASN1(cbasn1.Tag(6).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte(uri)) })
			}
		})
	})
}

// addExtension appends an Extension; critical is written only when it is true.
func addExtension(b *cryptobyte.Builder, oid OID, critical bool, value func(*cryptobyte.Builder)) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		AddOID(b, oid)
		if critical {
			b.AddASN1Boolean(true)
		}
		b.AddASN1(cbasn1.OCTET_STRING, value)
	})
}
