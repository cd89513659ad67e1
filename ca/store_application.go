package ca

import (
	"time"

	"hufu/internal/actor"
)

// State is where an application stands.
type State string

// States of applications.
const (
	Submitted State = "submitted"
	Approved  State = "approved"
	Rejected  State = "rejected"
	Issued    State = "issued"
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
	Maker          actor.Actor // who applied; name, roles and levels as they were then
	Checkers       []actor.Actor
	Reason         string // of a rejection
	Key            string // idempotency key given by the caller, scoped to the maker; "" = none
	At             time.Time
	DecidedAt      time.Time
	Certificates   []string // serials, hexadecimal: the signing certificate first
	Envelope       []byte   // SM2EnvelopedKey of the encryption key, once issued
}

// ApplicationR looks applications up.
type ApplicationR interface {
	Application(id string) (Application, error)
	// ApplicationByKey finds what the same maker sent before under the same idempotency key.
	ApplicationByKey(maker, key string) (Application, error)
	// Applications lists newest first, at most limit, after the given position ("" = start).
	Applications(f ApplicationFilter) ([]Application, error)
}

// ApplicationFilter narrows a list; zero fields do not.
type ApplicationFilter struct {
	State  State
	Holder string
	Before time.Time // exclusive, for paging
	Limit  int
}

// ApplicationW changes applications.
type ApplicationW interface {
	AddApplication(a Application) error
	// Decide moves an application from Submitted to state, once: false when it is not there any more.
	Decide(id string, state State, checkers []actor.Actor, reason string, at time.Time) (bool, error)
	// SetIssued moves an application from Approved to Issued, once: false when it is not there any more.
	SetIssued(id string, serials []string, envelope []byte) (bool, error)
}
