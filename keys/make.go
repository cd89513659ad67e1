package keys

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// order is what make has to bring about: an active version of a label newer than replaces.
type order struct {
	who       actor.Actor
	label     string
	purpose   string
	algorithm string
	replaces  uint32
	early     bool // the database cannot record yet; Resume records later
}

// Ensure returns the active version of a key and makes the key if there is none. It refuses a label that stands for
// another purpose or algorithm, and a device that does not hold the key. For the system and super administrators.
func (k *Keys) Ensure(ctx context.Context, who actor.Actor, label, purpose, algorithm string) (Version, error) {
	if err := checkOrder(who, label, purpose, algorithm); err != nil {
		return Version{}, err
	}
	return k.make(ctx, order{who: who, label: label, purpose: purpose, algorithm: algorithm})
}

// CheckEnsure refuses what Ensure would refuse and makes nothing: the version that it returns is there already, or in state
// Making and nowhere but in the answer.
func (k *Keys) CheckEnsure(ctx context.Context, who actor.Actor, label, purpose, algorithm string) (Version, error) {
	if err := checkOrder(who, label, purpose, algorithm); err != nil {
		return Version{}, err
	}
	o := order{who: who, label: label, purpose: purpose, algorithm: algorithm}
	all, err := k.Versions(ctx, label)
	if err != nil {
		return Version{}, err
	}
	if v, ok := inState(all, Active); ok {
		return v, k.fits(ctx, v, o)
	}
	return Version{Label: label, Number: uint32(len(all)) + 1, Purpose: purpose, Algorithm: algorithm, State: Making}, nil
}

func checkOrder(who actor.Actor, label, purpose, algorithm string) error {
	if err := who.Require(actor.RoleSuperAdmin); err != nil {
		return err
	}
	if err := checkLabel(label); err != nil {
		return err
	}
	return checkPurpose(purpose, algorithm)
}

// Rotate makes a new version and retires the active one, which goes on opening, verifying and, through SignerAt, signing.
// For the system and super administrators.
func (k *Keys) Rotate(ctx context.Context, who actor.Actor, label string) (Version, error) {
	if err := who.Require(actor.RoleSuperAdmin); err != nil {
		return Version{}, err
	}
	k.forget(label)
	v, err := k.active(ctx, label)
	if err != nil {
		return Version{}, err
	}
	return k.make(ctx, order{who: who, label: label, purpose: v.Purpose, algorithm: v.Algorithm, replaces: v.Number})
}

// errLost tells make that another node was faster; it looks again.
var errLost = errors.New("another node was faster")

func (k *Keys) make(ctx context.Context, o order) (Version, error) {
	k.making.Lock()
	defer k.making.Unlock()
	for range 5 {
		v, err := k.step(ctx, o)
		if !errors.Is(err, errLost) {
			if err == nil && v.State == Active {
				k.remember(v, k.now())
			}
			return v, err
		}
	}
	return Version{}, ErrBusy.With("make key %q", o.label)
}

// step looks how far the order is, whoever worked on it, and takes it to its end.
func (k *Keys) step(ctx context.Context, o order) (Version, error) {
	all, err := k.Versions(ctx, o.label)
	if err != nil {
		return Version{}, err
	}
	if v, ok := inState(all, Active); ok && v.Number > o.replaces {
		return v, k.fits(ctx, v, o)
	}
	if v, ok := inState(all, Published); ok && v.Number > o.replaces {
		return v, k.fits(ctx, v, o)
	}
	if v, ok := inState(all, Making); ok {
		return k.adopt(ctx, v, o)
	}
	v := Version{
		Label: o.label, Number: 1, Purpose: o.purpose, Algorithm: o.algorithm, State: Making, Public: []byte{}, Made: k.time(),
	}
	if len(all) > 0 {
		v.Number = all[len(all)-1].Number + 1
	}
	v.Reference = reference(v)
	if err := k.change(ctx, func(w W) (bool, error) { return w.InsertVersion(v) }); err != nil {
		return Version{}, err
	}
	return k.generate(ctx, v, o)
}

// fits refuses an existing version that is not what was ordered or that the device does not hold.
func (k *Keys) fits(ctx context.Context, v Version, o order) error {
	if v.Purpose != o.purpose || v.Algorithm != o.algorithm {
		return ErrMismatch.With("key %s is for %s with %s, asked for %s with %s", v, v.Purpose, v.Algorithm, o.purpose, o.algorithm)
	}
	info, ok, err := k.onDevice(ctx, v.Reference)
	if err != nil {
		return err
	}
	if !ok {
		return ErrMoved.With("key %s: the device has nothing at %s", v, v.Reference)
	}
	return v.is(info.Public)
}

// adopt completes what a process that stopped, or another node, began. A key that the device already holds is taken: it
// was made for this row and never used. Else the row gets a new reference, so that two makers never meet in one.
func (k *Keys) adopt(ctx context.Context, v Version, o order) (Version, error) {
	info, ok, err := k.onDevice(ctx, v.Reference)
	if err != nil {
		return Version{}, err
	}
	if ok {
		return k.activate(ctx, v, info, o)
	}
	again := v
	again.Purpose, again.Algorithm, again.Reference = o.purpose, o.algorithm, reference(v)
	if err := k.change(ctx, func(w W) (bool, error) { return w.ReplaceVersion(v, again) }); err != nil {
		return Version{}, err
	}
	return k.generate(ctx, again, o)
}

func (k *Keys) generate(ctx context.Context, v Version, o order) (Version, error) {
	info, err := k.device.Generate(ctx, DeviceSpec{
		Label: v.Reference, Algorithm: v.Algorithm, Use: purposes[v.Purpose].use, Purpose: v.Purpose,
	})
	if err != nil {
		return Version{}, fmt.Errorf("generate key %s: %w", v, err)
	}
	return k.activate(ctx, v, info, o)
}

// activate makes a version the active one, retires the one before and records it, in one transaction. A token key that is
// to follow another one is published first.
func (k *Keys) activate(ctx context.Context, v Version, info DeviceInfo, o order) (Version, error) {
	active := v
	var err error
	if active.Public, err = encodePublic(info.Public); err != nil {
		return Version{}, ErrMoved.With("key %s: %w", v, err)
	}
	active.State, active.Activated, active.Recorded = Active, k.time(), !o.early
	err = k.change(ctx, func(w W) (bool, error) {
		all, err := w.Versions(v.Label)
		if err != nil {
			return false, err
		}
		old, follows := inState(all, Active)
		if follows && ways[v.Purpose] == Announced {
			active.State, active.Activated = Published, time.Time{}
		} else if follows {
			retired := old
			retired.State, retired.Retired = Retired, active.Activated
			if ok, err := w.ReplaceVersion(old, retired); err != nil || !ok {
				return false, err
			}
		}
		if ok, err := w.ReplaceVersion(v, active); err != nil || !ok {
			return false, err
		}
		if o.early {
			return true, nil
		}
		return true, w.Record(made(active, o.who))
	})
	if errors.Is(err, errLost) {
		return k.beaten(ctx, v)
	}
	return active, err
}

// beaten looks why activation failed. If another node activated the very key that we made, all is well. Else our key
// belongs to nothing and is destroyed.
func (k *Keys) beaten(ctx context.Context, v Version) (Version, error) {
	now, err := k.Versions(ctx, v.Label)
	if err != nil {
		return Version{}, err
	}
	if i := slices.IndexFunc(now, func(n Version) bool { return n.Reference == v.Reference }); i >= 0 && now[i].State != Void {
		return Version{}, errLost
	}
	if err := k.device.Destroy(ctx, v.Reference); err != nil && fault.KindOf(err) != fault.NotFound {
		return Version{}, err
	}
	return Version{}, errLost
}

// change runs one conditional change; a change that found its row otherwise than expected is rolled back as errLost.
func (k *Keys) change(ctx context.Context, f func(W) (bool, error)) error {
	return k.store.Update(ctx, func(w W) error {
		ok, err := f(w)
		if err == nil && !ok {
			err = errLost
		}
		return err
	})
}

func (k *Keys) onDevice(ctx context.Context, reference string) (DeviceInfo, bool, error) {
	list, err := k.device.Keys(ctx)
	i := slices.IndexFunc(list, func(d DeviceInfo) bool { return d.Label == reference })
	if err != nil || i < 0 {
		return DeviceInfo{}, false, err
	}
	return list[i], true, nil
}

// reference returns a label for the device that was never used before.
func reference(v Version) string {
	return v.Label + ".v" + strconv.FormatUint(uint64(v.Number), 10) + "." + strings.ToLower(rand.Text()[:10])
}

// made is the audit entry of a new version. The public key stands in it by its SM3 fingerprint.
func made(v Version, who actor.Actor) audit.Entry {
	print := gm.SM3(v.Public)
	return audit.Entry{
		At: v.Activated, Actor: who, Action: "key.generate", Object: audit.Object{Kind: "key", ID: v.String()},
		Public: map[string]string{"purpose": v.Purpose, "algorithm": v.Algorithm, "public": hex.EncodeToString(print[:])},
	}
}
