package certs

import (
	"bytes"
	"crypto"
	"errors"
	"testing"
)

func TestRequestMessageRoundTrip(t *testing.T) {
	root := newCA(t, "Root", true)
	for name, key := range map[string]crypto.Signer{"sm2": newSM2(t), "p256": newKey(t, false), "rsa": newRSA(t, 2048)} {
		der, err := NewRequestMessage(key, RequestMessageOptions{
			ID: 7, Subject: person("张三"), Replaces: root.Certificate, Pairs: map[string]string{"holder": "a?b%c", "org": ""},
			Extra: []Extension{{ID: "1.2.3.4", Value: []byte{5, 0}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		m, err := ParseRequestMessage(der)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if m.ID != 7 || !bytes.Equal(m.OldSerial, root.Serial) || !m.OldIssuer.Equal(root.Issuer) || m.Pairs["holder"] != "a?b%c" || len(m.Pairs) != 2 {
			t.Errorf("%s: %+v", name, m)
		}
		req, err := ParseRequest(der) // by the same door as PKCS#10
		if err != nil || !SameKey(req.PublicKey, key.Public()) || req.Subject.CommonName() != "张三" || len(req.Requested.Extensions) != 1 {
			t.Errorf("%s: %+v, %v", name, req, err)
		}
	}
}

func TestRequestMessagesWithoutProofAreRefused(t *testing.T) {
	key := newSM2(t)
	der, err := NewRequestMessage(key, RequestMessageOptions{Subject: person("张三")})
	if err != nil {
		t.Fatal(err)
	}
	m, err := ParseRequestMessage(der)
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewRequestMessage(newSM2(t), RequestMessageOptions{Subject: person("张三")})
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := ParseRequestMessage(other)
	if err != nil {
		t.Fatal(err)
	}
	proof := theirs.Raw[len(theirs.Raw)-(len(theirs.Raw)-bytes.Index(theirs.Raw, theirs.RawRequest)-len(theirs.RawRequest)):]
	for name, parts := range map[string][][]byte{
		"none": {m.RawRequest}, "the registration authority's word": {m.RawRequest, {0x80, 0}}, "another key's": {m.RawRequest, proof},
	} {
		if _, err := ParseRequest(seq(parts...)); err == nil {
			t.Errorf("%s is taken for a proof", name)
		} else if name == "another key's" && !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseRequestMessage(f *testing.F) {
	for _, o := range []RequestMessageOptions{{}, {ID: -1, Subject: person("x"), Pairs: map[string]string{"a": "%?"}, Replaces: newCA(f, "r", true).Certificate}} {
		der, err := NewRequestMessage(testKey(f), o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		m, err := ParseRequestMessage(der)
		if err != nil {
			return
		}
		if !bytes.Equal(m.Raw, der) {
			t.Fatal("Raw differs")
		}
		if len(m.Pairs) > 0 {
			if again, err := parsePairs(writePairs(m.Pairs)); err != nil || len(again) != len(m.Pairs) {
				t.Fatalf("pairs are read back as %v, %v", again, err)
			}
		}
		_, _ = m.Request()
	})
}

func TestCertificatesAlone(t *testing.T) {
	a, b := newCA(t, "A", true), newCA(t, "B", false)
	der, err := BuildCertificates([]*Certificate{a.Certificate, b.Certificate})
	if err != nil {
		t.Fatal(err)
	}
	list, err := ParseCertificates(der)
	if err != nil || len(list) != 2 {
		t.Fatalf("%d certificates, %v", len(list), err)
	}
	if _, err := ParseCertificates(append(der, 0)); err == nil {
		t.Error("trailing bytes are taken")
	}
	signed := signData(t, cmsForms["attached"], issue(t, a, "S", true, criticalEKU(t)))
	if _, err := ParseCertificates(signed); err == nil {
		t.Error("a SignedData with content and signers is taken")
	}
}

func FuzzParseCertificates(f *testing.F) {
	der, err := BuildCertificates([]*Certificate{newCA(f, "A", true).Certificate})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Fuzz(func(_ *testing.T, der []byte) { _, _ = ParseCertificates(der) })
}
