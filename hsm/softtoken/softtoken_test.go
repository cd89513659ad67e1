package softtoken_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"hufu/hsm/hsmtest"
)

// tool runs pkcs11-tool of OpenSC, which we did not write, on a token.
func tool(t *testing.T, k hsmtest.SoftToken, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("pkcs11-tool"); err != nil {
		if os.Getenv("CI") == "" {
			t.Skip("pkcs11-tool (Debian: opensc) is missing")
		}
		t.Fatal(err)
	}
	out, err := exec.Command("pkcs11-tool", append([]string{"--module", k.Module}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("pkcs11-tool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestPkcs11ToolListsWhatItMade(t *testing.T) {
	k := hsmtest.Token(t, "neutral")
	if out := tool(t, k, "-L"); !strings.Contains(out, k.Label) || !strings.Contains(out, "Hufu soft token") {
		t.Errorf("slots: %s", out)
	}
	tool(t, k, "-l", "--pin", k.PIN, "-k", "--key-type", "EC:prime256v1", "--label", "first", "--id", "01")
	if out := tool(t, k, "-l", "--pin", k.PIN, "-O"); strings.Count(out, "first") != 2 || !strings.Contains(out, "never extractable") {
		t.Errorf("objects: %s", out)
	}
}
