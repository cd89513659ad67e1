package ca

import (
	"encoding/hex"
	"slices"

	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// Pseudonyms makes the name that stands in a certificate for a number: 64 hexadecimal digits, HMAC-SM3 under a key of this
// installation. The same kind and number give the same pseudonym for ever, on every node: its key is never rotated.
type Pseudonyms interface {
	Pseudonym(kind, number string) (string, error)
}

// Pseudonym is HMAC-SM3 over kind and number under the key of an installation, in hexadecimal. The key is a secret: who has it
// can try all numbers.
func Pseudonym(key []byte, kind, number string) string {
	tag := gm.HMAC(key, []byte("hufu pseudonym v1\x00"+kind+"\x00"+number))
	return hex.EncodeToString(tag[:])
}

// checkFacts holds what is stated with an application against the profile's fields: names, patterns, lengths, and who may
// state them.
func (p *Profile) checkFacts(by actor.Actor, q Request) error {
	for name := range q.Facts {
		known := slices.ContainsFunc(p.made.fields, func(f field) bool { return f.name == name })
		chosen := p.Validity.Choose && (name == factNotBefore || name == factNotAfter)
		if !known && !chosen && p.Holder != HolderService {
			return wrongFact(name, "profile %q has no field %q", p.Name, name)
		}
	}
	for i := range p.made.fields {
		f := &p.made.fields[i]
		text := q.Facts[f.name]
		if text != "" && f.source == FromOfficer && !officerFor(by, p, q) {
			return wrongFact(f.name, "field %q is stated by a registration officer, not by the applicant", f.name)
		}
		if text == "" {
			text = f.empty
		}
		if err := f.bound.check(text); err != nil {
			return wrongFact(f.name, "field %q %w", f.name, err)
		}
	}
	return nil
}

// officerFor tells whether the actor applies as an officer, for somebody else.
func officerFor(by actor.Actor, p *Profile, q Request) bool {
	return by.Capacity == actor.System || by.Is(actor.RoleRegistrar) && !isHolder(by, p.Holder, q.Holder, q.Organization) && by.Subject != q.Holder
}

// facts joins what the registry and the application say, the profile's defaults included. The registry's facts cannot be
// stated: no field has one of their names.
func (d *draft) facts() map[string]string {
	facts := make(map[string]string, 5+len(d.fields)+len(d.profile.made.fields))
	for i := range d.profile.made.fields {
		if f := &d.profile.made.fields[i]; f.empty != "" {
			facts[f.name] = f.empty
		}
	}
	for k, v := range d.fields {
		if v != "" {
			facts[k] = v
		}
	}
	facts["name"], facts["number"], facts["post"] = d.holder.Name, d.holder.Number, d.holder.Post
	facts["organization"], facts["organization_number"] = d.holder.Organization, d.holder.OrganizationNumber
	return facts
}

// identify puts the holder's numbers into the identity extensions (GB/T 20518), or the pseudonyms in their place.
func (a *Authority) identify(t *certs.Template, p *Profile, facts map[string]string) error {
	for i := range p.made.ids {
		id := &p.made.ids[i]
		number := ""
		if id.value.filled(facts) {
			number = id.value.fill(facts)
		}
		if err := id.bound.check(number); err != nil {
			return wrongFact(string(id.kind), "profile %q: identity number %s %w", p.Name, id.kind, err)
		}
		if number == "" {
			continue
		}
		if p.pseudonymous(id.kind) {
			var err error
			if number, err = a.pseudonym(id.kind, number); err != nil {
				return err
			}
		}
		if t.Identity == nil {
			t.Identity = make(map[certs.OID]certs.IdentityNumber, len(p.made.ids))
		}
		t.Identity[id.oid] = certs.IdentityNumber{Kind: id.kind, Value: number}
	}
	return nil
}

func (a *Authority) pseudonym(kind certs.IdentityKind, number string) (string, error) {
	if a.Pseudonyms == nil {
		return "", ErrIssuer.With("there is no key for pseudonyms")
	}
	return a.Pseudonyms.Pseudonym(string(kind), number)
}

// extend writes the profile's own extensions.
func (p *Profile) extend(t *certs.Template, facts map[string]string) error {
	for i := range p.made.custom {
		c := &p.made.custom[i]
		text := ""
		if c.value.filled(facts) {
			text = c.value.fill(facts)
		}
		if err := c.bound.check(text); err != nil {
			return wrongFact(c.name, "profile %q: extension %s %w", p.Name, c.name, err)
		}
		if text == "" {
			continue
		}
		der, err := c.encode(text)
		if err != nil {
			return wrongFact(c.name, "profile %q: extension %s: %w", p.Name, c.name, err)
		}
		t.Extra = append(t.Extra, certs.Extension{ID: c.oid, Critical: c.critical, Value: der})
	}
	return nil
}

// checkRequested holds what the request asks of extensions against what the certificate will have.
func (p *Profile) checkRequested(asked *certs.Request, c *certs.Certificate) error {
	if asked == nil {
		return nil
	}
	for oid, rule := range p.made.requested {
		want, is := asked.Requested.Extension(oid)
		have, _ := c.Extension(oid)
		switch {
		case is && rule == Forbidden:
			return ErrRequest.With("profile %q forbids a request to ask for extension %s", p.Name, oid)
		case !is && rule == Required:
			return ErrRequest.With("profile %q wants the request to ask for extension %s", p.Name, oid)
		case is && rule == Fixed && string(want) != string(have):
			return ErrRequest.With("profile %q: extension %s is fixed and the request asks for another", p.Name, oid)
		}
	}
	return nil
}
