package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
)

// JobRotate is the kind of the durable job that carries rotations on; its key is the rotation's id. Hand it to Advance.
const JobRotate = "keys.rotate"

const (
	batch = 200              // rows of one transaction
	slice = 20 * time.Second // of work before the job makes room for others
	again = time.Hour        // between two looks at what waits
)

// BeginRotation begins to replace the version of a key that works, makes the new one and leaves the rest to the job. A
// rotation that has begun is taken to its end, whoever stops in between. For the system and super administrators.
func (k *Keys) BeginRotation(ctx context.Context, who actor.Actor, key string) (Progress, error) {
	if err := who.Require(actor.RoleSuperAdmin); err != nil {
		return Progress{}, err
	}
	var p Progress
	err := k.change(ctx, func(w W) (bool, error) {
		var err error
		if p, err = plan(w, key); err != nil {
			return false, err
		}
		if ok, err := k.supersede(w, key); err != nil || !ok {
			return ok, err
		}
		p.ID, p.By, p.Begun, p.Changed = rand.Text(), who.String(), k.time(), k.time()
		if ok, err := w.InsertRotation(p); err != nil || !ok {
			return ok, err
		}
		if err := w.Record(p.entry(who, "key.rotate", k.time())); err != nil {
			return false, err
		}
		return true, w.Enqueue(JobRotate, p.ID, nil, k.time())
	})
	if errors.Is(err, errLost) {
		return Progress{}, ErrRotating.With("key %s", key)
	}
	if err != nil {
		return Progress{}, err
	}
	if err := k.advance(ctx, p); err != nil && !errors.Is(err, errLost) {
		return p, fmt.Errorf("rotate key %s, which will be tried again: %w", key, err)
	}
	return k.rotation(ctx, p.ID)
}

// supersede ends a rotation that waits for nothing but rows that the program cannot bring over: after a compromise, the next
// one must not wait for their owners. The new rotation counts and tries these rows too.
func (k *Keys) supersede(w W, key string) (bool, error) {
	last, err := w.LastRotation(key)
	if errors.Is(err, ErrUnknown) || err == nil && last.ended() {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	done := last
	done.Phase = PhaseDone
	return k.put(w, last, done)
}

func (p Progress) entry(who actor.Actor, action string, at time.Time) audit.Entry {
	public := map[string]string{"from": fmt.Sprint(p.From), "way": string(p.Way), "rotation": p.ID}
	if p.To != 0 {
		public["to"] = fmt.Sprint(p.To)
	}
	return audit.Entry{At: at, Actor: who, Action: action, Object: audit.Object{Kind: "key", ID: p.Key}, Public: public}
}

// Progress returns the rotations that are under way and the newest of the others. For administrators.
func (k *Keys) Progress(ctx context.Context, who actor.Actor) (all []Progress, err error) {
	if err := who.Require(actor.RoleSuperAdmin, actor.RoleBusinessAdmin, actor.RoleAuditAdmin); err != nil {
		return nil, err
	}
	err = k.store.View(ctx, func(r R) (err error) {
		all, err = r.Rotations(50)
		return err
	})
	return all, err
}

func (k *Keys) rotation(ctx context.Context, id string) (p Progress, err error) {
	err = k.store.View(ctx, func(r R) (err error) {
		p, err = r.Rotation(id)
		return err
	})
	return p, err
}

// Advance carries a rotation on for some seconds, and leaves a job for the rest. It is what the job JobRotate does. Each
// step commits how far it is together with what it did, so that it may stop anywhere and run on several nodes at once.
func (k *Keys) Advance(ctx context.Context, id string) error {
	for began := k.now(); ; {
		p, err := k.rotation(ctx, id)
		if err != nil || p.ended() {
			return err
		}
		if at, now := p.NotBefore, k.now(); at.After(now) || now.Sub(began) > slice {
			return k.store.Update(ctx, func(w W) error { return w.Enqueue(JobRotate, id, nil, at) })
		}
		if err := k.advance(ctx, p); err != nil && !errors.Is(err, errLost) {
			return fmt.Errorf("rotate key %s, %s: %w", p.Key, p.Phase, err)
		}
	}
}

// resumeRotations sees to it that each rotation under way has a job.
func (k *Keys) resumeRotations(ctx context.Context) error {
	return k.store.Update(ctx, func(w W) error {
		all, err := w.Rotations(0)
		for _, p := range all {
			if err == nil && !p.ended() {
				err = w.Enqueue(JobRotate, p.ID, nil, p.NotBefore)
			}
		}
		return err
	})
}

// advance takes one step.
func (k *Keys) advance(ctx context.Context, p Progress) error {
	switch p.Phase {
	case PhaseMaking:
		return k.makeNext(ctx, p)
	case PhasePublished:
		return k.promote(ctx, p)
	case PhaseWorking, PhaseWaiting:
		if p.Way == Rewrapped {
			return k.rewrap(ctx, p)
		}
		return k.remake(ctx, p)
	}
	return k.settle(ctx, p, PhaseDone, nil)
}

// makeNext makes the new version. It is there already when a crash came in between.
func (k *Keys) makeNext(ctx context.Context, p Progress) error {
	if purpose, ok := dataPurpose(p.Key); ok {
		return k.makeNextData(ctx, p, purpose)
	}
	old, err := k.version(ctx, p.Key, p.From)
	if err != nil {
		return err
	}
	o := order{who: rotator, label: p.Key, purpose: old.Purpose, algorithm: old.Algorithm, replaces: p.From}
	if old.Purpose == Master {
		o.algorithm = k.masterAlgorithm
	}
	v, err := k.make(ctx, o)
	if err != nil {
		return err
	}
	p.To = v.Number
	switch p.Way {
	case Announced:
		return k.settle(ctx, p, PhasePublished, W.NextTurn)
	case Rewrapped:
		return k.settle(ctx, p, PhaseWorking, nil)
	}
	return k.settle(ctx, p, PhaseDone, nil)
}

// rotator is who acts in what follows from the beginning of a rotation.
var rotator = actor.ForSystem("rotation")

// settle moves a rotation to another phase.
func (k *Keys) settle(ctx context.Context, p Progress, to Phase, with func(W) error) error {
	before := p
	return k.change(ctx, func(w W) (bool, error) {
		if with != nil {
			if err := with(w); err != nil {
				return false, err
			}
		}
		current, err := w.Rotation(p.ID)
		if err != nil {
			return false, err
		}
		before.Phase, before.Stage, before.Position = current.Phase, current.Stage, current.Position
		if current.Phase != p.Phase {
			return false, nil
		}
		after := p
		after.Phase, after.NotBefore, after.Stage, after.Position = to, time.Time{}, "", ""
		return k.put(w, before, after)
	})
}

// put writes how far a rotation is, when it may go on and, at its end, the record.
func (k *Keys) put(w W, before, after Progress) (bool, error) {
	after.Changed = k.time()
	if after.Phase != before.Phase {
		switch after.Phase {
		case PhasePublished:
			after.NotBefore = after.Changed.Add(after.delay())
		case PhaseFading:
			after.NotBefore = after.Changed.Add(FadesAfter)
		case PhaseDone:
			after.Ended = after.Changed
		}
	}
	if ok, err := w.ReplaceRotation(before, after); err != nil || !ok {
		return false, err
	}
	if after.Phase == PhaseDone {
		return true, w.Record(after.entry(rotator, "key.rotated", after.Changed))
	}
	if after.NotBefore.IsZero() {
		return true, nil
	}
	return true, w.Enqueue(JobRotate, after.ID, nil, after.NotBefore)
}

// promote sets the published version to work and retires the one before, in one transaction that waits for whoever uses
// the old one.
func (k *Keys) promote(ctx context.Context, p Progress) error {
	defer k.forget(p.Key)
	return k.settle(ctx, p, p.afterPublished(), func(w W) error {
		if err := w.NextTurn(); err != nil {
			return err
		}
		if purpose, ok := dataPurpose(p.Key); ok {
			return k.promoteData(w, purpose, p.To)
		}
		all, err := w.Versions(p.Key)
		if err != nil {
			return err
		}
		fresh, ok := inState(all, Published)
		old, was := inState(all, Active)
		if !ok || !was || fresh.Number != p.To {
			return errLost
		}
		after, retired := fresh, old
		after.State, after.Activated = Active, k.time()
		retired.State, retired.Retired = Retired, after.Activated
		return replaceBoth(w.ReplaceVersion, old, retired, fresh, after)
	})
}

// replaceBoth retires one version and activates another.
func replaceBoth[V any](replace func(before, after V) (bool, error), old, retired, fresh, active V) error {
	for _, pair := range [][2]V{{old, retired}, {fresh, active}} {
		if ok, err := replace(pair[0], pair[1]); err != nil {
			return err
		} else if !ok {
			return errLost
		}
	}
	return nil
}

func (p Progress) afterPublished() Phase {
	switch p.Way {
	case Announced:
		return PhaseFading
	case Resealed:
		return PhaseWorking
	}
	return PhaseDone
}

// remake makes the next rows anew under a data key.
func (k *Keys) remake(ctx context.Context, p Progress) error {
	purpose, _ := dataPurpose(p.Key)
	return k.change(ctx, func(w W) (bool, error) {
		stages := w.Stages(purpose)
		after := p
		if p.Stage == "" {
			after.Stage = next(stages, "")
			return k.put(w, p, after)
		}
		last, n, err := w.Remake(purpose, p.Stage, p.Position, batch)
		if err != nil {
			return false, err
		}
		after.Position, after.Done = last, p.Done+int64(n)
		if n == 0 {
			after.Stage, after.Position = next(stages, p.Stage), ""
		}
		if after.Stage == "" {
			after.Phase, after.Total = PhaseDone, after.Done
		}
		after.Total = max(after.Total, after.Done)
		return k.put(w, p, after)
	})
}
