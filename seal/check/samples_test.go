package check

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"hufu/certs"
	"hufu/seal/ses"
)

// clock is the time at which the samples' README gives its judgements.
var clock = time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("../ofd/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// run checks bytes; o.At is the clock unless set.
func run(t testing.TB, file []byte, o Options) *Report {
	t.Helper()
	if o.At.IsZero() {
		o.At = clock
	}
	r, err := Check(file, o)
	if err != nil {
		t.Fatal(err)
	}
	line, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(line), "%!") {
		t.Errorf("words and arguments do not fit: %s", line)
	}
	return r
}

// want is a step and what it must say.
type want struct {
	step   StepName
	result Result
	code   string
}

func expect(t *testing.T, s Signature, wants ...want) {
	t.Helper()
	if len(s.Steps) != len(stepOrder) {
		t.Errorf("%d steps", len(s.Steps))
	}
	for _, w := range wants {
		got := s.Step(w.step)
		if got.Result != w.result || w.code != "" && !said1(s, w.step, w.code) {
			t.Errorf("%s: %s %q (%s), want %s %q", w.step, got.Result, got.Code, got.Detail, w.result, w.code)
		}
	}
}

// said1 tells whether a code is the step's, or among the reasons.
func said1(s Signature, n StepName, code string) bool {
	if s.Step(n).Code == code {
		return true
	}
	for _, r := range s.Reasons {
		if r.Code == code && strings.Contains(s.Step(n).Detail, r.Text) {
			return true
		}
	}
	return false
}

func hasReason(list []Reason, code string) bool {
	for _, r := range list {
		if r.Code == code {
			return true
		}
	}
	return false
}

// pinned gives signer and maker of the samples.
func pinned(t testing.TB) (signer, maker *certs.Certificate) {
	t.Helper()
	s, err := ses.ParseSeal(sample(t, "seal-v4.esl"))
	if err != nil {
		t.Fatal(err)
	}
	if signer, err = certs.ParseLenient(s.Certs[0]); err != nil {
		t.Fatal(err)
	}
	if maker, err = certs.ParseLenient(s.MakerCert); err != nil {
		t.Fatal(err)
	}
	return signer, maker
}

var cryptoPassed = []want{
	{StepParse, Passed, ""},
	{StepDigests, Passed, ""},
	{StepDataHash, Passed, ""},
	{StepSignature, Passed, ""},
	{StepSealSignature, Passed, ""},
	{StepSignerInSeal, Passed, ""},
	{StepCoverage, Passed, ""},
	{StepTimeStamp, NotApplicable, ""},
	{StepLogProof, NotApplicable, ""},
	{StepLicenceIdentifier, NotApplicable, ""},
	{StepLicenceStatus, NotApplicable, ""},
	{StepLicenceData, NotApplicable, ""},
}

func TestUnsignedSamples(t *testing.T) {
	for _, name := range []string{"hello-unsigned.ofd", "unsigned-nonstandard-namespace.ofd"} {
		r := run(t, sample(t, name), Options{Lang: "en"})
		if r.Result != Indeterminate || len(r.Signatures) != 0 || !hasReason(r.Reasons, "unsigned") {
			t.Errorf("%s: %s %v", name, r.Result, r.Reasons)
		}
		namespace := strings.Contains(strings.Join(r.NonStandard, "\n"), "non-standard namespace")
		if namespace != strings.Contains(name, "namespace") {
			t.Errorf("%s: %v", name, r.NonStandard)
		}
	}
}

func TestSampleSealedAfterExpiry(t *testing.T) {
	r := run(t, sample(t, "sealed-v4-expired.ofd"), Options{Lang: "en"})
	if r.Result != Failed || !hasReason(r.Reasons, "certificate.expired") || !hasReason(r.Reasons, "seal.expired") || !hasReason(r.Reasons, "content.unchanged") {
		t.Fatalf("%s %v", r.Result, r.Reasons)
	}
	if !r.Coverage.Complete || len(r.Coverage.Uncovered) != 0 || len(r.Coverage.Problems) != 0 {
		t.Errorf("%+v", r.Coverage)
	}
	s := r.Signatures[0]
	expect(t, s, append(cryptoPassed,
		want{StepSealValidity, Failed, "seal.expired"}, want{StepSignerCertificate, Failed, "certificate.expired"},
		want{StepSealMaker, Indeterminate, "path.no-root"}, want{StepSigningTime, Failed, "time.outside"},
		want{StepSignerRevocation, Indeterminate, ""}, want{StepSealStatus, Indeterminate, "seal.status-unknown"})...)
	if s.ID != "1" || s.Type != "Seal" || s.Format != "v4" || s.Seal.Name != "OFD R&W 测试用印章" || s.Seal.Picture.Width != 40 || s.Signer.Serial == "" || s.Time.Source != SourceClaimed {
		t.Errorf("%+v", s)
	}
	if s.Time.Used.Format(time.RFC3339) != "2026-08-04T02:08:09Z" {
		t.Errorf("time %v", s.Time.Used)
	}
}

func TestSamplesThatExpiredSince(t *testing.T) {
	for _, name := range []string{"sealed-v4-whole-protected.ofd", "sealed-v4-cross-page.ofd"} {
		r := run(t, sample(t, name), Options{Lang: "en"})
		if r.Result != Indeterminate || !hasReason(r.Reasons, "time.claimed-only") || !r.Coverage.Complete {
			t.Errorf("%s: %s %v %+v", name, r.Result, r.Reasons, r.Coverage)
		}
		expect(t, r.Signatures[0], append(cryptoPassed,
			want{StepSignerCertificate, Indeterminate, "certificate.ended-since"}, want{StepSealValidity, Indeterminate, "seal.ended-since"},
			want{StepSigningTime, Indeterminate, "time.claimed-only"})...)
		missing := hasReason(r.Coverage.Problems, "coverage.missing")
		if missing != strings.Contains(name, "cross-page") {
			t.Errorf("%s: %v", name, r.Coverage.Problems)
		}
		if missing && (r.Coverage.Problems[0].Text != "referenced file missing: Doc_0/PublicRes.xml" || len(r.Signatures[0].Pages) != 5) {
			t.Errorf("%v %v", r.Coverage.Problems, r.Signatures[0].Pages)
		}
		if !strings.Contains(strings.Join(r.Signatures[0].NonStandard, "\n"), "keyCertSign") {
			t.Errorf("%s: the profile is not remarked on: %v", name, r.Signatures[0].NonStandard)
		}
	}
	// Within the validity, with both certificates pinned: only status is unknown.
	signer, maker := pinned(t)
	r := run(t, sample(t, "sealed-v4-whole-protected.ofd"), Options{At: time.Date(2021, 1, 1, 0, 0, 0, 0, time.UTC), Anchors: []*certs.Certificate{signer, maker}})
	if r.Result != Indeterminate {
		t.Error(r.Result, r.Reasons)
	}
	expect(t, r.Signatures[0], append(cryptoPassed,
		want{StepSignerCertificate, Passed, ""}, want{StepSealValidity, Passed, ""}, want{StepSigningTime, Passed, ""},
		want{StepSignerRevocation, Indeterminate, "revocation.no-source"}, want{StepSealMaker, Indeterminate, "revocation.no-source"})...)
}

func TestSampleBareSignature(t *testing.T) {
	file := sample(t, "signed-bare.ofd")
	r := run(t, file, Options{Lang: "en"})
	if r.Result != Indeterminate || !hasReason(r.Reasons, "signer.unknown") || r.Signatures[0].Signer != nil {
		t.Fatalf("%s %v", r.Result, r.Reasons)
	}
	s := r.Signatures[0]
	expect(t, s, want{StepDigests, Passed, ""}, want{StepSignature, Indeterminate, "signer.unknown"}, want{StepSealSignature, NotApplicable, ""})
	if !r.Coverage.Complete {
		t.Errorf("%+v", r.Coverage)
	}
	if s.Format != "bare" || s.Type != "Sign" || !strings.Contains(strings.Join(s.NonStandard, "\n"), "bare SM2 signature instead of GB/T 35275 SignedData") {
		t.Errorf("%s %s %v", s.Format, s.Type, s.NonStandard)
	}
	signer, maker := pinned(t)
	r = run(t, file, Options{Signers: []*certs.Certificate{signer}})
	expect(t, r.Signatures[0], want{StepSignature, Passed, ""}, want{StepDataHash, Passed, ""}, want{StepSignerCertificate, Indeterminate, ""})
	if r.Result != Indeterminate {
		t.Error(r.Result)
	}
	r = run(t, file, Options{Signers: []*certs.Certificate{maker}})
	expect(t, r.Signatures[0], want{StepSignature, Failed, "signature.wrong"})
	if r.Result != Failed {
		t.Error(r.Result)
	}
}

func TestSampleSeals(t *testing.T) {
	for name, wants := range map[string][]want{
		"seal-v1.esl": {{StepSealValidity, Failed, "seal.expired-now"}, {StepSealMaker, Indeterminate, "path.no-root"}},
		"seal-v4.esl": {{StepSealValidity, Failed, "seal.expired-now"}, {StepSealMaker, Indeterminate, "path.no-root"}},
		"seal-v5.esl": {{StepSealValidity, Passed, ""}, {StepSealMaker, Failed, "maker.expired"}, {StepSignerInSeal, Failed, "seal.no-usable-signer"}, {StepTimeStamp, NotApplicable, ""}},
		"seal-v5-dummy-timestamp.esl": {
			{StepSealValidity, Passed, ""}, {StepSealMaker, Failed, "maker.expired"}, {StepSignerInSeal, Failed, "seal.no-usable-signer"}, {StepTimeStamp, Failed, "timestamp.not-a-token"},
		},
	} {
		r := run(t, sample(t, name), Options{Lang: "en"})
		if r.Kind != KindSeal || r.Result != Failed || len(r.Signatures) != 1 {
			t.Errorf("%s: %s %s", name, r.Kind, r.Result)
		}
		expect(t, r.Signatures[0], append(wants, want{StepParse, Passed, ""}, want{StepSealSignature, Passed, ""})...)
	}
	// The seal's window outlasts its certificates by half a day: signing in between is wrong by the certificate alone.
	seal, err := ses.ParseSeal(sample(t, "seal-v4.esl"))
	if err != nil {
		t.Fatal(err)
	}
	signer, _ := pinned(t)
	if !seal.ValidEnd.After(signer.NotAfter) {
		t.Fatal("the sample has changed")
	}
	between := seal.ValidEnd.Add(-time.Hour)
	r := run(t, sample(t, "seal-v4.esl"), Options{At: between})
	expect(t, r.Signatures[0], want{StepSealValidity, Passed, ""}, want{StepSignerInSeal, Failed, "seal.no-usable-signer"})
	r = run(t, sample(t, "seal-v4.esl"), Options{At: signer.NotAfter})
	expect(t, r.Signatures[0], want{StepSignerInSeal, Passed, ""})
}

func TestDamagedAndUnknownFiles(t *testing.T) {
	for _, name := range []string{"sealed-v4-expired.ofd", "seal-v4.esl"} {
		b := sample(t, name)
		r := run(t, b[:len(b)-10], Options{Lang: "en"})
		if r.Result != Failed || len(r.Reasons) == 0 {
			t.Errorf("%s cut off: %s %v", name, r.Result, r.Reasons)
		}
	}
	for _, b := range [][]byte{nil, []byte("hello"), []byte("%PDF-1.7"), {0x30, 3, 2, 1, 1}} {
		if _, err := Check(b, Options{At: clock}); !errors.Is(err, ErrUnknownKind) {
			t.Errorf("%q: %v", b, err)
		}
	}
}

func TestLanguagesDifferInWordsOnly(t *testing.T) {
	for _, name := range []string{"sealed-v4-expired.ofd", "signed-bare.ofd", "seal-v5-dummy-timestamp.esl", "hello-unsigned.ofd"} {
		zh, en := run(t, sample(t, name), Options{Lang: "zh"}), run(t, sample(t, name), Options{Lang: "en"})
		if zh.Result != en.Result || len(zh.Reasons) != len(en.Reasons) {
			t.Fatalf("%s: %v %v", name, zh.Reasons, en.Reasons)
		}
		for i := range zh.Reasons {
			if zh.Reasons[i].Code != en.Reasons[i].Code || zh.Reasons[i].Text == en.Reasons[i].Text {
				t.Errorf("%s: %v %v", name, zh.Reasons[i], en.Reasons[i])
			}
		}
		for i := range zh.Signatures {
			for j, s := range zh.Signatures[i].Steps {
				if o := en.Signatures[i].Steps[j]; s.Code != o.Code || s.Result != o.Result {
					t.Errorf("%s: %v %v", name, s, o)
				}
			}
		}
	}
}

// TestEveryWordIsThere holds the catalogue together: both languages, the same verbs.
func TestEveryWordIsThere(t *testing.T) {
	for code, w := range words {
		if w[0] == "" || w[1] == "" {
			t.Errorf("%s lacks a language", code)
		}
		for _, v := range []string{"%[1]", "%[2]", "%[3]", "%[4]", "%[5]"} {
			if strings.Contains(w[0], v) != strings.Contains(w[1], v) {
				t.Errorf("%s: %s is in one language only", code, v)
			}
		}
	}
	for _, n := range stepOrder {
		if Title(n, "zh") == "" || Title(n, "en") == "" {
			t.Errorf("step %s has no name", n)
		}
	}
}
