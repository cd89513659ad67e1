package seal

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"hufu/internal/actor"
	"hufu/internal/fault"
)

// Activation is a standing activation of a seal's key, and who made it.
type Activation struct {
	Standing
	By Stood
}

// ActivationActive is the state of a standing activation that has not ended.
const ActivationActive = "active"

// ownersSeal returns a seal to those who may stamp with it, whatever its state.
func (s *Service) ownersSeal(ctx context.Context, by actor.Actor, code string) (Seal, error) {
	if err := by.Known(); err != nil {
		return Seal{}, err
	}
	seal, err := s.seal(ctx, code)
	if err != nil {
		return Seal{}, err
	}
	if !mayUse(by, seal) {
		return Seal{}, ErrNotOwner.With("%s with seal %s of %s", by, code, seal.Owner)
	}
	return seal, nil
}

// Activate makes a standing activation: within its bounds the seal stamps without a further consent. Whoever may stamp makes
// it, with the owner's consent, while the seal is active. It ends at once when it is withdrawn, when the seal is frozen or
// revoked, and when the person who made it may no longer stamp.
func (s *Service) Activate(ctx context.Context, by actor.Actor, code string, c Consent, b Bounds) (Activation, error) {
	seal, err := s.usable(ctx, by, code)
	if err != nil {
		return Activation{}, err
	}
	if err := checkKinds(b.Kinds); err != nil {
		return Activation{}, err
	}
	made, err := s.Keys.Stand(ctx, by, seal.KeyID, c, b)
	if err != nil {
		return Activation{}, fmt.Errorf("activate seal %s: %w", code, err)
	}
	stood := Stood{ID: made.ID, Seal: code, Person: by.Subject, Capacity: by.Capacity, At: s.Now().UTC()}
	var now Seal
	err = s.Store.Update(ctx, func(w W) (err error) {
		if now, err = w.Seal(code); err != nil {
			return err
		}
		return w.SetStood(stood)
	})
	if err == nil && now.State != Active { // the freezing came between and did not see it
		err = ErrFrozen.With("seal %s became %s", code, now.State)
	}
	if err != nil {
		return Activation{}, errors.Join(err, s.end(context.WithoutCancel(ctx), by, stood))
	}
	return Activation{made, stood}, nil
}

func checkKinds(kinds []string) error {
	if len(kinds) == 0 || slices.ContainsFunc(kinds, func(k string) bool { return !standable(k) }) {
		return ErrKinds.With("kinds %q", kinds)
	}
	return nil
}

// Activations lists the standing activations of a seal, the newest first and those that ended included, to seal officers and
// to whoever acts for its owner.
func (s *Service) Activations(ctx context.Context, by actor.Actor, code string) ([]Activation, error) {
	seal, err := s.Get(ctx, by, code)
	if err != nil || seal.KeyID == "" {
		return nil, err
	}
	if err := s.endStale(ctx, seal); err != nil {
		return nil, err
	}
	return s.activations(ctx, seal)
}

// stoodShown is how many of a seal's activations are looked through; the keeper of keys tells of fewer.
const stoodShown = 1000

func (s *Service) activations(ctx context.Context, seal Seal) ([]Activation, error) {
	all, err := s.Keys.Standings(ctx, seal.KeyID)
	if err != nil {
		return nil, err
	}
	var stood []Stood
	if err := s.Store.View(ctx, func(r R) (err error) {
		stood, err = r.Stood(seal.Code, stoodShown)
		return err
	}); err != nil {
		return nil, err
	}
	var out []Activation
	for _, one := range all {
		a := Activation{Standing: one, By: Stood{ID: one.ID, Seal: seal.Code, At: one.Made}}
		if i := slices.IndexFunc(stood, func(s Stood) bool { return s.ID == one.ID }); i >= 0 {
			a.By = stood[i]
		}
		out = append(out, a)
	}
	return out, nil
}

// Withdraw ends a standing activation at once. Whoever may stamp may do so, and a seal officer, as with freezing.
func (s *Service) Withdraw(ctx context.Context, by actor.Actor, code, id string) error {
	seal, err := s.Get(ctx, by, code)
	if err != nil {
		return err
	}
	if by.Require(actor.RoleSealOfficer) != nil && !mayUse(by, seal) {
		return ErrNotOwner.With("%s withdraws activation of seal %s", by, code)
	}
	all, err := s.activations(ctx, seal)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(a Activation) bool { return a.ID == id && a.State == ActivationActive })
	if i < 0 {
		return ErrNoActivation.With("activation %q of seal %s", id, code)
	}
	return s.end(ctx, by, all[i].By)
}

// end withdraws a standing activation; one that has ended is no error.
func (s *Service) end(ctx context.Context, by actor.Actor, stood Stood) error {
	switch err := s.Keys.Withdraw(ctx, by, stood.ID); fault.KindOf(err) {
	case fault.NotFound, fault.Conflict, fault.Denied:
	default:
		if err != nil {
			return fmt.Errorf("end activation %s: %w", stood.ID, err)
		}
	}
	return s.ended(ctx, stood)
}

func (s *Service) ended(ctx context.Context, all ...Stood) error {
	return s.Store.Update(ctx, func(w W) error {
		for _, one := range all {
			one.Ended = true
			if err := w.SetStood(one); err != nil {
				return err
			}
		}
		return nil
	})
}

// endAll ends the standing activations of a seal that stopped working.
func (s *Service) endAll(ctx context.Context, by actor.Actor, seal Seal) error {
	if seal.KeyID == "" {
		return nil
	}
	all, err := s.activations(ctx, seal)
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.State == ActivationActive {
			err = errors.Join(err, s.end(ctx, by, a.By))
		}
	}
	return err
}

// strayLife is how long the keeper of keys may be ahead of us: a standing activation whose maker we do not know after that
// was left by a crash, and is ended.
const strayLife = time.Minute

// endStale ends standing activations whose maker may no longer stamp. It comes before each use of one, so that a post that
// ended does not go on stamping until the job comes round.
func (s *Service) endStale(ctx context.Context, seal Seal) error {
	all, err := s.activations(ctx, seal)
	if err != nil {
		return err
	}
	may, over := map[string]bool{}, []Stood(nil)
	for _, a := range all {
		if a.State != ActivationActive {
			if a.By.Person != "" && !a.By.Ended {
				over = append(over, a.By)
			}
			continue
		}
		ok, asked := may[a.By.Person]
		switch {
		case asked:
		case a.By.Person == "":
			ok = s.Now().Sub(a.Made) < strayLife
		default:
			if ok, err = s.stillUses(ctx, a.By.Person, seal); err != nil {
				return err
			}
			may[a.By.Person] = ok
		}
		if !ok {
			if err := s.end(ctx, actor.ForSystem("seal-post-ended"), a.By); err != nil {
				return err
			}
		}
	}
	if len(over) == 0 {
		return nil
	}
	return s.ended(ctx, over...)
}

// stillUses tells whether a person may stamp with a seal now, in whatever capacity.
func (s *Service) stillUses(ctx context.Context, person string, seal Seal) (bool, error) {
	ways, err := s.Owners.ActingFor(ctx, person, seal.Owner)
	return slices.ContainsFunc(ways, func(w Way) bool { return mayUse(w.Actor, seal) }), err
}

// served refuses the use of a standing activation to somebody who got the right to stamp, or the account, after it was made:
// whoever makes appointments or resets passwords must not thereby come to stamp. An activation made since then serves again.
func (s *Service) served(ctx context.Context, by actor.Actor, seal Seal, kind string) error {
	all, err := s.activations(ctx, seal)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(a Activation) bool { return a.State != ActivationActive || !slices.Contains(a.Kinds, kind) })
	if len(all) == 0 {
		return nil // the keeper of the key says so in its own words
	}
	ways, err := s.Owners.ActingFor(ctx, by.Subject, seal.Owner)
	if err != nil {
		return err
	}
	for _, w := range ways {
		if w.Capacity == by.Capacity && mayUse(w.Actor, seal) &&
			slices.ContainsFunc(all, func(a Activation) bool { return !a.Made.Before(w.Since) }) {
			return nil
		}
	}
	return ErrNewcomer.With("%s with seal %s", by, seal.Code)
}

// SubjectChanged handles a durable job whose payload names a person or organisation that may have lost rights: standing
// activations made by who may no longer stamp end. It may run more than once.
func (s *Service) SubjectChanged(ctx context.Context, payload []byte) error {
	var change struct {
		Subject string `json:"subject"`
	}
	if err := json.Unmarshal(payload, &change); err != nil || change.Subject == "" {
		return fmt.Errorf("payload of a changed subject: %w", err)
	}
	var stood []Stood
	if err := s.Store.View(ctx, func(r R) (err error) {
		stood, err = r.StoodBy(change.Subject)
		return err
	}); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, one := range stood {
		if seen[one.Seal] {
			continue
		}
		seen[one.Seal] = true
		seal, err := s.seal(ctx, one.Seal)
		if err == nil {
			err = s.endStale(ctx, seal)
		}
		if err != nil {
			return fmt.Errorf("activations of seal %s: %w", one.Seal, err)
		}
	}
	return nil
}

// SetPIN gives the seal's key a new PIN. Whoever may stamp does so with the old one. A key that was made before there was
// sole control has none: for it, without an old PIN, the owner sets the first.
func (s *Service) SetPIN(ctx context.Context, by actor.Actor, code string, old, fresh []byte) error {
	seal, err := s.ownersSeal(ctx, by, code)
	if err != nil {
		return err
	}
	if seal.KeyID == "" || seal.State == Revoked {
		return ErrState.With("seal %s is %s", code, seal.State)
	}
	if len(old) > 0 {
		return s.Keys.ChangePIN(ctx, by, seal.KeyID, old, fresh)
	}
	return s.Keys.Adopt(ctx, by, seal.KeyID, Enrolment{PIN: fresh})
}

// Held tells how the seal's key is held, to whom Get shows the seal. A seal that is not made yet has no key.
func (s *Service) Held(ctx context.Context, by actor.Actor, code string) (Held, error) {
	seal, err := s.Get(ctx, by, code)
	if err != nil || seal.KeyID == "" {
		return Held{}, err
	}
	return s.Keys.Held(ctx, seal.KeyID)
}
