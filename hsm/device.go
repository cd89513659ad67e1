package hsm

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"strings"
	"time"
)

// Algorithms of keys. A driver refuses those that its device lacks with ErrMechanism.
const (
	SM2     = "sm2"      // GB/T 32918, sign or decrypt
	P256    = "p256"     // ECDSA with SHA-256, sign
	RSA2048 = "rsa2048"  // PKCS#1 v1.5 and PSS with SHA-256, sign
	RSA3072 = "rsa3072"  //
	SM4     = "sm4"      // SM4, wrap
	AES256  = "aes256"   // AES-256-GCM, wrap: the master key of devices without SM4
	HMACSM3 = "hmac-sm3" // HMAC-SM3, mac
)

// Uses of keys.
const (
	UseSign    = "sign"
	UseDecrypt = "decrypt"
	UseWrap    = "wrap"
	UseMAC     = "mac"
)

// uses tells what each algorithm may be used for; the first is taken when a Spec names none.
var uses = map[string][]string{
	SM2: {UseSign, UseDecrypt}, P256: {UseSign}, RSA2048: {UseSign}, RSA3072: {UseSign}, SM4: {UseWrap}, AES256: {UseWrap}, HMACSM3: {UseMAC},
}

// Spec says what key to make. It is an alias of a plain struct, as Info is, so that a consumer can declare the
// same methods in an interface of its own without importing this package.
type Spec = struct {
	Label     string // names the key on this device: a–z, 0–9, '.', '_', '-', at most 100, beginning with a letter or digit
	Algorithm string // SM2, P256, …
	Use       string // UseSign, …; empty = the first that the algorithm has
	Purpose   string // what the key is for, in the words of package keys; kept as text, at most 64 printable ASCII characters
}

// Info is what everybody may know about a key.
type Info = struct {
	Label     string
	Algorithm string
	Use       string
	Purpose   string
	Reference string           // where the driver finds it: file name, token and CKA_ID, index; for showing only
	Public    crypto.PublicKey // *ecdsa.PublicKey (SM2, P-256) or *rsa.PublicKey; nil for SM4, AES-256 and HMAC-SM3
	Created   time.Time        // UTC; zero where the device does not keep it
}

// Device is an opened key store. All methods may be called from many goroutines, also while another closes it:
// what began before is finished, what comes after gets ErrClosed.
//
// A context bounds its call and, for Signer and Decrypter, every operation of the object returned as well, since
// crypto.Signer takes none: ask for a signer under the context in which it will sign. No such operation takes longer than
// OperationTime.
type Device interface {
	Store
	Asymmetric
	Secret
	// Health is nil when the device can work now; otherwise the fault says what is wrong.
	Health(ctx context.Context) error
	// Close ends all use and clears private keys in memory as far as Go allows. Closing twice is no error.
	Close() error
}

// Store makes, lists and destroys keys.
type Store interface {
	// Keys lists the keys by label without opening any private part. A damaged key is left out; Health names it.
	Keys(ctx context.Context) ([]Info, error)
	// Generate makes a key in the device. When it returns, the key survives a crash of host and device.
	// A label in use is ErrExists: a key is never overwritten.
	Generate(ctx context.Context, spec Spec) (Info, error)
	// Destroy removes a key for ever; signers obtained before get ErrNotFound. An unknown label is ErrNotFound.
	Destroy(ctx context.Context, label string) error
}

// Asymmetric gives out the private halves as objects that work, not as keys.
type Asymmetric interface {
	// Signer returns the signer of a key for UseSign. SM2: opts is gm.Message (the input is the whole message) or
	// gm.Digest (e, 32 octets), the result DER. P-256: crypto.SHA256, DER. RSA: crypto.SHA256 (PKCS#1 v1.5) or
	// *rsa.PSSOptions with SHA-256 and a salt of the hash's length. All other options and sizes are ErrMechanism.
	// The reader is not used.
	Signer(ctx context.Context, label string) (crypto.Signer, error)
	// Decrypter returns the decrypter of an SM2 key for UseDecrypt: ciphertext in ASN.1 (GM/T 0009), opts nil.
	// Every ciphertext that does not open is ErrNotAuthentic, whatever the reason.
	Decrypter(ctx context.Context, label string) (crypto.Decrypter, error)
}

// Secret works with symmetric keys that never leave.
type Secret interface {
	// Wrap encrypts data (at most 64 KiB) with authentication under a key for UseWrap; aad is bound, not stored.
	Wrap(ctx context.Context, label string, data, aad []byte) ([]byte, error)
	// Unwrap is the inverse of Wrap; anything changed, another key or another aad is ErrNotAuthentic.
	Unwrap(ctx context.Context, label string, wrapped, aad []byte) ([]byte, error)
	// MAC returns the HMAC-SM3 of data, 32 octets, under a key for UseMAC.
	MAC(ctx context.Context, label string, data []byte) ([]byte, error)
}

// Inside is what a device may offer besides: SM2 signing keys that stand outside, wrapped under one of its keys, and are
// opened within the device for one signature at a time. Their private halves are never in our memory, so that such
// keys are HSM-backed, however many there are. A device, or a master key, that cannot do so answers ErrMechanism.
type Inside interface {
	// GenerateInside makes a key in the device and returns it wrapped under master, a key for UseWrap; the device keeps nothing
	// of it. aad is bound, not stored.
	GenerateInside(ctx context.Context, master string, aad []byte) (wrapped []byte, public *ecdsa.PublicKey, err error)
	// SignInside opens a wrapped key within the device, signs e (32 octets) and lets the device forget it. The result is DER,
	// verified with public. Octets that were changed, another master or another aad are ErrNotAuthentic.
	SignInside(ctx context.Context, master string, wrapped, aad []byte, public *ecdsa.PublicKey, e []byte) ([]byte, error)
}

// MaxWrap is the largest plaintext that Wrap takes, in octets: keys and small secrets, not documents.
const MaxWrap = 64 << 10

// CheckSpec refuses a spec that no driver takes and fills in the use: drivers call it first in Generate.
func CheckSpec(s Spec) (Spec, error) {
	allowed, ok := uses[s.Algorithm]
	if !ok {
		return s, ErrMechanism.With("key %q: algorithm %q", s.Label, s.Algorithm)
	}
	if s.Use == "" {
		s.Use = allowed[0]
	}
	for _, u := range allowed {
		if u == s.Use {
			return s, checkNames(s)
		}
	}
	return s, ErrMechanism.With("key %q: %s cannot be used to %s", s.Label, s.Algorithm, s.Use)
}

func checkNames(s Spec) error {
	if !validLabel(s.Label) {
		return ErrLabel.With("label %q", s.Label)
	}
	if len(s.Purpose) > 64 || strings.ContainsFunc(s.Purpose, func(r rune) bool { return r < ' ' || r > '~' }) {
		return ErrLabel.With("key %q: purpose %q", s.Label, s.Purpose)
	}
	return nil
}

// validLabel reports whether a label can stand as a file name on every system and as CKA_LABEL on every token.
func validLabel(label string) bool {
	if label == "" || len(label) > 100 || strings.ContainsRune("._-", rune(label[0])) {
		return false
	}
	return !strings.ContainsFunc(label, func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || strings.ContainsRune("._-", r))
	})
}
