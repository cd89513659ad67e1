package ca_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
)

// A registrar who enters an application brings the key along: however well the holder is known, that is not the holder's
// own will, so another officer has to look.
func TestNobodyIsCertifiedByARegistrarAlone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Profiles["person-sign"].Approval.LevelFree = 2 // what p1 has
		_, csr := newCSR(t)
		app, err := w.Apply(t.Context(), officer, ca.Request{Profile: "person-sign", Holder: "p1", CSR: csr})
		if err != nil {
			t.Fatal(err)
		}
		if app.State != ca.Submitted {
			t.Errorf("an officer's application for a citizen is %s at once", app.State)
		}
		if _, err := w.Issue(t.Context(), officer, app.ID); !errors.Is(err, ca.ErrState) {
			t.Errorf("an officer alone got a citizen's certificate: %v", err)
		}
		_, own := newCSR(t)
		if app, err = w.Apply(t.Context(), w.citizen, ca.Request{Profile: "person-sign", Holder: "p1", CSR: own}); err != nil || app.State != ca.Approved {
			t.Errorf("a well-known person's own application is %s, %v", app.State, err)
		}
	})
}

func TestNobodyDecidesOnTheirOwnCertificate(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, csr := newCSR(t)
		app, err := w.Apply(t.Context(), officer, ca.Request{Profile: "official-sign", Holder: "p1", Organization: "o1", CSR: csr})
		if err != nil {
			t.Fatal(err)
		}
		holder := actor.Actor{Subject: "p1", Capacity: actor.Official, For: "o1", Roles: []actor.Role{actor.RoleApprover}}
		if _, err := w.Decide(t.Context(), holder, app.ID, true, ""); !errors.Is(err, actor.ErrSameActor) {
			t.Errorf("the holder approved what another entered for her: %v", err)
		}
	})
}

// Keys of the house (seal maker, time-stamps, status, seals) are made inside it: no role, alone or with others, gets one
// of its certificates for a key brought along.
func TestCertificatesOfTheHouseAreForTheSystemAlone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		all := actor.Actor{Subject: "x", Capacity: actor.Official, For: "e1", Roles: []actor.Role{
			actor.RoleSuperAdmin, actor.RoleBusinessAdmin, actor.RoleRegistrar, actor.RoleApprover, actor.RoleSealOfficer, "system",
		}}
		for name, p := range w.Profiles {
			if !slices.Contains([]ca.HolderKind{ca.HolderService, ca.HolderAuthority}, p.Holder) && name != "seal-signer" {
				continue
			}
			_, csr := newCSR(t)
			_, err := w.Apply(t.Context(), all, ca.Request{
				Profile: name, Holder: "e1", CSR: csr, Facts: map[string]string{"name": "制章", "seal_code": "33010000000099"},
			})
			if !errors.Is(err, ca.ErrNotHolder) {
				t.Errorf("an officer applied under %s with a key of her own: %v", name, err)
			}
		}
	})
}

// A profile of an authority that is made on demand is offered by the program, and taken up only where there is that authority.
func TestNothingIsAppliedForWithoutItsAuthority(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Profiles["person-sign"].Issuer = "issuing-p256"
		_, csr := newCSR(t)
		if app, err := w.Apply(t.Context(), w.citizen, ca.Request{Profile: "person-sign", Holder: "p1", CSR: csr}); !errors.Is(err, ca.ErrNoIssuer) {
			t.Errorf("%+v, %v", app, err)
		}
	})
}

// To revoke is for ever, and a date of invalidity in the past voids what was signed before: a post without duties in it
// does not suffice.
func TestAPostAloneDoesNotRevokeTheOrganisationsCertificates(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, csr := newCSR(t)
		app, err := w.Apply(t.Context(), actor.Actor{Subject: "p9", Capacity: actor.Entity, For: "e1"}, ca.Request{Profile: "entity-sign", Holder: "e1", CSR: csr})
		if err != nil {
			t.Fatal(err)
		}
		if _, err = w.Decide(t.Context(), officer, app.ID, true, ""); err != nil {
			t.Fatal(err)
		}
		if app, err = w.Issue(t.Context(), officer, app.ID); err != nil {
			t.Fatal(err)
		}
		serial := w.chain(app.Certificates[0])[0].Serial
		auditor := actor.Actor{Subject: "p3", Capacity: actor.Official, For: "e1", Roles: []actor.Role{actor.RoleAuditAdmin}}
		if err := w.Revoke(t.Context(), auditor, serial, certs.ReasonKeyCompromise, start); !errors.Is(err, actor.ErrRole) {
			t.Errorf("an auditor revoked: %v", err)
		}
		if err := w.Revoke(t.Context(), actor.Actor{Subject: "p9", Capacity: actor.Entity, For: "e1"}, serial, certs.ReasonSuperseded, time.Time{}); err != nil {
			t.Errorf("the legal representative could not: %v", err)
		}
	})
}
