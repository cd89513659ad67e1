package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"hufu/internal/actor"
	"hufu/keys"
)

const rotationRow = `SELECT id, key, way, phase, from_version, to_version, stage, position, done, total, held, not_before, begun_by,
	begun_at, changed_at, ended_at FROM key_rotation`

func scanRotation(s scanner) (p keys.Progress, err error) {
	var notBefore, begun, changed, ended int64
	err = s.Scan(&p.ID, &p.Key, &p.Way, &p.Phase, &p.From, &p.To, &p.Stage, &p.Position, &p.Done, &p.Total, &p.Held, &notBefore, &p.By,
		&begun, &changed, &ended)
	p.NotBefore, p.Begun, p.Changed, p.Ended = fromMicros(notBefore), fromMicros(begun), fromMicros(changed), fromMicros(ended)
	return p, err
}

func (t keyTx) Rotations(limit int) ([]keys.Progress, error) {
	open, err := list(t.tx, scanRotation, rotationRow+` WHERE ended_at = 0 ORDER BY begun_at DESC, id`)
	if err != nil {
		return nil, fmt.Errorf("read rotations: %w", err)
	}
	over, err := list(t.tx, scanRotation, rotationRow+` WHERE ended_at <> 0 ORDER BY begun_at DESC, id LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("read rotations: %w", err)
	}
	return append(open, over...), nil
}

func (t keyTx) Rotation(id string) (keys.Progress, error) { return t.rotation(` WHERE id = $1`, id) }

func (t keyTx) LastRotation(key string) (keys.Progress, error) {
	return t.rotation(` WHERE key = $1 ORDER BY begun_at DESC, ended_at LIMIT 1`, key)
}

func (t keyTx) rotation(where, arg string) (keys.Progress, error) {
	found, err := list(t.tx, scanRotation, rotationRow+where, arg)
	if err != nil {
		return keys.Progress{}, fmt.Errorf("read rotation: %w", err)
	}
	if len(found) == 0 {
		return keys.Progress{}, keys.ErrUnknown.With("rotation %q", arg)
	}
	return found[0], nil
}

func (t keyTx) InsertRotation(p keys.Progress) (bool, error) {
	n, err := t.exec(`INSERT INTO key_rotation (id, key, way, phase, from_version, to_version, stage, position, done, total, held, not_before,
			begun_by, begun_at, changed_at, ended_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT DO NOTHING`,
		p.ID, p.Key, p.Way, p.Phase, p.From, p.To, p.Stage, p.Position, p.Done, p.Total, p.Held, micros(p.NotBefore), p.By,
		micros(p.Begun), micros(p.Changed), micros(p.Ended))
	return changed(n, err, "insert rotation of key %s", p.Key)
}

func (t keyTx) ReplaceRotation(before, after keys.Progress) (bool, error) {
	n, err := t.exec(`UPDATE key_rotation SET phase = $5, to_version = $6, stage = $7, position = $8, done = $9, total = $10, held = $11,
			not_before = $12, changed_at = $13, ended_at = $14
		WHERE id = $1 AND phase = $2 AND stage = $3 AND position = $4`,
		before.ID, before.Phase, before.Stage, before.Position,
		after.Phase, after.To, after.Stage, after.Position, after.Done, after.Total, after.Held,
		micros(after.NotBefore), micros(after.Changed), micros(after.Ended))
	return changed(n, err, "change rotation of key %s", before.Key)
}

func (t keyTx) NextTurn() error { return t.nextTurn() }

func (t keyTx) AskDestruction(d keys.Destruction) error {
	_, err := t.exec(`INSERT INTO key_destruction (key, number, asked_by, asked_at, until) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (key, number) DO UPDATE SET asked_by = excluded.asked_by, asked_at = excluded.asked_at, until = excluded.until`,
		d.Key, d.Number, d.By, micros(d.At), micros(d.Until))
	if err != nil {
		return fmt.Errorf("note the destruction of key %s/%d: %w", d.Key, d.Number, err)
	}
	return nil
}

func (t keyTx) TakeDestruction(d keys.Destruction) (bool, error) {
	n, err := t.exec(`DELETE FROM key_destruction WHERE key = $1 AND number = $2 AND asked_by = $3`, d.Key, d.Number, d.By)
	return changed(n, err, "take up the destruction of key %s/%d", d.Key, d.Number)
}

func (t keyTx) Asked(key string, number uint32) (d keys.Destruction, err error) {
	var at, until int64
	err = t.one([]any{&d.Key, &d.Number, &d.By, &at, &until},
		`SELECT key, number, asked_by, asked_at, until FROM key_destruction WHERE key = $1 AND number = $2`, key, number)
	if errors.Is(err, errNoRow) {
		return d, keys.ErrUnknown.With("destruction of key %s/%d", key, number)
	}
	d.At, d.Until = fromMicros(at), fromMicros(until)
	return d, err
}

// SuperAdministrators counts persons in force, not posts.
func (t keyTx) SuperAdministrators() (n int, err error) { return t.holders(actor.RoleSuperAdmin) }

func (t *tx) holders(role actor.Role) (n int, err error) {
	err = t.one([]any{&n}, `SELECT count(DISTINCT p.person) FROM post AS p JOIN subject AS s ON s.id = p.person
		WHERE p.ended_at = 0 AND s.state = 'active' AND ' ' || p.roles || ' ' LIKE '% ' || $1 || ' %'`, string(role))
	return n, err
}

// Holders counts the persons in force who hold a role, in whatever post.
func (db *DB) Holders(ctx context.Context, role actor.Role) (n int, err error) {
	err = db.view(ctx, func(t *tx) error {
		n, err = t.holders(role)
		return err
	})
	return n, err
}

// tokensFor is how long a token can live at the most, and countersFor how long a counter of tries counts: what stands under
// a blind index alone cannot be made anew, and ends by itself.
const (
	tokensFor   = 400 * 24 * time.Hour
	countersFor = 24 * time.Hour
)

// Holds implements keys.Rows.
func (t keyTx) Holds(d keys.DataVersion) (held bool, err error) {
	last, err := t.LastRotation(keys.DataPrefix + d.Purpose)
	if err != nil && !errors.Is(err, keys.ErrUnknown) {
		return false, err
	}
	remade := err == nil && last.Phase == keys.PhaseDone && last.To > d.Number
	switch d.Purpose {
	case keys.DataField:
		held, err = t.sealedUnder(d.Number)
		return held || !remade, err
	case keys.DataIndex:
		return !remade || t.db.now().Sub(d.Retired) < countersFor, nil
	case keys.DataSubjects:
		err = t.one([]any{&held}, `SELECT EXISTS (SELECT 1 FROM audit_key WHERE version = $1 AND destroyed = 0)`, d.Number)
		return held || !remade, err
	case keys.DataRows:
		return !remade, nil
	case keys.DataTokens:
		err = t.one([]any{&held}, `SELECT EXISTS (SELECT 1 FROM oidc_token WHERE issued_at < $1 AND expires_at > $2)`,
			micros(d.Retired.Add(time.Minute)), micros(t.db.now()))
		return held && t.db.now().Sub(d.Retired) < tokensFor, err
	}
	return true, nil // nobody can tell
}

// sealedUnder reports whether a sealed column of any table stands under a version of the field key.
func (t keyTx) sealedUnder(version uint32) (bool, error) {
	prefix := binary.BigEndian.AppendUint32(nil, version)
	for _, table := range sealedTables {
		for column := range table.columns {
			var held bool
			err := t.one([]any{&held}, `SELECT EXISTS (SELECT 1 FROM `+table.name+` WHERE substr(`+column+`, 1, 4) = $1)`, prefix)
			if err != nil || held {
				return held, err
			}
		}
	}
	return false, nil
}

func (t keyTx) DataUnder(master string, below uint32, after string, limit int) ([]keys.DataVersion, error) {
	all, err := t.DataVersions("")
	var under []keys.DataVersion
	for _, d := range all {
		if id := fmt.Sprintf("%s/%010d", d.Purpose, d.Number); d.Master == master && d.MasterVersion < below && d.State != keys.Destroyed && id > after && len(under) < limit {
			under = append(under, d)
		}
	}
	return under, err
}

const liveWrapped = ` master = $1 AND master_version < $2 AND state IN ('making', 'active')`

func (t keyTx) WrappedUnder(master string, below uint32, after string, limit int) ([]keys.Wrapped, error) {
	return list(t.tx, scanWrapped, wrappedRow+` WHERE`+liveWrapped+` AND id > $3 ORDER BY id LIMIT $4`, master, below, after, limit)
}

func (t keyTx) OwnersUnder(master string, below uint32, after string, limit int) ([]keys.Owner, error) {
	ids, err := list(t.tx, func(s scanner) (id string, err error) { return id, s.Scan(&id) },
		`SELECT key_id FROM key_owner WHERE master = $1 AND master <> '' AND master_version < $2 AND key_id > $3 ORDER BY key_id LIMIT $4`, master, below, after, limit)
	if err != nil {
		return nil, err
	}
	var owners []keys.Owner
	for _, id := range ids {
		o, err := t.Owner(id)
		if err != nil {
			return nil, err
		}
		owners = append(owners, o)
	}
	return owners, nil
}

func (t keyTx) StandingsUnder(master string, below uint32, after string, limit int) ([]keys.StandingRow, error) {
	return list(t.tx, scanStanding, standingRow+` WHERE master = $1 AND master_version < $2 AND state = 'active' AND id > $3 ORDER BY id LIMIT $4`,
		master, below, after, limit)
}

func (t keyTx) CountUnder(sort, master string, below uint32) (n int64, err error) {
	tables := map[string]string{
		"data":    `data_key WHERE master = $1 AND master_version < $2 AND state <> 'destroyed'`,
		"wrapped": `wrapped_key WHERE` + liveWrapped,
		"escrow":  `kmc_pair WHERE $1 = '` + keys.KMCMasterLabel + `' AND master_version > 0 AND master_version < $2`,
		"owner":   `key_owner WHERE master = $1 AND master <> '' AND master_version < $2`, "standing": `key_standing WHERE master = $1 AND master_version < $2 AND state = 'active'`,
	}
	table, ok := tables[sort]
	if !ok {
		return 0, fmt.Errorf("count what stands under key %s: no sort %q", master, sort)
	}
	err = t.one([]any{&n}, `SELECT count(*) FROM `+table, master, below)
	return n, err
}
