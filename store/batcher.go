package store

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// batcher lets callers who ask at the same time ask in one trip. While batcherTrips are under way, whoever comes waits for the
// next one, which takes all who wait: nobody waits on purpose, and each question is put after its asker came, as fresh as if asked
// alone. It is for reads, which may be asked again; changes that share a commit have ca's group.
type batcher[T any] struct {
	ask func(all []*T) error // asks for all of them, and may be called for some of them again

	mu      sync.Mutex
	waiting []*asker[T]
	trips   int // under way
}

const (
	batcherTrips = 2
	batcherSize  = 64 // of one trip
)

type asker[T any] struct {
	question *T
	done     chan error // holds one
}

// join has the question asked together with others. The answer is in the question when the channel gives its error; whoever
// no longer waits for that leaves the question alone.
func (b *batcher[T]) join(question *T) <-chan error {
	a := &asker[T]{question, make(chan error, 1)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = append(b.waiting, a)
	if b.trips < batcherTrips {
		b.trips++
		go b.work()
	}
	return a.done
}

// work makes trips until nobody waits.
func (b *batcher[T]) work() {
	for {
		b.mu.Lock()
		n := min(len(b.waiting), batcherSize)
		all := b.waiting[:n:n]
		b.waiting = b.waiting[n:]
		if n == 0 {
			b.waiting = nil
			b.trips--
		}
		b.mu.Unlock()
		if n == 0 {
			return
		}
		b.trip(all)
	}
}

// trip asks for all; if that fails, for each alone: one damaged row must not stand in the way of the others.
func (b *batcher[T]) trip(all []*asker[T]) {
	questions := make([]*T, len(all))
	for i, a := range all {
		questions[i] = a.question
	}
	err := b.recovered(questions)
	if err == nil || len(all) == 1 {
		for _, a := range all {
			a.done <- err
		}
		return
	}
	var alone sync.WaitGroup
	for _, a := range all {
		alone.Go(func() { a.done <- b.recovered([]*T{a.question}) })
	}
	alone.Wait()
}

// recovered asks, and turns a panic into an error, since nobody stands above this goroutine.
func (b *batcher[T]) recovered(questions []*T) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return b.ask(questions)
}
