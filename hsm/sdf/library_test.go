//go:build cgo && unix

package sdf

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/asn1"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"hufu/internal/gm"
)

// TestLibrariesWithOtherHeaders loads a library whose functions differ from the standard's, and one is all it can do.
func TestLibrariesWithOtherHeaders(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("no C compiler")
	}
	path := filepath.Join(t.TempDir(), "libbare.so")
	if out, err := exec.Command(cc, "-shared", "-fPIC", "-o", path, "testdata/bare.c").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lib, err := load(path)
	if err != nil {
		t.Fatal(err)
	}
	device, code := lib.openDevice()
	if device != 1 || code != ok {
		t.Fatalf("device %d, %#x", device, code)
	}
	session, code := lib.openSession(device)
	if session != 2 || code != ok {
		t.Fatalf("session %d, %#x", session, code)
	}

	der, err := gm.Encrypt(newKey(t).Public().(*ecdsa.PublicKey), []byte("sixteen octets!!"))
	if err != nil {
		t.Fatal(err)
	}
	var parts struct {
		X, Y   *big.Int
		C3, C2 []byte
	}
	if _, err := asn1.Unmarshal(der, &parts); err != nil {
		t.Fatal(err)
	}
	cipher, size, err := array(64).cipher(der, 1024)
	if err != nil {
		t.Fatal(err)
	}
	plain := make([]byte, size+cipherTail)
	n, code := lib.decrypt(session, 7, decryptForm{without: true}, cipher, plain)
	for i := range parts.C2 {
		parts.C2[i] = ^parts.C2[i]
	}
	if code != ok || !bytes.Equal(plain[:n], parts.C2) {
		t.Errorf("%#x, %d octets", code, n)
	}

	_, _, generated := lib.generateWithKEK(session, 128, 1, 1, make([]byte, 64))
	_, imported := lib.importWithKEK(session, 1, 1, make([]byte, 16))
	_, brought := lib.importWithISK(session, 1, cipher)
	_, encrypted := lib.encrypt(session, 1, 1, nil, make([]byte, 16), make([]byte, 16))
	for name, code := range map[string]status{
		"CloseDevice": lib.closeDevice(device), "CloseSession": lib.closeSession(session), "DeviceInfo": lib.deviceInfo(session, plain),
		"AccessRight": lib.accessRight(session, 1, []byte("x")), "ReleaseRight": lib.releaseRight(session, 1), "KEKRight": lib.kekRight(session, 1, []byte("x")),
		"PublicKey": lib.publicKey(session, signing, 1, plain), "Sign": lib.sign(session, 1, plain[:32], plain), "GenerateWithKEK": generated,
		"ImportWithKEK": imported, "ImportWithISK": brought, "Encrypt": encrypted, "DestroyKey": lib.destroyKey(session, 1),
	} {
		if code != absent {
			t.Errorf("%s returned %#x", name, code)
		}
	}
}
