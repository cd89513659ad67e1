package keys_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/ca/kmc"
	"hufu/internal/gm"
	"hufu/keys"
)

func TestDataKeysRotateAndStayBound(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, k := t.Context(), r.node(t)
		v1, err := k.EnsureData(ctx, chief, keys.DataTokens)
		ok(t, "ensure", err)
		r.rotate(t, "data:tokens")
		v2, err := k.Data(ctx, keys.DataTokens)
		ok(t, "data", err)
		got, err := r.node(t).Data(ctx, keys.DataTokens)
		ok(t, "data", err)
		if len(got.All) != 2 || got.Current.Version != 2 || !bytes.Equal(got.Current.Key, v2.Current.Key) ||
			!bytes.Equal(got.All[1], v1.Current.Key) || len(got.All[1]) != 32 || bytes.Equal(got.All[1], got.All[2]) {
			t.Errorf("%d versions, current %d", len(got.All), got.Current.Version)
		}
		if n := r.records(t, "key.generate", "data:tokens/1") + r.records(t, "key.generate", "data:tokens/2"); n != 2 {
			t.Errorf("two versions stand %d times in the record", n)
		}
		var rows, pepper []keys.DataVersion
		_, err = k.EnsureData(ctx, chief, keys.DataPepper)
		ok(t, "pepper", err)
		ok(t, "read", r.db.Keys().View(ctx, func(q keys.R) (err error) {
			if rows, err = q.DataVersions(keys.DataTokens); err == nil {
				pepper, err = q.DataVersions(keys.DataPepper)
			}
			return err
		}))
		for what, edit := range map[string]func(*keys.DataVersion){
			"another purpose's octets":    func(d *keys.DataVersion) { d.Wrapped = pepper[0].Wrapped },
			"an older version's octets":   func(d *keys.DataVersion) { d.Wrapped = rows[0].Wrapped },
			"a flipped bit":               func(d *keys.DataVersion) { d.Wrapped[len(d.Wrapped)-1] ^= 1 },
			"a master key that never was": func(d *keys.DataVersion) { d.Wrapped[3] = 9 },
			"nothing":                     func(d *keys.DataVersion) { d.Wrapped = nil },
		} {
			_, err := r.nodeWith(t, tampered{Store: r.db.Keys(), data: edit}, r.device).Data(ctx, keys.DataTokens)
			want(t, what, err, keys.ErrDamaged)
		}
		for _, d := range rows {
			if bytes.Contains(d.Wrapped, v1.Current.Key) || bytes.Contains(d.Wrapped, v2.Current.Key) {
				t.Error("a data key stands in the database in clear")
			}
		}
	})
}

func TestMasterKeyIsKeptWhileOthersStandUnderIt(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, k := t.Context(), r.node(t)
		_, err := k.Ensure(ctx, system, "seal-master", keys.Master, keys.SM4)
		ok(t, "ensure", err)
		m, err := k.Many(system, keys.ManySeal, "seal-master")
		ok(t, "many", err)
		id, _, err := m.Generate(ctx, "seal 1", ownerHalf)
		ok(t, "generate", err)
		for _, label := range []string{"master", "seal-master"} {
			_, err = k.Rotate(ctx, chief, label)
			ok(t, "rotate", err)
		}
		r.clock.advance(time.Hour)
		want(t, "master of data keys", k.Destroy(ctx, chief, "master", 1), keys.ErrInUse)
		want(t, "master of many keys", k.Destroy(ctx, chief, "seal-master", 1), keys.ErrInUse)
		_, err = k.Data(ctx, keys.DataField)
		ok(t, "data key under the retired master", err)
		ok(t, "destroy the one key", m.Destroy(ctx, chief, id))
		ok(t, "master that nothing stands under", k.Destroy(ctx, chief, "seal-master", 1))

		desk := r.desk(t, k)
		_, err = desk.Provide(ctx, system, kmc.Order{Request: "r", Signing: somebody(t), Subject: "p1"})
		ok(t, "encryption key", err)
		_, err = k.Rotate(ctx, chief, keys.KMCMasterLabel)
		ok(t, "rotate", err)
		r.clock.advance(time.Hour)
		want(t, "master of escrowed keys", k.Destroy(ctx, chief, keys.KMCMasterLabel, 1), keys.ErrInUse)
		r.sound(t)
	})
}

func TestManyKeysSign(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx := t.Context()
		m, err := r.node(t).Many(system, keys.ManySeal, "master")
		ok(t, "many", err)
		id, pub, err := m.Generate(ctx, "seal 1", ownerHalf)
		ok(t, "generate", err)
		s, err := m.Signer(ctx, id, clerk, byHalf)
		ok(t, "signer", err)
		sig, err := s.Sign(nil, []byte("message"), gm.Message)
		if err != nil || !gm.Verify(pub.(*ecdsa.PublicKey), []byte("message"), sig) {
			t.Errorf("message: %v", err)
		}
		_, err = s.Sign(nil, []byte("message"), gm.Message)
		want(t, "a second signature by one consent", err, keys.ErrActivation)
		s, err = m.Signer(ctx, id, clerk, byHalf)
		ok(t, "signer", err)
		if _, err := gm.SignMessage(s, []byte("message")); err != nil {
			t.Errorf("digest: %v", err)
		}
		for _, c := range []struct {
			size int
			opts crypto.SignerOpts
		}{{31, gm.Digest}, {33, gm.Digest}, {32, nil}, {32, crypto.SHA256}, {0, gm.Digest}} {
			sig, err := s.Sign(nil, make([]byte, c.size), c.opts)
			want(t, "unclear input", err, keys.ErrInput)
			if sig != nil {
				t.Error("signed all the same")
			}
		}
		ended, cancel := context.WithCancel(ctx)
		s, err = m.Signer(ended, id, clerk, byHalf)
		ok(t, "signer", err)
		cancel()
		_, err = s.Sign(nil, make([]byte, 32), gm.Digest)
		want(t, "after the end of its context", err, context.Canceled)
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				id, _, err := m.Generate(ctx, "seal", ownerHalf)
				if err != nil {
					t.Error(err)
					return
				}
				s, err := m.Signer(ctx, id, clerk, byHalf)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := gm.SignMessage(s, []byte("m")); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := r.records(t, "key.generate", id); n != 1 {
			t.Errorf("making stands %d times in the record", n)
		}
	})
}

func TestManyKeysResistTheirDatabase(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx := t.Context()
		m, err := r.node(t).Many(system, keys.ManySeal, "master")
		ok(t, "many", err)
		a, _, err := m.Generate(ctx, "the mayor's seal", ownerHalf)
		ok(t, "generate", err)
		b, _, err := m.Generate(ctx, "the attacker's seal", ownerHalf)
		ok(t, "generate", err)
		var rowB keys.Wrapped
		ok(t, "read", r.db.Keys().View(ctx, func(q keys.R) (err error) {
			rowB, err = q.Wrapped(b)
			return err
		}))
		free := func(w *keys.Wrapped) { w.Control = keys.ByPlatform }
		for what, c := range map[string]struct {
			edit func(*keys.Wrapped)
			err  error
		}{
			"the other's octets":                   {func(w *keys.Wrapped) { w.Wrapped = rowB.Wrapped }, keys.ErrDamaged},
			"the other's octets and public key":    {func(w *keys.Wrapped) { w.Wrapped, w.Public = rowB.Wrapped, rowB.Public }, keys.ErrDamaged},
			"the other's public key":               {func(w *keys.Wrapped) { w.Public = rowB.Public }, keys.ErrDamaged},
			"a public key off the curve":           {func(w *keys.Wrapped) { w.Public[10] ^= 1 }, keys.ErrDamaged},
			"a flipped bit":                        {func(w *keys.Wrapped) { w.Wrapped[20] ^= 1 }, keys.ErrDamaged},
			"no octets":                            {func(w *keys.Wrapped) { w.Wrapped = nil }, keys.ErrDamaged},
			"sole control taken away":              {free, keys.ErrUnadopted},
			"half-made":                            {func(w *keys.Wrapped) { w.State = keys.Making }, keys.ErrUnknown},
			"destroyed":                            {func(w *keys.Wrapped) { w.State = keys.Destroyed }, keys.ErrUnknown},
			"another purpose, as if it were ours":  {func(w *keys.Wrapped) { w.ID = b }, keys.ErrDamaged},
			"another purpose, as what it is":       {func(w *keys.Wrapped) { w.Purpose = keys.ManyHolder }, keys.ErrUnknown},
			"another master, as if it wrapped it":  {func(w *keys.Wrapped) { w.Master = "nobody" }, keys.ErrDamaged},
			"an unknown kind of control, as ours":  {func(w *keys.Wrapped) { w.Control = "" }, keys.ErrActivation},
			"a version of the master that is none": {func(w *keys.Wrapped) { w.Wrapped[0] = 1 }, keys.ErrDamaged},
		} {
			m, err := r.nodeWith(t, tampered{Store: r.db.Keys(), wrapped: c.edit}, r.device).Many(system, keys.ManySeal, "master")
			ok(t, "many", err)
			s, err := m.Signer(ctx, a, clerk, byHalf)
			if err == nil {
				_, err = s.Sign(nil, make([]byte, 32), gm.Digest)
			}
			want(t, what, err, c.err)
		}
		holders, err := r.node(t).Many(system, keys.ManyHolder, "master")
		ok(t, "many", err)
		_, err = holders.Signer(ctx, a, clerk, byHalf)
		want(t, "a seal's key asked for as a holder's", err, keys.ErrUnknown)
		_, err = m.Signer(ctx, "nobody", clerk, byHalf)
		want(t, "unknown", err, keys.ErrUnknown)
		ok(t, "destroy", m.Destroy(ctx, system, a))
		_, err = m.Signer(ctx, a, clerk, byHalf)
		want(t, "destroyed", err, keys.ErrUnknown)
		want(t, "destroying twice", m.Destroy(ctx, system, a), keys.ErrUnknown)
	})
}

// legacy stores a key as it was made before there was sole control; made tells what its octets are bound to.
func (r rig) legacy(t *testing.T, k *keys.Keys, made keys.Control) keys.Wrapped {
	t.Helper()
	private, err := gm.GenerateKey()
	ok(t, "key", err)
	w := keys.Wrapped{
		ID: rand.Text(), Label: "seal", Purpose: keys.ManySeal, Control: keys.ByPlatform, Form: keys.FormWrapped, State: keys.Active,
		Master: "master", MasterVersion: 1, Public: gm.Point(private.Public().(*ecdsa.PublicKey)), Made: r.clock.now(),
	}
	head := strings.Join([]string{"hufu many key v1", w.ID, keys.ManySeal, string(made), ""}, "\x00")
	w.Wrapped, err = k.Wrap(t.Context(), "master", private.Bytes(), append([]byte(head), w.Public...))
	ok(t, "wrap", err)
	ok(t, "insert", r.db.Keys().Update(t.Context(), func(s keys.W) error { return s.InsertWrapped(w) }))
	return w
}

// A key from before signs nothing until it is adopted; and sole control cannot be taken away by editing the row, since the
// wrapped octets are bound to it.
func TestKeysFromBeforeAreAdopted(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, k := t.Context(), r.node(t)
		m, err := k.Many(system, keys.ManySeal, "master")
		ok(t, "many", err)
		old := r.legacy(t, k, keys.ByPlatform)
		_, err = m.Signer(ctx, old.ID, clerk, byHalf)
		want(t, "before adoption", err, keys.ErrUnadopted)
		want(t, "with a bad PIN", m.Adopt(ctx, clerk, old.ID, keys.Enrolment{PIN: []byte("12345678")}), keys.ErrPINForm)
		ok(t, "adopt", m.Adopt(ctx, clerk, old.ID, keys.Enrolment{PIN: goodPIN}))
		s, err := m.Signer(ctx, old.ID, clerk, keys.Consent{PIN: goodPIN, Kind: "document"})
		ok(t, "signer", err)
		_, err = gm.SignMessage(s, []byte("m"))
		ok(t, "sign", err)
		want(t, "twice", m.Adopt(ctx, clerk, old.ID, ownerHalf), keys.ErrState)
		if r.records(t, "key.adopt", old.ID) != 1 {
			t.Error("the adoption is not in the record")
		}
		forged := r.legacy(t, k, keys.ByOwner)
		want(t, "an owner's key in the guise of an old one", m.Adopt(ctx, clerk, forged.ID, ownerHalf), keys.ErrDamaged)
	})
}

func TestHalfMadeKeysAreVoided(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx := t.Context()
		f := &fuse{at: 2} // behind the first write, before the key is active
		m, err := r.nodeWith(t, crashStore{r.db.Keys(), f}, r.device).Many(system, keys.ManySeal, "master")
		ok(t, "many", err)
		_, _, err = m.Generate(ctx, "seal 1", ownerHalf)
		want(t, "generate", err, errCrash)
		half := func() (n int) {
			ok(t, "read", r.db.Keys().View(ctx, func(q keys.R) error {
				rows, err := q.HalfMade(r.clock.now().Add(time.Minute), 10)
				n = len(rows)
				return err
			}))
			return n
		}
		ok(t, "resume", r.node(t).Resume(ctx))
		if half() != 1 {
			t.Error("a key that another node may be making just now was voided")
		}
		r.clock.advance(time.Hour)
		ok(t, "resume", r.node(t).Resume(ctx))
		if half() != 0 {
			t.Error("a key left behind by a crash was not voided")
		}
	})
}
