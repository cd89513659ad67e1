package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"hufu/ca"
	"hufu/ca/kmc"
	"hufu/certs"
	"hufu/configs"
	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/keys"
	"hufu/seal"
)

func (s *server) openIdentity(ctx context.Context, _ openOptions) (err error) {
	if s.identity, err = identity.New(identity.Config{Store: s.db.Identity(), Now: s.now}); err != nil {
		return err
	}
	pepper, err := s.keys.EnsureData(ctx, actor.ForSystem("start"), keys.DataPepper)
	if err != nil {
		return fmt.Errorf("pepper of the passwords: %w", err)
	}
	s.login, err = login.New(login.Config{Store: s.db.Login(), Subjects: s.identity, Peppers: currentFirst(pepper), Now: s.now})
	return err
}

// readAuthority opens CA and KMC as they are.
func (s *server) readAuthority(ctx context.Context, o openOptions) (err error) {
	centre, err := s.keyService(ctx)
	if err != nil {
		return err
	}
	s.front = kmc.NewFront(centre, keyFacts{s})
	profiles, err := ca.ParseProfiles(configs.Files, "profiles")
	if err != nil {
		return err
	}
	if s.time, err = s.openTime(); err != nil {
		return err
	}
	c := ca.Config{
		Client: s.callAuthorities(),
		Store:  s.db.CA(), Registry: registry{s.identity}, Keys: authorityKeys{s.keys}, Encryption: s.front, Directory: directory{s.identity}, Profiles: profiles,
		BaseURL: s.cfg.URL + "/pki", Instance: byte(s.cfg.Instance), Issuing: s.cfg.Issuing, Now: s.now, RemoteIP: remoteIP(s.cfg.proxies()),
		Shards: s.cfg.Status.Shards, Spool: s.cfg.spool(), OCSP: s.cfg.Status.ocsp(),
		TimeStampPolicy: certs.OID(s.cfg.TSA.Policy), TimeStampAccuracy: s.cfg.TSA.accuracy(),
	}
	if s.time != nil {
		c.Time = s.time
	}
	c.People = people{s.identity}
	if c.Mailer, err = s.openMail(o); err != nil {
		return err
	}
	s.ca, err = ca.New(ctx, c)
	return err
}

// openAuthority opens CA and KMC, and makes root and issuing authority on the first start, unless a key ceremony made them.
func (s *server) openAuthority(ctx context.Context, o openOptions) error {
	if err := s.readAuthority(ctx, o); err != nil {
		return err
	}
	if err := s.underSuperior(ctx, o); err != nil {
		return err
	}
	if names, _ := s.ca.Issuers(); len(names) == 0 && !o.create {
		if under, err := s.ca.IsSubordinate(ctx); err != nil || !under {
			return errors.Join(errNoData.With("there is no authority in the database"), err)
		}
	}
	if err := s.openProfiles(ctx); err != nil {
		return err
	}
	if err := s.ca.Bootstrap(ctx, actor.ForSystem("start")); err != nil {
		return err
	}
	if err := s.makeAuthorities(ctx); err != nil {
		return err
	}
	names, _ := s.ca.Issuers()
	for _, name := range names {
		if slices.Contains(s.ca.Offline(), name) {
			continue
		}
		if _, err := s.keys.Signer(ctx, "ca-"+name); err != nil { // told now, not when somebody applies
			return fmt.Errorf("key of authority %q: %w", name, err)
		}
	}
	return nil
}

func (s *server) openSeals(ctx context.Context, _ openOptions) error {
	by := actor.ForSystem("seal")
	if err := s.keys.EnsureMaster(ctx, by, "seal-master"); err != nil {
		return fmt.Errorf("master key of the seals: %w", err)
	}
	many, err := s.keys.Many(by, keys.ManySeal, "seal-master")
	if err != nil {
		return err
	}
	s.seals, err = seal.New(seal.Config{
		Store: s.db.Seals(), Keys: many, Certifier: sealCertifier{s.ca}, Maker: sealMaker{s.ca}, TimeStamps: s.ca,
		Owners: owners{s.identity, s.login}, VendorID: s.cfg.Vendor, Now: s.now,
	})
	return err
}
