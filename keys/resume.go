package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
)

// system is who acts when the service itself does.
var system = actor.ForSystem("keys")

// halfMadeFor is how long a many key may stay half-made before it is taken for left behind by a crash.
const halfMadeFor = 10 * time.Minute

// Resume takes up what a crash left: it records keys made before the database could record, completes versions whose key
// the device holds already, voids those it does not hold, finishes destructions, and voids many keys that stayed half-made.
// Call it at the start, after Unlock, and now and then. Run on several nodes at once it does no harm.
func (k *Keys) Resume(ctx context.Context) error {
	all, err := k.Versions(ctx, "")
	if err != nil {
		return err
	}
	for _, v := range all {
		if err := k.resume(ctx, v); err != nil && !errors.Is(err, errLost) {
			return fmt.Errorf("resume key %s: %w", v, err)
		}
	}
	if err := k.recordData(ctx); err != nil {
		return err
	}
	if err := k.resumeRotations(ctx); err != nil {
		return err
	}
	return k.voidHalfMade(ctx)
}

func (k *Keys) resume(ctx context.Context, v Version) error {
	switch {
	case v.State == Making:
		return k.resumeMaking(ctx, v)
	case v.State == Destroying:
		return k.finish(ctx, system, v)
	case !v.Recorded && v.State != Void:
		recorded := v
		recorded.Recorded = true
		return k.change(ctx, func(w W) (bool, error) {
			if ok, err := w.ReplaceVersion(v, recorded); err != nil || !ok {
				return false, err
			}
			return true, w.Record(made(v, system))
		})
	}
	return nil
}

func (k *Keys) resumeMaking(ctx context.Context, v Version) error {
	k.making.Lock()
	defer k.making.Unlock()
	info, ok, err := k.onDevice(ctx, v.Reference)
	if err != nil {
		return err
	}
	if ok {
		_, err := k.activate(ctx, v, info, order{who: system})
		return err
	}
	void := v
	void.State, void.Destroyed = Void, k.time()
	return k.change(ctx, func(w W) (bool, error) { return w.ReplaceVersion(v, void) })
}

// recordData records the data keys that Unlock made.
func (k *Keys) recordData(ctx context.Context) error {
	var all []DataVersion
	err := k.store.View(ctx, func(r R) (err error) {
		all, err = r.DataVersions("")
		return err
	})
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.Recorded {
			continue
		}
		recorded := d
		recorded.Recorded = true
		err := k.change(ctx, func(w W) (bool, error) {
			if ok, err := w.ReplaceData(d, recorded); err != nil || !ok {
				return false, err
			}
			return true, w.Record(madeData(d, system))
		})
		if err != nil && !errors.Is(err, errLost) {
			return fmt.Errorf("record data key %s/%d: %w", d.Purpose, d.Number, err)
		}
	}
	return nil
}

func (k *Keys) voidHalfMade(ctx context.Context) error {
	const batch = 200
	for {
		n := 0
		err := k.store.Update(ctx, func(w W) error {
			half, err := w.HalfMade(k.time().Add(-halfMadeFor), batch)
			if n = len(half); err != nil {
				return err
			}
			for _, before := range half {
				after := before
				after.State, after.Wrapped, after.Destroyed = Void, []byte{}, k.time()
				if ok, err := w.ReplaceWrapped(before, after); err != nil || !ok {
					return err
				}
				if err := errors.Join(w.DropOwner(after.ID), w.Record(ofWrapped(after, system, "key.void", after.Destroyed))); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil || n < batch {
			return err
		}
	}
}

func madeData(d DataVersion, who actor.Actor) audit.Entry {
	return audit.Entry{
		At: d.Made, Actor: who, Action: "key.generate",
		Object: audit.Object{Kind: "key", ID: fmt.Sprintf("data:%s/%d", d.Purpose, d.Number)},
		Public: map[string]string{"purpose": d.Purpose, "master": fmt.Sprintf("%s/%d", d.Master, d.MasterVersion)},
	}
}
