package ca

import (
	"time"

	"hufu/internal/actor"
)

// State is where an application stands.
type State string

// States of applications: draft → submitted → approved or rejected → issued → delivered. A draft or a submitted one can be
// withdrawn; a submitted one can be sent back, which makes it a draft again.
const (
	Draft     State = "draft"
	Submitted State = "submitted"
	Approved  State = "approved"
	Rejected  State = "rejected"
	Issued    State = "issued"
	Delivered State = "delivered"
	Withdrawn State = "withdrawn"
)

// Act is what an application is for, beside a first certificate ("").
type Act string

// Acts on a certificate that is there; Application.Replaces names it.
const (
	ActRenew  Act = "renew"  // the same key, a new time
	ActRekey  Act = "rekey"  // a new key
	ActChange Act = "change" // other facts
)

// Application is one request for a certificate, and for its encryption certificate where the profile has a pair.
type Application struct {
	ID             string
	Profile        string
	ProfileVersion int
	Holder         string // subject id
	Organization   string // subject id of the organisation, for officials
	Facts          map[string]string
	Request        []byte // PKCS#10, DER
	SPKI           []byte // SM3 of the public key
	State          State
	Act            Act         // what it is for
	Replaces       string      // serial of the certificate that the new one replaces, hexadecimal; "" for a first one
	Authorised     string      // serial of the certificate whose key signed for it, hexadecimal; "": it was asked for otherwise
	Maker          actor.Actor // who applied; name, roles and levels as they were then
	Checkers       []actor.Actor
	Reason         string // of a rejection, of having been sent back, or the last officer's remark
	Steps          []Step // all that was done to it by a person, oldest first
	Batch          string // id of the batch it came in; "" = none
	Key            string // idempotency key given by the caller, scoped to the maker; "" = none
	At             time.Time
	DecidedAt      time.Time
	DeliveredAt    time.Time
	Certificates   []string // serials, hexadecimal: the signing certificate first
	Envelope       []byte   // SM2EnvelopedKey of the encryption key, once issued
	Revision       int64    // counts the changes; a change that was made of an older one is refused
}

// Step is one thing that was done to an application.
type Step struct {
	Act    string    `json:"act"` // change, submit, approve, reject, return, withdraw
	By     string    `json:"by"`  // capacity:subject
	At     time.Time `json:"at"`
	Remark string    `json:"remark,omitempty"`
}

// ApplicationR looks applications up.
type ApplicationR interface {
	Application(id string) (Application, error)
	// ApplicationByKey finds what the same maker sent before under the same idempotency key.
	ApplicationByKey(maker, key string) (Application, error)
	// Applications lists newest first, at most f.Limit, after the position that f names.
	Applications(f ApplicationFilter) ([]Application, error)
	// OpenApplications counts a maker's drafts and submitted ones, to at most limit.
	OpenApplications(maker string, limit int) (int, error)
	// ObtainedWith lists what was issued for applications that any of these certificates, by serial, authorised, oldest first, of
	// at most limit applications.
	ObtainedWith(serials []string, limit int) ([]Obtained, error)
}

// Obtained is a certificate that was asked for with another one's key.
type Obtained struct {
	Serial string // hexadecimal
	Under  string // serial of the certificate that authorised it
}

// ApplicationFilter narrows a list; zero fields do not.
type ApplicationFilter struct {
	State    State
	Profile  string
	Holder   string
	Maker    string // capacity:subject
	Batch    string
	From, To time.Time // made at or after From and before To
	Before   time.Time // for paging: what comes behind the application made then,
	BeforeID string    // whose id this is
	Limit    int
}

// ApplicationW changes applications.
type ApplicationW interface {
	AddApplication(a Application) error
	// ChangeApplication writes what of an application can change, where it stands in the given state and revision, once:
	// false when it does not any more. The revision counts on.
	ChangeApplication(a Application, from State) (bool, error)
	// StillApproved keeps an application Approved until the transaction ends: ErrState, here or then, when it is not.
	StillApproved(id string) error
	// SetIssued moves an application from Approved to Issued, once: ErrState, here or when the transaction ends, when it is
	// not there any more.
	SetIssued(id string, serials []string, envelope []byte) error
}
