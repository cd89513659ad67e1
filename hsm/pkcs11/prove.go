//go:build cgo

package pkcs11

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"errors"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
	"hufu/internal/gm"
)

// sessionPair makes a pair for the length of a test.
func (s *session) sessionPair(algorithm, use string) (public *ecdsa.PublicKey, private p11.ObjectHandle, forget func(), err error) {
	pub, priv, err := s.makePair(hsm.Spec{Algorithm: algorithm, Use: use}, spot{})
	if err != nil {
		return nil, 0, nil, err
	}
	forget = func() { s.forget(priv); s.forget(pub) }
	if public, err = s.publicOf(pub); err != nil {
		forget()
		return nil, 0, nil, err
	}
	return public, priv, forget, nil
}

// Sentences of the probe.
var (
	errForm      = errors.New("the signature has another form than the profile says")
	errNotSigned = errors.New("what it returns is no signature of the digest")
	errNoZ       = errors.New("the device hashes the message without Z_A, and the profile does not say so")
)

// formOf tells the form of a signature that verifies, and holds it against what the profile says.
func formOf(sig []byte, claimed string, verify func(der []byte) bool) (string, error) {
	found := ""
	if verify(sig) {
		found = formDER
	} else if der, err := gm.DERSignature(sig); err == nil && verify(der) {
		found = formRaw
	}
	if found == "" {
		return "", errNotSigned
	}
	if claimed != formAuto && claimed != found {
		return "", errForm
	}
	return found, nil
}

func (s *session) proveSM2() error {
	public, private, forget, err := s.sessionPair(hsm.SM2, hsm.UseSign)
	if err != nil {
		return err
	}
	defer forget()
	if s.d.can.sm2Message {
		return s.proveMessage(public, private)
	}
	e := gm.SM3([]byte("hufu probe"))
	sig, err := s.sign(p11.NewMechanism(s.d.profile.Codes.SM2Sign, nil), private, e[:])
	if err != nil {
		return err
	}
	s.d.can.sm2Form, err = formOf(sig, s.d.profile.SM2Signature, func(der []byte) bool { return gm.VerifyE(public, e[:], der) })
	return err
}

// proveMessage finds out whether the device puts Z_A before the message, as the profile says.
func (s *session) proveMessage(public *ecdsa.PublicKey, private p11.ObjectHandle) error {
	msg, p := []byte("hufu probe"), s.d.profile
	sig, err := s.sign(p11.NewMechanism(p.Codes.SM2SignMessage, nil), private, msg)
	if err != nil {
		return err
	}
	bare := gm.SM3(msg)
	withZ := func(der []byte) bool { return gm.Verify(public, msg, der) }
	without := func(der []byte) bool { return gm.VerifyE(public, bare[:], der) }
	expected, other := withZ, without
	if p.MessageHash == hashBare {
		expected, other = without, withZ
	}
	form, err := formOf(sig, p.SM2Signature, expected)
	if errors.Is(err, errNotSigned) {
		if _, wrong := formOf(sig, formAuto, other); wrong == nil {
			return errNoZ
		}
	}
	s.d.can.sm2Form = form
	return err
}

func (s *session) proveP256() error {
	public, private, forget, err := s.sessionPair(hsm.P256, hsm.UseSign)
	if err != nil {
		return err
	}
	defer forget()
	sum := sha256.Sum256([]byte("hufu probe"))
	sig, err := s.sign(p11.NewMechanism(p11.CKM_ECDSA, nil), private, sum[:])
	if err != nil {
		return err
	}
	s.d.can.ecdsaForm, err = formOf(sig, s.d.profile.ECDSASignature, func(der []byte) bool { return ecdsa.VerifyASN1(public, sum[:], der) })
	return err
}

// proveDecrypt decrypts what the host encrypted, in the form that the profile says or in each. A device that lists ECDH but does not
// do it on the SM2 curve cannot decrypt; that contradicts nothing.
func (s *session) proveDecrypt() error {
	public, private, forget, err := s.sessionPair(hsm.SM2, hsm.UseDecrypt)
	if err != nil && s.d.can.decrypt == byECDH && !s.d.profile.severed(err) {
		s.d.can.decrypt = ""
		return nil
	}
	if err != nil {
		return err
	}
	defer forget()
	plain := []byte("hufu probe")
	der, err := gm.Encrypt(public, plain)
	if err != nil {
		return err
	}
	c, err := gm.ParseCiphertext(der)
	if err != nil {
		return err
	}
	if s.d.can.decrypt == byECDH {
		return s.proveECDH(private, c, plain)
	}
	forms := []string{s.d.profile.SM2Ciphertext}
	if forms[0] == formAuto {
		forms = []string{formDER, formC1C3C2, formC1C2C3}
	}
	for _, form := range forms {
		got, err := s.decryptSM2(private, der, c, form)
		if err == nil && bytes.Equal(got, plain) {
			s.d.can.cipherForm = form
			return nil
		}
		if err != nil && !errors.Is(err, hsm.ErrNotAuthentic) {
			return err
		}
	}
	return errors.New("it opens no ciphertext in the form that the profile says")
}

// proveECDH tries the point bare and in an OCTET STRING: modules disagree about it.
func (s *session) proveECDH(private p11.ObjectHandle, c gm.Ciphertext, plain []byte) error {
	for _, wrapped := range []bool{false, true} {
		s.d.can.wrappedPoint = wrapped
		got, err := s.decryptShared(private, c)
		if err == nil && bytes.Equal(got, plain) {
			return nil
		}
		if err != nil && s.d.profile.severed(err) {
			return err
		}
	}
	s.d.can.decrypt = ""
	return nil
}

// proveSecret holds the codes of a block cipher against what its modes must do: ECB encrypts equal blocks to equal ones and adds
// nothing, GCM opens what it sealed and nothing else.
func (s *session) proveSecret(algorithm string) error {
	h, err := s.makeSecret(algorithm, spot{}, secretUse(algorithm)...)
	if err != nil {
		return err
	}
	defer s.forget(h)
	k := &key{info: hsm.Info{Algorithm: algorithm, Label: "probe"}}
	out, err := s.encrypt(p11.NewMechanism(s.d.ecbOf(k), nil), h, append(bytes.Clone(checkBlock), checkBlock...))
	if err != nil {
		return err
	}
	if len(out) != 32 || !bytes.Equal(out[:16], out[16:]) || bytes.Equal(out[:16], checkBlock) {
		return errors.New("what it calls ECB is not ECB")
	}
	k.check = out[:16]
	if s.d.gcmOf(k) == 0 {
		return nil
	}
	return s.proveGCM(k, h)
}

func (s *session) proveGCM(k *key, h p11.ObjectHandle) error {
	for _, plain := range [][]byte{{}, []byte("hufu probe")} {
		sealed, err := s.sealGCM(s.d.gcmOf(k), h, plain, []byte("aad"))
		if err != nil {
			return err
		}
		if len(sealed) != 1+gcmNonce+len(plain)+gcmTag {
			return errors.New("what it calls GCM adds no tag of 16 octets")
		}
		got, err := s.openGCM(k, h, sealed[1:], []byte("aad"))
		if err != nil || !bytes.Equal(got, plain) {
			return cleanUp(err, errors.New("GCM does not open what it sealed"))
		}
		if _, err := s.openGCM(k, h, sealed[1:], []byte("dad")); !errors.Is(err, hsm.ErrNotAuthentic) {
			return cleanUp(err, errors.New("what it calls GCM does not authenticate"))
		}
	}
	return nil
}

// proveHMAC imports a known key, where the device lets it, and holds the answer against ours; else it looks at the form alone.
func (s *session) proveHMAC() error {
	known, data := bytes.Repeat([]byte{0x0b}, 32), []byte("hufu probe")
	h, err := s.lib.CreateObject(s.h, s.d.profile.without([]*p11.Attribute{
		p11.NewAttribute(p11.CKA_CLASS, p11.CKO_SECRET_KEY), p11.NewAttribute(p11.CKA_KEY_TYPE, s.d.profile.hmacKeyType()),
		p11.NewAttribute(p11.CKA_TOKEN, false), p11.NewAttribute(p11.CKA_SIGN, true), p11.NewAttribute(p11.CKA_VALUE, known),
	}))
	imported := err == nil
	if !imported {
		if h, err = s.makeSecret(hsm.HMACSM3, spot{}, secretUse(hsm.HMACSM3)...); err != nil {
			return err
		}
	}
	defer s.forget(h)
	tag, err := s.sign(p11.NewMechanism(s.d.profile.Codes.HMACSM3, nil), h, data)
	if err != nil {
		return err
	}
	want := gm.HMAC(known, data)
	if len(tag) != 32 || imported && !bytes.Equal(tag, want[:]) {
		return errors.New("what it calls HMAC-SM3 is another function")
	}
	return nil
}

// proveInside wraps a pair, opens it and signs. A device that cannot do so simply does not offer it.
func (s *session) proveInside() error {
	wrapper, err := s.makeSecret(hsm.AES256, spot{}, p11.CKA_WRAP, p11.CKA_UNWRAP)
	if err == nil {
		defer s.forget(wrapper)
		_, _, err = s.wrappedPair(wrapper)
	}
	if s.d.profile.severed(err) {
		return err
	}
	s.d.can.inside = err == nil
	if err != nil {
		s.d.cfg.Log.Info("the device does not open keys inside", "token", s.d.cfg.Token, "cause", err)
	}
	return nil
}
