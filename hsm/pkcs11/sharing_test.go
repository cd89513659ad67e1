//go:build cgo

package pkcs11

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"testing"

	"hufu/hsm"
	"hufu/internal/gm"
)

// SoftHSM cannot sign with SM2, but its ECDH knows the curve: decryption stays inside.
func TestSM2DecryptionByECDH(t *testing.T) {
	d := opened(t, softHSMToken(t), "123456")
	if d.can.decrypt != byECDH || d.can.sm2Sign {
		t.Fatalf("abilities %+v", d.can)
	}
	info, err := d.Generate(t.Context(), hsm.Spec{Label: "dec", Algorithm: hsm.SM2, Use: hsm.UseDecrypt})
	if err != nil {
		t.Fatal(err)
	}
	dec, err := d.Decrypter(t.Context(), "dec")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 16 { // C1 of either sign comes up
		plain := bytes.Repeat([]byte{byte(i)}, 1+i*7)
		der, err := gm.Encrypt(info.Public.(*ecdsa.PublicKey), plain)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := dec.Decrypt(nil, der, nil); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d octets: %v", len(plain), err)
		}
		der[len(der)-1] ^= 1
		if _, err := dec.Decrypt(nil, der, nil); !errors.Is(err, hsm.ErrNotAuthentic) {
			t.Errorf("changed: %v", err)
		}
	}
	if _, err := d.Signer(t.Context(), "dec"); !errors.Is(err, hsm.ErrMechanism) {
		t.Errorf("signing with a key made to decrypt: %v", err)
	}
	if _, err := d.Generate(t.Context(), hsm.Spec{Label: "sig", Algorithm: hsm.SM2}); !errors.Is(err, hsm.ErrMechanism) {
		t.Errorf("a key to sign with, which SoftHSM only seems to have: %v", err)
	}
}

// Whoever opens the token a second time in one process is logged in by the first: the PIN must be right all the same.
func TestSecondOpenWithAnotherPIN(t *testing.T) {
	c := softHSMToken(t)
	first := opened(t, c, "123456")
	if d, err := Open(t.Context(), c, []byte("654321")); !errors.Is(err, hsm.ErrWrongPIN) {
		t.Fatalf("%v, %v", d, err)
	}
	if err := first.Health(t.Context()); err != nil {
		t.Errorf("the first one must not suffer: %v", err)
	}
	opened(t, c, "123456")
}

// Two tokens of one module: what brings one back makes the other connect anew, and nothing is lost.
func TestModuleIsSharedAndInitializedAgain(t *testing.T) {
	one, two := softHSMToken(t), softHSMToken(t)
	a, b := opened(t, one, "123456"), opened(t, two, "123456")
	if a.mod != b.mod {
		t.Fatal("two modules for one file")
	}
	sign := func(d *Device, label string) {
		t.Helper()
		s, err := d.Signer(t.Context(), label)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Sign(nil, make([]byte, 32), p256Digest); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []*Device{a, b} {
		if _, err := d.Generate(t.Context(), hsm.Spec{Label: "k", Algorithm: hsm.P256}); err != nil {
			t.Fatal(err)
		}
		sign(d, "k")
	}
	for range 3 {
		if err := a.mod.reinitialize(a.mod.generation(), drainTime); err != nil {
			t.Fatal(err)
		}
		sign(a, "k")
		sign(b, "k")
	}
	seen := a.mod.generation()
	if err := a.mod.reinitialize(seen-1, drainTime); err != nil || a.mod.generation() != seen {
		t.Errorf("initialized again for a failure of an earlier generation: %v", err)
	}
	a.Close()
	sign(b, "k")
}

// Somebody else in the process logs the token out: class B.
func TestLoggedOutUnderUs(t *testing.T) {
	d := opened(t, softHSMToken(t), "123456")
	for _, algorithm := range []string{hsm.P256, hsm.AES256} {
		if _, err := d.Generate(t.Context(), hsm.Spec{Label: algorithm, Algorithm: algorithm}); err != nil {
			t.Fatal(err)
		}
	}
	s, err := d.Signer(t.Context(), hsm.P256)
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := d.Wrap(t.Context(), hsm.AES256, []byte("secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		for what, use := range map[string]func() error{
			"sign":   func() error { _, err := s.Sign(nil, make([]byte, 32), p256Digest); return err },
			"unwrap": func() error { _, err := d.Unwrap(t.Context(), hsm.AES256, wrapped, nil); return err },
			"list": func() error {
				keys, err := d.Keys(t.Context())
				if err == nil && len(keys) != 2 {
					return errors.New("keys seem to be gone")
				}
				return err
			},
			"health": func() error { return d.Health(t.Context()) },
		} {
			if err := d.mod.lib.Logout(d.link.keeper); err != nil {
				t.Fatal(err)
			}
			if err := use(); err != nil {
				t.Errorf("%s after a logout: %v", what, err)
			}
		}
	}
}

// All sessions are closed under us, the keeper too: the login goes with them.
func TestSessionsClosedUnderUs(t *testing.T) {
	d := opened(t, softHSMToken(t), "123456")
	if _, err := d.Generate(t.Context(), hsm.Spec{Label: "k", Algorithm: hsm.P256}); err != nil {
		t.Fatal(err)
	}
	s, err := d.Signer(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if err := d.mod.lib.CloseAllSessions(d.link.slot); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Sign(nil, make([]byte, 32), p256Digest); err != nil {
			t.Errorf("after all sessions were closed: %v", err)
		}
		if err := d.Health(t.Context()); err != nil {
			t.Errorf("health: %v", err)
		}
	}
}

// The library is finalized under us: class C, and it comes back by itself.
func TestFinalizedUnderUs(t *testing.T) {
	d := opened(t, softHSMToken(t), "123456")
	if _, err := d.Generate(t.Context(), hsm.Spec{Label: "k", Algorithm: hsm.P256}); err != nil {
		t.Fatal(err)
	}
	s, err := d.Signer(t.Context(), "k")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.mod.lib.Finalize(); err != nil {
		t.Fatal(err)
	}
	_, err = s.Sign(nil, make([]byte, 32), p256Digest)
	if !errors.Is(err, hsm.ErrUnavailable) {
		t.Errorf("first call: %v", err)
	}
	eventually(t, func() error { _, err := s.Sign(nil, make([]byte, 32), p256Digest); return err })
}
