package enrol

import (
	"context"

	"hufu/internal/actor"
)

// PutClient gives a holder the rights of a registration client, in place of those it had.
func (s *Service) PutClient(ctx context.Context, by actor.Actor, c Client) (Client, error) {
	if err := by.Require(actor.RoleBusinessAdmin, actor.RoleSuperAdmin); err != nil {
		return Client{}, err
	}
	if c.Subject == "" || len(c.Profiles) == 0 || len(c.Profiles) > 50 {
		return Client{}, ErrSecretForm.With("a registration client needs a subject and 1 to 50 profiles")
	}
	if c.Subject == by.Subject {
		return Client{}, actor.ErrSameActor.With("%s gives rights to itself", by)
	}
	for _, name := range c.Profiles {
		if _, err := s.CA.Offer(name); err != nil {
			return Client{}, err
		}
	}
	if _, err := s.CA.Registry.Holder(ctx, c.Subject, ""); err != nil {
		return Client{}, err
	}
	c.Maker, c.At = by, s.Now().UTC()
	return c, s.Store.Update(ctx, func(w W) error {
		if err := w.PutClient(c); err != nil {
			return err
		}
		return w.Record(entry(c.At, by, "enrol.client-put", c.Subject, ""))
	})
}

// Clients lists registration clients.
func (s *Service) Clients(ctx context.Context, by actor.Actor) (all []Client, err error) {
	if err := by.Require(actor.RoleBusinessAdmin, actor.RoleSuperAdmin, actor.RoleRegistrar, actor.RoleAuditAdmin); err != nil {
		return nil, err
	}
	err = s.Store.View(ctx, func(r R) error {
		all, err = r.Clients()
		return err
	})
	return all, err
}

// DropClient takes a registration client's rights at once.
func (s *Service) DropClient(ctx context.Context, by actor.Actor, subject string) error {
	if err := by.Require(actor.RoleBusinessAdmin, actor.RoleSuperAdmin); err != nil {
		return err
	}
	now := s.Now().UTC()
	return s.Store.Update(ctx, func(w W) error {
		done, err := w.DropClient(subject)
		if err == nil && !done {
			err = ErrUnknown.With("registration client %q", subject)
		}
		if err != nil {
			return err
		}
		return w.Record(entry(now, by, "enrol.client-drop", subject, ""))
	})
}
