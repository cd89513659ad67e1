package aside

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// gone is a context that has ended.
func gone(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// until waits for what must come to be.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 1000 {
		if is() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal(what)
}

// A late call tells nobody: neither who left nor who comes next.
func TestTheLateAnswerIsNobodys(t *testing.T) {
	c := NewCrew(4)
	defer c.Close()
	release := make(chan struct{})
	late := make(chan bool, 1)
	if c.Run(gone(t), func() { <-release }, func(left bool) { late <- left }) {
		t.Fatal("a call that hangs came back")
	}
	if n := c.Abandoned(); n != 1 {
		t.Errorf("%d calls are abandoned", n)
	}
	for n := range 100 { // meanwhile, and while the late one comes back
		mine := false
		if !c.Run(t.Context(), func() { mine = true }, nil) || !mine {
			t.Fatal("told of another's call")
		}
		if n == 50 {
			close(release)
		}
	}
	if !<-late {
		t.Error("it does not know that its caller left")
	}
	until(t, "the call still counts as abandoned", func() bool { return c.Abandoned() == 0 })
}

// Callers who leave and calls that come back meet in every order, and each caller who stays has its own result.
func TestLeavingAndComingBackMeet(t *testing.T) {
	c := NewCrew(4)
	var stayed, left, after atomic.Int64
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for n := range 300 {
				ctx, cancel := context.WithCancel(t.Context())
				result := make(chan int, 1)
				switch n % 3 { // so that some of each kind there are, however the goroutines run
				case 0:
					go cancel()
				case 1:
					cancel()
				}
				if c.Run(ctx, func() { runtime.Gosched(); result <- i*1000 + n }, func(bool) { after.Add(1) }) {
					stayed.Add(1)
					if got := <-result; got != i*1000+n {
						t.Errorf("%d of another call", got)
					}
				} else {
					left.Add(1)
				}
				cancel()
			}
		})
	}
	all.Wait()
	until(t, "not every call ended", func() bool { return after.Load() == 8*300 && c.Abandoned() == 0 })
	if stayed.Load() == 0 || left.Load() == 0 {
		t.Errorf("%d stayed, %d left: the test says nothing", stayed.Load(), left.Load())
	}
	c.mu.Lock()
	if len(c.idle) > 4 {
		t.Errorf("%d goroutines are kept", len(c.idle))
	}
	c.mu.Unlock()
	c.Close()
}

// No goroutine outlives its crew but one whose call hangs, and that one ends with it.
func TestNoGoroutineOutlivesTheCrew(t *testing.T) {
	before := runtime.NumGoroutine()
	c := NewCrew(8)
	release := make(chan struct{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if !c.Run(t.Context(), func() { time.Sleep(time.Millisecond) }, nil) {
				t.Error(errors.New("a call did not come back"))
			}
		})
	}
	all.Wait()
	c.Run(gone(t), func() { <-release }, nil)
	c.Close()
	if !c.Run(t.Context(), func() {}, nil) {
		t.Error("a closed crew does not work")
	}
	until(t, "goroutines stay", func() bool { return runtime.NumGoroutine() <= before+1 })
	close(release)
	until(t, "the late one stays", func() bool { return runtime.NumGoroutine() <= before })
}
