//go:build cgo

package pkcs11

import (
	"context"
	"time"

	"hufu/hsm"
)

// How long the driver waits while it brings a lost device back.
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 5 * time.Second
	drainTime  = 2 * time.Second // for calls inside the module to come back before it is initialized again
	tryTime    = 10 * time.Second
)

// trip opens the circuit: from now on every call fails at once, and one goroutine brings the device back.
func (d *Device) trip(cause error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lost != nil || d.closed {
		return
	}
	d.lost = hsm.ErrUnavailable.With("token %s is lost and being brought back: %w", d.cfg.Token, cause)
	close(d.cut)
	var seen uint64
	if d.link != nil {
		seen = d.link.gen
	}
	d.cfg.Log.Warn("the token is lost", "token", d.cfg.Token, "cause", cause)
	d.restoring.Go(func() { d.restore(seen) })
}

// tripped is closed when the circuit opens.
func (d *Device) tripped() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.cut
}

// restore tries until the device works, the PIN is refused, or the device is closed.
func (d *Device) restore(seen uint64) {
	pause := firstPause
	for try := 0; ; try++ {
		err := d.restoreOnce(seen, try)
		if err == nil {
			d.mu.Lock()
			d.lost, d.cut = nil, make(chan struct{})
			d.mu.Unlock()
			d.vague.Store(0)
			d.cfg.Log.Info("the token works again", "token", d.cfg.Token, "tries", try+1)
			return
		}
		if d.refusedPIN() != nil {
			d.cfg.Log.Error("the token refuses the PIN; it is not tried again", "token", d.cfg.Token)
			return
		}
		d.cfg.Log.Debug("the token is still lost", "token", d.cfg.Token, "try", try+1, "cause", err)
		select {
		case <-time.After(pause):
		case <-d.life.Done():
			return
		}
		pause = min(2*pause, lastPause)
		seen = d.mod.generation()
	}
}

// restoreOnce initializes the module again and connects anew. Where other devices work on the module, connecting alone is tried
// first; when that does not help they have to wait for a moment and to connect anew too, ever more rarely.
func (d *Device) restoreOnce(seen uint64, try int) error {
	var reset error
	if often := try&(try-1) == 0 && try > 0; often || !d.mod.othersWork(d) {
		reset = d.mod.reinitialize(seen, drainTime)
	}
	ctx, cancel := context.WithTimeout(d.life, tryTime)
	defer cancel()
	if err := d.mod.enter(ctx); err != nil {
		return err
	}
	defer d.mod.leave()
	if err := lockUnder(ctx, d.linking); err != nil {
		return err
	}
	defer func() { <-d.linking }()
	old, _ := d.linkNow()
	l, err := d.openLink(ctx)
	if err != nil {
		return err
	}
	if reset != nil {
		d.cfg.Log.Debug("connected without a new start of the module", "token", d.cfg.Token, "cause", reset)
	}
	d.setLink(l)
	if old != nil && old.gen == l.gen {
		_ = d.mod.lib.CloseSession(old.keeper)
	}
	return nil
}
