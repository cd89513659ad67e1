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
