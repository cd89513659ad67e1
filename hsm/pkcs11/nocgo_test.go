//go:build !cgo

package pkcs11

import (
	"errors"
	"testing"

	"hufu/hsm"
)

func TestWithoutCgoOpenRefuses(t *testing.T) {
	d, err := Open(t.Context(), Config{Module: "/usr/lib/any.so", Token: "t"}, []byte("pin"))
	if d != nil || !errors.Is(err, hsm.ErrNoDriver) {
		t.Errorf("%v, %v", d, err)
	}
}
