package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"hufu/ca/kmc"
	"hufu/keys"
)

// KMC returns the key management centre's store.
func (db *DB) KMC() kmc.Store { return kmcStore{db} }

type kmcStore struct{ db *DB }

func (s kmcStore) View(ctx context.Context, f func(kmc.R) error) error {
	return s.db.view(ctx, func(t *tx) error { return f(kmcTx{t}) })
}

func (s kmcStore) Update(ctx context.Context, f func(kmc.W) error) error {
	return s.db.update(ctx, func(t *tx) error { return f(kmcTx{t}) })
}

type kmcTx struct{ *tx }

var (
	_ kmc.Store = kmcStore{}
	_ kmc.W     = kmcTx{}
)

const (
	pairColumns = `id, epoch, state, public, master_version, wrapped, client, request, recipient, authority, profile, subject, form, envelope,
		serials, not_after, made_at, at`
	pairRow = `SELECT ` + pairColumns + ` FROM kmc_pair`
)

func scanPair(s scanner) (p kmc.Pair, err error) {
	var notAfter, made, at int64
	var serials string
	err = s.Scan(&p.ID, &p.Epoch, &p.State, &p.Public, &p.MasterVersion, &p.Wrapped, &p.Client, &p.Request, &p.Recipient, &p.Authority,
		&p.Profile, &p.Subject, &p.Form, &p.Envelope, &serials, &notAfter, &made, &at)
	p.Serials = strings.Fields(serials)
	p.NotAfter, p.Made, p.At = fromMicros(notAfter), fromMicros(made), fromMicros(at)
	return p, err
}

func (t kmcTx) PairOf(client, request string) (kmc.Pair, error) {
	return t.pair(` WHERE client = $1 AND request = $2 AND state = 'held'`, client, request)
}

func (t kmcTx) Pair(client, id string) (kmc.Pair, error) {
	return t.pair(` WHERE client = $1 AND id = $2 AND state = 'held'`, client, id)
}

func (t kmcTx) PairByPublic(client string, public []byte) (kmc.Pair, error) {
	return t.pair(` WHERE client = $1 AND public = $2 AND state = 'held'`, client, public)
}

func (t kmcTx) pair(where, client string, id any) (kmc.Pair, error) {
	found, err := list(t.tx, scanPair, pairRow+where, client, id)
	if err == nil && len(found) == 0 {
		err = kmc.ErrUnknown.With("key %.80v of authority %q", id, client)
	}
	if err != nil {
		return kmc.Pair{}, err
	}
	return found[0], nil
}

func (t kmcTx) Pairs(client, subject string, limit int) ([]kmc.Pair, error) {
	return list(t.tx, scanPair, pairRow+` WHERE client = $1 AND subject = $2 AND state = 'held' ORDER BY at DESC, id LIMIT $3`, client, subject, limit)
}

func (t kmcTx) Count(client string) (held, pool int, err error) {
	err = t.one([]any{&held, &pool}, `SELECT (SELECT count(*) FROM kmc_pair WHERE client = $1 AND state = 'held'),
		(SELECT count(*) FROM kmc_pair WHERE state = 'pool')`, client)
	return held, pool, err
}

func (t kmcTx) AddPooled(p kmc.Pair) error {
	added, err := t.AddHeld(p)
	if err == nil && !added {
		err = fmt.Errorf("pair %s is there already", p.ID)
	}
	return err
}

// AddHeld inserts a pair in any state.
func (t kmcTx) AddHeld(p kmc.Pair) (bool, error) {
	if err := t.masterStands(p.MasterVersion); err != nil {
		return false, err
	}
	n, err := t.exec(`INSERT INTO kmc_pair (`+pairColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) ON CONFLICT DO NOTHING`,
		p.ID, p.Epoch, p.State, p.Public, p.MasterVersion, octets(p.Wrapped), p.Client, p.Request, octets(p.Recipient), p.Authority,
		p.Profile, p.Subject, p.Form, octets(p.Envelope), strings.Join(p.Serials, " "), micros(p.NotAfter), micros(p.Made), micros(p.At))
	return n == 1, err
}

// masterStands refuses a version of the centre's master key that has been given up: nothing may be put under it any more.
func (t kmcTx) masterStands(version uint32) error {
	var ended bool
	err := t.one([]any{&ended}, `SELECT EXISTS (SELECT 1 FROM device_key WHERE label = $1 AND number = $2 AND state NOT IN ('active', 'retired'))`,
		keys.KMCMasterLabel, version)
	if err == nil && ended {
		err = kmc.ErrMaster.With("version %d of the master key has ended", version)
	}
	return err
}

func (t kmcTx) Take(p kmc.Pair) (bool, error) {
	if err := t.masterStands(p.MasterVersion); err != nil {
		return false, err
	}
	n, err := t.exec(`UPDATE kmc_pair SET state = 'held', master_version = $3, wrapped = $4, client = $5, request = $6, recipient = $7,
			authority = $8, profile = $9, subject = $10, form = $11, envelope = $12, at = $13
		WHERE id = $1 AND epoch = $2 AND state = 'pool'`,
		p.ID, p.Epoch, p.MasterVersion, p.Wrapped, p.Client, p.Request, p.Recipient, p.Authority, p.Profile, p.Subject, p.Form, p.Envelope, micros(p.At))
	if duplicate(err) { // another call for the request was faster; the transaction is lost, and the domain looks again
		return false, kmc.ErrUnknown.With("request %s has a key by now", p.Request)
	}
	return n == 1, err
}

func (t kmcTx) SetSerials(p kmc.Pair, serials []string, notAfter time.Time) (bool, error) {
	n, err := t.exec(`UPDATE kmc_pair SET serials = $4, not_after = $5 WHERE id = $1 AND client = $2 AND state = 'held' AND serials = $3`,
		p.ID, p.Client, strings.Join(p.Serials, " "), strings.Join(serials, " "), micros(notAfter))
	return n == 1, err
}

func (t kmcTx) DropPool(epoch string, before time.Time) (int64, error) {
	return t.exec(`DELETE FROM kmc_pair WHERE state = 'pool' AND epoch <> $1 AND made_at <= $2`, epoch, micros(before))
}

func (t kmcTx) Clients() ([]kmc.Client, error) {
	return list(t.tx, func(s scanner) (c kmc.Client, err error) {
		var at, ended int64
		err = s.Scan(&c.Name, &c.SPKI, &c.Certificate, &at, &ended)
		c.At, c.Ended = fromMicros(at), fromMicros(ended)
		return c, err
	}, `SELECT name, spki, certificate, at, ended_at FROM kmc_client ORDER BY name`)
}

func (t kmcTx) PutClient(c kmc.Client) error {
	_, err := t.exec(`INSERT INTO kmc_client (name, spki, certificate, at, ended_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (name) DO UPDATE SET spki = excluded.spki, certificate = excluded.certificate, at = excluded.at, ended_at = excluded.ended_at`,
		c.Name, octets(c.SPKI), octets(c.Certificate), micros(c.At), micros(c.Ended))
	return err
}

// EscrowUnder implements keys.Wards: pairs of the pool and held ones stand under the one master key of the centre.
func (t keyTx) EscrowUnder(master string, below uint32, after string, limit int) ([]keys.Escrow, error) {
	if master != keys.KMCMasterLabel {
		return nil, nil
	}
	pairs, err := list(t.tx, scanPair, pairRow+` WHERE master_version > 0 AND master_version < $1 AND id > $2 ORDER BY id LIMIT $3`, below, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read escrowed keys: %w", err)
	}
	all := make([]keys.Escrow, 0, len(pairs))
	for _, p := range pairs {
		all = append(all, keys.Escrow{ID: p.ID, Wrapped: p.Wrapped, AAD: p.AAD()})
	}
	return all, nil
}

// ReplaceEscrow implements keys.RotationShelf. A pair that was taken from the pool meanwhile has other octets and is left alone.
func (t keyTx) ReplaceEscrow(e keys.Escrow, version uint32, wrapped []byte) (bool, error) {
	n, err := t.exec(`UPDATE kmc_pair SET master_version = $3, wrapped = $4 WHERE id = $1 AND wrapped = $2`, e.ID, e.Wrapped, version, wrapped)
	return changed(n, err, "wrap escrowed key %s anew", e.ID)
}

// recoveryColumn is the name under which what stands in a recovery is sealed.
const recoveryColumn = "kmc_recovery.detail"

const recoveryRow = `SELECT id, client, kind, subject, state, version, detail, keys, at, until FROM kmc_recovery`

func (t kmcTx) recoveries(where string, args ...any) ([]kmc.Recovery, error) {
	type sealed struct {
		kmc.Recovery
		detail, keys []byte
	}
	rows, err := list(t.tx, func(s scanner) (r sealed, err error) {
		var at, until int64
		err = s.Scan(&r.ID, &r.Client, &r.Kind, &r.Subject, &r.State, &r.Version, &r.detail, &r.keys, &at, &until)
		r.At, r.Until = fromMicros(at), fromMicros(until)
		return r, err
	}, recoveryRow+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read recoveries: %w", err)
	}
	out := make([]kmc.Recovery, 0, len(rows))
	for _, r := range rows {
		if err := t.openJSON(recoveryColumn, r.ID, r.detail, &r.Detail); err != nil {
			return nil, err
		}
		if len(r.keys) > 0 {
			if err := json.Unmarshal(r.keys, &r.Keys); err != nil {
				return nil, fmt.Errorf("read keys of recovery %s: %w", r.ID, err)
			}
		}
		out = append(out, r.Recovery)
	}
	return out, nil
}

func (t kmcTx) oneRecovery(what, where string, args ...any) (kmc.Recovery, error) {
	found, err := t.recoveries(where, args...)
	if err == nil && len(found) == 0 {
		err = kmc.ErrUnknown.With("recovery %q", what)
	}
	if err != nil {
		return kmc.Recovery{}, err
	}
	return found[0], nil
}

func (t kmcTx) Recovery(client, id string) (kmc.Recovery, error) {
	return t.oneRecovery(id, ` WHERE client = $1 AND id = $2`, client, id)
}

func (t kmcTx) RecoveryByKey(client, maker, key string) (kmc.Recovery, error) {
	return t.oneRecovery(key, ` WHERE client = $1 AND maker = $2 AND request_key = $3 AND request_key <> ''`, client, maker, key)
}

func (t kmcTx) Recoveries(client string, f kmc.RecoveryFilter) ([]kmc.Recovery, error) {
	before := micros(f.Before)
	if before == 0 {
		before = 1 << 62
	}
	return t.recoveries(` WHERE client = $1 AND ($2 = '' OR subject = $2) AND ($3 = '' OR state = $3) AND ($4 = '' OR kind = $4) AND at < $5
		ORDER BY at DESC, id LIMIT $6`, client, f.Subject, f.State, f.Kind, before, f.Limit)
}

func (t kmcTx) Due(before time.Time, limit int) ([]kmc.Recovery, error) {
	return t.recoveries(` WHERE state IN ('requested', 'approved', 'delivered') AND until > 0 AND until <= $1 ORDER BY until LIMIT $2`, micros(before), limit)
}

func (t kmcTx) AddRecovery(r kmc.Recovery) error {
	detail, err := t.sealJSON(recoveryColumn, r.ID, r.Detail)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO kmc_recovery (id, client, kind, subject, state, version, maker, request_key, detail, keys, at, until)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		r.ID, r.Client, r.Kind, r.Subject, r.State, r.Version, r.Maker.String(), r.Key, detail, []byte{}, micros(r.At), micros(r.Until))
	if duplicate(err) {
		err = kmc.ErrBusy.With("recovery %q was asked for by another call", r.Key)
	}
	return err
}

func (t kmcTx) PutRecovery(r kmc.Recovery) (bool, error) {
	detail, err := t.sealJSON(recoveryColumn, r.ID, r.Detail)
	if err != nil {
		return false, err
	}
	handed := []byte{}
	if len(r.Keys) > 0 {
		if handed, err = json.Marshal(r.Keys); err != nil {
			return false, fmt.Errorf("write recovery %s: %w", r.ID, err)
		}
	}
	n, err := t.exec(`UPDATE kmc_recovery SET state = $4, version = $3, detail = $5, keys = $6, until = $7 WHERE client = $1 AND id = $2 AND version = $3 - 1`,
		r.Client, r.ID, r.Version, r.State, detail, handed, micros(r.Until))
	return n == 1, err
}
