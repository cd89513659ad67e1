//go:build cgo

package pkcs11

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"io"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
	"hufu/internal/gm"
)

// prefixSHA256 stands before a SHA-256 digest in a PKCS#1 v1.5 signature (RFC 8017 section 9.2, note 1).
var prefixSHA256 = []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}

// Signer returns the signer of a key.
func (d *Device) Signer(ctx context.Context, label string) (crypto.Signer, error) {
	k, err := d.lookup(ctx, label, hsm.UseSign)
	if err != nil {
		return nil, err
	}
	if k.info.Algorithm == hsm.SM2 && !d.can.sm2Sign {
		if d.can.sm2Message {
			return &messageSigner{ctx: ctx, d: d, k: k}, nil
		}
		return nil, hsm.ErrMechanism.With("token %s cannot sign with SM2", d.cfg.Token)
	}
	return &signer{ctx: ctx, d: d, k: k}, nil
}

// signer asks once more when the signature was wrong because the handle had come to mean another key.
type signer struct {
	ctx context.Context
	d   *Device
	k   *key
}

func (s *signer) Public() crypto.PublicKey { return s.k.info.Public }

// VerifiesSignatures is of gm.Verifying.
func (*signer) VerifiesSignatures() {}

func (s *signer) Sign(rand io.Reader, input []byte, opts crypto.SignerOpts) ([]byte, error) {
	var used place
	sign := func() ([]byte, error) { return s.checked(&used).Sign(rand, input, opts) }
	sig, err := sign()
	if errors.Is(err, hsm.ErrSignature) {
		return s.d.signAgain(s.ctx, s.k, &used, err, sign)
	}
	return sig, err
}

// place is where a key was used: by which handle, and in which epoch of handles.
type place struct {
	handle p11.ObjectHandle
	epoch  uint64
}

// signed is a signature and the place at which it was made.
type signed struct {
	sig  []byte
	used place
}

// checked puts the checks of package hsm before the device, for one signature.
func (s *signer) checked(used *place) crypto.Signer {
	return s.d.signers.NewSigner(s.ctx, s.k.info.Label, s.k.info.Public, func(ctx context.Context, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
		digest = append([]byte(nil), digest...) // an abandoned call may read it after its caller has gone
		r, err := run(ctx, s.d, "sign with key "+s.k.info.Label, func(l *session) (signed, error) { return l.signDigest(s.k, digest, opts) }, nil)
		*used = r.used
		return r.sig, err
	})
}

// SignMessage is of crypto.MessageSigner.
func (s *signer) SignMessage(rand io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	if gm.IsSM2(s.Public()) {
		if opts != gm.Message {
			return nil, hsm.ErrMechanism.With("sign message with SM2 key %q: say gm.Message", s.k.info.Label)
		}
		return s.Sign(rand, msg, opts)
	}
	sum := sha256.Sum256(msg)
	return s.Sign(rand, sum[:], opts)
}

// mostMoves is how often a signature is asked for again because the handle moved meanwhile.
const mostMoves = 3

// signAgain looks where the key is now. If it is not at the place that was used any more, the signature is asked for again; if it
// is, the device is at fault.
func (d *Device) signAgain(ctx context.Context, k *key, used *place, wrong error, again func() ([]byte, error)) ([]byte, error) {
	for range mostMoves {
		now, err := run(ctx, d, "look for key "+k.info.Label, func(s *session) (place, error) {
			h, err := s.refind(k)
			return place{h, s.epoch}, err
		}, nil)
		if err != nil {
			return nil, err
		}
		if now == *used {
			break
		}
		sig, err := again()
		if !errors.Is(err, hsm.ErrSignature) {
			return sig, err
		}
		wrong = err
	}
	d.mu.Lock()
	d.wrong = d.cfg.Now()
	d.mu.Unlock()
	d.cfg.Log.Error("the device made a wrong signature, which was withheld", "token", d.cfg.Token, "key", k.info.Label)
	return nil, wrong
}

// signDigest signs e or a SHA-256 digest; the result is DER for SM2 and P-256.
func (s *session) signDigest(k *key, digest []byte, opts crypto.SignerOpts) (signed, error) {
	h, err := s.at(k)
	if err != nil {
		return signed{}, err
	}
	var sig []byte
	switch _, pss := opts.(*rsa.PSSOptions); {
	case k.info.Algorithm == hsm.SM2:
		sig, err = s.signEC(p11.NewMechanism(s.d.profile.Codes.SM2Sign, nil), h, digest, s.d.can.sm2Form)
	case k.info.Algorithm == hsm.P256:
		sig, err = s.signEC(p11.NewMechanism(p11.CKM_ECDSA, nil), h, digest, s.d.can.ecdsaForm)
	case pss:
		params := p11.NewPSSParams(p11.CKM_SHA256, p11.CKG_MGF1_SHA256, sha256.Size)
		sig, err = s.sign(p11.NewMechanism(p11.CKM_RSA_PKCS_PSS, params), h, digest)
	default:
		sig, err = s.sign(p11.NewMechanism(p11.CKM_RSA_PKCS, nil), h, append(append([]byte(nil), prefixSHA256...), digest...))
	}
	return signed{sig, place{h, s.epoch}}, err
}

// sign is one operation of the device.
func (s *session) sign(m *p11.Mechanism, h p11.ObjectHandle, data []byte) ([]byte, error) {
	if err := s.lib.SignInit(s.h, []*p11.Mechanism{m}, h); err != nil {
		return nil, step("C_SignInit", err)
	}
	sig, err := s.lib.Sign(s.h, data)
	return sig, step("C_Sign", err)
}

// signEC returns the signature as DER, from whichever form the device has.
func (s *session) signEC(m *p11.Mechanism, h p11.ObjectHandle, digest []byte, form string) ([]byte, error) {
	sig, err := s.sign(m, h, digest)
	if err != nil || form == formDER {
		return sig, err
	}
	der, err := gm.DERSignature(sig)
	if err != nil {
		return sig, nil // it will not verify, and the check that stands behind says so
	}
	return der, nil
}

// messageSigner is the signer of an SM2 key in a device that hashes by itself: it signs messages only, under the default
// identifier, as the probe has shown.
type messageSigner struct {
	ctx context.Context
	d   *Device
	k   *key
}

func (m *messageSigner) Public() crypto.PublicKey { return m.k.info.Public }

// VerifiesSignatures is of gm.Verifying.
func (*messageSigner) VerifiesSignatures() {}

// SignMessage is of crypto.MessageSigner.
func (m *messageSigner) SignMessage(rand io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	return m.Sign(rand, msg, opts)
}

func (m *messageSigner) Sign(_ io.Reader, msg []byte, opts crypto.SignerOpts) ([]byte, error) {
	label := m.k.info.Label
	if opts != gm.Message {
		return nil, hsm.ErrMechanism.With("sign with SM2 key %q: token %s hashes by itself, so that it takes messages only", label, m.d.cfg.Token)
	}
	msg = append([]byte(nil), msg...)
	var used place
	sign := func() ([]byte, error) {
		r, err := run(m.ctx, m.d, "sign with key "+label, func(s *session) (signed, error) {
			h, err := s.at(m.k)
			if err != nil {
				return signed{}, err
			}
			sig, err := s.signMessage(h, m.k.info.Public, msg)
			return signed{sig, place{h, s.epoch}}, err
		}, nil)
		used = r.used
		if err == nil && !gm.Verify(m.k.info.Public.(*ecdsa.PublicKey), msg, r.sig) {
			return nil, hsm.ErrSignature.With("key %q", label)
		}
		return r.sig, err
	}
	sig, err := sign()
	if errors.Is(err, hsm.ErrSignature) {
		return m.d.signAgain(m.ctx, m.k, &used, err, sign)
	}
	return sig, err
}

// signMessage lets the device hash. Where it hashes the message alone, Z_A goes before it, so that e comes out right.
func (s *session) signMessage(h p11.ObjectHandle, public crypto.PublicKey, msg []byte) ([]byte, error) {
	p := s.d.profile
	if p.MessageHash == hashBare {
		z, err := gm.Z(public.(*ecdsa.PublicKey), gm.DefaultID)
		if err != nil {
			return nil, err
		}
		msg = append(z[:], msg...)
	}
	if p.MaxMessage > 0 && len(msg) > p.MaxMessage {
		return nil, hsm.ErrMechanism.With("a message of %d octets: token %s hashes by itself and takes %d", len(msg), s.d.cfg.Token, p.MaxMessage)
	}
	return s.signEC(p11.NewMechanism(p.Codes.SM2SignMessage, nil), h, msg, s.d.can.sm2Form)
}
