package store

import (
	"context"
	"database/sql"
	"errors"
	"testing"
	"time"

	"hufu/audit"
	"hufu/ca"
	"hufu/ca/kmc"
	"hufu/identity"
)

// somewhen is a time for queries that want one.
var somewhen = time.Unix(1, 0)

// built runs the functions that put their texts together, in each of their ways; what they answer does not matter.
var built = map[string]func(*tx){
	"auditTx.assignValues": func(t *tx) { _ = auditTx{t}.assignValues([]string{"a", "b"}, 1) },
	"auditTx.Find": func(t *tx) {
		for _, q := range []audit.Query{
			{},
			{Actor: "a"},
			{Action: "a"},
			{Action: "a."},
			{Object: audit.Object{Kind: "a"}},
			{Object: audit.Object{Kind: "a", ID: "b"}},
			{Subject: "a"},
			{From: somewhen},
			{To: somewhen},
		} {
			q.Limit = 1
			_, _ = auditTx{t}.Find(q)
		}
	},
	"caTx.Applications": func(t *tx) {
		for _, f := range []ca.ApplicationFilter{
			{}, {State: "submitted"}, {Profile: "a"}, {Holder: "a"}, {Maker: "a"}, {Batch: "a"}, {From: somewhen, To: somewhen}, {Before: somewhen, BeforeID: "a"},
		} {
			f.Limit = 1
			_, _ = caTx{t}.Applications(f)
		}
	},
	"caTx.Certificates": func(t *tx) {
		for _, f := range []ca.CertificateFilter{{}, {Holder: "a"}, {Profile: "a"}, {Before: somewhen}} {
			f.Limit = 1
			_, _ = caTx{t}.Certificates(f)
		}
	},
	"caTx.FindCertificates": func(t *tx) {
		for _, f := range []ca.CertificateSearch{
			{},
			{Holder: "a"},
			{Profile: "a"},
			{Issuer: "a"},
			{Serial: []byte{1}},
			{EndsBefore: somewhen},
			{From: somewhen, To: somewhen},
			{Before: somewhen},
			{State: ca.CertificateHeld},
			{State: ca.CertificateRevoked},
			{State: ca.CertificateExpired},
			{State: ca.CertificateValid},
		} {
			f.Limit = 1
			_, _ = caTx{t}.FindCertificates(f)
		}
	},
	"caTx.CertificatesOfKeys": func(t *tx) { _, _ = caTx{t}.CertificatesOfKeys([][]byte{{1}, {2}}, 1) },
	"caTx.ObtainedWith":       func(t *tx) { _, _ = caTx{t}.ObtainedWith([]string{"a", "b"}, 1) },
	"caTx.Standing":           func(t *tx) { _, _ = caTx{t}.Standing([][]byte{{1}, {2}}) },
	"caTx.DropListParts":      func(t *tx) { _ = caTx{t}.DropListParts("a", 1, "b", "c") },
	"tx.failedJobs": func(t *tx) {
		_, _ = t.failedJobs(`WHERE state = 'dead' ORDER BY created_at LIMIT $1`, 1)
		_, _ = t.failedJobs(`WHERE attempts >= 12 AND state <> 'dead' ORDER BY created_at LIMIT $1`, 1)
	},
	"tx.claimJob": func(t *tx) { _, _ = t.claimJob("IN", []string{"a"}); _, _ = t.claimJob("NOT IN", []string{"a", "b"}) },
	"identityTx.FindSubjects": func(t *tx) {
		for _, q := range []identity.Find{{}, {Kind: identity.Person}, {State: "a"}, {NamePrefix: "a"}, {Phone: "1"}, {After: identity.Cursor{Registered: somewhen, ID: "a"}}} {
			q.Limit = 1
			_, _ = identityTx{t}.FindSubjects(q)
		}
	},
	"identityTx.Hold":           func(t *tx) { _ = identityTx{t}.Hold("a") },
	"identityTx.addIdentifiers": func(t *tx) { _ = identityTx{t}.addIdentifiers([]identity.Subject{{ID: "a"}, {ID: "b"}}) },
	"keyTx.CountUnder": func(t *tx) {
		for _, sort := range []string{"data", "wrapped", "escrow", "owner", "standing"} {
			_, _ = keyTx{t}.CountUnder(sort, "a", 2)
		}
	},
	"keyTx.Size": func(t *tx) { _, _ = keyTx{t}.Size(recordRows) },
	"keyTx.replace": func(t *tx) {
		for _, table := range sealedTables {
			for column := range table.columns {
				_ = keyTx{t}.replace(table, sealedRow{id: "a", octets: map[string][]byte{column: {1}}}, map[string][]byte{column: {2}})
			}
		}
	},
	"keyTx.rotation": func(t *tx) { _, _ = keyTx{t}.Rotation("a"); _, _ = keyTx{t}.LastRotation("a") },
	"keyTx.sealedRows": func(t *tx) {
		for _, table := range sealedTables {
			_, _ = keyTx{t}.sealedRows(table, "a", 1)
		}
	},
	"keyTx.sealedUnder": func(t *tx) { _, _ = keyTx{t}.sealedUnder(1) },
	"kmcTx.pair": func(t *tx) {
		_, _ = kmcTx{t}.PairOf("a", "b")
		_, _ = kmcTx{t}.Pair("a", "b")
		_, _ = kmcTx{t}.PairByPublic("a", []byte{1})
	},
	"kmcTx.recoveries": func(t *tx) {
		_, _ = kmcTx{t}.Recovery("a", "b")
		_, _ = kmcTx{t}.RecoveryByKey("a", "b", "c")
		_, _ = kmcTx{t}.Recoveries("a", kmc.RecoveryFilter{Limit: 1})
		_, _ = kmcTx{t}.Due(somewhen, 1)
	},
	"inserting": func(t *tx) {
		_ = t.later(insertEntry.of(make([]any, 10)...))
		_ = t.later(insertTile.of(make([]any, 3)...))
		_ = t.later(insertApplication.of(make([]any, 20)...))
		_ = t.later(claimKey.of(make([]any, 3)...))
		_ = t.later(insertCertificate.of(make([]any, 10)...))
		_ = t.later(insertCertificateDER.of(make([]any, 2)...))
	},
	"caTx.Reserve":         func(t *tx) { _ = caTx{t}.Reserve(ca.Reservation{Under: make([]ca.Named, 2)}) },
	"caTx.addRows":         func(t *tx) { _ = caTx{t}.addRows([]ca.BatchRow{{Batch: "a", Number: 1}}) },
	"loginTx.HoldPassword": func(t *tx) { _ = loginTx{t}.HoldPassword("a", "b") },
	"loginTx.account":      func(t *tx) { _, _ = loginTx{t}.AccountByName("a"); _, _ = loginTx{t}.AccountOf("a") },
	"loginTx.moved": func(t *tx) {
		_, _ = loginTx{t}.moved("login_delay", "bucket", bucketColumn, "a")
		_, _ = loginTx{t}.moved("login_familiar", "place", placeColumn, "a")
	},
	"loginTx.session": func(t *tx) { _, _ = loginTx{t}.SessionByHash([]byte{1}); _, _ = loginTx{t}.SessionByID("a") },
}

// recorder notes the texts that go through it.
type recorder struct {
	querier
	note func(string)
}

func (r recorder) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	r.note(query)
	return r.querier.ExecContext(ctx, query, args...)
}

func (r recorder) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	r.note(query)
	return r.querier.QueryContext(ctx, query, args...)
}

func (r recorder) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	r.note(query)
	return r.querier.QueryRowContext(ctx, query, args...)
}

var errEnough = errors.New("enough")

// run adds what the functions send that put their texts together.
func (f texts) run(t *testing.T, db *DB) {
	t.Helper()
	for name := range f.built {
		call, ok := built[name]
		if !ok {
			t.Errorf("%s puts a query together; say in built how it is called", name)
			continue
		}
		sent := 0
		err := db.update(t.Context(), func(tx *tx) error {
			note := func(query string) {
				if isSQL(query) {
					sent++
					f.whole[query] = name
				}
			}
			tx.q = recorder{tx.q, note}
			call(tx)
			for _, s := range tx.waiting { // see later
				note(s.query)
				note(s.many)
			}
			return errEnough
		})
		if sent == 0 {
			t.Errorf("%s sends nothing: %v", name, err)
		}
	}
	for name := range built {
		if !f.built[name] {
			t.Errorf("%s puts no query together any more", name)
		}
	}
}
