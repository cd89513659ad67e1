//go:build cgo

package pkcs11

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"testing"

	"hufu/hsm"
	"hufu/internal/gm"
)

// material is a key of each sort on a token, and what was made with them while all was well.
type material struct {
	public                           map[string]*ecdsa.PublicKey
	wrapped, ciphertext, tag, inside []byte
	insider                          *ecdsa.PublicKey
}

func prepare(t testing.TB, d *Device) material {
	t.Helper()
	m := material{public: map[string]*ecdsa.PublicKey{}}
	for _, spec := range []hsm.Spec{
		{Label: "sign", Algorithm: hsm.SM2},
		{Label: "other", Algorithm: hsm.SM2},
		{Label: "decrypt", Algorithm: hsm.SM2, Use: hsm.UseDecrypt},
		{Label: "master", Algorithm: hsm.SM4},
		{Label: "master2", Algorithm: hsm.SM4},
		{Label: "mac", Algorithm: hsm.HMACSM3},
		{Label: "mac2", Algorithm: hsm.HMACSM3},
	} {
		info, err := d.Generate(t.Context(), spec)
		if err != nil {
			t.Fatal(err)
		}
		if info.Public != nil {
			m.public[spec.Label] = info.Public.(*ecdsa.PublicKey)
		}
	}
	var errs [4]error
	m.wrapped, errs[0] = d.Wrap(t.Context(), "master", []byte("secret"), []byte("row"))
	m.ciphertext, errs[1] = gm.Encrypt(m.public["decrypt"], []byte("secret"))
	m.tag, errs[2] = d.MAC(t.Context(), "mac", []byte("data"))
	m.inside, m.insider, errs[3] = d.GenerateInside(t.Context(), "master", []byte("row"))
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return m
}

// keysOf makes a key of each sort and returns a use of each; a use checks its own result with what the host knows.
func keysOf(t testing.TB, d *Device) map[string]func(context.Context) error {
	t.Helper()
	m, e := prepare(t, d), make([]byte, 32)
	same := func(got []byte, err error, want string) error {
		if err == nil && string(got) != want {
			return errWrongResult
		}
		return err
	}
	return map[string]func(context.Context) error{
		"sign": func(ctx context.Context) error { return signOnce(ctx, d, "sign", m.public["sign"]) },
		"decrypt": func(ctx context.Context) error {
			dec, err := d.Decrypter(ctx, "decrypt")
			if err != nil {
				return err
			}
			got, err := dec.Decrypt(nil, m.ciphertext, nil)
			return same(got, err, "secret")
		},
		"wrap": func(ctx context.Context) error {
			w, err := d.Wrap(ctx, "master", []byte("again"), nil)
			if err != nil {
				return err
			}
			got, err := d.Unwrap(ctx, "master", w, nil)
			return same(got, err, "again")
		},
		"unwrap": func(ctx context.Context) error {
			got, err := d.Unwrap(ctx, "master", m.wrapped, []byte("row"))
			return same(got, err, "secret")
		},
		"mac": func(ctx context.Context) error {
			got, err := d.MAC(ctx, "mac", []byte("data"))
			return same(got, err, string(m.tag))
		},
		"inside": func(ctx context.Context) error {
			sig, err := d.SignInside(ctx, "master", m.inside, []byte("row"), m.insider, e)
			if err == nil && !gm.VerifyE(m.insider, e, sig) {
				return errWrongResult
			}
			return err
		},
		"list": func(ctx context.Context) error {
			keys, err := d.Keys(ctx)
			if err == nil && len(keys) != 7 {
				return errWrongResult
			}
			return err
		},
	}
}

var errWrongResult = errors.New("a wrong result left the driver")

func signOnce(ctx context.Context, d *Device, label string, public *ecdsa.PublicKey) error {
	s, err := d.Signer(ctx, label)
	if err != nil {
		return err
	}
	sig, err := s.Sign(nil, make([]byte, 32), gm.Digest)
	if err == nil && !gm.VerifyE(public, make([]byte, 32), sig) {
		return errWrongResult
	}
	return err
}

func ecdsaOf(info hsm.Info) *ecdsa.PublicKey { return info.Public.(*ecdsa.PublicKey) }
