package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"hufu/certs"
)

// record collects the steps of one signature. A step keeps everything that was said of it; its result is the worst.
type record struct {
	o     *Options
	out   Signature
	steps map[StepName]*line

	claimed time.Time // what signer or file say
	used    time.Time // proven, else claimed; zero when there is none
	proven  bool
	outside bool // the time lies outside of a window
	ended   bool // a window has ended since, and nothing proves the time
}

type line struct {
	Step
	said []said
}

type said struct {
	result Result
	Reason
}

func newRecord(o *Options, id, kind string) *record {
	r := &record{o: o, steps: map[StepName]*line{}}
	r.out = Signature{ID: id, Type: kind, Reasons: []Reason{}, NonStandard: []string{}}
	for _, n := range stepOrder {
		r.steps[n] = &line{Step: Step{Name: n, Result: NotApplicable}}
	}
	return r
}

// pass says that a step holds, unless something else said of it does not.
func (r *record) pass(n StepName, evidence string, args ...any) {
	r.say(n, Passed, "", fmt.Sprintf(evidence, args...), "")
}

// fail and doubt say what is wrong or not known, in the words of code.
func (r *record) fail(n StepName, code, evidence string, args ...any) {
	r.say(n, Failed, code, evidence, r.o.text(code, args...))
}

func (r *record) doubt(n StepName, code, evidence string, args ...any) {
	r.say(n, Indeterminate, code, evidence, r.o.text(code, args...))
}

func (r *record) say(n StepName, result Result, code, evidence, text string) {
	s := r.steps[n]
	if code != "" {
		s.said = append(s.said, said{result, Reason{code, text}})
	}
	if evidence != "" && !strings.Contains(s.Evidence, evidence) {
		s.Evidence = strings.TrimPrefix(s.Evidence+"; "+evidence, "; ")
	}
	if result.rank() > s.Result.rank() {
		s.Result, s.Code = result, code
	}
}

func (r *record) age(n StepName, since time.Time) {
	if since.IsZero() {
		return
	}
	s := max(0, int64(r.o.At.Sub(since)/time.Second))
	if old := r.steps[n].Age; old == nil || *old < s {
		r.steps[n].Age = &s
	}
}

func (r *record) result(n StepName) Result { return r.steps[n].Result }

// remark adds a non-standard form to the signature.
func (r *record) remark(code string, args ...any) {
	text := r.o.text(code, args...)
	if !slices.Contains(r.out.NonStandard, text) {
		r.out.NonStandard = append(r.out.NonStandard, text)
	}
}

// finish closes the record: the result is the worst of the steps that apply.
func (r *record) finish() Signature {
	result := NotApplicable
	for _, n := range stepOrder {
		result = worse(result, r.steps[n].Result)
	}
	if result == NotApplicable {
		result = Indeterminate
	}
	r.out.Result = result
	for _, n := range stepOrder {
		s := r.steps[n]
		var details []string
		for _, x := range s.said {
			details = append(details, x.Text)
			if x.result == result && result != Passed && !slices.Contains(r.out.Reasons, x.Reason) {
				r.out.Reasons = append(r.out.Reasons, x.Reason)
			}
		}
		s.Detail = strings.Join(details, "; ")
		r.out.Steps = append(r.out.Steps, s.Step)
	}
	if result == Failed && r.contentUnchanged() {
		r.out.Reasons = append(r.out.Reasons, Reason{"content.unchanged", r.o.text("content.unchanged")})
	}
	if !r.used.IsZero() {
		used := r.used
		r.out.Time.Used = &used
	}
	if !r.claimed.IsZero() {
		claimed := r.claimed
		r.out.Time.Claimed = &claimed
	}
	return r.out
}

// contentUnchanged tells whether digests, data hash and signature all hold: what failed is something else.
func (r *record) contentUnchanged() bool {
	return r.result(StepDigests) == Passed && r.result(StepDataHash) == Passed && r.result(StepSignature) == Passed
}

// broken tells whether the signature, or what it signs, was shown to be wrong.
func (r *record) broken() bool {
	return r.result(StepParse) == Failed || r.result(StepDataHash) == Failed || r.result(StepSignature) == Failed
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func signerOf(c *certs.Certificate) *Signer {
	return &Signer{Subject: c.Subject.String(), Issuer: c.Issuer.String(), Serial: c.SerialHex(), NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC()}
}
