package seal_test

import (
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
	"hufu/keys"
	"hufu/seal"
)

// outsiders are those who have power over the platform, or over another organisation, but may not stamp for this one.
var outsiders = map[string]actor.Actor{
	"an officer of another body":  {Subject: "issuer", Capacity: actor.Official, For: "other", Roles: []actor.Role{actor.RoleSealOfficer, actor.RoleLicenceOfficer}},
	"the business administrator":  {Subject: "b", Capacity: actor.Official, For: "bureau", Roles: []actor.Role{actor.RoleBusinessAdmin}},
	"the super administrator":     {Subject: "s", Capacity: actor.Official, For: "bureau", Roles: []actor.Role{actor.RoleSuperAdmin}},
	"a registrar":                 {Subject: "r", Capacity: actor.Official, For: "bureau", Roles: []actor.Role{actor.RoleRegistrar}},
	"an approver":                 {Subject: "p", Capacity: actor.Official, For: "bureau", Roles: []actor.Role{actor.RoleApprover}},
	"the platform itself":         actor.ForSystem("anything"),
	"an application":              {Subject: "app", Capacity: actor.Client, For: "bureau", Roles: []actor.Role{actor.RoleSealOfficer}},
	"somebody for another entity": {Subject: "q", Capacity: actor.Entity, For: "company"},
}

// bounds cover some documents for an hour.
func (w *world) bounds(count int, kinds ...string) seal.Bounds {
	return seal.Bounds{Kinds: kinds, Count: count, Until: w.now.Add(time.Hour)}
}

func (w *world) activated(count int, kinds ...string) seal.Activation {
	w.t.Helper()
	a, err := w.Activate(w.t.Context(), stamper, code, seal.Consent{PIN: pin}, w.bounds(count, kinds...))
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// stamp stamps without a word of the owner.
func (w *world) stamp(kind string) error {
	w.t.Helper()
	o := order(w.t)
	o.Consent, o.Kind = seal.Consent{}, kind
	out, err := w.Stamp(w.t.Context(), stamper, o)
	if (err == nil) != (out.Document != nil) {
		w.t.Errorf("a document with error %v", err)
	}
	return err
}

func (w *world) refused(what string, err error) {
	w.t.Helper()
	if fault.KindOf(err) != fault.Denied {
		w.t.Errorf("%s: %v", what, err)
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestNobodyButTheOwnerSetsASealToWork has those try who run the platform, with the PIN in their hands and without.
func TestNobodyButTheOwnerSetsASealToWork(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.approved()
		for name, by := range outsiders {
			if _, err := w.Make(t.Context(), by, code, seal.Making{Owner: seal.Enrolment{PIN: []byte("their own, 9 letters")}}); err == nil {
				t.Errorf("%s made the seal under a PIN of their own", name)
			}
		}
		if _, err := w.Make(t.Context(), stamper, code, seal.Making{}); !errors.Is(err, keys.ErrEnrolment) {
			t.Errorf("made without a PIN: %v", err)
		}
		if _, err := w.Make(t.Context(), stamper, code, owned()); err != nil {
			t.Fatal(err)
		}
		standing := w.activated(5, seal.KindDocument)
		for name, by := range outsiders {
			for _, c := range []seal.Consent{{}, {PIN: pin}} {
				o := order(t)
				o.Consent = c
				_, err := w.Stamp(t.Context(), by, o)
				w.refused(name+" stamps", err)
				_, err = w.Activate(t.Context(), by, code, c, w.bounds(1, seal.KindDocument))
				w.refused(name+" activates", err)
				_, _, err = w.ChallengeStamp(t.Context(), by, o)
				w.refused(name+" asks for a challenge", err)
			}
			w.refused(name+" changes the PIN", w.SetPIN(t.Context(), by, code, pin, []byte("another-one-77")))
			w.refused(name+" adopts the key", w.SetPIN(t.Context(), by, code, nil, []byte("another-one-77")))
		}
		for _, name := range []string{"the business administrator", "a registrar", "somebody for another entity"} {
			if err := w.Withdraw(t.Context(), outsiders[name], code, standing.ID); err == nil {
				t.Errorf("%s withdrew an activation", name)
			}
		}
		before := len(w.uses())
		if err := w.stamp(seal.KindDocument); err != nil { // and the activation still stands
			t.Error(err)
		}
		if len(w.uses()) != before+1 {
			t.Errorf("%d uses, before %d", len(w.uses()), before)
		}
	})
}

func TestAStampNeedsTheOwnersWord(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.made()
		w.refused("nothing given", w.stamp(""))
		if uses := w.uses(); len(uses) != 1 || uses[0].State != seal.Void {
			t.Errorf("uses %+v", uses)
		}
		o := order(t)
		o.Consent.PIN = []byte("a guess of 16 ch")
		for try := range 5 {
			_, err := w.Stamp(t.Context(), stamper, o)
			w.refused("a guess", err)
			if text, _ := fault.TextOf(err); try == 0 && (strings.Contains(text.EN+text.ZH+err.Error(), "guess") || text.ZH == "") {
				t.Errorf("the refusal repeats the PIN: %v", err)
			}
		}
		if _, err := w.Stamp(t.Context(), stamper, order(t)); fault.KindOf(err) != fault.Limited {
			t.Errorf("after five wrong ones: %v", err)
		}
		if held, err := w.Held(t.Context(), stamper, code); err != nil || held.Method != "pin" || !held.Locked || !held.Until.After(w.now) {
			t.Errorf("%+v, %v", held, err)
		}
		w.now = w.now.Add(2 * time.Minute)
		if _, err := w.Stamp(t.Context(), stamper, order(t)); err != nil {
			t.Errorf("when the lock is over: %v", err)
		}
		fresh := []byte("tiger-tally-21")
		w.must(w.SetPIN(t.Context(), stamper, code, pin, fresh))
		_, err := w.Stamp(t.Context(), stamper, order(t))
		w.refused("the PIN of before", err)
		o.Consent.PIN = fresh
		if _, err := w.Stamp(t.Context(), stamper, o); err != nil {
			t.Error(err)
		}
	})
}

func TestStandingActivationsAreBounded(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.made()
		for _, kinds := range [][]string{nil, {}, {seal.KindRequest}, {"licence/"}, {"*"}, {seal.KindDocument, "standing-activation"}, {"Document"}} {
			if _, err := w.Activate(t.Context(), stamper, code, seal.Consent{PIN: pin}, w.bounds(1, kinds...)); !errors.Is(err, seal.ErrKinds) {
				t.Errorf("kinds %q: %v", kinds, err)
			}
		}
		_, err := w.Activate(t.Context(), stamper, code, seal.Consent{}, w.bounds(1, seal.KindDocument))
		w.refused("activated without the PIN", err)
		w.activated(2, seal.KindLicence("11990000MB0000019F001"))
		w.refused("another kind", w.stamp(seal.KindDocument))
		w.refused("another type", w.stamp(seal.KindLicence("11990000MB0000027A001")))
		for range 2 {
			w.must(w.stamp(seal.KindLicence("11990000MB0000019F001")))
		}
		w.refused("the third of two", w.stamp(seal.KindLicence("11990000MB0000019F001")))
		a := w.activated(9, seal.KindDocument)
		w.must(w.stamp(seal.KindDocument))
		w.must(w.Withdraw(t.Context(), checker, code, a.ID))
		w.refused("after the withdrawal", w.stamp(seal.KindDocument))
		if err := w.Withdraw(t.Context(), checker, code, a.ID); !errors.Is(err, seal.ErrNoActivation) {
			t.Errorf("withdrawn twice: %v", err)
		}
		w.activated(9, seal.KindDocument)
		w.now = w.now.Add(2 * time.Hour)
		w.refused("after its time", w.stamp(seal.KindDocument))
		states := []string{}
		all, err := w.Activations(t.Context(), stamper, code)
		w.must(err)
		for _, one := range all {
			states = append(states, one.State)
			if one.By.Person != "issuer" {
				t.Errorf("%s, made by %q", one.State, one.By.Person)
			}
		}
		if !slices.Contains(states, "spent") || !slices.Contains(states, "withdrawn") {
			t.Errorf("states %v", states)
		}
	})
}

func TestStandingActivationsEndWithTheSeal(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.made()
		a := w.activated(9, seal.KindDocument)
		w.must(w.Freeze(t.Context(), checker, code, "核查"))
		if w.state(a.ID) != "withdrawn" {
			t.Errorf("after the freezing it is %s", w.state(a.ID))
		}
		w.refused("while frozen", w.stamp(seal.KindDocument))
		if _, err := w.Activate(t.Context(), stamper, code, seal.Consent{PIN: pin}, w.bounds(1, seal.KindDocument)); !errors.Is(err, seal.ErrFrozen) {
			t.Errorf("activated while frozen: %v", err)
		}
		w.must(w.Resume(t.Context(), checker, code))
		w.refused("an activation from before the freezing", w.stamp(seal.KindDocument))

		a = w.activated(9, seal.KindDocument) // a crash between freezing and ending
		w.must(w.db.Seals().Update(t.Context(), func(tx seal.W) error {
			_, err := tx.Move(code, seal.Frozen, "x", checker, w.now, seal.Active)
			return err
		}))
		w.must(w.Resume(t.Context(), checker, code))
		w.refused("an activation that a crash left", w.stamp(seal.KindDocument))
		if w.state(a.ID) != "withdrawn" {
			t.Errorf("it is %s", w.state(a.ID))
		}

		a = w.activated(9, seal.KindDocument)
		w.must(w.Revoke(t.Context(), checker, code, "单位撤销"))
		w.refused("revoked", w.stamp(seal.KindDocument))
		if w.state(a.ID) != "withdrawn" {
			t.Errorf("after the revocation it is %s", w.state(a.ID))
		}
	})
}

// state reads what the keeper of keys says.
func (w *world) state(id string) string {
	w.t.Helper()
	s, err := w.Get(w.t.Context(), checker, code)
	w.must(err)
	all, err := w.keys.Standings(w.t.Context(), s.KeyID)
	w.must(err)
	for _, one := range all {
		if one.ID == id {
			return one.State
		}
	}
	return "gone"
}

func TestAStandingActivationEndsWithThePostOfItsMaker(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.made()
		a := w.activated(9, seal.KindDocument)
		w.must(w.stamp(seal.KindDocument))
		w.auth.left["issuer"] = true
		o := order(t) // a colleague, before the job came round
		o.Consent = seal.Consent{}
		_, err := w.Stamp(t.Context(), maker, o)
		w.refused("under the activation of who left", err)
		if w.state(a.ID) != "withdrawn" {
			t.Errorf("it is %s", w.state(a.ID))
		}
		w.auth.left["issuer"] = false
		w.refused("when the person came back", w.stamp(seal.KindDocument))

		a = w.activated(9, seal.KindDocument)
		changed, err := json.Marshal(map[string]string{"subject": "issuer", "what": "post-ended"})
		w.must(err)
		w.must(w.SubjectChanged(t.Context(), changed))
		if w.state(a.ID) != seal.ActivationActive {
			t.Error("a change that took no right away ended it")
		}
		w.auth.left["issuer"] = true
		w.must(w.SubjectChanged(t.Context(), changed))
		if w.state(a.ID) != "withdrawn" {
			t.Errorf("after the job it is %s", w.state(a.ID))
		}
		w.must(w.SubjectChanged(t.Context(), changed))
		if err := w.SubjectChanged(t.Context(), []byte("{}")); err == nil {
			t.Error("an empty payload was taken")
		}
	})
}

// TestAStandingActivationWithoutItsMakerEnds breaks Activate between its two stores.
func TestAStandingActivationWithoutItsMakerEnds(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s := w.made()
		a, err := w.keys.Stand(t.Context(), stamper, s.KeyID, seal.Consent{PIN: pin}, w.bounds(9, seal.KindDocument))
		w.must(err)
		w.now = w.now.Add(2 * time.Minute)
		w.refused("nobody stands for it", w.stamp(seal.KindDocument))
		if w.state(a.ID) != "withdrawn" {
			t.Errorf("it is %s", w.state(a.ID))
		}
		w.store.left, w.store.failBefore = 1, true
		if _, err := w.Activate(t.Context(), stamper, code, seal.Consent{PIN: pin}, w.bounds(9, seal.KindDocument)); !errors.Is(err, errCrash) {
			t.Errorf("no crash: %v", err)
		}
		w.refused("an activation that was not answered", w.stamp(seal.KindDocument))
	})
}

// pair is an owner's SM2 pair.
type pair struct{ sign, encrypt *gm.PrivateKey }

func newPair(t *testing.T) pair { return pair{newKey(t), newKey(t)} }

func (p pair) enrolment() seal.Enrolment {
	return seal.Enrolment{SignKey: gm.Point(p.sign.Public().(*ecdsa.PublicKey)), EncryptKey: gm.Point(p.encrypt.Public().(*ecdsa.PublicKey))}
}

// answer does what the owner's device does.
func (p pair) answer(t *testing.T, c seal.Challenge) seal.Consent {
	t.Helper()
	half, err := p.encrypt.Decrypt(nil, c.Sealed, nil)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := gm.SignMessage(p.sign, c.Statement)
	if err != nil {
		t.Fatal(err)
	}
	return seal.Consent{Challenge: c.ID, Half: half, Signature: sig}
}

func TestAnOwnerConsentsWithAnSM2Pair(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.approved()
		owner := newPair(t)
		c, err := w.ChallengeMaking(t.Context(), stamper, code, owner.enrolment())
		w.must(err)
		if _, err := w.Make(t.Context(), stamper, code, seal.Making{Consent: newPairOf(owner, t).answer(t, c)}); err == nil {
			t.Fatal("another key's answer made the seal")
		}
		c, err = w.ChallengeMaking(t.Context(), stamper, code, owner.enrolment())
		w.must(err)
		if _, err := w.Make(t.Context(), stamper, code, seal.Making{Consent: owner.answer(t, c)}); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(time.Minute)
		o := order(t)
		o.Consent = seal.Consent{}
		c, at, err := w.ChallengeStamp(t.Context(), stamper, o)
		w.must(err)
		o.Consent, o.At = owner.answer(t, c), at
		w.now = w.now.Add(30 * time.Second)
		other := o
		other.WholeProtected = true
		_, err = w.Stamp(t.Context(), stamper, other)
		w.refused("another document", err)
		other = o
		other.At = at.Add(-time.Minute)
		_, err = w.Stamp(t.Context(), stamper, other)
		w.refused("another time", err)
		other = o
		other.Kind = seal.KindLicence("x")
		_, err = w.Stamp(t.Context(), stamper, other)
		w.refused("another kind", err)
		out, err := w.Stamp(t.Context(), stamper, o)
		w.must(err)
		w.sound(out.Document)
		_, err = w.Stamp(t.Context(), stamper, o)
		w.refused("the same answer again", err)
		w.now = w.now.Add(time.Hour)
		if _, err = w.Stamp(t.Context(), stamper, o); !errors.Is(err, seal.ErrTime) {
			t.Errorf("an old challenge: %v", err)
		}
		b := w.bounds(1, seal.KindDocument)
		c, err = w.ChallengeActivation(t.Context(), stamper, code, b)
		w.must(err)
		wider := b
		wider.Count = 100
		_, err = w.Activate(t.Context(), stamper, code, owner.answer(t, c), wider)
		w.refused("wider bounds than the owner signed", err)
		_, err = w.Activate(t.Context(), stamper, code, owner.answer(t, c), b)
		w.must(err)
		w.must(w.stamp(seal.KindDocument))
	})
}

// newPairOf can open the half, but signs with another key.
func newPairOf(p pair, t *testing.T) pair { return pair{newKey(t), p.encrypt} }

// TestASealOfTheStepBeforeIsAdopted stamps with a key that the platform alone controlled, once its owner has set a PIN.
func TestASealOfTheStepBeforeIsAdopted(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.made()
		old := w.platformKey()
		w.must(w.db.Seals().Update(t.Context(), func(tx seal.W) error {
			s, err := tx.Seal(code)
			if err != nil {
				return err
			}
			s.Code, s.State = "33010000000002", seal.Approved
			if err := tx.AddSeal(s); err != nil {
				return err
			}
			return tx.SetMade(s.Code, seal.Made{KeyID: old})
		}))
		const second = "33010000000002"
		s, err := w.Make(t.Context(), stamper, second, owned()) // half-made before the update
		w.must(err)
		if s.KeyID != old {
			t.Errorf("made with key %s", s.KeyID)
		}

		third := w.platformKey()
		w.must(w.db.Seals().Update(t.Context(), func(tx seal.W) error {
			s, err := tx.Seal(code)
			if err != nil {
				return err
			}
			made := seal.Made{KeyID: third, ESL: s.ESL, SVG: s.SVG, PNG: s.PNG, ValidFrom: s.ValidFrom, ValidUntil: s.ValidUntil}
			pub, err := w.keys.Public(t.Context(), third)
			if err != nil {
				return err
			}
			c, err := w.auth.create("33010000000003", &probe{pub}, 9)
			if err != nil {
				return err
			}
			s.Code, s.State, made.Cert = "33010000000003", seal.Approved, c.Raw
			if err := errors.Join(tx.AddSeal(s), tx.SetMade(s.Code, made)); err != nil {
				return err
			}
			_, err = tx.Move(s.Code, seal.Active, "", maker, w.now, seal.Approved)
			return err
		}))
		o := order(t)
		o.Seal = "33010000000003"
		for _, c := range []seal.Consent{{}, {PIN: pin}} {
			o.Consent = c
			_, err := w.Stamp(t.Context(), stamper, o)
			text, _ := fault.TextOf(err)
			if !errors.Is(err, keys.ErrUnadopted) || !strings.Contains(text.EN, "PIN") {
				t.Errorf("a key that nobody adopted: %v", err)
			}
		}
		if held, err := w.Held(t.Context(), stamper, o.Seal); err != nil || held.Method != "" {
			t.Errorf("%+v, %v", held, err)
		}
		w.must(w.SetPIN(t.Context(), stamper, o.Seal, nil, pin))
		if err := w.SetPIN(t.Context(), stamper, o.Seal, nil, []byte("another-one-77")); err == nil {
			t.Error("adopted twice")
		}
		out, err := w.Stamp(t.Context(), stamper, o)
		w.must(err)
		w.sound(out.Document)
	})
}

// TestAStandingActivationDoesNotServeNewcomers: whoever makes appointments, sets roles or resets passwords does not come to
// stamp by it.
func TestAStandingActivationDoesNotServeNewcomers(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.made()
		w.activated(5, seal.KindDocument)
		w.must(w.stamp(seal.KindDocument))
		w.auth.since[stamper.Subject] = w.now.Add(time.Second)
		w.now = w.now.Add(2 * time.Second)
		if err := w.stamp(seal.KindDocument); !errors.Is(err, seal.ErrNewcomer) {
			t.Errorf("a right younger than the activation: %v", err)
		}
		o := order(t)
		o.Consent = seal.Consent{PIN: pin}
		if _, err := w.Stamp(t.Context(), stamper, o); err != nil {
			t.Errorf("with the owner's PIN: %v", err)
		}
		w.activated(5, "licence/other")
		if err := w.stamp(seal.KindDocument); !errors.Is(err, seal.ErrNewcomer) {
			t.Errorf("a new activation of another kind: %v", err)
		}
		w.activated(5, seal.KindDocument)
		w.must(w.stamp(seal.KindDocument))
	})
}
