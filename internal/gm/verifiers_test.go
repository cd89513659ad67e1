//lint:file-ignore SA1019 SM2 keys are ecdsa.PublicKey on a curve that the standard library does not know.

package gm

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"math/big"
	"slices"
	"sync"
	"testing"
)

func TestAKeyThatComesOftenGetsATable(t *testing.T) {
	k, other, v := must(GenerateKey()), must(GenerateKey()), new(Verifiers)
	e := SM3([]byte("m"))
	sig, wrong := must(k.Sign(nil, e[:], Digest)), must(other.Sign(nil, e[:], Digest))
	verify := func() {
		if !v.VerifyE(public(k), e[:], sig) {
			t.Error("refused")
		}
	}
	table := func() *Verifier { return v.key([64]byte(Point(public(k))[1:])).table.Load() }
	for range worthATable - 1 {
		verify()
	}
	if table() != nil {
		t.Error("a key that comes seldom pays for a table")
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if verify(); v.VerifyE(public(k), e[:], wrong) || v.VerifyE(public(other), e[:], sig) {
					t.Error("a signature of another key was taken")
				}
			}
		})
	}
	wg.Wait()
	if table() == nil || len(v.keys) != 2 {
		t.Errorf("%d keys, table %p", len(v.keys), table())
	}
}

// A table in which memory has flipped something costs a moment, and not all that the key signs.
func TestADamagedTableRefusesNothingThatIsRight(t *testing.T) {
	k, other, v := must(GenerateKey()), must(GenerateKey()), new(Verifiers)
	e := SM3([]byte("m"))
	sig, wrong := must(k.Sign(nil, e[:], Digest)), slices.Clone(must(k.Sign(nil, e[:], Digest)))
	wrong[len(wrong)-1] ^= 1
	key := v.key([64]byte(Point(public(k))[1:]))
	damaged := must(NewVerifier(public(other)))
	key.table.Store(damaged)
	v.count(1)
	for n := range 2 * worthATable {
		if !v.VerifyE(public(k), e[:], sig) {
			t.Fatalf("signature %d is refused", n)
		}
		if v.VerifyE(public(k), e[:], wrong) {
			t.Fatal("a wrong signature was taken")
		}
	}
	if table := key.table.Load(); table == nil || table == damaged || v.tables != 1 {
		t.Errorf("table %p of %d, the damaged was %p", table, v.tables, damaged)
	}
}

func TestRememberedKeysAreBounded(t *testing.T) {
	k, v := must(GenerateKey()), new(Verifiers)
	e := SM3([]byte("m"))
	sig := must(k.Sign(nil, e[:], Digest))
	often := func() {
		for range 2 * worthATable {
			if !v.VerifyE(public(k), e[:], sig) {
				t.Fatal("refused")
			}
		}
	}
	often()
	for n := range mostKeys { // that come once
		if v.key([64]byte{byte(n), byte(n >> 8)}); len(v.keys) > mostKeys {
			t.Fatalf("%d keys are remembered", len(v.keys))
		}
	}
	if len(v.keys) != 1 || v.tables != 0 {
		t.Errorf("%d keys, %d tables after all were forgotten", len(v.keys), v.tables)
	}
	often()
	for range 2 * mostTables { // that come often
		k = must(GenerateKey())
		sig = must(k.Sign(nil, e[:], Digest))
		often()
		tables := 0
		for _, key := range v.keys {
			if key.table.Load() != nil {
				tables++
			}
		}
		if tables > mostTables || tables != v.tables {
			t.Fatalf("%d tables, counted %d", tables, v.tables)
		}
	}
}

func TestWhatIsNoSM2KeyIsNotRemembered(t *testing.T) {
	p256 := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	good := public(testKey(t))
	off := &ecdsa.PublicKey{Curve: good.Curve, X: good.X, Y: new(big.Int).Add(good.Y, big.NewInt(1))}
	v := new(Verifiers)
	for _, pub := range []*ecdsa.PublicKey{nil, {}, &p256.PublicKey, off} {
		if v.VerifyE(pub, make([]byte, 32), nil) || len(v.keys) != 0 {
			t.Errorf("%v is remembered", pub)
		}
	}
}
