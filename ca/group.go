package ca

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"hufu/audit"
)

// A commit costs a write to the disk, whatever it holds. So those who issue at the same time share theirs (group commit): a group
// takes what waits, at most groupSize changes, and lets them run in one transaction. While others are known to be on their
// way it waits for them, but not longer than groupWait. If the transaction fails, each change runs once more, alone, unless it
// turns out to be committed: who is at fault learns so, and the others have lost one try.
const (
	groupSize    = 64
	groupWait    = 2 * time.Millisecond
	groupWorkers = 2                // transactions of a group at once
	groupTime    = 20 * time.Second // for one transaction, whose members have deadlines of their own
)

// together is the transaction of a group.
type together struct {
	W
	above map[string][]Named // by authority: what must not be revoked when it issues, as found in this transaction
}

// share is what somebody wants to be committed along with what others want. It may run more than once.
type share func(w *together) error

// piece is a share with what is asked before it: who is refused there has changed nothing, so that the others go on without.
type piece struct {
	ask       share // reads; may be nil
	do        share
	committed func(R) (bool, error) // asked before it runs once more, since the answer to a commit may be lost
}

type member struct {
	ctx  context.Context
	late bool // runs although its caller has given up
	piece
	done chan error // holds one
}

type group struct {
	store Store

	mu      sync.Mutex
	coming  int // that were announced and are not there yet
	waiting []*member
	workers int
	turn    sync.Mutex    // held by the worker that collects
	wake    chan struct{} // something of the above has changed
}

func newGroup(s Store) *group { return &group{store: s, wake: make(chan struct{}, 1)} }

// expect announces somebody, or with -1 that somebody will not come after all.
func (g *group) expect(n int) {
	g.mu.Lock()
	g.coming += n
	g.mu.Unlock()
	if n < 0 {
		g.stir()
	}
}

func (g *group) stir() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// do has a piece committed, together with what others want, for somebody who was announced. It returns when that is durable, or
// when ctx ends: then nobody knows, but that it never begins any more, unless it is to run late.
func (g *group) do(ctx context.Context, late bool, p piece) error {
	m := &member{ctx: ctx, late: late, piece: p, done: make(chan error, 1)}
	g.mu.Lock()
	g.coming--
	g.waiting = append(g.waiting, m)
	begin := g.workers < groupWorkers
	if begin {
		g.workers++
	}
	g.mu.Unlock()
	if begin {
		go g.work()
	} else {
		g.stir()
	}
	select {
	case err := <-m.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// work commits groups until nobody waits.
func (g *group) work() {
	for {
		all, done := g.collect()
		if done {
			return
		}
		g.commit(all)
	}
}

// collect takes the next members; done when there are none.
func (g *group) collect() (all []*member, done bool) {
	g.turn.Lock()
	defer g.turn.Unlock()
	timer := time.NewTimer(groupWait)
	defer timer.Stop()
	for over := false; ; {
		g.mu.Lock()
		if len(g.waiting) == 0 {
			g.workers--
			g.mu.Unlock()
			return nil, true
		}
		if over || g.coming <= 0 || len(g.waiting) >= groupSize {
			n := min(len(g.waiting), groupSize)
			all, g.waiting = g.waiting[:n:n], g.waiting[n:]
			g.mu.Unlock()
			return all, false
		}
		g.mu.Unlock()
		select {
		case <-g.wake:
		case <-timer.C:
			over = true
		}
	}
}

// commit runs the members in one transaction, and if that fails each in one of its own.
func (g *group) commit(all []*member) {
	var live []*member
	for _, m := range all {
		if err := m.ctx.Err(); err != nil && !m.late {
			m.done <- err
			continue
		}
		live = append(live, m)
	}
	if len(live) == 0 {
		return
	}
	refused, err := g.transact(live, false)
	var again []*member
	for _, m := range live {
		switch why := refused[m]; {
		case err == nil:
			m.done <- why
		case len(live) == 1:
			m.done <- err
		default:
			again = append(again, m)
		}
	}
	var alone sync.WaitGroup
	for _, m := range again {
		alone.Go(func() {
			refused, err := g.transact([]*member{m}, true)
			if err == nil {
				err = refused[m]
			}
			m.done <- err
		})
	}
	alone.Wait()
}

// transact runs the members in one transaction, or one member again. Those that were refused before they changed anything come
// with the reason.
func (g *group) transact(all []*member, again bool) (refused map[*member]error, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(all[0].ctx), groupTime)
	defer cancel()
	var actors []string
	var keys []Foreseen
	for _, m := range all[1:] {
		actors, keys = append(actors, audit.Foreseen(m.ctx)...), append(keys, ForeseenKeys(m.ctx)...)
	}
	ctx = foresee(audit.Foresee(ctx, actors...), keys...)
	defer func() {
		if v := recover(); v != nil { // nobody stands above this goroutine
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	err = g.store.Update(ctx, func(w W) error {
		if again {
			if yes, err := all[0].committed(w); err != nil || yes {
				return err
			}
		}
		t := &together{W: w, above: map[string][]Named{}}
		refused = map[*member]error{}
		for _, m := range all {
			if m.ask == nil {
				continue
			}
			if err := m.ask(t); err != nil {
				refused[m] = err
			}
		}
		for _, m := range all {
			if refused[m] != nil {
				continue
			}
			if err := m.do(t); err != nil {
				return err
			}
		}
		return nil
	})
	return refused, err
}
