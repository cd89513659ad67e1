package ca_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

var (
	superAdmin = actor.Actor{Subject: "admin-1", Capacity: actor.Official, Roles: []actor.Role{actor.RoleSuperAdmin}}
	errFrozen  = fault.New(fault.Denied, "test.frozen", "Frozen.", "已冻结。")
)

// people refuses the frozen and those whose mandate is over.
type people struct{ refused map[string]bool }

func (p people) MayAct(_ context.Context, by actor.Actor) error {
	if p.refused[by.Subject] {
		return errFrozen
	}
	return nil
}

func (p people) Address(_ context.Context, holder string) (string, error) {
	if holder == "p1" {
		return "wang@example.com", nil
	}
	return "", nil
}

// issued gives the citizen a pair of certificates for a new key.
func (w *world) issued() (*gm.PrivateKey, ca.Application) {
	w.t.Helper()
	key, csr := newCSR(w.t)
	app, err := w.Issue(w.t.Context(), officer, w.approved(csr).ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return key, app
}

func serialOf(t *testing.T, app ca.Application) []byte {
	t.Helper()
	serial, err := hex.DecodeString(app.Certificates[0])
	if err != nil {
		t.Fatal(err)
	}
	return serial
}

func (w *world) course(serial string) ca.Course {
	w.t.Helper()
	c, err := w.Course(w.t.Context(), actor.ForSystem("test"), serial)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// reserved leaves a serial reserved, as a crash after the first commit does, and returns it.
func (w *world) reserved(app ca.Application) []byte {
	w.t.Helper()
	w.keys.before = func() error { return errCrash }
	defer func() { w.keys.before = nil }()
	if _, err := w.Issue(w.t.Context(), officer, app.ID); !errors.Is(err, errCrash) {
		w.t.Fatal(err)
	}
	var all []ca.Reservation
	if err := w.db.CA().View(w.t.Context(), func(r ca.R) (err error) {
		all, err = r.Reservations(w.now.Add(time.Hour), 1000)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return all[len(all)-1].Serial
}

// TestEveryActOnEveryState is the table of the life of a certificate.
func TestEveryActOnEveryState(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Profiles["person-sign"].Renewal.BeforeDays = 1095
		acts := map[string]func(serial []byte) error{
			"revoke":  func(s []byte) error { return w.Revoke(t.Context(), officer, s, certs.ReasonSuperseded, time.Time{}) },
			"lost":    func(s []byte) error { return w.Revoke(t.Context(), officer, s, certs.ReasonKeyCompromise, time.Time{}) },
			"suspend": func(s []byte) error { return w.Suspend(t.Context(), w.citizen, s, time.Time{}) },
			"resume":  func(s []byte) error { return w.Resume(t.Context(), officer, s) },
			"renew": func(s []byte) error {
				w.now = w.now.Add(time.Hour)
				_, err := w.Renew(t.Context(), w.citizen, ca.Replacement{Serial: s, Act: ca.ActRenew})
				return err
			},
			"rekey": func(s []byte) error {
				_, csr := newCSR(t)
				_, err := w.Renew(t.Context(), w.citizen, ca.Replacement{Serial: s, Act: ca.ActRekey, CSR: csr})
				return err
			},
		}
		states := map[string]func() []byte{
			"valid": func() []byte { _, app := w.issued(); return serialOf(t, app) },
			"held": func() []byte {
				_, app := w.issued()
				w.must(w.Suspend(t.Context(), w.citizen, serialOf(t, app), time.Time{}))
				return serialOf(t, app)
			},
			"revoked": func() []byte {
				_, app := w.issued()
				w.must(w.Revoke(t.Context(), w.citizen, serialOf(t, app), certs.ReasonCessationOfOperation, time.Time{}))
				return serialOf(t, app)
			},
			"lost": func() []byte {
				_, app := w.issued()
				w.must(w.Revoke(t.Context(), w.citizen, serialOf(t, app), certs.ReasonKeyCompromise, time.Time{}))
				return serialOf(t, app)
			},
			"expired": func() []byte {
				_, app := w.issued()
				w.now = w.now.AddDate(3, 0, 1)
				return serialOf(t, app)
			},
			"reserved": func() []byte { _, csr := newCSR(t); return w.reserved(w.approved(csr)) },
			"voided": func() []byte {
				_, csr := newCSR(t)
				serial := w.reserved(w.approved(csr))
				w.must(w.Revoke(t.Context(), officer, serial, certs.ReasonSuperseded, time.Time{}))
				return serial
			},
			"unknown": func() []byte { return bytes.Repeat([]byte{7}, 16) },
		}
		table := map[string]map[string]error{
			"valid":    {"resume": ca.ErrNotHeld},
			"held":     {"suspend": ca.ErrHeld, "renew": ca.ErrHeld, "rekey": ca.ErrHeld},
			"revoked":  {"revoke": ca.ErrRevoked, "suspend": ca.ErrRevoked, "resume": ca.ErrRevoked, "renew": ca.ErrRevoked, "rekey": ca.ErrRevoked},
			"lost":     {"revoke": ca.ErrRevoked, "lost": ca.ErrRevoked, "suspend": ca.ErrRevoked, "resume": ca.ErrRevoked, "renew": ca.ErrRevoked, "rekey": ca.ErrRevoked},
			"expired":  {"revoke": ca.ErrEnded, "suspend": ca.ErrEnded, "resume": ca.ErrNotHeld, "renew": ca.ErrEnded, "rekey": ca.ErrEnded},
			"reserved": {"suspend": ca.ErrUnknown, "resume": ca.ErrUnknown, "renew": ca.ErrUnknown, "rekey": ca.ErrUnknown},
			"voided":   {"revoke": ca.ErrRevoked, "lost": ca.ErrRevoked, "suspend": ca.ErrUnknown, "resume": ca.ErrUnknown, "renew": ca.ErrUnknown, "rekey": ca.ErrUnknown},
			"unknown":  {"revoke": ca.ErrUnknown, "lost": ca.ErrUnknown, "suspend": ca.ErrUnknown, "resume": ca.ErrUnknown, "renew": ca.ErrUnknown, "rekey": ca.ErrUnknown},
		}
		for state, make := range states {
			for act, do := range acts {
				w.now = start
				serial := make()
				if err := do(serial); !errors.Is(err, table[state][act]) {
					t.Errorf("%s on %s: %v, want %v", act, state, err, table[state][act])
				}
			}
		}
	})
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// A hold keeps its date when it becomes a revocation, and a revocation becomes key compromise and nothing else.
func TestDatesAndReasonsOfASecondRevocation(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, app := w.issued()
		serial := serialOf(t, app)
		w.must(w.Suspend(t.Context(), officer, serial, w.now.AddDate(0, 1, 0)))
		if got := w.ocsp(serial, w.chain(app.Certificates[0])[1]); got.Status != certs.OCSPRevoked || got.Reason != certs.ReasonCertificateHold {
			t.Errorf("suspended: %+v", got)
		}
		for _, step := range []struct {
			reason  certs.Reason
			invalid time.Time
		}{{certs.ReasonAffiliationChanged, start}, {certs.ReasonKeyCompromise, start.AddDate(0, 0, -3)}} {
			w.now = w.now.AddDate(0, 0, 1)
			w.must(w.Revoke(t.Context(), w.citizen, serial, step.reason, step.invalid))
			r := w.course(app.Certificates[0]).Status
			if !r.At.Equal(start) || r.Reason != step.reason || !r.Invalid.Equal(step.invalid) || !r.HoldUntil.IsZero() || r.HeldBy != "" {
				t.Errorf("after %v: %+v", step.reason, r)
			}
		}
		c := w.course(app.Certificates[0])
		var acts []ca.StatusAct
		for _, e := range c.Events {
			acts = append(acts, e.Act)
		}
		if !slices.Equal(acts, []ca.StatusAct{ca.ActSuspend, ca.ActRevoke, ca.ActRevoke}) || !c.Events[2].At.Equal(w.now) {
			t.Errorf("events %+v", c.Events)
		}
		if n, err := w.ResumeDue(t.Context()); n != 0 || err != nil {
			t.Errorf("a revoked certificate came back: %d, %v", n, err)
		}
	})
}

func TestAHoldEndsByItself(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, app := w.issued()
		_, other := w.issued()
		serial := serialOf(t, app)
		for _, until := range []time.Time{w.now, w.now.AddDate(10, 0, 0), w.now.Add(-time.Hour)} {
			if err := w.Suspend(t.Context(), w.citizen, serial, until); !errors.Is(err, ca.ErrHold) {
				t.Errorf("until %s: %v", until, err)
			}
		}
		w.must(w.Suspend(t.Context(), w.citizen, serial, w.now.Add(time.Hour)))
		w.must(w.Suspend(t.Context(), w.citizen, serialOf(t, other), time.Time{}))
		if n, err := w.ResumeDue(t.Context()); n != 0 || err != nil {
			t.Errorf("too early: %d, %v", n, err)
		}
		w.now = w.now.Add(time.Hour)
		// A crash before and after the commit: the certificate comes back once, and the event is there once.
		w.store.failAt(1, true)
		if _, err := w.ResumeDue(t.Context()); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		w.store.failAt(1, false)
		if _, err := w.ResumeDue(t.Context()); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		w.open()
		if n, err := w.ResumeDue(t.Context()); n != 0 || err != nil {
			t.Errorf("done already: %d, %v", n, err)
		}
		c := w.course(app.Certificates[0])
		if c.Status != nil || len(c.Events) != 2 || c.Events[1].Act != ca.ActResume {
			t.Errorf("%+v", c)
		}
		if got := w.ocsp(serial, w.chain(app.Certificates[0])[1]); got.Status != certs.OCSPGood {
			t.Errorf("after the hold: %v", got.Status)
		}
		if c := w.course(other.Certificates[0]); c.State(w.now) != ca.CertificateHeld {
			t.Errorf("a hold without end came to one: %s", c.State(w.now))
		}
	})
}

func TestWhoMaySuspendResumeRevokeAndRenew(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Profiles["person-sign"].Renewal.BeforeDays = 1095
		w.People = people{map[string]bool{"frozen": true, "ended": true}}
		_, app := w.issued()
		serial := serialOf(t, app)
		registrar := second2registrar()
		strangers := map[string]actor.Actor{
			"nobody":                {},
			"another person":        {Subject: "p2", Capacity: actor.Person},
			"another entity":        {Subject: "p2", Capacity: actor.Entity, For: "e1"},
			"a post without duties": {Subject: "p2", Capacity: actor.Official, For: "p1"},
			"a client":              {Subject: "app", Capacity: actor.Client},
			"an auditor":            {Subject: "a", Capacity: actor.Official, Roles: []actor.Role{actor.RoleAuditAdmin, actor.RoleSealOfficer}},
			"a frozen officer":      {Subject: "frozen", Capacity: actor.Official, Roles: officer.Roles},
			"an ended delegate":     {Subject: "ended", Capacity: actor.Entity, For: "p1"},
		}
		_, csr := newCSR(t)
		for name, who := range strangers {
			for act, err := range map[string]error{
				"suspend": w.Suspend(t.Context(), who, serial, time.Time{}),
				"resume":  w.Resume(t.Context(), who, serial),
				"revoke":  w.Revoke(t.Context(), who, serial, certs.ReasonSuperseded, time.Time{}),
				"renew": func() error {
					_, err := w.Renew(t.Context(), who, ca.Replacement{Serial: serial, Act: ca.ActRekey, CSR: csr})
					return err
				}(),
			} {
				if k := fault.KindOf(err); err == nil || k != fault.NotFound && k != fault.Denied && k != fault.Unauthenticated {
					t.Errorf("%s of %s: %v", act, name, err)
				}
			}
		}
		// A registrar suspends at the counter, and neither resumes nor revokes.
		w.must(w.Suspend(t.Context(), registrar, serial, time.Time{}))
		if err := w.Resume(t.Context(), registrar, serial); !errors.Is(err, actor.ErrRole) {
			t.Errorf("a registrar resumed: %v", err)
		}
		if err := w.Revoke(t.Context(), registrar, serial, certs.ReasonSuperseded, time.Time{}); !errors.Is(err, actor.ErrRole) {
			t.Errorf("a registrar revoked: %v", err)
		}
		// What an officer suspended the holder does not resume, whatever the profile says of the holder's own holds.
		w.Profiles["person-sign"].Life = ca.Life{HolderResumes: true, HoldDays: 7}
		if err := w.Resume(t.Context(), w.citizen, serial); !errors.Is(err, ca.ErrMayNotResume) {
			t.Errorf("the holder lifted an officer's hold: %v", err)
		}
		w.must(w.Resume(t.Context(), officer, serial))
		if err := w.Suspend(t.Context(), w.citizen, serial, time.Time{}); !errors.Is(err, ca.ErrHold) {
			t.Errorf("longer than the profile allows: %v", err)
		}
		w.must(w.Suspend(t.Context(), w.citizen, serial, w.now.AddDate(0, 0, 7)))
		w.must(w.Resume(t.Context(), w.citizen, serial))
		w.must(w.Suspend(t.Context(), w.citizen, serial, w.now.AddDate(0, 0, 7)))
		w.must(w.Suspend(t.Context(), officer, serial, time.Time{})) // an officer takes the hold over
		if err := w.Resume(t.Context(), w.citizen, serial); !errors.Is(err, ca.ErrMayNotResume) {
			t.Errorf("the holder lifted the hold that an officer took over: %v", err)
		}
		w.Profiles["person-sign"].Life = ca.Life{}
		// An officer is no officer about the own certificate.
		self := actor.Actor{Subject: "p1", Capacity: actor.Official, For: "o1", Roles: officer.Roles}
		if err := w.Resume(t.Context(), self, serial); !errors.Is(err, ca.ErrMayNotResume) {
			t.Errorf("an officer resumed the own certificate: %v", err)
		}
	})
}

func TestRacesOnOneCertificate(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for range 4 {
			_, app := w.issued()
			serial := serialOf(t, app)
			w.must(w.Suspend(t.Context(), officer, serial, time.Time{}))
			var mu sync.Mutex
			var wg sync.WaitGroup
			results := map[string]int{}
			for name, act := range map[string]func() error{
				"resume": func() error { return w.Resume(t.Context(), officer, serial) },
				"revoke": func() error { return w.Revoke(t.Context(), officer, serial, certs.ReasonSuperseded, time.Time{}) },
				"revoke2": func() error {
					return w.Revoke(t.Context(), officer, serial, certs.ReasonCessationOfOperation, time.Time{})
				},
				"lost": func() error { return w.Revoke(t.Context(), w.citizen, serial, certs.ReasonKeyCompromise, time.Time{}) },
			} {
				wg.Go(func() {
					err := act()
					mu.Lock()
					defer mu.Unlock()
					switch {
					case err == nil:
						results[name]++
					case !errors.Is(err, ca.ErrRevoked) && !errors.Is(err, ca.ErrNotHeld):
						t.Errorf("%s: %v", name, err)
					}
				})
			}
			wg.Wait()
			c := w.course(app.Certificates[0])
			if c.Status == nil || c.Status.Reason != certs.ReasonKeyCompromise || results["lost"] != 1 {
				t.Errorf("in the end %+v, %v", c.Status, results)
			}
			if results["revoke"]+results["revoke2"] > 1 {
				t.Errorf("two revocations for lesser reasons took place: %v", results)
			}
			done := 0
			for _, n := range results {
				done += n
			}
			if len(c.Events) != 1+done {
				t.Errorf("%d events for %d changes and a suspension", len(c.Events), done)
			}
		}
	})
}

// Whoever revokes while a certificate is being issued ends the serial: before the signature, after it, and after it is stored.
func TestRevokeWhileIssuing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		revoke := func() error {
			var open []ca.Reservation
			if err := w.db.CA().View(t.Context(), func(r ca.R) (err error) {
				open, err = r.Reservations(w.now.Add(time.Hour), 10)
				return err
			}); err != nil {
				return err
			}
			if err := w.Revoke(t.Context(), w.citizen, open[0].Serial, certs.ReasonKeyCompromise, time.Time{}); !errors.Is(err, ca.ErrUnknown) {
				t.Errorf("a holder voided a reserved serial: %v", err)
			}
			return w.Revoke(t.Context(), officer, open[0].Serial, certs.ReasonSuperseded, time.Time{})
		}
		_, csr := newCSR(t)
		app := w.approved(csr)
		var once sync.Once
		w.keys.before = func() (err error) { once.Do(func() { err = revoke() }); return err }
		if _, err := w.Issue(t.Context(), officer, app.ID); !errors.Is(err, ca.ErrState) {
			t.Errorf("a serial was voided while it was signed, and issued: %v", err)
		}
		w.keys.before = nil
		if _, err := w.Recover(t.Context(), true); err != nil { // the other serial of the pair
			t.Fatal(err)
		}
		done, err := w.Issue(t.Context(), officer, app.ID)
		if err != nil || done.State != ca.Issued {
			t.Fatalf("the application is lost: %+v, %v", done, err)
		}
		w.everySignatureIsKnown()
		// Stored, the answer lost: it is a certificate, which the holder may revoke.
		_, csr = newCSR(t)
		app = w.approved(csr)
		w.store.failAt(2, false)
		if _, err := w.Issue(t.Context(), officer, app.ID); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		if done, err = w.Issue(t.Context(), officer, app.ID); err != nil {
			t.Fatal(err)
		}
		w.must(w.Revoke(t.Context(), w.citizen, serialOf(t, done), certs.ReasonSuperseded, time.Time{}))
	})
}

func TestALostKeyTakesAllItsCertificatesAlong(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, csr := newCSR(t)
		first, err := w.Issue(t.Context(), officer, w.approved(csr).ID)
		w.must(err)
		other, err := w.Issue(t.Context(), officer, w.approved(csr).ID)
		w.must(err)
		superseded, err := w.Issue(t.Context(), officer, w.approved(csr).ID)
		w.must(err)
		w.must(w.Revoke(t.Context(), officer, serialOf(t, superseded), certs.ReasonSuperseded, time.Time{}))
		underWay := w.approved(csr)
		reserved := w.reserved(underWay)

		dry, err := w.End(t.Context(), w.citizen, ca.Ending{Serial: serialOf(t, first), Reason: certs.ReasonKeyCompromise, DryRun: true})
		if err != nil || len(dry.Revoked) != 4 || w.course(first.Certificates[0]).Status != nil {
			t.Fatalf("dry run: %+v, %v", dry, err)
		}
		ended, err := w.End(t.Context(), w.citizen, ca.Ending{Serial: serialOf(t, first), Reason: certs.ReasonKeyCompromise})
		w.must(err)
		if len(ended.Also) != 1 || ended.Also[0].Why != ca.RelatedPair || hex.EncodeToString(ended.Also[0].Serial) != first.Certificates[1] {
			t.Errorf("also %+v", ended.Also)
		}
		for _, app := range []ca.Application{first, other, superseded} {
			if s := w.course(app.Certificates[0]).Status; s == nil || s.Reason != certs.ReasonKeyCompromise {
				t.Errorf("%s: %+v", app.Certificates[0], s)
			}
			if s := w.course(app.Certificates[1]).Status; s != nil {
				t.Errorf("the encryption certificate went too: %+v", s)
			}
		}
		if !slices.ContainsFunc(ended.Revoked, func(r ca.Revocation) bool { return bytes.Equal(r.Serial, reserved) }) && len(ended.Revoked) != 4 {
			t.Errorf("what was reserved for the key is not voided: %d revoked", len(ended.Revoked))
		}
		if _, err := w.Issue(t.Context(), officer, underWay.ID); !errors.Is(err, ca.ErrBlocked) {
			t.Errorf("an approved application for the lost key was issued: %v", err)
		}
		if _, err := w.Apply(t.Context(), w.citizen, ca.Request{Profile: "person-sign", Holder: "p1", CSR: csr}); !errors.Is(err, ca.ErrBlocked) {
			t.Errorf("the lost key was taken again: %v", err)
		}
	})
}

// A serial whose certificate could not be stored is revocable (boulder's TestIssuanceCertStorageFailed): the reservation says
// what was signed.
func TestWhatCouldNotBeStoredIsRevocable(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, csr := newCSR(t)
		serial := w.reserved(w.approved(csr))
		w.must(w.Revoke(t.Context(), officer, serial, certs.ReasonSuperseded, time.Time{}))
		_, issuers := w.Issuers()
		if got := w.ocsp(serial, issuers["issuing"]); got.Status != certs.OCSPRevoked {
			t.Errorf("it is %v", got.Status)
		}
		w.must(w.PublishLists(t.Context(), "issuing"))
		if _, found := w.list("issuing", 0).Find(serial); !found {
			t.Error("the list does not name it")
		}
	})
}

func TestWhoeverHasTheKeyMayRevoke(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		key, app := w.issued()
		serial := serialOf(t, app)
		_, wrong, err := certs.Sign(must(gm.GenerateKey()), w.Challenge(serial))
		w.must(err)
		_, request, err := certs.Sign(key, app.Request) // any other signature of the key
		w.must(err)
		_, old, err := certs.Sign(key, w.Challenge(serial))
		w.must(err)
		w.now = w.now.AddDate(0, 0, 2)
		for name, sig := range map[string][]byte{"another key": wrong, "another text": request, "an old day": old, "nothing": nil} {
			if _, err := w.EndByKey(t.Context(), actor.Actor{}, ca.KeyReport{Serial: serial, Signature: sig, From: "192.0.2.1"}); !errors.Is(err, ca.ErrPossession) {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.must(w.Revoke(t.Context(), officer, serial, certs.ReasonSuperseded, time.Time{}))
		_, sig, err := certs.Sign(key, w.Challenge(serial))
		w.must(err)
		if _, err := w.EndByKey(t.Context(), actor.Actor{}, ca.KeyReport{Serial: serial, Signature: sig, From: "192.0.2.1"}); err != nil {
			t.Fatal(err)
		}
		if s := w.course(app.Certificates[0]).Status; s == nil || s.Reason != certs.ReasonKeyCompromise {
			t.Errorf("%+v", s)
		}
		if ended, err := w.EndByKey(t.Context(), actor.Actor{}, ca.KeyReport{Serial: serial, Signature: sig, From: "192.0.2.1"}); err != nil || len(ended.Revoked) != 0 {
			t.Errorf("said twice: %+v, %v", ended, err)
		}
		limited := false
		for range 80 {
			_, err := w.EndByKey(t.Context(), actor.Actor{}, ca.KeyReport{Serial: serial, Signature: sig, From: "192.0.2.1"})
			limited = limited || errors.Is(err, ca.ErrTooMany)
		}
		if !limited {
			t.Error("reports are not bounded")
		}
	})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestAKeyOnAListSinceTheApprovalIsNotCertified(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, listed := newCSR(t)
		later := w.approved(listed)
		sum := sha256Sum(must(certs.ParseRequest(listed)).RawSPKI)
		if _, err := w.BlockKeys(t.Context(), officer, ca.Blocking{Note: "n", Listed: true, Keys: []ca.KeyName{{Hash: sum, Algorithm: ca.HashSHA256}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Issue(t.Context(), officer, later.ID); !errors.Is(err, ca.ErrBlocked) {
			t.Errorf("a key that a list names since the approval was certified: %v", err)
		}
	})
}

func TestBlockedKeys(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, app := w.issued()
		issued := must(certs.ParseRequest(app.Request))
		_, weak := newCSR(t)
		request := must(certs.ParseRequest(weak))
		sha := sha256Sum(request.RawSPKI)
		_, own := newCSR(t)
		named := must(certs.ParseRequest(own))
		b := ca.Blocking{Note: "published list 2026-08", Listed: true, Keys: []ca.KeyName{
			{Hash: sha, Algorithm: ca.HashSHA256}, {SPKI: named.RawSPKI}, {SPKI: issued.RawSPKI},
		}}
		if _, err := w.BlockKeys(t.Context(), w.citizen, b); !errors.Is(err, actor.ErrRole) {
			t.Errorf("a citizen blocked keys: %v", err)
		}
		for name, k := range map[string]ca.KeyName{"short": {Hash: []byte{1}, Algorithm: ca.HashSM3}, "md5": {Hash: sha, Algorithm: "md5"}, "no key": {SPKI: []byte{0x30, 0}}} {
			if _, err := w.BlockKeys(t.Context(), officer, ca.Blocking{Keys: []ca.KeyName{k}}); !errors.Is(err, ca.ErrKeyHash) {
				t.Errorf("%s: %v", name, err)
			}
		}
		b.DryRun = true
		dry, err := w.BlockKeys(t.Context(), officer, b)
		if err != nil || dry.New != 3 || len(dry.Certificates) != 1 {
			t.Fatalf("dry run: %+v, %v", dry, err)
		}
		late := w.approved(own) // approved before the key is blocked
		b.DryRun, b.Revoke = false, true
		if _, err := w.BlockKeys(t.Context(), officer, b); err != nil {
			t.Fatal(err)
		}
		if s := w.course(app.Certificates[0]).Status; s == nil || s.Reason != certs.ReasonKeyCompromise {
			t.Errorf("its certificate: %+v", s)
		}
		for _, csr := range [][]byte{weak, own} {
			if _, err := w.Apply(t.Context(), w.citizen, ca.Request{Profile: "person-sign", Holder: "p1", CSR: csr}); !errors.Is(err, ca.ErrBlocked) {
				t.Errorf("a blocked key was taken: %v", err)
			}
		}
		if _, err := w.Issue(t.Context(), officer, late.ID); !errors.Is(err, ca.ErrBlocked) {
			t.Errorf("a key that was blocked after the approval was certified: %v", err)
		}
		if again, err := w.BlockKeys(t.Context(), officer, b); err != nil || again.New != 0 {
			t.Errorf("again: %+v, %v", again, err)
		}
		all, err := w.BlockedKeys(t.Context(), officer, ca.BlockedKey{}, 2)
		if err != nil || len(all) != 2 {
			t.Fatalf("%+v, %v", all, err)
		}
		rest, err := w.BlockedKeys(t.Context(), officer, all[1], 10)
		if err != nil || len(rest) != 1 {
			t.Errorf("behind: %+v, %v", rest, err)
		}
	})
}

// A revoked authority issues nothing any more; its lists and answers go on, so that what it signed can still be judged.
func TestNothingIsIssuedUnderARevokedAuthority(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, app := w.issued()
		_, csr := newCSR(t)
		ready := w.approved(csr)
		_, chain := w.Issuers()
		if err := w.Revoke(t.Context(), officer, chain["issuing"].Serial, certs.ReasonCACompromise, time.Time{}); !errors.Is(err, actor.ErrRole) {
			t.Errorf("an approver revoked the authority: %v", err)
		}
		if err := w.Suspend(t.Context(), superAdmin, chain["issuing"].Serial, time.Time{}); !errors.Is(err, ca.ErrHold) {
			t.Errorf("an authority was suspended: %v", err)
		}
		w.must(w.Revoke(t.Context(), superAdmin, chain["issuing"].Serial, certs.ReasonCACompromise, time.Time{}))
		if _, err := w.Issue(t.Context(), officer, ready.ID); !errors.Is(err, ca.ErrIssuerRevoked) {
			t.Errorf("issued under a revoked authority: %v", err)
		}
		w.must(w.PublishLists(t.Context(), "root"))
		if _, found := w.list("root", 0).Find(chain["issuing"].Serial); !found {
			t.Error("the root's list does not name the authority")
		}
		w.must(w.Revoke(t.Context(), officer, serialOf(t, app), certs.ReasonCessationOfOperation, time.Time{}))
		w.must(w.PublishLists(t.Context(), "issuing"))
		if _, found := w.list("issuing", 0).Find(serialOf(t, app)); !found {
			t.Error("its own list does not go on")
		}
	})
}

func sha256Sum(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}
