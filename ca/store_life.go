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
	ActSuspend StatusAct = "suspend" //
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
}

// LifeW changes what happens to certificates after they are issued.
type LifeW interface {
	AddStatusEvent(e StatusEvent) error
	// ReplaceRevocation writes reason, invalidity date and hold of after in the place of before, once: false when before is not
	// in force any more.
	ReplaceRevocation(before, after Revocation) (bool, error)
	// LiftHold ends a suspension, once: false when it is not in force any more.
	LiftHold(held Revocation) (bool, error)
}
