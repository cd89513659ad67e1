package ca

import (
	"context"
	"time"

	"hufu/audit"
	"hufu/certs"
	"hufu/internal/actor"
)

// Issuer is an authority of ours: its certificate and the label of its key.
type Issuer struct {
	Name        string // name of the profile that its certificate has: "root", "issuing"
	Parent      string // its issuer; its own name when self-signed
	KeyLabel    string
	Certificate []byte // DER
}

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

// Reservation is what is stored before anything is signed: exactly what will be.
type Reservation struct {
	Serial      []byte
	Issuer      string
	Application string
	Profile     string
	TBS         []byte
	TBSHash     []byte // SM3
	At          time.Time
}

// Record is a certificate as kept.
type Record struct {
	Serial      []byte
	Issuer      string
	Application string
	Profile     string
	Holder      string
	SPKI        []byte // SM3 of the public key
	NotBefore   time.Time
	NotAfter    time.Time
	DER         []byte
	Shard       int
	IssuedAt    time.Time
}

// KeyOwner is whose key it is and what for: one key, one holder, one use.
type KeyOwner struct {
	Holder  string
	Use     string    // "sign", "encrypt" or "certify"
	Blocked time.Time // since when it is reported as lost; zero when it is not
}

// Revocation is the end of a certificate, or of a serial whose signing was doubtful.
type Revocation struct {
	Serial   []byte
	Issuer   string
	Shard    int
	At       time.Time
	Reason   certs.Reason
	Invalid  time.Time // since when the key is known or suspected to be lost; zero when not told
	NotAfter time.Time // end of the certificate, after which it leaves the CRL
}

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

// Store is what the authority must not lose.
type Store interface {
	View(ctx context.Context, f func(R) error) error
	Update(ctx context.Context, f func(W) error) error
}

// R reads. Look-ups of what is not there return ErrUnknown.
type R interface {
	ApplicationR
	CertificateR
	StatusR
	BundleR
	CeremonyR
}

// W changes, records and enqueues in one transaction.
type W interface {
	R
	ApplicationW
	CertificateW
	StatusW
	BundleW
	CeremonyW
	Record(e audit.Entry) error
	Enqueue(kind, key string, payload []byte, notBefore time.Time) error
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

// CertificateR looks issuers and certificates up.
type CertificateR interface {
	Issuers() ([]Issuer, error)
	Certificate(issuer string, serial []byte) (Record, error)
	CertificateBySerial(serial []byte) (Record, error) // serials are unique over all issuers of this instance
	Certificates(f CertificateFilter) ([]Record, error)
	// KeyOwner tells whose key it is; ErrUnknown for a key that was never certified.
	KeyOwner(spki []byte) (KeyOwner, error)
	// Reservations lists those made before a time, oldest first.
	Reservations(before time.Time, limit int) ([]Reservation, error)
}

// CertificateFilter narrows a list; zero fields do not.
type CertificateFilter struct {
	Holder  string
	Profile string
	Before  time.Time // issued before, exclusive, for paging
	Limit   int
}

// CertificateW changes certificates.
type CertificateW interface {
	AddIssuer(i Issuer) error
	Reserve(r Reservation) error
	// FinishReservation removes a reservation, once: false when it is not there any more.
	FinishReservation(issuer string, serial []byte) (bool, error)
	AddCertificate(r Record) error
	// ClaimKey binds a key to one holder and use for ever: false when it is bound otherwise or blocked.
	ClaimKey(spki []byte, o KeyOwner) (bool, error)
	BlockKey(spki []byte, at time.Time) error
}

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
