package hsm

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Part is one device of a Join.
type Part struct {
	Name       string
	Device     Device
	Algorithms []string // what is made here; nil = all that the device has
}

// Join is several devices that hold different keys, used as one. A key is made in the first part that takes its
// algorithm, and found by its label wherever it is. References are prefixed with the name of the part.
type Join struct {
	parts []Part

	mu     sync.Mutex
	closed bool
	homes  map[string]int  // label to part, as last seen
	making map[string]bool // labels that are being made
}

// NewJoin makes one device of parts that hold different keys.
func NewJoin(parts []Part) (*Join, error) {
	members := make([]Member, len(parts))
	for i, p := range parts {
		members[i] = Member{p.Name, p.Device}
		for _, a := range p.Algorithms {
			if uses[a] == nil {
				return nil, ErrMechanism.With("device %q is to keep algorithm %q", p.Name, a)
			}
		}
	}
	if err := checkMembers(members); err != nil {
		return nil, err
	}
	return &Join{parts: slices.Clone(parts), homes: map[string]int{}, making: map[string]bool{}}, nil
}

func (j *Join) begin(ctx context.Context) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return ErrClosed.With("%d devices", len(j.parts))
	}
	if err := ctx.Err(); err != nil {
		return ErrUnavailable.With("%d devices: %w", len(j.parts), err)
	}
	return nil
}

// in finds the part that knows label by trying f, first where it was seen last.
func in[T any](ctx context.Context, j *Join, label string, f func(d Device) (T, error)) (T, error) {
	var none T
	if err := j.begin(ctx); err != nil {
		return none, err
	}
	home, seen := j.home(label)
	if seen {
		result, err := f(j.parts[home].Device)
		if !errors.Is(err, ErrNotFound) {
			return result, err
		}
		j.forget(label)
	}
	var failure, unknown error
	for i, p := range j.parts {
		if seen && i == home {
			continue
		}
		result, err := f(p.Device)
		switch {
		case errors.Is(err, ErrNotFound):
			unknown = err
		case err == nil:
			j.remember(label, i)
			return result, nil
		case holds(ctx, p.Device, label):
			return none, err // the key is there, and this is its answer
		default:
			failure = cmpError(failure, fmt.Errorf("device %s: %w", p.Name, err))
		}
	}
	if failure == nil && unknown == nil {
		unknown = ErrNotFound.With("key %q", label)
	}
	return none, cmpError(failure, unknown)
}

// holds reports whether a device says that it has label.
func holds(ctx context.Context, d Device, label string) bool {
	keys, err := d.Keys(ctx)
	return err == nil && findKey(keys, label) != nil
}

func (j *Join) home(label string) (int, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	i, ok := j.homes[label]
	return i, ok
}

func (j *Join) remember(label string, part int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.homes[label] = part
}

func (j *Join) forget(label string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.homes, label)
}

// Signer finds the key and returns its device's signer.
func (j *Join) Signer(ctx context.Context, label string) (crypto.Signer, error) {
	return in(ctx, j, label, func(d Device) (crypto.Signer, error) { return d.Signer(ctx, label) })
}

// Decrypter finds the key and returns its device's decrypter.
func (j *Join) Decrypter(ctx context.Context, label string) (crypto.Decrypter, error) {
	return in(ctx, j, label, func(d Device) (crypto.Decrypter, error) { return d.Decrypter(ctx, label) })
}

// Wrap encrypts where the key is.
func (j *Join) Wrap(ctx context.Context, label string, data, aad []byte) ([]byte, error) {
	return in(ctx, j, label, func(d Device) ([]byte, error) { return d.Wrap(ctx, label, data, aad) })
}

// Unwrap is the inverse of Wrap.
func (j *Join) Unwrap(ctx context.Context, label string, wrapped, aad []byte) ([]byte, error) {
	return in(ctx, j, label, func(d Device) ([]byte, error) { return d.Unwrap(ctx, label, wrapped, aad) })
}

// MAC works where the key is.
func (j *Join) MAC(ctx context.Context, label string, data []byte) ([]byte, error) {
	return in(ctx, j, label, func(d Device) ([]byte, error) { return d.MAC(ctx, label, data) })
}

// GenerateInside makes the key in the device that holds master.
func (j *Join) GenerateInside(ctx context.Context, master string, aad []byte) (wrapped []byte, public *ecdsa.PublicKey, err error) {
	k, err := in(ctx, j, master, func(d Device) (insideKey, error) {
		inside, ok := d.(Inside)
		if !ok {
			return insideKey{}, opensNone(ctx, d, master)
		}
		wrapped, public, err := inside.GenerateInside(ctx, master, aad)
		return insideKey{wrapped, public}, err
	})
	return k.wrapped, k.public, err
}

// SignInside opens a wrapped key in the device that holds master.
func (j *Join) SignInside(ctx context.Context, master string, wrapped, aad []byte, public *ecdsa.PublicKey, e []byte) ([]byte, error) {
	return in(ctx, j, master, func(d Device) ([]byte, error) {
		inside, ok := d.(Inside)
		if !ok {
			return nil, opensNone(ctx, d, master)
		}
		return inside.SignInside(ctx, master, wrapped, aad, public, e)
	})
}

// opensNone is the answer of a device that opens no keys within: ErrMechanism for a master that it holds, ErrNotFound else.
func opensNone(ctx context.Context, d Device, master string) error {
	keys, err := d.Keys(ctx)
	switch {
	case err != nil:
		return err
	case findKey(keys, master) == nil:
		return ErrNotFound.With("key %q", master)
	}
	return ErrMechanism.With("key %q: the device opens no keys within", master)
}

var (
	_ Device     = (*Join)(nil)
	_ Inside     = (*Join)(nil)
	_ Membership = (*Join)(nil)
)
