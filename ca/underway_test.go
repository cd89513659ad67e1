package ca_test

import (
	"crypto/sha256"
	"errors"
	"sync"
	"testing"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
)

// A key is reported, or blocked by an officer, or by two, while a certificate for it is being signed: that one does not come
// into force.
func TestAKeyLostWhileItsCertificateIsBeingSigned(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for how, lose := range map[string]func(spki, serial, proof []byte) error{
			"possession": func(_, serial, proof []byte) error {
				_, err := w.EndByKey(t.Context(), actor.Actor{}, ca.KeyReport{Serial: serial, Signature: proof, From: "192.0.2.1"})
				return err
			},
			"officer": func(spki, _, _ []byte) error {
				_, err := w.BlockKeys(t.Context(), officer, ca.Blocking{Note: "n", Revoke: true, Keys: []ca.KeyName{{SPKI: spki}}})
				return err
			},
		} {
			key, csr := newCSR(t)
			first, err := w.Issue(t.Context(), officer, w.approved(csr).ID)
			w.must(err)
			serial, spki := serialOf(t, first), must(certs.ParseRequest(csr)).RawSPKI
			_, proof, err := certs.Sign(key, w.Challenge(serial))
			w.must(err)
			app, done := w.approved(csr), false
			w.keys.before = func() error {
				if done {
					return nil
				}
				done = true
				return lose(spki, serial, proof)
			}
			_, err = w.Issue(t.Context(), officer, app.ID)
			w.keys.before = nil
			if !errors.Is(err, ca.ErrState) || !done {
				t.Errorf("%s: a certificate of a lost key was issued: %v", how, err)
			}
		}
	})
}

// A key's first certificate is being signed when an officer blocks the key.
func TestAKeyBlockedWhileItsFirstCertificateIsBeingSigned(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, csr := newCSR(t)
		app, done := w.approved(csr), false
		w.keys.before = func() error {
			if done {
				return nil
			}
			done = true
			b := ca.Blocking{Note: "n", Revoke: true, Keys: []ca.KeyName{{SPKI: must(certs.ParseRequest(csr)).RawSPKI}}}
			_, err := w.BlockKeys(t.Context(), officer, b)
			return err
		}
		if _, err := w.Issue(t.Context(), officer, app.ID); !errors.Is(err, ca.ErrState) || !done {
			t.Errorf("a certificate of a blocked key was issued: %v", err)
		}
	})
}

// A certificate is lost while what it authorised, a renewal, is being signed: either the renewal does not come into force, or
// the revocation names it.
func TestACertificateLostWhileWhatItAuthorisedIsBeingSigned(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		key, first := w.issued()
		_, next := newCSR(t)
		app, err := w.Renew(t.Context(), w.citizen, w.replacement(key, serialOf(t, first), ca.ActRekey, next))
		w.must(err)
		if app.State != ca.Approved {
			app, err = w.Decide(t.Context(), officer, app.ID, true, "")
			w.must(err)
		}
		done := false
		w.keys.before = func() error {
			if done {
				return nil
			}
			done = true
			_, err := w.End(t.Context(), officer, ca.Ending{Serial: serialOf(t, first), Reason: certs.ReasonKeyCompromise, Obtained: true})
			return err
		}
		issued, err := w.Issue(t.Context(), officer, app.ID)
		if err == nil && w.course(issued.Certificates[0]).Status == nil || !done {
			t.Errorf("what the lost key authorised was issued: %v", err)
		}
	})
}

// An authority's key has a SHA-256 too, under which no certificate is found that would tell whose it is.
func TestOfficersDoNotBlockTheKeyOfAnAuthorityByAnotherHash(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, chain := w.Issuers()
		for name, c := range chain {
			sum := sha256.Sum256(c.RawSPKI)
			b := ca.Blocking{Note: "n", Keys: []ca.KeyName{{Hash: sum[:], Algorithm: ca.HashSHA256}}}
			if _, err := w.BlockKeys(t.Context(), officer, b); !errors.Is(err, actor.ErrRole) {
				t.Errorf("an officer blocked the key of %s for ever: %v", name, err)
			}
		}
	})
}

// The answer to a commit that several issuances share is lost, and it took place. Those in it do not begin again under the serials
// that they have: these would be void, and what is signed under them revoked from the beginning.
func TestAGroupWhoseAnswerIsLost(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const n = 6
		for update := 1; update <= 4; update++ {
			var apps [n]ca.Application
			for i := range n {
				_, csr := newCSR(t)
				apps[i] = w.approved(csr)
			}
			w.store.failAt(update, false)
			var all sync.WaitGroup
			var errs [n]error
			for i := range n {
				all.Go(func() { apps[i], errs[i] = w.Issue(t.Context(), officer, apps[i].ID) })
			}
			all.Wait()
			for i, app := range apps {
				if errors.Is(errs[i], errCrash) { // alone in its commit
					continue
				}
				if errs[i] != nil {
					t.Errorf("update %d: %v", update, errs[i])
				} else if s := w.course(app.Certificates[0]).Status; s != nil {
					t.Errorf("update %d: what was handed out is revoked: %+v", update, s)
				}
			}
			w.store.failAt(0, false)
		}
	})
}
