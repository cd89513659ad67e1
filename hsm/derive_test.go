package hsm

import (
	"bytes"
	"errors"
	"testing"

	"hufu/internal/gm"
)

func TestDerivedWrapping(t *testing.T) {
	block, err := gm.NewSM4(bytes.Repeat([]byte{3}, gm.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	encrypt := func(in []byte) ([]byte, error) {
		out := make([]byte, len(in))
		for i := 0; i < len(in); i += 16 {
			block.Encrypt(out[i:], in[i:])
		}
		return out, nil
	}
	sealed, err := SealDerived(encrypt, []byte("a data key"), []byte("row 17"))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := OpenDerived(encrypt, sealed, []byte("row 17")); err != nil || string(data) != "a data key" {
		t.Fatalf("%q, %v", data, err)
	}
	if again, err := SealDerived(encrypt, []byte("a data key"), []byte("row 17")); err != nil || bytes.Equal(again, sealed) {
		t.Errorf("the same octets twice: a nonce came twice (%v)", err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := OpenDerived(encrypt, bad, []byte("row 17")); !errors.Is(err, ErrNotAuthentic) {
			t.Errorf("octet %d changed: %v", i, err)
		}
		if _, err := OpenDerived(encrypt, sealed[:i], []byte("row 17")); !errors.Is(err, ErrNotAuthentic) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	if _, err := OpenDerived(encrypt, sealed, []byte("row 18")); !errors.Is(err, ErrNotAuthentic) {
		t.Errorf("another row: %v", err)
	}
	broken := errors.New("device gone")
	if _, err := OpenDerived(func([]byte) ([]byte, error) { return nil, broken }, sealed, nil); !errors.Is(err, broken) {
		t.Errorf("a failing device: %v", err)
	}
	if _, err := SealDerived(func([]byte) ([]byte, error) { return make([]byte, 31), nil }, nil, nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a device that returns too little: %v", err)
	}
}
