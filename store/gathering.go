package store

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// gathering lets those who ask at the same time ask together. While gatheringTrips are under way, whoever comes waits for the
// next one, which takes all who wait. So each question is put after its asker came, and is as fresh as if asked alone.
type gathering[T any] struct {
	ask func(all []*T) error // asks for all of them, and may be called for some of them again

	mu      sync.Mutex
	waiting []*asker[T]
	under   int // trips
}

const (
	gatheringTrips = 2
	gatheringSize  = 64 // of one trip
)

type asker[T any] struct {
	question *T
	done     chan error // holds one
}

// join has the question asked together with others. The answer is in the question when the channel gives its error; whoever
// no longer waits for that leaves the question alone.
func (g *gathering[T]) join(question *T) <-chan error {
	a := &asker[T]{question, make(chan error, 1)}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, a)
	if g.under < gatheringTrips {
		g.under++
		go g.work()
	}
	return a.done
}

// work makes trips until nobody waits.
func (g *gathering[T]) work() {
	for {
		g.mu.Lock()
		n := min(len(g.waiting), gatheringSize)
		all := g.waiting[:n:n]
		g.waiting = g.waiting[n:]
		if n == 0 {
			g.waiting = nil
			g.under--
		}
		g.mu.Unlock()
		if n == 0 {
			return
		}
		g.trip(all)
	}
}

// trip asks for all; if that fails, for each alone: one damaged row must not stand in the way of the others.
func (g *gathering[T]) trip(all []*asker[T]) {
	questions := make([]*T, len(all))
	for i, a := range all {
		questions[i] = a.question
	}
	err := g.careful(questions)
	if err == nil || len(all) == 1 {
		for _, a := range all {
			a.done <- err
		}
		return
	}
	var alone sync.WaitGroup
	for _, a := range all {
		alone.Go(func() { a.done <- g.careful([]*T{a.question}) })
	}
	alone.Wait()
}

// careful turns a panic into an error, since nobody stands above this goroutine.
func (g *gathering[T]) careful(questions []*T) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return g.ask(questions)
}
