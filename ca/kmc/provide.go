package kmc

import (
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"hufu/audit"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// Order asks for an encryption key. It is an alias of a plain struct, so that the authority can declare it without importing
// this package.
type Order = struct {
	Request   string           // the authority's number of the application: asked again, the same key comes
	Signing   *ecdsa.PublicKey // the holder's signing key, to which the private half is enveloped
	Temporary *ecdsa.PublicKey // the temporary key of a request in the form of CFCA; then the answer is in that form; else nil
	Authority string           // issuer
	Profile   string
	Subject   string // the holder, as the authority refers to it
}

// Answer is an encryption key as handed out: the public half, and the private one enveloped, SM2EnvelopedKey in DER or the
// text of CFCA. It is an alias of a plain struct.
type Answer = struct {
	Public   *ecdsa.PublicKey
	Envelope []byte
}

// takes bounds how often a pair of the pool that turns out to be gone is replaced by the next.
const takes = 4

// Provide hands out an encryption pair for a request, or returns what was handed out before. Only an identified actor may
// ask; whether the request is approved is the authority's to know.
func (d *Desk) Provide(ctx context.Context, by actor.Actor, o Order) (Answer, error) {
	if err := by.Known(); err != nil {
		return Answer{}, err
	}
	recipient := o.Signing
	if o.Temporary != nil {
		recipient = o.Temporary
	}
	if o.Request == "" || !gm.IsSM2(o.Signing) || !gm.IsSM2(recipient) {
		return Answer{}, fmt.Errorf("encryption key for request %q: %w", o.Request, gm.ErrKey)
	}
	if err := d.served(ctx); err != nil {
		return Answer{}, err
	}
	owner := gm.SM3(gm.Point(recipient))
	kept, err := d.kept(ctx, o.Request)
	for range takes {
		if !errors.Is(err, ErrUnknown) {
			break
		}
		kept, err = d.make(ctx, by, o, recipient)
	}
	switch {
	case errors.Is(err, ErrUnknown):
		return Answer{}, ErrBusy.With("request %s", o.Request)
	case err != nil:
		return Answer{}, err
	case string(kept.Recipient) != string(owner[:]):
		return Answer{}, ErrOtherHolder.With("request %s", o.Request)
	}
	public, err := gm.PublicKey(kept.Public)
	return Answer{public, kept.Envelope}, err
}

func (d *Desk) kept(ctx context.Context, request string) (p Pair, err error) {
	err = d.c.Store.View(ctx, func(r R) error {
		p, err = r.PairOf(d.client, request)
		return err
	})
	return p, err
}

// served refuses an authority that is not registered any more.
func (d *Desk) served(ctx context.Context) error {
	return d.c.Store.View(ctx, func(r R) error { return servedIn(r, d.client) })
}

func servedIn(r R, name string) error {
	all, err := r.Clients()
	if err != nil {
		return err
	}
	for _, client := range all {
		if client.Name == name && client.Ended.IsZero() {
			return nil
		}
	}
	return ErrClient.With("authority %q", name)
}

// make hands a pair out: from the pool, or made at once when there is none. ErrUnknown: it was gone, or the request has one by now.
func (d *Desk) make(ctx context.Context, by actor.Actor, o Order, recipient *ecdsa.PublicKey) (Pair, error) {
	pooled, private, fromPool, err := d.draw(ctx)
	if err != nil {
		return Pair{}, err
	}
	defer private.Erase()
	held := pooled
	owner := gm.SM3(gm.Point(recipient))
	held.State, held.Client, held.Request, held.Recipient = Held, d.client, o.Request, owner[:]
	held.Authority, held.Profile, held.Subject, held.At = o.Authority, o.Profile, o.Subject, d.c.Now().UTC()
	held.Form = FormGM
	if o.Temporary != nil {
		held.Form = FormCFCA
	}
	if held.Envelope, err = envelope(held.Form, recipient, private); err != nil {
		return Pair{}, err
	}
	if err := d.c.wrap(ctx, &held, private); err != nil {
		return Pair{}, err
	}
	return d.keep(ctx, by, held, fromPool)
}

// draw returns a pair with its private half, which the caller erases.
func (d *Desk) draw(ctx context.Context) (Pair, *gm.PrivateKey, bool, error) {
	for {
		p, ok := d.c.pop()
		if !ok {
			p, private, err := d.c.generate()
			return p, private, false, err
		}
		private, err := d.c.unwrap(ctx, p)
		if errors.Is(err, ErrDamaged) {
			continue // it is left behind, and erased with the rest of this process's pool
		}
		return p, private, true, err
	}
}

func envelope(form Form, recipient *ecdsa.PublicKey, private *gm.PrivateKey) ([]byte, error) {
	if form == FormCFCA {
		return certs.BuildCFCAKey(recipient, private)
	}
	out, err := certs.BuildEnvelopedKey(recipient, private)
	if err != nil {
		return nil, fmt.Errorf("envelope encryption key: %w", err)
	}
	return out, nil
}

// keep stores the pair as handed out, with its record. When another call for the request was faster, that one's pair stands.
func (d *Desk) keep(ctx context.Context, by actor.Actor, held Pair, fromPool bool) (Pair, error) {
	kept := held
	err := d.c.Store.Update(ctx, func(w W) error {
		kept = held
		if err := servedIn(w, d.client); err != nil {
			return err
		}
		if was, err := w.PairOf(d.client, held.Request); err == nil || !errors.Is(err, ErrUnknown) {
			kept = was
			return err
		}
		add := w.AddHeld
		if fromPool {
			add = w.Take
		}
		added, err := add(held)
		if err == nil && !added {
			err = ErrUnknown.With("pair %s is gone", held.ID)
		}
		if err != nil {
			return err
		}
		hash := gm.SM3(held.Public)
		return w.Record(audit.Entry{
			At: held.At, Actor: by, Action: "encryption-key.provide", Object: audit.Object{Kind: "encryption-key", ID: held.ID},
			Public: map[string]string{
				"authority": d.client, "application": held.Request, "form": string(held.Form), "key_sm3": hex.EncodeToString(hash[:]),
			},
		})
	})
	if err != nil {
		return Pair{}, fmt.Errorf("keep encryption key of request %s: %w", held.Request, err)
	}
	return kept, nil
}

// Certification is a certificate that was issued for a key of the centre. It is an alias of a plain struct.
type Certification = struct {
	Public   *ecdsa.PublicKey
	Serial   string // hexadecimal
	NotAfter time.Time
}

// maxSerials bounds the certificates of one pair: a renewal adds one.
const maxSerials = 64

// Certified tells a certificate that was issued for a key, for history and recovery. It may be told again.
func (d *Desk) Certified(ctx context.Context, by actor.Actor, cert Certification) error {
	if err := by.Known(); err != nil {
		return err
	}
	if !gm.IsSM2(cert.Public) || cert.Serial == "" || len(cert.Serial) > 40 {
		return ErrAsk.With("certificate %q", cert.Serial)
	}
	err := d.c.Store.Update(ctx, func(w W) error {
		if err := servedIn(w, d.client); err != nil {
			return err
		}
		p, err := w.PairByPublic(d.client, gm.Point(cert.Public))
		if err != nil || slices.Contains(p.Serials, cert.Serial) {
			return err
		}
		if len(p.Serials) == maxSerials {
			return ErrState.With("key %s has %d certificates", p.ID, maxSerials)
		}
		told, err := w.SetSerials(p, append(slices.Clone(p.Serials), cert.Serial), cert.NotAfter)
		if err == nil && !told {
			err = ErrBusy.With("key %s", p.ID)
		}
		if err != nil {
			return err
		}
		return w.Record(audit.Entry{
			At: d.c.Now(), Actor: by, Action: "encryption-key.certified", Object: audit.Object{Kind: "encryption-key", ID: p.ID},
			Public: map[string]string{"authority": d.client, "certificate": cert.Serial},
		})
	})
	if err != nil {
		return fmt.Errorf("tell certificate %s: %w", cert.Serial, err)
	}
	return nil
}

// opened tells octets that are not what was wrapped from a device that does not answer.
func opened(p Pair, err error) error {
	if errors.Is(err, ErrDamaged) {
		return ErrDamaged.With("pair %s: %w", p.ID, err)
	}
	return ErrMaster.With("unwrap pair %s: %w", p.ID, err)
}
