package keys_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"hufu/audit"
	"hufu/audit/tree"
	"hufu/identity"
	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/keys"
	"hufu/store"
)

// progress reads a rotation.
func (r rig) progress(t *testing.T, id string) (p keys.Progress) {
	t.Helper()
	ok(t, "read rotation", r.db.Keys().View(t.Context(), func(q keys.R) (err error) {
		p, err = q.Rotation(id)
		return err
	}))
	return p
}

func (r rig) under(t *testing.T, label string, number uint32) (under bool) {
	t.Helper()
	ok(t, "under", r.db.Keys().View(t.Context(), func(q keys.R) (err error) {
		under, err = q.Under(label, number)
		return err
	}))
	return under
}

// fill puts some of each sort of rows under a master key, and returns the keys' ids.
func (r rig) fill(t *testing.T, label string) (ids []string) {
	t.Helper()
	ctx, k := t.Context(), r.node(t)
	ok(t, "master", k.EnsureMaster(ctx, system, label))
	m, err := k.Many(system, keys.ManySeal, label)
	ok(t, "many", err)
	for _, owner := range []keys.Enrolment{ownerHalf, {PIN: []byte("Tiger-tally-7")}} {
		id, _, err := m.Generate(ctx, "seal", owner)
		ok(t, "generate", err)
		ids = append(ids, id)
	}
	_, err = m.Stand(ctx, chief, ids[1], keys.Consent{PIN: []byte("Tiger-tally-7"), Kind: "document"},
		keys.Bounds{Kinds: []string{"document"}, Count: 1000, Until: r.clock.now().Add(24 * time.Hour)})
	ok(t, "stand", err)
	return ids
}

// works signs with each way of opening a key, on a node that has just started.
func (r rig) works(t *testing.T, ids []string) {
	t.Helper()
	m, err := r.node(t).Many(system, keys.ManySeal, "seal-master")
	ok(t, "many", err)
	for i, c := range []keys.Consent{byHalf, {PIN: []byte("Tiger-tally-7"), Kind: "document"}, {Kind: "document"}} {
		s, err := m.Signer(t.Context(), ids[min(i, 1)], chief, c)
		if err == nil {
			_, err = gm.SignMessage(s, []byte("m"))
		}
		if err != nil {
			t.Errorf("consent %d: %v", i, err)
		}
	}
}

// A master key is rotated under seals at work: all that stood under it stands under the new one, signs as before, and then
// the old one goes.
func TestMasterIsRotatedAndEverythingFollows(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, k := t.Context(), r.node(t)
		ids := r.fill(t, "seal-master")
		plan, err := k.Plan(ctx, chief, "seal-master")
		if err != nil || plan.Way != keys.Rewrapped || plan.Total != 4 { // two keys, one PIN, one standing activation
			t.Errorf("plan: %+v, %v", plan, err)
		}
		if all, err := k.Versions(ctx, "seal-master"); err != nil || len(all) != 1 {
			t.Errorf("a plan made something: %v, %v", labels(all), err)
		}
		p, err := k.BeginRotation(ctx, chief, "seal-master")
		ok(t, "begin", err)
		_, err = k.BeginRotation(ctx, chief, "seal-master")
		want(t, "a second rotation meanwhile", err, keys.ErrRotating)
		want(t, "destruction meanwhile", k.DestroyVersion(ctx, chief, "seal-master", 1), keys.ErrRotating)
		r.works(t, ids)
		if p = r.finish(t, p.ID); p.Held != 0 || p.Done != 4 || r.under(t, "seal-master", 1) {
			t.Errorf("after the rotation: %+v, under the old one: %v", p, r.under(t, "seal-master", 1))
		}
		r.works(t, ids)
		r.clock.advance(2 * time.Minute)
		ok(t, "destroy the old one", k.DestroyVersion(ctx, system, "seal-master", 1))
		r.works(t, ids)
		r.sound(t)
		if a, b := r.records(t, "key.rotate", "seal-master"), r.records(t, "key.rotated", "seal-master"); a != 1 || b != 1 {
			t.Errorf("begin recorded %d times, end %d times", a, b)
		}
		p = r.rotate(t, "master")
		if p.Done < 4 || r.under(t, "master", 1) {
			t.Errorf("data keys: %+v", p)
		}
		_, err = r.node(t).DatabaseKeys(ctx)
		ok(t, "data keys under the new master", err)
		r.sound(t)
	})
}

// A row that cannot be opened keeps the old version alive and does not keep the others from being brought over.
func TestDamagedRowHoldsTheOldMaster(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, k := t.Context(), r.node(t)
		ids := r.fill(t, "seal-master")
		ok(t, "damage", r.db.Keys().Update(ctx, func(w keys.W) error {
			before, err := w.Wrapped(ids[0])
			if err != nil {
				return err
			}
			after := before
			after.Wrapped = bytes.Clone(before.Wrapped)
			after.Wrapped[len(after.Wrapped)-1] ^= 1
			_, err = w.ReplaceWrapped(before, after)
			return err
		}))
		p, err := k.BeginRotation(ctx, chief, "seal-master")
		ok(t, "begin", err)
		for range 3 {
			ok(t, "advance", r.node(t).Advance(ctx, p.ID))
			r.clock.advance(61 * time.Second)
		}
		p = r.progress(t, p.ID)
		if p.Phase != keys.PhaseWaiting || p.Held != 1 || p.Done != 3 {
			t.Errorf("with a damaged row: %+v", p)
		}
		want(t, "destroy", k.Destroy(ctx, chief, "seal-master", 1), keys.ErrInUse)
		m, err := k.Many(system, keys.ManySeal, "seal-master")
		ok(t, "many", err)
		ok(t, "the damaged key ends", m.Destroy(ctx, chief, ids[0]))
		r.clock.advance(time.Hour)
		if p = r.finish(t, p.ID); p.Held != 0 {
			t.Errorf("%+v", p)
		}
	})
}

// A process is stopped at each door before and behind each write of each sort of rotation. The next node takes it to its end.
func TestRotationStopsAtEveryDoor(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx := t.Context()
		ids := r.fill(t, "seal-master")
		for label, c := range map[string][2]string{"token": {keys.TokenES256, keys.P256}} {
			_, err := r.node(t).Ensure(ctx, system, label, c[0], c[1])
			ok(t, label, err)
		}
		_, err := r.node(t).EnsureData(ctx, system, keys.DataTokens)
		ok(t, "tokens", err)
		for _, key := range []string{"seal-master", "token", "data:tokens", "data:field"} {
			doors := 0
			for at := 1; ; at++ {
				f := &fuse{at: at}
				id, done := r.rotateWith(t, key, r.nodeWith(t, crashStore{r.db.Keys(), f}, crashDevice{r.device, f}))
				if id != "" && !done {
					ok(t, "resume", r.node(t).Resume(ctx))
					r.finish(t, id)
				}
				r.sound(t)
				r.clock.advance(2 * time.Minute)
				r.clear(t, key)
				if t.Failed() {
					t.Fatalf("%s stopped at door %d", key, at)
				}
				if done {
					break
				}
				doors++
			}
			if doors < 4 {
				t.Errorf("%s has %d doors: the test says nothing", key, doors)
			}
		}
		r.works(t, ids)
		_, err = r.node(t).DatabaseKeys(ctx)
		ok(t, "data keys", err)
	})
}

// rotateWith rotates a key on a node that may stop; id is empty when nothing was begun.
func (r rig) rotateWith(t *testing.T, key string, k *keys.Keys) (id string, done bool) {
	t.Helper()
	ctx := t.Context()
	p, err := k.BeginRotation(ctx, chief, key)
	for err == nil && p.Phase != keys.PhaseDone {
		if err = k.Advance(ctx, p.ID); err == nil {
			p = r.progress(t, p.ID)
			r.clock.advance(max(p.NotBefore.Sub(r.clock.now()), 0))
		}
	}
	if err == nil {
		return p.ID, true
	}
	want(t, key, err, errCrash)
	ok(t, "look", r.db.Keys().View(ctx, func(q keys.R) error {
		last, err := q.LastRotation(key)
		if err == nil && last.Phase != keys.PhaseDone {
			id = last.ID
		}
		if errors.Is(err, keys.ErrUnknown) {
			err = nil
		}
		return err
	}))
	return id, false
}

// clear destroys the old versions of a key, so that the next rotation may begin.
func (r rig) clear(t *testing.T, key string) {
	t.Helper()
	ctx, k := t.Context(), r.node(t)
	purpose := key[min(len(key), len(keys.DataPrefix)):]
	all, err := k.ListData(ctx, system)
	ok(t, "list", err)
	for _, d := range all {
		if keys.DataPrefix+purpose == key && d.Purpose == purpose && d.State == keys.Retired {
			ok(t, "destroy "+key, k.DestroyVersion(ctx, system, key, d.Number))
		}
	}
	versions, err := k.Versions(ctx, key)
	ok(t, "versions", err)
	for _, v := range versions {
		if v.State == keys.Retired {
			ok(t, "destroy "+v.String(), k.DestroyVersion(ctx, system, key, v.Number))
		}
	}
}

// A token key is known before it signs, and for as long as relying parties may keep the key set.
func TestTokenKeyIsPublishedBeforeItSigns(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, k := t.Context(), r.node(t)
		v1, err := k.Ensure(ctx, system, "token-es256", keys.TokenES256, keys.P256)
		ok(t, "ensure", err)
		p, err := k.BeginRotation(ctx, chief, "token-es256")
		ok(t, "begin", err)
		for minute := range 6 {
			ok(t, "advance", k.Advance(ctx, p.ID))
			all, err := k.Versions(ctx, "token-es256")
			if got := labels(all); err != nil || got != "token-es256/1 active, token-es256/2 published" {
				t.Fatalf("minute %d: %s, %v", minute, got, err)
			}
			s, err := r.node(t).Signer(ctx, "token-es256")
			if err != nil || !equal(s.Public(), public(t, v1)) {
				t.Fatalf("minute %d: the new key signs already, or nothing does: %v", minute, err)
			}
			r.clock.advance(time.Minute)
		}
		ok(t, "advance", k.Advance(ctx, p.ID))
		p = r.progress(t, p.ID)
		all, err := k.Versions(ctx, "token-es256")
		if got := labels(all); err != nil || got != "token-es256/1 retired, token-es256/2 active" || p.Phase != keys.PhaseFading {
			t.Errorf("%s, %s, %v", got, p.Phase, err)
		}
		want(t, "destroy while it fades", k.DestroyVersion(ctx, chief, "token-es256", 1), keys.ErrRotating)
		r.finish(t, p.ID)
		ok(t, "destroy", k.DestroyVersion(ctx, chief, "token-es256", 1))
		r.sound(t)
	})
}

// What cannot be rotated says why.
func TestWhatIsNotRotatedSaysWhy(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, k := t.Context(), r.node(t)
		for label, purpose := range map[string]string{"ca-root": keys.CARoot, "ca-issuing": keys.CAIssuing, "log": keys.Log, "bundle": keys.Bundle} {
			_, err := k.Ensure(ctx, system, label, purpose, keys.SM2)
			ok(t, label, err)
			_, why := keys.WayOf(purpose)
			_, err = k.BeginRotation(ctx, chief, label)
			if why == nil || !errors.Is(err, why) {
				t.Errorf("%s: %v, want %v", label, err, why)
			}
		}
		_, err := k.EnsureData(ctx, system, keys.DataPseudo)
		ok(t, "pseudo", err)
		for _, key := range []string{"nothing", "data:nothing", "data:", "data:pages", ""} {
			_, err := k.BeginRotation(ctx, chief, key)
			want(t, key, err, keys.ErrUnknown)
		}
		_, err = k.BeginRotation(ctx, chief, "data:pseudo")
		if _, why := keys.WayOf("data:pseudo"); why == nil || !errors.Is(err, why) {
			t.Errorf("pseudonyms: %v", err)
		}
	})
}

// Where there are two super administrators, one alone destroys nothing, however often he asks.
func TestTwoDestroyTogether(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, k := t.Context(), r.node(t)
		people, err := identity.New(identity.Config{Store: r.db.Identity(), Now: r.clock.now})
		ok(t, "identity", err)
		bureau, err := people.RegisterEntity(ctx, system, identity.EntityForm{
			Name: "示例局", USCC: "11330100000000019E", Evidence: []identity.Evidence{{Method: identity.ByCounter, Source: "test"}},
		})
		ok(t, "bureau", err)
		admin := func(name, number string) actor.Actor {
			s, err := people.RegisterPerson(ctx, system, identity.PersonForm{
				Name: name, Identifiers: []identity.Identifier{{Type: identity.ResidentID, Number: identity.Number(number)}},
				Evidence: []identity.Evidence{{Method: identity.ByCounter, Source: "test"}},
			})
			ok(t, name, err)
			_, err = people.Appoint(ctx, system, identity.Appointment{Person: s.ID, Organisation: bureau.ID, Title: "管理员", Roles: []actor.Role{actor.RoleSuperAdmin}})
			ok(t, name, err)
			return actor.Actor{Subject: s.ID, Capacity: actor.Official, Roles: []actor.Role{actor.RoleSuperAdmin}}
		}
		retired := func(label string) {
			_, err := k.Ensure(ctx, system, label, keys.QR, keys.SM2)
			ok(t, label, err)
			r.rotate(t, label)
			r.clock.advance(2 * time.Minute)
		}
		retired("one")
		first := admin("甲", "330100198307140066")
		ok(t, "the only one", k.DestroyVersion(ctx, first, "one", 1))

		retired("two")
		second := admin("乙", "33010019870905008X")
		for range 3 {
			want(t, "one alone", k.DestroyVersion(ctx, first, "two", 1), keys.ErrSecond)
		}
		as := first
		as.Capacity, as.Client = actor.Person, "another application"
		want(t, "the same person in another capacity", k.DestroyVersion(ctx, as, "two", 1), keys.ErrSecond)
		r.clock.advance(61 * time.Minute)
		want(t, "too late", k.DestroyVersion(ctx, second, "two", 1), keys.ErrSecond)
		ok(t, "the other one in time", k.DestroyVersion(ctx, first, "two", 1))
		r.sound(t)
	})
}

// Two nodes work on one rotation at once: nothing is done twice and nothing is left out.
func TestTwoNodesRotateTogether(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx := t.Context()
		ids := r.fill(t, "seal-master")
		p, err := r.node(t).BeginRotation(ctx, chief, "seal-master")
		ok(t, "begin", err)
		errs := make(chan error, 4)
		for range cap(errs) {
			k := r.node(t)
			go func() { errs <- k.Advance(ctx, p.ID) }()
		}
		for range cap(errs) {
			ok(t, "advance", <-errs)
		}
		if p = r.finish(t, p.ID); p.Done != 4 {
			t.Errorf("%+v", p)
		}
		r.works(t, ids)
	})
}

// The rows of the record keep their tags, and show a change made behind the program's back before and after.
func TestRecordStaysIntactWhenItsKeysRotate(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx := t.Context()
		v, err := r.node(t).Ensure(ctx, chief, "qr", keys.QR, keys.SM2)
		ok(t, "ensure", err)
		key, err := tree.NewKey("localhost/log", tree.Log, public(t, v))
		ok(t, "key of the log", err)
		state := func() map[string]bool {
			log, err := audit.New(audit.Config{Store: r.db.Audit(), Key: key, Now: r.clock.now})
			ok(t, "log", err)
			page, err := log.Search(ctx, actor.Actor{Subject: "a", Capacity: actor.Official, Roles: []actor.Role{actor.RoleAuditAdmin}}, audit.Query{Limit: 100, Personal: true})
			ok(t, "search", err)
			intact := map[string]bool{}
			for _, e := range page.Entries {
				intact[e.ID] = e.Intact
			}
			return intact
		}
		before := state()
		r.rotate(t, "data:rows")
		r.rotate(t, "data:subjects")
		r.clear(t, "data:rows")
		r.clear(t, "data:subjects")
		after := state()
		for id, intact := range before {
			if after[id] != intact {
				t.Errorf("entry %s: intact %v before, %v after", id, intact, after[id])
			}
		}
		if !slices.Contains(slices.Collect(maps.Values(after)), true) {
			t.Error("no entry is intact")
		}
		opened, err := r.node(t).DatabaseKeys(ctx)
		if err != nil || len(opened[keys.DataRows].All) != 1 || len(opened[keys.DataSubjects].All) != 1 {
			t.Errorf("the old keys are still opened: %v", err)
		}
	})
}

// source opens the data keys of a database for a node.
func source(k *keys.Keys) func(context.Context) (store.FieldKeys, error) {
	return func(ctx context.Context) (store.FieldKeys, error) {
		opened, err := k.DatabaseKeys(ctx)
		if err != nil {
			err = fmt.Errorf("source: %w", err)
		}
		return store.FieldKeysOf(opened), err
	}
}

// A master key changes its algorithm when it is rotated, and not before.
func TestMasterChangesItsAlgorithmByRotation(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx := t.Context()
		ids := r.fill(t, "seal-master")
		k, err := keys.New(keys.Config{Store: r.db.Keys(), Device: r.device, Now: r.clock.now, MasterAlgorithm: keys.AES256})
		ok(t, "new", err)
		ok(t, "ensure", k.EnsureMaster(ctx, system, "seal-master"))
		_, err = k.Unlock(ctx)
		ok(t, "unlock", err)
		p, err := k.BeginRotation(ctx, chief, "seal-master")
		ok(t, "begin", err)
		r.finish(t, p.ID)
		all, err := k.Versions(ctx, "seal-master")
		if err != nil || len(all) != 2 || all[0].Algorithm != keys.SM4 || all[1].Algorithm != keys.AES256 || r.under(t, "seal-master", 1) {
			t.Errorf("%+v, %v", all, err)
		}
		r.works(t, ids)
		_, err = keys.New(keys.Config{Store: r.db.Keys(), Device: r.device, MasterAlgorithm: keys.SM2})
		want(t, "a master key that signs", err, keys.ErrPurpose)
	})
}

// Keys that only the device opens stay under the master of their making. They keep it alive, and do not keep the next rotation
// from beginning.
func TestARotationThatWaitsForOwnersIsFollowedByTheNext(t *testing.T) {
	each(t, func(t *testing.T, r rig) {
		ctx, device := t.Context(), &insideDevice{Soft: r.device}
		node := func() *keys.Keys { return r.nodeWith(t, r.db.Keys(), device) }
		ok(t, "master", node().EnsureMaster(ctx, system, "seal-master"))
		many, err := node().Many(system, keys.ManySeal, "seal-master")
		ok(t, "many", err)
		id, _, err := many.Generate(ctx, "seal", ownerHalf)
		ok(t, "generate", err)
		signs := func() {
			t.Helper()
			many, err := node().Many(system, keys.ManySeal, "seal-master")
			ok(t, "many", err)
			s, err := many.Signer(ctx, id, chief, byHalf)
			ok(t, "signer", err)
			_, err = gm.SignMessage(s, []byte("m"))
			ok(t, "sign", err)
		}
		for n := uint32(2); n <= 3; n++ {
			_, err := node().Plan(ctx, chief, "seal-master")
			ok(t, "plan", err)
			p, err := node().BeginRotation(ctx, chief, "seal-master")
			ok(t, "begin", err)
			_, err = node().BeginRotation(ctx, chief, "seal-master")
			want(t, "another one at once", err, keys.ErrRotating)
			for range 20 { // until it waits for the owner
				if p.Held > 0 {
					break
				}
				r.clock.advance(max(p.NotBefore.Sub(r.clock.now()), time.Second))
				ok(t, "advance", node().Advance(ctx, p.ID))
				p = r.progress(t, p.ID)
			}
			if p.Phase != keys.PhaseWaiting || p.Held != 1 || p.To != n {
				t.Fatalf("rotation to %d: %+v", n, p)
			}
			signs()
		}
		r.clock.advance(time.Hour)
		want(t, "destroying what the key stands under", node().DestroyVersion(ctx, system, "seal-master", 1), keys.ErrInUse)
		ok(t, "destroying what nothing stands under", node().DestroyVersion(ctx, system, "seal-master", 2))
		signs()
		if begun, ended := r.records(t, "key.rotate", "seal-master"), r.records(t, "key.rotated", "seal-master"); begun != 2 || ended != 1 {
			t.Errorf("%d begun, %d ended", begun, ended)
		}
	})
}
