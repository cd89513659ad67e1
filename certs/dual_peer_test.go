package certs

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"hufu/internal/gm"
)

func TestDualResponseByBouncyCastle(t *testing.T) {
	classes := bouncyCastle(t)
	_, sign, encrypt, envelope := newPair(t)
	der, err := BuildDualResponse(sign.Certificate, envelope, encrypt.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	other, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	writeFile(t, dir, "response.der", der)
	writeFile(t, dir, "holder.key", sign.key.(*gm.PrivateKey).Bytes())
	writeFile(t, dir, "other.key", other.Bytes())
	out, err := exec.Command("java", "-cp", classes, "testdata/Dual.java", dir).CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || !slices.Contains(lines, "dual ok") || !slices.Contains(lines, "other-key ok") {
		t.Errorf("Bouncy Castle does not open the response: %v\n%s", err, out)
	}
}
