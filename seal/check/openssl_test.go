package check

import (
	"bytes"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hufu/certs"
	"hufu/seal/ofd"
	"hufu/seal/ses"
)

// tool finds an outside program: without it the test is skipped on a desk and fails in CI.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is needed: %v", name, err)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// TestOpensslSaysTheSame checks digests and signatures of a document of ours, and of a foreign one, without our own cryptography.
func TestOpensslSaysTheSame(t *testing.T) {
	openssl := tool(t, "openssl")
	w := newWorld(t)
	for name, file := range map[string][]byte{"ours": w.sealed(unsealed(t), how{}), "foreign": sample(t, "sealed-v4-expired.ofd")} {
		t.Run(name, func(t *testing.T) {
			c, err := ofd.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			m, err := c.Model()
			if err != nil {
				t.Fatal(err)
			}
			s := c.Signatures(m).List[0]
			for _, ref := range s.References {
				data, _ := c.Read(ref.Path)
				if sum := opensslSM3(t, openssl, data); !bytes.Equal(sum, ref.Want) {
					t.Errorf("%s: openssl says %x", ref.Path, sum)
				}
			}
			v, err := ses.ParseSignature(s.Value)
			if err != nil {
				t.Fatal(err)
			}
			if sum := opensslSM3(t, openssl, s.Raw); !bytes.Equal(sum, v.DataHash) {
				t.Errorf("data hash: openssl says %x", sum)
			}
			for who, x := range map[string]struct{ cert, message, sig []byte }{
				"signer": {v.Cert, v.SignedBytes(), v.Signature}, "maker": {v.Seal.MakerCert, v.Seal.SignedBytes(), v.Seal.Signature},
			} {
				if !opensslVerify(t, openssl, x.cert, x.message, x.sig) {
					t.Errorf("openssl refuses the %s's signature", who)
				}
				if opensslVerify(t, openssl, x.cert, append([]byte("x"), x.message...), x.sig) {
					t.Errorf("openssl takes the %s's signature for anything", who)
				}
			}
		})
	}
}

func opensslSM3(t *testing.T, openssl string, data []byte) []byte {
	t.Helper()
	cmd := exec.Command(openssl, "dgst", "-sm3", "-binary")
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func opensslVerify(t *testing.T, openssl string, der, message, sig []byte) bool {
	t.Helper()
	c, err := certs.ParseLenient(der)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := certs.MarshalPublicKey(c.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	pem := "-----BEGIN PUBLIC KEY-----\n" + base64.StdEncoding.EncodeToString(spki) + "\n-----END PUBLIC KEY-----\n"
	for name, data := range map[string][]byte{"key": []byte(pem), "msg": message, "sig": sig} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(openssl, "pkeyutl", "-verify", "-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678",
		"-pubin", "-inkey", "key", "-in", "msg", "-sigfile", "sig")
	cmd.Dir = dir
	out, _ := cmd.CombinedOutput() // judged by its words: exit codes of openssl are not to be relied on
	return strings.Contains(string(out), "Verified Successfully")
}
