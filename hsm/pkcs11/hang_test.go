//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/hsm"
)

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
	if n := d.crew.Abandoned(); n < 1 || n > 4 {
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
		if n := d.crew.Abandoned(); n != 0 {
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
		if d.crew.Abandoned() > 0 {
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

// A device that does not let a call go does not hold Close; the library is not finalized under the call, and is when it comes back.
func TestCloseWhileTheDeviceHangs(t *testing.T) {
	k, c := softToken(t, "neutral")
	d := opened(t, c, k.PIN)
	uses := keysOf(t, d)
	d.patience = 100 * time.Millisecond
	k.Disturb(t, "hang")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := uses["sign"](ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if err := d.Close(); !errors.Is(err, hsm.ErrUnavailable) {
		t.Errorf("close: %v", err)
	}
	if err := uses["sign"](t.Context()); !errors.Is(err, hsm.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
	k.Disturb(t)
	eventually(t, func() error {
		loaded.lock <- struct{}{}
		defer func() { <-loaded.lock }()
		if len(loaded.list) != 0 {
			return errors.New("the module is still loaded")
		}
		return nil
	})
	if err := uses["sign"](t.Context()); !errors.Is(err, hsm.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	if err := opened(t, c, k.PIN).Health(t.Context()); err != nil {
		t.Errorf("opened again: %v", err)
	}
}
