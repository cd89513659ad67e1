package ca_test

import (
	"errors"
	"testing"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/actor"
)

// Withdrawing stops what is issued, and takes nothing from those who hold certificates: one administrator alone would else end the
// log-ins of a province, or leave everybody without status.
func TestAWithdrawnProfileLeavesWhatIsIssuedGood(t *testing.T) {
	eachSeeded(t, func(t *testing.T, w *world) {
		chain := w.leaf()
		good := func() {
			t.Helper()
			r, err := w.Recognise(t.Context(), chain[:1], bundle.Login, w.now)
			if err != nil || r.Holder != "p1" || r.Kind != ca.HolderPerson {
				t.Errorf("recognised as %+v, %v", r, err)
			}
			if got := w.ocsp(chain[0].Serial, chain[1]); got.Status != certs.OCSPGood {
				t.Errorf("its status is %v", got.Status)
			}
		}
		good()
		if _, err := w.WithdrawProfile(t.Context(), profileMaker, "person-sign", 1); err != nil {
			t.Fatal(err)
		}
		good()
		w.open() // a restart
		good()
		if _, err := w.WithdrawProfile(t.Context(), superAdmin, "ocsp", 1); !errors.Is(err, ca.ErrProfileStatus) {
			t.Errorf("one alone stopped the status: %v", err)
		}
		w.changed("ocsp", "days: 730", "days: 729")
		if _, err := w.WithdrawProfile(t.Context(), superAdmin, "ocsp", 1); err != nil {
			t.Errorf("a version that was replaced: %v", err)
		}
		good()
	})
}

// An administrator who withdraws the profile of an authority does not get the right to revoke that authority.
func TestAWithdrawnProfileDoesNotOpenItsAuthority(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if err := w.SeedProfiles(t.Context(), superAdmin); err != nil {
			t.Fatal(err)
		}
		_, chain := w.Issuers()
		version := w.ProfilesInForce()["issuing"].Version
		for _, name := range []string{"issuing", "ocsp", "tsa"} {
			if _, err := w.WithdrawProfile(t.Context(), profileMaker, name, w.ProfilesInForce()[name].Version); !errors.Is(err, actor.ErrRole) {
				t.Errorf("a business administrator stopped %q: %v", name, err)
			}
		}
		if _, err := w.WithdrawProfile(t.Context(), superAdmin, "issuing", version); err != nil {
			t.Fatal(err)
		}
		serial := chain["issuing"].Serial
		if err := w.Revoke(t.Context(), profileMaker, serial, certs.ReasonKeyCompromise, time.Time{}); !errors.Is(err, actor.ErrRole) {
			t.Errorf("a business administrator revoked the authority: %v", err)
		}
		if err := w.Suspend(t.Context(), profileMaker, serial, time.Time{}); !errors.Is(err, actor.ErrRole) {
			t.Errorf("a business administrator suspended the authority: %v", err)
		}
		if err := w.Revoke(t.Context(), superAdmin, serial, certs.ReasonKeyCompromise, time.Time{}); err != nil {
			t.Errorf("a super administrator may not: %v", err)
		}
	})
}

// To block an authority's key would revoke it, or keep it from ever being renewed.
func TestOfficersDoNotBlockTheKeyOfAnAuthority(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, chain := w.Issuers()
		for _, revoke := range []bool{true, false} {
			b := ca.Blocking{Note: "n", Revoke: revoke, Keys: []ca.KeyName{{SPKI: chain["issuing"].RawSPKI}}}
			if _, err := w.BlockKeys(t.Context(), officer, b); !errors.Is(err, actor.ErrRole) {
				t.Errorf("revoke %t: an officer blocked the authority's key: %v", revoke, err)
			}
		}
		if _, revoked, err := w.Revoked(t.Context(), "root", chain["issuing"].Serial); err != nil || revoked {
			t.Errorf("the authority is revoked: %t, %v", revoked, err)
		}
		w.issued() // and goes on issuing
	})
}

// A service whose certificate is revoked does not go on signing under it until the next start.
func TestARevokedServiceSignsNoMore(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		system := actor.ForSystem("test")
		before, err := w.Service(t.Context(), system, "tsa")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Revoke(t.Context(), officer, before.Certificate.Serial, certs.ReasonSuperseded, time.Time{}); err != nil {
			t.Fatal(err)
		}
		after, err := w.Service(t.Context(), system, "tsa")
		if err != nil || after.Certificate.SerialHex() == before.Certificate.SerialHex() {
			t.Fatalf("it goes on under the revoked certificate: %v", err)
		}
		if again, err := w.Service(t.Context(), system, "tsa"); err != nil || again.Certificate.SerialHex() != after.Certificate.SerialHex() {
			t.Errorf("another certificate with each call: %v", err)
		}
		if err := w.Revoke(t.Context(), officer, after.Certificate.Serial, certs.ReasonKeyCompromise, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.TimeStamp(t.Context(), []byte("m")); err == nil {
			t.Error("time-stamps are made with a key that was reported as lost")
		}
	})
}
