package hsm

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hufu/internal/gm"
)

var quickKDF = KDF{Passes: 1, Memory: 8, Lanes: 1}

// golden is a store written by version 1 of the format, passphrase "golden passphrase". It must stay readable for ever.
const golden = "testdata/store-v1/"

// sampleKeyFile returns a golden key file and the keys that open it.
func sampleKeyFile(t testing.TB) (masters, []byte) {
	t.Helper()
	ring, err := parseKeyring(read(t, golden+"keyring"))
	if err != nil {
		t.Fatal(err)
	}
	master, err := ring.open([]byte("golden passphrase"))
	if err != nil {
		t.Fatal(err)
	}
	return newMasters(master), read(t, golden+"ca-root.v1.key")
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestGoldenStoreOpens(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if err := os.CopyFS(dir, os.DirFS(golden)); err != nil {
		t.Fatal(err)
	}
	for _, path := range append([]string{dir}, must(filepath.Glob(filepath.Join(dir, "*")))...) {
		if err := os.Chmod(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	d, err := OpenSoft(dir, []byte("golden passphrase"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	keys, err := d.Keys(t.Context())
	if err != nil || d.Health(t.Context()) != nil || len(keys) != 6 {
		t.Fatalf("%d keys, %v, %v", len(keys), err, d.Health(t.Context()))
	}
	for _, k := range keys {
		if _, err := d.lookup(t.Context(), k.Label, k.Use); err != nil {
			t.Errorf("%s: %v", k.Label, err)
		}
	}
	tag, err := d.MAC(t.Context(), "mac.v1", []byte("abc"))
	if got := hex.EncodeToString(tag); err != nil || got != "7eadf91220b421765025ecba271f13f10454b5747a5a08b9fe36c6dfb5cfb933" {
		t.Errorf("MAC = %s, %v", got, err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestKeyFileComesBack(t *testing.T) {
	m, data := sampleKeyFile(t)
	f, err := parseKeyFile(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.check(m, f.ring, "ca-root.v1"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.open(m); err != nil {
		t.Fatal(err)
	}
	if f.spec.Purpose != "ca-root" || !f.created.Equal(time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", f)
	}
	other := newMasters(bytes.Repeat([]byte{8}, masterLen))
	if err := f.check(other, f.ring, "ca-root.v1"); !errors.Is(err, ErrDamaged) {
		t.Errorf("under another master: %v", err)
	}
	if _, err := f.open(other); !errors.Is(err, ErrDamaged) {
		t.Errorf("opened under another master: %v", err)
	}
}

// driverOf is a device that signs with k whatever key was asked for; without k it returns noise.
func driverOf(k *gm.PrivateKey) SignDigest {
	return func(_ context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
		if k == nil {
			return []byte("noise"), nil
		}
		return k.Sign(nil, digest, opts)
	}
}

func TestWrongSignatureNeverLeaves(t *testing.T) {
	right, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	wrong, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, k := range map[string]*gm.PrivateKey{"a handle that moved to another key": wrong, "a device fault": nil} {
		s := new(Signers).NewSigner(t.Context(), "x", right.Public(), driverOf(k))
		for range 32 { // half of them with a table (gm.Verifiers)
			for _, opts := range []crypto.SignerOpts{gm.Digest, gm.Message} {
				sig, err := s.Sign(nil, make([]byte, 32), opts)
				if sig != nil || !errors.Is(err, ErrSignature) {
					t.Errorf("%s: %x, %v", name, sig, err)
				}
			}
		}
	}
	s := new(Signers).NewSigner(t.Context(), "x", right.Public(), driverOf(right)).(*signer)
	if sig, err := s.SignMessage(nil, []byte("m"), gm.Message); err != nil || !gm.Verify(right.Public().(*ecdsa.PublicKey), []byte("m"), sig) {
		t.Errorf("the right key: %v", err)
	}
	if _, err := s.SignMessage(nil, []byte("m"), gm.Digest); !errors.Is(err, ErrMechanism) {
		t.Errorf("a message passed as digest: %v", err)
	}
}

func FuzzKeyFile(f *testing.F) {
	m, good := sampleKeyFile(f)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte(keyMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := parseKeyFile(data)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("unclassed: %v", err)
			}
			return
		}
		if !bytes.Equal(k.bytes(), data) {
			t.Fatal("parsed, but not the same octets again")
		}
		if head, err := k.header(); err != nil || !bytes.Equal(head, k.head) {
			t.Fatalf("header does not come back: %v", err)
		}
		if k.check(m, k.ring, k.spec.Label) == nil && !bytes.Equal(data, good) {
			t.Fatal("a forged file passed")
		}
	})
}

func FuzzKeyring(f *testing.F) {
	r, err := newKeyring(quickKDF, [16]byte{1}, make([]byte, masterLen), []byte("passphrase"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(read(f, golden+"keyring"))
	f.Add(r.bytes())
	f.Add(r.bytes()[:ringSumAt])
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseKeyring(data)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("unclassed: %v", err)
			}
			return
		}
		if !bytes.Equal(r.bytes(), data) {
			t.Fatal("parsed, but not the same octets again")
		}
	})
}
