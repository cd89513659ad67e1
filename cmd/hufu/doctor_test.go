package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"hufu/hsm"
	"hufu/hsm/hsmtest"
	"hufu/internal/gm"
)

// operator is somebody who runs commands on a configuration whose keys are in a soft token.
type operator struct {
	t           *testing.T
	token       hsmtest.SoftToken
	dir, config string
}

func newOperator(t *testing.T, dialect, more string) *operator {
	t.Helper()
	d := &operator{t: t, token: hsmtest.Token(t, dialect), dir: t.TempDir()}
	d.config = filepath.Join(d.dir, "hufu.yaml")
	d.write("data: %q\nhsm:\n  - driver: pkcs11\n    module: %q\n    tokens: [%q]\n    pin_file: %q\n%s", filepath.Join(d.dir, "data"), d.token.Module, d.token.Label, d.token.PINFile, more)
	return d
}

func (d *operator) write(format string, args ...any) {
	d.t.Helper()
	if err := os.WriteFile(d.config, fmt.Appendf(nil, format, args...), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

// do runs a command and returns what it said; it must end with the exit code.
func (d *operator) do(code int, args ...string) (out, errs string) {
	d.t.Helper()
	var o, e bytes.Buffer
	began := time.Now()
	if got := run(d.t.Context(), append(args, "--config", d.config), &o, &e); got != code {
		d.t.Fatalf("%v: exit code %d, want %d: %s%s", args, got, code, &o, &e)
	}
	if took := time.Since(began); took > time.Minute {
		d.t.Errorf("%v took %s", args, took)
	}
	return o.String(), e.String()
}

func (d *operator) device() hsm.Device {
	d.t.Helper()
	cfg, err := loadConfig(d.config, "")
	if err != nil {
		d.t.Fatal(err)
	}
	device, err := cfg.HSM[0].openers(newLog(os.Stderr, 100), false)[0].bounded(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	return device
}

func wants(t *testing.T, said string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile(p).MatchString(said) {
			t.Errorf("nothing matches %q in:\n%s", p, said)
		}
	}
}

// copyToken makes a second token with the same keys, as devices of one vendor are made to hold them.
func (d *operator) copyToken() hsmtest.SoftToken {
	d.t.Helper()
	spare := hsmtest.Token(d.t, "neutral")
	spare.Store = filepath.Join(d.t.TempDir(), "store")
	if err := os.CopyFS(spare.Store, os.DirFS(d.token.Store)); err != nil {
		d.t.Fatal(err)
	}
	if err := os.WriteFile(spare.Module+".conf", fmt.Appendf(nil, "store %s\nfaults %s\n", spare.Store, spare.Faults), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return spare
}

// What the doctor tells of a token: who it is, how it is used, its keys, what is in it that nobody knows, and what is gone.
func TestDoctorOnHardware(t *testing.T) {
	t.Parallel()
	d := newOperator(t, "tass", "")
	d.do(0, "init")
	said, _ := d.do(0, "doctor")
	wants(t, said, `ok     device pkcs11 hufu-`, `serial +[0-9a-f]{16}`, `profile +tass`, `SM2 signs e by 0x80008000 \(der\)`, `SM4 wraps by`, `sessions +\d+ at once`,
		`PIN +no wrong tries`, `key ca-root\.v1\.\S+ +sm2, sign +ca-root +SM3 [0-9a-f]{64}`, `key master\.v1\.\S+ +sm4, wrap +master`, `ok     database`)
	if strings.Contains(said, "note ") || strings.Contains(said, "FAILED") || strings.Contains(said, d.token.PIN) {
		t.Errorf("the doctor says:\n%s", said)
	}

	device := d.device()
	if _, err := device.Generate(t.Context(), hsm.Spec{Label: "stray", Algorithm: hsm.P256}); err != nil {
		t.Fatal(err)
	}
	keys, err := device.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if strings.HasPrefix(k.Label, "qr.") || strings.HasPrefix(k.Label, "log.") {
			if err := device.Destroy(t.Context(), k.Label); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	if err := device.Close(); err != nil {
		t.Fatal(err)
	}
	said, _ = d.do(1, "doctor")
	wants(t, said, `note   key stray is in a device`, `FAILED key (qr|log)/1: .*The database names a key that no device holds`)

	d.token.Disturb(t, "removed")
	said, _ = d.do(1, "doctor")
	wants(t, said, `FAILED device pkcs11 hufu-\S+: `, `ok     database`)
}

// The whole server on an SDF device, with the software key store for what SDF does not know; the devices are told one by one.
func TestServerOnSDF(t *testing.T) {
	t.Parallel()
	d := newOperator(t, "neutral", "")
	d.token.MakeSDFKeys(t, "sign", 1, 12)
	d.token.MakeSDFKeys(t, "encrypt", 1, 1)
	d.token.MakeSDFKeys(t, "kek", 1, 3)
	d.write(`data: %q
hsm:
  - driver: sdf
    module: %q
    pin_file: %q
    assignments: %q
    signing: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    encryption: [1]
    keks: [1, 2, 3]
  - driver: soft
`, filepath.Join(d.dir, "data"), d.token.SDF, d.token.PINFile, filepath.Join(d.dir, "assignments"))
	_, errs := d.do(1, "doctor") // nothing is made by looking
	wants(t, errs, "the lines above say what")
	d.do(0, "init")
	said, _ := d.do(0, "doctor")
	wants(t, said, `ok     device sdf`, `serial +\S`, `indices \(sign\) +\d+ of 12 in use`, `indices \(kek\) +\d of 3 in use`, `key ca-root\.v1\.\S+ +sm2, sign +ca-root +SM3 [0-9a-f]{64}`,
		`key master\.v1\.\S+ +sm4, wrap`, `ok     key store in `)
	d.do(0, "init") // and it opens again
	d.token.Disturb(t, "removed")
	said, _ = d.do(1, "doctor")
	wants(t, said, `FAILED device sdf: `)
}

// A profile whose codes the token does not know leaves it without SM4: the refusal says what to set, and the right profile goes on.
func TestAProfileOfAnotherVendorIsNamed(t *testing.T) {
	t.Parallel()
	d := newOperator(t, "neutral", "    profile: sansec\n")
	_, errs := d.do(1, "init")
	wants(t, errs, `cannot wrap with sm4: .*Correct its .profile., set .master: aes256.*密码设备无法生成`)
	d.write("data: %q\nhsm:\n  - driver: pkcs11\n    module: %q\n    tokens: [%q]\n    pin_file: %q\n", filepath.Join(d.dir, "data"), d.token.Module, d.token.Label, d.token.PINFile)
	d.do(0, "init")
}

// A wrong PIN is shown to the token once, by each command that a person starts, and never by the program itself.
func TestAWrongPINIsTriedOnce(t *testing.T) {
	t.Parallel()
	d := newOperator(t, "neutral", "")
	if err := os.WriteFile(d.token.PINFile, []byte("not-the-pin\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := 1; i <= 2; i++ {
		_, errs := d.do(1, "init")
		wants(t, errs, `device pkcs11 hufu-\S+: .*PIN`)
		if wrong := notOneLine(errs); wrong != "" {
			t.Errorf("%s: %q", wrong, errs)
		}
		h := &onHardware{victim: &victim{t: t}, token: d.token}
		if tries := h.tries(); tries != fmt.Sprintf("wrong PINs %d, of the security officer 0", i) {
			t.Errorf("after %d starts: %s", i, tries)
		}
	}
	said, _ := d.do(1, "doctor")
	wants(t, said, `FAILED device pkcs11`)
	if _, err := os.Stat(filepath.Join(d.dir, "data", "hufu.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a refused start left a database: %v", err)
	}
}

// The demonstration never opens its accounts on the database of a real server, even where only the device would tell: the
// data folder is another one.
func TestTheSampleProvinceStaysOutOfRealHardware(t *testing.T) {
	t.Parallel()
	d := newOperator(t, "neutral", "")
	d.write("database: %q\nhsm:\n  - driver: pkcs11\n    module: %q\n    tokens: [%q]\n    pin_file: %q\n", "sqlite:"+filepath.Join(d.dir, "real.db"), d.token.Module, d.token.Label, d.token.PINFile)
	d.do(0, "init", "--data", filepath.Join(d.dir, "data"))
	other := filepath.Join(d.dir, "other")
	_, errs := d.do(1, "serve", "--demo", "--data", other, "--listen", "127.0.0.1:0")
	wants(t, errs, `the database has keys already.*Name another folder`)
	if _, err := os.Stat(sampleFile(Config{Data: other})); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the claim was left: %v", err)
	}
}

// Two tokens with the same keys: the server goes on when one is away, also at the start, says so, and takes it up again.
func TestServerGoesOnWithASpareToken(t *testing.T) {
	t.Parallel()
	d := newOperator(t, "neutral", "")
	d.do(0, "init")
	spare := d.copyToken()
	cfg, err := loadConfig(d.config, "")
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	logger := newLog(&log, 0)
	first, other := cfg.HSM[0].openers(logger, false)[0], cfg.HSM[0]
	other.Module = spare.Module
	second := other.openers(logger, false)[0]
	second.name += " spare"
	s := &server{cfg: cfg, log: logger, now: time.Now}
	spare.Disturb(t, "removed")
	members, err := s.openMembers(t.Context(), []opener{first, second}, 0)
	if err != nil {
		t.Fatal(err)
	}
	group, err := hsm.NewGroup(members)
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	s.device, s.watch = group, &watch{log: s.log, now: time.Now}
	for _, m := range members {
		s.watchDevice(m.Name, m.Device)
	}
	state := func() (string, int) {
		s.watch.look(t.Context())
		states, failed := s.watch.states()
		return states[0].State + " " + states[1].State, failed
	}
	if got, _ := state(); got != "ok failed" {
		t.Errorf("the spare is away: %s", got)
	}
	works := func(when string) {
		t.Helper()
		keys, err := group.Keys(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		for _, k := range keys {
			if k.Purpose == "ca-issuing" {
				ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
				defer cancel()
				signer, err := group.Signer(ctx, k.Label)
				if err == nil {
					_, err = signer.Sign(nil, make([]byte, 32), gm.Digest)
				}
				if err != nil {
					t.Errorf("%s: %v", when, err)
				}
				return
			}
		}
		t.Errorf("%s: no issuing key among %d", when, len(keys))
	}
	works("with the first alone")
	spare.Disturb(t)
	if got, _ := state(); got != "ok ok" {
		t.Errorf("the spare came: %s\n%s", got, &log)
	}
	d.token.Disturb(t, "removed")
	works("with the spare alone")
	if _, failed := state(); failed != 1 || s.deviceServes(t.Context(), failed) != nil {
		t.Errorf("%d failed, %v", failed, s.deviceServes(t.Context(), failed))
	}
	d.token.Disturb(t)
	for range 100 {
		if got, _ := state(); got == "ok ok" {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("the first never came back:\n%s", &log)
}
