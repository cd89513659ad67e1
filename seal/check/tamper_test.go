package check

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"hufu/seal/ofd"
	"hufu/seal/ses"
)

const (
	pageFile = "Doc_0/Pages/Page_0/Content.xml"
	listFile = "Doc_0/Signs/Signatures.xml"
	sigFile  = "Doc_0/Signs/Sign_0/Signature.xml"
	valFile  = "Doc_0/Signs/Sign_0/SignedValue.dat"
	eslFile  = "Doc_0/Signs/Sign_0/Seal.esl"
)

func TestASoundLicencePasses(t *testing.T) {
	for _, v := range []ses.Version{ses.V4, ses.V5} {
		w := newWorld(t)
		w.spec.Version = v
		w.remake()
		for _, strict := range []bool{false, true} {
			o := w.options()
			o.Strict = strict
			r := run(t, w.sealed(unsealed(t), how{}), o)
			if r.Result != Passed || len(r.Reasons) != 0 || !r.Coverage.Complete || len(r.NonStandard) != 0 {
				t.Fatalf("%s %v %+v %v\n%+v", r.Result, r.Reasons, r.Coverage, r.NonStandard, r.Signatures)
			}
			s := r.Signatures[0]
			if s.Format != v.String() || len(s.NonStandard) != 0 || !slices.Equal(s.Pages, []int{1}) || s.Step(StepSignerRevocation).Age == nil || *s.Step(StepSignerRevocation).Age != 3600 || *s.Step(StepSealStatus).Age != 7200 {
				t.Errorf("%+v", s)
			}
			for _, x := range s.Steps {
				if (x.Result == NotApplicable) != (x.Name == StepTimeStamp || x.Name == StepLogProof) {
					t.Errorf("%s: %s", x.Name, x.Result)
				}
			}
			if r.Licence == nil || r.Licence.Identifier != licenceID || r.Bundle.Sequence != 3 || !r.Bundle.Pinned {
				t.Errorf("%+v %+v", r.Licence, r.Bundle)
			}
		}
	}
}

// TestTamperSet is the set T1 to T10 of the reference, each one edit to a sound sealed file.
func TestTamperSet(t *testing.T) {
	for _, v := range []ses.Version{ses.V4, ses.V5} {
		t.Run(v.String(), func(t *testing.T) {
			w := newWorld(t)
			w.spec.Version = v
			w.remake()
			tamperSet(t, w)
		})
	}
}

func tamperSet(t *testing.T, w *world) {
	good := w.sealed(unsealed(t), how{})
	o := w.options()
	strict := o
	strict.Strict = true

	t.Run("T1 a space in the page", func(t *testing.T) {
		r := run(t, editFile(t, good, pageFile, "<ofd:Content>", "<ofd:Content> "), o)
		s := r.Signatures[0]
		if r.Result != Failed || !strings.Contains(reasons(r), "page 1 ("+pageFile+")") {
			t.Fatal(r.Result, r.Reasons)
		}
		expect(t, s, want{StepDigests, Failed, "digest.mismatch"}, want{StepSignature, Passed, ""}, want{StepSealSignature, Passed, ""}, want{StepDataHash, Passed, ""}, want{StepLicenceData, Passed, ""})
	})
	t.Run("a forged name on the page", func(t *testing.T) {
		for lang, words := range map[string][]string{
			"en": {"page 1", "name (名称)", "printed “杭州乙有限公司”", "“杭州甲有限公司”"},
			"zh": {"第 1 页", "“名称”（name）", "页面印为“杭州乙有限公司”"},
		} {
			p := o
			p.Lang = lang
			r := run(t, editFile(t, good, pageFile, "杭州甲", "杭州乙"), p)
			expect(t, r.Signatures[0], want{StepDigests, Failed, "digest.mismatch"}, want{StepLicenceData, Failed, "licence.field"})
			for _, x := range words {
				if !strings.Contains(reasons(r), x) {
					t.Errorf("%q is missing in %s", x, reasons(r))
				}
			}
		}
	})
	t.Run("T2 the stamp moved", func(t *testing.T) {
		r := run(t, editFile(t, good, sigFile, `Boundary="120 `, `Boundary="20 `), o)
		expect(t, r.Signatures[0], want{StepDataHash, Failed, "datahash.mismatch"}, want{StepDigests, Passed, ""}, want{StepSignature, Passed, ""})
		if r.Result != Failed {
			t.Error(r.Result)
		}
	})
	t.Run("T3 one bit anywhere in the signature value", func(t *testing.T) { everyRegion(t, good, o) })
	t.Run("T4 a file that nobody listed", func(t *testing.T) {
		r := run(t, replace(t, good, "Doc_0/extra.bin", []byte("x")), o)
		if r.Result != Passed || r.Coverage.Complete || !slices.Contains(r.Coverage.Uncovered, "Doc_0/extra.bin") || !hasReason(r.Coverage.Problems, "coverage.orphan") {
			t.Errorf("orphan: %s %+v", r.Result, r.Coverage)
		}
		// Reachable: the sound document names a file that was absent (also T10).
		hole := w.sealed(withHole(t), how{})
		before := run(t, hole, o)
		if before.Result != Passed || !hasReason(before.Coverage.Problems, "coverage.missing") || !strings.Contains(before.Coverage.Problems[0].Text, "referenced file missing: Doc_0/DocumentRes.xml") {
			t.Errorf("T10 before: %s %+v", before.Result, before.Coverage)
		}
		filled := replace(t, hole, "Doc_0/DocumentRes.xml", []byte(`<ofd:Res xmlns:ofd="`+ofd.Namespace+`"/>`))
		for opt, result := range map[*Options]Result{&o: Indeterminate, &strict: Failed} {
			r := run(t, filled, *opt)
			expect(t, r.Signatures[0], want{StepCoverage, result, "coverage.drawn"}, want{StepDigests, Passed, ""}, want{StepSignature, Passed, ""})
			if r.Result != result || !slices.Contains(r.Coverage.Uncovered, "Doc_0/DocumentRes.xml") {
				t.Errorf("T10 after: %s %+v", r.Result, r.Coverage)
			}
		}
	})
	t.Run("T5 and T6 a second page entry", func(t *testing.T) {
		var texts []string
		for _, first := range []bool{true, false} {
			r := run(t, twice(t, good, pageFile, first), o)
			if r.Result != Failed || len(r.Signatures) != 0 || !hasReason(r.Reasons, "ofd.duplicate-name") || !strings.Contains(reasons(r), "duplicate name") {
				t.Errorf("%s %v", r.Result, r.Reasons)
			}
			texts = append(texts, strings.SplitN(reasons(r), "(", 2)[0])
		}
		if texts[0] != texts[1] {
			t.Error("first and last have different words:", texts)
		}
	})
	t.Run("T7 the signature taken out of the list", func(t *testing.T) {
		r := run(t, editFile(t, good, listFile, `<ofd:Signature ID="1" Type="Seal" BaseLoc="/Doc_0/Signs/Sign_0/Signature.xml"/>`, ""), o)
		if r.Result != Indeterminate || !strings.Contains(reasons(r), "orphan signature folder Sign_0") || hasReason(r.Reasons, "unsigned") {
			t.Fatal(r.Result, r.Reasons)
		}
		if len(r.Signatures) != 1 || !r.Signatures[0].Orphan || r.Signatures[0].Result != Passed {
			t.Errorf("%+v", r.Signatures)
		}
	})
	t.Run("T8 the end of the seal's validity edited", func(t *testing.T) {
		from, to := []byte(w.spec.ValidEnd.Format("20060102150405Z")), []byte("20990101000000Z")
		r := run(t, replace(t, good, valFile, bytes.Replace(get(t, good, valFile), from, to, 1)), o)
		expect(t, r.Signatures[0], want{StepSealSignature, Failed, "seal.maker-signature"})
		// In Seal.esl alone, listed or not.
		esl := bytes.Replace(get(t, good, eslFile), from, to, 1)
		unlisted := w.sealed(unsealed(t), how{edit: func(x string) string { return dropReference(x, "/"+eslFile) }})
		for _, f := range [][]byte{good, unlisted} {
			r = run(t, replace(t, f, eslFile, esl), o)
			expect(t, r.Signatures[0], want{StepSealSignature, Failed, "seal.differs"}, want{StepSignature, Passed, ""})
			if !strings.Contains(reasons(r), "differs from the signed seal") {
				t.Error(r.Reasons)
			}
		}
	})
	t.Run("T9 OFD.xml edited where it is not listed", func(t *testing.T) {
		open := w.sealed(unsealed(t), how{edit: func(x string) string { return dropReference(x, "/OFD.xml") }})
		for _, f := range [][]byte{open, editFile(t, open, "OFD.xml", "营业执照", "许可证")} {
			r := run(t, f, o)
			expect(t, r.Signatures[0], want{StepCoverage, Passed, "coverage.metadata"}, want{StepSignature, Passed, ""})
			if r.Result != Passed || r.Coverage.Complete || !slices.Contains(r.Coverage.Uncovered, "OFD.xml") || !strings.Contains(r.Coverage.Problems[0].Text, "OFD.xml") {
				t.Errorf("%s %+v", r.Result, r.Coverage)
			}
			if r = run(t, f, strict); r.Result != Failed {
				t.Errorf("strict: %s", r.Result)
			}
		}
	})
}

func reasons(r *Report) string {
	var b strings.Builder
	for _, x := range r.Reasons {
		b.WriteString(x.Text + "\n")
	}
	return b.String()
}

func get(t testing.TB, file []byte, name string) []byte {
	t.Helper()
	c, err := ofd.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	b, ok := c.Read(name)
	if !ok {
		t.Fatal(name)
	}
	return b
}

// dropReference takes one Reference out of a Signature.xml.
func dropReference(x, ref string) string {
	a := strings.Index(x, `<ofd:Reference FileRef="`+ref+`">`)
	if a < 0 {
		return x
	}
	end := "</ofd:Reference>"
	b := strings.Index(x[a:], end)
	return x[:a] + x[a+b+len(end):]
}

// withHole is a document that names a resource file which is not there.
func withHole(t testing.TB) []byte {
	return editFile(t, unsealed(t), "Doc_0/Document.xml", "</ofd:CommonData>", "<ofd:DocumentRes>DocumentRes.xml</ofd:DocumentRes></ofd:CommonData>")
}

// everyRegion flips a bit in steps through the whole value: nothing may pass.
func everyRegion(t *testing.T, good []byte, o Options) {
	value := get(t, good, valFile)
	for i := 0; i < len(value); i += 7 {
		b := slices.Clone(value)
		b[i] ^= 1
		r := run(t, replace(t, good, valFile, b), o)
		if r.Result == Passed {
			t.Fatalf("octet %d of %d changed and the file passes", i, len(value))
		}
		s := r.Signatures[0]
		if s.Result != Failed && s.Step(StepSignature).Result != Indeterminate {
			t.Fatalf("octet %d: %s %v", i, s.Result, s.Reasons)
		}
	}
}

// twice writes the container by hand with a forged entry of the same name.
func twice(t testing.TB, file []byte, name string, first bool) []byte {
	t.Helper()
	// A copy under a name of the same length, renamed in the bytes of both headers.
	stand := strings.Replace(name, "Content", "Kontent", 1)
	c, err := ofd.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.With(stand, []byte("<forged/>"))
	if err != nil {
		t.Fatal(err)
	}
	b := d.Bytes()
	if first { // the original takes the other place: swap which of the two is the forged one
		orig, _ := c.Read(name)
		e, err := c.With(name, []byte("<forged/>"))
		if err != nil {
			t.Fatal(err)
		}
		if e, err = e.With(stand, orig); err != nil {
			t.Fatal(err)
		}
		b = e.Bytes()
	}
	return bytes.ReplaceAll(b, []byte(stand), []byte(name))
}

func TestTheListOfSignaturesGone(t *testing.T) {
	w := newWorld(t)
	good := w.sealed(unsealed(t), how{})
	r := run(t, remove(t, good, listFile), w.options())
	if r.Result != Indeterminate || !hasReason(r.Reasons, "signature-list-missing") || !hasReason(r.Reasons, "orphan-signature") || hasReason(r.Reasons, "unsigned") {
		t.Error(r.Result, r.Reasons)
	}
	r = run(t, replace(t, good, listFile, []byte("<x")), w.options())
	if r.Result != Failed || !hasReason(r.Reasons, "signature-list-bad") {
		t.Error(r.Result, r.Reasons)
	}
	for _, name := range []string{valFile, sigFile} {
		if r = run(t, remove(t, good, name), w.options()); r.Result != Failed {
			t.Errorf("without %s: %s %v", name, r.Result, r.Reasons)
		}
	}
	for _, name := range []string{pageFile, "Doc_0/Document.xml", eslFile} {
		r = run(t, remove(t, good, name), w.options())
		if r.Result != Failed || !hasReason(r.Reasons, "digest.missing") {
			t.Errorf("without %s: %s %v", name, r.Result, r.Reasons)
		}
	}
}

// remove writes a container without a file.
func remove(t testing.TB, file []byte, name string) []byte {
	t.Helper()
	stand := strings.Repeat("z", len(name)-4) + ".bin"
	out := bytes.ReplaceAll(file, []byte(name), []byte(stand))
	if _, err := ofd.Open(out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTwoSignaturesAreTwoVerdicts(t *testing.T) {
	w := newWorld(t)
	second := w.sealed(w.sealed(unsealed(t), how{}), how{stamps: []ofd.Stamp{{Page: 1, Boundary: ofd.Box{X: 20, Y: 200, W: 40, H: 40}}}})
	r := run(t, second, w.options())
	if r.Result != Passed || len(r.Signatures) != 2 || !r.Coverage.Complete {
		t.Fatal(r.Result, r.Reasons, r.Coverage)
	}
	// The first one broken: the second lists its files and falls too, each for its own reason.
	r = run(t, editFile(t, second, sigFile, `Boundary="120 `, `Boundary="10 `), w.options())
	expect(t, r.Signatures[0], want{StepDataHash, Failed, "datahash.mismatch"}, want{StepDigests, Passed, ""})
	expect(t, r.Signatures[1], want{StepDataHash, Passed, ""}, want{StepDigests, Failed, "digest.mismatch"})
	// The second one broken: the first stands.
	r = run(t, editFile(t, second, "Doc_0/Signs/Sign_1/Signature.xml", `Boundary="20 `, `Boundary="10 `), w.options())
	if r.Result != Failed || r.Signatures[0].Result != Passed || r.Signatures[1].Result != Failed {
		t.Error(r.Result, r.Signatures[0].Result, r.Signatures[1].Result)
	}
	// A signature added to a whole-protected one: the first fails and says why, the second stands on its own.
	whole := w.sealed(unsealed(t), how{whole: true})
	if r = run(t, whole, w.options()); r.Result != Passed || !r.Coverage.Complete {
		t.Fatal(r.Result, r.Reasons)
	}
	forced := editFile(t, whole, listFile, "<ofd:MaxSignId>2", "<ofd:MaxSignId>9")
	r = run(t, forced, w.options())
	expect(t, r.Signatures[0], want{StepDigests, Failed, "digest.list-changed"})
}

func TestCoverageIsNotFooledByASecondSignature(t *testing.T) {
	w := newWorld(t)
	hole := w.sealed(withHole(t), how{})
	evil := replace(t, hole, "Doc_0/DocumentRes.xml", []byte(`<ofd:Res xmlns:ofd="`+ofd.Namespace+`"/>`))
	stranger := issue(t, nil, "骗子", nil)
	r := run(t, w.sealed(evil, how{signer: &stranger}), w.options())
	expect(t, r.Signatures[0], want{StepCoverage, Indeterminate, "coverage.drawn"})
	expect(t, r.Signatures[1], want{StepSignerInSeal, Failed, "seal.signer-not-listed"}, want{StepSignerCertificate, Indeterminate, ""})
	if r.Result != Failed {
		t.Error(r.Result)
	}
	// A later signature that calls the drawn file its own seal does not excuse it.
	alias := editFile(t, w.sealed(evil, how{signer: &stranger}), "Doc_0/Signs/Sign_1/Signature.xml", "/Doc_0/Signs/Sign_1/Seal.esl</ofd:BaseLoc>", "/Doc_0/DocumentRes.xml</ofd:BaseLoc>")
	r = run(t, alias, w.options())
	expect(t, r.Signatures[0], want{StepCoverage, Indeterminate, "coverage.drawn"})
}
