//lint:file-ignore SA1019 SM2 keys are ecdsa.PublicKey on a curve that the standard library does not know; their coordinates are public and checked here.

package gm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/big"

	"github.com/emmansun/gmsm/sm2"
)

// DefaultID is the signer's identifier of certificates, CRLs, requests, OCSP, CMS, seals and TLCP (GM/T 0009 clause 10).
var DefaultID = []byte("1234567812345678")

// maxIDSize is the largest identifier whose length in bits fits ENTL, two octets (GB/T 32918.2 clause 5.5).
const maxIDSize = 8191

// digestOpts marks the input of Sign as e. It is not comparable to anything a caller could make by accident.
type digestOpts struct{ name string }

func (*digestOpts) HashFunc() crypto.Hash { return 0 }

// The two ways to sign with an SM2 crypto.Signer, of this package or of any device in hsm.
var (
	// Message: the input is the whole message; the signer makes e = SM3(Z_A ‖ message) with DefaultID.
	// It is the pointer that the engine's certificate and CMS code passes, so that tests may use them as an oracle.
	Message crypto.SignerOpts = sm2.DefaultSM2SignerOpts
	// Digest: the input is e, exactly 32 octets.
	Digest crypto.SignerOpts = &digestOpts{"e"}
)

// Errors of the SM2 functions.
var (
	ErrSignOpts   = errors.New("SM2 signer: say gm.Message or gm.Digest; no other options are taken")
	ErrDigestSize = errors.New("SM2 signer: the digest e must be exactly 32 octets")
	ErrKey        = errors.New("not an SM2 key: wrong curve, point off the curve or number out of range")
	ErrSignature  = errors.New("SM2 signature does not verify with the key it was made with")
	ErrCiphertext = errors.New("SM2 ciphertext cannot be decrypted")
	ErrEncoding   = errors.New("not a strict encoding")
)

// PrivateKey is an SM2 private key in memory. It implements crypto.Signer and crypto.Decrypter.
type PrivateKey struct{ k *sm2.PrivateKey }

// GenerateKey makes a new key.
func GenerateKey() (*PrivateKey, error) {
	k, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate SM2 key: %w", err)
	}
	return &PrivateKey{k}, nil
}

// NewPrivateKey takes d, 32 octets big-endian, 1 ≤ d ≤ n−2, and computes the public half.
func NewPrivateKey(d []byte) (*PrivateKey, error) {
	k, err := sm2.NewPrivateKey(d)
	if err != nil {
		return nil, ErrKey
	}
	return &PrivateKey{k}, nil
}

// Bytes returns d, 32 octets big-endian. The caller owns the copy and clears it after use.
func (k *PrivateKey) Bytes() []byte { return k.k.D.FillBytes(make([]byte, 32)) }

// Erase overwrites d, after which the key is of no use. Copies that the runtime or the engine made meanwhile are out of reach.
func (k *PrivateKey) Erase() { clear(k.k.D.Bits()) }

// Public returns the *ecdsa.PublicKey on the SM2 curve.
func (k *PrivateKey) Public() crypto.PublicKey { return &k.k.PublicKey }

// Sign signs m as opts says (Message or Digest) and returns the DER signature. The reader is not used: k comes from crypto/rand.
func (k *PrivateKey) Sign(_ io.Reader, m []byte, opts crypto.SignerOpts) ([]byte, error) {
	e := m
	switch opts {
	case Digest:
		if len(m) != 32 {
			return nil, ErrDigestSize
		}
	case Message:
		var err error
		if e, err = digest(&k.k.PublicKey, DefaultID, m); err != nil {
			return nil, err
		}
	default:
		return nil, ErrSignOpts
	}
	return sm2.SignASN1(rand.Reader, k.k, e, nil)
}

// Decrypt opens a ciphertext in ASN.1 form (GM/T 0009 clause 7.2). Every failure is ErrCiphertext. Options are ignored.
func (k *PrivateKey) Decrypt(_ io.Reader, ciphertext []byte, _ crypto.DecrypterOpts) ([]byte, error) {
	if !strictCiphertext(ciphertext) {
		return nil, ErrCiphertext
	}
	plain, err := sm2.Decrypt(k.k, ciphertext)
	if err != nil {
		return nil, ErrCiphertext
	}
	return plain, nil
}

// Encrypt encrypts 1 to 65,535 octets to pub; the result is in ASN.1 form (GM/T 0009 clause 7.2).
func Encrypt(pub *ecdsa.PublicKey, plain []byte) ([]byte, error) {
	if err := checkKey(pub); err != nil {
		return nil, err
	}
	if len(plain) == 0 || len(plain) > 65535 {
		return nil, errors.New("SM2 encrypt: the plaintext must have 1 to 65,535 octets")
	}
	return sm2.EncryptASN1(rand.Reader, pub, plain)
}

// SignMessage signs msg with any SM2 signer, hashing here on the host, so that 32 octets go to the device. The signature
// is verified before it is returned, here unless the signer is Verifying: a device fault or a stale handle never leaves
// as a signature.
func SignMessage(s crypto.Signer, msg []byte) ([]byte, error) {
	pub, ok := s.Public().(*ecdsa.PublicKey)
	if !ok || !IsSM2(pub) {
		return nil, ErrKey
	}
	e, err := digest(pub, DefaultID, msg)
	if err != nil {
		return nil, err
	}
	sig, err := s.Sign(rand.Reader, e, Digest)
	if err != nil {
		return nil, fmt.Errorf("sign with SM2 key: %w", err)
	}
	if _, verified := s.(Verifying); !verified && !VerifyE(pub, e, sig) {
		return nil, ErrSignature
	}
	return sig, nil
}

// Verify reports whether sig (strict DER) is pub's signature of msg under DefaultID.
func Verify(pub *ecdsa.PublicKey, msg, sig []byte) bool { return VerifyID(pub, DefaultID, msg, sig) }

// VerifyID is Verify with another identifier.
func VerifyID(pub *ecdsa.PublicKey, id, msg, sig []byte) bool {
	e, err := digest(pub, id, msg)
	return err == nil && VerifyE(pub, e, sig)
}

// VerifyE reports whether sig (strict DER) is pub's signature of the digest e, 32 octets.
func VerifyE(pub *ecdsa.PublicKey, e, sig []byte) bool {
	if len(e) != 32 || checkKey(pub) != nil || !strictSignature(sig) {
		return false
	}
	return sm2.VerifyASN1(pub, e, sig)
}

// Z returns Z_A = SM3(ENTL ‖ id ‖ a ‖ b ‖ G ‖ A) (GB/T 32918.2 clause 5.5). An empty id is taken as it is; it is made
// here since the engine puts the default one in its place.
func Z(pub *ecdsa.PublicKey, id []byte) (z [32]byte, err error) {
	if err := checkKey(pub); err != nil {
		return z, err
	}
	if len(id) > maxIDSize {
		return z, fmt.Errorf("SM2 identifier of %d octets, at most %d fit", len(id), maxIDSize)
	}
	curve := pub.Curve.Params()
	a := new(big.Int).Sub(curve.P, big.NewInt(3))
	h := NewSM3()
	h.Write(binary.BigEndian.AppendUint16(nil, uint16(8*len(id))))
	h.Write(id)
	var buf [32]byte
	for _, v := range []*big.Int{a, curve.B, curve.Gx, curve.Gy, pub.X, pub.Y} {
		h.Write(v.FillBytes(buf[:]))
	}
	h.Sum(z[:0])
	return z, nil
}

// E returns the digest that is signed, e = SM3(Z_A ‖ msg).
func E(pub *ecdsa.PublicKey, id, msg []byte) (e [32]byte, err error) {
	z, err := Z(pub, id)
	if err != nil {
		return e, err
	}
	return SM3(z[:], msg), nil
}

// NewE returns a hash that has taken Z_A already: write the message, and Sum gives e.
func NewE(pub *ecdsa.PublicKey, id []byte) (hash.Hash, error) {
	z, err := Z(pub, id)
	if err != nil {
		return nil, err
	}
	h := NewSM3()
	h.Write(z[:])
	return h, nil
}

func digest(pub *ecdsa.PublicKey, id, msg []byte) ([]byte, error) {
	e, err := E(pub, id, msg)
	return e[:], err
}

// IsSM2 reports whether pub is a key on the SM2 curve.
func IsSM2(pub crypto.PublicKey) bool {
	p, ok := pub.(*ecdsa.PublicKey)
	return ok && p != nil && p.Curve == sm2.P256()
}

// PublicKey reads an uncompressed point, 04 ‖ x ‖ y, 65 octets; a point off the curve is ErrKey.
func PublicKey(point []byte) (*ecdsa.PublicKey, error) {
	if len(point) != 65 || point[0] != 4 {
		return nil, ErrKey
	}
	pub, err := sm2.NewPublicKey(point)
	if err != nil {
		return nil, ErrKey
	}
	return pub, nil
}

// Point returns the uncompressed point 04 ‖ x ‖ y of an elliptic-curve key, 65 octets on SM2 and P-256.
func Point(pub *ecdsa.PublicKey) []byte {
	size := (pub.Curve.Params().BitSize + 7) / 8
	p := make([]byte, 1+2*size)
	p[0] = 4
	pub.X.FillBytes(p[1 : 1+size])
	pub.Y.FillBytes(p[1+size:])
	return p
}

func checkKey(pub *ecdsa.PublicKey) error {
	if !IsSM2(pub) || pub.X == nil || pub.Y == nil || pub.X.Sign() < 0 || pub.Y.Sign() < 0 ||
		!pub.Curve.IsOnCurve(pub.X, pub.Y) {
		return ErrKey
	}
	return nil
}
