package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

const softHSM = "/usr/lib/softhsm/libsofthsm2.so"

// A whole server with a token that we did not write and that knows no SM algorithms: its AES key wraps, its P-256 and RSA keys
// sign tokens, and the SM2 keys stand in the software key store.
func TestServerOnSoftHSM(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(softHSM); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("SoftHSM2 (Debian: softhsm2) is missing: %v", err)
		}
		t.Skip("SoftHSM2 is not installed")
	}
	dir := t.TempDir()
	conf, pin, config := filepath.Join(dir, "softhsm2.conf"), filepath.Join(dir, "pin"), filepath.Join(dir, "hufu.yaml")
	for name, text := range map[string]string{
		conf: fmt.Sprintf("directories.tokendir = %s\nobjectstore.backend = file\n", dir),
		pin:  "246813\n",
		config: fmt.Sprintf("data: %q\nmaster: aes256\nhsm:\n  - {driver: pkcs11, module: %s, tokens: [hufu], pin_file: %q, algorithms: [p256, rsa3072, aes256]}\n  - {driver: soft}\n",
			filepath.Join(dir, "data"), softHSM, pin),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	do := func(name string, args ...string) string {
		t.Helper()
		p := exec.Command(name, args...)
		p.Env = append(os.Environ(), "SOFTHSM2_CONF="+conf) // read once for a process: hence processes of their own
		out, err := p.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v: %s", name, args, err, out)
		}
		return string(out)
	}
	do("softhsm2-util", "--init-token", "--free", "--label", "hufu", "--pin", "246813", "--so-pin", "13572468")
	do("hufu", "init", "--config", config)
	said := do("hufu", "doctor", "--config", config)
	wants(t, said, `ok     device pkcs11 hufu`, `profile +softhsm`, `key master\.v1\.\S+ +aes256, wrap +master`, `key seal-master\.v1\.\S+ +aes256, wrap`,
		`key token-es256\.v1\.\S+ +p256, sign`, `key token-rs256\.v1\.\S+ +rsa3072, sign`, `ok     key store in `, `key ca-root\.v1\.\S+ +sm2, sign`)

	addr := freeAddress(t)
	p := exec.Command("hufu", "serve", "--config", config, "--listen", addr)
	var errs bytes.Buffer
	p.Env, p.Stderr = append(os.Environ(), "SOFTHSM2_CONF="+conf), &errs
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	err := awaitAnswer(t.Context(), "http://"+addr, "/readyz")
	_ = p.Process.Signal(os.Interrupt)
	if ended := p.Wait(); err != nil || ended != nil {
		t.Errorf("%v, %v: %s", err, ended, &errs)
	}
}
