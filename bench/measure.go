package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"syscall"
	"time"
)

// workload is a row to be. open prepares both sides; what takes time and is not measured belongs there.
type workload struct {
	name      string
	unit      string
	reference string
	goal      float64
	open      func(b *bed) (pair, error)
}

// workloads are all rows there are, in the order of the table.
var workloads = slices.Concat(gmWorkloads, keyWorkloads, deviceWorkloads, issueWorkloads, statusWorkloads, listWorkloads, visibleWorkloads, scaleWorkloads)

// pair is a workload prepared: both sides tell their rate when asked to work for a while.
type pair struct {
	ours, reference func(time.Duration) (float64, error)
	database        string
	close           func()
}

// bed is where workloads are measured.
type bed struct {
	ctx    context.Context
	dir    string // temporary, gone afterwards
	pg     string // address of a PostgreSQL, "" for SQLite
	rounds int
	notes  io.Writer     // for what a row cannot say
	turn   time.Duration // how long one side works before the other has its turn
}

func (b *bed) measure(w workload) (row, error) {
	p, err := w.open(b)
	if err != nil {
		return row{}, err
	}
	if p.close != nil {
		defer p.close()
	}
	var ours, theirs []float64
	for range b.rounds {
		for _, side := range []struct {
			rate func(time.Duration) (float64, error)
			all  *[]float64
		}{{p.ours, &ours}, {p.reference, &theirs}} {
			if err := b.ctx.Err(); err != nil {
				return row{}, err
			}
			got, err := side.rate(b.turn)
			if err != nil {
				return row{}, err
			}
			*side.all = append(*side.all, got)
		}
	}
	r := row{Name: w.name, Ours: median(ours), Unit: w.unit, Reference: median(theirs), ReferenceName: w.reference, Goal: w.goal, Database: p.database}
	if r.Reference <= 0 {
		return r, fmt.Errorf("the reference came to %v", r.Reference)
	}
	r.Ratio = r.Ours / r.Reference
	r.Met = r.Ratio >= r.Goal
	return r, nil
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	if n := len(all); n%2 == 0 {
		return (all[n/2-1] + all[n/2]) / 2
	}
	return all[len(all)/2]
}

// loop turns an operation into a rate: as often as it can within the time, per CPU-second of this process.
func loop(f func() error) func(time.Duration) (float64, error) {
	return func(d time.Duration) (float64, error) {
		seconds, err := cost(f, d, 1)
		return 1 / seconds, err
	}
}

// cost is what one run of f takes, in CPU-seconds of this process, when so many clients do nothing else.
func cost(f func() error, d time.Duration, clients int) (float64, error) {
	return costOfEach(slices.Repeat([]func() error{f}, clients), d)
}

// costOfEach is cost with a function for each client.
func costOfEach(fs []func() error, d time.Duration) (float64, error) {
	before := cpu()
	n, err := repeat(fs, d)
	return (cpu() - before).Seconds() / float64(max(n, 1)), err
}

// repeat lets clients do what is theirs for a while, and counts.
func repeat(fs []func() error, d time.Duration) (int, error) {
	until := time.Now().Add(d)
	var working tally
	for _, f := range fs {
		working.do(func() (n int, err error) {
			for time.Now().Before(until) {
				for range 8 {
					if err := f(); err != nil {
						return n, err
					}
				}
				n += 8
			}
			return n, nil
		})
	}
	return working.wait()
}

// tally sums up what several goroutines did.
type tally struct {
	sync.WaitGroup
	mu  sync.Mutex
	n   int
	err error
}

func (g *tally) do(f func() (int, error)) {
	g.Go(func() {
		n, err := f()
		g.mu.Lock()
		defer g.mu.Unlock()
		g.n += n
		g.err = errors.Join(g.err, err)
	})
}

func (g *tally) wait() (int, error) {
	g.Wait()
	return g.n, g.err
}

// cpu is the time that this process has spent in user and kernel mode, all threads.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0 // cannot happen with these arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
