package sandbox

import (
	"crypto/subtle"
	"encoding/json"
	"sync"
	"time"
)

// Visitor is who is logged in at the sample application, as the id_token proved it.
type Visitor struct {
	Name        string
	Sub         string
	ACR         string
	SubjectKind string    // "person", "entity" or "official"
	ActFor      *ActFor   // whom the person acts for; nil for herself
	Official    *Official // the post that the person acts in; nil if none
	IDToken     string    // as received, a signed JWT
	Claims      json.RawMessage
	Since       time.Time
}

// ActFor is the claim act_for.
type ActFor struct {
	Sub      string `json:"sub"`
	Kind     string `json:"kind"`
	Name     string `json:"name"`
	USCC     string `json:"uscc"`
	Relation string `json:"relation"`
}

// Official is the claim official.
type Official struct {
	Org     string `json:"org"`
	OrgUSCC string `json:"org_uscc"`
	Post    string `json:"post"`
}

// visit is a logged-in browser.
type visit struct {
	proven
	story string
	since time.Time
}

func (v visit) visitor() Visitor {
	return Visitor{
		Name: v.Name, Sub: v.Sub, ACR: v.ACR, SubjectKind: v.SubjectKind, ActFor: v.ActFor, Official: v.Official,
		IDToken: v.IDToken, Claims: v.Claims, Since: v.since,
	}
}

// Visitor returns who logged in last in a guided story and is still logged in.
func (a *App) Visitor(story string) (Visitor, bool) {
	if story == "" {
		return Visitor{}, false
	}
	v, ok := a.visits.newest(a.config.Now(), func(v visit) bool { return v.story == story })
	if !ok {
		return Visitor{}, false
	}
	return v.visitor(), true
}

// same compares two secrets in constant time; an empty one equals nothing.
func same(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// shelf keeps at most max things, each for life. When it is full, the oldest goes.
type shelf[T any] struct {
	mu    *sync.Mutex
	max   int
	life  time.Duration
	items map[string]item[T] // by secret
	count uint64             // of all that were ever put
}

type item[T any] struct {
	value T
	ends  time.Time
	order uint64
}

func newShelf[T any](limit int, life time.Duration) shelf[T] {
	return shelf[T]{mu: new(sync.Mutex), max: limit, life: life, items: map[string]item[T]{}}
}

func (s *shelf[T]) put(key string, value T, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.items) >= s.max {
		s.makeRoom(now)
	}
	s.count++
	s.items[key] = item[T]{value, now.Add(s.life), s.count}
}

// makeRoom drops what has ended, or else the oldest. The caller holds the lock.
func (s *shelf[T]) makeRoom(now time.Time) {
	oldest, least := "", uint64(0)
	for key, it := range s.items {
		if !now.Before(it.ends) {
			delete(s.items, key)
		} else if oldest == "" || it.order < least {
			oldest, least = key, it.order
		}
	}
	if len(s.items) >= s.max {
		delete(s.items, oldest)
	}
}

func (s *shelf[T]) get(key string, now time.Time) (T, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it, ok := s.items[key]
	return it.value, ok && now.Before(it.ends)
}

// take returns a thing and drops it: of several who take the same, one gets it.
func (s *shelf[T]) take(key string, now time.Time) (T, bool) {
	return s.takeIf(key, now, func(T) bool { return true })
}

// takeIf takes a thing only if fits says so; else it stays.
func (s *shelf[T]) takeIf(key string, now time.Time, fits func(T) bool) (T, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it, ok := s.items[key]
	if !ok || !now.Before(it.ends) || !fits(it.value) {
		var none T
		return none, false
	}
	delete(s.items, key)
	return it.value, true
}

// newest returns the thing put last of those that fit.
func (s *shelf[T]) newest(now time.Time, fits func(T) bool) (value T, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := uint64(0)
	for _, it := range s.items {
		if it.order > last && now.Before(it.ends) && fits(it.value) {
			value, last, found = it.value, it.order, true
		}
	}
	return value, found
}
