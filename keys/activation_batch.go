package keys

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
)

// Uses of standing activations come in numbers, and each must be durable in the record before it is made. Those that
// come together go into one transaction, and those of one activation, actor and kind into one entry that names each hash.
const (
	batchMost = 128 // uses in one transaction; their hashes fit into an entry
	batchTime = 20 * time.Second
)

// use is one use that waits to be recorded.
type use struct {
	standing StandingRow
	purpose  string
	by       actor.Actor
	kind     string
	method   string
	sum      [32]byte // SM3 of e
	err      error
	done     chan error
}

// useGroup is what the uses of one entry share.
type useGroup struct{ standing, kind, by, of, session, client, peer string }

func (u *use) group() useGroup {
	return useGroup{u.standing.ID, u.kind, u.by.String(), u.by.For, u.by.Session, u.by.Client, u.by.Peer}
}

// useQueue holds what waits; one goroutine at a time drains it.
type useQueue struct {
	mu       sync.Mutex
	waiting  []*use
	draining bool
}

// consume takes one use of a standing activation and records it. When ctx ends first, the use may be taken all the same.
func (k *Keys) consume(ctx context.Context, u *use) error {
	u.done = make(chan error, 1)
	k.uses.mu.Lock()
	k.uses.waiting = append(k.uses.waiting, u)
	if !k.uses.draining {
		k.uses.draining = true
		go k.drainUses()
	}
	k.uses.mu.Unlock()
	select {
	case err := <-u.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *Keys) drainUses() {
	for {
		k.uses.mu.Lock()
		n := min(len(k.uses.waiting), batchMost)
		batch := k.uses.waiting[:n:n]
		k.uses.waiting = k.uses.waiting[n:]
		if n == 0 {
			k.uses.waiting, k.uses.draining = nil, false
		}
		k.uses.mu.Unlock()
		if n == 0 {
			return
		}
		k.commitUses(batch)
	}
}

func (k *Keys) commitUses(batch []*use) {
	ctx, cancel := context.WithTimeout(context.Background(), batchTime)
	defer cancel()
	groups := map[useGroup][]*use{}
	var order []useGroup
	for _, u := range batch {
		if groups[u.group()] == nil {
			order = append(order, u.group())
		}
		groups[u.group()] = append(groups[u.group()], u)
	}
	err := k.store.Update(ctx, func(w W) error {
		at := k.time()
		for _, g := range order {
			if err := takeUses(w, groups[g], at); err != nil {
				return err
			}
		}
		return nil
	})
	for _, u := range batch {
		if err != nil {
			u.err = err
		}
		u.done <- u.err
	}
}

// takeUses takes the uses of one group, all or one after the other as far as there are any left.
func takeUses(w W, group []*use, at time.Time) error {
	s := group[0].standing
	used, ok, err := w.UseStanding(s, len(group), at)
	if err != nil {
		return err
	}
	if !ok && len(group) > 1 {
		for i := range group {
			if err := takeUses(w, group[i:i+1], at); err != nil {
				return err
			}
		}
		return nil
	}
	if !ok {
		group[0].err = ErrStandingOver.With("standing activation %s", s.ID)
		return nil
	}
	// What was used beyond this, or ended, stands in the record, whatever the row says now.
	first := used - len(group) + 1
	again, err := w.RecordedAfter(s.useID(first-1), s.endID())
	if err != nil {
		return err
	}
	for _, u := range group {
		if u.err = nil; again {
			u.err = ErrReplayed.With("standing activation %s, use %d", s.ID, first)
		}
	}
	if again {
		return nil
	}
	return w.Record(usesEntry(group, first, at))
}

func usesEntry(group []*use, first int, at time.Time) audit.Entry {
	u, last := group[0], first+len(group)-1
	sums := make([]string, len(group))
	for i, u := range group {
		sums[i] = hex.EncodeToString(u.sum[:])
	}
	numbers := strconv.Itoa(first)
	if last > first {
		numbers = fmt.Sprintf("%d-%d", first, last)
	}
	return audit.Entry{
		ID: u.standing.useID(last), At: at, Actor: u.by, Action: "key.activate", Object: audit.Object{Kind: "key", ID: u.standing.Key},
		Public: map[string]string{
			"purpose": u.purpose, "kind": u.kind, "method": u.method, "standing": u.standing.ID, "use": numbers,
			"left": strconv.Itoa(u.standing.Count - last), "e_sm3": strings.Join(sums, " "),
		},
	}
}
