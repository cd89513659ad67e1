package store

import (
	"context"
	"errors"

	"hufu/ca/kmc"
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

func (t kmcTx) Key(request string) (k kmc.Key, err error) {
	var at int64
	err = t.one([]any{&k.Request, &k.Holder, &k.Public, &k.Envelope, &at},
		`SELECT request, holder, public, envelope, at FROM kmc_key WHERE request = $1`, request)
	k.At = fromMicros(at)
	if errors.Is(err, errNoRow) {
		err = kmc.ErrUnknown.With("request %q", request)
	}
	return k, err
}

func (t kmcTx) AddKey(k kmc.Key) (bool, error) {
	n, err := t.exec(`INSERT INTO kmc_key (request, holder, public, envelope, at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (request) DO NOTHING`,
		k.Request, k.Holder, k.Public, k.Envelope, micros(k.At))
	return n == 1, err
}
