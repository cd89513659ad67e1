package licence_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/configs"
	"hufu/identity"
	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/licence"
	"hufu/licence/reader"
	"hufu/seal"
	"hufu/seal/check"
	"hufu/store"
	"hufu/store/storetest"
)

var start = time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)

const (
	business  = "11990000MB0000019F001"
	residence = "11990000MB0000027A001"
	sealCode  = "99000000000001"
)

var (
	officer  = actor.Actor{Subject: "issuer", Capacity: actor.Official, For: "bureau", Roles: []actor.Role{actor.RoleLicenceOfficer}}
	stranger = actor.Actor{Subject: "other", Capacity: actor.Official, For: "bureau2", Roles: []actor.Role{actor.RoleLicenceOfficer}}
	citizen  = actor.Actor{Subject: "p1", Capacity: actor.Person}
	company  = actor.Actor{Subject: "p1", Capacity: actor.Entity, For: "e1"}
)

// consent is that of the owner of the bureau's seal.
var consent = seal.Consent{PIN: []byte("dragon-7-boat-9")}

// order is a business licence in full.
func order() licence.Order {
	return licence.Order{Type: business, Holder: "e1", Consent: consent, Data: map[string]string{
		"kind": "有限责任公司（自然人投资或控股）", "legal_representative": "王小雅", "capital": "壹仟万元整", "established": "2026-09-01", "term": "长期",
		"address": "云溪市青石区望江路 88 号创新大厦 12 层 1203 室",
		"scope":   "软件开发；信息系统集成服务；人工智能基础软件开发；数据处理和存储支持服务；技术服务、技术开发、技术咨询、技术交流、技术转让、技术推广（除依法须经批准的项目外，凭营业执照依法自主开展经营活动）。",
	}}
}

func personOrder() licence.Order {
	return licence.Order{Type: residence, Holder: "p1", Consent: consent, Data: map[string]string{"address": "云溪市青石区望江路 66 号枫林小区 3 幢 2 单元 501 室", "since": "2026-03-01", "reason": "就业"}}
}

// world is a licence service and a seal service on a real database, with a small authority of its own.
type world struct {
	*licence.Service
	db       *store.DB
	store    *faultyStore
	seals    *faultySeals
	auth     *authority
	registry registry
	now      time.Time
	t        *testing.T
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := &world{now: start, t: t, db: db, store: &faultyStore{Store: db.Licences()}, auth: theAuthority(t), registry: holders()}
		clock := func() time.Time { return w.now }
		seals, err := seal.New(seal.Config{
			Store: db.Seals(), Keys: w.auth, Certifier: w.auth, Maker: w.auth, Owners: w.registry, VendorID: "HUFU", Now: clock,
		})
		if err != nil {
			t.Fatal(err)
		}
		w.seals = &faultySeals{Service: seals}
		w.makeSeal("bureau", sealCode)
		w.open()
		f(t, w)
	})
}

// open makes a new service on the same database, as a restart does.
func (w *world) open() {
	w.t.Helper()
	types, err := licence.ParseCatalogue(configs.Files, "licences")
	if err != nil {
		w.t.Fatal(err)
	}
	w.Service, err = licence.New(licence.Config{
		Store: w.store, Catalogue: types, Registry: w.registry, Seals: w.seals, QR: w.auth, VerifyURL: "http://localhost:8480/verify",
		Now: func() time.Time { return w.now },
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// makeSeal has a seal made the first time, and puts the same one into each later database: drawing takes long.
func (w *world) makeSeal(owner, code string) {
	w.t.Helper()
	ctx := w.t.Context()
	clerk := actor.Actor{Subject: "clerk", Capacity: actor.Official, For: owner, Roles: []actor.Role{actor.RoleSealOfficer}}
	chief := clerk
	chief.Subject = "chief"
	if _, err := w.seals.Apply(ctx, clerk, seal.Application{Code: code, Owner: owner, Style: "organ"}); err != nil {
		w.t.Fatal(err)
	}
	if err := w.seals.Decide(ctx, chief, code, true, ""); err != nil {
		w.t.Fatal(err)
	}
	if m, ok := w.auth.made[code]; ok {
		if err := w.db.Seals().Update(ctx, func(t seal.W) error { return t.SetMade(code, m) }); err != nil {
			w.t.Fatal(err)
		}
	}
	s, err := w.seals.Make(ctx, clerk, code, seal.Making{Owner: seal.Enrolment{PIN: consent.PIN}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.auth.made[code] = seal.Made{KeyID: s.KeyID, Cert: s.Cert, ESL: s.ESL, SVG: s.SVG, PNG: s.PNG, ValidFrom: s.ValidFrom, ValidUntil: s.ValidUntil}
}

func (w *world) issued(o licence.Order) licence.Licence {
	w.t.Helper()
	l, err := w.Issue(w.t.Context(), officer, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

func (w *world) document(l licence.Licence) []byte {
	w.t.Helper()
	doc, err := w.Document(w.t.Context(), officer, l.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return doc
}

// verify checks a file offline, with a bundle made of what the services say now.
func (w *world) verify(file []byte) *check.Report {
	w.t.Helper()
	var crl bytes.Buffer
	err := certs.WriteCRL(&crl, certs.CRLTemplate{
		Issuer: w.auth.root, Number: 1, ThisUpdate: w.now.Add(-time.Hour), NextUpdate: w.now.Add(time.Hour),
		Entries: func(func(certs.CRLEntry) bool) {},
	}, w.auth.rootK)
	if err != nil {
		w.t.Fatal(err)
	}
	b := bundle.Bundle{
		ID: "test", Sequence: 1, IssuedAt: w.now, NextUpdate: w.now.Add(time.Hour), Issuer: "test", PolicyVersion: "1",
		Authorities: []bundle.Authority{{Certificate: w.auth.root.Raw, Root: true, Terms: bundle.Terms{Purposes: []bundle.Purpose{bundle.SealSigner, bundle.SealMaker, bundle.Organisation}}}},
		CRLs:        [][]byte{crl.Bytes()}, Signers: [][]byte{w.auth.maker.Raw},
		Seals: []bundle.SealStatus{{ID: sealCode, State: bundle.Active, Since: start}},
	}
	statuses, err := w.Statuses(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range statuses {
		state := bundle.State(s.State)
		if s.State == licence.Superseded {
			state = bundle.Replaced
		}
		b.Licences = append(b.Licences, bundle.StatusEntry{ID: s.ID, State: state, Since: s.Since.Truncate(time.Second), ReplacedBy: s.ReplacedBy})
	}
	der, err := bundle.Build(b, w.auth.makerK, w.auth.maker)
	if err != nil {
		w.t.Fatal(err)
	}
	parsed, info, err := bundle.Parse(der, bundle.PinKey(w.auth.maker.PublicKey))
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := check.Check(file, check.Options{Bundle: parsed, BundleInfo: info, At: w.now, Strict: true, Lang: "en", Reader: reader.New()})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// registry knows some subjects.
type registry map[string]identity.Holder

func holders() registry {
	return registry{
		"e1": {ID: "e1", Kind: identity.Entity, Name: "云溪虎符科技有限公司", Number: "91990106MA0000015L", NumberType: identity.CreditCode},
		"e2": {ID: "e2", Kind: identity.Entity, Name: "云溪市青石区新时代中国特色数字经济产业园区创新创业服务与知识产权运营管理（集团）股份有限公司", Number: "91990106MB0000027X", NumberType: identity.CreditCode},
		"p1": {ID: "p1", Kind: identity.Person, Name: "王小雅", Number: "11010119900307002X", NumberType: identity.ResidentID},
		"p2": {ID: "p2", Kind: identity.Person, Name: "古丽仙·阿卜杜热合曼·买买提艾力", Number: "110101199003070011", NumberType: identity.ResidentID},
		"p3": {ID: "p3", Kind: identity.Person, Name: "Maria Fernanda de Oliveira Santos", Number: "P1234567", NumberType: identity.Passport},
		// 𠮷 lies outside the fonts.
		"p4":      {ID: "p4", Kind: identity.Person, Name: "王𠮷", Number: "110101199003070011", NumberType: identity.ResidentID},
		"bureau":  {ID: "bureau", Kind: identity.Entity, Name: "云溪市市场监督管理局", Number: "11990000MA00000151", NumberType: identity.CreditCode},
		"bureau2": {ID: "bureau2", Kind: identity.Entity, Name: "云溪市公安局", Number: "11990000MB0000019F", NumberType: identity.CreditCode},
	}
}

func (r registry) Holder(_ context.Context, subject string) (identity.Holder, error) {
	h, ok := r[subject]
	if !ok {
		return h, identity.ErrUnknown.With("subject %q", subject)
	}
	return h, nil
}

func (r registry) OwnerName(ctx context.Context, subject string) (string, error) {
	h, err := r.Holder(ctx, subject)
	return h.Name, err
}

func (r registry) ActingFor(context.Context, string, string) ([]seal.Way, error) {
	return []seal.Way{{Actor: officer}}, nil
}

// faultyStore fails the n-th update from now: before it begins, or after it has committed as a lost answer does. dead makes
// all later ones fail too, as a crash does.
type faultyStore struct {
	licence.Store
	mu         sync.Mutex
	left       int
	failBefore bool
	dead       bool
}

var errCrash = errors.New("crash")

func (s *faultyStore) Update(ctx context.Context, f func(licence.W) error) error {
	s.mu.Lock()
	s.left--
	now, before, dead := s.left == 0, s.failBefore, s.dead
	s.dead = dead || now
	s.mu.Unlock()
	if dead || now && before {
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

func (s *faultyStore) failAt(n int, before bool) { s.left, s.failBefore, s.dead = n, before, false }
func (s *faultyStore) revive()                   { s.left, s.dead = 0, false }

// faultySeals fails before stamping or after it, and remembers what was stamped.
type faultySeals struct {
	*seal.Service
	mu            sync.Mutex
	before, after error
	while         func() // runs while the document is being stamped
	stamped       [][]byte
}

func (s *faultySeals) Stamp(ctx context.Context, by actor.Actor, o seal.Order) (seal.Stamped, error) {
	s.mu.Lock()
	before, after := s.before, s.after
	s.mu.Unlock()
	if before != nil {
		return seal.Stamped{}, before
	}
	if s.while != nil {
		s.while()
	}
	out, err := s.Service.Stamp(ctx, by, o)
	if err != nil {
		return out, err
	}
	s.mu.Lock()
	s.stamped = append(s.stamped, out.Document)
	s.mu.Unlock()
	if after != nil {
		return seal.Stamped{}, after
	}
	return out, nil
}

// authority makes keys and certificates for the tests.
type authority struct {
	seal.Keys // what is not needed here
	mu        sync.Mutex
	keys      map[string]*gm.PrivateKey
	root      *certs.Certificate
	rootK     *gm.PrivateKey
	maker     *certs.Certificate
	makerK    *gm.PrivateKey
	made      map[string]seal.Made // by code

	allowed []string // kinds for which no PIN is asked
}

var shared *authority // tests of a package run one after another

func theAuthority(t *testing.T) *authority {
	t.Helper()
	if shared == nil {
		shared = newAuthority(t)
	}
	return shared
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{keys: map[string]*gm.PrivateKey{}, made: map[string]seal.Made{}}
	for _, k := range []**gm.PrivateKey{&a.rootK, &a.makerK} {
		var err error
		if *k, err = gm.GenerateKey(); err != nil {
			t.Fatal(err)
		}
	}
	name := certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: "root"})
	var err error
	if a.root, err = certs.Create(certs.Template{
		Serial: []byte{1}, Issuer: name, Subject: name, NotBefore: start.AddDate(0, 0, -1), NotAfter: start.AddDate(10, 0, 0),
		PublicKey: a.rootK.Public(), IsCA: true, MaxPathLen: -1, KeyUsage: certs.UsageCertSign | certs.UsageCRLSign,
	}, a.rootK); err != nil {
		t.Fatal(err)
	}
	if a.maker, err = a.create("maker", a.makerK, 2); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) create(cn string, key crypto.Signer, serial byte) (*certs.Certificate, error) {
	return certs.Create(certs.Template{
		Serial: []byte{serial}, Issuer: a.root.Subject, Subject: certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: cn}),
		NotBefore: start.AddDate(0, 0, -1), NotAfter: start.AddDate(3, 0, 0), PublicKey: key.Public(),
		KeyUsage: certs.UsageDigitalSignature | certs.UsageNonRepudiation, AuthorityKeyID: a.root.SubjectKeyID,
	}, a.rootK)
}

func (a *authority) Generate(_ context.Context, label string, _ seal.Enrolment) (string, crypto.PublicKey, error) {
	k, err := gm.GenerateKey()
	if err != nil {
		return "", nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	id := fmt.Sprint(label, "-", len(a.keys))
	a.keys[id] = k
	return id, k.Public(), nil
}

var errConsent = errors.New("the owner has not consented")

// Signer wants the PIN, or a kind that the owner has allowed.
func (a *authority) Signer(_ context.Context, id string, _ actor.Actor, c seal.Consent) (crypto.Signer, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if string(c.PIN) != string(consent.PIN) && (len(c.PIN) > 0 || !slices.Contains(a.allowed, c.Kind)) {
		return nil, errConsent
	}
	if a.keys[id] == nil {
		return nil, fmt.Errorf("no key %q", id)
	}
	return a.keys[id], nil
}

func (a *authority) Held(context.Context, string) (seal.Held, error) {
	return seal.Held{Method: "pin"}, nil
}

func (a *authority) Standings(context.Context, string) ([]seal.Standing, error) { return nil, nil }

func (a *authority) Certify(_ context.Context, _ actor.Actor, _, code string, key crypto.Signer) ([]byte, error) {
	c, err := a.create(code, key, code[len(code)-1]+10)
	if err != nil {
		return nil, err
	}
	return c.Raw, nil
}

func (a *authority) Revoke(context.Context, actor.Actor, []byte) error { return nil }

func (a *authority) Maker(context.Context) (*certs.Certificate, crypto.Signer, error) {
	return a.maker, a.makerK, nil
}

func (a *authority) QRSigner(context.Context) ([]byte, crypto.Signer, error) {
	return a.maker.Raw, a.makerK, nil
}
