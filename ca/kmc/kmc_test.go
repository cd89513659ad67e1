package kmc_test

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"sync"
	"testing"
	"time"

	"hufu/ca/kmc"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/store"
	"hufu/store/storetest"
)

func newKey(t *testing.T) (*gm.PrivateKey, *ecdsa.PublicKey) {
	t.Helper()
	k, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k, k.Public().(*ecdsa.PublicKey)
}

func TestOnlyTheHolderOpensTheKeyAndAskingAgainGivesTheSame(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		centre, err := kmc.New(db.KMC(), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		by := actor.ForSystem("test")
		holder, pub := newKey(t)
		public, envelope, err := centre.Provide(t.Context(), by, "r1", pub)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := certs.OpenEnvelopedKey(envelope, holder)
		if err != nil || !certs.SameKey(opened.Public(), public) {
			t.Fatalf("the holder cannot open the key: %v", err)
		}
		thief, other := newKey(t)
		if _, err := certs.OpenEnvelopedKey(envelope, thief); err == nil {
			t.Error("another key opened the envelope")
		}
		again, same, err := centre.Provide(t.Context(), by, "r1", pub)
		if err != nil || !bytes.Equal(same, envelope) || !again.Equal(public) {
			t.Errorf("asked again: another key or an error: %v", err)
		}
		if _, _, err := centre.Provide(t.Context(), by, "r1", other); !errors.Is(err, kmc.ErrOtherHolder) {
			t.Errorf("the envelope was handed out for another signing key: %v", err)
		}
		if _, _, err := centre.Provide(t.Context(), actor.Actor{}, "r2", pub); !errors.Is(err, actor.ErrUnknown) {
			t.Errorf("nobody was served: %v", err)
		}
	})
}

func TestConcurrentCallsForOneRequestAgree(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		centre, err := kmc.New(db.KMC(), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		_, pub := newKey(t)
		var got sync.Map
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, envelope, err := centre.Provide(t.Context(), actor.ForSystem("test"), "r", pub)
				if err != nil {
					t.Error(err)
				}
				got.Store(string(envelope), true)
			})
		}
		wg.Wait()
		n := 0
		got.Range(func(any, any) bool { n++; return true })
		if n != 1 {
			t.Errorf("%d different envelopes were handed out", n)
		}
	})
}
