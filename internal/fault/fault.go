package fault

import (
	"errors"
	"fmt"
)

// Kind says what a caller can do about a failure.
type Kind int

const (
	// Internal is every failure that has no other kind; its text is never shown.
	Internal Kind = iota
	// Invalid: the request is malformed or breaks a rule; asking again unchanged fails again.
	Invalid
	// Unauthenticated: who is calling is not known, or no longer; log in and ask again.
	Unauthenticated
	// Denied: who is calling is known and may not do this.
	Denied
	// NotFound: the thing asked for does not exist, or the caller may not know that it does.
	NotFound
	// Conflict: the thing is in a state that does not allow this, or was changed meanwhile.
	Conflict
	// Limited: too often, too large or too many; wait or ask for less.
	Limited
	// Unavailable: a part that is needed (device, database, registry) does not answer; ask again later.
	Unavailable
)

var kindNames = [...]string{"internal", "invalid", "unauthenticated", "denied", "not-found", "conflict", "limited", "unavailable"}

// String returns the kind as it stands in a problem type, urn:hufu:problem:<kind>.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return kindNames[Internal]
	}
	return kindNames[k]
}

// Text is one sentence or two for a person, in both languages, with the next step to take.
type Text struct{ ZH, EN string }

// Error is a failure of a known kind.
type Error struct {
	Kind   Kind
	Code   string // stable dotted name, "login.wrong-password"; for clients and tests, never translated
	Text   Text   // for the person who asked
	Detail string // for the operator; never shown outside
	Cause  error  // may be nil
}

// New makes an error of a kind. code is a stable dotted name; en and zh tell the person what is wrong and what to do.
func New(kind Kind, code, en, zh string) *Error {
	return &Error{Kind: kind, Code: code, Text: Text{ZH: zh, EN: en}}
}

// With returns a copy that carries detail for the operator. The verb %w keeps a cause, as in fmt.Errorf.
func (e *Error) With(format string, args ...any) *Error {
	detail := fmt.Errorf(format, args...)
	c := *e
	c.Detail = detail.Error()
	c.Cause = errors.Unwrap(detail)
	return &c
}

// Error returns the operator's detail followed by the English text.
func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Text.EN
	}
	return e.Detail + ": " + e.Text.EN
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is makes errors.Is match two faults by their code, so that a package-level fault serves as a sentinel.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code != "" && t.Code == e.Code
}

// KindOf returns the kind of the first *Error in err's chain, and Internal when there is none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// TextOf returns the text for the person who asked; ok is false for an internal error, whose text is not theirs to see.
func TextOf(err error) (text Text, ok bool) {
	e, found := errors.AsType[*Error](err)
	if !found || e.Kind == Internal {
		return Text{}, false
	}
	return e.Text, true
}
