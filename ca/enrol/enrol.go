package enrol

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"time"

	"hufu/ca"
	"hufu/internal/actor"
	"hufu/internal/limit"
)

// Config is what a Service is made of; every field must be set but those marked optional.
type Config struct {
	Store Store
	CA    *ca.Authority
	Now   func() time.Time

	ConfirmTime  time.Duration              // optional: how long a certificate waits for its confirmation before it is revoked; 15 minutes
	WaitTime     time.Duration              // optional: how long a transaction waits for an officer before it lapses; 60 days, the longest that offices take
	PollTime     time.Duration              // optional: after how long a peer should ask again for an application under approval; a minute
	Clocks       time.Duration              // optional: how far a peer's clock may be off; 10 minutes
	MustConfirm  bool                       // optional: no implicit confirmation, also for peers that ask for it
	Rate         float64                    // optional: requests a second of one address and of one reference, ten times as many at once; 5
	RemoteIP     func(*http.Request) string // optional: address of the caller; default the peer's
	Confidential func(*http.Request) bool   // optional: the request came where nobody can listen; default TLS, or a loopback peer
	Log          *slog.Logger               // optional: nothing is logged
}

// Service lets machines enrol. It is safe for concurrent use.
type Service struct {
	Config
	byAddress *limit.Callers
	byWhom    *limit.Callers
	deriving  chan struct{} // holds one for each MAC being checked
}

// New checks the configuration.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.CA == nil || c.Now == nil {
		return nil, errors.New("enrolment: store, authority and clock must be set")
	}
	for value, otherwise := range map[*time.Duration]time.Duration{&c.ConfirmTime: 15 * time.Minute, &c.WaitTime: 60 * 24 * time.Hour, &c.PollTime: time.Minute, &c.Clocks: 10 * time.Minute} {
		if *value <= 0 {
			*value = otherwise
		}
	}
	if c.Rate <= 0 {
		c.Rate = 5
	}
	if c.RemoteIP == nil {
		c.RemoteIP = limit.PeerIP
	}
	if c.Confidential == nil {
		c.Confidential = confidential
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	rate := limit.Rate{PerSecond: c.Rate, Burst: int(max(1, 10*c.Rate))}
	return &Service{Config: c, byAddress: limit.New(rate, c.Now), byWhom: limit.New(rate, c.Now), deriving: make(chan struct{}, 2*runtime.GOMAXPROCS(0))}, nil
}

// Handler serves /.well-known/cmp and /.well-known/est/.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /.well-known/cmp", s.serveCMP)
	mux.HandleFunc("POST /.well-known/cmp/p/{profile}", s.serveCMP)
	s.mountEST(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if wait := s.byAddress.Take(limit.Network(s.RemoteIP(r)), 1); wait > 0 {
			refuseHTTP(w, r, ErrLimited.With("address %s", s.RemoteIP(r)), wait)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// confidential holds for TLS, and on this machine.
func confidential(r *http.Request) bool {
	ip := net.ParseIP(limit.PeerIP(r))
	return r.TLS != nil || ip != nil && ip.IsLoopback()
}

// system is the actor of this package's own look-ups.
func system() actor.Actor { return actor.ForSystem("enrol") }
