//go:build cgo

package ca_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"hufu/ca"
	"hufu/hsm"
	"hufu/hsm/hsmtest"
	"hufu/internal/fault"
)

// What a device can do wrong to an issuance costs its serial at most: it is void, nothing wrong is given out, and the service
// returns by itself.
func TestDeviceFaultsCostASerialAtMost(t *testing.T) {
	onUnits(t, func(u *units) {
		for _, what := range []string{"no-session 1", "wrong-signature 1", "device-error 1", "removed"} { // in all units
			u.disturb(what)
			u.refused(what)
			u.disturb()
			u.returns(what)
		}
		u.disturb("no-session 4") // some sessions are lost
		for range 6 {
			if _, err := u.asks(); err != nil {
				u.t.Errorf("some sessions lost: %v", err)
			}
		}
		u.disturb()
		u.whole()
		u.token[0].Disturb(u.t, "removed")
		if _, err := u.asks(); err != nil {
			u.t.Errorf("one of two units: %v", err)
		}
	})
}

// The device signs, and answers when the caller's time is over: the serial counts as signed, and the late answer is nobody's.
func TestATimeOutAfterSigning(t *testing.T) {
	onUnits(t, func(u *units) {
		u.disturb("slow 400", "at "+u.call)
		u.Keys = deviceKeys{u.dev[0], 100 * time.Millisecond}
		u.refused("late")
		u.Keys = deviceKeys{u.dev[0], 0}
		u.disturb()
		for range 4 { // while the late answer comes, and after it
			u.returns("the late answer")
			time.Sleep(150 * time.Millisecond)
		}
	})
}

// A device that is slow gets no more than may be under way; who comes then is refused at once, with 503.
func TestASlowDeviceGetsNoQueue(t *testing.T) {
	onUnits(t, func(u *units) {
		config := u.Authority.Config
		config.Issuing = 2
		var err error
		if u.Authority, err = ca.New(t.Context(), config); err != nil {
			u.t.Fatal(err)
		}
		u.disturb("slow 200", "at "+u.call)
		var all sync.WaitGroup
		results := make([]error, 8)
		for i := range results {
			all.Go(func() { _, results[i] = u.asks() })
		}
		all.Wait()
		issued := 0
		for _, err := range results {
			switch {
			case err == nil:
				issued++
			case !errors.Is(err, ca.ErrCrowded) || fault.KindOf(err) != fault.Unavailable:
				u.t.Errorf("%v", err)
			}
		}
		if issued < 2 || issued == len(results) {
			u.t.Errorf("%d of %d were issued", issued, len(results))
		}
		settled(u.t, u.world)
	})
}

// A stand-by that has other keys, or keys of yesterday, never signs: without the right unit there is no certificate.
func TestAStandbyWithStaleKeysNeverSigns(t *testing.T) {
	onUnits(t, func(u *units) {
		token := hsmtest.Token(u.t, "neutral")
		token.MakeSDFKeys(u.t, "sign", 1, 8)
		stale := u.unit(token, u.t.TempDir())
		u.Keys = deviceKeys{Device: u.group(u.dev[0], stale)}
		u.token[0].Disturb(u.t, "removed")
		u.refused("a stand-by without the keys")
		infos, err := u.dev[1].Keys(u.t.Context())
		for _, info := range infos {
			if err == nil {
				_, err = stale.Generate(u.t.Context(), hsm.Spec{Label: info.Label, Algorithm: info.Algorithm})
			}
		}
		if err != nil || len(infos) < 2 {
			u.t.Fatalf("%d keys: %v", len(infos), err)
		}
		u.refused("a stand-by with other keys")
		u.Keys = deviceKeys{Device: stale}
		u.refused("the stand-by alone")
		u.Keys = u.both
		u.disturb()
		u.returns("the stand-by")
	})
}
