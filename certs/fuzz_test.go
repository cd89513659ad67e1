package certs

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
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
		again, err := Assemble(c.RawTBS, c.SignatureAlgorithm, c.Signature)
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
		again, err := Assemble(req.RawInfo, req.SignatureAlgorithm, req.Signature)
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

var fuzzedExtensions = []OID{
	OIDSubjectKeyID, OIDAuthorityKeyID, OIDKeyUsage, OIDExtKeyUsage, OIDBasicConstraints, OIDSubjectAltName, OIDNameConstraints,
	OIDCRLDistributionPoints, OIDFreshestCRL, OIDAuthorityInfoAccess, OIDCertificatePolicies, OIDPolicyMappings,
	OIDPolicyConstraints, OIDInhibitAnyPolicy, OIDOCSPNoCheck, OIDIdentityPerson, OIDIdentityTax,
}

// exactly are the extensions whose every strict form is one that we write, so that they must come back the same.
var exactly = []OID{
	OIDSubjectKeyID, OIDKeyUsage, OIDExtKeyUsage, OIDPolicyMappings, OIDPolicyConstraints, OIDInhibitAnyPolicy, OIDOCSPNoCheck, OIDIdentityPerson,
}

// FuzzExtension reads the value of each kind of extension, which a mutated certificate hardly ever reaches.
func FuzzExtension(f *testing.F) {
	n := 1
	tmpl := full(testKey(f))
	asCA(2)(&tmpl)
	tmpl.SubjectKeyID = []byte{1}
	tmpl.PolicyMappings = []PolicyMapping{{"1.2.3", "1.2.4"}}
	tmpl.PolicyConstraints, tmpl.InhibitAnyPolicy = &PolicyConstraints{0, 1}, &n
	tmpl.NameConstraints, tmpl.OCSPNoCheck = sampleConstraints(), true
	seeds, err := tmpl.extensions()
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range seeds {
		f.Add(uint8(max(0, slices.Index(fuzzedExtensions, e.ID))), e.Critical, e.Value)
	}
	f.Fuzz(func(t *testing.T, which uint8, critical bool, value []byte) {
		e := Extension{ID: fuzzedExtensions[int(which)%len(fuzzedExtensions)], Critical: critical, Value: value}
		read := func(r *reader) (*Certificate, error) {
			c := &Certificate{MaxPathLen: -1, RequireExplicit: -1, InhibitMapping: -1, InhibitAnyPolicy: -1, Extensions: []Extension{e}}
			return c, r.interpret(c)
		}
		lenient := reader{lenient: true}
		loose, err := read(&lenient)
		if err != nil {
			t.Fatalf("the lenient reader refused: %v", err)
		}
		if loose.NameConstraints != nil {
			budget := maxNameComparisons
			loose.NameConstraints.check(full(testKey(t)).AltNames, &budget)
		}
		strict, err := read(&reader{})
		if err != nil {
			return
		}
		if len(lenient.notes) > 0 || len(loose.UnknownCritical) > 0 {
			t.Fatalf("strict takes what lenient notes: %q %v", lenient.notes, loose.UnknownCritical)
		}
		if !slices.Contains(exactly, e.ID) || strict.RequireExplicit == maxSkip || strict.InhibitMapping == maxSkip || strict.InhibitAnyPolicy == maxSkip {
			return
		}
		again := rebuild(strict)
		list, err := again.extensions()
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(list, func(x Extension) bool { return x.ID == e.ID })
		if i < 0 || !bytes.Equal(list[i].Value, value) {
			t.Fatalf("%s %x is written differently: %v", e.ID, value, list)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	der, err := os.ReadFile("testdata/person-sign.der")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Parse(der); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBuildTBS(b *testing.B) {
	tmpl := goldenTemplate(b)
	for b.Loop() {
		if _, err := BuildTBS(tmpl); err != nil {
			b.Fatal(err)
		}
	}
}
