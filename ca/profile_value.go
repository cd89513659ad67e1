package ca

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// registryFacts are what the registry tells of a holder, as values may name them in braces.
var registryFacts = []string{"name", "number", "organization", "organization_number", "post"}

// Facts that the program reads itself where the profile lets the applicant choose the validity: RFC 3339 or a date.
const (
	factNotBefore = "not_before"
	factNotAfter  = "not_after"
)

// value is a text with facts in braces, cut up once.
type value struct {
	tokens []token
	source Source
}

// token is a literal text, or the name of a fact.
type token struct {
	text string
	fact bool
}

var factName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// parseValue cuts a value up and tells where it comes from. Several sources in one value are told as the one that is
// trusted least: application, then officer, then registry.
func (p *Profile) parseValue(text string) (v value, err error) {
	v.source = FromAuthority
	for rest := text; rest != ""; {
		before, after, open := strings.Cut(rest, "{")
		if strings.Contains(before, "}") {
			return v, fmt.Errorf("value %q has a } without a {", text)
		}
		if before != "" {
			v.tokens = append(v.tokens, token{text: before})
		}
		if !open {
			break
		}
		name, after, closed := strings.Cut(after, "}")
		if !closed || !factName.MatchString(name) {
			return v, fmt.Errorf("value %q has no name in its braces", text)
		}
		source, err := p.sourceOf(name)
		if err != nil {
			return v, fmt.Errorf("value %q: %w", text, err)
		}
		p.made.named = append(p.made.named, name)
		v.source = lessTrusted(v.source, source)
		v.tokens = append(v.tokens, token{name, true})
		rest = after
	}
	return v, nil
}

func (p *Profile) sourceOf(fact string) (Source, error) {
	if slices.Contains(registryFacts, fact) {
		return FromRegistry, nil
	}
	for _, f := range p.Fields {
		if f.Name == fact {
			return f.source(), nil
		}
	}
	if p.Holder == HolderService || p.KeyFrom == keyFromKMC { // the facts of a pair are those of its signing certificate
		return FromApplication, nil
	}
	return "", fmt.Errorf("{%s} is neither a field nor one of %v", fact, registryFacts)
}

func lessTrusted(a, b Source) Source {
	order := []Source{FromAuthority, FromRegistry, FromOfficer, FromApplication}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}

// fill puts the facts in; a fact that is not there is empty.
func (v *value) fill(facts map[string]string) string {
	if len(v.tokens) == 1 {
		return strings.TrimSpace(v.tokens[0].in(facts))
	}
	var b strings.Builder
	for _, t := range v.tokens {
		b.WriteString(t.in(facts))
	}
	return strings.TrimSpace(b.String())
}

func (t token) in(facts map[string]string) string {
	if t.fact {
		return facts[t.text]
	}
	return t.text
}

// filled tells whether one of the facts of a value is there; a value without facts always is.
func (v *value) filled(facts map[string]string) bool {
	named := false
	for _, t := range v.tokens {
		if t.fact && facts[t.text] != "" {
			return true
		}
		named = named || t.fact
	}
	return !named
}

// bound is what a value must satisfy.
type bound struct {
	rule    Rule
	pattern *regexp.Regexp // nil: any
	most    int            // characters
}

var rules = []Rule{Required, Optional, Forbidden, Fixed}

// boundOf checks rule, pattern and length. A value without facts is fixed, another is not.
func boundOf(rule Rule, pattern string, most int, v value) (b bound, err error) {
	if b = (bound{rule: rule, most: most}); rule == "" {
		if b.rule = Optional; v.source == FromAuthority && len(v.tokens) > 0 {
			b.rule = Fixed
		}
	}
	switch {
	case !slices.Contains(rules, b.rule):
		return b, fmt.Errorf("rule %q is none of %v", rule, rules)
	case b.rule == Forbidden && len(v.tokens) > 0:
		return b, errors.New("what is forbidden has no value")
	case b.rule == Fixed && (v.source != FromAuthority || len(v.tokens) == 0):
		return b, errors.New("what is fixed has a value without braces")
	case most < 0 || most > 32768:
		return b, fmt.Errorf("max %d is not within 0 and 32768", most)
	}
	b.pattern, err = wholePattern(pattern)
	return b, err
}

// wholePattern compiles a regular expression for a whole value; nil for "".
func wholePattern(pattern string) (*regexp.Regexp, error) {
	if pattern == "" {
		return nil, nil
	}
	if len(pattern) > 1000 {
		return nil, errors.New("a pattern has at most 1000 characters")
	}
	return regexp.Compile("^(?:" + pattern + ")$")
}

// check holds a value against the bound; an empty one is right unless something is required.
func (b *bound) check(text string) error {
	switch {
	case text == "" && b.rule == Required:
		return errors.New("has no value")
	case text == "":
		return nil
	case b.rule == Forbidden:
		return errors.New("is forbidden")
	case b.most > 0 && utf8.RuneCountInString(text) > b.most:
		return fmt.Errorf("has more than %d characters", b.most)
	case b.pattern != nil && !b.pattern.MatchString(text):
		return fmt.Errorf("does not match %s", b.pattern)
	}
	return nil
}

// agrees holds what the profile says of a source against what its value says.
func agrees(stated Source, v value) error {
	sources := []Source{"", FromAuthority, FromRegistry, FromApplication, FromOfficer}
	switch {
	case !slices.Contains(sources, stated):
		return fmt.Errorf("source %q is none of %v", stated, sources[1:])
	case stated != "" && stated != v.source:
		return fmt.Errorf("source is %q, but the value comes from %q", stated, v.source)
	}
	return nil
}

func (f Field) source() Source {
	if f.Source == "" {
		return FromApplication
	}
	return f.Source
}
