package ca

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"hufu/audit"
	"hufu/certs"
	"hufu/internal/actor"
)

// JobList is the kind of the durable job that rebuilds an issuer's lists; its key is the issuer's name.
const JobList = "ca.list"

// Revoke ends a certificate. The holder may, who represents the entity that holds it, and an officer; a post at the holder's
// alone does not suffice. Key compromise also blocks the key for
// new applications. A second revocation is ErrRevoked. The new list follows by a durable job; OCSP knows at once.
func (a *Authority) Revoke(ctx context.Context, by actor.Actor, serial []byte, reason certs.Reason, invalid time.Time) error {
	if err := by.Known(); err != nil {
		return err
	}
	if !reason.Valid() || reason == certs.ReasonRemoveFromCRL || reason == certs.ReasonCertificateHold {
		return ErrReason.With("reason %d", reason)
	}
	var issuer string
	err := a.Store.Update(ctx, func(w W) error {
		c, err := w.CertificateBySerial(serial)
		if err != nil {
			return err
		}
		if by.Require(actor.RoleApprover, actor.RoleBusinessAdmin) != nil && c.Holder != by.Subject &&
			(by.Capacity != actor.Entity || by.For == "" || c.Holder != by.For) {
			return ErrUnknown.With("%s may not revoke %x", by, serial)
		}
		now := a.Now().UTC()
		if invalid.After(now) {
			return ErrReason.With("invalidity date %s is in the future", invalid.Format(time.RFC3339))
		}
		issuer = c.Issuer
		return a.revoke(w, by, ActRevoke, Revocation{Serial: serial, Issuer: c.Issuer, Shard: c.Shard, At: now, Reason: reason, Invalid: invalid, NotAfter: c.NotAfter}, c.SPKI)
	})
	if err == nil {
		a.statusChanged(issuer, serial)
	}
	return err
}

func (a *Authority) revoke(w W, by actor.Actor, act StatusAct, r Revocation, spki []byte) error {
	done, err := w.AddRevocation(r)
	if err != nil {
		return err
	}
	if !done {
		return ErrRevoked.With("certificate %x", r.Serial)
	}
	if (r.Reason == certs.ReasonKeyCompromise || r.Reason == certs.ReasonCACompromise) && spki != nil {
		if err := w.BlockKey(spki, r.At); err != nil {
			return err
		}
	}
	if err := w.AddStatusEvent(r.event(act, r.At)); err != nil {
		return err
	}
	if err := w.Record(audit.Entry{
		At: r.At, Actor: by, Action: "certificate.revoke", Object: audit.Object{Kind: "certificate", ID: hex.EncodeToString(r.Serial)},
		Public: map[string]string{"issuer": r.Issuer, "reason": strconv.Itoa(int(r.Reason))},
	}); err != nil {
		return err
	}
	return w.Enqueue(JobList, r.Issuer, nil, r.At)
}

// Recover settles what a crash left: a reservation older than reservationLife, or at the start (all = true) any of this
// instance, may have been signed, so its serial is revoked and never signed again. It returns how many it voided.
func (a *Authority) Recover(ctx context.Context, all bool) (voided int, err error) {
	before := a.Now().Add(-reservationLife)
	if all {
		before = a.Now().Add(time.Hour)
	}
	by := actor.ForSystem("recover-issuance")
	for {
		var stale []Reservation
		if err := a.Store.View(ctx, func(r R) (err error) {
			stale, err = r.Reservations(before, 100)
			return err
		}); err != nil {
			return voided, fmt.Errorf("find reservations: %w", err)
		}
		settled := 0
		for _, s := range stale {
			if all && s.Serial[0] != a.Instance && s.At.After(a.Now().Add(-reservationLife)) {
				continue // another node's, perhaps under way
			}
			if err := a.void(ctx, by, s); err != nil {
				return voided, fmt.Errorf("void reservation %x: %w", s.Serial, err)
			}
			settled++
		}
		voided += settled
		if len(stale) < 100 || settled == 0 {
			return voided, nil
		}
	}
}

func (a *Authority) void(ctx context.Context, by actor.Actor, s Reservation) error {
	c, err := certs.ParseTBS(s.TBS)
	if err != nil {
		return err
	}
	err = a.Store.Update(ctx, func(w W) error {
		done, err := w.FinishReservation(s.Issuer, s.Serial)
		if err != nil || !done {
			return err
		}
		err = a.revoke(w, by, ActVoid, Revocation{
			Serial: s.Serial, Issuer: s.Issuer, Shard: shardOf(s.Serial), At: a.Now().UTC(),
			Reason: certs.ReasonCessationOfOperation, NotAfter: c.NotAfter,
		}, nil)
		if errors.Is(err, ErrRevoked) {
			return nil
		}
		return err
	})
	if err == nil {
		a.statusChanged(s.Issuer, s.Serial)
	}
	return err
}
