package storetest

import (
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hufu/store"
)

// Open opens the database at an address that DSNs, Copy or NewProxy gave, as Each does.
func Open(t *testing.T, dsn string) *store.DB {
	t.Helper()
	return open(t, dsn, store.Options{})
}

// SQL runs statements on the database at an address beside the store, as an operator could, or a fault.
func SQL(t testing.TB, dsn string, statements ...string) {
	t.Helper()
	driver := "pgx"
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, dsn = "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

// Copy returns the address of a copy of a database as it stands now: what a replica has that lost all that came later. On
// PostgreSQL connections to the original are ended by it.
func Copy(t *testing.T, dsn string) string {
	t.Helper()
	if strings.HasPrefix(dsn, "sqlite:") {
		path := filepath.Join(t.TempDir(), "copy.db")
		SQL(t, dsn, "VACUUM INTO '"+path+"'")
		return "sqlite:" + path
	}
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	server, name := os.Getenv("HUFU_TEST_PG"), strings.TrimPrefix(u.Path, "/")
	SQL(t, server, `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '`+name+`'`)
	return createDatabase(t, server, name)
}
