//go:build cgo

package pkcs11

import (
	"errors"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
)

// abilities are what the device lists, the profile gives a code for and the probe has shown.
type abilities struct {
	sm2Sign, sm2Message           bool
	sm2Form, ecdsaForm            string
	p256, rsa                     bool
	decrypt                       string // "", byMechanism, byECDH
	cipherForm                    string
	wrappedPoint                  bool // ECDH takes the point in an OCTET STRING
	sm4GCM, sm4ECB                uint // mechanisms; 0 = none
	aesGCM, aesECB                uint
	sm4, aes, hmac, wraps, inside bool
}

// make reports whether such a key can be made.
func (a abilities) make(spec hsm.Spec) bool {
	switch spec.Algorithm {
	case hsm.SM2:
		if spec.Use == hsm.UseDecrypt {
			return a.decrypt != ""
		}
		return a.sm2Sign || a.sm2Message
	case hsm.P256:
		return a.p256
	case hsm.RSA2048, hsm.RSA3072:
		return a.rsa
	case hsm.SM4:
		return a.sm4
	case hsm.AES256:
		return a.aes
	}
	return a.hmac
}

// claims is what the device lists and the profile has a code for.
func (p *Profile) claims(listed map[uint]bool) abilities {
	has := func(codes ...uint) bool {
		for _, code := range codes {
			if code == 0 || !listed[code] {
				return false
			}
		}
		return true
	}
	pair := uint(p11.CKM_EC_KEY_PAIR_GEN)
	if p.Codes.SM2KeyPair != 0 {
		pair = p.Codes.SM2KeyPair
	}
	a := abilities{
		sm2Sign: has(pair, p.Codes.SM2Sign), sm2Form: p.SM2Signature, ecdsaForm: p.ECDSASignature,
		p256: has(p11.CKM_EC_KEY_PAIR_GEN, p11.CKM_ECDSA),
		rsa:  listed[p11.CKM_RSA_PKCS_KEY_PAIR_GEN] && has(p11.CKM_RSA_PKCS, p11.CKM_RSA_PKCS_PSS), // the first is code 0
		hmac: has(p11.CKM_GENERIC_SECRET_KEY_GEN, p.Codes.HMACSM3), cipherForm: p.SM2Ciphertext,
	}
	a.sm2Message = !a.sm2Sign && has(pair, p.Codes.SM2SignMessage)
	switch {
	case has(pair, p.Codes.SM2Decrypt):
		a.decrypt = byMechanism
	case has(pair, p11.CKM_ECDH1_DERIVE):
		a.decrypt = byECDH
	}
	if has(p.Codes.SM4Key) && p.Codes.KeySM4 != 0 {
		a.sm4GCM, a.sm4ECB = when(has(p.Codes.SM4GCM), p.Codes.SM4GCM), when(has(p.Codes.SM4ECB), p.Codes.SM4ECB)
	}
	if has(p11.CKM_AES_KEY_GEN) {
		a.aesGCM, a.aesECB = when(has(p11.CKM_AES_GCM), p11.CKM_AES_GCM), when(has(p11.CKM_AES_ECB), p11.CKM_AES_ECB)
	}
	a.sm4, a.aes = a.sm4ECB != 0, a.aesECB != 0 // without ECB a secret key could not be told from another
	a.wraps = a.sm2Sign && a.aes && has(p.keyWrap())
	return a
}

// prove puts the profile's claims to the test with session keys. What the device does not list is not there; what it lists and
// does differently is hsm.ErrProfile.
func (d *Device) prove(s *session, list []*p11.Mechanism) error {
	listed := map[uint]bool{}
	for _, m := range list {
		listed[m.Mechanism] = true
	}
	d.can = d.profile.claims(listed)
	if d.profile.Probe == probeNone {
		return nil
	}
	for _, test := range []struct {
		applies bool
		name    string
		run     func(*session) error
	}{
		{d.can.sm2Sign || d.can.sm2Message, "SM2 signature", (*session).proveSM2},
		{d.can.p256, "ECDSA signature", (*session).proveP256},
		{d.can.decrypt != "", "SM2 decryption", (*session).proveDecrypt},
		{d.can.sm4, "SM4", func(s *session) error { return s.proveSecret(hsm.SM4) }},
		{d.can.aes, "AES", func(s *session) error { return s.proveSecret(hsm.AES256) }},
		{d.can.hmac, "HMAC-SM3", (*session).proveHMAC},
		{d.can.wraps, "opening keys inside", (*session).proveInside},
	} {
		if !test.applies {
			continue
		}
		if err := test.run(s); err != nil {
			return d.profile.contradiction(test.name, err)
		}
	}
	return nil
}

func when(yes bool, code uint) uint {
	if yes {
		return code
	}
	return 0
}

// contradiction keeps failures of connection and PIN what they are; the rest speaks against the profile.
func (p *Profile) contradiction(name string, err error) error {
	if p.severed(err) || errors.Is(err, hsm.ErrUnavailable) {
		return err
	}
	return hsm.ErrProfile.With("profile %s, %s: %w", p.Name, name, err)
}
