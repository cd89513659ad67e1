package certs

import (
	"bytes"
	"crypto"
	"errors"
	"os"
	"slices"
	"testing"

	"github.com/emmansun/gmsm/smx509"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/internal/gm"
)

func TestRequestRoundTrip(t *testing.T) {
	for name, key := range map[string]crypto.Signer{"sm2": newSM2(t), "p256": newKey(t, false), "rsa": newRSA(t, 2048)} {
		der, err := NewRequest(key, person("张三"), RequestOptions{
			AltNames: GeneralNames{DNS: []string{"a.cn"}}, KeyUsage: UsageDigitalSignature, Challenge: "暗号",
			Extra: []Extension{{ID: "1.2.3.4", Value: []byte{5, 0}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		req, err := ParseRequest(der)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !SameKey(req.PublicKey, key.Public()) || req.Subject.CommonName() != "张三" || req.Challenge != "暗号" || len(req.NonStandard) != 0 ||
			!slices.Equal(req.Requested.AltNames.DNS, []string{"a.cn"}) || req.Requested.KeyUsage != UsageDigitalSignature || len(req.Requested.Extensions) != 3 {
			t.Errorf("%s: %+v", name, req)
		}
		theirs, err := smx509.ParseCertificateRequest(der)
		if err != nil {
			t.Fatalf("%s: gmsm: %v", name, err)
		}
		if err := theirs.CheckSignature(); err != nil {
			t.Errorf("%s: gmsm: %v", name, err)
		}
	}
	der, err := NewRequest(newSM2(t), Name{}, RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseRequest(der); err != nil {
		t.Errorf("an empty request: %v", err)
	}
}

// requestOf signs hand-made request info.
func requestOf(t testing.TB, key crypto.Signer, sign func(info []byte) []byte, parts ...[]byte) []byte {
	t.Helper()
	info := seq(parts...)
	alg := seq(rawOID(OIDSM2WithSM3))
	if sign == nil {
		sign = func(info []byte) []byte {
			_, sig, err := Sign(key, info)
			if err != nil {
				t.Fatal(err)
			}
			return sig
		}
	}
	return seq(info, alg, element(cbasn1.BIT_STRING, []byte{0}, sign(info)))
}

func TestRequestRefuses(t *testing.T) {
	key, other := newSM2(t), newSM2(t)
	good, err := NewRequest(key, person("张三"), RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	spki, _ := MarshalPublicKey(key.Public())
	name, _ := person("张三").Marshal()
	version, none := []byte{2, 1, 0}, element(contextConstructed(0))
	offCurve := bytes.Clone(spki)
	offCurve[len(offCurve)-1] ^= 1
	withID := func(id string) func([]byte) []byte {
		return func(info []byte) []byte {
			e, err := gm.E(publicOf(key), []byte(id), info)
			if err != nil {
				t.Fatal(err)
			}
			sig, err := key.Sign(nil, e[:], gm.Digest)
			if err != nil {
				t.Fatal(err)
			}
			return sig
		}
	}
	bareSM3 := func(info []byte) []byte {
		e := gm.SM3(info)
		sig, _ := key.Sign(nil, e[:], gm.Digest)
		return sig
	}
	raw := func(info []byte) []byte {
		_, sig, _ := Sign(key, info)
		out, _ := gm.RawSignature(sig)
		return out
	}
	trailing := func(info []byte) []byte {
		_, sig, _ := Sign(key, info)
		return append(sig, 0)
	}
	order := publicOf(key).Curve.Params().N.Bytes()
	scalars := func(r, s []byte) func([]byte) []byte {
		return func([]byte) []byte { return seq(element(cbasn1.INTEGER, r), element(cbasn1.INTEGER, s)) }
	}
	request := seq(rawOID(OIDExtensionRequest), element(cbasn1.SET, seq(ext(OIDKeyUsage, true, []byte{3, 2, 6, 0xc0}))))
	twice := seq(rawOID(OIDExtensionRequest), element(cbasn1.SET, seq(ext(OIDKeyUsage, true, []byte{3, 2, 6, 0xc0}), ext(OIDKeyUsage, true, []byte{3, 2, 7, 0x80}))))
	for _, row := range []struct {
		name string
		der  []byte
		want error
		not  error
	}{
		{"empty id", requestOf(t, key, withID(""), version, name, spki, none), ErrWrongID, nil},
		{"another id", requestOf(t, key, withID("alice@example.cn"), version, name, spki, none), ErrSignature, ErrWrongID},
		{"no Z at all", requestOf(t, key, bareSM3, version, name, spki, none), ErrSignature, ErrWrongID},
		{"another key", requestOf(t, other, nil, version, name, spki, none), ErrSignature, ErrWrongID},
		{"raw signature", requestOf(t, key, raw, version, name, spki, none), ErrSignature, nil},
		{"bytes after the signature", requestOf(t, key, trailing, version, name, spki, none), ErrSignature, nil},
		{"r = 0", requestOf(t, key, scalars([]byte{0}, []byte{1}), version, name, spki, none), ErrSignature, nil},
		{"s = n", requestOf(t, key, scalars([]byte{1}, append([]byte{0}, order...)), version, name, spki, none), ErrSignature, nil},
		{"off curve", requestOf(t, key, nil, version, name, offCurve, none), ErrCurve, nil},
		{"trailing bytes", append(bytes.Clone(good), 0), ErrTrailing, nil},
		{"1 MB", append(bytes.Clone(good), make([]byte, 1<<20)...), ErrTooLarge, nil},
		{"cut", good[:len(good)-1], ErrMalformed, ErrTrailing},
		{"version 2", requestOf(t, key, nil, []byte{2, 1, 1}, name, spki, none), ErrMalformed, nil},
		{"extension request twice", requestOf(t, key, nil, version, name, spki, element(contextConstructed(0), request, request)), ErrMalformed, nil},
		{"extension twice", requestOf(t, key, nil, version, name, spki, element(contextConstructed(0), twice)), ErrMalformed, nil},
		{"attribute without values", requestOf(t, key, nil, version, name, spki, element(contextConstructed(0), seq(rawOID(OIDChallengePassword), element(cbasn1.SET)))), ErrMalformed, nil},
	} {
		_, err := ParseRequest(row.der)
		if !errors.Is(err, row.want) || row.not != nil && errors.Is(err, row.not) {
			t.Errorf("%s: got %v, want %v", row.name, err, row.want)
		}
	}
	for i := range good {
		edited := bytes.Clone(good)
		edited[i] ^= 1
		if req, err := ParseRequest(edited); err == nil {
			t.Errorf("octet %d can be changed: %+v", i, req.Subject)
		}
	}
}

func TestRequestWeakRSA(t *testing.T) {
	weak := newRSA(t, 1024)
	if _, err := NewRequest(weak, person("弱"), RequestOptions{}); !errors.Is(err, ErrWeak) {
		t.Errorf("got %v", err)
	}
}

func TestRequestOfGmsm(t *testing.T) {
	der, err := os.ReadFile("testdata/esl-1.der")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseRequest(der); !errors.Is(err, ErrMalformed) {
		t.Errorf("a certificate was read as a request: %v", err)
	}
}
