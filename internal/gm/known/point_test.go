//lint:file-ignore SA1019 the engine's affine arithmetic is the oracle.

package known

import (
	"crypto/rand"
	"math/big"
	"testing"

	"github.com/emmansun/gmsm/sm2"
)

// oracle is an affine point as the engine has it; 0, 0 is infinity.
type oracle struct{ x, y *big.Int }

func times(p oracle, k *big.Int) oracle {
	k = new(big.Int).Mod(k, curve.N)
	if k.Sign() == 0 || p.x.Sign() == 0 && p.y.Sign() == 0 {
		return oracle{new(big.Int), new(big.Int)}
	}
	x, y := sm2.P256().ScalarMult(p.x, p.y, k.Bytes())
	return oracle{x, y}
}

func plus(p, q oracle) oracle {
	x, y := sm2.P256().Add(p.x, p.y, q.x, q.y)
	return oracle{x, y}
}

func (p oracle) affine() affine { return affine{numberOf(p.x).element(), numberOf(p.y).element()} }

func (p oracle) is(got point) bool {
	if got.infinite() {
		return p.x.Sign() == 0 && p.y.Sign() == 0
	}
	q := appendAffine(nil, []point{got})[0]
	return q == p.affine()
}

var generator = oracle{curve.Gx, curve.Gy}

// scaled gives the same point another zz and zzz.
func scaled(p affine, by uint64) point {
	z := number{by}.element()
	q := point{x: p.x, y: p.y}
	q.zz.square(&z)
	q.zzz.mul(&q.zz, &z)
	q.x.mul(&q.x, &q.zz)
	q.y.mul(&q.y, &q.zzz)
	return q
}

func TestSmallMultiplesAddUp(t *testing.T) {
	multiples := map[int64]oracle{}
	for i := int64(-16); i <= 16; i++ {
		multiples[i] = times(generator, big.NewInt(i))
	}
	for i := int64(-8); i <= 8; i++ {
		for j := int64(-8); j <= 8; j++ {
			if j == 0 {
				continue // an affine point is never infinite
			}
			for z := uint64(1); z < 4; z++ {
				var p point
				if i != 0 {
					p = scaled(multiples[i].affine(), z)
				}
				q := multiples[j].affine()
				p.add(&q)
				if !multiples[i+j].is(p) {
					t.Fatalf("%d·G + %d·G is wrong with z = %d", i, j, z)
				}
				p.double()
				if want := times(generator, big.NewInt(2*(i+j))); !want.is(p) {
					t.Fatalf("2·%d·G is wrong with z = %d", i+j, z)
				}
			}
		}
	}
}

func TestOnlyPointsOfTheCurveAreKeys(t *testing.T) {
	octets := func(x *big.Int) *[32]byte { return (*[32]byte)(x.FillBytes(make([]byte, 32))) }
	if _, err := New(octets(curve.Gx), octets(curve.Gy)); err != nil {
		t.Fatal(err)
	}
	// x + p stands for the same residue: the y of a point with a small x.
	small, y := new(big.Int), (*big.Int)(nil)
	for y == nil {
		small.Add(small, big.NewInt(1))
		y = yOf(small)
	}
	of1, _ := new(big.Int).SetString("9c17043effe1a805a74a9a5e70b9d659705d3242094a566dc016f49311178d1f", 16) // the x of y = 1
	for _, good := range []oracle{{small, y}, {of1, big.NewInt(1)}} {
		if _, err := New(octets(good.x), octets(good.y)); err != nil {
			t.Fatal(err)
		}
	}
	for name, bad := range map[string]oracle{
		"zeroes":         {new(big.Int), new(big.Int)},
		"off the curve":  {curve.Gx, new(big.Int).Add(curve.Gy, big.NewInt(1))},
		"swapped":        {curve.Gy, curve.Gx},
		"x not below p":  {new(big.Int).Add(small, curve.P), y},
		"all bits":       {numberMax(), numberMax()},
		"y not below p":  {of1, new(big.Int).Add(curve.P, big.NewInt(1))},
		"x and y are p":  {curve.P, curve.P},
		"x of p, y of G": {curve.P, curve.Gy},
	} {
		if _, err := New(octets(bad.x), octets(bad.y)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func numberMax() *big.Int {
	return new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1))
}

// yOf returns a y for x, nil when the curve has no such point.
func yOf(x *big.Int) *big.Int {
	right := new(big.Int).Mul(x, x)
	right.Sub(right, big.NewInt(3))
	right.Mul(right, x)
	right.Add(right, curve.B)
	return right.ModSqrt(right.Mod(right, curve.P), curve.P)
}

func TestTablesMultiply(t *testing.T) {
	scalars := interesting(t)
	for n := uint(0); n < 256; n++ { // windows that are exactly half full, and their neighbours
		scalars = append(scalars, new(big.Int).Lsh(big.NewInt(1), n))
	}
	for _, digit := range []int64{0x1f, 0x20, 0x21, 0x3f} {
		all := new(big.Int)
		for range 42 {
			all.Add(all.Lsh(all, 6), big.NewInt(digit))
		}
		scalars = append(scalars, all)
	}
	d, err := rand.Int(rand.Reader, curve.N)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []oracle{generator, times(generator, d)} {
		q := p.affine()
		for _, width := range []uint{5, keyWidth, baseWidth} {
			table := newTable(&q, width)
			for _, k := range scalars {
				var sum point
				table.add(&sum, numberOf(k))
				if !times(p, k).is(sum) {
					t.Fatalf("%x·P is wrong with windows of %d", k, width)
				}
			}
		}
	}
}
