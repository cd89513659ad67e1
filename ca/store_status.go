package ca

import (
	"time"

	"hufu/certs"
)

// Revocation is the end of a certificate, or of a serial whose signing was doubtful; with reason certificateHold, its
// suspension.
type Revocation struct {
	Serial    []byte
	Issuer    string
	Shard     int
	At        time.Time // of the first act: a hold that becomes a revocation keeps its date (X.509, 8.5.2.3)
	Reason    certs.Reason
	Invalid   time.Time // since when the key is known or suspected to be lost; zero when not told
	NotAfter  time.Time // end of the certificate, after which it leaves the CRL
	HoldUntil time.Time // when a hold ends by itself; zero when it does not
	HeldBy    string    // who suspended it: HeldByHolder or HeldByOfficer; "" when it is no hold
}

// Who suspended a certificate decides who may let it be used again.
const (
	HeldByHolder  = "holder"
	HeldByOfficer = "officer"
)

// Held tells that the certificate is suspended, so that it may come back.
func (r Revocation) Held() bool { return r.Reason == certs.ReasonCertificateHold }

// List is a CRL as kept.
type List struct {
	Issuer     string
	Shard      int // FullShard for the one that holds all
	Number     uint64
	ThisUpdate time.Time
	NextUpdate time.Time
	DER        []byte
}

// FullShard is the shard number of the complete list.
const FullShard = -1

// StatusR looks revocations and lists up.
type StatusR interface {
	Revocation(issuer string, serial []byte) (Revocation, error)
	// Revocations calls f for each revocation of a shard (FullShard: of all) whose certificate ends after a time, in
	// order of serial.
	Revocations(issuer string, shard int, endsAfter time.Time, f func(Revocation) error) error
	List(issuer string, shard int) (List, error)
}

// StatusW changes status.
type StatusW interface {
	// AddRevocation revokes once: false when the serial is revoked already.
	AddRevocation(r Revocation) (bool, error)
	// PutList replaces a list by one with a higher number, never by a lower one: false when a higher one is there.
	PutList(l List) (bool, error)
}
