package hsm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Generate makes a key in the first member and waits until all others show it too. If one does not within two seconds,
// the key is destroyed again and the answer is ErrNotReplicated: the group never makes a second key under a label.
func (g *Group) Generate(ctx context.Context, spec Spec) (Info, error) {
	if err := g.begin(ctx); err != nil {
		return Info{}, err
	}
	spec, err := CheckSpec(spec)
	if err != nil {
		return Info{}, err
	}
	if err := g.vacant(ctx, spec.Label); err != nil {
		return Info{}, err
	}
	first := g.members[0]
	made, err := first.Device.Generate(ctx, spec)
	if err != nil {
		return Info{}, err
	}
	for _, m := range g.members[1:] {
		err := g.await(ctx, m, made)
		if err == nil {
			continue
		}
		// The caller's time may have run out; the key must go all the same.
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), oneAttempt)
		defer cancel()
		if gone := first.Device.Destroy(undo, spec.Label); gone != nil {
			err = errors.Join(err, fmt.Errorf("destroy it at %s again: %w", first.Name, gone))
		}
		return Info{}, ErrNotReplicated.With("key %q, made in %s, at %s: %w", spec.Label, first.Name, m.Name, err)
	}
	return made, nil
}

// vacant refuses a label that any member holds, and asks all of them: a member that is away could hold it.
func (g *Group) vacant(ctx context.Context, label string) error {
	for _, m := range g.members {
		keys, err := m.Device.Keys(ctx)
		if err != nil {
			return fmt.Errorf("make key %q in all devices: %s: %w", label, m.Name, err)
		}
		if findKey(keys, label) != nil {
			return ErrExists.With("key %q in %s", label, m.Name)
		}
	}
	return nil
}

func findKey(keys []Info, label string) *Info {
	i := slices.IndexFunc(keys, func(k Info) bool { return k.Label == label })
	if i < 0 {
		return nil
	}
	return &keys[i]
}

// await waits until m shows the key that was made, and makes sure that it is that key.
func (g *Group) await(ctx context.Context, m *member, made Info) error {
	ctx, cancel := context.WithTimeout(ctx, replication)
	defer cancel()
	for {
		keys, err := m.Device.Keys(ctx)
		if err != nil {
			return err
		}
		if k := findKey(keys, made.Label); k != nil {
			return g.sameKey(ctx, m, *k, made)
		}
		select {
		case <-ctx.Done():
			return ErrNotFound.With("key %q does not show", made.Label)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// sameKey compares the public halves; secret keys are compared by what they do.
func (g *Group) sameKey(ctx context.Context, m *member, k, made Info) error {
	if k.Algorithm != made.Algorithm || k.Use != made.Use {
		return ErrNotReplicated.With("key %q is %s to %s", k.Label, k.Algorithm, k.Use)
	}
	first := g.members[0].Device
	probe := []byte("hufu group: the same key?")
	switch {
	case made.Public != nil:
		if !samePublic(k.Public, made.Public) {
			return ErrNotReplicated.With("key %q has another public half", k.Label)
		}
		return nil
	case made.Use == UseMAC:
		return sameMAC(ctx, first, m.Device, made.Label, probe)
	}
	wrapped, err := first.Wrap(ctx, made.Label, probe, nil)
	if err != nil {
		return err
	}
	_, err = m.Device.Unwrap(ctx, made.Label, wrapped, nil)
	return err
}

func sameMAC(ctx context.Context, a, b Device, label string, probe []byte) error {
	one, err := a.MAC(ctx, label, probe)
	if err != nil {
		return err
	}
	other, err := b.MAC(ctx, label, probe)
	if err == nil && !slices.Equal(one, other) {
		err = ErrNotReplicated.With("key %q makes other MACs", label)
	}
	return err
}

// Destroy removes the key from every member. All must answer before the first one destroys anything; a label that one of
// them no longer holds is no error, one that nobody holds is ErrNotFound.
func (g *Group) Destroy(ctx context.Context, label string) error {
	if err := g.begin(ctx); err != nil {
		return err
	}
	for _, m := range g.members {
		if _, err := m.Device.Keys(ctx); err != nil {
			return fmt.Errorf("destroy key %q in all devices: %s: %w", label, m.Name, err)
		}
	}
	var unknown, failure error
	found := false
	for _, m := range g.members {
		err := m.Device.Destroy(ctx, label)
		switch {
		case err == nil:
			found = true
		case errors.Is(err, ErrNotFound):
			unknown = err
		default:
			failure = errors.Join(failure, fmt.Errorf("key %q still stands in %s: %w", label, m.Name, err))
		}
	}
	if failure == nil && !found {
		return unknown
	}
	return failure
}

// Health is nil as soon as one member says that it can work. All are asked, so that one that recovered is used again.
func (g *Group) Health(ctx context.Context) error {
	if err := g.begin(ctx); err != nil {
		return err
	}
	var first error
	answers := g.ask(ctx)
	for range g.members {
		a := <-answers
		if a.err == nil {
			return nil
		}
		first = cmpError(first, fmt.Errorf("device %s: %w", g.members[a.index].Name, a.err))
	}
	return first
}

// answer is what one member says of its health.
type answer struct {
	index int
	err   error
}

// ask asks every member for its health at once and notes the answers, also those that nobody waits for.
func (g *Group) ask(ctx context.Context) <-chan answer {
	answers := make(chan answer, len(g.members))
	for i, m := range g.members {
		go func() {
			err := m.Device.Health(ctx)
			switch {
			case err == nil:
				m.worked()
			case ctx.Err() == nil:
				m.failed()
			}
			answers <- answer{i, err}
		}()
	}
	return answers
}

// Members tells how each member is, and which labels it does not share with the others.
func (g *Group) Members(ctx context.Context) []MemberHealth {
	list := make([]MemberHealth, len(g.members))
	held := make([]map[string]Info, len(g.members))
	answers := g.ask(ctx)
	for range g.members {
		a := <-answers
		list[a.index] = MemberHealth{Name: g.members[a.index].Name, Err: a.err}
	}
	for i, m := range g.members {
		if list[i].Err != nil {
			continue
		}
		keys, err := m.Device.Keys(ctx)
		if err != nil {
			list[i].Err = err
			continue
		}
		held[i] = map[string]Info{}
		for _, k := range keys {
			held[i][k.Label] = k
		}
	}
	compare(list, held)
	return list
}

// compare notes for each member that answered what the first one that holds a label holds and it does not.
func compare(list []MemberHealth, held []map[string]Info) {
	all := map[string]Info{}
	for _, keys := range held {
		for label, k := range keys {
			if _, known := all[label]; !known {
				all[label] = k
			}
		}
	}
	for _, label := range slices.Sorted(maps.Keys(all)) {
		for i, keys := range held {
			if keys == nil {
				continue
			}
			k, has := keys[label]
			want := all[label]
			if !has || k.Algorithm != want.Algorithm || k.Use != want.Use || want.Public != nil && !samePublic(k.Public, want.Public) {
				list[i].Differs = append(list[i].Differs, label)
			}
		}
	}
}

// Close closes every member. Closing twice is no error.
func (g *Group) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	var errs []error
	for _, m := range g.members {
		errs = append(errs, m.Device.Close())
	}
	return errors.Join(errs...)
}
