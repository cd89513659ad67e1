package keys_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"sync/atomic"
	"testing"

	"hufu/hsm"
	"hufu/internal/fault"
	"hufu/internal/gm"
	"hufu/keys"
)

// insideDevice stands for a device that opens keys within itself.
type insideDevice struct {
	*hsm.Soft
	signed atomic.Int64
}

func (d *insideDevice) GenerateInside(ctx context.Context, master string, aad []byte) ([]byte, *ecdsa.PublicKey, error) {
	k, err := gm.GenerateKey()
	if err != nil {
		return nil, nil, err
	}
	w, err := d.Wrap(ctx, master, k.Bytes(), aad)
	return w, k.Public().(*ecdsa.PublicKey), err
}

func (d *insideDevice) SignInside(ctx context.Context, master string, wrapped, aad []byte, public *ecdsa.PublicKey, e []byte) ([]byte, error) {
	b, err := d.Unwrap(ctx, master, wrapped, aad)
	if err != nil {
		return nil, err
	}
	k, err := gm.NewPrivateKey(b)
	if err != nil {
		return nil, err
	}
	d.signed.Add(1)
	sig, err := k.Sign(nil, e, gm.Digest)
	if err == nil && !gm.VerifyE(public, e, sig) {
		err = hsm.ErrSignature
	}
	return sig, err
}

// unableDevice has the methods, but cannot do it with this master key.
type unableDevice struct{ insideDevice }

func (d *unableDevice) GenerateInside(context.Context, string, []byte) ([]byte, *ecdsa.PublicKey, error) {
	return nil, nil, hsm.ErrMechanism
}

var (
	_ keys.Inside = hsm.Inside(nil)
	_ keys.Inside = (*insideDevice)(nil)
)

func TestKeysOpenedWithinTheDevice(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx := t.Context()
		device := &insideDevice{Soft: r.device}
		m := r.seals(t, r.nodeWith(t, r.db.Keys(), device))
		id, pub, err := m.Generate(ctx, "seal", keys.Enrolment{PIN: goodPIN})
		ok(t, "generate", err)
		if held, err := m.Held(ctx, id); err != nil || !held.Inside {
			t.Errorf("held %+v, %v", held, err)
		}
		before := device.signed.Load()
		s, err := m.Signer(ctx, id, clerk, byPIN)
		ok(t, "signer", err)
		sig, err := gm.SignMessage(s, []byte("m"))
		if err != nil || !gm.Verify(pub.(*ecdsa.PublicKey), []byte("m"), sig) || device.signed.Load() != before+1 {
			t.Errorf("signed %d times within the device, %v", device.signed.Load()-before, err)
		}
		_, err = m.Stand(ctx, clerk, id, byPIN, r.bounds(2))
		ok(t, "stand", err)
		ok(t, "use", trySign(ctx, m, id, keys.Consent{Kind: "document"}, hash("x")))
		fresh := []byte("another-word-77")
		ok(t, "change PIN", m.ChangePIN(ctx, clerk, id, goodPIN, fresh))
		byFresh := keys.Consent{PIN: fresh, Kind: "document"}
		ok(t, "the new PIN", trySign(ctx, m, id, byFresh, hash("x")))
		other, _, err := m.Generate(ctx, "seal", keys.Enrolment{PIN: fresh})
		ok(t, "generate", err)
		rows := map[string]keys.Wrapped{}
		for _, i := range []string{id, other} {
			ok(t, "read", r.db.Keys().View(ctx, func(q keys.R) (err error) {
				rows[i], err = q.Wrapped(i)
				return err
			}))
		}
		for what, edit := range map[string]func(*keys.Wrapped){
			"said to be opened in memory": func(w *keys.Wrapped) { w.Form = keys.FormWrapped },
			"another key's octets":        func(w *keys.Wrapped) { w.Wrapped = rows[other].Wrapped },
			"another public key":          func(w *keys.Wrapped) { w.Public = rows[other].Public },
			"a flipped bit":               func(w *keys.Wrapped) { w.Wrapped = bytes.Clone(w.Wrapped); w.Wrapped[9] ^= 1 },
		} {
			m := r.seals(t, r.nodeWith(t, tampered{Store: r.db.Keys(), wrapped: edit}, device))
			want(t, what, trySign(ctx, m, id, byFresh, hash("x")), keys.ErrDamaged)
		}
		outside := r.seals(t, r.node(t))
		want(t, "a device that cannot", trySign(ctx, outside, id, byFresh, hash("x")), keys.ErrMoved)
		unable := r.seals(t, r.nodeWith(t, r.db.Keys(), &unableDevice{insideDevice{Soft: r.device}}))
		plain, _, err := unable.Generate(ctx, "seal", keys.Enrolment{PIN: fresh})
		ok(t, "generate on a device that cannot", err)
		if held, err := unable.Held(ctx, plain); err != nil || held.Inside {
			t.Errorf("held %+v, %v", held, err)
		}
		ok(t, "sign in memory", trySign(ctx, unable, plain, byFresh, hash("x")))
		if fault.KindOf(hsm.ErrMechanism) != fault.Invalid {
			t.Error("the device's refusal has another kind")
		}
	})
}
