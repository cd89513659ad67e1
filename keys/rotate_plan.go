package keys

import (
	"context"
	"errors"
	"slices"

	"hufu/internal/actor"
)

// Plan tells how a key would be rotated, or refuses it and says why. It changes nothing. For super administrators.
func (k *Keys) Plan(ctx context.Context, who actor.Actor, key string) (Progress, error) {
	if err := who.Require(actor.RoleSuperAdmin); err != nil {
		return Progress{}, err
	}
	var p Progress
	err := k.store.View(ctx, func(r R) (err error) {
		p, err = plan(r, key)
		return err
	})
	return p, err
}

func plan(r R, key string) (Progress, error) {
	p := Progress{Key: key, Phase: PhaseMaking}
	if last, err := r.LastRotation(key); err == nil && !last.ended() && !last.onlyHeld() {
		return last, ErrRotating.With("key %s", key)
	} else if err != nil && !errors.Is(err, ErrUnknown) {
		return p, err
	}
	if purpose, ok := dataPurpose(key); ok {
		return planData(r, p, purpose)
	}
	all, err := r.Versions(key)
	if err != nil {
		return p, err
	}
	v, ok := inState(all, Active)
	if !ok || v.Label != key { // for no label there are the versions of all
		return p, ErrUnknown.With("key %q", key)
	}
	p.From = v.Number
	if p.Way, err = wayOf(v.Purpose); err != nil || p.Way != Rewrapped {
		return p, err
	}
	for _, s := range sorts {
		n, err := s.count(r, key, p.From+1)
		if err != nil {
			return p, err
		}
		p.Total += n
	}
	return p, nil
}

func planData(r R, p Progress, purpose string) (_ Progress, err error) {
	all, err := r.DataVersions(purpose)
	if err != nil {
		return p, err
	}
	i := slices.IndexFunc(all, func(d DataVersion) bool { return d.State == Active })
	if i < 0 || dataSizes[purpose] == 0 {
		return p, ErrUnknown.With("key %q", p.Key)
	}
	p.From = all[i].Number
	if p.Way, err = wayOf(p.Key); err != nil {
		return p, err
	}
	if p.Way != Resealed {
		return p, nil
	}
	if slices.ContainsFunc(all, func(d DataVersion) bool { return d.State == Retired }) {
		return p, ErrOverlap.With("key %s", p.Key)
	}
	for _, stage := range r.Stages(purpose) {
		n, err := r.Size(stage)
		if err != nil {
			return p, err
		}
		p.Total += n
	}
	return p, nil
}
