package ca_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/fault"
	"hufu/store"
	"hufu/store/storetest"
)

// These tests break the database itself, not the calls to it.

// onDatabase makes a world on the database at an address.
func onDatabase(t *testing.T, dsn string) *world {
	t.Helper()
	db := storetest.Open(t, dsn)
	w := &world{db: db, keys: &memoryKeys{}, store: &faultyStore{Store: db.CA()}, now: start, t: t}
	w.citizen.Subject, w.citizen.Capacity = "p1", "person"
	w.open()
	w.must(w.Bootstrap(t.Context(), system))
	return w
}

// eachDatabase runs f on every engine.
func eachDatabase(t *testing.T, f func(t *testing.T, w *world, dsn string)) {
	t.Helper()
	for engine, dsn := range storetest.DSNs(t) {
		t.Run(engine, func(t *testing.T) { f(t, onDatabase(t, dsn), dsn) })
	}
}

// refuseInserts lets the database refuse rows of a table for which a condition on NEW holds, and allowInserts ends that.
func refuseInserts(t *testing.T, dsn, table, condition string) {
	t.Helper()
	if strings.HasPrefix(dsn, "sqlite:") {
		storetest.SQL(t, dsn, `CREATE TRIGGER refuse BEFORE INSERT ON `+table+` WHEN `+condition+` BEGIN SELECT RAISE(ABORT, 'refused'); END`)
		return
	}
	storetest.SQL(t, dsn,
		`CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$`,
		`CREATE TRIGGER refuse BEFORE INSERT ON `+table+` FOR EACH ROW WHEN (`+condition+`) EXECUTE FUNCTION refuse()`)
}

func allowInserts(t *testing.T, dsn, table string) {
	t.Helper()
	if strings.HasPrefix(dsn, "sqlite:") {
		storetest.SQL(t, dsn, `DROP TRIGGER refuse`)
		return
	}
	storetest.SQL(t, dsn, `DROP TRIGGER refuse ON `+table)
}

func (w *world) reservations() (all []ca.Reservation) {
	w.t.Helper()
	w.must(w.db.CA().View(w.t.Context(), func(r ca.R) (err error) {
		all, err = r.Reservations(w.now.Add(time.Hour), 100)
		return err
	}))
	return all
}

// The database refuses exactly one INSERT: the row of one certificate of a pair, in the second commit (boulder's
// TestIssuanceCertStorageFailed). Nothing is handed out, what was signed is known by its reservation and can be revoked, which
// list and OCSP show, and who asks again gets new serials.
func TestOneInsertIsRefused(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world, dsn string) {
		_, csr := newCSR(t)
		app := w.approved(csr)
		refuseInserts(t, dsn, "ca_certificate", `NEW.profile = 'person-enc'`)
		w.keys.signed = nil
		if got, err := w.Issue(t.Context(), officer, app.ID); err == nil || !strings.Contains(err.Error(), "refused") || len(got.Certificates) > 0 {
			t.Fatalf("%v: %v", got.Certificates, err)
		}
		open := w.reservations()
		if len(open) != 2 || len(w.keys.signed) != 2 {
			t.Fatalf("%d reservations, %d signatures", len(open), len(w.keys.signed))
		}
		w.must(w.Revoke(t.Context(), officer, open[0].Serial, certs.ReasonCessationOfOperation, time.Time{}))
		w.must(w.PublishLists(t.Context(), "issuing"))
		_, issuers := w.Issuers()
		if got := w.ocsp(open[0].Serial, issuers["issuing"]); got.Status != certs.OCSPRevoked {
			t.Errorf("what was signed and not stored is %v by OCSP", got.Status)
		}
		if got := reasonOf(w.crl("issuing/0.crl"), open[0].Serial); got != "cessationOfOperation" {
			t.Errorf("what was signed and not stored is %s in the list", got)
		}
		allowInserts(t, dsn, "ca_certificate")
		done, err := w.Issue(t.Context(), officer, app.ID)
		w.must(err)
		for _, r := range open {
			if done.Certificates[0] == hex.EncodeToString(r.Serial) || done.Certificates[1] == hex.EncodeToString(r.Serial) {
				t.Errorf("serial %x was given out after all", r.Serial)
			}
			if got := w.ocsp(r.Serial, issuers["issuing"]); got.Status != certs.OCSPRevoked {
				t.Errorf("serial %x is %v", r.Serial, got.Status)
			}
		}
		settled(t, w)
	})
}

// act is something that the database goes away under: do does it, again does what a caller does when it is back, and holds what it
// came to against what must be.
type act struct {
	do, again func() error
	hold      func()
}

// atEachCommit takes the database away at each commit of what make begins, before it and after it, until an act has no more
// commits. A server that lives on and one that was started anew take turns.
func atEachCommit(t *testing.T, begin func(w *world, name string) act) {
	t.Helper()
	dsn := storetest.DSNs(t)["postgres"]
	if dsn == "" {
		return // SQLite has no line; its crash tables stop between the commits
	}
	proxy := storetest.NewProxy(t, dsn)
	w := onDatabase(t, proxy.DSN)
	_, err := w.Service(t.Context(), system, "ocsp") // so that it is not made on the way
	w.must(err)
	commits := 0
	for n, over := 1, false; !over; n++ {
		for _, after := range []bool{false, true} {
			name := fmt.Sprintf("commit %d, after it %t", n, after)
			a := begin(w, name)
			proxy.CutAt(n, after)
			err := a.do()
			if !proxy.Restore() {
				w.must(err)
				over = true
			} else if commits++; err != nil && fault.KindOf(err) == fault.Internal {
				t.Errorf("%s: the caller is told nothing: %v", name, err)
			}
			if n%2 == 0 {
				w.open()
				_, err := w.Recover(t.Context(), true)
				w.must(err)
			}
			w.now = w.now.Add(50 * time.Second)
			if err := a.again(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			a.hold()
			settled(t, w)
		}
		if n > 40 {
			t.Fatal("it never ends")
		}
	}
	if commits == 0 {
		t.Error("the database never went away")
	}
}

func (w *world) revocations() (n int) {
	w.t.Helper()
	w.must(w.db.CA().View(w.t.Context(), func(r ca.R) error {
		n = 0
		return r.Revocations("issuing", ca.FullShard, w.now, func(ca.Revocation) error { n++; return nil })
	}))
	return n
}

// certified counts the certificates of seals.
func (w *world) certified() (n int) {
	w.t.Helper()
	w.must(w.db.CA().View(w.t.Context(), func(r ca.R) error {
		all, err := r.Certificates(ca.CertificateFilter{Profile: "seal-signer", Limit: 10000}) // more than a page
		n = len(all)
		return err
	}))
	return n
}

func TestTheDatabaseGoesAwayInAnIssuance(t *testing.T) {
	atEachCommit(t, func(w *world, name string) act {
		_, csr := newCSR(w.t)
		enrol := func() error {
			_, err := w.Enrol(w.t.Context(), system, enrolRequest(csr, name))
			return err
		}
		w.keys.signed = nil
		voided := w.revocations()
		return act{do: enrol, again: enrol, hold: func() {
			all, err := w.Certificates(w.t.Context(), officer, ca.CertificateFilter{Profile: "seal-signer", Limit: 1000})
			w.must(err)
			first, err := w.Enrol(w.t.Context(), system, enrolRequest(csr, name))
			w.must(err)
			mine := 0
			for _, c := range all {
				if c.Application == first.ID {
					mine++
				}
			}
			if mine != 1 || len(first.Certificates) != 1 {
				w.t.Errorf("%s: %d certificates under one key", name, mine)
			}
			if signed, void := len(w.keys.signed), w.revocations()-voided; signed > 1+void {
				w.t.Errorf("%s: %d signatures for one certificate and %d void serials", name, signed, void)
			}
		}}
	})
}

// Those who share a commit are told one by one, and none of them gets two certificates.
func TestTheDatabaseGoesAwayUnderAGroup(t *testing.T) {
	atEachCommit(t, func(w *world, name string) act {
		const n = 6
		var requests [n][]byte
		for i := range n {
			_, requests[i] = newCSR(w.t)
		}
		enrol := func() error {
			var all sync.WaitGroup
			var errs [n]error
			for i := range n {
				all.Go(func() { _, errs[i] = w.Enrol(w.t.Context(), system, enrolRequest(requests[i], fmt.Sprint(name, i))) })
			}
			all.Wait()
			return errors.Join(errs[:]...)
		}
		before := w.certified()
		return act{do: enrol, again: enrol, hold: func() {
			if made := w.certified() - before; made != n {
				w.t.Errorf("%s: %d certificates for %d requests", name, made, n)
			}
		}}
	})
}

func TestTheDatabaseGoesAwayInARevocation(t *testing.T) {
	atEachCommit(t, func(w *world, name string) act {
		_, app := w.issued()
		serial := serialOf(w.t, app)
		revoke := func() error { return w.Revoke(w.t.Context(), officer, serial, certs.ReasonSuperseded, time.Time{}) }
		return act{do: revoke, again: func() error {
			if err := revoke(); !errors.Is(err, ca.ErrRevoked) {
				return err
			}
			return nil
		}, hold: func() {
			if c := w.course(app.Certificates[0]); c.Status == nil || len(c.Events) != 1 {
				w.t.Errorf("%s: %+v, %d events", name, c.Status, len(c.Events))
			}
			w.must(w.PublishLists(w.t.Context(), "issuing"))
			if got := reasonOf(w.crl("issuing/0.crl"), serial); got != "superseded" {
				w.t.Errorf("%s: %s in the list", name, got)
			}
			if got := w.ocsp(serial, w.chain(app.Certificates[0])[1]); got.Status != certs.OCSPRevoked {
				w.t.Errorf("%s: %v by OCSP", name, got.Status)
			}
		}}
	})
}

func TestTheDatabaseGoesAwayWhileAListIsBuilt(t *testing.T) {
	atEachCommit(t, func(w *world, name string) act {
		_, app := w.issued()
		serial := serialOf(w.t, app)
		w.must(w.Revoke(w.t.Context(), officer, serial, certs.ReasonSuperseded, time.Time{}))
		w.SetListPart(600)
		w.keys.signed = nil
		var last *certs.CRL
		if rec := w.file("issuing/0.crl"); rec.Code == 200 {
			last = w.crl("issuing/0.crl")
		}
		build := func() error { _, err := w.PublishShard(w.t.Context(), "issuing/0"); return err }
		return act{do: build, again: build, hold: func() {
			next := w.crl("issuing/0.crl")
			if got := reasonOf(next, serial); got != "superseded" || last != nil && next.Number.Cmp(last.Number) <= 0 {
				w.t.Errorf("%s: %s in list %s", name, got, next.Number)
			}
			w.noListSignedTwice()
		}}
	})
}

// A full disk: what does not fit is refused by name and leaves nothing half-done; with room again everything goes on. On SQLite it
// is really full; PostgreSQL says what it says when it is (53100 disk_full).
func TestTheDiskIsFull(t *testing.T) {
	for engine, dsn := range storetest.DSNs(t) {
		t.Run(engine, func(t *testing.T) {
			disk := storetest.NewDisk(t, dsn)
			outOfRoom(t, onDatabase(t, dsn), disk)
		})
	}
}

func outOfRoom(t *testing.T, w *world, disk *storetest.Disk) {
	t.Helper()
	disk.Fill("ca_certificate_der")
	type asked struct {
		csr []byte
		key string
	}
	var refused []asked
	for n := 0; len(refused) < 3; n++ {
		_, csr := newCSR(t)
		key := fmt.Sprint("k", n)
		_, err := w.Enrol(t.Context(), system, enrolRequest(csr, key))
		if err != nil {
			if !errors.Is(err, store.ErrFull) || fault.KindOf(err) != fault.Unavailable {
				t.Errorf("the caller is told %v", err)
			}
			refused = append(refused, asked{csr, key})
		}
		if n > 2000 {
			t.Fatal("it is never full")
		}
	}
	disk.Free("ca_certificate_der")
	if _, err := w.Recover(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	settled(t, w)
	for _, r := range refused {
		app, err := w.Enrol(t.Context(), system, enrolRequest(r.csr, r.key))
		if err != nil || len(app.Certificates) != 1 {
			t.Errorf("with room again: %v, %v", app.Certificates, err)
		}
	}
	w.everySignatureIsKnown()
}
