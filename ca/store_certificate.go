package ca

import (
	"time"
)

// Issuer is an authority of ours: its certificate and the label of its key.
type Issuer struct {
	Name        string // name of the profile that its certificate has: "root", "issuing"
	Parent      string // its issuer; its own name when self-signed
	KeyLabel    string
	Certificate []byte // DER
}

// Reservation is what is stored before anything is signed: exactly what will be.
type Reservation struct {
	Serial      []byte
	Issuer      string
	Application string
	Use         string // of the key: an application has one reservation for each; "" where there is no application
	Profile     string
	TBS         []byte
	TBSHash     []byte // SM3
	Shard       int    // of the revocation list that the certificate names
	At          time.Time
	Under       []Named // what must not be revoked: the certificates of the issuer and of those above it
}

// Named is a certificate by issuer and serial.
type Named struct {
	Issuer string
	Serial []byte
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

// KeyState is what is known of a key; nil for nothing.
type KeyState struct {
	Owner *KeyOwner
	Block *BlockedKey
}

// CertificateR looks issuers and certificates up.
type CertificateR interface {
	Issuers() ([]Issuer, error)
	Certificate(issuer string, serial []byte) (Record, error)
	CertificateBySerial(serial []byte) (Record, error) // serials are unique over all issuers of this instance
	Certificates(f CertificateFilter) ([]Record, error)
	// Key tells whose key it is, by the SM3 of its SubjectPublicKeyInfo, and whether it is blocked under that or another hash,
	// which may be nil.
	Key(spki, other []byte) (KeyState, error)
	// Reservations lists those made before a time, oldest first.
	Reservations(before time.Time, limit int) ([]Reservation, error)
	// ReservationsOf lists those that an application has.
	ReservationsOf(application string) ([]Reservation, error)
}

// CertificateFilter narrows a list; zero fields do not.
type CertificateFilter struct {
	Holder  string
	Profile string
	Before  time.Time // issued before, exclusive, for paging
	Limit   int
}

// CertificateW changes certificates. What Reserve, AddCertificate and ClaimKey refuse may come out when the transaction ends.
type CertificateW interface {
	AddIssuer(i Issuer) error
	// Reserve stores what will be signed: ErrState for a serial that is reserved, and for a second one of an application
	// and use; ErrIssuerRevoked when a certificate that it stands under is revoked.
	Reserve(r Reservation) error
	// FinishReservation removes a reservation, once: false when it is not there any more.
	FinishReservation(issuer string, serial []byte) (bool, error)
	// AddCertificate puts a certificate in the place of its reservation: ErrState when that is not there any more.
	AddCertificate(r Record) error
	// ClaimKey binds a key to one holder and use for ever: ErrKeyUsed when it is bound otherwise or blocked.
	ClaimKey(spki []byte, o KeyOwner) error
	// BlockKey makes ClaimKey refuse a key for ever, whether it was claimed before or not.
	BlockKey(spki []byte, at time.Time) error
}
