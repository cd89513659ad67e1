//go:build cgo

package pkcs11

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"hufu/hsm"
	"hufu/hsm/hsmtest"
)

const softHSM = "/usr/lib/softhsm/libsofthsm2.so"

// absent skips on a developer's desk and fails in CI.
func absent(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what + " is missing")
	}
	t.Skip(what + " is missing")
}

// softHSMStore is one folder for the process: SoftHSM reads its configuration once for all who have it loaded.
var softHSMStore = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hufu-softhsm-")
	if err != nil {
		return "", err
	}
	conf := filepath.Join(dir, "softhsm2.conf")
	text := fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", dir)
	return dir, os.WriteFile(conf, []byte(text), 0o600)
})

func TestMain(m *testing.M) {
	dir, err := softHSMStore()
	if err != nil {
		panic(err)
	}
	if os.Getenv("HUFU_TEST_PKCS11") == "" || os.Getenv("SOFTHSM2_CONF") == "" { // else it is the foreign module's
		os.Setenv("SOFTHSM2_CONF", filepath.Join(dir, "softhsm2.conf"))
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// softHSMToken sets up a token of SoftHSM that we did not write.
func softHSMToken(t testing.TB) Config {
	t.Helper()
	if _, err := os.Stat(softHSM); err != nil {
		absent(t, "SoftHSM2")
	}
	if dir, err := softHSMStore(); err != nil || os.Getenv("SOFTHSM2_CONF") != filepath.Join(dir, "softhsm2.conf") {
		t.Skip("SOFTHSM2_CONF is the foreign module's: no tokens are made in its store")
	}
	label := "test-" + strings.ToLower(rand.Text())
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", label, "--pin", "123456", "--so-pin", "12345678").CombinedOutput()
	if err != nil {
		absent(t, fmt.Sprintf("softhsm2-util (%v, %s)", err, out))
	}
	return Config{Module: softHSM, Token: label, Sessions: 8}
}

func opened(t testing.TB, c Config, pin string) *Device {
	t.Helper()
	d, err := Open(context.Background(), c, []byte(pin))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d.(*Device)
}

func TestSoftHSM(t *testing.T) {
	c := softHSMToken(t)
	hsmtest.Run(t, func(t *testing.T) hsm.Device { return opened(t, c, "123456") }, hsm.SM2, hsm.SM4, hsm.HMACSM3)
}

// The profile for devices that nobody has written one for.
func TestStandardProfile(t *testing.T) {
	c := softHSMToken(t)
	c.Profile = "standard"
	d := opened(t, c, "123456")
	if d.can.ecdsaForm != formRaw || !d.can.p256 || !d.can.rsa || !d.can.aes || d.can.sm2Sign || d.can.decrypt != byECDH {
		t.Errorf("%+v", d.can)
	}
}
