package keys_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"hufu/hsm/hsmtest"
	"hufu/store"
	"hufu/store/storetest"
)

// admin is an administrator with everything but the owner: the database, to read and write past the program; the program
// itself, with whatever actor he likes; the configuration; and the opened device.
type admin struct {
	rig
	t   *testing.T
	sql *sql.DB
}

// eachAdmin is each with the database open past the program.
func eachAdmin(t *testing.T, f func(t *testing.T, a admin)) {
	for engine, dsn := range storetest.DSNs(t) {
		t.Run(engine, func(t *testing.T) {
			c := &clock{}
			c.us.Store(time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC).UnixMicro())
			db, err := store.Open(t.Context(), dsn, store.Options{Now: c.now})
			ok(t, "open", err)
			t.Cleanup(func() { db.Close() })
			ok(t, "field keys", db.UseFieldKeys(storetest.Keys()))
			driver, source := "pgx", dsn
			if path, embedded := strings.CutPrefix(dsn, "sqlite:"); embedded {
				driver, source = "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)"
			}
			raw, err := sql.Open(driver, source)
			ok(t, "open past the program", err)
			t.Cleanup(func() { raw.Close() })
			a := admin{rig{device: hsmtest.Soft(t), db: db, clock: c}, t, raw}
			a.unlock(t)
			f(t, a)
		})
	}
}

func (a admin) exec(query string, args ...any) {
	a.t.Helper()
	res, err := a.sql.ExecContext(a.t.Context(), query, args...)
	ok(a.t, query, err)
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		a.t.Fatalf("%s: changed %d rows, %v", query, n, err)
	}
}

// rows is a copy of a table's rows.
type rows struct {
	table   string
	columns []string
	values  [][]any
}

func (a admin) copy(table, where string, args ...any) rows {
	a.t.Helper()
	q, err := a.sql.QueryContext(a.t.Context(), "SELECT * FROM "+table+" WHERE "+where, args...)
	ok(a.t, "copy "+table, err)
	defer q.Close()
	r := rows{table: table}
	r.columns, err = q.Columns()
	ok(a.t, "columns", err)
	for q.Next() {
		row, into := make([]any, len(r.columns)), make([]any, len(r.columns))
		for i := range row {
			into[i] = &row[i]
		}
		ok(a.t, "scan", q.Scan(into...))
		for i, v := range row {
			if b, is := v.([]byte); is {
				row[i] = append([]byte{}, b...) // never NULL
			}
		}
		r.values = append(r.values, row)
	}
	ok(a.t, "copy", q.Err())
	return r
}

// paste puts copied rows back over those of the same key.
func (a admin) paste(r rows) {
	a.t.Helper()
	for _, row := range r.values {
		var marks, sets []string
		for i, c := range r.columns {
			marks = append(marks, fmt.Sprintf("$%d", i+1))
			sets = append(sets, c+" = excluded."+c)
		}
		a.exec(fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) ON CONFLICT (%s) DO UPDATE SET %s", r.table, strings.Join(r.columns, ", "),
			strings.Join(marks, ", "), r.columns[0], strings.Join(sets, ", ")), row...)
	}
}

// blobs reads every octet string that the database holds in the tables of keys.
func (a admin) blobs() (all [][]byte) {
	for _, table := range []string{"wrapped_key", "key_owner", "key_standing", "key_challenge", "data_key", "device_key"} {
		for _, row := range a.copy(table, "1 = 1").values {
			for _, v := range row {
				if b, is := v.([]byte); is && len(b) > 0 {
					all = append(all, b)
				}
			}
		}
	}
	return all
}
