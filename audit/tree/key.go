package tree

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"hufu/internal/gm"
)

// Use says what a key signs.
type Use int

const (
	// Log keys sign checkpoints.
	Log Use = iota
	// Witness keys cosign checkpoints of others.
	Witness
)

// C2SP signed-note keeps byte 0xff for signature types that it has not assigned and asks for a longer identifier
// after it. A signature is r‖s, 64 bytes, SM2 with SM3 and the default ID; a cosignature has its time before it, 8 bytes.
var useTypes = [...]string{Log: "\xffhufu/sm2-sm3/v1\n", Witness: "\xffhufu/sm2-sm3-cosignature/v1\n"}

const pointSize, rawSignatureSize, timeSize = 65, 64, 8

// Key is the public key of a log or a witness with its name.
//
// Its written form (vkey) is that of signed notes: name+id+base64(type ‖ public key), the public key being the
// uncompressed point, 04‖x‖y. The id is the first four bytes of SHA-256(name ‖ 0A ‖ type ‖ public key), as signed-note
// recommends: a look-up hint without a security role, hence not SM3, so that any note tool recomputes it.
type Key struct {
	name   string
	use    Use
	public *ecdsa.PublicKey
	id     uint32
}

// NewKey names a public key. The name is an origin: not empty, without spaces or plus signs.
func NewKey(name string, use Use, public crypto.PublicKey) (*Key, error) {
	pub, ok := public.(*ecdsa.PublicKey)
	switch {
	case !validName(name):
		return nil, fmt.Errorf("%w: name %.80q", ErrKey, name)
	case use != Log && use != Witness:
		return nil, fmt.Errorf("%w: use %d", ErrKey, use)
	case !ok || !gm.IsSM2(public):
		return nil, fmt.Errorf("%w: %s: %T is no SM2 key", ErrKey, name, public)
	}
	k := &Key{name: name, use: use, public: pub}
	sum := sha256.Sum256(append([]byte(name+"\n"), k.encoded()...))
	k.id = binary.BigEndian.Uint32(sum[:])
	return k, nil
}

// ParseKey reads a key in its written form.
func ParseKey(vkey string) (*Key, error) {
	bad := fmt.Errorf("%w: %.80q", ErrKey, vkey)
	vkey = strings.TrimSpace(vkey)
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, bad
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil {
		return nil, bad
	}
	for use, kind := range useTypes {
		if point, ok := bytes.CutPrefix(raw, []byte(kind)); ok && len(point) == pointSize {
			return parseKey(parts[0], Use(use), point, vkey)
		}
	}
	return nil, bad
}

func parseKey(name string, use Use, point []byte, vkey string) (*Key, error) {
	pub, err := gm.PublicKey(point)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrKey, name, err)
	}
	k, err := NewKey(name, use, pub)
	if err == nil && k.String() != vkey {
		err = fmt.Errorf("%w: %s: the id does not belong to the key", ErrKey, name)
	}
	return k, err
}

// ParseKeyPEM reads an SM2 public key (PEM block PUBLIC KEY, SubjectPublicKeyInfo) and names it.
func ParseKeyPEM(name string, use Use, text []byte) (*Key, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("%w: %s: no single PEM block PUBLIC KEY", ErrKey, name)
	}
	in := cryptobyte.String(block.Bytes)
	var info, algorithm cryptobyte.String
	var point []byte
	if !in.ReadASN1(&info, asn1.SEQUENCE) || !in.Empty() || !info.ReadASN1Element(&algorithm, asn1.SEQUENCE) ||
		!bytes.Equal(algorithm, sm2Algorithm) || !info.ReadASN1BitStringAsBytes(&point) || !info.Empty() {
		return nil, fmt.Errorf("%w: %s: not an SM2 public key", ErrKey, name)
	}
	pub, err := gm.PublicKey(point)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrKey, name, err)
	}
	return NewKey(name, use, pub)
}

// SEQUENCE { id-ecPublicKey 1.2.840.10045.2.1, sm2 1.2.156.10197.1.301 }
var sm2Algorithm = []byte{
	0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
	0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x82, 0x2d,
}

func (k *Key) encoded() []byte { return append([]byte(useTypes[k.use]), gm.Point(k.public)...) }

// String returns the key in its written form.
func (k *Key) String() string {
	return fmt.Sprintf("%s+%08x+%s", k.name, k.id, base64.StdEncoding.EncodeToString(k.encoded()))
}

// Name returns the name of the log or witness.
func (k *Key) Name() string { return k.name }

// KeyHash returns the key's id in notes.
func (k *Key) KeyHash() uint32 { return k.id }

// Same reports whether two keys are one key pair, whatever their names and uses.
func (k *Key) Same(other *Key) bool { return k.public.Equal(other.public) }

// Verify reports whether sig, as it stands in a note, signs the note's text; it makes Key a note.Verifier.
func (k *Key) Verify(text, sig []byte) bool {
	if k.use == Witness {
		if len(sig) != timeSize+rawSignatureSize || sig[0]&0x80 != 0 {
			return false
		}
		text, sig = cosigned(text, binary.BigEndian.Uint64(sig)), sig[timeSize:]
	}
	if len(sig) != rawSignatureSize {
		return false
	}
	der, err := gm.DERSignature(sig)
	return err == nil && gm.Verify(k.public, text, der)
}

// cosigned returns what a witness signs: header, time in seconds since 1970, the checkpoint.
func cosigned(text []byte, seconds uint64) []byte {
	return append(fmt.Appendf(nil, "%s\ntime %d\n", cosignatureHeader, seconds), text...)
}

const cosignatureHeader = "cosignature/v1"

// validName keeps names to what notes allow, and apart from the header by which cosignatures differ from checkpoints.
func validName(name string) bool {
	return name != "" && len(name) <= 255 && utf8.ValidString(name) && name != cosignatureHeader && !strings.Contains(name, "+") &&
		!strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}
