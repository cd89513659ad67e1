package bundle

import (
	"slices"
	"strings"
	"time"

	"hufu/certs"
)

// Terms are what an authority is trusted for, and within which bounds.
type Terms struct {
	Purposes []Purpose    `json:"purposes"`
	Level    int          `json:"level,omitempty"`    // assurance level of the identities that it vouches for, 1 to 4; 0: not told
	Policies []PolicyPair `json:"policies,omitempty"` // which policy of ours each of its policies is equal to
	Required []certs.OID  `json:"required,omitempty"` // one of these policies must be valid: ours where Policies translate, else its own
	// Identity says where its certificates hold whose number; the first rule that finds one counts.
	Identity      []IdentityRule `json:"identity,omitempty"`
	Names         *Names         `json:"names,omitempty"`        // subtrees in which the names of its certificates must lie
	DistrustAfter time.Time      `json:"distrustAfter,omitzero"` // nothing that was issued after it is trusted
	OnlyListed    bool           `json:"onlyListed,omitempty"`   // of the CAs below it those alone that are trusted themselves
}

// PolicyPair makes a policy of another domain equal to one of ours.
type PolicyPair struct {
	Theirs certs.OID `json:"theirs"`
	Ours   certs.OID `json:"ours"`
}

// Names are name constraints.
type Names struct {
	Permitted NameSet `json:"permitted,omitzero"`
	Excluded  NameSet `json:"excluded,omitzero"`
}

// NameSet lists subtrees. A directory name is a list such as ["C=CN", "O=某局"], the most general part first.
type NameSet struct {
	DNS       []string   `json:"dns,omitempty"`
	Email     []string   `json:"email,omitempty"`
	Directory [][]string `json:"directory,omitempty"`
}

// Limits of terms.
const (
	maxPolicies = 256
	maxRules    = 16
	maxNames    = 256
	maxLevel    = 4
)

// bounded tells whether a bundle needs VersionTerms.
func (b *Bundle) bounded() bool {
	return slices.ContainsFunc(b.Authorities, func(a Authority) bool {
		return a.Entry != "" || a.Level != 0 || len(a.Policies)+len(a.Required)+len(a.Identity) > 0 || a.Names != nil || a.OnlyListed ||
			slices.Contains(a.Purposes, Login) || slices.Contains(a.Purposes, Encryption)
	})
}

func (t Terms) normal() Terms {
	if !t.DistrustAfter.IsZero() {
		t.DistrustAfter = cut(t.DistrustAfter)
	}
	return t
}

func (t Terms) check() error {
	switch {
	case len(t.Purposes) == 0:
		return wrong("trusted for nothing")
	case !t.DistrustAfter.IsZero() && !wholeUTC(t.DistrustAfter):
		return wrong("distrustAfter")
	case t.Level < 0 || t.Level > maxLevel:
		return wrong("level %d", t.Level)
	case len(t.Policies) > maxPolicies || len(t.Required) > maxPolicies || len(t.Identity) > maxRules:
		return wrong("a list is too long")
	}
	for i, p := range t.Purposes {
		if !slices.Contains(purposes, p) || slices.Contains(t.Purposes[:i], p) {
			return wrong("purpose %q", string(p))
		}
	}
	for i, p := range t.Policies {
		if !policy(p.Ours) || !policy(p.Theirs) || slices.Contains(t.Policies[:i], p) {
			return wrong("policies: %s = %s", p.Theirs, p.Ours)
		}
	}
	for _, p := range t.Required {
		if !policy(p) {
			return wrong("required: %s", p)
		}
	}
	for _, rule := range t.Identity {
		if err := rule.check(); err != nil {
			return err
		}
	}
	_, err := t.Names.Constraints()
	return err
}

// policy tells whether o names one policy.
func policy(o certs.OID) bool {
	parsed, err := certs.ParseOID(string(o))
	return err == nil && parsed == o && o != certs.OIDAnyPolicy
}

var nameTypes = map[string]certs.OID{
	"C": certs.OIDCountry, "ST": certs.OIDProvince, "L": certs.OIDLocality, "O": certs.OIDOrganization,
	"OU": certs.OIDOrganizationalUnit, "CN": certs.OIDCommonName,
}

// Constraints gives the names in the form that a path is checked with; nil for none.
func (n *Names) Constraints() (*certs.NameConstraints, error) {
	if n == nil {
		return nil, nil
	}
	permitted, err := n.Permitted.subtrees()
	if err != nil {
		return nil, err
	}
	excluded, err := n.Excluded.subtrees()
	if err != nil {
		return nil, err
	}
	if n.Permitted.empty() && n.Excluded.empty() {
		return nil, wrong("names that constrain nothing")
	}
	return &certs.NameConstraints{Permitted: permitted, Excluded: excluded}, nil
}

func (s NameSet) empty() bool { return len(s.DNS)+len(s.Email)+len(s.Directory) == 0 }

func (s NameSet) subtrees() (out certs.Subtrees, err error) {
	if len(s.DNS)+len(s.Email)+len(s.Directory) > maxNames {
		return out, wrong("too many names")
	}
	for _, name := range slices.Concat(s.DNS, s.Email) {
		if !label(name) || strings.ContainsAny(name, " *") {
			return out, wrong("name %q", name)
		}
	}
	out.DNS, out.Email = s.DNS, s.Email
	for _, parts := range s.Directory {
		var attributes []certs.Attribute
		for _, part := range parts {
			kind, value, ok := strings.Cut(part, "=")
			if nameTypes[kind] == "" || !ok || !label(value) {
				return out, wrong("directory name part %q: C, ST, L, O, OU or CN, then = and a value", part)
			}
			attributes = append(attributes, certs.Attribute{Type: nameTypes[kind], Value: value})
		}
		if len(attributes) == 0 {
			return out, wrong("empty directory name")
		}
		out.Directory = append(out.Directory, certs.NewName(attributes...))
	}
	return out, nil
}

// Terms returns the bounds within which paths are trusted for one of the purposes at a verifier's time.
func (b *Bundle) Terms(at time.Time, ps ...Purpose) (all []certs.Terms) {
	for _, a := range b.Authorities {
		if c, err := certs.ParseLenient(a.Certificate); err == nil {
			all = append(all, a.For(c, at, ps...))
		}
	}
	return all
}

// For gives the terms in the form that a path is checked with. A date of distrust that lies after at bounds nothing yet.
func (t Terms) For(c *certs.Certificate, at time.Time, ps ...Purpose) certs.Terms {
	out := certs.Terms{Certificate: c, Required: t.Required, OnlyListed: t.OnlyListed}
	out.Listed = slices.ContainsFunc(ps, func(p Purpose) bool { return slices.Contains(t.Purposes, p) })
	if !t.DistrustAfter.After(at) {
		out.DistrustAfter = t.DistrustAfter
	}
	for _, p := range t.Policies {
		out.Policies = append(out.Policies, certs.PolicyMapping{Issuer: p.Ours, Subject: p.Theirs})
	}
	out.Names, _ = t.Names.Constraints() // check has found them good
	return out
}
