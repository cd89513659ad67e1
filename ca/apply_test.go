package ca_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"hufu/ca"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
	"hufu/store"
	"hufu/store/storetest"
)

// in brings an application of the citizen's into a state.
func (w *world) in(state ca.State) ca.Application {
	w.t.Helper()
	_, csr := newCSR(w.t)
	q := ca.Request{Profile: "person-sign", Holder: "p1", CSR: csr, Draft: state == ca.Draft}
	app, err := w.Apply(w.t.Context(), w.citizen, q)
	must := func(next ca.Application, err2 error) {
		if err == nil {
			app, err = next, err2
		}
	}
	switch state {
	case ca.Rejected:
		must(w.Decide(w.t.Context(), officer, app.ID, false, "no"))
	case ca.Withdrawn:
		must(w.Withdraw(w.t.Context(), w.citizen, app.ID, ""))
	case ca.Approved, ca.Issued, ca.Delivered:
		must(w.Decide(w.t.Context(), officer, app.ID, true, ""))
	}
	if state == ca.Issued || state == ca.Delivered {
		must(w.Issue(w.t.Context(), w.citizen, app.ID))
	}
	if state == ca.Delivered {
		must(w.Deliver(w.t.Context(), w.citizen, app.ID))
	}
	if err != nil || app.State != state {
		w.t.Fatalf("into state %s: %v, %v", state, app.State, err)
	}
	return app
}

// acts is everything that can be done to an application, and from which state it leads where. From all others it is refused.
var acts = map[string]struct {
	do   func(ctx context.Context, w *world, id string) (ca.Application, error)
	from map[ca.State]ca.State
}{
	"change": {func(ctx context.Context, w *world, id string) (ca.Application, error) {
		return w.Change(ctx, w.citizen, id, ca.Request{Profile: "person-sign", Holder: "p1"})
	}, map[ca.State]ca.State{ca.Draft: ca.Draft}},
	"submit": {func(ctx context.Context, w *world, id string) (ca.Application, error) {
		return w.Submit(ctx, w.citizen, id)
	}, map[ca.State]ca.State{ca.Draft: ca.Submitted}},
	"approve": {func(ctx context.Context, w *world, id string) (ca.Application, error) {
		return w.Judge(ctx, officer, id, ca.Decision{Verdict: ca.Approve})
	}, map[ca.State]ca.State{ca.Submitted: ca.Approved}},
	"reject": {func(ctx context.Context, w *world, id string) (ca.Application, error) {
		return w.Judge(ctx, officer, id, ca.Decision{Verdict: ca.Reject, Reason: "no"})
	}, map[ca.State]ca.State{ca.Submitted: ca.Rejected}},
	"return": {func(ctx context.Context, w *world, id string) (ca.Application, error) {
		return w.Judge(ctx, officer, id, ca.Decision{Verdict: ca.Return, Reason: "the photo is of another person"})
	}, map[ca.State]ca.State{ca.Submitted: ca.Draft}},
	"withdraw": {func(ctx context.Context, w *world, id string) (ca.Application, error) {
		return w.Withdraw(ctx, w.citizen, id, "")
	}, map[ca.State]ca.State{ca.Draft: ca.Withdrawn, ca.Submitted: ca.Withdrawn}},
	"add evidence": {func(ctx context.Context, w *world, id string) (ca.Application, error) {
		_, err := w.AddEvidence(ctx, w.citizen, ca.Evidence{Application: id, Kind: "id-card", Media: "image/png"}, []byte("picture"))
		app, _ := w.Application(ctx, w.citizen, id)
		return app, err
	}, map[ca.State]ca.State{ca.Draft: ca.Draft, ca.Submitted: ca.Submitted}},
	"issue": {func(ctx context.Context, w *world, id string) (ca.Application, error) {
		return w.Issue(ctx, w.citizen, id)
	}, map[ca.State]ca.State{ca.Approved: ca.Issued, ca.Issued: ca.Issued, ca.Delivered: ca.Delivered}},
	"deliver": {func(ctx context.Context, w *world, id string) (ca.Application, error) {
		return w.Deliver(ctx, w.citizen, id)
	}, map[ca.State]ca.State{ca.Issued: ca.Delivered, ca.Delivered: ca.Delivered}},
}

func TestEveryStateTakesTheActsThatItShould(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, from := range []ca.State{ca.Draft, ca.Submitted, ca.Approved, ca.Rejected, ca.Issued, ca.Delivered, ca.Withdrawn} {
			for name, act := range acts {
				app := w.in(from)
				to, allowed := act.from[from]
				got, err := act.do(t.Context(), w, app.ID)
				if !allowed {
					to = from
					if !errors.Is(err, ca.ErrState) {
						t.Errorf("%s from %s: %v", name, from, err)
					}
				} else if err != nil || got.State != to {
					t.Errorf("%s from %s: %s, %v", name, from, got.State, err)
				}
				kept, err := w.Application(t.Context(), officer, app.ID)
				if err != nil || kept.State != to || err == nil && allowed && got.Revision != kept.Revision && name != "issue" {
					t.Errorf("%s from %s: %s is kept, revision %d and not %d: %v", name, from, kept.State, kept.Revision, got.Revision, err)
				}
			}
		}
	})
}

// Drafts and their evidence take room, so that nobody without duties has them without end.
func TestOpenApplicationsAreBounded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		draft := ca.Request{Profile: "person-sign", Holder: "p1", Draft: true}
		var first ca.Application
		for i := range 200 {
			app, err := w.Apply(t.Context(), w.citizen, draft)
			if err != nil {
				t.Fatal(i, err)
			}
			first = app
		}
		if _, err := w.Apply(t.Context(), w.citizen, draft); !errors.Is(err, ca.ErrOpen) {
			t.Errorf("one more draft: %v", err)
		}
		if _, err := w.Withdraw(t.Context(), w.citizen, first.ID, "x"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Apply(t.Context(), w.citizen, draft); err != nil {
			t.Errorf("after one was withdrawn: %v", err)
		}
	})
}

func TestADraftIsChangedSentBackAndKeepsWhatWasSaid(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		app, err := w.Apply(ctx, w.citizen, ca.Request{Profile: "person-sign", Holder: "p1", Draft: true})
		if err != nil || app.State != ca.Draft {
			t.Fatal(app.State, err)
		}
		if _, err := w.Submit(ctx, w.citizen, app.ID); !errors.Is(err, ca.ErrRequest) {
			t.Errorf("submitted without a request: %v", err)
		}
		_, csr := newCSR(t)
		if _, err := w.Change(ctx, w.citizen, app.ID, ca.Request{Profile: "person-sign", Holder: "p2", CSR: csr}); !errors.Is(err, ca.ErrNotHolder) {
			t.Errorf("a draft for somebody else: %v", err)
		}
		if _, err := w.Change(ctx, second2registrar(), app.ID, ca.Request{Profile: "person-sign", Holder: "p1", CSR: csr}); !errors.Is(err, ca.ErrNotMaker) {
			t.Errorf("a draft changed by another: %v", err)
		}
		if _, err := w.Submit(ctx, second2registrar(), app.ID); !errors.Is(err, ca.ErrNotMaker) {
			t.Errorf("a draft submitted by another: %v", err)
		}
		if _, err := w.Change(ctx, w.citizen, app.ID, ca.Request{Profile: "person-sign", Holder: "p1", CSR: []byte("-----BEGIN nonsense")}); !errors.Is(err, ca.ErrRequest) {
			t.Errorf("nonsense in a draft: %v", err)
		}
		if _, err := w.Change(ctx, w.citizen, app.ID, ca.Request{Profile: "person-sign", Holder: "p1", CSR: csr}); err != nil {
			t.Fatal(err)
		}
		if app, err = w.Submit(ctx, w.citizen, app.ID); err != nil || app.State != ca.Submitted {
			t.Fatal(app.State, err)
		}
		seen := app.Revision
		if app, err = w.Judge(ctx, officer, app.ID, ca.Decision{Verdict: ca.Return, Reason: "照片不清"}); err != nil || app.Reason != "照片不清" {
			t.Fatal(app.Reason, err)
		}
		if _, err = w.Submit(ctx, w.citizen, app.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Judge(ctx, officer, app.ID, ca.Decision{Verdict: ca.Approve, Revision: seen}); !errors.Is(err, ca.ErrState) {
			t.Errorf("approved what the officer had not looked at: %v", err)
		}
		if app, err = w.Judge(ctx, officer, app.ID, ca.Decision{Verdict: ca.Approve, Reason: "电话核实"}); err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, s := range app.Steps {
			said = append(said, s.Act+" "+s.Remark)
		}
		if got := strings.Join(said, ","); got != "draft ,change ,submit ,return 照片不清,submit ,approve 电话核实" {
			t.Errorf("kept of it: %s", got)
		}
	})
}

// represents says that officer-3 is the legal representative of e1.
type represents struct{}

func (represents) Find(_ context.Context, _ actor.Actor, kind, number string) (string, error) {
	switch kind + number {
	case "resident-id11010119900307002X":
		return "p1", nil
	case "uscc91330106MA00000190":
		return "e1", nil
	}
	return "", fault.New(fault.NotFound, "test.nobody", "Nobody has this number.", "查无此人。")
}

func (represents) Represents(_ context.Context, person, holder string) (bool, error) {
	return person == "officer-3" && holder == "e1", nil
}

func TestWhoHadAHandInItNeverDecides(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.Directory = represents{}
		both := actor.Actor{Subject: "both", Capacity: actor.Official, Roles: []actor.Role{actor.RoleApprover, actor.RoleRegistrar}}
		third := actor.Actor{Subject: "officer-3", Capacity: actor.Official, Roles: []actor.Role{actor.RoleApprover}}
		private := both
		private.Capacity = actor.Person
		holder := actor.Actor{Subject: "p1", Capacity: actor.Official, For: "o1", Roles: []actor.Role{actor.RoleApprover}}
		company := actor.Actor{Subject: "x", Capacity: actor.Entity, For: "e1", Roles: []actor.Role{actor.RoleApprover}}
		apply := func(profile, holder string) ca.Application {
			_, csr := newCSR(t)
			app, err := w.Apply(ctx, both, ca.Request{Profile: profile, Holder: holder, CSR: csr})
			if err != nil {
				t.Fatal(err)
			}
			return app
		}
		person, entity, helped := apply("person-sign", "p1"), apply("entity-sign", "e1"), apply("person-sign", "p1")
		if _, err := w.AddEvidence(ctx, officer, ca.Evidence{Application: helped.ID, Kind: "id-card", Media: "image/png"}, []byte("picture")); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]struct {
			by  actor.Actor
			app ca.Application
		}{
			"the maker": {both, person}, "the maker, as a private person": {private, person}, "the holder": {holder, person},
			"who acts for the holder": {company, entity}, "who represents the holder at home": {third, entity}, "who brought evidence": {officer, helped},
		} {
			for _, verdict := range []ca.Verdict{ca.Approve, ca.Reject, ca.Return} {
				if _, err := w.Judge(ctx, c.by, c.app.ID, ca.Decision{Verdict: verdict, Reason: "x"}); !errors.Is(err, actor.ErrSameActor) {
					t.Errorf("%s could %s: %v", name, verdict, err)
				}
			}
		}
		for _, app := range []ca.Application{person, entity, helped} {
			if _, err := w.Judge(ctx, second, app.ID, ca.Decision{Verdict: ca.Approve}); err != nil {
				t.Errorf("a stranger could not decide: %v", err)
			}
		}
	})
}

func TestTwoOfficersAreTwoPersons(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.Profiles["person-sign"].Approval.Officers = 2
		app := w.in(ca.Submitted)
		for range 2 {
			_, _ = w.Judge(ctx, officer, app.ID, ca.Decision{Verdict: ca.Approve})
		}
		app, err := w.Application(ctx, officer, app.ID)
		if err != nil || app.State != ca.Submitted || len(app.Checkers) != 1 {
			t.Fatalf("one officer approved twice: %s, %d approvals, %v", app.State, len(app.Checkers), err)
		}
		if _, err := w.Judge(ctx, officer, app.ID, ca.Decision{Verdict: ca.Approve}); !errors.Is(err, ca.ErrApprovedBefore) {
			t.Error(err)
		}
		if app, err = w.Judge(ctx, second, app.ID, ca.Decision{Verdict: ca.Approve}); err != nil || app.State != ca.Approved {
			t.Errorf("two officers: %s, %v", app.State, err)
		}
		for range 5 { // at once: either both count, or one is told to look again; none is lost
			app := w.in(ca.Submitted)
			errs := atOnce(
				func() error { _, err := w.Judge(ctx, officer, app.ID, ca.Decision{Verdict: ca.Approve}); return err },
				func() error { _, err := w.Judge(ctx, second, app.ID, ca.Decision{Verdict: ca.Approve}); return err })
			app, err := w.Application(ctx, officer, app.ID)
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
				} else if !errors.Is(err, ca.ErrState) {
					t.Error(err)
				}
			}
			if err != nil || len(app.Checkers) != won || (app.State == ca.Approved) != (won == 2) {
				t.Errorf("%d approvals succeeded, %d are kept, %s", won, len(app.Checkers), app.State)
			}
		}
	})
}

// atOnce runs calls at the same moment and returns their errors in order.
func atOnce(calls ...func() error) []error {
	errs := make([]error, len(calls))
	var begin, end sync.WaitGroup
	begin.Add(1)
	for i, call := range calls {
		end.Go(func() {
			begin.Wait()
			errs[i] = call()
		})
	}
	begin.Done()
	end.Wait()
	return errs
}

func TestActsAtOnceHaveOneOutcome(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for range 5 {
			app := w.in(ca.Submitted)
			errs := atOnce(
				func() error { _, err := w.Decide(ctx, officer, app.ID, true, ""); return err },
				func() error { _, err := w.Decide(ctx, second, app.ID, false, "no"); return err },
				func() error { _, err := w.Withdraw(ctx, w.citizen, app.ID, ""); return err })
			want := []ca.State{ca.Approved, ca.Rejected, ca.Withdrawn}
			app, err := w.Application(ctx, officer, app.ID)
			won := 0
			for i, e := range errs {
				if e == nil {
					won++
					if app.State != want[i] {
						t.Errorf("%s succeeded, %s is kept", want[i], app.State)
					}
				} else if !errors.Is(e, ca.ErrState) {
					t.Error(e)
				}
			}
			if err != nil || won != 1 || len(app.Steps) != 2 {
				t.Errorf("%d acts succeeded, %d steps: %v", won, len(app.Steps), errs)
			}
		}
		for range 5 {
			app := w.in(ca.Draft)
			errs := atOnce(
				func() error { _, err := w.Submit(ctx, w.citizen, app.ID); return err },
				func() error { _, err := w.Withdraw(ctx, w.citizen, app.ID, ""); return err })
			app, err := w.Application(ctx, officer, app.ID)
			switch {
			case err != nil:
				t.Error(err)
			case errs[1] == nil && app.State != ca.Withdrawn, errs[1] != nil && app.State != ca.Submitted:
				t.Errorf("submitted: %v, withdrawn: %v, kept: %s", errs[0], errs[1], app.State)
			}
		}
	})
}

func TestEvidenceIsCompleteBeforeAnApproval(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		p := w.Profiles["person-sign"]
		p.Evidence, p.Approval.LevelFree = []string{"id-card", "photo"}, 2
		app := w.in(ca.Submitted) // of a holder who needs no officer, but for the evidence
		if _, err := w.Decide(ctx, officer, app.ID, true, ""); !errors.Is(err, ca.ErrEvidence) {
			t.Errorf("approved without evidence: %v", err)
		}
		add := func(id, kind string) {
			if _, err := w.AddEvidence(ctx, second2registrar(), ca.Evidence{Application: id, Kind: kind, Media: "image/png"}, []byte(kind)); err != nil {
				t.Fatal(err)
			}
		}
		add(app.ID, "id-card")
		if _, err := w.Decide(ctx, officer, app.ID, true, ""); !errors.Is(err, ca.ErrEvidence) {
			t.Errorf("approved with half the evidence: %v", err)
		}
		add(app.ID, "photo")
		if app, err := w.Decide(ctx, officer, app.ID, true, ""); err != nil || app.State != ca.Approved {
			t.Errorf("%s, %v", app.State, err)
		}
		app = w.in(ca.Draft)
		add(app.ID, "id-card")
		add(app.ID, "photo")
		if app, err := w.Submit(ctx, w.citizen, app.ID); err != nil || app.State != ca.Approved {
			t.Errorf("a well-known holder with all evidence waits for an officer: %s, %v", app.State, err)
		}
	})
}

func TestEvidenceIsSeenByFewAndChecked(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		app := w.in(ca.Submitted)
		scan := []byte("scan of a card")
		digest := gm.SM3(scan)
		e, err := w.AddEvidence(ctx, w.citizen, ca.Evidence{Application: app.ID, Kind: "id-card", Name: "身份证.png", Media: "image/png", SM3: digest[:], Remark: "正面"}, scan)
		if err != nil || !e.Kept || e.Size != int64(len(scan)) {
			t.Fatal(e, err)
		}
		kept, got, err := w.Document(ctx, officer, app.ID, e.ID)
		if err != nil || !bytes.Equal(got, scan) || kept.Name != "身份证.png" || kept.Remark != "正面" {
			t.Errorf("%q %+v %v", got, kept, err)
		}
		other := w.in(ca.Submitted)
		if _, _, err := w.Document(ctx, officer, other.ID, e.ID); !errors.Is(err, ca.ErrUnknown) {
			t.Errorf("a document of another application: %v", err)
		}
		stranger := actor.Actor{Subject: "p2", Capacity: actor.Person}
		if _, err := w.Evidence(ctx, stranger, app.ID); !errors.Is(err, ca.ErrUnknown) {
			t.Errorf("a stranger saw the evidence: %v", err)
		}
		if _, _, err := w.Document(ctx, stranger, app.ID, e.ID); !errors.Is(err, ca.ErrUnknown) {
			t.Errorf("a stranger saw the document: %v", err)
		}
		auditor := actor.Actor{Subject: "a", Capacity: actor.Official, Roles: []actor.Role{actor.RoleAuditAdmin}}
		if _, err := w.Evidence(ctx, auditor, app.ID); !errors.Is(err, ca.ErrUnknown) {
			t.Errorf("an auditor saw the evidence: %v", err)
		}
		holder := ca.Evidence{Application: app.ID, Kind: "photo", Media: "image/png"}
		for name, c := range map[string]struct {
			change   func(e *ca.Evidence)
			document []byte
			want     error
		}{
			"another digest":  {func(e *ca.Evidence) { e.SM3 = bytes.Repeat([]byte{1}, 32) }, scan, ca.ErrDocument},
			"no document":     {func(*ca.Evidence) {}, nil, ca.ErrDocument},
			"an empty one":    {func(*ca.Evidence) {}, []byte{}, ca.ErrDocument},
			"a short digest":  {func(e *ca.Evidence) { e.SM3, e.Size = []byte{1}, 1 }, nil, ca.ErrDocument},
			"a strange kind":  {func(e *ca.Evidence) { e.Kind = "../x" }, scan, ca.ErrDocument},
			"a strange media": {func(e *ca.Evidence) { e.Media = "text/html\r\nX: y" }, scan, ca.ErrDocument},
			"a control":       {func(e *ca.Evidence) { e.Name = "a\x1b[2Jb" }, scan, ca.ErrDocument},
			"9 MiB":           {func(*ca.Evidence) {}, make([]byte, 9<<20), ca.ErrDocuments},
			"digest alone":    {func(e *ca.Evidence) { e.SM3, e.Size = digest[:], 1<<40 }, nil, nil},
		} {
			e := holder
			c.change(&e)
			if _, err := w.AddEvidence(ctx, w.citizen, e, c.document); !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for range 25 {
			_, err = w.AddEvidence(ctx, w.citizen, holder, scan)
		}
		if all, _ := w.Evidence(ctx, w.citizen, app.ID); len(all) != ca.MaxDocuments || !errors.Is(err, ca.ErrDocuments) {
			t.Errorf("%d documents, %v", len(all), err)
		}
	})
}

// What evidence and batches hold of persons stands sealed in the file.
func TestRegistrationIsSealedAtRest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hufu.db")
	storetest.Place(t, path)
	db, err := store.Open(t.Context(), "sqlite:"+path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.UseFieldKeys(storetest.Keys()); err != nil {
		t.Fatal(err)
	}
	w := &world{db: db, keys: &memoryKeys{}, store: &faultyStore{Store: db.CA()}, now: start, t: t, citizen: actor.Actor{Subject: "p1", Capacity: actor.Person}}
	w.open()
	if err := w.Bootstrap(t.Context(), actor.ForSystem("test")); err != nil {
		t.Fatal(err)
	}
	app := w.in(ca.Submitted)
	secrets := []string{"SECRETname", "SECRETremark", "SECRETdocument", "SECRETnumber", "SECRETreason", "SECRETbatch"}
	if _, err := w.AddEvidence(t.Context(), w.citizen, ca.Evidence{Application: app.ID, Kind: "photo", Media: "image/png", Name: secrets[0], Remark: secrets[1]}, []byte(secrets[2])); err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddBatch(t.Context(), second2registrar(), ca.BatchOrder{Name: secrets[5], File: []byte("number_type,number,csr\nresident-id," + secrets[3] + ",AAAA\n")}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Judge(t.Context(), officer, app.ID, ca.Decision{Verdict: ca.Return, Reason: secrets[4]}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + "-wal"} {
		text, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		for _, secret := range secrets {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s stands in clear in %s", secret, filepath.Base(name))
			}
		}
	}
}

func TestApplicationsAreFoundPageByPage(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		var want []string
		for i := range 7 { // all of one moment
			state := ca.Submitted
			if i%2 == 0 {
				state = ca.Rejected
			}
			want = append(want, w.in(state).ID)
		}
		var got []string
		f := ca.ApplicationFilter{Holder: "p1", Profile: "person-sign", Maker: "person:p1", From: start, To: start.Add(1000), Limit: 2}
		for {
			page, err := w.Applications(ctx, officer, f)
			if err != nil {
				t.Fatal(err)
			}
			for _, app := range page {
				got = append(got, app.ID)
				f.Before, f.BeforeID = app.At, app.ID
			}
			if len(page) < 2 {
				break
			}
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%d of %d found: %v", len(got), len(want), got)
		}
		for name, f := range map[string]ca.ApplicationFilter{
			"state": {State: ca.Issued}, "profile": {Profile: "entity-sign"}, "maker": {Maker: "person:p2"}, "batch": {Batch: "x"}, "from": {From: start.Add(1000)}, "to": {To: start},
		} {
			if page, err := w.Applications(ctx, officer, f); err != nil || len(page) != 0 {
				t.Errorf("by %s: %d, %v", name, len(page), err)
			}
		}
		if _, err := w.Applications(ctx, w.citizen, ca.ApplicationFilter{}); !errors.Is(err, actor.ErrRole) {
			t.Errorf("a citizen listed all: %v", err)
		}
		if page, err := w.Applications(ctx, w.citizen, ca.ApplicationFilter{Maker: "person:p1"}); err != nil || len(page) != 7 {
			t.Errorf("the own ones: %d, %v", len(page), err)
		}
	})
}
