package timesource

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"hufu/internal/fault"
)

// ErrTime tells that the clock is not to be believed now.
var ErrTime = fault.New(fault.Unavailable, "time.untrusted",
	"The time of this server cannot be confirmed by its time sources, so no time-stamps are given. The operator has to look at the clock and at the sources.",
	"本服务器的时间未能得到时间源确认，暂停签发时间戳。请运维人员检查时钟和时间源。")

// Config is what a Watch is made of.
type Config struct {
	Sources  []Source
	Quorum   int           // how many must agree; 0: more than half of the sources
	Accuracy time.Duration // how far the clock may be off, with all uncertainty
	Every    time.Duration // between comparisons; 0: 64 s
	Now      func() time.Time
	Log      *slog.Logger
}

// Watch compares again and again. It is safe for concurrent use.
type Watch struct {
	Config
	mu   sync.Mutex
	last Comparison
}

// Comparison is the outcome of one round.
type Comparison struct {
	At          time.Time // by our clock; zero before the first round
	Readings    []Reading
	Offset      time.Duration // the middle of the interval agreed on
	Uncertainty time.Duration // half of its width
	Agreeing    []string
	Dissenting  []string
	Err         error // why the clock is not to be believed; nil when it is

	moment time.Time // of the machine's monotonic clock
}

// freshness is for how many intervals a comparison counts.
const freshness = 4

// New checks the configuration.
func New(c Config) (*Watch, error) {
	if c.Quorum == 0 {
		c.Quorum = len(c.Sources)/2 + 1
	}
	if c.Every == 0 {
		c.Every = 64 * time.Second
	}
	switch {
	case len(c.Sources) == 0 || c.Now == nil || c.Log == nil:
		return nil, errors.New("time sources: sources, clock and log must be set")
	case c.Quorum < 1 || c.Quorum > len(c.Sources):
		return nil, fmt.Errorf("time sources: a quorum of %d among %d sources", c.Quorum, len(c.Sources))
	case c.Accuracy <= 0 || c.Every <= 0:
		return nil, errors.New("time sources: accuracy and interval must be positive")
	}
	return &Watch{Config: c}, nil
}

// Run compares until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	timer := time.NewTimer(w.Every)
	defer timer.Stop()
	for {
		w.Compare(ctx)
		timer.Reset(w.Every)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
	}
}

// Compare asks all sources at once and keeps the outcome. A change for better or worse is logged once.
func (w *Watch) Compare(ctx context.Context) Comparison {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	readings := make([]Reading, len(w.Sources))
	var asking sync.WaitGroup
	for i, s := range w.Sources {
		asking.Go(func() {
			offset, uncertainty, err := s.Read(ctx)
			readings[i] = Reading{Source: s.Name(), Err: err}
			if err == nil {
				readings[i] = Reading{Source: s.Name(), Offset: offset, Uncertainty: max(0, uncertainty)}
			}
		})
	}
	asking.Wait()
	c := w.judge(readings)
	w.mu.Lock()
	before := w.last
	w.last = c
	w.mu.Unlock()
	switch {
	case c.Err != nil && (before.Err == nil || before.At.IsZero()):
		w.Log.Error("the clock cannot be confirmed; time-stamps stop", "error", c.Err)
	case c.Err == nil && before.Err != nil:
		w.Log.Info("the clock is confirmed again", "offset", c.Offset, "uncertainty", c.Uncertainty)
	}
	if len(c.Dissenting) > 0 && c.Err == nil {
		w.Log.Warn("a time source disagrees with the others", "dissenting", c.Dissenting, "agreeing", c.Agreeing)
	}
	return c
}

func (w *Watch) judge(readings []Reading) Comparison {
	found := agree(readings)
	c := Comparison{
		At: w.Now(), moment: time.Now(), Readings: readings, Agreeing: found.agreeing, Dissenting: found.dissent,
		Offset: (found.low + found.high) / 2, Uncertainty: (found.high - found.low) / 2,
	}
	off := max(found.high, -found.low) // the farthest that the true time may be from ours
	switch {
	case len(found.agreeing) < w.Quorum:
		c.Err = ErrTime.With("%d of %d sources agree, %d must%s", len(found.agreeing), len(readings), w.Quorum, failures(readings))
	case len(found.agreeing) <= len(found.dissent):
		c.Err = ErrTime.With("%v agree, and %v disagree with them", found.agreeing, found.dissent)
	case off > w.Accuracy:
		c.Err = ErrTime.With("the clock may be off by %s, %s is promised", off, w.Accuracy)
	}
	return c
}

// failures tells what sources said instead of a time.
func failures(readings []Reading) (said string) {
	for _, r := range readings {
		if r.Err != nil {
			said += "; " + r.Err.Error()
		}
	}
	return said
}

// Last returns the outcome of the last round.
func (w *Watch) Last() Comparison {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

// Check tells whether the clock is to be believed at this moment: nil, or ErrTime.
func (w *Watch) Check() error {
	last := w.Last()
	switch {
	case last.At.IsZero():
		return ErrTime.With("the sources were not asked yet")
	case last.Err != nil:
		return last.Err
	}
	passed := time.Since(last.moment) // monotonic: does not follow when the clock is set
	if passed > freshness*w.Every {
		return ErrTime.With("the last comparison was %s ago", passed.Round(time.Second))
	}
	if step := w.Now().Round(0).Sub(last.At.Round(0)) - passed; step.Abs() > w.Accuracy/2 {
		return ErrTime.With("the clock was set by about %s since the last comparison", step.Round(time.Millisecond))
	}
	return nil
}
