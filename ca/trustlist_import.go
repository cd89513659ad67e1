package ca

import (
	"context"
	"errors"
	"slices"
	"time"

	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/actor"
)

// ImportTrust proposes what a signed list of others says: its entries, and the end of those that came from it and stand
// in it no more. pin is the signer's public key or certificate in PEM; needed the first time, after that it may be left out and
// may not differ. Lists that were rolled back or have ended are refused, and so is one of our own; entries that are our own
// authorities are left out and named. Nothing is pinned before PublishTrust: see there.
func (a *Authority) ImportTrust(ctx context.Context, by actor.Actor, data, pin []byte, reason string) (TrustProposal, error) {
	if err := by.Require(actor.RoleBusinessAdmin); err != nil {
		return TrustProposal{}, err
	}
	list, info, err := bundle.ParseTrustList(data, bundle.Pin{})
	if err != nil {
		return TrustProposal{}, ErrTrustSource.With("%w", err)
	}
	if a.ownSigner(ctx, info.Signer) {
		return TrustProposal{}, ErrTrustOwn.With("series %q is signed by our own key; bring an older version back by undo", list.ID)
	}
	c := trustContent{Source: list.ID, Sequence: list.Sequence, Signer: info.Signer.RawSPKI}
	if c.Pinned, err = a.pinned(ctx, list, info, pin); err != nil {
		return TrustProposal{}, err
	}
	if err := list.CheckTime(a.Now()); err != nil {
		return TrustProposal{}, ErrTrustExpired.With("%w", err)
	}
	if c.Changes, c.Left, err = a.imported(ctx, list); err != nil {
		return TrustProposal{}, err
	}
	return a.proposeTrust(ctx, by, c, reason)
}

// imported is what a list of others changes, and which of its entries are left out since they are our own authorities: others
// list us as we list them.
func (a *Authority) imported(ctx context.Context, list *bundle.TrustList) (changes []TrustChange, left []string, err error) {
	now, _, err := a.current(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range differences(list.Entries) {
		if a.ownEntry(*c.Put) {
			left = append(left, c.Put.ID)
			continue
		}
		changes = append(changes, c)
	}
	before, err := a.fromSource(ctx, list.ID)
	if err != nil {
		return nil, nil, err
	}
	for _, id := range before {
		_, still := list.Entry(id)
		if _, there := now.Entry(id); there && !still {
			changes = append(changes, TrustChange{Remove: id})
		}
	}
	if len(changes) == 0 && len(left) > 0 {
		return nil, left, ErrTrustOwn.With("entries %q are all there is", left)
	}
	return changes, left, nil
}

// ownEntry tells whether an entry names the key of an authority of ours, under whatever certificate.
func (a *Authority) ownEntry(e bundle.TrustEntry) bool {
	_, own := a.Issuers()
	for _, c := range e.Certificates {
		cert, err := certs.ParseLenient(c.DER)
		if err != nil {
			continue
		}
		for _, issuer := range own {
			if certs.SameKey(issuer.PublicKey, cert.PublicKey) {
				return true
			}
		}
	}
	return false
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

// pinned holds signer and sequence of a foreign list against what is known of its series, and returns the sequence that is
// pinned; nil when the series is new.
func (a *Authority) pinned(ctx context.Context, list *bundle.TrustList, info *bundle.Info, pem []byte) (*uint64, error) {
	var known TrustSource
	err := a.Store.View(ctx, func(r R) (err error) {
		known, err = r.TrustSource(list.ID)
		return err
	})
	fresh := isUnknown(err)
	switch {
	case err != nil && !fresh:
		return nil, err
	case !fresh && string(known.Signer) != string(info.Signer.RawSPKI):
		return nil, ErrTrustSource.With("series %q: signer %s", list.ID, info.Fingerprint)
	case fresh && len(pem) == 0:
		return nil, ErrTrustSource.With("series %q is new: give its signer's key; this one's is %s", list.ID, info.Fingerprint)
	case !fresh && list.Sequence < known.Sequence:
		return nil, ErrTrustRollback.With("list %d of series %q, %d was seen", list.Sequence, list.ID, known.Sequence)
	}
	if len(pem) > 0 {
		pin, err := bundle.ParsePin(pem)
		if err != nil {
			return nil, ErrTrustSource.With("%w", err)
		}
		if !pin.Is(info.Signer.PublicKey) {
			return nil, ErrTrustSource.With("series %q: signer %s is not the given one", list.ID, info.Fingerprint)
		}
	}
	if fresh {
		return nil, nil
	}
	return &known.Sequence, nil
}

// pin keeps signer and sequence of the list that a motion came from, if the series stands as it did when the motion was made:
// what another motion pinned since was not before those who reviewed this one.
func (c trustContent) pin(w W, now time.Time) error {
	if c.Source == "" {
		return nil
	}
	if len(c.Signer) == 0 {
		return ErrTrustChanged.With("the motion of series %q does not name its signer; import the list again", c.Source)
	}
	put, err := w.PutTrustSource(TrustSource{ID: c.Source, Signer: c.Signer, Sequence: c.Sequence, SeenAt: now}, c.Pinned)
	if err == nil && !put {
		err = ErrTrustChanged.With("another signer or list of series %q was pinned meanwhile", c.Source)
	}
	return err
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
		return TrustProposal{}, ErrTrustVersion.With("version 0")
	}
	_, old, err := a.TrustList(ctx, sequence)
	if errors.Is(err, ErrUnknown) {
		err = ErrTrustVersion.With("version %d: %w", sequence, err)
	}
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
