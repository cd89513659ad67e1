package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"hufu/hsm"
	"hufu/internal/fault"
)

// watch knows how each device is and since when. It logs each change once.
type watch struct {
	log   *slog.Logger
	now   func() time.Time
	parts []*part
}

// part is a device, or one of several with the same keys.
type part struct {
	name   string
	health func(context.Context) error

	mu    sync.Mutex
	busy  bool          // a question is under way
	told  chan struct{} // closed when its answer, or that there was none in time, is noted
	seen  bool
	err   error
	since time.Time // UTC, of the present state
}

// healthTime is how long a device may take to say how it is.
const healthTime = 3 * time.Second

func (w *watch) add(name string, health func(context.Context) error) {
	w.parts = append(w.parts, &part{name: name, health: health})
}

// watchEvery is how often devices are asked when nobody else asks.
const watchEvery = 5 * time.Second

// run looks again and again until ctx ends.
func (w *watch) run(ctx context.Context) {
	for sleep(ctx, watchEvery) {
		w.look(ctx)
	}
}

// look asks every device, all at once, and returns when all have answered or ctx ends.
func (w *watch) look(ctx context.Context) {
	var asking sync.WaitGroup
	for _, p := range w.parts {
		asking.Go(func() { w.ask(ctx, p) })
	}
	asking.Wait()
}

// ask has one question to a device under way at a time, however many wait for it: a device that hangs keeps one goroutine.
func (w *watch) ask(ctx context.Context, p *part) {
	p.mu.Lock()
	if !p.busy {
		p.busy, p.told = true, make(chan struct{})
		go w.question(context.WithoutCancel(ctx), p, p.told)
	}
	told := p.told
	p.mu.Unlock()
	select {
	case <-told:
	case <-ctx.Done(): // who asked has gone; that says nothing about the device
	}
}

// question notes what a device says within healthTime, and stays until it has said it.
func (w *watch) question(ctx context.Context, p *part, told chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	said := make(chan error, 1)
	go func() { said <- p.health(ctx) }()
	free := func() { // the next who asks puts a question of its own
		p.mu.Lock()
		p.busy = false
		p.mu.Unlock()
	}
	select {
	case err := <-said:
		w.note(p, err)
		free()
		close(told)
	case <-ctx.Done():
		w.note(p, hsm.ErrUnavailable.With("%s said nothing in %s", p.name, healthTime))
		close(told)
		<-said
		free()
	}
}

func (w *watch) note(p *part, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed := !p.seen || code(p.err) != code(err)
	if changed {
		p.since = w.now().UTC()
	}
	first := !p.seen
	p.err, p.seen = err, true
	switch {
	case !changed:
	case err != nil:
		w.log.Error("device does not work", "device", p.name, "code", code(err), "error", err)
	case !first:
		w.log.Info("device works again", "device", p.name)
	}
}

// code is the stable name of a failure, "" for none.
func code(err error) string {
	if err == nil {
		return ""
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Code
	}
	return "internal"
}

// deviceState is a device in the answer of /readyz. It tells strangers neither paths nor what the driver said.
type deviceState struct {
	Name  string    `json:"name"`
	State string    `json:"state"` // ok or failed
	Since time.Time `json:"since"`
	Code  string    `json:"code,omitempty"`
	ZH    string    `json:"zh,omitempty"`
	EN    string    `json:"en,omitempty"`
}

func (w *watch) states() (all []deviceState, failed int) {
	for _, p := range w.parts {
		p.mu.Lock()
		s := deviceState{Name: p.name, State: "ok", Since: p.since, Code: code(p.err)}
		if p.err != nil {
			s.State = "failed"
			failed++
			if f, ok := errors.AsType[*fault.Error](p.err); ok {
				s.ZH, s.EN = f.Text.ZH, f.Text.EN
			}
		}
		p.mu.Unlock()
		all = append(all, s)
	}
	return all, failed
}

// readiness is the answer of /readyz.
type readiness struct {
	Database string        `json:"database"` // ok or failed
	Device   string        `json:"device"`   // ok, degraded (some device failed, the others serve) or failed
	Devices  []deviceState `json:"devices"`
	Notes    []note        `json:"notes,omitempty"`
}

// ready asks devices and database.
func (s *server) ready(ctx context.Context) (readiness, bool) {
	r := readiness{Device: "ok", Database: "ok"}
	well := true
	s.watch.look(ctx)
	failed := 0
	if r.Devices, failed = s.watch.states(); failed > 0 {
		r.Device = "degraded"
	}
	if err := s.deviceServes(ctx, failed); err != nil {
		r.Device, well = "failed", false
	}
	if err := s.db.Health(ctx); err != nil {
		if ctx.Err() == nil { // else whoever asked has gone
			s.log.Error("not ready", "part", "database", "error", err)
		}
		r.Database, well = "failed", false
	}
	if well {
		r.Notes = slices.Concat(s.notes(ctx), s.foreignNotes(ctx), s.statusNotes(ctx), s.timeNotes())
	}
	return r, well
}

// deviceServes asks the whole key store, made of all devices, where a part of it failed.
func (s *server) deviceServes(ctx context.Context, failed int) error {
	if failed == 0 {
		return nil
	}
	if failed == len(s.watch.parts) {
		return hsm.ErrUnavailable
	}
	whole := &part{name: "key store", health: s.device.Health}
	quiet := &watch{log: slog.New(slog.DiscardHandler), now: s.now}
	quiet.ask(ctx, whole)
	whole.mu.Lock()
	defer whole.mu.Unlock()
	return whole.err
}

// serveReady answers 200 when devices and database can work, also when a spare device failed, else 503; and what failed
// since when.
func (s *server) serveReady(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), healthTime+time.Second)
	defer cancel()
	state, well := s.ready(ctx)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !well {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(state) // to a client that may have gone
}
