package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hufu/licence"
)

// Licences returns the licence service's store.
func (db *DB) Licences() licence.Store { return licenceStore{db} }

type licenceStore struct{ db *DB }

func (s licenceStore) View(ctx context.Context, f func(licence.R) error) error {
	return s.db.view(ctx, func(t *tx) error { return f(licenceTx{t}) })
}

func (s licenceStore) Update(ctx context.Context, f func(licence.W) error) error {
	return s.db.update(ctx, func(t *tx) error { return f(licenceTx{t}) })
}

type licenceTx struct{ *tx }

var (
	_ licence.Store = licenceStore{}
	_ licence.W     = licenceTx{}
)

// licenceMissing turns a missing row into the domain's own refusal.
func licenceMissing(err error, format string, args ...any) error {
	if errors.Is(err, errNoRow) {
		return licence.ErrUnknown.With(format, args...)
	}
	return err
}

const licenceQuery = `SELECT id, version, type, type_version, title, issuer, issuer_name, holder, holder_name, state, reason, data,
	maker_detail, request_key, replaces, replaced_by, draft, seal, seal_use, seal_entry, proof_path, digest,
	valid_from, valid_until, at, changed_at FROM licence `

func (t licenceTx) scan(s scanner) (l licence.Licence, err error) {
	var name, reason, data, maker []byte
	var from, until, at, changed int64
	if err := s.Scan(&l.ID, &l.Version, &l.Type, &l.TypeVersion, &l.Title, &l.Issuer, &l.IssuerName, &l.Holder, &name, &l.State, &reason, &data,
		&maker, &l.Key, &l.Replaces, &l.ReplacedBy, &l.Draft, &l.Seal, &l.Stamp.Use, &l.Stamp.Entry, &l.Stamp.Path, &l.Stamp.Digest,
		&from, &until, &at, &changed); err != nil {
		return l, err
	}
	l.From, l.Until, l.At, l.ChangedAt = fromMicros(from), fromMicros(until), fromMicros(at), fromMicros(changed)
	if l.HolderName, err = t.open("licence.holder_name", l.ID, name); err != nil {
		return l, err
	}
	if l.Reason, err = t.open("licence.reason", l.ID, reason); err != nil {
		return l, err
	}
	return l, errors.Join(t.openJSON("licence.data", l.ID, data, &l.Data), t.openJSON("licence.maker", l.ID, maker, &l.Maker))
}

func (t licenceTx) Licence(id string) (licence.Licence, error) {
	l, err := t.scan(t.q.QueryRowContext(t.ctx, licenceQuery+`WHERE id = $1`, id))
	return l, licenceMissing(err, "licence %q", id)
}

func (t licenceTx) ByKey(maker, key string) (licence.Licence, error) {
	l, err := t.scan(t.q.QueryRowContext(t.ctx, licenceQuery+`WHERE maker = $1 AND request_key = $2 AND request_key <> '' AND state <> 'void'`, maker, key))
	return l, licenceMissing(err, "licence of %s with key %q", maker, key)
}

func (t licenceTx) Licences(f licence.Filter) ([]licence.Licence, error) {
	var index, other []byte
	if f.HolderName != "" {
		var err error
		if index, other, err = t.indexes("licence.holder_name", f.HolderName); err != nil {
			return nil, err
		}
	}
	before := int64(1) << 62
	if f.Before.ID != "" {
		before = micros(f.Before.At)
	}
	whose, id := `holder = $1`, f.Holder
	if id == "" {
		whose, id = `issuer = $1`, f.Issuer
	}
	// An expired licence is kept as active or suspended.
	return list(t.tx, t.scan, licenceQuery+`WHERE `+whose+` AND ($2 = '' OR type = $2)
			AND ($3 = '' OR ($3 = 'expired' AND state IN ('active', 'suspended') AND valid_until <> 0 AND valid_until <= $4)
				OR (state = $3 AND NOT (state IN ('active', 'suspended') AND valid_until <> 0 AND valid_until <= $4)))
			AND ($5 OR state NOT IN ('drafted', 'void')) AND ($6 = 0 OR holder_index IN ($7, $11)) AND (at, id) < ($8, $9)
		ORDER BY at DESC, id DESC LIMIT $10`,
		id, f.Type, string(f.State), micros(f.Now), f.Unmade, len(index), index, before, f.Before.ID, f.Limit, other)
}

func (t licenceTx) Document(id string) (d licence.Document, err error) {
	var sealed []byte
	if err := t.one([]any{&sealed, &d.Proof}, `SELECT document, proof FROM licence_document WHERE id = $1`, id); err != nil {
		return d, licenceMissing(err, "document of licence %q", id)
	}
	document, err := t.open("licence_document.document", id, sealed)
	d.OFD = []byte(document)
	return d, err
}

func (t licenceTx) Drafts(before time.Time, limit int) ([]licence.Licence, error) {
	return list(t.tx, t.scan, licenceQuery+`WHERE state = 'drafted' AND at < $1 ORDER BY at LIMIT $2`, micros(before), limit)
}

func (t licenceTx) LastVersion(series string) (version int, err error) {
	err = t.one([]any{&version}, `SELECT COALESCE(MAX(version), 0) FROM licence WHERE series = $1`, series)
	return version, err
}

func (t licenceTx) States(after string, limit int) ([]licence.Licence, error) {
	return list(t.tx, func(s scanner) (l licence.Licence, err error) {
		var until, changed int64
		err = s.Scan(&l.ID, &l.State, &l.ReplacedBy, &until, &changed)
		l.Until, l.ChangedAt = fromMicros(until), fromMicros(changed)
		return l, err
	}, `SELECT id, state, replaced_by, valid_until, changed_at FROM licence WHERE state <> 'drafted' AND id > $1 ORDER BY id LIMIT $2`, after, limit)
}

func (t licenceTx) AddDraft(l licence.Licence) (bool, error) {
	name, err1 := t.seal("licence.holder_name", l.ID, l.HolderName)
	index, err2 := t.index("licence.holder_name", l.HolderName)
	data, err3 := t.sealJSON("licence.data", l.ID, l.Data)
	maker, err4 := t.sealJSON("licence.maker", l.ID, l.Maker)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return false, err
	}
	n, err := t.exec(`INSERT INTO licence (id, series, version, type, type_version, title, issuer, issuer_name, holder, holder_name, holder_index,
			state, data, maker, maker_detail, request_key, replaces, draft, seal, valid_from, valid_until, at, changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'drafted', $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
		ON CONFLICT (series, version) DO NOTHING`,
		l.ID, licence.Series(l.ID), l.Version, l.Type, l.TypeVersion, l.Title, l.Issuer, l.IssuerName, l.Holder, name, index,
		data, l.Maker.String(), maker, l.Key, l.Replaces, l.Draft, l.Seal, micros(l.From), micros(l.Until), micros(l.At), micros(l.ChangedAt))
	if duplicate(err) {
		return false, licence.ErrBusy.With("licence of %s with key %q is there already", l.Maker, l.Key)
	}
	return n == 1, err
}

func (t licenceTx) Finish(id string, s licence.Stamp, document []byte, at time.Time) (bool, error) {
	n, err := t.exec(`UPDATE licence SET state = 'active', seal_use = $2, seal_entry = $3, proof_path = $4, digest = $5, changed_at = $6
		WHERE id = $1 AND state = 'drafted'`, id, s.Use, s.Entry, s.Path, s.Digest, micros(at))
	if err != nil || n != 1 {
		return false, err
	}
	sealed, err := t.seal("licence_document.document", id, string(document))
	if err != nil {
		return false, err
	}
	if _, err := t.exec(`INSERT INTO licence_document (id, document) VALUES ($1, $2)`, id, sealed); err != nil {
		return false, fmt.Errorf("keep document of licence %s: %w", id, err)
	}
	return true, nil
}

func (t licenceTx) Move(id string, to licence.State, reason string, at time.Time, from ...licence.State) (bool, error) {
	why, err := t.seal("licence.reason", id, reason)
	if err != nil {
		return false, err
	}
	for _, f := range from {
		n, err := t.exec(`UPDATE licence SET state = $2, reason = $3, changed_at = $4 WHERE id = $1 AND state = $5`, id, string(to), why, micros(at), string(f))
		if err != nil || n == 1 {
			return n == 1, err
		}
	}
	return false, nil
}

func (t licenceTx) Supersede(id, by string, at time.Time) (bool, error) {
	n, err := t.exec(`UPDATE licence SET state = 'superseded', replaced_by = $2, changed_at = $3 WHERE id = $1 AND state = 'active'`, id, by, micros(at))
	return n == 1, err
}

func (t licenceTx) SetProof(id string, proof []byte) (bool, error) {
	n, err := t.exec(`UPDATE licence_document SET proof = $2 WHERE id = $1`, id, proof)
	return n == 1, err
}
