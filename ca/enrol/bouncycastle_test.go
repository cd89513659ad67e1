package enrol_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hufu/ca/enrol"
	"hufu/certs/certstest"
)

// bouncyCastle runs the client in testdata, and wants each of the steps to have held.
func bouncyCastle(t *testing.T, steps []string, args ...string) {
	t.Helper()
	out := certstest.BouncyCastle(t, "Client.java", args...)
	for _, step := range steps {
		if n := strings.Count(out, step+" ok\n"); n != len(args[3:])/4 {
			t.Errorf("step %s held %d times:\n%s", step, n, out)
		}
	}
}

// Under SM2, messages are protected by a MAC with SM3 and then by SM3-with-SM2, and certificates confirmed by their SM3; under
// P-256 it is SHA-256 and ECDSA.
func TestBouncyCastleAsCMPClient(t *testing.T) {
	steps := []string{"ip-mac", "ip-key", "ip-certificate", "pkiconf", "kup-signature", "kup-protector", "kup-certificate"}
	once(t, func(t *testing.T, w *world) {
		w.now = time.Now()
		server := httptest.NewServer(w.Handler())
		t.Cleanup(server.Close)
		bouncyCastle(t, steps, append([]string{"cmp", server.URL + "/.well-known/cmp/p/", "."}, w.bothCurves()...)...)
	})
}

// bothCurves are the arguments for an SM2 and a P-256 device: profile, reference, secret, curve.
func (w *world) bothCurves() (args []string) {
	for profile, curve := range map[string]string{"device": "sm2p256v1", "device-p256": "P-256"} {
		secret := w.secret(enrol.Order{Profile: profile, Holder: "e1"})
		args = append(args, profile, secret.ID, secret.Value, curve)
	}
	return args
}

func TestBouncyCastleAsESTClient(t *testing.T) {
	once(t, func(t *testing.T, w *world) {
		w.now = time.Now()
		server, root := w.secure()
		file := filepath.Join(t.TempDir(), "root.der")
		if err := os.WriteFile(file, root, 0o600); err != nil {
			t.Fatal(err)
		}
		address := strings.Replace(strings.TrimPrefix(server.URL, "https://"), "127.0.0.1", "localhost", 1)
		bouncyCastle(t, []string{"cacerts", "csrattrs", "simpleenroll"}, append([]string{"est", address, file}, w.bothCurves()...)...)
	})
}
