package login

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"runtime"
	"time"

	"hufu/identity"
	"hufu/internal/actor"
)

// Subjects is what the package needs to know about persons. identity.Service satisfies it.
type Subjects interface {
	// Standing fails for a person who may not act: unknown, frozen, closed.
	Standing(ctx context.Context, id string) (identity.Standing, error)
	Capacities(ctx context.Context, person string) ([]identity.Capacity, error)
	RegisterPerson(ctx context.Context, a actor.Actor, f identity.PersonForm) (identity.Subject, error)
	ByNumber(ctx context.Context, a actor.Actor, id identity.Identifier) (identity.Subject, error)
}

// Config is what a Service needs.
type Config struct {
	Store    Store
	Subjects Subjects
	Peppers  [][]byte         // HMAC-SM3 keys of 16 octets and more; the first makes new hashes, older ones still compare
	Now      func() time.Time // nil: time.Now
	Cost     Cost             // of password hashes; zero: DefaultCost
	Parallel int              // password hashes at once; 0: the number of CPUs
	Idle     time.Duration    // a session ends when unused for so long; 0: 30 minutes
	Absolute time.Duration    // and in any case after so long; 0: 12 hours
}

// Service logs persons in and keeps their sessions.
type Service struct {
	store    Store
	subjects Subjects
	clock    func() time.Time
	hasher   *hasher
	dummy    string // PHC string that no password matches, compared for unknown accounts
	idle     time.Duration
	absolute time.Duration
}

// New returns a Service. It makes one password hash.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Subjects == nil {
		return nil, errors.New("login: store or subjects missing")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Parallel == 0 {
		c.Parallel = runtime.GOMAXPROCS(0)
	}
	if c.Idle == 0 {
		c.Idle = 30 * time.Minute
	}
	if c.Absolute == 0 {
		c.Absolute = 12 * time.Hour
	}
	if c.Parallel < 0 || c.Idle < 0 || c.Absolute < c.Idle {
		return nil, errors.New("login: parallel hashes or session times out of range")
	}
	h, err := newHasher(c.Cost, c.Peppers, c.Parallel)
	if err != nil {
		return nil, err
	}
	dummy, err := h.hash(context.Background(), unknownAccount, rand.Text())
	if err != nil {
		return nil, err
	}
	return &Service{
		store: c.Store, subjects: c.Subjects, clock: c.Now, hasher: h, dummy: dummy, idle: c.Idle, absolute: c.Absolute,
	}, nil
}

// SetPeppers replaces the pepper keys at once, for rotation: the first makes new hashes, all compare, and who logs in under
// an older one gets a new hash.
func (s *Service) SetPeppers(peppers [][]byte) error { return s.hasher.use(peppers) }

func (s *Service) now() time.Time { return s.clock().UTC().Truncate(time.Microsecond) }

// JobEnded is the kind of the durable job that follows the end of a session; its key is the session's id, its payload an Ended.
const JobEnded = "login.session-ended"

// Ended is the payload of JobEnded.
type Ended struct {
	Session string `json:"session"`
	Subject string `json:"subject"`
}

// SubjectChanged handles the durable job identity.JobChanged: the sessions of a person frozen or closed end. It may run
// again. (Sessions of such a person are refused at once in any case.)
func (s *Service) SubjectChanged(ctx context.Context, payload []byte) error {
	var c identity.Change
	if err := json.Unmarshal(payload, &c); err != nil {
		return err
	}
	if c.What != string(identity.Frozen) && c.What != string(identity.Closed) {
		return nil
	}
	_, err := s.EndAll(ctx, actor.ForSystem("subject-"+c.What), c.Subject, "")
	return err
}

// Prune deletes what has been of no use for 30 days: ended sessions, counters, places. For a daily schedule.
func (s *Service) Prune(ctx context.Context) error {
	before := s.now().Add(-30 * 24 * time.Hour)
	return s.store.Update(ctx, func(w W) error { return w.Prune(before) })
}

const secretSize = 32

func newSecret() (secret string, hash []byte) {
	raw := make([]byte, secretSize)
	rand.Read(raw)
	return base64.RawURLEncoding.EncodeToString(raw), hashSecret(raw)
}
