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

// Whoever starts again and again with a wrong PIN does not lock the token: its last try is left to people.
func TestTheLastTryIsLeftToPeople(t *testing.T) {
	k, c := softToken(t, "neutral")
	for i := range 12 {
		want := hsm.ErrWrongPIN
		if i >= 9 {
			want = hsm.ErrLastTry
		}
		if _, err := Open(t.Context(), c, []byte("wrong-pin")); !errors.Is(err, want) {
			t.Errorf("opening %d: %v", i+1, err)
		}
	}
	if _, err := Open(t.Context(), c, []byte(k.PIN)); !errors.Is(err, hsm.ErrLastTry) {
		t.Errorf("a PIN that nobody has seen to work: %v", err)
	}
	setTries(t, k, 0)
	d := opened(t, c, k.PIN)
	uses := keysOf(t, d)
	setTries(t, k, 9) // by somebody else
	k.Disturb(t, "removed")
	_ = uses["sign"](t.Context())
	k.Disturb(t)
	eventually(t, func() error { return uses["sign"](t.Context()) })
}

// setTries sets how many wrong tries the token has counted, as another program may do.
func setTries(t testing.TB, k hsmtest.SoftToken, n uint32) {
	t.Helper()
	triesOf(t, k)
	files, _ := filepath.Glob(filepath.Join(k.Store, "*", "tries"))
	if err := os.WriteFile(files[0], binary.BigEndian.AppendUint32(make([]byte, 4), n), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A token that has no plain word for a wrong PIN does not see it more than twice, however often it is opened.
func TestDoubtfulLoginsAreFew(t *testing.T) {
	k, c := softToken(t, "neutral")
	k.Disturb(t, "function-failed 1", "at C_Login")
	for i := range 6 {
		_, err := Open(t.Context(), c, []byte(k.PIN))
		if want := hsm.ErrUnavailable; i == 0 && !errors.Is(err, want) {
			t.Errorf("the first opening: %v", err)
		}
		if i > 0 && !errors.Is(err, hsm.ErrWrongPIN) {
			t.Errorf("opening %d: %v", i+1, err)
		}
	}
	k.Disturb(t)
	if _, err := Open(t.Context(), c, []byte("wrong-pin")); !errors.Is(err, hsm.ErrWrongPIN) || triesOf(t, k) != 0 {
		t.Errorf("%v, %d tries", err, triesOf(t, k))
	}
}

func TestLockedPIN(t *testing.T) {
	k, c := softToken(t, "neutral")
	setTries(t, k, 10)
	if _, err := Open(t.Context(), c, []byte(k.PIN)); !errors.Is(err, hsm.ErrPINLocked) || errors.Is(err, hsm.ErrWrongPIN) {
		t.Errorf("locked: %v", err)
	}
}
