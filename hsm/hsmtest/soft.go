package hsmtest

import (
	"path/filepath"
	"testing"

	"hufu/hsm"
)

// QuickKDF is a derivation for tests: no protection, no waiting.
var QuickKDF = hsm.KDF{Passes: 1, Memory: 8, Lanes: 1}

// Passphrase opens the stores that Soft makes.
const Passphrase = "correct horse battery staple"

// Soft returns a fresh soft device in a temporary folder, closed when the test ends.
func Soft(t testing.TB) *hsm.Soft {
	t.Helper()
	d, err := hsm.CreateSoft(filepath.Join(t.TempDir(), "keys"), []byte(Passphrase), hsm.Options{KDF: QuickKDF})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}
