package keys_test

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/internal/gm"
	"hufu/keys"
)

var byPIN = keys.Consent{PIN: goodPIN, Kind: "document"}

// seals returns the seal keys of a node.
func (r rig) seals(t *testing.T, k *keys.Keys) *keys.Many {
	t.Helper()
	m, err := k.Many(system, keys.ManySeal, "master")
	ok(t, "many", err)
	return m
}

// trySign makes one signature over e under a consent.
func trySign(ctx context.Context, m *keys.Many, id string, c keys.Consent, e []byte) error {
	s, err := m.Signer(ctx, id, clerk, c)
	if err != nil {
		return err
	}
	sig, err := s.Sign(nil, e, gm.Digest)
	if err == nil && !gm.VerifyE(s.Public().(*ecdsa.PublicKey), e, sig) {
		return errors.New("a wrong signature")
	}
	return err
}

func hash(text string) []byte {
	sum := gm.SM3([]byte(text))
	return sum[:]
}

func TestPINRule(t *testing.T) {
	for pin, good := range map[string]bool{
		"Hufu-seal-2026": true, "开门见山七上八下": true, "48201759": true, "correct horse battery": true,
		"": false, "Ab3$xyz": false, "88888888": false, "12345678": false, "87654321": false, "abcdefgh": false, "12121212": false,
		"abcdabcd": false, "19900101": false, "Password1": false, "qwertyuiop": false, "11223344": false, "1234567890a": false,
		"Hufu\nseal2026": false, "Hufu\xffseal2026": false, "Hufu-seal-2026-Hufu-seal-2026-Hufu-seal-2026-Hufu-seal-2026-Hufu-x": false,
	} {
		if err := keys.CheckPIN([]byte(pin)); (err == nil) != good {
			t.Errorf("PIN %q: %v", pin, err)
		}
	}
}

func TestEnrolmentNamesOneWay(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		m := r.seals(t, r.node(t))
		one, two := newOwner(t), newOwner(t)
		for what, e := range map[string]keys.Enrolment{
			"no way":            {},
			"two ways":          {PIN: goodPIN, Half: ownerHalf.Half},
			"half a pair":       {SignKey: one.SignKey},
			"one key for both":  {SignKey: one.SignKey, EncryptKey: one.SignKey},
			"a point elsewhere": {SignKey: one.SignKey, EncryptKey: append([]byte{4}, make([]byte, 64)...)},
			"a short half":      {Half: make([]byte, 31)},
			"an empty half":     {Half: make([]byte, 32)},
			"pair and half":     {SignKey: two.SignKey, EncryptKey: two.EncryptKey, Half: ownerHalf.Half},
		} {
			_, _, err := m.Generate(t.Context(), "seal", e)
			want(t, what, err, keys.ErrEnrolment)
		}
		_, _, err := m.Generate(t.Context(), "seal", keys.Enrolment{PIN: []byte("12345678")})
		want(t, "a trivial PIN", err, keys.ErrPINForm)
	})
}

func TestPINOpensTheKeyForOneSignature(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, m := t.Context(), r.seals(t, r.node(t))
		id, pub, err := m.Generate(ctx, "seal", keys.Enrolment{PIN: goodPIN})
		ok(t, "generate", err)
		held, err := m.Held(ctx, id)
		if err != nil || held.Method != keys.MethodPIN || held.Inside || held.Locked {
			t.Errorf("held %+v, %v", held, err)
		}
		s, err := m.Signer(ctx, id, clerk, byPIN)
		ok(t, "signer", err)
		if !equal(s.Public(), pub) {
			t.Error("another public key")
		}
		_, err = s.Sign(nil, hash("one"), gm.Digest)
		ok(t, "sign", err)
		_, err = s.Sign(nil, hash("two"), gm.Digest)
		want(t, "a second signature", err, keys.ErrActivation)
		for what, c := range map[string]keys.Consent{
			"nothing":      {Kind: "document"},
			"a half":       {Half: ownerHalf.Half, Kind: "document"},
			"PIN and half": {PIN: goodPIN, Half: ownerHalf.Half, Kind: "document"},
			"a challenge":  {Challenge: "x", Signature: []byte{1}, Kind: "document"},
		} {
			want(t, what, trySign(ctx, m, id, c, hash("x")), keys.ErrActivation)
		}
		want(t, "no kind", trySign(ctx, m, id, keys.Consent{PIN: goodPIN}, hash("x")), keys.ErrKind)
		want(t, "a kind that is kept", trySign(ctx, m, id, keys.Consent{PIN: goodPIN, Kind: "standing-activation"}, hash("x")), keys.ErrKind)
		want(t, "a wrong PIN", trySign(ctx, m, id, keys.Consent{PIN: []byte("Hufu-seal-2027"), Kind: "document"}, hash("x")), keys.ErrPIN)
		if n := r.records(t, "key.activate", id); n != 1 {
			t.Errorf("%d activations in the record", n)
		}
		if n := r.records(t, "key.refuse", id); n != 1 {
			t.Errorf("%d wrong PINs in the record", n)
		}
		ended, cancel := context.WithCancel(ctx)
		s, err = m.Signer(ended, id, clerk, byPIN)
		ok(t, "signer", err)
		cancel()
		_, err = s.Sign(nil, hash("x"), gm.Digest)
		want(t, "after the end of its context", err, context.Canceled)
		ok(t, "destroy", m.Destroy(ctx, chief, id))
		want(t, "destroyed", trySign(ctx, m, id, byPIN, hash("x")), keys.ErrUnknown)
	})
}

func TestWrongPINsLock(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, m := t.Context(), r.seals(t, r.node(t))
		id, _, err := m.Generate(ctx, "seal", keys.Enrolment{PIN: goodPIN})
		ok(t, "generate", err)
		wrong := keys.Consent{PIN: []byte("Hufu-seal-2027"), Kind: "document"}
		for range 5 {
			want(t, "wrong", trySign(ctx, m, id, wrong, hash("x")), keys.ErrPIN)
		}
		lock := time.Minute
		for range 12 {
			want(t, "the right PIN while it is locked", trySign(ctx, m, id, byPIN, hash("x")), keys.ErrLocked)
			held, err := m.Held(ctx, id)
			if err != nil || !held.Locked || !held.Until.Equal(r.clock.now().Add(lock)) {
				t.Fatalf("held %+v at %s, want a lock of %s; %v", held, r.clock.now(), lock, err)
			}
			r.clock.advance(lock)
			want(t, "wrong again", trySign(ctx, m, id, wrong, hash("x")), keys.ErrPIN)
			lock = min(2*lock, 24*time.Hour)
		}
		r.clock.advance(24 * time.Hour)
		ok(t, "the right PIN after the lock", trySign(ctx, m, id, byPIN, hash("x")))
		want(t, "wrong", trySign(ctx, m, id, wrong, hash("x")), keys.ErrPIN)
		ok(t, "the count began anew", trySign(ctx, m, id, byPIN, hash("x")))
	})
}

// Tries are counted before they are made, so that racing ones gain nothing.
func TestRacingPINsAreCounted(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, m := t.Context(), r.seals(t, r.node(t))
		other := r.seals(t, r.node(t))
		id, _, err := m.Generate(ctx, "seal", keys.Enrolment{PIN: goodPIN})
		ok(t, "generate", err)
		var tried atomic.Int64
		var wg sync.WaitGroup
		for i := range 24 {
			wg.Go(func() {
				node := m
				if i%2 == 0 {
					node = other
				}
				err := trySign(ctx, node, id, keys.Consent{PIN: []byte("Hufu-seal-2027"), Kind: "document"}, hash("x"))
				switch {
				case errors.Is(err, keys.ErrPIN):
					tried.Add(1)
				case !errors.Is(err, keys.ErrLocked) && !errors.Is(err, keys.ErrBusy):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if tried.Load() > 5 {
			t.Errorf("%d tries were made before the lock", tried.Load())
		}
	})
}

func TestChangePIN(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, m := t.Context(), r.seals(t, r.node(t))
		id, _, err := m.Generate(ctx, "seal", keys.Enrolment{PIN: goodPIN})
		ok(t, "generate", err)
		_, err = m.Stand(ctx, clerk, id, byPIN, r.bounds(3))
		ok(t, "stand", err)
		covered := keys.Consent{Kind: "document"}
		ok(t, "sign under it", trySign(ctx, m, id, covered, hash("x")))
		pending, err := m.Signer(ctx, id, clerk, byPIN)
		ok(t, "signer", err)
		r.clock.advance(time.Second)
		fresh := []byte("another-word-77")
		want(t, "with a wrong PIN", m.ChangePIN(ctx, clerk, id, fresh, fresh), keys.ErrPIN)
		want(t, "to a trivial PIN", m.ChangePIN(ctx, clerk, id, goodPIN, []byte("11111111")), keys.ErrPINForm)
		ok(t, "change", m.ChangePIN(ctx, clerk, id, goodPIN, fresh))
		want(t, "the old PIN", trySign(ctx, m, id, byPIN, hash("x")), keys.ErrPIN)
		ok(t, "the new PIN", trySign(ctx, m, id, keys.Consent{PIN: fresh, Kind: "document"}, hash("x")))
		want(t, "the standing activation", trySign(ctx, m, id, covered, hash("x")), keys.ErrActivation)
		_, err = pending.Sign(nil, hash("x"), gm.Digest)
		want(t, "a consent from before", err, keys.ErrActivation)
		if r.records(t, "key.enrol", id) != 1 || r.records(t, "activation.withdrawn", id) != 1 {
			t.Error("the change is not in the record")
		}
	})
}
