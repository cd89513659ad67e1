package known

import (
	"encoding/binary"
	"math/bits"
)

// element is a number x modulo p as x·2^256 mod p (Montgomery's form), fully reduced, the lowest limb first. Numbers that
// are not in this form have the type number.
type element number

// number is a natural number below 2^256, the lowest limb first.
type number [4]uint64

// The recommended curve (GB/T 32918.5): y² = x³ − 3x + b modulo p = 2^256 − 2^224 − 2^96 + 2^64 − 1, of prime order n.
var (
	prime  = number{0xffffffffffffffff, 0xffffffff00000000, 0xffffffffffffffff, 0xfffffffeffffffff}
	order  = number{0x53bbf40939d54123, 0x7203df6b21c6052b, 0xffffffffffffffff, 0xfffffffeffffffff}
	curveB = number{0xddbcbd414d940e93, 0xf39789f515ab8f92, 0x4d5a9e4bcf6509a7, 0x28e9fa9e9d9f5e34}
	baseX  = number{0x715a4589334c74c7, 0x8fe30bbff2660be1, 0x5f9904466a39c994, 0x32c4ae2c1f198119}
	baseY  = number{0x02df32e52139f0a0, 0xd0a9877cc62a4740, 0x59bdcee36b692153, 0xbc3736a2f4f6779c}

	one     = element{0x0000000000000001, 0x00000000ffffffff, 0x0000000000000000, 0x0000000100000000} // 2^256 mod p
	squareR = element{0x0000000200000003, 0x00000002ffffffff, 0x0000000100000001, 0x0000000400000002} // 2^512 mod p
)

// readNumber takes 32 octets, big-endian.
func readNumber(b *[32]byte) number {
	return number{binary.BigEndian.Uint64(b[24:]), binary.BigEndian.Uint64(b[16:]), binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[:])}
}

// write puts x into 32 octets, big-endian.
func (x number) write(b *[32]byte) {
	for i, limb := range x {
		binary.BigEndian.PutUint64(b[24-8*i:], limb)
	}
}

// add returns x + y modulo 2^256, and the carry.
func (x number) add(y number) (z number, carry uint64) {
	z[0], carry = bits.Add64(x[0], y[0], 0)
	z[1], carry = bits.Add64(x[1], y[1], carry)
	z[2], carry = bits.Add64(x[2], y[2], carry)
	z[3], carry = bits.Add64(x[3], y[3], carry)
	return z, carry
}

// sub returns x − y modulo 2^256, and the borrow, which says that x < y.
func (x number) sub(y number) (z number, borrow uint64) {
	z[0], borrow = bits.Sub64(x[0], y[0], 0)
	z[1], borrow = bits.Sub64(x[1], y[1], borrow)
	z[2], borrow = bits.Sub64(x[2], y[2], borrow)
	z[3], borrow = bits.Sub64(x[3], y[3], borrow)
	return z, borrow
}

func (x number) less(y number) bool {
	_, borrow := x.sub(y)
	return borrow == 1
}

// element returns x, below 2^256, modulo p.
func (x number) element() (z element) {
	z.mul(&squareR, (*element)(&x))
	return z
}

// number returns the number, below p, that x stands for.
func (x *element) number() number {
	var z element
	z.mul(x, &element{1})
	return number(z)
}

// add sets z = x + y.
func (z *element) add(x, y *element) {
	t0, c := bits.Add64(x[0], y[0], 0)
	t1, c := bits.Add64(x[1], y[1], c)
	t2, c := bits.Add64(x[2], y[2], c)
	t3, c := bits.Add64(x[3], y[3], c)
	z.reduce(t0, t1, t2, t3, c)
}

// sub sets z = x − y.
func (z *element) sub(x, y *element) {
	t0, b := bits.Sub64(x[0], y[0], 0)
	t1, b := bits.Sub64(x[1], y[1], b)
	t2, b := bits.Sub64(x[2], y[2], b)
	t3, b := bits.Sub64(x[3], y[3], b)
	m := -b // all ones when p is to be added
	z[0], b = bits.Add64(t0, m, 0)
	z[1], b = bits.Add64(t1, m<<32, b)
	z[2], b = bits.Add64(t2, m, b)
	z[3], _ = bits.Add64(t3, m&0xfffffffeffffffff, b)
}

// reduce sets z to the number of the five limbs, which is below 2p, less p where needed.
func (z *element) reduce(t0, t1, t2, t3, t4 uint64) {
	s0, b := bits.Sub64(t0, 0xffffffffffffffff, 0)
	s1, b := bits.Sub64(t1, 0xffffffff00000000, b)
	s2, b := bits.Sub64(t2, 0xffffffffffffffff, b)
	s3, b := bits.Sub64(t3, 0xfffffffeffffffff, b)
	_, b = bits.Sub64(t4, 0, b)
	m := -b // all ones when the number stays
	z[0] = s0 ^ (s0^t0)&m
	z[1] = s1 ^ (s1^t1)&m
	z[2] = s2 ^ (s2^t2)&m
	z[3] = s3 ^ (s3^t3)&m
}

// square sets z = x².
func (z *element) square(x *element) { z.mul(x, x) }

// mul sets z = x·y: Montgomery's product x·y/2^256 modulo p, for x below p and y any number below 2^256. Since p ≡ −1 modulo
// 2^64, what cancels the lowest limb m is m·p itself, and (m·p + m)/2^64 = m·(2^192 − 2^160 − 2^32 + 1) takes shifts and
// subtractions only. Between rounds t is below x + p; x·2^64 + p has five limbs.
func (z *element) mul(x, y *element) {
	x0, x1, x2, x3 := x[0], x[1], x[2], x[3]
	var t0, t1, t2, t3, t4, c uint64
	for i := range y {
		h0, l0 := bits.Mul64(x0, y[i])
		h1, l1 := bits.Mul64(x1, y[i])
		h2, l2 := bits.Mul64(x2, y[i])
		h3, l3 := bits.Mul64(x3, y[i])
		t0, c = bits.Add64(t0, l0, 0)
		t1, c = bits.Add64(t1, l1, c)
		t2, c = bits.Add64(t2, l2, c)
		t3, c = bits.Add64(t3, l3, c)
		t4 += c
		t1, c = bits.Add64(t1, h0, 0)
		t2, c = bits.Add64(t2, h1, c)
		t3, c = bits.Add64(t3, h2, c)
		t4 += h3 + c

		low, high := t0<<32, t0>>32
		m0, b := bits.Sub64(t0, low, 0)
		m1, b := bits.Sub64(0, high, b)
		m2, b := bits.Sub64(0, low, b)
		m3, _ := bits.Sub64(t0, high, b)
		t0, c = bits.Add64(t1, m0, 0)
		t1, c = bits.Add64(t2, m1, c)
		t2, c = bits.Add64(t3, m2, c)
		t3, c = bits.Add64(t4, m3, c)
		t4 = c
	}
	z.reduce(t0, t1, t2, t3, t4)
}
