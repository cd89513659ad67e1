package ca

import (
	"fmt"
	"net/mail"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"hufu/certs"
)

// subject builds the certificate's subject from the facts, or takes the request's where the profile says so.
func (p *Profile) subject(facts map[string]string, asked *certs.Request) (certs.Name, error) {
	if err := p.checkAsked(asked); err != nil {
		return certs.Name{}, err
	}
	if p.SubjectOf == "request" {
		return p.subjectOfRequest(asked)
	}
	attributes := make([]certs.Attribute, 0, len(p.made.parts))
	for i := range p.made.parts {
		part := &p.made.parts[i]
		text := ""
		switch {
		case part.ask && asked != nil:
			text = strings.TrimSpace(asked.Subject.Get(part.oid))
		case part.value.filled(facts):
			text = part.value.fill(facts)
		}
		if text == "" {
			text = part.empty
		}
		if err := part.bound.check(text); err != nil {
			return certs.Name{}, wrongFact(part.name, "profile %q: subject part %s %w", p.Name, part.name, err)
		}
		if text != "" {
			attributes = append(attributes, certs.Attribute{Type: part.oid, Value: text})
		}
	}
	name := certs.NewName(attributes...)
	return name, p.matchAsked(name, asked)
}

// checkAsked refuses a request whose subject has what the profile forbids.
func (p *Profile) checkAsked(asked *certs.Request) error {
	if asked == nil {
		return nil
	}
	for _, oid := range p.made.forbidden {
		if asked.Subject.Get(oid) != "" {
			return ErrRequest.With("profile %q forbids attribute %s in the request's subject", p.Name, oid)
		}
	}
	return nil
}

// matchAsked refuses a request whose subject says anything that the certificate will not say.
func (p *Profile) matchAsked(name certs.Name, asked *certs.Request) error {
	if p.CSRSubject != "match" || asked == nil {
		return nil
	}
	for _, rdn := range asked.Subject.RDNs {
		for _, a := range rdn {
			if name.Get(a.Type) != a.Value {
				return ErrRequest.With("profile %q: the request's subject says %s=%q, the certificate %q", p.Name, a.Type, a.Value, name.Get(a.Type))
			}
		}
	}
	return nil
}

// subjectOfRequest takes the request's subject bit by bit: what others know an authority by must not change.
func (p *Profile) subjectOfRequest(asked *certs.Request) (certs.Name, error) {
	if asked == nil || asked.Subject.Empty() {
		return certs.Name{}, ErrRequest.With("profile %q takes the subject of the request, which has none", p.Name)
	}
	known := map[certs.OID]bool{}
	for i := range p.made.parts {
		part := &p.made.parts[i]
		known[part.oid] = true
		text := asked.Subject.Get(part.oid)
		if err := part.bound.check(text); err != nil {
			return certs.Name{}, ErrRequest.With("profile %q: subject part %s %w", p.Name, part.name, err)
		}
		if part.bound.rule == Fixed && text != part.value.fill(nil) {
			return certs.Name{}, ErrRequest.With("profile %q: subject part %s is fixed", p.Name, part.name)
		}
	}
	for _, rdn := range asked.Subject.RDNs {
		for _, a := range rdn {
			if !known[a.Type] {
				return certs.Name{}, ErrRequest.With("profile %q has no subject part of type %s", p.Name, a.Type)
			}
		}
	}
	return certs.Name{RDNs: asked.Subject.RDNs, Raw: asked.RawSubject}, nil
}

// altNames gathers the alternative names by the profile's rules.
func (p *Profile) altNames(facts map[string]string, asked *certs.Request) (g certs.GeneralNames, err error) {
	for form := range p.made.alt {
		alt := &p.made.alt[form]
		if !alt.on {
			continue
		}
		names := alt.names(form, facts, asked)
		if err := alt.check(names); err != nil {
			return g, wrongFact(altWords[form], "profile %q: alternative names, %s: %w", p.Name, altWords[form], err)
		}
		for _, name := range names {
			if !addAltName(&g, form, name) {
				return g, wrongFact(altWords[form], "profile %q: alternative names, %s: %q is none", p.Name, altWords[form], name)
			}
		}
	}
	return g, nil
}

func (alt *altName) names(form int, facts map[string]string, asked *certs.Request) []string {
	if !alt.ask && alt.bound.rule != Forbidden {
		if !alt.value.filled(facts) {
			return nil
		}
		return strings.FieldsFunc(alt.value.fill(facts), func(r rune) bool { return r == ' ' || r == ',' })
	}
	if asked == nil {
		return nil
	}
	switch g := asked.Requested.AltNames; form {
	case altDNS:
		return g.DNS
	case altEmail:
		return g.Email
	case altURI:
		return g.URI
	default:
		var out []string
		for _, ip := range g.IP {
			out = append(out, ip.String())
		}
		return out
	}
}

func (alt *altName) check(names []string) error {
	if len(names) == 0 {
		return alt.bound.check("")
	}
	if len(names) > alt.most {
		return fmt.Errorf("there are more than %d", alt.most)
	}
	for _, name := range names {
		if err := alt.bound.check(name); err != nil {
			return err
		}
	}
	return nil
}

func addAltName(g *certs.GeneralNames, form int, name string) bool {
	switch form {
	case altDNS:
		g.DNS = append(g.DNS, name)
		return dnsName(name)
	case altIP:
		ip, err := netip.ParseAddr(name)
		g.IP = append(g.IP, ip)
		return err == nil && ip.Zone() == ""
	case altEmail:
		g.Email = append(g.Email, name)
		return mailAddress(name)
	default:
		g.URI = append(g.URI, name)
		return absoluteURI(name)
	}
}

// dnsName tells whether a text is a name of the DNS in its preferred form (RFC 1034, 3.5; digits may begin a label by
// RFC 1123), with one wildcard label in front at most (RFC 6125, 6.4.3).
func dnsName(s string) bool {
	s = strings.TrimPrefix(s, "*.")
	labels := strings.Split(s, ".")
	if len(s) > 253 || len(labels) < 2 && s != "localhost" {
		return false
	}
	for _, label := range labels {
		if !dnsLabel(label) {
			return false
		}
	}
	return true
}

func dnsLabel(s string) bool {
	if s == "" || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// mailAddress tells whether a text is a bare addr-spec in ASCII (RFC 5280, 4.2.1.6).
func mailAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s && isASCII(s)
}

// absoluteURI tells whether a text is a URI with scheme and host or path (RFC 5280, 4.2.1.6).
func absoluteURI(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.IsAbs() && (u.Host != "" || u.Opaque != "") && isASCII(s)
}

// validity returns the certificate's window: from a little before now, so that a clock slightly behind accepts it, never
// past the issuer's own end.
func (p *Profile) validity(now time.Time, facts map[string]string, issuer *certs.Certificate) (from, to time.Time, err error) {
	back := time.Duration(max(p.Validity.Backdate, 1)) * time.Minute
	from = now.UTC().Truncate(time.Second).Add(-back)
	to = from.AddDate(0, 0, p.Days)
	if p.Validity.Choose {
		if from, to, err = p.chosen(from, facts); err != nil {
			return from, to, err
		}
	}
	if issuer != nil {
		if from.Before(issuer.NotBefore) {
			from = issuer.NotBefore
		}
		if to.After(issuer.NotAfter) {
			to = issuer.NotAfter
		}
		if !to.After(from) {
			return from, to, ErrIssuer.With("the certificate of the issuer ends on %s", issuer.NotAfter.Format(time.DateOnly))
		}
	}
	return from, to, nil
}

// chosen reads what the applicant chose, within the profile's bounds.
func (p *Profile) chosen(earliest time.Time, facts map[string]string) (from, to time.Time, err error) {
	most := max(p.Validity.MostDays, p.Days)
	if from, err = chosenTime(factNotBefore, facts, earliest); err != nil {
		return from, to, err
	}
	if to, err = chosenTime(factNotAfter, facts, from.AddDate(0, 0, p.Days)); err != nil {
		return from, to, err
	}
	switch {
	case from.Before(earliest):
		err = wrongFact(factNotBefore, "%s lies more than %d minutes in the past", factNotBefore, max(p.Validity.Backdate, 1))
	case from.After(earliest.AddDate(0, 0, p.Validity.Ahead).Add(time.Hour)):
		err = wrongFact(factNotBefore, "%s lies more than %d days ahead", factNotBefore, p.Validity.Ahead)
	case to.After(from.AddDate(0, 0, most)):
		err = wrongFact(factNotAfter, "a certificate of profile %q is valid for at most %d days", p.Name, most)
	case to.Before(from.Add(time.Hour)):
		err = wrongFact(factNotAfter, "%s is not an hour after the beginning", factNotAfter)
	}
	return from, to, err
}

func chosenTime(name string, facts map[string]string, otherwise time.Time) (time.Time, error) {
	text := facts[name]
	if text == "" {
		return otherwise, nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC().Truncate(time.Second), nil
		}
	}
	return otherwise, wrongFact(name, "%q is neither a date nor a time of RFC 3339", text)
}
