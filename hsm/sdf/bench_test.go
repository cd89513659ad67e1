//go:build cgo

package sdf

import (
	"testing"

	"hufu/hsm"
	"hufu/hsm/hsmtest"
	"hufu/internal/gm"
)

// BenchmarkSign compares, on the soft token's SDF library, what the library needs for a signature with what a caller of the
// driver gets. "verify" is the check that every signature passes before it leaves, alone. Run it with:
// go test -bench Sign -run - ./hsm/sdf
func BenchmarkSign(b *testing.B) {
	token := hsmtest.Token(b, "neutral")
	token.MakeSDFKeys(b, "sign", 1, 1)
	config := Config{Library: token.SDF, Assignments: b.TempDir() + "/assignments", Create: true, Signing: []uint32{1}}
	d, err := Open(b.Context(), config, Passwords{All: []byte(token.PIN)})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Generate(b.Context(), hsm.Spec{Label: "k", Algorithm: hsm.SM2}); err != nil {
		b.Fatal(err)
	}
	signer, err := d.Signer(b.Context(), "k")
	if err != nil {
		b.Fatal(err)
	}
	k, err := d.lookup(b.Context(), "k", hsm.UseSign)
	if err != nil {
		b.Fatal(err)
	}
	pub, err := k.public()
	if err != nil {
		b.Fatal(err)
	}
	e := make([]byte, 32)
	der, err := signer.Sign(nil, e, gm.Digest)
	if err != nil {
		b.Fatal(err)
	}
	idle := d.idle[0]
	for name, once := range map[string]func() error{
		"raw": func() error { _, err := idle.sign(1, e); return err },
		"driver-unverified": func() error {
			if err := d.lives(k); err != nil {
				return err
			}
			_, err := work(b.Context(), d, func(s *session) ([]byte, error) { return s.sign(1, e) })
			return err
		},
		"driver": func() error { _, err := signer.Sign(nil, e, gm.Digest); return err },
		"verify": func() error { gm.VerifyE(pub, e, der); return nil },
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
