package ca

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"

	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/actor"
)

// EntryDifference is how an entry of the trust list would change.
type EntryDifference struct {
	Entry  string
	Act    string // add, change or remove
	Fields []Difference
}

// TrustProposal returns a motion about the trust list with what it would change in the list as it is now.
func (a *Authority) TrustProposal(ctx context.Context, by actor.Actor, id string) (p TrustProposal, all []EntryDifference, err error) {
	if err := by.Require(actor.RoleBusinessAdmin, actor.RoleSuperAdmin, actor.RoleAuditAdmin); err != nil {
		return p, nil, err
	}
	m, err := a.motion(ctx, MotionTrust, id)
	if err != nil {
		return p, nil, err
	}
	if p, err = m.trust(); err != nil {
		return p, nil, err
	}
	now, _, err := a.current(ctx)
	if err != nil {
		return p, nil, err
	}
	for _, c := range p.Changes {
		old, there := now.Entry(c.id())
		d := EntryDifference{Entry: c.id(), Act: "change"}
		var before, after *bundle.TrustEntry
		if there {
			before = &old
		} else {
			d.Act = "add"
		}
		if after = c.Put; after == nil {
			d.Act = "remove"
		}
		if d.Fields, err = entryFields(before, after); err != nil {
			return p, nil, err
		}
		all = append(all, d)
	}
	return p, all, nil
}

// entryFields compares two entries field by field; nil is none.
func entryFields(before, after *bundle.TrustEntry) (out []Difference, err error) {
	old, err := flatEntry(before)
	if err != nil {
		return nil, err
	}
	next, err := flatEntry(after)
	if err != nil {
		return nil, err
	}
	names := slices.Collect(maps.Keys(old))
	for name := range next {
		if _, both := old[name]; !both {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if old[name] != next[name] {
			out = append(out, Difference{Field: name, Old: old[name], New: next[name]})
		}
	}
	slices.SortFunc(out, func(x, y Difference) int { return cmp.Compare(x.Field, y.Field) })
	return out, nil
}

// flatEntry gives the fields of an entry as text. Certificates are named by subject, end and fingerprint.
func flatEntry(e *bundle.TrustEntry) (map[string]string, error) {
	out := map[string]string{}
	if e == nil {
		return out, nil
	}
	text, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	delete(fields, "certificates")
	for name, value := range fields {
		out[name] = string(value)
	}
	for _, c := range e.Certificates {
		cert, err := certs.ParseLenient(c.DER)
		if err != nil {
			return nil, err
		}
		kind := "intermediate"
		if c.Root {
			kind = "root"
		}
		out["certificate "+fingerprint(cert)] = kind + " " + cert.Subject.String() + ", until " + cert.NotAfter.Format("2006-01-02")
	}
	return out, nil
}
