package login_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
	"hufu/store"
	"hufu/store/storetest"
)

const (
	password = "correct horse 9"
	number   = "110101199003070011"
	phone    = "13800000011"
)

var (
	system    = actor.ForSystem("test")
	registrar = actor.Actor{Subject: "registrar", Capacity: actor.Official, Roles: []actor.Role{actor.RoleRegistrar}}
	super     = actor.Actor{Subject: "super", Capacity: actor.Official, Roles: []actor.Role{actor.RoleSuperAdmin}}
	cheap     = login.Cost{Memory: 64, Time: 1, Threads: 1}
)

// world is the services on one engine, a clock that the test moves, and Zhang San with an account.
type world struct {
	*testing.T
	*login.Service
	people *identity.Service
	db     *store.DB
	clock  atomic.Int64
	zhang  string // subject id
}

func (w *world) now() time.Time { return time.UnixMicro(w.clock.Load()).UTC() }

func (w *world) pass(d time.Duration) { w.clock.Add(d.Microseconds()) }

func newWorld(t *testing.T, db *store.DB) *world {
	t.Helper()
	w := &world{T: t, db: db}
	w.clock.Store(time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC).UnixMicro())
	var err error
	w.people, err = identity.New(identity.Config{Store: db.Identity(), Now: w.now})
	w.must(err)
	w.Service = w.service(cheap)
	sub, err := w.Enrol(t.Context(), system, login.Enrolment{
		Person: identity.PersonForm{
			Name: "张三", Phone: phone, Identifiers: []identity.Identifier{{Type: identity.ResidentID, Number: number}},
			Evidence: []identity.Evidence{{Method: identity.ByFace, Source: "test"}},
		},
		Account: "ZhangSan", Password: password,
	})
	w.must(err)
	w.zhang = sub.ID
	return w
}

// service is another node on the same database.
func (w *world) service(c login.Cost) *login.Service {
	w.Helper()
	s, err := login.New(login.Config{
		Store: w.db.Login(), Subjects: w.people, Peppers: [][]byte{bytes.Repeat([]byte{7}, 32)}, Now: w.now, Cost: c, Parallel: 2,
	})
	w.must(err)
	return s
}

func each(t *testing.T, f func(w *world)) {
	storetest.Each(t, func(t *testing.T, db *store.DB) { f(newWorld(t, db)) })
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) refused(err error, want *fault.Error) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Errorf("got %v, want %s", err, want.Code)
	}
}

func from(ip, account, password string) login.Attempt {
	return login.Attempt{Account: account, Password: password, RemoteIP: ip, UserAgent: "Test/1"}
}

func (w *world) open() (login.Session, string) {
	w.Helper()
	s, secret, err := w.Login(w.Context(), from("192.0.2.1", "zhangsan", password))
	w.must(err)
	return s, secret
}

func TestLogIn(t *testing.T) {
	each(t, func(w *world) {
		s, secret := w.open()
		got, err := w.Session(t.Context(), secret)
		w.must(err)
		if fmt.Sprint(got) != fmt.Sprint(s) {
			t.Errorf("session reads as\n%+v, was\n%+v", got, s)
		}
		if s.Subject != w.zhang || s.Name != "张三" || s.IdentityLevel != 3 || s.AuthLevel != 2 || s.AMR[0] != "pwd" || s.AuthTime != w.now() ||
			s.RemoteIP != "192.0.2.1" || s.UserAgent != "Test/1" || s.MustChange || s.Expires != w.now().Add(12*time.Hour) {
			t.Errorf("%+v", s)
		}
		a := s.Actor()
		if a.Subject != w.zhang || a.Capacity != actor.Person || a.Session != s.ID || a.Level() != 2 || a.Known() != nil {
			t.Errorf("%+v", a)
		}
	})
}

// TestUnknownAccountsLookLikeKnownOnes compares answer, text and number of hashes.
func TestUnknownAccountsLookLikeKnownOnes(t *testing.T) {
	each(t, func(w *world) {
		hashes := login.CountHashes(w.Service)
		var texts []string
		for i, c := range []login.Attempt{
			from("192.0.2.1", "zhangsan", "wrong horse 9"), from("192.0.2.1", "nobody-here", password), from("192.0.2.1", "' OR 1=1 --", password),
			from("192.0.2.1", "", ""), from("192.0.2.1", strings.Repeat("x", 10000), password), from("192.0.2.1", "zhangsan", strings.Repeat("x", 100000)),
			from("192.0.2.1", "unknown", password),
		} {
			_, secret, err := w.Login(t.Context(), c)
			w.refused(err, login.ErrWrong)
			text, _ := fault.TextOf(err)
			texts = append(texts, text.EN)
			if secret != "" || texts[i] != texts[0] || hashes.Load() != int64(i+1) {
				t.Errorf("attempt %d: %q, %d hashes", i, texts[i], hashes.Load())
			}
		}
	})
}

func TestGuessingIsDelayedForKnownAndUnknownAlike(t *testing.T) {
	each(t, func(w *world) {
		hashes := login.CountHashes(w.Service)
		for _, account := range []string{"zhangsan", "nobody-here"} {
			start, guesses := w.now(), hashes.Load()
			for i := 0; w.now().Sub(start) < 24*time.Hour; i++ {
				ip := fmt.Sprintf("198.51.%d.%d", i/200%256, i%200) // an attacker with many addresses
				_, _, err := w.Login(t.Context(), from(ip, account, "guess number 1"))
				if wait, ok := errors.AsType[*login.Wait](err); ok {
					w.refused(err, login.ErrTooOften)
					if fault.KindOf(err) != fault.Limited || !wait.Until.After(w.now()) {
						t.Fatalf("wait until %s at %s", wait.Until, w.now())
					}
					w.clock.Store(wait.Until.UnixMicro())
					continue
				}
				w.refused(err, login.ErrWrong)
			}
			if n := hashes.Load() - guesses; n < 90 || n > 130 {
				t.Errorf("%s: %d guesses in a day", account, n)
			}
		}
		// No lasting lock: when the delay is over, the right password opens.
		w.pass(15 * time.Minute)
		w.open()
	})
}

func TestOwnerGetsInWhileStrangersGuess(t *testing.T) {
	each(t, func(w *world) {
		w.open() // from a place that is familiar from now on
		for i := range 30 {
			w.Login(t.Context(), from(fmt.Sprintf("198.51.100.%d", i), "zhangsan", "guess number 1"))
		}
		_, _, err := w.Login(t.Context(), from("198.51.100.99", "zhangsan", password))
		w.refused(err, login.ErrTooOften)
		w.open()
	})
}

func TestSprayingFromOneNetworkIsDelayed(t *testing.T) {
	each(t, func(w *world) {
		limited := 0
		for i := range 80 {
			_, _, err := w.Login(t.Context(), from(fmt.Sprintf("2001:db8::%x", i), fmt.Sprintf("user%d", i), "Spring-2026"))
			if errors.Is(err, login.ErrTooOften) {
				limited++
			}
		}
		if limited != 20 { // 60 are free, the clock stands still
			t.Errorf("%d of 80 delayed", limited)
		}
		if _, _, err := w.Login(t.Context(), from("2001:db8:0:1::1", "zhangsan", password)); err != nil {
			t.Errorf("the next network must not suffer: %v", err)
		}
	})
}

func TestOwnAccountDoesNotWashTheAddress(t *testing.T) {
	each(t, func(w *world) {
		for i := range 58 {
			_, _, err := w.Login(t.Context(), from("192.0.2.1", fmt.Sprintf("user%d", i), "Spring-2026"))
			w.refused(err, login.ErrWrong)
		}
		w.open()
		for i := range 3 {
			_, _, err := w.Login(t.Context(), from("192.0.2.1", fmt.Sprintf("more%d", i), "Spring-2026"))
			w.refused(err, []*fault.Error{login.ErrWrong, login.ErrWrong, login.ErrTooOften}[i])
		}
	})
}

// TestRacersAreCountedBeforeTheyAreCompared lets many guess at once: no more than the free ones reach the hash.
func TestRacersAreCountedBeforeTheyAreCompared(t *testing.T) {
	each(t, func(w *world) {
		hashes := login.CountHashes(w.Service)
		var wg sync.WaitGroup
		for i := range 24 {
			wg.Go(func() {
				w.Login(context.Background(), from(fmt.Sprintf("198.51.100.%d", i), "zhangsan", "guess number 1"))
			})
		}
		wg.Wait()
		if n := hashes.Load(); n != 10 {
			t.Errorf("%d guesses were compared at once", n)
		}
	})
}

// TestDyingInTheHashLeavesTheTryCounted stands for kill -9 while the password is compared.
func TestDyingInTheHashLeavesTheTryCounted(t *testing.T) {
	each(t, func(w *world) {
		dying := w.service(cheap)
		login.Interrupt(dying, func() { panic("killed") })
		for range 10 {
			func() {
				defer func() { _ = recover() }()
				dying.Login(t.Context(), from("198.51.100.1", "zhangsan", password))
			}()
		}
		_, _, err := w.Login(t.Context(), from("198.51.100.1", "zhangsan", password))
		w.refused(err, login.ErrTooOften)
		if all, err := w.List(t.Context(), system, w.zhang); err != nil || len(all) != 0 {
			t.Errorf("a dead log-in left %d sessions, %v", len(all), err)
		}
	})
}

func TestPasswordChangedWhileTheOldOneIsCompared(t *testing.T) {
	each(t, func(w *world) {
		slow := w.service(cheap)
		var once sync.Once
		login.Interrupt(slow, func() {
			once.Do(func() { w.must(w.ResetPassword(context.Background(), system, w.zhang, "another horse 8")) })
		})
		_, secret, err := slow.Login(t.Context(), from("192.0.2.1", "zhangsan", password))
		w.refused(err, login.ErrWrong)
		if secret != "" {
			t.Error("the old password opened a session")
		}
	})
}

func TestTooManyAtOnceAreToldToComeBack(t *testing.T) {
	each(t, func(w *world) {
		login.Impatient(w.Service, 50*time.Millisecond)
		release := make(chan struct{})
		login.Interrupt(w.Service, func() { <-release })
		var wg sync.WaitGroup
		var busy atomic.Int64
		for range 6 {
			wg.Go(func() {
				_, _, err := w.Login(context.Background(), from("192.0.2.1", "zhangsan", password))
				if errors.Is(err, login.ErrBusy) && busy.Add(1) == 4 {
					close(release) // the two that had a slot may go on
				}
			})
		}
		wg.Wait()
		if busy.Load() != 4 {
			t.Errorf("%d of 6 were busy with 2 slots", busy.Load())
		}
		login.Impatient(w.Service, 5*time.Second)
		w.open() // and the tries were given back
	})
}

func TestSessionEnds(t *testing.T) {
	each(t, func(w *world) {
		dead := func(what, secret string) {
			t.Helper()
			if _, err := w.Session(t.Context(), secret); !errors.Is(err, login.ErrNoSession) {
				t.Errorf("%s: %v", what, err)
			}
		}
		s, secret := w.open()
		w.pass(29 * time.Minute)
		got, err := w.Session(t.Context(), secret)
		w.must(err)
		if got.Seen != w.now() || got.IdleExpires != w.now().Add(30*time.Minute) {
			t.Errorf("use was not noted: %+v", got)
		}
		w.pass(29 * time.Minute)
		if alive, err := w.Alive(t.Context(), s.ID); !alive || err != nil {
			t.Errorf("%v, %v", alive, err)
		}
		w.pass(time.Minute)
		dead("idled out", secret)
		if alive, err := w.Alive(t.Context(), s.ID); alive || err != nil {
			t.Errorf("%v, %v", alive, err)
		}

		s, secret = w.open()
		for range 36 {
			w.pass(20 * time.Minute)
			got, err = w.Session(t.Context(), secret)
			if err == nil && got.IdleExpires.After(s.Expires) {
				t.Error("idle limit past the absolute one")
			}
		}
		dead("expired", secret)

		s, secret = w.open()
		w.must(w.End(t.Context(), s.Actor(), s.ID))
		w.must(w.End(t.Context(), s.Actor(), s.ID)) // again is no error
		dead("ended", secret)

		_, secret = w.open()
		w.must(w.people.Freeze(t.Context(), registrar, w.zhang, ""))
		dead("frozen", secret)
		_, _, err = w.Login(t.Context(), from("192.0.2.1", "zhangsan", password))
		w.refused(err, identity.ErrFrozen)
		_, _, err = w.Login(t.Context(), from("192.0.2.1", "zhangsan", "wrong horse 9"))
		w.refused(err, login.ErrWrong) // a stranger does not learn the state
	})
}

func TestSecretsThatAreNone(t *testing.T) {
	each(t, func(w *world) {
		s, secret := w.open()
		raw, err := base64.RawURLEncoding.DecodeString(secret)
		w.must(err)
		hash := gm.SM3(raw) // what a thief of the database has
		for _, bad := range []string{"", "x", s.ID, secret + "=", secret[:42], base64.RawURLEncoding.EncodeToString(hash[:]), strings.ToUpper(secret)} {
			if _, err := w.Session(t.Context(), bad); !errors.Is(err, login.ErrNoSession) {
				t.Errorf("%q: %v", bad, err)
			}
		}
	})
}

// TestFixationIsOfNoUse: an attacker plants a secret into the victim's browser; the log-in makes another and ends the planted one.
func TestFixationIsOfNoUse(t *testing.T) {
	each(t, func(w *world) {
		_, planted := w.open()
		at := from("192.0.2.1", "zhangsan", password)
		at.Replaces = planted
		_, secret, err := w.Login(t.Context(), at)
		w.must(err)
		if secret == planted {
			t.Error("the secret was kept over a log-in")
		}
		_, err = w.Session(t.Context(), planted)
		w.refused(err, login.ErrNoSession)
		at.Replaces = "chosen-by-the-attacker"
		_, secret, err = w.Login(t.Context(), at)
		if err != nil || secret == at.Replaces {
			t.Errorf("%q, %v", secret, err)
		}
	})
}

func TestListAndEnd(t *testing.T) {
	each(t, func(w *world) {
		li, err := w.Enrol(t.Context(), system, login.Enrolment{
			Person: identity.PersonForm{Name: "李四", Phone: "13900000011"}, Account: "lisi", Password: "another horse 8",
		})
		w.must(err)
		stranger := actor.Actor{Subject: li.ID, Capacity: actor.Person, Session: "x"}
		s1, secret1 := w.open()
		w.pass(time.Second)
		s2, secret2 := w.open()
		if acc, err := w.Account(t.Context(), s1.Actor(), w.zhang); err != nil || acc.Name != "zhangsan" || acc.Password != "" {
			t.Errorf("%+v, %v", acc, err)
		}
		_, err = w.Account(t.Context(), stranger, w.zhang)
		w.refused(err, login.ErrNotYours)
		all, err := w.List(t.Context(), s1.Actor(), w.zhang)
		if err != nil || len(all) != 2 || all[0].ID != s2.ID || all[1].ID != s1.ID || all[0].UserAgent != "Test/1" {
			t.Errorf("%+v, %v", all, err)
		}
		app := s1.Actor()
		app.Client = "app" // a token that an application holds for the person
		for who, a := range map[string]actor.Actor{"stranger": stranger, "nobody": {}, "client": {Subject: w.zhang, Capacity: actor.Client}, "application": app, "registrar": registrar} {
			_, listErr := w.List(t.Context(), a, w.zhang)
			_, allErr := w.EndAll(t.Context(), a, w.zhang, "")
			for _, err := range []error{listErr, allErr, w.End(t.Context(), a, s1.ID)} {
				if k := fault.KindOf(err); k != fault.Denied && k != fault.Unauthenticated {
					t.Errorf("%s: %v", who, err)
				}
			}
		}
		if n, err := w.EndAll(t.Context(), s2.Actor(), w.zhang, s2.ID); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		_, err = w.Session(t.Context(), secret1)
		w.refused(err, login.ErrNoSession)
		_, err = w.Session(t.Context(), secret2)
		w.must(err)
		w.refused(w.End(t.Context(), s2.Actor(), "no-such-session"), login.ErrNoSession)

		// What hangs on a session is told by a durable job.
		job, err := w.db.ClaimJob(t.Context())
		w.must(err)
		var ended login.Ended
		w.must(json.Unmarshal(job.Payload, &ended))
		if job.Kind != login.JobEnded || job.Key != s1.ID || ended != (login.Ended{Session: s1.ID, Subject: w.zhang}) {
			t.Errorf("%+v", job)
		}

		payload, err := json.Marshal(identity.Change{Subject: w.zhang, What: "frozen"})
		w.must(err)
		w.must(w.SubjectChanged(t.Context(), payload))
		if all, err := w.List(t.Context(), system, w.zhang); err != nil || len(all) != 0 {
			t.Errorf("%+v, %v", all, err)
		}
	})
}

func TestOneSessionEndsOnce(t *testing.T) {
	each(t, func(w *world) {
		s, _ := w.open()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if err := w.End(context.Background(), s.Actor(), s.ID); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for i := range 2 {
			job, err := w.db.ClaimJob(t.Context())
			w.must(err)
			if (job == nil) != (i == 1) {
				t.Errorf("job %d: %+v", i, job)
			}
			if job != nil {
				w.must(w.db.FinishJob(t.Context(), job))
			}
		}
	})
}

func TestSetPassword(t *testing.T) {
	each(t, func(w *world) {
		const next = "another horse 8"
		s, secret := w.open()
		_, other := w.open()
		me := s.Actor()
		w.refused(w.SetPassword(t.Context(), actor.Actor{}, password, next), actor.ErrUnknown)
		w.refused(w.SetPassword(t.Context(), actor.Actor{Subject: w.zhang, Capacity: actor.Person}, password, next), login.ErrNotYours)
		w.refused(w.SetPassword(t.Context(), me, "wrong horse 9", next), login.ErrWrong)
		w.refused(w.SetPassword(t.Context(), me, password, "1234567890"), login.ErrPassword)
		w.refused(w.SetPassword(t.Context(), me, password, password), login.ErrPassword)
		w.must(w.SetPassword(t.Context(), me, password, next))
		_, err := w.Session(t.Context(), secret)
		w.must(err)
		_, err = w.Session(t.Context(), other)
		w.refused(err, login.ErrNoSession)
		_, _, err = w.Login(t.Context(), from("192.0.2.1", "zhangsan", password))
		w.refused(err, login.ErrWrong)
		_, _, err = w.Login(t.Context(), from("192.0.2.1", "zhangsan", next))
		w.must(err)

		// A stolen session does not give free guesses at the password.
		hashes, limited := login.CountHashes(w.Service), 0
		for range 30 {
			if errors.Is(w.SetPassword(t.Context(), me, "guess number 1", "third horse 77"), login.ErrTooOften) {
				limited++
			}
		}
		if hashes.Load() != 10 || limited != 20 {
			t.Errorf("%d guesses compared, %d delayed", hashes.Load(), limited)
		}
	})
}

func TestEightRacersChangeAPasswordOnce(t *testing.T) {
	each(t, func(w *world) {
		s, _ := w.open()
		var wg sync.WaitGroup
		var won atomic.Int64
		for i := range 8 {
			wg.Go(func() {
				switch err := w.SetPassword(context.Background(), s.Actor(), password, fmt.Sprintf("racing horse %d", i)); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, login.ErrChanged) && !errors.Is(err, login.ErrWrong):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Errorf("%d changed the same old password", won.Load())
		}
	})
}

func TestAccounts(t *testing.T) {
	each(t, func(w *world) {
		register := func(name, phone string) string {
			s, err := w.people.RegisterPerson(t.Context(), system, identity.PersonForm{Name: name, Phone: phone})
			w.must(err)
			return s.ID
		}
		li := register("李四", "13900000011")
		office, err := w.people.RegisterEntity(t.Context(), system, identity.EntityForm{Name: "某局", USCC: "11330105002500287C"})
		w.must(err)
		openErr := func(a actor.Actor, name, subject, password string) error {
			_, err := w.OpenAccount(t.Context(), a, login.NewAccount{Name: name, Subject: subject, Password: password})
			return err
		}
		w.refused(openErr(actor.Actor{Subject: li, Capacity: actor.Person}, "lisi", li, "another horse 8"), actor.ErrRole)
		w.refused(openErr(registrar, "ZHANGSAN", li, "another horse 8"), login.ErrAccountTaken)
		w.refused(openErr(registrar, "zhangsan2", w.zhang, "another horse 8"), login.ErrAccountTaken)
		w.refused(openErr(registrar, "lisi", li, "1234567890"), login.ErrPassword)
		w.refused(openErr(registrar, "l i", li, "another horse 8"), login.ErrAccountName)
		w.refused(openErr(registrar, "office", office.ID, "another horse 8"), identity.ErrCapacity) // an entity never logs in
		w.refused(openErr(registrar, "ghost", "no-such-subject", "another horse 8"), identity.ErrUnknown)
		w.must(openErr(registrar, "lisi", li, "another horse 8"))

		// Somebody else chose the password: the person has to.
		s, secret, err := w.Login(t.Context(), from("192.0.2.1", "lisi", "another horse 8"))
		w.must(err)
		if !s.MustChange {
			t.Error("the registrar's password may stay")
		}
		w.clock.Add(time.Minute.Microseconds())
		w.must(w.SetPassword(t.Context(), s.Actor(), "another horse 8", "my own horse 7"))
		if s, err = w.Session(t.Context(), secret); err != nil || s.MustChange {
			t.Errorf("%+v, %v", s, err)
		}

		// Who holds roles gets the account from a super administrator only.
		wang := register("王五", "13700000011")
		_, err = w.people.Appoint(t.Context(), super, identity.Appointment{
			Person: wang, Organisation: office.ID, Title: "审计", Roles: []actor.Role{actor.RoleAuditAdmin},
		})
		w.must(err)
		w.refused(openErr(registrar, "wangwu", wang, "another horse 8"), actor.ErrRole)
		w.must(openErr(super, "wangwu", wang, "another horse 8"))
		w.refused(w.ResetPassword(t.Context(), super, wang, "taken over 99"), actor.ErrRole)
		w.refused(w.ResetPassword(t.Context(), registrar, li, "taken over 99"), actor.ErrRole)
		w.refused(w.ResetPassword(t.Context(), actor.Actor{Subject: li, Capacity: actor.Official, Roles: super.Roles}, li, "taken over 99"), actor.ErrSameActor)
		before, err := w.Account(t.Context(), super, li)
		if err != nil || !before.Given.Equal(before.Created) || !before.Changed.After(before.Given) {
			t.Errorf("the own password counts as given by somebody else: %+v, %v", before, err)
		}
		w.clock.Add(time.Minute.Microseconds())
		w.must(w.ResetPassword(t.Context(), super, li, "reset horse 66"))
		if after, err := w.Account(t.Context(), super, li); err != nil || !after.Given.Equal(w.now()) {
			t.Errorf("since the reset: %+v, %v", after, err)
		}
		_, err = w.Session(t.Context(), secret)
		w.refused(err, login.ErrNoSession)
	})
}

func TestEnrolGoesOnAfterACrash(t *testing.T) {
	each(t, func(w *world) {
		form := identity.PersonForm{Name: "李四", Identifiers: []identity.Identifier{{Type: identity.ResidentID, Number: "34052419800101001X"}}}
		first, err := w.people.RegisterPerson(t.Context(), system, form) // and then the process died
		w.must(err)
		e := login.Enrolment{Person: form, Account: "lisi", Password: "another horse 8"}
		again, err := w.Enrol(t.Context(), system, e)
		if err != nil || again.ID != first.ID {
			t.Errorf("%+v, %v", again, err)
		}
		_, err = w.Enrol(t.Context(), system, e)
		w.refused(err, login.ErrAccountTaken)
		e.Account, e.Person.Name = "mallory", "王五" // another name for a known number
		_, err = w.Enrol(t.Context(), system, e)
		w.refused(err, identity.ErrNumberTaken)
		e.Person.Name = "李四" // a second account for the same person
		_, err = w.Enrol(t.Context(), system, e)
		w.refused(err, login.ErrAccountTaken)
	})
}

func TestRehashAtLogIn(t *testing.T) {
	each(t, func(w *world) {
		dearer := w.service(login.Cost{Memory: 128, Time: 1, Threads: 1})
		hashes := login.CountHashes(dearer)
		for i, want := range []int64{2, 3} { // compare and make anew; then compare only
			if _, _, err := dearer.Login(t.Context(), from("192.0.2.1", "zhangsan", password)); err != nil || hashes.Load() != want {
				t.Errorf("log-in %d: %d hashes, %v", i, hashes.Load(), err)
			}
		}
		w.open() // a node with the old parameters still compares
	})
}

func TestPrune(t *testing.T) {
	each(t, func(w *world) {
		_, secret := w.open()
		w.must(w.Prune(t.Context()))
		_, err := w.Session(t.Context(), secret)
		w.must(err)
		w.pass(31 * 24 * time.Hour)
		w.must(w.Prune(t.Context()))
		var s login.Session
		err = w.db.Login().View(t.Context(), func(r login.R) (err error) {
			all, err := r.SessionsOf(w.zhang, time.Time{})
			if len(all) > 0 {
				s = all[0]
			}
			return err
		})
		if err != nil || s.ID != "" {
			t.Errorf("%+v, %v", s, err)
		}
	})
}

// TestNothingSensitiveStandsInTheDatabase greps the SQLite file and its log.
func TestNothingSensitiveStandsInTheDatabase(t *testing.T) {
	dsn := storetest.DSNs(t)["sqlite"]
	db, err := store.Open(t.Context(), dsn, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.UseFieldKeys(storetest.Keys()); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, db)
	_, secret, err := w.Login(t.Context(), from("203.0.113.77", "zhangsan", password))
	w.must(err)
	raw, err := base64.RawURLEncoding.DecodeString(secret)
	w.must(err)
	file := strings.TrimPrefix(dsn, "sqlite:")
	var all []byte
	for _, name := range []string{file, file + "-wal"} {
		data, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	w.must(db.Close())
	if !bytes.Contains(all, []byte("$argon2id$")) {
		t.Fatal("the file is not what the test thinks")
	}
	for _, secret := range []string{number, phone, password, "zhangsan", "203.0.113.77", "Test/1", secret, string(raw)} {
		if bytes.Contains(all, []byte(secret)) {
			t.Errorf("%q stands in the database in clear", secret)
		}
	}
}
