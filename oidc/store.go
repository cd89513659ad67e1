package oidc

import (
	"context"
	"time"

	"hufu/audit"
)

// Store keeps clients, interactions, consents, grants and tokens. View and Update run f in one transaction; Update
// may run f again when the database asks to retry, so f has no effect but through W and by assigning.
// Lookups answer ErrNotFound when there is no such row.
type Store interface {
	View(ctx context.Context, f func(R) error) error
	Update(ctx context.Context, f func(W) error) error
	// Token is R's Token for a request that asks nothing else, along with other requests that do the same at that moment.
	// Whoever asks shares what they get and changes nothing in it.
	Token(ctx context.Context, kind TokenKind, hash []byte) (Token, Grant, ClientRecord, error)
}

// R reads.
type R interface {
	ClientReader
	GrantReader
	FlowReader
}

// W changes. Record and Enqueue commit with the change.
type W interface {
	R
	ClientWriter
	GrantWriter
	FlowWriter
	Record(audit.Entry) error
	Enqueue(kind, key string, payload []byte, notBefore time.Time) error
}

// ClientReader finds clients.
type ClientReader interface {
	Client(id string) (ClientRecord, error)
	Clients(after string, limit int) ([]ClientRecord, error) // by id, ascending
}

// ClientWriter changes clients.
type ClientWriter interface {
	AddClient(ClientRecord) error // ErrClientTaken when the id exists
	SetClient(ClientRecord) error // everything but id and Created
	// UseJTI stores that the client used the assertion id, and reports whether that was the first time.
	UseJTI(client, jti string, until time.Time) (bool, error)
}

// GrantReader finds grants and tokens.
type GrantReader interface {
	Grant(id string) (Grant, error)
	// Token returns a token with its grant and its client: spent, revoked and disabled ones too.
	Token(kind TokenKind, hash []byte) (Token, Grant, ClientRecord, error)
	// LiveGrants lists the grants of a person, or made for an entity, that are neither revoked nor expired, newest
	// first, at most 200.
	LiveGrants(subject string) ([]Grant, error)
}

// GrantWriter changes grants and tokens.
type GrantWriter interface {
	AddGrant(Grant) error
	AddToken(Token) error // raises the grant's Expires to the token's
	// SpendToken marks a code or refresh token used, and reports whether this call did it:
	// false when it was used before or its grant is revoked.
	SpendToken(kind TokenKind, hash []byte, at time.Time) (bool, error)
	// RevokeGrant reports whether this call revoked it.
	RevokeGrant(id, why string, at time.Time) (bool, error)
	// RevokeSession revokes the live grants of a log-in session that have no offline_access, and returns their ids.
	RevokeSession(session, why string, at time.Time) ([]string, error)
	// RevokeClient revokes the live grants of a client; of one subject only unless subject is empty.
	RevokeClient(client, subject, why string, at time.Time) ([]string, error)
	// Purge deletes at most limit grants whose last token expired before at, with their tokens, and as many
	// interactions and assertion ids that have expired; it returns how many rows of grants and interactions went.
	Purge(at time.Time, limit int) (int, error)
}

// FlowReader finds what a running login needs.
type FlowReader interface {
	Interaction(id string) (InteractionRecord, error)
	Consent(subject, client string) (Consent, error)
	Sub(subject, sector string) (string, error)
	SubjectOf(sub, sector string) (string, error) // the other way round
}

// FlowWriter changes what a running login needs.
type FlowWriter interface {
	AddInteraction(InteractionRecord) error
	// ChooseCapacity stores the capacity of an interaction that is not spent, and reports whether there was one.
	ChooseCapacity(InteractionRecord) (bool, error)
	// SpendInteraction marks it decided, and reports whether this call did it.
	SpendInteraction(id string, at time.Time) (bool, error)
	SetConsent(Consent) error // replaces
	DropConsent(subject, client string) error
	// EnsureSub returns the stored sub of the subject in the sector; fresh is stored if there was none.
	EnsureSub(subject, sector, fresh string) (string, error)
}
