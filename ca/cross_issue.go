package ca

import (
	"context"
	"crypto"
	"encoding/json"

	"hufu/certs"
	"hufu/internal/actor"
)

// IssueCross signs an approved cross certificate. Where custodians have the key it is ErrOffline; then Sitting.Cross does it.
func (a *Authority) IssueCross(ctx context.Context, by actor.Actor, id string) (Cross, error) {
	if err := by.Require(actor.RoleBusinessAdmin, actor.RoleSuperAdmin); err != nil {
		return Cross{}, err
	}
	c, err := a.crossMotion(ctx, id, MotionApproved)
	if err != nil {
		return c, err
	}
	parent := a.issuer(c.Authority)
	if parent == nil {
		return c, ErrIssuer.With("issuer %q does not exist", c.Authority)
	}
	key, err := a.key(ctx, parent)
	if err != nil {
		return c, err
	}
	return a.signCross(ctx, by, c, parent, key)
}

// Cross signs an approved cross certificate with the root of this sitting.
func (s *Sitting) Cross(ctx context.Context, id string) (*certs.Certificate, error) {
	c, err := s.a.crossMotion(ctx, id, MotionApproved)
	if err != nil {
		return nil, err
	}
	parent := s.issuer()
	if parent == nil || parent.Name != c.Authority {
		return nil, ErrIssuer.With("authority %q is not the root of this ceremony", c.Authority)
	}
	if c, err = s.a.signCross(ctx, s.by, c, parent, s.root); err != nil {
		return nil, err
	}
	return certs.Parse(c.Certificate)
}

// signCross goes the way of every certificate. After a crash in between the reservation is voided, the motion stays approved and
// the next try takes a new serial.
func (a *Authority) signCross(ctx context.Context, by actor.Actor, c Cross, parent *issuer, key crypto.Signer) (Cross, error) {
	ready, err := a.prepareCross(c, parent)
	if err != nil {
		return c, err
	}
	held, err := a.reserve(ctx, by, []*prepared{ready}, ready.application)
	if err != nil {
		return c, err
	}
	made, err := held[0].sign(key)
	if err != nil {
		return c, err
	}
	c.State, c.Certificate = MotionInForce, made.der
	if c.Content, err = json.Marshal(c); err != nil {
		return c, err
	}
	err = a.Store.Update(ctx, func(w W) error {
		if err := a.finish(w, by, made); err != nil {
			return err
		}
		if err := a.change(w, by, c.Motion, "issue", map[string]string{"certificate_sm3": hexSM3(made.der), "serial": made.cert.SerialHex()}); err != nil {
			return err
		}
		return w.Enqueue(JobTrust, c.ID, nil, a.Now())
	})
	c.Revision++
	return c, err
}
