package seal

import (
	"context"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
)

// State is where a seal stands.
type State string

// States of seals.
const (
	Applied  State = "applied"
	Approved State = "approved"
	Active   State = "active"
	Frozen   State = "frozen"
	Revoked  State = "revoked"
	Rejected State = "rejected"
)

// Seal is a seal as kept.
type Seal struct {
	Code       string // 14 digits: division (6) and number (8)
	Owner      string // subject id of the organisation
	OwnerName  string
	Name       string // as on the picture
	Line       string // below the centre, may be empty
	Style      string // of Styles
	Type       int    // property.type: shown, never interpreted
	State      State
	Reason     string // of the last freezing, revocation or rejection
	Maker      actor.Actor
	Checker    actor.Actor
	KeyID      string // of the signing key, once made
	Cert       []byte // DER of the signing certificate, once issued
	ESL        []byte // the seal itself (SESeal, DER), once made
	SVG, PNG   []byte // the picture, once made
	At         time.Time
	ValidFrom  time.Time
	ValidUntil time.Time
	ChangedAt  time.Time
}

// Use is one stamping, from intent to result.
type Use struct {
	ID        string
	Seal      string // code
	Document  []byte // SM3 of the document before
	Purpose   string // why
	Actor     actor.Actor
	State     UseState
	Result    []byte // SM3 of the stamped document
	At        time.Time
	Completed time.Time
}

// UseState is where a use stands.
type UseState string

// States of uses.
const (
	Intended UseState = "intended"
	Done     UseState = "done"
	Void     UseState = "void"
)

// Store is what the seal service must not lose.
type Store interface {
	View(ctx context.Context, f func(R) error) error
	Update(ctx context.Context, f func(W) error) error
}

// R reads. What is not there is ErrUnknown.
type R interface {
	Seal(code string) (Seal, error)
	// Seals lists by code, after the given one, at most limit; owner and state narrow unless empty. Pictures and keys
	// come with Seal only.
	Seals(f Filter) ([]Seal, error)
	// UsesIntended lists uses that were intended before a time and neither done nor void.
	UsesIntended(before time.Time, limit int) ([]Use, error)
	Uses(seal string, before time.Time, limit int) ([]Use, error)
	// Stood lists who made the standing activations of a seal, newest first; StoodBy lists those that have not ended and that
	// a person made, and those of the seals of an organisation.
	Stood(seal string, limit int) ([]Stood, error)
	StoodBy(subject string) ([]Stood, error)
}

// Stood says who made a standing activation.
type Stood struct {
	ID       string // of the standing activation
	Seal     string // code
	Person   string // subject id
	Capacity actor.Capacity
	At       time.Time
	Ended    bool // seen to have ended; what the keeper of keys says counts
}

// Filter narrows a list of seals; zero fields do not.
type Filter struct {
	Owner string
	State State
	After string // code, for paging
	Limit int
}

// W changes, records and enqueues in one transaction.
type W interface {
	R
	AddSeal(s Seal) error
	// Move changes a seal's state from one of the given, once: false when it is in none of them any more.
	Move(code string, to State, reason string, by actor.Actor, at time.Time, from ...State) (bool, error)
	// SetMade keeps what making produced, field by field: what is nil or empty stays as it is, and so does a key or a
	// certificate that is there already, since another may have been faster.
	SetMade(code string, m Made) error
	AddUse(u Use) error
	// EndUse moves a use from Intended to done or void, once: false when it is not there any more.
	EndUse(id string, to UseState, result []byte, at time.Time) (bool, error)
	// SetStood keeps who made a standing activation, and that it has ended: what has ended stays so.
	SetStood(s Stood) error
	Record(e audit.Entry) error
}

// Made is what the steps of making leave behind.
type Made struct {
	KeyID      string
	Cert       []byte
	ESL        []byte
	SVG, PNG   []byte
	ValidFrom  time.Time
	ValidUntil time.Time
}
