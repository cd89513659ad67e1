package keys

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Ways in which an owner shows that a use of the key is wanted. A passkey's will be another.
const (
	MethodPIN  = "pin"  // a PIN opens the owner's half
	MethodSM2  = "sm2"  // the half is encrypted to the owner's SM2 key, and the owner signs what is to be signed
	MethodHalf = "half" // others hold the half, custodians for one
)

// Owner is what the database knows of a key's owner. The half that opens the key is not among it: with a PIN it stands sealed
// under the PIN and, around that, the master; with an SM2 pair encrypted to the owner; else not at all.
type Owner struct {
	Key           string // id of the many key
	Method        string
	Master        string // label and version of the key that wraps Sealed; empty but for a PIN
	MasterVersion uint32
	Salt          []byte
	Cost          PINCost
	Sealed        []byte
	SignKey       []byte // points 04‖x‖y, for an SM2 pair
	EncryptKey    []byte
	Tries         int // begun since the last right PIN
	LockedUntil   time.Time
	Made          time.Time
}

// aad binds the device's wrap of a PIN's half to its row. The result is also bound to the salt and the cost, since another
// key would come from the PIN.
func (o Owner) aad() []byte { return []byte("hufu owner's half v1\x00" + o.Key + "\x00" + o.Method) }

// identity names the owner in what binds the key: the method and the owner's public keys.
func (o Owner) identity() []byte {
	return fmt.Appendf(nil, "%s\x00%x\x00%x", o.Method, o.SignKey, o.EncryptKey)
}

// entryID is the id of the entry that records the enrolment, endID that of the entry that records the end of the key. A key's sort by time and the end behind
// all, so that rows from before a newer enrolment, or the end, meet the record and are refused.
func (o Owner) entryID() string { return fmt.Sprintf("enrolment-%s-%020d", o.Key, o.Made.UnixMicro()) }
func (w Wrapped) endID() string { return "enrolment-" + w.ID + "-end" }

// StandingState is the state of a standing activation.
type StandingState = string

// The states.
const (
	StandingActive    StandingState = "active"
	StandingSpent     StandingState = "spent"     // as often used as it allowed
	StandingWithdrawn StandingState = "withdrawn" // by the owner, or because key or PIN changed
	StandingExpired   StandingState = "expired"
)

// Standing is a standing activation as everybody with a right to the key may see it. Like the other types that pass over the edge of this package it is an
// alias of a plain struct, so that a consumer can declare the same without importing it.
type Standing = struct {
	ID, Key     string
	Kinds       []string // of documents
	Count, Used int
	Until       time.Time
	State       string // active, spent, withdrawn, expired
	Made, Ended time.Time
}

// StandingRow is a standing activation as it is stored.
type StandingRow struct {
	Standing
	Master        string
	MasterVersion uint32
	Half          []byte // opens the key; wrapped by the master, bound to all bounds; empty once ended
}

// aad binds the half to the row and to all that bounds it.
func (s StandingRow) aad() []byte {
	return []byte(strings.Join([]string{
		"hufu standing activation v1", s.ID, s.Key, strings.Join(s.Kinds, "\n"), strconv.Itoa(s.Count),
		strconv.FormatInt(s.Until.UnixMicro(), 10), strconv.FormatInt(s.Made.UnixMicro(), 10),
	}, "\x00"))
}

// Ids of entries of the record. They are the same whenever the same use or end is recorded, so that what is brought back from a copy of the
// database meets the record of what was done with it.
// They sort: later uses behind earlier ones, the end behind all.
func (s StandingRow) useID(last int) string { return fmt.Sprintf("activation-%s-%07d", s.ID, last) }
func (s StandingRow) endID() string         { return "activation-" + s.ID + "-end" }

// ChallengeRow is a challenge as it is stored.
type ChallengeRow struct {
	ID, Key, Kind string
	E             []byte
	Terms         string // of a standing activation, empty for a single signature
	Until         time.Time
	Used          bool
}

func (c ChallengeRow) useID() string { return "activation-" + c.ID }

// Owners reads.
type Owners interface {
	// Owner returns a key's owner, or ErrUnknown.
	Owner(key string) (Owner, error)
	// Standing returns a standing activation, or ErrNoStanding.
	Standing(id string) (StandingRow, error)
	// Standings returns the active ones of a key, and the newest of the others up to the limit.
	Standings(key string, limit int) ([]StandingRow, error)
	// Live returns the active ones that last beyond now, the one that ends first before the others.
	Live(key string, now time.Time) ([]StandingRow, error)
	// Overdue returns active ones whose time is over.
	Overdue(now time.Time, limit int) ([]StandingRow, error)
	// Challenge returns a challenge, or ErrChallenge.
	Challenge(id string) (ChallengeRow, error)
	// Recorded reports whether the record has an entry of an id.
	Recorded(id string) (bool, error)
	// RecordedAfter reports whether the record has an entry whose id sorts behind one and up to another.
	RecordedAfter(id, last string) (bool, error)
}

// OwnersShelf changes rows; what reports false found its row otherwise than expected.
type OwnersShelf interface {
	InsertOwner(o Owner) error
	// ReplaceOwner writes after, but for the tries, where key, method, master version and sealed octets are as in before.
	ReplaceOwner(before, after Owner) (bool, error)
	DropOwner(key string) error
	// CountTry adds a try where there were as many as in before and no lock lasts beyond now, and sets the lock.
	CountTry(before Owner, now, locked time.Time) (bool, error)
	ClearTries(key string) error
	// ReturnTry takes back the try that was the next one after before, and its lock, where no other was counted since.
	ReturnTry(before Owner) error
	InsertStanding(s StandingRow) error
	// UseStanding takes n uses where the activation is active, lasts beyond now, has as many left and is bounded as s is; used
	// counts them. The last one ends the activation and erases its half.
	UseStanding(s StandingRow, n int, now time.Time) (used int, ok bool, err error)
	// EndStanding ends an active one and erases its half.
	EndStanding(id string, state StandingState, at time.Time) (bool, error)
	// ReplaceHalf writes half, master and master version where it is active and the half is as in before.
	ReplaceHalf(before, after StandingRow) (bool, error)
	InsertChallenge(c ChallengeRow) error
	// UseChallenge marks a challenge that lasts beyond now as used, once.
	UseChallenge(id string, now time.Time) (bool, error)
	// DropChallenges forgets those that ended before a time and returns how many it dropped.
	DropChallenges(before time.Time, limit int) (int, error)
}
