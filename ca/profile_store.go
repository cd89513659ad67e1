package ca

import "time"

// ProfileState is where a version of a profile stands.
type ProfileState string

// States of a version. Of those that were ever published the highest is the one that counts: in force, or withdrawn.
const (
	ProfileProposed  ProfileState = "proposed"
	ProfilePublished ProfileState = "published"
	ProfileWithdrawn ProfileState = "withdrawn"
)

// Where a version came from.
const (
	ProfileShipped    = "shipped"
	ProfileByOperator = "operator"
)

// ProfileVersion is a version of a profile as kept. Text and number never change.
type ProfileVersion struct {
	Name      string
	Version   int
	Source    string
	State     ProfileState
	Published bool // it was in force at some time
	Text      []byte
	SM3       []byte
	Maker     string // subject id; "" for the program
	Checker   string // who published or withdrew it
	At        time.Time
	DecidedAt time.Time
}

// ProfileR looks versions of profiles up.
type ProfileR interface {
	// ProfileVersions returns all versions, or those of one name, by name and version.
	ProfileVersions(name string) ([]ProfileVersion, error)
	// ProfileTurn counts the changes; 0 before the first.
	ProfileTurn() (int64, error)
	// NameHolder returns for which holder a subject name is kept under an issuer, or ErrUnknown.
	NameHolder(issuer string, name []byte) (string, error)
}

// ProfileW adds and moves them; both count a turn.
type ProfileW interface {
	// AddProfileVersion refuses a number that is there with ErrState.
	AddProfileVersion(v ProfileVersion) error
	// MoveProfileVersion sets state, checker and time of a version that is in state from: false when it is in another.
	MoveProfileVersion(from ProfileState, after ProfileVersion) (bool, error)
	// ClaimName keeps a subject name (its SM3) for a holder; ErrNameTaken when it is another's.
	ClaimName(issuer string, name []byte, holder string) error
}

// moved is when the version came into its state.
func (v ProfileVersion) moved() time.Time {
	if v.DecidedAt.IsZero() {
		return v.At
	}
	return v.DecidedAt
}
