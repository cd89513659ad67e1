package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"hufu/hsm"
	"hufu/hsm/hsmtest"
	"hufu/hsm/pkcs11"
	"hufu/store"
)

// mood is a device whose health is what the test says.
type mood struct {
	hsm.Device
	err atomic.Pointer[error]
}

func (m *mood) set(err error) { m.err.Store(&err) }

func (m *mood) Health(context.Context) error {
	if err := m.err.Load(); err != nil {
		return *err
	}
	return nil
}

func TestReadyTellsWhichDeviceFailedAndSinceWhen(t *testing.T) {
	var log bytes.Buffer
	first, second := &mood{Device: hsmtest.Soft(t)}, &mood{Device: hsmtest.Soft(t)}
	whole, err := hsm.NewGroup([]hsm.Member{{Name: "a", Device: first}, {Name: "b", Device: second}})
	if err != nil {
		t.Fatal(err)
	}
	s := quiet(t)
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	s.now, s.device, s.log = func() time.Time { return now }, whole, newLog(&log, slog.LevelInfo)
	s.watch = &watch{log: s.log, now: s.now}
	s.watchDevice("token a", first)
	s.watchDevice("token b", second)
	if s.db, err = store.Open(t.Context(), s.cfg.dsn(), store.Options{}); err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	ask := func() (int, readiness, string) {
		t.Helper()
		w := httptest.NewRecorder()
		s.serveReady(w, httptest.NewRequest("GET", "/readyz", nil))
		var r readiness
		if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil || len(r.Devices) != 2 {
			t.Fatalf("%s: %v", w.Body, err)
		}
		return w.Code, r, w.Body.String()
	}
	if code, r, _ := ask(); code != 200 || r.Device != "ok" || r.Database != "ok" || r.Devices[0].Since != now {
		t.Errorf("both well: %d %+v", code, r)
	}
	well := now
	now = now.Add(time.Minute)
	failed := now
	first.set(hsm.ErrUnavailable.With("module /opt/secret/path.so said CKR_DEVICE_ERROR"))
	code, r, body := ask()
	if code != 200 || r.Device != "degraded" || r.Devices[0].State != "failed" || r.Devices[0].Since != failed || r.Devices[1].Since != well || r.Devices[0].Code != "hsm.unavailable" || r.Devices[0].ZH == "" {
		t.Errorf("one failed: %d %+v", code, r)
	}
	if strings.Contains(body, "secret") || strings.Contains(body, "CKR") {
		t.Errorf("strangers are told what the driver said: %s", body)
	}
	now = now.Add(time.Minute)
	second.set(hsm.ErrWrongPIN)
	if code, r, _ := ask(); code != 503 || r.Device != "failed" || r.Devices[0].Since != failed || r.Devices[1].Since != now {
		t.Errorf("both failed: %d %+v", code, r)
	}
	first.set(nil)
	if code, r, _ := ask(); code != 200 || r.Device != "degraded" || r.Devices[0].State != "ok" {
		t.Errorf("one came back: %d %+v", code, r)
	}
	ask()
	for text, times := range map[string]int{`device="token a" code=hsm.unavailable`: 1, `device="token b" code=hsm.wrong-pin`: 1, `"device works again" device="token a"`: 1} {
		if n := strings.Count(log.String(), text); n != times {
			t.Errorf("the log says %q %d times:\n%s", text, n, &log)
		}
	}
}

// A device that never answers keeps one goroutine, not one for each who asks, and is told as failed.
func TestADeviceThatHangsIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watch{log: slog.New(slog.DiscardHandler), now: time.Now}
		var asked atomic.Int32
		release := make(chan struct{})
		w.add("hangs", func(context.Context) error { asked.Add(1); <-release; return nil })
		for range 5 {
			began := time.Now()
			w.look(t.Context())
			if took := time.Since(began); took > healthTime {
				t.Errorf("who asks waits %s", took)
			}
			if states, failed := w.states(); failed != 1 || states[0].Code != "hsm.unavailable" {
				t.Errorf("%+v", states)
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		close(release)
		synctest.Wait()
		w.look(t.Context())
		if _, failed := w.states(); failed != 0 || asked.Load() != 2 {
			t.Errorf("after it answered: %d failed, asked %d times", failed, asked.Load())
		}
	})
}

// Who asks and goes away says nothing about the device.
func TestWhoStopsAskingDoesNotFailTheDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &watch{log: slog.New(slog.DiscardHandler), now: time.Now}
		w.add("slow", func(context.Context) error { time.Sleep(time.Second); return nil })
		w.look(t.Context())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w.look(ctx)
		if _, failed := w.states(); failed != 0 {
			t.Error("the device is told as failed")
		}
		time.Sleep(2 * time.Second)
	})
}

func TestALateDeviceIsTakenUpWhenItComes(t *testing.T) {
	var tries int
	there := false
	l := &late{err: hsm.ErrUnavailable, open: func(context.Context) (hsm.Device, error) {
		if tries++; !there {
			return nil, hsm.ErrUnavailable.With("try %d", tries)
		}
		return hsm.CreateSoft(filepath.Join(t.TempDir(), "keys"), []byte(hsmtest.Passphrase), hsm.Options{KDF: hsmtest.QuickKDF})
	}}
	ctx := t.Context()
	if _, err := l.Keys(ctx); !errors.Is(err, hsm.ErrUnavailable) || tries != 0 {
		t.Errorf("%v after %d tries: only Health may try", err, tries)
	}
	if err := l.Health(ctx); !errors.Is(err, hsm.ErrUnavailable) || tries != 1 {
		t.Errorf("%v after %d tries", err, tries)
	}
	there = true
	if err := l.Health(ctx); err != nil || tries != 2 {
		t.Errorf("%v after %d tries", err, tries)
	}
	if _, err := l.Generate(ctx, hsm.Spec{Label: "k", Algorithm: hsm.SM2}); err != nil {
		t.Error(err)
	}
	if s, err := l.Signer(ctx, "k"); err != nil || s == nil {
		t.Error(err)
	}
	if _, err := l.SignInside(ctx, "k", nil, nil, nil, nil); !errors.Is(err, hsm.ErrMechanism) {
		t.Errorf("inside a device that cannot: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := l.Keys(ctx); !errors.Is(err, hsm.ErrClosed) || tries != 2 {
		t.Errorf("closed: %v", err)
	}
}

func TestALateDeviceNeverTriesARefusedPINAgain(t *testing.T) {
	tries := 0
	l := &late{err: hsm.ErrUnavailable, open: func(context.Context) (hsm.Device, error) { tries++; return nil, hsm.ErrWrongPIN }}
	for range 3 {
		if err := l.Health(t.Context()); !errors.Is(err, hsm.ErrWrongPIN) {
			t.Error(err)
		}
	}
	if tries != 1 {
		t.Errorf("the PIN was tried %d times", tries)
	}
}

// A start waits for devices that are away, not for ever, and not where waiting does not help.
func TestAStartWaitsForDevicesWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{now: time.Now, log: slog.New(slog.DiscardHandler)}
		var tries atomic.Int32 // a try that is given up may still end
		comes := int32(4)
		o := []opener{{"a", func(context.Context) (hsm.Device, error) {
			if tries.Add(1) < comes {
				return nil, hsm.ErrUnavailable
			}
			return &mood{}, nil
		}}}
		if m, err := s.openMembers(t.Context(), o, deviceWait); err != nil || len(m) != 1 {
			t.Errorf("%v, %v", m, err)
		}
		synctest.Wait()
		tries.Store(0)
		comes = 1000
		began := time.Now()
		if _, err := s.openMembers(t.Context(), o, deviceWait); !errors.Is(err, errAway) || time.Since(began) > deviceWait+2*time.Second || tries.Load() < 20 {
			t.Errorf("%v after %s and %d tries", err, time.Since(began), tries.Load())
		}
		synctest.Wait()
		tries.Store(0)
		if _, err := s.openMembers(t.Context(), o, 0); !errors.Is(err, errAway) || tries.Load() != 1 {
			t.Errorf("without waiting: %v after %d tries", err, tries.Load())
		}
		synctest.Wait()
		tries.Store(0)
		wrong := []opener{{"a", func(context.Context) (hsm.Device, error) { tries.Add(1); return nil, hsm.ErrWrongPIN }}}
		if _, err := s.openMembers(t.Context(), wrong, deviceWait); !errors.Is(err, hsm.ErrWrongPIN) || tries.Load() != 1 {
			t.Errorf("a wrong PIN: %v after %d tries", err, tries.Load())
		}
		began = time.Now()
		hangs := []opener{{"a", func(ctx context.Context) (hsm.Device, error) { time.Sleep(time.Hour); return nil, hsm.ErrClosed }}}
		if _, err := s.openMembers(t.Context(), hangs, deviceWait); !errors.Is(err, errAway) || time.Since(began) > deviceWait+openTime {
			t.Errorf("a library that hangs: %v after %s", err, time.Since(began))
		}
		// A label that no token has is told as such, though the last try was cut short by the end of the wait.
		misspelt := []opener{{"hafu", func(ctx context.Context) (hsm.Device, error) {
			if time.Sleep(900 * time.Millisecond); ctx.Err() != nil {
				return nil, ctx.Err()
			}
			return nil, pkcs11.ErrNoToken.With("token %q in 1 slots", "hafu")
		}}}
		if _, err := s.openMembers(t.Context(), misspelt, deviceWait); errors.Is(err, errAway) || !errors.Is(err, pkcs11.ErrNoToken) || !strings.Contains(err.Error(), `"hafu" in 1 slots`) {
			t.Errorf("a misspelt label: %v", err)
		}
		time.Sleep(2 * time.Hour) // it returns at last
	})
}
