//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"slices"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
)

// The first octet of what Wrap returns says how it was made, so that a device that learns SM4-GCM later still opens it.
const (
	wrapGCM     = 1 // then nonce, 12 ‖ ciphertext ‖ tag, 16: sealed in the device
	wrapDerived = 2 // then what hsm.SealDerived returns: the device encrypts blocks, the host seals
)

const gcmNonce, gcmTag = 12, 16

// checkBlock is what a secret key encrypts or authenticates to show which key it is. It differs from all blocks of hsm.SealDerived
// in its last octet.
var checkBlock = []byte("hufu key check\x00\x00")

// Wrap seals data in the device where it knows an authenticated mechanism, else under a key that the device derives. What was
// wrapped is opened again before it leaves: a device fault would otherwise be found when the data is needed.
func (d *Device) Wrap(ctx context.Context, label string, data, aad []byte) ([]byte, error) {
	if len(data) > hsm.MaxWrap {
		return nil, hsm.ErrMechanism.With("wrap %d octets with key %q: at most %d", len(data), label, hsm.MaxWrap)
	}
	k, err := d.lookup(ctx, label, hsm.UseWrap)
	if err != nil {
		return nil, err
	}
	data, aad = slices.Clone(data), slices.Clone(aad)
	return run(ctx, d, "wrap with key "+label, func(s *session) ([]byte, error) { return s.wrap(k, data, aad) }, nil)
}

// Unwrap opens what Wrap sealed.
func (d *Device) Unwrap(ctx context.Context, label string, wrapped, aad []byte) ([]byte, error) {
	k, err := d.lookup(ctx, label, hsm.UseWrap)
	if err != nil {
		return nil, err
	}
	wrapped, aad = slices.Clone(wrapped), slices.Clone(aad)
	return run(ctx, d, "unwrap with key "+label, func(s *session) ([]byte, error) { return s.unwrap(k, wrapped, aad) }, nil)
}

// gcmOf and ecbOf return the mechanism of a key's algorithm; 0 = the device has none.
func (d *Device) gcmOf(k *key) uint {
	if k.info.Algorithm == hsm.SM4 {
		return d.can.sm4GCM
	}
	return d.can.aesGCM
}

func (d *Device) ecbOf(k *key) uint {
	if k.info.Algorithm == hsm.SM4 {
		return d.can.sm4ECB
	}
	return d.can.aesECB
}

func (s *session) wrap(k *key, data, aad []byte) ([]byte, error) {
	h, err := s.at(k)
	if err != nil {
		return nil, err
	}
	var wrapped []byte
	most := s.d.profile.MaxMessage
	switch gcm := s.d.gcmOf(k); {
	case gcm != 0 && (most == 0 || len(data)+len(aad)+64 <= most):
		wrapped, err = s.sealGCM(gcm, h, data, aad)
	case s.d.ecbOf(k) != 0:
		wrapped, err = hsm.SealDerived(s.blocks(k, h), data, aad)
		wrapped = append([]byte{wrapDerived}, wrapped...)
	default:
		return nil, hsm.ErrMechanism.With("wrap %d octets with key %q: the device has no mechanism", len(data), k.info.Label)
	}
	if err != nil {
		return nil, err
	}
	again, err := s.unwrap(k, wrapped, aad)
	defer clear(again)
	if errors.Is(err, hsm.ErrNotAuthentic) || err == nil && subtle.ConstantTimeCompare(again, data) != 1 {
		return nil, hsm.ErrUnavailable.With("what the device wrapped with key %q does not open", k.info.Label)
	}
	return wrapped, err
}

func (s *session) unwrap(k *key, wrapped, aad []byte) ([]byte, error) {
	h, err := s.at(k)
	if err != nil {
		return nil, err
	}
	form := byte(0)
	if len(wrapped) > 0 {
		form = wrapped[0]
	}
	switch {
	case form == wrapGCM && s.d.gcmOf(k) != 0:
		return s.openGCM(k, h, wrapped[1:], aad)
	case form == wrapDerived && s.d.ecbOf(k) != 0:
		return hsm.OpenDerived(s.blocks(k, h), wrapped[1:], aad)
	}
	return nil, hsm.ErrNotAuthentic.With("unwrap with key %q", k.info.Label)
}

// sealGCM seals in the device. Some devices put a nonce of their own in the place of ours, which is read back.
func (s *session) sealGCM(mechanism uint, h p11.ObjectHandle, data, aad []byte) ([]byte, error) {
	nonce := make([]byte, gcmNonce)
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	params := p11.NewGCMParams(nonce, aad, 8*gcmTag)
	defer params.Free()
	sealed, err := s.encrypt(p11.NewMechanism(mechanism, params), h, data)
	if err != nil {
		return nil, err
	}
	if used := params.IV(); len(used) == gcmNonce {
		nonce = used
	}
	return slices.Concat([]byte{wrapGCM}, nonce, sealed), nil
}

// openGCM opens in the device, and looks afterwards whether the handle meant the key: what another key opened or refused says
// nothing.
func (s *session) openGCM(k *key, h p11.ObjectHandle, sealed, aad []byte) ([]byte, error) {
	wrong := hsm.ErrNotAuthentic.With("unwrap with key %q", k.info.Label)
	if len(sealed) < gcmNonce+gcmTag {
		return nil, wrong
	}
	params := p11.NewGCMParams(sealed[:gcmNonce], aad, 8*gcmTag)
	defer params.Free()
	data, err := s.decrypt(p11.NewMechanism(s.d.gcmOf(k), params), h, sealed[gcmNonce:])
	if err != nil && !errors.Is(err, hsm.ErrNotAuthentic) {
		return nil, err
	}
	if moved := s.proven(k, h); moved != nil {
		return nil, moved
	}
	if err != nil {
		return nil, wrong
	}
	return data, nil
}

// encrypt is one operation of the device.
func (s *session) encrypt(m *p11.Mechanism, h p11.ObjectHandle, data []byte) ([]byte, error) {
	if err := s.lib.EncryptInit(s.h, []*p11.Mechanism{m}, h); err != nil {
		return nil, step("C_EncryptInit", err)
	}
	out, err := s.lib.Encrypt(s.h, data)
	return out, step("C_Encrypt", err)
}

// blocks encrypts blocks in the device, and in the same call the check block: the answer shows which key gave it.
func (s *session) blocks(k *key, h p11.ObjectHandle) hsm.EncryptBlocks {
	return func(blocks []byte) ([]byte, error) {
		out, err := s.encrypt(p11.NewMechanism(s.d.ecbOf(k), nil), h, slices.Concat(blocks, checkBlock))
		if err != nil {
			return nil, err
		}
		if len(out) != len(blocks)+len(checkBlock) {
			return nil, hsm.ErrUnavailable.With("the device returned %d octets for %d", len(out), len(blocks)+len(checkBlock))
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if !bytes.Equal(k.check, out[len(blocks):]) {
			return nil, errMoved
		}
		return out[:len(blocks)], nil
	}
}

// checkValue is what a secret key makes of the check block; nil where the device cannot say.
func (s *session) checkValue(k *key, h p11.ObjectHandle) ([]byte, error) {
	if k.info.Algorithm == hsm.HMACSM3 {
		return s.sign(p11.NewMechanism(s.d.profile.Codes.HMACSM3, nil), h, checkBlock)
	}
	if ecb := s.d.ecbOf(k); ecb != 0 {
		return s.encrypt(p11.NewMechanism(ecb, nil), h, checkBlock)
	}
	return nil, nil
}

// proven reports errMoved if the handle does not mean the key.
func (s *session) proven(k *key, h p11.ObjectHandle) error {
	check, err := s.checkValue(k, h)
	if err != nil {
		return err
	}
	if check == nil {
		return s.moved(k, h)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !bytes.Equal(check, k.check) {
		return errMoved
	}
	return nil
}

// MAC returns the HMAC-SM3 of data, and proves by a second one that it was the right key's.
func (d *Device) MAC(ctx context.Context, label string, data []byte) ([]byte, error) {
	k, err := d.lookup(ctx, label, hsm.UseMAC)
	if err != nil {
		return nil, err
	}
	if most := d.profile.MaxMessage; most > 0 && len(data) > most {
		return nil, hsm.ErrMechanism.With("MAC of %d octets with key %q: the device takes %d", len(data), label, most)
	}
	data = slices.Clone(data)
	return run(ctx, d, "MAC with key "+label, func(s *session) ([]byte, error) {
		h, err := s.at(k)
		if err != nil {
			return nil, err
		}
		tag, err := s.sign(p11.NewMechanism(d.profile.Codes.HMACSM3, nil), h, data)
		if err != nil {
			return nil, err
		}
		if len(tag) != 32 {
			return nil, hsm.ErrUnavailable.With("MAC of %d octets with key %q", len(tag), label)
		}
		return tag, s.proven(k, h)
	}, nil)
}
