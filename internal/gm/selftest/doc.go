// Package selftest decides at start-up whether the national algorithms may be
// trusted: each known answer of the standards is computed by two independent
// implementations, and each verifies and decrypts what the other made with a
// throw-away key. A flipped bit must fail in both. When anything disagrees, the
// server does not start.
//
// The second implementation, tjfoc/gmsm, sees public vectors and throw-away
// keys only: its arithmetic is not constant-time and its parsers are lenient.
package selftest
