package shares

// GF(2^8) modulo x^8+x^4+x^3+x+1 (0x11B). Addition is xor. All functions take the same time whatever the values: no
// branch and no memory access depends on them.

// times multiplies.
func times(a, b byte) byte {
	var product byte
	for range 8 {
		product ^= a & -(b & 1)
		carry := -(a >> 7)
		a = a<<1 ^ 0x1B&carry
		b >>= 1
	}
	return product
}

// inverse returns a^254, which is 1/a, and 0 for 0.
func inverse(a byte) byte {
	square := times(a, a)
	result := square // a^2
	for range 6 {    // a^(2+4+8+…+128) = a^254
		square = times(square, square)
		result = times(result, square)
	}
	return result
}

// evaluate returns the value at x of the polynomial whose coefficients are given from the constant one up (Horner).
func evaluate(coefficients []byte, x byte) (y byte) {
	for i := len(coefficients) - 1; i >= 0; i-- {
		y = times(y, x) ^ coefficients[i]
	}
	return y
}

// weights returns Lagrange's coefficients for the value at 0 of a polynomial known at the points xs, which are different
// and not 0.
func weights(xs []byte) []byte {
	out := make([]byte, len(xs))
	for i, xi := range xs {
		w := byte(1)
		for j, xj := range xs {
			if i != j {
				w = times(w, times(xj, inverse(xj^xi)))
			}
		}
		out[i] = w
	}
	return out
}
