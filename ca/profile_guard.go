package ca

import (
	"context"
	"slices"
)

// guardImport is guard before anything is made of a text; its publication asks again, within its transaction.
func (a *Authority) guardImport(ctx context.Context, p *Profile) error {
	return a.Store.View(ctx, func(r R) error {
		known, err := r.ProfileVersions(p.Name)
		if err != nil {
			return err
		}
		return a.guard(p, known)
	})
}

// guard refuses a text that would put a profile to another use than it has: the program and other services rely on what
// is issued under its name. That holds of a withdrawn profile too: the use it had is what two may bring back, and no other.
func (a *Authority) guard(p *Profile, known []ProfileVersion) error {
	old := a.profile(p.Name)
	if old == nil {
		old = lastPublished(known)
	}
	if old != nil {
		systems := slices.Equal(old.Apply, []string{ApplyBySystem})
		switch {
		case p.Holder != old.Holder || p.Issuer != old.Issuer || (p.KeyFrom == keyFromKMC) != (old.KeyFrom == keyFromKMC):
			return ErrProfileGuard.With("holder, issuer or key_from of %q", p.Name)
		case systems && !slices.Equal(p.Apply, old.Apply):
			return ErrProfileGuard.With("%q is applied for by the system alone", p.Name)
		}
	} else if p.Holder == HolderAuthority || p.Holder == HolderService {
		return ErrProfileGuard.With("profiles of authorities and services come with the program")
	}
	if err := p.fits(a.profile(p.Pair)); err != nil {
		return wrongProfile("%w", err)
	}
	return nil
}

// lastPublished returns the profile as the highest version says that was ever published and can be read; nil without one.
func lastPublished(known []ProfileVersion) *Profile {
	for _, v := range slices.Backward(known) { // oldest first
		if !v.Published {
			continue
		}
		if p, err := v.parse(); err == nil {
			return p
		}
	}
	return nil
}
