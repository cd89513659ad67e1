package main

import (
	"context"
	"crypto/ecdsa"
	"slices"
	"time"

	"hufu/hsm"
	"hufu/hsm/pkcs11"
	"hufu/internal/gm"
)

func pkcs11Driver(at place, rate rate) func(*bed) (pair, error) {
	return func(b *bed) (pair, error) {
		on, err := onPKCS11(b, at)
		if err != nil {
			return pair{}, err
		}
		return barePair(b.ctx, on.device, rate, func() (bare, error) {
			signs, close, err := pkcs11.Bare(on.token.PKCS11, tokenLabel, "k", mechanismSM2, digest, clients)
			return bare{signs, close}, err
		})
	}
}

func sdfDriver(at place, rate rate) func(*bed) (pair, error) {
	return func(b *bed) (pair, error) {
		on, err := onSDF(b, at)
		if err != nil {
			return pair{}, err
		}
		return barePair(b.ctx, on.device, rate, func() (bare, error) { return bareSDF(on.token.SDF, tokenPIN, 1) })
	}
}

// bare is what signs without a driver: the same calls of the device, from Go as well, each client in a session of its own.
type bare struct {
	signs []func() ([]byte, error) // by client: r ‖ s
	close func()
}

// rate is how fast clients are who do nothing but what is theirs.
type rate func(fs []func() error, d time.Duration) (float64, error)

func eachCPUSecond(fs []func() error, d time.Duration) (float64, error) {
	seconds, err := costOfEach(fs, d)
	return 1 / seconds, err
}

func eachSecond(fs []func() error, d time.Duration) (float64, error) {
	began := time.Now()
	n, err := repeat(fs, d)
	return float64(n) / time.Since(began).Seconds(), err
}

// barePair compares the driver with the same calls and the same verification without it.
func barePair(ctx context.Context, device hsm.Device, rate rate, open func() (bare, error)) (pair, error) {
	sign, signer, err := signing(ctx, device)
	if err != nil {
		return pair{}, err
	}
	pub, ok := signer.Public().(*ecdsa.PublicKey)
	if !ok {
		return pair{}, errVerify
	}
	known, err := gm.NewVerifier(pub)
	if err != nil {
		return pair{}, err
	}
	without, err := open()
	var calls []func() error
	for _, f := range without.signs {
		calls = append(calls, func() error {
			raw, err := f()
			if err != nil {
				return err
			}
			sig, err := gm.DERSignature(raw)
			if err == nil && !known.VerifyE(digest, sig) {
				err = errVerify
			}
			return err
		})
	}
	return pair{
		ours:      func(d time.Duration) (float64, error) { return rate(slices.Repeat([]func() error{sign}, clients), d) },
		reference: func(d time.Duration) (float64, error) { return rate(calls, d) },
		close: func() {
			if without.close != nil {
				without.close()
			}
			device.Close()
		},
	}, err
}
