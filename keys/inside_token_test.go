//go:build cgo

package keys_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/hsm/hsmtest"
	"hufu/hsm/pkcs11"
	"hufu/internal/fault"
	"hufu/internal/gm"
	"hufu/keys"
	"hufu/store"
	"hufu/store/storetest"
)

// Keys of many owners, opened within a token behind PKCS#11, while sessions get lost.
func TestManyKeysWithinAToken(t *testing.T) {
	token := hsmtest.Token(t, "neutral")
	device, err := pkcs11.Open(t.Context(), pkcs11.Config{Module: token.Module, Token: token.Label}, []byte(token.PIN))
	ok(t, "open", err)
	t.Cleanup(func() { device.Close() })
	c := &clock{}
	c.us.Store(time.Now().UnixMicro())
	storetest.EachWith(t, store.Options{Now: c.now}, func(t *testing.T, db *store.DB) {
		ctx, r := t.Context(), rig{db: db, clock: c}
		k := r.nodeWith(t, db.Keys(), device)
		_, err := k.Ensure(ctx, system, "seal-master", keys.Master, keys.SM4)
		ok(t, "master", err)
		m, err := k.Many(system, keys.ManySeal, "seal-master")
		ok(t, "many", err)
		id, _, err := m.Generate(ctx, "seal", keys.Enrolment{PIN: goodPIN})
		ok(t, "generate", err)
		held, err := m.Held(ctx, id)
		if err != nil || !held.Inside {
			t.Fatalf("held %+v, %v", held, err)
		}
		ok(t, "by PIN", trySign(ctx, m, id, byPIN, hash("x")))
		s, err := m.Stand(ctx, clerk, id, byPIN, r.bounds(16))
		ok(t, "stand", err)
		token.Disturb(t, "no-session 20")
		var wg sync.WaitGroup
		var signed atomic.Int64
		for range 16 {
			wg.Go(func() {
				switch err := trySign(ctx, m, id, keys.Consent{Kind: "document"}, hash("x")); {
				case err == nil:
					signed.Add(1)
				case fault.KindOf(err) != fault.Unavailable:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		token.Disturb(t)
		all, err := m.Standings(ctx, id)
		ok(t, "standings", err)
		used := all[0].Used // what the driver could not mend may be counted or not, depending on when the device failed
		if used < int(signed.Load()) || used > 16 {
			t.Fatalf("%d uses counted, %d signed", used, signed.Load())
		}
		for range 16 - used {
			ok(t, "the rest", trySign(ctx, m, id, keys.Consent{Kind: "document"}, hash("x")))
		}
		r.usesRecorded(t, id, s.ID, 16)
		refused(t, "one too many", trySign(ctx, m, id, keys.Consent{Kind: "document"}, hash("x")))
		ok(t, "change PIN", m.ChangePIN(ctx, clerk, id, goodPIN, freshPIN))
		signer, err := m.Signer(ctx, id, clerk, keys.Consent{PIN: freshPIN, Kind: "document"})
		ok(t, "signer", err)
		_, err = gm.SignMessage(signer, []byte("m"))
		ok(t, "sign", err)
	})
}
