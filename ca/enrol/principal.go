package enrol

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
)

// principal is who asks: the bearer of a secret, or of a certificate of ours whose key signed.
type principal struct {
	whom   string // "secret:REFERENCE" or "certificate:SERIAL"
	secret *Secret
	shown  *ca.Shown
	client *Client // the rights of the certificate's holder, if it is a registration client
}

func (p principal) reference() string {
	if p.secret != nil {
		return p.secret.ID
	}
	return ""
}

// as is the actor for whom applications are made. Those under a secret are its maker's.
func (p principal) as() actor.Actor {
	if p.secret != nil {
		return p.secret.Maker
	}
	return p.shown.As()
}

// show recognises a certificate whose key has signed. Whether it counts now is asked by standing: an answer that was given
// before may be given again.
func (s *Service) show(ctx context.Context, der []byte) (principal, error) {
	shown, err := s.CA.Shown(ctx, der)
	if errors.Is(err, ca.ErrUnknown) {
		return principal{}, ErrSigner.With("%w", err)
	}
	if err != nil {
		return principal{}, err
	}
	p := principal{whom: "certificate:" + shown.Certificate.SerialHex(), shown: &shown}
	if s.byWhom.Take(p.whom, 1) > 0 {
		return p, ErrLimited.With("certificate %s", p.whom)
	}
	if !slices.Contains(shown.Certificate.ExtKeyUsage, certs.OIDCMCRA) {
		return p, nil
	}
	err = s.Store.View(ctx, func(r R) error {
		c, err := r.Client(shown.Holder)
		p.client = &c
		return err
	})
	if errors.Is(err, ErrUnknown) {
		p.client, err = nil, nil
	}
	return p, err
}

// standing refuses a certificate that does not count now, and a secret whose maker may not act any more.
func (s *Service) standing(ctx context.Context, p principal) error {
	if p.secret != nil {
		return s.maker(ctx, p.secret.Maker)
	}
	c := p.shown
	switch {
	case c.Ended || c.Revoked:
		return ErrSigner.With("certificate %x: ended %t, revoked %t", c.Serial, c.Ended, c.Revoked)
	case !c.Certificate.Has(certs.UsageDigitalSignature):
		return ErrSigner.With("certificate %x is not for signing", c.Serial)
	case !slices.Contains([]ca.HolderKind{ca.HolderPerson, ca.HolderEntity, ca.HolderOfficial}, c.Kind):
		return ErrSigner.With("certificate %x is a service's", c.Serial)
	}
	return nil
}

// wish is what a message asks for, before it is known whether the peer may.
type wish struct {
	way     string            // ca.ServesCMP or ca.ServesEST
	profile string            // from the address; "" leaves it to who asks
	csr     []byte            // PKCS#10 or CertReqMsg, DER
	pairs   map[string]string // for whom, where a registration client asks
	update  bool              // a key update: the certificate shown is to be replaced
}

// demand is what the authority is asked for: an application, or the replacement of a certificate.
type demand struct {
	by actor.Actor
	ca.Request
	replaces []byte // serial; nil for an application
}

// demand makes a demand of a wish, if the principal may.
func (s *Service) demand(ctx context.Context, p principal, w wish) (d demand, err error) {
	d = demand{by: p.as(), Request: ca.Request{CSR: w.csr}}
	switch {
	case p.secret != nil:
		d.Profile, d.Holder, d.Organization, d.Facts = p.secret.Profile, p.secret.Holder, p.secret.Organization, p.secret.Facts
		if w.update {
			err = ErrRights.With("a key update needs the old certificate's signature")
		}
	case p.client != nil && w.pairs["holder"] != "":
		d, err = p.onBehalf(w)
	case w.pairs["holder"] != "" && w.pairs["holder"] != p.shown.Holder:
		err = ErrRights.With("%s asks for holder %q and is no registration client", p.whom, w.pairs["holder"])
	default:
		err = s.own(ctx, p, w, &d)
	}
	if err != nil {
		return d, err
	}
	if w.profile != "" && w.profile != d.Profile {
		return d, ErrRights.With("%s asks for profile %q, and may for %q", p.whom, w.profile, d.Profile)
	}
	profile, err := s.CA.Offer(d.Profile)
	if err != nil {
		return d, err
	}
	if !profile.ServesBy(w.way) {
		return d, ErrWay.With("profile %q by %s", d.Profile, w.way)
	}
	if p.shown != nil { // what was got with a stolen certificate is found again by it
		d.Authorised = hex.EncodeToString(p.shown.Serial)
	}
	return d, nil
}

// own is what the holder of a certificate may ask for with it: another of the same kind, or its replacement.
func (s *Service) own(ctx context.Context, p principal, w wish, d *demand) error {
	app, err := s.CA.Application(ctx, system(), p.shown.Application)
	if err != nil {
		return fmt.Errorf("application of certificate %x: %w", p.shown.Serial, err)
	}
	d.Profile, d.Holder, d.Organization, d.Facts = p.shown.Profile, p.shown.Holder, app.Organization, app.Facts
	if w.update {
		d.replaces, d.by = p.shown.Serial, p.shown.KeyHolder()
		return nil
	}
	n, err := s.CA.Obtained(ctx, system(), p.shown.Serial, maxOwn)
	if err == nil && n >= maxOwn {
		err = ErrRights.With("%s has got %d certificates", p.whom, n)
	}
	return err
}

// maxOwn bounds how many certificates one gets beside itself, so that who steals it does not make as many as time allows.
const maxOwn = 20

// onBehalf is what a registration client asks for: holder, organisation and facts are in the message (utf8Pairs of RFC 4211), in the
// request itself or, for PKCS#10, in the header.
func (p principal) onBehalf(w wish) (demand, error) {
	by := p.registrar()
	if !slices.Contains(p.client.Profiles, w.profile) {
		return demand{by: by}, ErrRights.With("registration client %s has no right to profile %q", p.client.Subject, w.profile)
	}
	facts := maps.Clone(w.pairs)
	delete(facts, "holder")
	delete(facts, "organization")
	if len(facts) == 0 {
		facts = nil
	}
	return demand{by: by, Request: ca.Request{
		Profile: w.profile, Holder: w.pairs["holder"], Organization: w.pairs["organization"], Facts: facts, CSR: w.csr,
	}}, nil
}

// registrar is a registration client as an actor: it enters applications; officers decide on them as on others.
func (p principal) registrar() actor.Actor {
	return actor.Actor{
		Subject: p.client.Subject, Capacity: actor.Client, Roles: []actor.Role{actor.RoleRegistrar}, Client: p.whom,
	}
}
