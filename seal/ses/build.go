package ses

import (
	"bytes"
	"encoding/asn1"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"hufu/internal/gm"
)

// OIDSM2WithSM3 is the one algorithm that we write.
const OIDSM2WithSM3 = "1.2.156.10197.1.501"

// SealSpec is what a new seal is to hold. Exactly one of Certs and Digests is given.
type SealSpec struct {
	Version    Version // 0 means V4; V1 is never written
	VendorID   string
	ESID       string // 14 digits in deployed seals
	Type       int
	Name       string
	Certs      [][]byte // signers' certificates, DER
	Digests    []Digest
	Created    time.Time
	ValidStart time.Time
	ValidEnd   time.Time
	Picture    Picture
	Extensions []ExtData
}

var pictureTypes = []string{"PNG", "JPG", "GIF", "BMP", "SVG", "ofd"}

// check names the bad field.
func (s *SealSpec) check() error {
	bad := func(field string, v any) error { return malformed("seal: %s %v", field, v) }
	switch {
	case s.Version != V4 && s.Version != V5:
		return bad("Version", s.Version)
	case !ia5(s.VendorID):
		return bad("VendorID", s.VendorID)
	case !ia5(s.ESID):
		return bad("ESID", s.ESID)
	case s.Type < 0 || s.Type > 1<<20:
		return bad("Type", s.Type)
	case s.Name == "" || len(s.Name) > maxText || !utf8.ValidString(s.Name):
		return bad("Name", s.Name)
	case (len(s.Certs) == 0) == (len(s.Digests) == 0) || len(s.Certs)+len(s.Digests) > maxCerts:
		return bad("Certs and Digests", len(s.Certs)+len(s.Digests))
	case s.Created.IsZero() || !s.ValidEnd.After(s.ValidStart) || s.Created.After(s.ValidStart):
		return bad("times", fmt.Sprint(s.Created, s.ValidStart, s.ValidEnd))
	case !slices.Contains(pictureTypes, s.Picture.Type) || len(s.Picture.Data) == 0 || len(s.Picture.Data) > MaxSize/2:
		return bad("Picture", s.Picture.Type)
	case s.Picture.Width < 1 || s.Picture.Height < 1 || s.Picture.Width > 1000 || s.Picture.Height > 1000:
		return bad("Picture size", fmt.Sprint(s.Picture.Width, s.Picture.Height))
	}
	return nil
}

func ia5(s string) bool {
	return s != "" && len(s) <= maxText && !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e })
}

// PendingSeal is a seal without its maker's signature. Only NewSeal makes one.
type PendingSeal struct {
	version Version
	info    []byte
}

// NewSeal fixes what the seal maker is going to sign.
func NewSeal(spec SealSpec) (*PendingSeal, error) {
	if spec.Version == 0 {
		spec.Version = V4
	}
	if err := spec.check(); err != nil {
		return nil, err
	}
	var list [][]byte
	kind := ListCertificates
	for _, c := range spec.Certs {
		list = append(list, wrap(tagOctets, c))
	}
	for _, d := range spec.Digests {
		kind = ListDigests
		list = append(list, sequence(wrap(tagPrintable, []byte(d.Type)), wrap(tagOctets, d.Value)))
	}
	parts := [][]byte{
		sequence(wrap(tagIA5, []byte("ES")), integer(int(spec.Version)), wrap(tagIA5, []byte(spec.VendorID))),
		wrap(tagIA5, []byte(spec.ESID)),
		sequence(
			integer(spec.Type), wrap(tagUTF8, []byte(spec.Name)), integer(kind), sequence(list...),
			genTime(spec.Created), genTime(spec.ValidStart), genTime(spec.ValidEnd)),
		sequence(wrap(tagIA5, []byte(spec.Picture.Type)), wrap(tagOctets, spec.Picture.Data), integer(spec.Picture.Width), integer(spec.Picture.Height)),
	}
	if len(spec.Extensions) > 0 {
		ext, err := extensions(spec.Extensions)
		if err != nil {
			return nil, err
		}
		parts = append(parts, ext)
	}
	return &PendingSeal{version: spec.Version, info: sequence(parts...)}, nil
}

// SignedBytes is SES_SealInfo, the message that the maker signs with SM2.
func (p *PendingSeal) SignedBytes() []byte { return p.info }

// Finish joins info, the maker's certificate and signature (DER), and parses the result again.
func (p *PendingSeal) Finish(makerCert, sig []byte) ([]byte, error) {
	if _, err := gm.RawSignature(sig); err != nil {
		return nil, malformed("maker signature: %v", err)
	}
	der := sequence(p.info, wrap(tagOctets, makerCert), oid(OIDSM2WithSM3), bitString(sig))
	s, err := ParseSeal(der)
	if err != nil {
		return nil, err
	}
	if len(s.NonStandard) > 0 || s.Version != p.version {
		return nil, malformed("built seal %s: %v", s.Version, s.NonStandard)
	}
	return der, nil
}

// SealWithTimeStamp adds the token over SigValue to a v5 seal.
func SealWithTimeStamp(seal, token []byte) ([]byte, error) {
	s, err := ParseSeal(seal)
	if err != nil {
		return nil, err
	}
	if s.Version != V5 || s.TimeStamp != nil {
		return nil, malformed("a time-stamp goes into a v5 seal once, not into %s", s.Version)
	}
	return appendStamp(seal, token)
}

// PendingSignature is a seal signature without the signer's signature. Only NewSignature makes one.
type PendingSignature struct{ tbs []byte }

// SignatureSpec is what the signer signs.
type SignatureSpec struct {
	Seal         []byte // DER of a v4 or v5 seal, embedded as it stands
	Time         time.Time
	DataHash     [32]byte // SM3 of Signature.xml
	PropertyInfo string   // absolute path of Signature.xml
	Extensions   []ExtData
}

// NewSignature fixes TBS_Sign.
func NewSignature(spec SignatureSpec) (*PendingSignature, error) {
	s, err := ParseSeal(spec.Seal)
	if err != nil {
		return nil, err
	}
	switch {
	case s.Version == V1:
		return nil, malformed("v1 seals are read, not used")
	case spec.Time.IsZero():
		return nil, malformed("signature: no Time")
	case !ia5(spec.PropertyInfo) || spec.PropertyInfo[0] != '/':
		return nil, malformed("signature: PropertyInfo %q", spec.PropertyInfo)
	}
	parts := [][]byte{integer(s.HeaderVersion), spec.Seal, genTime(spec.Time), bitString(spec.DataHash[:]), wrap(tagIA5, []byte(spec.PropertyInfo))}
	if len(spec.Extensions) > 0 {
		ext, err := extensions(spec.Extensions)
		if err != nil {
			return nil, err
		}
		parts = append(parts, wrap(tagExplicit0, ext))
	}
	return &PendingSignature{tbs: sequence(parts...)}, nil
}

// SignedBytes is TBS_Sign, the message that the signer signs with SM2.
func (p *PendingSignature) SignedBytes() []byte { return p.tbs }

// Finish joins TBS_Sign, the signer's certificate and signature (DER), and parses the result again.
func (p *PendingSignature) Finish(cert, sig []byte) ([]byte, error) {
	if _, err := gm.RawSignature(sig); err != nil {
		return nil, malformed("signature: %v", err)
	}
	der := sequence(p.tbs, wrap(tagOctets, cert), oid(OIDSM2WithSM3), bitString(sig))
	if _, err := ParseSignature(der); err != nil {
		return nil, err
	}
	return der, nil
}

// SignatureWithTimeStamp adds the token over SigValue (v4, v5).
func SignatureWithTimeStamp(signature, token []byte) ([]byte, error) {
	s, err := ParseSignature(signature)
	if err != nil {
		return nil, err
	}
	if s.Version == V1 || s.TimeStamp != nil {
		return nil, malformed("a time-stamp goes into a v4 or v5 signature once")
	}
	return appendStamp(signature, token)
}

// appendStamp puts [0] behind the last field of a SEQUENCE.
func appendStamp(der, token []byte) ([]byte, error) {
	r := &reader{rest: der, notes: new([]string)}
	body := r.take("structure", tagSeq).body
	return sequence(body, wrap(tagExplicit0, bitString(token))), r.done("structure")
}

// extensions always writes critical: readers in the field demand three elements (strict DER would omit FALSE).
func extensions(list []ExtData) ([]byte, error) {
	var out [][]byte
	for _, x := range list {
		id, err := parseOID(x.OID)
		if err != nil {
			return nil, err
		}
		critical := byte(0)
		if x.Critical {
			critical = 0xff
		}
		out = append(out, sequence(id, []byte{tagBool, 1, critical}, wrap(tagOctets, x.Value)))
	}
	return sequence(out...), nil
}

func parseOID(s string) ([]byte, error) {
	var id asn1.ObjectIdentifier
	for p := range strings.SplitSeq(s, ".") {
		n, err := strconv.Atoi(p)
		if err != nil {
			return nil, malformed("object identifier %q", s)
		}
		id = append(id, n)
	}
	der, err := asn1.Marshal(id)
	if err != nil {
		return nil, malformed("object identifier %q", s)
	}
	return der, nil
}

func oid(s string) []byte {
	der, err := parseOID(s)
	if err != nil {
		return nil // constants only; Finish would refuse the result
	}
	return der
}

func integer(n int) []byte {
	b := []byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	b = bytes.TrimLeft(b, "\x00")
	if len(b) == 0 || b[0] >= 0x80 {
		b = append([]byte{0}, b...)
	}
	return wrap(tagInt, b)
}

func genTime(t time.Time) []byte {
	return wrap(tagGenTime, []byte(t.UTC().Format("20060102150405Z")))
}

func bitString(b []byte) []byte { return wrap(tagBits, append([]byte{0}, b...)) }
