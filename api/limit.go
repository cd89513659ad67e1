package api

import (
	"context"
	"sync"
	"time"
)

const (
	maxBodies = 8               // large bodies in memory at once: of those with a token, and of those without
	maxOwn    = 3               // of them, of one caller
	bodyWait  = 5 * time.Second // how long a large body waits for its place

	defaultPerSecond, defaultBurst = 50, 200
)

// fill gives a Rate its defaults.
func (r Rate) fill() Rate {
	if r.PerSecond == 0 {
		r.PerSecond = defaultPerSecond
	}
	if r.Burst <= 0 {
		r.Burst = defaultBurst
	}
	return r
}

// places bounds how many large bodies are in memory at once, and how many of them one caller has, so that a slow one does
// not keep all others out.
type places struct {
	free chan struct{}
	mu   sync.Mutex
	held map[string]int // no more entries than places
}

func newPlaces() *places {
	return &places{free: make(chan struct{}, maxBodies), held: map[string]int{}}
}

// take waits for a place; leave gives it back. ok is false when none came free in time, or the caller has enough.
func (p *places) take(ctx context.Context, caller string) (leave func(), ok bool) {
	timer := time.NewTimer(bodyWait)
	defer timer.Stop()
	select {
	case p.free <- struct{}{}:
	case <-timer.C:
		return nil, false
	case <-ctx.Done():
		return nil, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[caller] >= maxOwn {
		<-p.free
		return nil, false
	}
	p.held[caller]++
	return func() { p.leave(caller) }, true
}

func (p *places) leave(caller string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[caller]--; p.held[caller] == 0 {
		delete(p.held, caller)
	}
	<-p.free
}
