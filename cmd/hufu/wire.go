package main

import (
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"hufu/ca"
	"hufu/certs"
	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
	"hufu/keys"
	"hufu/seal"
	"hufu/web"
)

// Pillars do not import pillars: here are the adapters by which one asks another.

// registry answers the authority from the register of subjects.
type registry struct{ *identity.Service }

func (r registry) Holder(ctx context.Context, subject, organization string) (ca.Holder, error) {
	if organization != "" {
		h, err := r.HolderIn(ctx, subject, organization)
		if err != nil {
			return ca.Holder{}, err
		}
		return ca.Holder{
			ID: h.Person, Kind: ca.HolderOfficial, Name: h.Name, Number: h.Number.Reveal(), Level: h.Level,
			Organization: h.Org, OrganizationNumber: h.OrgUSCC, Post: h.Post,
		}, nil
	}
	h, err := r.Service.Holder(ctx, subject)
	if err != nil {
		return ca.Holder{}, err
	}
	return ca.Holder{ID: h.ID, Kind: ca.HolderKind(h.Kind), Name: h.Name, Number: h.Number.Reveal(), Level: h.Level}, nil
}

// directory finds the holders of a batch's rows by their numbers.
type directory struct{ *identity.Service }

func (d directory) Find(ctx context.Context, by actor.Actor, kind, number string) (string, error) {
	s, err := d.ByNumber(ctx, by, identity.Identifier{Type: identity.IdentifierType(kind), Number: identity.Number(number)})
	return s.ID, err
}

func (d directory) Represents(ctx context.Context, person, holder string) (bool, error) {
	ways, err := d.Capacities(ctx, person)
	for _, way := range ways {
		if way.Kind == identity.Entity && way.For == holder {
			return true, nil
		}
	}
	return false, err
}

// authorityKeys gives the authority its keys.
type authorityKeys struct{ *keys.Keys }

func (k authorityKeys) Ensure(ctx context.Context, a actor.Actor, label, algorithm, purpose string) (crypto.Signer, error) {
	if _, err := k.Keys.Ensure(ctx, a, label, purpose, algorithm); err != nil {
		return nil, err
	}
	return k.Keys.Signer(ctx, label)
}

// sealMaker is the authority's seal-maker service.
type sealMaker struct{ *ca.Authority }

func (m sealMaker) Maker(ctx context.Context) (*certs.Certificate, crypto.Signer, error) {
	s, err := m.Service(ctx, actor.ForSystem("seal-maker"), "seal-maker")
	return s.Certificate, s.Signer, err
}

// sealCertifier has seal keys certified by the authority. It applies as the system, since no officer may ask for such a
// certificate; who made the seal stands in the seal's own record.
type sealCertifier struct{ *ca.Authority }

func (c sealCertifier) Certify(ctx context.Context, _ actor.Actor, owner, code string, key crypto.Signer) ([]byte, error) {
	csr, err := certs.NewRequest(key, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: code}), certs.RequestOptions{})
	if err != nil {
		return nil, err
	}
	spki, err := certs.MarshalPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	a, hash := actor.ForSystem("seal"), gm.SM3(spki)
	app, err := c.Apply(ctx, a, ca.Request{
		Profile: "seal-signer", Holder: owner, Facts: map[string]string{"seal_code": code}, CSR: csr,
		Key: "seal-" + code + "-" + hex.EncodeToString(hash[:8]),
	})
	if err != nil {
		return nil, err
	}
	if app, err = c.Issue(ctx, a, app.ID); err != nil {
		return nil, err
	}
	chain, err := c.Chain(ctx, a, app.Certificates[0])
	if err != nil {
		return nil, err
	}
	return chain[0].Raw, nil
}

func (c sealCertifier) Revoke(ctx context.Context, a actor.Actor, cert []byte) error {
	parsed, err := certs.Parse(cert)
	if err != nil {
		return err
	}
	err = c.Authority.Revoke(ctx, a, parsed.Serial, certs.ReasonCessationOfOperation, c.Now())
	if errors.Is(err, ca.ErrRevoked) {
		return nil
	}
	return err
}

// sealKinds are the kinds of documents for which the page of a seal offers a standing activation.
func (s *server) sealKinds() []web.Kind {
	kinds := []web.Kind{{Kind: seal.KindDocument, Name: fault.Text{ZH: "其他文件（由经办人提交盖章）", EN: "Other documents that are handed in to be stamped"}}}
	for _, t := range s.licences.Types() {
		kinds = append(kinds, web.Kind{Kind: seal.KindLicence(t.Code), Name: fault.Text{ZH: t.Title.ZH, EN: t.Title.EN}})
	}
	return kinds
}

// hardware tells whether the master key of the seals stands in a device and not in files, so that pages call the seals' keys
// what they are: it is made in the first entry that keeps its algorithm.
func (c *Config) hardware() bool {
	for _, d := range c.HSM {
		if len(d.Algorithms) == 0 || slices.Contains(d.Algorithms, c.Master) {
			return d.Driver != driverSoft
		}
	}
	return false
}

// owners tells of the organisations that seals are for, and who may act for them since when.
type owners struct {
	*identity.Service
	logins *login.Service
}

func (o owners) OwnerName(ctx context.Context, subject string) (string, error) {
	standing, err := o.Standing(ctx, subject)
	if err != nil {
		return "", err
	}
	if standing.Kind != identity.Entity {
		return "", fmt.Errorf("subject %s: %w", subject, identity.ErrForm)
	}
	return standing.Name, nil
}

// ActingFor asks as whom a person may act for an organisation now. Who is frozen, closed or unknown may not.
func (o owners) ActingFor(ctx context.Context, person, organisation string) (ways []seal.Way, err error) {
	all, err := o.Capacities(ctx, person)
	switch fault.KindOf(err) {
	case fault.NotFound, fault.Denied, fault.Conflict, fault.Invalid:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	account, err := o.logins.Account(ctx, actor.ForSystem("seal"), person)
	if err != nil && !errors.Is(err, login.ErrNoAccount) {
		return nil, err
	}
	for _, c := range all {
		if c.For != organisation || c.Kind == identity.Person {
			continue
		}
		w := seal.Way{Actor: actor.Actor{Subject: person, Capacity: actor.Capacity(c.Kind), For: c.For, Roles: c.Roles}, Since: c.Since}
		if account.Given.After(w.Since) {
			w.Since = account.Given
		}
		ways = append(ways, w)
	}
	return ways, nil
}

// qrSigner signs the QR texts by which licences are shown; its certificate stands in the trust bundle.
type qrSigner struct{ *ca.Authority }

func (q qrSigner) QRSigner(ctx context.Context) (cert []byte, key crypto.Signer, err error) {
	s, err := q.Service(ctx, actor.ForSystem("qr"), "qr")
	if err != nil {
		return nil, nil, err
	}
	return s.Certificate.Raw, s.Signer, nil
}
