package ca

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// Recover settles what a crash left: a reservation that is not under way any more, or at the start (all = true) any of this
// instance, may have been signed, so its serial is revoked and never signed again. It returns how many it voided.
func (a *Authority) Recover(ctx context.Context, all bool) (voided int, err error) {
	const page = 1000 // more than nodes have under way
	by := actor.ForSystem("recover-issuance")
	for {
		var stale []Reservation
		if err := a.Store.View(ctx, func(r R) (err error) {
			stale, err = r.Reservations(farFuture, page)
			return err
		}); err != nil {
			return voided, fmt.Errorf("find reservations: %w", err)
		}
		settled := 0
		for _, s := range stale {
			if a.underWay(s) && !(all && s.Serial[0] == a.Instance) {
				continue
			}
			if err := a.void(ctx, by, s); err != nil {
				return voided, fmt.Errorf("void reservation %x: %w", s.Serial, err)
			}
			settled++
		}
		voided += settled
		if len(stale) < page || settled == 0 {
			return voided, nil
		}
	}
}

// farFuture is after whatever a clock that was wrong has written.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// clockSpread is by how much the clocks of nodes may differ; what lies further ahead comes from one that was wrong.
const clockSpread = 10 * time.Minute

// underWay tells that a node may be at work on what is reserved.
func (a *Authority) underWay(r Reservation) bool {
	now := a.Now()
	return r.At.After(now.Add(-reservationLife)) && r.At.Before(now.Add(clockSpread))
}

func (a *Authority) void(ctx context.Context, by actor.Actor, s Reservation) error {
	err := a.Store.Update(ctx, func(w W) error {
		_, _, err := a.voidReserved(w, by, s, certs.ReasonCessationOfOperation)
		return err
	})
	if err == nil {
		a.statusChanged(s.Issuer, s.Serial)
	}
	return err
}

// voidReserved ends a reservation and revokes its serial; false when it is not reserved any more.
func (a *Authority) voidReserved(w W, by actor.Actor, s Reservation, reason certs.Reason) (Revocation, bool, error) {
	c, err := certs.ParseTBS(s.TBS)
	if err != nil {
		return Revocation{}, false, err
	}
	done, err := w.FinishReservation(s.Issuer, s.Serial)
	if err != nil || !done {
		return Revocation{}, false, err
	}
	r, err := a.revoke(w, by, ActVoid, Revocation{
		Serial: s.Serial, Issuer: s.Issuer, Shard: s.Shard, At: a.Now().UTC(), Reason: reason, NotAfter: c.NotAfter,
	})
	if errors.Is(err, ErrRevoked) {
		err = nil
	}
	return r, true, err
}

// voided tells whether a serial that never became a certificate is revoked.
func (a *Authority) voided(r R, serial []byte) bool {
	names, _ := a.Issuers()
	for _, name := range names {
		if _, err := r.Revocation(name, serial); err == nil {
			return true
		}
	}
	return false
}

// keyOfTBS returns the SM3 of the public key that is to be certified.
func keyOfTBS(tbs []byte) ([]byte, error) {
	c, err := certs.ParseTBS(tbs)
	if err != nil {
		return nil, err
	}
	hash := gm.SM3(c.RawSPKI)
	return hash[:], nil
}
