package main

import (
	"context"
	"log/slog"

	"hufu/hsm"
	"hufu/hsm/pkcs11"
	"hufu/hsm/sdf"
)

// openers returns what opens the devices of an entry: one for each token. create lets an SDF device begin its assignments file.
func (d *HSM) openers(log *slog.Logger, create bool) []opener {
	if d.Driver == driverSDF {
		return []opener{{d.name(), func(ctx context.Context) (hsm.Device, error) { return d.openSDF(ctx, log, create) }}}
	}
	var all []opener
	for _, token := range d.Tokens {
		all = append(all, opener{driverPKCS11 + " " + token, func(ctx context.Context) (hsm.Device, error) {
			return d.openToken(ctx, token, log)
		}})
	}
	return all
}

func (d *HSM) openToken(ctx context.Context, token string, log *slog.Logger) (hsm.Device, error) {
	pin, err := onePIN(d.PINFile)
	if err != nil {
		return nil, err
	}
	defer clear(pin)
	return pkcs11.Open(ctx, pkcs11.Config{
		Module: d.Module, Token: token, Profile: d.Profile, ProfileFile: d.ProfileFile, Sessions: d.Sessions, Log: log,
	}, pin)
}

func (d *HSM) openSDF(ctx context.Context, log *slog.Logger, create bool) (hsm.Device, error) {
	passwords, err := sdf.ReadPasswords(d.PINFile)
	if err != nil {
		return nil, err
	}
	defer passwords.Clear()
	device, err := sdf.Open(ctx, sdf.Config{
		Library: d.Module, Assignments: d.Assignments, Create: create, Signing: d.Signing, Encryption: d.Encryption, KEKs: d.KEKs,
		Sessions: d.Sessions, Log: log,
		Layout:     sdf.Layout{Array: d.Layout.Array, DecryptBare: d.Layout.DecryptBare, MaxCipher: d.Layout.MaxCipher, Serial: d.Layout.Serial},
		Algorithms: sdf.Algorithms{SM2Encrypt: d.Identifiers.SM2Encrypt, SM4ECB: d.Identifiers.SM4ECB, SM4CBC: d.Identifiers.SM4CBC},
	}, passwords)
	if err != nil {
		return nil, err
	}
	return device, nil
}
