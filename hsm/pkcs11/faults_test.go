//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/hsm"
)

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
	var now atomic.Value // the fault at work, for messages
	now.Store("none")
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
						t.Errorf("goroutine %d, %s: %v after %v of %v", i, what, err, time.Since(began), now.Load())
					}
				}
			}
		})
	}
	var lasting []string // handles do not move back while somebody works with them
	for _, fault := range []string{"removed", "restarted 1", "removed", "no-session 50", "device-error 200", "moved-handles 1", "logged-out 60", "hang"} {
		time.Sleep(100 * time.Millisecond)
		now.Store(fault)
		k.Disturb(t, append(lasting, fault)...)
		time.Sleep(150 * time.Millisecond)
		if fault == "moved-handles 1" {
			lasting = []string{fault}
		}
		k.Disturb(t, lasting...)
		now.Store(fault + " over")
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
