package pkcs11

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestNote(t *testing.T) {
	id, err := newID()
	if err != nil {
		t.Fatal(err)
	}
	made := time.Date(2026, 11, 22, 1, 2, 3, 456789000, time.UTC)
	for _, purpose := range []string{"", "ca-root", strings.Repeat("p", 64)} {
		full := withNote(id, note{kindKey, made, purpose})
		if n := readNote(full); n.kind != kindKey || !n.made.Equal(made) || n.purpose != purpose || !bytes.Equal(full[:coreLen], id) {
			t.Errorf("%q: %+v", purpose, n)
		}
		if n := readNote(insideID(full)); n.kind != kindInside || !bytes.Equal(insideID(full)[:coreLen], id) {
			t.Errorf("wrapping key beside: %+v", n)
		}
	}
	full := withNote(id, note{kindKey, made, "x"})
	for what, foreign := range map[string][]byte{
		"nothing": nil, "a vendor's": {1}, "bare": id, "cut off": full[:20], "another tag": append(bytes.Clone(id), "XX0123456789"...),
		"another kind": append(append(bytes.Clone(id), "HF\x09"...), make([]byte, 8)...), "control characters": append(bytes.Clone(full), 7),
		"too long": append(bytes.Clone(full), bytes.Repeat([]byte{'y'}, 64)...),
	} {
		if n := readNote(foreign); n.kind != 0 {
			t.Errorf("%s is taken for ours: %+v", what, n)
		}
	}
}

func FuzzReadNote(f *testing.F) {
	f.Add(withNote(make([]byte, coreLen), note{kindKey, time.UnixMicro(1), "p"}))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, id []byte) {
		n := readNote(id)
		if n.kind != 0 && !bytes.Equal(withNote(id, n), id) {
			t.Errorf("%x reads as %+v, which writes as %x", id, n, withNote(id, n))
		}
	})
}
