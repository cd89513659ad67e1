package certs

import (
	"bytes"
	"crypto"
	"errors"
	"math/big"
	"testing"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"hufu/internal/gm"
)

func gmsmKey(t *testing.T, p party) *sm2.PrivateKey {
	t.Helper()
	k, err := sm2.NewPrivateKey(p.key.(*gm.PrivateKey).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newPair(t *testing.T) (ca, sign, encrypt party, envelope []byte) {
	t.Helper()
	ca = newCA(t, "Dual Root", true)
	sign = issue(t, ca, "Holder", true)
	encrypt = issue(t, ca, "Holder", true, withUsage(smx509.KeyUsageKeyEncipherment))
	envelope, err := BuildEnvelopedKey(publicOf(sign.key.(*gm.PrivateKey)), encrypt.key.(*gm.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	return ca, sign, encrypt, envelope
}

func TestDualResponseAgreesWithGmsm(t *testing.T) {
	_, sign, encrypt, envelope := newPair(t)
	der, err := BuildDualResponse(sign.Certificate, envelope, encrypt.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := smx509.ParseCSRResponse(gmsmKey(t, sign), der)
	if err != nil || theirs.EncryptPrivateKey.D.Cmp(new(big.Int).SetBytes(encrypt.key.(*gm.PrivateKey).Bytes())) != 0 {
		t.Fatalf("gmsm does not read ours: %v", err)
	}
	back, err := smx509.MarshalCSRResponse([]*smx509.Certificate{sign.template(t)}, gmsmKey(t, encrypt), []*smx509.Certificate{encrypt.template(t)})
	if err != nil {
		t.Fatal(err)
	}
	for name, der := range map[string][]byte{"ours": der, "theirs": back} {
		r, err := ParseDualResponse(der)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s, e, err := r.Leaves(sign.PublicKey)
		if err != nil || !bytes.Equal(s.Raw, sign.Raw) || !bytes.Equal(e.Raw, encrypt.Raw) {
			t.Errorf("%s: leaves: %v", name, err)
		}
		key, err := OpenEnvelopedKey(r.Envelope, sign.key.(crypto.Decrypter))
		if err != nil || !SameKey(key.Public(), encrypt.PublicKey) {
			t.Errorf("%s: envelope: %v", name, err)
		}
	}
}

// Peers send the CA along, and SET OF sorts it before or after the leaf: the key decides which is the leaf.
func TestDualResponseWithCAInEveryOrder(t *testing.T) {
	ca, sign, encrypt, envelope := newPair(t)
	for _, order := range [][2]party{{ca, sign}, {sign, ca}} {
		body := append(bytes.Clone(order[0].Raw), order[1].Raw...)
		encrypts := append(bytes.Clone(ca.Raw), encrypt.Raw...)
		var der []byte
		der = append(append(der, appendHeader(nil, 0x31, len(body))...), body...)
		der = append(append(der, appendHeader(nil, 0xa0, len(envelope))...), envelope...)
		der = append(append(der, appendHeader(nil, 0xa1, len(encrypts))...), encrypts...)
		der = append(appendHeader(nil, 0x30, len(der)), der...)
		r, err := ParseDualResponse(der)
		if err != nil {
			t.Fatal(err)
		}
		s, e, err := r.Leaves(sign.PublicKey)
		if err != nil || !bytes.Equal(s.Raw, sign.Raw) || !bytes.Equal(e.Raw, encrypt.Raw) {
			t.Errorf("leaves: %v", err)
		}
		if _, _, err := r.Leaves(newSM2(t).Public()); !errors.Is(err, ErrEnvelope) {
			t.Errorf("another holder: %v", err)
		}
	}
}

func TestDualResponseRefusesMixedParts(t *testing.T) {
	ca, sign, encrypt, envelope := newPair(t)
	for name, try := range map[string]func() ([]byte, error){
		"no envelope":    func() ([]byte, error) { return BuildDualResponse(sign.Certificate, nil, encrypt.Certificate) },
		"no certificate": func() ([]byte, error) { return BuildDualResponse(sign.Certificate, envelope, nil) },
		"another key":    func() ([]byte, error) { return BuildDualResponse(sign.Certificate, envelope, ca.Certificate) },
		"one key":        func() ([]byte, error) { return BuildDualResponse(encrypt.Certificate, envelope, encrypt.Certificate) },
		"no signing one": func() ([]byte, error) { return BuildDualResponse(nil, envelope, encrypt.Certificate) },
		"no envelope at all": func() ([]byte, error) {
			return BuildDualResponse(sign.Certificate, []byte{0x30, 0}, encrypt.Certificate)
		},
	} {
		if _, err := try(); err == nil {
			t.Errorf("%s: built", name)
		}
	}
	single, err := BuildDualResponse(sign.Certificate, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseDualResponse(single)
	if err != nil {
		t.Fatal(err)
	}
	if s, e, err := r.Leaves(sign.PublicKey); err != nil || s == nil || e != nil {
		t.Errorf("signing certificate alone: %v", err)
	}
	if _, err := ParseDualResponse(append(bytes.Clone(single), 0)); !errors.Is(err, ErrTrailing) {
		t.Errorf("trailing octet: %v", err)
	}
}

func FuzzParseDualResponse(f *testing.F) {
	ca := newCA(f, "Fuzz", true)
	sign, encrypt := issue(f, ca, "Holder", true), issue(f, ca, "Holder", true)
	envelope, err := BuildEnvelopedKey(publicOf(sign.key.(*gm.PrivateKey)), encrypt.key.(*gm.PrivateKey))
	if err != nil {
		f.Fatal(err)
	}
	der, err := BuildDualResponse(sign.Certificate, envelope, encrypt.Certificate)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Fuzz(func(_ *testing.T, der []byte) {
		if r, err := ParseDualResponse(der); err == nil {
			_, _, _ = r.Leaves(sign.PublicKey)
		}
	})
}
