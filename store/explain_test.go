package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// fewRows are the tables that stay short whatever an authority grows to: settings, keys, leases, one row an issuer or a node.
var fewRows = []string{
	"goose_db_version", "lease",
	"audit_key", "audit_tree", "audit_checkpoint",
	"device_key", "data_key", "key_turn", "key_rotation", "key_destruction",
	"ca_issuer", "ca_bundle", "ca_ceremony", "ca_profile", "ca_profile_turn", "ca_list_state", "ca_name",
	"ca_alone", "ca_motion", "ca_trust_list", "ca_trust_source", "ca_foreign_list", "ca_superior", "ca_reminder_position",
	"enrol_client", "kmc_client", "oidc_client", "webhook_subscription",
}

// shortIndexes have the rows of a long table alone that are under way.
var shortIndexes = []string{"audit_entry_pending", "kmc_pair_pool", "job_dead", "job_late", "ca_revocation_held"}

// explainRows is how many rows every other table gets.
const explainRows = 4_000

// mayScan are the functions with a query that reads a long table from end to end, and why that is right.
var mayScan = map[string]string{
	"keyTx.Size":        "counts what a rotation of a data key has before it, once each; the rotation itself goes in pieces",
	"keyTx.sealedUnder": "asked once, before an old data key is destroyed: no row may stand under it",
	"keyTx.Holds":       "asked once, before an old key of tokens is destroyed",
	"kmcTx.Count":       "counts the keys in escrow for an operator: as many, whatever it counts along",
}

// mayWalk are the functions that go through an index in the order of their answer, newest first, until a page is full: long
// only where few rows are as asked for. An index for each filter would cost every insertion more than such a search costs.
var mayWalk = map[string]string{
	"auditTx.Find":            "by action alone; an object, an actor or dates make it short",
	"identityTx.FindSubjects": "by kind or state alone",
}

// Every query finds its rows along an index, whatever a table has grown to; those that do not are named above.
func TestQueriesFindTheirRowsAlongAnIndex(t *testing.T) {
	server := os.Getenv("HUFU_TEST_PG")
	if server == "" {
		t.Skip("needs PostgreSQL, as the part postgres of dev/test has it; set HUFU_TEST_PG")
	}
	schema := "explain" + strings.ToLower(rand.Text())
	if err := CreateSchema(t.Context(), server, schema); err != nil {
		t.Fatal(err)
	}
	defer DropSchema(context.Background(), server, schema)
	db, found := asked(t, server+"&search_path="+schema)
	defer db.Close()
	conn, err := db.write.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	large := fill(t, conn)
	used := map[string]bool{}
	for text, of := range found.whole {
		for _, bad := range explain(t, conn, text).scans(large, false) {
			used[of] = true
			if mayScan[of] == "" && !(bad.walk && mayWalk[of] != "") {
				t.Errorf("%s reads the whole of %s:\n\t%s", of, bad.what, strings.Join(strings.Fields(text), " "))
			}
		}
	}
	for _, of := range append(slices.Collect(maps.Keys(mayScan)), slices.Collect(maps.Keys(mayWalk))...) {
		if !used[of] {
			t.Errorf("%s reads no table as a whole: it need not be named", of)
		}
	}
}

// asked opens a database and finds every text that it is sent.
func asked(t *testing.T, dsn string) (*DB, texts) {
	t.Helper()
	db, err := Open(t.Context(), dsn, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	key := make([]byte, 32)
	if err := db.UseFieldKeys(FieldKeys{
		Version: 1, Sealing: map[uint32][]byte{1: key[:16]}, Subjects: key[:16], Index: key, OtherIndex: append([]byte{1}, key[1:]...), Rows: key,
	}); err != nil {
		t.Fatal(err)
	}
	found := readTexts(t)
	if len(found.whole) < 300 {
		t.Fatalf("%d texts found, there are more", len(found.whole))
	}
	found.run(t, db)
	return db, found
}

// scan is a reading of a whole table; walk: it may end before.
type scan struct {
	what string
	walk bool
}

func fill(t *testing.T, conn *sql.Conn) (large []string) {
	t.Helper()
	rows, err := conn.QueryContext(t.Context(), `SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c
		JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
		WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE' ORDER BY 1, c.ordinal_position`)
	if err != nil {
		t.Fatal(err)
	}
	names, values := map[string][]string{}, map[string][]string{}
	for rows.Next() {
		var table, column, kind string
		if err := rows.Scan(&table, &column, &kind); err != nil {
			t.Fatal(err)
		}
		if slices.Contains(fewRows, table) {
			continue
		}
		names[table] = append(names[table], column)
		values[table] = append(values[table], invented(t, table, column, kind))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "SET session_replication_role = replica"); err != nil { // rows without those they refer to
		t.Fatal(err)
	}
	for table := range names {
		large = append(large, table)
		query := fmt.Sprintf(`INSERT INTO %s (%s) SELECT %s FROM generate_series(1, %d) g`, table, strings.Join(names[table], ", "), strings.Join(values[table], ", "), rowsOf(table))
		if _, err := conn.ExecContext(t.Context(), query); err != nil {
			t.Fatalf("fill %s: %v\n%s", table, err, query)
		}
	}
	for _, query := range []string{"ANALYZE", "SET plan_cache_mode = force_generic_plan"} {
		if _, err := conn.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	return large
}

// rowsOf is how many rows a table gets: not all certificates are revoked.
func rowsOf(table string) int {
	if table == "ca_certificate" || table == "audit_entry" {
		return 5 * explainRows
	}
	return explainRows
}

// states tells the state of most rows of a table, and one of few.
var states = map[string]struct{ usual, seldom string }{
	"job": {"waiting", "dead"}, "wrapped_key": {"active", "making"}, "key_standing": {"active", "making"}, "kmc_pair": {"held", "pool"},
	"ca_application": {"issued", "submitted"}, "licence": {"active", "drafted"}, "seal_use": {"done", "intended"},
}

// invented is a value for row g: as different as they are in life, where that matters to a plan.
func invented(t *testing.T, table, column, kind string) string {
	t.Helper()
	switch {
	case column == "state":
		s, ok := states[table]
		if !ok {
			s.usual, s.seldom = "over", "open"
		}
		return `CASE WHEN g % 50 = 0 THEN '` + s.seldom + `' ELSE '` + s.usual + `' END`
	case column == "hold_until":
		return `CASE WHEN g % 50 = 0 THEN g ELSE 0 END`
	case column == "ended_at" || column == "revoked_at":
		return `CASE WHEN g % 4 = 0 THEN 0 ELSE g END`
	case column == "profile":
		return `'profile' || g % 1000`
	case column == "idx" && table == "audit_entry":
		return `CASE WHEN g % 50 = 0 THEN NULL ELSE g END`
	case column == "reason" && kind == "bigint":
		return `CASE WHEN g % 50 = 0 THEN 6 ELSE 4 END`
	case column == "shard":
		return `g % 10`
	case kind == "bigint" || kind == "integer":
		return `g`
	case kind == "text" && (column == "issuer" || column == "client" || column == "kind" || column == "master" || column == "action"):
		return `'` + column + `' || g % 10`
	case kind == "text":
		return `'` + column + `' || g`
	case kind == "bytea":
		return `sha256(('` + column + `' || g)::bytea)`
	case kind == "boolean":
		return `g % 4 <> 0`
	}
	t.Fatalf("column %s of type %s", column, kind)
	return ""
}

type plan struct {
	Node     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Index    string  `json:"Index Name"`
	Cond     string  `json:"Index Cond"`
	Filter   string  `json:"Filter"`
	Plans    []*plan `json:"Plans"`
}

var (
	placeholder = regexp.MustCompile(`\$\d+`)
	limit       = regexp.MustCompile(`LIMIT \$\d+`)
)

// explain plans a text for any values. Limits are taken for 10: to a plan that knows none, a tenth of the table.
func explain(t *testing.T, conn *sql.Conn, text string) *plan {
	t.Helper()
	text, n := counted(text)
	args := ""
	if n > 0 {
		args = "(" + strings.Join(slices.Repeat([]string{"NULL"}, n), ", ") + ")"
	}
	if _, err := conn.ExecContext(t.Context(), "PREPARE asked AS "+text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var out string
	if err := conn.QueryRowContext(t.Context(), "EXPLAIN (FORMAT JSON) EXECUTE asked"+args).Scan(&out); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if _, err := conn.ExecContext(t.Context(), "DEALLOCATE asked"); err != nil {
		t.Fatal(err)
	}
	var all []struct{ Plan *plan }
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
		t.Fatalf("%s: %v", out, err)
	}
	return all[0].Plan
}

// counted is a text with limits of 10, and without gaps among its n arguments.
func counted(text string) (_ string, n int) {
	numbers := map[string]string{}
	text = placeholder.ReplaceAllStringFunc(limit.ReplaceAllString(text, "LIMIT 10"), func(old string) string {
		if numbers[old] == "" {
			numbers[old] = fmt.Sprintf("$%d", len(numbers)+1)
		}
		return numbers[old]
	})
	return text, len(numbers)
}

// scans names the long tables that a plan reads as a whole: from end to end, or along an index without a condition on it
// and without a limit, or with a limit and a condition on something else, which may hold for no row.
func (p *plan) scans(large []string, limited bool) (all []scan) {
	limited = limited || p.Node == "Limit"
	if slices.Contains(large, p.Relation) {
		switch {
		case p.Node == "Seq Scan":
			all = append(all, scan{p.Relation, false})
		case strings.HasPrefix(p.Node, "Index") && p.Cond == "" && (!limited || p.Filter != "") && !slices.Contains(shortIndexes, p.Index):
			all = append(all, scan{p.Relation + ", along " + p.Index, limited})
		}
	}
	for _, below := range p.Plans {
		all = append(all, below.scans(large, limited)...)
	}
	return all
}
