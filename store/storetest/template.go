package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hufu/store"
)

// Place puts an empty migrated database at path, where a program under test will look for it. Its folder is made.
func Place(t testing.TB, path string) {
	t.Helper()
	text, err := sqliteTemplate(context.Background())
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o700)
	}
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func sqliteDSN(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hufu.db")
	Place(t, path)
	return "sqlite:" + path
}

// sqliteTemplate is the content of a migrated file. Who finds none makes one; where several do so at once, any of theirs stays.
func sqliteTemplate(ctx context.Context) ([]byte, error) {
	digest, err := store.SchemaDigest()
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	path := filepath.Join(cache, "hufu-storetest", digest+".db")
	if text, err := os.ReadFile(path); !errors.Is(err, os.ErrNotExist) {
		return text, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp(filepath.Dir(path), "making")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	made := filepath.Join(work, "hufu.db")
	if err := migrate(ctx, "sqlite:"+made); err != nil {
		return nil, err
	}
	if err := os.Rename(made, path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

func migrate(ctx context.Context, dsn string) error {
	db, err := store.Open(ctx, dsn, store.Options{})
	if err != nil {
		return err
	}
	_, err = db.Migrate(ctx)
	return errors.Join(err, db.Close())
}

func postgresDSN(t testing.TB, server string) string {
	t.Helper()
	template, err := postgresTemplate(context.Background(), server)
	if err != nil {
		t.Fatal(err)
	}
	return createDatabase(t, server, template)
}

// createDatabase makes a database of its own for the test and drops it at the end.
func createDatabase(t testing.TB, server, template string) string {
	t.Helper()
	ctx := context.Background()
	pool, err := sql.Open("pgx", server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pool.Close() })
	name := "t" + strings.ToLower(rand.Text())
	if _, err := pool.ExecContext(ctx, "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := pool.ExecContext(ctx, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	dsn, err := at(server, name)
	if err != nil {
		t.Fatal(err)
	}
	return dsn
}

// templateLock is the advisory lock under which one process makes the server's template while others wait.
const templateLock = 0x48756675

// postgresTemplate returns the name of a migrated database that nobody is connected to. It gets its name when it is complete.
func postgresTemplate(ctx context.Context, server string) (name string, err error) {
	pool, err := sql.Open("pgx", server)
	if err != nil {
		return "", err
	}
	defer pool.Close()
	digest, err := store.SchemaDigest()
	if err != nil {
		return "", err
	}
	name = "template_" + digest[:32]
	conn, err := pool.Conn(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", templateLock); err != nil {
		return "", err
	}
	defer func() {
		_, unlock := conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", templateLock)
		err = errors.Join(err, unlock)
	}()
	var there bool
	if err := conn.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)", name).Scan(&there); err != nil || there {
		return name, err
	}
	making := "making_" + digest[:32]
	for _, statement := range []string{"DROP DATABASE IF EXISTS " + making + " WITH (FORCE)", "CREATE DATABASE " + making} {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return "", fmt.Errorf("%s: %w", statement, err)
		}
	}
	dsn, err := at(server, making)
	if err != nil {
		return "", err
	}
	if err := migrate(ctx, dsn); err != nil {
		return "", err
	}
	_, err = conn.ExecContext(ctx, "ALTER DATABASE "+making+" RENAME TO "+name)
	return name, err
}

// at is the server's address with another database.
func at(server, database string) (string, error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", err
	}
	u.Path = "/" + database
	return u.String(), nil
}
