//go:build cgo

package pkcs11

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"hufu/hsm"
	"hufu/hsm/hsmtest"
)

// triesOf reads how many wrong tries the token has counted.
func triesOf(t testing.TB, k hsmtest.SoftToken) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(k.Store, "*", "tries"))
	if err != nil || len(files) != 1 {
		t.Fatalf("tries: %v, %v", files, err)
	}
	counts, err := os.ReadFile(files[0]) // of the security officer and of the user, 4 octets each
	if err != nil || len(counts) != 8 {
		t.Fatalf("tries: %x, %v", counts, err)
	}
	return int(binary.BigEndian.Uint32(counts[4:]))
}

// A wrong PIN is shown to the token exactly once, at Open and when the login is lost later.
func TestWrongPINIsTriedOnce(t *testing.T) {
	k, c := softToken(t, "neutral")
	for i := range 3 {
		if _, err := Open(t.Context(), c, []byte("wrong-pin")); !errors.Is(err, hsm.ErrWrongPIN) {
			t.Fatalf("open with a wrong PIN: %v", err)
		}
		if tries := triesOf(t, k); tries != i+1 {
			t.Fatalf("%d tries after %d openings", tries, i+1)
		}
	}
	d := opened(t, c, k.PIN)
	uses := keysOf(t, d)
	if tries := triesOf(t, k); tries != 0 {
		t.Fatalf("%d tries after the right PIN", tries)
	}
	copy(d.pin, "XXXXXXXX") // as if the PIN had been changed on the token
	k.Disturb(t, "restarted 1")
	var wg sync.WaitGroup
	for range 8 {
		for what, use := range uses {
			wg.Go(func() {
				if err := use(t.Context()); !errors.Is(err, hsm.ErrWrongPIN) {
					t.Errorf("%s: %v", what, err)
				}
			})
		}
	}
	wg.Wait()
	if err := d.Health(t.Context()); !errors.Is(err, hsm.ErrWrongPIN) {
		t.Errorf("health: %v", err)
	}
	if tries := triesOf(t, k); tries != 1 {
		t.Errorf("%d tries were burnt, want 1", tries)
	}
}

// The restorer shows a wrong PIN once as well, and stops.
func TestWrongPINAfterTheDeviceWasLost(t *testing.T) {
	k, c := softToken(t, "neutral")
	d := opened(t, c, k.PIN)
	uses := keysOf(t, d)
	copy(d.pin, "XXXXXXXX")
	k.Disturb(t, "removed")
	if err := uses["sign"](t.Context()); !errors.Is(err, hsm.ErrUnavailable) {
		t.Errorf("token removed: %v", err)
	}
	k.Disturb(t)
	eventually(t, func() error {
		if err := uses["sign"](t.Context()); !errors.Is(err, hsm.ErrWrongPIN) {
			return errors.Join(errors.New("not refused yet"), err)
		}
		return nil
	})
	time.Sleep(4 * firstPause)
	if tries := triesOf(t, k); tries != 1 {
		t.Errorf("%d tries were burnt, want 1", tries)
	}
}

func TestLockedPIN(t *testing.T) {
	k, c := softToken(t, "neutral")
	var err error
	for range 10 {
		_, err = Open(t.Context(), c, []byte("wrong-pin"))
	}
	if !errors.Is(err, hsm.ErrWrongPIN) && !errors.Is(err, hsm.ErrPINLocked) {
		t.Errorf("the last try: %v", err)
	}
	if _, err := Open(t.Context(), c, []byte(k.PIN)); !errors.Is(err, hsm.ErrPINLocked) || errors.Is(err, hsm.ErrWrongPIN) {
		t.Errorf("locked: %v", err)
	}
}
