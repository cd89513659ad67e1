package certs

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// maxNameComparisons bounds the work on one path; a path that needs more is refused.
const maxNameComparisons = 100_000

// nameSteps holds the names of each certificate against the constraints of every CA above it (RFC 5280, 4.2.1.10 and
// 6.1.3 b, c), and against those of the terms under which it is trusted. Self-issued certificates of CAs are exempt, a
// self-issued leaf is not.
func nameSteps(path []*Certificate, terms []Terms) []Step {
	steps := []Step{}
	budget := maxNameComparisons
	constrained := false
	for i, c := range path {
		if i > 0 && c.SelfIssued() {
			continue
		}
		var names *GeneralNames
		for _, ca := range path[i+1:] {
			for _, constraints := range constraintsOf(ca, terms) {
				constrained = true
				if names == nil {
					names = constrainedNames(c)
				}
				if code, what := constraints.check(*names, &budget); code != "" {
					steps = append(steps, Step{
						Name: StepNames, Outcome: Failed, Code: code, Index: i, Certificate: c,
						Evidence: fmt.Sprintf("%s, by %s", what, describe(ca)),
					})
				}
			}
		}
	}
	switch {
	case !constrained:
		steps = append(steps, Step{Name: StepNames, Outcome: NotApplicable, Index: -1, Evidence: "no name constraints"})
	case len(steps) == 0:
		steps = append(steps, Step{Name: StepNames, Outcome: Passed, Index: -1})
	}
	return steps
}

// constrainedNames are the alternative names, the subject, and, where there is no mailbox among the former, those of the subject.
func constrainedNames(c *Certificate) *GeneralNames {
	n := c.AltNames
	if !c.Subject.Empty() {
		n.Directory = append(slices.Clone(n.Directory), c.Subject)
	}
	if len(n.Email) == 0 {
		n.Email = c.Subject.All(OIDEmailAddress)
	}
	return &n
}

// check returns a code and the offending name, or "".
func (nc *NameConstraints) check(n GeneralNames, budget *int) (code, what string) {
	checks := []func() (string, string){
		func() (string, string) { return checkForm(n.DNS, nc.Permitted.DNS, nc.Excluded.DNS, budget, dnsWithin) },
		func() (string, string) {
			return checkForm(n.Email, nc.Permitted.Email, nc.Excluded.Email, budget, emailWithin)
		},
		func() (string, string) { return checkForm(n.URI, nc.Permitted.URI, nc.Excluded.URI, budget, uriWithin) },
		func() (string, string) { return checkForm(n.IP, nc.Permitted.IP, nc.Excluded.IP, budget, ipWithin) },
		func() (string, string) {
			return checkForm(n.Directory, nc.Permitted.Directory, nc.Excluded.Directory, budget, nameWithin)
		},
	}
	for _, check := range checks {
		if code, what = check(); code != "" {
			return code, what
		}
	}
	for _, other := range n.Other {
		if slices.Contains(nc.Permitted.Unsupported, other.Tag) || slices.Contains(nc.Excluded.Unsupported, other.Tag) {
			return "names.unsupported", fmt.Sprintf("name of form [%d] is constrained in a way that cannot be checked", other.Tag)
		}
	}
	return "", ""
}

// match is whether a name lies in a subtree. unsure means that the name cannot be compared: then it is neither
// permitted nor, where anything is excluded, allowed.
type match int

const (
	outside match = iota
	inside
	unsure
)

// within compares a name with a base. For an excluded base it answers inside as soon as some of what the name stands for (a
// wildcard) lies inside; for a permitted one, only when all of it does.
type within[N, B any] func(name N, base B, excluded bool) match

func checkForm[N, B any](names []N, permitted, excluded []B, budget *int, in within[N, B]) (code, what string) {
	for _, name := range names {
		if *budget -= len(permitted) + len(excluded); *budget < 0 {
			return "names.too-many", "more names and constraints than are compared"
		}
		for _, base := range excluded {
			if in(name, base, true) != outside {
				return "names.excluded", fmt.Sprintf("name %q is excluded", printable(fmt.Sprint(name)))
			}
		}
		ok := len(permitted) == 0
		for _, base := range permitted {
			ok = ok || in(name, base, false) == inside
		}
		if !ok {
			return "names.not-permitted", fmt.Sprintf("name %q is not permitted", printable(fmt.Sprint(name)))
		}
	}
	return "", ""
}

// underDomain tells whether host is base or below it; a base with a leading dot covers only what is below.
func underDomain(host, base string) bool {
	host, base = strings.ToLower(strings.TrimSuffix(host, ".")), strings.ToLower(base)
	if strings.HasPrefix(base, ".") {
		return strings.HasSuffix(host, base)
	}
	return base == "" || host == base || strings.HasSuffix(host, "."+base)
}

func dnsWithin(name, base string, excluded bool) match {
	if parent, isWild := strings.CutPrefix(name, "*."); isWild && excluded {
		// *.a.b stands for each x.a.b: it touches a base x.a.b, and every base above.
		_, above, _ := strings.Cut(strings.TrimPrefix(base, "."), ".")
		if underDomain(parent, base) || strings.EqualFold(above, strings.TrimSuffix(parent, ".")) {
			return inside
		}
	}
	return toMatch(underDomain(name, base))
}

func emailWithin(name, base string, excluded bool) match {
	at := strings.LastIndexByte(name, '@')
	if at < 0 {
		return unsure
	}
	local, host := name[:at], name[at+1:]
	if baseLocal, baseHost, isBox := strings.Cut(base, "@"); isBox {
		return toMatch(strings.EqualFold(host, baseHost) && (local == baseLocal || excluded && strings.EqualFold(local, baseLocal)))
	}
	return toMatch(hostWithin(host, base))
}

// hostWithin: in e-mail and URI constraints a host stands for itself only, and ".domain" for what is below it.
func hostWithin(host, base string) bool {
	if strings.HasPrefix(base, ".") {
		return underDomain(host, base)
	}
	return strings.EqualFold(strings.TrimSuffix(host, "."), base)
}

func uriWithin(name, base string, _ bool) match {
	u, err := url.Parse(name)
	if err != nil || u.Hostname() == "" {
		return unsure
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return unsure
	}
	return toMatch(hostWithin(u.Hostname(), base))
}

func ipWithin(name netip.Addr, base netip.Prefix, _ bool) match {
	return toMatch(base.Contains(name))
}

func nameWithin(name, base Name, _ bool) match { return toMatch(name.hasPrefix(base)) }

func toMatch(b bool) match {
	if b {
		return inside
	}
	return outside
}
