package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hufu/certs"
)

// A ceremony whose device is a token: rehearsed there, which leaves nothing in it, and held; then the root signs again, and
// the server issues without it.
func TestACeremonyOnAToken(t *testing.T) {
	d := newOperator(t, "neutral", "")
	at := func(name string) string { return filepath.Join(d.dir, name) }
	command := []string{"ca", "ceremony", "root", "--threshold", "2", "--shares", at("shares")}
	typed := func(names ...string) (flags []string) {
		for _, name := range names {
			file := at("passphrase-" + name)
			if err := os.WriteFile(file, fmt.Appendf(nil, "the passphrase of %s\n", name), 0o600); err != nil {
				t.Fatal(err)
			}
			flags = append(flags, "--passphrase-file", name+"="+file)
		}
		return flags
	}
	for _, name := range custodians {
		command = append(command, "--custodian", name)
	}
	command = append(command, typed(custodians...)...)
	inside := "opened by the custodians' shares within the device alone|under the device's master key"
	out, _ := d.do(0, append(command, "--dry-run", "--transcript", at("rehearsal"))...)
	wants(t, out, "REHEARSAL", inside)
	device := d.device()
	held, err := device.Keys(t.Context())
	if err != nil || len(held) != 0 || device.Close() != nil {
		t.Errorf("the rehearsal left %v, %v", held, err)
	}

	out, _ = d.do(0, append(command, "--transcript", at("ceremony"))...)
	wants(t, out, "certificate: issuing", "revocation list: root/full, number 1", inside)
	files, err := filepath.Glob(at("shares/*.share"))
	if err != nil || len(files) != 3 {
		t.Fatalf("%v, %v", files, err)
	}
	sitting := append([]string{"ca", "ceremony", "sign-crl", "--transcript", at("crl"), "--share", files[0], "--share", files[2]}, typed(custodians[0], custodians[2])...)
	out, _ = d.do(0, sitting...)
	wants(t, out, "revocation list: root/full, number 1")
	out, _ = d.do(0, "init")
	wants(t, out, "root key: 2 of 3 custodians")

	cert, err := os.ReadFile(at("ceremony.root.pem"))
	if err != nil {
		t.Fatal(err)
	}
	root, err := certs.ParsePEM(cert)
	if err != nil || root.CheckSignature(root) != nil {
		t.Errorf("the root's certificate: %v", err)
	}
	device = d.device()
	defer device.Close()
	if held, err = device.Keys(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, k := range held {
		if strings.HasPrefix(k.Label, "ca-root") || certs.SameKey(k.Public, root.PublicKey) {
			t.Errorf("the root's key is in the device as %s", k.Label)
		}
	}
	// With the configuration, the device and the database alone, nobody gets further than this.
	_, errs := d.do(1, append(sitting[:3:3], append([]string{"--transcript", at("alone"), "--share", files[0]}, typed(custodians[0])...)...)...)
	wants(t, errs, "1 of 2 shares")
}
