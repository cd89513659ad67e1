package card

import (
	"bytes"
	"compress/zlib"
	"crypto"
	"crypto/ecdsa"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"

	"hufu/internal/gm"
)

// QRPrefix marks our QR texts; 1 is the version of the format.
const QRPrefix = "CL1:"

// AlgSM2 is the COSE algorithm number of SM2-with-SM3 with the default identifier and raw r‖s in these texts: a private
// number (RFC 9053: below −65536), since COSE has registered none. The number −48 of an expired draft means ML-DSA-44
// now and is never used.
const AlgSM2 = -66501

const (
	compressAbove = 600 // octets of COSE
	maxCOSE       = 16 << 10
	maxQRText     = 8 << 10
	kidSize       = 8
	maxLife       = 24 * time.Hour
)

// Shown is what a QR text says of a licence: only the fields that the holder chose.
type Shown struct {
	Identifier string
	Title      string
	Issued     time.Time // of the text, to the second
	Expires    time.Time // at most 24 hours later
	Audience   string    // who it is shown to; empty: anyone
	Fields     []ShownField
}

// ShownField is one fact.
type ShownField struct {
	_     struct{} `cbor:",toarray"`
	Label string
	Value string
}

// claims is the CBOR payload: registered CWT keys, private ones below −65536.
type claims struct {
	Audience   string       `cbor:"3,keyasint,omitempty"`
	Expires    int64        `cbor:"4,keyasint"`
	Issued     int64        `cbor:"6,keyasint"`
	Identifier string       `cbor:"-66510,keyasint"`
	Title      string       `cbor:"-66511,keyasint"`
	Fields     []ShownField `cbor:"-66512,keyasint"`
}

type header struct {
	Alg int64  `cbor:"1,keyasint"`
	Kid []byte `cbor:"4,keyasint"`
}

type sign1 struct {
	_           struct{} `cbor:",toarray"`
	Protected   []byte
	Unprotected map[int64]cbor.RawMessage
	Payload     []byte
	Signature   []byte
}

const tagSign1 = 18

// codec gives the deterministic encoder and the strict decoder.
func codec() (cbor.EncMode, cbor.DecMode, error) {
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		return nil, nil, err
	}
	dec, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, IndefLength: cbor.IndefLengthForbidden, MaxNestedLevels: 8,
		MaxArrayElements: 256, MaxMapPairs: 32, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	}.DecMode()
	return enc, dec, err
}

// KeyID is how a QR text names its key: the first 8 octets of SM3 over the signer's certificate (DER).
func KeyID(cert []byte) []byte {
	sum := gm.SM3(cert)
	return sum[:kidSize]
}

// MakeQR signs what is to be shown with the SM2 key of cert.
func MakeQR(s Shown, cert []byte, signer crypto.Signer) (string, error) {
	if err := s.check(); err != nil {
		return "", err
	}
	enc, _, err := codec()
	if err != nil {
		return "", err
	}
	protected, err := enc.Marshal(header{Alg: AlgSM2, Kid: KeyID(cert)})
	if err != nil {
		return "", ErrQR.With("%w", err)
	}
	payload, err := enc.Marshal(claims{
		Audience: s.Audience, Expires: s.Expires.Unix(), Issued: s.Issued.Unix(),
		Identifier: s.Identifier, Title: s.Title, Fields: s.Fields,
	})
	if err != nil {
		return "", ErrQR.With("%w", err)
	}
	message, err := signedBytes(enc, protected, payload)
	if err != nil {
		return "", err
	}
	der, err := gm.SignMessage(signer, message)
	if err != nil {
		return "", err
	}
	raw, err := gm.RawSignature(der)
	if err != nil {
		return "", err
	}
	out, err := enc.Marshal(cbor.Tag{Number: tagSign1, Content: sign1{Protected: protected, Unprotected: map[int64]cbor.RawMessage{}, Payload: payload, Signature: raw}})
	if err != nil {
		return "", ErrQR.With("%w", err)
	}
	return QRPrefix + encode45(squeeze(out)), nil
}

// squeeze compresses long texts only: short ones get longer by it.
func squeeze(b []byte) []byte {
	if len(b) <= compressAbove {
		return b
	}
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	_, _ = w.Write(b) // a bytes.Buffer takes everything
	_ = w.Close()
	if z.Len() >= len(b) {
		return b
	}
	return z.Bytes()
}

func (s *Shown) check() error {
	if _, err := ParseIdentifier(s.Identifier); err != nil {
		return err
	}
	life := s.Expires.Sub(s.Issued)
	if s.Title == "" || len(s.Fields) > 64 || life <= 0 || life > maxLife {
		return ErrQR.With("title %q, %d fields, life %s", s.Title, len(s.Fields), life)
	}
	for _, f := range append(s.Fields, ShownField{Label: s.Title, Value: s.Audience}) {
		if f.Label == "" || len(f.Label) > 400 || len(f.Value) > 2000 || !utf8.ValidString(f.Label+f.Value) {
			return ErrQR.With("field %q", f.Label)
		}
	}
	return nil
}

// signedBytes is the Sig_structure of RFC 9052, 4.4.
func signedBytes(enc cbor.EncMode, protected, payload []byte) ([]byte, error) {
	b, err := enc.Marshal([]any{"Signature1", protected, []byte{}, payload})
	if err != nil {
		return nil, ErrQR.With("%w", err)
	}
	return b, nil
}

// QR is a parsed QR text whose signature was not checked yet; nothing of it is to be believed before Verify.
type QR struct {
	Shown
	KeyID     []byte
	message   []byte
	signature []byte // DER
}

// IsQR tells whether text claims to be one of ours.
func IsQR(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), QRPrefix) }

// ParseQR reads a QR text. Only the encoding that MakeQR writes is read, of one algorithm.
func ParseQR(text string) (*QR, error) {
	body, ok := strings.CutPrefix(strings.TrimRight(text, "\r\n"), QRPrefix)
	if !ok || len(text) > maxQRText {
		return nil, ErrQR.With("prefix or length %d", len(text))
	}
	raw, ok := decode45(body)
	if !ok || len(raw) == 0 {
		return nil, ErrQR.With("base45")
	}
	if raw[0]&0x0f == 8 && raw[0] != tagSign1|0xc0 { // zlib
		var err error
		if raw, err = expand(raw); err != nil {
			return nil, err
		}
	}
	enc, dec, err := codec()
	if err != nil {
		return nil, err
	}
	if len(raw) == 0 || raw[0] != 0xc0|tagSign1 {
		return nil, ErrQR.With("no COSE_Sign1")
	}
	var s sign1
	var h header
	var c claims
	if err := dec.Unmarshal(raw[1:], &s); err != nil {
		return nil, ErrQR.With("%w", err)
	}
	if err := dec.Unmarshal(s.Protected, &h); err != nil {
		return nil, ErrQR.With("header: %w", err)
	}
	if err := dec.Unmarshal(s.Payload, &c); err != nil {
		return nil, ErrQR.With("payload: %w", err)
	}
	if h.Alg != AlgSM2 || len(h.Kid) != kidSize || len(s.Unprotected) != 0 {
		return nil, ErrQR.With("algorithm %d", h.Alg)
	}
	for v, b := range map[any][]byte{&h: s.Protected, &c: s.Payload} {
		if again, err := enc.Marshal(v); err != nil || !bytes.Equal(again, b) {
			return nil, ErrQR.With("encoding is not deterministic")
		}
	}
	q := &QR{KeyID: h.Kid, Shown: Shown{
		Identifier: c.Identifier, Title: c.Title, Audience: c.Audience, Fields: c.Fields,
		Issued: time.Unix(c.Issued, 0).UTC(), Expires: time.Unix(c.Expires, 0).UTC(),
	}}
	if q.signature, err = gm.DERSignature(s.Signature); err != nil {
		return nil, ErrQRSign.With("%w", err)
	}
	if q.message, err = signedBytes(enc, s.Protected, s.Payload); err != nil {
		return nil, err
	}
	return q, nil
}

// expand inflates within bounds; bytes after the end are refused.
func expand(z []byte) ([]byte, error) {
	in := bytes.NewReader(z)
	r, err := zlib.NewReader(in)
	if err != nil {
		return nil, ErrQR.With("compression: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(r, maxCOSE+1))
	if err != nil || len(out) > maxCOSE || in.Len() != 0 {
		return nil, ErrQR.With("compressed data")
	}
	return out, nil
}

// Verify checks the signature under the key that the caller found for KeyID.
func (q *QR) Verify(pub *ecdsa.PublicKey) error {
	if pub == nil {
		return ErrQRKey.With("key id %x", q.KeyID)
	}
	if !gm.Verify(pub, q.message, q.signature) {
		return ErrQRSign.With("key id %x", q.KeyID)
	}
	return nil
}

// CheckTime refuses a text outside its life at the time at; skew is how far clocks may differ.
func (q *QR) CheckTime(at time.Time, skew time.Duration) error {
	if at.Add(skew).Before(q.Issued) || at.Add(-skew).After(q.Expires) || q.Expires.Sub(q.Issued) > maxLife || !q.Expires.After(q.Issued) {
		return ErrQRExpired.With("%s to %s", q.Issued.Format(time.RFC3339), q.Expires.Format(time.RFC3339))
	}
	return nil
}
