package ca_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/fault"
)

// enrolRequest asks for a certificate that the system gets without an officer.
func enrolRequest(csr []byte, key string) ca.Request {
	return ca.Request{Profile: "seal-signer", Holder: "e1", Facts: map[string]string{"seal_code": "33010000000001"}, CSR: csr, Key: key}
}

var system = actor.ForSystem("test")

// Many at once share commits, and each gets its own certificate.
func TestIssuancesShareTheirCommits(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const n = 48
		w.store.failAt(0, false)
		w.store.mu.Lock()
		before := w.store.left
		w.store.mu.Unlock()
		serials := enrolMany(t, w, n)
		w.store.mu.Lock()
		updates := before - w.store.left
		w.store.mu.Unlock()
		if len(serials) != n {
			t.Errorf("%d different serials of %d", len(serials), n)
		}
		if updates >= 2*n {
			t.Errorf("%d transactions for %d issuances", updates, n)
		}
		settled(t, w)
	})
}

func enrolMany(t *testing.T, w *world, n int) map[string]bool {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	serials := map[string]bool{}
	for range n {
		_, csr := newCSR(t)
		all.Go(func() {
			app, err := w.Enrol(t.Context(), system, enrolRequest(csr, ""))
			mu.Lock()
			defer mu.Unlock()
			if err != nil || app.State != ca.Issued || len(app.Certificates) != 1 {
				t.Errorf("%s, %v: %v", app.State, app.Certificates, err)
				return
			}
			serials[app.Certificates[0]] = true
		})
	}
	all.Wait()
	return serials
}

// settled checks that nothing is left reserved.
func settled(t *testing.T, w *world) {
	t.Helper()
	err := w.db.CA().View(t.Context(), func(r ca.R) error {
		left, err := r.Reservations(w.now.AddDate(100, 0, 0), 10)
		if len(left) > 0 {
			t.Errorf("%d reservations are left", len(left))
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// When the transaction of a group fails, each of its members gets another one; of two who bring one key for two holders, one
// is refused.
func TestOneFailureDoesNotFailItsNeighbours(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, stolen := newCSR(t)
		var all sync.WaitGroup
		results := make([]error, 2)
		w.store.failAt(1, true) // the group's own transaction
		good := enrolErrors(t, w, 8)
		for _, err := range good {
			if err != nil && !errors.Is(err, errCrash) {
				t.Error(err)
			}
		}
		for i, holder := range []ca.Request{enrolRequest(stolen, ""), {Profile: "qr", Holder: "service:qr", Facts: map[string]string{"name": "x"}, CSR: stolen}} {
			all.Go(func() { _, results[i] = w.Enrol(t.Context(), system, holder) })
		}
		all.Wait()
		if (results[0] == nil) == (results[1] == nil) || !errors.Is(errors.Join(results...), ca.ErrKeyUsed) {
			t.Errorf("one key for two holders: %v", results)
		}
	})
}

// Who is refused for a blocked key costs those in the same commits nothing: no transaction is run again.
func TestARefusalDoesNotCostItsNeighbours(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const n = 16
		requests, errs := make([]ca.Request, 2*n), make([]error, 2*n)
		var blocked []ca.KeyName
		for i := range requests {
			_, csr := newCSR(t)
			requests[i] = enrolRequest(csr, "")
			if i%2 == 0 {
				continue
			}
			blocked = append(blocked, ca.KeyName{Hash: sha256Sum(must(certs.ParseRequest(csr)).RawSPKI), Algorithm: ca.HashSHA256})
		}
		if _, err := w.BlockKeys(t.Context(), officer, ca.Blocking{Note: "n", Listed: true, Keys: blocked}); err != nil {
			t.Fatal(err)
		}
		w.store.failAt(0, false)
		w.store.mu.Lock()
		before := w.store.left
		w.store.mu.Unlock()
		var all sync.WaitGroup
		for i, q := range requests {
			all.Go(func() { _, errs[i] = w.Enrol(t.Context(), system, q) })
		}
		all.Wait()
		for i, err := range errs {
			if i%2 == 0 && err != nil || i%2 == 1 && !errors.Is(err, ca.ErrBlocked) {
				t.Errorf("%d: %v", i, err)
			}
		}
		w.store.mu.Lock()
		updates := before - w.store.left
		w.store.mu.Unlock()
		if updates >= 3*n {
			t.Errorf("%d transactions for %d issuances and as many refusals", updates, n)
		}
		settled(t, w)
	})
}

func enrolErrors(t *testing.T, w *world, n int) []error {
	t.Helper()
	var all sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		_, csr := newCSR(t)
		all.Go(func() { _, errs[i] = w.Enrol(t.Context(), system, enrolRequest(csr, "")) })
	}
	all.Wait()
	return errs
}

// Whoever asks for one application at the same time gets the same certificates, and no reservation is left.
func TestParallelIssuesOfOneApplicationGiveOneCertificate(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, csr := newCSR(t)
		app := w.approved(csr)
		signed := len(w.keys.signed)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if got, err := w.Issue(t.Context(), officer, app.ID); err != nil || len(got.Certificates) != 2 {
					t.Errorf("%v: %v", got.Certificates, err)
				}
			})
		}
		all.Wait()
		if n := len(w.keys.signed) - signed; n != 2 {
			t.Errorf("%d signatures for a pair", n)
		}
		settled(t, w)
	})
}

// The same idempotency key at the same moment, and again later, gives the same certificate.
func TestOneKeyOneCertificate(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, csr := newCSR(t)
		var all sync.WaitGroup
		var mu sync.Mutex
		serials := map[string]bool{}
		for range 6 {
			all.Go(func() {
				app, err := w.Enrol(t.Context(), system, enrolRequest(csr, "k"))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				serials[app.Certificates[0]] = true
			})
		}
		all.Wait()
		again, err := w.Certify(t.Context(), system, enrolRequest(csr, "k"))
		if err != nil || len(serials) != 1 || !serials[again.Application.Certificates[0]] || len(again.Certificates) != 1 || len(again.Chain) != 2 {
			t.Errorf("%v, then %v: %v", serials, again.Application.Certificates, err)
		}
		settled(t, w)
	})
}

// Killed in each gap: the retry with the same key gives the certificate that was stored, or a new one while the serial of
// before is void; and every serial that the device signed is stored or void.
func TestEnrolmentKilledInEachGap(t *testing.T) {
	for _, c := range []struct {
		name   string
		cut    func(w *world)
		voided int
	}{
		{"before commit 1", func(w *world) { w.store.failAt(1, true) }, 0},
		{"after commit 1, before the signature", func(w *world) { w.store.failAt(1, false) }, 1},
		{"in the signature, before it was made", func(w *world) { w.keys.before = func() error { return errCrash } }, 1},
		{"after the signature, before commit 2", func(w *world) { w.store.failAt(2, true) }, 1},
		{"after commit 2, before the answer", func(w *world) { w.store.failAt(2, false) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, func(t *testing.T, w *world) { killedIn(t, w, c.cut, c.voided) })
		})
	}
}

func killedIn(t *testing.T, w *world, cut func(*world), voided int) {
	t.Helper()
	_, csr := newCSR(t)
	before := len(w.keys.signed)
	cut(w)
	if _, err := w.Enrol(t.Context(), system, enrolRequest(csr, "k")); !errors.Is(err, errCrash) {
		t.Fatalf("not killed: %v", err)
	}
	w.store.failAt(0, false)
	w.keys.before = nil
	w.open() // a new process
	n, err := w.Recover(t.Context(), true)
	if err != nil || n != voided {
		t.Errorf("%d serials void, want %d: %v", n, voided, err)
	}
	first, err := w.Enrol(t.Context(), system, enrolRequest(csr, "k"))
	if err != nil || first.State != ca.Issued {
		t.Fatalf("the retry came to %s: %v", first.State, err)
	}
	second, err := w.Enrol(t.Context(), system, enrolRequest(csr, "k"))
	if err != nil || second.Certificates[0] != first.Certificates[0] {
		t.Errorf("asked again: %v instead of %v: %v", second.Certificates, first.Certificates, err)
	}
	if got := len(w.keys.signed) - before; got > 1+voided {
		t.Errorf("%d signatures, 1 certificate, %d void", got, voided)
	}
	settled(t, w)
}

// A retry without a restart finds what the try before left, voids it, and goes on with a new serial.
func TestARetryVoidsWhatTheTryBeforeReserved(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, csr := newCSR(t)
		w.keys.before = func() error { return errCrash }
		if _, err := w.Enrol(t.Context(), system, enrolRequest(csr, "k")); err == nil {
			t.Fatal("signed by a device that fails")
		}
		w.keys.before = nil
		if app, err := w.Enrol(t.Context(), system, enrolRequest(csr, "k")); err != nil || app.State != ca.Issued {
			t.Fatalf("%s: %v", app.State, err)
		}
		settled(t, w)
		err := w.db.CA().View(t.Context(), func(r ca.R) error {
			events, err := r.StatusEvents(time.Time{}, 10)
			if len(events) != 1 || events[0].Act != ca.ActVoid {
				t.Errorf("%+v", events)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// A device that is slow fills the places; who comes then is refused at once, with 503.
func TestASlowDeviceShedsWhatItCannotTake(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		config := w.Authority.Config
		config.Issuing = 2
		var err error
		if w.Authority, err = ca.New(t.Context(), config); err != nil {
			t.Fatal(err)
		}
		gate, inside := make(chan struct{}), make(chan struct{}, 8)
		w.keys.before = func() error { inside <- struct{}{}; <-gate; return nil }
		var all sync.WaitGroup
		for range 2 {
			_, csr := newCSR(t)
			all.Go(func() {
				if _, err := w.Enrol(t.Context(), system, enrolRequest(csr, "")); err != nil {
					t.Error(err)
				}
			})
		}
		<-inside
		<-inside
		_, csr := newCSR(t)
		_, err = w.Enrol(t.Context(), system, enrolRequest(csr, ""))
		if !errors.Is(err, ca.ErrCrowded) || fault.KindOf(err) != fault.Unavailable {
			t.Errorf("the third: %v", err)
		}
		close(gate)
		all.Wait()
		settled(t, w)
	})
}

// A caller whose time is over before commit 1 leaves nothing.
func TestWhoseTimeIsOverLeavesNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, csr := newCSR(t)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.Enrol(over, system, enrolRequest(csr, "")); err == nil {
			t.Error("issued after the deadline")
		}
		settled(t, w)
	})
}

// wrongSigner answers with a signature of another key, under the name of the right one.
type wrongSigner struct {
	crypto.Signer
	other crypto.Signer
}

func (s wrongSigner) Sign(r io.Reader, e []byte, o crypto.SignerOpts) ([]byte, error) {
	return s.other.Sign(r, e, o)
}

type wrongKeys struct {
	*memoryKeys
	other crypto.Signer
	whole bool // the public half is the other's too
}

func (k wrongKeys) Signer(ctx context.Context, label string) (crypto.Signer, error) {
	s, err := k.memoryKeys.Signer(ctx, label)
	if k.whole {
		return k.other, err
	}
	return wrongSigner{s, k.other}, err
}

// A wrong signature, or a wrong key, is never given out; the serial is void then.
func TestWrongSignaturesAreNotGivenOut(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		other, _ := newCSR(t)
		for _, whole := range []bool{false, true} {
			w.Keys = wrongKeys{w.keys, other, whole}
			_, csr := newCSR(t)
			if _, err := w.Enrol(t.Context(), system, enrolRequest(csr, fmt.Sprint(whole))); !errors.Is(err, ca.ErrIssuer) {
				t.Errorf("whole %v: %v", whole, err)
			}
			w.open()
			if n, err := w.Recover(t.Context(), true); err != nil || n != 1 {
				t.Errorf("%d void: %v", n, err)
			}
		}
		all, err := w.Certificates(t.Context(), officer, ca.CertificateFilter{Profile: "seal-signer"})
		if err != nil || len(all) > 0 {
			t.Errorf("%d certificates stored: %v", len(all), err)
		}
	})
}

// A serial that is reserved already is refused by the database, whoever draws it.
func TestASerialIsReservedOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		r := ca.Reservation{Serial: []byte{1, 2, 3}, Issuer: "issuing", Application: "a", Use: "sign", Profile: "p", TBS: []byte{1}, TBSHash: []byte{1}, At: w.now}
		reserve := func(r ca.Reservation) error {
			return w.db.CA().Update(t.Context(), func(w ca.W) error { return w.Reserve(r) })
		}
		if err := reserve(r); err != nil {
			t.Fatal(err)
		}
		for name, change := range map[string]func(*ca.Reservation){
			"serial": func(r *ca.Reservation) { r.Application = "b" }, "application": func(r *ca.Reservation) { r.Serial = []byte{9} },
		} {
			twice := r
			change(&twice)
			if err := reserve(twice); !errors.Is(err, ca.ErrState) {
				t.Errorf("the same %s twice: %v", name, err)
			}
		}
	})
}

// A key is found by itself, however many certificates its holder has got since.
func TestASigningKeyAmongManyCertificates(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		key, csr := newCSR(t)
		if _, err := w.Enrol(t.Context(), system, enrolRequest(csr, "")); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Minute)
		enrolMany(t, w, 120)
		pub, ok := key.Public().(*ecdsa.PublicKey)
		if !ok {
			t.Fatalf("%T", key.Public())
		}
		if err := w.SigningKey(t.Context(), "e1", pub); err != nil {
			t.Error(err)
		}
		if err := w.SigningKey(t.Context(), "e2", pub); !errors.Is(err, ca.ErrNotSigning) {
			t.Errorf("for another holder: %v", err)
		}
	})
}
