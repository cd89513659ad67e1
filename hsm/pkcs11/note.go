package pkcs11

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"time"
)

// What the driver knows of a key besides its attributes stands in CKA_ID, so that a key is made by one call to the device:
//
//	16 random octets ‖ "HF" ‖ kind, 1 ‖ made, microseconds since 1970 UTC, 8 big endian ‖ purpose, ASCII
//
// A CKA_ID of any other form belongs to somebody else's key and is taken as it is.
const (
	coreLen = 16
	noteTag = "HF"

	kindKey    = 1 // a key of hsm
	kindInside = 2 // the wrapping key that stands beside a key for wrapping, with the same 16 octets (inside.go)
)

// note is a CKA_ID read.
type note struct {
	kind    byte // 0 = not ours
	made    time.Time
	purpose string
}

func newID() ([]byte, error) {
	id := make([]byte, coreLen)
	_, err := rand.Read(id)
	return id, err
}

// withNote puts a note behind the 16 random octets of id. The time is kept to the microsecond.
func withNote(id []byte, n note) []byte {
	out := append(bytes.Clone(id[:coreLen]), noteTag...)
	out = append(out, n.kind)
	out = binary.BigEndian.AppendUint64(out, uint64(n.made.UnixMicro()))
	return append(out, n.purpose...)
}

// readNote reads a CKA_ID; kind is 0 where it is not of our form.
func readNote(id []byte) note {
	const head = coreLen + len(noteTag) + 1 + 8
	if len(id) < head || string(id[coreLen:coreLen+len(noteTag)]) != noteTag {
		return note{}
	}
	kind, purpose := id[coreLen+len(noteTag)], id[head:]
	if kind != kindKey && kind != kindInside {
		return note{}
	}
	if len(purpose) > 64 || bytes.ContainsFunc(purpose, func(r rune) bool { return r < ' ' || r > '~' }) {
		return note{}
	}
	micros := int64(binary.BigEndian.Uint64(id[head-8 : head]))
	return note{kind: kind, made: time.UnixMicro(micros).UTC(), purpose: string(purpose)}
}

// insideID is the CKA_ID of the wrapping key beside the key of id.
func insideID(id []byte) []byte { return withNote(id, note{kind: kindInside, made: readNote(id).made}) }
