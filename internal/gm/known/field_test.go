package known

import (
	"crypto/rand"
	"math/big"
	"testing"

	"github.com/emmansun/gmsm/sm2"
)

var curve = sm2.P256().Params()

func numberOf(x *big.Int) number { return readNumber((*[32]byte)(x.FillBytes(make([]byte, 32)))) }

// interesting are numbers below 2^256 at which carries, borrows and reductions happen, and some that mean nothing.
func interesting(t testing.TB) (all []*big.Int) {
	t.Helper()
	shift := func(n uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), n) }
	for _, middle := range []*big.Int{shift(0), curve.P, curve.N, shift(256), new(big.Int).Sub(shift(256), curve.P), new(big.Int).Rsh(curve.P, 1)} {
		for d := int64(-3); d <= 3; d++ {
			all = append(all, new(big.Int).Add(middle, big.NewInt(d)))
		}
	}
	for n := uint(0); n < 256; n += 32 {
		ones := new(big.Int).Lsh(new(big.Int).Sub(shift(64), big.NewInt(1)), n)
		all = append(all, shift(n), new(big.Int).Sub(shift(n), big.NewInt(1)), ones, new(big.Int).Sub(new(big.Int).Sub(shift(256), big.NewInt(1)), ones))
	}
	for range 30 {
		x, err := rand.Int(rand.Reader, shift(256))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, x)
	}
	fit := all[:0]
	for _, x := range all {
		if x.Sign() >= 0 && x.BitLen() <= 256 {
			fit = append(fit, x)
		}
	}
	return fit
}

func TestTheFieldIsArithmeticModuloP(t *testing.T) {
	all := interesting(t)
	for _, a := range all {
		for _, b := range all {
			x, y := numberOf(a).element(), numberOf(b).element()
			for name, pair := range map[string]struct {
				f    func(z, x, y *element)
				want *big.Int
			}{
				"mul": {(*element).mul, new(big.Int).Mul(a, b)},
				"add": {(*element).add, new(big.Int).Add(a, b)},
				"sub": {(*element).sub, new(big.Int).Sub(a, b)},
				"sqr": {func(z, x, _ *element) { z.square(x) }, new(big.Int).Mul(a, a)},
			} {
				want := numberOf(pair.want.Mod(pair.want, curve.P))
				var z element
				pair.f(&z, &x, &y)
				left, right := x, y
				pair.f(&left, &left, &y)
				pair.f(&right, &x, &right)
				if z.number() != want || left != z || right != z || !number(z).less(prime) {
					t.Fatalf("%s of %x and %x = %x, %x, %x, want %x", name, a, b, z.number(), left.number(), right.number(), want)
				}
			}
		}
	}
}

// The limbs themselves are interesting, not the numbers they stand for.
func TestTheProductOfRawLimbs(t *testing.T) {
	inverse := new(big.Int).ModInverse(new(big.Int).Lsh(big.NewInt(1), 256), curve.P)
	for _, a := range interesting(t) {
		for _, b := range interesting(t) {
			if a.Cmp(curve.P) >= 0 { // b may be any number, as mul's comment says
				continue
			}
			want := new(big.Int).Mul(a, b)
			want.Mod(want.Mul(want, inverse), curve.P)
			var z element
			x, y := element(numberOf(a)), element(numberOf(b))
			if z.mul(&x, &y); number(z) != numberOf(want) {
				t.Fatalf("%x · %x = %x, want %x", a, b, number(z).big(), want)
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, a := range interesting(t) {
		x := numberOf(a)
		if e := x.element(); e.number() != numberOf(new(big.Int).Mod(a, curve.P)) || x.big().Cmp(a) != 0 {
			t.Errorf("%x there and back = %x, %x", a, e.number(), x.big())
		}
		if e := x.element(); e != (element{}) {
			inverse := e
			inverse.invert()
			if inverse.mul(&inverse, &e); inverse != one {
				t.Errorf("1/%x is wrong", a)
			}
		}
		if got := modOrder(x); got != numberOf(new(big.Int).Mod(a, curve.N)) {
			t.Errorf("%x mod n = %x", a, got)
		}
		if isScalar(x) != (a.Sign() > 0 && a.Cmp(curve.N) < 0) {
			t.Errorf("%x: is scalar %v", a, isScalar(x))
		}
		for _, b := range interesting(t) {
			if numberOf(a).less(numberOf(b)) != (a.Cmp(b) < 0) {
				t.Errorf("%x < %x is wrong", a, b)
			}
			if a.Cmp(curve.N) >= 0 || b.Cmp(curve.N) >= 0 {
				continue
			}
			sum, difference := new(big.Int).Add(a, b), new(big.Int).Sub(a, b)
			if addMod(x, numberOf(b)) != numberOf(sum.Mod(sum, curve.N)) || subMod(x, numberOf(b)) != numberOf(difference.Mod(difference, curve.N)) {
				t.Errorf("%x ± %x modulo n is wrong", a, b)
			}
		}
	}
}

func TestConstants(t *testing.T) {
	for name, pair := range map[string][2]*big.Int{
		"p": {prime.big(), curve.P}, "n": {order.big(), curve.N}, "b": {curveB.big(), curve.B},
		"x of G": {baseX.big(), curve.Gx}, "y of G": {baseY.big(), curve.Gy},
		"2^256": {number(one).big(), new(big.Int).Mod(new(big.Int).Lsh(big.NewInt(1), 256), curve.P)},
		"2^512": {number(squareR).big(), new(big.Int).Mod(new(big.Int).Lsh(big.NewInt(1), 512), curve.P)},
	} {
		if pair[0].Cmp(pair[1]) != 0 {
			t.Errorf("%s = %x, want %x", name, pair[0], pair[1])
		}
	}
}
