package hsm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

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
