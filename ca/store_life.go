package ca

import (
	"time"

	"hufu/certs"
)

// StatusAct is what happened to the status of a certificate or serial.
type StatusAct string

// Acts on a status.
const (
	ActRevoke  StatusAct = "revoke"  // also when only the reason changed
	ActSuspend StatusAct = "suspend" // also when only the end of the hold changed
	ActResume  StatusAct = "resume"  // the hold is over: removeFromCRL in a delta list
	ActVoid    StatusAct = "void"    // a serial that was reserved and never became a certificate
)

// StatusEvent is one change of a status. It is written in the transaction of the change, so that whoever follows the events
// knows all changes.
type StatusEvent struct {
	ID       string // random
	Issuer   string
	Serial   []byte
	Shard    int
	Act      StatusAct
	Reason   certs.Reason
	Invalid  time.Time // zero when not told
	At       time.Time // by the clock of the node that made the change
	NotAfter time.Time // end of the certificate
}

// LifeR looks up what happens to certificates after they are issued.
type LifeR interface {
	// StatusEvents lists the changes at or after a time, oldest first, at most limit.
	StatusEvents(since time.Time, limit int) ([]StatusEvent, error)
	// StatusHistory lists the changes of one serial, oldest first.
	StatusHistory(serial []byte) ([]StatusEvent, error)
	Reservation(serial []byte) (Reservation, error)
	// CertificatesOfKeys lists the certificates of public keys (SM3 of each SPKI), newest first.
	CertificatesOfKeys(keys [][]byte, limit int) ([]Record, error)
	// HoldsUntil lists suspensions that end by themselves at or before a time, oldest first.
	HoldsUntil(at time.Time, limit int) ([]Revocation, error)
	// Successor returns the application that replaces or replaced a serial, hexadecimal, and is neither rejected nor withdrawn.
	Successor(serial string) (Application, error)
	// FindCertificates lists certificates, newest first.
	FindCertificates(f CertificateSearch) ([]Found, error)
}

// LifeW changes what happens to certificates after they are issued.
type LifeW interface {
	AddStatusEvent(e StatusEvent) error
	// ReplaceRevocation writes date, reason, invalidity date and hold of after in the place of before, once: false when before
	// is not in force any more.
	ReplaceRevocation(before, after Revocation) (bool, error)
	// LiftHold ends a suspension, once: false when it is not in force any more.
	LiftHold(held Revocation) (bool, error)
}

// CertificateState is where a certificate stands at a time.
type CertificateState string

// States of certificates. One that is revoked or held stays so when it has ended.
const (
	CertificateValid   CertificateState = "valid"
	CertificateHeld    CertificateState = "held"
	CertificateRevoked CertificateState = "revoked"
	CertificateExpired CertificateState = "expired"
)

// CertificateSearch narrows a search; zero fields do not.
type CertificateSearch struct {
	Holder       string
	Profile      string
	Issuer       string
	State        CertificateState
	Now          time.Time // by which State is judged
	From, To     time.Time // issued at or after From and before To
	Serial       []byte
	EndsBefore   time.Time // exclusive
	Before       time.Time // for paging: what comes behind the certificate issued then,
	BeforeSerial []byte    // whose serial this is
	Limit        int
}

// Found is a certificate with its status.
type Found struct {
	Record
	Status *Revocation // nil when it is neither revoked nor held
}

// State tells where the certificate stands.
func (f Found) State(now time.Time) CertificateState {
	switch {
	case f.Status != nil && f.Status.Held():
		return CertificateHeld
	case f.Status != nil:
		return CertificateRevoked
	case !f.NotAfter.After(now):
		return CertificateExpired
	default:
		return CertificateValid
	}
}

// How a blocked key is named: by the hash of its SubjectPublicKeyInfo.
const (
	HashSM3    = "sm3"    // what we count with
	HashSHA256 = "sha256" // what published lists of weak keys give
)

// Why a key is blocked.
const (
	BlockedByRevocation = "revocation" // a certificate of it was revoked for key compromise
	BlockedByPossession = "possession" // a stranger showed to have it
	BlockedByOfficer    = "officer"    // an officer named the key
	BlockedByList       = "list"       // an officer took it over from a published list
)

// BlockedKey is a key that nobody gets a certificate for, for ever.
type BlockedKey struct {
	Hash      []byte // 32 octets
	Algorithm string // HashSM3 or HashSHA256
	Source    string
	Note      string // where it is from; no personal data
	By        string // capacity:subject
	At        time.Time
}

// BlockedKeyR looks blocked keys up.
type BlockedKeyR interface {
	// BlockedKeys lists newest first what comes behind a key blocked at a time; the zero time begins.
	BlockedKeys(before time.Time, hash []byte, limit int) ([]BlockedKey, error)
}

// BlockedKeyW blocks keys; nothing unblocks them.
type BlockedKeyW interface {
	// AddBlockedKey blocks once: false when it is blocked already.
	AddBlockedKey(k BlockedKey) (bool, error)
}

// ReminderR finds what to remind holders of.
type ReminderR interface {
	// EndingCertificates lists certificates that end after the given one (by end, then serial) and at or before a
	// time, in this order.
	EndingCertificates(after EndPosition, until time.Time, limit int) ([]Found, error)
	// RefusesReminders tells whether a holder wants none.
	RefusesReminders(holder string) (bool, error)
	// ReminderPosition tells up to where the certificates were looked at for a number of days; zero at first.
	ReminderPosition(days int) (EndPosition, error)
	// ReminderDue tells whether a mail was noted and not sent yet.
	ReminderDue(serial []byte, days int) (bool, error)
}

// EndPosition is a place in the order of ends.
type EndPosition struct {
	NotAfter time.Time
	Serial   []byte
}

// ReminderW notes what holders were reminded of.
type ReminderW interface {
	// AddReminder notes a mail about a certificate and a threshold, once: false when there was one.
	AddReminder(serial []byte, days int, at time.Time) (bool, error)
	// RefuseReminders sets whether a holder wants none.
	RefuseReminders(holder string, refuse bool, at time.Time) error
	SetReminderPosition(days int, p EndPosition) error
	// SetReminded notes that a mail was sent.
	SetReminded(serial []byte, days int, at time.Time) error
}
