package ca

import (
	"context"
	"slices"

	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/actor"
)

// ImportTrust proposes what a signed list of others says: its entries, and the end of those that came from it and stand
// in it no more. pin is the signer's public key or certificate in PEM; needed the first time, after that it may be left out and
// may not differ. Lists that were rolled back or have ended are refused.
func (a *Authority) ImportTrust(ctx context.Context, by actor.Actor, data, pin []byte, reason string) (TrustProposal, error) {
	if err := by.Require(actor.RoleBusinessAdmin); err != nil {
		return TrustProposal{}, err
	}
	list, info, err := bundle.ParseTrustList(data, bundle.Pin{})
	if err != nil {
		return TrustProposal{}, ErrTrustSource.With("%w", err)
	}
	if list.ID == trustListID && a.ownSigner(ctx, info.Signer) {
		return TrustProposal{}, ErrTrustSource.With("this is our own list; bring an older version back by undo")
	}
	if err := a.pinned(ctx, list, info, pin); err != nil {
		return TrustProposal{}, err
	}
	if err := list.CheckTime(a.Now()); err != nil {
		return TrustProposal{}, ErrTrustExpired.With("%w", err)
	}
	source := TrustSource{ID: list.ID, Signer: info.Signer.RawSPKI, Sequence: list.Sequence, SeenAt: a.Now().UTC()}
	err = a.Store.Update(ctx, func(w W) error {
		put, err := w.PutTrustSource(source)
		if err == nil && !put {
			err = ErrTrustRollback.With("list %d of series %q", list.Sequence, list.ID)
		}
		return err
	})
	if err != nil {
		return TrustProposal{}, err
	}
	now, _, err := a.current(ctx)
	if err != nil {
		return TrustProposal{}, err
	}
	changes := differences(list.Entries)
	before, err := a.fromSource(ctx, list.ID)
	if err != nil {
		return TrustProposal{}, err
	}
	for _, id := range before {
		_, still := list.Entry(id)
		if _, there := now.Entry(id); there && !still {
			changes = append(changes, TrustChange{Remove: id})
		}
	}
	return a.proposeTrust(ctx, by, trustContent{Changes: changes, Source: list.ID, Sequence: list.Sequence}, reason)
}

// fromSource lists the entries that lists of a series have put in force.
func (a *Authority) fromSource(ctx context.Context, source string) (ids []string, err error) {
	var all []Motion
	err = a.Store.View(ctx, func(r R) error {
		all, err = r.Motions(MotionTrust, MotionInForce, "", 1000)
		return err
	})
	for _, m := range all {
		p, err := m.trust()
		if err != nil {
			return nil, err
		}
		for _, c := range p.Changes {
			if p.Source == source && c.Put != nil && !slices.Contains(ids, c.Put.ID) {
				ids = append(ids, c.Put.ID)
			}
		}
	}
	return ids, err
}

func (a *Authority) ownSigner(ctx context.Context, c *certs.Certificate) bool {
	own, err := a.BundleKey(ctx)
	return err == nil && certs.SameKey(own.PublicKey, c.PublicKey)
}

// pinned holds the signer of a foreign list against what is known of its series.
func (a *Authority) pinned(ctx context.Context, list *bundle.TrustList, info *bundle.Info, pem []byte) error {
	var known TrustSource
	err := a.Store.View(ctx, func(r R) (err error) {
		known, err = r.TrustSource(list.ID)
		return err
	})
	if err != nil && !isUnknown(err) {
		return err
	}
	if err == nil && string(known.Signer) != string(info.Signer.RawSPKI) {
		return ErrTrustSource.With("series %q: signer %s", list.ID, info.Fingerprint)
	}
	if len(pem) == 0 {
		if err != nil {
			return ErrTrustSource.With("series %q is new: give its signer's key; this one's is %s", list.ID, info.Fingerprint)
		}
		return nil
	}
	pin, err := bundle.ParsePin(pem)
	if err != nil {
		return ErrTrustSource.With("%w", err)
	}
	if !pin.Is(info.Signer.PublicKey) {
		return ErrTrustSource.With("series %q: signer %s is not the given one", list.ID, info.Fingerprint)
	}
	return nil
}

// differences are the changes that put the given entries.
func differences(entries []bundle.TrustEntry) (out []TrustChange) {
	for i := range entries {
		out = append(out, TrustChange{Put: &entries[i]})
	}
	return out
}

// UndoTrust proposes to bring back what an older version said, as a new version.
func (a *Authority) UndoTrust(ctx context.Context, by actor.Actor, sequence uint64, reason string) (TrustProposal, error) {
	if err := by.Require(actor.RoleBusinessAdmin); err != nil {
		return TrustProposal{}, err
	}
	if sequence == 0 {
		return TrustProposal{}, ErrUnknown.With("version 0")
	}
	_, old, err := a.TrustList(ctx, sequence)
	if err != nil {
		return TrustProposal{}, err
	}
	now, _, err := a.current(ctx)
	if err != nil {
		return TrustProposal{}, err
	}
	changes := differences(old.Entries)
	for _, e := range now.Entries {
		if _, stays := old.Entry(e.ID); !stays {
			changes = append(changes, TrustChange{Remove: e.ID})
		}
	}
	return a.proposeTrust(ctx, by, trustContent{Changes: changes, Sequence: sequence}, reason)
}
