package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/emmansun/gmsm/cfca"
	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"hufu/internal/gm"
)

func cfcaKeys(t *testing.T) (ours *gm.PrivateKey, theirs *sm2.PrivateKey) {
	t.Helper()
	ours, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err = sm2.NewPrivateKey(ours.Bytes()); err != nil {
		t.Fatal(err)
	}
	return ours, theirs
}

func TestCFCARequestsAreReadBothWays(t *testing.T) {
	signer, theirSigner := cfcaKeys(t)
	temporary, _ := cfcaKeys(t)
	pub := temporary.Public().(*ecdsa.PublicKey)
	ours, err := NewCFCARequest(signer, NewName(Attribute{Type: OIDCommonName, Value: "holder"}), pub, "111111")
	if err != nil {
		t.Fatal(err)
	}
	seen, err := cfca.ParseCertificateRequest(ours)
	if err != nil || seen.ChallengePassword != "111111" || !pub.Equal(seen.TmpPublicKey) {
		t.Errorf("gmsm reads ours as %+v: %v", seen, err)
	}
	der, err := cfca.CreateCertificateRequest(rand.Reader, &smx509.CertificateRequest{Subject: pkix.Name{CommonName: "holder"}}, theirSigner, pub, "111111")
	if err != nil {
		t.Fatal(err)
	}
	for name, der := range map[string][]byte{"ours": ours, "gmsm's": der} {
		req, err := ParseRequest(der)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := req.TemporaryKey()
		if err != nil || got == nil || !got.Equal(pub) || req.Challenge != "111111" {
			t.Errorf("%s: temporary key %v, challenge %q: %v", name, got, req.Challenge, err)
		}
	}
	plain, err := NewRequest(signer, NewName(), RequestOptions{Challenge: "x"})
	if err != nil {
		t.Fatal(err)
	}
	req, err := ParseRequest(plain)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := req.TemporaryKey(); got != nil || err != nil {
		t.Errorf("a plain request has a temporary key: %v %v", got, err)
	}
}

func TestCFCAKeysAreOpenedBothWays(t *testing.T) {
	for range 40 { // coordinates with leading zeros too, sooner or later
		temporary, theirs := cfcaKeys(t)
		key, _ := cfcaKeys(t)
		text, err := BuildCFCAKey(temporary.Public().(*ecdsa.PublicKey), key)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := cfca.ParseEscrowPrivateKey(theirs, text)
		if err != nil || !bytes.Equal(opened.D.FillBytes(make([]byte, 32)), key.Bytes()) {
			t.Fatalf("gmsm opens ours: %v", err)
		}
		again, err := OpenCFCAKey(text, temporary)
		if err != nil || !SameKey(again.Public(), key.Public()) {
			t.Fatalf("we open ours: %v", err)
		}
		other, _ := cfcaKeys(t)
		if _, err := OpenCFCAKey(text, other); !errors.Is(err, ErrEnvelope) {
			t.Fatalf("another key opened it: %v", err)
		}
	}
}

// The vector is one of the tests of emmansun/gmsm, a key returned by CFCA's test system.
func TestCFCAKeyOfAPeerIsOpened(t *testing.T) {
	const body = "MIHGAgEBBIHArhtKwTVT8dPEkykVRpvQNMxHv/yeqtaKZiSp2MbjcqMZtPfKW8IatiIPPitNhQtU5C7gMbsUxgf5Yo16vDSXdoWqoOOaes2pEJwmXWZI55lMMWc168WgzQ82fmMi05Vhlw9HNjGI3azE6MS5/ujSNGLZ0qAAmLnBiHlXFAXXAWRiy9MxZKwF4xKn6qMaKmkqbYmTbBbEJEhzJBmu0IJ1kNDcTFirAyapghHSw267erSUwsHjkQis9mKYpzGied0E"
	d, _ := hex.DecodeString("cacece36cac24aab94e52bcd5c0f552c95028f2856053135a1e47510b4c307ba")
	temporary, err := gm.NewPrivateKey(d)
	if err != nil {
		t.Fatal(err)
	}
	commas := body[:64] + "," + body[64:128] + "," + body[128:192] + "," + body[192:256] + "," + body[256:] + ","
	for name, text := range map[string]string{"bare": body, "with lengths": cfcaHead + "0000000000000268" + body, "with commas": cfcaHead + "0000000000000273" + commas} {
		key, err := OpenCFCAKey([]byte(text), temporary)
		if err != nil || hex.EncodeToString(key.Bytes()) != "f6e02c941a0dfdac58d8b3b1bc1bd136f179741b7465ebc7b0b25bb381840a3b" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"empty": "", "wrong length": cfcaHead + "0000000000000267" + body, "negative": cfcaHead + "-000000000000268" + body, "short head": cfcaHead + "01",
		"not base64": "!" + body[1:], "more octets": body[:len(body)-4] + "0EAA", "too long": string(bytes.Repeat([]byte("A"), 2000)),
	} {
		if _, err := OpenCFCAKey([]byte(text), temporary); err == nil {
			t.Errorf("%s was opened", name)
		}
	}
}

func TestOddTemporaryKeysAreRefused(t *testing.T) {
	key, _ := cfcaKeys(t)
	der, err := NewCFCARequest(key, NewName(), key.Public().(*ecdsa.PublicKey), "1")
	if err != nil {
		t.Fatal(err)
	}
	req, err := ParseRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	good := req.Attributes[0].Values[0]
	at := bytes.Index(good, temporaryHead)
	for name, change := range map[string]func([]byte) []byte{
		"head": func(b []byte) []byte { b[at] = 1; return b }, "off the curve": func(b []byte) []byte { b[at+temporaryX] ^= 1; return b },
		"filler":    func(b []byte) []byte { b[at+50] = 1; return b },
		"trailing":  func(b []byte) []byte { return append(b, 0) },
		"cut":       func(b []byte) []byte { return b[:len(b)-1] },
		"version 2": func(b []byte) []byte { b[bytes.Index(b, []byte{2, 1, 1})+2] = 2; return b },
	} {
		if _, err := parseTemporaryKey(change(bytes.Clone(good))); err == nil {
			t.Errorf("%s: a temporary key was read", name)
		}
	}
	if _, err := BuildCFCAKey(key.Public().(*ecdsa.PublicKey), key); err == nil {
		t.Error("a key was encrypted to itself")
	}
}

func FuzzCFCA(f *testing.F) {
	key, err := gm.GenerateKey()
	if err != nil {
		f.Fatal(err)
	}
	other, err := gm.GenerateKey()
	if err != nil {
		f.Fatal(err)
	}
	pub := key.Public().(*ecdsa.PublicKey)
	text, err := BuildCFCAKey(pub, other)
	if err != nil {
		f.Fatal(err)
	}
	der, err := NewCFCARequest(key, NewName(), pub, "1")
	if err != nil {
		f.Fatal(err)
	}
	req, err := ParseRequest(der)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(append([]byte(cfcaHead+"0000000000000268"), text...))
	f.Add(req.Attributes[0].Values[0])
	f.Fuzz(func(t *testing.T, in []byte) {
		if k, err := parseTemporaryKey(in); err == nil && !gm.IsSM2(k) {
			t.Error("a temporary key that is none")
		}
		if raw, err := parseCFCAKey(in); err == nil && len(raw) != 192 {
			t.Error("a ciphertext of another size")
		}
	})
}
