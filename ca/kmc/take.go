package kmc

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"time"

	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// Take hands the keys of an approved recovery out, once, enveloped to the recipient: to whoever asked for it, or to the
// holder. Approvals of those who are not in standing any more do not count. receipt is chosen by the taker: the same person
// with the same receipt gets the same octets again for ten minutes, since an answer may be lost on the way.
func (d *Desk) Take(ctx context.Context, by actor.Actor, id, receipt string, standing Standing) (Recovery, error) {
	if receipt == "" || len(receipt) > 100 {
		return Recovery{}, ErrAsk.With("take recovery %s: a receipt of 1 to 100 octets is needed", id)
	}
	if standing == nil {
		standing = Standing{}
	}
	r, err := d.takeable(ctx, by, id, receipt, standing)
	if err != nil || r.State == Delivered {
		return r, err
	}
	keys, err := d.reopen(ctx, r)
	if err != nil {
		return Recovery{}, err
	}
	return d.change(ctx, id, func(now *Recovery, at time.Time) (string, error) {
		if err := d.allows(by, *now, receipt, standing); err != nil || now.State == Delivered {
			return "", err
		}
		now.State, now.Delivered, now.Taker, now.Receipt = Delivered, at, by.Subject, receipt
		now.Keys, now.Until = keys, at.Add(repeatFor)
		return "deliver", nil
	}, by)
}

// takeable looks before any key is opened.
func (d *Desk) takeable(ctx context.Context, by actor.Actor, id, receipt string, standing Standing) (r Recovery, err error) {
	if err := by.Known(); err != nil {
		return r, err
	}
	err = d.c.Store.View(ctx, func(s R) error {
		if err := servedIn(s, d.client); err != nil {
			return err
		}
		r, err = s.Recovery(d.client, id)
		return err
	})
	if err == nil && !r.mayLook(by) {
		err = ErrUnknown.With("recovery %s for %s", id, by)
	}
	if err != nil {
		return Recovery{}, err
	}
	r = r.at(d.c.Now())
	if err := d.allows(by, r, receipt, standing); err != nil {
		return Recovery{}, err
	}
	return r, nil
}

// allows refuses a hand-out.
func (d *Desk) allows(by actor.Actor, r Recovery, receipt string, standing Standing) error {
	mine := by.Subject != "" && (by.Subject == r.Maker.Subject || r.Kind == ForHolder && speaksFor(by, r.Subject))
	switch {
	case !mine:
		return ErrNotAllowed.With("%s takes recovery %s", by, r.ID)
	case r.State == Expired:
		return ErrExpired.With("recovery %s", r.ID)
	case r.State == Delivered && (r.Taker != by.Subject || r.Receipt != receipt || len(r.Keys) == 0 || !d.c.Now().Before(r.Until)):
		return ErrTaken.With("recovery %s", r.ID)
	case r.State == Delivered:
		return nil
	case r.State == Requested:
		return ErrQuorum.With("recovery %s: %d have approved", r.ID, len(r.Approvals))
	case r.State != Approved:
		return ErrState.With("recovery %s is %s", r.ID, r.State)
	case !d.c.met(r, standing):
		return ErrQuorum.With("recovery %s: of %d who approved, too few still may", r.ID, len(r.Approvals))
	}
	return nil
}

// reopen envelopes the keys of a recovery anew. Each private half is in memory for as long as that takes.
func (d *Desk) reopen(ctx context.Context, r Recovery) ([]Recovered, error) {
	to, err := gm.PublicKey(r.Recipient)
	if err != nil {
		return nil, err
	}
	keys := make([]Recovered, 0, len(r.Pairs))
	for _, id := range r.Pairs {
		var p Pair
		err := d.c.Store.View(ctx, func(s R) (err error) {
			p, err = s.Pair(d.client, id)
			return err
		})
		if err != nil {
			return nil, err
		}
		if p.Subject != r.Subject {
			return nil, ErrDamaged.With("pair %s is not of the holder of recovery %s", id, r.ID)
		}
		envelope, err := d.reenvelope(ctx, p, to)
		if err != nil {
			return nil, err
		}
		keys = append(keys, Recovered{Key: p.ID, Serial: p.serial(), Public: p.Public, Envelope: envelope})
	}
	return keys, nil
}

func (d *Desk) reenvelope(ctx context.Context, p Pair, to *ecdsa.PublicKey) ([]byte, error) {
	private, err := d.c.unwrap(ctx, p)
	if err != nil {
		return nil, err
	}
	defer private.Erase()
	out, err := certs.BuildEnvelopedKey(to, private)
	if err != nil {
		return nil, fmt.Errorf("envelope recovered key: %w", err)
	}
	return out, nil
}
