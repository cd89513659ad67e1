package ca

import "time"

// MotionKind is what a motion is about.
type MotionKind string

// Kinds of motions.
const (
	MotionTrust       MotionKind = "trust"       // a change of the trust list
	MotionSubordinate MotionKind = "subordinate" // a certificate for an authority of ours by a superior
	MotionCross       MotionKind = "cross"       // a cross certificate, ours for another authority or another's for ours
	MotionExternal    MotionKind = "external"    // an authority that issues for us
	MotionMass        MotionKind = "mass"        // the revocation of many certificates
)

// MotionState is where a motion stands.
type MotionState string

// States. Which of them a kind of motion passes is told where it is handled.
const (
	MotionRequested MotionState = "requested" // the key is made, the request is out
	MotionProposed  MotionState = "proposed"  // waits for another administrator
	MotionApproved  MotionState = "approved"  // agreed, not in force yet
	MotionInForce   MotionState = "in-force"
	MotionRejected  MotionState = "rejected"
	MotionWithdrawn MotionState = "withdrawn"
)

// Motion is what one administrator proposes and others decide.
type Motion struct {
	ID       string
	Kind     MotionKind
	Subject  string // what it is about: an entry of the trust list, an authority
	State    MotionState
	Revision int64    // counts its changes, from 1
	Maker    string   // subject id; "": the system
	Checkers []string // subject ids
	Reason   string
	Content  []byte // JSON, by kind
	At       time.Time
	Changed  time.Time
}

// MotionR looks motions up.
type MotionR interface {
	Motion(id string) (Motion, error)
	// Motions lists those of a kind, newest first, at most limit; state and subject "" do not narrow.
	Motions(kind MotionKind, state MotionState, subject string, limit int) ([]Motion, error)
}

// MotionW changes motions.
type MotionW interface {
	AddMotion(m Motion) error
	// ChangeMotion writes m over the revision before its own, once: false when that is not there any more.
	ChangeMotion(m Motion) (bool, error)
}

// StoredTrustList is a signed trust list as kept.
type StoredTrustList struct {
	Sequence   uint64
	IssuedAt   time.Time
	NextUpdate time.Time
	Digest     string // SM3 of its JSON, hexadecimal
	Cause      string // id of the motion; "": issued again because of its age
	Data       []byte
}

// TrustSource is a series of lists of others that was imported.
type TrustSource struct {
	ID       string
	Signer   []byte // SubjectPublicKeyInfo
	Sequence uint64
	SeenAt   time.Time
}

// ForeignList is a revocation list of another CA as kept.
type ForeignList struct {
	URL        string
	Entry      string // of the trust list; "": of a superior of ours
	DER        []byte // nil: never fetched, or left out
	Size       int    // octets of DER; 0: never fetched
	ThisUpdate time.Time
	NextUpdate time.Time
	FetchedAt  time.Time
	TriedAt    time.Time
	Failure    string // of the last try; "" when it succeeded
}

// Superior is a certificate above an authority of ours.
type Superior struct {
	Certificate []byte
	Root        bool
	At          time.Time
}

// TrustR looks up what is known of other authorities.
type TrustR interface {
	// TrustList returns a version, 0 for the newest; ErrUnknown when there is none.
	TrustList(sequence uint64) (StoredTrustList, error)
	// TrustLists lists versions without their data, newest first, at most limit.
	TrustLists(limit int) ([]StoredTrustList, error)
	TrustSource(id string) (TrustSource, error)
	// ForeignLists lists all without their DER.
	ForeignLists() ([]ForeignList, error)
	ForeignList(url string) (ForeignList, error)
	Superiors() ([]Superior, error)
}

// TrustW changes it.
type TrustW interface {
	// PutTrustList adds the next version, once: false when the sequence is taken.
	PutTrustList(l StoredTrustList) (bool, error)
	// PutTrustSource keeps a series, once: false unless it is pinned to the same signer at sequence was; nil: not pinned at all.
	PutTrustSource(s TrustSource, was *uint64) (bool, error)
	// PutForeignList keeps a list. One that is older than what is there leaves DER and times and notes the try alone.
	PutForeignList(l ForeignList) error
	DropForeignList(url string) error
	AddSuperior(s Superior) error
	// ReplaceIssuer puts certificate and parent of i in the place of an old certificate, once: false when that is not there.
	ReplaceIssuer(i Issuer, old []byte) (bool, error)
}

// OrderState is where an order with an external authority stands.
type OrderState string

// States of orders: sent covers everything between the intent and an answer.
const (
	OrderSent     OrderState = "sent"
	OrderAnswered OrderState = "answered"
	OrderRefused  OrderState = "refused"
)

// Order is a request to an external authority: what is sent stands here before it is sent, and is sent again unchanged. The
// message names the holder, and is sealed in the store.
type Order struct {
	Application string
	External    string
	Exchange    []byte // transactionID, the same in every try
	Request     []byte // the last message, DER
	State       OrderState
	Answer      []byte // sent: the last answer, where the next message rests on it; answered: the certificate
	Failure     string // of the last try
	At          time.Time
	Changed     time.Time
}

// OrderR looks orders up.
type OrderR interface {
	Order(application string) (Order, error)
	Orders(state OrderState, limit int) ([]Order, error)
}

// OrderW changes orders.
type OrderW interface {
	// AddOrder keeps an intent: false when the application has one.
	AddOrder(o Order) (bool, error)
	// ChangeOrder writes message, state, answer and failure of one that is in state sent with before as its last message: false
	// when that is not so any more.
	ChangeOrder(o Order, before []byte) (bool, error)
}
