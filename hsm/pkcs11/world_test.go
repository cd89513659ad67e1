//go:build cgo

package pkcs11

import (
	"crypto"
	"testing"
	"time"
)

const p256Digest = crypto.SHA256

// eventually waits until f succeeds.
func eventually(t testing.TB, f func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatalf("it does not come back: %v", err)
}
