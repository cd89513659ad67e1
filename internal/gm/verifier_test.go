//lint:file-ignore SA1019 SM2 keys are ecdsa.PublicKey on a curve that the standard library does not know.

package gm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"errors"
	"io"
	"math/big"
	"sync"
	"testing"

	"github.com/emmansun/gmsm/sm2"
)

func TestVerifierTakesWhatVerifyETakes(t *testing.T) {
	k := testKey(t)
	v := must(NewVerifier(public(k)))
	e := must(E(public(k), DefaultID, []byte("message digest"))) // GB/T 32918.5 annex A.2
	standard := must(DERSignature(unhex(t, "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3"+"B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA")))
	if !v.VerifyE(e[:], standard) {
		t.Fatal("the signature of the standard does not verify")
	}
	refused := map[string][2][]byte{
		"empty":          {e[:], nil},
		"trailing octet": {e[:], append(bytes.Clone(standard), 0)},
		"long-form size": {e[:], append([]byte{0x30, 0x81, standard[1]}, standard[2:]...)},
		"raw":            {e[:], must(RawSignature(standard))},
		"e too short":    {e[:31], standard},
		"e too long":     {append(e[:], 0), standard},
		"no e":           {nil, standard},
	}
	for name, bad := range refused {
		if v.VerifyE(bad[0], bad[1]) || VerifyE(public(k), bad[0], bad[1]) {
			t.Errorf("%s: taken", name)
		}
	}
	for bit := range 8 * len(standard) {
		bad := bytes.Clone(standard)
		bad[bit/8] ^= 1 << (bit % 8)
		if v.VerifyE(e[:], bad) || VerifyE(public(k), e[:], bad) {
			t.Fatalf("bit %d is of no matter", bit)
		}
	}
}

func TestVerifierRefusesWhatIsNoKey(t *testing.T) {
	good := public(testKey(t))
	off := &ecdsa.PublicKey{Curve: good.Curve, X: good.X, Y: new(big.Int).Add(good.Y, big.NewInt(1))}
	large := &ecdsa.PublicKey{Curve: good.Curve, X: new(big.Int).Lsh(big.NewInt(1), 300), Y: good.Y}
	for name, pub := range map[string]*ecdsa.PublicKey{"nil": nil, "empty": {}, "off the curve": off, "too large": large} {
		if _, err := NewVerifier(pub); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v, want ErrKey", name, err)
		}
	}
}

func TestManyVerifyAtOnce(t *testing.T) {
	k := must(GenerateKey())
	v := must(NewVerifier(public(k)))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			e := SM3([]byte{byte(i)})
			sig := must(k.Sign(nil, e[:], Digest))
			other := SM3([]byte{byte(i), 1})
			for range 100 {
				if !v.VerifyE(e[:], sig) || v.VerifyE(other[:], sig) {
					t.Error("verifiers disturb one another")
					return
				}
			}
		})
	}
	wg.Wait()
}

// trustedSigner says of itself that it verifies.
type trustedSigner struct{ wrongSigner }

func (trustedSigner) VerifiesSignatures() {}

func (s trustedSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return []byte("as it came"), nil
}

func TestWhoVerifiesIsNotVerifiedAgain(t *testing.T) {
	if sig, err := SignMessage(trustedSigner{wrongSigner{pub: testKey(t).Public()}}, nil); err != nil || string(sig) != "as it came" {
		t.Errorf("%q %v", sig, err)
	}
}

// FuzzVerifierAgrees holds the table against the engine: for what comes as it is, and for the e that makes r, s valid.
func FuzzVerifierAgrees(f *testing.F) {
	k := testKey(f)
	e := SM3([]byte("m"))
	f.Add(k.Bytes(), e[:], must(RawSignature(must(k.Sign(nil, e[:], Digest)))))
	n := sm2.P256().Params().N
	for _, d := range []int64{1, 2, 64} {
		r, s := big.NewInt(d), new(big.Int).Sub(n, big.NewInt(d+1)) // t = n − 1
		raw := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		f.Add(big.NewInt(d).FillBytes(make([]byte, 32)), bytes.Repeat([]byte{0xff}, 32), raw)
	}
	f.Fuzz(func(t *testing.T, d, e, raw []byte) {
		k, err := NewPrivateKey(d)
		sig, err2 := DERSignature(raw)
		if err != nil || err2 != nil {
			return
		}
		v := must(NewVerifier(public(k)))
		if got, want := v.VerifyE(e, sig), VerifyE(public(k), e, sig); got != want {
			t.Fatalf("d %x, e %x, r ‖ s %x: %v, the engine says %v", d, e, raw, got, want)
		}
		r, s := new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])
		scalar := new(big.Int).Add(r, s) // s + (r + s)·d
		scalar.Mod(scalar.Add(scalar.Mul(scalar, k.k.D), s), n)
		x := new(big.Int)
		if scalar.Sign() != 0 {
			x, _ = sm2.P256().ScalarBaseMult(scalar.Bytes())
		}
		fitting := x.Mod(x.Sub(r, x), n).FillBytes(make([]byte, 32))
		if got, want := v.VerifyE(fitting, sig), VerifyE(public(k), fitting, sig); got != want {
			t.Fatalf("d %x, e %x, r ‖ s %x: %v, the engine says %v", d, fitting, raw, got, want)
		}
	})
}

func BenchmarkVerifyE(b *testing.B) {
	k := must(GenerateKey())
	e := SM3([]byte("m"))
	sig := must(k.Sign(nil, e[:], Digest))
	v := must(NewVerifier(public(k)))
	for name, verify := range map[string]func() bool{
		"any":   func() bool { return VerifyE(public(k), e[:], sig) },
		"known": func() bool { return v.VerifyE(e[:], sig) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !verify() {
					b.Fatal("refused")
				}
			}
		})
	}
}
