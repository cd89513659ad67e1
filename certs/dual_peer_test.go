package certs

import (
	"slices"
	"strings"
	"testing"

	"hufu/certs/certstest"
	"hufu/internal/gm"
)

func TestDualResponseByBouncyCastle(t *testing.T) {
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
	out := certstest.BouncyCastle(t, "Dual.java", dir)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if !slices.Contains(lines, "dual ok") || !slices.Contains(lines, "other-key ok") {
		t.Errorf("Bouncy Castle does not open the response:\n%s", out)
	}
}
