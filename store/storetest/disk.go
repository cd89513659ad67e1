package storetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"modernc.org/sqlite"
)

// Disk is what the writer of a database has to write on. It knows only connections that are opened after it was made.
type Disk struct {
	t    *testing.T
	dsn  string
	path string // on SQLite
	mu   sync.Mutex
	all  []sqlite.ExecQuerierContext
}

// NewDisk watches over the database at an address that DSNs gave, before it is opened.
func NewDisk(t *testing.T, dsn string) *Disk {
	d := &Disk{t: t, dsn: dsn}
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		d.path = path
		sqlite.RegisterConnectionHook(d.opened)
	}
	return d
}

func (d *Disk) opened(c sqlite.ExecQuerierContext, dsn string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.t.Context().Err() == nil && strings.Contains(dsn, d.path) && !strings.Contains(dsn, "query_only") {
		d.all = append(d.all, c)
	}
	return nil
}

// Fill leaves no room: SQLite is bounded to the pages that it has (SQLITE_FULL), and PostgreSQL says of rows of a table what it
// says when its disk is full (53100).
func (d *Disk) Fill(table string) {
	d.t.Helper()
	if d.path != "" {
		d.pages(1) // none more than there are
		return
	}
	SQL(d.t, d.dsn, `CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$`,
		`CREATE OR REPLACE TRIGGER full_disk BEFORE INSERT ON `+table+` FOR EACH ROW EXECUTE FUNCTION full_disk()`)
}

// Free makes room again.
func (d *Disk) Free(table string) {
	d.t.Helper()
	if d.path != "" {
		d.pages(1 << 30)
		return
	}
	SQL(d.t, d.dsn, `DROP TRIGGER full_disk ON `+table)
}

func (d *Disk) pages(n int) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.all {
		if _, err := c.ExecContext(context.Background(), fmt.Sprintf("PRAGMA max_page_count = %d", n), nil); err != nil {
			d.t.Fatal(err)
		}
	}
}
