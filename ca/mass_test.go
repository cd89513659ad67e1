package ca_test

import (
	"errors"
	"testing"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
)

// bounded is the same authority, whose officers revoke at most n certificates an hour alone.
func (w *world) bounded(n int) *ca.Authority {
	w.t.Helper()
	c := w.Config
	c.Alone = n
	a, err := ca.New(w.t.Context(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// TestOneOfficerRevokesFewAlone: one by one, by keys, and with all that a dry run tells beforehand.
func TestOneOfficerRevokesFewAlone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, a := t.Context(), w.bounded(2)
		var apps []ca.Application
		var keys []ca.KeyName
		for range 6 {
			_, app := w.issued()
			apps = append(apps, app)
			keys = append(keys, ca.KeyName{SPKI: must(certs.ParseRequest(app.Request)).RawSPKI})
		}
		alone := func(by actor.Actor, i int) error {
			return a.Revoke(ctx, by, serialOf(t, apps[i]), certs.ReasonSuperseded, time.Time{})
		}
		w.must(alone(officer, 0))
		w.must(alone(officer, 1))
		if err := alone(officer, 2); !errors.Is(err, ca.ErrSecondOfficer) || w.course(apps[2].Certificates[0]).Status != nil {
			t.Errorf("the third within an hour: %v", err)
		}
		w.must(alone(w.citizen, 2)) // the holder has no bound
		if _, err := a.End(ctx, officer, ca.Ending{Serial: serialOf(t, apps[3]), Reason: certs.ReasonSuperseded, Obtained: true}); !errors.Is(err, ca.ErrObtained) {
			t.Errorf("what was obtained with a key that nobody lost: %v", err)
		}
		many := ca.Blocking{Keys: keys[3:], Note: "x", Revoke: true, DryRun: true}
		if dry, err := a.BlockKeys(ctx, second, many); err != nil || !dry.Second {
			t.Errorf("the dry run does not tell that it takes two: %+v %v", dry, err)
		}
		many.DryRun = false
		if _, err := a.BlockKeys(ctx, second, many); !errors.Is(err, ca.ErrSecondOfficer) || w.course(apps[3].Certificates[0]).Status != nil {
			t.Errorf("three by their keys: %v", err)
		}
		if blocked, err := a.BlockedKeys(ctx, officer, ca.BlockedKey{}, 10); err != nil || len(blocked) != 0 {
			t.Errorf("refused, and yet blocked: %+v %v", blocked, err)
		}
		w.now = w.now.Add(31 * time.Minute)
		w.must(alone(officer, 3))
	})
}

func TestAMassRevocationTakesTwoOfficers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx, a := t.Context(), w.bounded(1)
		var mass ca.Mass
		var apps []ca.Application
		for range 3 {
			_, app := w.issued()
			apps = append(apps, app)
			mass.Serials = append(mass.Serials, serialOf(t, app))
		}
		mass.Reason = certs.ReasonCessationOfOperation
		for name, refused := range map[string]struct {
			by   actor.Actor
			mass ca.Mass
			why  string
			want error
		}{
			"a citizen":      {w.citizen, mass, "x", actor.ErrRole},
			"without reason": {officer, mass, " ", ca.ErrMotionReason},
			"nothing":        {officer, ca.Mass{Reason: mass.Reason}, "x", ca.ErrMass},
			"a hold":         {officer, ca.Mass{Serials: mass.Serials, Reason: certs.ReasonCertificateHold}, "x", ca.ErrReason},
			"a stranger's":   {officer, ca.Mass{Serials: [][]byte{{1, 2, 3}}, Reason: mass.Reason}, "x", ca.ErrUnknown},
			"too many":       {officer, ca.Mass{Serials: make([][]byte, 1001), Reason: mass.Reason}, "x", ca.ErrMass},
		} {
			if _, err := a.ProposeMass(ctx, refused.by, refused.mass, refused.why); !errors.Is(err, refused.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		propose := func() ca.MassProposal {
			t.Helper()
			p, err := a.ProposeMass(ctx, officer, mass, "机构撤销")
			if err != nil || p.Count != 3 {
				t.Fatalf("%+v %v", p, err)
			}
			return p
		}
		p := propose()
		if w.course(apps[0].Certificates[0]).Status != nil {
			t.Fatal("a proposal revoked")
		}
		if _, _, err := a.DecideMass(ctx, officer, p.ID, true, ""); !errors.Is(err, actor.ErrSameActor) {
			t.Errorf("the maker approved: %v", err)
		}
		if _, _, err := a.DecideMass(ctx, w.citizen, p.ID, true, ""); !errors.Is(err, actor.ErrRole) {
			t.Errorf("a citizen approved: %v", err)
		}
		if _, _, err := a.DecideMass(ctx, second, propose().ID, false, "不必"); err != nil {
			t.Errorf("rejected: %v", err)
		}
		old := propose()
		w.must(a.Revoke(ctx, second, mass.Serials[0], certs.ReasonSuperseded, time.Time{}))
		if _, ended, err := a.DecideMass(ctx, second, p.ID, true, ""); err != nil || len(ended.Revoked) != 2 {
			t.Errorf("%+v %v", ended, err)
		}
		for i, app := range apps {
			if s := w.course(app.Certificates[0]).Status; s == nil || (s.Reason == certs.ReasonSuperseded) != (i == 0) {
				t.Errorf("certificate %d: %+v", i, s)
			}
		}
		if _, _, err := a.DecideMass(ctx, second, p.ID, true, ""); !errors.Is(err, ca.ErrMotion) {
			t.Errorf("approved twice: %v", err)
		}
		w.now = w.now.AddDate(0, 0, 8)
		if _, _, err := a.DecideMass(ctx, second, old.ID, true, ""); !errors.Is(err, ca.ErrMassOld) {
			t.Errorf("approved as things were a week ago: %v", err)
		}
		all, err := a.MassProposals(ctx, second, "")
		if err != nil || len(all) != 3 {
			t.Errorf("%+v %v", all, err)
		}
	})
}

func TestAMassRevocationOfKeysBlocksThem(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		_, app := w.issued()
		spki := must(certs.ParseRequest(app.Request)).RawSPKI
		p, err := w.ProposeMass(t.Context(), officer, ca.Mass{Keys: []ca.KeyName{{SPKI: spki}}, Note: "list"}, "弱密钥")
		w.must(err)
		if all, err := w.BlockedKeys(t.Context(), officer, ca.BlockedKey{}, 10); err != nil || len(all) != 0 {
			t.Errorf("a proposal blocked a key: %+v %v", all, err)
		}
		_, ended, err := w.DecideMass(t.Context(), second, p.ID, true, "")
		if err != nil || len(ended.Revoked) != 1 || w.course(app.Certificates[0]).Status.Reason != certs.ReasonKeyCompromise {
			t.Errorf("%+v %v", ended, err)
		}
	})
}
