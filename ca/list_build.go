package ca

import (
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"sync"
	"time"

	"hufu/audit"
	"hufu/certs"
	"hufu/internal/actor"
)

// listLease is how long a builder has a shard to itself after a sign of life. When it stays silent for longer, the next one
// takes the next number, and what the first one signed is dropped. A revocation waits listDelay and at most a job's lease
// and this one for a builder that crashed: all of it must be well within a minute.
const listLease = 20 * time.Second

// deltaMargin is how much further back than its base a delta reaches, for changes that were under way and clocks that differ.
const deltaMargin = 10 * time.Minute

// listOrder says which list is to be built.
type listOrder struct {
	issuer *issuer
	shard  int
	key    crypto.Signer
	life   time.Duration // from thisUpdate to nextUpdate
}

// drawn is a list whose entries are read, and the spool in which they are.
type drawn struct {
	*certs.UnsignedCRL
	*spool
}

// publishList builds a list in four steps, each of which may be the last: the number is taken; the entries are read, in one
// state of the database; they are signed and stored in pieces, outside any transaction; the list comes into force. A crash
// leaves the list in force as it was, and a number that is never used again.
func (a *Authority) publishList(ctx context.Context, by actor.Actor, o listOrder) (List, error) {
	last, err := a.claimList(ctx, o)
	if err != nil {
		return List{}, fmt.Errorf("list %d of %q: %w", o.shard, o.issuer.Name, err)
	}
	next := a.nextList(last, o.life)
	holding := a.holdList(ctx, next)
	defer holding()
	if err = a.buildList(ctx, by, o, last, &next); err != nil {
		release := context.WithoutCancel(ctx)
		err = errors.Join(err, a.Store.Update(release, func(w W) error { return w.ReleaseList(next) }))
		return List{}, fmt.Errorf("list %d of %q: %w", o.shard, o.issuer.Name, err)
	}
	return next, nil
}

// holdList prolongs the claim on a shard until the function that it returns is called. A claim that was lost shows when the
// list is to be published; an error here costs nothing but time.
func (a *Authority) holdList(ctx context.Context, l List) (end func()) {
	ctx, stop := context.WithCancel(ctx)
	var holding sync.WaitGroup
	holding.Go(func() {
		tick := time.NewTicker(listLease / 4)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_ = a.Store.Update(ctx, func(w W) error { return w.HoldList(l, a.Now().Add(listLease)) })
			}
		}
	})
	return func() { stop(); holding.Wait() }
}

const (
	listWait     = 200 * time.Millisecond // between two tries to claim a shard
	listPatience = 4 * listLease
)

// claimList takes the next number. While another builder has the shard it waits: that one may have read the entries before
// the change for which we were called.
func (a *Authority) claimList(ctx context.Context, o listOrder) (last List, err error) {
	for range int(listPatience / listWait) {
		var held bool
		err := a.Store.Update(ctx, func(w W) (err error) {
			if err = w.EnsureList(o.issuer.Name, o.shard); err != nil {
				return err
			}
			now := a.Now()
			last, held, err = w.ClaimList(o.issuer.Name, o.shard, now, now.Add(listLease))
			return err
		})
		if err != nil || held {
			return last, err
		}
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case <-time.After(listWait):
		}
	}
	return last, ErrState.With("another builder has held the list for %s", listPatience)
}

// nextList settles number, times and bases of the list that follows last.
func (a *Authority) nextList(last List, life time.Duration) List {
	next := last
	read := a.Now().UTC()
	next.Number, next.ReadAt, next.ThisUpdate = last.Claimed, read, read.Truncate(time.Second)
	if next.ThisUpdate.Before(last.ThisUpdate) {
		next.ThisUpdate = last.ThisUpdate // the clock went back; the list must not
	}
	next.NextUpdate = next.ThisUpdate.Add(life)
	own := Base{Number: next.Number, ReadAt: read, Until: next.NextUpdate}
	switch {
	case last.Base.Number == 0:
		next.Base, next.NextBase = Base{}, own
		if last.Number > 0 && last.NextBase.Number > 0 {
			next.Base, next.NextBase = last.NextBase, own
		}
	case !read.Before(last.NextBase.Until): // every list up to it has ended
		next.Base, next.NextBase = last.NextBase, own
	}
	return next
}

// since is from when on ended certificates and changes count for a list: an entry leaves only after it stood in a list made
// after the end of its certificate. A base from the future comes from a clock that was wrong.
func (l List) since() time.Time {
	base := l.Base
	if base.Number == 0 {
		return time.Time{}
	}
	if base.ReadAt.After(l.ReadAt) {
		return l.ReadAt.Add(-3 * l.NextUpdate.Sub(l.ThisUpdate))
	}
	return base.ReadAt.Add(-deltaMargin)
}

// buildList reads, signs, stores and publishes.
func (a *Authority) buildList(ctx context.Context, by actor.Actor, o listOrder, last List, next *List) error {
	whole, delta := drawn{spool: newSpool(a.Spool)}, drawn{spool: newSpool(a.Spool)}
	defer whole.Close()
	defer delta.Close()
	withDelta := o.shard != FullShard && !o.issuer.Offline() && next.Base.Number > 0
	err := a.Store.View(ctx, func(r R) (err error) {
		if err = a.draw(r, o, *next, &whole); err == nil && withDelta {
			err = a.drawDelta(r, o, *next, &delta)
		}
		return err
	})
	if err != nil {
		return err
	}
	next.Entries = whole.Count()
	complete := a.newBlob(ctx, next)
	if err := whole.Sign(complete, o.key); err != nil {
		return err
	}
	next.Complete, next.SM3 = Blob{ID: complete.id, Size: complete.size}, complete.sm3.Sum(nil)
	amends := a.newBlob(ctx, next)
	next.Delta = Blob{}
	if withDelta {
		if err := delta.Sign(amends, o.key); err != nil {
			return err
		}
		next.Delta = Blob{ID: amends.id, Size: amends.size}
	}
	return a.Store.Update(ctx, func(w W) error {
		if err := errors.Join(complete.rest(w), amends.rest(w)); err != nil {
			return err
		}
		put, err := w.PublishList(*next)
		if err != nil {
			return err
		}
		if !put {
			return ErrState.With("another builder has taken a higher number than %d meanwhile", next.Number)
		}
		// Those in force until now stay: they are on their way to somebody.
		if err := w.DropListParts(o.issuer.Name, o.shard, next.Complete.ID, next.Delta.ID, last.Complete.ID, last.Delta.ID); err != nil {
			return err
		}
		return w.Record(audit.Entry{
			At: next.ReadAt, Actor: by, Action: "crl.publish", Object: audit.Object{Kind: "issuer", ID: o.issuer.Name},
			Public: map[string]string{
				"shard": strconv.Itoa(o.shard), "number": strconv.FormatUint(next.Number, 10), "entries": strconv.Itoa(next.Entries),
				"sm3": hex.EncodeToString(next.SM3),
			},
		})
	})
}

// listTemplate is what complete list and delta have in common.
func (a *Authority) listTemplate(o listOrder, l List) certs.CRLTemplate {
	t := certs.CRLTemplate{Issuer: o.issuer.cert, Number: l.Number, ThisUpdate: l.ThisUpdate, NextUpdate: l.NextUpdate}
	if o.shard != FullShard {
		t.Distribution = &certs.IssuingDistributionPoint{URIs: []string{a.listURL(o.issuer.Name, o.shard)}}
	}
	return t
}

// draw reads the entries of the complete list.
func (a *Authority) draw(r R, o listOrder, l List, into *drawn) error {
	t := a.listTemplate(o, l)
	if o.shard != FullShard && !o.issuer.Offline() && l.Base.Number > 0 {
		t.FreshestCRL = []string{a.deltaURL(o.issuer.Name, o.shard)}
	}
	return into.read(t, func(f func(Revocation) error) error { return r.Revocations(o.issuer.Name, o.shard, l.since(), f) })
}

// drawDelta reads what has changed since the base.
func (a *Authority) drawDelta(r R, o listOrder, l List, into *drawn) error {
	t := a.listTemplate(o, l)
	t.BaseNumber = l.Base.Number
	return into.read(t, func(f func(Revocation) error) error { return r.Changes(o.issuer.Name, o.shard, l.since(), f) })
}

// errEnough ends a walk whose taker wants no more.
var errEnough = errors.New("enough")

// read spools the rows that walk gives.
func (d *drawn) read(t certs.CRLTemplate, walk func(func(Revocation) error) error) (err error) {
	d.reset() // a transaction may be begun anew
	var broke error
	t.Entries = iter.Seq[certs.CRLEntry](func(yield func(certs.CRLEntry) bool) {
		broke = walk(func(v Revocation) error {
			if !yield(certs.CRLEntry{Serial: v.Serial, RevokedAt: v.At, Reason: v.Reason, InvalidityDate: v.Invalid}) {
				return errEnough
			}
			return nil
		})
	})
	t.Err = func() error { return broke }
	d.UnsignedCRL, err = certs.PrepareCRL(t, t.Issuer.PublicKey, d.spool)
	return err
}
