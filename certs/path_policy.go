package certs

import (
	"fmt"
	"maps"
	"slices"
)

// maxPolicyNodes bounds a level of the policy graph; more are refused.
const maxPolicyNodes = 1024

// policyNode is a policy valid at a depth of the path.
type policyNode struct {
	expected []OID // what the next certificate must assert for it: itself, or what it was mapped to
	parents  []OID // policies of the level above from which it follows
}

type policyLevel map[OID]*policyNode

// policyState is the state of RFC 5280, 6.1.2, with the tree as a graph (RFC 9618), so that it grows by the number of
// policies and not by the number of paths through mappings.
type policyState struct {
	levels    []policyLevel // nil: the valid policy tree is NULL
	explicit  int
	mapping   int
	anyPolicy int
	code      string
	evidence  string
	culprit   int
}

// policyStep processes the policies of a path from the certificate below its root to the leaf.
func policyStep(v *Validation, o *Options) (Step, []OID) {
	step := Step{Name: StepPolicy, Outcome: Passed, Index: -1}
	path := v.Path
	n := len(path) - 1 // certificates below the root
	if !v.Trusted {
		n = len(path)
	}
	wanted := policySet(o.Policies)
	if n == 0 {
		return step, slices.Sorted(maps.Keys(wanted))
	}
	state := newPolicyState(o, n)
	required := state.translate(path, o.Terms, v.Trusted)
	for i := n - 1; i >= 0; i-- {
		state.process(path[i], i)
		if state.code != "" {
			break
		}
	}
	valid := state.valid(wanted)
	if state.code == "" && state.explicit == 0 && len(valid) == 0 {
		state.fail(0, "policy.none-valid", fmt.Sprintf("no certificate policy is valid for the path; asked for %v", slices.Sorted(maps.Keys(wanted))))
	}
	for _, one := range required {
		if len(intersectPolicies(maps.Clone(state.all()), policySet(one))) == 0 {
			state.fail(0, "policy.required", fmt.Sprintf("one of %v must be valid for the path", one))
		}
	}
	if state.code != "" {
		step.Outcome, step.Code, step.Evidence, step.Index, step.Certificate = Failed, state.code, state.evidence, state.culprit, path[state.culprit]
		return step, nil
	}
	step.Evidence = fmt.Sprintf("valid policies %v", valid)
	return step, valid
}

// policySet returns the user-initial-policy-set; none asked for means any.
func policySet(asked []OID) map[OID]bool {
	if len(asked) == 0 {
		return map[OID]bool{OIDAnyPolicy: true}
	}
	set := make(map[OID]bool, len(asked))
	for _, p := range asked {
		set[p] = true
	}
	return set
}

func newPolicyState(o *Options, n int) *policyState {
	s := &policyState{
		levels:   []policyLevel{{OIDAnyPolicy: {expected: []OID{OIDAnyPolicy}}}},
		explicit: n + 1, mapping: n + 1, anyPolicy: n + 1,
	}
	if o.RequireExplicitPolicy || len(o.Policies) > 0 {
		s.explicit = 0
	}
	if o.InhibitPolicyMapping {
		s.mapping = 0
	}
	if o.InhibitAnyPolicy {
		s.anyPolicy = 0
	}
	return s
}

func (s *policyState) fail(index int, code, evidence string) {
	if s.code == "" {
		s.code, s.evidence, s.culprit = code, evidence, index
	}
}

// process does 6.1.3 d–f for path[i], then 6.1.4 for a CA or 6.1.5 for the leaf (i == 0).
func (s *policyState) process(c *Certificate, i int) {
	selfIssued := i > 0 && c.SelfIssued()
	s.extend(c, s.anyPolicy > 0 || selfIssued)
	if s.explicit == 0 && s.levels == nil {
		s.fail(i, "policy.none-valid", describe(c)+" leaves no certificate policy that is valid for the path")
		return
	}
	if i > 0 {
		s.mapPolicies(c, i)
	}
	if !selfIssued {
		s.explicit, s.mapping, s.anyPolicy = max(0, s.explicit-1), max(0, s.mapping-1), max(0, s.anyPolicy-1)
	}
	if i == 0 {
		if c.RequireExplicit == 0 {
			s.explicit = 0
		}
		return
	}
	lower(&s.explicit, c.RequireExplicit)
	lower(&s.mapping, c.InhibitMapping)
	lower(&s.anyPolicy, c.InhibitAnyPolicy)
}

func lower(counter *int, limit int) {
	if limit >= 0 && limit < *counter {
		*counter = limit
	}
}

// extend adds the level of one certificate.
func (s *policyState) extend(c *Certificate, anyAllowed bool) {
	if s.levels == nil {
		return
	}
	if len(c.Policies) == 0 {
		s.levels = nil
		return
	}
	above := s.levels[len(s.levels)-1]
	level := make(policyLevel)
	hasAny := false
	for _, p := range c.Policies {
		if p.ID == OIDAnyPolicy {
			hasAny = true
			continue
		}
		parents := expecting(above, p.ID)
		if len(parents) == 0 && above[OIDAnyPolicy] != nil {
			parents = []OID{OIDAnyPolicy}
		}
		if len(parents) > 0 {
			level[p.ID] = &policyNode{expected: []OID{p.ID}, parents: parents}
		}
	}
	if hasAny && anyAllowed {
		for _, node := range above {
			for _, p := range node.expected {
				if level[p] == nil && len(level) < maxPolicyNodes {
					level[p] = &policyNode{expected: []OID{p}, parents: expecting(above, p)}
				}
			}
		}
	}
	if len(level) == 0 {
		s.levels = nil
		return
	}
	s.levels = append(s.levels, level)
}

func expecting(level policyLevel, p OID) []OID {
	var out []OID
	for id, node := range level {
		if slices.Contains(node.expected, p) {
			out = append(out, id)
		}
	}
	return out
}

// mapPolicies does 6.1.4 a and b.
func (s *policyState) mapPolicies(c *Certificate, i int) {
	mapped := make(map[OID][]OID)
	for _, m := range c.PolicyMappings {
		if m.Issuer == OIDAnyPolicy || m.Subject == OIDAnyPolicy {
			s.fail(i, "policy.any-mapped", describe(c)+" maps any-policy")
			return
		}
		mapped[m.Issuer] = append(mapped[m.Issuer], m.Subject)
	}
	if s.levels == nil {
		return
	}
	level := s.levels[len(s.levels)-1]
	for issuer, subjects := range mapped {
		switch node := level[issuer]; {
		case s.mapping == 0:
			delete(level, issuer)
		case node != nil:
			node.expected = subjects
		case level[OIDAnyPolicy] != nil:
			level[issuer] = &policyNode{expected: subjects, parents: []OID{OIDAnyPolicy}}
		}
	}
	if len(level) == 0 {
		s.levels = nil
	}
}

// valid returns those policies of the wanted set under which the path is valid: the policies, in the words of the
// root's own domain, from which a policy of the leaf follows.
func (s *policyState) valid(wanted map[OID]bool) []OID {
	return intersectPolicies(s.all(), wanted)
}

// all returns every policy under which the path is valid.
func (s *policyState) all() map[OID]bool {
	if s.levels == nil {
		return nil
	}
	found := make(map[OID]bool)
	current := maps.Clone(s.levels[len(s.levels)-1])
	for depth := len(s.levels) - 1; depth > 0; depth-- {
		next := make(policyLevel)
		for id, node := range current {
			if id == OIDAnyPolicy {
				found[OIDAnyPolicy] = true
				continue
			}
			for _, p := range node.parents {
				if p == OIDAnyPolicy {
					found[id] = true
				} else {
					next[p] = s.levels[depth-1][p]
				}
			}
		}
		current = next
	}
	return found
}

func intersectPolicies(found, wanted map[OID]bool) []OID {
	switch {
	case wanted[OIDAnyPolicy]:
		return slices.Sorted(maps.Keys(found))
	case found[OIDAnyPolicy]:
		return slices.Sorted(maps.Keys(wanted))
	}
	maps.DeleteFunc(found, func(p OID, _ bool) bool { return !wanted[p] })
	return slices.Sorted(maps.Keys(found))
}
