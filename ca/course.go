package ca

import (
	"context"
	"encoding/hex"

	"hufu/internal/actor"
)

// Course is the life of a certificate so far.
type Course struct {
	Found
	Certificate []byte        // DER
	Act         Act           // what it was made for
	Replaces    string        // serial of the one before, hexadecimal; "" for a first one
	ReplacedBy  string        // serial of the one after
	Successor   string        // application for the one after, issued or under way
	Pair        string        // serial of the certificate issued with it
	Events      []StatusEvent // oldest first
}

// Course returns a certificate with all that happened to it: to who may see the certificate.
func (a *Authority) Course(ctx context.Context, by actor.Actor, serial string) (c Course, err error) {
	number, err := parseSerial(serial)
	if err != nil {
		return c, err
	}
	err = a.Store.View(ctx, func(r R) error {
		c = Course{}
		if c.Record, err = r.CertificateBySerial(number); err != nil {
			return err
		}
		if !a.maySee(by, c.Record) {
			return ErrUnknown.With("%s may not see certificate %s", by, serial)
		}
		c.Certificate = c.DER
		if status, err := r.Revocation(c.Issuer, number); err == nil {
			c.Status = &status
		} else if !isUnknown(err) {
			return err
		}
		if c.Events, err = r.StatusHistory(number); err != nil {
			return err
		}
		return c.chain(r, hex.EncodeToString(number))
	})
	return c, err
}

// chain finds what the certificate replaces and what replaced it.
func (c *Course) chain(r R, own string) error {
	app, err := r.Application(c.Application)
	if err != nil && !isUnknown(err) {
		return err
	}
	c.Act, c.Replaces = app.Act, app.Replaces
	for i, s := range app.Certificates {
		if s != own {
			c.Pair = s
		} else if i > 0 {
			c.Replaces = "" // of a pair, the chain is that of the signing certificates
		}
	}
	next, err := r.Successor(own)
	if isUnknown(err) {
		return nil
	}
	c.Successor = next.ID
	if len(next.Certificates) > 0 {
		c.ReplacedBy = next.Certificates[0]
	}
	return err
}

// FindCertificates searches certificates, newest first, at most 100, without their bytes: a holder's to the holder and whoever
// acts for it, all to officers.
func (a *Authority) FindCertificates(ctx context.Context, by actor.Actor, f CertificateSearch) (all []Found, err error) {
	if err := by.Known(); err != nil {
		return nil, err
	}
	officer := by.Require(actor.RoleRegistrar, actor.RoleApprover, actor.RoleBusinessAdmin, actor.RoleAuditAdmin) == nil
	if !officer && (f.Holder == "" || f.Holder != by.Subject && f.Holder != by.For) {
		return nil, ErrNotHolder.With("%s may not list certificates of %q", by, f.Holder)
	}
	if f.Limit <= 0 || f.Limit > 100 {
		f.Limit = 100
	}
	if f.Now.IsZero() {
		f.Now = a.Now().UTC()
	}
	err = a.Store.View(ctx, func(r R) error {
		all, err = r.FindCertificates(f)
		return err
	})
	return all, err
}
