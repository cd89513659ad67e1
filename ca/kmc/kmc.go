package kmc

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
)

// Local is the name of the authority that runs in the centre's own process.
const Local = "local"

// Master wraps private halves under the centre's own master key in the device. What Wrap returns begins with the version of
// that key, 4 octets big-endian; aad is bound, not stored. The caller clears what Unwrap returns. Octets that were wrapped
// under other aad, or changed, are refused with ErrDamaged.
type Master interface {
	Wrap(ctx context.Context, data, aad []byte) ([]byte, error)
	Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error)
}

// Quorum says how many must approve.
type Quorum struct {
	Approvals int // recovery officers, of a recovery for the holder
	Officers  int // persons who may hold the role at the most
	Judicial  int // recovery officers, of a judicial recovery; a witness comes to them
}

// DefaultQuorum is 2 of 3, and 2 with a witness for a judicial recovery.
var DefaultQuorum = Quorum{Approvals: 2, Officers: 3, Judicial: 2}

// Config is what a Centre is made of; every field must be set but those marked optional.
type Config struct {
	Store  Store
	Master Master
	Pool   int    // pairs kept ready; 0 keeps none
	Quorum Quorum // optional: DefaultQuorum
	Now    func() time.Time
}

// Centre makes, keeps and recovers encryption keys. It is safe for concurrent use.
type Centre struct {
	Config
	epoch string // of this process, anew at each start

	mu    sync.Mutex
	ready []Pair // of the pool, made by this process and not yet handed out
	fill  sync.Mutex
	low   chan struct{} // tells Run that the pool has sunk below half
}

// New checks the configuration.
func New(c Config) (*Centre, error) {
	if c.Quorum == (Quorum{}) {
		c.Quorum = DefaultQuorum
	}
	switch q := c.Quorum; {
	case c.Store == nil || c.Master == nil || c.Now == nil:
		return nil, errors.New("key management centre: store, master key and clock must be set")
	case c.Pool < 0 || c.Pool > maxPool:
		return nil, fmt.Errorf("key management centre: a pool of %d pairs; 0 to %d can be kept", c.Pool, maxPool)
	case q.Approvals < 1 || q.Judicial < 1 || q.Officers < max(q.Approvals, q.Judicial):
		return nil, fmt.Errorf("key management centre: quorum %+v cannot be met", q)
	}
	return &Centre{Config: c, epoch: rand.Text(), low: make(chan struct{}, 1)}, nil
}

// Desk returns the counter at which a registered authority is served.
func (c *Centre) Desk(client string) *Desk { return &Desk{c, client} }

// Desk serves one authority: it sees that one's keys and recoveries and no other's.
type Desk struct {
	c      *Centre
	client string
}

// Clients lists the authorities, also those that are not served any more.
func (c *Centre) Clients(ctx context.Context) (all []Client, err error) {
	err = c.Store.View(ctx, func(r R) error {
		all, err = r.Clients()
		return err
	})
	return all, err
}

// Serve makes the registered authorities exactly these: new ones are added, changed certificates replaced, others ended. Each
// change is recorded. For the system and super administrators.
func (c *Centre) Serve(ctx context.Context, by actor.Actor, clients []Client) error {
	if err := by.Require(actor.RoleSuperAdmin); err != nil {
		return err
	}
	if err := apart(clients); err != nil {
		return err
	}
	err := c.Store.Update(ctx, func(w W) error {
		known, err := w.Clients()
		if err != nil {
			return err
		}
		for _, client := range clients {
			if err := c.serve(w, by, known, client); err != nil {
				return err
			}
		}
		for _, old := range known {
			if !old.Ended.IsZero() || slices.ContainsFunc(clients, func(n Client) bool { return n.Name == old.Name }) {
				continue
			}
			old.Ended = c.Now().UTC()
			if err := errors.Join(w.PutClient(old), w.Record(ofClient(by, "kmc-client.end", old))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("register authorities: %w", err)
	}
	return nil
}

// apart refuses two authorities of one name or key: by its key an authority is told from others, so that one of them would be
// served at the other's desk.
func apart(clients []Client) error {
	for i, one := range clients {
		for _, other := range clients[:i] {
			if one.Name == other.Name || len(one.SPKI) > 0 && slices.Equal(one.SPKI, other.SPKI) {
				return ErrTwins.With("%q and %q", other.Name, one.Name)
			}
		}
	}
	return nil
}

func (c *Centre) serve(w W, by actor.Actor, known []Client, client Client) error {
	i := slices.IndexFunc(known, func(k Client) bool { return k.Name == client.Name })
	if i >= 0 && known[i].Ended.IsZero() && slices.Equal(known[i].SPKI, client.SPKI) && slices.Equal(known[i].Certificate, client.Certificate) {
		return nil
	}
	client.At, client.Ended = c.Now().UTC(), time.Time{}
	return errors.Join(w.PutClient(client), w.Record(ofClient(by, "kmc-client.register", client)))
}

func ofClient(by actor.Actor, action string, client Client) audit.Entry {
	return audit.Entry{
		Actor: by, Action: action, Object: audit.Object{Kind: "kmc-client", ID: client.Name},
		Public: map[string]string{"spki_sm3": fmt.Sprintf("%x", client.SPKI)},
	}
}

// version reads under which version of the master key something is wrapped.
func version(wrapped []byte) (uint32, error) {
	if len(wrapped) < 4 {
		return 0, ErrMaster.With("%d wrapped octets without a version", len(wrapped))
	}
	return binary.BigEndian.Uint32(wrapped), nil
}
