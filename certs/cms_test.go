package certs

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/emmansun/gmsm/pkcs7"
	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"hufu/internal/gm"
)

var cmsContent = []byte("第一条 本合同自双方盖章之日起生效。")

func signData(t testing.TB, template SignedDataTemplate, p party) []byte {
	t.Helper()
	template.Certificate = p.Certificate
	if template.Content == nil {
		template.Content = cmsContent
	}
	der, err := BuildSignedData(template, p.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func parseSigned(t testing.TB, der []byte) *SignedData {
	t.Helper()
	s, err := ParseSignedData(der)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// cmsForms are the four shapes in which we sign.
var cmsForms = map[string]SignedDataTemplate{
	"attached":            {},
	"detached":            {Detached: true},
	"attributes":          {WithAttributes: true, SigningTime: day},
	"detached attributes": {Detached: true, WithAttributes: true},
	"RFC types":           {RFCTypes: true, SigningTime: day},
}

func TestSignedDataRoundTrip(t *testing.T) {
	for _, sm2 := range []bool{true, false} {
		ca := newCA(t, "CMS Root", sm2)
		signer := issue(t, ca, "Signer", sm2)
		for name, template := range cmsForms {
			template.Chain = []*Certificate{ca.Certificate, ca.Certificate}
			s := parseSigned(t, signData(t, template, signer))
			var outside []byte
			if template.Detached {
				outside = cmsContent
			} else if !bytes.Equal(s.Content, cmsContent) {
				t.Errorf("%s: content %q", name, s.Content)
			}
			who, err := s.Verify(outside)
			if err != nil || len(who) != 1 || !bytes.Equal(who[0].Certificate.Raw, signer.Raw) || len(who[0].NonStandard) != 0 {
				t.Fatalf("%s: %v, %+v", name, err, who)
			}
			if !who[0].Info.SigningTime.Equal(template.SigningTime) || len(s.Certificates) != 2 {
				t.Errorf("%s: time %s, %d certificates", name, who[0].Info.SigningTime, len(s.Certificates))
			}
			if gm := sm2 && !template.RFCTypes; gm != (s.Type == OIDGMSignedData) || gm != (s.ContentType == OIDGMData) {
				t.Errorf("%s: types %s, %s", name, s.Type, s.ContentType)
			}
		}
	}
}

func TestSignedDataAgreesWithGmsm(t *testing.T) {
	ca := newCA(t, "CMS Root", true)
	signer := issue(t, ca, "Signer", true)
	for name, template := range cmsForms {
		p7, err := pkcs7.Parse(signData(t, template, signer))
		if err != nil {
			t.Fatalf("%s: gmsm: %v", name, err)
		}
		if template.Detached {
			p7.Content = cmsContent
		}
		if err := p7.Verify(); err != nil {
			t.Errorf("%s: gmsm does not verify ours: %v", name, err)
		}
	}
	key, err := sm2.NewPrivateKey(signer.key.(*gm.PrivateKey).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, attributes := range []bool{true, false} {
		theirs, err := pkcs7.NewSMSignedData(cmsContent)
		if err != nil {
			t.Fatal(err)
		}
		if attributes {
			err = theirs.AddSigner(signer.template(t), key, pkcs7.SignerInfoConfig{})
		} else {
			err = theirs.SignWithoutAttr(signer.template(t), key, pkcs7.SignerInfoConfig{})
		}
		if err != nil {
			t.Fatal(err)
		}
		der, err := theirs.Finish()
		if err != nil {
			t.Fatal(err)
		}
		// gmsm names the certificate itself as issuer when no parent is given, so that the issuer's name decides.
		if _, err := parseSigned(t, der).Verify(nil); err != nil {
			t.Errorf("attributes %v: theirs does not verify: %v", attributes, err)
		}
	}
}

func TestSignedDataByOpenSSL(t *testing.T) {
	dir := t.TempDir()
	ca := newCA(t, "CMS Root", false)
	signer := issue(t, ca, "Signer", false)
	writeFile(t, dir, "ca.pem", EncodePEM("CERTIFICATE", ca.Raw))
	writeFile(t, dir, "content", cmsContent)
	for name, template := range cmsForms {
		writeFile(t, dir, "a.p7", signData(t, template, signer))
		args := []string{"cms", "-verify", "-binary", "-inform", "DER", "-in", "a.p7", "-CAfile", "ca.pem", "-purpose", "any", "-out", "out"}
		if template.Detached {
			args = append(args, "-content", "content")
		}
		if out := openssl(t, dir, args...); !strings.Contains(out, "CMS Verification successful") {
			t.Errorf("%s: openssl says: %s", name, out)
		}
	}
	writeFile(t, dir, "key.pem", pemKey(t, signer.key))
	writeFile(t, dir, "signer.pem", EncodePEM("CERTIFICATE", signer.Raw))
	for _, extra := range [][]string{{"-nodetach"}, {"-nodetach", "-noattr"}, {"-nodetach", "-keyid"}, {}} {
		openssl(t, dir, append([]string{"cms", "-sign", "-binary", "-in", "content", "-signer", "signer.pem", "-inkey", "key.pem", "-outform", "DER", "-out", "b.p7", "-md", "sha256"}, extra...)...)
		s := parseSigned(t, readFile(t, dir, "b.p7"))
		var outside []byte
		if s.Detached {
			outside = cmsContent
		}
		if _, err := s.Verify(outside); err != nil {
			t.Errorf("openssl %v: %v", extra, err)
		}
	}
}

// What peers write as signature algorithm is accepted and named.
func TestSignedDataForeignAlgorithms(t *testing.T) {
	signer := newCA(t, "Signer", true)
	der := signData(t, SignedDataTemplate{WithAttributes: true}, signer)
	own, _ := OIDSM2Sign.content()
	for oid, want := range map[OID]error{OIDSM2Sign: nil, OIDSM2WithSM3: nil, OIDSM2: nil, OIDSM2Encrypt: ErrUnsupported, OIDECDSAWithSHA256: ErrUnsupported} {
		s := parseSigned(t, der)
		s.Signers[0].SignatureOID = oid
		who, err := s.Verify(nil)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", oid, err)
		}
		if err == nil && (len(who[0].NonStandard) == 0) != (oid == OIDSM2Sign) {
			t.Errorf("%s: remarks %q", oid, who[0].NonStandard)
		}
	}
	if !bytes.Contains(der, own) {
		t.Error("the house form is not written")
	}
	s := parseSigned(t, der)
	s.Signers[0].DigestAlgorithm = OIDSHA256
	if _, err := s.Verify(nil); !errors.Is(err, ErrUnsupported) {
		t.Errorf("SM2 with SHA-256: %v", err)
	}
}

func TestSignedDataRefusesAnotherSM2ID(t *testing.T) {
	signer := newCA(t, "Signer", true)
	for _, attributes := range []bool{true, false} {
		s := parseSigned(t, signData(t, SignedDataTemplate{WithAttributes: attributes}, signer))
		message := s.Content
		if attributes {
			message = s.Signers[0].signed
		}
		bare := gm.SM3(message)
		empty, err := gm.E(publicOf(signer.key.(*gm.PrivateKey)), nil, message)
		if err != nil {
			t.Fatal(err)
		}
		for name, e := range map[string][32]byte{"empty id": empty, "SM3 without Z": bare} {
			if s.Signers[0].Signature, err = signer.key.Sign(nil, e[:], gm.Digest); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Verify(nil); !errors.Is(err, ErrSignature) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestSignedDataRefusesEveryEdit(t *testing.T) {
	ca := newCA(t, "CMS Root", true)
	signer := issue(t, ca, "Signer", true)
	for name, template := range cmsForms {
		der := signData(t, template, signer)
		var outside []byte
		if template.Detached {
			outside = cmsContent
		}
		signerFound := func(bad []byte) (*SignedData, bool) {
			s, err := ParseSignedData(bad)
			if err != nil {
				return nil, false
			}
			who, err := s.Verify(outside)
			return s, err == nil && bytes.Equal(who[0].Certificate.Raw, signer.Raw) && len(who[0].NonStandard) == 0
		}
		original := parseSigned(t, der)
		for i := range der {
			bad := bytes.Clone(der)
			bad[i] ^= 1
			s, ok := signerFound(bad)
			if !ok {
				continue
			}
			// What no signature covers may change as long as its meaning does not: version, list of digests, outer type.
			if !bytes.Equal(s.Content, original.Content) || !s.Signers[0].SigningTime.Equal(original.Signers[0].SigningTime) ||
				template.WithAttributes && s.ContentType != original.ContentType {
				t.Errorf("%s: octet %d of %d changed and nobody noticed", name, i, len(der))
			}
		}
		if _, err := ParseSignedData(append(bytes.Clone(der), 0)); !errors.Is(err, ErrTrailing) {
			t.Errorf("%s: trailing octet: %v", name, err)
		}
	}
}

// Signed attributes taken for content: the signature over them would hold for a message without attributes.
func TestSignedDataAttributeConfusion(t *testing.T) {
	signer := newCA(t, "Signer", true)
	s := parseSigned(t, signData(t, SignedDataTemplate{WithAttributes: true}, signer))
	forged := *s
	forged.Content = s.Signers[0].signed
	forged.Signers = []SignerInfo{s.Signers[0]}
	forged.Signers[0].signed, forged.Signers[0].Attributes = nil, nil
	if _, err := forged.Verify(nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("attributes as content: %v", err)
	}
	if _, err := BuildSignedData(SignedDataTemplate{Content: forged.Content, Certificate: signer.Certificate}, signer.key); !errors.Is(err, ErrMalformed) {
		t.Errorf("content like attributes signed: %v", err)
	}
}

func TestSignedDataNeedsItsSigner(t *testing.T) {
	ca := newCA(t, "CMS Root", true)
	signer, other := issue(t, ca, "Signer", true), issue(t, ca, "Other", true)
	s := parseSigned(t, signData(t, SignedDataTemplate{OmitCertificates: true}, signer))
	if _, err := s.Verify(nil, other.Certificate); !errors.Is(err, ErrNoSigner) {
		t.Errorf("certificate missing: %v", err)
	}
	if _, err := s.Verify(nil, other.Certificate, signer.Certificate); err != nil {
		t.Errorf("certificate given: %v", err)
	}
	if _, err := s.Verify(cmsContent, signer.Certificate); !errors.Is(err, ErrMalformed) {
		t.Errorf("content inside and outside: %v", err)
	}
	if s.Signers = nil; true {
		if _, err := s.Verify(nil); !errors.Is(err, ErrNoSigner) {
			t.Errorf("no signer: %v", err)
		}
	}
	if _, err := BuildSignedData(SignedDataTemplate{Content: cmsContent, Certificate: other.Certificate}, signer.key); !errors.Is(err, ErrWrongIssuer) {
		t.Errorf("certificate of another key: %v", err)
	}
	// A namesake: same issuer and serial number in a certificate with another key.
	fake := *other.Certificate
	fake.Serial = signer.Serial
	s = parseSigned(t, signData(t, SignedDataTemplate{OmitCertificates: true}, signer))
	if _, err := s.Verify(nil, &fake); !errors.Is(err, ErrSignature) {
		t.Errorf("another key: %v", err)
	}
}

func FuzzParseSignedData(f *testing.F) {
	ca := newCA(f, "Fuzz", true)
	signer := issue(f, ca, "Signer", true, withEKU(smx509.ExtKeyUsageEmailProtection))
	for _, template := range cmsForms {
		f.Add(signData(f, template, signer))
	}
	f.Fuzz(func(_ *testing.T, der []byte) {
		s, err := ParseSignedData(der)
		if err != nil {
			return
		}
		if s.Detached {
			_, _ = s.Verify(cmsContent)
		} else {
			_, _ = s.Verify(nil)
		}
	})
}
