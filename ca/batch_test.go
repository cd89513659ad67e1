package ca_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/ca"
	"hufu/internal/actor"
)

// clerk brings batches.
var clerk = actor.Actor{Subject: "clerk", Capacity: actor.Official, Roles: []actor.Role{actor.RoleRegistrar}}

// row is a line of a batch for the citizen, with a request of its own.
func row(t *testing.T) string {
	t.Helper()
	_, csr := newCSR(t)
	return "person-sign,p1,,," + base64.StdEncoding.EncodeToString(csr)
}

const header = "profile,holder,number_type,number,csr\n"

func file(rows ...string) []byte { return []byte(header + strings.Join(rows, "\n") + "\n") }

// work runs the jobs of a batch until it rests.
func (w *world) work(b ca.Batch) map[string]int {
	w.t.Helper()
	for range 20 {
		if err := w.WorkBatch(w.t.Context(), b.ID); err != nil {
			w.t.Fatal(err)
		}
		_, counts, decisions, err := w.Batch(w.t.Context(), officer, b.ID)
		if err != nil {
			w.t.Fatal(err)
		}
		rests := counts["waiting"]+counts["approved"] == 0
		for _, d := range decisions {
			if err := w.WorkBatchDecision(w.t.Context(), d.ID); err != nil {
				w.t.Fatal(err)
			}
			rests = rests && d.Done
		}
		if rests {
			return counts
		}
	}
	w.t.Fatal("the batch does not come to rest")
	return nil
}

func (w *world) batch(file []byte) ca.Batch {
	w.t.Helper()
	b, err := w.AddBatch(w.t.Context(), clerk, ca.BatchOrder{Name: "一批", Key: rand.Text(), File: file})
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *world) rows(b ca.Batch, stands string) []ca.RowResult {
	w.t.Helper()
	rows, err := w.BatchRows(w.t.Context(), officer, ca.RowFilter{Batch: b.ID, Stands: stands})
	if err != nil {
		w.t.Fatal(err)
	}
	return rows
}

func is(counts map[string]int, want string) error {
	var got []string
	for _, state := range []string{"waiting", "draft", "submitted", "approved", "rejected", "issued", "delivered", "withdrawn", "failed", "cancelled"} {
		if n := counts[state]; n > 0 {
			got = append(got, fmt.Sprint(n, " ", state))
		}
	}
	if all := strings.Join(got, ", "); all != want {
		return fmt.Errorf("%s, want %s", all, want)
	}
	return nil
}

func TestABatchGoesFromFileToCertificates(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.Directory = represents{}
		_, csr := newCSR(t)
		twin := row(t)
		sent := file(row(t), twin, twin, "person-sign,p9,,,AAAA", "person-sign,,resident-id,11010119900307002X,"+base64.StdEncoding.EncodeToString(csr), "entity-sign,p1,,,"+strings.SplitN(row(t), ",,,", 2)[1], "person-sign,,,,AAAB")
		reports, err := w.CheckBatch(ctx, clerk, ca.BatchOrder{File: sent})
		if err != nil {
			t.Fatal(err)
		}
		var codes []string
		for _, r := range reports {
			codes = append(codes, r.Code)
		}
		if got := strings.Join(codes, " "); got != "  ca.batch-twin ca.request  ca.facts ca.batch-row" {
			t.Errorf("the check says %q", got)
		}
		if all, err := w.Batches(ctx, officer, ca.BatchFilter{}); err != nil || len(all) != 0 {
			t.Errorf("a check stored %d batches, %v", len(all), err)
		}
		if apps, err := w.Applications(ctx, officer, ca.ApplicationFilter{}); err != nil || len(apps) != 0 {
			t.Errorf("a check stored %d applications, %v", len(apps), err)
		}

		b := w.batch(sent)
		if err := is(w.work(b), "3 submitted, 4 failed"); err != nil {
			t.Fatal(err)
		}
		for i, r := range w.rows(b, "") {
			if r.Code != reports[i].Code || r.Code != "" && (r.Text.ZH == "" || r.Text.EN == "") {
				t.Errorf("row %d failed with %q, the check said %q", r.Number, r.Code, reports[i].Code)
			}
		}
		// A correction of what failed; what did not fail, or is not there, cannot be corrected.
		for name, c := range map[string]string{"a good row": "1,person-sign,p1,AAAA", "no row": "99,person-sign,p1,AAAA"} {
			if _, err := w.CorrectBatch(ctx, clerk, b.ID, ca.BatchOrder{File: []byte("row,profile,holder,csr\n" + c)}); !errors.Is(err, ca.ErrBatchNumber) {
				t.Errorf("%s corrected: %v", name, err)
			}
		}
		_, other := newCSR(t)
		fixed := "row,state,profile,holder,csr\n4,failed,person-sign,p1," + base64.StdEncoding.EncodeToString(other) + "\n"
		if n, err := w.CorrectBatch(ctx, clerk, b.ID, ca.BatchOrder{File: []byte(fixed)}); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if err := is(w.work(b), "4 submitted, 3 failed"); err != nil {
			t.Fatal(err)
		}
		if n, err := w.RetryBatch(ctx, clerk, b.ID, []int{7, 1}); err != nil || n != 1 {
			t.Error(n, err)
		}
		if err := is(w.work(b), "4 submitted, 3 failed"); err != nil {
			t.Fatal(err)
		}

		// One row rejected alone, one approved alone, the rest together.
		if _, err := w.JudgeBatch(ctx, officer, b.ID, ca.Decision{Verdict: ca.Reject, Reason: "no"}, []int{2}); err != nil {
			t.Fatal(err)
		}
		if err := is(w.work(b), "3 submitted, 1 rejected, 3 failed"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Decide(ctx, officer, w.rows(b, "submitted")[0].Application, true, ""); err != nil {
			t.Fatal(err)
		}
		if err := is(w.work(b), "2 submitted, 1 rejected, 1 issued, 3 failed"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.JudgeBatch(ctx, second, b.ID, ca.Decision{Verdict: ca.Approve}, nil); err != nil {
			t.Fatal(err)
		}
		if err := is(w.work(b), "1 rejected, 3 issued, 3 failed"); err != nil {
			t.Fatal(err)
		}
		w.results(b, 3)
	})
}

// results checks what can be fetched of a batch.
func (w *world) results(b ca.Batch, issued int) {
	w.t.Helper()
	var table, packed, text bytes.Buffer
	err := errors.Join(w.WriteBatchResult(w.t.Context(), clerk, b.ID, &table),
		w.WriteBatchCertificates(w.t.Context(), clerk, b.ID, 0, &packed), w.WriteBatchPEM(w.t.Context(), clerk, b.ID, 0, &text))
	if err != nil {
		w.t.Fatal(err)
	}
	records, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(table.String(), "\uFEFF"))).ReadAll()
	if err != nil || len(records) != b.Total+1 || records[1][1] != "issued" || len(strings.Fields(records[1][6])) != 2 {
		w.t.Errorf("%q %v", records, err)
	}
	z, err := zip.NewReader(bytes.NewReader(packed.Bytes()), int64(packed.Len()))
	if err != nil || len(z.File) != 3*issued+1 { // signing, encryption and envelope each, and the chain
		w.t.Errorf("zip: %v, %v", z, err)
	}
	if n := strings.Count(text.String(), "BEGIN CERTIFICATE"); n != 2*issued {
		w.t.Errorf("%d certificates in the text", n)
	}
}

func TestABatchHasTheRulesOfApplications(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		approve := ca.Decision{Verdict: ca.Approve}
		both := clerk
		both.Roles = append(both.Roles, actor.RoleApprover)
		private := actor.Actor{Subject: "clerk", Capacity: actor.Person, Roles: both.Roles}
		holder := actor.Actor{Subject: "p1", Capacity: actor.Official, For: "o1", Roles: []actor.Role{actor.RoleApprover}}
		for name, by := range map[string]actor.Actor{"nobody": {}, "a citizen": w.citizen, "an approver": second} {
			if _, err := w.AddBatch(ctx, by, ca.BatchOrder{File: file(row(t))}); err == nil {
				t.Errorf("%s brought a batch", name)
			}
			if _, err := w.CheckBatch(ctx, by, ca.BatchOrder{File: file(row(t))}); err == nil {
				t.Errorf("%s checked a batch", name)
			}
		}
		b := w.batch(file(row(t), row(t)))
		if _, err := w.JudgeBatch(ctx, officer, b.ID, approve, nil); !errors.Is(err, ca.ErrBatchBusy) {
			t.Errorf("decided on what nobody could have seen: %v", err)
		}
		w.work(b)
		for name, by := range map[string]actor.Actor{"the maker": both, "the maker at home": private} {
			if _, err := w.JudgeBatch(ctx, by, b.ID, approve, nil); !errors.Is(err, actor.ErrSameActor) {
				t.Errorf("%s decided on the batch: %v", name, err)
			}
			if _, err := w.Judge(ctx, by, w.rows(b, "")[0].Application, approve); !errors.Is(err, actor.ErrSameActor) {
				t.Errorf("%s decided on a row: %v", name, err)
			}
		}
		if _, err := w.JudgeBatch(ctx, clerk, b.ID, approve, nil); !errors.Is(err, actor.ErrRole) {
			t.Error(err)
		}
		if _, err := w.JudgeBatch(ctx, officer, b.ID, ca.Decision{Verdict: ca.Reject}, nil); !errors.Is(err, ca.ErrReason) {
			t.Error(err)
		}
		d, err := w.JudgeBatch(ctx, holder, b.ID, approve, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := is(w.work(b), "2 submitted"); err != nil {
			t.Errorf("the holder decided on the own rows: %v", err)
		}
		if _, _, all, _ := w.Batch(ctx, officer, b.ID); len(all) != 1 || all[0].ID != d.ID || all[0].Refused != 2 {
			t.Errorf("%+v", all)
		}
		for name, by := range map[string]actor.Actor{"an officer": officer, "a stranger": {Subject: "p2", Capacity: actor.Person}} {
			_, err1 := w.RetryBatch(ctx, by, b.ID, nil)
			_, err2 := w.CancelBatch(ctx, by, b.ID)
			_, err3 := w.CorrectBatch(ctx, by, b.ID, ca.BatchOrder{File: []byte("row,csr\n1,AAAA\n")})
			if err1 == nil || err2 == nil || err3 == nil {
				t.Errorf("%s changed the batch: %v, %v, %v", name, err1, err2, err3)
			}
		}
		if _, _, _, err := w.Batch(ctx, actor.Actor{Subject: "p2", Capacity: actor.Person}, b.ID); !errors.Is(err, ca.ErrUnknown) {
			t.Errorf("a stranger saw the batch: %v", err)
		}
		if err := w.WriteBatchResult(ctx, w.citizen, b.ID, &bytes.Buffer{}); !errors.Is(err, ca.ErrUnknown) {
			t.Errorf("a stranger read the result: %v", err)
		}
	})
}

func TestADecisionLeavesAloneWhatCameLater(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		b := w.batch(file(row(t), row(t)))
		w.work(b)
		first := w.rows(b, "")[0].Application
		if _, err := w.JudgeBatch(ctx, officer, b.ID, ca.Decision{Verdict: ca.Approve}, nil); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Second) // before the job runs, another officer sends a row back, and it comes again
		if _, err := w.Judge(ctx, second, first, ca.Decision{Verdict: ca.Return, Reason: "x"}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Submit(ctx, clerk, first); err != nil {
			t.Fatal(err)
		}
		if err := is(w.work(b), "1 submitted, 1 issued"); err != nil {
			t.Error(err)
		}
	})
}

func TestTheSameBatchSentAgainIsTheSame(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		sent := file(row(t), row(t))
		for n := 1; ; n++ { // killed before and after each commit, then sent again
			o := ca.BatchOrder{Key: fmt.Sprint("k", n), File: sent}
			w.store.failAt(n, n%2 == 0)
			b, err := w.AddBatch(ctx, clerk, o)
			w.store.failAt(0, false)
			again, err2 := w.AddBatch(ctx, clerk, o)
			if err2 != nil || err == nil && again.ID != b.ID || again.State != ca.BatchOpen || len(w.rows(again, "")) != 2 {
				t.Fatalf("killed at commit %d: %+v, %v", n, again, err2)
			}
			if err == nil {
				break
			}
		}
		if _, err := w.AddBatch(ctx, clerk, ca.BatchOrder{Key: "k1", File: file(row(t))}); !errors.Is(err, ca.ErrBatchKey) {
			t.Errorf("another file under the same key: %v", err)
		}
	})
}

func TestABatchIsCancelledBeforeItBegins(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		b := w.batch(file(row(t), row(t)))
		if n, err := w.CancelBatch(t.Context(), clerk, b.ID); err != nil || n != 2 {
			t.Fatal(n, err)
		}
		if err := is(w.work(b), "2 cancelled"); err != nil {
			t.Error(err)
		}
	})
}

// The crash table of a batch: killed before and after each commit of the jobs, it goes on; no row is entered twice, none is
// issued twice, none is lost.
func TestCrashTableOfABatch(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, before := range []bool{true, false} {
			n := 1
			for w.crashAt(n, before) {
				n++
			}
			if n < 12 {
				t.Errorf("only %d commits were hit", n-1)
			}
		}
	})
}

// mortal is a store whose process is killed at the n-th commit from now, before or after it: from then on nothing is read or
// written.
type mortal struct {
	ca.Store
	mu     sync.Mutex
	left   int
	before bool
	dead   bool
}

func (m *mortal) View(ctx context.Context, f func(ca.R) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errCrash
	}
	return m.Store.View(ctx, f)
}

func (m *mortal) Update(ctx context.Context, f func(ca.W) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left--
	m.dead = m.dead || m.left == 0 && m.before
	if m.dead {
		return errCrash
	}
	err := m.Store.Update(ctx, f)
	if m.dead = m.left == 0; m.dead && err == nil {
		err = errCrash
	}
	return err
}

// crashAt drives a batch of three rows through a crash at the n-th commit; false when there was none any more.
func (w *world) crashAt(n int, before bool) (crashed bool) {
	t, ctx := w.t, w.t.Context()
	b := w.batch(file(row(t), row(t), "person-sign,p9,,,"+strings.SplitN(row(t), ",,,", 2)[1]))
	run := func() (err error) {
		if err = w.WorkBatch(ctx, b.ID); err != nil {
			return err
		}
		_, _, decisions, err := w.Batch(ctx, officer, b.ID)
		if err == nil && len(decisions) == 0 {
			_, err = w.JudgeBatch(ctx, officer, b.ID, ca.Decision{Verdict: ca.Approve}, nil)
			if errors.Is(err, ca.ErrBatchBusy) {
				return nil
			}
		}
		for _, d := range decisions {
			if err := w.WorkBatchDecision(ctx, d.ID); err != nil {
				return err
			}
		}
		return err
	}
	life := &mortal{Store: w.db.CA(), left: n, before: before}
	w.store.Store = life
	for range 12 {
		if _, counts, _, err := w.Batch(ctx, officer, b.ID); err == nil && counts["issued"] == 2 {
			break
		}
		if err := run(); err != nil {
			if !errors.Is(err, errCrash) {
				t.Fatalf("crash at commit %d: %v", n, err)
			}
			crashed = true
			w.now = w.now.Add(2 * time.Minute) // the lease of whoever died ends
			w.store.Store = w.db.CA()
			w.open()
		}
	}
	w.store.Store = w.db.CA()
	_, counts, _, err := w.Batch(ctx, officer, b.ID)
	if err := errors.Join(err, is(counts, "2 issued, 1 failed")); err != nil {
		t.Fatalf("crash at commit %d, before %v: %v", n, before, err)
	}
	apps, err := w.Applications(ctx, officer, ca.ApplicationFilter{Batch: b.ID})
	if err != nil || len(apps) != 2 {
		t.Fatalf("crash at commit %d: %d applications, %v", n, len(apps), err)
	}
	for _, app := range apps {
		if len(app.Certificates) != 2 || len(app.Checkers) != 1 {
			t.Fatalf("crash at commit %d: %d certificates, %d checkers", n, len(app.Certificates), len(app.Checkers))
		}
	}
	return crashed
}

// What does not answer fails no row: the rows wait, and go on later. What is our own fault fails a row after some tries.
func TestADeviceThatIsDownFailsNoRow(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.Profiles["person-sign"].Approval.Officers = 0
		b := w.batch(file(row(t), row(t)))
		w.keys.before = func() error { return ca.ErrIssuer.With("the device is away") }
		if err := w.WorkBatch(ctx, b.ID); !errors.Is(err, ca.ErrIssuer) {
			t.Errorf("a device that is down: %v", err)
		}
		if _, counts, _, err := w.Batch(ctx, officer, b.ID); err != nil || counts["failed"] != 0 {
			t.Errorf("%v, %v", counts, err)
		}
		w.keys.before = nil
		if err := is(w.work(b), "2 issued"); err != nil {
			t.Error(err)
		}
		strange := w.batch(file("person-sign,p9,,," + strings.SplitN(row(t), ",,,", 2)[1])) // the registry fails without a word
		if err := is(w.work(strange), "1 failed"); err != nil {
			t.Error(err)
		}
		if r := w.rows(strange, "")[0]; r.Code != "internal" || r.Text.ZH == "" {
			t.Errorf("%+v", r.BatchRow)
		}
	})
}

// The durable queue carries a batch: each turn asks for the next, and two workers do not do the same row.
func TestTheQueueCarriesABatch(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.Profiles["person-sign"].Approval.Officers = 0
		var rows []string
		for range 9 {
			rows = append(rows, row(t))
		}
		b := w.batch(file(rows...))
		other := w.Authority
		w.open()
		w.Profiles["person-sign"].Approval.Officers = 0
		for _, err := range atOnce(func() error { return w.WorkBatch(ctx, b.ID) }, func() error { return other.WorkBatch(ctx, b.ID) }) {
			if err != nil {
				t.Error(err)
			}
		}
		jobs := 0
		for {
			job, err := w.db.ClaimJob(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if job == nil {
				break
			}
			if job.Kind == ca.JobBatch {
				jobs++
				if err := w.WorkBatch(ctx, job.Key); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.db.FinishJob(ctx, job); err != nil {
				t.Fatal(err)
			}
		}
		_, counts, _, err := w.Batch(ctx, officer, b.ID)
		if err := errors.Join(err, is(counts, "9 issued")); err != nil || jobs == 0 {
			t.Errorf("%d jobs: %v", jobs, err)
		}
		if got := len(w.keys.signed); got != 18+2 { // and root and issuing authority
			t.Errorf("%d signatures for 9 pairs", got)
		}
	})
}

// TestABatchStopsWhenItsMakerIsDismissed: roles are not those of the day on which it was brought.
func TestABatchStopsWhenItsMakerIsDismissed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, refused := t.Context(), map[string]bool{}
		w.People = people{refused}
		b := w.batch(file(row(t), row(t), row(t)))
		refused[clerk.Subject] = true
		if err := is(w.work(b), "3 failed"); err != nil {
			t.Fatal(err)
		}
		for _, r := range w.rows(b, "failed") {
			if r.Code != ca.ErrBatchMaker.Code || r.Text.ZH == "" || r.Application != "" {
				t.Errorf("row %d: %+v", r.Number, r)
			}
		}
		delete(refused, clerk.Subject)
		if _, err := w.RetryBatch(ctx, clerk, b.ID, nil); err != nil {
			t.Fatal(err)
		}
		if err := is(w.work(b), "3 submitted"); err != nil {
			t.Fatal(err)
		}
		d, err := w.JudgeBatch(ctx, second, b.ID, ca.Decision{Verdict: ca.Approve}, nil)
		w.must(err)
		refused[second.Subject] = true
		if err := is(w.work(b), "3 submitted"); err != nil {
			t.Errorf("an officer who was dismissed approved: %v", err)
		}
		_, _, all, err := w.Batch(ctx, officer, b.ID)
		if err != nil || len(all) != 1 || all[0].ID != d.ID || !all[0].Done || all[0].Stopped != ca.ErrBatchMaker.Code || all[0].Decided != 0 {
			t.Errorf("%+v %v", all, err)
		}
		_, err = w.JudgeBatch(ctx, officer, b.ID, ca.Decision{Verdict: ca.Approve}, nil)
		w.must(err)
		if err := is(w.work(b), "3 issued"); err != nil {
			t.Errorf("another officer: %v", err)
		}
	})
}
