package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"path/filepath"
	"strings"
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

// DSNs returns the address of an empty, not yet migrated database for every engine at hand, by engine name.
func DSNs(t testing.TB) map[string]string {
	t.Helper()
	all := map[string]string{"sqlite": sqliteDSN(t)}
	if server := os.Getenv("HUFU_TEST_PG"); server != "" {
		all["postgres"] = postgresDSN(t, server)
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
	if _, err := db.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	if err := db.UseFieldKeys(Keys()); err != nil {
		t.Fatal(err)
	}
	return db
}

func sqliteDSN(t testing.TB) string {
	return "sqlite:" + filepath.Join(t.TempDir(), "hufu.db")
}

// postgresDSN makes a schema of its own for the test and drops it at the end.
func postgresDSN(t testing.TB, server string) string {
	t.Helper()
	schema := "t" + strings.ToLower(rand.Text())
	if err := store.CreateSchema(context.Background(), server, schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.DropSchema(context.Background(), server, schema); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}
