//go:build cgo

package pkcs11

import (
	"slices"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
)

// spot says where an object is to stand.
type spot struct {
	token       bool // for ever; else it is a session object
	label       string
	id          []byte
	extractable bool // a session key that is to be wrapped at once (inside.go)
}

func (p spot) attributes() []*p11.Attribute {
	list := []*p11.Attribute{p11.NewAttribute(p11.CKA_TOKEN, p.token)}
	if p.token {
		list = append(list, p11.NewAttribute(p11.CKA_LABEL, p.label), p11.NewAttribute(p11.CKA_ID, p.id))
	}
	return list
}

// without leaves out what the profile excludes.
func (p *Profile) without(list []*p11.Attribute) []*p11.Attribute {
	return slices.DeleteFunc(list, func(a *p11.Attribute) bool { return p.excludes(a.Type) })
}

// flags sets the wanted one of several attributes and says no to the others, so that a key has exactly one use.
func flags(all []uint, wanted ...uint) []*p11.Attribute {
	list := make([]*p11.Attribute, len(all))
	for i, a := range all {
		list[i] = p11.NewAttribute(a, slices.Contains(wanted, a))
	}
	return list
}

// makePair makes a key pair in the device.
func (s *session) makePair(spec hsm.Spec, at spot) (public, private p11.ObjectHandle, err error) {
	p := s.d.profile
	mechanism, kind, params := uint(p11.CKM_EC_KEY_PAIR_GEN), uint(p11.CKK_EC), p11.NewAttribute(p11.CKA_EC_PARAMS, paramsP256)
	switch spec.Algorithm {
	case hsm.SM2:
		params = p11.NewAttribute(p11.CKA_EC_PARAMS, paramsSM2)
		if p.Codes.SM2KeyPair != 0 {
			mechanism = p.Codes.SM2KeyPair
		}
		if p.Codes.KeySM2 != 0 {
			kind = p.Codes.KeySM2
		}
	case hsm.RSA2048, hsm.RSA3072:
		bits := map[string]int{hsm.RSA2048: 2048, hsm.RSA3072: 3072}[spec.Algorithm]
		mechanism, kind, params = p11.CKM_RSA_PKCS_KEY_PAIR_GEN, p11.CKK_RSA, p11.NewAttribute(p11.CKA_MODULUS_BITS, bits)
	}
	privateUse, publicUse := s.d.pairUse(spec)
	pub := append(at.attributes(), p11.NewAttribute(p11.CKA_KEY_TYPE, kind), params)
	pub = append(pub, flags([]uint{p11.CKA_VERIFY, p11.CKA_ENCRYPT}, publicUse)...)
	if kind == p11.CKK_RSA {
		pub = append(pub, p11.NewAttribute(p11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}))
	}
	priv := append(at.attributes(),
		p11.NewAttribute(p11.CKA_KEY_TYPE, kind), p11.NewAttribute(p11.CKA_PRIVATE, true),
		p11.NewAttribute(p11.CKA_SENSITIVE, true), p11.NewAttribute(p11.CKA_EXTRACTABLE, at.extractable))
	priv = append(priv, flags([]uint{p11.CKA_SIGN, p11.CKA_DECRYPT, p11.CKA_DERIVE, p11.CKA_UNWRAP}, privateUse)...)
	public, private, err = s.lib.GenerateKeyPair(s.h, []*p11.Mechanism{p11.NewMechanism(mechanism, nil)}, p.without(pub), p.without(priv))
	return public, private, step("C_GenerateKeyPair", err)
}

// pairUse returns the one use of the private and of the public half.
func (d *Device) pairUse(spec hsm.Spec) (private, public uint) {
	switch {
	case spec.Use == hsm.UseSign:
		return p11.CKA_SIGN, p11.CKA_VERIFY
	case d.can.decrypt == byECDH:
		return p11.CKA_DERIVE, 0
	}
	return p11.CKA_DECRYPT, p11.CKA_ENCRYPT
}

// makeSecret makes a secret key in the device for the uses given.
func (s *session) makeSecret(algorithm string, at spot, uses ...uint) (p11.ObjectHandle, error) {
	p := s.d.profile
	var mechanism, kind uint
	var size []*p11.Attribute
	switch algorithm {
	case hsm.SM4:
		mechanism, kind = p.Codes.SM4Key, p.Codes.KeySM4
	case hsm.AES256:
		mechanism, kind, size = p11.CKM_AES_KEY_GEN, p11.CKK_AES, []*p11.Attribute{p11.NewAttribute(p11.CKA_VALUE_LEN, 32)}
	case hsm.HMACSM3:
		mechanism, kind, size = p11.CKM_GENERIC_SECRET_KEY_GEN, p.hmacKeyType(), []*p11.Attribute{p11.NewAttribute(p11.CKA_VALUE_LEN, 32)}
	}
	list := append(at.attributes(),
		p11.NewAttribute(p11.CKA_KEY_TYPE, kind), p11.NewAttribute(p11.CKA_PRIVATE, true),
		p11.NewAttribute(p11.CKA_SENSITIVE, true), p11.NewAttribute(p11.CKA_EXTRACTABLE, false))
	list = append(append(list, size...), flags([]uint{
		p11.CKA_ENCRYPT, p11.CKA_DECRYPT, p11.CKA_WRAP, p11.CKA_UNWRAP, p11.CKA_SIGN, p11.CKA_VERIFY, p11.CKA_DERIVE,
	}, uses...)...)
	h, err := s.lib.GenerateKey(s.h, []*p11.Mechanism{p11.NewMechanism(mechanism, nil)}, p.without(list))
	return h, step("C_GenerateKey", err)
}

// secretUse returns what a secret key of the algorithm is allowed to do.
func secretUse(algorithm string) []uint {
	if algorithm == hsm.HMACSM3 {
		return []uint{p11.CKA_SIGN, p11.CKA_VERIFY}
	}
	return []uint{p11.CKA_ENCRYPT, p11.CKA_DECRYPT}
}
