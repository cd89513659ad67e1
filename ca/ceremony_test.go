package ca_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

var keepers = actor.ForSystem("ceremony")

// seated is a world whose root is held by custodians; its key is here as a value, as when enough of them are present.
func seated(t *testing.T, w *world) (*gm.PrivateKey, *ca.Sitting) {
	t.Helper()
	root, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	c := ca.Ceremony{ID: "CEREMONY", Key: "KEY", Shares: []byte{1}, Threshold: 2, Holders: 3}
	if err := w.BeginCeremony(t.Context(), keepers, c); err != nil {
		t.Fatal(err)
	}
	c, _, _ = w.Ceremony(t.Context())
	if c, err = w.ConfirmShares(t.Context(), keepers, c); err != nil {
		t.Fatal(err)
	}
	s, err := w.Sit(keepers, c, root, "")
	if err != nil {
		t.Fatal(err)
	}
	if made, err := s.Authorities(t.Context()); err != nil || len(made) != 2 {
		t.Fatalf("%d made, %v", len(made), err)
	}
	if _, err := s.SignLists(t.Context(), 400*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := w.FinishCeremony(t.Context(), keepers, c, [32]byte{7}); err != nil {
		t.Fatal(err)
	}
	return root, s
}

func TestAfterACeremonyTheServerGoesOnWithoutTheRoot(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		root, _ := seated(t, w)
		w.open() // as another process, which never saw the root's key
		if err := w.Bootstrap(t.Context(), keepers); err != nil {
			t.Fatal(err)
		}
		if got := w.Offline(); len(got) != 1 || got[0] != "root" {
			t.Fatalf("offline: %v", got)
		}
		_, csr := newCSR(t)
		app, err := w.Issue(t.Context(), officer, w.approved(csr).ID)
		if err != nil {
			t.Fatal(err)
		}
		chain := w.chain(app.Certificates[0])
		if len(chain) != 3 || !certs.SameKey(chain[2].PublicKey, root.Public()) || len(chain[1].OCSPServers) != 0 || len(chain[1].CRLPoints) != 1 {
			t.Fatalf("chain of %d", len(chain))
		}
		before := w.list("root", 0)
		w.now = w.now.Add(100 * 24 * time.Hour)
		if err := w.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		after := w.list("root", 0)
		if string(after.Raw) != string(before.Raw) || after.CheckSignature(chain[2]) != nil || after.Current(w.now) != nil {
			t.Error("the root's list is not the one of the ceremony")
		}
		if err := w.list("issuing", 0).Current(w.now); err != nil {
			t.Errorf("the issuing authority's list: %v", err)
		}
		if err := w.PublishLists(t.Context(), "root"); !errors.Is(err, ca.ErrOffline) {
			t.Errorf("the root's list without the root: %v", err)
		}
	})
}

func TestARootsListIsMissedInTime(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		_, s := seated(t, w)
		one := func() ca.OfflineList {
			t.Helper()
			all, err := ca.OfflineLists(t.Context(), w.store, w.now)
			if err != nil || len(all) != 1 {
				t.Fatalf("%v, %v", all, err)
			}
			return all[0]
		}
		if got := one(); got.Due || !got.Until.Equal(start.Add(400*24*time.Hour)) || got.Issuer != "root" {
			t.Errorf("fresh: %+v", got)
		}
		w.now = start.Add(266 * 24 * time.Hour)
		if one().Due {
			t.Error("due with more than a third left")
		}
		w.now = start.Add(267 * 24 * time.Hour)
		if got := one(); !got.Due || got.Over {
			t.Errorf("with less than a third left: %+v", got)
		}
		w.now = start.Add(400 * 24 * time.Hour)
		if !one().Over {
			t.Error("not over at its end")
		}
		if _, err := s.SignLists(t.Context(), 400*24*time.Hour); err != nil {
			t.Fatal(err)
		}
		if one().Due {
			t.Error("due after a new list")
		}
		_, chain := w.Issuers()
		if err := w.Revoke(t.Context(), actor.Actor{Subject: "admin-1", Capacity: actor.Official, Roles: []actor.Role{actor.RoleSuperAdmin}}, chain["issuing"].Serial, certs.ReasonCACompromise, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if got := one(); !got.Due || got.Waiting != 1 {
			t.Errorf("a revoked issuing authority: %+v", got)
		}
		if _, err := s.SignLists(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		if _, named := w.list("root", 0).Find(chain["issuing"].Serial); !named || one().Waiting != 0 {
			t.Error("the new list does not name it")
		}
	})
}

func TestANewIssuingAuthority(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		root, s := seated(t, w)
		_, csr := newCSR(t)
		old, err := w.Issue(t.Context(), officer, w.approved(csr).ID)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := s.NewIssuing(t.Context(), "issuing")
		if err != nil {
			t.Fatal(err)
		}
		if err := cert.CheckSignatureKey(root.Public()); err != nil || !strings.HasSuffix(cert.Subject.CommonName(), " 2") {
			t.Errorf("%s: %v", cert.Subject, err)
		}
		w.open()
		key, csr := newCSR(t)
		_ = key
		young, err := w.Issue(t.Context(), officer, w.approved(csr).ID)
		if err != nil {
			t.Fatal(err)
		}
		oldChain, newChain := w.chain(old.Certificates[0]), w.chain(young.Certificates[0])
		if newChain[1].SerialHex() != cert.SerialHex() || newChain[0].CheckSignature(cert) != nil || oldChain[1].SerialHex() == cert.SerialHex() {
			t.Error("new certificates do not come from the new authority, or old ones do")
		}
		for _, chain := range [][]*certs.Certificate{oldChain, newChain} { // both authorities still answer, each under its own delegate
			if got := w.ocsp(chain[0].Serial, chain[1]); got.Status != certs.OCSPGood {
				t.Errorf("status: %v", got.Status)
			}
			if err := w.Revoke(t.Context(), officer, chain[0].Serial, certs.ReasonSuperseded, time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		for name, chain := range map[string][]*certs.Certificate{"issuing": oldChain, "issuing-2": newChain} {
			if w.list(name, 0).Count != 0 {
				t.Errorf("%s has no list from its making on", name)
			}
			if err := w.PublishLists(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			list := w.list(name, 0)
			if _, named := list.Find(chain[0].Serial); !named || list.CheckSignature(chain[1]) != nil || list.Count != 1 {
				t.Errorf("list of %s", name)
			}
		}
		if _, err := s.NewIssuing(t.Context(), "root"); !errors.Is(err, ca.ErrProfile) {
			t.Errorf("a new root: %v", err)
		}
	})
}

// Nothing of a ceremony is used before its shares are confirmed, and nothing replaces a root.
func TestOrderOfACeremony(t *testing.T) {
	eachFresh(t, func(t *testing.T, w *world) {
		key, _ := newCSR(t)
		c := ca.Ceremony{ID: "ONE", Key: "K1", Shares: []byte{1}, Threshold: 2, Holders: 3}
		if err := w.BeginCeremony(t.Context(), officer, c); !errors.Is(err, actor.ErrRole) {
			t.Errorf("begun by an officer: %v", err)
		}
		if err := w.BeginCeremony(t.Context(), keepers, c); err != nil {
			t.Fatal(err)
		}
		c, _, _ = w.Ceremony(t.Context())
		if _, err := w.Sit(keepers, c, key, ""); !errors.Is(err, ca.ErrCeremony) {
			t.Errorf("a sitting before the shares are confirmed: %v", err)
		}
		if err := w.Bootstrap(t.Context(), keepers); !errors.Is(err, ca.ErrCeremony) {
			t.Errorf("a root in the device while a ceremony is under way: %v", err)
		}
		if err := w.BeginCeremony(t.Context(), keepers, ca.Ceremony{ID: "TWO", Key: "K2", Shares: []byte{2}, Threshold: 2, Holders: 2}); !errors.Is(err, ca.ErrCeremony) {
			t.Errorf("two at once: %v", err)
		}
		if err := w.VoidCeremony(t.Context(), keepers, c); err != nil {
			t.Fatal(err)
		}
		if _, err := w.ConfirmShares(t.Context(), keepers, c); !errors.Is(err, ca.ErrCeremony) {
			t.Errorf("a void one confirmed: %v", err)
		}
		root, s := seated(t, w)
		if _, err := s.Authorities(t.Context()); err != nil {
			t.Errorf("again: %v", err)
		}
		done, _, _ := w.Ceremony(t.Context())
		if done.State != ca.CeremonyDone || done.Transcript[0] != 7 {
			t.Errorf("%+v", done)
		}
		if err := w.VoidCeremony(t.Context(), keepers, done); !errors.Is(err, ca.ErrCeremony) {
			t.Errorf("a finished one voided: %v", err)
		}
		if err := w.BeginCeremony(t.Context(), keepers, c); !errors.Is(err, ca.ErrMade) {
			t.Errorf("a second root: %v", err)
		}
		if _, err := w.Sit(keepers, done, key, ""); !errors.Is(err, ca.ErrStrangeRoot) {
			t.Errorf("another key as the root's: %v", err)
		}
		if _, err := w.Sit(officer, done, root, ""); !errors.Is(err, actor.ErrRole) {
			t.Errorf("an officer sits: %v", err)
		}
	})
}

// Whatever write a crash falls on, the next sitting completes the authorities, and each serial that may have been signed is
// known.
func TestCrashesInACeremony(t *testing.T) {
	for _, before := range []bool{true, false} {
		for n := 1; n <= 6; n++ {
			eachFresh(t, func(t *testing.T, w *world) {
				root, err := gm.GenerateKey()
				if err != nil {
					t.Fatal(err)
				}
				c := ca.Ceremony{ID: "C", Key: "K", Shares: []byte{1}, Threshold: 2, Holders: 3, State: ca.CeremonyShares}
				sit := func() error {
					s, err := w.Sit(keepers, c, root, "")
					if err != nil {
						return err
					}
					if _, err := s.Authorities(t.Context()); err != nil {
						return err
					}
					_, err = s.SignLists(t.Context(), time.Hour)
					return err
				}
				w.store.failAt(n, before)
				if err := sit(); !errors.Is(err, errCrash) {
					t.Fatalf("write %d: %v", n, err)
				}
				w.open()
				if _, err := w.Recover(t.Context(), true); err != nil {
					t.Fatal(err)
				}
				if err := sit(); err != nil {
					t.Fatalf("after a crash at write %d: %v", n, err)
				}
				names, chain := w.Issuers()
				if len(names) != 2 || chain["issuing"].CheckSignature(chain["root"]) != nil || chain["root"].CheckSignature(chain["root"]) != nil {
					t.Errorf("after a crash at write %d there are %v", n, names)
				}
				if err := w.Bootstrap(t.Context(), keepers); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
