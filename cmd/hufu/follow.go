package main

import (
	"context"
	"crypto"
	"fmt"
	"time"

	"hufu/internal/actor"
	"hufu/keys"
	"hufu/oidc"
	"hufu/store"
)

// openFieldKeys opens the data keys of the database as they are now.
func (s *server) openFieldKeys(ctx context.Context) (store.FieldKeys, error) {
	opened, err := s.keys.DatabaseKeys(ctx)
	return store.FieldKeysOf(opened), err
}

// follow keeps what this node holds of keys as the database has it, until ctx ends: keys rotate on whichever node.
func (s *server) follow(ctx context.Context) {
	turn, looked := int64(-1), time.Time{}
	for {
		err := s.guarded(func() (err error) {
			now, err := s.db.Turn(ctx)
			if err == nil && (now != turn || s.now().Sub(looked) > time.Minute) { // and once a minute for keys that fade
				if err = s.followKeys(ctx); err == nil {
					turn, looked = now, s.now()
				}
			}
			if err == nil && s.ca != nil {
				err = s.ca.Follow(ctx)
			}
			return err
		})
		if err != nil && ctx.Err() == nil {
			s.log.Error("keys that have changed could not be opened; it will be tried again", "error", err)
		}
		if !sleep(ctx, keys.FollowEvery) {
			return
		}
	}
}

func (s *server) followKeys(ctx context.Context) error {
	if err := s.db.Refresh(ctx); err != nil {
		return err
	}
	if s.oidc == nil { // a key management centre alone
		return nil
	}
	signing, err := s.tokenKeys(ctx)
	if err != nil {
		return err
	}
	if err := s.oidc.SetKeys(signing); err != nil {
		return err
	}
	secrets, err := s.keys.Data(ctx, keys.DataTokens)
	if err != nil {
		return fmt.Errorf("secret of the tokens: %w", err)
	}
	all := currentFirst(secrets)
	if err := s.oidc.SetSecrets(all[0], all[1:]); err != nil {
		return err
	}
	pepper, err := s.keys.Data(ctx, keys.DataPepper)
	if err != nil {
		return fmt.Errorf("pepper of the passwords: %w", err)
	}
	return s.login.SetPeppers(currentFirst(pepper))
}

// currentFirst lists the versions of a data key: the current one, then one to come and older ones.
func currentFirst(k keys.DataKeys) [][]byte {
	all := [][]byte{k.Current.Key}
	for version, key := range k.All {
		if version != k.Current.Version {
			all = append(all, key)
		}
	}
	return all
}

// tokenLabels are the keys that sign tokens.
var tokenLabels = []struct{ label, purpose, algorithm string }{
	{"token-es256", keys.TokenES256, keys.P256}, {"token-rs256", keys.TokenRS256, keys.RSA3072},
}

// ensureTokenKeys makes the keys that sign tokens.
func (s *server) ensureTokenKeys(ctx context.Context) error {
	for _, k := range tokenLabels {
		if _, err := s.keys.Ensure(ctx, actor.ForSystem("start"), k.label, k.purpose, k.algorithm); err != nil {
			return fmt.Errorf("key %s: %w", k.label, err)
		}
	}
	return nil
}

// tokenKeys returns the keys of tokens as the provider wants them now: the version at work signs, one to come and those whose
// tokens have not ended are published, and older ones still verify what we signed.
func (s *server) tokenKeys(ctx context.Context) (ring []oidc.Key, err error) {
	for _, k := range tokenLabels {
		versions, err := s.keys.Versions(ctx, k.label)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", k.label, err)
		}
		for _, v := range versions {
			key, use, err := s.tokenKey(v)
			if err != nil {
				return nil, fmt.Errorf("key %s: %w", v, err)
			}
			if use {
				ring = append(ring, key)
			}
		}
	}
	return ring, nil
}

func (s *server) tokenKey(v keys.Version) (key oidc.Key, use bool, err error) {
	switch v.State {
	case keys.Active:
		// By the number: a change of the active version between our reading and this call must not give us another key.
		key.Signer, err = s.keys.SignerAt(s.life, v.Label, v.Number)
		return key, true, err
	case keys.Published, keys.Retired:
		var pub crypto.PublicKey
		pub, err = v.PublicKey()
		key.Public, key.Hidden = pub, v.State == keys.Retired && s.now().Sub(v.Retired) > keys.FadesAfter
		return key, true, err
	}
	return key, false, nil
}
