package kmc

import (
	"context"
	"fmt"
	"time"

	"hufu/audit"
)

// State of a pair.
type State string

// The states of pairs.
const (
	Pooled State = "pool" // nobody's yet
	Held   State = "held" // handed out for a request, in escrow
)

// Form is how the private half was given to the holder.
type Form string

// The forms.
const (
	FormGM   Form = "gm"   // SM2EnvelopedKey (GB/T 35276), DER
	FormCFCA Form = "cfca" // the text that CFCA's clients read
)

// Pair is an encryption pair as kept.
type Pair struct {
	ID            string
	Epoch         string // the process that made it
	State         State
	Public        []byte // 04 ‖ x ‖ y
	MasterVersion uint32
	Wrapped       []byte // the private half under the centre's master key, bound to AAD; empty for one from before there was escrow
	Client        string // name of the authority that it was made for
	Request       string // that authority's number of the application
	Recipient     []byte // SM3 of the point that Envelope is made to
	Authority     string // issuer, as the authority names it
	Profile       string
	Subject       string // the holder, as the authority refers to it
	Form          Form
	Envelope      []byte
	Serials       []string // of the certificates of this pair, hexadecimal, the newest last; a renewal adds one
	NotAfter      time.Time
	Made          time.Time
	At            time.Time // handed out
}

// AAD is what the wrapped octets are bound to: in the pool the pair itself, held also whose it is.
func (p Pair) AAD() []byte {
	if p.State == Pooled {
		return fmt.Appendf(nil, "hufu kmc pool v1\x00%s\x00%s\x00%x", p.ID, p.Epoch, p.Public)
	}
	return fmt.Appendf(nil, "hufu kmc escrow v1\x00%s\x00%q\x00%q\x00%q\x00%x\x00%x", p.ID, p.Client, p.Request, p.Subject, p.Recipient, p.Public)
}

// Client is an authority that the centre serves.
type Client struct {
	Name        string
	SPKI        []byte // SM3 of the SubjectPublicKeyInfo of its TLS certificate; empty for the one in the same process
	Certificate []byte // DER
	At          time.Time
	Ended       time.Time // zero while it is served
}

// Store is what the centre must not lose.
type Store interface {
	View(ctx context.Context, f func(R) error) error
	Update(ctx context.Context, f func(W) error) error
}

// R reads. Look-ups of what is not there return ErrUnknown.
type R interface {
	PairR
	RecoveryR
	Clients() ([]Client, error)
}

// PairR looks pairs up. Those of the pool are never returned.
type PairR interface {
	PairOf(client, request string) (Pair, error)
	Pair(client, id string) (Pair, error)
	PairByPublic(client string, public []byte) (Pair, error)
	// Pairs lists those of a holder, newest first, at most limit.
	Pairs(client, subject string, limit int) ([]Pair, error)
	// Count returns how many pairs a client holds and, for all, how many stand in the pool.
	Count(client string) (held, pool int, err error)
}

// RecoveryR looks recoveries up.
type RecoveryR interface {
	Recovery(client, id string) (Recovery, error)
	RecoveryByKey(client, maker, key string) (Recovery, error)
	// Recoveries lists newest first.
	Recoveries(client string, f RecoveryFilter) ([]Recovery, error)
	// Due lists recoveries of all clients, at most limit, that are past their time and whose state or octets must go.
	Due(before time.Time, limit int) ([]Recovery, error)
}

// W changes and records in one transaction.
type W interface {
	R
	PairW
	RecoveryW
	PutClient(c Client) error
	Record(e audit.Entry) error
}

// PairW changes pairs.
type PairW interface {
	// AddPooled stores a pair of the pool. ErrMaster when the master's version has ended meanwhile.
	AddPooled(p Pair) error
	// Take makes a pair of the pool, of p's epoch, the held pair p, once: false when it is not in the pool any more, or when
	// the request has one already.
	Take(p Pair) (bool, error)
	// AddHeld stores a pair that was never in the pool, once: false when the request has one already.
	AddHeld(p Pair) (bool, error)
	// SetSerials tells the certificates of a held pair in the place of those that were read: false when these were changed meanwhile.
	SetSerials(p Pair, serials []string, notAfter time.Time) (bool, error)
	// DropPool erases pairs of the pool that another epoch than this made before a time.
	DropPool(epoch string, before time.Time) (int64, error)
}

// RecoveryW changes recoveries.
type RecoveryW interface {
	AddRecovery(r Recovery) error
	// PutRecovery writes a recovery over the version before its own, once: false when it was changed meanwhile.
	PutRecovery(r Recovery) (bool, error)
}
