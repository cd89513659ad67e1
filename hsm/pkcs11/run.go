//go:build cgo

package pkcs11

import (
	"context"
	"errors"
	"slices"
	"time"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
	"hufu/internal/fault"
)

// session is one of the pool, lent to one operation at a time.
type session struct {
	d      *Device
	lib    *p11.Ctx
	h      p11.SessionHandle
	link   *link
	epoch  uint64 // of handles, at the time of lending
	broken bool   // an operation was left unfinished in it

	unsteady bool // objects vanished or moved during the last look over the token
}

// run lends op a session, aside: when the context ends, run returns and op goes on alone until the device lets it go; its place
// in the pool stays taken until then, which bounds how many are so abandoned. What op returns then is thrown away, and handed
// to undo, if there is one. op may be called again after a failure of class A or B, and must not touch what its caller sees.
func run[T any](ctx context.Context, d *Device, what string, op func(s *session) (T, error), undo func(T)) (T, error) {
	var none T
	if err := d.ready(ctx); err != nil {
		return none, err
	}
	if err := d.place(ctx); err != nil {
		return none, err
	}
	var v T
	var err error
	call := func() { v, err = attempt(ctx, d, what, op) }
	after := func(left bool) {
		if left && err == nil && undo != nil {
			undo(v)
		}
		<-d.places
	}
	if !d.crew.Run(ctx, call, after) {
		return none, hsm.ErrUnavailable.With("%s: %w", what, ctx.Err())
	}
	return v, err
}

// place takes a place in the pool, under the context and as long as the circuit is closed.
func (d *Device) place(ctx context.Context) error {
	for {
		select {
		case d.places <- struct{}{}:
			err := d.ready(ctx)
			if err != nil {
				<-d.places
			}
			return err
		case <-ctx.Done():
			return hsm.ErrUnavailable.With("wait for one of %d sessions: %w", cap(d.places), ctx.Err())
		case <-d.tripped():
		case <-d.life.Done():
		}
		if err := d.ready(ctx); err != nil {
			return err
		}
	}
}

// retries is how often an operation is tried again after a failure of a class. A login or handle may be lost twice while the
// keys are being found again.
var retries = map[class]int{classSession: 1, classLogin: 2}

// attempt runs op on a session and answers the classes A and B; C opens the circuit.
func attempt[T any](ctx context.Context, d *Device, what string, op func(s *session) (T, error)) (T, error) {
	var none T
	if err := d.mod.enter(ctx); err != nil {
		return none, err
	}
	defer d.mod.leave()
	var tried [classPIN + 1]int
	for {
		s, err := d.lend(ctx, tried[classSession] > 0)
		var v T
		if err == nil {
			v, err = op(s)
		}
		c := d.profile.classOf(err)
		d.give(s, c)
		again := tried[c] < retries[c] && ctx.Err() == nil
		if again && c == classLogin && s != nil {
			if lost := d.relogin(ctx, s.epoch); lost != nil {
				err, again = lost, false
				c = d.profile.classOf(err)
			}
		}
		if !again {
			return v, d.judge(c, what, err)
		}
		tried[c]++
	}
}

// judge draws the conclusions of an operation's end for the whole device, and turns its failure into a fault.
func (d *Device) judge(c class, what string, err error) error {
	code, _ := codeOf(err)
	_, decided := errors.AsType[*fault.Error](err)
	switch {
	case err == nil:
		d.vague.Store(0)
	case errors.Is(err, ErrNoToken): // it was there when the device was opened
		d.trip(err)
		return hsm.ErrUnavailable.With("%s: %w", what, err)
	case decided: // whatever code stands behind it: data that does not open never counts against the device
	case c == classDevice:
		d.trip(err)
	case slices.Contains(vague, code):
		if d.vague.Add(1) >= vagueLimit {
			d.trip(err)
		}
	}
	return asFault(what, err)
}

// lend returns an idle session of the current link, or opens one; fresh asks for a new one and closes those that are idle, since
// they may be lost as well. The caller is inside the module.
func (d *Device) lend(ctx context.Context, fresh bool) (*session, error) {
	l, epoch, err := d.current(ctx)
	if err != nil {
		return nil, err
	}
	for {
		s := d.popIdle(l)
		if s == nil {
			break
		}
		if !fresh {
			s.epoch = epoch
			return s, nil
		}
		_ = s.lib.CloseSession(s.h)
	}
	h, err := d.mod.lib.OpenSession(l.slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
	if code, _ := codeOf(err); code == p11.CKR_SESSION_COUNT {
		return d.lendIdle(ctx, l, epoch)
	}
	if err != nil {
		return nil, step("C_OpenSession", err)
	}
	return &session{d: d, lib: d.mod.lib, h: h, link: l, epoch: epoch}, nil
}

// popIdle returns an idle session of the module's generation, if there is one. The handles of others mean nothing any more, or
// somebody else's session.
func (d *Device) popIdle(l *link) *session {
	for {
		select {
		case s := <-d.idle:
			if s.link.gen == l.gen {
				return s
			}
		default:
			return nil
		}
	}
}

// lendIdle waits for a session of somebody else, when the token gives no more.
func (d *Device) lendIdle(ctx context.Context, l *link, epoch uint64) (*session, error) {
	end := time.After(tryTime)
	for {
		select {
		case s := <-d.idle:
			if s.link.gen != l.gen {
				continue
			}
			s.epoch = epoch
			return s, nil
		case <-ctx.Done():
			return nil, hsm.ErrUnavailable.With("the token gives no more sessions: %w", ctx.Err())
		case <-end:
			return nil, hsm.ErrUnavailable.With("the token gives no more sessions")
		case <-d.life.Done():
			return nil, hsm.ErrClosed.With("token %s", d.cfg.Token)
		}
	}
}

// give takes a session back, or closes it if it may be lost. The caller is inside the module.
func (d *Device) give(s *session, c class) {
	if s == nil {
		return
	}
	if c == classNone && !s.broken {
		select {
		case d.idle <- s:
			return
		default:
		}
	}
	if s.link.gen == d.mod.generation() {
		_ = s.lib.CloseSession(s.h)
	}
}
