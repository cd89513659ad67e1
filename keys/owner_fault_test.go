package keys_test

import (
	"context"
	"testing"
	"time"

	"hufu/keys"
)

// lameDevice fails to unwrap as long as it is told to.
type lameDevice struct {
	keys.Device
	err *error
}

func (d lameDevice) Unwrap(ctx context.Context, label string, wrapped, aad []byte) ([]byte, error) {
	if *d.err != nil {
		return nil, *d.err
	}
	return d.Device.Unwrap(ctx, label, wrapped, aad)
}

// An owner who tries again while the device is away, or whose page gives up waiting, is not locked out by it.
func TestADeviceThatFailsCostsNoPINTries(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		var away error
		m := r.seals(t, r.nodeWith(t, r.db.Keys(), lameDevice{r.device, &away}))
		id, _, err := m.Generate(t.Context(), "seal", keys.Enrolment{PIN: goodPIN})
		ok(t, "generate", err)
		wrong := keys.Consent{PIN: []byte("Hufu-seal-2027"), Kind: "document"}
		for range 4 {
			want(t, "wrong", trySign(t.Context(), m, id, wrong, hash("x")), keys.ErrPIN)
		}
		away = keys.ErrBusy
		for range 12 {
			want(t, "the device is away", trySign(t.Context(), m, id, byPIN, hash("x")), keys.ErrBusy)
		}
		away = nil
		held, err := m.Held(t.Context(), id)
		if err != nil || held.Locked {
			t.Errorf("held %+v, %v", held, err)
		}
		want(t, "the fifth wrong one", trySign(t.Context(), m, id, wrong, hash("x")), keys.ErrPIN)
		want(t, "and no try was given away", trySign(t.Context(), m, id, byPIN, hash("x")), keys.ErrLocked)
		r.clock.advance(time.Minute)
		away = context.Canceled
		want(t, "the device is away after a lock", trySign(t.Context(), m, id, byPIN, hash("x")), context.Canceled)
		away = nil
		ok(t, "sign", trySign(t.Context(), m, id, byPIN, hash("x")))
	})
}

// However many activations came and went since, one that is active is told: those who withdraw, freeze and end look there.
func TestAnActiveActivationIsNeverOutOfSight(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, m := t.Context(), r.seals(t, r.node(t))
		id, _, err := m.Generate(ctx, "seal", ownerHalf)
		ok(t, "generate", err)
		bounds := keys.Bounds{Kinds: []string{"document"}, Count: 9, Until: r.clock.now().Add(48 * time.Hour)}
		old, err := m.Stand(ctx, clerk, id, byHalf, bounds)
		ok(t, "stand", err)
		for range 210 {
			r.clock.advance(time.Second)
			s, err := m.Stand(ctx, clerk, id, byHalf, bounds)
			ok(t, "stand", err)
			ok(t, "withdraw", m.Withdraw(ctx, clerk, s.ID))
		}
		all, err := m.Standings(ctx, id)
		ok(t, "standings", err)
		if len(all) != 200 || all[len(all)-1].ID != old.ID || all[len(all)-1].State != keys.StandingActive {
			t.Fatalf("%d activations; the oldest is %+v", len(all), all[len(all)-1])
		}
		if !all[0].Made.After(all[1].Made) {
			t.Error("the newest does not come first")
		}
	})
}
