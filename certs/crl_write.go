package certs

import (
	"bufio"
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// spoolLimit is the size up to which a list is kept in memory between signing and writing. A larger one is walked once more.
const spoolLimit = 16 << 20

// CRLTemplate is what a CRL is made from.
type CRLTemplate struct {
	Issuer                 *Certificate
	Number                 uint64 // from 1, never falls
	BaseNumber             uint64 // a delta to the complete list of this number; 0 makes a complete list
	ThisUpdate, NextUpdate time.Time
	Distribution           *IssuingDistributionPoint
	FreshestCRL            []string // where the delta of this complete list is

	// Entries is walked two or three times and must give the same each time: run it in one snapshot. Between lists of
	// up to 16 MiB (about 300,000 entries) two walks suffice.
	Entries iter.Seq[CRLEntry]
	// Err is asked after each walk whether it came to its end; may be nil. Without it a source that breaks off would make
	// a list that says "not revoked" of the rest.
	Err func() error
}

// WriteCRL signs a list and writes it to w. DER wants lengths first: the first walk sums them, the second feeds the
// signature's hash, and the list is written once the signature is known. Memory is constant. After an error what w has
// got is to be thrown away.
func WriteCRL(w io.Writer, t CRLTemplate, signer crypto.Signer) error {
	l, err := t.layout(signer)
	if err != nil {
		return fmt.Errorf("write CRL %d: %w", t.Number, err)
	}
	if err := l.signAndWrite(w, signer); err != nil {
		return fmt.Errorf("write CRL %d of %s: %w", t.Number, t.Issuer.Subject, err)
	}
	return nil
}

// crlLayout is a to-be-signed list whose lengths are known.
type crlLayout struct {
	t          CRLTemplate
	alg        SignatureAlgorithm
	algorithm  []byte // AlgorithmIdentifier
	head, tail []byte // what stands before and after the entries
	entries    int    // octets of all entries
}

func (t CRLTemplate) layout(signer crypto.Signer) (*crlLayout, error) {
	if err := t.check(signer); err != nil {
		return nil, err
	}
	alg, err := SigningAlgorithm(signer.Public())
	if err != nil {
		return nil, err
	}
	l := &crlLayout{t: t, alg: alg}
	var b cryptobyte.Builder
	AddSignatureAlgorithm(&b, alg)
	if l.algorithm, err = b.Bytes(); err != nil {
		return nil, err
	}
	var head cryptobyte.Builder
	head.AddASN1Int64(1)
	head.AddBytes(l.algorithm)
	head.AddBytes(t.Issuer.RawSubject)
	AddTime(&head, t.ThisUpdate)
	AddTime(&head, t.NextUpdate)
	if l.head, err = head.Bytes(); err != nil {
		return nil, err
	}
	if l.tail, err = t.extensions(); err != nil {
		return nil, err
	}
	return l, l.measure()
}

func (t CRLTemplate) check(signer crypto.Signer) error {
	switch {
	case t.Issuer == nil || t.Entries == nil:
		return errors.New("issuer or entries missing")
	case t.Number == 0:
		return errors.New("the number starts from 1")
	case t.BaseNumber >= t.Number:
		return errors.New("a delta has a greater number than its base")
	case t.BaseNumber > 0 && len(t.FreshestCRL) > 0:
		return errors.New("a delta does not point to a delta")
	case !t.ThisUpdate.Before(t.NextUpdate):
		return errors.New("nextUpdate is not after thisUpdate")
	case !SameKey(signer.Public(), t.Issuer.PublicKey):
		return fmt.Errorf("signer: %w", ErrWrongIssuer)
	case !maySignCRL(t.Issuer):
		return fmt.Errorf("key usage of the issuer lacks cRLSign: %w", ErrWrongIssuer)
	case t.Distribution != nil && (t.Distribution.Partial || t.Distribution.OnlyUsers && t.Distribution.OnlyCAs):
		return errors.New("this distribution point is never issued")
	}
	return nil
}

// measure is the first walk.
func (l *crlLayout) measure() error {
	var buf []byte
	for e := range l.t.Entries {
		var err error
		if buf, err = l.appendEntry(buf[:0], e); err != nil {
			return err
		}
		l.entries += len(buf)
	}
	return l.sourceErr()
}

func (l *crlLayout) sourceErr() error {
	if l.t.Err == nil {
		return nil
	}
	if err := l.t.Err(); err != nil {
		return fmt.Errorf("read entries: %w", err)
	}
	return nil
}

func (l *crlLayout) tbsContent() int {
	size := len(l.head) + len(l.tail)
	if l.entries > 0 {
		size += headerSize(l.entries) + l.entries
	}
	return size
}

// writeTBS is one further walk; a source that gives another total than at first is refused.
func (l *crlLayout) writeTBS(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	buf := append(appendHeader(nil, 0x30, l.tbsContent()), l.head...)
	if l.entries > 0 {
		buf = appendHeader(buf, 0x30, l.entries)
	}
	out.Write(buf) // bufio keeps the error for Flush
	left := l.entries
	for e := range l.t.Entries {
		var err error
		if buf, err = l.appendEntry(buf[:0], e); err != nil {
			return err
		}
		if left -= len(buf); left < 0 {
			break
		}
		if _, err := out.Write(buf); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	if err := l.sourceErr(); err != nil {
		return err
	}
	if left != 0 {
		return ErrEntriesChanged
	}
	out.Write(l.tail)
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

func (l *crlLayout) signAndWrite(w io.Writer, signer crypto.Signer) error {
	h, err := l.alg.NewHash(signer.Public())
	if err != nil {
		return err
	}
	size := headerSize(l.tbsContent()) + l.tbsContent()
	if size <= spoolLimit {
		spool := bytes.NewBuffer(make([]byte, 0, size))
		if err := l.writeTBS(io.MultiWriter(h, spool)); err != nil {
			return err
		}
		return l.finish(w, signer, h.Sum(nil), func(w io.Writer) error {
			_, err := w.Write(spool.Bytes())
			return err
		})
	}
	// The check sum only tells whether the source gave the same again; it protects nothing else.
	var signed, written maphash.Hash
	written.SetSeed(signed.Seed())
	if err := l.writeTBS(io.MultiWriter(h, &signed)); err != nil {
		return err
	}
	return l.finish(w, signer, h.Sum(nil), func(w io.Writer) error {
		if err := l.writeTBS(io.MultiWriter(w, &written)); err != nil {
			return err
		}
		if signed.Sum64() != written.Sum64() {
			return ErrEntriesChanged
		}
		return nil
	})
}

// finish signs the digest and writes the whole list round the to-be-signed part.
func (l *crlLayout) finish(w io.Writer, signer crypto.Signer, digest []byte, tbs func(io.Writer) error) error {
	sig, err := SignDigest(signer, l.alg, digest)
	if err != nil {
		return err
	}
	var tail cryptobyte.Builder
	tail.AddBytes(l.algorithm)
	tail.AddASN1BitString(sig)
	end, err := tail.Bytes()
	if err != nil {
		return err
	}
	header := appendHeader(nil, 0x30, headerSize(l.tbsContent())+l.tbsContent()+len(end))
	if _, err := w.Write(header); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := tbs(w); err != nil {
		return err
	}
	if _, err := w.Write(end); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// appendEntry appends one entry in DER. It is the inner loop of a list of millions: no builder, no allocation.
func (l *crlLayout) appendEntry(buf []byte, e CRLEntry) ([]byte, error) {
	serial := bytes.TrimLeft(e.Serial, "\x00")
	if len(serial) == 0 || len(serial) > maxSerialOctets {
		return nil, fmt.Errorf("serial number of %d octets: %w", len(serial), ErrMalformed)
	}
	if !e.Reason.Valid() || e.Reason == ReasonRemoveFromCRL && l.t.BaseNumber == 0 {
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
