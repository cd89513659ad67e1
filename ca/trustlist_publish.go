package ca

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"hufu/audit"
	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/actor"
)

// PublishTrust signs the next version of the list with the approved changes. Every node follows it with its next look. Of changes
// that came from a list of others, its signer and sequence are pinned with it: not before two have agreed, since who imports alone
// could otherwise pin a false signer or use up the numbers of a true one.
func (a *Authority) PublishTrust(ctx context.Context, by actor.Actor, id string) (StoredTrustList, error) {
	if err := by.Require(actor.RoleBusinessAdmin); err != nil {
		return StoredTrustList{}, err
	}
	m, err := a.motion(ctx, MotionTrust, id)
	if err != nil {
		return StoredTrustList{}, err
	}
	if m.State != MotionApproved {
		return StoredTrustList{}, ErrMotion.With("motion %s is %s", id, m.State)
	}
	p, err := m.trust()
	if err != nil {
		return StoredTrustList{}, err
	}
	now, last, err := a.current(ctx)
	if err != nil {
		return StoredTrustList{}, err
	}
	entries, err := applied(now, p.Changes)
	if err != nil {
		return StoredTrustList{}, err
	}
	next, err := a.signTrust(ctx, entries, last, id)
	if err != nil {
		return StoredTrustList{}, err
	}
	return next, a.putTrust(ctx, by, next, &m)
}

// RefreshTrust signs the list again, unchanged, when half of its life has passed.
func (a *Authority) RefreshTrust(ctx context.Context) error {
	now, last, err := a.current(ctx)
	if err != nil || last.Sequence == 0 || a.Now().Before(last.IssuedAt.Add(trustListLife/2)) {
		return err
	}
	next, err := a.signTrust(ctx, now.Entries, last, "")
	if err != nil {
		return err
	}
	if err := a.putTrust(ctx, actor.ForSystem("trust"), next, nil); err != nil && !errors.Is(err, ErrTrustChanged) {
		return err
	}
	return nil
}

func (a *Authority) signTrust(ctx context.Context, entries []bundle.TrustEntry, last StoredTrustList, cause string) (StoredTrustList, error) {
	service, err := a.Service(ctx, actor.ForSystem("trust"), "bundle")
	if err != nil {
		return StoredTrustList{}, err
	}
	at := a.Now().UTC().Truncate(time.Second)
	if at.Before(last.IssuedAt) {
		at = last.IssuedAt // the clock went back; the list must not
	}
	l := bundle.TrustList{
		ID: ownSeries(service.Certificate), Sequence: last.Sequence + 1, Previous: last.Digest, IssuedAt: at, NextUpdate: at.Add(trustListLife),
		Issuer: service.Certificate.Subject.CommonName(), Entries: entries,
	}
	data, err := bundle.BuildTrustList(l, service.Signer, service.Certificate)
	if errors.Is(err, bundle.ErrContent) {
		return StoredTrustList{}, ErrTrustEntry.With("%w", err)
	}
	if err != nil {
		return StoredTrustList{}, err
	}
	_, info, err := bundle.ParseTrustList(data, bundle.PinKey(service.Certificate.PublicKey))
	if err != nil {
		return StoredTrustList{}, fmt.Errorf("read own trust list back: %w", err)
	}
	return StoredTrustList{Sequence: l.Sequence, IssuedAt: l.IssuedAt, NextUpdate: l.NextUpdate, Digest: info.Digest, Cause: cause, Data: data}, nil
}

// ownSeries names the series of the lists that a key signs. Others pin one signer for a name, so that two installations need two.
func ownSeries(signer *certs.Certificate) string {
	return trustListID + "-" + hexSM3(signer.RawSPKI)[:16]
}

func (a *Authority) putTrust(ctx context.Context, by actor.Actor, next StoredTrustList, m *Motion) error {
	return a.Store.Update(ctx, func(w W) error {
		put, err := w.PutTrustList(next)
		if err == nil && !put {
			err = ErrTrustChanged.With("version %d was published meanwhile", next.Sequence)
		}
		if err != nil {
			return err
		}
		number := strconv.FormatUint(next.Sequence, 10)
		if m != nil {
			done := *m
			done.State = MotionInForce
			var c trustContent
			if err := json.Unmarshal(m.Content, &c); err != nil {
				return fmt.Errorf("motion %s: %w", m.ID, err)
			}
			if err := c.pin(w, a.Now().UTC()); err != nil {
				return err
			}
			if err := a.change(w, by, done, "publish", map[string]string{"sequence": number, "sm3": next.Digest}); err != nil {
				return err
			}
		} else if err := w.Record(audit.Entry{
			At: next.IssuedAt, Actor: by, Action: "trust.publish", Object: audit.Object{Kind: "trust", ID: trustListID},
			Public: map[string]string{"sequence": number, "sm3": next.Digest},
		}); err != nil {
			return err
		}
		return w.Enqueue(JobTrust, number, nil, a.Now())
	})
}
