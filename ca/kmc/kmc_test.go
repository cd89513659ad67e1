package kmc_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/ca/kmc"
	"hufu/ca/kmc/kmctest"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/store"
	"hufu/store/storetest"
)

var (
	system = actor.ForSystem("test")
	start  = time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)
)

// rig is a centre on a real database that serves two authorities.
type rig struct {
	t      *testing.T
	db     *store.DB
	dsn    string
	store  *faultyStore
	master *gatedMaster
	centre *kmc.Centre
	now    time.Time
	pool   int
}

// each runs f on every engine.
func each(t *testing.T, pool int, f func(t *testing.T, r *rig)) {
	t.Helper()
	for engine, dsn := range storetest.DSNs(t) {
		t.Run(engine, func(t *testing.T) {
			db, err := store.Open(t.Context(), dsn, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			if err := db.UseFieldKeys(storetest.Keys()); err != nil {
				t.Fatal(err)
			}
			r := &rig{t: t, db: db, dsn: dsn, store: &faultyStore{Store: db.KMC()}, master: &gatedMaster{Master: kmctest.NewMaster()}, now: start, pool: pool}
			r.restart()
			f(t, r)
		})
	}
}

// restart makes a new centre on the same database, as a new process does.
func (r *rig) restart() {
	r.t.Helper()
	var err error
	r.centre, err = kmc.New(kmc.Config{Store: r.store, Master: r.master, Pool: r.pool, Now: func() time.Time { return r.now }})
	if err != nil {
		r.t.Fatal(err)
	}
	r.ok(r.centre.Serve(r.t.Context(), system, []kmc.Client{{Name: "east"}, {Name: "west"}}))
}

func (r *rig) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) refused(err, want error, what string) {
	r.t.Helper()
	if !errors.Is(err, want) {
		r.t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func (r *rig) sql(query string, args ...any) {
	r.t.Helper()
	driver, dsn := "pgx", r.dsn
	if path, ok := strings.CutPrefix(r.dsn, "sqlite:"); ok {
		driver, dsn = "sqlite", "file:"+path+"?_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, dsn)
	r.ok(err)
	defer db.Close()
	_, err = db.Exec(query, args...)
	r.ok(err)
}

// faultyStore fails the n-th update from now: before it begins, or after it has committed as a lost answer does.
type faultyStore struct {
	kmc.Store
	mu     sync.Mutex
	left   int
	before bool
}

var errCrash = errors.New("crash")

func (s *faultyStore) failAt(n int, before bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left, s.before = n, before
}

func (s *faultyStore) Update(ctx context.Context, f func(kmc.W) error) error {
	s.mu.Lock()
	s.left--
	now, before := s.left == 0, s.before
	s.mu.Unlock()
	if now && before {
		return errCrash
	}
	if err := s.Store.Update(ctx, f); err != nil {
		return err
	}
	if now {
		return errCrash
	}
	return nil
}

// gatedMaster fails when it is told to, and counts.
type gatedMaster struct {
	kmc.Master
	mu      sync.Mutex
	fail    string // "wrap" or "unwrap"
	unwraps int
}

func (m *gatedMaster) on(what string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if what == "unwrap" {
		m.unwraps++
	}
	if m.fail == what {
		return errCrash
	}
	return nil
}

func (m *gatedMaster) Wrap(ctx context.Context, data, aad []byte) ([]byte, error) {
	if err := m.on("wrap"); err != nil {
		return nil, err
	}
	return m.Master.Wrap(ctx, data, aad)
}

func (m *gatedMaster) Unwrap(ctx context.Context, wrapped, aad []byte) ([]byte, error) {
	if err := m.on("unwrap"); err != nil {
		return nil, err
	}
	return m.Master.Unwrap(ctx, wrapped, aad)
}

func newKey(t testing.TB) (*gm.PrivateKey, *ecdsa.PublicKey) {
	t.Helper()
	k, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k, k.Public().(*ecdsa.PublicKey)
}

func order(request string, signing *ecdsa.PublicKey) kmc.Order {
	return kmc.Order{Request: request, Signing: signing, Authority: "issuing", Profile: "person-enc", Subject: "p1"}
}

func TestOnlyTheHolderOpensTheKeyAndAskingAgainGivesTheSame(t *testing.T) {
	each(t, 2, func(t *testing.T, r *rig) {
		_, err := r.centre.Fill(t.Context())
		r.ok(err)
		for i := range 4 { // two from the pool, two made at once
			request := fmt.Sprint("r", i)
			holder, pub := newKey(t)
			desk := r.centre.Desk("east")
			got, err := desk.Provide(t.Context(), system, order(request, pub))
			r.ok(err)
			opened, err := certs.OpenEnvelopedKey(got.Envelope, holder)
			if err != nil || !certs.SameKey(opened.Public(), got.Public) {
				t.Fatalf("the holder cannot open the key: %v", err)
			}
			thief, other := newKey(t)
			if _, err := certs.OpenEnvelopedKey(got.Envelope, thief); err == nil {
				t.Error("another key opened the envelope")
			}
			again, err := desk.Provide(t.Context(), system, order(request, pub))
			if err != nil || !bytes.Equal(again.Envelope, got.Envelope) || !again.Public.Equal(got.Public) {
				t.Errorf("asked again: another key or an error: %v", err)
			}
			_, err = desk.Provide(t.Context(), system, order(request, other))
			r.refused(err, kmc.ErrOtherHolder, "another signing key")
			_, err = desk.Provide(t.Context(), actor.Actor{}, order("x"+request, pub))
			r.refused(err, actor.ErrUnknown, "nobody")
			mine, err := r.centre.Desk("west").Provide(t.Context(), system, order(request, pub))
			if err != nil || mine.Public.Equal(got.Public) {
				t.Errorf("two authorities got one key for one number: %v", err)
			}
		}
	})
}

func TestClientsOfCFCAGetTheKeyUnderTheTemporaryOne(t *testing.T) {
	each(t, 1, func(t *testing.T, r *rig) {
		_, signing := newKey(t)
		temporary, pub := newKey(t)
		o := order("r", signing)
		o.Temporary = pub
		got, err := r.centre.Desk("east").Provide(t.Context(), system, o)
		r.ok(err)
		opened, err := certs.OpenCFCAKey(got.Envelope, temporary)
		if err != nil || !certs.SameKey(opened.Public(), got.Public) {
			t.Errorf("the temporary key does not open it: %v", err)
		}
		_, err = r.centre.Desk("east").Provide(t.Context(), system, order("r", signing))
		r.refused(err, kmc.ErrOtherHolder, "the same request in the other form")
	})
}

// Many at once, on two processes, from a pool that is too small: no key is handed out twice.
func TestNoPairIsHandedOutTwice(t *testing.T) {
	each(t, 16, func(t *testing.T, r *rig) {
		first := r.centre
		r.restart()
		centres := []*kmc.Centre{first, r.centre}
		for _, c := range centres {
			_, err := c.Fill(t.Context())
			r.ok(err)
		}
		_, pub := newKey(t)
		var mu sync.Mutex
		owners := map[string]string{} // public key → request
		byRequest := map[string]string{}
		var wg sync.WaitGroup
		for i := range 24 {
			for n, c := range centres {
				wg.Go(func() {
					request := fmt.Sprint("r", i)
					if n == 1 && i%2 == 0 {
						request = "other-" + request // else both ask for the same request
					}
					got, err := c.Desk("east").Provide(t.Context(), system, order(request, pub))
					if err != nil {
						t.Errorf("%s: %v", request, err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					key := string(gm.Point(got.Public))
					if was, ok := owners[key]; ok && was != request {
						t.Errorf("one key for %s and %s", was, request)
					}
					if was, ok := byRequest[request]; ok && was != string(got.Envelope) {
						t.Errorf("two envelopes for %s", request)
					}
					owners[key], byRequest[request] = request, string(got.Envelope)
				})
			}
		}
		wg.Wait()
	})
}

// What stands in the database after a crash at any step is either nobody's or wholly the request's.
func TestCrashesOfAHandOut(t *testing.T) {
	crashes := map[string]func(r *rig){
		"before the pair is opened":    func(r *rig) { r.master.fail = "unwrap" },
		"between opening and escrow":   func(r *rig) { r.master.fail = "wrap" },
		"between escrow and storing":   func(r *rig) { r.store.failAt(1, true) },
		"between storing and answer":   func(r *rig) { r.store.failAt(1, false) },
		"no pool: before it is stored": func(r *rig) { r.pool = 0; r.restart(); r.store.failAt(1, true) },
		"no pool: before the answer":   func(r *rig) { r.pool = 0; r.restart(); r.store.failAt(1, false) },
		"no pool: before the escrow":   func(r *rig) { r.pool = 0; r.restart(); r.master.fail = "wrap" },
	}
	each(t, 1, func(t *testing.T, r *rig) {
		for name, crash := range crashes {
			r.pool = 1
			r.restart()
			_, err := r.centre.Fill(t.Context())
			r.ok(err)
			holder, pub := newKey(t)
			crash(r)
			if _, err := r.centre.Desk("east").Provide(t.Context(), system, order(name, pub)); err == nil {
				t.Fatalf("%s: no crash", name)
			}
			r.master.fail = ""
			var left kmc.Pair
			stored := r.db.KMC().View(t.Context(), func(s kmc.R) (err error) { left, err = s.PairOf("east", name); return err }) == nil
			r.restart()
			r.ok(r.centre.Tidy(t.Context(), true))
			got, err := r.centre.Desk("east").Provide(t.Context(), system, order(name, pub))
			r.ok(err)
			if stored && !bytes.Equal(left.Envelope, got.Envelope) {
				t.Errorf("%s: what was stored is not what is handed out after the crash", name)
			}
			if _, err := certs.OpenEnvelopedKey(got.Envelope, holder); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			other, err := r.centre.Desk("east").Provide(t.Context(), system, order(name+" again", pub))
			if err != nil || other.Public.Equal(got.Public) {
				t.Errorf("%s: the next request got the same key: %v", name, err)
			}
		}
	})
}

// An older database is put back under a living process, and under a new one: what it holds as pool is handed out by neither.
func TestAnOlderDatabaseHandsNothingOutAgain(t *testing.T) {
	each(t, 8, func(t *testing.T, r *rig) {
		_, err := r.centre.Fill(t.Context())
		r.ok(err)
		_, pub := newKey(t)
		given := map[string]bool{}
		for i := range 4 {
			got, err := r.centre.Desk("east").Provide(t.Context(), system, order(fmt.Sprint("r", i), pub))
			r.ok(err)
			given[string(gm.Point(got.Public))] = true
		}
		// The backup: the four are in the pool again, as they were, and nobody's.
		r.sql(`UPDATE kmc_pair SET state = 'pool', client = '', request = ''`)
		for name, renew := range map[string]func(){"the same process": func() {}, "a new one": r.restart} {
			renew()
			for i := range 12 {
				got, err := r.centre.Desk("east").Provide(t.Context(), system, order(fmt.Sprint(name, i), pub))
				r.ok(err)
				if given[string(gm.Point(got.Public))] {
					t.Fatalf("%s handed a key out a second time", name)
				}
				given[string(gm.Point(got.Public))] = true
			}
		}
		r.ok(r.centre.Tidy(t.Context(), true))
		r.ok(r.db.KMC().View(t.Context(), func(s kmc.R) error {
			_, pool, err := s.Count("east")
			if pool != 0 {
				t.Errorf("%d pairs of a dead process are still in the pool", pool)
			}
			return err
		}))
	})
}

func TestThePoolIsFilledByItself(t *testing.T) {
	each(t, 20, func(t *testing.T, r *rig) {
		ctx, stop := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { r.centre.Run(ctx, slog.New(slog.DiscardHandler)) })
		defer done.Wait()
		defer stop()
		atLeast := func(n int) {
			t.Helper()
			for range 1000 {
				if r.centre.Ready() >= n {
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
			t.Fatalf("%d pairs ready, want %d", r.centre.Ready(), n)
		}
		atLeast(20)
		_, pub := newKey(t)
		for i := range 15 {
			_, err := r.centre.Desk("east").Provide(t.Context(), system, order(fmt.Sprint(i), pub))
			r.ok(err)
		}
		atLeast(11) // above half of it nothing is made
		s, err := r.centre.Desk("east").Pool(t.Context(), system)
		if err != nil || s.Level != 20 || s.Held != 15 {
			t.Errorf("the pool stands at %+v: %v", s, err)
		}
	})
}

// No row holds a private key in clear, whatever the state, and a row that was moved to another authority or holder is of no use.
func TestRowsAreWrappedAndBound(t *testing.T) {
	each(t, 3, func(t *testing.T, r *rig) {
		_, err := r.centre.Fill(t.Context())
		r.ok(err)
		holder, pub := newKey(t)
		got, err := r.centre.Desk("east").Provide(t.Context(), system, order("r", pub))
		r.ok(err)
		private, err := certs.OpenEnvelopedKey(got.Envelope, holder)
		r.ok(err)
		r.ok(r.db.KMC().View(t.Context(), func(s kmc.R) error {
			p, err := s.PairOf("east", "r")
			if bytes.Contains(fmt.Append(nil, p), private.Bytes()) || bytes.Contains(p.Wrapped, private.Bytes()) {
				t.Error("the private key stands in clear")
			}
			if len(p.Wrapped) < 32 {
				t.Error("the key is not in escrow")
			}
			return err
		}))
		approved := r.approve("east", r.ask("east", "p1"))
		r.sql(`UPDATE kmc_pair SET subject = 'p1', recipient = $1 WHERE request = 'r'`, make([]byte, 32))
		_, err = r.centre.Desk("east").Take(t.Context(), citizen, approved, "x", everybody)
		r.refused(err, kmc.ErrDamaged, "a row that was changed")
	})
}

func TestWhoIsNotServedGetsNothing(t *testing.T) {
	each(t, 0, func(t *testing.T, r *rig) {
		_, pub := newKey(t)
		_, err := r.centre.Desk("north").Provide(t.Context(), system, order("r", pub))
		r.refused(err, kmc.ErrClient, "never registered")
		r.ok(r.centre.Serve(t.Context(), system, []kmc.Client{{Name: "west"}}))
		_, err = r.centre.Desk("east").Provide(t.Context(), system, order("r", pub))
		r.refused(err, kmc.ErrClient, "ended")
		err = r.centre.Serve(t.Context(), citizen, nil)
		r.refused(err, actor.ErrRole, "a citizen registers")
		all, err := r.centre.Clients(t.Context())
		if err != nil || len(all) != 2 || all[0].Ended.IsZero() || !all[1].Ended.IsZero() {
			t.Errorf("clients %+v: %v", all, err)
		}
	})
}

// There is no way in for a private key: an order has public keys only, and a signing key cannot be passed off as the pair.
func TestSigningKeysAreNeverEscrowed(t *testing.T) {
	each(t, 0, func(t *testing.T, r *rig) {
		holder, pub := newKey(t)
		desk := r.centre.Desk("east")
		got, err := desk.Provide(t.Context(), system, order("r", pub))
		r.ok(err)
		if got.Public.Equal(pub) {
			t.Fatal("the signing key came back as the encryption key")
		}
		r.ok(desk.Certified(t.Context(), system, kmc.Certification{Public: got.Public, Serial: "0a"}))
		d := holder.Bytes()
		r.ok(r.db.KMC().View(t.Context(), func(s kmc.R) error {
			p, err := s.PairOf("east", "r")
			opened, uerr := r.master.Unwrap(t.Context(), p.Wrapped, p.AAD())
			if bytes.Equal(opened, d) || bytes.Equal(p.Public, gm.Point(pub)) {
				t.Error("the signing key is in escrow")
			}
			return errors.Join(err, uerr)
		}))
		_, err = desk.Provide(t.Context(), system, kmc.Order{Request: "x"})
		r.refused(err, gm.ErrKey, "no signing key")
	})
}

func TestHistoryFindsKeysBySerial(t *testing.T) {
	each(t, 0, func(t *testing.T, r *rig) {
		desk := r.centre.Desk("east")
		for i := range 3 {
			r.now = start.Add(time.Duration(i) * time.Hour)
			_, pub := newKey(t)
			got, err := desk.Provide(t.Context(), system, order(fmt.Sprint("r", i), pub))
			r.ok(err)
			for _, serial := range []string{"0", "0", "1"} { // told again, and renewed
				r.ok(desk.Certified(t.Context(), system, kmc.Certification{Public: got.Public, Serial: fmt.Sprint(serial, i), NotAfter: start}))
			}
			r.refused(r.centre.Desk("west").Certified(t.Context(), system, kmc.Certification{Public: got.Public, Serial: "ff"}), kmc.ErrUnknown, "another authority")
		}
		got, err := desk.History(t.Context(), citizen, "p1")
		r.ok(err)
		if len(got) != 3 || fmt.Sprint(got[0].Serials) != "[02 12]" || !got[0].Recoverable {
			t.Errorf("history %+v", got)
		}
		_, err = desk.History(t.Context(), actor.Actor{Subject: "p2", Capacity: actor.Person}, "p1")
		r.refused(err, kmc.ErrNotAllowed, "a stranger")
		if got, err := r.centre.Desk("west").History(t.Context(), system, "p1"); err != nil || len(got) != 0 {
			t.Errorf("another authority sees %d keys: %v", len(got), err)
		}
	})
}

// By its key an authority is told from others: two under one key would share a desk.
func TestTwoAuthoritiesOfOneKeyAreRefused(t *testing.T) {
	each(t, 0, func(t *testing.T, r *rig) {
		for name, clients := range map[string][]kmc.Client{
			"one key":  {{Name: "north", SPKI: []byte("key")}, {Name: "south", SPKI: []byte("key")}},
			"one name": {{Name: "north", SPKI: []byte("key")}, {Name: "north", SPKI: []byte("other")}},
		} {
			r.refused(r.centre.Serve(t.Context(), system, clients), kmc.ErrTwins, name)
		}
		all, err := r.centre.Clients(t.Context())
		if err != nil || len(all) != 2 || !all[0].Ended.IsZero() {
			t.Errorf("a refused configuration changed what is served: %+v, %v", all, err)
		}
	})
}
