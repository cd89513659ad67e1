//go:build cgo

package pkcs11

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	p11 "github.com/miekg/pkcs11"

	"hufu/hsm"
	"hufu/hsm/internal/aside"
)

// Device is an opened token.
type Device struct {
	cfg     Config
	profile *Profile
	mod     *module
	pin     []byte // for logging in again; cleared on Close
	can     abilities
	signers hsm.Signers

	patience time.Duration   // of Close
	life     context.Context // ends with Close
	end      context.CancelFunc
	places   chan struct{} // one for each operation on the device; full = all sessions work
	crew     *aside.Crew
	idle     chan *session
	making   chan struct{} // lock: one key is made or destroyed at a time
	linking  chan struct{} // lock: connecting and logging in
	asking   chan struct{} // lock: one question of Health at a time, which needs no place

	restoring sync.WaitGroup
	vague     atomic.Int64 // failures in a row that may mean anything

	mu       sync.Mutex
	closed   bool
	pinFault error         // the token refused the PIN: nothing is tried any more
	lost     error         // the circuit is open
	cut      chan struct{} // closed when the circuit opens
	link     *link
	epoch    uint64 // of object handles; those of an earlier epoch are found again
	token    p11.TokenInfo
	wrong    time.Time // when a wrong signature was last withheld
	cache    map[string][]*key
}

// closeTime is how long Close waits for calls that do not come back; wrongTime for how long a wrong signature makes Health fail.
const (
	closeTime = 10 * time.Second
	wrongTime = time.Minute
)

// Open loads the module, logs in to one token and proves its profile. pin is copied; the caller clears its own. The failures:
// ErrNoModule, ErrNotStarted, ErrNoToken, ErrNoProfile, and of package hsm ErrProfile, ErrWrongPIN, ErrPINLocked, ErrUnavailable.
func Open(ctx context.Context, c Config, pin []byte) (hsm.Device, error) {
	type opened struct {
		d   *Device
		err error
	}
	if err := ctx.Err(); err != nil {
		return nil, hsm.ErrUnavailable.With("open token %s: %w", c.Token, err)
	}
	c, pin = c.filled(), bytes.Clone(pin)
	done := make(chan opened)
	go func() {
		d, err := open(ctx, c, pin)
		select {
		case done <- opened{d, err}:
		case <-ctx.Done():
			if d != nil {
				_ = d.Close()
			}
		}
	}()
	select {
	case o := <-done:
		if o.err != nil {
			return nil, asFault("open token "+c.Token, o.err)
		}
		return o.d, nil
	case <-ctx.Done():
		return nil, hsm.ErrUnavailable.With("open token %s: %w", c.Token, ctx.Err())
	}
}

func open(ctx context.Context, c Config, pin []byte) (*Device, error) {
	mod, err := useModule(ctx, c.Module)
	if err != nil {
		clear(pin)
		return nil, err
	}
	d := &Device{
		cfg: c, mod: mod, pin: pin, patience: closeTime, cache: map[string][]*key{}, cut: make(chan struct{}),
		making: make(chan struct{}, 1), linking: make(chan struct{}, 1), asking: make(chan struct{}, 1),
		crew: aside.NewCrew(c.Sessions),
	}
	d.life, d.end = context.WithCancel(context.Background())
	if err := d.start(ctx); err != nil {
		_ = d.Close()
		return nil, err
	}
	mod.join(d)
	return d, nil
}

// start chooses the profile, logs in and runs the probe.
func (d *Device) start(ctx context.Context) error {
	if err := d.mod.enter(ctx); err != nil {
		return err
	}
	defer d.mod.leave()
	slot, token, err := findToken(d.mod.lib, d.cfg.Token)
	if err != nil {
		return err
	}
	info, err := d.mod.lib.GetInfo()
	if err != nil {
		return step("C_GetInfo", err)
	}
	if d.profile, err = chooseProfile(d.cfg, info.ManufacturerID, info.LibraryDescription, token.ManufacturerID, token.Model); err != nil {
		return err
	}
	size := bounded(d.cfg.Sessions, d.profile.Sessions, token.MaxSessionCount, token.MaxRwSessionCount)
	d.places, d.idle = make(chan struct{}, size), make(chan *session, size)
	l, err := d.openLink(ctx)
	if err != nil {
		return err
	}
	d.setLink(l)
	mechanisms, err := d.mod.lib.GetMechanismList(slot)
	if err != nil {
		return step("C_GetMechanismList", err)
	}
	s, err := d.lend(ctx, true)
	if err != nil {
		return err
	}
	defer d.give(s, classNone)
	return d.prove(s, mechanisms)
}

// bounded returns how many sessions work at once; the keeper has one besides.
func bounded(wanted, profile int, counts ...uint) int {
	size := wanted
	if profile > 0 {
		size = min(size, profile)
	}
	for _, count := range counts {
		if count != p11.CK_UNAVAILABLE_INFORMATION && count > 0 && count < 1<<20 {
			size = min(size, int(count)-1)
		}
	}
	return max(size, 1)
}

// ready refuses when nothing can be done now.
func (d *Device) ready(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch err := ctx.Err(); {
	case d.closed:
		return hsm.ErrClosed.With("token %s", d.cfg.Token)
	case err != nil:
		return hsm.ErrUnavailable.With("token %s: %w", d.cfg.Token, err)
	case d.pinFault != nil:
		return d.pinFault
	}
	return d.lost
}

// Health asks the device a question that needs no session of the pool, so that it tells when all of them hang.
func (d *Device) Health(ctx context.Context) error {
	if err := d.ready(ctx); err != nil {
		return err
	}
	if n := d.crew.Abandoned(); n >= int64(cap(d.places)) {
		return hsm.ErrUnavailable.With("token %s: %d calls have not come back", d.cfg.Token, n)
	}
	if err := lockUnder(ctx, d.asking); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		defer func() { <-d.asking }()
		done <- d.ask(ctx)
	}()
	select {
	case err := <-done:
		if err != nil {
			return err
		}
	case <-ctx.Done():
		return hsm.ErrUnavailable.With("health of token %s: %w", d.cfg.Token, ctx.Err())
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if age := d.cfg.Now().Sub(d.wrong); !d.wrong.IsZero() && age < wrongTime {
		return hsm.ErrSignature.With("token %s, %s ago", d.cfg.Token, age.Truncate(time.Second))
	}
	return nil
}

// ask looks at the keeper session and the token, and answers the failures as a call would.
func (d *Device) ask(ctx context.Context) error {
	if err := d.mod.enter(ctx); err != nil {
		return err
	}
	defer d.mod.leave()
	l, epoch, err := d.current(ctx)
	if err == nil {
		var info p11.SessionInfo
		if info, err = d.mod.lib.GetSessionInfo(l.keeper); err == nil && !loggedIn(info.State) {
			err = p11.Error(p11.CKR_USER_NOT_LOGGED_IN)
		}
	}
	if c := d.profile.classOf(err); c == classLogin || c == classSession {
		err = d.relogin(ctx, epoch)
	}
	if err == nil {
		_, err = d.mod.lib.GetTokenInfo(l.slot)
	}
	return d.judge(d.profile.classOf(err), "health of token "+d.cfg.Token, err)
}

// Close ends all use. Calls under way are finished; those that the device does not let go within ten seconds are reported and
// left to themselves: the module stays as it is until the last of them has come back.
func (d *Device) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	d.mu.Unlock()
	d.end()
	d.crew.Close()
	d.mod.part(d)
	done := make(chan error, 1)
	go func() { done <- d.finish() }()
	select {
	case err := <-done:
		return err
	case <-time.After(d.patience):
		return hsm.ErrUnavailable.With("close token %s: calls have not come back, %d of them abandoned", d.cfg.Token, d.crew.Abandoned())
	}
}

// finish waits for the operations under way and the attempts to bring the device back, and then lets everything go.
func (d *Device) finish() error {
	for range cap(d.places) {
		d.places <- struct{}{}
	}
	d.restoring.Wait()
	d.dropSessions()
	clear(d.pin)
	return d.mod.leaveModule(closeTime)
}

// dropSessions closes the sessions of this device alone; the login ends with the last one of the process.
func (d *Device) dropSessions() {
	if d.mod.enter(context.Background()) != nil {
		return
	}
	defer d.mod.leave()
	for {
		select {
		case s := <-d.idle:
			if s.link.gen == d.mod.generation() {
				_ = s.lib.CloseSession(s.h)
			}
			continue
		default:
		}
		break
	}
	if l, _ := d.linkNow(); l != nil && l.gen == d.mod.generation() {
		_ = d.mod.lib.CloseSession(l.keeper)
	}
}

// reference is where a key stands, for showing.
func (d *Device) reference(id []byte, label string) string {
	if len(id) == 0 {
		return fmt.Sprintf("%s, label %s", d.tokenInfo().Label, label)
	}
	return fmt.Sprintf("%s, id %x", d.tokenInfo().Label, id[:min(len(id), coreLen)])
}

var errNotLoggedIn = p11.Error(p11.CKR_USER_NOT_LOGGED_IN)
