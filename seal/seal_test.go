package seal_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"hufu/certs"
	"hufu/hsm/hsmtest"
	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/keys"
	"hufu/seal"
	"hufu/seal/ofd"
	"hufu/seal/ses"
	"hufu/store"
	"hufu/store/storetest"
)

var start = time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)

var (
	maker   = actor.Actor{Subject: "clerk", Capacity: actor.Official, For: "bureau", Roles: []actor.Role{actor.RoleSealOfficer}}
	checker = actor.Actor{Subject: "chief", Capacity: actor.Official, For: "bureau", Roles: []actor.Role{actor.RoleSealOfficer}}
	stamper = actor.Actor{Subject: "issuer", Capacity: actor.Official, For: "bureau", Roles: []actor.Role{actor.RoleLicenceOfficer}}
)

const code = "33010000000001"

// pin is the owner's.
var pin = []byte("dragon-7-boat-9")

// owned is what makes a seal under the PIN.
func owned() seal.Making { return seal.Making{Owner: seal.Enrolment{PIN: pin}} }

// world is a seal service on a real database and real keys, with a small authority of its own.
type world struct {
	*seal.Service
	db    *store.DB
	store *faultyStore
	keys  *faultyKeys
	auth  *authority
	now   time.Time
	t     *testing.T
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := &world{now: start, t: t, db: db, store: &faultyStore{Store: db.Seals()}, auth: newAuthority(t)}
		w.keys = w.newKeys()
		var err error
		w.Service, err = seal.New(seal.Config{
			Store: w.store, Keys: w.keys, Certifier: w.auth, Maker: w.auth, Owners: w.auth, VendorID: "HUFU", Now: func() time.Time { return w.now },
		})
		if err != nil {
			t.Fatal(err)
		}
		f(t, w)
	})
}

// newKeys opens the keys on a device of their own.
func (w *world) newKeys() *faultyKeys {
	w.t.Helper()
	by := actor.ForSystem("test")
	all, err := keys.New(keys.Config{
		Store: w.db.Keys(), Device: hsmtest.Soft(w.t), Now: func() time.Time { return w.now }, PIN: keys.PINCost{Memory: 64, Passes: 1, Lanes: 1},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := all.Ensure(w.t.Context(), by, "seal-master", keys.Master, keys.SM4); err != nil {
		w.t.Fatal(err)
	}
	many, err := all.Many(by, keys.ManySeal, "seal-master")
	if err != nil {
		w.t.Fatal(err)
	}
	return &faultyKeys{Many: many, all: all}
}

// platformKey puts a key into the database as the version before sole control did, and returns its id.
func (w *world) platformKey() string {
	w.t.Helper()
	k, id := newKey(w.t), rand.Text()
	point := gm.Point(k.Public().(*ecdsa.PublicKey))
	aad := append([]byte("hufu many key v1\x00"+id+"\x00"+keys.ManySeal+"\x00"+string(keys.ByPlatform)+"\x00"), point...)
	wrapped, err := w.keys.all.Wrap(w.t.Context(), "seal-master", k.Bytes(), aad)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.db.Keys().Update(w.t.Context(), func(tx keys.W) error {
		return tx.InsertWrapped(keys.Wrapped{
			ID: id, Label: "old", Purpose: keys.ManySeal, Control: keys.ByPlatform, Form: keys.FormWrapped, State: keys.Active, Master: "seal-master",
			MasterVersion: 1, Public: point, Wrapped: wrapped, Made: w.now,
		})
	}); err != nil {
		w.t.Fatal(err)
	}
	return id
}

// probe is a public key that passes for a signer.
type probe struct{ pub crypto.PublicKey }

func (p *probe) Public() crypto.PublicKey { return p.pub }

func (p *probe) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errCrash }

// faultyKeys are the real ones, with hooks.
type faultyKeys struct {
	*keys.Many
	all    *keys.Keys
	fail   error  // the next signature with a seal's key fails so
	during func() // runs once while a seal signs
}

func (k *faultyKeys) Signer(ctx context.Context, id string, by actor.Actor, c seal.Consent) (crypto.Signer, error) {
	if err := k.fail; err != nil {
		k.fail = nil
		return nil, err
	}
	if during := k.during; during != nil {
		k.during = nil
		during()
	}
	return k.Many.Signer(ctx, id, by, c)
}

// authority makes certificates for the tests, and tells of owners.
type authority struct {
	root   *certs.Certificate
	rootK  *gm.PrivateKey
	maker  *certs.Certificate
	makerK *gm.PrivateKey
	ended  int
	left   map[string]bool // persons who may not act for the bureau any more
	since  map[string]time.Time
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{left: map[string]bool{}, since: map[string]time.Time{}}
	a.rootK, a.makerK = newKey(t), newKey(t)
	name := certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: "root"})
	var err error
	a.root, err = certs.Create(certs.Template{
		Serial: []byte{1}, Issuer: name, Subject: name, NotBefore: start.AddDate(0, 0, -1), NotAfter: start.AddDate(10, 0, 0),
		PublicKey: a.rootK.Public(), IsCA: true, MaxPathLen: -1, KeyUsage: certs.UsageCertSign,
	}, a.rootK)
	if err != nil {
		t.Fatal(err)
	}
	a.maker = a.certify(t, "maker", a.makerK, 2)
	return a
}

func newKey(t *testing.T) *gm.PrivateKey {
	t.Helper()
	k, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (a *authority) certify(t *testing.T, cn string, key crypto.Signer, serial byte) *certs.Certificate {
	t.Helper()
	c, err := a.create(cn, key, serial)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (a *authority) create(cn string, key crypto.Signer, serial byte) (*certs.Certificate, error) {
	return certs.Create(certs.Template{
		Serial: []byte{serial}, Issuer: a.root.Subject, Subject: certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: cn}),
		NotBefore: start.AddDate(0, 0, -1), NotAfter: start.AddDate(3, 0, 0), PublicKey: key.Public(), KeyUsage: certs.UsageDigitalSignature,
	}, a.rootK)
}

func (a *authority) Certify(_ context.Context, _ actor.Actor, _, code string, key crypto.Signer) ([]byte, error) {
	if _, err := certs.NewRequest(key, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: code}), certs.RequestOptions{}); err != nil {
		return nil, err
	}
	c, err := a.create(code, key, 3)
	if err != nil {
		return nil, err
	}
	return c.Raw, nil
}

func (a *authority) Revoke(context.Context, actor.Actor, []byte) error { a.ended++; return nil }

func (a *authority) Maker(context.Context) (*certs.Certificate, crypto.Signer, error) {
	return a.maker, a.makerK, nil
}

func (a *authority) OwnerName(_ context.Context, subject string) (string, error) {
	if subject != "bureau" {
		return "", fmt.Errorf("no subject %q", subject)
	}
	return "某某市市场监督管理局", nil
}

func (a *authority) ActingFor(_ context.Context, person, organisation string) ([]seal.Way, error) {
	if a.left[person] || organisation != "bureau" {
		return nil, nil
	}
	for _, by := range []actor.Actor{maker, checker, stamper} {
		if by.Subject == person {
			return []seal.Way{{Actor: by, Since: a.since[person]}}, nil
		}
	}
	return nil, nil
}

// faultyStore fails the n-th update from now: before it begins, or after it has committed as a lost answer does.
type faultyStore struct {
	seal.Store
	left       int
	failBefore bool
}

var errCrash = errors.New("crash")

func (s *faultyStore) Update(ctx context.Context, f func(seal.W) error) error {
	s.left--
	if s.left == 0 && s.failBefore {
		return errCrash
	}
	if err := s.Store.Update(ctx, f); err != nil {
		return err
	}
	if s.left == 0 {
		return errCrash
	}
	return nil
}

func (w *world) approved() {
	w.t.Helper()
	if _, err := w.Apply(w.t.Context(), maker, seal.Application{Code: code, Owner: "bureau", Style: "bureau"}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.Decide(w.t.Context(), checker, code, true, ""); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) made() seal.Seal {
	w.t.Helper()
	w.approved()
	s, err := w.Make(w.t.Context(), maker, code, owned())
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func document(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile("ofd/testdata/hello-unsigned.ofd")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func order(t *testing.T) seal.Order {
	return seal.Order{Seal: code, Document: document(t), Purpose: "测试用印", Consent: seal.Consent{PIN: pin}, Stamps: []ofd.Stamp{{Page: 1, Boundary: ofd.Box{X: 100, Y: 100, W: 42, H: 42}}}}
}

func TestASealIsMadeByThreeParties(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		citizen := actor.Actor{Subject: "p", Capacity: actor.Person}
		if _, err := w.Apply(t.Context(), citizen, seal.Application{Code: code, Owner: "bureau", Style: "bureau"}); !errors.Is(err, seal.ErrNotOwner) {
			t.Errorf("a citizen applied: %v", err)
		}
		if _, err := w.Apply(t.Context(), maker, seal.Application{Code: "1", Owner: "bureau", Style: "bureau"}); !errors.Is(err, seal.ErrForm) {
			t.Errorf("a short code: %v", err)
		}
		if _, err := w.Apply(t.Context(), maker, seal.Application{Code: code, Owner: "bureau", Style: "bureau"}); err != nil {
			t.Fatal(err)
		}
		if err := w.Decide(t.Context(), maker, code, true, ""); !errors.Is(err, actor.ErrSameActor) {
			t.Errorf("the maker approved: %v", err)
		}
		if _, err := w.Make(t.Context(), checker, code, owned()); !errors.Is(err, seal.ErrState) {
			t.Errorf("made without approval: %v", err)
		}
		if err := w.Decide(t.Context(), checker, code, true, ""); err != nil {
			t.Fatal(err)
		}
		made, err := w.Make(t.Context(), maker, code, owned())
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := ses.ParseSeal(made.ESL)
		if err != nil {
			t.Fatal(err)
		}
		if parsed.ESID != code || parsed.Version != ses.V4 || !gm.Verify(w.auth.makerK.Public().(*ecdsa.PublicKey), parsed.SignedBytes(), parsed.Signature) {
			t.Errorf("seal %s %v is not signed by the maker", parsed.ESID, parsed.Version)
		}
		if again, err := w.Make(t.Context(), maker, code, owned()); err != nil || string(again.ESL) != string(made.ESL) {
			t.Errorf("making twice made another seal: %v", err)
		}
	})
}

func TestWhoMayStampAndWhen(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.made()
		for name, by := range map[string]actor.Actor{
			"nobody": {}, "a citizen": {Subject: "p", Capacity: actor.Person},
			"an official elsewhere":        {Subject: "issuer", Capacity: actor.Official, For: "other", Roles: []actor.Role{actor.RoleLicenceOfficer}},
			"an official without the role": {Subject: "o", Capacity: actor.Official, For: "bureau"},
			"the administrator":            {Subject: "a", Capacity: actor.Official, For: "bureau", Roles: []actor.Role{actor.RoleSuperAdmin}},
			"the system":                   actor.ForSystem("x"),
		} {
			if _, err := w.Stamp(t.Context(), by, order(t)); err == nil {
				t.Errorf("%s stamped", name)
			}
		}
		out, err := w.Stamp(t.Context(), stamper, order(t))
		if err != nil {
			t.Fatal(err)
		}
		w.sound(out.Document)
		garbage := order(t)
		garbage.Document = []byte("garbage")
		if _, err := w.Stamp(t.Context(), stamper, garbage); err == nil {
			t.Error("garbage was stamped")
		}
		outside := order(t)
		outside.Stamps[0].Page = 9
		if _, err := w.Stamp(t.Context(), stamper, outside); err == nil {
			t.Error("a page that does not exist was stamped")
		}
		auditor := actor.Actor{Subject: "s", Capacity: actor.Official, For: "bureau", Roles: []actor.Role{actor.RoleAuditAdmin}}
		issuer := actor.Actor{Subject: "i", Capacity: actor.Official, For: "bureau", Roles: []actor.Role{actor.RoleLicenceOfficer}}
		if err := w.Freeze(t.Context(), auditor, code, "x"); !errors.Is(err, seal.ErrUnknown) {
			t.Errorf("a post without duties froze the seal: %v", err)
		}
		for _, by := range []actor.Actor{auditor, issuer} {
			if err := w.Revoke(t.Context(), by, code, "x"); !errors.Is(err, seal.ErrUnknown) {
				t.Errorf("%s ended the seal for ever: %v", by, err)
			}
		}
		if err := w.Freeze(t.Context(), checker, code, "核查"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Stamp(t.Context(), stamper, order(t)); !errors.Is(err, seal.ErrFrozen) {
			t.Errorf("a frozen seal stamped: %v", err)
		}
		if err := w.Resume(t.Context(), maker, code); err != nil {
			t.Fatal(err)
		}
		w.now = start.AddDate(4, 0, 0)
		if _, err := w.Stamp(t.Context(), stamper, order(t)); !errors.Is(err, seal.ErrEnded) {
			t.Errorf("a seal past its end stamped: %v", err)
		}
		w.now = start
		if err := w.Revoke(t.Context(), checker, code, "单位撤销"); err != nil || w.auth.ended != 1 {
			t.Errorf("revoking: %v, certificate revoked %d times", err, w.auth.ended)
		}
		if err := w.Resume(t.Context(), maker, code); !errors.Is(err, seal.ErrState) {
			t.Errorf("a revoked seal came back: %v", err)
		}
	})
}

func TestASealFrozenWhileItSignsStampsNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.made()
		w.keys.during = func() {
			if err := w.Freeze(t.Context(), checker, code, "核查"); err != nil {
				t.Error(err)
			}
		}
		if out, err := w.Stamp(t.Context(), stamper, order(t)); !errors.Is(err, seal.ErrFrozen) || out.Document != nil {
			t.Errorf("the document left all the same: %v", err)
		}
		if uses := w.uses(); uses[0].State != seal.Void {
			t.Errorf("the use is %s", uses[0].State)
		}
	})
}

// sound opens a stamped document and verifies its one signature.
func (w *world) sound(doc []byte) {
	w.t.Helper()
	c, err := ofd.Open(doc)
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := c.Model()
	if err != nil {
		w.t.Fatal(err)
	}
	all := c.Signatures(m)
	if len(all.List) != 1 {
		w.t.Fatalf("%d signatures", len(all.List))
	}
	sig, err := ses.ParseSignature(all.List[0].Value)
	if err != nil {
		w.t.Fatal(err)
	}
	cert, err := certs.Parse(sig.Cert)
	if err != nil {
		w.t.Fatal(err)
	}
	hash := gm.SM3(all.List[0].Raw)
	if string(sig.DataHash) != string(hash[:]) || !gm.Verify(cert.PublicKey.(*ecdsa.PublicKey), sig.SignedBytes(), sig.Signature) {
		w.t.Error("the signature does not hold")
	}
}

// TestCrashTable breaks making and stamping at each step and checks that the next try completes or that the use is void.
func TestCrashTable(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.approved()
		for step := 1; step <= 4; step++ { // key, certificate, seal, state
			for _, before := range []bool{true, false} {
				w.store.left, w.store.failBefore = 1, before
				if _, err := w.Make(t.Context(), maker, code, owned()); err == nil {
					t.Fatalf("step %d: no crash", step)
				}
				if step < 4 {
					w.store.left = 0
				}
			}
		}
		made, err := w.Make(t.Context(), maker, code, owned())
		if err != nil || made.State != seal.Active {
			t.Fatalf("after the crashes: %v, %v", made.State, err)
		}
		for _, c := range []struct {
			update int
			before bool
			sign   bool
			state  seal.UseState
		}{{1, true, false, ""}, {1, false, false, seal.Void}, {0, false, true, seal.Void}, {2, true, false, seal.Void}, {2, false, false, seal.Done}} {
			known := w.uses()
			w.store.left, w.store.failBefore = c.update, c.before
			if c.sign {
				w.keys.fail = errCrash
			}
			if _, err := w.Stamp(t.Context(), stamper, order(t)); !errors.Is(err, errCrash) {
				t.Fatalf("%+v: no crash: %v", c, err)
			}
			w.store.left = 0
			w.now = w.now.Add(time.Minute)
			if _, err := w.Recover(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			uses := w.uses()
			switch {
			case c.state == "" && len(uses) != len(known):
				t.Errorf("%+v: a use was stored", c)
			case c.state != "" && (len(uses) != len(known)+1 || uses[0].State != c.state):
				t.Errorf("%+v: uses %d after %d, newest %+v", c, len(uses), len(known), uses[0].State)
			}
		}
		out, err := w.Stamp(t.Context(), stamper, order(t))
		if err != nil {
			t.Fatal(err)
		}
		w.sound(out.Document)
	})
}

func (w *world) uses() []seal.Use {
	w.t.Helper()
	all, err := w.Uses(w.t.Context(), checker, code, time.Time{}, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}
