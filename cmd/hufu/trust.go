package main

import (
	"context"
	"errors"
	"time"

	"hufu/ca"
	"hufu/certs/bundle"
	"hufu/internal/actor"
	"hufu/licence"
	"hufu/seal"
)

// facts gathers what the trust bundle says of seals, licences and the log.
type facts struct{ s *server }

var sealStates = map[seal.State]bundle.State{seal.Active: bundle.Active, seal.Frozen: bundle.Suspended, seal.Revoked: bundle.Revoked}

func (f facts) Facts(ctx context.Context) (out ca.Facts, err error) {
	if out.Seals, err = f.seals(ctx); err != nil {
		return out, err
	}
	if out.Licences, err = f.licences(ctx); err != nil {
		return out, err
	}
	qr, err := f.s.ca.Service(ctx, actor.ForSystem("bundle"), "qr")
	if err != nil {
		return out, err
	}
	out.Signers = [][]byte{qr.Certificate.Raw}
	log := bundle.LogKey{Key: f.s.logKey.String(), Quorum: f.s.cfg.Quorum, Witnesses: f.s.cfg.Witnesses}
	checkpoint, err := f.s.audit.Checkpoint(ctx)
	if err != nil {
		return out, err
	}
	if checkpoint != nil {
		log.Checkpoints = []string{string(checkpoint)}
	}
	out.Logs = []bundle.LogKey{log}
	return out, nil
}

func (f facts) seals(ctx context.Context) (out []bundle.StatusEntry, err error) {
	by, after := actor.ForSystem("bundle"), ""
	for {
		page, err := f.s.seals.List(ctx, by, seal.Filter{After: after, Limit: 100})
		if err != nil {
			return nil, err
		}
		for _, one := range page {
			after = one.Code
			state, known := sealStates[one.State]
			if !known {
				continue // not made yet
			}
			if state == bundle.Active && f.s.now().After(one.ValidUntil) {
				state = bundle.Expired
			}
			out = append(out, bundle.StatusEntry{ID: one.Code, State: state, Since: one.ChangedAt.Truncate(time.Second), Reason: one.Reason})
		}
		if len(page) < 100 {
			return out, nil
		}
	}
}

var licenceStates = map[licence.State]bundle.State{
	licence.Active: bundle.Active, licence.Suspended: bundle.Suspended, licence.Cancelled: bundle.Cancelled, licence.Revoked: bundle.Revoked,
	licence.Withdrawn: bundle.Withdrawn, licence.Superseded: bundle.Replaced, licence.Expired: bundle.Expired,
}

func (f facts) licences(ctx context.Context) (out []bundle.StatusEntry, err error) {
	all, err := f.s.licences.Statuses(ctx)
	for _, l := range all {
		out = append(out, bundle.StatusEntry{ID: l.ID, State: licenceStates[l.State], Since: l.Since.Truncate(time.Second), ReplacedBy: l.ReplacedBy})
	}
	return out, err
}

// publishBundle publishes the next trust bundle.
func (s *server) publishBundle(ctx context.Context) error {
	_, err := s.ca.PublishBundle(ctx, facts{s})
	if errors.Is(err, ca.ErrState) {
		return nil // another node published meanwhile
	}
	return err
}

// bundleAge is how old a bundle may get before the next one, when nothing but time has passed.
const bundleAge = time.Hour

// refreshBundle publishes when the bundle is missing or old, or when the state of a seal, a licence or a certificate has
// changed since.
func (s *server) refreshBundle(ctx context.Context) error {
	if waits, err := s.waiting(ctx); err != nil || waits {
		return err
	}
	last, err := s.ca.Bundle(ctx)
	if errors.Is(err, ca.ErrUnknown) || err == nil && s.now().After(last.IssuedAt.Add(bundleAge)) {
		return s.publishBundle(ctx)
	}
	if err != nil {
		return err
	}
	known, _, err := bundle.Parse(last.Data, bundle.Pin{})
	if err != nil {
		return err
	}
	now, err := facts{s}.Facts(ctx)
	if err != nil {
		return err
	}
	if sameStatus(known.Seals, now.Seals) && sameStatus(known.Licences, now.Licences) {
		return nil
	}
	return s.publishBundle(ctx)
}

// sameStatus tells whether two status lists say the same; both are sorted by id.
func sameStatus(a, b []bundle.StatusEntry) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].ID != b[i].ID || a[i].State != b[i].State || !a[i].Since.Equal(b[i].Since) || a[i].Reason != b[i].Reason {
			return false
		}
	}
	return true
}
