package login

import (
	"time"

	"hufu/internal/actor"
)

// Attempt is one try to log in with a password.
type Attempt struct {
	Account   string // login name as typed
	Password  string
	RemoteIP  string // textual address of the browser, without port
	UserAgent string
	Replaces  string // secret of the session that the browser had before, if any; it ends when the log-in succeeds
}

// Session is a proven log-in of a person. It never holds the secret.
type Session struct {
	ID            string // sid of tokens; not the secret
	Subject       string // the person
	Name          string // of the person, for showing
	AuthTime      time.Time
	AMR           []string    // RFC 8176 values: "pwd", "otp", "sms", "hwk", "face", "sc"
	AuthLevel     actor.Level // how strongly this log-in was proven
	IdentityLevel actor.Level // how well the person is known now
	MustChange    bool        // the password was set by somebody else: the person has to choose one before going on
	Created       time.Time
	Seen          time.Time // last use, to the minute
	Expires       time.Time // absolute limit
	IdleExpires   time.Time // ends then unless used before
	RemoteIP      string    // at log-in
	UserAgent     string    // at log-in
	Ended         time.Time // zero while it lives
}

// Actor returns the person acting for himself or herself under this session.
// identity.Service.Act turns it into another capacity of the same person.
func (s Session) Actor() actor.Actor {
	return actor.Actor{
		Subject: s.Subject, Name: s.Name, Capacity: actor.Person, Session: s.ID,
		IdentityLevel: s.IdentityLevel, AuthLevel: s.AuthLevel,
	}
}
