//go:build cgo

package pkcs11

import (
	"context"
	"crypto"
	"errors"
	"slices"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
	"hufu/internal/gm"
)

// The ways to decrypt with SM2.
const (
	byMechanism = "mechanism" // the vendor's
	byECDH      = "ecdh"      // CKM_ECDH1_DERIVE gives x of d·C1, the rest is done here
)

// Decrypter returns the decrypter of an SM2 key.
func (d *Device) Decrypter(ctx context.Context, label string) (crypto.Decrypter, error) {
	k, err := d.lookup(ctx, label, hsm.UseDecrypt)
	if err != nil {
		return nil, err
	}
	if d.can.decrypt == "" {
		return nil, hsm.ErrMechanism.With("token %s cannot decrypt with SM2", d.cfg.Token)
	}
	open := func(ctx context.Context, der []byte) ([]byte, error) {
		wrong := hsm.ErrNotAuthentic.With("decrypt with key %q", label)
		c, err := gm.ParseCiphertext(slices.Clone(der))
		if err != nil {
			return nil, wrong
		}
		der = slices.Clone(der)
		plain, err := run(ctx, d, "decrypt with key "+label, func(s *session) ([]byte, error) { return s.decryptWith(k, der, c) }, nil)
		if errors.Is(err, hsm.ErrNotAuthentic) {
			return nil, wrong
		}
		return plain, err
	}
	return hsm.NewDecrypter(ctx, label, k.info.Public, open), nil
}

// decryptWith decrypts; when that fails it looks whether the handle still means the key.
func (s *session) decryptWith(k *key, der []byte, c gm.Ciphertext) ([]byte, error) {
	h, err := s.at(k)
	if err != nil {
		return nil, err
	}
	plain, err := s.decryptSM2(h, der, c, s.d.can.cipherForm)
	if errors.Is(err, hsm.ErrNotAuthentic) {
		if moved := s.moved(k, h); moved != nil {
			return nil, moved
		}
	}
	return plain, err
}

// decryptSM2 returns the plaintext, hsm.ErrNotAuthentic where the ciphertext does not open, or the device's failure.
func (s *session) decryptSM2(h p11.ObjectHandle, der []byte, c gm.Ciphertext, form string) ([]byte, error) {
	if s.d.can.decrypt == byECDH {
		return s.decryptShared(h, c)
	}
	data := der
	switch form {
	case formC1C3C2:
		data = slices.Concat(c.C1, c.C3, c.C2)
	case formC1C2C3:
		data = slices.Concat(c.C1, c.C2, c.C3)
	}
	if most := s.d.profile.MaxMessage; most > 0 && len(data) > most {
		return nil, hsm.ErrMechanism.With("a ciphertext of %d octets: the device takes %d", len(data), most)
	}
	plain, err := s.decrypt(p11.NewMechanism(s.d.profile.Codes.SM2Decrypt, nil), h, data)
	if err == nil && len(plain) != len(c.C2) {
		return nil, hsm.ErrNotAuthentic.With("%d octets of plaintext in %d of ciphertext", len(plain), len(c.C2))
	}
	return plain, err
}

// decrypt is one operation of the device. Most failures of the last call mean that the data does not open: devices have many words
// for that. Those of the classes of recovery mean what they say.
func (s *session) decrypt(m *p11.Mechanism, h p11.ObjectHandle, data []byte) ([]byte, error) {
	if err := s.lib.DecryptInit(s.h, []*p11.Mechanism{m}, h); err != nil {
		return nil, step("C_DecryptInit", err)
	}
	plain, err := s.lib.Decrypt(s.h, data)
	if err != nil && s.d.profile.classOf(err) == classNone {
		return nil, hsm.ErrNotAuthentic.With("C_Decrypt: %w", err)
	}
	return plain, step("C_Decrypt", err)
}

// decryptShared lets the device multiply C1 by d and does the rest on the host; the device shows x alone. The shared secret of
// this one ciphertext is in memory for a moment, the private key never.
func (s *session) decryptShared(h p11.ObjectHandle, c gm.Ciphertext) ([]byte, error) {
	point := c.C1
	if s.d.can.wrappedPoint {
		point = append([]byte{0x04, byte(len(point))}, point...)
	}
	params := p11.NewECDH1DeriveParams(p11.CKD_NULL, nil, point)
	template := s.d.profile.without([]*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY), p11.NewAttribute(p11.CKA_KEY_TYPE, p11.CKK_GENERIC_SECRET),
		p11.NewAttribute(p11.CKA_TOKEN, false), p11.NewAttribute(p11.CKA_SENSITIVE, false), p11.NewAttribute(p11.CKA_EXTRACTABLE, true),
		p11.NewAttribute(p11.CKA_VALUE_LEN, 32),
	})
	shared, err := s.lib.DeriveKey(s.h, []*p11.Mechanism{p11.NewMechanism(p11.CKM_ECDH1_DERIVE, params)}, h, template)
	if err != nil {
		return nil, step("C_DeriveKey", err)
	}
	attrs, err := s.read(shared, p11.CKA_VALUE)
	s.forget(shared)
	if err != nil {
		return nil, err
	}
	x := attrs[p11.CKA_VALUE]
	defer clear(x)
	plain, err := gm.OpenShared(c, x)
	if err != nil {
		return nil, hsm.ErrNotAuthentic.With("shared secret")
	}
	return plain, nil
}

// forget destroys a session object; a session that cannot is not used again, since the object ends with it.
func (s *session) forget(h p11.ObjectHandle) {
	if s.lib.DestroyObject(s.h, h) != nil {
		s.broken = true
	}
}
