package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/hsm/hsmtest"
	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/keys"
	"hufu/store"
	"hufu/store/storetest"
)

var (
	rotating = actor.ForSystem("test")
	counter  = []identity.Evidence{{Method: identity.ByCounter, Source: "test"}}
)

// node is a process on a database: its own connections, its own opened keys.
type node struct {
	db     *store.DB
	device keys.Device
	keys   *keys.Keys
	people *identity.Service
	tries  login.Store
}

// cluster is several nodes on one database and one device.
func cluster(t *testing.T, n int, f func(t *testing.T, nodes []node)) {
	for engine, dsn := range storetest.DSNs(t) {
		t.Run(engine, func(t *testing.T) {
			ctx, device := t.Context(), hsmtest.Soft(t)
			var nodes []node
			for range n {
				db, err := store.Open(ctx, dsn, store.Options{})
				fail(t, err)
				t.Cleanup(func() { db.Close() })
				k, err := keys.New(keys.Config{Store: db.Keys(), Device: device})
				fail(t, err)
				_, err = k.Unlock(ctx)
				fail(t, err)
				fail(t, db.FollowFieldKeys(ctx, func(ctx context.Context) (store.FieldKeys, error) {
					opened, err := k.DatabaseKeys(ctx)
					return store.FieldKeysOf(opened), err
				}))
				people, err := identity.New(identity.Config{Store: db.Identity()})
				fail(t, err)
				nodes = append(nodes, node{db, device, k, people, db.Login()})
			}
			f(t, nodes)
		})
	}
}

func fail(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// number is a resident identity number of a made-up person.
func number(n int) identity.Identifier {
	digits := fmt.Sprintf("3301001990%02d%02d%03d", n/7000%12+1, n/1000%28+1, n%1000)
	sum := 0
	for i, w := range []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += w * int(digits[i]-'0')
	}
	return identity.Identifier{Type: identity.ResidentID, Number: identity.Number(digits + string("10X98765432"[sum%11]))}
}

func form(n int) identity.PersonForm {
	return identity.PersonForm{Name: fmt.Sprint("人", n), Identifiers: []identity.Identifier{number(n)}, Phone: fmt.Sprintf("138%08d", n), Evidence: counter}
}

// Two nodes register, find and change people without a pause while field and index keys are rotated, by jobs on either node.
// Everybody is found on both nodes at any moment, nobody is registered twice, and in the end all rows stand under the new keys
// alone.
func TestRotationUnderLoadOnTwoNodes(t *testing.T) {
	cluster(t, 2, func(t *testing.T, nodes []node) {
		ctx := t.Context()
		var mu sync.Mutex
		known := map[int]string{}
		for n := range 60 {
			s, err := nodes[n%2].people.RegisterPerson(ctx, rotating, form(n))
			fail(t, err)
			known[n] = s.ID
		}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		var next, twice atomic.Int64
		next.Store(60)
		for i := range 4 {
			wg.Go(func() {
				on, other := nodes[i%2].people, nodes[(i+1)%2].people
				for round := 0; ; round++ {
					select {
					case <-stop:
						return
					default:
					}
					mu.Lock()
					some := rand.IntN(len(known))
					id, there := known[some]
					mu.Unlock()
					if there {
						if s, err := on.ByNumber(ctx, rotating, number(some)); err != nil || s.ID != id {
							t.Errorf("person %d is not found: %v", some, err)
							return
						}
						if _, err := on.RegisterPerson(ctx, rotating, form(some)); err == nil {
							twice.Add(1)
						} else if !errors.Is(err, identity.ErrNumberTaken) {
							t.Errorf("person %d once more: %v", some, err)
							return
						}
					}
					if round%4 == 0 {
						n := int(next.Add(1)) - 1
						s, err := on.RegisterPerson(ctx, rotating, form(n))
						if err == nil {
							_, err = other.ByNumber(ctx, rotating, number(n))
						}
						if err != nil {
							t.Errorf("new person %d: %v", n, err)
							return
						}
						mu.Lock()
						known[n] = s.ID
						mu.Unlock()
					}
				}
			})
		}
		for i, key := range []string{"data:field", "data:index"} {
			time.Sleep(300 * time.Millisecond)
			rotateOn(t, nodes, i, key)
		}
		time.Sleep(300 * time.Millisecond)
		close(stop)
		wg.Wait()
		if twice.Load() > 0 {
			t.Errorf("%d persons were registered twice", twice.Load())
		}
		allUnder(t, nodes, known)
	})
}

// rotateOn rotates a key; its jobs run on each node in turn. Retries stand for the job table's.
func rotateOn(t *testing.T, nodes []node, first int, key string) {
	t.Helper()
	ctx := t.Context()
	p, err := nodes[first%len(nodes)].keys.BeginRotation(ctx, rotating, key)
	fail(t, err)
	for turn := first; p.Phase != keys.PhaseDone; turn++ {
		if err := nodes[turn%len(nodes)].keys.Advance(ctx, p.ID); err != nil {
			t.Log("tried again:", err)
		}
		fail(t, nodes[0].db.Keys().View(ctx, func(r keys.R) (err error) {
			p, err = r.Rotation(p.ID)
			return err
		}))
		time.Sleep(min(time.Until(p.NotBefore), 50*time.Millisecond))
		if turn > 200 {
			t.Fatalf("rotation of %s does not end: %+v", key, p)
		}
	}
}

// allUnder checks that the new keys alone open and find everybody.
func allUnder(t *testing.T, nodes []node, known map[int]string) {
	t.Helper()
	ctx := t.Context()
	opened, err := nodes[0].keys.DatabaseKeys(ctx)
	fail(t, err)
	for _, purpose := range []string{keys.DataField, keys.DataIndex} {
		k := opened[purpose]
		k.All = map[uint32][]byte{k.Current.Version: k.Current.Key}
		if k.Current.Version != 2 {
			t.Errorf("%s: version %d", purpose, k.Current.Version)
		}
		opened[purpose] = k
	}
	for _, n := range nodes {
		fail(t, n.db.FollowFieldKeys(ctx, func(context.Context) (store.FieldKeys, error) { return store.FieldKeysOf(opened), nil }))
		for number0, id := range known {
			s, err := n.people.ByNumber(ctx, rotating, number(number0))
			if err != nil || s.ID != id || s.Identifiers[0].Number != number(number0).Number || s.Phone == "" {
				t.Fatalf("person %d under the new keys alone: %v", number0, err)
			}
		}
	}
	fail(t, nodes[0].keys.DestroyVersion(ctx, rotating, "data:field", 1))
}

// Counters of tries stand under a blind index alone. They go on counting over a rotation.
func TestCountersOfTriesSurviveTheIndexKey(t *testing.T) {
	cluster(t, 1, func(t *testing.T, nodes []node) {
		ctx, n := t.Context(), nodes[0]
		count := func() (tries int) {
			fail(t, n.tries.Update(ctx, func(w login.W) (err error) {
				tries, _, err = w.CountTry("account liming", time.Now(), time.Now().Add(-time.Hour))
				return err
			}))
			return tries
		}
		fail(t, n.tries.Update(ctx, func(w login.W) error { return w.MeetPlace("liming from here", time.Now()) }))
		count()
		if got := count(); got != 2 {
			t.Fatalf("%d tries", got)
		}
		rotateOn(t, nodes, 0, "data:index")
		if got := count(); got != 3 {
			t.Errorf("after the rotation %d tries, want 3", got)
		}
		fail(t, n.tries.View(ctx, func(r login.R) error {
			known, err := r.Familiar("liming from here")
			if !known {
				t.Error("the place is not known any more")
			}
			return err
		}))
		err := n.keys.DestroyVersion(ctx, rotating, "data:index", 1)
		if !errors.Is(err, keys.ErrNeeded) {
			t.Errorf("the old index key goes while counters need it: %v", err)
		}
		if _, err := n.keys.BeginRotation(ctx, rotating, "data:index"); !errors.Is(err, keys.ErrOverlap) {
			t.Errorf("a third index key: %v", err)
		}
	})
}

// A transaction that began under the keys of before commits before these are replaced, or is run again under the new ones.
func TestKeysChangeBetweenTransactionsOnly(t *testing.T) {
	cluster(t, 2, func(t *testing.T, nodes []node) {
		ctx := t.Context()
		inside, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		var once sync.Once
		go func() {
			done <- nodes[0].db.Identity().Update(ctx, func(w identity.W) error {
				if _, err := w.SubjectByNumber(number(1)); !errors.Is(err, identity.ErrUnknown) {
					return err
				}
				once.Do(func() { close(inside); <-goOn })
				return nil
			})
		}()
		<-inside
		turned := make(chan error, 1)
		go func() {
			turned <- nodes[1].db.Keys().Update(ctx, func(w keys.W) error { return w.NextTurn() })
		}()
		select {
		case err := <-turned:
			if err == nil {
				t.Error("the keys changed under a transaction that uses them")
			}
		case <-time.After(300 * time.Millisecond):
		}
		close(goOn)
		fail(t, <-done)
	})
}

// stops lets so many changes through, as a process does that is killed then.
type stops struct {
	keys.Store
	left *int
}

var errStopped = errors.New("the process stopped here")

func (s stops) Update(ctx context.Context, f func(keys.W) error) error {
	if *s.left--; *s.left < 0 {
		return errStopped
	}
	return s.Store.Update(ctx, f)
}

// A rotation of the index key stopped at each step: rows of before and rows of now are found, and none is taken twice.
func TestOverlapOfIndexKeysFindsAndRefusesBoth(t *testing.T) {
	cluster(t, 2, func(t *testing.T, nodes []node) {
		ctx := t.Context()
		ids := map[int]string{}
		check := func(when string) {
			t.Helper()
			for i, n := range nodes {
				fresh := len(ids)
				s, err := n.people.RegisterPerson(ctx, rotating, form(fresh))
				fail(t, err)
				ids[fresh] = s.ID
				for _, who := range []int{0, fresh / 2, fresh} {
					id := ids[who]
					for j, other := range nodes {
						if s, err := other.people.ByNumber(ctx, rotating, number(who)); err != nil || s.ID != id {
							t.Fatalf("%s, node %d: person %d, new on node %d, is not found: %v", when, j, who, i, err)
						}
						found, err := other.people.Search(ctx, rotating, identity.Query{Text: fmt.Sprintf("138%08d", who)})
						if err != nil || len(found.Subjects) != 1 {
							t.Fatalf("%s, node %d: phone of person %d: %d found, %v", when, j, who, len(found.Subjects), err)
						}
						if _, err := other.people.RegisterPerson(ctx, rotating, form(who)); !errors.Is(err, identity.ErrNumberTaken) {
							t.Fatalf("%s, node %d: person %d once more: %v", when, j, who, err)
						}
					}
				}
			}
		}
		check("before")
		left := 2 // the intent, and the version that is known
		stopping, err := keys.New(keys.Config{Store: stops{nodes[0].db.Keys(), &left}, Device: nodes[0].device})
		fail(t, err)
		p, err := stopping.BeginRotation(ctx, rotating, "data:index")
		fail(t, err)
		for step := 0; ; step++ {
			check(fmt.Sprintf("after step %d", step))
			left = 1
			err := stopping.Advance(ctx, p.ID)
			if err == nil {
				break
			}
			if !errors.Is(err, errStopped) {
				fail(t, err)
			}
		}
		check("after all")
		known := ids
		opened, err := nodes[0].keys.DatabaseKeys(ctx)
		fail(t, err)
		if opened[keys.DataIndex].Current.Version != 2 {
			t.Fatalf("version %d", opened[keys.DataIndex].Current.Version)
		}
		only := opened[keys.DataIndex]
		only.All = map[uint32][]byte{2: only.Current.Key}
		opened[keys.DataIndex] = only
		fail(t, nodes[1].db.FollowFieldKeys(ctx, func(context.Context) (store.FieldKeys, error) { return store.FieldKeysOf(opened), nil }))
		for who, id := range known {
			if s, err := nodes[1].people.ByNumber(ctx, rotating, number(who)); err != nil || s.ID != id {
				t.Errorf("person %d under the new key alone: %v", who, err)
			}
		}
	})
}
