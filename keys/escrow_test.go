package keys_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"errors"
	"testing"
	"time"

	"hufu/ca/kmc"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/keys"
)

// escrowMaster is the key management centre's master key on a node.
type escrowMaster struct{ *keys.Keys }

func (m escrowMaster) Wrap(ctx context.Context, data, aad []byte) ([]byte, error) {
	return m.Keys.Wrap(ctx, keys.KMCMasterLabel, data, aad)
}

func (m escrowMaster) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	data, err := m.Keys.Unwrap(ctx, keys.KMCMasterLabel, wrapped, aad)
	if errors.Is(err, keys.ErrDamaged) {
		err = kmc.ErrDamaged.With("%w", err)
	}
	return data, err
}

// desk opens a key management centre on a node.
func (r rig) desk(t *testing.T, k *keys.Keys) *kmc.Desk {
	t.Helper()
	ok(t, "master", k.EnsureKMCMaster(t.Context(), system))
	centre, err := kmc.New(kmc.Config{Store: r.db.KMC(), Master: escrowMaster{k}, Pool: 3, Now: r.clock.now})
	ok(t, "centre", err)
	ok(t, "serve", centre.Serve(t.Context(), system, []kmc.Client{{Name: kmc.Local}}))
	_, err = centre.Fill(t.Context())
	ok(t, "fill", err)
	return centre.Desk(kmc.Local)
}

func somebody(t *testing.T) *ecdsa.PublicKey {
	t.Helper()
	k, err := gm.GenerateKey()
	ok(t, "key", err)
	return k.Public().(*ecdsa.PublicKey)
}

// The centre's master key is rotated under a pool and keys in escrow: all stands under the new version, is handed out and
// recovered as before, and the old version can be destroyed.
func TestEscrowFollowsItsMaster(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, k := t.Context(), r.node(t)
		desk := r.desk(t, k)
		holder, err := gm.GenerateKey()
		ok(t, "key", err)
		got, err := desk.Provide(ctx, system, kmc.Order{Request: "r", Signing: holder.Public().(*ecdsa.PublicKey), Subject: "p1"})
		ok(t, "encryption key", err)
		lost, err := certs.OpenEnvelopedKey(got.Envelope, holder)
		ok(t, "open", err)

		p, err := k.BeginRotation(ctx, chief, keys.KMCMasterLabel)
		ok(t, "begin", err)
		for range 40 {
			ok(t, "advance", k.Advance(ctx, p.ID))
			if p = r.progress(t, p.ID); p.Phase == keys.PhaseDone {
				break
			}
			r.clock.advance(20 * time.Second)
		}
		if p.Phase != keys.PhaseDone || p.Done != 3 || r.under(t, keys.KMCMasterLabel, 1) {
			t.Fatalf("rotation stands at %+v", p)
		}
		r.clock.advance(time.Hour)
		ok(t, "destroy", k.Destroy(ctx, chief, keys.KMCMasterLabel, 1))

		_, err = desk.Provide(ctx, system, kmc.Order{Request: "r2", Signing: somebody(t), Subject: "p1"})
		ok(t, "after the rotation", err)
		fresh, err := gm.GenerateKey()
		ok(t, "key", err)
		ask := kmc.Ask{Kind: kmc.ForHolder, Subject: "p1", Why: "lost", Recipient: gm.Point(fresh.Public().(*ecdsa.PublicKey))}
		person := actor.Actor{Subject: "p1", Capacity: actor.Person}
		rec, err := desk.Request(ctx, person, ask)
		ok(t, "request", err)
		for _, id := range []string{"o1", "o2"} {
			officer := actor.Actor{Subject: id, Capacity: actor.Official, Roles: []actor.Role{actor.RoleRecoveryOfficer}}
			_, err = desk.Decide(ctx, officer, rec.ID, kmc.Verdict{Approve: true, Officers: 2})
			ok(t, "approve", err)
		}
		taken, err := desk.Take(ctx, person, rec.ID, "x", kmc.Standing{"o1": true, "o2": true})
		ok(t, "take", err)
		found := false
		for _, key := range taken.Keys {
			opened, err := certs.OpenEnvelopedKey(key.Envelope, fresh)
			ok(t, "open", err)
			found = found || bytes.Equal(opened.Bytes(), lost.Bytes())
		}
		if !found {
			t.Error("the key from before the rotation was not recovered")
		}
		r.sound(t)
	})
}
