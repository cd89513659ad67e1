package storetest

import (
	"context"
	"database/sql"
	"net/url"
	"os"
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

// Copy returns the address of a copy of a database as it stands now: what a replica has that lost all that came later.
func Copy(t *testing.T, dsn string) string {
	t.Helper()
	if strings.HasPrefix(dsn, "sqlite:") {
		copied := sqliteDSN(t)
		SQL(t, dsn, "VACUUM INTO '"+strings.TrimPrefix(copied, "sqlite:")+"'")
		return copied
	}
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	from, copied := u.Query().Get("search_path"), postgresDSN(t, os.Getenv("HUFU_TEST_PG"))
	fresh, err := store.Open(context.Background(), copied, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	if _, err := fresh.Migrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	SQL(t, copied, `DO $$ DECLARE r record; BEGIN
		SET LOCAL session_replication_role = replica; -- rows come in any order
		FOR r IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename <> 'goose_db_version' LOOP
			EXECUTE format('DELETE FROM %I', r.tablename);
			EXECUTE format('INSERT INTO %I OVERRIDING SYSTEM VALUE SELECT * FROM `+from+`.%I', r.tablename, r.tablename);
		END LOOP;
	END $$`)
	return copied
}
