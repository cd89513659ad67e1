package ca

import (
	"context"
	"crypto"
	"encoding/hex"
	"slices"
	"strconv"
	"time"

	"hufu/audit"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// CeremonyState is how far a key ceremony is.
type CeremonyState string

// A ceremony: key → shares → done, or key → void. In state key the root's key exists, but nobody knows whether the shares
// can be read back: nothing of it is used, and the next try begins anew. From shares on it is completed, never begun anew.
const (
	CeremonyKey    CeremonyState = "key"
	CeremonyShares CeremonyState = "shares"
	CeremonyDone   CeremonyState = "done"
	CeremonyVoid   CeremonyState = "void"
)

// Ceremony is the making of a root whose key custodians share.
type Ceremony struct {
	ID         string // stands in every share file
	Key        string // id of the root's key
	Shares     []byte // SM3 of what all share files have in common
	Threshold  int
	Holders    int // how many custodians
	State      CeremonyState
	Begun      time.Time
	Changed    time.Time
	Transcript []byte // SM3, once done
}

// CeremonyR looks ceremonies up.
type CeremonyR interface {
	// Ceremonies lists all, oldest first.
	Ceremonies() ([]Ceremony, error)
}

// CeremonyW changes them.
type CeremonyW interface {
	// AddCeremony adds one: false when another is there that is not void.
	AddCeremony(c Ceremony) (bool, error)
	// MoveCeremony writes state, time and transcript of after, once: false when it is not in state from any more.
	MoveCeremony(from CeremonyState, after Ceremony) (bool, error)
}

// Ceremony returns the one that is not void, if there is one.
func (a *Authority) Ceremony(ctx context.Context) (c Ceremony, begun bool, err error) {
	err = a.Store.View(ctx, func(r R) error {
		all, err := r.Ceremonies()
		i := slices.IndexFunc(all, func(c Ceremony) bool { return c.State != CeremonyVoid })
		if begun = i >= 0; begun {
			c = all[i]
		}
		return err
	})
	return c, begun, err
}

// BeginCeremony notes that the root's key was made and divided. It refuses where authorities or another ceremony exist.
func (a *Authority) BeginCeremony(ctx context.Context, by actor.Actor, c Ceremony) error {
	if err := by.Require(); err != nil {
		return err
	}
	if names, _ := a.Issuers(); len(names) > 0 {
		return ErrMade.With("there are %v", names)
	}
	c.State, c.Begun, c.Changed = CeremonyKey, a.Now().UTC(), a.Now().UTC()
	return a.Store.Update(ctx, func(w W) error {
		added, err := w.AddCeremony(c)
		if err == nil && !added {
			err = ErrCeremony.With("ceremony %s cannot begin", c.ID)
		}
		if err != nil {
			return err
		}
		return w.Record(c.entry(by, "ceremony.begin"))
	})
}

// ConfirmShares notes that all shares were read back and give the key back.
func (a *Authority) ConfirmShares(ctx context.Context, by actor.Actor, c Ceremony) (Ceremony, error) {
	return a.moveCeremony(ctx, by, c, CeremonyShares, "ceremony.shares")
}

// VoidCeremony gives up one whose shares were never confirmed. The caller has destroyed its key.
func (a *Authority) VoidCeremony(ctx context.Context, by actor.Actor, c Ceremony) error {
	if c.State != CeremonyKey {
		return ErrCeremony.With("ceremony %s is in state %q", c.ID, c.State)
	}
	_, err := a.moveCeremony(ctx, by, c, CeremonyVoid, "ceremony.void")
	return err
}

// FinishCeremony notes the transcript under which the authorities were made.
func (a *Authority) FinishCeremony(ctx context.Context, by actor.Actor, c Ceremony, transcript [32]byte) (Ceremony, error) {
	c.Transcript = transcript[:]
	return a.moveCeremony(ctx, by, c, CeremonyDone, "ceremony.root")
}

func (a *Authority) moveCeremony(ctx context.Context, by actor.Actor, c Ceremony, to CeremonyState, action string) (Ceremony, error) {
	if err := by.Require(); err != nil {
		return c, err
	}
	from := c.State
	c.State, c.Changed = to, a.Now().UTC()
	return c, a.Store.Update(ctx, func(w W) error {
		moved, err := w.MoveCeremony(from, c)
		if err == nil && !moved {
			err = ErrCeremony.With("ceremony %s is not in state %q any more", c.ID, from)
		}
		if err != nil {
			return err
		}
		return w.Record(c.entry(by, action))
	})
}

// RecordSitting notes the transcript of a later sitting; what names it, "sign-crl".
func (a *Authority) RecordSitting(ctx context.Context, by actor.Actor, c Ceremony, what string, present int, transcript [32]byte) error {
	c.Transcript, c.Changed = transcript[:], a.Now().UTC()
	e := c.entry(by, "ceremony."+what)
	e.Public["present"] = strconv.Itoa(present)
	return a.Store.Update(ctx, func(w W) error { return w.Record(e) })
}

// entry names nobody: who the custodians are stands in the transcript, whose SM3 is here.
func (c Ceremony) entry(by actor.Actor, action string) audit.Entry {
	facts := map[string]string{
		"key": c.Key, "threshold": strconv.Itoa(c.Threshold), "custodians": strconv.Itoa(c.Holders), "shares_sm3": hex.EncodeToString(c.Shares),
	}
	if len(c.Transcript) > 0 {
		facts["transcript_sm3"] = hex.EncodeToString(c.Transcript)
	}
	return audit.Entry{At: c.Changed, Actor: by, Action: action, Object: audit.Object{Kind: "ceremony", ID: c.ID}, Public: facts}
}

// Sitting is the time during which the root's key can sign, because enough custodians are present.
type Sitting struct {
	a    *Authority
	by   actor.Actor
	c    Ceremony
	root crypto.Signer
	mark string
}

// Sit begins a sitting with the root's signer, once the shares of the ceremony are confirmed. mark goes behind the names of
// the authorities that it makes: a rehearsal says so in each certificate.
func (a *Authority) Sit(by actor.Actor, c Ceremony, root crypto.Signer, mark string) (*Sitting, error) {
	if err := by.Require(); err != nil {
		return nil, err
	}
	if c.State != CeremonyShares && c.State != CeremonyDone {
		return nil, ErrCeremony.With("ceremony %s is in state %q", c.ID, c.State)
	}
	if !gm.IsSM2(root.Public()) {
		return nil, ErrKeyKind.With("custodians share SM2 keys")
	}
	s := &Sitting{a, by, c, root, mark}
	if i := s.issuer(); i != nil && !certs.SameKey(i.cert.PublicKey, root.Public()) {
		return nil, ErrStrangeRoot.With("root %q has another key", i.Name)
	}
	return s, nil
}

// issuer returns the root of this sitting, nil when it is not certified yet.
func (s *Sitting) issuer() *issuer {
	for _, name := range s.a.Offline() {
		if i := s.a.issuer(name); i.KeyLabel == Custody(s.c.Key) {
			return i
		}
	}
	return nil
}

// Root returns the root's certificate, nil when there is none yet.
func (s *Sitting) Root() *certs.Certificate {
	if i := s.issuer(); i != nil {
		return i.cert
	}
	return nil
}

// Authorities makes those that profiles describe and that are missing: the root by its own key, the issuing ones, whose keys
// are made in the device, by the root. Interrupted, it goes on. It returns what it made, the root first.
func (s *Sitting) Authorities(ctx context.Context) (made []*certs.Certificate, err error) {
	for _, p := range s.a.missing() {
		m := making{profile: p, number: 1, mark: s.mark, label: "ca-" + p.Name, signer: s.root}
		if p.selfSigned() {
			m.own, m.label = s.root, Custody(s.c.Key)
		} else if m.own, err = s.a.Keys.Ensure(ctx, s.by, m.label, p.Keys[0], "ca-"+p.Name); err != nil {
			return made, err
		}
		if m.parent = s.parent(p); m.parent == nil && !p.selfSigned() {
			return made, ErrIssuer.With("profile %q is not issued by the root of this ceremony", p.Name)
		}
		cert, err := s.a.addIssuer(ctx, s.by, m)
		if err != nil {
			return made, err
		}
		made = append(made, cert)
		if m.parent != nil {
			if err := s.a.PublishLists(ctx, m.name()); err != nil {
				return made, err
			}
		}
	}
	return made, nil
}

// parent returns the sitting's root if the profile is issued by it.
func (s *Sitting) parent(p *Profile) *issuer {
	if i := s.issuer(); i != nil && i.Name == p.Issuer && !p.selfSigned() {
		return i
	}
	return nil
}

// NewIssuing makes the next generation of an issuing authority. From the next start on it signs; the older ones go on
// signing their lists.
func (s *Sitting) NewIssuing(ctx context.Context, profile string) (*certs.Certificate, error) {
	p := s.a.profile(profile)
	if p == nil || p.Holder != HolderAuthority || p.selfSigned() {
		return nil, ErrProfile.With("profile %q is no issuing authority's", profile)
	}
	_, n := s.a.newestIssuer(profile)
	m := making{profile: p, number: n + 1, mark: s.mark, label: "ca-" + generation(profile, n+1), signer: s.root, parent: s.parent(p)}
	if m.parent == nil {
		return nil, ErrIssuer.With("profile %q is not issued by the root of this ceremony", profile)
	}
	var err error
	if m.own, err = s.a.Keys.Ensure(ctx, s.by, m.label, p.Keys[0], "ca-"+p.Name); err != nil {
		return nil, err
	}
	cert, err := s.a.addIssuer(ctx, s.by, m)
	if err != nil {
		return nil, err
	}
	return cert, s.a.PublishLists(ctx, m.name())
}

// SignLists publishes the root's lists with all that was revoked, to be renewed before life has passed.
func (s *Sitting) SignLists(ctx context.Context, life time.Duration) ([]List, error) {
	i := s.issuer()
	if i == nil {
		return nil, ErrIssuer.With("the root of this ceremony has no certificate yet")
	}
	return s.a.publishLists(ctx, s.by, i, s.root, life)
}
