//go:build cgo

package pkcs11

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/hsm"
	"hufu/hsm/hsmtest"
	"hufu/internal/gm"
)

// keysOf makes a key of each sort and returns a use of each; a use checks its own result with what the host knows.
func keysOf(t testing.TB, d *Device) map[string]func(context.Context) error {
	t.Helper()
	ctx := t.Context()
	public := map[string]*ecdsa.PublicKey{}
	for _, spec := range []hsm.Spec{
		{Label: "sign", Algorithm: hsm.SM2},
		{Label: "other", Algorithm: hsm.SM2},
		{Label: "decrypt", Algorithm: hsm.SM2, Use: hsm.UseDecrypt},
		{Label: "master", Algorithm: hsm.SM4},
		{Label: "master2", Algorithm: hsm.SM4},
		{Label: "mac", Algorithm: hsm.HMACSM3},
		{Label: "mac2", Algorithm: hsm.HMACSM3},
	} {
		info, err := d.Generate(ctx, spec)
		if err != nil {
			t.Fatal(err)
		}
		if info.Public != nil {
			public[spec.Label] = info.Public.(*ecdsa.PublicKey)
		}
	}
	wrapped, err := d.Wrap(ctx, "master", []byte("secret"), []byte("row"))
	if err != nil {
		t.Fatal(err)
	}
	ciphertext, err := gm.Encrypt(public["decrypt"], []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	tag, err := d.MAC(ctx, "mac", []byte("data"))
	if err != nil {
		t.Fatal(err)
	}
	inside, insider, err := d.GenerateInside(ctx, "master", []byte("row"))
	if err != nil {
		t.Fatal(err)
	}
	e := make([]byte, 32)
	same := func(got []byte, err error, want string) error {
		if err == nil && string(got) != want {
			return errWrongResult
		}
		return err
	}
	return map[string]func(context.Context) error{
		"sign": func(ctx context.Context) error { return signOnce(ctx, d, "sign", public["sign"]) },
		"decrypt": func(ctx context.Context) error {
			dec, err := d.Decrypter(ctx, "decrypt")
			if err != nil {
				return err
			}
			got, err := dec.Decrypt(nil, ciphertext, nil)
			return same(got, err, "secret")
		},
		"wrap": func(ctx context.Context) error {
			w, err := d.Wrap(ctx, "master", []byte("again"), nil)
			if err != nil {
				return err
			}
			got, err := d.Unwrap(ctx, "master", w, nil)
			return same(got, err, "again")
		},
		"unwrap": func(ctx context.Context) error {
			got, err := d.Unwrap(ctx, "master", wrapped, []byte("row"))
			return same(got, err, "secret")
		},
		"mac": func(ctx context.Context) error {
			got, err := d.MAC(ctx, "mac", []byte("data"))
			return same(got, err, string(tag))
		},
		"inside": func(ctx context.Context) error {
			sig, err := d.SignInside(ctx, "master", inside, []byte("row"), insider, e)
			if err == nil && !gm.VerifyE(insider, e, sig) {
				return errWrongResult
			}
			return err
		},
		"list": func(ctx context.Context) error {
			keys, err := d.Keys(ctx)
			if err == nil && len(keys) != 7 {
				return errWrongResult
			}
			return err
		},
	}
}

var errWrongResult = errors.New("a wrong result left the driver")

func signOnce(ctx context.Context, d *Device, label string, public *ecdsa.PublicKey) error {
	s, err := d.Signer(ctx, label)
	if err != nil {
		return err
	}
	sig, err := s.Sign(nil, make([]byte, 32), gm.Digest)
	if err == nil && !gm.VerifyE(public, make([]byte, 32), sig) {
		return errWrongResult
	}
	return err
}

// Class A: sessions are lost now and then, also those that stand in for lost ones.
func TestLostSessions(t *testing.T) {
	k, c := softToken(t, "neutral")
	d := opened(t, c, k.PIN)
	uses := keysOf(t, d)
	k.Disturb(t, "no-session 131")
	for range 20 {
		for what, use := range uses {
			if err := use(t.Context()); err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	if _, lost := d.linkNow(); lost == 0 || d.ready(t.Context()) != nil {
		t.Error("a lost session is no lost device")
	}
}

// Class B: the login goes now and then, and handles come to mean other keys; a device that was restarted loses both.
func TestLostLoginsAndMovedHandles(t *testing.T) {
	k, c := softToken(t, "neutral")
	d := opened(t, c, k.PIN)
	uses := keysOf(t, d)
	for _, fault := range []string{"logged-out 131", "moved-handles 1", "moved-handles 2", "moved-handles 3", "restarted 1", "restarted 2", "moved-handles 4"} {
		k.Disturb(t, fault)
		for what, use := range uses {
			if err := use(t.Context()); err != nil {
				t.Errorf("%s: %s: %v", fault, what, err)
			}
		}
	}
	if tries := triesOf(t, k); tries != 0 {
		t.Errorf("%d PIN tries were burnt", tries)
	}
}

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

// A handle that came to mean another key never signs, wraps or authenticates, however many use it at once.
func TestMovedHandleInParallel(t *testing.T) {
	k, c := softToken(t, "neutral")
	d := opened(t, c, k.PIN)
	uses := keysOf(t, d)
	for round := range 5 {
		k.Disturb(t, "moved-handles "+fmt.Sprint(round+1))
		var wg sync.WaitGroup
		for what, use := range uses {
			for range 4 {
				wg.Go(func() {
					if err := use(t.Context()); err != nil {
						t.Errorf("round %d: %s: %v", round, what, err)
					}
				})
			}
		}
		wg.Wait()
	}
	if err := d.Health(t.Context()); err != nil {
		t.Errorf("a handle that moved is no wrong signature: %v", err)
	}
}

// Somebody puts another key in the place of ours, under the same CKA_ID and label: it is found out.
func TestKeyExchangedOnTheToken(t *testing.T) {
	k, c := softToken(t, "neutral")
	d := opened(t, c, k.PIN)
	keysOf(t, d)
	for _, label := range []string{"sign", "master", "mac"} {
		use := map[string]string{"sign": hsm.UseSign, "master": hsm.UseWrap, "mac": hsm.UseMAC}[label]
		kk, err := d.lookup(t.Context(), label, use)
		if err != nil {
			t.Fatal(err)
		}
		spec := hsm.Spec{Label: label, Algorithm: kk.info.Algorithm, Use: use}
		_, err = run(t.Context(), d, "exchange", func(s *session) (int, error) {
			if err := s.destroy(label, kk.id); err != nil {
				return 0, err
			}
			return 0, s.makeKey(spec, spot{token: true, label: label, id: kk.id})
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	_, wrapErr := d.Wrap(t.Context(), "master", []byte("x"), nil)
	_, macErr := d.MAC(t.Context(), "mac", []byte("x"))
	for what, err := range map[string]error{"sign": signOnce(t.Context(), d, "sign", nil), "wrap": wrapErr, "mac": macErr} {
		if !errors.Is(err, hsm.ErrChanged) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A wrong signature is withheld, and Health tells.
func TestWrongSignatures(t *testing.T) {
	k, c := softToken(t, "neutral")
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	c.Now = func() time.Time { return now }
	d := opened(t, c, k.PIN)
	uses := keysOf(t, d)
	k.Disturb(t, "wrong-signature 3")
	withheld := 0
	for range 12 {
		for _, what := range []string{"sign", "inside"} {
			err := uses[what](t.Context())
			if errors.Is(err, hsm.ErrSignature) {
				withheld++
			} else if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	if withheld == 0 {
		t.Error("no signature was wrong: the test says nothing")
	}
	k.Disturb(t)
	if err := d.Health(t.Context()); !errors.Is(err, hsm.ErrSignature) {
		t.Errorf("health after a wrong signature: %v", err)
	}
	now = now.Add(2 * wrongTime)
	if err := d.Health(t.Context()); err != nil {
		t.Errorf("health later: %v", err)
	}
}

// What a faulty device wraps wrongly is not handed out, and what it opens wrongly is not believed where the host can tell.
func TestWrongPlaintexts(t *testing.T) {
	k, c := softToken(t, "sansec")
	d := opened(t, c, k.PIN)
	if _, err := d.Generate(t.Context(), hsm.Spec{Label: "m", Algorithm: hsm.SM4}); err != nil {
		t.Fatal(err)
	}
	w, err := d.Wrap(t.Context(), "m", []byte("secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	k.Disturb(t, "wrong-plaintext 2")
	for range 10 {
		w2, err := d.Wrap(t.Context(), "m", []byte("secret"), nil)
		if err != nil {
			continue
		}
		w = w2
	}
	k.Disturb(t)
	if got, err := d.Unwrap(t.Context(), "m", w, nil); err != nil || string(got) != "secret" {
		t.Errorf("%q, %v", got, err)
	}
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

// A device that hangs: every call ends with its context, no more calls are abandoned than there are sessions, and when the device
// goes on so does the service.
func TestHangingDevice(t *testing.T) {
	k, c := softToken(t, "neutral")
	c.Sessions = 4
	d := opened(t, c, k.PIN)
	uses := keysOf(t, d)
	k.Disturb(t, "hang")
	const limit = 150 * time.Millisecond
	var wg sync.WaitGroup
	for range 4 {
		for what, use := range uses {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				began := time.Now()
				err := use(ctx)
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: %v", what, err)
				}
				if took := time.Since(began); took > limit+2*time.Second {
					t.Errorf("%s took %s", what, took)
				}
			})
		}
	}
	wg.Wait()
	if n := d.abandoned.Load(); n < 1 || n > 4 {
		t.Errorf("%d calls are abandoned with 4 sessions", n)
	}
	if err := d.Health(t.Context()); !errors.Is(err, hsm.ErrUnavailable) {
		t.Errorf("health while all sessions hang: %v", err)
	}
	k.Disturb(t)
	for _, use := range uses {
		eventually(t, func() error { return use(t.Context()) })
	}
	eventually(t, func() error {
		if n := d.abandoned.Load(); n != 0 {
			return fmt.Errorf("%d calls are still abandoned", n)
		}
		return d.Health(t.Context())
	})
}

// A key that nobody waited for does not stay.
func TestGenerateThatNobodyWaitsFor(t *testing.T) {
	k, c := softToken(t, "neutral")
	d := opened(t, c, k.PIN)
	k.Disturb(t, "slow 100", "at C_GenerateKeyPair")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := d.Generate(ctx, hsm.Spec{Label: "k", Algorithm: hsm.SM2}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	k.Disturb(t)
	eventually(t, func() error {
		if d.abandoned.Load() > 0 {
			return errors.New("still under way")
		}
		return nil
	})
	if keys, err := d.Keys(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("%d keys stayed (%v)", len(keys), err)
	}
	if _, err := d.Generate(t.Context(), hsm.Spec{Label: "k", Algorithm: hsm.SM2}); err != nil {
		t.Error(err)
	}
}

// A token that gives fewer sessions than it says.
func TestFewSessions(t *testing.T) {
	k, c := softToken(t, "neutral")
	k.Disturb(t, "session-limit 3")
	d := opened(t, c, k.PIN)
	uses := keysOf(t, d)
	var wg sync.WaitGroup
	for range 8 {
		for what, use := range uses {
			wg.Go(func() {
				if err := use(t.Context()); err != nil {
					t.Errorf("%s: %v", what, err)
				}
			})
		}
	}
	wg.Wait()
}

// Class C: single errors of the device open the circuit, calls fail at once meanwhile, and it closes by itself.
func TestDeviceErrors(t *testing.T) {
	k, c := softToken(t, "neutral")
	d := opened(t, c, k.PIN)
	uses := keysOf(t, d)
	for _, fault := range []string{"device-error 50", "function-failed 2"} {
		k.Disturb(t, fault)
		failed := 0
		for range 30 {
			for what, use := range uses {
				if err := use(t.Context()); errors.Is(err, hsm.ErrUnavailable) {
					failed++
				} else if err != nil {
					t.Errorf("%s: %s: %v", fault, what, err)
				}
			}
		}
		if failed == 0 {
			t.Errorf("%s: nothing failed: the test says nothing", fault)
		}
		k.Disturb(t)
		for _, use := range uses {
			eventually(t, func() error { return use(t.Context()) })
		}
	}
}

// The token is pulled and put back while 32 goroutines work: no wrong signature leaves, no call lasts beyond its deadline, and the
// service comes back by itself without burning a try.
func TestPulledUnderLoad(t *testing.T) {
	k, c := softToken(t, "neutral")
	d := opened(t, c, k.PIN)
	uses := keysOf(t, d)
	delete(uses, "list")
	const limit = 2 * time.Second
	var done, failed, late atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for {
				for what, use := range uses {
					select {
					case <-stop:
						return
					default:
					}
					ctx, cancel := context.WithTimeout(t.Context(), limit)
					began := time.Now()
					err := use(ctx)
					if time.Since(began) > limit+time.Second {
						late.Add(1)
					}
					cancel()
					switch {
					case err == nil:
						done.Add(1)
					case errors.Is(err, hsm.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
						failed.Add(1)
						time.Sleep(5 * time.Millisecond)
					default:
						t.Errorf("goroutine %d, %s: %v", i, what, err)
					}
				}
			}
		})
	}
	for _, fault := range []string{"removed", "restarted 1", "removed", "no-session 50", "device-error 200", "moved-handles 1", "logged-out 60", "hang"} {
		time.Sleep(100 * time.Millisecond)
		k.Disturb(t, fault)
		time.Sleep(150 * time.Millisecond)
		k.Disturb(t)
		eventually(t, func() error { return uses["sign"](t.Context()) })
	}
	close(stop)
	wg.Wait()
	if done.Load() == 0 || failed.Load() == 0 || late.Load() != 0 {
		t.Errorf("%d done, %d failed, %d beyond their deadline", done.Load(), failed.Load(), late.Load())
	}
	if tries := triesOf(t, k); tries != 0 {
		t.Errorf("%d PIN tries were burnt", tries)
	}
	if err := d.Health(t.Context()); err != nil {
		t.Errorf("health: %v", err)
	}
	t.Logf("%d done, %d failed while the device was away", done.Load(), failed.Load())
}

// Closing while the device hangs neither blocks for ever nor finalizes a library under a call.
func TestSlowDeviceAndClose(t *testing.T) {
	k, c := softToken(t, "neutral")
	d := opened(t, c, k.PIN)
	uses := keysOf(t, d)
	k.Disturb(t, "slow 60")
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := uses["sign"](t.Context()); err != nil && !errors.Is(err, hsm.ErrClosed) {
				t.Error(err)
			}
		})
	}
	time.Sleep(20 * time.Millisecond)
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if strings.Trim(string(d.pin), "\x00") != "" {
		t.Error("the PIN is still in memory")
	}
}

var _ crypto.Signer = (*signer)(nil)
