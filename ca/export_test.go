package ca

import (
	"context"
	"time"
)

// ListLease is how long a builder that is silent keeps a shard.
const ListLease = listLease

// SetListPart lets pieces of lists be small, so that a short list has several.
func (a *Authority) SetListPart(octets int) { a.listPart = octets }

// FollowOnce is one look of FollowStatus, which counts as heard at a time.
func (a *Authority) FollowOnce(ctx context.Context, at time.Time) error {
	err := a.followOnce(ctx)
	if err == nil {
		a.ocsp.heard.Store(&at)
	}
	return err
}

// Ready tells how many answers are in memory and how many octets they are taken to need.
func (a *Authority) Ready() (n, size int) {
	c := a.ocsp.ready
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.byID), c.size
}

// RenewOnce is one round of the renewal of ready answers.
func (a *Authority) RenewOnce(ctx context.Context) {
	for _, n := range a.ocsp.ready.ageing(a.Now(), 5000) {
		a.signReady(ctx, n.issuer, n.id)
	}
}

// HoldLive takes the right to sign answers, as others who ask do, and gives it back.
func (a *Authority) HoldLive(ctx context.Context) (giveBack func(), err error) {
	return a.ocsp.leave, a.ocsp.enter(ctx)
}
