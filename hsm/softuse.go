package hsm

import (
	"context"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"

	"hufu/internal/gm"
)

// private opens the private part at its first use. The caller holds Soft.mu for reading.
func (k *softKey) private(m masters) (*opened, error) {
	k.once.Do(func() {
		plain, err := k.file.open(m)
		if err == nil {
			defer clear(plain)
			k.open, err = parsePrivate(k.info.Algorithm, plain, k.info.Public)
		}
		if err != nil {
			k.err = ErrDamaged.With("key %q: %w", k.info.Label, err)
		}
	})
	return k.open, k.err
}

// forget ends a key. Go gives no way to clear the numbers inside crypto/ecdsa and crypto/rsa keys; they are let go.
// The caller holds Soft.mu for writing.
func (k *softKey) forget() {
	k.gone = true
	k.once.Do(func() {})
	if k.open != nil {
		clear(k.open.secret)
		k.open = nil
	}
}

// find returns a key of the wanted use. The caller holds mu.
func (s *Soft) find(ctx context.Context, label, use string) (*softKey, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	if err := s.damaged[label]; err != nil {
		return nil, err
	}
	key := s.keys[label]
	if key == nil {
		return nil, ErrNotFound.With("key %q", label)
	}
	if key.info.Use != use {
		return nil, ErrMechanism.With("key %q is made to %s, not to %s", label, key.info.Use, use)
	}
	return key, nil
}

// work runs f with the key's private part, unless the key was destroyed or the store closed.
func (s *Soft) work(ctx context.Context, key *softKey, f func(*opened) ([]byte, error)) ([]byte, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	if key.gone {
		return nil, ErrNotFound.With("key %q was destroyed", key.info.Label)
	}
	private, err := key.private(s.masters)
	if err != nil {
		return nil, err
	}
	return f(private)
}

// lookup is find with the lock taken, and with the private part opened, so that damage shows now and not at the first use.
func (s *Soft) lookup(ctx context.Context, label, use string) (*softKey, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	key, err := s.find(ctx, label, use)
	if err != nil {
		return nil, err
	}
	_, err = key.private(s.masters)
	return key, err
}

// Signer returns the signer of a key.
func (s *Soft) Signer(ctx context.Context, label string) (crypto.Signer, error) {
	key, err := s.lookup(ctx, label, UseSign)
	if err != nil {
		return nil, err
	}
	sign := func(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
		return s.work(ctx, key, func(o *opened) ([]byte, error) {
			sig, err := o.signer.Sign(rand.Reader, digest, opts)
			if err != nil {
				return nil, ErrUnavailable.With("sign with key %q: %w", label, err)
			}
			return sig, nil
		})
	}
	return s.signers.NewSigner(ctx, label, key.info.Public, sign), nil
}

// Decrypter returns the decrypter of a key.
func (s *Soft) Decrypter(ctx context.Context, label string) (crypto.Decrypter, error) {
	key, err := s.lookup(ctx, label, UseDecrypt)
	if err != nil {
		return nil, err
	}
	open := func(ctx context.Context, ciphertext []byte) ([]byte, error) {
		return s.work(ctx, key, func(o *opened) ([]byte, error) {
			plain, err := o.sm2.Decrypt(nil, ciphertext, nil)
			if err != nil {
				return nil, ErrNotAuthentic.With("decrypt with key %q", label)
			}
			return plain, nil
		})
	}
	return NewDecrypter(ctx, label, key.info.Public, open), nil
}

// Wrap seals data with SM4-GCM or AES-256-GCM, after a random nonce of 12 octets.
func (s *Soft) Wrap(ctx context.Context, label string, data, aad []byte) ([]byte, error) {
	if len(data) > MaxWrap {
		return nil, ErrMechanism.With("wrap %d octets with key %q: at most %d", len(data), label, MaxWrap)
	}
	return s.secret(ctx, label, UseWrap, func(key []byte) ([]byte, error) {
		if len(key) == gm.KeySize {
			return gm.Seal(key, data, aad)
		}
		aead, err := aesGCM(key)
		if err != nil {
			return nil, err
		}
		return aead.Seal(nil, nil, data, aad), nil
	})
}

// aesGCM returns AES-256-GCM with the random nonce that it draws itself before the ciphertext.
func aesGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, ErrUnavailable.With("AES key of %d octets: %w", len(key), err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Unwrap opens what Wrap sealed.
func (s *Soft) Unwrap(ctx context.Context, label string, wrapped, aad []byte) ([]byte, error) {
	return s.secret(ctx, label, UseWrap, func(key []byte) ([]byte, error) {
		var data []byte
		aead, err := aesGCM(key)
		switch {
		case len(key) == gm.KeySize:
			data, err = gm.Open(key, wrapped, aad)
		case err == nil:
			data, err = aead.Open(nil, nil, wrapped, aad)
		}
		if err != nil {
			return nil, ErrNotAuthentic.With("unwrap with key %q", label)
		}
		return data, nil
	})
}

// MAC returns an HMAC-SM3.
func (s *Soft) MAC(ctx context.Context, label string, data []byte) ([]byte, error) {
	return s.secret(ctx, label, UseMAC, func(key []byte) ([]byte, error) {
		tag := gm.HMAC(key, data)
		return tag[:], nil
	})
}

func (s *Soft) secret(ctx context.Context, label, use string, f func(key []byte) ([]byte, error)) ([]byte, error) {
	key, err := s.lookup(ctx, label, use)
	if err != nil {
		return nil, err
	}
	return s.work(ctx, key, func(o *opened) ([]byte, error) { return f(o.secret) })
}

var _ Device = (*Soft)(nil)
