//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hufu/hsm"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// What cannot be opened says why, in both languages, and leaves nothing behind.
func TestOpenRefusals(t *testing.T) {
	k, good := softToken(t, "neutral")
	text := filepath.Join(t.TempDir(), "text.so")
	if err := os.WriteFile(text, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	alone := filepath.Join(t.TempDir(), "alone.so") // without its configuration
	if library, err := os.ReadFile(good.Module); err != nil || os.WriteFile(alone, library, 0o700) != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	with := func(change func(*Config)) Config { c := good; change(&c); return c }
	for what, c := range map[string]struct {
		ctx    context.Context
		config Config
		want   error
	}{
		"no such module":  {t.Context(), with(func(c *Config) { c.Module += "x" }), ErrNoModule},
		"not a library":   {t.Context(), with(func(c *Config) { c.Module = text }), ErrNoModule},
		"not started":     {t.Context(), with(func(c *Config) { c.Module = alone }), ErrNotStarted},
		"no such token":   {t.Context(), with(func(c *Config) { c.Token = "nobody" }), ErrNoToken},
		"no such profile": {t.Context(), with(func(c *Config) { c.Profile = "nobody" }), ErrNoProfile},
		"ended":           {ended, good, context.Canceled},
	} {
		d, err := Open(c.ctx, c.config, []byte(k.PIN))
		if d != nil || !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
		if said, ok := fault.TextOf(err); !ok || said.ZH == "" || said.EN == "" {
			t.Errorf("%s: %+v", what, said)
		}
	}
	if n := triesOf(t, k); n != 0 {
		t.Errorf("%d PIN tries", n)
	}
	if len(loaded.list) != 0 {
		t.Errorf("%d modules stay loaded", len(loaded.list))
	}
}

func TestOpenBySerialNumberOrAsTheOnlyOne(t *testing.T) {
	k, c := softToken(t, "neutral")
	d := opened(t, c, k.PIN)
	serial := d.tokenInfo().SerialNumber
	for _, name := range []string{serial, ""} {
		c.Token = name
		if got := opened(t, c, k.PIN).tokenInfo().Label; got != k.Label {
			t.Errorf("%q opened %q", name, got)
		}
	}
}

// A hanging device does not hold Open beyond its context.
func TestOpenWhileTheDeviceHangs(t *testing.T) {
	k, c := softToken(t, "neutral")
	k.Disturb(t, "hang", "at C_Login")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, c, []byte(k.PIN)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	k.Disturb(t)
	eventually(t, func() error {
		d, err := Open(t.Context(), c, []byte(k.PIN))
		if err == nil {
			err = d.Close()
		}
		return err
	})
}

// Neither PIN nor key stands in what the driver logs, whatever befalls it.
func TestNothingSecretIsLogged(t *testing.T) {
	k, c := softToken(t, "neutral")
	var log bytes.Buffer
	c.Log = slog.New(slog.NewTextHandler(&locked{w: &log}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var errs []error
	d := opened(t, c, k.PIN)
	uses := keysOf(t, d)
	for _, fault := range []string{"wrong-signature 1", "removed", "device-error 5", "function-failed 1"} {
		k.Disturb(t, fault)
		for _, use := range uses {
			errs = append(errs, use(t.Context()))
		}
		k.Disturb(t)
		eventually(t, func() error { return uses["sign"](t.Context()) })
	}
	_, err := Open(t.Context(), c, []byte("another-pin-99"))
	errs = append(errs, err)
	d.Close()
	all := log.String() + errors.Join(errs...).Error()
	if !strings.Contains(all, "is lost") {
		t.Error("nothing was logged: the test says nothing")
	}
	for _, secret := range []string{k.PIN, "another-pin-99", "secret"} {
		if strings.Contains(all, secret) {
			t.Errorf("%q is told", secret)
		}
	}
}

// Two tokens in different modules do not disturb each other: one is pulled, the other works on.
func TestTokensInModulesOfTheirOwn(t *testing.T) {
	k1, c1 := softToken(t, "neutral")
	k2, c2 := softToken(t, "tass")
	a, b := opened(t, c1, k1.PIN), opened(t, c2, k2.PIN)
	info, err := b.Generate(t.Context(), hsm.Spec{Label: "k", Algorithm: hsm.SM2})
	if err != nil {
		t.Fatal(err)
	}
	k1.Disturb(t, "removed")
	if err := a.Health(t.Context()); !errors.Is(err, hsm.ErrUnavailable) {
		t.Errorf("a pulled token is healthy: %v", err)
	}
	for range 20 {
		if err := signOnce(t.Context(), b, "k", info.Public.(*ecdsa.PublicKey)); err != nil {
			t.Error(err)
		}
	}
	k1.Disturb(t)
	eventually(t, func() error { return a.Health(t.Context()) })
}

// The key pair of one device is of no use to another: a wrapped key opens nowhere else.
func TestInsideOnAnotherToken(t *testing.T) {
	k1, c1 := softToken(t, "neutral")
	k2, c2 := softToken(t, "neutral")
	a, b := opened(t, c1, k1.PIN), opened(t, c2, k2.PIN)
	for _, d := range []*Device{a, b} {
		if _, err := d.Generate(t.Context(), hsm.Spec{Label: "m", Algorithm: hsm.SM4}); err != nil {
			t.Fatal(err)
		}
	}
	wrapped, public, err := a.GenerateInside(t.Context(), "m", []byte("row"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.SignInside(t.Context(), "m", wrapped, []byte("row"), public, make([]byte, 32)); !errors.Is(err, hsm.ErrNotAuthentic) {
		t.Errorf("%v", err)
	}
	other, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.SignInside(t.Context(), "m", wrapped, []byte("row"), other.Public().(*ecdsa.PublicKey), make([]byte, 32)); !errors.Is(err, hsm.ErrNotAuthentic) {
		t.Errorf("under another public key: %v", err)
	}
}
