package keys

import (
	"context"
	"errors"
	"time"

	"hufu/internal/actor"
)

// Adopt gives a key that was made before there was sole control to its owner. It is the only thing that can be done with such a key. What the
// platform could do with it before, copies of the database from before still allow: a new key is stronger.
func (m *Many) Adopt(ctx context.Context, by actor.Actor, id string, e Enrolment) error {
	if err := by.Known(); err != nil {
		return err
	}
	before, err := m.get(ctx, id)
	if err != nil {
		return err
	}
	if before.State != Active || before.Control != ByPlatform {
		return ErrState.With("adopt key %s: it is %s, controlled by its %s", id, before.State, before.Control)
	}
	d, err := m.keys.Unwrap(ctx, before.Master, before.Wrapped, before.aad())
	if err != nil {
		return err
	}
	defer clear(d)
	if _, err := parse(before, d); err != nil {
		return err
	}
	n, err := m.enrol(ctx, id, e)
	if err != nil {
		return err
	}
	defer clear(n.half)
	after := before
	after.Control, after.Master = ByOwner, m.master
	if err := m.reclose(ctx, &after, n, d); err != nil {
		return err
	}
	return m.replace(ctx, before, after, func(w W) error {
		if again, err := w.RecordedAfter("enrolment-"+id, before.endID()); err != nil || again {
			return errors.Join(err, ErrReplayed.With("key %s was adopted or destroyed before", id))
		}
		if err := w.InsertOwner(n.owner); err != nil {
			return err
		}
		return w.Record(m.ofOwned(by, "key.adopt", after, n.owner))
	})
}

// reclose closes a key under a new half and proves the result before it is stored.
func (m *Many) reclose(ctx context.Context, w *Wrapped, n enrolled, in inner) error {
	key := halfKey(n.half, w.ID)
	defer clear(key)
	if err := m.close(ctx, w, n.owner, key, in); err != nil {
		return err
	}
	return m.prove(ctx, *w, n.owner, key)
}

// ChangePIN gives a key a new PIN. The half behind it is new as well, so that the old PIN opens nothing that stands in the database now, and
// all standing activations end: who changes a PIN may have reason to.
func (m *Many) ChangePIN(ctx context.Context, by actor.Actor, id string, old, fresh []byte) error {
	if err := CheckPIN(fresh); err != nil {
		return err
	}
	before, owner, err := m.owned(ctx, by, id)
	if err != nil {
		return err
	}
	half, err := m.tryPIN(ctx, by, owner, old)
	if err != nil {
		return err
	}
	defer clear(half)
	key := halfKey(half, id)
	defer clear(key)
	in, err := m.open(ctx, before, owner, key)
	if err != nil {
		return err
	}
	defer clear(in)
	n, err := m.enrol(ctx, id, Enrolment{PIN: fresh})
	if err != nil {
		return err
	}
	defer clear(n.half)
	if !n.owner.Made.After(owner.Made) { // enrolments of a key have different times
		n.owner.Made = owner.Made.Add(time.Microsecond)
	}
	after := before
	if err := m.reclose(ctx, &after, n, in); err != nil {
		return err
	}
	return m.replace(ctx, before, after, func(w W) error {
		if err := newest(w, before, owner); err != nil {
			return err
		}
		if ok, err := w.ReplaceOwner(owner, n.owner); err != nil || !ok {
			return errors.Join(err, ErrState.With("owner of key %s changed meanwhile", id))
		}
		if err := m.endAll(w, by, id); err != nil {
			return err
		}
		return w.Record(m.ofOwned(by, "key.enrol", after, n.owner))
	})
}
