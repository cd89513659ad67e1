package sdf

import (
	"bytes"
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"hufu/hsm"
	"hufu/internal/gm"
)

// The device signs, and answers when the caller has gone and uses its memory for something else: the answer is thrown away, what
// was signed is what was asked for, and those who come meanwhile and afterwards get their own signatures.
func TestALateSignatureIsNobodys(t *testing.T) {
	f := newFake(t, 1, 0, 0)
	d := fakeDevice(t, f, "")
	k := made(t, d, "one", hsm.SM2, "")
	if err := signs(t, d, k); err != nil {
		t.Fatal(err)
	}
	first, release := make(chan struct{}, 1), make(chan struct{})
	first <- struct{}{}
	f.setFault(func(call string) status {
		select {
		case <-first:
			<-release
		default:
		}
		return ok
	})
	e := bytes.Repeat([]byte{9}, 32)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	s, err := d.Signer(ctx, k.Label)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Sign(nil, e, gm.Digest)
	wantErr(t, "late", err, context.DeadlineExceeded)
	for range 10 {
		if err := signs(t, d, k); err != nil {
			t.Error(err)
		}
	}
	before := len(f.signed)
	clear(e)
	close(release)
	for range 1000 {
		if err := signs(t, d, k); err != nil {
			t.Fatal(err)
		}
		if d.crew.Abandoned() == 0 {
			break
		}
	}
	for range 10 {
		if err := signs(t, d, k); err != nil {
			t.Error(err)
		}
	}
	asked := bytes.Repeat([]byte{9}, 32)
	if !slices.ContainsFunc(f.signed[before:], func(e []byte) bool { return bytes.Equal(e, asked) }) {
		t.Error("the late signature is not of what was asked for")
	}
}

// Calls leave no goroutines behind, and neither does the device.
func TestNoGoroutineOutlivesTheDevice(t *testing.T) {
	before := runtime.NumGoroutine()
	f := newFake(t, 1, 0, 0)
	d := fakeDevice(t, f, "")
	k := made(t, d, "one", hsm.SM2, "")
	for range 50 {
		if err := signs(t, d, k); err != nil {
			t.Fatal(err)
		}
	}
	if n := runtime.NumGoroutine(); n > before+d.cfg.Sessions {
		t.Errorf("%d goroutines more than before", n-before)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("%d goroutines outlive the device", runtime.NumGoroutine()-before)
}
