//lint:file-ignore SA1019 SM2 keys are ecdsa.PublicKey on a curve that the standard library does not know.

package known

import (
	"crypto/ecdsa"
	"crypto/rand"
	"math/big"
	mathrand "math/rand/v2"
	"testing"

	"github.com/emmansun/gmsm/sm2"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// both asks the engine and the table, and fails when they disagree.
func both(t *testing.T, p oracle, key *Key, e, r, s *big.Int) bool {
	t.Helper()
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(r)
		b.AddASN1BigInt(s)
	})
	octets := func(x *big.Int) *[32]byte { return (*[32]byte)(x.FillBytes(make([]byte, 32))) }
	theirs := sm2.VerifyASN1(&ecdsa.PublicKey{Curve: sm2.P256(), X: p.x, Y: p.y}, octets(e)[:], b.BytesOrPanic())
	if ours := key.Verify(octets(e), octets(r), octets(s)); ours != theirs {
		t.Fatalf("key %x %x, e %x, r %x, s %x: %v, the engine says %v", p.x, p.y, e, r, s, ours, theirs)
	}
	return theirs
}

func keyOf(t *testing.T, p oracle) *Key {
	t.Helper()
	key, err := New((*[32]byte)(p.x.FillBytes(make([]byte, 32))), (*[32]byte)(p.y.FillBytes(make([]byte, 32))))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func scalar(t *testing.T) *big.Int {
	t.Helper()
	k, err := rand.Int(rand.Reader, new(big.Int).Sub(curve.N, big.NewInt(1)))
	if err != nil {
		t.Fatal(err)
	}
	return k.Add(k, big.NewInt(1))
}

func modN(x *big.Int) *big.Int { return x.Mod(x, curve.N) }

// fit returns r = t − s, and the e of which r, s is P's signature: e = r − x of s·G + t·P.
func fit(p oracle, s, t *big.Int) (e, r *big.Int) {
	r = modN(new(big.Int).Sub(t, s))
	sum := plus(times(generator, s), times(p, t))
	return modN(new(big.Int).Sub(r, sum.x)), r
}

func TestRandomKeysAndSignatures(t *testing.T) {
	for range 100 {
		p := times(generator, scalar(t))
		key := keyOf(t, p)
		for range 5 {
			s, of := scalar(t), scalar(t)
			e, r := fit(p, s, of)
			if !both(t, p, key, e, r, s) {
				t.Fatal("the test's own signature does not verify")
			}
			if both(t, p, key, s, r, e) || both(t, p, key, e, s, r) || both(t, p, key, e, r, of) {
				t.Fatal("a random signature verifies")
			}
		}
	}
}

func TestOneBitAnywhere(t *testing.T) {
	p := times(generator, scalar(t))
	key, s := keyOf(t, p), scalar(t)
	e, r := fit(p, s, scalar(t))
	flip := func(x *big.Int, bit int) *big.Int { return new(big.Int).SetBit(x, bit, x.Bit(bit)^1) }
	for bit := range 256 {
		if both(t, p, key, flip(e, bit), r, s) || both(t, p, key, e, flip(r, bit), s) || both(t, p, key, e, r, flip(s, bit)) {
			t.Fatalf("bit %d is of no matter", bit)
		}
	}
	if other := times(generator, scalar(t)); both(t, other, keyOf(t, other), e, r, s) {
		t.Error("another key's signature verifies")
	}
}

// All combinations of numbers at the edges, with keys whose multiples meet those of G in every way: s·G = ±t·P and
// infinity among them, at the end and on the way.
func TestEdges(t *testing.T) {
	edges := []*big.Int{new(big.Int), big.NewInt(1), big.NewInt(2), big.NewInt(3), big.NewInt(31), big.NewInt(32), big.NewInt(33), big.NewInt(64)}
	for d := int64(-2); d <= 1; d++ {
		edges = append(edges, new(big.Int).Add(curve.N, big.NewInt(d)))
	}
	edges = append(edges, curve.P, numberMax(), new(big.Int).Rsh(curve.N, 1), scalar(t))
	valid := 0
	for _, d := range []int64{1, -1, 2, -2, 3, 5, 32, -64, 1 << 12} {
		p := times(generator, big.NewInt(d))
		key := keyOf(t, p)
		for _, s := range edges {
			for _, r := range edges {
				sum := plus(times(generator, s), times(p, modN(new(big.Int).Add(r, s))))
				e := modN(new(big.Int).Sub(r, sum.x)) // also when the sum is infinity, whose x counts as 0
				if both(t, p, key, e, r, s) {
					valid++
				}
				for _, e := range []*big.Int{new(big.Int), curve.N, numberMax()} {
					both(t, p, key, e, r, s)
				}
			}
		}
	}
	if valid < 300 {
		t.Errorf("only %d signatures were valid: the test tries the wrong things", valid)
	}
}

func TestMultiplesThatMeetInMidSum(t *testing.T) {
	for range 100 {
		d := big.NewInt(mathrand.Int64N(1<<13) + 2) // with 1 and −1, r would be 0
		if mathrand.IntN(2) == 0 {
			d.Neg(d)
		}
		p := times(generator, d)
		key, of := keyOf(t, p), big.NewInt(mathrand.Int64N(1<<6)+1)
		s := modN(new(big.Int).Neg(new(big.Int).Mul(of, d))) // s·G = −of·P: infinity
		if e, r := fit(p, s, of); both(t, p, key, e, r, s) {
			t.Fatal("infinity was taken for a point")
		}
		s = modN(new(big.Int).Mul(of, d)) // s·G = of·P: doubled
		if e, r := fit(p, s, of); !both(t, p, key, e, r, s) {
			t.Fatal("a point doubled is refused")
		}
		for _, sign := range []int64{-1, 1} { // the low windows of t meet s, the high ones go on from there
			high := new(big.Int).Lsh(big.NewInt(mathrand.Int64N(1<<40)+1), 12+uint(mathrand.IntN(200)))
			s = modN(new(big.Int).Mul(big.NewInt(sign*of.Int64()), d))
			if e, r := fit(p, s, modN(high.Add(high, of))); !both(t, p, key, e, r, s) {
				t.Fatal("a sum that meets on the way is refused")
			}
		}
	}
}

// leadsTo returns the P of which s·G + t·P is sum.
func leadsTo(sum oracle, s, t *big.Int) oracle {
	minus := times(generator, new(big.Int).Sub(curve.N, s))
	return times(plus(sum, minus), new(big.Int).ModInverse(t, curve.N))
}

// The x of R may be n or more: e + x ≡ r then goes for x − n as well. No private key is known that leads there, but a P.
func TestAnXOfNOrMore(t *testing.T) {
	for x, found := new(big.Int).Set(curve.N), 0; found < 20; x.Add(x, big.NewInt(1)) {
		y := yOf(x)
		if y == nil {
			continue
		}
		found++
		s, of := scalar(t), scalar(t)
		p := leadsTo(oracle{x, y}, s, of)
		key, r := keyOf(t, p), modN(new(big.Int).Sub(of, s))
		e := modN(new(big.Int).Sub(r, x))
		if !both(t, p, key, e, r, s) {
			t.Fatalf("x = n + %d is refused", new(big.Int).Sub(x, curve.N))
		}
		if both(t, p, key, modN(e.Add(e, big.NewInt(1))), r, s) {
			t.Fatal("another e is taken")
		}
	}
}

// Were v = x + p − n taken for r − e, v + n would be x modulo p: that is not what the standard compares.
func TestTheOtherXIsNotReducedModuloP(t *testing.T) {
	for x, found := big.NewInt(0), 0; found < 20; x.Add(x, big.NewInt(1)) {
		y := yOf(x)
		if y == nil {
			continue
		}
		found++
		s, of := scalar(t), scalar(t)
		p := leadsTo(oracle{x, y}, s, of)
		key, r := keyOf(t, p), modN(new(big.Int).Sub(of, s))
		v := new(big.Int).Sub(curve.P, curve.N)
		v.Add(v, x)
		if !both(t, p, key, modN(new(big.Int).Sub(r, x)), r, s) || both(t, p, key, modN(v.Sub(r, v)), r, s) {
			t.Fatalf("x = %d", x)
		}
	}
}

func TestAnEOfNOrMoreIsReduced(t *testing.T) {
	for small := range int64(40) {
		for _, r := range []*big.Int{scalar(t), big.NewInt(1), big.NewInt(30)} { // above e − n and below
			e, s := big.NewInt(small), scalar(t)
			x := modN(new(big.Int).Sub(r, e))
			y := yOf(x)
			if y == nil {
				continue
			}
			p := leadsTo(oracle{x, y}, s, modN(new(big.Int).Add(r, s)))
			if key := keyOf(t, p); !both(t, p, key, e, r, s) || !both(t, p, key, e.Add(e, curve.N), r, s) {
				t.Fatalf("e = n + %d is not taken modulo n", small)
			}
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	d, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	p := oracle{d.X, d.Y}
	s, of := big.NewInt(0).SetBytes(d.X.Bytes()), big.NewInt(0).SetBytes(d.Y.Bytes())
	e, r := fit(p, modN(s), modN(of))
	octets := func(x *big.Int) *[32]byte { return (*[32]byte)(x.FillBytes(make([]byte, 32))) }
	e32, r32, s32 := octets(e), octets(r), octets(s)
	key, err := New(octets(p.x), octets(p.y))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("known", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if !key.Verify(e32, r32, s32) {
				b.Fatal("refused")
			}
		}
	})
	b.Run("table", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := New(octets(p.x), octets(p.y)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
