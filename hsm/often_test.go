package hsm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"sync"
	"testing"

	"hufu/internal/gm"
)

func newKey(t testing.TB) *gm.PrivateKey {
	t.Helper()
	k, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestAKeyThatSignsOftenGetsATable(t *testing.T) {
	k, signers := newKey(t), new(Signers)
	sign := func() { // the authority asks for its signer anew each time
		if _, err := signers.NewSigner(t.Context(), "k", k.Public(), driverOf(k)).Sign(nil, make([]byte, 32), gm.Digest); err != nil {
			t.Error(err)
		}
	}
	for range worthATable - 1 {
		sign()
	}
	if signers.of(k.Public()).table.Load() != nil {
		t.Error("a key that signs seldom pays for a table")
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				sign()
			}
		})
	}
	wg.Wait()
	if signers.of(k.Public()).table.Load() == nil || len(signers.keys) != 1 {
		t.Errorf("no table after %d signatures", worthATable+159)
	}
}

func TestRememberedKeysAreBounded(t *testing.T) {
	k, signers := newKey(t), new(Signers)
	first := signers.NewSigner(t.Context(), "log", k.Public(), driverOf(k)).(*signer)
	for range worthATable {
		if _, err := first.Sign(nil, make([]byte, 32), gm.Digest); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 * mostKeys {
		if signers.of(newKey(t).Public()); len(signers.keys) > mostKeys {
			t.Fatalf("%d keys are remembered", len(signers.keys))
		}
	}
	if _, err := first.Sign(nil, make([]byte, 32), gm.Digest); err != nil || first.often.table.Load() == nil {
		t.Errorf("a signer that lives loses its table: %v", err)
	}
	if again := signers.of(k.Public()); again == first.often || again.signed.Load() != 0 {
		t.Error("the test forgot nothing")
	}
}

func TestTablesAreForSM2(t *testing.T) {
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signers := new(Signers)
	for _, pub := range []crypto.PublicKey{nil, &p256.PublicKey, (*ecdsa.PublicKey)(nil), &rsa.PublicKey{}} {
		if signers.of(pub) != nil || len(signers.keys) != 0 {
			t.Errorf("%T is remembered", pub)
		}
	}
}
