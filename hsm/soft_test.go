package hsm_test

import (
	"path/filepath"
	"testing"

	"hufu/hsm"
	"hufu/hsm/hsmtest"
)

func TestSoftPassesTheSuite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	first, err := hsm.CreateSoft(dir, []byte(hsmtest.Passphrase), quick)
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	hsmtest.Run(t, func(t *testing.T) hsm.Device { return open(t, dir) })
}

var quick = hsm.Options{KDF: hsmtest.QuickKDF}

func open(t testing.TB, dir string) *hsm.Soft {
	t.Helper()
	d, err := hsm.OpenSoft(dir, []byte(hsmtest.Passphrase), quick)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}
