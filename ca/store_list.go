package ca

import "time"

// FullShard is the shard number of the complete list of an issuer.
const FullShard = -1

// List tells how the revocation list of a shard stands, and its delta. Both have the same number and times.
type List struct {
	Issuer     string
	Shard      int    // FullShard for the one that holds all
	Number     uint64 // of the list in force; 0 when there is none yet
	Claimed    uint64 // the highest number that a builder took
	ThisUpdate time.Time
	NextUpdate time.Time
	ReadAt     time.Time // when the entries were read, by the builder's clock: later revocations are not in it
	Entries    int       // of the complete list
	Complete   Blob
	SM3        []byte // of the complete list
	Delta      Blob
	Base       Base // what the delta amends
	NextBase   Base // what it will amend when Base and all lists until NextBase have ended
}

// Blob names stored octets that never change.
type Blob struct {
	ID   string // "" for none
	Size int64
}

// Base is a complete list that deltas amend.
type Base struct {
	Number uint64
	ReadAt time.Time
	Until  time.Time // its nextUpdate
}

// ListPart is a piece of a blob.
type ListPart struct {
	Blob   string
	Start  int64 // offset in the blob
	Issuer string
	Shard  int
	DER    []byte
}

// ListR looks lists up.
type ListR interface {
	// List returns the list in force; ErrUnknown when there is none yet.
	List(issuer string, shard int) (List, error)
	// Lists returns how the lists of all issuers stand, also those that were never published.
	Lists() ([]List, error)
	// ListPart returns the piece of a blob in which an offset lies.
	ListPart(blob string, offset int64) (ListPart, error)
	// Unlisted returns the lists that lack a change made before a time.
	Unlisted(before time.Time) ([]List, error)
}

// ListW changes lists.
type ListW interface {
	// EnsureList makes room for a shard that is new.
	EnsureList(issuer string, shard int) error
	// ClaimList gives the caller the next number, never given before, and the shard to itself until a time; false when
	// another builder has it. The number is the time in milliseconds since 1970, or one more than the last where that is
	// higher: so it exceeds what was given before also in a database that has lost its newest rows. A claim that reaches further than until comes from a clock that was wrong, and does not count.
	ClaimList(issuer string, shard int, now, until time.Time) (List, bool, error)
	// HoldList prolongs a claim that has not been released and has led to no list yet.
	HoldList(l List, until time.Time) error
	// ReleaseList ends a claim that led to nothing; the number stays taken.
	ReleaseList(l List) error
	AddListPart(p ListPart) error
	// PublishList puts a list in force: false when its number is not the one claimed last, or when number or thisUpdate
	// would go back.
	PublishList(l List) (bool, error)
	// DropListParts removes the blobs of a shard but those named.
	DropListParts(issuer string, shard int, keep ...string) error
}
