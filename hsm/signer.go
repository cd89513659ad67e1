package hsm

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"io"
	"time"

	"hufu/internal/gm"
)

// SignDigest is what a driver brings for each signing key: it signs a digest (SM2: e; else SHA-256) with a key. opts is gm.Digest, crypto.SHA256 or
// *rsa.PSSOptions. The result is DER for SM2 and P-256.
type SignDigest func(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error)

// OperationTime is the most that one signature or decryption may take: the context of a long-lived signer has no end of its own.
const OperationTime = 10 * time.Second

// signer stands before every driver's SignDigest: it refuses wrong input, hashes on the host and withholds wrong signatures.
type signer struct {
	ctx   context.Context // of the call to Device.Signer, since crypto.Signer takes none
	label string
	pub   crypto.PublicKey
	known *gm.Verifiers
	sign  SignDigest
}

// Signers makes the signers of one device, and remembers which SM2 keys sign often: their signatures are verified faster.
// The zero value is ready.
type Signers struct{ known gm.Verifiers }

// NewSigner puts the checks that all drivers share before a driver's signing: the input of Asymmetric.Signer and nothing
// else, hashing on the host, and no signature leaves that pub does not verify. It works until ctx ends.
func (s *Signers) NewSigner(ctx context.Context, label string, pub crypto.PublicKey, sign SignDigest) crypto.Signer {
	return &signer{ctx, label, pub, &s.known, sign}
}

func (s *signer) Public() crypto.PublicKey { return s.pub }

// VerifiesSignatures tells whoever would verify them once more (gm.Verifying).
func (*signer) VerifiesSignatures() {}

func (s *signer) Sign(_ io.Reader, input []byte, opts crypto.SignerOpts) ([]byte, error) {
	digest, opts, err := s.prepare(input, opts)
	if err != nil {
		return nil, err
	}
	if err := s.ctx.Err(); err != nil {
		return nil, ErrUnavailable.With("sign with key %q: %w", s.label, err)
	}
	ctx, cancel := context.WithTimeout(s.ctx, OperationTime)
	defer cancel()
	sig, err := s.sign(ctx, digest, opts)
	if err != nil {
		return nil, err
	}
	if !s.verifies(digest, opts, sig) {
		return nil, ErrSignature.With("key %q", s.label)
	}
	return sig, nil
}

// SignMessage hashes msg as the key's algorithm wants and signs it (crypto.MessageSigner). opts is as for Sign.
func (s *signer) SignMessage(_ io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	if gm.IsSM2(s.pub) {
		if opts != gm.Message {
			return nil, ErrMechanism.With("sign message with SM2 key %q: say gm.Message", s.label)
		}
		return s.Sign(nil, msg, opts)
	}
	sum := sha256.Sum256(msg)
	return s.Sign(nil, sum[:], opts)
}

// prepare returns what goes to the device: the digest and normal options.
func (s *signer) prepare(input []byte, opts crypto.SignerOpts) ([]byte, crypto.SignerOpts, error) {
	if gm.IsSM2(s.pub) && opts == gm.Message {
		e, err := gm.E(s.pub.(*ecdsa.PublicKey), gm.DefaultID, input)
		return e[:], gm.Digest, err
	}
	if !accepts(s.pub, opts) {
		return nil, nil, ErrMechanism.With("sign with key %q: options %T are not taken", s.label, opts)
	}
	if len(input) != 32 {
		return nil, nil, ErrMechanism.With("sign with key %q: digest of %d octets, want 32", s.label, len(input))
	}
	return input, opts, nil
}

// accepts reports whether opts are allowed for a digest under pub.
func accepts(pub crypto.PublicKey, opts crypto.SignerOpts) bool {
	if gm.IsSM2(pub) {
		return opts == gm.Digest
	}
	if opts == crypto.SHA256 {
		return true
	}
	pss, ok := opts.(*rsa.PSSOptions)
	_, isRSA := pub.(*rsa.PublicKey)
	return ok && isRSA && pss != nil && pss.Hash == crypto.SHA256 &&
		(pss.SaltLength == rsa.PSSSaltLengthEqualsHash || pss.SaltLength == sha256.Size)
}

// verifies reports whether sig is the key's signature of the digest.
func (s *signer) verifies(digest []byte, opts crypto.SignerOpts, sig []byte) bool {
	switch pub := s.pub.(type) {
	case *ecdsa.PublicKey:
		if gm.IsSM2(pub) {
			return s.known.VerifyE(pub, digest, sig)
		}
		return ecdsa.VerifyASN1(pub, digest, sig)
	case *rsa.PublicKey:
		if pss, ok := opts.(*rsa.PSSOptions); ok {
			return rsa.VerifyPSS(pub, crypto.SHA256, digest, sig, pss) == nil
		}
		return rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest, sig) == nil
	}
	return false
}

// decrypter stands before every driver's decryption.
type decrypter struct {
	ctx   context.Context
	label string
	pub   crypto.PublicKey
	open  func(ctx context.Context, ciphertext []byte) ([]byte, error)
}

// NewDecrypter puts the checks that all drivers share before a driver's decryption, which answers every ciphertext that does
// not open with ErrNotAuthentic. It works until ctx ends.
func NewDecrypter(ctx context.Context, label string, pub crypto.PublicKey, open func(ctx context.Context, ciphertext []byte) ([]byte, error)) crypto.Decrypter {
	return &decrypter{ctx, label, pub, open}
}

func (d *decrypter) Public() crypto.PublicKey { return d.pub }

func (d *decrypter) Decrypt(_ io.Reader, ciphertext []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	if opts != nil {
		return nil, ErrMechanism.With("decrypt with key %q: options %T are not taken", d.label, opts)
	}
	if err := d.ctx.Err(); err != nil {
		return nil, ErrUnavailable.With("decrypt with key %q: %w", d.label, err)
	}
	ctx, cancel := context.WithTimeout(d.ctx, OperationTime)
	defer cancel()
	return d.open(ctx, ciphertext)
}
