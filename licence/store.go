package licence

import (
	"context"
	"strings"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
	"hufu/licence/card"
)

// State is where a licence stands.
type State string

// States of licences. Expired is never stored: see Licence.StateAt.
const (
	Drafted    State = "drafted"    // 制证: reserved, not yet sealed
	Active     State = "active"     // 有效
	Suspended  State = "suspended"  // 暂扣, 挂起
	Cancelled  State = "cancelled"  // 注销
	Revoked    State = "revoked"    // 吊销, as a penalty
	Withdrawn  State = "withdrawn"  // 撤销, as unlawful from the beginning
	Superseded State = "superseded" // 变更: a later version stands for it
	Expired    State = "expired"    // 过期
	Void       State = "void"       // 作废: a draft that was given up; never went out
)

// Licence is a licence as kept, without its document.
type Licence struct {
	ID          string // identifier, with its check character
	Type        string // code
	TypeVersion int    // of the catalogue file
	Title       string
	Version     int
	Issuer      string // subject id of the organisation
	IssuerName  string
	Holder      string // subject id
	HolderName  string
	State       State
	Reason      string // of the last suspension or of the end
	Data        card.Data
	Maker       actor.Actor
	Key         string    // idempotency key given by the caller, scoped to the maker; "" = none
	Replaces    string    // identifier of the version before
	ReplacedBy  string    // identifier of the version after
	Draft       []byte    // SM3 of the document before it was sealed
	Seal        string    // code
	From        time.Time // first moment of validity
	Until       time.Time // first moment after it; zero: without end
	At          time.Time
	ChangedAt   time.Time
	Stamp       Stamp
}

// Stamp is what sealing left behind.
type Stamp struct {
	Use    string // id of the seal's use
	Entry  string // id of the audit entry whose inclusion in the log proves the use
	Path   string // in the document: where that proof goes
	Digest []byte // SM3 of the sealed document
}

// StateAt is the state at a time: that kept, or Expired for one that would be in force but whose last day has passed.
func (l *Licence) StateAt(now time.Time) State {
	if (l.State == Active || l.State == Suspended) && !l.Until.IsZero() && !now.Before(l.Until) {
		return Expired
	}
	return l.State
}

// Document is a sealed document and, once the log has sequenced its sealing, the proof of that.
type Document struct {
	OFD   []byte
	Proof []byte // nil until there is one
}

// Status is the state of a licence for the trust bundle.
type Status struct {
	ID         string
	State      State // Active, Suspended, Cancelled, Revoked, Withdrawn, Superseded or Expired
	Since      time.Time
	ReplacedBy string
}

// Store is what the licence service must not lose.
type Store interface {
	View(ctx context.Context, f func(R) error) error
	Update(ctx context.Context, f func(W) error) error
}

// R reads. What is not there is ErrUnknown.
type R interface {
	Licence(id string) (Licence, error)
	// ByKey finds what the same maker ordered before under the same idempotency key, void ones apart.
	ByKey(maker, key string) (Licence, error)
	// Licences lists newest first.
	Licences(f Filter) ([]Licence, error)
	Document(id string) (Document, error)
	// Drafts lists licences still drafted that were reserved before a time, oldest first.
	Drafts(before time.Time, limit int) ([]Licence, error)
	// LastVersion is the highest version of a series, void ones counted; 0 when there is none.
	LastVersion(series string) (int, error)
	// States lists licences without data in the order of identifiers, after one; drafts are left out, and Expired is told by
	// StateAt.
	States(after string, limit int) ([]Licence, error)
}

// Series is what the versions of a licence share: its identifier without version and check character.
func Series(id string) string {
	for range 2 {
		id = id[:max(0, strings.LastIndexByte(id, '.'))]
	}
	return id
}

// Filter narrows a list of one holder or one issuer; other zero fields do not narrow.
type Filter struct {
	Holder     string // this or Issuer is set
	Issuer     string
	HolderName string // whole name
	Type       string
	State      State
	Now        time.Time // tells Expired from Active
	Unmade     bool      // with drafts and void ones
	Before     Cursor
	Limit      int
}

// Cursor is a place in a list: the last row of the page before.
type Cursor struct {
	At time.Time
	ID string // empty for the beginning
}

// W changes, records and enqueues in one transaction.
type W interface {
	R
	// AddDraft reserves an identifier: false when it is taken. A key that its maker used already is ErrBusy.
	AddDraft(l Licence) (bool, error)
	// Finish moves a licence from Drafted to Active with its sealed document, once: false when it is not drafted any more.
	Finish(id string, s Stamp, document []byte, at time.Time) (bool, error)
	// Move changes the state from one of the given, once: false when it is in none of them any more.
	Move(id string, to State, reason string, at time.Time, from ...State) (bool, error)
	// Supersede moves a licence from Active to Superseded by another, once: false when it is not active any more.
	Supersede(id, by string, at time.Time) (bool, error)
	// SetProof keeps the proof of a sealed document; a later one takes its place.
	SetProof(id string, proof []byte) (bool, error)
	Record(e audit.Entry) error
	Enqueue(kind, key string, payload []byte, notBefore time.Time) error
}
