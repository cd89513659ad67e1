package login

import (
	"context"
	"time"

	"hufu/audit"
)

// Store keeps accounts, sessions and the counters of tries.
type Store interface {
	// View runs f on one consistent state.
	View(ctx context.Context, f func(R) error) error
	// Update runs f in one transaction, durable when Update returns nil. f may run again after a conflict.
	Update(ctx context.Context, f func(W) error) error
}

// Account is a login name and the password that opens it.
type Account struct {
	ID         string
	Subject    string // the person; one account each
	Name       string // normalised login name
	Password   string // PHC string; peppered and bound to ID
	MustChange bool   // somebody else chose the password
	Created    time.Time
	Changed    time.Time // of the password
	Given      time.Time // when somebody else last gave the person a password
}

// R reads. Sessions come with Name and IdentityLevel empty: the service asks for them.
type R interface {
	// AccountByName returns the account with the normalised name, else ErrNoAccount.
	AccountByName(name string) (Account, error)
	// AccountOf returns the account of the person, else ErrNoAccount.
	AccountOf(subject string) (Account, error)
	// SessionByHash returns the session, ended ones too, whose secret has this SM3 hash, else ErrNoSession.
	SessionByHash(hash []byte) (Session, error)
	// SessionByID returns the session, ended ones too, else ErrNoSession.
	SessionByID(id string) (Session, error)
	// SessionsOf returns the sessions of the person that have not ended and not reached their limit, newest first.
	SessionsOf(subject string, now time.Time) ([]Session, error)
	// Familiar reports whether MeetPlace was called for the place.
	Familiar(place string) (bool, error)
}

// W reads and changes.
type W interface {
	R
	Tries
	AccountChanges
	SessionChanges
	// Record keeps the audit entry of this change.
	Record(audit.Entry) error
	// Enqueue leaves a durable job; (kind, key) is unique while pending.
	Enqueue(kind, key string, payload []byte, notBefore time.Time) error
}

// Tries counts tries by bucket. The names of buckets are personal; the store keeps blind indexes of them.
type Tries interface {
	// CountTry adds one to the bucket and returns the sum, unless the bucket is not free yet: then it changes nothing and
	// returns 0 and the time when it will be. A bucket whose last try was before since begins anew at 1.
	// Of concurrent calls each sees the sum of all before.
	CountTry(bucket string, now, since time.Time) (tries int, freeAt time.Time, err error)
	// SetDelay refuses tries in the bucket until freeAt.
	SetDelay(bucket string, freeAt time.Time) error
	// TakeBack subtracts one try.
	TakeBack(bucket string) error
	// Forgive forgets all tries and the delay.
	Forgive(bucket string) error
	// MeetPlace remembers that the account was opened from there.
	MeetPlace(place string, now time.Time) error
}

// AccountChanges changes accounts.
type AccountChanges interface {
	// AddAccount keeps a new account, else ErrAccountTaken: the name or the person has one.
	AddAccount(Account) error
	// ReplacePassword puts a new password in the place of the old PHC string, else ErrChanged: it is another one now.
	// The time of change is kept when mustChange stays and the new string is only a better hash: pass changed as it was.
	ReplacePassword(id, old, new string, mustChange bool, changed time.Time) error
	// HoldPassword fails with ErrChanged unless the account's password is still this PHC string, and keeps it so until
	// the transaction ends.
	HoldPassword(id, phc string) error
}

// SessionChanges changes sessions.
type SessionChanges interface {
	// AddSession keeps a new session under the SM3 hash of its secret.
	AddSession(s Session, hash []byte) error
	// TouchSession moves the last use of a session that has not ended; it does nothing for others.
	TouchSession(id string, seen time.Time) error
	// EndSession ends a session and reports whether this call did: false when it had ended before.
	EndSession(id string, now time.Time) (bool, error)
	// Prune deletes sessions that ended or expired, tries and places of before.
	Prune(before time.Time) error
}
