package ca

import (
	"context"
	"slices"

	"hufu/certs"
	"hufu/internal/actor"
)

// ConfirmSubordinate puts what was proposed in force: a super administrator who did not propose it types the root's
// fingerprint too. From then on the authority signs with this certificate; every node follows.
func (a *Authority) ConfirmSubordinate(ctx context.Context, by actor.Actor, id, typed string) (Subordinate, error) {
	if err := requirePerson(by, actor.RoleSuperAdmin); err != nil {
		return Subordinate{}, err
	}
	m, err := a.motion(ctx, MotionSubordinate, id)
	if err != nil {
		return Subordinate{}, err
	}
	s, err := m.subordinate()
	if err != nil {
		return s, err
	}
	if s.State != MotionProposed {
		return s, ErrMotion.With("motion %s is %s", id, s.State)
	}
	if err := s.checked(by); err != nil {
		return s, err
	}
	cert, chain, err := a.checkAnswer(s, SubordinateAnswer{Certificate: s.Answer, Chain: s.Chain, Fingerprint: typed})
	if err != nil {
		return s, err
	}
	if fingerprint(chain[len(chain)-1]) != s.Root {
		return s, ErrRootFingerprint.With("another root than the proposed one")
	}
	s.State, s.Checkers = MotionInForce, append(s.Checkers, by.Subject)
	if err := a.Store.Update(ctx, func(w W) error { return a.install(w, by, s, cert, chain) }); err != nil {
		return s, err
	}
	s.Revision++
	return s, a.loadIssuers(ctx)
}

// install writes motion, chain and issuer in one transaction; lists and bundle follow by durable jobs.
func (a *Authority) install(w W, by actor.Actor, s Subordinate, cert *certs.Certificate, chain []*certs.Certificate) error {
	if err := a.change(w, by, s.Motion, "install", s.public()); err != nil {
		return err
	}
	for i, c := range chain {
		if err := w.AddSuperior(Superior{Certificate: c.Raw, Root: i == len(chain)-1, At: a.Now().UTC()}); err != nil {
			return err
		}
	}
	if err := a.installIssuer(w, s, cert, chain[0]); err != nil {
		return err
	}
	return w.Enqueue(JobTrust, s.ID, nil, a.Now())
}

func (a *Authority) installIssuer(w W, s Subordinate, cert, parent *certs.Certificate) error {
	if !s.SameKey {
		return w.AddIssuer(Issuer{Name: s.Name, Parent: parentOf(parent), KeyLabel: s.Label, Certificate: cert.Raw})
	}
	all, err := w.Issuers()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(i Issuer) bool { return i.Name == s.Name })
	if i < 0 {
		return ErrIssuer.With("authority %q", s.Name)
	}
	done, err := w.ReplaceIssuer(Issuer{Name: s.Name, Parent: parentOf(parent), KeyLabel: s.Label, Certificate: cert.Raw}, all[i].Certificate)
	if err == nil && !done {
		err = ErrMotion.With("the certificate of authority %q was replaced meanwhile", s.Name)
	}
	return err
}

// WithdrawSubordinate gives a request up. The key stays in the device, and the next request under this name uses it.
func (a *Authority) WithdrawSubordinate(ctx context.Context, by actor.Actor, id string) error {
	if err := by.Require(actor.RoleSuperAdmin); err != nil {
		return err
	}
	m, err := a.motion(ctx, MotionSubordinate, id)
	if err != nil {
		return err
	}
	if m.State != MotionRequested && m.State != MotionProposed {
		return ErrMotion.With("motion %s is %s", id, m.State)
	}
	m.State = MotionWithdrawn
	return a.Store.Update(ctx, func(w W) error { return a.change(w, by, m, "withdraw", nil) })
}
