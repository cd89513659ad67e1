//go:build cgo

package pkcs11

import (
	"crypto"
	"crypto/ecdsa"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	p11 "github.com/miekg/pkcs11"

	"hufu/configs"
	"hufu/hsm"
	"hufu/internal/gm"
)

// changed writes a shipped profile with lines changed to a file of the operator.
func changed(t *testing.T, name string, changes ...string) string {
	t.Helper()
	text, err := configs.Files.ReadFile("hsm/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	out := string(text)
	for i := 0; i < len(changes); i += 2 {
		before := out
		if out = strings.Replace(out, changes[i], changes[i+1], 1); out == before {
			t.Fatalf("profile %s has no %q", name, changes[i])
		}
	}
	file := filepath.Join(t.TempDir(), name+".yaml")
	if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A device that contradicts its profile does not start.
func TestProfileAgainstProbe(t *testing.T) {
	for what, c := range map[string]struct {
		device  string
		profile []string
	}{
		"DER where raw was said":         {"neutral\nsignature der", []string{"neutral"}},
		"raw where DER was said":         {"neutral", []string{"neutral", "sm2_signature: raw", "sm2_signature: der"}},
		"ECDSA in DER":                   {"tass", []string{"tass", "ecdsa_signature: der", "ecdsa_signature: raw"}},
		"another form of ciphertext":     {"sansec", []string{"sansec", "sm2_ciphertext: auto", "sm2_ciphertext: der"}},
		"another code for ECB":           {"neutral", []string{"neutral", "sm4_ecb: 0xFFFFF007", "sm4_ecb: 0xFFFFF008"}},
		"a hash for HMAC":                {"neutral", []string{"neutral", "hmac_sm3: 0xFFFFF101", "hmac_sm3: 0x251"}},
		"message signing for e":          {"neutral", []string{"neutral", "sm2_sign: 0xFFFFF002", "sm2_sign: 0xFFFFF003"}},
		"another vendor's key type":      {"neutral", []string{"neutral", "key_sm4: 0xFFFFF002", "key_sm4: 0x80000106"}},
		"a message hashed without Z_A":   {"sansec\nwithout 80008104", []string{"sansec", "sm2_sign_message: 0x80008102", "sm2_sign_message: 0x80008100"}},
		"a message hashed with Z_A":      {"neutral\nwithout FFFFF002", []string{"neutral", "message_hash: z", "message_hash: bare"}},
		"the profile of another vendor":  {"tass", []string{"sansec"}},
		"the profile of another vendor2": {"sansec", []string{"tass"}},
	} {
		k, cfg := softToken(t, c.device)
		cfg.ProfileFile = changed(t, c.profile[0], c.profile[1:]...)
		if d, err := Open(t.Context(), cfg, []byte(k.PIN)); !errors.Is(err, hsm.ErrProfile) {
			t.Errorf("%s: %v, %v", what, d, err)
		}
		if n := triesOf(t, k); n != 0 {
			t.Errorf("%s: %d PIN tries", what, n)
		}
	}
}

// A device without "sign e" hashes by itself: it signs messages, and nothing is handed to it as a digest.
func TestDeviceThatHashes(t *testing.T) {
	for what, c := range map[string]struct {
		device  string
		profile []string
	}{
		"with Z_A":    {"neutral\nwithout FFFFF002", []string{"neutral"}},
		"without Z_A": {"sansec\nwithout 80008104", []string{"sansec", "sm2_sign_message: 0x80008102", "sm2_sign_message: 0x80008100", "sm2_ciphertext: auto", "message_hash: bare"}},
	} {
		k, cfg := softToken(t, c.device)
		cfg.ProfileFile = changed(t, c.profile[0], c.profile[1:]...)
		d := opened(t, cfg, k.PIN)
		info, err := d.Generate(t.Context(), hsm.Spec{Label: "k", Algorithm: hsm.SM2})
		if err != nil {
			t.Fatal(err)
		}
		s, err := d.Signer(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		msg := []byte("a message of any length")
		sig, err := s.Sign(nil, msg, gm.Message)
		if err != nil || !gm.Verify(info.Public.(*ecdsa.PublicKey), msg, sig) {
			t.Errorf("%s: %v", what, err)
		}
		for name, opts := range map[string]crypto.SignerOpts{"digest": gm.Digest, "nothing": nil, "a hash": crypto.SHA256} {
			if sig, err := s.Sign(nil, make([]byte, 32), opts); !errors.Is(err, hsm.ErrMechanism) || sig != nil {
				t.Errorf("%s: options %s: %v", what, name, err)
			}
		}
		k.Disturb(t, "wrong-signature 1")
		if sig, err := s.Sign(nil, msg, gm.Message); !errors.Is(err, hsm.ErrSignature) || sig != nil {
			t.Errorf("%s: a wrong signature: %v", what, err)
		}
		d.Close()
	}
}

// What the device does not list is refused, not tried.
func TestMissingMechanisms(t *testing.T) {
	k, c := softToken(t, "neutral\nwithout FFFFF002\nwithout FFFFF003\nwithout FFFFF101\nwithout FFFFF007\nwithout 210B\nwithout 1041")
	d := opened(t, c, k.PIN)
	for _, algorithm := range []string{hsm.SM2, hsm.P256, hsm.SM4, hsm.HMACSM3} {
		if _, err := d.Generate(t.Context(), hsm.Spec{Label: "k", Algorithm: algorithm}); !errors.Is(err, hsm.ErrMechanism) {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
	if _, err := d.Generate(t.Context(), hsm.Spec{Label: "aes", Algorithm: hsm.AES256}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.GenerateInside(t.Context(), "aes", nil); !errors.Is(err, hsm.ErrMechanism) {
		t.Errorf("inside without key wrap: %v", err)
	}
}

// A blob made when the device knew no SM4-GCM still opens when it does, and the other way round it is refused plainly.
func TestWrapOutlivesFirmware(t *testing.T) {
	k, c := softToken(t, "neutral\nwithout FFFFF00D")
	d := opened(t, c, k.PIN)
	if _, err := d.Generate(t.Context(), hsm.Spec{Label: "m", Algorithm: hsm.SM4}); err != nil {
		t.Fatal(err)
	}
	old, err := d.Wrap(t.Context(), "m", []byte("secret"), []byte("aad"))
	if err != nil || old[0] != wrapDerived {
		t.Fatalf("%x, %v", old, err)
	}
	d.Close()
	dialect, err := filepath.Glob(filepath.Join(k.Store, "*", "dialect"))
	if err != nil || len(dialect) != 1 {
		t.Fatal(dialect, err)
	}
	if err := os.WriteFile(dialect[0], []byte("neutral\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d = opened(t, c, k.PIN)
	if got, err := d.Unwrap(t.Context(), "m", old, []byte("aad")); err != nil || string(got) != "secret" {
		t.Errorf("%q, %v", got, err)
	}
	if newer, err := d.Wrap(t.Context(), "m", []byte("secret"), nil); err != nil || newer[0] != wrapGCM {
		t.Errorf("%x, %v", newer, err)
	}
	for _, form := range []byte{0, wrapGCM, 3, 255} {
		bad := append([]byte{form}, old[1:]...)
		if _, err := d.Unwrap(t.Context(), "m", bad, []byte("aad")); !errors.Is(err, hsm.ErrNotAuthentic) {
			t.Errorf("form %d: %v", form, err)
		}
	}
}

// A device that makes no session keys is taken at its profile's word, and one with short identifiers keeps no notes.
func TestProfileWithoutProbeAndNotes(t *testing.T) {
	k, c := softToken(t, "neutral")
	c.ProfileFile = changed(t, "neutral", "probe: session", "probe: none", "sm2_ciphertext: auto", "sm2_ciphertext: der", "note: true", "note: false", "sm2_signature: raw", "sm2_signature: auto")
	d := opened(t, c, k.PIN)
	if _, err := d.Generate(t.Context(), hsm.Spec{Label: "p", Algorithm: hsm.SM2, Purpose: "ca"}); !errors.Is(err, hsm.ErrMechanism) {
		t.Errorf("a purpose that would be lost: %v", err)
	}
	info, err := d.Generate(t.Context(), hsm.Spec{Label: "k", Algorithm: hsm.SM2})
	if err != nil || !info.Created.IsZero() {
		t.Fatalf("%+v, %v", info, err)
	}
	if err := signOnce(t.Context(), d, "k", info.Public.(*ecdsa.PublicKey)); err != nil {
		t.Error(err)
	}
	info, err = d.Generate(t.Context(), hsm.Spec{Label: "d", Algorithm: hsm.SM2, Use: hsm.UseDecrypt})
	if err != nil {
		t.Fatal(err)
	}
	der, err := gm.Encrypt(info.Public.(*ecdsa.PublicKey), []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	dec, err := d.Decrypter(t.Context(), "d")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := dec.Decrypt(nil, der, nil); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if err := d.Destroy(t.Context(), "k"); err != nil {
		t.Error(err)
	}
}

// Ciphertexts that a stranger sends do not take the device away from others, whatever word it has for them.
func TestBadDataDoesNotOpenTheCircuit(t *testing.T) {
	d := opened(t, softHSMToken(t), "123456")
	if _, err := d.Generate(t.Context(), hsm.Spec{Label: "m", Algorithm: hsm.AES256}); err != nil {
		t.Fatal(err)
	}
	wrapped, err := d.Wrap(t.Context(), "m", []byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 * vagueLimit {
		if _, err := d.Unwrap(t.Context(), "m", wrapped, []byte("another")); !errors.Is(err, hsm.ErrNotAuthentic) {
			t.Fatal(err)
		}
	}
	for _, code := range []uint{p11.CKR_GENERAL_ERROR, p11.CKR_FUNCTION_FAILED, p11.CKR_DEVICE_ERROR} {
		for range 3 * vagueLimit {
			err := hsm.ErrNotAuthentic.With("C_Decrypt: %w", p11.Error(code))
			if got := d.judge(d.profile.classOf(err), "decrypt", err); !errors.Is(got, hsm.ErrNotAuthentic) {
				t.Fatal(got)
			}
		}
	}
	if err := d.ready(t.Context()); err != nil {
		t.Errorf("the circuit opened: %v", err)
	}
}
