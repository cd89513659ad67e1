package sdf

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/hsm"
	"hufu/internal/gm"
)

func mustPublic(t *testing.T, k hsm.Info) *ecdsa.PublicKey {
	t.Helper()
	pub, ok := k.Public.(*ecdsa.PublicKey)
	if !ok {
		t.Fatalf("public half is %T", k.Public)
	}
	return pub
}

// written is a file with a key of each kind and a destroyed one.
func written(t *testing.T) (path string, text []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "assignments")
	d := fakeDevice(t, newFake(t, 3, 1, 1), path)
	made(t, d, "one", hsm.SM2, "")
	made(t, d, "gone", hsm.SM2, "")
	made(t, d, "box", hsm.SM2, hsm.UseDecrypt)
	made(t, d, "wrap", hsm.SM4, "")
	if err := errors.Join(d.Destroy(t.Context(), "gone"), d.Close()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, text
}

func TestEveryChangeOfTheFileIsNoticed(t *testing.T) {
	path, text := written(t)
	for i := range text {
		bad := bytes.Clone(text)
		bad[i] ^= 1
		if _, err := parseAssignments(bad); !errors.Is(err, hsm.ErrDamaged) {
			t.Fatalf("octet %d changed: %v", i, err)
		}
	}
	for n := range text {
		if _, err := parseAssignments(text[:n]); !errors.Is(err, hsm.ErrDamaged) {
			t.Fatalf("cut off at %d: %v", n, err)
		}
	}
	_, err := parseAssignments(append(bytes.Clone(text), ' '))
	wantErr(t, "something behind", err, hsm.ErrDamaged)

	f := newFake(t, 3, 1, 1)
	bad := bytes.Replace(text, []byte(`"index": 1`), []byte(`"index": 2`), 1)
	if err := os.WriteFile(path, bad, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = open(t.Context(), f, f.config(t, path), Passwords{})
	wantErr(t, "a label moved by hand", err, hsm.ErrDamaged)
}

func TestFilesThatContradictThemselvesAreRefused(t *testing.T) {
	_, text := written(t)
	for what, spoil := range map[string]func(*assignments){
		"label twice":           func(a *assignments) { a.Keys[2].Label = "one" },
		"index twice":           func(a *assignments) { a.Keys[1].Index = a.Keys[0].Index },
		"kind of another use":   func(a *assignments) { a.Keys[0].Kind = encryption },
		"algorithm not offered": func(a *assignments) { a.Keys[0].Algorithm = hsm.P256 },
		"point off the curve":   func(a *assignments) { a.Keys[0].Public = strings.Repeat("04", 65) },
		"no check value":        func(a *assignments) { a.Keys[3].Value = "" },
		"no wrapped key":        func(a *assignments) { a.Keys[3].Wrapped = "" },
		"a time of elsewhere":   func(a *assignments) { a.Keys[0].Created = "2026-01-01T00:00:00+08:00" },
		"a label like a path":   func(a *assignments) { a.Keys[0].Label = "../x" },
	} {
		a, err := parseAssignments(text)
		if err != nil {
			t.Fatal(err)
		}
		spoil(&a)
		bad, err := a.encode() // with a right check value
		if err != nil {
			t.Fatal(err)
		}
		_, err = parseAssignments(bad)
		wantErr(t, what, err, hsm.ErrDamaged)
	}
}

func TestTheFileIsForItsOwnerAlone(t *testing.T) {
	path, text := written(t)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := openFile(t.Context(), path, true)
	wantErr(t, "readable by others", err, hsm.ErrExposed)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	_, err = openFile(t.Context(), link, true)
	wantErr(t, "a link", err, hsm.ErrExposed)
	if now, _ := os.ReadFile(path); !bytes.Equal(now, text) {
		t.Error("the file was changed")
	}
}

func TestALostFileIsNotBegunAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "assignments")
	d := fakeDevice(t, newFake(t, 3, 0, 0), path)
	k := made(t, d, "one", hsm.SM2, "")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err := d.Generate(t.Context(), hsm.Spec{Label: "two", Algorithm: hsm.SM2})
	wantErr(t, "generate", err, hsm.ErrNoStore)
	wantErr(t, "sign", signs(t, d, k), hsm.ErrNoStore)
	if _, err := os.Stat(path); err == nil {
		t.Error("begun anew: its indices would be given twice")
	}
}

func TestSeveralProcessesShareTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "assignments")
	f := newFake(t, 24, 0, 0)
	g := newFake(t, 0, 0, 0)
	g.pairs = f.pairs
	one, other := fakeDevice(t, f, path), fakeDevice(t, g, path)
	var wg sync.WaitGroup
	for i := range 20 {
		d := one
		if i%2 == 1 {
			d = other
		}
		wg.Go(func() {
			if _, err := d.Generate(t.Context(), hsm.Spec{Label: fmt.Sprintf("key-%d", i), Algorithm: hsm.SM2}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	keys, err := other.Keys(t.Context())
	if err != nil || len(keys) != 20 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	places := map[string]bool{}
	for _, k := range keys {
		places[k.Reference] = true
	}
	if len(places) != 20 {
		t.Errorf("20 labels share %d indices", len(places))
	}
	s, err := one.Signer(t.Context(), "key-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Destroy(t.Context(), "key-1"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Sign(nil, make([]byte, 32), gm.Digest)
	wantErr(t, "destroyed by the other process", err, hsm.ErrNotFound)
}

func TestALockedFileHoldsNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "assignments")
	d := fakeDevice(t, newFake(t, 3, 0, 0), path)
	k := made(t, d, "one", hsm.SM2, "")
	unlock, err := lockFile(path + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	_, err = d.Generate(ctx, hsm.Spec{Label: "two", Algorithm: hsm.SM2})
	wantErr(t, "generate", err, context.DeadlineExceeded)
	wantErr(t, "destroy", d.Destroy(ctx, "one"), context.DeadlineExceeded)
	if err := signs(t, d, k); err != nil {
		t.Errorf("while another process changes the file: %v", err)
	}
	unlock()
	made(t, d, "two", hsm.SM2, "")
}

func TestCiphertextsAreCheckedBeforeTheDeviceSeesThem(t *testing.T) {
	k := newKey(t)
	good, err := gm.Encrypt(k.Public().(*ecdsa.PublicKey), []byte("sixteen octets!!"))
	if err != nil {
		t.Fatal(err)
	}
	var parts struct {
		X, Y   *big.Int
		C3, C2 []byte
	}
	if _, err := asn1.Unmarshal(good, &parts); err != nil {
		t.Fatal(err)
	}
	for _, a := range []array{32, 64} {
		b, n, err := a.cipher(good, 16)
		if err != nil || n != 16 || !bytes.Equal(b[2*int(a)+36:2*int(a)+52], parts.C2) || !bytes.Equal(b[2*int(a):2*int(a)+32], parts.C3) {
			t.Errorf("arrays of %d: %d octets, %v", a, n, err)
		}
	}
	_, _, err = array(64).cipher(good, 15)
	wantErr(t, "longer than the device takes", err, hsm.ErrNotAuthentic)
	parts.X.Add(parts.X, big.NewInt(1))
	bad, err := asn1.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = array(64).cipher(bad, 16)
	wantErr(t, "a point off the curve", err, hsm.ErrNotAuthentic)
	parts.X.Neg(parts.X)
	bad, err = asn1.Marshal(parts)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = array(64).cipher(bad, 16)
	wantErr(t, "a negative coordinate", err, hsm.ErrNotAuthentic)
}

func FuzzAssignments(f *testing.F) {
	empty, err := assignments{}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(empty)
	f.Add([]byte(`{"format":"hufu sdf assignments","version":1,"keys":[],"check":""}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := parseAssignments(text)
		if err != nil {
			return
		}
		if again, err := a.encode(); err != nil || !bytes.Equal(again, text) {
			t.Errorf("parsed, and written otherwise (%v)", err)
		}
	})
}

func FuzzStructures(f *testing.F) {
	f.Add(make([]byte, 256))
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, a := range []array{32, 64} {
			if _, n, err := a.cipher(b, 100); err == nil && (n == 0 || n > 100) {
				t.Errorf("a text of %d octets", n)
			}
		}
		if len(b) < keyRoom {
			return
		}
		if a, err := arrayOf(b); err == nil {
			if pub, err := a.publicKey(b); err != nil || !gm.IsSM2(pub) {
				t.Errorf("arrays of %d: %v", a, err)
			}
		}
		if der, err := array(64).signature(b); err == nil {
			if _, err := gm.RawSignature(der); err != nil {
				t.Error(err)
			}
		}
	})
}

func FuzzPasswords(f *testing.F) {
	f.Add([]byte("12345678\n2:abc\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParsePasswords(text)
		if err == nil && len(p.All) == 0 && len(p.Index) == 0 {
			t.Error("nothing was read")
		}
	})
}
