package certs

import (
	"slices"
	"testing"
	"time"
)

// TestTermsOfAnAnchor: what a trust list says of a CA binds each path through it, in whichever certificate of the CA.
func TestTermsOfAnAnchor(t *testing.T) {
	const ours, theirs, other OID = "1.2.156.999.1", "1.2.156.888.1", "1.2.156.888.2"
	policies := func(ids ...OID) change {
		return func(x *Template) {
			x.Policies = nil
			for _, id := range ids {
				x.Policies = append(x.Policies, Policy{ID: id})
			}
		}
	}
	root := under(t, holder{}, person("外省根"), newSM2(t), asCA(-1))
	key := newSM2(t)
	issuing := under(t, root, person("外省签发"), key, asCA(0), policies(theirs, other))
	leaf := under(t, issuing, person("张三"), newSM2(t), policies(theirs))
	from := leaf.NotBefore
	hubei := &NameConstraints{Permitted: Subtrees{Directory: []Name{NewName(attr(OIDCountry, "CN"), attr(OIDOrganization, "湖北"))}}}
	for _, row := range []struct {
		name     string
		terms    []Terms
		unproven bool
		step     string
		outcome  Outcome
		code     string
		valid    []OID
	}{
		{"none", nil, false, StepTrust, NotApplicable, "", []OID{theirs}},
		{"nothing bound", []Terms{{Certificate: root.Certificate}}, false, StepTrust, Passed, "", []OID{theirs}},
		{"issued at the very second", []Terms{{Certificate: root.Certificate, DistrustAfter: from}}, false, StepTrust, Passed, "", []OID{theirs}},
		{"issued a second later", []Terms{{Certificate: root.Certificate, DistrustAfter: from.Add(-time.Second)}}, false, StepTrust, Indeterminate, "trust.distrusted", nil},
		{"the one between is distrusted", []Terms{{Certificate: issuing.Certificate, DistrustAfter: from.Add(-time.Second)}}, false, StepTrust, Indeterminate, "trust.distrusted", nil},
		{"earlier, but only by its own word", []Terms{{Certificate: root.Certificate, DistrustAfter: from}}, true, StepTrust, Indeterminate, "trust.unproven", nil},
		{"of another CA", []Terms{{Certificate: leaf.Certificate, DistrustAfter: from.AddDate(-9, 0, 0)}}, false, StepTrust, NotApplicable, "", []OID{theirs}},
		{"mapped", []Terms{{Certificate: root.Certificate, Policies: []PolicyMapping{{ours, theirs}}}}, false, StepPolicy, Passed, "", []OID{ours}},
		{"another is mapped", []Terms{{Certificate: root.Certificate, Policies: []PolicyMapping{{ours, other}}}}, false, StepPolicy, Passed, "", nil},
		{"mapped and required", []Terms{{Certificate: root.Certificate, Policies: []PolicyMapping{{ours, theirs}}, Required: []OID{ours}}}, false, StepPolicy, Passed, "", []OID{ours}},
		{"another is mapped, ours required", []Terms{{Certificate: root.Certificate, Policies: []PolicyMapping{{ours, other}}, Required: []OID{ours}}}, false, StepPolicy, Failed, "policy.required", nil},
		{"required in its own words", []Terms{{Certificate: root.Certificate, Required: []OID{theirs}}}, false, StepPolicy, Passed, "", []OID{theirs}},
		{"required and absent", []Terms{{Certificate: root.Certificate, Required: []OID{other}}}, false, StepPolicy, Failed, "policy.required", nil},
		{"names elsewhere", []Terms{{Certificate: root.Certificate, Names: hubei}}, false, StepNames, Failed, "names.not-permitted", nil},
		{"only listed, and it is not", []Terms{{Certificate: root.Certificate, OnlyListed: true}}, false, StepTrust, Indeterminate, "trust.unlisted", nil},
		{"listed for another purpose", []Terms{{Certificate: root.Certificate, OnlyListed: true}, {Certificate: issuing.Certificate}}, false, StepTrust, Indeterminate, "trust.unlisted", nil},
		{"only listed, and it is", []Terms{{Certificate: root.Certificate, OnlyListed: true}, {Certificate: issuing.Certificate, Listed: true}}, false, StepTrust, Passed, "", []OID{theirs}},
	} {
		v := Validate(leaf.Certificate, Options{
			Roots: pool(root), Intermediates: pool(issuing), At: day, TimeProven: !row.unproven, Terms: row.terms,
		})
		got := v.Step(row.step)
		if got.Outcome != row.outcome || got.Code != row.code {
			t.Errorf("%s: %s %q (%s)", row.name, got.Outcome, got.Code, got.Evidence)
		}
		if zh, en := CodeText(got.Code); got.Code != "" && (zh == "" || en == "") {
			t.Errorf("%s: no words for %q", row.name, got.Code)
		}
		if v.Outcome == Passed && !slices.Equal(v.Policies, row.valid) {
			t.Errorf("%s: policies %v, want %v", row.name, v.Policies, row.valid)
		}
	}
}

// TestTermsFollowTheKey: a second certificate of a distrusted CA, by a root that is trusted, does not evade its terms.
func TestTermsFollowTheKey(t *testing.T) {
	root := under(t, holder{}, person("根"), newSM2(t), asCA(-1))
	key := newSM2(t)
	listed := under(t, holder{}, person("外省"), key, asCA(-1))
	cross := under(t, root, person("外省"), key, asCA(0))
	leaf := under(t, cross, person("张三"), newSM2(t))
	terms := []Terms{{Certificate: listed.Certificate, DistrustAfter: leaf.NotBefore.Add(-time.Hour)}}
	v := Validate(leaf.Certificate, Options{Roots: pool(root), Intermediates: pool(cross), At: day, TimeProven: true, Terms: terms})
	if v.Outcome != Indeterminate || v.Step(StepTrust).Code != "trust.distrusted" {
		t.Errorf("%s %+v", v.Outcome, v.Step(StepTrust))
	}
}

// TestBridge: two CAs that know each other only through a bridge, which certifies both and is certified by both; names and
// keys repeat, and one CA has two keys under one name.
func TestBridge(t *testing.T) {
	a, b, bridge := newSM2(t), newSM2(t), newSM2(t)
	rootA, rootB := under(t, holder{}, person("甲"), a, asCA(-1)), under(t, holder{}, person("乙"), b, asCA(-1))
	self := under(t, holder{}, person("桥"), bridge, asCA(-1))
	aToBridge, bridgeToA := under(t, rootA, person("桥"), bridge, asCA(-1)), under(t, self, person("甲"), a, asCA(-1))
	bToBridge, bridgeToB := under(t, rootB, person("桥"), bridge, asCA(-1)), under(t, self, person("乙"), b, asCA(-1))
	twin := under(t, holder{}, person("桥"), newSM2(t), asCA(-1))
	leaf := under(t, rootB, person("张三"), newSM2(t))
	inter := pool(twin, bToBridge, bridgeToA, aToBridge, bridgeToB, self)
	v := Validate(leaf.Certificate, Options{Roots: pool(rootA), Intermediates: inter, At: day})
	if v.Outcome != Passed || len(v.Path) != 4 {
		t.Fatalf("%s, %d certificates, %+v", v.Outcome, len(v.Path), v.Step(StepPath))
	}
	stranger := under(t, twin, person("李四"), newSM2(t))
	v = Validate(stranger.Certificate, Options{Roots: pool(rootA), Intermediates: inter, At: day})
	if v.Outcome == Passed || v.Trusted {
		t.Errorf("another key under the bridge's name was taken for it: %+v", v.Steps)
	}
}
