package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
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

// DestroyVersion is Destroy for device keys and data keys alike. Where there is more than one super administrator, two of
// them must ask for it within an hour: the first gets ErrSecond.
func (k *Keys) DestroyVersion(ctx context.Context, who actor.Actor, key string, number uint32) error {
	if err := k.CheckDestroy(ctx, who, key, number); err != nil {
		return err
	}
	if err := k.confirm(ctx, who, key, number); err != nil {
		return err
	}
	if purpose, ok := dataPurpose(key); ok {
		return k.destroyData(ctx, who, purpose, number)
	}
	return k.Destroy(ctx, who, key, number)
}

// CheckDestroy refuses what DestroyVersion would refuse, but for the second person, and changes nothing.
func (k *Keys) CheckDestroy(ctx context.Context, who actor.Actor, key string, number uint32) error {
	if err := who.Require(actor.RoleSuperAdmin); err != nil {
		return err
	}
	return k.store.View(ctx, func(r R) error {
		if last, err := r.LastRotation(key); err == nil && !last.ended() && !last.onlyHeld() {
			return ErrRotating.With("key %s", key)
		}
		if purpose, ok := dataPurpose(key); ok {
			_, err := k.endable(r, purpose, number)
			return err
		}
		all, err := r.Versions(key)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(v Version) bool { return v.Number == number })
		if i < 0 || all[i].State == Destroyed || all[i].State == Void {
			return ErrUnknown.With("version %d of key %q", number, key)
		}
		v := all[i]
		if v.State != Retired || k.time().Sub(v.Retired) < overlap {
			return ErrState.With("destroy key %s: it is %s", v, v.State)
		}
		under, err := r.Under(key, number)
		if err == nil && under {
			err = ErrInUse.With("destroy key %s", v)
		}
		return err
	})
}

// confirm notes what one person asks for, and passes when another has asked for it before. The system, and the only super
// administrator that there is, need nobody else.
func (k *Keys) confirm(ctx context.Context, who actor.Actor, key string, number uint32) error {
	if who.Capacity == actor.System {
		return nil
	}
	second := false
	err := k.change(ctx, func(w W) (bool, error) {
		second = false
		n, err := w.SuperAdministrators()
		if err != nil || n < 2 {
			return err == nil, err
		}
		asked, err := w.Asked(key, number)
		if err != nil && !errors.Is(err, ErrUnknown) {
			return false, err
		}
		now := k.time()
		if err == nil && now.Before(asked.Until) && actor.Checker(actor.Actor{Subject: asked.By}, who) == nil {
			return w.TakeDestruction(asked)
		}
		second = true
		if err := w.AskDestruction(Destruction{Key: key, Number: number, By: who.Subject, At: now, Until: now.Add(askedFor)}); err != nil {
			return false, err
		}
		return true, w.Record(audit.Entry{
			At: now, Actor: who, Action: "key.destroy-asked", Object: audit.Object{Kind: "key", ID: fmt.Sprintf("%s/%d", key, number)},
		})
	})
	if errors.Is(err, errLost) {
		return ErrBusy.With("destroy key %s/%d", key, number)
	}
	if err == nil && second {
		return ErrSecond.With("destroy key %s/%d", key, number)
	}
	return err
}

// endable returns a version of a data key that nothing needs any more.
func (k *Keys) endable(r R, purpose string, number uint32) (DataVersion, error) {
	all, err := r.DataVersions(purpose)
	if err != nil {
		return DataVersion{}, err
	}
	i := slices.IndexFunc(all, func(d DataVersion) bool { return d.Number == number && d.State != Destroyed })
	if i < 0 {
		return DataVersion{}, ErrUnknown.With("version %d of data key %q", number, purpose)
	}
	d := all[i]
	fenced := ways[DataPrefix+purpose] == Resealed // no transaction can use it any more
	if d.State != Retired || !fenced && k.time().Sub(d.Retired) < overlap {
		return d, ErrState.With("destroy data key %s/%d: it is %s", purpose, number, d.State)
	}
	held, err := r.Holds(d)
	if err == nil && held {
		err = ErrNeeded.With("data key %s/%d", purpose, number)
	}
	return d, err
}

// destroyData erases a retired data key. The wrapped octets are all that there is of it.
func (k *Keys) destroyData(ctx context.Context, who actor.Actor, purpose string, number uint32) error {
	err := k.change(ctx, func(w W) (bool, error) {
		if err := w.NextTurn(); err != nil {
			return false, err
		}
		before, err := k.endable(w, purpose, number)
		if err != nil {
			return false, err
		}
		after := before
		after.State, after.Wrapped = Destroyed, []byte{}
		if ok, err := w.ReplaceData(before, after); err != nil || !ok {
			return false, err
		}
		return true, w.Record(audit.Entry{
			At: k.time(), Actor: who, Action: "key.destroyed", Public: map[string]string{"purpose": purpose},
			Object: audit.Object{Kind: "key", ID: fmt.Sprintf("%s%s/%d", DataPrefix, purpose, number)},
		})
	})
	if errors.Is(err, errLost) {
		return ErrBusy.With("destroy data key %s/%d", purpose, number)
	}
	return err
}
