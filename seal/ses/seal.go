package ses

import (
	"bytes"
	"slices"
	"strconv"
	"time"
)

// Version of the structures, by shape.
type Version int

// The three formats in use.
const (
	V1 Version = 1 // GM/T 0031-2014
	V4 Version = 4 // GB/T 38540-2020
	V5 Version = 5 // GM/T 0031-2025
)

// String gives "v4".
func (v Version) String() string { return "v" + strconv.Itoa(int(v)) }

// Kinds of the certificate list.
const (
	ListCertificates = 1
	ListDigests      = 2
)

// Digest is an entry of a list of type 2.
type Digest struct {
	Type  string // as written: the OID of a digest algorithm, or its name
	Value []byte
}

// Picture is what the seal looks like. Its octets are untrusted.
type Picture struct {
	Type          string // PNG, JPG, GIF, BMP, SVG, ofd
	Data          []byte
	Width, Height int // mm
}

// ExtData is an extension; extensions are shown, never interpreted.
type ExtData struct {
	OID      string
	Critical bool
	Value    []byte
}

// Seal is a parsed SESeal.
type Seal struct {
	Raw           []byte
	Version       Version // by shape
	HeaderVersion int     // as written
	VendorID      string
	ESID          string
	Type          int // property.type: shown, never interpreted
	Name          string
	ListType      int // 0 in v1, which has certificates only
	Certs         [][]byte
	Digests       []Digest
	Created       time.Time
	ValidStart    time.Time
	ValidEnd      time.Time
	Picture       Picture
	Extensions    []ExtData
	MakerCert     []byte // DER of the seal maker's certificate
	SigAlg        string // OID
	SigValue      []byte // octets of the BIT STRING: what a time-stamp covers
	Signature     []byte // DER of the maker's signature
	TimeStamp     []byte // v5; nil when absent
	NonStandard   []string

	info, certRaw, algRaw []byte
}

// SignedBytes is what the maker signed: SES_SealInfo as found (v4, v5), or a SEQUENCE of the info, certificate
// and algorithm as found (v1).
func (s *Seal) SignedBytes() []byte {
	if s.Version != V1 {
		return s.info
	}
	return sequence(s.info, s.certRaw, s.algRaw)
}

// sequence joins elements under a new outer header.
func sequence(parts ...[]byte) []byte { return wrap(tagSeq, bytes.Join(parts, nil)) }

// wrap gives one element in DER.
func wrap(tag byte, body []byte) []byte {
	out := []byte{tag}
	switch n := len(body); {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 0x100:
		out = append(out, 0x81, byte(n))
	case n < 0x10000:
		out = append(out, 0x82, byte(n>>8), byte(n))
	case n < 0x1000000:
		out = append(out, 0x83, byte(n>>16), byte(n>>8), byte(n))
	default:
		out = append(out, 0x84, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return append(out, body...)
}

// Lists tells whether cert stands in the seal's list. digest gives the digest of cert under an entry's type, nil when
// that type is not known. In a list of certificates the whole DER must be equal.
func (s *Seal) Lists(cert []byte, digest func(kind string, cert []byte) []byte) bool {
	for _, c := range s.Certs {
		if bytes.Equal(c, cert) {
			return true
		}
	}
	for _, d := range s.Digests {
		if want := digest(d.Type, cert); want != nil && bytes.Equal(want, d.Value) {
			return true
		}
	}
	return false
}

// ParseSeal reads a bare seal (.esl) of any version.
func ParseSeal(der []byte) (*Seal, error) {
	if len(der) > MaxSize {
		return nil, malformed("%d octets", len(der))
	}
	notes := []string{}
	r := &reader{rest: der, notes: &notes}
	s, err := r.seal()
	if err != nil {
		return nil, err
	}
	if err := r.done("seal"); err != nil {
		return nil, err
	}
	s.NonStandard = notes
	return s, nil
}

// seal takes one SESeal.
func (r *reader) seal() (*Seal, error) {
	outer := r.take("seal", tagSeq)
	in := r.inside(outer)
	s := &Seal{Raw: outer.raw}
	fields := in.count()
	info := in.take("seal info", tagSeq)
	s.info = info.raw
	switch fields {
	case 2:
		s.Version = V1
		in.signInfo(s)
	case 4, 5:
		s.Version = V4
		in.makerFields(s)
		if fields == 5 {
			s.Version = V5
			s.TimeStamp = in.timeStamp()
		}
	default:
		in.fail("seal of %d fields", fields)
	}
	if err := in.done("seal"); err != nil {
		return nil, err
	}
	if err := r.inside(info).sealInfo(s, fields); err != nil {
		return nil, err
	}
	s.Signature = r.signature("maker signature", s.SigValue)
	return s, r.err
}

func (r *reader) makerFields(s *Seal) {
	cert := r.take("maker certificate", tagOctets)
	s.MakerCert, s.certRaw = cert.body, cert.raw
	s.algRaw = r.rest
	s.SigAlg = r.oid("maker algorithm")
	s.algRaw = s.algRaw[:len(s.algRaw)-len(r.rest)]
	s.SigValue = r.bits("maker signature")
}

// signInfo takes v1's signInfo, a SEQUENCE, or in some products the same inside a BIT STRING.
func (r *reader) signInfo(s *Seal) {
	e := r.take("sign info", tagSeq, tagBits)
	in := r.inside(e)
	if e.tag == tagBits {
		if len(e.body) == 0 || e.body[0] != 0 {
			r.fail("sign info: unused bits")
			return
		}
		wrapped := &reader{rest: e.body[1:], notes: r.notes}
		in = wrapped.inside(wrapped.take("sign info", tagSeq))
		if err := wrapped.done("sign info"); err != nil {
			r.err = err
			return
		}
	}
	in.makerFields(s)
	if err := in.done("sign info"); err != nil && r.err == nil {
		r.err = err
	}
}

// timeStamp takes [0] EXPLICIT BIT STRING.
func (r *reader) timeStamp() []byte {
	in := r.inside(r.take("time-stamp", tagExplicit0))
	b := in.bits("time-stamp")
	if err := in.done("time-stamp"); err != nil && r.err == nil {
		r.err = err
	}
	return b
}

func (r *reader) sealInfo(s *Seal, fields int) error {
	head := r.inside(r.take("header", tagSeq))
	if id := head.text("header id", tagIA5); id != "ES" && head.err == nil {
		head.note("header-id")
	}
	s.HeaderVersion = head.integer("header version")
	s.VendorID = head.text("vendor id", tagIA5)
	if err := head.done("header"); err != nil {
		return err
	}
	if fields == 4 && s.HeaderVersion == int(V5) {
		s.Version = V5
	}
	if s.HeaderVersion != int(s.Version) {
		r.note("header-version-disagrees")
	}
	s.ESID = r.text("seal id", tagIA5)
	if err := r.inside(r.take("property", tagSeq)).property(s); err != nil {
		return err
	}
	pic := r.inside(r.take("picture", tagSeq))
	s.Picture = Picture{Type: pic.text("picture type", tagIA5), Data: pic.octets("picture data"), Width: pic.integer("picture width"), Height: pic.integer("picture height")}
	if err := pic.done("picture"); err != nil {
		return err
	}
	if len(r.rest) > 0 {
		e := r.take("extensions", tagSeq, tagExplicit0)
		in := r.inside(e)
		if e.tag == tagExplicit0 {
			in = in.inside(in.take("extensions", tagSeq))
		}
		ext, err := in.extensions()
		if err != nil {
			return err
		}
		s.Extensions = ext
	}
	return r.done("seal info")
}

func (r *reader) property(s *Seal) error {
	s.Type = r.integer("seal type")
	s.Name = r.text("seal name", tagUTF8)
	want := byte(tagUTCTime)
	if s.Version != V1 {
		want = tagGenTime
		s.ListType = r.integer("certificate list type")
	}
	list := r.inside(r.take("certificate list", tagSeq))
	for len(list.rest) > 0 && list.err == nil {
		if len(s.Certs)+len(s.Digests) >= maxCerts {
			list.fail("more than %d certificates", maxCerts)
			break
		}
		if list.peek() == tagSeq && s.ListType == ListDigests {
			in := list.inside(list.take("digest", tagSeq))
			s.Digests = append(s.Digests, Digest{Type: in.text("digest type", tagPrintable), Value: in.octets("digest value")})
			if err := in.done("digest"); err != nil {
				return err
			}
			continue
		}
		entry := list.next("listed certificate")
		if entry.tag == tagOctets {
			s.Certs = append(s.Certs, entry.body)
			continue
		}
		list.note("certificate-list-entry") // whatever it is, it lists nobody unless its bytes are the certificate
		s.Certs = append(s.Certs, entry.raw)
	}
	if err := list.done("certificate list"); err != nil {
		return err
	}
	if s.Version != V1 && !slices.Contains([]int{ListCertificates, ListDigests}, s.ListType) {
		r.note("certificate-list-type")
	}
	s.Created = r.time("created", want)
	s.ValidStart = r.time("valid start", want)
	s.ValidEnd = r.time("valid end", want)
	if r.err == nil && s.Created.After(s.ValidStart) {
		r.note("created-after-valid-start")
	}
	return r.done("property")
}

// extensions takes SEQUENCE OF ExtData. Strict DER leaves critical out when false; deployed seals write it. Both are read.
func (r *reader) extensions() ([]ExtData, error) {
	var out []ExtData
	for len(r.rest) > 0 && r.err == nil {
		if len(out) >= maxExtensions {
			r.fail("more than %d extensions", maxExtensions)
			break
		}
		in := r.inside(r.take("extension", tagSeq))
		x := ExtData{OID: in.oid("extension id")}
		if in.peek() == tagBool {
			b := in.take("extension critical", tagBool)
			if len(b.body) != 1 {
				in.fail("extension critical")
			} else {
				x.Critical = b.body[0] != 0
			}
		}
		x.Value = in.octets("extension value")
		if err := in.done("extension"); err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, r.err
}
