package aside

import (
	"context"
	"sync"
	"sync/atomic"
)

// Crew is the goroutines of one device. How many calls run at once is the device's to bound.
type Crew struct {
	spare     int
	abandoned atomic.Int64

	mu     sync.Mutex
	closed bool
	idle   []*hand // the last one worked last
}

// NewCrew returns a crew that keeps at most so many idle goroutines.
func NewCrew(spare int) *Crew { return &Crew{spare: spare} }

// Whose the end of a call is: whoever is first of the hand, who tells, and the caller, who leaves.
const (
	awaited int32 = iota
	told
	left
)

// hand is one goroutine. It is in one place at a time: idle, with the caller who took it, or, once that caller left, on its own
// until the call has come back.
type hand struct {
	jobs  chan job
	done  chan struct{} // holds one
	state atomic.Int32
}

type job struct {
	call  func()
	after func(left bool)
}

// Run has call run aside. It returns true when call has come back, and false when ctx ended before: then call goes on alone, and
// the caller must touch nothing that call reads or writes. after, unless it is nil, runs behind call, aside as well, with whether
// the caller had left.
func (c *Crew) Run(ctx context.Context, call func(), after func(left bool)) bool {
	h := c.take()
	h.jobs <- job{call, after}
	select {
	case <-h.done:
	case <-ctx.Done():
		c.abandoned.Add(1)
		if h.state.CompareAndSwap(awaited, left) {
			return false // the hand gives itself back
		}
		c.abandoned.Add(-1)
		<-h.done
	}
	c.give(h)
	return true
}

// Abandoned is how many calls run whose callers have left.
func (c *Crew) Abandoned() int64 { return c.abandoned.Load() }

// Close ends the goroutines that are idle, and each other one with its call. Run works still, and keeps nothing.
func (c *Crew) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, h := range c.idle {
		close(h.jobs)
	}
	c.idle = nil
}

// take returns an idle hand, or a new one.
func (c *Crew) take() *hand {
	c.mu.Lock()
	var h *hand
	if last := len(c.idle) - 1; last >= 0 {
		h, c.idle = c.idle[last], c.idle[:last]
	}
	c.mu.Unlock()
	if h == nil {
		h = &hand{jobs: make(chan job, 1), done: make(chan struct{}, 1)}
		go c.work(h)
		return h
	}
	h.state.Store(awaited)
	return h
}

// give keeps a hand for the next call, or ends it.
func (c *Crew) give(h *hand) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) >= c.spare {
		close(h.jobs)
		return
	}
	c.idle = append(c.idle, h)
}

// work is a hand's life.
func (c *Crew) work(h *hand) {
	for j := range h.jobs {
		j.call()
		tells := h.state.CompareAndSwap(awaited, told)
		if tells {
			h.done <- struct{}{} // from here on the hand may be another caller's
		}
		if j.after != nil {
			j.after(!tells)
		}
		if !tells {
			c.abandoned.Add(-1)
			c.give(h)
		}
	}
}
