package kmc

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

const (
	maxPool   = 100_000
	poolBatch = 64 // pairs made in one transaction
	// poolLife is how long a pair waits in the pool before another process may take it for that of a dead one.
	poolLife = 24 * time.Hour
)

// pool is who acts in the record of the pool.
var pool = actor.ForSystem("key-pool")

// Fill makes pairs until the pool is as full as it should be, and returns how many it made. Each is wrapped as soon as it is made.
func (c *Centre) Fill(ctx context.Context) (n int, err error) {
	c.fill.Lock()
	defer c.fill.Unlock()
	for {
		missing := min(c.Pool-c.Ready(), poolBatch)
		if missing <= 0 || ctx.Err() != nil {
			return n, ctx.Err()
		}
		if err := c.batch(ctx, missing); err != nil {
			return n, fmt.Errorf("fill the key pool: %w", err)
		}
		n += missing
	}
}

func (c *Centre) batch(ctx context.Context, n int) error {
	made := make([]Pair, n)
	for i := range made {
		p, private, err := c.generate()
		if err != nil {
			return err
		}
		err = c.wrap(ctx, &p, private)
		private.Erase()
		if err != nil {
			return err
		}
		made[i] = p
	}
	err := c.Store.Update(ctx, func(w W) error {
		for _, p := range made {
			if err := w.AddPooled(p); err != nil {
				return err
			}
		}
		return w.Record(audit.Entry{
			At: c.Now(), Actor: pool, Action: "key-pool.fill", Object: audit.Object{Kind: "key-pool", ID: c.epoch},
			Public: map[string]string{"pairs": strconv.Itoa(n)},
		})
	})
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.ready = append(c.ready, made...)
	c.mu.Unlock()
	return nil
}

// generate makes a pair in memory. The caller erases the private half.
func (c *Centre) generate() (Pair, *gm.PrivateKey, error) {
	private, err := gm.GenerateKey()
	if err != nil {
		return Pair{}, nil, err
	}
	return Pair{
		ID: rand.Text(), Epoch: c.epoch, State: Pooled, Public: gm.Point(private.Public().(*ecdsa.PublicKey)), Made: c.Now().UTC(),
	}, private, nil
}

// wrap puts the private half under the master key, bound to what p is.
func (c *Centre) wrap(ctx context.Context, p *Pair, private *gm.PrivateKey) (err error) {
	d := private.Bytes()
	defer clear(d)
	if p.Wrapped, err = c.Master.Wrap(ctx, d, p.AAD()); err != nil {
		return ErrMaster.With("wrap: %w", err)
	}
	p.MasterVersion, err = version(p.Wrapped)
	return err
}

// unwrap opens the private half and holds it against the public one. The caller erases it.
func (c *Centre) unwrap(ctx context.Context, p Pair) (*gm.PrivateKey, error) {
	if len(p.Wrapped) == 0 {
		return nil, ErrDamaged.With("pair %s was never in escrow", p.ID)
	}
	d, err := c.Master.Unwrap(ctx, p.Wrapped, p.AAD())
	if err != nil {
		return nil, opened(p, err)
	}
	defer clear(d)
	private, err := gm.NewPrivateKey(d)
	if err != nil {
		return nil, ErrDamaged.With("pair %s: %w", p.ID, err)
	}
	if public := gm.Point(private.Public().(*ecdsa.PublicKey)); string(public) != string(p.Public) {
		private.Erase()
		return nil, ErrDamaged.With("pair %s holds another key than it says", p.ID)
	}
	return private, nil
}

// Ready counts the pairs that this process can hand out at once.
func (c *Centre) Ready() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.ready)
}

// pop takes a pair out of the memory of this process, the oldest first: whatever becomes of it, it does not come back.
func (c *Centre) pop() (Pair, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ready) <= c.Pool/2 {
		select {
		case c.low <- struct{}{}:
		default:
		}
	}
	if len(c.ready) == 0 {
		return Pair{}, false
	}
	p := c.ready[0]
	c.ready[0] = Pair{}
	c.ready = c.ready[1:]
	return p, true
}

// Tidy erases pairs that dead processes left in the pool: all that others made where alone is set, else those that are too old.
func (c *Centre) Tidy(ctx context.Context, alone bool) error {
	before := c.Now()
	if !alone {
		before = before.Add(-poolLife)
	}
	err := c.Store.Update(ctx, func(w W) error {
		n, err := w.DropPool(c.epoch, before)
		if err != nil || n == 0 {
			return err
		}
		return w.Record(audit.Entry{
			At: c.Now(), Actor: pool, Action: "key-pool.drop", Object: audit.Object{Kind: "key-pool", ID: c.epoch},
			Public: map[string]string{"pairs": strconv.FormatInt(n, 10)},
		})
	})
	if err != nil {
		return fmt.Errorf("tidy the key pool: %w", err)
	}
	return c.expire(ctx)
}

// Run keeps the pool full until ctx ends.
func (c *Centre) Run(ctx context.Context, log *slog.Logger) {
	for failed := false; ctx.Err() == nil; {
		_, err := c.Fill(ctx)
		if err != nil && !failed && !errors.Is(err, context.Canceled) {
			log.Error("the key pool cannot be filled; keys are made as they are asked for", "error", err)
		}
		failed = err != nil
		wait := time.NewTimer(time.Minute)
		if failed {
			wait.Reset(5 * time.Second)
		}
		select {
		case <-ctx.Done():
		case <-wait.C:
		case <-c.low:
		}
		wait.Stop()
	}
}

// PoolStatus is how the pool stands. It is an alias of a plain struct.
type PoolStatus = struct {
	Level int `json:"level"` // pairs to be kept ready, of each process
	Ready int `json:"ready"` // pairs that the answering process has ready
	Held  int `json:"held"`  // pairs in escrow for the asking authority
}

// Pool tells how the pool stands. For those who administer and audit.
func (d *Desk) Pool(ctx context.Context, by actor.Actor) (s PoolStatus, err error) {
	if err := by.Require(actor.RoleSuperAdmin, actor.RoleBusinessAdmin, actor.RoleAuditAdmin, actor.RoleRecoveryOfficer); err != nil {
		return s, err
	}
	s = PoolStatus{Level: d.c.Pool, Ready: d.c.Ready()}
	err = d.c.Store.View(ctx, func(r R) error {
		s.Held, _, err = r.Count(d.client)
		return err
	})
	return s, err
}
