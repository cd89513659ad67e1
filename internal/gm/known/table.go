package known

import (
	"math/big"
	"sync"
)

// A scalar is read in signed windows: t = Σ d·2^(width·i) with |d| ≤ 2^(width−1). Wider windows are fewer additions and more
// memory, which must stay in the processor's cache to be worth anything; the widths were chosen by measurement. None divides
// 256, so that the last window has room for the carry.
const (
	keyWidth  = 6 // 43 additions, 86 KB for each key
	baseWidth = 7 // 37 additions, 148 KB once
)

// table holds j·2^(width·i)·P for each window i and 1 ≤ j ≤ 2^(width−1). It does not change once it is made.
type table struct {
	width  uint
	points []affine // of one window after the other
}

// base is the table of G.
var base = sync.OnceValue(func() *table { return newTable(&affine{baseX.element(), baseY.element()}, baseWidth) })

// newTable takes about a millisecond.
func newTable(p *affine, width uint) *table {
	windows, half := 256/width+1, 1<<(width-1)
	t := &table{width, make([]affine, 0, int(windows)*half)}
	row := make([]point, half)
	next := *p
	for range windows {
		row[0] = point{next.x, next.y, one, one}
		for j := 1; j < half; j++ {
			row[j] = row[j-1]
			row[j].add(&next)
		}
		t.points = appendAffine(t.points, row)
		top := row[half-1]
		top.double()
		next = appendAffine(nil, []point{top})[0]
	}
	return t
}

// add sets p = p + k·P.
func (t *table) add(p *point, k number) {
	half, carry := 1<<(t.width-1), 0
	for at, row := uint(0), t.points; len(row) > 0; at, row = at+t.width, row[half:] {
		d := k.window(at, t.width) + carry
		carry = 0
		if d > half {
			d, carry = d-2*half, 1
		}
		if d > 0 {
			p.add(&row[d-1])
		} else if d < 0 {
			minus := row[-d-1]
			minus.y.sub(&element{}, &minus.y)
			p.add(&minus)
		}
	}
}

// window returns width bits of k from bit at on, below 256.
func (k *number) window(at, width uint) int {
	limb, shift := at/64, at%64
	v := k[limb] >> shift
	if limb < 3 {
		v |= k[limb+1] << (64 - shift)
	}
	return int(v & (1<<width - 1))
}

// appendAffine turns points, none of them infinite, into affine ones with one inversion for all (Montgomery's trick).
func appendAffine(to []affine, points []point) []affine {
	before, product := make([]element, len(points)), one // before[i] is the product of all zzz left of i
	for i := range points {
		before[i] = product
		product.mul(&product, &points[i].zzz)
	}
	product.invert()
	from := len(to)
	to = append(to, make([]affine, len(points))...)
	for i := len(points) - 1; i >= 0; i-- {
		p, q := &points[i], &to[from+i]
		var z3, z2 element
		z3.mul(&product, &before[i]) // 1/zzz
		product.mul(&product, &p.zzz)
		z2.mul(&z3, &p.zz) // 1/zz = (zz/zzz)², since zz³ = zzz²
		z2.square(&z2)
		q.x.mul(&p.x, &z2)
		q.y.mul(&p.y, &z3)
	}
	return to
}

// invert sets x = 1/x for x ≠ 0.
func (x *element) invert() {
	k := x.number().big()
	k.ModInverse(k, prime.big())
	*x = readNumber((*[32]byte)(k.FillBytes(make([]byte, 32)))).element()
}

func (x number) big() *big.Int {
	b := make([]byte, 32)
	x.write((*[32]byte)(b))
	return new(big.Int).SetBytes(b)
}
