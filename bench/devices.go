package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	_ "embed"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"hufu/hsm"
	"hufu/hsm/sdf"
	"hufu/internal/gm"
)

// The rows of drivers measure 8 clients on the soft token, whose work is done by OpenSSL in this process; a device of its own
// would hide what the driver costs. The rows *.driver compare with the same calls of the device made from Go without a driver,
// each client in a session of its own, with the same verification after them: between two calls into C it costs more than by
// itself, so that it cannot be taken away as a number. The others compare with a loop in C with as many threads, which verifies
// nothing, so that they hold what Go and the binding cost as well; verification, measured by itself, is taken out of the rows
// that do not say "verified".
var deviceWorkloads = []workload{
	{"hsm.pkcs11.driver", "SM2 signatures per CPU-second, each verified", "SignInit, Sign of the same binding without the driver, each verified", 0.95, pkcs11Driver(near, eachCPUSecond)},
	{"hsm.pkcs11", "SM2 signatures per CPU-second, without their verification", "C_SignInit, C_Sign in C on the same token", 0.95, pkcs11Row(false)},
	{"hsm.pkcs11.verified", "SM2 signatures per CPU-second, each verified", "C_SignInit, C_Sign in C on the same token", 0.8, pkcs11Row(true)},
	{"hsm.sdf.driver", "SM2 signatures per CPU-second, each verified", "SDF_InternalSign_ECC from Go without the driver, each verified", 0.95, sdfDriver(near, eachCPUSecond)},
	{"hsm.sdf", "SM2 signatures per CPU-second, without their verification", "SDF_InternalSign_ECC in C on the same device", 0.95, sdfRow(false)},
	{"hsm.sdf.verified", "SM2 signatures per CPU-second, each verified", "SDF_InternalSign_ECC in C on the same device", 0.8, sdfRow(true)},
	{"hsm.pkcs11.remote.driver", "SM2 signatures per second by 8 clients, each verified", "SignInit, Sign of the same binding without the driver, each verified, on a token that answers after 4 ms in which no processor of ours works", 0.95, pkcs11Driver(elsewhere, eachSecond)},
	{"hsm.pkcs11.remote", "SM2 signatures per second by 8 clients, each verified", "C_SignInit, C_Sign in C on the same token, which answers after 4 ms in which no processor of ours works", 0.95, pkcs11Remote(elsewhere)},
	{"hsm.pkcs11.remote.shared", "SM2 signatures per second by 8 clients, each verified", "C_SignInit, C_Sign in C on the same token, which waits 4 ms and then signs on our processors", 0.95, pkcs11Remote(here)},
	{"hsm.sdf.remote.driver", "SM2 signatures per second by 8 clients, each verified", "SDF_InternalSign_ECC from Go without the driver, each verified, on a device that answers after 4 ms in which no processor of ours works", 0.95, sdfDriver(elsewhere, eachSecond)},
	{"hsm.sdf.remote", "SM2 signatures per second by 8 clients, each verified", "SDF_InternalSign_ECC in C on the same device, which answers after 4 ms in which no processor of ours works", 0.95, sdfRemote(elsewhere)},
	{"hsm.sdf.remote.shared", "SM2 signatures per second by 8 clients, each verified", "SDF_InternalSign_ECC in C on the same device, which waits 4 ms and then signs on our processors", 0.95, sdfRemote(here)},
	{"hsm.inside", "SM2 signatures per CPU-second with a wrapped key that the token opens, each verified", "C_SignInit, C_Sign in C with a key of the same token", 0.5, openInside},
}

//go:embed reference/pkcs11.c
var pkcs11Loop string

//go:embed reference/sdf.c
var sdfLoop string

//go:embed reference/elsewhere.c
var elsewhereShim string

const (
	tokenLabel = "bench"
	tokenPIN   = "for the bench alone"
)

// What the loops in C print.
const (
	perCPUSecond = iota
	perSecond
)

// bench is a soft token, opened by a driver.
type bench struct {
	token  *token
	device hsm.Device
}

// onPKCS11 opens a soft token by the driver.
func onPKCS11(b *bed, at place) (bench, error) {
	t, err := newToken(b)
	if err == nil {
		err = at(t, "C_SignInit")
	}
	if err != nil {
		return bench{}, err
	}
	device, err := t.openPKCS11(b.ctx)
	return bench{t, device}, err
}

// loopPKCS11 is the loop in C on the same token.
func (b bench) loopPKCS11(figure int) (func(time.Duration) (float64, error), error) {
	return b.token.raw(figure, pkcs11Loop, b.token.PKCS11, tokenLabel, b.token.pin, "k", fmt.Sprintf("%x", mechanismSM2))
}

// onSDF does the same as onPKCS11 with an SDF device.
func onSDF(b *bed, at place) (bench, error) {
	t, err := newToken(b)
	if err == nil {
		err = t.console("sdf-key", "1", "sign", "--pin-file", t.pin)
	}
	if err == nil {
		err = at(t, "SDF_InternalSign_ECC")
	}
	if err != nil {
		return bench{}, err
	}
	device, err := sdf.Open(b.ctx, sdf.Config{
		Library: t.SDF, Assignments: filepath.Join(t.dir, "assignments"), Create: true, Signing: []uint32{1},
	}, sdf.Passwords{All: []byte(tokenPIN)})
	return bench{t, device}, err
}

// loopSDF is the loop in C on the same device.
func (b bench) loopSDF(figure int) (func(time.Duration) (float64, error), error) {
	return b.token.raw(figure, sdfLoop, b.token.SDF, b.token.pin, "1")
}

// mechanismSM2 is what a neutral token calls SM2 signatures of a digest.
const mechanismSM2 = 0xfffff002

func pkcs11Row(verified bool) func(*bed) (pair, error) {
	return func(b *bed) (pair, error) {
		on, err := onPKCS11(b, near)
		if err != nil {
			return pair{}, err
		}
		reference, err := on.loopPKCS11(perCPUSecond)
		if err != nil {
			return pair{}, err
		}
		return driverPair(b.ctx, on.device, reference, verified)
	}
}

func sdfRow(verified bool) func(*bed) (pair, error) {
	return func(b *bed) (pair, error) {
		on, err := onSDF(b, near)
		if err != nil {
			return pair{}, err
		}
		reference, err := on.loopSDF(perCPUSecond)
		if err != nil {
			return pair{}, err
		}
		return driverPair(b.ctx, on.device, reference, verified)
	}
}

func pkcs11Remote(at place) func(*bed) (pair, error) {
	return func(b *bed) (pair, error) {
		on, err := onPKCS11(b, at)
		if err != nil {
			return pair{}, err
		}
		reference, err := on.loopPKCS11(perSecond)
		if err != nil {
			return pair{}, err
		}
		return remotePair(b.ctx, on.device, reference)
	}
}

func sdfRemote(at place) func(*bed) (pair, error) {
	return func(b *bed) (pair, error) {
		on, err := onSDF(b, at)
		if err != nil {
			return pair{}, err
		}
		reference, err := on.loopSDF(perSecond)
		if err != nil {
			return pair{}, err
		}
		return remotePair(b.ctx, on.device, reference)
	}
}

// remotePair compares by the clock on the wall: both sides wait for the device most of the time.
func remotePair(ctx context.Context, device hsm.Device, reference func(time.Duration) (float64, error)) (pair, error) {
	sign, _, err := signing(ctx, device)
	ours := func(d time.Duration) (float64, error) {
		return eachSecond(slices.Repeat([]func() error{sign}, clients), d)
	}
	return pair{ours: ours, reference: reference, close: func() { device.Close() }}, err
}

// signing makes a key on the device, and returns what signs with it.
func signing(ctx context.Context, device hsm.Device) (sign func() error, signer crypto.Signer, err error) {
	if _, err := device.Generate(ctx, hsm.Spec{Label: "k", Algorithm: hsm.SM2}); err != nil {
		return nil, nil, err
	}
	if signer, err = device.Signer(ctx, "k"); err != nil {
		return nil, nil, err
	}
	return func() error {
		_, err := signer.Sign(nil, digest, gm.Digest)
		return err
	}, signer, nil
}

// digest is e, 32 octets.
var digest = bytes.Repeat([]byte{7}, 32)

func driverPair(ctx context.Context, device hsm.Device, reference func(time.Duration) (float64, error), verified bool) (pair, error) {
	sign, signer, err := signing(ctx, device)
	if err != nil {
		return pair{}, err
	}
	p := pair{ours: crowd(sign), reference: reference, close: func() { device.Close() }}
	if !verified {
		verify, err := verifier(signer, digest)
		if err != nil {
			return pair{}, errors.Join(err, device.Close())
		}
		p.ours = without(sign, verify)
	}
	return p, nil
}

// verifier does what package hsm does with each signature of a key that signs often.
func verifier(signer crypto.Signer, e []byte) (func() error, error) {
	pub, ok := signer.Public().(*ecdsa.PublicKey)
	if !ok {
		return nil, errVerify
	}
	known, err1 := gm.NewVerifier(pub)
	sig, err2 := signer.Sign(nil, e, gm.Digest)
	return func() error {
		if !known.VerifyE(e, sig) {
			return errVerify
		}
		return nil
	}, errors.Join(err1, err2)
}

// clients is how many ask a device at once.
const clients = 8

// crowd is loop with many clients.
func crowd(f func() error) func(time.Duration) (float64, error) {
	return func(d time.Duration) (float64, error) {
		seconds, err := cost(f, d, clients)
		return 1 / seconds, err
	}
}

// without is the rate of f without a part of it, which is measured by itself.
func without(f, part func() error) func(time.Duration) (float64, error) {
	return func(d time.Duration) (float64, error) {
		whole, err := cost(f, d*2/3, clients)
		if err != nil {
			return 0, err
		}
		less, err := cost(part, d/3, clients)
		return 1 / (whole - less), err
	}
}

func openInside(b *bed) (pair, error) {
	t, err := newToken(b)
	if err != nil {
		return pair{}, err
	}
	device, err := t.openPKCS11(b.ctx)
	if err != nil {
		return pair{}, err
	}
	for _, spec := range []hsm.Spec{{Label: "k", Algorithm: hsm.SM2}, {Label: "master", Algorithm: hsm.SM4}} {
		if _, err := device.Generate(b.ctx, spec); err != nil {
			return pair{}, err
		}
	}
	inside, ok := device.(hsm.Inside)
	if !ok {
		return pair{}, hsm.ErrMechanism
	}
	wrapped, public, err := inside.GenerateInside(b.ctx, "master", nil)
	if err != nil {
		return pair{}, err
	}
	reference, err := bench{t, device}.loopPKCS11(perCPUSecond)
	e := bytes.Repeat([]byte{7}, 32)
	return pair{ours: crowd(func() error {
		_, err := inside.SignInside(b.ctx, "master", wrapped, nil, public, e)
		return err
	}), reference: reference, close: func() { device.Close() }}, err
}
