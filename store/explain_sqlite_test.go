package store

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// elsewhere are marks of texts that PostgreSQL alone is sent.
var elsewhere = regexp.MustCompile(`ANY\(|unnest\(|FOR UPDATE|clock_timestamp|pg_`)

// mayScanOnSQLite is mayScan for what SQLite alone does.
var mayScanOnSQLite = map[string]string{
	"tx.holders": "posts in force, of officials alone; asked before a key of records is destroyed, and by the key management centre",
}

// scanned is what SQLite says of a table that it reads from end to end, by itself or along an index.
var scanned = regexp.MustCompile(`^SCAN (\w+)(?: USING (?:COVERING )?INDEX (\w+))?`)

// The same on SQLite, by what it says that it will do: it knows no statistics, and so plans alike however long a table is.
func TestQueriesFindTheirRowsAlongAnIndexOnSQLite(t *testing.T) {
	db, found := asked(t, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	defer db.Close()
	tables := scannedAll(t, db, `SELECT name FROM sqlite_schema WHERE type = 'table'`)
	for text, of := range found.whole {
		if elsewhere.MatchString(text) {
			continue
		}
		query, n := counted(text)
		for _, detail := range scannedAll(t, db, "EXPLAIN QUERY PLAN "+query, slices.Repeat([]any{nil}, n)...) {
			m := scanned.FindStringSubmatch(detail)
			if m == nil {
				continue
			}
			table := tableOf(text, m[1], tables)
			if table == "" || slices.Contains(fewRows, table) || slices.Contains(shortIndexes, m[2]) || mayScan[of] != "" || mayScanOnSQLite[of] != "" {
				continue
			}
			if limited := m[2] != "" && limit.MatchString(text); !limited || strings.Contains(text, "WHERE") && mayWalk[of] == "" {
				t.Errorf("%s reads the whole of %s (%s):\n\t%s", of, table, detail, strings.Join(strings.Fields(text), " "))
			}
		}
	}
}

// scannedAll returns the last column, a text, of each row.
func scannedAll(t *testing.T, db *DB, query string, args ...any) (all []string) {
	t.Helper()
	rows, err := db.write.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	for err == nil && rows.Next() {
		last, dest := "", slices.Repeat([]any{new(any)}, len(columns))
		dest[len(dest)-1] = &last
		err = rows.Scan(dest...)
		all = append(all, last)
	}
	if err != nil || rows.Err() != nil {
		t.Fatalf("%s: %v, %v", query, err, rows.Err())
	}
	return all
}

// tableOf is the table that a text calls so; "" for none, as for a part of the text itself.
func tableOf(text, name string, tables []string) string {
	for _, table := range tables {
		if table == name || regexp.MustCompile(`\b`+table+`\s+(?:AS\s+)?`+name+`\b`).MatchString(text) {
			return table
		}
	}
	return ""
}
