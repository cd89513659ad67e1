package known

import "errors"

// ErrPoint says that a key is no point of the SM2 curve, or has a coordinate of p or more.
var ErrPoint = errors.New("not a point of the SM2 curve")

// Key is a public key with its table. It does not change and may be used by many at once.
type Key struct{ multiples *table }

// New makes the table of the key x, y (32 octets each, big-endian), which takes about a millisecond and 86 KB.
func New(x, y *[32]byte) (*Key, error) {
	nx, ny := readNumber(x), readNumber(y)
	p := affine{nx.element(), ny.element()}
	if !nx.less(prime) || !ny.less(prime) || !p.onCurve() {
		return nil, ErrPoint
	}
	return &Key{newTable(&p, keyWidth)}, nil
}

// Verify reports whether r, s is the key's signature of e (all 32 octets, big-endian): GB/T 32918.2 clause 7.1, B1, B2 and
// B5 to B7.
func (k *Key) Verify(e, r, s *[32]byte) bool {
	nr, ns := readNumber(r), readNumber(s)
	if !isScalar(nr) || !isScalar(ns) {
		return false
	}
	t := addMod(nr, ns)
	if t == (number{}) {
		return false
	}
	var sum point
	base().add(&sum, ns)
	k.multiples.add(&sum, t)
	return !sum.infinite() && sum.hasX(subMod(nr, modOrder(readNumber(e))))
}

// hasX reports whether the x coordinate of p, which is not infinity, is v modulo n, for v below n. There are two numbers
// below p that are, when v is below p − n.
func (p *point) hasX(v number) bool {
	if p.isX(v) {
		return true
	}
	v, carry := v.add(order)
	return carry == 0 && v.less(prime) && p.isX(v)
}

// isX reports whether the x coordinate is v, below p.
func (p *point) isX(v number) bool {
	x := v.element()
	x.mul(&x, &p.zz)
	return x == p.x
}

// isScalar reports whether 1 ≤ x ≤ n − 1.
func isScalar(x number) bool { return x != number{} && x.less(order) }

// modOrder returns x modulo n; x is below 2^256, which is below 2n.
func modOrder(x number) number {
	if less, borrow := x.sub(order); borrow == 0 {
		return less
	}
	return x
}

// addMod returns x + y modulo n, for both below n.
func addMod(x, y number) number {
	sum, carry := x.add(y)
	if less, borrow := sum.sub(order); carry == 1 || borrow == 0 {
		return less
	}
	return sum
}

// subMod returns x − y modulo n, for both below n.
func subMod(x, y number) number {
	difference, borrow := x.sub(y)
	if borrow == 1 {
		difference, _ = difference.add(order)
	}
	return difference
}
