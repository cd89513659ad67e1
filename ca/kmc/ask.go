package kmc

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"hufu/audit"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// Request asks for recovery. For the holder: the holder, whoever acts for it, or a registrar, to the holder's new signing
// key; that it is one is for the authority to check (Front does). Judicial: a business administrator.
func (d *Desk) Request(ctx context.Context, by actor.Actor, a Ask) (Recovery, error) {
	if err := mayAsk(by, a); err != nil {
		return Recovery{}, err
	}
	recipient, err := d.c.recipient(a)
	if err != nil {
		return Recovery{}, err
	}
	now := d.c.Now().UTC()
	r := Recovery{
		ID: rand.Text(), Client: d.client, Kind: a.Kind, Subject: a.Subject, State: Requested, At: now, Until: now.Add(recoveryLife),
		Detail: Detail{Why: a.Why, Recipient: recipient, Certificate: a.Certificate, Order: a.Order, Maker: by, Key: a.Key},
	}
	err = d.c.Store.Update(ctx, func(w W) error {
		if err := servedIn(w, d.client); err != nil {
			return err
		}
		if a.Key != "" {
			if was, err := w.RecoveryByKey(d.client, by.String(), a.Key); err == nil || !errors.Is(err, ErrUnknown) {
				r = was
				return err
			}
		}
		if err := choose(w, &r, a.Serials); err != nil {
			return err
		}
		if err := w.AddRecovery(r); err != nil {
			return err
		}
		return w.Record(r.entry(by, "request", now, nil))
	})
	if err != nil {
		return Recovery{}, fmt.Errorf("request recovery: %w", err)
	}
	return r.shown(), nil
}

// speaksFor tells the holder, and who represents the entity that holds keys; a post at the holder's alone does not suffice.
func speaksFor(by actor.Actor, subject string) bool {
	return by.Subject == subject || by.Capacity == actor.Entity && by.For == subject
}

func mayAsk(by actor.Actor, a Ask) error {
	if err := by.Known(); err != nil {
		return err
	}
	if a.Subject == "" || len(a.Why) == 0 || len(a.Why) > 600 || len(a.Serials) > maxRecovered || len(a.Key) > 100 {
		return ErrAsk.With("subject %q, why of %d octets, %d serials", a.Subject, len(a.Why), len(a.Serials))
	}
	switch a.Kind {
	case ForHolder:
		if by.Subject == "" || !speaksFor(by, a.Subject) && !by.Is(actor.RoleRegistrar) {
			return ErrNotAllowed.With("%s for %s", by, a.Subject)
		}
		return nil
	case Judicial:
		if by.Subject == "" || !by.Is(actor.RoleBusinessAdmin) {
			return actor.ErrRole.With("%s asks for judicial recovery", by)
		}
		return nil
	}
	return ErrAsk.With("kind %q", a.Kind)
}

// recipient checks the key to which the recovered ones will be enveloped.
func (c *Centre) recipient(a Ask) ([]byte, error) {
	if a.Kind == ForHolder {
		if _, err := gm.PublicKey(a.Recipient); err != nil || len(a.Certificate) != 0 || a.Order != (Legal{}) {
			return nil, ErrAsk.With("recipient of %d octets, certificate of %d", len(a.Recipient), len(a.Certificate))
		}
		return a.Recipient, nil
	}
	digest, err := hex.DecodeString(a.Order.SM3)
	if err != nil || len(digest) != 32 || a.Order.Number == "" || a.Order.Authority == "" || len(a.Order.Number)+len(a.Order.Authority) > 400 {
		return nil, ErrOrder.With("order %+v", a.Order)
	}
	cert, err := certs.ParseLenient(a.Certificate)
	if err != nil {
		return nil, ErrOrder.With("certificate: %w", err)
	}
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if now := c.Now(); !ok || !gm.IsSM2(key) || now.Before(cert.NotBefore) || now.After(cert.NotAfter) || len(a.Recipient) != 0 {
		return nil, ErrOrder.With("certificate %s, until %s", cert.Subject, cert.NotAfter)
	}
	return gm.Point(key), nil
}

// choose finds the keys that a recovery is about.
func choose(r R, rec *Recovery, serials []string) error {
	all, err := r.Pairs(rec.Client, rec.Subject, 10*maxRecovered)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for _, s := range serials {
		wanted[strings.ToLower(s)] = true
	}
	for _, p := range all {
		named := false
		for _, s := range p.Serials {
			named = named || wanted[s]
			delete(wanted, s)
		}
		if named || len(serials) == 0 && len(p.Wrapped) > 0 {
			rec.Pairs, rec.Serials = append(rec.Pairs, p.ID), append(rec.Serials, p.serial())
		}
	}
	if len(rec.Pairs) == 0 || len(wanted) > 0 {
		return ErrUnknown.With("keys of %s: %d found, not found: %v", rec.Subject, len(rec.Pairs), wanted)
	}
	if len(rec.Pairs) > maxRecovered {
		return ErrAsk.With("%d keys; name at most %d", len(rec.Pairs), maxRecovered)
	}
	return nil
}

// serial is the newest certificate of a pair, "" when none was told.
func (p Pair) serial() string {
	if len(p.Serials) == 0 {
		return ""
	}
	return p.Serials[len(p.Serials)-1]
}

// entry is the record of a step. A judicial recovery is an act of another name.
func (r Recovery) entry(by actor.Actor, step string, at time.Time, more map[string]string) audit.Entry {
	noun := "key-recovery"
	if r.Kind == Judicial {
		noun = "judicial-recovery"
	}
	print := gm.SM3(r.Recipient)
	public := map[string]string{
		"authority": r.Client, "keys": strconv.Itoa(len(r.Pairs)), "recipient_sm3": hex.EncodeToString(print[:]), "state": string(r.State),
	}
	if r.Kind == Judicial {
		public["order_sm3"] = strings.ToLower(r.Order.SM3)
	}
	for k, v := range more {
		public[k] = v
	}
	return audit.Entry{At: at, Actor: by, Action: noun + "." + step, Object: audit.Object{Kind: "recovery", ID: r.ID}, Public: public}
}
