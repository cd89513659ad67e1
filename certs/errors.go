package certs

import (
	"errors"
	"fmt"
)

// What a caller can branch on; every error of this package wraps one of them.
var (
	// ErrMalformed: the bytes are not DER of the expected form, or a field has a forbidden value.
	ErrMalformed = errors.New("malformed")
	// ErrTrailing: further bytes follow the structure. It is an ErrMalformed too.
	ErrTrailing = fmt.Errorf("trailing bytes: %w", ErrMalformed)
	// ErrTooLarge: the input or one of its lists is over the limit of this package.
	ErrTooLarge = errors.New("too large")
	// ErrCurve: the public key is on a curve that we do not take, or the point is not on its curve.
	ErrCurve = errors.New("public key is not on a supported curve")
	// ErrUnsupported: well formed, but of an algorithm or version that this package does not know.
	ErrUnsupported = errors.New("unsupported algorithm")
	// ErrWeak: an algorithm or key size that must not be relied on (RSA below 2048 bits, MD5, SHA-1).
	ErrWeak = errors.New("algorithm or key too weak")
	// ErrSignature: the signature does not verify.
	ErrSignature = errors.New("signature does not verify")
	// ErrWrongID: an SM2 signature that verifies under the empty id, which openssl uses when -sigopt
	// distid:1234567812345678 is left out. It is an ErrSignature too.
	ErrWrongID = fmt.Errorf("SM2 signature was made with the empty id instead of 1234567812345678: %w", ErrSignature)
)

// malformed is an ErrMalformed with words of what was read.
func malformed(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrMalformed)
}
