package keys_test

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"hufu/hsm"
	"hufu/hsm/hsmtest"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
	"hufu/keys"
	"hufu/store"
	"hufu/store/storetest"
)

// The first start: the database cannot record before its data keys are open, and these come from the device.
func TestFirstStartUnlocksTheDatabase(t *testing.T) {
	for engine, dsn := range storetest.DSNs(t) {
		t.Run(engine, func(t *testing.T) {
			ctx := t.Context()
			db, err := store.Open(ctx, dsn, store.Options{})
			ok(t, "open", err)
			t.Cleanup(func() { db.Close() })
			r := rig{device: hsmtest.Soft(t), db: db, clock: &clock{}}
			r.clock.advance(time.Hour)
			k := r.node(t)

			_, err = k.Ensure(ctx, system, "ca-root", keys.CARoot, keys.SM2)
			want(t, "an ordinary key before unlocking", err, store.ErrLocked)
			first, err := k.Unlock(ctx)
			ok(t, "unlock", err)
			use(t, db, first)
			ok(t, "resume", k.Resume(ctx))
			_, err = k.Ensure(ctx, system, "ca-root", keys.CARoot, keys.SM2)
			ok(t, "ensure", err)
			r.sound(t)
			for _, object := range []string{"master/1", "data:field/1", "data:index/1", "data:subjects/1", "data:rows/1"} {
				if n := r.records(t, "key.generate", object); n != 1 {
					t.Errorf("%s stands %d times in the record", object, n)
				}
			}
			again, err := r.node(t).Unlock(ctx)
			if err != nil || fmt.Sprint(again) != fmt.Sprint(first) {
				t.Errorf("the second start opens other keys (%v)", err)
			}
			other := r.nodeWith(t, db.Keys(), hsmtest.Soft(t))
			_, err = other.Unlock(ctx)
			want(t, "start with another device", err, keys.ErrMoved)
		})
	}
}

func use(t *testing.T, db *store.DB, opened map[string]keys.DataKeys) {
	t.Helper()
	ok(t, "use", db.UseFieldKeys(store.FieldKeys{
		Version: opened[keys.DataField].Current.Version, Sealing: opened[keys.DataField].All,
		Index: opened[keys.DataIndex].Current.Key, Subjects: opened[keys.DataSubjects].Current.Key, Rows: opened[keys.DataRows].Current.Key,
	}))
}

func TestKeyLivesFromMakingToDestruction(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, k := t.Context(), r.node(t)
		v1, err := k.Ensure(ctx, system, "ca-issuing", keys.CAIssuing, keys.SM2)
		ok(t, "ensure", err)
		same, err := k.Ensure(ctx, chief, "ca-issuing", keys.CAIssuing, keys.SM2)
		if err != nil || same.String() != v1.String() || same.Reference != v1.Reference {
			t.Errorf("ensured twice: %+v, %v", same, err)
		}
		want(t, "destroying the active version", k.Destroy(ctx, chief, "ca-issuing", 1), keys.ErrState)

		other := r.node(t) // knows version 1 for some seconds after the rotation
		sign(t, other, "ca-issuing")
		v2, err := k.Rotate(ctx, chief, "ca-issuing")
		if err != nil || v2.Number != 2 || v2.String() != "ca-issuing/2" {
			t.Fatalf("rotate: %+v, %v", v2, err)
		}
		s, err := k.Signer(ctx, "ca-issuing")
		if err != nil || !equal(s.Public(), public(t, v2)) {
			t.Errorf("this node does not sign with the new version: %v", err)
		}
		sign(t, other, "ca-issuing")
		old, err := k.SignerAt(ctx, "ca-issuing", 1)
		if err != nil || !equal(old.Public(), public(t, v1)) {
			t.Errorf("the retired version: %v", err)
		}
		want(t, "destroying at once", k.Destroy(ctx, chief, "ca-issuing", 1), keys.ErrState)
		r.clock.advance(61 * time.Second)
		s, err = other.Signer(ctx, "ca-issuing")
		if err != nil || !equal(s.Public(), public(t, v2)) {
			t.Errorf("the other node still uses the old version: %v", err)
		}
		ok(t, "destroy", k.Destroy(ctx, chief, "ca-issuing", 1))
		_, err = k.SignerAt(ctx, "ca-issuing", 1)
		want(t, "signer of a destroyed version", err, keys.ErrUnknown)
		_, err = old.Sign(nil, make([]byte, 32), gm.Digest)
		want(t, "signer obtained before", err, hsm.ErrNotFound)
		want(t, "destroying twice", k.Destroy(ctx, chief, "ca-issuing", 1), keys.ErrUnknown)
		r.sound(t)
		if a, b := r.records(t, "key.destroy", "ca-issuing/1"), r.records(t, "key.destroyed", "ca-issuing/1"); a != 1 || b != 1 {
			t.Errorf("decision recorded %d times, end %d times", a, b)
		}
		all, err := k.Versions(ctx, "ca-issuing")
		if got := labels(all); err != nil || got != "ca-issuing/1 destroyed, ca-issuing/2 active" {
			t.Errorf("%s, %v", got, err)
		}
	})
}

func equal(a, b crypto.PublicKey) bool {
	return a.(interface{ Equal(crypto.PublicKey) bool }).Equal(b)
}

func TestEachAlgorithmAndUse(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, k := t.Context(), r.node(t)
		for label, c := range map[string][2]string{"es": {keys.TokenES256, keys.P256}, "rs": {keys.TokenRS256, keys.RSA2048}} {
			v, err := k.Ensure(ctx, system, label, c[0], c[1])
			ok(t, label, err)
			s, err := k.Signer(ctx, label)
			ok(t, label, err)
			if _, err := s.Sign(nil, make([]byte, 32), crypto.SHA256); err != nil || !equal(s.Public(), public(t, v)) {
				t.Errorf("%s: %v", label, err)
			}
		}
		v, err := k.Ensure(ctx, system, "envelope", keys.Envelope, keys.SM2)
		ok(t, "envelope", err)
		d, err := k.Decrypter(ctx, "envelope", 0)
		ok(t, "decrypter", err)
		if !equal(d.Public(), public(t, v)) {
			t.Error("decrypter of another key")
		}
		_, err = k.Signer(ctx, "envelope")
		want(t, "signing with a key made to decrypt", err, hsm.ErrMechanism)
		_, err = k.Decrypter(ctx, "es", 1)
		want(t, "decrypting with a key made to sign", err, hsm.ErrMechanism)

		wrapped, err := k.Wrap(ctx, "master", []byte("secret"), []byte("place"))
		ok(t, "wrap", err)
		_, err = k.Rotate(ctx, chief, "master")
		ok(t, "rotate master", err)
		for _, node := range []*keys.Keys{k, r.node(t)} {
			if got, err := node.Unwrap(ctx, "master", wrapped, []byte("place")); err != nil || string(got) != "secret" {
				t.Errorf("unwrap under the retired version: %q, %v", got, err)
			}
		}
		_, err = k.Unwrap(ctx, "master", wrapped, []byte("elsewhere"))
		want(t, "another place", err, keys.ErrDamaged)
		for i := range wrapped {
			bad := append([]byte(nil), wrapped...)
			bad[i] ^= 1
			_, err := k.Unwrap(ctx, "master", bad, []byte("place"))
			want(t, "flipped bit", err, keys.ErrDamaged)
		}
		_, err = k.Unwrap(ctx, "master", nil, nil)
		want(t, "nothing", err, keys.ErrDamaged)
	})
}

func TestWhatMakesNoSenseIsRefused(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, k := t.Context(), r.node(t)
		_, err := k.Ensure(ctx, system, "log", keys.Log, keys.SM2)
		ok(t, "ensure", err)
		for what, c := range map[string]struct {
			label, purpose, algorithm string
			sentinel                  error
		}{
			"another purpose":            {"log", keys.Bundle, keys.SM2, keys.ErrMismatch},
			"another algorithm":          {"root", keys.CARoot, keys.SM4, keys.ErrPurpose},
			"no such purpose":            {"x", "x", keys.SM2, keys.ErrPurpose},
			"no algorithm":               {"x", keys.Log, "", keys.ErrPurpose},
			"no label":                   {"", keys.Log, keys.SM2, keys.ErrLabel},
			"a label with a slash":       {"a/b", keys.Log, keys.SM2, keys.ErrLabel},
			"a label that is a path":     {"../x", keys.Log, keys.SM2, keys.ErrLabel},
			"a label of 65 characters":   {"a2345678901234567890123456789012345678901234567890123456789012345", keys.Log, keys.SM2, keys.ErrLabel},
			"a label in capital letters": {"Log", keys.Log, keys.SM2, keys.ErrLabel},
		} {
			_, err := k.Ensure(ctx, system, c.label, c.purpose, c.algorithm)
			want(t, what, err, c.sentinel)
		}
		_, err = k.Signer(ctx, "nobody")
		want(t, "signer", err, keys.ErrUnknown)
		_, err = k.Rotate(ctx, system, "nobody")
		want(t, "rotate", err, keys.ErrUnknown)
		want(t, "destroy", k.Destroy(ctx, system, "log", 7), keys.ErrUnknown)
		_, err = k.Data(ctx, keys.DataTokens)
		want(t, "data key never made", err, keys.ErrUnknown)
		_, err = k.EnsureData(ctx, system, "x")
		want(t, "data key for nothing", err, keys.ErrPurpose)
		_, err = k.Many(system, keys.CARoot, "master")
		want(t, "many roots", err, keys.ErrPurpose)
		if _, err := keys.New(keys.Config{Store: r.db.Keys()}); err == nil {
			t.Error("a service without a device")
		}
	})
}

func TestOnlyTheSystemAndSuperAdministratorsChangeKeys(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, k := t.Context(), r.node(t)
		_, err := k.Ensure(ctx, system, "log", keys.Log, keys.SM2)
		ok(t, "ensure", err)
		m, err := k.Many(system, keys.ManySeal, "master")
		ok(t, "many", err)
		id, _, err := m.Generate(ctx, "seal 1", ownerHalf)
		ok(t, "generate", err)
		for _, who := range []actor.Actor{{}, clerk, {Subject: "p3", Capacity: actor.Person}} {
			_, ensure := k.Ensure(ctx, who, "log", keys.Log, keys.SM2)
			_, rotate := k.Rotate(ctx, who, "log")
			_, ensureData := k.EnsureData(ctx, who, keys.DataTokens)
			_, rotateData := k.BeginRotation(ctx, who, "data:field")
			_, plan := k.Plan(ctx, who, "data:field")
			_, many := k.Many(who, keys.ManySeal, "master")
			for what, err := range map[string]error{
				"ensure": ensure, "rotate": rotate, "destroy": k.Destroy(ctx, who, "log", 1), "ensure data": ensureData,
				"rotate data": rotateData, "plan": plan, "destroy version": k.DestroyVersion(ctx, who, "log", 1), "many": many, "destroy one of many": m.Destroy(ctx, who, id),
			} {
				if kind := fault.KindOf(err); kind != fault.Denied && kind != fault.Unauthenticated {
					t.Errorf("%s by %s: %v", what, who, err)
				}
			}
		}
		_, err = k.List(ctx, actor.Actor{Subject: "p3", Capacity: actor.Person})
		want(t, "list", err, actor.ErrRole)
		if all, err := k.List(ctx, clerk); err != nil || labels(all) != "log/1 active, master/1 active" {
			t.Errorf("%s, %v", labels(all), err)
		}
	})
}

// A handle that moved to another key, a token that was exchanged: nothing is signed with it.
func TestAnotherKeyInPlaceOfOursIsRefused(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, k := t.Context(), r.node(t)
		v, err := k.Ensure(ctx, system, "bundle", keys.Bundle, keys.SM2)
		ok(t, "ensure", err)
		ok(t, "destroy behind our back", r.device.Destroy(ctx, v.Reference))
		_, err = k.Signer(ctx, "bundle")
		want(t, "signer of a key that is gone", err, hsm.ErrNotFound)
		_, err = k.Ensure(ctx, system, "bundle", keys.Bundle, keys.SM2)
		want(t, "ensure of a key that is gone", err, keys.ErrMoved)
		_, err = r.device.Generate(ctx, hsm.Spec{Label: v.Reference, Algorithm: hsm.SM2})
		ok(t, "exchange", err)
		_, err = k.Signer(ctx, "bundle")
		want(t, "signer of an exchanged key", err, keys.ErrMoved)
		_, err = r.node(t).Ensure(ctx, system, "bundle", keys.Bundle, keys.SM2)
		want(t, "ensure of an exchanged key", err, keys.ErrMoved)
	})
}

// Nodes that start at the same moment make one key, not several.
func TestNodesRace(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx := t.Context()
		nodes := make([]*keys.Keys, 6)
		for i := range nodes {
			nodes[i] = r.node(t)
		}
		race := func(f func(k *keys.Keys) error) {
			t.Helper()
			var wg sync.WaitGroup
			for _, k := range nodes {
				wg.Go(func() {
					if err := f(k); err != nil && !errors.Is(err, keys.ErrBusy) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		race(func(k *keys.Keys) error {
			_, err := k.Ensure(ctx, system, "tsa", keys.TSA, keys.SM2)
			return err
		})
		race(func(k *keys.Keys) error {
			_, err := k.EnsureData(ctx, system, keys.DataTokens)
			return err
		})
		race(func(k *keys.Keys) error {
			_, err := k.Rotate(ctx, chief, "tsa")
			return err
		})
		r.sound(t)
		first, err := nodes[0].Data(ctx, keys.DataTokens)
		ok(t, "data", err)
		if len(first.All) != 1 {
			t.Errorf("%d versions of a data key ensured by all", len(first.All))
		}
	})
}

// While one node waits for its device, another takes up what looks left behind. Both end with the same version, and the
// device holds no key that belongs to nothing.
func TestSlowMakerIsOvertaken(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, nothing := t.Context(), func() {}
		var taken keys.Version
		overtake := func(label string) func() {
			return func() {
				var err error
				taken, err = r.node(t).Ensure(ctx, system, label, keys.TSA, keys.SM2)
				ok(t, "overtake", err)
			}
		}
		for label, d := range map[string]slowDevice{
			"before": {r.device, overtake("before"), nothing}, // the other makes a key of its own
			"after":  {r.device, nothing, overtake("after")},  // the other adopts ours
		} {
			v, err := r.nodeWith(t, r.db.Keys(), d).Ensure(ctx, system, label, keys.TSA, keys.SM2)
			if err != nil || v.Reference != taken.Reference {
				t.Errorf("overtaken %s the key was made: %+v, %v; the other has %s", label, v, err, taken.Reference)
			}
			r.sound(t)
		}
	})
}

// A process is stopped at each door before and behind each write. The next start brings everything in order, and the
// same call then succeeds.
func TestStopsAtEveryDoor(t *testing.T) {
	steps := map[string]func(ctx context.Context, k *keys.Keys) error{
		"ensure": func(ctx context.Context, k *keys.Keys) error {
			_, err := k.Ensure(ctx, system, "ocsp", keys.OCSP, keys.SM2)
			return err
		},
		"rotate": func(ctx context.Context, k *keys.Keys) error {
			_, err := k.Rotate(ctx, chief, "log")
			return err
		},
		"destroy": func(ctx context.Context, k *keys.Keys) error {
			err := k.Destroy(ctx, chief, "old", 1)
			if errors.Is(err, keys.ErrUnknown) { // Resume has finished it
				return nil
			}
			return err
		},
		"many": func(ctx context.Context, k *keys.Keys) error {
			m, err := k.Many(system, keys.ManySeal, "master")
			if err == nil {
				_, _, err = m.Generate(ctx, "seal", ownerHalf)
			}
			return err
		},
	}
	each(t, func(t *testing.T, r rig) {
		ctx := t.Context()
		for _, label := range []string{"log", "old"} {
			_, err := r.node(t).Ensure(ctx, system, label, keys.Log, keys.SM2)
			ok(t, "ensure", err)
		}
		_, err := r.node(t).Rotate(ctx, chief, "old")
		ok(t, "rotate", err)
		r.clock.advance(2 * time.Minute)
		for name, step := range steps {
			doors := 0
			for at := 1; ; at++ {
				f := &fuse{at: at}
				err := step(ctx, r.nodeWith(t, crashStore{r.db.Keys(), f}, crashDevice{r.device, f}))
				if f.passed < at {
					ok(t, name, err)
					break
				}
				want(t, name, err, errCrash)
				doors++
				r.clock.advance(time.Hour)
				ok(t, "resume", r.node(t).Resume(ctx))
				r.sound(t)
				ok(t, name+" again", step(ctx, r.node(t)))
				r.sound(t)
				if t.Failed() {
					t.Fatalf("%s stopped at door %d", name, at)
				}
				if name == "destroy" || name == "ensure" {
					step = next(t, r, name, at)
				}
			}
			if doors < 2 {
				t.Errorf("%s has %d doors: the test says nothing", name, doors)
			}
		}
	})
}

// Asked again without Resume between, Ensure completes what was begun and leaves nothing behind on the device.
func TestEnsureTakesUpWhatWasBegun(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx := t.Context()
		for at := 1; at <= 6; at++ {
			label, f := fmt.Sprintf("tsa-%d", at), &fuse{at: at}
			_, err := r.nodeWith(t, crashStore{r.db.Keys(), f}, crashDevice{r.device, f}).Ensure(ctx, system, label, keys.TSA, keys.SM2)
			want(t, label, err, errCrash)
			_, err = r.node(t).Ensure(ctx, system, label, keys.TSA, keys.SM2)
			ok(t, label, err)
			r.sound(t)
		}
	})
}

// next gives a step that can be taken once only a new object.
func next(t *testing.T, r rig, name string, n int) func(context.Context, *keys.Keys) error {
	t.Helper()
	label := fmt.Sprintf("%s-%d", name, n)
	if name == "ensure" {
		return func(ctx context.Context, k *keys.Keys) error {
			_, err := k.Ensure(ctx, system, label, keys.OCSP, keys.SM2)
			return err
		}
	}
	_, err := r.node(t).Ensure(t.Context(), system, label, keys.Log, keys.SM2)
	ok(t, "ensure", err)
	_, err = r.node(t).Rotate(t.Context(), chief, label)
	ok(t, "rotate", err)
	r.clock.advance(2 * time.Minute)
	return func(ctx context.Context, k *keys.Keys) error {
		err := k.Destroy(ctx, chief, label, 1)
		if errors.Is(err, keys.ErrUnknown) {
			return nil
		}
		return err
	}
}

// The device keeps its keys over a restart of both.
func TestKeysOutliveTheDevicesSession(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		dir := filepath.Join(dir, t.Name())
		first, err := hsm.CreateSoft(dir, []byte(hsmtest.Passphrase), hsm.Options{KDF: hsmtest.QuickKDF})
		ok(t, "create", err)
		r := rig{device: first, db: db, clock: &clock{}}
		r.clock.advance(time.Hour)
		r.unlock(t)
		m, err := r.node(t).Many(system, keys.ManySeal, "master")
		ok(t, "many", err)
		id, pub, err := m.Generate(t.Context(), "seal 1", ownerHalf)
		ok(t, "generate", err)
		ok(t, "close", first.Close())
		_, err = m.Signer(t.Context(), id, clerk, byHalf)
		want(t, "signing with the device closed", err, hsm.ErrClosed)

		r.device, err = hsm.OpenSoft(dir, []byte(hsmtest.Passphrase), hsm.Options{KDF: hsmtest.QuickKDF})
		ok(t, "open", err)
		t.Cleanup(func() { r.device.Close() })
		m, err = r.node(t).Many(system, keys.ManySeal, "master")
		ok(t, "many", err)
		s, err := m.Signer(t.Context(), id, clerk, byHalf)
		ok(t, "signer", err)
		if _, err := gm.SignMessage(s, []byte("m")); err != nil || !equal(s.Public(), pub) {
			t.Errorf("after the restart: %v", err)
		}
	})
}
