package shares

import "testing"

// slow multiplies polynomials over GF(2) and reduces: the definition, against which times is held for all pairs.
func slow(a, b byte) byte {
	var wide uint16
	for i := range 8 {
		if b>>i&1 == 1 {
			wide ^= uint16(a) << i
		}
	}
	for i := 15; i >= 8; i-- {
		if wide>>i&1 == 1 {
			wide ^= 0x11B << (i - 8)
		}
	}
	return byte(wide)
}

func TestFieldIsTheField(t *testing.T) {
	for a := range 256 {
		for b := range 256 {
			if got, want := times(byte(a), byte(b)), slow(byte(a), byte(b)); got != want {
				t.Fatalf("%d·%d = %d, want %d", a, b, got, want)
			}
		}
		if got := times(byte(a), inverse(byte(a))); a != 0 && got != 1 || a == 0 && got != 0 {
			t.Fatalf("%d·1/%d = %d", a, a, got)
		}
	}
	if got := times(0x57, 0x83); got != 0xC1 { // FIPS 197, 4.2
		t.Errorf("{57}·{83} = %x", got)
	}
}

// Fewer shares than the threshold say nothing: whatever the secret, there is exactly one polynomial through it and the
// shares seen, so that all secrets are equally likely.
func TestFewerSharesFitEverySecret(t *testing.T) {
	seen := map[byte]byte{1: 0x3A, 4: 0xC7} // two of three
	for secret := range 256 {
		third := weights([]byte{1, 4, 5}) // what share 5 must be for this secret
		y := times(byte(secret)^times(third[0], seen[1])^times(third[1], seen[4]), inverse(third[2]))
		got := times(third[0], seen[1]) ^ times(third[1], seen[4]) ^ times(third[2], y)
		if got != byte(secret) {
			t.Fatalf("no share 5 leads to %d", secret)
		}
	}
}
