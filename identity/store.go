package identity

import (
	"context"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
)

// Store keeps subjects and what is known about them.
type Store interface {
	// View runs f on one consistent state. What f returns, View returns.
	View(ctx context.Context, f func(R) error) error
	// Update runs f in one transaction, which is durable when Update returns nil and has left no trace otherwise.
	// f may run again after a conflict, so it changes nothing outside.
	Update(ctx context.Context, f func(W) error) error
}

// R reads.
type R interface {
	Subjects
	Facts
}

// W reads and changes. Each change method returns the sentinel of its comment when the row is not as the change needs it.
type W interface {
	R
	SubjectChanges
	FactChanges
	// Record keeps the audit entry of this change.
	Record(audit.Entry) error
	// Enqueue leaves a durable job; (kind, key) is unique while pending.
	Enqueue(kind, key string, payload []byte, notBefore time.Time) error
}

// Subjects looks subjects up.
type Subjects interface {
	// Subject returns the subject with its identifiers in force, else ErrUnknown.
	Subject(id string) (Subject, error)
	// SubjectAndEvidence is Subject and Evidence in one.
	SubjectAndEvidence(id string) (Subject, []Evidence, error)
	// SubjectByNumber returns the id of the subject that the identifier in force belongs to, else ErrUnknown.
	SubjectByNumber(Identifier) (string, error)
	// FindSubjects returns at most q.Limit subjects, newest first, beginning after q.After.
	FindSubjects(q Find) ([]Subject, error)
}

// Find is what FindSubjects looks for. Empty fields do not restrict.
type Find struct {
	Kind       Kind
	State      State
	NamePrefix string
	Phone      Number // exact, by blind index
	After      Cursor // the last row of the page before
	Limit      int    // 1 or more
}

// Cursor is a place in the list of subjects.
type Cursor struct {
	Registered time.Time
	ID         string // empty for the beginning
}

// Facts reads evidence, posts and relations.
type Facts interface {
	// Evidence returns all evidence about the subject, oldest first, expired pieces too.
	Evidence(subject string) ([]Evidence, error)
	// Post returns the post, ended ones too, else ErrNoPost.
	Post(id string) (Post, error)
	// PostsOf returns the posts in force of the person.
	PostsOf(person string) ([]Post, error)
	// PostsIn returns the posts in force in the organisation.
	PostsIn(organisation string) ([]Post, error)
	// RepresentedBy returns the relations in force of the person.
	RepresentedBy(person string) ([]Representation, error)
	// Representatives returns the relations in force of the entity.
	Representatives(entity string) ([]Representation, error)
}

// SubjectChanges changes subjects.
type SubjectChanges interface {
	// AddSubject keeps a new subject without its identifiers.
	AddSubject(Subject) error
	// AddIdentifier puts an identifier in force, else ErrNumberTaken: it is in force for a subject already.
	AddIdentifier(subject string, id Identifier, now time.Time) error
	// EndIdentifier ends one in force, else ErrUnknown.
	EndIdentifier(subject string, id Identifier, now time.Time) error
	// EndIdentifiers ends all of the subject.
	EndIdentifiers(subject string, now time.Time) error
	// MoveSubject changes the state from one to another, else ErrState.
	MoveSubject(id string, from, to State, now time.Time) error
	// SetContact changes name and phone of a subject that is not closed, else ErrState.
	SetContact(id, name string, phone Number, now time.Time) error
	// SetEmail changes the e-mail address of a subject that is not closed, else ErrState; "" takes it away.
	SetEmail(id string, email Number, now time.Time) error
}

// FactChanges changes evidence, posts and relations.
type FactChanges interface {
	AddEvidence(Evidence) error
	AddPost(Post) error
	// SetPostRoles replaces the roles of a post in force, which carries them since now, else ErrNoPost.
	SetPostRoles(post string, roles []actor.Role, now time.Time) error
	// EndPost ends a post in force, else ErrNoPost.
	EndPost(post string, now time.Time) error
	AddRepresentation(Representation) error
	// EndRepresentations ends all relations of the entity that are of this kind.
	EndRepresentations(entity string, r Relation, now time.Time) error
	// Hold keeps others from changing posts, relations and state of the subject until this transaction ends
	// (a row lock where the engine has several writers), else ErrUnknown.
	Hold(subject string) error
}
