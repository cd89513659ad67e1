//go:build cgo

package sdf

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/hsm"
	"hufu/hsm/hsmtest"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// machine is a soft token behind its SDF library: a device in C that we load as a vendor's.
type machine struct {
	hsmtest.SoftToken
	config Config
}

// newMachine makes a token with the keys that an operator would make at the console.
func newMachine(t *testing.T, signing, encrypting, keks int) machine {
	t.Helper()
	m := machine{SoftToken: hsmtest.Token(t, "neutral")}
	m.config = Config{Library: m.SDF, Assignments: filepath.Join(t.TempDir(), "assignments"), Create: true}
	for _, make := range []struct {
		what string
		n    int
		list *[]uint32
	}{{"sign", signing, &m.config.Signing}, {"encrypt", encrypting, &m.config.Encryption}, {"kek", keks, &m.config.KEKs}} {
		if make.n > 0 {
			m.MakeSDFKeys(t, make.what, 1, make.n)
		}
		for index := range make.n {
			*make.list = append(*make.list, uint32(index+1))
		}
	}
	return m
}

func (m machine) open(t *testing.T) *Device {
	t.Helper()
	d, err := Open(t.Context(), m.config, Passwords{All: []byte(m.PIN)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// description is the machine in the words of HUFU_TEST_SDF.
func (m machine) description() string {
	return fmt.Sprintf("library=%s;sign=1-%d;encrypt=1-%d;kek=1;pin-file=%s", m.SDF, len(m.config.Signing), len(m.config.Encryption), m.PINFile)
}

// TestLibraryPassesTheSuite runs the suite on the library that HUFU_TEST_SDF names, and else on the soft token's.
func TestLibraryPassesTheSuite(t *testing.T) {
	text := os.Getenv("HUFU_TEST_SDF")
	if text == "" {
		text = newMachine(t, 40, 4, 1).description()
	}
	parseForeign(text).run(t)
}

// A device with a handful of indices, as vendors' test machines are, is tried as far as they go.
func TestASmallLibraryPassesTheSuite(t *testing.T) {
	m := newMachine(t, 3, 0, 0)
	parseForeign("library=" + m.SDF + ";sign=1,2,3;pin-file=" + m.PINFile).run(t)
}

func TestTheDeviceTakenAwayUnderLoad(t *testing.T) {
	m := newMachine(t, 2, 1, 1)
	d := m.open(t)
	k, wrap := made(t, d, "ca", hsm.SM2, ""), made(t, d, "master", hsm.SM4, "")
	wrapped, err := d.Wrap(t.Context(), wrap.Label, []byte("data"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var good, bad atomic.Int64
	stop := busy(t, 300*time.Millisecond, &good, &bad, func(ctx context.Context) error {
		s, err := d.Signer(ctx, k.Label)
		if err != nil {
			return err
		}
		e := make([]byte, 32)
		sig, err := s.Sign(nil, e, gm.Digest)
		if err == nil && !gm.VerifyE(mustPublic(t, k), e, sig) {
			t.Error("a wrong signature left")
		}
		if err == nil {
			_, err = d.Unwrap(ctx, wrap.Label, wrapped, nil)
		}
		return err
	})
	more(t, "at first", &good)
	for _, disturbance := range []string{"removed", "device-error 1", "no-session 1", "wrong-signature 1", "hang"} {
		m.Disturb(t, disturbance)
		more(t, disturbance, &bad)
		m.Disturb(t)
		more(t, "after "+disturbance, &good)
	}
	for _, disturbance := range [][]string{
		{"no-session 5"}, {"logged-out 7", "at SDF_InternalSign_ECC"}, {"slow 5"}, {"device-error 20"}, {"restarted 1"}, {"restarted 2"},
	} {
		m.Disturb(t, disturbance...)
		more(t, disturbance[0], &good)
		m.Disturb(t)
	}
	stop()
	if err := d.Health(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// busy keeps eight workers busy until stop is called; each call may take limit.
func busy(t *testing.T, limit time.Duration, good, bad *atomic.Int64, f func(context.Context) error) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				err := f(ctx)
				cancel()
				switch {
				case err == nil:
					good.Add(1)
				case fault.KindOf(err) != fault.Unavailable:
					t.Errorf("%v", err)
				default:
					bad.Add(1)
				}
			}
		})
	}
	return func() { close(done); wg.Wait() }
}

// more waits until a counter moved on.
func more(t *testing.T, what string, counter *atomic.Int64) {
	t.Helper()
	from := counter.Load()
	for range 1000 {
		if counter.Load() >= from+5 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("%s: nothing happens", what)
}

// twin is a second machine with the same keys, disturbed on its own: another copy of the library over the same store.
func (m machine) twin(t *testing.T) machine {
	t.Helper()
	dir := t.TempDir()
	m.Faults = filepath.Join(dir, "faults")
	library, err := os.ReadFile(m.SDF)
	if err != nil {
		t.Fatal(err)
	}
	m.SDF = filepath.Join(dir, "libtwin.so")
	conf := fmt.Sprintf("store %s\nfaults %s\n", m.Store, m.Faults)
	if err := errors.Join(os.WriteFile(m.SDF, library, 0o700), os.WriteFile(m.SDF+".conf", []byte(conf), 0o600)); err != nil {
		t.Fatal(err)
	}
	m.config.Library = m.SDF
	return m
}

func TestOneOfTwoMachinesIsEnough(t *testing.T) {
	a := newMachine(t, 2, 0, 1)
	b := a.twin(t)
	g, err := hsm.NewGroup([]hsm.Member{{Name: "a", Device: a.open(t)}, {Name: "b", Device: b.open(t)}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	k, wrap := made(t, g, "ca", hsm.SM2, ""), made(t, g, "master", hsm.SM4, "")
	wrapped, err := g.Wrap(t.Context(), wrap.Label, []byte("data"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var good, bad atomic.Int64
	var calm sync.RWMutex // held for writing where no request may be under way: each meets one failing machine at most
	stop := busy(t, 10*time.Second, &good, &bad, func(ctx context.Context) error {
		calm.RLock()
		defer calm.RUnlock()
		s, err := g.Signer(ctx, k.Label)
		if err != nil {
			return err
		}
		e := make([]byte, 32)
		sig, err := s.Sign(nil, e, gm.Digest)
		if err == nil && !gm.VerifyE(mustPublic(t, k), e, sig) {
			t.Error("a wrong signature left")
		}
		if err == nil {
			_, err = g.Unwrap(ctx, wrap.Label, wrapped, nil)
		}
		return err
	})
	for _, disturbance := range []string{"removed", "device-error 1", "wrong-signature 1", "removed"} {
		for _, m := range []machine{a, b} {
			m.Disturb(t, disturbance)
			more(t, disturbance, &good)
			calm.Lock()
			m.Disturb(t)
			for i := 0; i < 400 && !whole(t, g); i++ { // both work again before the other one goes
				time.Sleep(10 * time.Millisecond)
			}
			calm.Unlock()
		}
	}
	stop()
	if bad.Load() > 0 {
		t.Errorf("%d requests failed, %d did not", bad.Load(), good.Load())
	}
}

// whole reports whether all members of a group work.
func whole(t *testing.T, g *hsm.Group) bool {
	t.Helper()
	for _, m := range g.Members(t.Context()) {
		if m.Err != nil || len(m.Differs) > 0 {
			return false
		}
	}
	return true
}

func TestTheTokensPasswordIsTriedOnce(t *testing.T) {
	m := newMachine(t, 2, 0, 0)
	d := m.open(t)
	k := made(t, d, "ca", hsm.SM2, "")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 { // tokens lock after ten
		_, err := Open(t.Context(), m.config, Passwords{All: []byte("guess")})
		wantErr(t, "a wrong password", err, hsm.ErrWrongPIN)
	}
	d, err := Open(t.Context(), m.config, Passwords{All: []byte(m.PIN), Index: map[uint32][]byte{2: []byte("guess")}})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for range 20 {
		_, err := d.Generate(t.Context(), hsm.Spec{Label: "second", Algorithm: hsm.SM2})
		wantErr(t, "the second index", err, hsm.ErrWrongPIN)
	}
	if err := signs(t, d, k); err != nil {
		t.Error(err)
	}
}

func TestTheTokenThatHangsHoldsNobody(t *testing.T) {
	m := newMachine(t, 1, 0, 0)
	d := m.open(t)
	k := made(t, d, "ca", hsm.SM2, "")
	m.Disturb(t, "hang")
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			s, err := d.Signer(ctx, k.Label)
			if err == nil {
				_, err = s.Sign(nil, make([]byte, 32), gm.Digest)
			}
			wantErr(t, "hang", err, context.DeadlineExceeded)
		})
	}
	wg.Wait()
	m.Disturb(t)
	for range 200 {
		if signs(t, d, k) == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the service did not return")
}

func TestWhatIsNoSDFLibraryIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lib.so")
	if err := os.WriteFile(path, []byte("no library"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, library := range []string{path, "/nowhere/libsdf.so", hsmtest.Token(t, "neutral").Module} {
		_, err := Open(t.Context(), Config{Library: library, Assignments: filepath.Join(t.TempDir(), "a"), Create: true}, Passwords{})
		if !errors.Is(err, hsm.ErrProfile) {
			t.Errorf("%s: %v", library, err)
		}
	}
}
