package keys

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"errors"
	"slices"
	"sync"
	"time"

	"hufu/internal/gm"
)

// coverFor is how long a node may go on with the rows that it read of a standing activation. Nothing hangs on their being
// fresh: whether the activation still stands is asked of the database at each use.
const coverFor = time.Second

// cover is a key with a standing activation that covers a kind, opened as far as it has to be for signing.
type cover struct {
	row      Wrapped
	owner    Owner
	pub      *ecdsa.PublicKey
	standing StandingRow
	key      []byte // opens the row
}

type coverKey struct{ id, purpose, kind string }

// covers are those in use on this node.
type covers struct {
	mu  sync.Mutex
	all map[coverKey]cover
}

// get returns one with a copy of its key.
func (c *covers) get(k coverKey) (cover, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.all[k]
	found.key = bytes.Clone(found.key)
	return found, ok
}

// put keeps one for a short while.
func (c *covers) put(k coverKey, v cover) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil {
		c.all = map[coverKey]cover{}
	}
	if _, ok := c.all[k]; ok {
		return
	}
	v.key = bytes.Clone(v.key)
	c.all[k] = v
	time.AfterFunc(coverFor, func() { c.drop(k.id, v.standing.ID) })
}

// drop forgets what is known of a key's standing activation; of all for "".
func (c *covers) drop(id, standing string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, v := range c.all {
		if k.id == id && (standing == "" || v.standing.ID == standing) {
			clear(v.key)
			delete(c.all, k)
		}
	}
}

// covering returns the key with a live standing activation for a kind.
func (m *Many) covering(ctx context.Context, id, kind string) (cover, error) {
	at := coverKey{id, m.purpose, kind}
	if c, ok := m.keys.covers.get(at); ok {
		return c, nil
	}
	var c cover
	var live []StandingRow
	err := m.keys.store.View(ctx, func(r R) (err error) {
		if c.row, c.owner, err = m.readOwned(r, id); err != nil {
			return err
		}
		live, err = r.Live(id, m.keys.time())
		return err
	})
	if err != nil {
		return cover{}, err
	}
	i := slices.IndexFunc(live, func(s StandingRow) bool { return s.Used < s.Count && slices.Contains(s.Kinds, kind) })
	if i < 0 {
		return cover{}, ErrActivation.With("key %s: no standing activation covers %s", id, kind)
	}
	c.standing = live[i]
	if c.pub, err = gm.PublicKey(c.row.Public); err != nil {
		return cover{}, ErrDamaged.With("key %s: %w", id, err)
	}
	if c.key, err = m.keys.Unwrap(ctx, c.standing.Master, c.standing.Half, c.standing.aad()); err != nil {
		return cover{}, err
	}
	if len(c.key) != gm.KeySize {
		return cover{}, ErrDamaged.With("standing activation %s", c.standing.ID)
	}
	m.keys.covers.put(at, c)
	return c, nil
}

// use records one signature under a standing activation. Where that is over, another one that covers the kind takes its place. It
// returns what opens the key now.
func (s *manySigner) use(c cover, e []byte) (cover, error) {
	for range maxLive {
		over := s.m.keys.consume(s.ctx, &use{
			standing: c.standing, purpose: s.m.purpose, by: s.by, kind: s.kind, method: c.owner.Method, sum: gm.SM3(e),
		})
		if !errors.Is(over, ErrStandingOver) && !errors.Is(over, ErrReplayed) {
			return c, over
		}
		s.m.keys.covers.drop(c.row.ID, c.standing.ID)
		next, err := s.m.covering(s.ctx, c.row.ID, s.kind)
		if err != nil || next.standing.ID == c.standing.ID {
			clear(next.key)
			return c, over
		}
		clear(c.key)
		c = next
		s.mu.Lock()
		if s.held.key != nil {
			clear(s.held.key)
			s.held = next
			s.held.key = bytes.Clone(next.key)
		}
		s.mu.Unlock()
	}
	return c, ErrBusy.With("standing activations of key %s", c.row.ID)
}
