package hsm_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/hsm"
	"hufu/hsm/hsmtest"
	"hufu/internal/gm"
)

// soft opens the store in dir, making it at the first time.
func softAt(t *testing.T, dir string) *hsm.Soft {
	t.Helper()
	options := hsm.Options{KDF: hsmtest.QuickKDF}
	d, err := hsm.OpenSoft(dir, []byte(hsmtest.Passphrase), options)
	if errors.Is(err, hsm.ErrNoStore) {
		d, err = hsm.CreateSoft(dir, []byte(hsmtest.Passphrase), options)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func group(t *testing.T, devices ...hsm.Device) *hsm.Group {
	t.Helper()
	var members []hsm.Member
	for i, d := range devices {
		members = append(members, hsm.Member{Name: string(rune('a' + i)), Device: d})
	}
	g, err := hsm.NewGroup(members)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	return g
}

func TestGroupOfOneKeySetPassesTheSuite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	hsmtest.Run(t, func(t *testing.T) hsm.Device {
		shared := softAt(t, dir)
		return group(t, shared, shared) // two views of one key set
	})
}

// frail is a device that can be made to fail.
type frail struct {
	hsm.Device
	mu    sync.Mutex
	fault func(ctx context.Context) error // nil = works
	wrong bool                            // signs with another key
	calls atomic.Int32
}

func (f *frail) set(fault func(ctx context.Context) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *frail) try(ctx context.Context) error {
	f.calls.Add(1)
	f.mu.Lock()
	fault := f.fault
	f.mu.Unlock()
	if fault == nil {
		return nil
	}
	return fault(ctx)
}

func (f *frail) Health(ctx context.Context) error {
	if err := f.try(ctx); err != nil {
		return err
	}
	return f.Device.Health(ctx)
}

func (f *frail) Keys(ctx context.Context) ([]hsm.Info, error) {
	if err := f.try(ctx); err != nil {
		return nil, err
	}
	return f.Device.Keys(ctx)
}

func (f *frail) Generate(ctx context.Context, spec hsm.Spec) (hsm.Info, error) {
	if err := f.try(ctx); err != nil {
		return hsm.Info{}, err
	}
	return f.Device.Generate(ctx, spec)
}

func (f *frail) Signer(ctx context.Context, label string) (crypto.Signer, error) {
	s, err := f.Device.Signer(ctx, label)
	if err != nil {
		return nil, err
	}
	return new(hsm.Signers).NewSigner(ctx, label, s.Public(), func(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
		if err := f.try(ctx); err != nil {
			return nil, err
		}
		if f.wrong {
			k, err := gm.GenerateKey()
			if err != nil {
				return nil, err
			}
			return k.Sign(nil, digest, opts)
		}
		return s.Sign(nil, digest, opts)
	}), nil
}

func (f *frail) Unwrap(ctx context.Context, label string, wrapped, aad []byte) ([]byte, error) {
	if err := f.try(ctx); err != nil {
		return nil, err
	}
	return f.Device.Unwrap(ctx, label, wrapped, aad)
}

func broken(context.Context) error { return hsm.ErrUnavailable.With("pulled out") }

func hanging(ctx context.Context) error {
	<-ctx.Done()
	return hsm.ErrUnavailable.With("hangs: %w", ctx.Err())
}

// made makes an SM2 key.
func made(t *testing.T, d hsm.Device, label string) hsm.Info {
	t.Helper()
	k, err := d.Generate(t.Context(), hsm.Spec{Label: label, Algorithm: hsm.SM2})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func signs(t *testing.T, d hsm.Device, k hsm.Info) error {
	t.Helper()
	s, err := d.Signer(t.Context(), k.Label)
	if err != nil {
		return err
	}
	e := bytes.Repeat([]byte{9}, 32)
	sig, err := s.Sign(nil, e, gm.Digest)
	if err == nil && !gm.VerifyE(k.Public.(*ecdsa.PublicKey), e, sig) {
		t.Error("a wrong signature left")
	}
	return err
}

func TestGroupFailsOverAndComesBack(t *testing.T) {
	shared := hsmtest.Soft(t)
	a, b := &frail{Device: shared}, &frail{Device: shared}
	g := group(t, a, b)
	k := made(t, g, "ca")
	wrapKey, err := g.Generate(t.Context(), hsm.Spec{Label: "master", Algorithm: hsm.SM4})
	if err != nil {
		t.Fatal(err)
	}
	wrapped, err := g.Wrap(t.Context(), wrapKey.Label, []byte("data"), nil)
	if err != nil {
		t.Fatal(err)
	}

	a.set(broken)
	for range 20 {
		if err := signs(t, g, k); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := g.Unwrap(t.Context(), wrapKey.Label, wrapped, nil); err != nil || string(got) != "data" {
		t.Errorf("unwrap while one is away: %q, %v", got, err)
	}
	tried := a.calls.Load()
	if err := signs(t, g, k); err != nil || a.calls.Load() != tried {
		t.Errorf("a member that failed is asked each time (%v)", err)
	}
	if err := g.Health(t.Context()); err != nil {
		t.Errorf("health while one works: %v", err)
	}
	health := g.Members(t.Context())
	if len(health) != 2 || !errors.Is(health[0].Err, hsm.ErrUnavailable) || health[1].Err != nil || health[0].Name != "a" {
		t.Errorf("members: %+v", health)
	}

	b.set(broken)
	wantErr(t, "both away", signs(t, g, k), hsm.ErrUnavailable)
	wantErr(t, "health with both away", g.Health(t.Context()), hsm.ErrUnavailable)

	a.set(nil)
	if err := signs(t, g, k); err != nil {
		t.Errorf("one came back, though both rest: %v", err)
	}
	if b.set(nil); g.Health(t.Context()) != nil || slices.ContainsFunc(g.Members(t.Context()), func(m hsm.MemberHealth) bool { return m.Err != nil }) {
		t.Error("both came back")
	}
}

func TestGroupLeavesAHangingMemberInTime(t *testing.T) {
	shared := hsmtest.Soft(t)
	a, b := &frail{Device: shared}, &frail{Device: shared}
	g := group(t, a, b)
	k := made(t, g, "ca")
	a.set(hanging)
	ctx, cancel := context.WithTimeout(t.Context(), 600*time.Millisecond)
	defer cancel()
	s, err := g.Signer(ctx, k.Label)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sign(nil, make([]byte, 32), gm.Digest); err != nil {
		t.Errorf("the second member had half of the time: %v", err)
	}
	b.set(hanging)
	if _, err = s.Sign(nil, make([]byte, 32), gm.Digest); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("both hang: %v", err)
	}
}

func TestGroupWithholdsAWrongSignatureAndAsksTheNext(t *testing.T) {
	shared := hsmtest.Soft(t)
	a, b := &frail{Device: shared}, &frail{Device: shared}
	g := group(t, a, b)
	k := made(t, g, "ca")
	a.wrong = true
	if err := signs(t, g, k); err != nil || b.calls.Load() == 0 {
		t.Errorf("%v", err)
	}
	b.wrong = true
	wantErr(t, "both sign wrongly", signs(t, g, k), hsm.ErrSignature)
}

func TestGroupMakesNoKeyThatIsNotEverywhere(t *testing.T) {
	one, other := hsmtest.Soft(t), hsmtest.Soft(t) // two devices that share nothing
	g := group(t, one, other)
	for _, algorithm := range []string{hsm.SM2, hsm.SM4} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond) // else it waits longer for the second to follow
		_, err := g.Generate(ctx, hsm.Spec{Label: "ca", Algorithm: algorithm})
		cancel()
		wantErr(t, "devices that share nothing", err, hsm.ErrNotReplicated)
	}
	if keys, _ := one.Keys(t.Context()); len(keys) != 0 {
		t.Errorf("left behind: %+v", keys)
	}
	made(t, other, "ca")
	_, err := g.Generate(t.Context(), hsm.Spec{Label: "ca", Algorithm: hsm.SM2})
	wantErr(t, "label in the second device", err, hsm.ErrExists)

	shared := hsmtest.Soft(t)
	away := &frail{Device: shared}
	away.set(broken)
	_, err = group(t, shared, away).Generate(t.Context(), hsm.Spec{Label: "ca", Algorithm: hsm.SM2})
	wantErr(t, "a member is away", err, hsm.ErrUnavailable)
	if keys, _ := shared.Keys(t.Context()); len(keys) != 0 {
		t.Errorf("made while a member was away: %+v", keys)
	}
}

func TestGroupUsesNoMemberWithAnotherKey(t *testing.T) {
	one, other := hsmtest.Soft(t), hsmtest.Soft(t)
	k, stranger := made(t, one, "ca"), made(t, other, "ca")
	a := &frail{Device: one}
	g := group(t, a, other)
	s, err := g.Signer(t.Context(), "ca")
	if err != nil {
		t.Fatal(err)
	}
	a.set(broken)
	_, err = s.Sign(nil, make([]byte, 32), gm.Digest)
	wantErr(t, "the key is only in the device that is away", err, hsm.ErrUnavailable)
	a.set(nil)
	if differs := g.Members(t.Context())[1].Differs; !slices.Equal(differs, []string{"ca"}) {
		t.Errorf("differs: %v (%v, %v)", differs, k.Public, stranger.Public)
	}
}

func TestGroupDestroysEverywhereOrNowhere(t *testing.T) {
	shared := hsmtest.Soft(t)
	b := &frail{Device: shared}
	g := group(t, shared, b)
	made(t, g, "ca")
	b.set(broken)
	wantErr(t, "a member is away", g.Destroy(t.Context(), "ca"), hsm.ErrUnavailable)
	if keys, _ := shared.Keys(t.Context()); len(keys) != 1 {
		t.Error("destroyed in one device though the other was away")
	}
	b.set(nil)
	if err := g.Destroy(t.Context(), "ca"); err != nil {
		t.Error(err)
	}
}

func wantErr(t *testing.T, what string, err, sentinel error) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Errorf("%s: %v, want %v", what, err, sentinel)
	}
}
