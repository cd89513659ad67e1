package login

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"

	"hufu/audit"
	"hufu/identity"
	"hufu/internal/actor"
)

// NewAccount asks for an account.
type NewAccount struct {
	Name     string // login name as typed
	Subject  string // the person
	Password string // first one; the person must change it unless the system set it
}

// OpenAccount opens the account of a person who has none: by a registrar, of persons with roles by a super
// administrator, or by the system.
func (s *Service) OpenAccount(ctx context.Context, a actor.Actor, n NewAccount) (Account, error) {
	if err := a.Require(actor.RoleRegistrar, actor.RoleSuperAdmin); err != nil {
		return Account{}, err
	}
	name, err := checkNew(n.Name, n.Password)
	if err != nil {
		return Account{}, err
	}
	roles, err := s.rolesOf(ctx, n.Subject)
	if err != nil {
		return Account{}, err
	}
	if len(roles) > 0 {
		if err := a.Require(actor.RoleSuperAdmin); err != nil {
			return Account{}, err
		}
	}
	now := s.now()
	acc := Account{
		ID: rand.Text(), Subject: n.Subject, Name: name, MustChange: a.Capacity != actor.System, Created: now, Changed: now,
	}
	if acc.Password, err = s.hasher.hash(ctx, acc.ID, n.Password); err != nil {
		return Account{}, err
	}
	err = s.store.Update(ctx, func(w W) error {
		if err := w.AddAccount(acc); err != nil {
			return err
		}
		return w.Record(audit.Entry{
			At: now, Actor: a, Action: "account.open", Object: audit.Object{Kind: "account", ID: acc.ID},
			Subject: acc.Subject, Personal: map[string]string{"name": name, "person": acc.Subject},
		})
	})
	acc.Password = ""
	return acc, err
}

// Account returns the account of a person, without the hash, to the person, an administrator or the system.
func (s *Service) Account(ctx context.Context, a actor.Actor, subject string) (Account, error) {
	if err := mayManage(a, subject); err != nil {
		return Account{}, err
	}
	var acc Account
	err := s.store.View(ctx, func(r R) (err error) {
		acc, err = r.AccountOf(subject)
		return err
	})
	acc.Password = ""
	return acc, err
}

func checkNew(name, password string) (string, error) {
	name, err := cleanAccount(name)
	if err != nil {
		return "", err
	}
	return name, CheckPassword(name, password)
}

// rolesOf returns all roles of a person's posts; it fails for a subject that is no active person.
func (s *Service) rolesOf(ctx context.Context, person string) ([]actor.Role, error) {
	all, err := s.subjects.Capacities(ctx, person)
	var roles []actor.Role
	for _, c := range all {
		roles = append(roles, c.Roles...)
	}
	return roles, err
}

// Enrolment registers a person and opens the account in one call.
type Enrolment struct {
	Person   identity.PersonForm
	Account  string
	Password string
}

// Enrol registers a person with evidence and opens the account. Called again after a crash it goes on where it stopped:
// a person of the same number and name who has no account gets it.
func (s *Service) Enrol(ctx context.Context, a actor.Actor, e Enrolment) (identity.Subject, error) {
	name, err := checkNew(e.Account, e.Password)
	if err != nil {
		return identity.Subject{}, err
	}
	err = s.store.View(ctx, func(r R) error {
		_, err := r.AccountByName(name)
		return err
	})
	if err == nil {
		return identity.Subject{}, ErrAccountTaken.With("enrol")
	}
	if !errors.Is(err, ErrNoAccount) {
		return identity.Subject{}, err
	}
	sub, err := s.subjects.RegisterPerson(ctx, a, e.Person)
	if errors.Is(err, identity.ErrNumberTaken) {
		known, findErr := s.subjects.ByNumber(ctx, a, e.Person.Identifiers[0])
		if findErr != nil || known.Name != e.Person.Name {
			return identity.Subject{}, err
		}
		sub, err = known, nil
	}
	if err != nil {
		return identity.Subject{}, err
	}
	_, err = s.OpenAccount(ctx, a, NewAccount{Name: e.Account, Subject: sub.ID, Password: e.Password})
	return sub, err
}

// SetPassword changes the actor's own password, given the old one, and ends the person's other sessions.
// Wrong old passwords are counted and delayed like log-ins.
func (s *Service) SetPassword(ctx context.Context, a actor.Actor, old, password string) error {
	if err := a.Known(); err != nil {
		return err
	}
	if a.Session == "" || a.Client != "" {
		return ErrNotYours.With("%s changes a password without a session of our own pages", a)
	}
	acc, err := s.countOwn(ctx, a)
	if err != nil {
		return err
	}
	if len(old) > 4*maxPassword {
		return ErrWrong.With("old password of %d bytes", len(old))
	}
	ok, _, err := s.hasher.compare(ctx, acc.ID, old, acc.Password)
	if err != nil {
		return err
	}
	if !ok {
		return s.refuse(ctx, try{account: acc}, "old-password", ErrWrong.With("change password of account %s", acc.ID))
	}
	if old == password {
		return ErrPassword.With("the new password is the old one")
	}
	return s.setPassword(ctx, a, acc, password, false)
}

func ownBucket(acc Account) string { return "change\x00" + acc.ID }

// countOwn counts a try to change the password, before anything is compared.
func (s *Service) countOwn(ctx context.Context, a actor.Actor) (acc Account, err error) {
	now := s.now()
	err = s.store.Update(ctx, func(w W) error {
		if acc, err = w.AccountOf(a.Subject); err != nil {
			return err
		}
		return perAccount.count(w, ownBucket(acc), now)
	})
	return acc, err
}

// ResetPassword gives a person a new first password, which must be changed at the next log-in, and ends all sessions:
// by a super administrator, never for oneself or for another administrator, or by the system.
func (s *Service) ResetPassword(ctx context.Context, a actor.Actor, subject, password string) error {
	if err := a.Require(actor.RoleSuperAdmin); err != nil {
		return err
	}
	if a.Capacity != actor.System {
		if err := s.mayReset(ctx, a, subject); err != nil {
			return err
		}
	}
	var acc Account
	err := s.store.View(ctx, func(r R) (err error) {
		acc, err = r.AccountOf(subject)
		return err
	})
	if err != nil {
		return err
	}
	a.Session = "" // none is spared
	return s.setPassword(ctx, a, acc, password, true)
}

// mayReset keeps an administrator from getting a second administrator's role by that person's account.
func (s *Service) mayReset(ctx context.Context, a actor.Actor, subject string) error {
	if a.Subject == subject {
		return actor.ErrSameActor.With("%s resets its own password", a)
	}
	roles, err := s.rolesOf(ctx, subject)
	if err != nil {
		return err
	}
	for _, r := range []actor.Role{actor.RoleSuperAdmin, actor.RoleBusinessAdmin, actor.RoleAuditAdmin} {
		if slices.Contains(roles, r) {
			return actor.ErrRole.With("%s resets the password of %s, a %s", a, subject, r)
		}
	}
	return nil
}

func (s *Service) setPassword(ctx context.Context, a actor.Actor, acc Account, password string, mustChange bool) error {
	if err := CheckPassword(acc.Name, password); err != nil {
		return err
	}
	phc, err := s.hasher.hash(ctx, acc.ID, password)
	if err != nil {
		return err
	}
	now := s.now()
	return s.store.Update(ctx, func(w W) error {
		if err := w.ReplacePassword(acc.ID, acc.Password, phc, mustChange, now); err != nil {
			return err
		}
		if err := w.Forgive(ownBucket(acc)); err != nil {
			return err
		}
		if _, err := endAll(w, a, acc.Subject, a.Session, now); err != nil {
			return err
		}
		return w.Record(audit.Entry{
			At: now, Actor: a, Action: "account.password", Object: audit.Object{Kind: "account", ID: acc.ID},
		})
	})
}
