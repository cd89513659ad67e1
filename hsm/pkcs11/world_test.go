//go:build cgo

package pkcs11

import (
	"crypto"
	"io"
	"sync"
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

// locked makes a writer fit for several goroutines.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
