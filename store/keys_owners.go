package store

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"hufu/keys"
)

func (t keyTx) Owner(key string) (o keys.Owner, err error) {
	var locked, made int64
	err = t.one([]any{
		&o.Key, &o.Method, &o.Master, &o.MasterVersion, &o.Salt, &o.Cost.Memory, &o.Cost.Passes, &o.Cost.Lanes, &o.Sealed, &o.SignKey,
		&o.EncryptKey, &o.Tries, &locked, &made,
	}, `SELECT key_id, method, master, master_version, salt, memory, passes, lanes, sealed, sign_key, encrypt_key, tries, locked_until, made_at
		FROM key_owner WHERE key_id = $1`, key)
	if errors.Is(err, errNoRow) {
		return keys.Owner{}, keys.ErrUnknown.With("owner of key %q", key)
	}
	if err != nil {
		return keys.Owner{}, fmt.Errorf("read owner of key %s: %w", key, err)
	}
	o.LockedUntil, o.Made = fromMicros(locked), fromMicros(made)
	return o, nil
}

func (t keyTx) InsertOwner(o keys.Owner) error {
	_, err := t.exec(`INSERT INTO key_owner (key_id, method, master, master_version, salt, memory, passes, lanes, sealed, sign_key, encrypt_key,
			tries, locked_until, made_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		o.Key, o.Method, o.Master, o.MasterVersion, octets(o.Salt), o.Cost.Memory, o.Cost.Passes, o.Cost.Lanes, octets(o.Sealed),
		octets(o.SignKey), octets(o.EncryptKey), o.Tries, micros(o.LockedUntil), micros(o.Made))
	if err != nil {
		return fmt.Errorf("insert owner of key %s: %w", o.Key, err)
	}
	return nil
}

func (t keyTx) ReplaceOwner(before, after keys.Owner) (bool, error) {
	n, err := t.exec(`UPDATE key_owner SET method = $5, master = $6, master_version = $7, salt = $8, memory = $9, passes = $10, lanes = $11,
			sealed = $12, sign_key = $13, encrypt_key = $14, made_at = $15
		WHERE key_id = $1 AND method = $2 AND master_version = $3 AND sealed = $4`,
		before.Key, before.Method, before.MasterVersion, octets(before.Sealed),
		after.Method, after.Master, after.MasterVersion, octets(after.Salt), after.Cost.Memory, after.Cost.Passes, after.Cost.Lanes,
		octets(after.Sealed), octets(after.SignKey), octets(after.EncryptKey), micros(after.Made))
	return changed(n, err, "change owner of key %s", before.Key)
}

func (t keyTx) DropOwner(key string) error {
	if _, err := t.exec(`DELETE FROM key_owner WHERE key_id = $1`, key); err != nil {
		return fmt.Errorf("drop owner of key %s: %w", key, err)
	}
	return nil
}

func (t keyTx) CountTry(before keys.Owner, now, locked time.Time) (bool, error) {
	n, err := t.exec(`UPDATE key_owner SET tries = tries + 1, locked_until = $4
		WHERE key_id = $1 AND tries = $2 AND locked_until <= $3`, before.Key, before.Tries, micros(now), micros(locked))
	return changed(n, err, "count a try at key %s", before.Key)
}

func (t keyTx) ClearTries(key string) error {
	if _, err := t.exec(`UPDATE key_owner SET tries = 0, locked_until = 0 WHERE key_id = $1`, key); err != nil {
		return fmt.Errorf("clear tries at key %s: %w", key, err)
	}
	return nil
}

func (t keyTx) ReturnTry(before keys.Owner) error {
	_, err := t.exec(`UPDATE key_owner SET tries = tries - 1, locked_until = $3 WHERE key_id = $1 AND tries = $2 + 1`,
		before.Key, before.Tries, micros(before.LockedUntil))
	if err != nil {
		return fmt.Errorf("take back a try at key %s: %w", before.Key, err)
	}
	return nil
}

const standingRow = `SELECT id, key_id, kinds, count, used, until, state, master, master_version, half, made_at, ended_at FROM key_standing`

func scanStanding(s scanner) (v keys.StandingRow, err error) {
	var kinds string
	var until, made, ended int64
	err = s.Scan(&v.ID, &v.Key, &kinds, &v.Count, &v.Used, &until, &v.State, &v.Master, &v.MasterVersion, &v.Half, &made, &ended)
	v.Kinds, v.Until, v.Made, v.Ended = strings.Split(kinds, "\n"), fromMicros(until), fromMicros(made), fromMicros(ended)
	return v, err
}

func (t keyTx) Standing(id string) (keys.StandingRow, error) {
	found, err := list(t.tx, scanStanding, standingRow+` WHERE id = $1`, id)
	if err != nil {
		return keys.StandingRow{}, fmt.Errorf("read standing activation %s: %w", id, err)
	}
	if len(found) == 0 {
		return keys.StandingRow{}, keys.ErrNoStanding.With("standing activation %q", id)
	}
	return found[0], nil
}

func (t keyTx) Standings(key string, limit int) ([]keys.StandingRow, error) {
	found, err := list(t.tx, scanStanding, standingRow+` WHERE key_id = $1
		ORDER BY CASE WHEN state = 'active' THEN 0 ELSE 1 END, made_at DESC, id LIMIT $2`, key, limit)
	if err != nil {
		return nil, fmt.Errorf("read standing activations of key %s: %w", key, err)
	}
	return found, nil
}

func (t keyTx) Live(key string, now time.Time) ([]keys.StandingRow, error) {
	found, err := list(t.tx, scanStanding, standingRow+` WHERE key_id = $1 AND state = 'active' AND until > $2 ORDER BY until, id`, key, micros(now))
	if err != nil {
		return nil, fmt.Errorf("read live activations of key %s: %w", key, err)
	}
	return found, nil
}

func (t keyTx) Overdue(now time.Time, limit int) ([]keys.StandingRow, error) {
	found, err := list(t.tx, scanStanding, standingRow+` WHERE state = 'active' AND until <= $1 ORDER BY until LIMIT $2`, micros(now), limit)
	if err != nil {
		return nil, fmt.Errorf("read overdue activations: %w", err)
	}
	return found, nil
}

func (t keyTx) InsertStanding(s keys.StandingRow) error {
	_, err := t.exec(`INSERT INTO key_standing (id, key_id, kinds, count, used, until, state, master, master_version, half, made_at, ended_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		s.ID, s.Key, strings.Join(s.Kinds, "\n"), s.Count, s.Used, micros(s.Until), s.State, s.Master, s.MasterVersion, octets(s.Half),
		micros(s.Made), micros(s.Ended))
	if err != nil {
		return fmt.Errorf("insert standing activation: %w", err)
	}
	return nil
}

func (t keyTx) UseStanding(s keys.StandingRow, n int, now time.Time) (used int, ok bool, err error) {
	err = t.one([]any{&used}, `UPDATE key_standing SET used = used + $8,
			state = CASE WHEN used + $8 >= count THEN 'spent' ELSE state END,
			half = CASE WHEN used + $8 >= count THEN $7 ELSE half END,
			ended_at = CASE WHEN used + $8 >= count THEN $6 ELSE ended_at END
		WHERE id = $1 AND key_id = $2 AND state = 'active' AND used + $8 <= count AND count = $3 AND until = $4 AND until > $6 AND kinds = $5
		RETURNING used`,
		s.ID, s.Key, s.Count, micros(s.Until), strings.Join(s.Kinds, "\n"), micros(now), []byte{}, n)
	if errors.Is(err, errNoRow) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("use standing activation %s: %w", s.ID, err)
	}
	return used, true, nil
}

func (t keyTx) EndStanding(id string, state keys.StandingState, at time.Time) (bool, error) {
	n, err := t.exec(`UPDATE key_standing SET state = $2, half = $4, ended_at = $3 WHERE id = $1 AND state = 'active'`,
		id, state, micros(at), []byte{})
	return changed(n, err, "end standing activation %s", id)
}

func (t keyTx) ReplaceHalf(before, after keys.StandingRow) (bool, error) {
	n, err := t.exec(`UPDATE key_standing SET master = $3, master_version = $4, half = $5 WHERE id = $1 AND state = 'active' AND half = $2`,
		before.ID, octets(before.Half), after.Master, after.MasterVersion, octets(after.Half))
	return changed(n, err, "wrap standing activation %s anew", before.ID)
}

func (t keyTx) Challenge(id string) (c keys.ChallengeRow, err error) {
	var until int64
	err = t.one([]any{&c.ID, &c.Key, &c.Kind, &c.E, &c.Terms, &until, &c.Used},
		`SELECT id, key_id, kind, e, terms, until, used FROM key_challenge WHERE id = $1`, id)
	if errors.Is(err, errNoRow) {
		return keys.ChallengeRow{}, keys.ErrChallenge.With("challenge %q", id)
	}
	if err != nil {
		return keys.ChallengeRow{}, fmt.Errorf("read challenge %s: %w", id, err)
	}
	c.Until = fromMicros(until)
	return c, nil
}

func (t keyTx) InsertChallenge(c keys.ChallengeRow) error {
	_, err := t.exec(`INSERT INTO key_challenge (id, key_id, kind, e, terms, until, used) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		c.ID, c.Key, c.Kind, octets(c.E), c.Terms, micros(c.Until), c.Used)
	if err != nil {
		return fmt.Errorf("insert challenge: %w", err)
	}
	return nil
}

func (t keyTx) UseChallenge(id string, now time.Time) (bool, error) {
	n, err := t.exec(`UPDATE key_challenge SET used = $3 WHERE id = $1 AND used = $4 AND until > $2`, id, micros(now), true, false)
	return changed(n, err, "use challenge %s", id)
}

func (t keyTx) DropChallenges(before time.Time, limit int) (int, error) {
	n, err := t.exec(`DELETE FROM key_challenge WHERE id IN (SELECT id FROM key_challenge WHERE until < $1 ORDER BY until LIMIT $2)`, micros(before), limit)
	if err != nil {
		return 0, fmt.Errorf("drop old challenges: %w", err)
	}
	return int(n), nil
}

func (t keyTx) Recorded(id string) (found bool, err error) {
	if err := t.one([]any{&found}, `SELECT EXISTS (SELECT 1 FROM audit_entry WHERE id = $1)`, id); err != nil {
		return false, fmt.Errorf("look for record %s: %w", id, err)
	}
	return found, nil
}

func (t keyTx) RecordedAfter(id, last string) (found bool, err error) {
	if err := t.one([]any{&found}, `SELECT EXISTS (SELECT 1 FROM audit_entry WHERE id > $1 AND id <= $2)`, id, last); err != nil {
		return false, fmt.Errorf("look for records from %s to %s: %w", id, last, err)
	}
	return found, nil
}
