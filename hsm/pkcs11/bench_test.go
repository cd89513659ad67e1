//go:build cgo

package pkcs11

import (
	"context"
	"crypto/ecdsa"
	"testing"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
	"hufu/internal/gm"
)

// BenchmarkSign compares, on one token, what the device needs through miekg/pkcs11 with what a caller of the driver gets. "verify" is
// the check that every signature passes before it leaves, alone. Run it with: go test -bench Sign -run - ./hsm/pkcs11
func BenchmarkSign(b *testing.B) {
	k, c := softToken(b, "neutral")
	d := opened(b, c, k.PIN)
	info, err := d.Generate(b.Context(), hsm.Spec{Label: "k", Algorithm: hsm.SM2})
	if err != nil {
		b.Fatal(err)
	}
	public := info.Public.(*ecdsa.PublicKey)
	kk, err := d.lookup(b.Context(), "k", hsm.UseSign)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	e := make([]byte, 32)
	h, err := d.mod.lib.OpenSession(d.link.slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
	if err != nil {
		b.Fatal(err)
	}
	var der []byte
	for name, once := range map[string]func() error{
		"raw": func() error {
			m := []*p11.Mechanism{p11.NewMechanism(d.profile.Codes.SM2Sign, nil)}
			if err := d.mod.lib.SignInit(h, m, kk.handle); err != nil {
				return err
			}
			_, err := d.mod.lib.Sign(h, e)
			return err
		},
		"driver-unverified": func() error {
			r, err := run(ctx, d, "sign", func(s *session) (signed, error) { return s.signDigest(kk, e, gm.Digest) }, nil)
			der = r.sig
			return err
		},
		"driver": func() error { return signK(ctx, d, e) },
		"verify": func() error { gm.VerifyE(public, e, der); return nil },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := once(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func signK(ctx context.Context, d *Device, e []byte) error {
	s, err := d.Signer(ctx, "k")
	if err != nil {
		return err
	}
	_, err = s.Sign(nil, e, gm.Digest)
	return err
}

// BenchmarkInside compares a key that stands in the device with one that stands outside, opened within the device for each signature.
func BenchmarkInside(b *testing.B) {
	k, c := softToken(b, "neutral")
	d := opened(b, c, k.PIN)
	for _, spec := range []hsm.Spec{{Label: "k", Algorithm: hsm.SM2}, {Label: "master", Algorithm: hsm.SM4}} {
		if _, err := d.Generate(b.Context(), spec); err != nil {
			b.Fatal(err)
		}
	}
	wrapped, public, err := d.GenerateInside(b.Context(), "master", []byte("aad"))
	if err != nil {
		b.Fatal(err)
	}
	e := make([]byte, 32)
	b.Run("resident", func(b *testing.B) {
		for b.Loop() {
			if err := signK(b.Context(), d, e); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("wrapped", func(b *testing.B) {
		for b.Loop() {
			if _, err := d.SignInside(b.Context(), "master", wrapped, []byte("aad"), public, e); err != nil {
				b.Fatal(err)
			}
		}
	})
}
