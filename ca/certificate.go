package ca

import (
	"context"
	"strings"

	"hufu/certs"
	"hufu/internal/actor"
)

// Chain returns a certificate and its issuers, the root last. serial is hexadecimal. Serials are public in the log, and a
// person's certificate may hold the identity number: persons' and officials' certificates are given to the holder, to who
// acts for the holder, and to officers alone; others are public.
func (a *Authority) Chain(ctx context.Context, by actor.Actor, serial string) ([]*certs.Certificate, error) {
	number, err := parseSerial(serial)
	if err != nil {
		return nil, err
	}
	var record Record
	if err := a.Store.View(ctx, func(r R) error {
		record, err = r.CertificateBySerial(number)
		return err
	}); err != nil {
		return nil, err
	}
	if !a.maySee(by, record) {
		return nil, ErrUnknown.With("%s may not see certificate %s", by, serial) // nor learn that it exists
	}
	if name, ok := strings.CutPrefix(record.Issuer, externalMark); ok {
		return a.chainOutside(ctx, record, name)
	}
	leaf, err := certs.Parse(record.DER)
	if err != nil {
		return nil, err
	}
	above, err := a.issuersOf(leaf, record.Issuer)
	return append([]*certs.Certificate{leaf}, above...), err
}

// issuersOf returns the certificates above one, the root last.
func (a *Authority) issuersOf(leaf *certs.Certificate, issuer string) (chain []*certs.Certificate, err error) {
	last := leaf
	for name := issuer; ; {
		i := a.issuer(name)
		if i == nil {
			return nil, ErrIssuer.With("issuer %q of %s is not loaded", name, leaf.SerialHex())
		}
		if last.SerialHex() != i.cert.SerialHex() {
			chain = append(chain, i.cert)
		}
		last = i.cert
		if i.Subordinate() {
			return append(chain, a.chainAbove(i.cert)...), nil
		}
		if i.Parent == name {
			return chain, nil
		}
		name = i.Parent
	}
}

func (a *Authority) maySee(by actor.Actor, c Record) bool {
	p := a.profile(c.Profile)
	if p != nil && !p.Private && p.Holder != HolderPerson && p.Holder != HolderOfficial {
		return true
	}
	return by.Require(actor.RoleRegistrar, actor.RoleApprover, actor.RoleBusinessAdmin) == nil ||
		by.Known() == nil && (c.Holder == by.Subject || by.For != "" && c.Holder == by.For)
}

// Certificates lists a holder's certificates, newest first, at most 100: to the holder, whoever acts for it, and officers.
func (a *Authority) Certificates(ctx context.Context, by actor.Actor, f CertificateFilter) (all []Record, err error) {
	if err := by.Known(); err != nil {
		return nil, err
	}
	if by.Require(actor.RoleRegistrar, actor.RoleApprover, actor.RoleBusinessAdmin) != nil && (f.Holder == "" || f.Holder != by.Subject && f.Holder != by.For) {
		return nil, ErrNotHolder.With("%s may not list certificates of %q", by, f.Holder)
	}
	if f.Limit <= 0 || f.Limit > 100 {
		f.Limit = 100
	}
	err = a.Store.View(ctx, func(r R) error {
		all, err = r.Certificates(f)
		return err
	})
	return all, err
}

// Revoked tells whether and how a certificate of ours was revoked; ok is false when it was not.
func (a *Authority) Revoked(ctx context.Context, issuer string, serial []byte) (r Revocation, ok bool, err error) {
	err = a.Store.View(ctx, func(read R) error {
		r, err = read.Revocation(issuer, serial)
		return err
	})
	switch {
	case err == nil:
		return r, true, nil
	case isUnknown(err):
		return r, false, nil
	default:
		return r, false, err
	}
}
