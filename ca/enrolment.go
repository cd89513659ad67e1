package ca

import (
	"bytes"
	"context"
	"encoding/hex"

	"hufu/certs"
	"hufu/internal/actor"
)

// Shown is what the authority knows of a certificate that somebody shows to prove who he is.
type Shown struct {
	Record
	Certificate  *certs.Certificate
	Kind         HolderKind
	Organization string // of an official
	Ended        bool   // before its begin, or after its end
	Revoked      bool   // or suspended, or its issuer is
}

// Shown looks a certificate up that was shown with a proof that its key is at hand. What is not, byte for byte, a certificate
// that was issued here is ErrUnknown. Whether it still counts stands in the result.
func (a *Authority) Shown(ctx context.Context, der []byte) (s Shown, err error) {
	if s.Certificate, err = certs.Parse(der); err != nil {
		return s, ErrUnknown.With("shown certificate: %w", err)
	}
	now := a.Now()
	err = a.Store.View(ctx, func(r R) error {
		if s.Record, err = r.CertificateBySerial(s.Certificate.Serial); err != nil {
			return err
		}
		if !bytes.Equal(s.DER, der) {
			return ErrUnknown.With("shown certificate has serial %x of another", s.Serial)
		}
		p := a.profile(s.Profile)
		if p == nil {
			return ErrUnknown.With("profile %q of certificate %x is gone", s.Profile, s.Serial)
		}
		s.Kind = p.Holder
		if s.Kind == HolderOfficial {
			app, err := r.Application(s.Application)
			if err != nil {
				return err
			}
			s.Organization = app.Organization
		}
		s.Revoked, err = a.ended(r, s.Record)
		return err
	})
	s.Ended = now.Before(s.Certificate.NotBefore) || now.After(s.Certificate.NotAfter)
	return s, err
}

// ended tells whether a certificate, or one of an authority above it, is revoked or suspended.
func (a *Authority) ended(r R, c Record) (bool, error) {
	_, err := r.Revocation(c.Issuer, c.Serial)
	if err == nil {
		return true, nil
	}
	if !isUnknown(err) {
		return false, err
	}
	if err := a.inForce(r, a.issuer(c.Issuer)); err != nil {
		return true, nil //nolint:nilerr // who cannot be sure does not trust it
	}
	return false, nil
}

// As is the actor that a holder is who proved to have the certificate's key.
func (s Shown) As() actor.Actor {
	by := actor.Actor{Subject: s.Holder, Capacity: actor.Person, Client: "certificate:" + s.Certificate.SerialHex()}
	switch s.Kind {
	case HolderEntity:
		by.Capacity, by.For = actor.Entity, s.Holder
	case HolderOfficial:
		by.Capacity, by.For = actor.Official, s.Organization
	}
	return by
}

// KeyHolder is whoever has the certificate's key, as an actor who is no person: good for what the key itself may ask for, its
// replacement and its end.
func (s Shown) KeyHolder() actor.Actor {
	return actor.Actor{Subject: s.Holder, Capacity: actor.Client, Client: "certificate:" + s.Certificate.SerialHex()}
}

// Offer returns the profile in force under a name, if one can apply for it.
func (a *Authority) Offer(name string) (*Profile, error) {
	p := a.profile(name)
	if p == nil || p.KeyFrom == "kmc" {
		return nil, ErrProfile.With("profile %q", name)
	}
	return p, nil
}

// Ladder returns the certificates above one that a profile's newest authority signs, the root last.
func (a *Authority) Ladder(profile string) ([]*certs.Certificate, error) {
	p, err := a.Offer(profile)
	if err != nil {
		return nil, err
	}
	i, _ := a.newestIssuer(p.Issuer)
	var chain []*certs.Certificate
	for i != nil && len(chain) < 10 {
		chain = append(chain, i.cert)
		if i.Subordinate() {
			return append(chain, a.chainAbove(i.cert)...), nil
		}
		if i.Parent == i.Name {
			return chain, nil
		}
		i = a.issuer(i.Parent)
	}
	return nil, ErrIssuer.With("issuer %q of profile %q", p.Issuer, profile)
}

// ApplicationMade returns the application that a maker sent under an idempotency key, to the system alone.
func (a *Authority) ApplicationMade(ctx context.Context, by, maker actor.Actor, key string) (Application, error) {
	if by.Capacity != actor.System {
		return Application{}, ErrUnknown.With("%s may not look for what %s sent", by, maker)
	}
	return a.byKey(ctx, maker, key)
}

// Issued returns a certificate as kept, to the system alone.
func (a *Authority) Issued(ctx context.Context, by actor.Actor, serial []byte) (c Record, err error) {
	if by.Capacity != actor.System {
		return c, ErrUnknown.With("%s may not look up %x", by, serial)
	}
	err = a.Store.View(ctx, func(r R) error {
		c, err = r.CertificateBySerial(serial)
		return err
	})
	return c, err
}

// maxReplaced bounds how far back Replaced looks.
const maxReplaced = 16

// Replaced tells whether now is what replaced old, at once or through others, for the same holder under the same profile; to the
// system alone.
func (a *Authority) Replaced(ctx context.Context, by actor.Actor, now, old Record) (found bool, err error) {
	if by.Capacity != actor.System {
		return false, ErrUnknown.With("%s may not look up %x", by, old.Serial)
	}
	if now.Holder != old.Holder || now.Profile != old.Profile {
		return false, nil
	}
	err = a.Store.View(ctx, func(r R) error {
		found = false
		application := now.Application
		for range maxReplaced {
			app, err := r.Application(application)
			if isUnknown(err) || err == nil && app.Replaces == "" {
				return nil
			}
			if err != nil {
				return err
			}
			serial, err := parseSerial(app.Replaces)
			if err != nil {
				return err
			}
			before, err := r.CertificateBySerial(serial)
			if err != nil {
				return err
			}
			if before.Holder != old.Holder || before.Profile != old.Profile {
				return nil
			}
			if before.Application == old.Application { // the certificate, or the one issued with it
				found = true
				return nil
			}
			application = before.Application
		}
		return nil
	})
	return found, err
}

// Obtained counts what was issued for applications that a certificate authorised, of at most limit applications; to the system
// alone.
func (a *Authority) Obtained(ctx context.Context, by actor.Actor, serial []byte, limit int) (n int, err error) {
	if by.Capacity != actor.System {
		return 0, ErrUnknown.With("%s may not look up %x", by, serial)
	}
	err = a.Store.View(ctx, func(r R) error {
		all, err := r.ObtainedWith([]string{hex.EncodeToString(serial)}, limit)
		n = len(all)
		return err
	})
	return n, err
}
