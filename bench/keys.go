package main

import (
	"bytes"
	"crypto/ecdsa"
	"path/filepath"

	"hufu/hsm"
	"hufu/internal/gm"
)

var keyWorkloads = []workload{
	{"keys.wrapped", "SM2 signatures with a key that stands outside, wrapped, per CPU-second", "a key in the same software device", 0.5, openWrapped},
}

// openWrapped signs as package keys does with a key of which there are many: unwrap, compare with the public half, sign,
// verify. The reference is a key that the device holds, its signatures verified as well.
func openWrapped(b *bed) (pair, error) {
	device, err := hsm.CreateSoft(filepath.Join(b.dir, "soft"), []byte("for the bench alone"), hsm.Options{})
	if err != nil {
		return pair{}, err
	}
	for _, spec := range []hsm.Spec{{Label: "master", Algorithm: hsm.SM4}, {Label: "resident", Algorithm: hsm.SM2}} {
		if _, err := device.Generate(b.ctx, spec); err != nil {
			return pair{}, err
		}
	}
	resident, err := device.Signer(b.ctx, "resident")
	if err != nil {
		return pair{}, err
	}
	key, err := gm.GenerateKey()
	if err != nil {
		return pair{}, err
	}
	e, pub := bytes.Repeat([]byte{7}, 32), key.Public().(*ecdsa.PublicKey)
	aad := gm.Point(pub)
	wrapped, err := device.Wrap(b.ctx, "master", key.Bytes(), aad)
	var known gm.Verifiers
	return pair{
		ours: loop(func() error {
			d, err := device.Unwrap(b.ctx, "master", wrapped, aad)
			if err != nil {
				return err
			}
			defer clear(d)
			private, err := gm.NewPrivateKey(d)
			if err != nil || !bytes.Equal(gm.Point(private.Public().(*ecdsa.PublicKey)), aad) {
				return errVerify
			}
			sig, err := private.Sign(nil, e, gm.Digest)
			if err == nil && !known.VerifyE(pub, e, sig) {
				err = errVerify
			}
			return err
		}),
		reference: loop(func() error {
			_, err := resident.Sign(nil, e, gm.Digest)
			return err
		}),
		close: func() { device.Close() },
	}, err
}
