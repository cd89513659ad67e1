package keys_test

import (
	"context"
	"crypto"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hufu/audit"
	"hufu/hsm"
	"hufu/hsm/hsmtest"
	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/keys"
	"hufu/store"
	"hufu/store/storetest"
)

var (
	_ keys.Device = hsm.Device(nil)

	system  = actor.ForSystem("test")
	chief   = actor.Actor{Subject: "p1", Capacity: actor.Official, Roles: []actor.Role{actor.RoleSuperAdmin}}
	goodPIN = []byte("Hufu-seal-2026")

	// Keys whose test is about something else are held by a half.
	ownerHalf = keys.Enrolment{Half: []byte("a half of thirty-two octets, fine")[:32]}
	byHalf    = keys.Consent{Half: ownerHalf.Half, Kind: "document"}

	clerk = actor.Actor{Subject: "p2", Capacity: actor.Official, Roles: []actor.Role{actor.RoleApprover, actor.RoleBusinessAdmin}}
)

// rig is a device and a database, with as many nodes on them as a test wants.
type rig struct {
	device *hsm.Soft
	db     *store.DB
	clock  *clock
}

type clock struct{ us atomic.Int64 }

func (c *clock) now() time.Time          { return time.UnixMicro(c.us.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.us.Add(d.Microseconds()) }

// each runs f on each engine, with the master key made and the database unlocked.
func each(t *testing.T, f func(t *testing.T, r rig)) {
	c := &clock{}
	c.us.Store(time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC).UnixMicro())
	storetest.EachWith(t, store.Options{Now: c.now}, func(t *testing.T, db *store.DB) {
		r := rig{device: hsmtest.Soft(t), db: db, clock: c}
		r.unlock(t)
		f(t, r)
	})
}

func (r rig) unlock(t *testing.T) {
	t.Helper()
	k := r.node(t)
	if _, err := k.Unlock(t.Context()); err != nil {
		t.Fatal(err)
	}
	ok(t, "follow", r.db.FollowFieldKeys(t.Context(), source(k)))
	if err := k.Resume(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// rotate rotates a key to its end, as the jobs of a node would.
func (r rig) rotate(t *testing.T, key string) keys.Progress {
	t.Helper()
	p, err := r.node(t).BeginRotation(t.Context(), chief, key)
	ok(t, "rotate "+key, err)
	return r.finish(t, p.ID)
}

// finish carries a rotation to its end.
func (r rig) finish(t *testing.T, id string) (p keys.Progress) {
	t.Helper()
	for range 100 {
		ok(t, "advance", r.node(t).Advance(t.Context(), id))
		ok(t, "read", r.db.Keys().View(t.Context(), func(q keys.R) (err error) {
			p, err = q.Rotation(id)
			return err
		}))
		if p.Phase == keys.PhaseDone {
			return p
		}
		if !p.NotBefore.After(r.clock.now()) {
			t.Fatalf("a rotation that does not go on: %+v", p)
		}
		r.clock.advance(p.NotBefore.Sub(r.clock.now()))
	}
	t.Fatalf("a rotation without end: %+v", p)
	return p
}

func (r rig) node(t *testing.T) *keys.Keys {
	t.Helper()
	return r.nodeWith(t, r.db.Keys(), r.device)
}

func (r rig) nodeWith(t *testing.T, s keys.Store, d keys.Device) *keys.Keys {
	t.Helper()
	k, err := keys.New(keys.Config{Store: s, Device: d, Now: r.clock.now, PIN: keys.PINCost{Memory: 64, Passes: 1, Lanes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// records counts audit entries about an object; "" counts all.
func (r rig) records(t *testing.T, action, object string) int {
	t.Helper()
	n := 0
	err := r.db.Audit().View(t.Context(), func(a audit.R) error {
		rows, err := a.Find(audit.Query{Action: action, Object: audit.Object{Kind: "key", ID: object}, Limit: 100})
		n = len(rows)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// sound checks what must hold after everything: at most one version of a label is active and none is half-made, the device
// holds exactly the versions that live, each of them once in the record, and the active ones work.
func (r rig) sound(t *testing.T) {
	t.Helper()
	ctx, k := t.Context(), r.node(t)
	all, err := k.Versions(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]bool{}
	infos, err := r.device.Keys(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range infos {
		held[i.Label] = true
	}
	active := map[string]int{}
	for _, v := range all {
		lives := v.State == keys.Active || v.State == keys.Retired || v.State == keys.Published
		if v.State == keys.Making || v.State == keys.Destroying {
			t.Errorf("key %s is still %s", v, v.State)
		}
		if lives != held[v.Reference] {
			t.Errorf("key %s is %s; on the device: %v", v, v.State, held[v.Reference])
		}
		delete(held, v.Reference)
		if n := r.records(t, "key.generate", v.String()); lives && n != 1 {
			t.Errorf("making of key %s stands %d times in the record", v, n)
		}
		if v.State == keys.Active {
			active[v.Label]++
			if v.Algorithm == keys.SM2 {
				sign(t, k, v.Label)
			}
		}
	}
	for label, n := range active {
		if n != 1 {
			t.Errorf("%d active versions of %s", n, label)
		}
	}
	for reference := range held {
		t.Errorf("the device holds %s, which belongs to nothing", reference)
	}
}

func sign(t *testing.T, k *keys.Keys, label string) {
	t.Helper()
	s, err := k.Signer(t.Context(), label)
	if err != nil {
		t.Errorf("signer of %s: %v", label, err)
		return
	}
	if _, err := gm.SignMessage(s, []byte("m")); err != nil {
		t.Errorf("sign with %s: %v", label, err)
	}
}

func want(t *testing.T, what string, err, sentinel error) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Errorf("%s: %v, want %v", what, err, sentinel)
	}
}

func ok(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// errCrash is what a process that stops looks like from inside the test.
var errCrash = errors.New("the process stopped here")

// fuse stops the process at the n-th door, and then for good; a door stands before and behind each write of store and
// device. With at = 0 it never stops.
type fuse struct{ at, passed int }

func (f *fuse) door() error {
	f.passed++
	if f.at > 0 && f.passed >= f.at {
		return errCrash
	}
	return nil
}

// crashStore and crashDevice have the doors.
type crashStore struct {
	keys.Store
	f *fuse
}

func (s crashStore) Update(ctx context.Context, f func(keys.W) error) error {
	if err := s.f.door(); err != nil {
		return err
	}
	if err := s.Store.Update(ctx, f); err != nil {
		return err
	}
	return s.f.door()
}

type crashDevice struct {
	keys.Device
	f *fuse
}

func (d crashDevice) Generate(ctx context.Context, s keys.DeviceSpec) (keys.DeviceInfo, error) {
	if err := d.f.door(); err != nil {
		return keys.DeviceInfo{}, err
	}
	i, err := d.Device.Generate(ctx, s)
	if err == nil {
		err = d.f.door()
	}
	return i, err
}

func (d crashDevice) Destroy(ctx context.Context, label string) error {
	if err := d.f.door(); err != nil {
		return err
	}
	if err := d.Device.Destroy(ctx, label); err != nil {
		return err
	}
	return d.f.door()
}

// slowDevice lets a test act before and after a key is made.
type slowDevice struct {
	keys.Device
	before, after func()
}

func (d slowDevice) Generate(ctx context.Context, s keys.DeviceSpec) (keys.DeviceInfo, error) {
	d.before()
	i, err := d.Device.Generate(ctx, s)
	d.after()
	return i, err
}

// tampered is a database whose wrapped rows an attacker edits.
type tampered struct {
	keys.Store
	data    func(*keys.DataVersion)
	wrapped func(*keys.Wrapped)
}

func (s tampered) View(ctx context.Context, f func(keys.R) error) error {
	return s.Store.View(ctx, func(r keys.R) error { return f(tamperedR{r, s}) })
}

type tamperedR struct {
	keys.R
	by tampered
}

func (r tamperedR) DataVersions(purpose string) ([]keys.DataVersion, error) {
	all, err := r.R.DataVersions(purpose)
	for i := range all {
		if r.by.data != nil {
			r.by.data(&all[i])
		}
	}
	return all, err
}

func (r tamperedR) Wrapped(id string) (keys.Wrapped, error) {
	w, err := r.R.Wrapped(id)
	if err == nil && r.by.wrapped != nil {
		r.by.wrapped(&w)
	}
	return w, err
}

func public(t *testing.T, v keys.Version) crypto.PublicKey {
	t.Helper()
	pub, err := v.PublicKey()
	ok(t, "public key of "+v.String(), err)
	return pub
}

func labels(all []keys.Version) string {
	var names []string
	for _, v := range all {
		names = append(names, v.String()+" "+string(v.State))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
