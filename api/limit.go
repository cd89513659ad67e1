package api

import (
	"container/list"
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	maxCallers = 8192            // whose rates are remembered; the longest silent one is forgotten first
	maxBodies  = 8               // large bodies in memory at once: of those with a token, and of those without
	maxOwn     = 3               // of them, of one caller
	bodyWait   = 5 * time.Second // how long a large body waits for its place

	defaultPerSecond, defaultBurst = 50, 200
)

// limiter bounds the rate of each caller, and how many callers it remembers.
type limiter struct {
	rate  Rate
	now   func() time.Time
	mu    sync.Mutex
	known map[string]*list.Element // of *bucket
	order *list.List               // the last to call first
}

type bucket struct {
	caller string
	*rate.Limiter
}

func newLimiter(r Rate, now func() time.Time) *limiter {
	if r.PerSecond == 0 {
		r.PerSecond = defaultPerSecond
	}
	if r.Burst <= 0 {
		r.Burst = defaultBurst
	}
	return &limiter{rate: r, now: now, known: map[string]*list.Element{}, order: list.New()}
}

// take takes cost from the caller's budget; if there is not enough it takes nothing and tells how long to wait.
func (l *limiter) take(caller string, cost int) (wait time.Duration) {
	if l.rate.PerSecond < 0 {
		return 0
	}
	now := l.now()
	r := l.bucket(caller).ReserveN(now, min(cost, l.rate.Burst))
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

func (l *limiter) bucket(caller string) *bucket {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.known[caller]; e != nil {
		l.order.MoveToFront(e)
		return e.Value.(*bucket)
	}
	b := &bucket{caller, rate.NewLimiter(rate.Limit(l.rate.PerSecond), l.rate.Burst)}
	l.known[caller] = l.order.PushFront(b)
	if l.order.Len() > maxCallers {
		oldest := l.order.Remove(l.order.Back()).(*bucket)
		delete(l.known, oldest.caller)
	}
	return b
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
