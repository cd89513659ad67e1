package hsm

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"maps"
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

// Keys lists the keys of all parts by label. A part that does not answer is an error: a list with gaps would mislead.
func (j *Join) Keys(ctx context.Context) ([]Info, error) {
	if err := j.begin(ctx); err != nil {
		return nil, err
	}
	all := map[string]Info{}
	for _, p := range j.parts {
		keys, err := p.Device.Keys(ctx)
		if err != nil {
			return nil, fmt.Errorf("device %s: %w", p.Name, err)
		}
		for _, k := range keys {
			if other, twice := all[k.Label]; twice {
				return nil, ErrDamaged.With("key %q stands in %s and in %s", k.Label, other.Reference, p.Name)
			}
			k.Reference = p.Name + "/" + k.Reference
			all[k.Label] = k
		}
	}
	list := make([]Info, 0, len(all))
	for _, label := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[label])
	}
	return list, nil
}

// Generate makes the key in the first part that takes its algorithm. All parts must answer: the label may stand in any.
func (j *Join) Generate(ctx context.Context, spec Spec) (Info, error) {
	if err := j.begin(ctx); err != nil {
		return Info{}, err
	}
	spec, err := CheckSpec(spec)
	if err != nil {
		return Info{}, err
	}
	if !j.claim(spec.Label) {
		return Info{}, ErrExists.With("key %q is being made", spec.Label)
	}
	defer j.release(spec.Label)
	for _, p := range j.parts {
		keys, err := p.Device.Keys(ctx)
		if err != nil {
			return Info{}, fmt.Errorf("make key %q: device %s: %w", spec.Label, p.Name, err)
		}
		if findKey(keys, spec.Label) != nil {
			return Info{}, ErrExists.With("key %q in %s", spec.Label, p.Name)
		}
	}
	for i, p := range j.parts {
		if p.Algorithms != nil && !slices.Contains(p.Algorithms, spec.Algorithm) {
			continue
		}
		made, err := p.Device.Generate(ctx, spec)
		if p.Algorithms == nil && errors.Is(err, ErrMechanism) {
			continue // it does not have the algorithm; where the configuration says that it has, the error stands
		}
		if err != nil {
			return Info{}, err
		}
		j.remember(spec.Label, i)
		made.Reference = p.Name + "/" + made.Reference
		return made, nil
	}
	return Info{}, ErrMechanism.With("key %q: no device takes %s to %s", spec.Label, spec.Algorithm, spec.Use)
}

// claim keeps two of the same label from being made in two parts at once.
func (j *Join) claim(label string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.making[label] {
		return false
	}
	j.making[label] = true
	return true
}

func (j *Join) release(label string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.making, label)
}

// Destroy removes the key where it is.
func (j *Join) Destroy(ctx context.Context, label string) error {
	_, err := in(ctx, j, label, func(d Device) (struct{}, error) { return struct{}{}, d.Destroy(ctx, label) })
	j.forget(label)
	return err
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

// Health is nil while every part can work, and names the first that cannot.
func (j *Join) Health(ctx context.Context) error {
	if err := j.begin(ctx); err != nil {
		return err
	}
	answers := make([]error, len(j.parts))
	j.each(func(i int, p Part) { answers[i] = p.Device.Health(ctx) })
	for i, err := range answers {
		if err != nil {
			return fmt.Errorf("device %s: %w", j.parts[i].Name, err)
		}
	}
	return nil
}

// Members tells how each part is. For a part that is a group the members stand instead, as "part/member".
func (j *Join) Members(ctx context.Context) []MemberHealth {
	answers := make([][]MemberHealth, len(j.parts))
	j.each(func(i int, p Part) {
		group, ok := p.Device.(Membership)
		if !ok {
			answers[i] = []MemberHealth{{Name: p.Name, Err: p.Device.Health(ctx)}}
			return
		}
		answers[i] = group.Members(ctx)
		for k := range answers[i] {
			answers[i][k].Name = p.Name + "/" + answers[i][k].Name
		}
	})
	return slices.Concat(answers...)
}

// each runs f for all parts at once and waits.
func (j *Join) each(f func(i int, p Part)) {
	var wg sync.WaitGroup
	for i, p := range j.parts {
		wg.Go(func() { f(i, p) })
	}
	wg.Wait()
}

// Close closes every part. Closing twice is no error.
func (j *Join) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil
	}
	j.closed = true
	var errs []error
	for _, p := range j.parts {
		errs = append(errs, p.Device.Close())
	}
	return errors.Join(errs...)
}

var (
	_ Device     = (*Join)(nil)
	_ Inside     = (*Join)(nil)
	_ Membership = (*Join)(nil)
)
