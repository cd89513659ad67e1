package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hufu/ca"
	"hufu/internal/actor"
	"hufu/keys"
)

// pseudonyms makes the names that stand in certificates for numbers, under the first version of their data key. There is no
// other: keys refuses to rotate it, since a pseudonym must stay the same.
type pseudonyms struct{ key []byte }

// Pseudonym implements ca.Pseudonyms.
func (p pseudonyms) Pseudonym(kind, number string) (string, error) {
	return ca.Pseudonym(p.key, kind, number), nil
}

// openProfiles keeps the shipped profiles in the database and opens the key of the pseudonyms.
func (s *server) openProfiles(ctx context.Context) error {
	by := actor.ForSystem("start")
	secret, err := s.keys.EnsureData(ctx, by, keys.DataPseudo)
	if err != nil {
		return fmt.Errorf("key of the pseudonyms: %w", err)
	}
	s.ca.Pseudonyms = pseudonyms{secret.Current.Key}
	err = s.ca.SeedProfiles(ctx, by)
	if errors.Is(err, ca.ErrDamagedProfile) { // the others are in force
		s.log.Error("a certificate profile cannot be used", "error", err)
		return nil
	}
	return err
}

// makeAuthorities makes those that the configuration asks for.
func (s *server) makeAuthorities(ctx context.Context) error {
	for _, name := range s.cfg.Authorities {
		if err := s.ca.MakeAuthority(ctx, actor.ForSystem("start"), name); err != nil {
			return err
		}
	}
	return nil
}

// followProfiles keeps this node's profiles as the database has them, until ctx ends.
func (s *server) followProfiles(ctx context.Context) {
	var told time.Time
	for sleep(ctx, ca.FollowProfilesEvery) {
		err := s.guarded(func() error { return s.ca.FollowProfiles(ctx) })
		if err != nil && ctx.Err() == nil && time.Since(told) > time.Minute {
			told = time.Now()
			s.log.Error("certificate profiles cannot be followed", "error", err)
		}
	}
}
