package kmc_test

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/audit"
	"hufu/audit/tree"
	"hufu/ca/kmc"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

var (
	citizen   = actor.Actor{Subject: "p1", Capacity: actor.Person}
	clerk     = actor.Actor{Subject: "clerk", Capacity: actor.Official, Roles: []actor.Role{actor.RoleRegistrar}}
	business  = actor.Actor{Subject: "business", Capacity: actor.Official, Roles: []actor.Role{actor.RoleBusinessAdmin}}
	auditor   = actor.Actor{Subject: "auditor", Capacity: actor.Official, Roles: []actor.Role{actor.RoleAuditAdmin}}
	officers  = []actor.Actor{recoveryOfficer("o1"), recoveryOfficer("o2"), recoveryOfficer("o3")}
	everybody = kmc.Standing{"o1": true, "o2": true, "o3": true, "auditor": true}
	yes       = kmc.Verdict{Approve: true, Officers: 3}
)

func recoveryOfficer(id string) actor.Actor {
	return actor.Actor{Subject: id, Capacity: actor.Official, For: "bureau", Roles: []actor.Role{actor.RoleRecoveryOfficer}}
}

// keep gives p1 an encryption key and returns it.
func (r *rig) keep(client, request, serial string) *gm.PrivateKey {
	r.t.Helper()
	holder, pub := newKey(r.t)
	got, err := r.centre.Desk(client).Provide(r.t.Context(), system, order(request, pub))
	r.ok(err)
	r.ok(r.centre.Desk(client).Certified(r.t.Context(), system, kmc.Certification{Public: got.Public, Serial: serial, NotAfter: start}))
	private, err := certs.OpenEnvelopedKey(got.Envelope, holder)
	r.ok(err)
	return private
}

// ask asks for all keys of p1, to a new signing key.
func (r *rig) ask(client, subject string) string {
	r.t.Helper()
	_, pub := newKey(r.t)
	rec, err := r.centre.Desk(client).Request(r.t.Context(), citizen, kmc.Ask{Kind: kmc.ForHolder, Subject: subject, Why: "lost", Recipient: gm.Point(pub)})
	r.ok(err)
	return rec.ID
}

func (r *rig) approve(client, id string) string {
	r.t.Helper()
	for _, o := range officers[:2] {
		_, err := r.centre.Desk(client).Decide(r.t.Context(), o, id, yes)
		r.ok(err)
	}
	return id
}

func TestKOfNOfficersRecoverKeysForTheHolder(t *testing.T) {
	each(t, 0, func(t *testing.T, r *rig) {
		lost := []*gm.PrivateKey{r.keep("east", "a", "0a"), r.keep("east", "b", "0b")}
		fresh, pub := newKey(t)
		desk := r.centre.Desk("east")
		a := kmc.Ask{Kind: kmc.ForHolder, Subject: "p1", Serials: []string{"0A", "0b"}, Why: "token lost", Recipient: gm.Point(pub), Key: "k"}
		rec, err := desk.Request(t.Context(), citizen, a)
		r.ok(err)
		if again, err := desk.Request(t.Context(), citizen, a); err != nil || again.ID != rec.ID {
			t.Errorf("the same idempotency key gave %s: %v", again.ID, err)
		}
		_, err = desk.Take(t.Context(), citizen, rec.ID, "x", everybody)
		r.refused(err, kmc.ErrQuorum, "nobody approved")
		one, err := desk.Decide(t.Context(), officers[0], rec.ID, yes)
		if err != nil || one.State != kmc.Requested {
			t.Fatalf("after one: %s, %v", one.State, err)
		}
		if again, err := desk.Decide(t.Context(), officers[0], rec.ID, yes); err != nil || len(again.Approvals) != 1 {
			t.Errorf("one officer counts twice: %+v, %v", again.Approvals, err)
		}
		_, err = desk.Take(t.Context(), citizen, rec.ID, "x", everybody)
		r.refused(err, kmc.ErrQuorum, "k-1 approved")
		two, err := desk.Decide(t.Context(), officers[1], rec.ID, yes)
		if err != nil || two.State != kmc.Approved {
			t.Fatalf("after two: %s, %v", two.State, err)
		}
		_, err = desk.Take(t.Context(), officers[0], rec.ID, "x", everybody)
		r.refused(err, kmc.ErrNotAllowed, "an officer takes the key")
		got, err := desk.Take(t.Context(), citizen, rec.ID, "x", everybody)
		r.ok(err)
		if len(got.Keys) != 2 {
			t.Fatalf("%d keys", len(got.Keys))
		}
		for _, k := range got.Keys {
			opened, err := certs.OpenEnvelopedKey(k.Envelope, fresh)
			r.ok(err)
			if !bytes.Equal(opened.Bytes(), lost[0].Bytes()) && !bytes.Equal(opened.Bytes(), lost[1].Bytes()) {
				t.Error("another key was recovered")
			}
		}
		same, err := desk.Take(t.Context(), citizen, rec.ID, "x", everybody)
		if err != nil || !bytes.Equal(same.Keys[0].Envelope, got.Keys[0].Envelope) {
			t.Errorf("the lost answer is not given again: %v", err)
		}
		_, err = desk.Take(t.Context(), citizen, rec.ID, "y", everybody)
		r.refused(err, kmc.ErrTaken, "handed out twice")
		r.now = r.now.Add(time.Hour)
		_, err = desk.Take(t.Context(), citizen, rec.ID, "x", everybody)
		r.refused(err, kmc.ErrTaken, "after an hour")
		r.ok(r.centre.Tidy(t.Context(), false))
		r.ok(r.db.KMC().View(t.Context(), func(s kmc.R) error {
			kept, err := s.Recovery("east", rec.ID)
			if len(kept.Keys) != 0 || kept.State != kmc.Delivered {
				t.Errorf("the envelopes stay: %+v", kept)
			}
			return err
		}))
		for _, by := range append(officers, citizen) {
			if seen, err := desk.Recovery(t.Context(), by, rec.ID); err != nil || seen.Keys != nil || seen.Receipt != "" {
				t.Errorf("%s sees %+v: %v", by, seen, err)
			}
		}
		r.recorded("recovery", rec.ID, "key-recovery.request", "key-recovery.approve", "key-recovery.approve", "key-recovery.deliver")
	})
}

// recorded holds the record of an object against what was done.
func (r *rig) recorded(kind, id string, want ...string) {
	r.t.Helper()
	log, err := audit.New(audit.Config{Store: r.db.Audit(), Key: logKey(r.t), Now: time.Now})
	r.ok(err)
	found, err := log.Search(r.t.Context(), system, audit.Query{Object: audit.Object{Kind: kind, ID: id}, Limit: 50})
	r.ok(err)
	var got []string
	for _, e := range found.Entries {
		got = append(got, e.Action)
	}
	slices.Sort(got) // the clock of the test stands still
	slices.Sort(want)
	if !slices.Equal(got, want) {
		r.t.Errorf("recorded %v, want %v", got, want)
	}
}

func logKey(t *testing.T) *tree.Key {
	t.Helper()
	_, pub := newKey(t)
	key, err := tree.NewKey("kmc.example.cn/log", tree.Log, pub)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestWhoMayNotRecover(t *testing.T) {
	each(t, 0, func(t *testing.T, r *rig) {
		r.keep("east", "a", "0a")
		desk := r.centre.Desk("east")
		_, pub := newKey(t)
		ask := kmc.Ask{Kind: kmc.ForHolder, Subject: "p1", Why: "lost", Recipient: gm.Point(pub)}
		for name, c := range map[string]struct {
			by   actor.Actor
			ask  kmc.Ask
			want error
		}{
			"nobody":               {actor.Actor{}, ask, actor.ErrUnknown},
			"a stranger":           {actor.Actor{Subject: "p2", Capacity: actor.Person}, ask, kmc.ErrNotAllowed},
			"a recovery officer":   {officers[0], ask, kmc.ErrNotAllowed},
			"a post at the holder": {actor.Actor{Subject: "p9", Capacity: actor.Official, For: "p1"}, ask, kmc.ErrNotAllowed},
			"the system":           {system, ask, kmc.ErrNotAllowed},
			"no reason":            {citizen, kmc.Ask{Kind: kmc.ForHolder, Subject: "p1", Recipient: ask.Recipient}, kmc.ErrAsk},
			"no recipient":         {citizen, kmc.Ask{Kind: kmc.ForHolder, Subject: "p1", Why: "x"}, kmc.ErrAsk},
			"off the curve":        {citizen, kmc.Ask{Kind: kmc.ForHolder, Subject: "p1", Why: "x", Recipient: append([]byte{4}, make([]byte, 64)...)}, kmc.ErrAsk},
			"an unknown kind":      {citizen, kmc.Ask{Kind: "x", Subject: "p1", Why: "x", Recipient: ask.Recipient}, kmc.ErrAsk},
			"an unknown serial":    {citizen, kmc.Ask{Kind: kmc.ForHolder, Subject: "p1", Why: "x", Recipient: ask.Recipient, Serials: []string{"0a", "0b"}}, kmc.ErrUnknown},
			"another's key":        {clerk, kmc.Ask{Kind: kmc.ForHolder, Subject: "p2", Why: "x", Recipient: ask.Recipient, Serials: []string{"0a"}}, kmc.ErrUnknown},
			"judicial, the holder": {citizen, kmc.Ask{Kind: kmc.Judicial, Subject: "p1", Why: "x"}, actor.ErrRole},
			"judicial, no order":   {business, kmc.Ask{Kind: kmc.Judicial, Subject: "p1", Why: "x"}, kmc.ErrOrder},
		} {
			_, err := desk.Request(t.Context(), c.by, c.ask)
			r.refused(err, c.want, name)
		}
		maker := clerk
		maker.Roles = append([]actor.Role{actor.RoleRecoveryOfficer}, clerk.Roles...)
		rec, err := desk.Request(t.Context(), maker, ask)
		r.ok(err)
		holder := citizen
		holder.Roles = []actor.Role{actor.RoleRecoveryOfficer}
		forHolder := actor.Actor{Subject: "p9", Capacity: actor.Entity, For: "p1", Roles: holder.Roles}
		for name, c := range map[string]struct {
			by   actor.Actor
			v    kmc.Verdict
			want error
		}{
			"the requester":               {maker, yes, actor.ErrSameActor},
			"the holder":                  {holder, yes, actor.ErrSameActor},
			"who acts for the holder":     {forHolder, yes, actor.ErrSameActor},
			"the system":                  {system, yes, actor.ErrUnknown},
			"an auditor":                  {auditor, yes, actor.ErrRole},
			"who has nothing to do here":  {actor.Actor{Subject: "p2", Capacity: actor.Person}, yes, kmc.ErrUnknown},
			"an officer, without reason":  {officers[0], kmc.Verdict{}, kmc.ErrReason},
			"an officer too many by role": {officers[0], kmc.Verdict{Approve: true, Officers: 4}, kmc.ErrOfficers},
		} {
			_, err := desk.Decide(t.Context(), c.by, rec.ID, c.v)
			r.refused(err, c.want, name)
		}
		_, err = r.centre.Desk("west").Decide(t.Context(), officers[0], rec.ID, yes)
		r.refused(err, kmc.ErrUnknown, "an officer at another authority")
		_, err = r.centre.Desk("west").Recovery(t.Context(), officers[0], rec.ID)
		r.refused(err, kmc.ErrUnknown, "another authority looks")
	})
}

func TestAnOfficerWhoseRoleEndedDoesNotCount(t *testing.T) {
	each(t, 0, func(t *testing.T, r *rig) {
		r.keep("east", "a", "0a")
		id := r.approve("east", r.ask("east", "p1"))
		desk := r.centre.Desk("east")
		unwraps := r.master.unwraps
		for name, standing := range map[string]kmc.Standing{"one left": {"o1": true}, "none": {}, "not told": nil, "others": {"o3": true, "o1": true}} {
			_, err := desk.Take(t.Context(), citizen, id, "x", standing)
			r.refused(err, kmc.ErrQuorum, name)
		}
		if r.master.unwraps != unwraps {
			t.Error("a key was opened for a hand-out that was refused")
		}
		_, err := desk.Take(t.Context(), citizen, id, "x", kmc.Standing{"o1": true, "o2": true})
		r.ok(err)
	})
}

func TestRecoveriesEnd(t *testing.T) {
	each(t, 0, func(t *testing.T, r *rig) {
		r.keep("east", "a", "0a")
		desk := r.centre.Desk("east")
		rejected := r.ask("east", "p1")
		got, err := desk.Decide(t.Context(), officers[2], rejected, kmc.Verdict{Reason: "not the holder's voice", Officers: 3})
		if err != nil || got.State != kmc.Rejected {
			t.Fatalf("rejected: %s, %v", got.State, err)
		}
		_, err = desk.Decide(t.Context(), officers[0], rejected, yes)
		r.refused(err, kmc.ErrState, "approved after a rejection")
		_, err = desk.Take(t.Context(), citizen, rejected, "x", everybody)
		r.refused(err, kmc.ErrState, "taken after a rejection")

		cancelled := r.approve("east", r.ask("east", "p1"))
		_, err = desk.Cancel(t.Context(), officers[0], cancelled)
		r.refused(err, kmc.ErrNotAllowed, "an officer cancels")
		_, err = desk.Cancel(t.Context(), citizen, cancelled)
		r.ok(err)
		_, err = desk.Take(t.Context(), citizen, cancelled, "x", everybody)
		r.refused(err, kmc.ErrState, "taken after cancelling")

		old := r.approve("east", r.ask("east", "p1"))
		r.now = r.now.Add(7*24*time.Hour + time.Second)
		_, err = desk.Take(t.Context(), citizen, old, "x", everybody)
		r.refused(err, kmc.ErrExpired, "taken after a week")
		_, err = desk.Decide(t.Context(), officers[2], old, yes)
		r.refused(err, kmc.ErrExpired, "approved after a week")
		seen, err := desk.Recovery(t.Context(), citizen, old)
		if err != nil || seen.State != kmc.Expired {
			t.Errorf("shown as %s: %v", seen.State, err)
		}
		r.ok(r.centre.Tidy(t.Context(), false))
		r.recorded("recovery", old, "key-recovery.request", "key-recovery.approve", "key-recovery.approve", "key-recovery.expire")
		all, err := desk.Recoveries(t.Context(), officers[0], kmc.RecoveryFilter{State: kmc.Expired})
		if err != nil || len(all) != 1 {
			t.Errorf("%d expired: %v", len(all), err)
		}
	})
}

// Crashes around the hand-out: the key is handed out once, or not yet, and never to two.
func TestCrashesOfARecovery(t *testing.T) {
	crashes := map[string]func(r *rig){
		"before the key is opened": func(r *rig) { r.master.fail = "unwrap" },
		"before it is stored":      func(r *rig) { r.store.failAt(1, true) },
		"before the answer":        func(r *rig) { r.store.failAt(1, false) },
	}
	each(t, 0, func(t *testing.T, r *rig) {
		r.keep("east", "a", "0a")
		for name, crash := range crashes {
			id := r.approve("east", r.ask("east", "p1"))
			crash(r)
			if _, err := r.centre.Desk("east").Take(t.Context(), citizen, id, "x", everybody); err == nil {
				t.Fatalf("%s: no crash", name)
			}
			r.master.fail = ""
			r.restart()
			got, err := r.centre.Desk("east").Take(t.Context(), citizen, id, "x", everybody)
			if err != nil || len(got.Keys) != 1 {
				t.Fatalf("%s: after the crash: %v", name, err)
			}
			_, err = r.centre.Desk("east").Take(t.Context(), citizen, id, "other", everybody)
			r.refused(err, kmc.ErrTaken, name+", with another receipt")
		}
	})
}

// Officers approve and the holder takes, all at once: exactly one hand-out, and none with too few approvals.
func TestRacesOfARecovery(t *testing.T) {
	each(t, 0, func(t *testing.T, r *rig) {
		r.keep("east", "a", "0a")
		for round := range 4 {
			id := r.ask("east", "p1")
			var wg sync.WaitGroup
			for _, o := range officers {
				wg.Go(func() {
					_, err := r.centre.Desk("east").Decide(t.Context(), o, id, yes)
					if err != nil && !errors.Is(err, kmc.ErrState) {
						t.Error(err)
					}
				})
			}
			var mu sync.Mutex
			var handed []string
			for n := range 4 {
				wg.Go(func() {
					for range 50 {
						got, err := r.centre.Desk("east").Take(t.Context(), citizen, id, fmt.Sprint("receipt", n), everybody)
						if err == nil {
							mu.Lock()
							handed = append(handed, string(got.Keys[0].Envelope))
							mu.Unlock()
							return
						}
						if errors.Is(err, kmc.ErrTaken) {
							return
						}
						time.Sleep(2 * time.Millisecond)
					}
				})
			}
			wg.Wait()
			if len(handed) != 1 {
				t.Errorf("round %d: handed out %d times", round, len(handed))
			}
		}
	})
}

func authority(t *testing.T, notAfter time.Time) (*gm.PrivateKey, []byte) {
	t.Helper()
	key, pub := newKey(t)
	name := certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: "某某市中级人民法院"})
	tbs, err := certs.BuildTBS(certs.Template{
		Serial: []byte{1, 2, 3, 4}, Issuer: name, Subject: name, NotBefore: start.Add(-time.Hour), NotAfter: notAfter, PublicKey: pub,
		SignatureAlgorithm: certs.SM2WithSM3, KeyUsage: certs.UsageKeyEncipherment,
	})
	if err != nil {
		t.Fatal(err)
	}
	alg, sig, err := certs.Sign(key, tbs)
	if err != nil {
		t.Fatal(err)
	}
	der, err := certs.Assemble(tbs, alg, sig)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

func TestJudicialRecoveryIsAFlowOfItsOwn(t *testing.T) {
	each(t, 0, func(t *testing.T, r *rig) {
		lost := r.keep("east", "a", "0a")
		desk := r.centre.Desk("east")
		court, der := authority(t, start.Add(24*time.Hour))
		legal := kmc.Legal{Number: "（2026）某01刑初1号", Authority: "某某市中级人民法院", SM3: strings.Repeat("ab", 32)}
		ask := kmc.Ask{Kind: kmc.Judicial, Subject: "p1", Serials: []string{"0a"}, Why: "order", Certificate: der, Order: legal}
		_, over := authority(t, start.Add(-time.Minute))
		for name, change := range map[string]func(*kmc.Ask){
			"no number": func(a *kmc.Ask) { a.Order.Number = "" }, "no authority": func(a *kmc.Ask) { a.Order.Authority = "" },
			"short digest": func(a *kmc.Ask) { a.Order.SM3 = "ab" }, "no certificate": func(a *kmc.Ask) { a.Certificate = nil },
			"a certificate that is over": func(a *kmc.Ask) { a.Certificate = over },
			"a recipient besides":        func(a *kmc.Ask) { a.Recipient = gm.Point(court.Public().(*ecdsa.PublicKey)) },
		} {
			bad := ask
			change(&bad)
			_, err := desk.Request(t.Context(), business, bad)
			r.refused(err, kmc.ErrOrder, name)
		}
		rec, err := desk.Request(t.Context(), business, ask)
		r.ok(err)
		_, err = desk.Recovery(t.Context(), citizen, rec.ID)
		r.refused(err, kmc.ErrUnknown, "the holder looks")
		if mine, err := desk.Recoveries(t.Context(), citizen, kmc.RecoveryFilter{}); err != nil || len(mine) != 0 {
			t.Errorf("the holder sees %d: %v", len(mine), err)
		}
		for _, o := range officers {
			got, err := desk.Decide(t.Context(), o, rec.ID, yes)
			if err != nil || got.State != kmc.Requested {
				t.Fatalf("officers alone: %s, %v", got.State, err)
			}
		}
		_, err = desk.Take(t.Context(), business, rec.ID, "x", everybody)
		r.refused(err, kmc.ErrQuorum, "without a witness")
		_, err = desk.Decide(t.Context(), business, rec.ID, yes)
		r.refused(err, actor.ErrSameActor, "the requester as witness")
		got, err := desk.Decide(t.Context(), auditor, rec.ID, yes)
		if err != nil || got.State != kmc.Approved {
			t.Fatalf("with a witness: %s, %v", got.State, err)
		}
		_, err = desk.Take(t.Context(), citizen, rec.ID, "x", everybody)
		r.refused(err, kmc.ErrUnknown, "the holder takes")
		_, err = desk.Take(t.Context(), business, rec.ID, "x", kmc.Standing{"o1": true, "o2": true})
		r.refused(err, kmc.ErrQuorum, "the witness's role ended")
		got, err = desk.Take(t.Context(), business, rec.ID, "x", everybody)
		r.ok(err)
		opened, err := certs.OpenEnvelopedKey(got.Keys[0].Envelope, court)
		if err != nil || !bytes.Equal(opened.Bytes(), lost.Bytes()) {
			t.Errorf("the authority cannot open it: %v", err)
		}
		r.recorded("recovery", rec.ID, "judicial-recovery.request", "judicial-recovery.approve", "judicial-recovery.approve", "judicial-recovery.approve",
			"judicial-recovery.approve", "judicial-recovery.deliver")
	})
}
