package hsm_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hufu/hsm"
	"hufu/hsm/hsmtest"
	"hufu/internal/gm"
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

// store makes a closed store with one key of each label and returns its folder.
func store(t *testing.T, labels ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	d, err := hsm.CreateSoft(dir, []byte(hsmtest.Passphrase), quick)
	if err != nil {
		t.Fatal(err)
	}
	for _, label := range labels {
		if _, err := d.Generate(t.Context(), hsm.Spec{Label: label, Algorithm: hsm.SM2, Purpose: "ca-root"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// openErr opens a store that must not open.
func openErr(t *testing.T, dir, passphrase string) error {
	t.Helper()
	d, err := hsm.OpenSoft(dir, []byte(passphrase), quick)
	if err == nil {
		d.Close()
		return nil
	}
	return err
}

func want(t *testing.T, what string, err, sentinel error) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Errorf("%s: %v, want %v", what, err, sentinel)
	}
}

func TestWrongPassphraseAndDamageAreToldApart(t *testing.T) {
	dir := store(t, "root")
	want(t, "wrong passphrase", openErr(t, dir, "incorrect horse"), hsm.ErrWrongPIN)
	if err := openErr(t, dir, "incorrect horse"); strings.Contains(err.Error(), "incorrect") {
		t.Error("the passphrase stands in the error")
	}
	ring := filepath.Join(dir, "keyring")
	good, err := os.ReadFile(ring)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good { // one flipped bit in every octet, so in every field
		bad := bytes.Clone(good)
		bad[i] ^= 1
		write(t, ring, bad)
		if err := openErr(t, dir, hsmtest.Passphrase); !errors.Is(err, hsm.ErrDamaged) {
			t.Fatalf("octet %d flipped: %v", i, err)
		}
	}
	for n := range good {
		write(t, ring, good[:n])
		want(t, "cut off", openErr(t, dir, hsmtest.Passphrase), hsm.ErrDamaged)
	}
	write(t, ring, append(bytes.Clone(good), 0))
	want(t, "longer", openErr(t, dir, hsmtest.Passphrase), hsm.ErrDamaged)
	if err := os.Remove(ring); err != nil {
		t.Fatal(err)
	}
	want(t, "keys without a keyring", openErr(t, dir, hsmtest.Passphrase), hsm.ErrDamaged)
	_, err = hsm.CreateSoft(dir, []byte(hsmtest.Passphrase), quick)
	want(t, "a new keyring over old keys", err, hsm.ErrExists)
	write(t, ring, good)
	if err := open(t, dir).Health(t.Context()); err != nil {
		t.Errorf("restored: %v", err)
	}
}

// An attacker who may write repairs the checksum; the passphrase still guards the rest, and hostile costs are not paid.
func TestForgedKeyringGainsNothing(t *testing.T) {
	dir := store(t, "root")
	ring := filepath.Join(dir, "keyring")
	good, err := os.ReadFile(ring)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name     string
		at       int
		octets   []byte
		sentinel error
	}{
		{"version 2", 8, []byte{2}, hsm.ErrDamaged},
		{"another derivation", 9, []byte{7}, hsm.ErrDamaged},
		{"no passes", 10, []byte{0, 0, 0, 0}, hsm.ErrDamaged},
		{"four thousand million passes", 10, []byte{255, 255, 255, 255}, hsm.ErrDamaged},
		{"4 TiB of memory", 14, []byte{255, 255, 255, 255}, hsm.ErrDamaged},
		{"no memory", 14, []byte{0, 0, 0, 0}, hsm.ErrDamaged},
		{"no lanes", 18, []byte{0}, hsm.ErrDamaged},
		{"255 lanes", 18, []byte{255}, hsm.ErrDamaged},
		{"two passes", 13, []byte{2}, hsm.ErrWrongPIN},
		{"another id", 19, []byte{good[19] ^ 1}, hsm.ErrWrongPIN},
		{"another salt", 35, []byte{good[35] ^ 1}, hsm.ErrWrongPIN},
		{"another check", 51, []byte{good[51] ^ 1}, hsm.ErrWrongPIN},
		{"another nonce", 67, []byte{good[67] ^ 1}, hsm.ErrDamaged},
		{"another master", 90, []byte{good[90] ^ 1}, hsm.ErrDamaged},
	} {
		bad := bytes.Clone(good)
		copy(bad[c.at:], c.octets)
		sum := gm.SM3(bad[:127])
		copy(bad[127:], sum[:])
		write(t, ring, bad)
		want(t, c.name, openErr(t, dir, hsmtest.Passphrase), c.sentinel)
	}
}

func TestDamagedKeyFileIsFoundAndLeavesTheOthers(t *testing.T) {
	dir, ctx := store(t, "bad", "good"), t.Context()
	path := filepath.Join(dir, "bad.key")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string) {
		t.Helper()
		d := open(t, dir)
		defer d.Close()
		want(t, what+", health", d.Health(ctx), hsm.ErrDamaged)
		_, err := d.Signer(ctx, "bad")
		want(t, what+", signer", err, hsm.ErrDamaged)
		_, err = d.Generate(ctx, hsm.Spec{Label: "bad", Algorithm: hsm.SM2})
		want(t, what+", overwriting", err, hsm.ErrExists)
		if keys, err := d.Keys(ctx); err != nil || len(keys) != 1 || keys[0].Label != "good" {
			t.Errorf("%s: list %v, %v", what, keys, err)
		}
		if _, err := d.Signer(ctx, "good"); err != nil {
			t.Errorf("%s: the other key suffers: %v", what, err)
		}
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		write(t, path, bad)
		check("flipped bit")
	}
	for n := 0; n < len(good); n += 7 {
		write(t, path, good[:n])
		check("cut off")
	}
	write(t, path, make([]byte, 1<<20))
	check("too large")
	other, err := os.ReadFile(filepath.Join(store(t, "bad"), "bad.key"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, other)
	check("a key of another store")
	swapped, err := os.ReadFile(filepath.Join(dir, "good.key"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, swapped)
	check("another key under this name")

	d := open(t, dir)
	if err := d.Destroy(ctx, "bad"); err != nil {
		t.Errorf("a damaged key can be destroyed: %v", err)
	}
	if err := d.Health(ctx); err != nil {
		t.Error(err)
	}
}

func TestOthersMustNotReadTheStore(t *testing.T) {
	dir := store(t, "root")
	for name, modes := range map[string][2]os.FileMode{"": {0o750, 0o700}, "keyring": {0o640, 0o600}, "root.key": {0o604, 0o600}} {
		path := filepath.Join(dir, name)
		chmod(t, path, modes[0])
		want(t, "mode of "+name, openErr(t, dir, hsmtest.Passphrase), hsm.ErrExposed)
		chmod(t, path, modes[1])
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := errors.Join(os.Rename(filepath.Join(dir, "root.key"), elsewhere), os.Symlink(elsewhere, filepath.Join(dir, "root.key"))); err != nil {
		t.Fatal(err)
	}
	if err := openErr(t, dir, hsmtest.Passphrase); err == nil {
		t.Error("a symbolic link was followed")
	}
}

func TestPlacesWithoutAStoreSaySo(t *testing.T) {
	want(t, "missing folder", openErr(t, filepath.Join(t.TempDir(), "none"), hsmtest.Passphrase), hsm.ErrNoStore)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	want(t, "empty folder", openErr(t, empty, hsmtest.Passphrase), hsm.ErrNoStore)
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, []byte("x"))
	want(t, "a file", openErr(t, file, hsmtest.Passphrase), hsm.ErrNoStore)
	_, err := hsm.CreateSoft(filepath.Join(file, "keys"), []byte(hsmtest.Passphrase), quick)
	want(t, "below a file", err, hsm.ErrUnavailable)
}

func TestPassphraseComesFromAPrivateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passphrase")
	for in, ok := range map[string]bool{"correct horse\n": true, "correct horse\r\n": true, "口令口令口令": true, "short\n": false, "": false, "two lines\nof it\n": false, "nul\x00inside it": false, strings.Repeat("x", 1025): false} {
		write(t, path, []byte(in))
		p, err := hsm.PassphraseFile(path)
		if ok && (err != nil || string(p) != strings.TrimRight(in, "\r\n")) {
			t.Errorf("%q: %q, %v", in, p, err)
		}
		if !ok {
			want(t, in, err, hsm.ErrPassphrase)
		}
	}
	write(t, path, []byte("correct horse\n"))
	chmod(t, path, 0o644)
	_, err := hsm.PassphraseFile(path)
	want(t, "readable by others", err, hsm.ErrExposed)
	_, err = hsm.PassphraseFile(path + "x")
	want(t, "missing", err, hsm.ErrPassphrase)
}

func TestPrivateKeysAreNotOnDiskInClear(t *testing.T) {
	dir := store(t)
	d := open(t, dir)
	for _, a := range []string{hsm.SM2, hsm.P256, hsm.RSA2048, hsm.SM4} {
		if _, err := d.Generate(t.Context(), hsm.Spec{Label: a, Algorithm: a}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dir, a+".key"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", a, info.Mode(), err)
		}
	}
	rsa, err := os.ReadFile(filepath.Join(dir, hsm.RSA2048+".key"))
	if err != nil || bytes.Contains(rsa, []byte{0x02, 0x03, 0x01, 0x00, 0x01, 0x02, 0x82, 0x01}) { // INTEGER 65537, then INTEGER d of 256 octets
		t.Errorf("an RSA private key stands in clear (%v)", err)
	}
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
