//go:build cgo

package pkcs11

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"
	"os/exec"
	"testing"
	"time"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
)

// onToken makes objects as a vendor's console or a crash would: in one run of the driver's own session.
func onToken(t testing.TB, d *Device, f func(s *session) error) {
	t.Helper()
	if _, err := run(t.Context(), d, "prepare", func(s *session) (int, error) { return 0, f(s) }, nil); err != nil {
		t.Fatal(err)
	}
}

// Keys made by a vendor's console have a label, perhaps a short CKA_ID or none, and more than one use allowed.
func TestKeysOfAConsole(t *testing.T) {
	k, c := softToken(t, "sansec")
	d := opened(t, c, k.PIN)
	onToken(t, d, func(s *session) error {
		for label, id := range map[string][]byte{"no id": nil, "short id": {7}} {
			_, _, err := s.lib.GenerateKeyPair(s.h, []*p11.Mechanism{p11.NewMechanism(0x80008001, nil)},
				[]*p11.Attribute{p11.NewAttribute(p11.CKA_TOKEN, true), p11.NewAttribute(p11.CKA_LABEL, label), p11.NewAttribute(p11.CKA_ID, id), p11.NewAttribute(p11.CKA_EC_PARAMS, paramsSM2)},
				[]*p11.Attribute{
					p11.NewAttribute(p11.CKA_TOKEN, true), p11.NewAttribute(p11.CKA_LABEL, label), p11.NewAttribute(p11.CKA_ID, id),
					p11.NewAttribute(p11.CKA_SIGN, true), p11.NewAttribute(p11.CKA_DECRYPT, true),
				})
			if err != nil {
				return err
			}
		}
		_, err := s.makeSecret(hsm.SM4, spot{token: true, label: "Master 1", id: []byte("m1")}, secretUse(hsm.SM4)...)
		return err
	})
	keys, err := d.Keys(t.Context())
	if err != nil || len(keys) != 3 {
		t.Fatalf("%+v, %v", keys, err)
	}
	for _, info := range keys {
		if info.Purpose != "" || !info.Created.IsZero() || info.Reference == "" {
			t.Errorf("%+v", info)
		}
		if info.Label == "Master 1" {
			continue
		}
		if info.Use != hsm.UseSign || info.Algorithm != hsm.SM2 {
			t.Errorf("%+v", info)
		}
		for _, fault := range []string{"no-session 1000", "moved-handles 1", "restarted 1", "moved-handles 0"} {
			k.Disturb(t, fault)
			if err := signOnce(t.Context(), d, info.Label, info.Public.(*ecdsa.PublicKey)); err != nil {
				t.Errorf("%s: %s: %v", info.Label, fault, err)
			}
		}
		if _, err := d.Decrypter(t.Context(), info.Label); !errors.Is(err, hsm.ErrMechanism) {
			t.Errorf("%s decrypts, though it signs: %v", info.Label, err)
		}
	}
	wrapped, err := d.Wrap(t.Context(), "Master 1", []byte("x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := d.Unwrap(t.Context(), "Master 1", wrapped, nil); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
	if _, _, err := d.GenerateInside(t.Context(), "Master 1", nil); !errors.Is(err, hsm.ErrMechanism) {
		t.Errorf("inside under a key that has no wrapping key beside it: %v", err)
	}
	if err := d.Destroy(t.Context(), "no id"); !errors.Is(err, hsm.ErrMechanism) {
		t.Errorf("destroying what cannot be named: %v", err)
	}
	if err := d.Destroy(t.Context(), "short id"); err != nil {
		t.Error(err)
	}
}

// Two keys of one label and use are not guessed between; a pair to sign and one to decrypt may share a label (双证书).
func TestLabelsThatAreNotUnique(t *testing.T) {
	k, c := softToken(t, "tass")
	d := opened(t, c, k.PIN)
	onToken(t, d, func(s *session) error {
		for i, spec := range []hsm.Spec{{Label: "pair", Use: hsm.UseSign}, {Label: "pair", Use: hsm.UseDecrypt}, {Label: "twice", Use: hsm.UseSign}, {Label: "twice", Use: hsm.UseSign}} {
			spec.Algorithm = hsm.SM2
			if err := s.makeKey(spec, spot{token: true, label: spec.Label, id: []byte{byte(i + 1)}}); err != nil {
				return err
			}
		}
		return nil
	})
	s, err := d.Signer(t.Context(), "pair")
	if err != nil {
		t.Fatal(err)
	}
	dec, err := d.Decrypter(t.Context(), "pair")
	if err != nil {
		t.Fatal(err)
	}
	if dec.Public().(*ecdsa.PublicKey).Equal(s.Public()) {
		t.Error("one key both signs and decrypts")
	}
	_, signErr := d.Signer(t.Context(), "twice")
	for what, err := range map[string]error{"sign": signErr, "destroy": d.Destroy(t.Context(), "twice"), "destroy a pair of pairs": d.Destroy(t.Context(), "pair")} {
		if !errors.Is(err, ErrAmbiguous) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// What a crash leaves is not shown as a key, and goes when its label is wanted; young halves may be another process's.
func TestHalvesOfKeys(t *testing.T) {
	k, c := softToken(t, "neutral")
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	c.Now = func() time.Time { return now }
	d := opened(t, c, k.PIN)
	for i, lost := range []uint{p11.CKO_PUBLIC_KEY, p11.CKO_PRIVATE_KEY} {
		spec := hsm.Spec{Label: "half", Algorithm: hsm.SM2}
		info, err := d.Generate(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		onToken(t, d, func(s *session) error {
			handles, err := s.find(p11.NewAttribute(p11.CKA_CLASS, lost), p11.NewAttribute(p11.CKA_LABEL, "half"))
			if err != nil || len(handles) != 1 {
				t.Errorf("%d handles, %v", len(handles), err)
			}
			return s.lib.DestroyObject(s.h, handles[0])
		})
		if keys, err := d.Keys(t.Context()); err != nil || len(keys) != 0 {
			t.Errorf("half a key shows: %+v, %v", keys, err)
		}
		d.remember("half", nil)
		if _, err := d.Signer(t.Context(), "half"); !errors.Is(err, hsm.ErrNotFound) {
			t.Errorf("half a key is used: %v", err)
		}
		if _, err := d.Generate(t.Context(), spec); !errors.Is(err, hsm.ErrExists) {
			t.Errorf("another process may be making it: %v", err)
		}
		now = now.Add(2 * youngHalf)
		whole, err := d.Generate(t.Context(), spec)
		if err != nil || whole.Public.(*ecdsa.PublicKey).Equal(info.Public) {
			t.Errorf("round %d: %v", i, err)
		}
		if err := d.Destroy(t.Context(), "half"); err != nil {
			t.Fatal(err)
		}
	}
	onToken(t, d, func(s *session) error { // the wrapping key of a master that was never made
		id, err := newID()
		if err != nil {
			return err
		}
		id = withNote(id, note{kind: kindKey, made: now.Add(-time.Hour)})
		_, err = s.makeSecret(hsm.AES256, spot{token: true, label: "m", id: insideID(id)}, p11.CKA_WRAP, p11.CKA_UNWRAP)
		return err
	})
	if _, err := d.Generate(t.Context(), hsm.Spec{Label: "m", Algorithm: hsm.SM4}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.GenerateInside(t.Context(), "m", nil); err != nil {
		t.Errorf("the wrapping key that was left stands in the way: %v", err)
	}
	if err := d.Destroy(t.Context(), "m"); err != nil {
		t.Fatal(err)
	}
	onToken(t, d, func(s *session) error {
		handles, err := s.find(p11.NewAttribute(p11.CKA_TOKEN, true))
		if len(handles) != 0 {
			t.Errorf("%d objects stay on the token", len(handles))
		}
		return err
	})
}

// A private key shows nothing, cannot be wrapped out and does one thing; a master neither wraps nor unwraps keys.
func TestWhatKeysMayDo(t *testing.T) {
	k, c := softToken(t, "neutral")
	d := opened(t, c, k.PIN)
	uses := []uint{p11.CKA_SIGN, p11.CKA_DECRYPT, p11.CKA_DERIVE, p11.CKA_WRAP, p11.CKA_UNWRAP, p11.CKA_ENCRYPT}
	for _, spec := range []hsm.Spec{
		{Algorithm: hsm.SM2, Use: hsm.UseSign},
		{Algorithm: hsm.SM2, Use: hsm.UseDecrypt},
		{Algorithm: hsm.P256},
		{Algorithm: hsm.RSA2048},
		{Algorithm: hsm.SM4},
		{Algorithm: hsm.AES256},
		{Algorithm: hsm.HMACSM3},
	} {
		spec.Label = spec.Algorithm + spec.Use
		info, err := d.Generate(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		class, most := uint(p11.CKO_PRIVATE_KEY), 1
		if info.Public == nil {
			class, most = p11.CKO_SECRET_KEY, 2 // a master encrypts and decrypts
		}
		onToken(t, d, func(s *session) error {
			handles, err := s.find(p11.NewAttribute(p11.CKA_CLASS, class), p11.NewAttribute(p11.CKA_LABEL, spec.Label))
			if err != nil {
				return err
			}
			for _, h := range handles {
				allowed := 0
				for _, use := range uses {
					attrs, err := s.read(h, use)
					if err != nil {
						return err
					}
					if bytes.Equal(attrs[use], []byte{1}) {
						allowed++
					}
				}
				attrs, err := s.read(h, p11.CKA_SENSITIVE, p11.CKA_EXTRACTABLE, p11.CKA_PRIVATE)
				if err != nil || allowed > most || !bytes.Equal(attrs[p11.CKA_SENSITIVE], []byte{1}) ||
					!bytes.Equal(attrs[p11.CKA_EXTRACTABLE], []byte{0}) || !bytes.Equal(attrs[p11.CKA_PRIVATE], []byte{1}) {
					t.Errorf("%s: %d uses, %x, %v", spec.Label, allowed, attrs, err)
				}
				if value, err := s.read(h, p11.CKA_VALUE); err != nil || len(value) != 0 {
					t.Errorf("%s shows its value: %v", spec.Label, err)
				}
			}
			return nil
		})
	}
}

// Whoever has the PIN and a wrapped key does not get it out by asking the master to decrypt it.
func TestMasterDoesNotGiveWrappedKeysAway(t *testing.T) {
	k, c := softToken(t, "neutral")
	d := opened(t, c, k.PIN)
	if _, err := d.Generate(t.Context(), hsm.Spec{Label: "m", Algorithm: hsm.AES256}); err != nil {
		t.Fatal(err)
	}
	wrapped, public, err := d.GenerateInside(t.Context(), "m", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.SignInside(t.Context(), "m", wrapped, nil, public, make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	blob := wrapped[len(wrapped)-64:]
	onToken(t, d, func(s *session) error {
		handles, err := s.find(p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY), p11.NewAttribute(p11.CKA_LABEL, "m"))
		if err != nil || len(handles) != 2 {
			t.Errorf("%d handles, %v", len(handles), err)
		}
		both := 0
		for _, h := range handles {
			unwraps := s.lib.DecryptInit(s.h, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_ECB, nil)}, h) != nil
			if !unwraps {
				if _, err := s.lib.Decrypt(s.h, blob); err != nil {
					return err
				}
				_, err := s.lib.UnwrapKey(s.h, []*p11.Mechanism{p11.NewMechanism(0x210B, nil)}, h, blob, []*p11.Attribute{p11.NewAttribute(p11.CKA_CLASS, p11.CKO_PRIVATE_KEY)})
				if err == nil {
					both++
				}
			}
		}
		if both != 0 {
			t.Error("one key both decrypts and unwraps")
		}
		return nil
	})
}

// pkcs11-tool, which we did not write, sees the keys and makes a signature that the driver's public key proves.
func TestPKCS11ToolUsesOurKeys(t *testing.T) {
	tool, err := exec.LookPath("pkcs11-tool")
	if err != nil {
		absent(t, "pkcs11-tool")
	}
	k, c := softToken(t, "neutral")
	d := opened(t, c, k.PIN)
	info, err := d.Generate(t.Context(), hsm.Spec{Label: "tool", Algorithm: hsm.P256})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("x"))
	cmd := exec.Command(tool, "--module", k.Module, "--login", "--pin", k.PIN, "--label", "tool", "--sign", "--mechanism", "ECDSA", "--signature-format", "openssl")
	cmd.Stdin = bytes.NewReader(sum[:])
	sig, err := cmd.Output()
	if err != nil || !ecdsa.VerifyASN1(info.Public.(*ecdsa.PublicKey), sum[:], sig) {
		t.Errorf("%v: %x", err, sig)
	}
}

var (
	_ crypto.MessageSigner = (*signer)(nil)
	_ crypto.MessageSigner = (*messageSigner)(nil)
)
