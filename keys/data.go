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

// DataKeys are all versions of a data key, opened: the current one closes, each opens.
type DataKeys struct {
	Current DataKey
	All     map[uint32][]byte
}

// Unlock makes, on the first start, the master key and the data keys that the database itself needs, and returns the
// latter opened, by purpose: DataField, DataIndex, DataSubjects, DataRows. It is the one call that works while the
// database cannot record yet; Resume records afterwards. A device without the master key that the database names is ErrMoved:
// keys are never made anew over existing data.
func (k *Keys) Unlock(ctx context.Context) (map[string]DataKeys, error) {
	if _, err := k.make(ctx, order{who: system, label: MasterLabel, purpose: Master, algorithm: SM4, early: true}); err != nil {
		return nil, err
	}
	opened := map[string]DataKeys{}
	for _, purpose := range storeData {
		keys, err := k.makeData(ctx, system, purpose, 0, true)
		if err != nil {
			return nil, err
		}
		opened[purpose] = keys
	}
	return opened, nil
}

// Data opens all versions of a data key. A purpose for which EnsureData was never called is ErrUnknown.
func (k *Keys) Data(ctx context.Context, purpose string) (DataKeys, error) {
	all, err := k.dataVersions(ctx, purpose)
	if err != nil {
		return DataKeys{}, err
	}
	keys := DataKeys{All: map[uint32][]byte{}}
	for _, d := range all {
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
	return k.makeData(ctx, who, purpose, 0, false)
}

// RotateData makes a new version, which closes from now on; older ones still open. Those who hold the opened keys must
// ask again. For the system and super administrators.
func (k *Keys) RotateData(ctx context.Context, who actor.Actor, purpose string) (DataKeys, error) {
	if err := who.Require(actor.RoleSuperAdmin); err != nil {
		return DataKeys{}, err
	}
	keys, err := k.Data(ctx, purpose)
	if err != nil {
		return DataKeys{}, err
	}
	return k.makeData(ctx, who, purpose, keys.Current.Version, false)
}

// makeData brings about a current version newer than replaces.
func (k *Keys) makeData(ctx context.Context, who actor.Actor, purpose string, replaces uint32, early bool) (DataKeys, error) {
	if dataSizes[purpose] == 0 {
		return DataKeys{}, ErrPurpose.With("data key for %q", purpose)
	}
	for range 5 {
		all, err := k.dataVersions(ctx, purpose)
		if err != nil {
			return DataKeys{}, err
		}
		if len(all) > 0 && all[len(all)-1].Number > replaces {
			return k.Data(ctx, purpose)
		}
		err = k.addData(ctx, who, purpose, replaces+1, early)
		if err != nil && !errors.Is(err, errLost) {
			return DataKeys{}, err
		}
	}
	return DataKeys{}, ErrBusy.With("make data key for %q", purpose)
}

// addData draws a key, wraps it and stores it as the active version, retiring the one before.
func (k *Keys) addData(ctx context.Context, who actor.Actor, purpose string, number uint32, early bool) error {
	key := make([]byte, dataSizes[purpose])
	defer clear(key)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("draw data key: %w", err)
	}
	d := DataVersion{Purpose: purpose, Number: number, State: Active, Master: MasterLabel, Recorded: !early, Made: k.time()}
	var err error
	if d.MasterVersion, d.Wrapped, err = k.wrap(ctx, MasterLabel, key, dataAAD(d)); err != nil {
		return err
	}
	return k.change(ctx, func(w W) (bool, error) {
		all, err := w.DataVersions(purpose)
		if err != nil {
			return false, err
		}
		for _, old := range all {
			if old.State != Active {
				continue
			}
			retired := old
			retired.State, retired.Retired = Retired, d.Made
			if ok, err := w.ReplaceData(old, retired); err != nil || !ok {
				return false, err
			}
		}
		if ok, err := w.InsertData(d); err != nil || !ok || early {
			return ok, err
		}
		return true, w.Record(madeData(d, who))
	})
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
