package enrol

import (
	"context"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
)

// Secret lets its bearer enrol: for one holder under one profile, as often as Left says, until Ends.
type Secret struct {
	ID           string // reference number, no secret
	Profile      string
	Holder       string
	Organization string            // for officials
	Facts        map[string]string // the profile's fields, fixed by the maker
	Value        string            // the secret; sealed at rest, since a MAC needs it. Empty in lists
	Left         int               // uses
	Tries        int               // wrong ones since the last right one
	Ends         time.Time
	Revoked      time.Time // zero: not
	Maker        actor.Actor
	At           time.Time
}

// Client is a registration client: a holder whose certificates (with the extended key usage id-kp-cmcRA) may ask for others.
type Client struct {
	Subject  string
	Profiles []string // that it may ask for
	Revokes  bool     // it may revoke certificates of these profiles too
	Maker    actor.Actor
	At       time.Time
}

// State is how far a transaction is.
type State string

// States of transactions.
const (
	Begun       State = "begun"       // the use is taken; a certificate may have been issued
	Waiting     State = "waiting"     // for an officer
	Unconfirmed State = "unconfirmed" // issued and answered
	Done        State = "done"
	Refused     State = "refused"
	Rejected    State = "rejected" // by the holder: the certificates are to be revoked
	Lapsed      State = "lapsed"   // nobody confirmed in time: the same
)

// Transaction is what a peer asked for, and how it was answered.
type Transaction struct {
	ID          string // SM3 of who asked and of the peer's transaction identifier, hexadecimal
	Secret      string // reference number, "" when a certificate was shown
	State       State
	By          actor.Actor // as whom the application was made
	Application string
	Request     []byte    // SM3 of the message that began it
	Last        []byte    // SM3 of the last message that was answered
	Answer      []byte    // the answer to it
	Nonce       []byte    // senderNonce of the answer
	RequestID   int64     // certReqId
	Reply       int       // kind of the answer's body
	At          time.Time // from when the time for which it is remembered counts: its begin, or later, see exchange.remembered
	Due         time.Time // when an unconfirmed or unfinished one lapses
}

// SecretFilter narrows a list; zero fields do not.
type SecretFilter struct {
	Holder string
	Before time.Time // exclusive, for paging
	Limit  int
}

// R reads. Look-ups of what is not there return ErrUnknown.
type R interface {
	Secret(id string) (Secret, error)
	// Secrets lists newest first, without values.
	Secrets(f SecretFilter) ([]Secret, error)
	Client(subject string) (Client, error)
	Clients() ([]Client, error)
	Transaction(id string) (Transaction, error)
	// Overdue lists transactions that wait and whose time is over at now, at most limit.
	Overdue(now time.Time, limit int) ([]string, error)
}

// SecretW changes secrets. Each call is one conditional statement; false when the condition did not hold.
type SecretW interface {
	AddSecret(s Secret) error
	// CountTry counts a try before it is checked, unless the secret is revoked or has had limit wrong ones.
	CountTry(id string, limit int) (bool, error)
	ClearTries(id string) error
	// Use takes one use, unless none is left, or the secret has ended or is revoked.
	Use(id string, now time.Time) (bool, error)
	GiveBack(id string) error
	Revoke(id string, at time.Time) (bool, error)
}

// TransactionW changes transactions and clients.
type TransactionW interface {
	// AddTransaction is false when one is there under the same ID.
	AddTransaction(t Transaction) (bool, error)
	// Move writes the changing fields of after (state, application, last, answer, nonce, due), once: false when the
	// transaction is not in state from any more.
	Move(from State, after Transaction) (bool, error)
	// Prune removes at most limit transactions that are over and began before a time.
	Prune(before time.Time, limit int) (int, error)
	PutClient(c Client) error
	DropClient(subject string) (bool, error)
}

// W changes, records and enqueues in one transaction.
type W interface {
	R
	SecretW
	TransactionW
	Record(e audit.Entry) error
	Enqueue(kind, key string, payload []byte, notBefore time.Time) error
}

// Store is what this package must not lose.
type Store interface {
	View(ctx context.Context, f func(R) error) error
	Update(ctx context.Context, f func(W) error) error
}
