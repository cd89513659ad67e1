package sdf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/hsm"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

func TestAWrongPasswordIsTriedOnce(t *testing.T) {
	f := newFake(t, 3, 0, 0)
	path := filepath.Join(t.TempDir(), "assignments")
	d := fakeDevice(t, f, path)
	one, two := made(t, d, "one", hsm.SM2, ""), made(t, d, "two", hsm.SM2, "")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}

	for _, refusal := range []status{accessDenied, rightFailed, passwordLock, 0x01000100, badArgument} {
		f.tries, f.refusal = 0, refusal
		_, err := open(t.Context(), f, f.config(t, path), Passwords{All: []byte("guess")})
		want := hsm.ErrWrongPIN
		if refusal == passwordLock {
			want = hsm.ErrPINLocked
		}
		wantErr(t, "at open", err, want)
		if f.tries != 1 {
			t.Errorf("refusal %#x: tried %d times", refusal, f.tries)
		}
		waitClosed(t, f)
	}

	f.tries, f.refusal = 0, rightFailed
	d, err := open(t.Context(), f, f.config(t, path), Passwords{All: []byte("11111111"), Index: map[uint32][]byte{2: []byte("guess")}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			wantErr(t, "a key with a wrong password of its own", signs(t, d, two), hsm.ErrWrongPIN)
			if err := signs(t, d, one); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	f.mu.Lock()
	wrong := f.tries - len(f.rights) // each session asked once for the key that it may use
	f.mu.Unlock()
	if wrong > 1 {
		t.Errorf("the wrong password was tried %d times", wrong)
	}
	wantErr(t, "health", d.Health(t.Context()), hsm.ErrWrongPIN)
}

func TestAPasswordThatChangedIsTriedOnce(t *testing.T) {
	f := newFake(t, 1, 0, 0)
	d := fakeDevice(t, f, "")
	k := made(t, d, "one", hsm.SM2, "")
	f.password, f.tries = "22222222", 0
	f.forget() // sessions end, so that the password is needed again
	for range 20 {
		wantErr(t, "changed at the console", signs(t, d, k), hsm.ErrWrongPIN)
	}
	if f.tries != 1 {
		t.Errorf("tried %d times", f.tries)
	}
}

// waitClosed waits until a device that did not open has been closed behind the caller's back.
func waitClosed(t *testing.T, f *fake) {
	t.Helper()
	for range 500 {
		f.mu.Lock()
		device := f.device
		f.mu.Unlock()
		if device == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the device stays open")
}

func TestAnotherKeyBehindAnIndexNeverWorks(t *testing.T) {
	f := newFake(t, 2, 1, 0)
	path := filepath.Join(t.TempDir(), "assignments")
	d := fakeDevice(t, f, path)
	one, two, box := made(t, d, "one", hsm.SM2, ""), made(t, d, "two", hsm.SM2, ""), made(t, d, "box", hsm.SM2, hsm.UseDecrypt)
	if err := signs(t, d, one); err != nil {
		t.Fatal(err)
	}

	// While the driver works: the first signature of the new key is withheld, and then the key is known to be another one.
	f.mu.Lock()
	f.pairs[place{signing, 1}] = newKey(t)
	f.mu.Unlock()
	wantErr(t, "moved under our hands", signs(t, d, one), hsm.ErrSignature)
	wantErr(t, "and then", signs(t, d, one), hsm.ErrChanged)
	if err := signs(t, d, two); err != nil {
		t.Errorf("the other key: %v", err)
	}
	wantErr(t, "health", d.Health(t.Context()), hsm.ErrChanged)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}

	// Between two openings.
	delete(f.pairs, place{encryption, 1})
	d = fakeDevice(t, f, path)
	calls := f.count("InternalSign_ECC")
	wantErr(t, "moved while closed", signs(t, d, one), hsm.ErrChanged)
	if f.count("InternalSign_ECC") != calls {
		t.Error("the other key was asked to sign")
	}
	dec, err := d.Decrypter(t.Context(), box.Label)
	if err != nil {
		t.Fatal(err)
	}
	ciphertext, err := gm.Encrypt(mustPublic(t, box), []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = dec.Decrypt(nil, ciphertext, nil)
	wantErr(t, "gone while closed", err, hsm.ErrChanged)

	// After a recovery.
	f.setFault(failing("InternalSign_ECC", commFail, 1))
	f.mu.Lock()
	f.pairs[place{signing, 2}] = newKey(t)
	f.mu.Unlock()
	wantErr(t, "moved during a recovery", signs(t, d, two), hsm.ErrChanged)
}

func TestAnotherKEKNeverWraps(t *testing.T) {
	f := newFake(t, 0, 0, 1)
	path := filepath.Join(t.TempDir(), "assignments")
	d := fakeDevice(t, f, path)
	k := made(t, d, "master", hsm.SM4, "")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	old := f.keks[1]
	f.keks[1] = []byte("another KEK here")
	d = fakeDevice(t, f, path)
	_, err := d.Wrap(t.Context(), k.Label, []byte("data"), nil)
	wantErr(t, "a KEK that was replaced", err, hsm.ErrChanged)
	f.keks[1] = old
	if _, err := d.Wrap(t.Context(), k.Label, []byte("data"), nil); err != nil {
		t.Errorf("after it was restored: %v", err)
	}
}

// failing lets the first n calls of a function fail.
func failing(call string, code status, n int32) func(string) status {
	var count atomic.Int32
	return func(name string) status {
		if name == call && count.Add(1) <= n {
			return code
		}
		return ok
	}
}

func TestNoWrongSignatureLeaves(t *testing.T) {
	f := newFake(t, 1, 0, 0)
	d := fakeDevice(t, f, "")
	k := made(t, d, "one", hsm.SM2, "")
	f.dirty = true
	wantErr(t, "r of more than 32 octets", signs(t, d, k), hsm.ErrSignature)
	f.dirty, f.stranger = false, true
	wantErr(t, "another key's signature", signs(t, d, k), hsm.ErrSignature)
	f.stranger = false
	if err := signs(t, d, k); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestNoCallOutlivesItsContext(t *testing.T) {
	f := newFake(t, 9, 0, 1)
	d := fakeDevice(t, f, "")
	k := made(t, d, "one", hsm.SM2, "")
	wrap := made(t, d, "wrap", hsm.SM4, "")
	release := make(chan struct{})
	f.setFault(func(string) status { <-release; return ok })
	f.mu.Lock()
	f.most = 0
	f.mu.Unlock()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			var err error
			switch i % 4 {
			case 0:
				err = d.Health(ctx)
			case 1:
				_, err = d.Wrap(ctx, wrap.Label, []byte("x"), nil)
			case 2:
				_, err = d.Generate(ctx, hsm.Spec{Label: fmt.Sprintf("new-%d", i), Algorithm: hsm.SM2})
			default:
				s, serr := d.Signer(ctx, k.Label)
				if serr != nil {
					t.Error(serr)
					return
				}
				_, err = s.Sign(nil, make([]byte, 32), gm.Digest)
			}
			if !errors.Is(err, context.DeadlineExceeded) || fault.KindOf(err) != fault.Unavailable {
				t.Errorf("%v", err)
			}
		})
	}
	wg.Wait() // the library has not come back, and all are here
	f.mu.Lock()
	if f.most > d.cfg.Sessions {
		t.Errorf("%d threads hang in the library, with %d sessions", f.most, d.cfg.Sessions)
	}
	f.mu.Unlock()
	d.closeWait = 20 * time.Millisecond
	close(release)
	f.setFault(nil)
	for range 50 {
		if signs(t, d, k) == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the library came back, the service did not")
}

func TestCloseDoesNotWaitForALibraryThatHangs(t *testing.T) {
	f := newFake(t, 1, 0, 0)
	d := fakeDevice(t, f, "")
	k := made(t, d, "one", hsm.SM2, "")
	d.closeWait = 20 * time.Millisecond
	release := make(chan struct{})
	f.setFault(func(string) status { <-release; return ok })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	s, err := d.Signer(ctx, k.Label)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Sign(nil, make([]byte, 32), gm.Digest)
	wantErr(t, "sign", err, context.DeadlineExceeded)
	wantErr(t, "close", d.Close(), hsm.ErrUnavailable)
	if f.device == 0 {
		t.Error("the device was closed under the call")
	}
	close(release)
	waitClosed(t, f)
}

func TestServiceReturnsByItself(t *testing.T) {
	f := newFake(t, 2, 0, 1)
	d := fakeDevice(t, f, "")
	k, wrap := made(t, d, "one", hsm.SM2, ""), made(t, d, "wrap", hsm.SM4, "")
	wrapped, err := d.Wrap(t.Context(), wrap.Label, []byte("data"), nil)
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var good, bad atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				err := signs(t, d, k)
				if err == nil {
					var data []byte
					data, err = d.Unwrap(t.Context(), wrap.Label, wrapped, nil)
					if err == nil && !bytes.Equal(data, []byte("data")) {
						t.Error("wrong data")
					}
				}
				if err != nil && fault.KindOf(err) != fault.Unavailable {
					t.Errorf("%v", err)
				}
				if err != nil {
					bad.Add(1)
					continue
				}
				good.Add(1)
			}
		})
	}
	await := func(what string, counter *atomic.Int64) {
		from := counter.Load()
		for range 600 {
			if counter.Load() > from+10 {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Errorf("%s: nothing happens", what)
	}
	await("at first", &good)
	for what, code := range map[string]status{"pulled out": hardFail, "no network": commFail, "network of a vendor": 0x01010201} {
		f.setFault(func(string) status { return code })
		await(what, &bad)
		f.setFault(nil)
		await("after "+what, &good)
	}
	for range 3 {
		f.forget()
		await("after the sessions were killed", &good)
	}
	close(stop)
	wg.Wait()
	if err := d.Health(t.Context()); err != nil {
		t.Error(err)
	}
	if d.live > d.cfg.Sessions || len(d.slots) != d.lost {
		t.Errorf("%d sessions, %d places taken", d.live, len(d.slots))
	}
}

func TestOneKilledSessionCostsNoRequest(t *testing.T) {
	f := newFake(t, 1, 1, 1)
	d := fakeDevice(t, f, "")
	k, wrap := made(t, d, "one", hsm.SM2, ""), made(t, d, "wrap", hsm.SM4, "")
	for range 5 {
		f.forget()
		if err := signs(t, d, k); err != nil {
			t.Error(err)
		}
		f.forget()
		if _, err := d.Wrap(t.Context(), wrap.Label, []byte("x"), nil); err != nil {
			t.Error(err)
		}
	}
	f.setFault(failing("InternalSign_ECC", hardFail, 1))
	if err := signs(t, d, k); err != nil {
		t.Errorf("one failure of the device: %v", err)
	}
	// A session that ends while a password is given for the first time says nothing of the password.
	f.setFault(failing("GetPrivateKeyAccessRight", openSession, 1))
	if err := signs(t, fakeDeviceWith(t, f, d), k); err != nil {
		t.Errorf("a session lost over the password: %v", err)
	}
}

// fakeDeviceWith opens a fake anew over the file of a device, which it closes.
func fakeDeviceWith(t *testing.T, f *fake, d *Device) *Device {
	t.Helper()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return fakeDevice(t, f, d.cfg.Assignments)
}

func TestADeadDeviceIsNotAskedAllTheTime(t *testing.T) {
	f := newFake(t, 1, 0, 0)
	d := fakeDevice(t, f, "")
	k := made(t, d, "one", hsm.SM2, "")
	f.setFault(func(string) status { return commFail })
	before := f.count("OpenDevice")
	for range 500 {
		wantErr(t, "dead", signs(t, d, k), hsm.ErrUnavailable)
	}
	if asked := f.count("OpenDevice") - before; asked > 20 {
		t.Errorf("opened %d times", asked)
	}
}

func TestRightsAreGivenBack(t *testing.T) {
	f := newFake(t, 2, 0, 1)
	d := fakeDevice(t, f, "")
	one, two := made(t, d, "one", hsm.SM2, ""), made(t, d, "two", hsm.SM2, "")
	if err := errors.Join(signs(t, d, one), signs(t, d, two), d.Destroy(t.Context(), "one"), signs(t, d, two)); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	for s, rights := range f.rights {
		if rights[1] || !rights[2] {
			t.Errorf("session %d has the rights %v", s, rights)
		}
	}
	f.mu.Unlock()
	released := f.count("ReleasePrivateKeyAccessRight")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if f.count("ReleasePrivateKeyAccessRight") == released || f.device != 0 || len(f.keys) != 0 {
		t.Errorf("left behind: device %d, %d open keys", f.device, len(f.keys))
	}
	if d.passwords.given.All != nil {
		t.Error("the passwords stay in memory")
	}
}
