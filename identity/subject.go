package identity

import (
	"time"

	"hufu/internal/actor"
)

// Kind is one of the three kinds of subject.
type Kind string

// The kinds. Subjects at rest are persons and entities; Official is the kind of a post, held by a person.
const (
	Person   Kind = "person"   // 自然人
	Entity   Kind = "entity"   // 法人, 非法人组织
	Official Kind = "official" // 公务人员
)

// State is where a subject stands in its life.
type State string

// The states. Closed is final: its identifiers are free again, its row and its record stay.
const (
	Active State = "active"
	Frozen State = "frozen"
	Closed State = "closed"
)

// Subject is a natural person or a legal entity.
type Subject struct {
	ID          string
	Kind        Kind   // Person or Entity
	Name        string // as in the register, NFC
	State       State
	Phone       Number       // E.164, "+8613800000011"; empty when unknown
	Email       Number       // where reminders go; empty when unknown
	Identifiers []Identifier // in force, oldest first
	Registered  time.Time
	Changed     time.Time
}

// Number returns the identifier of the type, and false when the subject has none in force.
func (s Subject) Number(t IdentifierType) (Number, bool) {
	for _, i := range s.Identifiers {
		if i.Type == t {
			return i.Number, true
		}
	}
	return "", false
}

// USCC returns the unified social credit code of an entity in clear (it is public), empty for a person.
func (s Subject) USCC() string {
	n, _ := s.Number(CreditCode)
	return n.Reveal()
}

// Standing is what other packages need in order to let a subject act. It is given for active subjects only.
type Standing struct {
	ID    string // the subject's id, or the post's for an official
	Kind  Kind
	Name  string      // the person's or entity's; for an official the person's
	Level actor.Level // best unexpired evidence, 0 when there is none
}

// Relation is why a person may act for an entity.
type Relation string

// The relations. Agents, guardians and family members come with mandates.
const (
	Self     Relation = ""
	LegalRep Relation = "legal_rep" // 法定代表人, from the register
)

// Capacity is one of the ways in which a person may act: for himself or herself, for an entity, or in office.
type Capacity struct {
	Kind     Kind         // Person, Entity or Official
	For      string       // id of the entity or organisation; empty for oneself
	Name     string       // of whom is acted for
	USCC     string       // of the entity or organisation; empty for oneself
	Relation Relation     // Self for oneself and for an official
	PostID   string       // of an official's post; the subject of an official's certificate
	Post     string       // its title
	Roles    []actor.Role // that the post carries
	Since    time.Time    // when this way was opened, or the post last got its roles; zero for oneself
}

// Profile is what a subject may have released about itself, under scopes that its caller checks.
type Profile struct {
	Standing
	Phone       Number
	Identifiers []Identifier
}

// Holder is what a certificate says about its subject.
type Holder struct {
	ID         string // of the person, the entity or the post
	Kind       Kind
	Name       string
	Number     Number         // resident ID or other document of the person, USCC of the entity
	NumberType IdentifierType //
	Level      actor.Level    //
	Person     string         // subject id of an official; empty otherwise
	Org        string         // name of an official's organisation
	OrgUSCC    string         // its credit code
	Post       string         // title of an official's post
}
