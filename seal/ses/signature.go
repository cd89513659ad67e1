package ses

import "time"

// Signature is a parsed SES_Signature: what stands in SignedValue.dat of a signature of type Seal.
type Signature struct {
	Raw          []byte
	Version      Version
	TBSVersion   int // as written
	Seal         *Seal
	Time         time.Time // claimed; zero when v1's timeInfo holds a token or is unreadable
	TimeToken    []byte    // v1: a token in place of a time
	DataHash     []byte
	PropertyInfo string
	Extensions   []ExtData
	Cert         []byte // DER of the signer's certificate
	SigAlg       string
	SigValue     []byte // octets of the BIT STRING: what the time-stamp covers
	Signature    []byte // DER
	TimeStamp    []byte // nil when absent
	NonStandard  []string

	tbs []byte
}

// SignedBytes is TBS_Sign as found.
func (s *Signature) SignedBytes() []byte { return s.tbs }

// Kind is what a SignedValue.dat holds.
type Kind string

// The kinds by the first child of the outer SEQUENCE.
const (
	KindUnknown Kind = ""
	KindCMS     Kind = "cms"
	KindBare    Kind = "bare" // an SM2 signature alone
	KindSES     Kind = "ses"
)

// KindOf looks at the first child: an OID is CMS, two INTEGERs are a bare SM2 signature, a SEQUENCE is SES_Signature.
func KindOf(b []byte) Kind {
	notes := []string{}
	r := &reader{rest: b, notes: &notes}
	in := r.inside(r.take("signed value", tagSeq))
	switch in.peek() {
	case tagOID:
		return KindCMS
	case tagInt:
		if in.count() == 2 {
			return KindBare
		}
	case tagSeq:
		return KindSES
	}
	return KindUnknown
}

// ParseSignature reads an SES_Signature of any version.
func ParseSignature(der []byte) (*Signature, error) {
	if len(der) > MaxSize {
		return nil, malformed("%d octets", len(der))
	}
	notes := []string{}
	r := &reader{rest: der, notes: &notes}
	outer := r.take("signature", tagSeq)
	if err := r.done("signature"); err != nil {
		return nil, err
	}
	s := &Signature{Raw: outer.raw}
	in := r.inside(outer)
	fields := in.count()
	tbs := in.take("to be signed", tagSeq)
	s.tbs = tbs.raw
	switch fields {
	case 2:
		s.Version = V1
	case 4, 5:
		s.Version = V4
		s.Cert, s.SigAlg = in.octets("signer certificate"), in.oid("signer algorithm")
	default:
		in.fail("signature of %d fields", fields)
	}
	s.SigValue = in.bits("signature value")
	if fields == 5 {
		s.TimeStamp = in.timeStamp()
	}
	if err := in.done("signature"); err != nil {
		return nil, err
	}
	s.Signature = in.signature("signature value", s.SigValue)
	if err := in.inside(tbs).toBeSigned(s); err != nil {
		return nil, err
	}
	s.NonStandard = notes
	return s, nil
}

func (r *reader) toBeSigned(s *Signature) error {
	s.TBSVersion = r.integer("version")
	seal, err := r.seal()
	if err != nil {
		return err
	}
	s.Seal = seal
	if s.Version != V1 && seal.Version != V1 {
		s.Version = seal.Version
	}
	if s.TBSVersion != seal.HeaderVersion || s.Version != seal.Version {
		r.note("tbs-version-disagrees")
	}
	if s.Version == V1 {
		s.timeInfo(r, r.bits("time info", tagOctets, tagGenTime, tagUTCTime))
		s.DataHash = r.bits("data hash", tagOctets)
	} else {
		s.Time = r.time("time info", tagGenTime)
		s.DataHash = r.bits("data hash")
	}
	s.PropertyInfo = r.text("property info", tagIA5)
	if s.Version == V1 {
		s.Cert, s.SigAlg = r.octets("signer certificate"), r.oid("signer algorithm")
	} else if len(r.rest) > 0 {
		outer := r.inside(r.take("extensions", tagExplicit0))
		list := outer.take("extensions", tagSeq)
		if err := outer.done("extensions"); err != nil {
			return err
		}
		if s.Extensions, err = outer.inside(list).extensions(); err != nil {
			return err
		}
	}
	return r.done("to be signed")
}

// timeInfo reads v1's time: text, a DER time, or a time-stamp token.
func (s *Signature) timeInfo(r *reader, b []byte) {
	if r.err != nil {
		return
	}
	if len(b) > 0 && b[0] == tagSeq {
		s.TimeToken = b
		return
	}
	text, utc := string(b), len(b) == 13
	if len(b) > 2 && (b[0] == tagGenTime || b[0] == tagUTCTime) && int(b[1]) == len(b)-2 {
		text, utc = string(b[2:]), b[0] == tagUTCTime
	}
	t, standard, ok := parseTime(text, utc)
	if !ok {
		r.note("time-info-unreadable")
		return
	}
	if !standard {
		r.note("form-of-time-info")
	}
	s.Time = t
}
