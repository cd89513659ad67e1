package store

import (
	"context"
	"sync"
	"time"

	"hufu/identity"
	"hufu/identity/login"
)

// ahead is what one request has read along with its access token: the session and the person that are asked for next. It
// spares two round trips of three for each call with a token.
type ahead struct {
	mu       sync.Mutex
	read     time.Time // by the process's clock, which never steps
	session  *login.Session
	subject  *identity.Subject
	evidence []identity.Evidence
}

// aheadLife bounds how old an answer may be that was read ahead. What is made of it may be remembered for as long again
// (identity.Remember): together a second.
const aheadLife = time.Second / 2

type aheadKey struct{}

// Ahead returns a context for one request, under which the look at an access token brings its session and its person along.
// Each is given out once, within half a second, to a look that changes nothing; after that the database is asked.
func Ahead(ctx context.Context) context.Context {
	return context.WithValue(ctx, aheadKey{}, new(ahead))
}

func aheadOf(ctx context.Context) *ahead {
	a, _ := ctx.Value(aheadKey{}).(*ahead)
	return a
}

// put takes what was found by questions that were put at a moment; nil is what was not.
func (a *ahead) put(at time.Time, session *login.Session, who *person) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.read, a.session, a.subject, a.evidence = at, session, nil, nil
	if who != nil && who.row != nil {
		subject := *who.row
		subject.Identifiers = who.identifiers
		a.subject, a.evidence = &subject, who.evidence
	}
}

// takeSession returns the session with the id, once.
func (t *tx) takeSession(id string) (login.Session, bool) {
	a := aheadOf(t.ctx)
	if a == nil || !t.readonly {
		return login.Session{}, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.session
	a.session = nil
	if s == nil || s.ID != id || time.Since(a.read) > aheadLife {
		return login.Session{}, false
	}
	return *s, true
}

// takeSubject returns the subject with the id and its evidence, once.
func (t *tx) takeSubject(id string) (identity.Subject, []identity.Evidence, bool) {
	a := aheadOf(t.ctx)
	if a == nil || !t.readonly {
		return identity.Subject{}, nil, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.subject
	a.subject = nil
	if s == nil || s.ID != id || time.Since(a.read) > aheadLife {
		return identity.Subject{}, nil, false
	}
	return *s, a.evidence, true
}
