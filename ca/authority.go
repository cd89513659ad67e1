package ca

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/limit"
)

// Holder is what the registry knows of a holder. Certificates take names and numbers from here alone.
type Holder struct {
	ID     string
	Kind   HolderKind
	Name   string
	Number string      // resident identity number or unified social credit code (统一社会信用代码)
	Level  actor.Level // identity level of a person; of an entity, that of its registration
	// For officials: where they serve.
	Organization       string
	OrganizationNumber string
	Post               string
}

// Registry tells who holders are. organization is set for officials only. An unknown or closed subject is a fault.
type Registry interface {
	Holder(ctx context.Context, subject, organization string) (Holder, error)
}

// Keys gives the authority's own keys, making them on first use. The signer never leaves its device.
type Keys interface {
	Signer(ctx context.Context, label string) (crypto.Signer, error)
	Ensure(ctx context.Context, a actor.Actor, label, algorithm, purpose string) (crypto.Signer, error)
}

// Directory finds holders and knows who represents them. Of both the registry is asked, at each call.
type Directory interface {
	// Find returns the id of the subject that bears a number: kind is "resident-id", "passport", "uscc", …
	Find(ctx context.Context, by actor.Actor, kind, number string) (subject string, err error)
	// Represents tells whether a person may act for a holder other than in office.
	Represents(ctx context.Context, person, holder string) (bool, error)
}

// Config is what an Authority is made of; every field must be set but those marked optional.
type Config struct {
	Store      Store
	Registry   Registry
	Keys       Keys
	Encryption EncryptionKeys
	Directory  Directory           // optional: without it, holders are named by their ids alone
	Profiles   map[string]*Profile // as shipped; the database has those in force
	Pseudonyms Pseudonyms          // optional: without it, no profile may ask for pseudonyms
	BaseURL    string              // where status is published, "http://localhost:8480/pki", without a slash at the end
	Instance   byte                // of the serial numbers this node draws, 1 to 127; no two nodes have the same
	ListLife   time.Duration       // from thisUpdate to nextUpdate of a CRL; optional, a day
	Shards     int                 // into how many lists new certificates of an issuer are divided, 1 to 4096; optional, 1
	Spool      string              // folder for long lists while they are made; optional, that of the system
	OCSP       OCSP                // how status is told; optional
	// TimeStampRate bounds the time-stamps given to the world each second, each of which stays in the log for ever; those
	// for our own seals are not counted. Optional: 20, and ten times as many at once; a quarter of that for each address.
	TimeStampRate float64
	// TimeStampPolicy stands in every token; optional: one of the example arc, which says nothing.
	TimeStampPolicy certs.OID
	// TimeStampAccuracy is how far the server's clock may be off; it stands in every token. Optional, a second.
	TimeStampAccuracy time.Duration
	// Time tells whether the clock may be believed at this moment; no time-stamps are given while it does not. Optional:
	// without it the operator keeps the clock right.
	Time   TimeSource
	People People // optional: without it actors are taken at the edge's word, and nobody gets mail
	Mailer Mailer // optional: without it nobody is reminded
	// Client calls other authorities: their lists, and those that issue for us. It bounds addresses. Optional: none is called.
	Client *http.Client
	Now    func() time.Time
	// Issuing is how many issuances may be under way at once; more are refused with ErrCrowded. Optional: 256.
	Issuing  int
	Alone    int                        // certificates that an officer may revoke or suspend within an hour without another one; optional, 100; negative: any number
	RemoteIP func(*http.Request) string // address of a caller; optional, the peer's
}

// Authority signs. It is safe for concurrent use.
type Authority struct {
	Config
	flow *flow
	profileCache
	mu      sync.RWMutex
	issuers map[string]*issuer
	above   []superior     // of authorities of ours that others certified
	crossed map[string]int // how many cross certificates others issued for an authority of ours
	seen    listCache      // what others publish, as parsed last
	strange *limit.Shared  // time-stamps for the world
	reports *limit.Shared  // of lost keys by whoever has one

	ocsp     *responder
	listPart int // octets of a list in one row

	serviceMu sync.Mutex // held while a service's key or certificate is made, so that it is made once
	services  map[string]*certs.Certificate
	serving   sync.Map // serials of services' certificates, as strings, that were not revoked since they were looked up
}

// issuer is an opened authority of ours.
type issuer struct {
	Issuer
	cert *certs.Certificate
}

// New checks the configuration and reads the issuers that exist.
func New(ctx context.Context, c Config) (*Authority, error) {
	switch {
	case c.Store == nil || c.Registry == nil || c.Keys == nil || c.Encryption == nil || c.Now == nil:
		return nil, errors.New("authority: store, registry, keys, encryption and clock must be set")
	case len(c.Profiles) == 0:
		return nil, errors.New("authority: no profiles")
	case c.Instance < 1 || c.Instance > 127:
		return nil, fmt.Errorf("authority: instance %d is not within 1 and 127", c.Instance)
	case !strings.HasPrefix(c.BaseURL, "http") || strings.HasSuffix(c.BaseURL, "/"):
		return nil, fmt.Errorf("authority: base URL %q must be an http address without a slash at the end", c.BaseURL)
	}
	if c.Shards == 0 {
		c.Shards = 1
	}
	if c.Shards < 1 || c.Shards > maxShards {
		return nil, fmt.Errorf("authority: %d shards are not within 1 and %d", c.Shards, maxShards)
	}
	if err := c.OCSP.fill(runtime.GOMAXPROCS(0)); err != nil {
		return nil, err
	}
	if c.ListLife == 0 {
		c.ListLife = 24 * time.Hour
	}
	if c.TimeStampRate <= 0 {
		c.TimeStampRate = 20
	}
	if c.TimeStampPolicy == "" {
		c.TimeStampPolicy = exampleTimeStampPolicy
	}
	if c.TimeStampAccuracy <= 0 {
		c.TimeStampAccuracy = time.Second
	}
	c.bounds()
	a := &Authority{
		Config: c, flow: newFlow(c.Store, c.Issuing), ocsp: newResponder(c.OCSP), listPart: partSize,
		issuers: map[string]*issuer{}, services: map[string]*certs.Certificate{},
		reports: limit.NewShared(limit.Rate{PerSecond: 0.5, Burst: 10}, limit.Rate{PerSecond: 10, Burst: 50}, c.Now),
		strange: limit.NewShared(limit.Seconds(c.TimeStampRate/4, 10), limit.Seconds(c.TimeStampRate, 10), c.Now),
	}
	if err := a.loadProfiles(ctx); err != nil && !errors.Is(err, ErrDamagedProfile) {
		return nil, err
	}
	return a, a.loadIssuers(ctx)
}

func (a *Authority) loadIssuers(ctx context.Context) error {
	var stored []Issuer
	var superiors []Superior
	crossed := map[string]int{}
	err := a.Store.View(ctx, func(r R) (err error) {
		if stored, err = r.Issuers(); err != nil {
			return err
		}
		if superiors, err = r.Superiors(); err != nil {
			return err
		}
		crossed, err = crossedIn(r)
		return err
	})
	if err != nil {
		return fmt.Errorf("read issuers: %w", err)
	}
	above, err := openSuperiors(superiors)
	if err != nil {
		return err
	}
	loaded := make(map[string]*issuer, len(stored))
	for _, i := range stored {
		cert, err := certs.Parse(i.Certificate)
		if err != nil {
			return fmt.Errorf("issuer %q: %w", i.Name, err)
		}
		loaded[i.Name] = &issuer{i, cert}
	}
	if err := a.ensureLists(ctx, stored); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.issuers, a.above, a.crossed = loaded, above, crossed
	a.ocsp.names.Store(nil)
	return nil
}

// Follow takes over what other nodes have added: authorities, and what stands above them.
func (a *Authority) Follow(ctx context.Context) error {
	var stored []Issuer
	var above []Superior
	crossed := map[string]int{}
	err := a.Store.View(ctx, func(r R) (err error) {
		if stored, err = r.Issuers(); err != nil {
			return err
		}
		if above, err = r.Superiors(); err != nil {
			return err
		}
		crossed, err = crossedIn(r)
		return err
	})
	if err != nil || a.knows(stored, above, crossed) {
		return err
	}
	return a.loadIssuers(ctx)
}

func (a *Authority) knows(stored []Issuer, above []Superior, crossed map[string]int) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, i := range stored {
		if mine := a.issuers[i.Name]; mine == nil || !bytes.Equal(mine.Certificate, i.Certificate) {
			return false
		}
	}
	return len(stored) == len(a.issuers) && len(above) == len(a.above) && maps.Equal(crossed, a.crossed)
}

func (a *Authority) issuer(name string) *issuer {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.issuers[name]
}

// generation names the n-th authority made under a profile: "issuing", "issuing-2", …
func generation(profile string, n int) string {
	if n == 1 {
		return profile
	}
	return profile + "-" + strconv.Itoa(n)
}

// newestIssuer returns the youngest authority made under a profile, which is the one that signs, and its number; nil and 0
// when there is none. Older ones go on signing their lists and answers.
func (a *Authority) newestIssuer(profile string) (newest *issuer, n int) {
	for {
		i := a.issuer(generation(profile, n+1))
		if i == nil {
			return newest, n
		}
		newest, n = i, n+1
	}
}

// key returns the signer of an authority's key; ErrOffline when custodians have it.
func (a *Authority) key(ctx context.Context, i *issuer) (crypto.Signer, error) {
	if i.Offline() {
		return nil, ErrOffline.With("key of %q", i.Name)
	}
	signer, err := a.Keys.Signer(ctx, i.KeyLabel)
	if err != nil {
		return nil, ErrIssuer.With("key of %q: %w", i.Name, err)
	}
	return signer, nil
}

// Issuers returns the certificates of the authorities, roots first, by name.
func (a *Authority) Issuers() (names []string, chain map[string]*certs.Certificate) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	chain = make(map[string]*certs.Certificate, len(a.issuers))
	for name, i := range a.issuers {
		chain[name] = i.cert
		names = append(names, name)
	}
	slices.SortFunc(names, func(x, y string) int {
		rx, ry := a.issuers[x].Parent == x, a.issuers[y].Parent == y
		switch {
		case rx != ry && rx:
			return -1
		case rx != ry:
			return 1
		default:
			return strings.Compare(x, y)
		}
	})
	return names, chain
}
