package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// place is where a token computes, and how far away that is.
type place func(t *token, call string) error

// near signs here, at once.
func near(*token, string) error { return nil }

// wait is how long a machine in the network lets a signature wait.
const wait = 4 * time.Millisecond

// here makes one call of each signature wait, and computes on our processors as well.
func here(t *token, call string) error {
	return os.WriteFile(filepath.Join(t.dir, "faults"), fmt.Appendf(nil, "slow %d\nat %s\n", wait.Milliseconds(), call), 0o600)
}

// elsewhere puts a library before the token's, in which signatures are waited for but not computed.
func elsewhere(t *token, _ string) error {
	source := filepath.Join(t.dir, "elsewhere.c")
	if err := os.WriteFile(source, []byte(elsewhereShim), 0o600); err != nil {
		return err
	}
	for name, library := range map[string]*string{"elsewhere-pkcs11.so": &t.PKCS11, "elsewhere-sdf.so": &t.SDF} {
		shim := filepath.Join(t.dir, name)
		if out, err := exec.Command("cc", "-O2", "-shared", "-fPIC", "-pthread", fmt.Sprintf("-DWAIT=%d", wait.Microseconds()), "-o", shim, source,
			"-Wl,--no-as-needed", *library, "-ldl").CombinedOutput(); err != nil {
			return fmt.Errorf("compile the device elsewhere: %w: %s", err, out)
		}
		*library = shim
	}
	return nil
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
