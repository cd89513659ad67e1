package ca

import (
	"context"
	"encoding/hex"
	"fmt"

	"hufu/certs"
	"hufu/internal/actor"
)

// issuance is an application on its way to its certificates.
type issuance struct {
	by       actor.Actor
	app      Application
	parent   *issuer
	ready    []*prepared // the holder's own certificate first
	envelope []byte
	ask      share      // before anything is stored
	asked    []Foreseen // what ask and store look up
	store    share      // stores the application along with the reservation, where it is new
	made     []*signed
	voided   []Reservation // of an earlier try
}

// carryOut makes commit 1, signs, and makes commit 2.
func (a *Authority) carryOut(ctx context.Context, p *passage, i *issuance) error {
	key, err := a.key(ctx, i.parent)
	if err != nil {
		return err
	}
	begin := piece{ask: i.ask, do: func(w *together) error { return a.beginIssuance(w, i) }, committed: i.begun}
	if err := p.reserve(foresee(ctx, i.asked...), begin); err != nil {
		return fmt.Errorf("reserve serial: %w", err)
	}
	for _, r := range i.voided {
		a.statusChanged(r.Issuer, r.Serial)
	}
	for _, r := range hold(i.ready) {
		if err := ctx.Err(); err != nil {
			return err // nothing was signed for this one; the reservation is swept up
		}
		s, err := r.sign(key)
		if err != nil {
			return err
		}
		i.made = append(i.made, s)
	}
	done := i.app
	done.State, done.Envelope = Issued, i.envelope
	for _, s := range i.made {
		done.Certificates = append(done.Certificates, hex.EncodeToString(s.serial))
	}
	end := piece{do: func(w *together) error { return a.endIssuance(w, i, done) }, committed: done.stored}
	if err := p.finish(ctx, end); err != nil {
		return err
	}
	i.app = done
	return nil
}

// beginIssuance is commit 1 of an issuance. What an earlier try reserved is voided: perhaps it was signed.
func (a *Authority) beginIssuance(w *together, i *issuance) error {
	under, known := w.above[i.parent.Name]
	if !known {
		var err error
		if under, err = a.upward(w, i.parent); err != nil {
			return err
		}
		w.above[i.parent.Name] = under
	}
	if i.store != nil {
		if err := i.store(w); err != nil {
			return err
		}
	} else if err := a.voidEarlier(w, i); err != nil {
		return err
	}
	return a.reserveIn(w, i.by, i.ready, place{i.app.ID, under})
}

// voidEarlier voids what this node, which issues for the application no more, or a node that is gone has reserved for it.
func (a *Authority) voidEarlier(w W, i *issuance) error {
	if err := w.StillApproved(i.app.ID); err != nil {
		return err
	}
	earlier, err := w.ReservationsOf(i.app.ID)
	if err != nil {
		return err
	}
	i.voided = earlier
	for _, r := range earlier {
		if r.Serial[0] != a.Instance && a.underWay(r) {
			return ErrState.With("application %s is being issued by node %d", i.app.ID, r.Serial[0])
		}
		if _, _, err := a.voidReserved(w, i.by, r, certs.ReasonCessationOfOperation); err != nil {
			return err
		}
	}
	return nil
}

// endIssuance is commit 2 of an issuance.
func (a *Authority) endIssuance(w *together, i *issuance, done Application) error {
	if err := a.vouched(w, i.app); err != nil {
		return err
	}
	for _, s := range i.made {
		if err := a.finish(w, i.by, s); err != nil {
			return err
		}
	}
	if err := w.SetIssued(done.ID, done.Certificates, done.Envelope); err != nil {
		return err
	}
	if err := a.issued(w, i.app); err != nil {
		return err
	}
	return a.tellCentre(w, i.made)
}
