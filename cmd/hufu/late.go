package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"errors"
	"sync"

	"hufu/hsm"
)

// late is a device that was away at the start, one of several with the same keys. Each call of Health tries to open it, one
// at a time; until that succeeds everything else is refused with what the last try said. A PIN that was refused is never
// tried again.
type late struct {
	open func(context.Context) (hsm.Device, error)

	trying sync.Mutex // held while a try is under way

	mu     sync.RWMutex
	device hsm.Device // nil until it came
	err    error      // of the last try
	closed bool
}

var _ interface {
	hsm.Device
	hsm.Inside
} = (*late)(nil)

func (l *late) get() (hsm.Device, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	switch {
	case l.closed:
		return nil, hsm.ErrClosed.With("a device that was away")
	case l.device == nil:
		return nil, l.err
	}
	return l.device, nil
}

// Health opens the device if it is still away and may be tried, and tells how it is.
func (l *late) Health(ctx context.Context) error {
	d, err := l.get()
	if err != nil && isAway(err) && l.trying.TryLock() {
		err = l.try(ctx)
		l.trying.Unlock()
		d, _ = l.get()
	}
	if err != nil || d == nil {
		return err
	}
	return d.Health(ctx)
}

func (l *late) try(ctx context.Context) error {
	d, err := l.open(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil && l.closed {
		return errors.Join(hsm.ErrClosed.With("a device that was away"), d.Close())
	}
	l.device, l.err = d, err
	return err
}

// Close gives the device back if it ever came.
func (l *late) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.device == nil {
		return nil
	}
	return l.device.Close()
}

func (l *late) Keys(ctx context.Context) ([]hsm.Info, error) {
	d, err := l.get()
	if err != nil {
		return nil, err
	}
	return d.Keys(ctx)
}

func (l *late) Generate(ctx context.Context, spec hsm.Spec) (hsm.Info, error) {
	d, err := l.get()
	if err != nil {
		return hsm.Info{}, err
	}
	return d.Generate(ctx, spec)
}

func (l *late) Destroy(ctx context.Context, label string) error {
	d, err := l.get()
	if err != nil {
		return err
	}
	return d.Destroy(ctx, label)
}

func (l *late) Signer(ctx context.Context, label string) (crypto.Signer, error) {
	d, err := l.get()
	if err != nil {
		return nil, err
	}
	return d.Signer(ctx, label)
}

func (l *late) Decrypter(ctx context.Context, label string) (crypto.Decrypter, error) {
	d, err := l.get()
	if err != nil {
		return nil, err
	}
	return d.Decrypter(ctx, label)
}

func (l *late) Wrap(ctx context.Context, label string, data, aad []byte) ([]byte, error) {
	d, err := l.get()
	if err != nil {
		return nil, err
	}
	return d.Wrap(ctx, label, data, aad)
}

func (l *late) Unwrap(ctx context.Context, label string, wrapped, aad []byte) ([]byte, error) {
	d, err := l.get()
	if err != nil {
		return nil, err
	}
	return d.Unwrap(ctx, label, wrapped, aad)
}

func (l *late) MAC(ctx context.Context, label string, data []byte) ([]byte, error) {
	d, err := l.get()
	if err != nil {
		return nil, err
	}
	return d.MAC(ctx, label, data)
}

// inside is what the device offers besides; one that is away is refused as such, one that cannot with ErrMechanism.
func (l *late) inside() (hsm.Inside, error) {
	d, err := l.get()
	if err != nil {
		return nil, err
	}
	in, ok := d.(hsm.Inside)
	if !ok {
		return nil, hsm.ErrMechanism.With("the device opens no keys inside")
	}
	return in, nil
}

func (l *late) GenerateInside(ctx context.Context, master string, aad []byte) ([]byte, *ecdsa.PublicKey, error) {
	in, err := l.inside()
	if err != nil {
		return nil, nil, err
	}
	return in.GenerateInside(ctx, master, aad)
}

func (l *late) SignInside(ctx context.Context, master string, wrapped, aad []byte, public *ecdsa.PublicKey, e []byte) ([]byte, error) {
	in, err := l.inside()
	if err != nil {
		return nil, err
	}
	return in.SignInside(ctx, master, wrapped, aad, public, e)
}
