package certs

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func (r *reader) policies(c *Certificate, v cryptobyte.String) error {
	var seq cryptobyte.String
	if !v.ReadASN1(&seq, cbasn1.SEQUENCE) || !v.Empty() || seq.Empty() {
		return malformed("certificate policies")
	}
	var list []Policy
	seen := make(map[OID]bool)
	for !seq.Empty() {
		if len(list) == maxListEntries {
			return ErrTooLarge
		}
		var one cryptobyte.String
		var p Policy
		if !seq.ReadASN1(&one, cbasn1.SEQUENCE) || !ReadOID(&one, &p.ID) {
			return malformed("certificate policies")
		}
		if seen[p.ID] {
			return malformed("certificate policies: %s occurs twice", p.ID)
		}
		seen[p.ID] = true
		if err := r.qualifiers(&p, one); err != nil {
			return err
		}
		list = append(list, p)
	}
	c.Policies = list
	return nil
}

func (r *reader) qualifiers(p *Policy, s cryptobyte.String) error {
	if s.Empty() {
		return nil
	}
	var seq cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !s.Empty() {
		return malformed("policy %s: qualifiers", p.ID)
	}
	if seq.Empty() {
		return r.odd("policy %s: empty qualifiers", p.ID)
	}
	for !seq.Empty() {
		var one, cps cryptobyte.String
		var id OID
		if !seq.ReadASN1(&one, cbasn1.SEQUENCE) || !ReadOID(&one, &id) {
			return malformed("policy %s: qualifier", p.ID)
		}
		switch id {
		case OIDQualifierCPS:
			if !one.ReadASN1(&cps, cbasn1.IA5String) || !one.Empty() || !isVisible(string(cps)) {
				if err := r.odd("policy %s: CPS address", p.ID); err != nil {
					return err
				}
				continue
			}
			p.CPS = string(cps)
		case OIDQualifierNotice:
			text, ok := readNotice(one)
			if !ok {
				if err := r.odd("policy %s: user notice", p.ID); err != nil {
					return err
				}
				continue
			}
			p.Notice = text
		}
	}
	return nil
}

// readNotice returns the explicit text of a UserNotice and passes over a notice reference.
func readNotice(s cryptobyte.String) (string, bool) {
	var seq, content cryptobyte.String
	if !s.ReadASN1(&seq, cbasn1.SEQUENCE) || !s.Empty() {
		return "", false
	}
	if seq.PeekASN1Tag(cbasn1.SEQUENCE) && !seq.SkipASN1(cbasn1.SEQUENCE) {
		return "", false
	}
	if seq.Empty() {
		return "", true
	}
	var tag cbasn1.Tag
	if !seq.ReadAnyASN1(&content, &tag) || !seq.Empty() {
		return "", false
	}
	text, odd := decodeString(tag, content)
	if odd == notString {
		return "", false
	}
	return strings.ToValidUTF8(text, string(utf8.RuneError)), true
}

func (r *reader) policyMappings(c *Certificate, v cryptobyte.String) error {
	var seq cryptobyte.String
	if !v.ReadASN1(&seq, cbasn1.SEQUENCE) || !v.Empty() || seq.Empty() {
		return malformed("policy mappings")
	}
	var list []PolicyMapping
	for !seq.Empty() {
		var one cryptobyte.String
		var m PolicyMapping
		if len(list) == maxListEntries {
			return ErrTooLarge
		}
		if !seq.ReadASN1(&one, cbasn1.SEQUENCE) || !ReadOID(&one, &m.Issuer) || !ReadOID(&one, &m.Subject) || !one.Empty() {
			return malformed("policy mappings")
		}
		list = append(list, m)
	}
	c.PolicyMappings = list
	return nil
}

// maxSkip stands for any larger number of certificates: no path is that long.
const maxSkip = 1 << 20

func readSkip(s *cryptobyte.String, tag cbasn1.Tag, out *int) bool {
	var content cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&content, &present, tag) {
		return false
	}
	if !present {
		return true
	}
	if len(content) == 0 || content[0] >= 0x80 || len(content) > 1 && content[0] == 0 && content[1] < 0x80 {
		return false
	}
	n := 0
	for _, b := range content {
		n = min(n<<8|int(b), maxSkip)
	}
	*out = n
	return true
}

func (r *reader) policyConstraints(c *Certificate, v cryptobyte.String) error {
	var seq cryptobyte.String
	explicit, mapping := -1, -1
	if !v.ReadASN1(&seq, cbasn1.SEQUENCE) || !v.Empty() || seq.Empty() ||
		!readSkip(&seq, contextTag(0), &explicit) || !readSkip(&seq, contextTag(1), &mapping) || !seq.Empty() {
		return malformed("policy constraints")
	}
	c.RequireExplicit, c.InhibitMapping = explicit, mapping
	return nil
}

func (r *reader) inhibitAnyPolicy(c *Certificate, v cryptobyte.String) error {
	n := -1
	if !readSkip(&v, cbasn1.INTEGER, &n) || !v.Empty() || n < 0 {
		return malformed("inhibit any-policy")
	}
	c.InhibitAnyPolicy = n
	return nil
}
