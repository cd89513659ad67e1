package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
	"hufu/internal/fault"
)

// Destroy ends a retired version for ever: the decision is recorded first, then the device destroys, then the end is
// recorded. A version retired less than a minute ago may still be at work on another node and is refused, as is a master
// key that other keys stand under. For the system and super administrators.
func (k *Keys) Destroy(ctx context.Context, who actor.Actor, label string, number uint32) error {
	if err := who.Require(actor.RoleSuperAdmin); err != nil {
		return err
	}
	v, err := k.version(ctx, label, number)
	if err != nil {
		return err
	}
	now := k.time()
	if v.State != Retired || now.Sub(v.Retired) < overlap {
		return ErrState.With("destroy key %s: it is %s since %s", v, v.State, v.Retired.Format(time.RFC3339))
	}
	if purposes[v.Purpose].pinned {
		return ErrInUse.With("destroy key %s: its purpose is %s", v, v.Purpose)
	}
	ending := v
	ending.State = Destroying
	err = k.change(ctx, func(w W) (bool, error) {
		if under, err := w.Under(label, number); err != nil {
			return false, err
		} else if under {
			return false, ErrInUse.With("destroy key %s", v)
		}
		if ok, err := w.ReplaceVersion(v, ending); err != nil || !ok {
			return false, err
		}
		return true, w.Record(ended(ending, who, "key.destroy", now))
	})
	if errors.Is(err, errLost) {
		return ErrBusy.With("destroy key %s", v)
	}
	if err != nil {
		return err
	}
	return k.finish(ctx, who, ending)
}

// finish destroys on the device what was decided to be destroyed, and records that it is done.
func (k *Keys) finish(ctx context.Context, who actor.Actor, v Version) error {
	if err := k.device.Destroy(ctx, v.Reference); err != nil && fault.KindOf(err) != fault.NotFound {
		return fmt.Errorf("destroy key %s: %w", v, err)
	}
	gone := v
	gone.State, gone.Destroyed = Destroyed, k.time()
	err := k.change(ctx, func(w W) (bool, error) {
		if ok, err := w.ReplaceVersion(v, gone); err != nil || !ok {
			return false, err
		}
		return true, w.Record(ended(gone, who, "key.destroyed", gone.Destroyed))
	})
	if errors.Is(err, errLost) { // another node finished it meanwhile
		return nil
	}
	return err
}

func ended(v Version, who actor.Actor, action string, at time.Time) audit.Entry {
	return audit.Entry{
		At: at, Actor: who, Action: action, Object: audit.Object{Kind: "key", ID: v.String()},
		Public: map[string]string{"purpose": v.Purpose},
	}
}
