package storetest

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"hufu/store"
)

// Each runs f on every engine at hand, each time on an empty migrated database whose data keys are open.
func Each(t *testing.T, f func(t *testing.T, db *store.DB)) {
	t.Helper()
	EachWith(t, store.Options{}, f)
}

// EachWith is Each with options, to set the clock.
func EachWith(t *testing.T, opts store.Options, f func(t *testing.T, db *store.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { f(t, open(t, sqliteDSN(t), opts)) })
	if server := os.Getenv("HUFU_TEST_PG"); server != "" {
		t.Run("postgres", func(t *testing.T) { f(t, open(t, postgresDSN(t, server), opts)) })
	}
}

// DSNs returns the address of an empty migrated database for every engine at hand, by engine name.
func DSNs(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{"sqlite": sqliteDSN(t)}
	if server := os.Getenv("HUFU_TEST_PG"); server != "" {
		all["postgres"] = postgresDSN(t, server)
	}
	return all
}

// Empty is DSNs without the schema: for tests in which a program makes it.
func Empty(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "hufu.db")}
	if server := os.Getenv("HUFU_TEST_PG"); server != "" {
		all["postgres"] = createDatabase(t, server, "template0")
	}
	return all
}

// Keys returns data keys for tests: fixed, so that a database can be opened again.
func Keys() store.FieldKeys {
	return store.FieldKeys{
		Version:  1,
		Sealing:  map[uint32][]byte{1: bytes.Repeat([]byte{1}, 16)},
		Subjects: bytes.Repeat([]byte{2}, 16),
		Index:    bytes.Repeat([]byte{3}, 32),
		Rows:     bytes.Repeat([]byte{4}, 32),
	}
}

func open(t *testing.T, dsn string, opts store.Options) *store.DB {
	t.Helper()
	ctx := context.Background()
	db, err := store.Open(ctx, dsn, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.UseFieldKeys(Keys()); err != nil {
		t.Fatal(err)
	}
	return db
}
