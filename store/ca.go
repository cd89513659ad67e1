package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"hufu/ca"
)

// CA returns the authority's store.
func (db *DB) CA() ca.Store { return caStore{db} }

type caStore struct{ db *DB }

func (s caStore) View(ctx context.Context, f func(ca.R) error) error {
	return s.db.viewOne(ctx, func(t *tx) error { return f(caTx{t}) })
}

func (s caStore) Look(ctx context.Context, f func(ca.R) error) error {
	return s.db.view(ctx, func(t *tx) error { return f(caTx{t}) })
}

func (s caStore) Update(ctx context.Context, f func(ca.W) error) error {
	return s.db.update(ctx, func(t *tx) error { return f(caTx{t}) })
}

type caTx struct{ *tx }

var (
	_ ca.Store = caStore{}
	_ ca.W     = caTx{}
)

// caMissing turns a missing row into the domain's own refusal.
func caMissing(err error, format string, args ...any) error {
	if errors.Is(err, errNoRow) {
		return ca.ErrUnknown.With(format, args...)
	}
	return err
}

// sealJSON seals a value as JSON for one column of one row.
func (t *tx) sealJSON(column, row string, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return t.seal(column, row, string(text))
}

// openJSON is the inverse of sealJSON.
func (t *tx) openJSON(column, row string, sealed []byte, v any) error {
	text, err := t.open(column, row, sealed)
	if err != nil || text == "" {
		return err
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("read %s of row %s: %w", column, row, err)
	}
	return nil
}

func (t caTx) Bundle() (b ca.TrustBundle, err error) {
	var sequence, issued, next int64
	err = t.one([]any{&sequence, &issued, &next, &b.Digest, &b.Data}, `SELECT sequence, issued_at, next_update, digest, data FROM ca_bundle WHERE id = 'hufu'`)
	b.Sequence, b.IssuedAt, b.NextUpdate = uint64(sequence), fromMicros(issued), fromMicros(next)
	return b, caMissing(err, "trust bundle")
}

func (t caTx) PutBundle(b ca.TrustBundle) (bool, error) {
	n, err := t.exec(`INSERT INTO ca_bundle (id, sequence, issued_at, next_update, digest, data) VALUES ('hufu', $1, $2, $3, $4, $5)
		ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, issued_at = excluded.issued_at, next_update = excluded.next_update,
			digest = excluded.digest, data = excluded.data WHERE ca_bundle.digest = $6 AND ca_bundle.sequence < excluded.sequence`,
		int64(b.Sequence), micros(b.IssuedAt), micros(b.NextUpdate), b.Digest, b.Data, b.Previous)
	return n == 1, err
}
