package ca

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"hufu/certs"
)

const (
	followEvery   = 300 * time.Millisecond
	followTime    = 2 * time.Second  // without news for longer, nothing is answered from memory
	followOverlap = 30 * time.Second // how far clocks may differ, and how long a change may take to be committed
	followPage    = 2000             // events read at a time
	tidyEvery     = 10 * time.Second
)

// follower keeps this node's answers true to what other nodes change.
type follower struct {
	heard  atomic.Pointer[time.Time] // when the look began that succeeded last, with its monotonic reading
	newest time.Time                 // of the events seen
	seen   map[string]time.Time      // events seen, by id, that the next look will show again
}

// follows tells whether this node has heard lately of what others change. It goes by the monotonic clock: a step of the
// clock on the wall neither ends nor prolongs it.
func (f *follower) follows() bool {
	heard := f.heard.Load()
	return heard != nil && time.Since(*heard) <= followTime
}

// StatusBehind tells for how long this node has not heard of changes on others, and whether that is too long: then every
// answer is looked up and signed when asked, and nothing from memory.
func (a *Authority) StatusBehind() (since time.Duration, behind bool) {
	heard := a.ocsp.heard.Load()
	if heard == nil {
		return 0, true
	}
	return time.Since(*heard), !a.ocsp.follows()
}

// FollowStatus looks for changes of status made by any node, again and again until ctx ends, and keeps answers ready: it
// signs those that were asked for anew in time, and those for serials that have just been revoked. failed is told each
// error.
func (a *Authority) FollowStatus(ctx context.Context, failed func(error)) {
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { a.makeReady(ctx) })
	work.Go(func() { a.renewAnswers(ctx) })
	for ctx.Err() == nil {
		begun := time.Now()
		if err := a.followOnce(ctx); err == nil {
			a.ocsp.heard.Store(&begun)
		} else if ctx.Err() == nil {
			failed(err)
		}
		pause(ctx, followEvery)
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// followOnce reads the events since the last look, and once more those that clocks or slow transactions may have hidden.
func (a *Authority) followOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, followTime)
	defer cancel()
	f := &a.ocsp.follower
	var events []StatusEvent
	var since time.Time
	err := a.Store.Look(ctx, func(r R) (err error) {
		events, since = nil, f.newest
		if f.seen == nil { // nothing is in memory yet, so only what comes counts
			if since, err = r.LastChange(); err != nil {
				return err
			}
		}
		if now := a.Now(); since.After(now) { // from a clock that was wrong
			since = now
		}
		since = since.Add(-followOverlap)
		events, err = eventsSince(r, since)
		return err
	})
	if err != nil {
		return err
	}
	seen := make(map[string]time.Time, len(events))
	for _, e := range events {
		seen[e.ID] = e.At
		if e.At.After(f.newest) {
			f.newest = e.At
		}
		if _, known := f.seen[e.ID]; !known && f.seen != nil {
			a.statusChanged(e.Issuer, e.Serial)
		}
	}
	f.seen = seen
	return nil
}

// eventsSince reads all events since a time, page by page.
func eventsSince(r R, since time.Time) (all []StatusEvent, err error) {
	for size := followPage; ; {
		page, err := r.StatusEvents(since, size)
		if err != nil || len(page) < size {
			return append(all, page...), err
		}
		last := page[len(page)-1].At
		if last.Equal(since) { // a whole page of one instant
			size *= 2
			continue
		}
		all, since = append(all, page...), last
	}
}

// makeReady signs answers for serials whose status has changed, under every hash that clients name certificates by.
func (a *Authority) makeReady(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-a.ocsp.changed:
			i := a.issuer(c.issuer)
			if i == nil {
				continue
			}
			for _, hash := range []certs.OID{certs.OIDSM3, certs.OIDSHA256, certs.OIDSHA1} {
				id, err := certs.NewCertID(hash, i.cert, c.serial)
				if err != nil || a.issuerOf(id) == "" {
					continue
				}
				if id.Raw, err = id.DER(); err == nil {
					a.signReady(ctx, c.issuer, id)
				}
			}
		}
	}
}

// renewAnswers signs anew what is asked for again and again, before it ends.
func (a *Authority) renewAnswers(ctx context.Context) {
	for ctx.Err() == nil {
		for _, n := range a.ocsp.ready.ageing(a.Now(), 5000) {
			if ctx.Err() != nil {
				return
			}
			a.signReady(ctx, n.issuer, n.id)
		}
		pause(ctx, tidyEvery)
	}
}

// signReady signs an answer into memory, in its turn among those who wait. A failure shows when somebody asks.
func (a *Authority) signReady(ctx context.Context, issuer string, id certs.CertID) {
	if a.ocsp.enter(ctx) != nil {
		return
	}
	defer a.ocsp.leave()
	_, _ = a.signAnswer(ctx, issuer, []certs.CertID{id}, nil)
}
