package keys

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"hufu/internal/actor"
)

// DataKey is an opened data key.
type DataKey struct {
	Version uint32
	Key     []byte
}

// DataKeys are all versions of a data key, opened: the current one closes, each opens. One newer than the current one is
// published and will close soon.
type DataKeys struct {
	Current DataKey
	All     map[uint32][]byte
}

// Unlock makes, on the first start, the master key and the data keys that the database itself needs, and returns the
// latter opened, by purpose: DataField, DataIndex, DataSubjects, DataRows. It is the one call that works while the
// database cannot record yet; Resume records afterwards. A device without the master key that the database names is ErrMoved:
// keys are never made anew over existing data.
func (k *Keys) Unlock(ctx context.Context) (map[string]DataKeys, error) {
	if err := k.ensureMaster(ctx, order{who: system, label: MasterLabel, purpose: Master, early: true}); err != nil {
		return nil, err
	}
	for _, purpose := range storeData {
		if _, err := k.makeData(ctx, system, purpose, true); err != nil {
			return nil, err
		}
	}
	return k.DatabaseKeys(ctx)
}

// DatabaseKeys opens the data keys that the database itself needs, by purpose, as they are now.
func (k *Keys) DatabaseKeys(ctx context.Context) (map[string]DataKeys, error) {
	opened := map[string]DataKeys{}
	for _, purpose := range storeData {
		keys, err := k.Data(ctx, purpose)
		if err != nil {
			return nil, err
		}
		opened[purpose] = keys
	}
	return opened, nil
}

// EnsureMaster makes a master key for others to stand under, if there is none. One that is there keeps its algorithm until it
// is rotated. For the system and super administrators.
func (k *Keys) EnsureMaster(ctx context.Context, who actor.Actor, label string) error {
	if err := who.Require(actor.RoleSuperAdmin); err != nil {
		return err
	}
	if err := checkLabel(label); err != nil {
		return err
	}
	return k.ensureMaster(ctx, order{who: who, label: label, purpose: Master})
}

// EnsureKMCMaster makes the key management centre's own master key, under KMCMasterLabel, if there is none.
func (k *Keys) EnsureKMCMaster(ctx context.Context, who actor.Actor) error {
	if err := who.Require(actor.RoleSuperAdmin); err != nil {
		return err
	}
	return k.ensureMaster(ctx, order{who: who, label: KMCMasterLabel, purpose: KMCMaster})
}

func (k *Keys) ensureMaster(ctx context.Context, o order) error {
	o.algorithm = k.masterAlgorithm
	if v, err := k.active(ctx, o.label); err == nil {
		o.algorithm = v.Algorithm
	} else if !errors.Is(err, ErrUnknown) {
		return err
	}
	_, err := k.make(ctx, o)
	return err
}

// Data opens all versions of a data key. A purpose for which EnsureData was never called is ErrUnknown.
func (k *Keys) Data(ctx context.Context, purpose string) (DataKeys, error) {
	all, err := k.dataVersions(ctx, purpose)
	if err != nil {
		return DataKeys{}, err
	}
	keys := DataKeys{All: map[uint32][]byte{}}
	for _, d := range all {
		if d.State == Destroyed {
			continue
		}
		key, err := k.openData(ctx, d)
		if err != nil {
			return DataKeys{}, err
		}
		keys.All[d.Number] = key
		if d.State == Active {
			keys.Current = DataKey{d.Number, key}
		}
	}
	if keys.Current.Version == 0 {
		return DataKeys{}, ErrUnknown.With("data key for %q", purpose)
	}
	return keys, nil
}

// EnsureData is Data, and makes the key if there is none. For the system and super administrators.
func (k *Keys) EnsureData(ctx context.Context, who actor.Actor, purpose string) (DataKeys, error) {
	if err := who.Require(actor.RoleSuperAdmin); err != nil {
		return DataKeys{}, err
	}
	return k.makeData(ctx, who, purpose, false)
}

// makeData opens a data key, and makes its first version if there is none.
func (k *Keys) makeData(ctx context.Context, who actor.Actor, purpose string, early bool) (DataKeys, error) {
	for range 5 {
		all, err := k.dataVersions(ctx, purpose)
		if err != nil {
			return DataKeys{}, err
		}
		if len(all) > 0 {
			return k.Data(ctx, purpose)
		}
		d, err := k.drawData(ctx, DataVersion{Purpose: purpose, Number: 1, State: Active, Recorded: !early})
		if err != nil {
			return DataKeys{}, err
		}
		err = k.change(ctx, func(w W) (bool, error) { return k.insertData(w, d, who) })
		if err != nil && !errors.Is(err, errLost) {
			return DataKeys{}, err
		}
	}
	return DataKeys{}, ErrBusy.With("make data key for %q", purpose)
}

// drawData draws a key for a version and wraps it.
func (k *Keys) drawData(ctx context.Context, d DataVersion) (DataVersion, error) {
	key := make([]byte, dataSizes[d.Purpose])
	defer clear(key)
	if _, err := rand.Read(key); err != nil {
		return d, fmt.Errorf("draw data key: %w", err)
	}
	d.Master, d.Made = MasterLabel, k.time()
	var err error
	d.MasterVersion, d.Wrapped, err = k.wrap(ctx, MasterLabel, key, dataAAD(d))
	return d, err
}

func (k *Keys) insertData(w W, d DataVersion, who actor.Actor) (bool, error) {
	if ok, err := stands(w, d.Master, d.MasterVersion); err != nil || !ok {
		return ok, err
	}
	if ok, err := w.InsertData(d); err != nil || !ok || !d.Recorded {
		return ok, err
	}
	return true, w.Record(madeData(d, who))
}

// makeNextData makes the version that a rotation is to set to work, and lets all nodes know it.
func (k *Keys) makeNextData(ctx context.Context, p Progress, purpose string) error {
	d, err := k.drawData(ctx, DataVersion{Purpose: purpose, Number: p.From + 1, State: Published, Recorded: true})
	if err != nil {
		return err
	}
	p.To = d.Number
	return k.settle(ctx, p, PhasePublished, func(w W) error {
		if err := w.NextTurn(); err != nil {
			return err
		}
		if ok, err := k.insertData(w, d, rotator); err != nil || ok {
			return err
		}
		return errLost
	})
}

// promoteData sets the published version to work and retires the one before.
func (k *Keys) promoteData(w W, purpose string, number uint32) error {
	all, err := w.DataVersions(purpose)
	if err != nil {
		return err
	}
	var old, fresh DataVersion
	for _, d := range all {
		switch {
		case d.State == Active:
			old = d
		case d.Number == number && d.State == Published:
			fresh = d
		}
	}
	if old.Number == 0 || fresh.Number == 0 {
		return errLost
	}
	active, retired := fresh, old
	active.State, retired.State, retired.Retired = Active, Retired, k.time()
	return replaceBoth(w.ReplaceData, old, retired, fresh, active)
}

func (k *Keys) openData(ctx context.Context, d DataVersion) ([]byte, error) {
	key, err := k.Unwrap(ctx, d.Master, d.Wrapped, dataAAD(d))
	if err != nil {
		return nil, fmt.Errorf("open data key %s/%d: %w", d.Purpose, d.Number, err)
	}
	if len(key) != dataSizes[d.Purpose] {
		return nil, ErrDamaged.With("data key %s/%d of %d octets", d.Purpose, d.Number, len(key))
	}
	return key, nil
}

// dataAAD binds a wrapped data key to its purpose and version.
func dataAAD(d DataVersion) []byte {
	return fmt.Appendf(nil, "hufu data key v1\x00%s\x00%d", d.Purpose, d.Number)
}

func (k *Keys) dataVersions(ctx context.Context, purpose string) (all []DataVersion, err error) {
	if dataSizes[purpose] == 0 {
		return nil, ErrPurpose.With("data key for %q", purpose)
	}
	err = k.store.View(ctx, func(r R) (err error) {
		all, err = r.DataVersions(purpose)
		return err
	})
	return all, err
}
