package ca

import (
	"errors"
	"fmt"
	"net/netip"

	"hufu/certs"
)

// Limits are what a CA certificate lets its holder certify, and under which policies (RFC 5280, 4.2.1.5, .10, .11, .14).
type Limits struct {
	Permitted Trees           `yaml:"permitted"` // names below the CA must lie in one of these, by form
	Excluded  Trees           `yaml:"excluded"`
	Mappings  []PolicyMapText `yaml:"policy_mappings"`
	// Certificates after which a policy must be there, mappings end, anyPolicy counts no more; unset leaves it out.
	RequirePolicy *int `yaml:"require_policy"`
	NoMapping     *int `yaml:"no_mapping"`
	NoAnyPolicy   *int `yaml:"no_any_policy"`
}

// Trees are bases of name constraints.
type Trees struct {
	DNS   []string `yaml:"dns"`
	Email []string `yaml:"email"`
	IP    []string `yaml:"ip"` // with a prefix length
	URI   []string `yaml:"uri"`
}

// PolicyMapText says that a policy of ours counts as one of the holder's.
type PolicyMapText struct {
	Ours   string `yaml:"ours"`
	Theirs string `yaml:"theirs"`
}

// limited is Limits made ready.
type limited struct {
	names       *certs.NameConstraints
	mappings    []certs.PolicyMapping
	constraints *certs.PolicyConstraints
	noAny       *int
}

func (p *Profile) compileLimits() (err error) {
	if p.Limits == nil {
		return nil
	}
	if p.PathLen == nil {
		return errors.New("limits are for CA certificates")
	}
	m := &p.made.limited
	for _, pair := range p.Limits.Mappings {
		ours, err1 := certs.ParseOID(pair.Ours)
		theirs, err2 := certs.ParseOID(pair.Theirs)
		if err1 != nil || err2 != nil || ours == certs.OIDAnyPolicy || theirs == certs.OIDAnyPolicy {
			return fmt.Errorf("limits: mapping %q to %q is not between two policies", pair.Ours, pair.Theirs)
		}
		m.mappings = append(m.mappings, certs.PolicyMapping{Issuer: ours, Subject: theirs})
	}
	for _, n := range []*int{p.Limits.RequirePolicy, p.Limits.NoMapping, p.Limits.NoAnyPolicy} {
		if n != nil && (*n < 0 || *n > 10) {
			return errors.New("limits: numbers of certificates are 0 to 10")
		}
	}
	if m.noAny = p.Limits.NoAnyPolicy; p.Limits.RequirePolicy != nil || p.Limits.NoMapping != nil {
		m.constraints = &certs.PolicyConstraints{RequireExplicit: orNone(p.Limits.RequirePolicy), InhibitMapping: orNone(p.Limits.NoMapping)}
	}
	m.names, err = p.Limits.names()
	return err
}

func orNone(n *int) int {
	if n == nil {
		return -1
	}
	return *n
}

func (l *Limits) names() (*certs.NameConstraints, error) {
	permitted, err1 := l.Permitted.read()
	excluded, err2 := l.Excluded.read()
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if l.Permitted.empty() && l.Excluded.empty() {
		return nil, nil
	}
	return &certs.NameConstraints{Permitted: permitted, Excluded: excluded}, nil
}

func (t Trees) empty() bool { return len(t.DNS)+len(t.Email)+len(t.IP)+len(t.URI) == 0 }

func (t Trees) read() (s certs.Subtrees, err error) {
	for _, all := range [][]string{t.DNS, t.Email, t.URI} {
		for _, base := range all {
			if base == "" || !isASCII(base) {
				return s, fmt.Errorf("limits: %q is no base of names", base)
			}
		}
	}
	s.DNS, s.Email, s.URI = t.DNS, t.Email, t.URI
	for _, text := range t.IP {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return s, fmt.Errorf("limits: %q is no range of addresses", text)
		}
		s.IP = append(s.IP, prefix)
	}
	return s, nil
}

// limit writes the limits.
func (p *Profile) limit(t *certs.Template) {
	m := &p.made.limited
	t.NameConstraints, t.PolicyMappings, t.PolicyConstraints, t.InhibitAnyPolicy = m.names, m.mappings, m.constraints, m.noAny
}

// limits tells whether an extension is one of the profile's limits.
func (p *Profile) limits(id certs.OID) bool {
	m := &p.made.limited
	switch id {
	case certs.OIDNameConstraints:
		return m.names != nil
	case certs.OIDPolicyMappings:
		return len(m.mappings) > 0
	case certs.OIDPolicyConstraints:
		return m.constraints != nil
	case certs.OIDInhibitAnyPolicy:
		return m.noAny != nil
	default:
		return false
	}
}
