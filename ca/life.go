package ca

import (
	"crypto/rand"
	"time"
)

// statusChanged tells this node's own answers that a status has changed; the caller's transaction is committed.
func (a *Authority) statusChanged(string, []byte) {}

// event makes the status event of a revocation that came into force now.
func (r Revocation) event(act StatusAct, now time.Time) StatusEvent {
	return StatusEvent{
		ID: rand.Text(), Issuer: r.Issuer, Serial: r.Serial, Shard: r.Shard, Act: act,
		Reason: r.Reason, Invalid: r.Invalid, At: now, NotAfter: r.NotAfter,
	}
}
