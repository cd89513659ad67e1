package certs

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func addCertificates(f *testing.F) {
	files, err := filepath.Glob("testdata/*.der")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds")
	}
	for _, file := range files {
		der, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	root, issuing, leaf := chain(f)
	for _, h := range []holder{root, issuing, leaf} {
		f.Add(h.Raw)
	}
	constrained := under(f, root, person("受限"), newSM2(f), asCA(1), func(x *Template) { x.NameConstraints = sampleConstraints() })
	f.Add(constrained.Raw)
	f.Add(under(f, root, person("e"), newKey(f, false)).Raw)
	f.Add(under(f, root, person("r"), newRSA(f, 2048)).Raw)
}

// FuzzParseCertificate: what the strict parser takes, the lenient one reads without a note, gmsm's parser does not
// contradict in its essentials, and BuildTBS makes again where all its extensions are ones that we write.
func FuzzParseCertificate(f *testing.F) {
	addCertificates(f)
	f.Fuzz(func(t *testing.T, der []byte) {
		lenient, lenientErr := ParseLenient(der)
		if lenientErr == nil {
			_ = lenient.Subject.String()
			Validate(lenient, Options{Roots: []*Certificate{lenient}, Intermediates: []*Certificate{lenient}, At: day, Purpose: PurposeTimeStamp})
			Validate(lenient, Options{Intermediates: []*Certificate{lenient}, At: day, Policies: []OID{"1.2.3"}})
		}
		c, err := Parse(der)
		if err != nil {
			return
		}
		if lenientErr != nil || len(lenient.NonStandard) != 0 {
			t.Fatalf("strict takes what lenient does not: %v %q", lenientErr, lenient.NonStandard)
		}
		if !bytes.Equal(c.Raw, der) {
			t.Fatal("Raw differs")
		}
		again, err := assemble(c.RawTBS, c.SignatureAlgorithm, c.Signature)
		if err != nil || !bytes.Equal(again, der) {
			t.Fatalf("put together differently: %v", err)
		}
		name, err := Name{RDNs: c.Subject.RDNs}.Marshal()
		if err == nil && !bytes.Equal(name, c.RawSubject) {
			t.Fatalf("name %x is written %x", c.RawSubject, name)
		}
		spki, err := MarshalPublicKey(c.PublicKey)
		if err != nil || !bytes.Equal(spki, c.RawSPKI) {
			t.Fatalf("key %x is written %x (%v)", c.RawSPKI, spki, err)
		}
		tmpl := rebuild(c)
		tbs, err := BuildTBS(tmpl)
		if err != nil {
			return // a combination that we do not write, such as a path length without a CA
		}
		if _, err := ParseTBS(tbs); err != nil {
			t.Fatalf("built what cannot be read: %v", err)
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	for _, o := range []RequestOptions{{}, {Challenge: "x", KeyUsage: UsageDigitalSignature, AltNames: full(testKey(f)).AltNames}} {
		der, err := NewRequest(testKey(f), person("张三"), o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		req, err := parseRequest(bytes.Clone(der)) // the signature would hide all that lies behind it
		if err != nil {
			if _, err := ParseRequest(der); err == nil {
				t.Fatal("read in one way only")
			}
			return
		}
		if !bytes.Equal(req.Raw, der) {
			t.Fatal("Raw differs")
		}
		if len(req.NonStandard) > 0 {
			return
		}
		again, err := assemble(req.RawInfo, req.SignatureAlgorithm, req.Signature)
		if err != nil || !bytes.Equal(again, der) {
			t.Fatalf("put together differently: %v", err)
		}
	})
}

func FuzzParseName(f *testing.F) {
	der, _ := person("张三").Marshal()
	f.Add(der)
	f.Fuzz(func(t *testing.T, der []byte) {
		n, err := ParseName(der)
		if err != nil {
			return
		}
		if !n.Equal(n) {
			t.Fatal("not equal to itself")
		}
		again, err := Name{RDNs: n.RDNs}.Marshal()
		if err == nil && !bytes.Equal(again, der) {
			t.Fatalf("%x is written %x", der, again)
		}
	})
}
