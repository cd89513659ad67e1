package ca

import (
	"context"
	"fmt"

	"hufu/internal/actor"
)

// MakeAuthority makes an authority that is made on demand, and the one above it, if they are not there yet. Only the system
// or a super administrator may.
func (a *Authority) MakeAuthority(ctx context.Context, by actor.Actor, name string) error {
	if err := by.Require(actor.RoleSuperAdmin); err != nil {
		return err
	}
	p := a.profile(name)
	if p == nil || p.Holder != HolderAuthority || !p.OnDemand {
		return ErrProfile.With("profile %q is no authority's that is made on demand", name)
	}
	if a.issuer(name) != nil {
		return nil
	}
	if above := a.profile(p.Issuer); !p.selfSigned() && above != nil && above.OnDemand {
		if err := a.MakeAuthority(ctx, by, p.Issuer); err != nil {
			return err
		}
	}
	if err := a.makeIssuer(ctx, by, p); err != nil {
		return fmt.Errorf("make authority %q: %w", name, err)
	}
	return nil
}

// keyPurpose is what the key of an authority of ours is for, as the keeper of keys calls it.
func (p *Profile) keyPurpose() string {
	if p.selfSigned() {
		return "ca-root"
	}
	return "ca-issuing"
}
