package certs

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Limits of time-stamp messages (RFC 3161).
const (
	MaxTimeStampRequestSize = 64 << 10
	MaxTimeStampTokenSize   = 1 << 20
	maxTimeStampNonce       = 64
)

// TimeStampRequest asks for a time-stamp over a digest.
type TimeStampRequest struct {
	Hash        OID
	Imprint     []byte
	Policy      OID    // "" leaves it to the authority
	Nonce       []byte // content octets of an INTEGER; nil when absent
	Certificate bool   // the token should carry the authority's certificate
}

// NewTimeStampRequest asks for a time-stamp over the SM3 digest of a message, with a nonce and the certificate.
func NewTimeStampRequest(message []byte) TimeStampRequest {
	imprint, _ := idHash(OIDSM3, message)
	nonce := make([]byte, 16)
	rand.Read(nonce)                // never fails (crypto/rand)
	nonce[0] = nonce[0]&0x7f | 0x40 // positive and minimal
	return TimeStampRequest{Hash: OIDSM3, Imprint: imprint, Nonce: nonce, Certificate: true}
}

// Marshal returns the DER.
func (r TimeStampRequest) Marshal() ([]byte, error) {
	if err := checkImprint(r.Hash, r.Imprint); err != nil {
		return nil, fmt.Errorf("time-stamp request: %w", err)
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		addImprint(b, r.Hash, r.Imprint)
		if r.Policy != "" {
			AddOID(b, r.Policy)
		}
		if r.Nonce != nil {
			b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(r.Nonce) })
		}
		if r.Certificate {
			b.AddASN1Boolean(true)
		}
	})
	return b.Bytes()
}

// ParseTimeStampRequest reads a request. ErrUnsupported: an extension or a hash that we do not stamp; the authority
// answers TimeStampBadAlgorithm or TimeStampBadRequest.
func ParseTimeStampRequest(der []byte) (*TimeStampRequest, error) {
	if len(der) > MaxTimeStampRequestSize {
		return nil, fmt.Errorf("time-stamp request of %d octets: %w", len(der), ErrTooLarge)
	}
	input := cryptobyte.String(der)
	var fields, nonce cryptobyte.String
	var version int64
	r := new(TimeStampRequest)
	if !input.ReadASN1(&fields, cbasn1.SEQUENCE) || !fields.ReadASN1Integer(&version) || version != 1 ||
		!readImprint(&fields, &r.Hash, &r.Imprint) ||
		fields.PeekASN1Tag(cbasn1.OBJECT_IDENTIFIER) && !ReadOID(&fields, &r.Policy) ||
		fields.PeekASN1Tag(cbasn1.INTEGER) && !readNonce(&fields, &nonce) ||
		fields.PeekASN1Tag(cbasn1.BOOLEAN) && !fields.ReadASN1Boolean(&r.Certificate) {
		return nil, malformed("time-stamp request")
	}
	if !input.Empty() {
		return nil, fmt.Errorf("time-stamp request: %w", ErrTrailing)
	}
	r.Nonce = nonce
	if !fields.Empty() {
		if fields.PeekASN1Tag(cbasn1.Tag(0).Constructed().ContextSpecific()) {
			return nil, fmt.Errorf("time-stamp request: extensions: %w", ErrUnsupported)
		}
		return nil, malformed("time-stamp request")
	}
	if err := checkImprint(r.Hash, r.Imprint); err != nil {
		return nil, fmt.Errorf("time-stamp request: %w", err)
	}
	return r, nil
}

func readNonce(s, out *cryptobyte.String) bool {
	return s.ReadASN1(out, cbasn1.INTEGER) && len(*out) > 0 && len(*out) <= maxTimeStampNonce
}

func addImprint(b *cryptobyte.Builder, hash OID, imprint []byte) {
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		AddAlgorithm(b, hash, hash != OIDSM3)
		b.AddASN1OctetString(imprint)
	})
}

func readImprint(s *cryptobyte.String, hash *OID, imprint *[]byte) bool {
	var fields, value cryptobyte.String
	var alg AlgorithmIdentifier
	ok := s.ReadASN1(&fields, cbasn1.SEQUENCE) && ReadAlgorithm(&fields, &alg) && alg.NullOrAbsent() &&
		fields.ReadASN1(&value, cbasn1.OCTET_STRING) && fields.Empty()
	*hash, *imprint = alg.OID, value
	return ok
}

// checkImprint takes digests that nobody can find collisions for, of their right length.
func checkImprint(hash OID, imprint []byte) error {
	want, known := contentDigest(hash, nil)
	if !known {
		return fmt.Errorf("hash %s: %w", hash, ErrUnsupported)
	}
	if len(imprint) != len(want) {
		return malformed("imprint of %d octets", len(imprint))
	}
	return nil
}

// TimeStampInfo is what a time-stamp says (TSTInfo).
type TimeStampInfo struct {
	Policy   OID
	Hash     OID
	Imprint  []byte
	Serial   []byte // big-endian, unique under the authority
	Time     time.Time
	Accuracy time.Duration // 0 when not told
	Ordering bool
	Nonce    []byte // content octets of the request's INTEGER
	TSA      Name   // empty when absent
}

// Stamps tells whether the imprint is that of a message.
func (t *TimeStampInfo) Stamps(message []byte) bool {
	want, ok := contentDigest(t.Hash, message)
	return ok && bytes.Equal(want, t.Imprint)
}

func (t *TimeStampInfo) marshal() ([]byte, error) {
	if err := checkImprint(t.Hash, t.Imprint); err != nil {
		return nil, err
	}
	if len(t.Serial) == 0 || len(t.Serial) > maxSerialOctets || t.Policy == "" || t.Accuracy < 0 {
		return nil, malformed("serial number, policy or accuracy")
	}
	name, err := t.TSA.Marshal()
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		AddOID(b, t.Policy)
		addImprint(b, t.Hash, t.Imprint)
		b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(integerOctets(t.Serial)) })
		AddGeneralizedTime(b, t.Time)
		addAccuracy(b, t.Accuracy)
		if t.Ordering {
			b.AddASN1Boolean(true)
		}
		if t.Nonce != nil {
			b.AddASN1(cbasn1.INTEGER, func(b *cryptobyte.Builder) { b.AddBytes(t.Nonce) })
		}
		if !t.TSA.Empty() {
			b.AddASN1(cbasn1.Tag(0).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.Tag(4).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(name) })
			})
		}
	})
	return b.Bytes()
}

// addAccuracy appends SEQUENCE { seconds, [0] millis, [1] micros }, leaving out what is zero.
func addAccuracy(b *cryptobyte.Builder, d time.Duration) {
	if d < time.Microsecond {
		return
	}
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if s := int64(d / time.Second); s > 0 {
			b.AddASN1Int64(s)
		}
		if ms := int64(d % time.Second / time.Millisecond); ms > 0 {
			b.AddASN1Int64WithTag(ms, cbasn1.Tag(0).ContextSpecific())
		}
		if us := int64(d % time.Millisecond / time.Microsecond); us > 0 {
			b.AddASN1Int64WithTag(us, cbasn1.Tag(1).ContextSpecific())
		}
	})
}

func parseTimeStampInfo(der []byte) (*TimeStampInfo, error) {
	input := cryptobyte.String(der)
	var fields, serial, nonce cryptobyte.String
	var version int64
	var ok bool
	t := new(TimeStampInfo)
	if !input.ReadASN1(&fields, cbasn1.SEQUENCE) || !input.Empty() || !fields.ReadASN1Integer(&version) || version != 1 ||
		!ReadOID(&fields, &t.Policy) || !readImprint(&fields, &t.Hash, &t.Imprint) ||
		!fields.ReadASN1(&serial, cbasn1.INTEGER) || len(serial) == 0 || len(serial) > maxSerialOctets+1 {
		return nil, malformed("time-stamp")
	}
	t.Serial = serial
	if t.Time, ok = readStampTime(&fields); !ok {
		return nil, malformed("time-stamp: time")
	}
	if t.Accuracy, ok = readAccuracy(&fields); !ok {
		return nil, malformed("time-stamp: accuracy")
	}
	if fields.PeekASN1Tag(cbasn1.BOOLEAN) && !fields.ReadASN1Boolean(&t.Ordering) ||
		fields.PeekASN1Tag(cbasn1.INTEGER) && !readNonce(&fields, &nonce) {
		return nil, malformed("time-stamp")
	}
	t.Nonce = nonce
	return t, t.parseEnd(fields)
}

// parseEnd reads the authority's name; extensions are read over unless one is critical.
func (t *TimeStampInfo) parseEnd(fields cryptobyte.String) error {
	var tsa, name, extensions cryptobyte.String
	var hasTSA, hasExtensions bool
	if !fields.ReadOptionalASN1(&tsa, &hasTSA, cbasn1.Tag(0).Constructed().ContextSpecific()) ||
		!fields.ReadOptionalASN1(&extensions, &hasExtensions, cbasn1.Tag(1).Constructed().ContextSpecific()) || !fields.Empty() {
		return malformed("time-stamp")
	}
	if hasTSA && tsa.ReadASN1(&name, cbasn1.Tag(4).Constructed().ContextSpecific()) {
		lenient := reader{lenient: true}
		var err error
		if t.TSA, err = lenient.name(&name, "time-stamp authority"); err != nil {
			return err
		}
	}
	if !hasExtensions {
		return nil
	}
	all, err := readExtensions(asSequence(extensions), "time-stamp")
	if err != nil {
		return err
	}
	for _, e := range all {
		if e.Critical {
			return fmt.Errorf("time-stamp: critical extension %s: %w", e.ID, ErrUnsupported)
		}
	}
	return nil
}

// asSequence gives the content of an IMPLICIT element the header that it stands for.
func asSequence(content []byte) cryptobyte.String {
	return append(appendHeader(nil, 0x30, len(content)), content...)
}

// readStampTime reads a GeneralizedTime in UTC, with a fraction where the authority writes one (RFC 3161, 2.4.2).
func readStampTime(s *cryptobyte.String) (time.Time, bool) {
	var content cryptobyte.String
	if !s.ReadASN1(&content, cbasn1.GeneralizedTime) {
		return time.Time{}, false
	}
	text := string(content)
	for _, form := range []string{generalTimeForm, "20060102150405.999999999Z"} {
		if t, err := time.Parse(form, text); err == nil && t.Format(form) == text {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

func readAccuracy(s *cryptobyte.String) (time.Duration, bool) {
	var fields cryptobyte.String
	if !s.PeekASN1Tag(cbasn1.SEQUENCE) {
		return 0, true
	}
	var seconds, millis, micros int64
	if !s.ReadASN1(&fields, cbasn1.SEQUENCE) || fields.PeekASN1Tag(cbasn1.INTEGER) && !fields.ReadASN1Integer(&seconds) {
		return 0, false
	}
	for tag, out := range []*int64{&millis, &micros} {
		t := cbasn1.Tag(tag).ContextSpecific()
		if fields.PeekASN1Tag(t) && (!fields.ReadASN1Int64WithTag(out, t) || *out < 1 || *out > 999) {
			return 0, false
		}
	}
	if !fields.Empty() || seconds < 0 || seconds > 1<<31 {
		return 0, false
	}
	return time.Duration(seconds)*time.Second + time.Duration(millis)*time.Millisecond + time.Duration(micros)*time.Microsecond, true
}
