package ca

import (
	"context"
	"crypto"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"hufu/certs"
	"hufu/internal/actor"
)

// Bootstrap makes the authorities that profiles of holder "authority" describe and that are not there yet, the self-signed
// ones first: a key in the device, then a certificate by the same steps as every other. Run again after a crash, it goes
// on. Where a key ceremony has begun, it makes nothing: ErrCeremony. Under a superior's root it makes nothing either, since
// what stands below ours comes from there. Only the system or a super administrator may.
func (a *Authority) Bootstrap(ctx context.Context, by actor.Actor) error {
	if err := by.Require(actor.RoleSuperAdmin); err != nil {
		return err
	}
	todo := a.missing()
	if len(todo) == 0 {
		return nil
	}
	if under, err := a.IsSubordinate(ctx); err != nil || under {
		return err
	}
	if c, begun, err := a.Ceremony(ctx); err != nil {
		return err
	} else if begun && c.State != CeremonyDone {
		return ErrCeremony.With("ceremony %s is in state %q", c.ID, c.State)
	}
	for _, p := range todo {
		if err := a.makeIssuer(ctx, by, p); err != nil {
			return fmt.Errorf("make authority %q: %w", p.Name, err)
		}
	}
	return nil
}

// missing lists the profiles of authorities of ours that are not there yet, self-signed ones first, but for those that are
// made on demand.
func (a *Authority) missing() (todo []*Profile) {
	for _, p := range a.ProfilesInForce() {
		if p.Holder == HolderAuthority && !p.OnDemand && slices.Contains(p.Apply, ApplyBySystem) && a.issuer(p.Name) == nil {
			todo = append(todo, p)
		}
	}
	slices.SortFunc(todo, func(x, y *Profile) int {
		switch {
		case x.selfSigned() == y.selfSigned():
			return strings.Compare(x.Name, y.Name)
		case x.selfSigned():
			return -1
		default:
			return 1
		}
	})
	return todo
}

// making is an authority to be: its key, and who signs its certificate.
type making struct {
	profile *Profile
	number  int    // generation, from 1
	mark    string // goes behind the name, where this is a rehearsal
	label   string // of its key
	own     crypto.Signer
	parent  *issuer       // nil: itself
	signer  crypto.Signer // of the parent, or own
}

func (m making) name() string { return generation(m.profile.Name, m.number) }

// title is what the certificate calls the authority.
func (m making) title() string {
	title := m.profile.Title.ZH + m.mark
	if m.number > 1 {
		title += " " + strconv.Itoa(m.number)
	}
	return title
}

// makeIssuer makes an authority whose key is in the device, signed by one whose key is, too.
func (a *Authority) makeIssuer(ctx context.Context, by actor.Actor, p *Profile) error {
	m := making{profile: p, number: 1, label: "ca-" + p.Name}
	var err error
	if m.own, err = a.Keys.Ensure(ctx, by, m.label, p.Keys[0], p.keyPurpose()); err != nil {
		return err
	}
	if m.signer = m.own; !p.selfSigned() {
		if m.parent, _ = a.newestIssuer(p.Issuer); m.parent == nil {
			return ErrIssuer.With("issuer %q does not exist", p.Issuer)
		}
		if m.signer, err = a.key(ctx, m.parent); err != nil {
			return err
		}
	}
	_, err = a.addIssuer(ctx, by, m)
	return err
}

// addIssuer certifies an authority by the same steps as every other holder, and adds it to those that there are.
func (a *Authority) addIssuer(ctx context.Context, by actor.Actor, m making) (*certs.Certificate, error) {
	ready, err := a.prepare(draft{
		profile: m.profile, public: m.own.Public(),
		holder: Holder{ID: "authority:" + m.name(), Kind: HolderAuthority, Name: m.title()},
	}, m.parent)
	if err != nil {
		return nil, err
	}
	reserved, err := a.reserve(ctx, by, []*prepared{ready}, "bootstrap:"+m.name())
	if err != nil {
		return nil, err
	}
	signed, err := reserved[0].sign(m.signer)
	if err != nil {
		return nil, err
	}
	parent := m.name()
	if m.parent != nil {
		parent = m.parent.Name
	}
	err = a.Store.Update(ctx, func(w W) error {
		if err := a.finish(w, by, signed); err != nil {
			return err
		}
		return w.AddIssuer(Issuer{Name: m.name(), Parent: parent, KeyLabel: m.label, Certificate: signed.der})
	})
	if err != nil {
		return nil, err
	}
	return signed.cert, a.loadIssuers(ctx)
}
