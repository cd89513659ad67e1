//go:build !cgo

package pkcs11

import (
	"context"

	"hufu/hsm"
)

// Open refuses: PKCS#11 modules are C libraries.
func Open(_ context.Context, c Config, _ []byte) (hsm.Device, error) {
	return nil, hsm.ErrNoDriver.With("open PKCS#11 module %q", c.Module)
}

// Bare is for measurements alone; there is nothing to measure here.
func Bare(string, string, string, uint, []byte, int) (signs []func() ([]byte, error), close func(), err error) {
	return nil, nil, hsm.ErrNoDriver.With("pkcs11")
}
