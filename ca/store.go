package ca

import (
	"context"
	"time"

	"hufu/audit"
)

// Store is what the authority must not lose.
type Store interface {
	// View shows f one state of the database, whatever is committed meanwhile.
	View(ctx context.Context, f func(R) error) error
	// Look is for a single question, or several that need not agree: each sees the newest state, which costs less.
	Look(ctx context.Context, f func(R) error) error
	// Update runs f in a transaction, and may run it again.
	Update(ctx context.Context, f func(W) error) error
}

// R reads. Look-ups of what is not there return ErrUnknown.
type R interface {
	ApplicationR
	EvidenceR
	BatchR
	CertificateR
	ProfileR
	StatusR
	ListR
	LifeR
	BlockedKeyR
	ReminderR
	BundleR
	MotionR
	TrustR
	OrderR
	CeremonyR
}

// W changes, records and enqueues in one transaction.
type W interface {
	R
	ApplicationW
	EvidenceW
	BatchW
	CertificateW
	ProfileW
	StatusW
	ListW
	LifeW
	BlockedKeyW
	ReminderW
	BundleW
	MotionW
	TrustW
	OrderW
	CeremonyW
	Record(e audit.Entry) error
	Enqueue(kind, key string, payload []byte, notBefore time.Time) error
}
