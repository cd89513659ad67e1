package ca_test

import (
	"encoding/hex"
	"errors"
	"sync"
	"testing"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/actor"
	"hufu/store/storetest"
)

// After a failover to a copy that lost the last commits nothing is given a second time: no serial, no number of a list or of a
// trust bundle. A certificate that the record has lost is never good, and officers revoke it by the certificate itself.
func TestACopyThatLostTheLastCommitsTakesOver(t *testing.T) {
	eachDatabase(t, func(t *testing.T, w *world, dsn string) {
		w.must(w.PublishLists(t.Context(), "issuing"))
		copied := storetest.Copy(t, dsn)

		key, csr := newCSR(t)
		app, err := w.Issue(t.Context(), officer, w.approved(csr).ID)
		w.must(err)
		lost := w.chain(app.Certificates[0])
		given := map[string]bool{}
		for range 4 {
			_, other := w.issued()
			for _, serial := range append(other.Certificates, app.Certificates...) {
				given[serial] = true
			}
			w.must(w.PublishLists(t.Context(), "issuing"))
			must(w.PublishBundle(t.Context(), factSource{}))
		}
		list, full := w.crl("issuing/0.crl"), w.crl("issuing/full.crl")
		sent := must(w.PublishBundle(t.Context(), factSource{}))

		db := storetest.Open(t, copied)
		after := &world{db: db, keys: w.keys, store: &faultyStore{Store: db.CA()}, now: w.now.Add(time.Minute), t: t, citizen: w.citizen}
		after.open()
		if _, err := after.Recover(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		after.must(after.PublishLists(t.Context(), "issuing"))
		for name, before := range map[string]*certs.CRL{"issuing/0.crl": list, "issuing/full.crl": full} {
			if next := after.crl(name); next.Number.Cmp(before.Number) <= 0 || next.ThisUpdate.Before(before.ThisUpdate) {
				t.Errorf("%s: number %s of %s after %s of %s", name, next.Number, next.ThisUpdate, before.Number, before.ThisUpdate)
			}
		}
		if next := must(after.PublishBundle(t.Context(), factSource{})); next.Sequence <= sent.Sequence {
			t.Errorf("bundle %d after %d", next.Sequence, sent.Sequence)
		}
		for range 4 {
			_, other := after.issued()
			if given[other.Certificates[0]] || given[other.Certificates[1]] {
				t.Errorf("a serial was given again: %v", other.Certificates)
			}
		}
		after.revokesWhatWasLost(lost)
		if _, err := after.Apply(t.Context(), w.citizen, ca.Request{Profile: "person-sign", Holder: "p1", CSR: csr}); !errors.Is(err, ca.ErrBlocked) {
			t.Errorf("the lost key %x was taken again: %v", key.Bytes()[:1], err)
		}
	})
}

// revokesWhatWasLost attacks the revocation of a certificate that the record does not know, and makes it.
func (w *world) revokesWhatWasLost(lost []*certs.Certificate) {
	t := w.t
	t.Helper()
	if got := w.ocsp(lost[0].Serial, lost[1]); got.Status != certs.OCSPUnknown {
		t.Errorf("what the record has lost is %v", got.Status)
	}
	if _, err := w.Recognise(t.Context(), lost[:1], bundle.Login, w.now); !errors.Is(err, ca.ErrNotTrusted) {
		t.Errorf("it is taken for a log-in: %v", err)
	}
	root := foreign(t, nil, "冒名", authority(-1))
	forged := foreign(t, &root, "冒名", func(f *certs.Template) { f.Serial, f.Issuer = lost[0].Serial, lost[1].Subject })
	end := func(by actor.Actor, certificate []byte, serial []byte) error {
		_, err := w.End(t.Context(), by, ca.Ending{Serial: serial, Reason: certs.ReasonKeyCompromise, Certificate: certificate})
		return err
	}
	for name, c := range map[string]struct {
		err, want error
	}{
		"without the certificate":   {end(officer, nil, lost[0].Serial), ca.ErrUnknown},
		"by its holder":             {end(w.citizen, lost[0].PEM(), lost[0].Serial), ca.ErrUnknown},
		"by a registrar":            {end(second2registrar(), lost[0].PEM(), lost[0].Serial), ca.ErrUnknown},
		"under another serial":      {end(officer, lost[0].PEM(), append([]byte{9}, lost[0].Serial[1:]...)), ca.ErrNotIssued},
		"with a forged one":         {end(officer, forged.Raw, lost[0].Serial), ca.ErrNotIssued},
		"with garbage":              {end(officer, []byte("x"), lost[0].Serial), ca.ErrNotIssued},
		"an authority, by officers": {end(officer, lost[1].Raw, lost[1].Serial), actor.ErrRole},
		"a root":                    {end(officer, lost[2].Raw, lost[2].Serial), ca.ErrNotIssued},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	if _, err := w.End(t.Context(), officer, ca.Ending{Serial: lost[0].Serial, Reason: certs.ReasonSuperseded, Certificate: lost[0].Raw, DryRun: true}); err != nil {
		t.Error(err)
	}
	if got := w.ocsp(lost[0].Serial, lost[1]); got.Status != certs.OCSPUnknown {
		t.Errorf("trying it revoked it: %v", got.Status)
	}
	w.must(end(officer, lost[0].PEM(), lost[0].Serial))
	if err := end(officer, lost[0].PEM(), lost[0].Serial); !errors.Is(err, ca.ErrRevoked) {
		t.Errorf("revoked twice: %v", err)
	}
	w.must(w.PublishLists(t.Context(), "issuing"))
	if got := w.ocsp(lost[0].Serial, lost[1]); got.Status != certs.OCSPRevoked || reasonOf(w.crl(shardIn(t, lost[0])), lost[0].Serial) != "keyCompromise" {
		t.Errorf("in the end it is %v", got.Status)
	}
	if c := w.course(lost[0].SerialHex()); len(c.Events) != 1 {
		t.Errorf("%d events", len(c.Events))
	}
}

// Two nodes that go by one instance number all the same: 104 random bits keep their serials apart, and when the one that starts
// takes what the other has under way for a dead one's, that is void and never handed out.
func TestTwoNodesWithOneNumber(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		twin := w.node(nil)
		var all sync.WaitGroup
		var mu sync.Mutex
		given := map[string]bool{}
		for i := range 24 {
			_, csr := newCSR(t)
			a := []*ca.Authority{w.Authority, twin}[i%2]
			all.Go(func() {
				app, err := a.Enrol(t.Context(), system, enrolRequest(csr, ""))
				mu.Lock()
				defer mu.Unlock()
				if err != nil || given[app.Certificates[0]] {
					t.Errorf("%v, given before %t", err, err == nil)
					return
				}
				given[app.Certificates[0]] = true
			})
		}
		all.Wait()
		_, issuers := w.Issuers()
		for _, key := range []string{"", "k"} {
			var once sync.Once
			var void []byte
			w.keys.before = func() (err error) {
				once.Do(func() {
					void = w.reservations()[0].Serial
					_, err = twin.Recover(t.Context(), true) // the twin starts
				})
				return err
			}
			_, csr := newCSR(t)
			app, err := w.Enrol(t.Context(), system, enrolRequest(csr, key))
			w.keys.before = nil
			switch {
			case key == "" && !errors.Is(err, ca.ErrState):
				t.Errorf("a serial that the twin has voided: %v, %v", app.Certificates, err)
			case key != "" && (err != nil || app.Certificates[0] == hex.EncodeToString(void)): // goes on with a new one
				t.Errorf("under a key: %v of void %x, %v", app.Certificates, void, err)
			}
			if got := w.ocsp(void, issuers["issuing"]); got.Status != certs.OCSPRevoked {
				t.Errorf("the void serial is %v", got.Status)
			}
		}
		settled(t, w)
	})
}

// What a crash left while a clock was years ahead is settled once the clock is right: at the start of its node, by the sweep of
// another, and by whoever asks again.
func TestReservationsFromAClockThatWasAhead(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, issuers := w.Issuers()
		other := w.node(func(c *ca.Config) { c.Instance = 2 })
		for name, settle := range map[string]func(ca.Application) error{
			"a start":             func(ca.Application) error { _, err := w.Recover(t.Context(), true); return err },
			"another node":        func(ca.Application) error { _, err := other.Recover(t.Context(), false); return err },
			"asked another again": func(app ca.Application) error { _, err := other.Issue(t.Context(), officer, app.ID); return err },
		} {
			_, csr := newCSR(t)
			app := w.approved(csr)
			w.now = start.AddDate(2, 0, 0)
			serial := w.reserved(app)
			w.now = start
			w.must(settle(app))
			if got := w.ocsp(serial, issuers["issuing"]); got.Status != certs.OCSPRevoked {
				t.Errorf("%s: %v", name, got.Status)
			}
			settled(t, w)
			if done, err := other.Issue(t.Context(), officer, app.ID); err != nil || done.State != ca.Issued {
				t.Errorf("%s: %s, %v", name, done.State, err)
			}
		}
	})
}

// The clock goes back before the authority began and past its end: nothing is issued then; in between, nothing begins earlier than
// the profile lets it.
func TestIssuanceWhenTheClockSteps(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, c := range []struct {
			at   time.Time
			good bool
		}{{start.AddDate(-1, 0, 0), false}, {start.AddDate(200, 0, 0), false}, {start.AddDate(1, 0, 0), true}, {start.Add(time.Hour), true}} {
			w.now = c.at
			_, csr := newCSR(t)
			app, err := w.Enrol(t.Context(), system, enrolRequest(csr, ""))
			if (err == nil) != c.good {
				t.Errorf("at %s: %v", c.at, err)
			}
			if !c.good {
				continue
			}
			chain := w.chain(app.Certificates[0])
			if from := chain[0].NotBefore; from.Before(c.at.Add(-2*time.Minute)) || from.After(c.at) || chain[0].NotAfter.After(chain[1].NotAfter) {
				t.Errorf("at %s: valid from %s to %s", c.at, from, chain[0].NotAfter)
			}
		}
	})
}
