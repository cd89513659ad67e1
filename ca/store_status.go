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

// StatusR looks revocations up.
type StatusR interface {
	Revocation(issuer string, serial []byte) (Revocation, error)
	// Standing returns the certificates with these serials, in no order, and where each stands; those that are not there are left out.
	Standing(serials [][]byte) ([]Found, error)
	// Issued tells whether a serial is that of a certificate of the issuer; one that is only reserved is not.
	Issued(issuer string, serial []byte) (bool, error)
	// Revocations calls f for each revocation of a shard (FullShard: of all) whose certificate ends after a time or which
	// was made after it, in order of serial: serial, time, reason and invalidity date alone. The rows are read as f takes
	// them; the serial is good until f returns.
	Revocations(issuer string, shard int, since time.Time, f func(Revocation) error) error
	// LastChange returns the latest time of all status events; zero when there is none.
	LastChange() (time.Time, error)
	// Changes calls f for each serial of a shard whose status changed at or after a time, in order of serial: with what is
	// in force now, or with ReasonRemoveFromCRL and the time of the last change when nothing is.
	Changes(issuer string, shard int, since time.Time, f func(Revocation) error) error
}

// StatusW changes status.
type StatusW interface {
	// AddRevocation revokes once: false when the serial is revoked already.
	AddRevocation(r Revocation) (bool, error)
	// TakeAlone takes cost from an officer's budget, which is whole again after the time that all of it takes: false when there is
	// less, and then nothing is taken (a leaky bucket: GCRA). Who asks at the same time waits for the end of this transaction.
	TakeAlone(officer string, now time.Time, cost, whole time.Duration) (bool, error)
}
