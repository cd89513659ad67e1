package identity

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Config is what a Service needs.
type Config struct {
	Store Store
	Now   func() time.Time // nil: time.Now
}

// Service registers, changes and finds subjects.
type Service struct {
	store Store
	clock func() time.Time
}

// New returns a Service.
func New(c Config) (*Service, error) {
	if c.Store == nil {
		return nil, errors.New("identity: no store")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{store: forgetful{c.Store}, clock: c.Now}, nil
}

// now is UTC, to the microsecond that the store keeps.
func (s *Service) now() time.Time { return s.clock().UTC().Truncate(time.Microsecond) }

// JobChanged is the kind of the durable job that follows a change which may take rights away: a subject frozen or closed,
// a post ended, roles changed, a legal representative replaced. Its payload is a Change; its key is unique.
const JobChanged = "identity.changed"

// Change is the payload of JobChanged. Whoever handles it asks again what the person may do now.
type Change struct {
	Subject string `json:"subject"` // the person or entity
	What    string `json:"what"`    // "frozen", "closed", "post-ended", "roles", "representative"
}

func announce(w W, subject, what string, now time.Time) error {
	payload, err := json.Marshal(Change{Subject: subject, What: what})
	if err != nil {
		return err
	}
	return w.Enqueue(JobChanged, rand.Text(), payload, now)
}

const maxName = 120 // characters

// cleanName returns a name in NFC, single blanks, or refuses it: empty, overlong, or with characters that serve to deceive.
func cleanName(s string) (string, error) {
	if len(s) > 4*maxName || !utf8.ValidString(s) {
		return "", ErrName.With("%d bytes", len(s))
	}
	s = strings.Join(strings.Fields(norm.NFC.String(s)), " ")
	if n := utf8.RuneCountInString(s); n == 0 || n > maxName {
		return "", ErrName.With("%d characters", n)
	}
	for _, r := range s {
		if r == '<' || r == '>' || !unicode.IsPrint(r) { // IsPrint refuses controls, bidirectional marks, private use
			return "", ErrName.With("character %U", r)
		}
	}
	return s, nil
}
