package enrol

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"hufu/audit"
	"hufu/ca"
	"hufu/certs/cmp"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

const (
	maxTries    = 10                  // wrong ones, after which a secret is locked
	maxUses     = 100                 //
	maxLife     = 90 * 24 * time.Hour // of a secret
	defaultLife = 7 * 24 * time.Hour
)

// Order is what a registrar wants a secret for.
type Order struct {
	Profile      string
	Holder       string
	Organization string // for officials
	Facts        map[string]string
	Uses         int       // 0: one
	Ends         time.Time // zero: in a week; at most 90 days from now
}

// MakeSecret makes an enrolment secret. Its value, 130 random bits, is in the result and is never shown again. The maker
// answers for having handed it to the holder: applications made with it are the maker's, so that another officer decides where
// the profile wants one.
func (s *Service) MakeSecret(ctx context.Context, by actor.Actor, o Order) (Secret, error) {
	if err := by.Require(actor.RoleRegistrar); err != nil {
		return Secret{}, err
	}
	now := s.Now().UTC()
	if o.Uses == 0 {
		o.Uses = 1
	}
	if o.Ends.IsZero() {
		o.Ends = now.Add(defaultLife)
	}
	if err := s.checkOrder(ctx, o, now); err != nil {
		return Secret{}, err
	}
	secret := Secret{
		ID: strings.ToLower(rand.Text()[:16]), Profile: o.Profile, Holder: o.Holder, Organization: o.Organization, Facts: o.Facts,
		Value: rand.Text(), Left: o.Uses, Ends: o.Ends.UTC(), Maker: by, At: now,
	}
	err := s.Store.Update(ctx, func(w W) error {
		if err := w.AddSecret(secret); err != nil {
			return err
		}
		return w.Record(entry(now, by, "enrol.secret-make", recorded(secret.ID), secret.Profile))
	})
	return secret, err
}

func (s *Service) checkOrder(ctx context.Context, o Order, now time.Time) error {
	p, err := s.CA.Offer(o.Profile)
	if err != nil {
		return err
	}
	switch {
	case !p.ServesBy(ca.ServesCMP) && !p.ServesBy(ca.ServesEST):
		return ErrWay.With("profile %q", p.Name)
	case !slices.Contains([]ca.HolderKind{ca.HolderPerson, ca.HolderEntity, ca.HolderOfficial}, p.Holder):
		return ErrSecretForm.With("profile %q is for the program alone", p.Name)
	case !slices.Contains(p.Apply, string(actor.RoleRegistrar)):
		return ErrSecretForm.With("profile %q does not let a registrar apply for holders", p.Name)
	case o.Uses < 1 || o.Uses > maxUses:
		return ErrSecretForm.With("uses %d is not within 1 and %d", o.Uses, maxUses)
	case !o.Ends.After(now) || o.Ends.After(now.Add(maxLife)):
		return ErrSecretForm.With("end %s is not within the next 90 days", o.Ends.Format(time.RFC3339))
	}
	h, err := s.CA.Registry.Holder(ctx, o.Holder, o.Organization)
	if err != nil {
		return err
	}
	if h.Kind != p.Holder {
		return ErrSecretForm.With("profile %q is for holders of kind %s, this one is %s", p.Name, p.Holder, h.Kind)
	}
	return nil
}

// Secrets lists secrets without their values, newest first, at most 100, to registrars.
func (s *Service) Secrets(ctx context.Context, by actor.Actor, f SecretFilter) (all []Secret, err error) {
	if err := by.Require(actor.RoleRegistrar); err != nil {
		return nil, err
	}
	if f.Limit <= 0 || f.Limit > 100 {
		f.Limit = 100
	}
	err = s.Store.View(ctx, func(r R) error {
		all, err = r.Secrets(f)
		return err
	})
	return all, err
}

// RevokeSecret ends a secret at once. Applications that were made with it stay.
func (s *Service) RevokeSecret(ctx context.Context, by actor.Actor, id string) error {
	if err := by.Require(actor.RoleRegistrar); err != nil {
		return err
	}
	now := s.Now().UTC()
	return s.Store.Update(ctx, func(w W) error {
		secret, err := w.Secret(id)
		if err != nil {
			return err
		}
		if done, err := w.Revoke(id, now); err != nil || !done {
			return err
		}
		return w.Record(entry(now, by, "enrol.secret-revoke", recorded(id), secret.Profile))
	})
}

// Locked tells whether a secret had so many wrong tries that it counts no more.
func (s Secret) Locked() bool { return s.Tries >= maxTries }

// recorded is how the record, which anybody may read, names a secret: who knew the reference could lock it by wrong tries.
func recorded(reference string) string {
	sum := gm.SM3([]byte("enrolment secret\x00" + reference))
	return hex.EncodeToString(sum[:16])
}

// derivePatience is how long a message waits for its secret to be checked.
const derivePatience = 2 * time.Second

// maxReference bounds what is looked for as a reference, in octets; ours have 16.
const maxReference = 64

// check finds the secret under a reference and has try hold it against what was sent. The try is counted before it is made. An
// unknown or locked reference takes the same work and gives the same refusal as a wrong secret.
func (s *Service) check(ctx context.Context, reference string, try func(value string) bool) (Secret, error) {
	if len(reference) > maxReference {
		return Secret{}, ErrSecret.With("a reference of %d octets", len(reference))
	}
	if s.byWhom.Take("secret:"+reference, 1) > 0 {
		return Secret{}, ErrLimited.With("reference %q", reference)
	}
	var secret Secret
	counted := false
	err := s.Store.Update(ctx, func(w W) (err error) {
		if counted, err = w.CountTry(reference, maxTries); err != nil || !counted {
			return err
		}
		secret, err = w.Secret(reference)
		return err
	})
	if err != nil {
		return Secret{}, err
	}
	if !counted {
		secret.Value = rand.Text()
	}
	if right := try(secret.Value); !right || !counted {
		return Secret{}, ErrSecret.With("reference %q, counted %t", reference, counted)
	}
	return secret, s.Store.Update(ctx, func(w W) error { return w.ClearTries(reference) })
}

// checkMAC authenticates a message under a secret. The sender says how much work the key's derivation is, so that as many run at
// once as are given places, and strangers leave CPU time to others.
func (s *Service) checkMAC(ctx context.Context, m *cmp.Message) (Secret, error) {
	patience := time.NewTimer(derivePatience)
	defer patience.Stop()
	select {
	case s.deriving <- struct{}{}:
		defer func() { <-s.deriving }()
	case <-patience.C:
		return Secret{}, ErrLimited.With("%d secrets are being checked", cap(s.deriving))
	case <-ctx.Done():
		return Secret{}, ctx.Err()
	}
	return s.check(ctx, string(m.Header.SenderKID), func(value string) bool { return m.VerifyMAC([]byte(value)) == nil })
}

func entry(at time.Time, by actor.Actor, action, id, profile string) audit.Entry {
	e := audit.Entry{At: at, Actor: by, Action: action, Object: audit.Object{Kind: "enrolment", ID: id}}
	if profile != "" {
		e.Public = map[string]string{"profile": profile}
	}
	return e
}
