package seal

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"hufu/audit"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/seal/check"
	"hufu/seal/ofd"
	"hufu/seal/ses"
)

// Order is what is to be stamped.
type Order struct {
	Seal     string // code
	Document []byte // OFD
	Stamps   []ofd.Stamp
	Purpose  string // why, for the record: 1 to 200 characters
	Kind     string // KindDocument if empty
	Consent  Consent
	// At is the time that the signature claims, when a challenge was made for it; zero is now.
	At time.Time
	// WholeProtected forbids further signatures. The default leaves the document open to them.
	WholeProtected bool
}

// Stamped is a stamped document.
type Stamped struct {
	Document []byte // OFD
	Use      string // id of the use
	Entry    string // id of its audit entry, from which the log's proof is had
	Proof    string // path at which the proof goes into the document
}

// entryOf returns the id of the audit entry that records a finished use.
func entryOf(use string) string { return "use-" + use }

// Stamp uses a seal: the intent is stored, everything is checked afresh, the document is stamped, the signature verified,
// the time-stamp added, the result recorded. A failure leaves the document as it was and the use void.
func (s *Service) Stamp(ctx context.Context, by actor.Actor, o Order) (Stamped, error) {
	if err := checkReason(o.Purpose); err != nil {
		return Stamped{}, err
	}
	seal, err := s.usable(ctx, by, o.Seal)
	if err != nil {
		return Stamped{}, err
	}
	before := gm.SM3(o.Document)
	use := Use{ID: rand.Text(), Seal: seal.Code, Document: before[:], Purpose: o.Purpose, Actor: by, State: Intended, At: s.Now().UTC()}
	claimed, err := s.claimed(o, use.At)
	if err != nil {
		return Stamped{}, err
	}
	pending, err := s.prepare(seal, o, claimed)
	if err != nil {
		return Stamped{}, err
	}
	if err := s.Store.Update(ctx, func(w W) error {
		if err := w.AddUse(use); err != nil {
			return err
		}
		e := s.entry(by, "seal.intend", seal.Code, map[string]string{"use": use.ID, "document_sm3": hex.EncodeToString(before[:])})
		return w.Record(e)
	}); err != nil {
		return Stamped{}, fmt.Errorf("record intended use of seal %s: %w", seal.Code, err)
	}
	out, logged, err := s.sign(ctx, by, seal, o.consent(), pending, claimed)
	if err != nil {
		return Stamped{}, errors.Join(fmt.Errorf("stamp with seal %s: %w", seal.Code, err), s.void(ctx, by, use))
	}
	after := gm.SM3(out)
	if err := s.complete(ctx, by, use, after[:], logged); errors.Is(err, ErrFrozen) {
		return Stamped{}, errors.Join(err, s.void(ctx, by, use))
	} else if err != nil {
		return Stamped{}, err
	}
	return Stamped{Document: out, Use: use.ID, Entry: entryOf(use.ID), Proof: pending.LogProofPath()}, nil
}

// consent names the kind of the document, which is for the service that stamps to say and not for the owner's proof.
func (o Order) consent() Consent {
	c := o.Consent
	if c.Kind = o.Kind; c.Kind == "" {
		c.Kind = KindDocument
	}
	return c
}

// challengeLife is how old the time of a challenge may be when its answer comes.
const challengeLife = 10 * time.Minute

// claimed is the time that the signature will name.
func (s *Service) claimed(o Order, now time.Time) (time.Time, error) {
	switch {
	case o.At.IsZero():
		return now, nil
	case o.Consent.Challenge == "" || o.At.After(now) || now.Sub(o.At) > challengeLife:
		return now, ErrTime.With("%s at %s", o.At, now)
	}
	return o.At.UTC(), nil
}

// usable returns the seal if the actor may use it and it is active and within its windows now.
func (s *Service) usable(ctx context.Context, by actor.Actor, code string) (Seal, error) {
	seal, err := s.ownersSeal(ctx, by, code)
	if err != nil {
		return Seal{}, err
	}
	switch now := s.Now(); {
	case seal.State != Active:
		return Seal{}, ErrFrozen.With("seal %s is %s", code, seal.State)
	case now.Before(seal.ValidFrom) || now.After(seal.ValidUntil):
		return Seal{}, ErrEnded.With("seal %s is valid from %s to %s", code, seal.ValidFrom, seal.ValidUntil)
	}
	return seal, nil
}

// MayStamp tells whether an actor may stamp with a seal, if its owner consents and its state allows it.
func MayStamp(by actor.Actor, seal Seal) bool { return mayUse(by, seal) }

// mayUse: in office for the owner with a role that stamps, or as the entity that owns the seal.
func mayUse(by actor.Actor, seal Seal) bool {
	if by.For == "" || by.For != seal.Owner {
		return false
	}
	switch by.Capacity {
	case actor.Official:
		return by.Is(actor.RoleSealOfficer) || by.Is(actor.RoleLicenceOfficer)
	case actor.Entity:
		return true
	default:
		return false
	}
}

// prepare fixes the bytes of the document that the seal will protect.
func (s *Service) prepare(seal Seal, o Order, at time.Time) (*ofd.Pending, error) {
	c, err := ofd.Open(o.Document)
	if err != nil {
		return nil, document(err)
	}
	p, err := c.Prepare(ofd.Request{
		Type: ofd.TypeSeal, Provider: "Hufu", Company: s.VendorID, Version: "1", Time: at.Truncate(time.Second), Stamps: o.Stamps, Seal: seal.ESL,
		WholeProtected: o.WholeProtected,
	})
	if err != nil {
		return nil, document(err)
	}
	return p, nil
}

// document gives a refusal of package ofd the form of a fault, with its own words.
func document(err error) error {
	if e, ok := errors.AsType[*ofd.Error](err); ok {
		f := *ErrDocument
		f.Code, f.Text.EN, f.Text.ZH = e.Code, e.EN, e.ZH
		return f.With("%w", err)
	}
	return ErrDocument.With("%w", err)
}

// sign makes the signature value, verifies it and puts it into the document. It also returns what the log will bind.
func (s *Service) sign(ctx context.Context, by actor.Actor, seal Seal, c Consent, p *ofd.Pending, at time.Time) (document []byte, logged string, err error) {
	cert, err := certs.Parse(seal.Cert)
	if err != nil {
		return nil, "", err
	}
	if now := s.Now(); now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return nil, "", ErrEnded.With("certificate of seal %s", seal.Code)
	}
	if bare(c) {
		if err := errors.Join(s.endStale(ctx, seal), s.served(ctx, by, seal, c.Kind)); err != nil {
			return nil, "", err
		}
	}
	key, err := s.Keys.Signer(ctx, seal.KeyID, by, c)
	if err != nil {
		return nil, "", err
	}
	if !certs.SameKey(key.Public(), cert.PublicKey) {
		return nil, "", fmt.Errorf("key %s is not the one in the certificate of seal %s", seal.KeyID, seal.Code)
	}
	tbs, err := toSign(seal, p, at)
	if err != nil {
		return nil, "", err
	}
	_, sig, err := certs.Sign(key, tbs.SignedBytes())
	if err != nil {
		return nil, "", err
	}
	value, err := tbs.Finish(seal.Cert, sig)
	if err != nil {
		return nil, "", err
	}
	if value, err = s.timeStamp(ctx, value); err != nil {
		return nil, "", err
	}
	parsed, err := ses.ParseSignature(value)
	if err != nil {
		return nil, "", err
	}
	if !gm.Verify(cert.PublicKey.(*ecdsa.PublicKey), parsed.SignedBytes(), parsed.Signature) {
		return nil, "", gm.ErrSignature
	}
	document, err = p.Finish(value)
	return document, check.LogValue(parsed.SigValue), err
}

// toSign is what the seal's key signs: seal, time and digest of the document.
func toSign(seal Seal, p *ofd.Pending, at time.Time) (*ses.PendingSignature, error) {
	return ses.NewSignature(ses.SignatureSpec{Seal: seal.ESL, Time: at.Truncate(time.Second), DataHash: p.Digest(), PropertyInfo: p.PropertyInfo()})
}

func (s *Service) timeStamp(ctx context.Context, value []byte) ([]byte, error) {
	if s.TimeStamps == nil {
		return value, nil
	}
	parsed, err := ses.ParseSignature(value)
	if err != nil {
		return nil, err
	}
	token, err := s.TimeStamps.TimeStamp(ctx, parsed.SigValue)
	if err != nil {
		return nil, fmt.Errorf("time-stamp: %w", err)
	}
	return ses.SignatureWithTimeStamp(value, token)
}

func (s *Service) complete(ctx context.Context, by actor.Actor, u Use, result []byte, logged string) error {
	err := s.Store.Update(ctx, func(w W) error {
		now, err := w.Seal(u.Seal)
		if err != nil {
			return err
		}
		if now.State != Active { // frozen or revoked while it signed
			return ErrFrozen.With("seal %s became %s", u.Seal, now.State)
		}
		done, err := w.EndUse(u.ID, Done, result, s.Now().UTC())
		if err == nil && !done {
			err = ErrState.With("use %s was voided meanwhile", u.ID)
		}
		if err != nil {
			return err
		}
		e := s.entry(by, check.LogAction, u.Seal, map[string]string{
			"use": u.ID, "document_sm3": hex.EncodeToString(u.Document), "result_sm3": hex.EncodeToString(result), check.LogFact: logged,
		})
		e.ID = entryOf(u.ID)
		if by.Subject != "" {
			e.Subject, e.Personal = by.Subject, map[string]string{"purpose": u.Purpose}
		}
		return w.Record(e)
	})
	if err != nil {
		return fmt.Errorf("record use of seal %s: %w", u.Seal, err)
	}
	return nil
}

func (s *Service) void(ctx context.Context, by actor.Actor, u Use) error {
	return s.Store.Update(context.WithoutCancel(ctx), func(w W) error {
		done, err := w.EndUse(u.ID, Void, nil, s.Now().UTC())
		if err != nil || !done {
			return err
		}
		return w.Record(audit.Entry{
			At: s.Now(), Actor: by, Action: "seal.void", Object: audit.Object{Kind: "seal", ID: u.Seal}, Public: map[string]string{"use": u.ID},
		})
	})
}

// useLife is how long a use may take from intent to result before Recover counts it as dead.
const useLife = 10 * time.Minute

// Recover voids uses that a crash left intended: their document never left, and the record says so. At the start
// (all = true) it takes every one that is older than the start. It returns how many it voided.
func (s *Service) Recover(ctx context.Context, all bool) (voided int, err error) {
	before := s.Now().Add(-useLife)
	if all {
		before = s.Now().Add(time.Second)
	}
	for {
		var stale []Use
		if err := s.Store.View(ctx, func(r R) (err error) {
			stale, err = r.UsesIntended(before, 100)
			return err
		}); err != nil {
			return voided, fmt.Errorf("find unfinished uses: %w", err)
		}
		for _, u := range stale {
			if err := s.void(ctx, actor.ForSystem("recover-seals"), u); err != nil {
				return voided, fmt.Errorf("void use %s: %w", u.ID, err)
			}
			voided++
		}
		if len(stale) < 100 {
			return voided, nil
		}
	}
}

// Uses lists what a seal stamped, newest first, at most 100: to seal officers and to whoever acts for the owner.
func (s *Service) Uses(ctx context.Context, by actor.Actor, code string, before time.Time, limit int) (all []Use, err error) {
	if _, err := s.Get(ctx, by, code); err != nil {
		return nil, err
	}
	if limit <= 0 || limit > 100 {
		limit = 100
	}
	err = s.Store.View(ctx, func(r R) error {
		all, err = r.Uses(code, before, limit)
		return err
	})
	return all, err
}
