package sdf

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"io"

	"hufu/hsm"
)

// lookup returns the living key of a label that is made for use.
func (d *Device) lookup(ctx context.Context, label, use string) (assignment, error) {
	if err := d.begin(ctx); err != nil {
		return assignment{}, err
	}
	all, err := d.file.read()
	if err != nil {
		return assignment{}, err
	}
	k := all.find(label)
	if k == nil {
		return assignment{}, hsm.ErrNotFound.With("key %q", label)
	}
	if k.Use != use {
		return assignment{}, hsm.ErrMechanism.With("key %q is made to %s, not to %s", label, k.Use, use)
	}
	return *k, nil
}

// lives refuses a key that was destroyed since k was looked up, also by another process, even if its label lives again.
func (d *Device) lives(k assignment) error {
	all, err := d.file.read()
	if err != nil {
		return err
	}
	if now := all.find(k.Label); now == nil || *now != k {
		return hsm.ErrNotFound.With("key %q was destroyed", k.Label)
	}
	return nil
}

// private prepares the session for a use of a private key: the public half is the one remembered, and the right is there.
func (s *session) private(k assignment) error {
	if err := s.compare(k); err != nil {
		return err
	}
	return s.right(place{k.Kind, k.Index})
}

// Signer returns the signer of a key.
func (d *Device) Signer(ctx context.Context, label string) (crypto.Signer, error) {
	k, err := d.lookup(ctx, label, hsm.UseSign)
	if err != nil {
		return nil, err
	}
	pub, err := k.public()
	if err != nil {
		return nil, hsm.ErrDamaged.With("assignments: key %q: %w", label, err)
	}
	sign := func(ctx context.Context, e []byte, _ crypto.SignerOpts) ([]byte, error) {
		e = bytes.Clone(e) // a call may read it after its caller has left
		if err := d.lives(k); err != nil {
			return nil, err
		}
		sig, err := work(ctx, d, func(s *session) ([]byte, error) {
			if err := s.private(k); err != nil {
				return nil, err
			}
			return s.sign(k.Index, e)
		})
		return sig, translate(err, "sign with key %q", label)
	}
	return &signer{d.signers.NewSigner(ctx, label, pub, sign), d, k}, nil
}

// signer looks at the key anew after a wrong signature: another one may have been put behind its index.
type signer struct {
	crypto.Signer
	device *Device
	key    assignment
}

// VerifiesSignatures is of gm.Verifying.
func (*signer) VerifiesSignatures() {}

func (s *signer) Sign(r io.Reader, input []byte, opts crypto.SignerOpts) ([]byte, error) {
	sig, err := s.Signer.Sign(r, input, opts)
	return sig, s.look(err)
}

// SignMessage hashes msg and signs it (crypto.MessageSigner).
func (s *signer) SignMessage(r io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	sig, err := crypto.SignMessage(s.Signer, r, msg, opts)
	return sig, s.look(err)
}

func (s *signer) look(err error) error {
	if errors.Is(err, hsm.ErrSignature) {
		s.device.suspect(s.key)
	}
	return err
}

// sign signs e, 32 octets, and returns DER.
func (s *session) sign(index uint32, e []byte) ([]byte, error) {
	b := room(sigRoom)
	if err := check("SDF_InternalSign_ECC", s.d.lib.sign(s.handle, index, e, b)); err != nil {
		return nil, err
	}
	return s.d.layout().signature(b)
}

// Decrypter returns the decrypter of a key.
func (d *Device) Decrypter(ctx context.Context, label string) (crypto.Decrypter, error) {
	k, err := d.lookup(ctx, label, hsm.UseDecrypt)
	if err != nil {
		return nil, err
	}
	pub, err := k.public()
	if err != nil {
		return nil, hsm.ErrDamaged.With("assignments: key %q: %w", label, err)
	}
	return hsm.NewDecrypter(ctx, label, pub, func(ctx context.Context, ciphertext []byte) ([]byte, error) {
		if err := d.lives(k); err != nil {
			return nil, err
		}
		ciphertext = bytes.Clone(ciphertext) // as above
		plain, err := work(ctx, d, func(s *session) ([]byte, error) {
			if err := s.private(k); err != nil {
				return nil, err
			}
			return s.decrypt(k.Index, ciphertext)
		})
		return plain, notAuthentic(err, "decrypt with key %q", label)
	}), nil
}

// decrypt opens a ciphertext in ASN.1.
func (s *session) decrypt(index uint32, ciphertext []byte) ([]byte, error) {
	cipher, size, err := s.d.layout().cipher(ciphertext, s.d.cfg.Layout.MaxCipher)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, size+cipherTail)
	form := decryptForm{s.d.cfg.Layout.DecryptBare, s.d.cfg.Algorithms.SM2Encrypt}
	n, code := s.d.lib.decrypt(s.handle, index, form, cipher, plain)
	if err := check("SDF_InternalDecrypt_ECC", code); err != nil {
		return nil, err
	}
	if int(n) != size {
		return nil, hsm.ErrUnavailable.With("SDF: %d octets for a ciphertext of %d", n, size)
	}
	return plain[:n:n], nil
}

// notAuthentic makes one refusal of everything that a device may say of data that it does not like, so that nobody learns
// from the difference. A failure that came twice, the second time in a fresh session, was the data's too.
func notAuthentic(err error, format string, args ...any) error {
	f := (*failure)(nil)
	if errors.As(err, &f) && (f.class() == classData || f.class() == classDoubt) || errors.Is(err, hsm.ErrNotAuthentic) {
		return hsm.ErrNotAuthentic.With(format, args...)
	}
	return translate(err, format, args...)
}

// Wrap seals data under a key derived within the device (hsm.SealDerived).
func (d *Device) Wrap(ctx context.Context, label string, data, aad []byte) ([]byte, error) {
	k, err := d.lookup(ctx, label, hsm.UseWrap)
	if err != nil {
		return nil, err
	}
	if len(data) > hsm.MaxWrap {
		return nil, hsm.ErrMechanism.With("wrap %d octets with key %q: at most %d", len(data), label, hsm.MaxWrap)
	}
	return hsm.SealDerived(d.encrypter(ctx, k), data, aad)
}

// Unwrap opens what Wrap sealed.
func (d *Device) Unwrap(ctx context.Context, label string, wrapped, aad []byte) ([]byte, error) {
	k, err := d.lookup(ctx, label, hsm.UseWrap)
	if err != nil {
		return nil, err
	}
	return hsm.OpenDerived(d.encrypter(ctx, k), wrapped, aad)
}

// encrypter returns the device's block encryption under a wrap key.
func (d *Device) encrypter(ctx context.Context, k assignment) hsm.EncryptBlocks {
	return func(blocks []byte) ([]byte, error) {
		mode, err := d.symmetric(ctx)
		if err != nil {
			return nil, translate(err, "wrap with key %q", k.Label)
		}
		out, err := work(ctx, d, func(s *session) ([]byte, error) {
			key, err := s.open(k, mode.chained)
			if err != nil {
				return nil, err
			}
			return s.blocks(key, mode.chained, blocks)
		})
		return out, translate(err, "wrap with key %q", k.Label)
	}
}

// MAC is not offered: no key of this driver is for UseMAC.
func (d *Device) MAC(ctx context.Context, label string, _ []byte) ([]byte, error) {
	_, err := d.lookup(ctx, label, hsm.UseMAC)
	return nil, err
}
