package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	_ "embed"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"hufu/hsm"
	"hufu/hsm/pkcs11"
	"hufu/hsm/sdf"
	"hufu/hsm/softtoken"
	"hufu/internal/gm"
)

// The rows of drivers measure 8 clients on the soft token, whose work is done by OpenSSL in this process; a device of its own
// would hide what the driver costs. The reference is a loop in C with as many threads, each in a session of its own. The package verifies each signature; that is taken out of the first rows and told by the second.
var deviceWorkloads = []workload{
	{"hsm.pkcs11", "SM2 signatures per CPU-second, without their verification", "C_SignInit, C_Sign on the same token", 0.95, pkcs11Row(false)},
	{"hsm.pkcs11.verified", "SM2 signatures per CPU-second, each verified", "C_SignInit, C_Sign on the same token", 0.8, pkcs11Row(true)},
	{"hsm.sdf", "SM2 signatures per CPU-second, without their verification", "SDF_InternalSign_ECC on the same device", 0.95, sdfRow(false)},
	{"hsm.sdf.verified", "SM2 signatures per CPU-second, each verified", "SDF_InternalSign_ECC on the same device", 0.8, sdfRow(true)},
	{"hsm.pkcs11.remote", "SM2 signatures per second by 8 clients, each verified", "C_SignInit, C_Sign on the same token, which waits 4 ms as a machine in the network", 0.95, pkcs11Remote},
	{"hsm.sdf.remote", "SM2 signatures per second by 8 clients, each verified", "SDF_InternalSign_ECC on the same device, which waits 4 ms", 0.95, sdfRemote},
	{"hsm.inside", "SM2 signatures per CPU-second with a wrapped key that the token opens, each verified", "C_SignInit, C_Sign with a key of the same token", 0.5, openInside},
}

//go:embed reference/pkcs11.c
var pkcs11Loop string

//go:embed reference/sdf.c
var sdfLoop string

// token is a soft token, set up for one row.
type token struct {
	softtoken.Library
	dir, store, pin string
}

const (
	tokenLabel = "bench"
	tokenPIN   = "for the bench alone"
)

// newToken builds the soft token and sets up a fresh one.
func newToken(b *bed) (*token, error) {
	dir, err := os.MkdirTemp(b.dir, "token-")
	if err != nil {
		return nil, err
	}
	t := &token{dir: dir, store: filepath.Join(dir, "store"), pin: filepath.Join(dir, "pin")}
	if t.Library, err = softtoken.Build(dir, softtoken.BuildOptions{}); err != nil {
		return nil, err
	}
	conf := "store " + t.store + "\nfaults " + filepath.Join(dir, "faults") + "\n"
	for name, text := range map[string]string{t.pin: tokenPIN, t.PKCS11 + ".conf": conf, t.SDF + ".conf": conf} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return t, t.console("init", "--label", tokenLabel, "--so-pin-file", t.pin, "--pin-file", t.pin, "--dialect", "neutral")
}

func (t *token) console(args ...string) error {
	out, err := exec.Command(t.Console, append([]string{t.store}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("softtoken-console %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func (t *token) openPKCS11(ctx context.Context) (hsm.Device, error) {
	return pkcs11.Open(ctx, pkcs11.Config{Module: t.PKCS11, Token: tokenLabel, Log: slog.New(slog.DiscardHandler)}, []byte(tokenPIN))
}

// remote makes one call of each signature wait, as the way to a machine in the network does.
func (t *token) remote(call string) error {
	return os.WriteFile(filepath.Join(t.dir, "faults"), []byte("slow 4\nat "+call+"\n"), 0o600)
}

// What the loops in C print.
const (
	perCPUSecond = iota
	perSecond
)

// raw compiles a loop in C and returns what runs it and picks a figure.
func (t *token) raw(figure int, source string, args ...string) (func(time.Duration) (float64, error), error) {
	file, program := filepath.Join(t.dir, "loop.c"), filepath.Join(t.dir, "loop")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		return nil, err
	}
	if out, err := exec.Command("cc", "-O2", "-pthread", "-o", program, file, "-ldl").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile the reference: %w: %s", err, out)
	}
	return func(d time.Duration) (float64, error) {
		out, err := exec.Command(program, append(args, fmt.Sprint(d.Milliseconds()))...).CombinedOutput()
		if err != nil {
			return 0, fmt.Errorf("reference: %w: %s", err, out)
		}
		figures := strings.Fields(string(out))
		if len(figures) != 2 {
			return 0, fmt.Errorf("reference: %q", out)
		}
		return strconv.ParseFloat(figures[figure], 64)
	}, nil
}

// onPKCS11 opens a soft token by the driver and by the loop in C.
func onPKCS11(b *bed, figure int, faults func(*token) error) (device hsm.Device, reference func(time.Duration) (float64, error), err error) {
	t, err := newToken(b)
	if err != nil {
		return nil, nil, err
	}
	if device, err = t.openPKCS11(b.ctx); err != nil {
		return nil, nil, err
	}
	if reference, err = t.raw(figure, pkcs11Loop, t.PKCS11, tokenLabel, t.pin, "k", "fffff002"); err == nil {
		err = faults(t)
	}
	return device, reference, err
}

// onSDF does the same with an SDF device.
func onSDF(b *bed, figure int, faults func(*token) error) (device hsm.Device, reference func(time.Duration) (float64, error), err error) {
	t, err := newToken(b)
	if err != nil {
		return nil, nil, err
	}
	if err := t.console("sdf-key", "1", "sign", "--pin-file", t.pin); err != nil {
		return nil, nil, err
	}
	if device, err = sdf.Open(b.ctx, sdf.Config{
		Library: t.SDF, Assignments: filepath.Join(t.dir, "assignments"), Create: true, Signing: []uint32{1},
	}, sdf.Passwords{All: []byte(tokenPIN)}); err != nil {
		return nil, nil, err
	}
	if reference, err = t.raw(figure, sdfLoop, t.SDF, t.pin, "1"); err == nil {
		err = faults(t)
	}
	return device, reference, err
}

func healthy(*token) error { return nil }

func pkcs11Row(verified bool) func(*bed) (pair, error) {
	return func(b *bed) (pair, error) {
		device, reference, err := onPKCS11(b, perCPUSecond, healthy)
		if err != nil {
			return pair{}, err
		}
		return driverPair(b.ctx, device, reference, verified)
	}
}

func sdfRow(verified bool) func(*bed) (pair, error) {
	return func(b *bed) (pair, error) {
		device, reference, err := onSDF(b, perCPUSecond, healthy)
		if err != nil {
			return pair{}, err
		}
		return driverPair(b.ctx, device, reference, verified)
	}
}

func pkcs11Remote(b *bed) (pair, error) {
	device, reference, err := onPKCS11(b, perSecond, func(t *token) error { return t.remote("C_SignInit") })
	if err != nil {
		return pair{}, err
	}
	return remotePair(b.ctx, device, reference)
}

func sdfRemote(b *bed) (pair, error) {
	device, reference, err := onSDF(b, perSecond, func(t *token) error { return t.remote("SDF_InternalSign_ECC") })
	if err != nil {
		return pair{}, err
	}
	return remotePair(b.ctx, device, reference)
}

// remotePair compares by the clock on the wall: both sides wait for the device most of the time.
func remotePair(ctx context.Context, device hsm.Device, reference func(time.Duration) (float64, error)) (pair, error) {
	sign, _, err := signing(ctx, device)
	ours := func(d time.Duration) (float64, error) {
		began := time.Now()
		n, err := repeat(sign, d, clients)
		return float64(n) / time.Since(began).Seconds(), err
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
		p.ours = without(sign, verifier(signer, digest))
	}
	return p, nil
}

// verifier does what package hsm does with each signature.
func verifier(signer crypto.Signer, e []byte) func() error {
	sig, err := signer.Sign(nil, e, gm.Digest)
	pub, ok := signer.Public().(*ecdsa.PublicKey)
	return func() error {
		if err != nil || !ok || !gm.VerifyE(pub, e, sig) {
			return errVerify
		}
		return nil
	}
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
	reference, err := t.raw(perCPUSecond, pkcs11Loop, t.PKCS11, tokenLabel, t.pin, "k", "fffff002")
	e := bytes.Repeat([]byte{7}, 32)
	return pair{ours: crowd(func() error {
		_, err := inside.SignInside(b.ctx, "master", wrapped, nil, public, e)
		return err
	}), reference: reference, close: func() { device.Close() }}, err
}
