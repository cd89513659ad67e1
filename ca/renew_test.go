package ca_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// replace makes a signed replacement as the holder's client does.
func (w *world) replacement(key *gm.PrivateKey, serial []byte, act ca.Act, csr []byte) ca.Replacement {
	w.t.Helper()
	_, proof, err := certs.Sign(key, w.RenewalText(serial, act, csr))
	w.must(err)
	return ca.Replacement{Serial: serial, Act: act, CSR: csr, Proof: proof}
}

func TestRenewalKeepsTheKeysAndNewKeysReplaceThem(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p, days := w.Profiles["person-sign"], 7
		p.Renewal.Automatic, p.Renewal.BeforeDays, p.Life.SupersedeDays = true, 30, &days
		key, app := w.issued()
		serial, csr := serialOf(t, app), app.Request
		if _, err := w.Renew(t.Context(), w.citizen, w.replacement(key, serial, ca.ActRenew, csr)); !errors.Is(err, ca.ErrTooEarly) {
			t.Errorf("before its time: %v", err)
		}
		w.now = w.now.AddDate(0, 0, 1095-20)
		renewal, err := w.Renew(t.Context(), w.citizen, w.replacement(key, serial, ca.ActRenew, csr))
		if err != nil || renewal.State != ca.Approved || renewal.Act != ca.ActRenew || renewal.Replaces != app.Certificates[0] {
			t.Fatalf("signed by the old key, it needs no officer: %+v, %v", renewal, err)
		}
		if _, err := w.Renew(t.Context(), w.citizen, w.replacement(key, serial, ca.ActRenew, csr)); !errors.Is(err, ca.ErrReplaced) {
			t.Errorf("renewed twice: %v", err)
		}
		renewed, err := w.Issue(t.Context(), w.citizen, renewal.ID)
		w.must(err)
		for i := range 2 {
			before, after := w.chain(app.Certificates[i])[0], w.chain(renewed.Certificates[i])[0]
			if !bytes.Equal(before.RawSPKI, after.RawSPKI) || !bytes.Equal(before.RawSubject, after.RawSubject) || !after.NotAfter.After(before.NotAfter) {
				t.Errorf("certificate %d: key, name or time is wrong", i)
			}
		}
		if !bytes.Equal(renewed.Envelope, app.Envelope) {
			t.Error("the encryption key is not the one that there was")
		}
		old, young := w.course(app.Certificates[0]), w.course(renewed.Certificates[0])
		if old.ReplacedBy != renewed.Certificates[0] || old.Pair != app.Certificates[1] || young.Replaces != app.Certificates[0] || young.Act != ca.ActRenew {
			t.Errorf("the chain: %+v, %+v", old, young)
		}

		fresh, next := newCSR(t)
		rekey, err := w.Renew(t.Context(), w.citizen, w.replacement(key, serialOf(t, renewed), ca.ActRekey, next))
		w.must(err)
		rekeyed, err := w.Issue(t.Context(), w.citizen, rekey.ID)
		w.must(err)
		if bytes.Equal(rekeyed.Envelope, app.Envelope) || bytes.Equal(w.chain(rekeyed.Certificates[1])[0].RawSPKI, w.chain(app.Certificates[1])[0].RawSPKI) {
			t.Error("with a new signing key the encryption key is still the old one")
		}
		if !certs.SameKey(w.chain(rekeyed.Certificates[0])[0].PublicKey, fresh.Public()) {
			t.Error("the new certificate has another key")
		}
		// The time of grace is over: both of the old pair are superseded, once, whatever crashes.
		w.now = w.now.AddDate(0, 0, 7)
		w.store.failAt(1, false)
		if err := w.Supersede(t.Context(), app.Certificates[0]); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		w.must(w.Supersede(t.Context(), app.Certificates[0]))
		for _, s := range app.Certificates {
			if c := w.course(s); c.Status == nil || c.Status.Reason != certs.ReasonSuperseded || len(c.Events) != 1 {
				t.Errorf("%+v", c)
			}
		}
		// Without a good successor nothing is taken away.
		w.must(w.Revoke(t.Context(), w.citizen, serialOf(t, rekeyed), certs.ReasonCessationOfOperation, time.Time{}))
		w.must(w.Supersede(t.Context(), renewed.Certificates[0]))
		if c := w.course(renewed.Certificates[0]); c.Status != nil {
			t.Errorf("superseded by nothing: %+v", c.Status)
		}
	})
}

func TestRenewalsThatAreNot(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		p := w.Profiles["person-sign"]
		p.Renewal.Automatic, p.Renewal.BeforeDays = true, 1095
		key, app := w.issued()
		serial, csr := serialOf(t, app), app.Request
		w.now = w.now.Add(time.Hour)
		thief, stolen := newCSR(t)
		stranger := actor.Actor{Subject: "p2", Capacity: actor.Person}
		encryption := serialOf(t, ca.Application{Certificates: app.Certificates[1:]})
		for name, c := range map[string]struct {
			by   actor.Actor
			n    ca.Replacement
			want error
		}{
			"a proof by another key":          {stranger, w.replacement(thief, serial, ca.ActRekey, stolen), ca.ErrProof},
			"a proof for another request":     {stranger, ca.Replacement{Serial: serial, Act: ca.ActRekey, CSR: stolen, Proof: w.replacement(key, serial, ca.ActRekey, csr).Proof}, ca.ErrProof},
			"a proof for another act":         {stranger, ca.Replacement{Serial: serial, Act: ca.ActChange, CSR: stolen, Proof: w.replacement(key, serial, ca.ActRekey, stolen).Proof}, ca.ErrProof},
			"no proof, no right":              {stranger, ca.Replacement{Serial: serial, Act: ca.ActRekey, CSR: stolen}, ca.ErrUnknown},
			"a new key that is the old one":   {w.citizen, ca.Replacement{Serial: serial, Act: ca.ActRekey, CSR: csr}, ca.ErrSameKey},
			"a renewal with a new key":        {w.citizen, ca.Replacement{Serial: serial, Act: ca.ActRenew, CSR: stolen}, ca.ErrSameKey},
			"the encryption certificate":      {w.citizen, ca.Replacement{Serial: encryption, Act: ca.ActRekey, CSR: stolen}, ca.ErrNoRenewal},
			"a renewal with other facts":      {w.citizen, ca.Replacement{Serial: serial, Act: ca.ActRenew, Facts: map[string]string{"x": "y"}}, ca.ErrNameChanged},
			"no act":                          {w.citizen, ca.Replacement{Serial: serial, CSR: csr}, ca.ErrRequest},
			"no request":                      {w.citizen, ca.Replacement{Serial: serial, Act: ca.ActRekey, CSR: []byte("x")}, ca.ErrRequest},
			"a key of the house's own making": {officer, ca.Replacement{Serial: w.serviceSerial(), Act: ca.ActRekey, CSR: stolen}, ca.ErrNoRenewal},
		} {
			if _, err := w.Renew(t.Context(), c.by, c.n); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", name, err, c.want)
			}
		}
		// An officer brings a request: another officer has to look.
		asked, err := w.Renew(t.Context(), second2registrar(), ca.Replacement{Serial: serial, Act: ca.ActRekey, CSR: stolen})
		if err != nil || asked.State != ca.Submitted {
			t.Fatalf("%+v, %v", asked.State, err)
		}
		if _, err := w.Decide(t.Context(), officer, asked.ID, false, "no"); err != nil {
			t.Fatal(err)
		}
		// Between the approval by signature and the issuance the certificate is revoked: the thief gets nothing.
		taken, err := w.Renew(t.Context(), w.citizen, w.replacement(key, serial, ca.ActRekey, stolen))
		if err != nil || taken.State != ca.Approved {
			t.Fatalf("%+v, %v", taken.State, err)
		}
		w.must(w.Suspend(t.Context(), w.citizen, serial, time.Time{}))
		if _, err := w.Issue(t.Context(), w.citizen, taken.ID); !errors.Is(err, ca.ErrRevoked) {
			t.Errorf("a suspended certificate vouched for a new key: %v", err)
		}
		w.must(w.Revoke(t.Context(), w.citizen, serial, certs.ReasonKeyCompromise, time.Time{}))
		if _, err := w.Issue(t.Context(), w.citizen, taken.ID); !errors.Is(err, ca.ErrRevoked) {
			t.Errorf("a lost key vouched for a new one: %v", err)
		}
	})
}

// serviceSerial is the serial of a certificate that the system alone may have.
func (w *world) serviceSerial() []byte {
	w.t.Helper()
	s, err := w.Service(w.t.Context(), actor.ForSystem("test"), "ocsp")
	w.must(err)
	return s.Certificate.Serial
}

func TestNothingIsRenewedBeyondItsAuthority(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Profiles["person-sign"].Renewal.BeforeDays = 1095
		_, issuers := w.Issuers()
		end := issuers["issuing"].NotAfter
		w.now = end.AddDate(-1, 0, 0)
		_, app := w.issued()
		if got := w.chain(app.Certificates[0])[0].NotAfter; !got.Equal(end) {
			t.Errorf("it ends %s, its authority %s", got, end)
		}
		w.now = w.now.AddDate(0, 1, 0)
		if _, err := w.Renew(t.Context(), w.citizen, ca.Replacement{Serial: serialOf(t, app), Act: ca.ActRenew}); !errors.Is(err, ca.ErrIssuer) {
			t.Errorf("renewed for no time: %v", err)
		}
		w.now = end.AddDate(0, 0, 1)
		_, csr := newCSR(t)
		if _, err := w.Apply(t.Context(), w.citizen, ca.Request{Profile: "person-sign", Holder: "p1", CSR: csr}); err == nil {
			t.Error("an ended authority takes applications")
		} else if k := fault.KindOf(err); k == 0 {
			t.Errorf("it is no refusal: %v", err)
		}
	})
}

// TestCrashesOfARevocation breaks a revocation before and after its commit: the status, its event, its record and the job are
// all there or none is, and the next try ends well.
func TestCrashesOfARevocation(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, before := range []bool{true, false} {
			_, app := w.issued()
			serial := serialOf(t, app)
			w.store.failAt(1, before)
			if err := w.Revoke(t.Context(), w.citizen, serial, certs.ReasonKeyCompromise, time.Time{}); !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			w.open()
			c := w.course(app.Certificates[0])
			if (c.Status != nil) == before || len(c.Events) != map[bool]int{true: 0, false: 1}[before] {
				t.Errorf("before %v: %+v, %d events", before, c.Status, len(c.Events))
			}
			want := map[bool]error{true: nil, false: ca.ErrRevoked}[before]
			if err := w.Revoke(t.Context(), w.citizen, serial, certs.ReasonKeyCompromise, time.Time{}); !errors.Is(err, want) {
				t.Errorf("tried again: %v", err)
			}
			if c := w.course(app.Certificates[0]); c.Status == nil || len(c.Events) != 1 {
				t.Errorf("in the end %+v, %d events", c.Status, len(c.Events))
			}
		}
	})
}

func TestFindingCertificates(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.issued()
		w.now = w.now.Add(time.Second)
		_, held := w.issued()
		w.now = w.now.Add(time.Second)
		_, revoked := w.issued()
		w.must(w.Suspend(t.Context(), officer, serialOf(t, held), time.Time{}))
		w.must(w.Revoke(t.Context(), officer, serialOf(t, revoked), certs.ReasonSuperseded, time.Time{}))
		count := func(by actor.Actor, f ca.CertificateSearch) int {
			all, err := w.FindCertificates(t.Context(), by, f)
			if err != nil {
				t.Errorf("%+v: %v", f, err)
			}
			return len(all)
		}
		for state, n := range map[ca.CertificateState]int{ca.CertificateValid: 1, ca.CertificateHeld: 1, ca.CertificateRevoked: 1, ca.CertificateExpired: 0, "": 3} {
			if got := count(w.citizen, ca.CertificateSearch{Holder: "p1", Profile: "person-sign", State: state}); got != n {
				t.Errorf("%q: %d, want %d", state, got, n)
			}
		}
		if _, err := w.FindCertificates(t.Context(), w.citizen, ca.CertificateSearch{}); !errors.Is(err, ca.ErrNotHolder) {
			t.Errorf("a citizen searched everybody's: %v", err)
		}
		first, err := w.FindCertificates(t.Context(), officer, ca.CertificateSearch{Issuer: "issuing", Holder: "p1", Limit: 4})
		w.must(err)
		last := first[len(first)-1]
		if got := count(officer, ca.CertificateSearch{Holder: "p1", Before: last.IssuedAt, BeforeSerial: last.Serial}); len(first) != 4 || got != 2 {
			t.Errorf("pages of %d and %d", len(first), got)
		}
		if got := count(officer, ca.CertificateSearch{Holder: "p1", From: start.Add(time.Second), To: start.Add(2 * time.Second)}); got != 2 {
			t.Errorf("of one second: %d", got)
		}
		w.now = w.now.AddDate(4, 0, 0)
		if got := count(officer, ca.CertificateSearch{Holder: "p1", State: ca.CertificateExpired}); got != 4 {
			t.Errorf("expired: %d", got) // both encryption certificates of held and revoked, and the valid pair
		}
	})
}
