package main

import (
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"hufu/certs"
	"hufu/internal/fault"
	"hufu/internal/timesource"
)

// TSA is how time-stamps are given (RFC 3161, GB/T 20520).
type TSA struct {
	// Policy is the OID of the time-stamp policy, in every token. Empty: one of the example arc, which promises nothing.
	Policy string `yaml:"policy,omitempty"`
	// AccuracyMS is how far the clock may be off, in milliseconds; it stands in every token. Empty: 1000.
	AccuracyMS int `yaml:"accuracy_ms,omitempty"`
	// Sources are NTP servers, "host" or "host:port", and the word database for the clock of PostgreSQL's machine. No
	// time-stamps are given while they do not confirm this machine's clock. Empty: the operator keeps it right.
	Sources []string `yaml:"sources,omitempty"`
	// Quorum is how many sources must agree. Empty: more than half.
	Quorum int `yaml:"quorum,omitempty"`
}

// databaseClock is the word for PostgreSQL's clock among the sources.
const databaseClock = "database"

func (c *Config) checkTSA() error {
	t := c.TSA
	if t.Policy != "" {
		if _, err := certs.ParseOID(t.Policy); err != nil {
			return errConfig.With("tsa: policy %q is not an object identifier", t.Policy)
		}
	}
	switch {
	case t.AccuracyMS < 0 || t.AccuracyMS > 60_000:
		return errConfig.With("tsa: accuracy_ms %d is not within 1 and 60000", t.AccuracyMS)
	case t.Quorum < 0 || t.Quorum > len(t.Sources):
		return errConfig.With("tsa: quorum %d with %d sources", t.Quorum, len(t.Sources))
	case slices.Contains(t.Sources, databaseClock) && strings.HasPrefix(c.dsn(), "sqlite:"):
		return errConfig.With("tsa: the embedded database has this machine's own clock and cannot confirm it")
	}
	for i, s := range t.Sources {
		if s == "" || slices.Contains(t.Sources[:i], s) {
			return errConfig.With("tsa: source %q is empty or named twice", s)
		}
		if strings.ContainsAny(s, " /@") || strings.Contains(s, ":") && net.ParseIP(s) == nil && !isHostPort(s) {
			return errConfig.With("tsa: source %q is neither host nor host:port", s)
		}
	}
	return nil
}

func isHostPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	number, err2 := strconv.ParseUint(port, 10, 16)
	return err == nil && err2 == nil && host != "" && number > 0
}

func (t TSA) accuracy() time.Duration {
	if t.AccuracyMS == 0 {
		return time.Second
	}
	return time.Duration(t.AccuracyMS) * time.Millisecond
}

// openTime makes the comparison of clocks; nil without sources.
func (s *server) openTime() (*timesource.Watch, error) {
	var sources []timesource.Source
	for _, name := range s.cfg.TSA.Sources {
		if name == databaseClock {
			sources = append(sources, timesource.Clock(name, s.now, s.db.Clock))
		} else {
			sources = append(sources, timesource.NTP(name))
		}
	}
	if len(sources) == 0 {
		return nil, nil
	}
	return timesource.New(timesource.Config{
		Sources: sources, Quorum: s.cfg.TSA.Quorum, Accuracy: s.cfg.TSA.accuracy(), Now: s.now, Log: s.log,
	})
}

// timeNotes tells of a clock that its sources do not confirm: nothing else stops, but no time-stamps are given.
func (s *server) timeNotes() []note {
	if s.time == nil {
		return nil
	}
	err := s.time.Check()
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return nil
	}
	return []note{{Code: f.Code, About: "clock", Until: s.now(), ZH: f.Text.ZH, EN: f.Text.EN}}
}
