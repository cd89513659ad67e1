//go:build cgo

package pkcs11

import (
	"errors"
	"testing"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
)

// A module that finds objects for ever does not keep a goroutine and ever more memory.
func TestASearchWithoutEnd(t *testing.T) {
	calls := 0
	all, err := gather(func() ([]p11.ObjectHandle, error) {
		if calls++; calls > 2*mostObjects {
			t.Fatal("no end")
		}
		return []p11.ObjectHandle{1, 2, 3}, nil
	})
	if all != nil || !errors.Is(err, hsm.ErrUnavailable) {
		t.Errorf("%d objects, %v", len(all), err)
	}
	calls = 0
	all, err = gather(func() ([]p11.ObjectHandle, error) {
		if calls++; calls == 3 {
			return nil, nil
		}
		return []p11.ObjectHandle{7}, nil
	})
	if len(all) != 2 || err != nil {
		t.Errorf("%d objects, %v", len(all), err)
	}
}
