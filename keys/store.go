package keys

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"time"

	"hufu/audit"
	"hufu/internal/gm"
)

// State of a key or of one of its versions.
type State string

// The states; not every sort of key has all of them.
const (
	Making     State = "making"     // intended; a device or a row may hold it, nothing uses it
	Active     State = "active"     // the version in use
	Retired    State = "retired"    // followed by a newer one, still opens and verifies
	Destroying State = "destroying" // decided and recorded, the device may still hold it
	Destroyed  State = "destroyed"  //
	Void       State = "void"       // never came to be
)

// Version is one version of a device key.
type Version struct {
	Label     string
	Number    uint32 // from 1 up
	Purpose   string
	Algorithm string
	Reference string // label on the device, never used twice
	State     State
	Public    []byte // point 04‖x‖y or PKCS#1 RSAPublicKey; empty for SM4
	Recorded  bool   // the audit entry of its making is written
	Made      time.Time
	Activated time.Time
	Retired   time.Time
	Destroyed time.Time
}

// String names the version as the record does: label/number.
func (v Version) String() string { return fmt.Sprintf("%s/%d", v.Label, v.Number) }

// Fingerprint is the SM3 of the public half in hexadecimal, as the record names it; "" for a secret key.
func (v Version) Fingerprint() string {
	if len(v.Public) == 0 {
		return ""
	}
	print := gm.SM3(v.Public)
	return hex.EncodeToString(print[:])
}

// PublicKey decodes the public half: *ecdsa.PublicKey or *rsa.PublicKey, nil for a secret key.
func (v Version) PublicKey() (crypto.PublicKey, error) {
	switch v.Algorithm {
	case SM2:
		return gm.PublicKey(v.Public)
	case P256:
		return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), v.Public)
	case RSA2048, RSA3072:
		return x509.ParsePKCS1PublicKey(v.Public)
	}
	return nil, nil
}

func encodePublic(pub crypto.PublicKey) ([]byte, error) {
	switch pub := pub.(type) {
	case nil:
		return []byte{}, nil
	case *ecdsa.PublicKey:
		return gm.Point(pub), nil
	case *rsa.PublicKey:
		return x509.MarshalPKCS1PublicKey(pub), nil
	}
	return nil, fmt.Errorf("public key of type %T", pub)
}

// DataVersion is one version of a data key.
type DataVersion struct {
	Purpose       string
	Number        uint32
	State         State  // Published, Active, Retired or Destroyed
	Master        string // label and version of the key that wraps it
	MasterVersion uint32
	Wrapped       []byte
	Recorded      bool
	Made          time.Time
	Retired       time.Time
}

// Control says whose will a use of a many key needs.
type Control string

const (
	ByPlatform Control = "platform" // made before there was sole control: it signs nothing until Adopt
	ByOwner    Control = "owner"    // sole control: each use needs the owner's activation
)

// Form says where a many key is opened.
type Form string

const (
	FormWrapped Form = "wrapped" // in memory, for one signature ("HSM-wrapped")
	FormInside  Form = "inside"  // within the device, for one signature ("HSM-backed")
)

// Wrapped is one of many keys: an SM2 key that lives in the database, wrapped by a master key.
type Wrapped struct {
	ID            string
	Label         string // the owner's word for it; may be personal, so it goes into no record
	Purpose       string
	Control       Control
	Form          Form
	State         State // Making, Active, Destroyed or Void
	Master        string
	MasterVersion uint32
	Public        []byte // point 04‖x‖y
	Wrapped       []byte // empty once destroyed or void
	Made          time.Time
	Destroyed     time.Time
}

// Store keeps what the database must know about keys. It must not seal these rows with the database's data keys: they
// are where those come from. When Update returns nil, the change is durable. f may run more than once.
type Store interface {
	View(ctx context.Context, f func(R) error) error
	Update(ctx context.Context, f func(W) error) error
}

// R reads.
type R interface {
	// Versions returns the versions of a label by number; of all labels, by label and number, for "".
	Versions(label string) ([]Version, error)
	// DataVersions returns the versions of a data key by number; of all purposes for "".
	DataVersions(purpose string) ([]DataVersion, error)
	// Wrapped returns one of many keys, or ErrUnknown.
	Wrapped(id string) (Wrapped, error)
	// HalfMade returns at most limit many keys in state Making that were begun before a time.
	HalfMade(before time.Time, limit int) ([]Wrapped, error)
	Owners
	Rotations
	Rows
	Wards
	// Under reports whether any data key, many key, owner's half or standing activation that still works is wrapped by a
	// version of a master key.
	Under(master string, version uint32) (bool, error)
}

// W changes.
type W interface {
	R
	Shelf
	Record(audit.Entry) error
	Enqueue(kind, key string, payload []byte, notBefore time.Time) error
}

// Shelf changes rows. Insert reports false, and Replace too, when another was faster: a row with this key is there
// already, a label has another version in the same state Making or Active, or the row is not as before any more.
type Shelf interface {
	InsertVersion(v Version) (bool, error)
	// ReplaceVersion writes after where label, number, state, reference and recorded are as in before.
	ReplaceVersion(before, after Version) (bool, error)
	InsertData(d DataVersion) (bool, error)
	// ReplaceData writes after where purpose, number, state, recorded, master and master version are as in before.
	ReplaceData(before, after DataVersion) (bool, error)
	InsertWrapped(w Wrapped) error
	// ReplaceWrapped writes after where id, state, master, master version and the wrapped octets are as in before.
	ReplaceWrapped(before, after Wrapped) (bool, error)
	OwnersShelf
	RotationShelf
}
