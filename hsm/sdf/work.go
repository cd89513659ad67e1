package sdf

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hufu/hsm"
	"hufu/internal/fault"
)

// circuit is whether the device is open, and when it may be opened again.
type circuit struct {
	open       bool
	generation uint64        // counts the openings
	delay      time.Duration // before the next opening; zero after success, so that the first failure is answered at once
	until      time.Time     // no opening before that
	cause      error
}

const (
	firstDelay = 100 * time.Millisecond
	longDelay  = 30 * time.Second
)

// failed opens the circuit.
func (c *circuit) failed(cause error) {
	c.open, c.cause = false, cause
	c.until = time.Now().Add(c.delay)
	c.delay = min(max(2*c.delay, firstDelay), longDelay)
}

// work runs f with a session of its own and returns no later than ctx ends. The call into the library goes on behind it and
// keeps its session until it comes back, so that a library that hangs takes at most all sessions, never more threads. f
// is run once more where a fresh session, or a device opened again, may help. It must not read what is its caller's: that one
// may have left.
func work[T any](ctx context.Context, d *Device, f func(*session) (T, error)) (T, error) {
	var none T
	if err := d.begin(ctx); err != nil {
		return none, err
	}
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > d.cfg.Timeout { // a timer that could not be the first to fire costs, too
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.cfg.Timeout)
		defer cancel()
	}
	slots := d.slots
	select {
	case slots <- struct{}{}:
	case <-ctx.Done():
		return none, hsm.ErrUnavailable.With("wait for a session: %w", ctx.Err())
	}
	var result T
	var err error
	call := func() {
		result, err = repeated(ctx, d, f)
		for errors.Is(err, errFull) && d.shrink() {
			select {
			case slots <- struct{}{}:
				result, err = repeated(ctx, d, f)
			case <-ctx.Done():
				err = hsm.ErrUnavailable.With("wait for a session: %w", ctx.Err())
				return // its own place was given up
			}
		}
		<-slots
	}
	if !d.crew.Run(ctx, call, nil) {
		return none, hsm.ErrUnavailable.With("the library has not come back: %w", ctx.Err())
	}
	return result, err
}

// Reasons to begin again that are no failures of the work.
var (
	errReopening = errors.New("the device is being opened again")
	errFull      = errors.New("the device gives no more sessions")
)

// mostRounds bounds how often work begins anew because others broke the circuit meanwhile.
const mostRounds = 8

// repeated runs f, and once more after a failure that may have been the session's or the device's.
func repeated[T any](ctx context.Context, d *Device, f func(*session) (T, error)) (result T, err error) {
	failures := 0
	for range mostRounds {
		var again bool
		result, again, err = once(ctx, d, f)
		if err == nil || !again {
			return result, err
		}
		if !errors.Is(err, errReopening) {
			failures++
		}
		if failures > 1 || ctx.Err() != nil {
			return result, err
		}
	}
	return result, hsm.ErrUnavailable.With("SDF device: %w", err)
}

// once runs f with one session, and says whether it is worth trying again.
func once[T any](ctx context.Context, d *Device, f func(*session) (T, error)) (result T, again bool, err error) {
	if err := d.ready(ctx); err != nil {
		return result, false, err
	}
	d.calls.RLock()
	defer d.calls.RUnlock()
	s, err := d.take(ctx)
	if err != nil {
		return result, errors.Is(err, errReopening) || d.broke(err), err
	}
	result, err = f(s)
	failed := (*failure)(nil)
	switch {
	case errors.Is(err, hsm.ErrSignature):
		s.close()
		return result, false, err
	case !errors.As(err, &failed):
		d.give(s, err == nil)
		return result, false, err
	}
	switch failed.class() {
	case classDevice:
		s.close()
		d.broke(err)
		return result, true, err
	case classRight, classDoubt:
		s.close()
		return result, true, err
	}
	d.give(s, true)
	return result, false, err
}

// ready opens the device if it is not open and its time has come.
func (d *Device) ready(ctx context.Context) error {
	d.mu.Lock()
	open, until, cause := d.circuit.open, d.circuit.until, d.circuit.cause
	d.mu.Unlock()
	if open {
		return nil
	}
	if wait := time.Until(until); wait > 0 {
		return hsm.ErrUnavailable.With("SDF device is opened again in %v: %w", wait.Round(time.Millisecond), cause)
	}
	d.calls.Lock() // waits for calls that are still in the library
	defer d.calls.Unlock()
	if err := d.begin(ctx); err != nil {
		return err
	}
	d.mu.Lock()
	open, until = d.circuit.open, d.circuit.until
	d.mu.Unlock()
	if open {
		return nil // another one was first
	}
	if time.Until(until) > 0 {
		return hsm.ErrUnavailable.With("SDF device does not open: %w", cause)
	}
	d.tearDown()
	handle, code := d.openDevice()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := check("SDF_OpenDevice", code); err != nil {
		d.circuit.failed(err)
		return hsm.ErrUnavailable.With("SDF device does not open: %w", err)
	}
	d.handle = handle
	d.circuit.open = true
	d.circuit.generation++
	for range d.lost {
		<-d.slots
	}
	d.lost = 0
	return nil
}

// tearDown closes the sessions and the device. The caller holds calls for writing.
func (d *Device) tearDown() {
	d.mu.Lock()
	idle, handle := d.idle, d.handle
	d.idle, d.handle, d.circuit.open = nil, 0, false
	d.mu.Unlock()
	for _, s := range idle {
		s.close()
	}
	if handle != 0 && d.lib.closeDevice(handle) != ok {
		d.stale = handle
	}
}

// openDevice opens the device. Some libraries have one device at a time: where an earlier one did not close, that is tried
// again first. The caller holds calls for writing.
func (d *Device) openDevice() (uintptr, status) {
	handle, code := d.lib.openDevice()
	if code == ok || d.stale == 0 || d.lib.closeDevice(d.stale) != ok {
		return handle, code
	}
	d.stale = 0
	return d.lib.openDevice()
}

// broke opens the circuit after a failure of the device, and reports whether it was one. A failure of an opening that is
// over does not count.
func (d *Device) broke(err error) bool {
	f := (*failure)(nil)
	if !errors.As(err, &f) || f.class() != classDevice {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.circuit.open {
		d.cfg.Log.Warn("SDF device failed", "error", err)
		d.circuit.failed(err)
	}
	return true
}

// take returns an idle session or opens one. The caller holds calls.
func (d *Device) take(ctx context.Context) (*session, error) {
	if err := d.begin(ctx); err != nil {
		return nil, err
	}
	d.mu.Lock()
	var s *session
	if last := len(d.idle) - 1; last >= 0 {
		s, d.idle = d.idle[last], d.idle[:last]
	}
	open, handle, generation := d.circuit.open, d.handle, d.circuit.generation
	dropped := d.dropped
	d.mu.Unlock()
	if !open {
		return nil, errReopening
	}
	if s != nil {
		s.release(dropped)
		return s, nil
	}
	session, code := d.lib.openSession(handle)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := check("SDF_OpenSession", code); err != nil {
		if d.live > 0 {
			return nil, errFull // others have theirs; should the device have failed, they will notice
		}
		return nil, err
	}
	d.live++
	return newSession(d, session, generation, len(dropped)), nil
}

// shrink takes the caller's place out of use until the device is opened again: the device bears fewer sessions than we
// were told. It is false when that was the last place.
func (d *Device) shrink() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lost+1 >= cap(d.slots) {
		return false
	}
	d.lost++
	d.cfg.Log.Warn("SDF device gives no more sessions; fewer are used", "sessions", cap(d.slots)-d.lost)
	return true
}

// give puts a session back. The caller holds calls.
func (d *Device) give(s *session, worked bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if worked {
		d.circuit.delay = 0
	}
	d.idle = append(d.idle, s)
}

// translate turns a failure of a call into a refusal; refusals stay as they are.
func translate(err error, format string, args ...any) error {
	if err == nil || fault.KindOf(err) != fault.Internal {
		return err
	}
	f := (*failure)(nil)
	if !errors.As(err, &f) {
		return hsm.ErrUnavailable.With("%s: %w", fmt.Sprintf(format, args...), err)
	}
	what := fmt.Sprintf(format, args...)
	switch f.class() {
	case classLacks:
		return hsm.ErrMechanism.With("%s: %w", what, err)
	case classRight:
		return hsm.ErrWrongPIN.With("%s: no access right to the key: %w", what, err)
	case classNoKey:
		return hsm.ErrChanged.With("%s: nothing stands there: %w", what, err)
	}
	return hsm.ErrUnavailable.With("%s: %w", what, err)
}
