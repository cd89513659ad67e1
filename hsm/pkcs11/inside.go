//go:build cgo

package pkcs11

import (
	"context"
	"crypto/ecdsa"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"slices"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
	"hufu/internal/gm"
)

// Keys that stand outside are wrapped by AES key wrap with padding (RFC 5649), which authenticates but binds nothing else. So a
// wrapped key is
//
//	length of the tag, 2 octets big endian ‖ tag ‖ blob
//
// where the blob comes from C_WrapKey and the tag is hsm's Wrap, under the master and the caller's aad, of SM3(blob ‖ public key).
//
// The blob's key is not the master itself but an AES-256 key that was made beside it (insideID) and may do nothing but wrap
// and unwrap. A master that both decrypts data and wraps keys would give them away to whoever asks it to decrypt a blob.

// keyWrap returns the mechanism.
func (p *Profile) keyWrap() uint {
	const kwp = 0x0000210B // CKM_AES_KEY_WRAP_KWP of PKCS#11 3.0
	if p.Codes.KeyWrap != 0 {
		return p.Codes.KeyWrap
	}
	return kwp
}

// GenerateInside makes a key as an object of one session, which goes with its wrapping.
func (d *Device) GenerateInside(ctx context.Context, master string, aad []byte) ([]byte, *ecdsa.PublicKey, error) {
	k, err := d.masterOf(ctx, master)
	if err != nil {
		return nil, nil, err
	}
	type made struct {
		wrapped []byte
		public  *ecdsa.PublicKey
	}
	aad = slices.Clone(aad)
	m, err := run(ctx, d, "generate a key inside under "+master, func(s *session) (made, error) {
		wrapper, err := s.wrapperOf(k)
		if err != nil {
			return made{}, err
		}
		blob, public, err := s.wrappedPair(wrapper)
		if err != nil {
			return made{}, err
		}
		if err := s.wrapperMoved(k, wrapper); err != nil { // what another key has wrapped opens only with that
			return made{}, err
		}
		sum := gm.SM3(blob, gm.Point(public))
		tag, err := s.wrap(k, sum[:], aad)
		if err != nil {
			return made{}, err
		}
		return made{slices.Concat(binary.BigEndian.AppendUint16(nil, uint16(len(tag))), tag, blob), public}, nil
	}, nil)
	return m.wrapped, m.public, err
}

// SignInside proves the wrapping, opens the key as a session object, signs and destroys it.
func (d *Device) SignInside(ctx context.Context, master string, wrapped, aad []byte, public *ecdsa.PublicKey, e []byte) ([]byte, error) {
	if len(e) != 32 || !gm.IsSM2(public) {
		return nil, hsm.ErrMechanism.With("sign inside: e of %d octets, or no SM2 key", len(e))
	}
	k, err := d.masterOf(ctx, master)
	if err != nil {
		return nil, err
	}
	wrong := hsm.ErrNotAuthentic.With("a key wrapped under %q", master)
	if len(wrapped) < 2 {
		return nil, wrong
	}
	wrapped, aad, e = slices.Clone(wrapped[:]), slices.Clone(aad), slices.Clone(e)
	size := int(binary.BigEndian.Uint16(wrapped))
	if rest := len(wrapped) - 2; size > rest || size == rest || rest-size > 1024 {
		return nil, wrong
	}
	tag, blob := wrapped[2:2+size], wrapped[2+size:]
	sum := gm.SM3(blob, gm.Point(public))
	sig, err := run(ctx, d, "sign inside under "+master, func(s *session) ([]byte, error) {
		bound, err := s.unwrap(k, tag, aad)
		if err != nil {
			return nil, err
		}
		if subtle.ConstantTimeCompare(bound, sum[:]) != 1 {
			return nil, wrong
		}
		wrapper, err := s.wrapperOf(k)
		if err != nil {
			return nil, err
		}
		sig, err := s.signWrapped(wrapper, blob, e)
		if errors.Is(err, hsm.ErrNotAuthentic) {
			err = cleanUp(s.wrapperMoved(k, wrapper), err)
		}
		return sig, err
	}, nil)
	switch {
	case errors.Is(err, hsm.ErrNotAuthentic):
		return nil, wrong
	case err != nil:
		return nil, err
	case !gm.VerifyE(public, e, sig):
		return nil, hsm.ErrSignature.With("a key wrapped under %q", master)
	}
	return sig, nil
}

// masterOf returns a key for wrapping, if the device opens keys inside at all.
func (d *Device) masterOf(ctx context.Context, master string) (*key, error) {
	k, err := d.lookup(ctx, master, hsm.UseWrap)
	if err != nil {
		return nil, err
	}
	if !d.can.inside || readNote(k.id).kind != kindKey {
		return nil, hsm.ErrMechanism.With("token %s does not open keys inside under %q", d.cfg.Token, master)
	}
	return k, nil
}

// wrapperOf returns the wrapping key beside a master, found again in each epoch; a master that another driver made has none.
func (s *session) wrapperOf(k *key) (p11.ObjectHandle, error) {
	k.mu.Lock()
	h, epoch := k.wrapper, k.wrapperEpoch
	k.mu.Unlock()
	if epoch == s.epoch {
		return h, nil
	}
	return s.findWrapper(k)
}

func (s *session) findWrapper(k *key) (p11.ObjectHandle, error) {
	if err := s.sees(); err != nil {
		return 0, err
	}
	handles, err := s.find(p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY), p11.NewAttribute(p11.CKA_TOKEN, true), p11.NewAttribute(p11.CKA_ID, insideID(k.id)))
	if err != nil {
		return 0, err
	}
	if err := s.sees(); err != nil {
		return 0, err
	}
	if len(handles) != 1 {
		return 0, hsm.ErrMechanism.With("key %q has %d wrapping keys beside it", k.info.Label, len(handles))
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.wrapper, k.wrapperEpoch = handles[0], s.epoch
	return handles[0], nil
}

// wrapperMoved reports errMoved if the handle that was used is not the wrapping key's any more.
func (s *session) wrapperMoved(k *key, used p11.ObjectHandle) error {
	now, err := s.findWrapper(k)
	if err == nil && now != used {
		return errMoved
	}
	return err
}

// wrappedPair makes an SM2 pair of the session and returns it wrapped; the device keeps nothing. The wrapping is tried before it
// leaves, since a key that does not open again would be lost.
func (s *session) wrappedPair(wrapper p11.ObjectHandle) ([]byte, *ecdsa.PublicKey, error) {
	spec := hsm.Spec{Algorithm: hsm.SM2, Use: hsm.UseSign}
	pub, priv, err := s.makePair(spec, spot{extractable: true})
	if err != nil {
		return nil, nil, err
	}
	defer s.forget(priv)
	defer s.forget(pub)
	public, err := s.publicOf(pub)
	if err != nil {
		return nil, nil, err
	}
	blob, err := s.lib.WrapKey(s.h, []*p11.Mechanism{p11.NewMechanism(s.d.profile.keyWrap(), nil)}, wrapper, priv)
	if err != nil {
		return nil, nil, step("C_WrapKey", err)
	}
	e := gm.SM3(blob)
	sig, err := s.signWrapped(wrapper, blob, e[:])
	if err != nil {
		return nil, nil, err
	}
	if !gm.VerifyE(public, e[:], sig) {
		return nil, nil, hsm.ErrUnavailable.With("the device does not open what it has wrapped")
	}
	return blob, public, nil
}

// signWrapped opens a wrapped key as an object of the session, signs e and destroys it. The result is DER.
func (s *session) signWrapped(wrapper p11.ObjectHandle, blob, e []byte) ([]byte, error) {
	kind := uint(p11.CKK_EC)
	if s.d.profile.Codes.KeySM2 != 0 {
		kind = s.d.profile.Codes.KeySM2
	}
	template := s.d.profile.without(append([]*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_PRIVATE_KEY), p11.NewAttribute(p11.CKA_KEY_TYPE, kind), p11.NewAttribute(p11.CKA_TOKEN, false),
		p11.NewAttribute(p11.CKA_PRIVATE, true), p11.NewAttribute(p11.CKA_SENSITIVE, true), p11.NewAttribute(p11.CKA_EXTRACTABLE, false),
	}, flags([]uint{p11.CKA_SIGN, p11.CKA_DECRYPT, p11.CKA_DERIVE}, p11.CKA_SIGN)...))
	h, err := s.lib.UnwrapKey(s.h, []*p11.Mechanism{p11.NewMechanism(s.d.profile.keyWrap(), nil)}, wrapper, blob, template)
	if err != nil {
		if s.d.profile.classOf(err) == classNone {
			return nil, hsm.ErrNotAuthentic.With("C_UnwrapKey: %w", err)
		}
		return nil, step("C_UnwrapKey", err)
	}
	defer s.forget(h)
	return s.signEC(p11.NewMechanism(s.d.profile.Codes.SM2Sign, nil), h, e, s.d.can.sm2Form)
}

// publicOf reads the public half of a session object.
func (s *session) publicOf(h p11.ObjectHandle) (*ecdsa.PublicKey, error) {
	attrs, err := s.read(h, p11.CKA_KEY_TYPE, p11.CKA_EC_PARAMS, p11.CKA_EC_POINT)
	if err != nil {
		return nil, err
	}
	_, pub := s.d.profile.public(object{attrs: attrs})
	public, ok := pub.(*ecdsa.PublicKey)
	if !ok {
		return nil, hsm.ErrProfile.With("the public half of a key just made cannot be read")
	}
	return public, nil
}

var _ hsm.Inside = (*Device)(nil)
