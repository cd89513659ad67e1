package webhook

import (
	"context"
	"time"

	"hufu/audit"
)

// Store keeps subscriptions beside the log.
type Store interface {
	View(ctx context.Context, f func(R) error) error
	Update(ctx context.Context, f func(W) error) error
}

// R reads.
type R interface {
	// Subscription returns one, or ErrUnknown.
	Subscription(id string) (Subscription, error)
	// Subscriptions lists all, oldest first.
	Subscriptions() ([]Subscription, error)
	// Due lists the ids of those that are active, unclaimed, behind size and may be tried now.
	Due(size uint64, now time.Time, limit int) ([]string, error)
	// Signed returns how many entries the newest signed checkpoint covers.
	Signed() (uint64, error)
	// Leaves returns the leaves of n entries of the log from first on, in its order.
	Leaves(first uint64, n int) ([][]byte, error)
}

// W changes and records in one transaction.
type W interface {
	R
	AddSubscription(s Subscription) error
	// MoveSubscription changes the state, once: false when it is not from any more. Becoming active forgets all failures.
	MoveSubscription(id string, from, to State, reason string) (bool, error)
	// Claim takes an active, unclaimed subscription until a time and returns it with its new epoch; false when there is none.
	Claim(id string, now, until time.Time) (Subscription, bool, error)
	// Advance notes what the receiver has taken, or how it refused, and gives the claim up: false when the claim is lost.
	Advance(s Subscription) (bool, error)
	Record(e audit.Entry) error
}
