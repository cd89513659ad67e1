package main

import (
	"context"
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
	"hufu/hsm/softtoken"
)

// token is a soft token, set up for one row.
type token struct {
	softtoken.Library
	dir, store, pin string
}

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
