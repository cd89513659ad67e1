package audit

import (
	"context"
	"time"

	"hufu/audit/tree"
)

// Head is a tree at one moment. Stores name it by this package, so that they need not know the tree's.
type Head = tree.Head

// Tile is a hash tile as stored, in its widest form.
type Tile struct {
	Level int
	Index uint64
	Data  []byte
}

// Store keeps the record. Its transactions serve this package; the other domains' transactions reach it through Record alone.
type Store interface {
	// View runs f in a transaction that reads.
	View(ctx context.Context, f func(R) error) error
	// Update runs f in a transaction and commits if f returns nil: when Update returns nil, all of it is durable.
	Update(ctx context.Context, f func(W) error) error
	// Claim takes or prolongs the lease on the tree for holder, and returns the epoch to name in UnderLease;
	// held is false while another holder has it.
	Claim(ctx context.Context, holder string, ttl time.Duration) (epoch int64, held bool, err error)
}

// R reads the record.
type R interface {
	Records
	Trees
}

// W changes the record.
type W interface {
	R
	Sequencing
	// Record stores an entry in this transaction.
	Record(Entry) error
	// DestroySubjectKey erases the wrapped key and remembers that it did, also of a subject that has none yet.
	DestroySubjectKey(subject string, at time.Time) error
	// PutCosigned replaces a checkpoint's note by one with more cosignatures; false when the note is no longer old.
	PutCosigned(size uint64, old, now []byte, cosignatures int) (bool, error)
}

// Records reads rows.
type Records interface {
	// Keys returns the data keys of the record, or refuses while they are not open.
	Keys() (Keys, error)
	// SubjectKey returns the wrapped key of a subject; found and empty means that it was destroyed.
	SubjectKey(subject string) (wrapped []byte, found bool, err error)
	// Row returns the row of an entry, or ErrUnknown.
	Row(id string) (Row, error)
	// Find returns the rows that match, newest first, at most q.Limit.
	Find(q Query) ([]Row, error)
}

// Trees reads the tree.
type Trees interface {
	// State returns the tree as it stands, signed or not; the zero State before the first entry.
	State() (State, error)
	// Tile returns the widest content of a hash tile; empty when there is none.
	Tile(level int, index uint64) ([]byte, error)
	// Leaves returns the leaves of n entries from first on, in the order of the tree; fewer when there are fewer.
	Leaves(first uint64, n int) ([][]byte, error)
	// Checkpoint returns the newest signed checkpoint with at least that many cosignatures, or ErrPending.
	Checkpoint(cosignatures int) (Signed, error)
	// CheckpointAt returns the signed checkpoint of that size, or ErrPending.
	CheckpointAt(size uint64) (Signed, error)
	// Waiting reports whether rows without an index exist.
	Waiting() (bool, error)
}

// Sequencing grows the tree. Only the holder of the lease may.
type Sequencing interface {
	// UnderLease fails the transaction unless the lease still has this epoch, and keeps it so until the commit.
	UnderLease(epoch int64) error
	// Pending returns rows that have no index yet, oldest first, at most limit.
	Pending(limit int) ([]Row, error)
	// Assign gives the rows the indexes first, first+1, …; it fails if one of them has an index already.
	Assign(ids []string, first uint64) error
	// PutTiles replaces the tiles by wider ones.
	PutTiles([]Tile) error
	// PutHead replaces the head old by now, and fails if the head is not old.
	PutHead(old, now Head) error
	// PutIntent remembers which head is about to be signed.
	PutIntent(Head) error
	// PutCheckpoint keeps a signed checkpoint, and forgets those signed before prune that a newer one with as many cosignatures replaces.
	PutCheckpoint(s Signed, prune time.Time) error
}

// State is the tree as stored.
type State struct {
	Head   Head  // of the sequenced rows
	Intent *Head // the last head that was about to be signed; nil before the first
}

// Signed is a signed checkpoint.
type Signed struct {
	Head         Head
	Note         []byte // the signed note, with its cosignatures
	Cosignatures int    // by known witnesses
	At           time.Time
}
