package store

import (
	"context"
	"fmt"
	"time"

	"hufu/keys"
)

// Keys returns the store of package keys. It works before the data keys are open, but for Record.
func (db *DB) Keys() keys.Store { return keyStore{db} }

type keyStore struct{ db *DB }

var (
	_ keys.Store = keyStore{}
	_ keys.W     = keyTx{}
)

func (s keyStore) View(ctx context.Context, f func(keys.R) error) error {
	return s.db.view(ctx, func(t *tx) error { return f(keyTx{t}) })
}

func (s keyStore) Update(ctx context.Context, f func(keys.W) error) error {
	return s.db.update(ctx, func(t *tx) error { return f(keyTx{t}) })
}

type keyTx struct{ *tx }

func (t keyTx) Versions(label string) ([]keys.Version, error) {
	all, err := list(t.tx, func(s scanner) (v keys.Version, err error) {
		var made, activated, retired, destroyed int64
		err = s.Scan(&v.Label, &v.Number, &v.Purpose, &v.Algorithm, &v.Reference, &v.State, &v.Public, &v.Recorded,
			&made, &activated, &retired, &destroyed)
		v.Made, v.Activated, v.Retired, v.Destroyed = fromMicros(made), fromMicros(activated), fromMicros(retired), fromMicros(destroyed)
		return v, err
	}, `SELECT label, number, purpose, algorithm, reference, state, public, recorded, made_at, activated_at, retired_at, destroyed_at
		FROM device_key WHERE label = $1 OR $1 = '' ORDER BY label, number`, label)
	if err != nil {
		return nil, fmt.Errorf("read versions of key %q: %w", label, err)
	}
	return all, nil
}

func (t keyTx) InsertVersion(v keys.Version) (bool, error) {
	n, err := t.exec(`INSERT INTO device_key (label, number, purpose, algorithm, reference, state, public, recorded,
			made_at, activated_at, retired_at, destroyed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING`,
		v.Label, v.Number, v.Purpose, v.Algorithm, v.Reference, v.State, octets(v.Public), v.Recorded,
		micros(v.Made), micros(v.Activated), micros(v.Retired), micros(v.Destroyed))
	return changed(n, err, "insert key %s", v)
}

func (t keyTx) ReplaceVersion(before, after keys.Version) (bool, error) {
	n, err := t.exec(`UPDATE device_key SET purpose = $6, algorithm = $7, reference = $8, state = $9, public = $10, recorded = $11,
			activated_at = $12, retired_at = $13, destroyed_at = $14
		WHERE label = $1 AND number = $2 AND state = $3 AND reference = $4 AND recorded = $5`,
		before.Label, before.Number, before.State, before.Reference, before.Recorded,
		after.Purpose, after.Algorithm, after.Reference, after.State, octets(after.Public), after.Recorded,
		micros(after.Activated), micros(after.Retired), micros(after.Destroyed))
	return changed(n, err, "change key %s", before)
}

func (t keyTx) DataVersions(purpose string) ([]keys.DataVersion, error) {
	all, err := list(t.tx, func(s scanner) (d keys.DataVersion, err error) {
		var made, retired int64
		err = s.Scan(&d.Purpose, &d.Number, &d.State, &d.Master, &d.MasterVersion, &d.Wrapped, &d.Recorded, &made, &retired)
		d.Made, d.Retired = fromMicros(made), fromMicros(retired)
		return d, err
	}, `SELECT purpose, number, state, master, master_version, wrapped, recorded, made_at, retired_at
		FROM data_key WHERE purpose = $1 OR $1 = '' ORDER BY purpose, number`, purpose)
	if err != nil {
		return nil, fmt.Errorf("read data keys %q: %w", purpose, err)
	}
	return all, nil
}

func (t keyTx) InsertData(d keys.DataVersion) (bool, error) {
	n, err := t.exec(`INSERT INTO data_key (purpose, number, state, master, master_version, wrapped, recorded, made_at, retired_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`,
		d.Purpose, d.Number, d.State, d.Master, d.MasterVersion, octets(d.Wrapped), d.Recorded, micros(d.Made), micros(d.Retired))
	return changed(n, err, "insert data key %s", d.Purpose)
}

func (t keyTx) ReplaceData(before, after keys.DataVersion) (bool, error) {
	n, err := t.exec(`UPDATE data_key SET state = $7, master = $8, master_version = $9, wrapped = $10, recorded = $11, retired_at = $12
		WHERE purpose = $1 AND number = $2 AND state = $3 AND recorded = $4 AND master = $5 AND master_version = $6`,
		before.Purpose, before.Number, before.State, before.Recorded, before.Master, before.MasterVersion,
		after.State, after.Master, after.MasterVersion, octets(after.Wrapped), after.Recorded, micros(after.Retired))
	return changed(n, err, "change data key %s", before.Purpose)
}

const wrappedRow = `SELECT id, label, purpose, control, form, state, master, master_version, public, wrapped, made_at, destroyed_at FROM wrapped_key`

func scanWrapped(s scanner) (w keys.Wrapped, err error) {
	var made, destroyed int64
	err = s.Scan(&w.ID, &w.Label, &w.Purpose, &w.Control, &w.Form, &w.State, &w.Master, &w.MasterVersion, &w.Public, &w.Wrapped, &made, &destroyed)
	w.Made, w.Destroyed = fromMicros(made), fromMicros(destroyed)
	return w, err
}

func (t keyTx) Wrapped(id string) (keys.Wrapped, error) {
	found, err := list(t.tx, scanWrapped, wrappedRow+` WHERE id = $1`, id)
	if err != nil {
		return keys.Wrapped{}, fmt.Errorf("read wrapped key %s: %w", id, err)
	}
	if len(found) == 0 {
		return keys.Wrapped{}, keys.ErrUnknown.With("wrapped key %q", id)
	}
	return found[0], nil
}

func (t keyTx) HalfMade(before time.Time, limit int) ([]keys.Wrapped, error) {
	found, err := list(t.tx, scanWrapped, wrappedRow+` WHERE state = 'making' AND made_at < $1 ORDER BY made_at LIMIT $2`, micros(before), limit)
	if err != nil {
		return nil, fmt.Errorf("read half-made keys: %w", err)
	}
	return found, nil
}

func (t keyTx) Under(master string, version uint32) (under bool, err error) {
	err = t.one([]any{&under}, `SELECT EXISTS (SELECT 1 FROM data_key WHERE master = $1 AND master_version = $2 AND state <> 'destroyed')
		OR EXISTS (SELECT 1 FROM wrapped_key WHERE master = $1 AND master_version = $2 AND state IN ('making', 'active'))
		OR EXISTS (SELECT 1 FROM key_owner WHERE master = $1 AND master <> '' AND master_version = $2)
		OR EXISTS (SELECT 1 FROM key_standing WHERE master = $1 AND master_version = $2 AND state = 'active')
		OR EXISTS (SELECT 1 FROM kmc_pair WHERE $1 = $3 AND master_version = $2)`, master, version, keys.KMCMasterLabel)
	if err != nil {
		return false, fmt.Errorf("look for keys under %s/%d: %w", master, version, err)
	}
	return under, nil
}

func (t keyTx) InsertWrapped(w keys.Wrapped) error {
	_, err := t.exec(`INSERT INTO wrapped_key (id, label, purpose, control, form, state, master, master_version, public, wrapped, made_at, destroyed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		w.ID, w.Label, w.Purpose, w.Control, w.Form, w.State, w.Master, w.MasterVersion, octets(w.Public), octets(w.Wrapped),
		micros(w.Made), micros(w.Destroyed))
	if err != nil {
		return fmt.Errorf("insert wrapped key: %w", err)
	}
	return nil
}

func (t keyTx) ReplaceWrapped(before, after keys.Wrapped) (bool, error) {
	n, err := t.exec(`UPDATE wrapped_key SET control = $6, state = $7, master = $8, master_version = $9, wrapped = $10, destroyed_at = $11
		WHERE id = $1 AND state = $2 AND master = $3 AND master_version = $4 AND wrapped = $5`,
		before.ID, before.State, before.Master, before.MasterVersion, octets(before.Wrapped),
		after.Control, after.State, after.Master, after.MasterVersion, octets(after.Wrapped), micros(after.Destroyed))
	return changed(n, err, "change wrapped key %s", before.ID)
}

// changed turns the outcome of a conditional statement into whether it took effect. A second row in a state that only one
// may have is a lost race like any other.
func changed(n int64, err error, what string, args ...any) (bool, error) {
	if duplicate(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf(what+": %w", append(args, err)...)
	}
	return n > 0, nil
}

// octets keeps an empty column from becoming NULL.
func octets(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
