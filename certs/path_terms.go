package certs

import (
	"bytes"
	"fmt"
	"time"
)

// Terms bound what a CA is trusted for beyond what its own certificate says. They come from whoever trusts it: a trust list.
// They count for every certificate of the same name and key, so that a second certificate of the CA does not evade them.
type Terms struct {
	Certificate *Certificate
	// DistrustAfter: no certificate below that was issued after it is trusted. An earlier one is, when the time of the
	// validation is proven: an issuer that is not trusted any more may write any date. Zero: no bound.
	DistrustAfter time.Time
	Names         *NameConstraints // besides those of the certificate; nil: none
	// Policies map those of the CA (Subject) to ours (Issuer), as a cross certificate would (RFC 5280, 6.1.4). Only the
	// terms of a path's root are translated. Where there are any, no other policy of the CA has a meaning here.
	Policies []PolicyMapping
	Required []OID // one of them must be valid for the path; ours, where Policies translate
	Listed   bool  // the CA may stand below one whose terms say OnlyListed
	// OnlyListed: each CA below must have terms of its own with Listed set.
	OnlyListed bool
}

// of tells whether the terms are about a certificate's subject.
func (t *Terms) of(c *Certificate) bool {
	return t.Certificate != nil && bytes.Equal(t.Certificate.RawSPKI, c.RawSPKI) && t.Certificate.Subject.Equal(c.Subject)
}

// constraintsOf gives the name constraints that a CA sets or that are set for it.
func constraintsOf(ca *Certificate, terms []Terms) (all []*NameConstraints) {
	if ca.NameConstraints != nil {
		all = append(all, ca.NameConstraints)
	}
	for i := range terms {
		if terms[i].Names != nil && terms[i].of(ca) {
			all = append(all, terms[i].Names)
		}
	}
	return all
}

// trustSteps holds a path against the terms of its CAs.
func trustSteps(path []*Certificate, o *Options) (steps []Step) {
	bound := false
	for i := range o.Terms {
		t := &o.Terms[i]
		for j := 1; j < len(path); j++ {
			if !t.of(path[j]) {
				continue
			}
			bound = true
			if step, ok := distrustStep(path[:j], t, o); !ok {
				steps = append(steps, step)
			}
			if step, ok := listedStep(path[:j], t, o.Terms); !ok {
				steps = append(steps, step)
			}
		}
	}
	switch {
	case !bound:
		steps = append(steps, Step{Name: StepTrust, Outcome: NotApplicable, Index: -1, Evidence: "no terms"})
	case len(steps) == 0:
		steps = append(steps, Step{Name: StepTrust, Outcome: Passed, Index: -1})
	}
	return steps
}

// distrustStep looks at the certificates below a CA that is not trusted any more.
func distrustStep(below []*Certificate, t *Terms, o *Options) (Step, bool) {
	if t.DistrustAfter.IsZero() {
		return Step{}, true
	}
	step := Step{
		Name: StepTrust, Outcome: Indeterminate, Code: "trust.unproven", Certificate: below[0],
		Evidence: fmt.Sprintf("%s, trusted until %s", describe(t.Certificate), t.DistrustAfter.UTC().Format(time.RFC3339)),
	}
	for i, c := range below {
		if c.NotBefore.After(t.DistrustAfter) {
			step.Code, step.Index, step.Certificate = "trust.distrusted", i, c
			return step, false
		}
	}
	return step, o.TimeProven
}

// listedStep looks at the CAs below one under which only listed ones are trusted.
func listedStep(below []*Certificate, t *Terms, all []Terms) (Step, bool) {
	if !t.OnlyListed {
		return Step{}, true
	}
	for i := 1; i < len(below); i++ {
		if !listed(below[i], all) {
			return Step{
				Name: StepTrust, Outcome: Indeterminate, Code: "trust.unlisted", Index: i, Certificate: below[i],
				Evidence: describe(below[i]) + ", under " + describe(t.Certificate),
			}, false
		}
	}
	return Step{}, true
}

func listed(c *Certificate, all []Terms) bool {
	for i := range all {
		if all[i].Listed && all[i].of(c) {
			return true
		}
	}
	return false
}

// translate begins the policy graph with the mappings of the root's terms, and returns the sets of which each must hold a
// valid policy.
func (s *policyState) translate(path []*Certificate, terms []Terms, trusted bool) (required [][]OID) {
	for i := range terms {
		t := &terms[i]
		for j := 1; j < len(path); j++ {
			if !t.of(path[j]) {
				continue
			}
			if len(t.Required) > 0 {
				required = append(required, t.Required)
			}
			if trusted && j == len(path)-1 && len(t.Policies) > 0 && len(s.levels) == 1 {
				s.levels = append(s.levels, mappedLevel(t.Policies))
			}
		}
	}
	return required
}

// mappedLevel is what a cross certificate with these mappings would leave.
func mappedLevel(mappings []PolicyMapping) policyLevel {
	level := make(policyLevel)
	for _, m := range mappings {
		if level[m.Issuer] == nil {
			level[m.Issuer] = &policyNode{parents: []OID{OIDAnyPolicy}}
		}
		level[m.Issuer].expected = append(level[m.Issuer].expected, m.Subject)
	}
	return level
}
