package timesource

import (
	"context"
	"fmt"
	"time"

	"github.com/beevik/ntp"
)

// Reading is what one source says: the true time is ours plus Offset, give or take Uncertainty.
type Reading struct {
	Source      string
	Offset      time.Duration
	Uncertainty time.Duration // never negative
	Err         error         // the source did not answer, or not usably; the other fields are zero then
}

// Source is somebody else's clock.
type Source interface {
	Name() string
	// Read compares the clock with ours, before ctx ends. The error says why there is no reading.
	Read(ctx context.Context) (offset, uncertainty time.Duration, err error)
}

// readTime bounds one question to one source.
const readTime = 3 * time.Second

// NTP is a server that speaks NTP version 4 (RFC 5905), "host" or "host:port".
func NTP(address string) Source { return ntpServer(address) }

type ntpServer string

func (s ntpServer) Name() string { return "ntp:" + string(s) }

func (s ntpServer) Read(ctx context.Context) (offset, uncertainty time.Duration, err error) {
	wait := readTime
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(end))
	}
	if wait <= 0 {
		return 0, 0, context.DeadlineExceeded
	}
	answer, err := ntp.QueryWithOptions(string(s), ntp.QueryOptions{Timeout: wait})
	if err == nil {
		err = answer.Validate() // stratum, kiss of death, root distance, a transmit time before the reference time
	}
	if err != nil {
		return 0, 0, fmt.Errorf("ntp server %s: %w", s, err)
	}
	// RootDistance is half of the way there and back to the primary source plus all dispersion on it: the bound of the error.
	return answer.ClockOffset, answer.RootDistance, nil
}

// Clock is a source that tells a time, for example the database's machine: its answer is taken to be of the middle of the
// call, and half of the call's length is the uncertainty.
func Clock(name string, now func() time.Time, ask func(context.Context) (time.Time, error)) Source {
	return clock{name, now, ask}
}

type clock struct {
	name string
	now  func() time.Time
	ask  func(context.Context) (time.Time, error)
}

func (c clock) Name() string { return c.name }

func (c clock) Read(ctx context.Context) (offset, uncertainty time.Duration, err error) {
	before := c.now()
	told, err := c.ask(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("clock %s: %w", c.name, err)
	}
	half := c.now().Sub(before) / 2
	if half < 0 {
		return 0, 0, fmt.Errorf("clock %s: our own clock went back during the question", c.name)
	}
	return told.Sub(before.Add(half)), half, nil
}
