package ca_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

var (
	business = actor.Actor{Subject: "admin-1", Capacity: actor.Official, Roles: []actor.Role{actor.RoleBusinessAdmin}}
	checker  = actor.Actor{Subject: "admin-2", Capacity: actor.Official, Roles: []actor.Role{actor.RoleBusinessAdmin}}
)

// party is somebody with a key and a certificate, outside of our authority.
type party struct {
	*certs.Certificate
	key *gm.PrivateKey
}

// foreign certifies a new key under ca, itself when ca is nil.
func foreign(t testing.TB, by *party, name string, change func(*certs.Template)) party {
	t.Helper()
	key, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return foreignKey(t, by, name, key, change)
}

func foreignKey(t testing.TB, by *party, name string, key *gm.PrivateKey, change func(*certs.Template)) party {
	t.Helper()
	subject := certs.NewName(certs.Attribute{Type: certs.OIDCountry, Value: "CN"}, certs.Attribute{Type: certs.OIDCommonName, Value: name})
	tm := certs.Template{
		Serial: append([]byte{1}, gmRandom(t)...), Subject: subject, Issuer: subject, NotBefore: start.AddDate(-1, 0, 0), NotAfter: start.AddDate(5, 0, 0),
		PublicKey: key.Public(), KeyUsage: certs.UsageDigitalSignature | certs.UsageNonRepudiation,
	}
	signer := key
	if by != nil {
		tm.Issuer, tm.AuthorityKeyID, signer = by.Subject, by.SubjectKeyID, by.key
	}
	if change != nil {
		change(&tm)
	}
	var err error
	if tm.SignatureAlgorithm, err = certs.SigningAlgorithm(signer.Public()); err != nil {
		t.Fatal(err)
	}
	tbs, err := certs.BuildTBS(tm)
	if err != nil {
		t.Fatal(err)
	}
	alg, sig, err := certs.Sign(signer, tbs)
	if err != nil {
		t.Fatal(err)
	}
	der, err := certs.Assemble(tbs, alg, sig)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := certs.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return party{cert, key}
}

func gmRandom(t testing.TB) []byte {
	t.Helper()
	k, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	spki, err := certs.MarshalPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	sum := gm.SM3(spki)
	return sum[:12]
}

func authority(pathLen int) func(*certs.Template) {
	return func(tm *certs.Template) {
		tm.IsCA, tm.MaxPathLen, tm.KeyUsage = true, pathLen, certs.UsageCertSign|certs.UsageCRLSign
	}
}

// holderOf makes a log-in certificate with a number.
func holderOf(oid certs.OID, kind certs.IdentityKind, number string) func(*certs.Template) {
	return func(tm *certs.Template) {
		tm.ExtKeyUsage = []certs.OID{certs.OIDClientAuth}
		tm.Identity = map[certs.OID]certs.IdentityNumber{oid: {Kind: kind, Value: number}}
	}
}

func emptyList(t testing.TB, by party, number uint64, this time.Time, revoked ...certs.CRLEntry) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := certs.WriteCRL(&out, certs.CRLTemplate{
		Issuer: by.Certificate, Number: number, ThisUpdate: this, NextUpdate: this.AddDate(0, 0, 7), Entries: slices.Values(revoked),
	}, by.key); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func entry(id string, by party, purposes ...bundle.Purpose) bundle.TrustEntry {
	return bundle.TrustEntry{
		ID: id, Name: "外省 CA " + id, Certificates: []bundle.TrustCertificate{{DER: by.Raw, Root: true}},
		Terms: bundle.Terms{
			Purposes: purposes, Level: 3,
			Identity: []bundle.IdentityRule{
				{Field: bundle.FieldPerson, OIDs: []certs.OID{certs.OIDIdentityPerson}, Strip: []string{"SF", "N"}},
				{Field: bundle.FieldOrganisation, OIDs: []certs.OID{certs.OIDIdentityOrganization}, Strip: []string{"JJ"}},
			},
		},
	}
}

// list proposes, approves and publishes.
func (w *world) listed(changes ...ca.TrustChange) ca.StoredTrustList {
	w.t.Helper()
	p, err := w.ProposeTrust(w.t.Context(), business, changes, "互认协议")
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err = w.DecideTrust(w.t.Context(), checker, p.ID, true, ""); err != nil {
		w.t.Fatal(err)
	}
	l, err := w.PublishTrust(w.t.Context(), checker, p.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

func put(e bundle.TrustEntry) ca.TrustChange { return ca.TrustChange{Put: &e} }

// publisher serves revocation lists by path.
type publisher struct {
	*httptest.Server
	lists atomic.Pointer[map[string][]byte]
	calls atomic.Int32
}

func newPublisher(t *testing.T) *publisher {
	p := &publisher{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.calls.Add(1)
		data, ok := (*p.lists.Load())[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	}))
	t.Cleanup(p.Close)
	p.set(nil)
	return p
}

func (p *publisher) set(lists map[string][]byte) { p.lists.Store(&lists) }

func TestTrustListIsMadeByTwoAndFollowedByAll(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		root := foreign(t, nil, "外省根", authority(-1))
		e := entry("wai-sheng", root, bundle.Person, bundle.Login)
		if _, err := w.ProposeTrust(ctx, officer, []ca.TrustChange{put(e)}, "x"); !errors.Is(err, actor.ErrRole) {
			t.Errorf("an approver of applications proposed: %v", err)
		}
		if _, err := w.ProposeTrust(ctx, business, []ca.TrustChange{put(e)}, " "); !errors.Is(err, ca.ErrMotionReason) {
			t.Errorf("no reason: %v", err)
		}
		bad := e
		bad.Purposes = []bundle.Purpose{"all"}
		if _, err := w.ProposeTrust(ctx, business, []ca.TrustChange{put(bad)}, "x"); !errors.Is(err, ca.ErrTrustEntry) {
			t.Errorf("unknown purpose: %v", err)
		}
		p, err := w.ProposeTrust(ctx, business, []ca.TrustChange{put(e)}, "互认协议")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.DecideTrust(ctx, business, p.ID, true, ""); !errors.Is(err, actor.ErrSameActor) {
			t.Errorf("the maker approved: %v", err)
		}
		if _, err := w.PublishTrust(ctx, business, p.ID); !errors.Is(err, ca.ErrMotion) {
			t.Errorf("published before it was approved: %v", err)
		}
		if _, err := w.DecideTrust(ctx, checker, p.ID, true, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := w.DecideTrust(ctx, checker, p.ID, false, "late"); !errors.Is(err, ca.ErrMotion) {
			t.Errorf("decided twice: %v", err)
		}
		other := &world{db: w.db, keys: w.keys, store: &faultyStore{Store: w.db.CA()}, now: start, t: t}
		other.open()
		first, err := w.PublishTrust(ctx, checker, p.ID)
		if err != nil || first.Sequence != 1 {
			t.Fatalf("%+v %v", first, err)
		}
		if _, err := w.PublishTrust(ctx, checker, p.ID); !errors.Is(err, ca.ErrMotion) {
			t.Errorf("published twice: %v", err)
		}
		if anchors, err := other.Anchors(ctx, start, bundle.Login); err != nil || !slices.ContainsFunc(anchors.Roots, func(c *certs.Certificate) bool { return bytes.Equal(c.Raw, root.Raw) }) {
			t.Errorf("another node does not follow at once: %v", err)
		}
		key, err := w.BundleKey(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if list, _, err := bundle.ParseTrustList(first.Data, bundle.PinKey(key.PublicKey)); err != nil || len(list.Entries) != 1 {
			t.Errorf("the list does not verify under the published key: %v", err)
		}

		// Removal is a new version, and so is its undoing.
		if second := w.listed(ca.TrustChange{Remove: "wai-sheng"}); second.Sequence != 2 {
			t.Errorf("sequence %d", second.Sequence)
		}
		if _, err := w.UndoTrust(ctx, checker, 99, "误删"); !errors.Is(err, ca.ErrTrustVersion) {
			t.Errorf("undo of what never was: %v", err)
		}
		undo, err := w.UndoTrust(ctx, checker, 1, "误删")
		if err != nil || len(undo.Changes) != 1 || undo.Changes[0].Put == nil {
			t.Fatalf("%+v %v", undo, err)
		}
		if _, err := w.DecideTrust(ctx, business, undo.ID, true, ""); err != nil {
			t.Fatal(err)
		}
		third, err := w.PublishTrust(ctx, business, undo.ID)
		if err != nil || third.Sequence != 3 {
			t.Errorf("%+v %v", third.Sequence, err)
		}
		versions, err := w.TrustVersions(ctx)
		if err != nil || len(versions) != 3 || versions[0].Sequence != 3 {
			t.Errorf("%+v %v", versions, err)
		}

		// Half of its life later it is signed again.
		if err := w.RefreshTrust(ctx); err != nil {
			t.Fatal(err)
		}
		w.now = start.AddDate(0, 0, 16)
		if err := w.RefreshTrust(ctx); err != nil {
			t.Fatal(err)
		}
		if last, list, err := w.TrustList(ctx, 0); err != nil || last.Sequence != 4 || last.Cause != "" || len(list.Entries) != 1 || list.Previous != third.Digest {
			t.Errorf("%+v %v", last.Sequence, err)
		}
	})
}

// TestTwoProposalsAboutOneEntry: the second was reviewed against what no longer stands.
func TestTwoProposalsAboutOneEntry(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		root := foreign(t, nil, "外省根", authority(-1))
		one, two := entry("a", root, bundle.Person), entry("a", root, bundle.SealSigner)
		late, err := w.ProposeTrust(ctx, business, []ca.TrustChange{put(two)}, "x")
		if err != nil {
			t.Fatal(err)
		}
		w.listed(put(one))
		if _, err := w.DecideTrust(ctx, checker, late.ID, true, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := w.PublishTrust(ctx, checker, late.ID); !errors.Is(err, ca.ErrTrustChanged) {
			t.Errorf("published over what nobody reviewed: %v", err)
		}
		same := entry("b", root, bundle.Person)
		if _, err := w.ProposeTrust(ctx, business, []ca.TrustChange{put(same)}, "x"); !errors.Is(err, ca.ErrTrustEntry) {
			t.Errorf("one certificate in two entries: %v", err)
		}
		if _, err := w.ProposeTrust(ctx, business, []ca.TrustChange{put(one)}, "x"); !errors.Is(err, ca.ErrTrustSame) {
			t.Errorf("what stands there already: %v", err)
		}
		if _, err := w.ProposeTrust(ctx, business, []ca.TrustChange{{Remove: "nobody"}}, "x"); !errors.Is(err, ca.ErrTrustNoEntry) {
			t.Errorf("an entry that is not there is removed: %v", err)
		}
	})
}

// Whoever imports the lists of two installations pins a signer for each.
func TestEachInstallationHasASeriesOfItsOwn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.listed(put(entry("a", foreign(t, nil, "外省根", authority(-1)), bundle.Person)))
		_, list, err := w.TrustList(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := w.BundleKey(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sum := gm.SM3(signer.RawSPKI)
		if want := "hufu-trust-" + hex.EncodeToString(sum[:8]); list.ID != want {
			t.Errorf("the series is %q, want %q by its key", list.ID, want)
		}
	})
}

func TestImportOfAnothersList(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		province, forger := foreign(t, nil, "省清单", nil), foreign(t, nil, "省清单", nil)
		root, second := foreign(t, nil, "外省根", authority(-1)), foreign(t, nil, "另一根", authority(-1))
		build := func(by party, sequence uint64, entries ...bundle.TrustEntry) []byte {
			return signedList(t, by, sequence, entries...)
		}
		pin := certs.EncodePEM("PUBLIC KEY", province.RawSPKI)
		a, b := entry("a", root, bundle.Person), entry("b", second, bundle.Person)
		if _, err := w.ImportTrust(ctx, business, build(province, 5, a, b), nil, "x"); !errors.Is(err, ca.ErrTrustSource) {
			t.Errorf("a new series without its key: %v", err)
		}
		if _, err := w.ImportTrust(ctx, business, build(forger, 5, a, b), pin, "x"); !errors.Is(err, ca.ErrTrustSource) {
			t.Errorf("another key than the given one: %v", err)
		}
		p, err := w.ImportTrust(ctx, business, build(province, 5, a, b), pin, "省级清单")
		if err != nil || len(p.Changes) != 2 || p.Source != "province" || p.Sequence != 5 {
			t.Fatalf("%+v %v", p, err)
		}
		if _, err := w.DecideTrust(ctx, checker, p.ID, true, ""); err != nil {
			t.Fatal(err)
		}
		if _, err := w.PublishTrust(ctx, checker, p.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.ImportTrust(ctx, business, build(forger, 6, a), nil, "x"); !errors.Is(err, ca.ErrTrustSource) {
			t.Errorf("a forged list of a known series: %v", err)
		}
		if _, err := w.ImportTrust(ctx, business, build(forger, 6, a), certs.EncodePEM("PUBLIC KEY", forger.RawSPKI), "x"); !errors.Is(err, ca.ErrTrustSource) {
			t.Errorf("a forged list with its own pin: %v", err)
		}
		if _, err := w.ImportTrust(ctx, business, build(province, 4, a, b), nil, "x"); !errors.Is(err, ca.ErrTrustRollback) {
			t.Errorf("rolled back: %v", err)
		}
		p, err = w.ImportTrust(ctx, business, build(province, 6, a), nil, "x")
		if err != nil || len(p.Changes) != 1 || p.Changes[0].Remove != "b" {
			t.Errorf("what is no longer in the list is to go: %+v %v", p.Changes, err)
		}
		w.now = start.AddDate(0, 2, 0)
		if _, err := w.ImportTrust(ctx, business, build(province, 7, a), nil, "x"); !errors.Is(err, ca.ErrTrustExpired) {
			t.Errorf("expired: %v", err)
		}
	})
}

func TestRecogniseCertificatesOfListedCAs(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		pub := newPublisher(t)
		w.Client = pub.Client()
		root, seals, twin := foreign(t, nil, "外省根", authority(-1)), foreign(t, nil, "印章根", authority(-1)), foreign(t, nil, "外省根", authority(-1))
		const number, org = "11010119900307002X", "91330106MA00000190"
		person := foreign(t, &root, "张三", holderOf(certs.OIDIdentityPerson, certs.IdentityResident, number))
		company := foreign(t, &root, "某公司", holderOf(certs.OIDIdentityOrganization, certs.IdentityOrganization, "JJ"+org))
		nameless := foreign(t, &root, "无名", func(tm *certs.Template) { tm.ExtKeyUsage = []certs.OID{certs.OIDClientAuth} })
		stamp := foreign(t, &seals, "某局印章", holderOf(certs.OIDIdentityPerson, certs.IdentityResident, number))
		impostor := foreign(t, &twin, "张三", holderOf(certs.OIDIdentityPerson, certs.IdentityResident, number))
		revoked := foreign(t, &root, "李四", holderOf(certs.OIDIdentityPerson, certs.IdentityResident, number))
		encryption := foreign(t, &root, "张三", func(tm *certs.Template) {
			tm.KeyUsage = certs.UsageKeyEncipherment | certs.UsageDataEncipherment
		})
		e, s := entry("wai-sheng", root, bundle.Person, bundle.Login, bundle.Encryption), entry("yin-zhang", seals, bundle.SealSigner)
		e.CRLs, s.CRLs = []string{pub.URL + "/root.crl"}, []string{pub.URL + "/seals.crl"}
		look := func(c party, purpose bundle.Purpose) (ca.Recognised, error) {
			return w.Recognise(ctx, []*certs.Certificate{c.Certificate}, purpose, w.now)
		}
		if _, err := look(person, bundle.Login); !errors.Is(err, ca.ErrNotTrusted) {
			t.Errorf("before the CA is listed: %v", err)
		}
		w.listed(put(e), put(s))
		if _, err := look(person, bundle.Login); !errors.Is(err, ca.ErrStatusUnknown) {
			t.Errorf("before its list was fetched: %v", err)
		}
		pub.set(map[string][]byte{
			"/root.crl":  emptyList(t, root, 3, start, certs.CRLEntry{Serial: revoked.Serial, RevokedAt: start.Add(-time.Hour)}),
			"/seals.crl": emptyList(t, seals, 3, start),
		})
		if err := w.FetchStatus(ctx); err != nil {
			t.Fatal(err)
		}
		r, err := look(person, bundle.Login)
		if err != nil || r.Kind != ca.HolderPerson || r.Person != number || r.Level != 3 || r.Entry != "wai-sheng" || r.PersonKind != certs.IdentityResident {
			t.Errorf("%+v %v", r, err)
		}
		for _, row := range []struct {
			name    string
			cert    party
			purpose bundle.Purpose
			err     error
		}{
			{"kind that the CA is not listed for", company, bundle.Login, ca.ErrNotTrusted},
			{"no number", nameless, bundle.Login, ca.ErrNoIdentity},
			{"seal signer's CA used for log-in", stamp, bundle.Login, ca.ErrNotTrusted},
			{"seal signer's CA for seals", stamp, bundle.SealSigner, nil},
			{"log-in CA for seals", person, bundle.SealSigner, ca.ErrNotTrusted},
			{"same name, other key", impostor, bundle.Login, ca.ErrNotTrusted},
			{"revoked", revoked, bundle.Login, ca.ErrNotTrusted},
			{"encryption", encryption, bundle.Encryption, nil},
			{"encryption certificate for log-in", encryption, bundle.Login, ca.ErrNotTrusted},
			{"signing certificate for encryption", person, bundle.Encryption, ca.ErrNotTrusted},
			{"the CA itself", root, bundle.Login, ca.ErrNotTrusted},
		} {
			if _, err := look(row.cert, row.purpose); !errors.Is(err, row.err) || (row.err == nil && err != nil) {
				t.Errorf("%s: %v, want %v", row.name, err, row.err)
			}
		}
		if _, err := w.CheckRecipient(ctx, []*certs.Certificate{encryption.Certificate}, w.now); err != nil {
			t.Error(err)
		}

		// The date of distrust: a certificate of that second still counts, one of the next does not.
		e.DistrustAfter = person.NotBefore
		w.listed(put(e))
		if _, err := look(person, bundle.Login); err != nil {
			t.Errorf("issued at the date itself: %v", err)
		}
		e.DistrustAfter = person.NotBefore.Add(-time.Second)
		w.listed(put(e))
		if _, err := look(person, bundle.Login); !errors.Is(err, ca.ErrNotTrusted) {
			t.Errorf("issued a second after it: %v", err)
		}
		// A list that has ended names nobody.
		e.DistrustAfter = time.Time{}
		w.listed(put(e))
		w.now = start.AddDate(0, 0, 5)
		if _, err := look(person, bundle.Login); err != nil {
			t.Error(err)
		}
		w.now = start.AddDate(0, 0, 31)
		if _, err := look(person, bundle.Login); !errors.Is(err, ca.ErrNotTrusted) {
			t.Errorf("under a list that has ended: %v", err)
		}
	})
}

func TestRecogniseOwnCertificates(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		_, csr := newCSR(t)
		app, err := w.Issue(ctx, w.citizen, w.approved(csr).ID)
		if err != nil {
			t.Fatal(err)
		}
		sign, encrypt := w.chain(app.Certificates[0]), w.chain(app.Certificates[1])
		r, err := w.Recognise(ctx, sign[:1], bundle.Login, w.now)
		if err != nil || r.Holder != "p1" || r.Kind != ca.HolderPerson || r.Entry != "" {
			t.Errorf("%+v %v", r, err)
		}
		if _, err := w.Recognise(ctx, encrypt[:1], bundle.Login, w.now); !errors.Is(err, ca.ErrNotTrusted) {
			t.Errorf("encryption certificate for log-in: %v", err)
		}
		if _, err := w.CheckRecipient(ctx, encrypt[:1], w.now); err != nil {
			t.Error(err)
		}
		service, err := w.Service(ctx, actor.ForSystem("test"), "bundle")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Recognise(ctx, []*certs.Certificate{service.Certificate}, bundle.Login, w.now); !errors.Is(err, ca.ErrNotTrusted) {
			t.Errorf("a service of our own logged in: %v", err)
		}
		if err := w.Revoke(ctx, w.citizen, sign[0].Serial, certs.ReasonKeyCompromise, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Recognise(ctx, sign[:1], bundle.Login, w.now.Add(time.Second)); !errors.Is(err, ca.ErrNotTrusted) {
			t.Errorf("revoked a moment ago: %v", err)
		}
	})
}

// TestListsOfOthersAreKept: what an address does wrong is kept with it, and takes the place of nothing.
func TestListsOfOthersAreKept(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		pub := newPublisher(t)
		w.Client = pub.Client()
		root, stranger := foreign(t, nil, "外省根", authority(-1)), foreign(t, nil, "外省根", authority(-1))
		e := entry("wai-sheng", root, bundle.SealSigner)
		e.CRLs = []string{pub.URL + "/root.crl"}
		w.listed(put(e))
		good := emptyList(t, root, 3, start)
		fetch := func(data []byte) ca.ForeignStatus {
			t.Helper()
			pub.set(map[string][]byte{"/root.crl": data})
			w.now = w.now.Add(2 * time.Hour)
			if err := w.FetchStatus(ctx); err != nil {
				t.Fatal(err)
			}
			all, err := ca.ForeignStatuses(ctx, w.db.CA(), w.now)
			if err != nil || len(all) != 1 {
				t.Fatalf("%+v %v", all, err)
			}
			return all[0]
		}
		if s := fetch([]byte("no list")); s.Failure == "" || !s.Over {
			t.Errorf("%+v", s)
		}
		if s := fetch(good); s.Failure != "" || s.Over || !s.ThisUpdate.Equal(start) {
			t.Errorf("%+v", s)
		}
		for name, bad := range map[string][]byte{
			"another key":     emptyList(t, stranger, 4, start.Add(time.Hour)),
			"went back":       emptyList(t, root, 2, start.AddDate(0, 0, -1)),
			"from the future": emptyList(t, root, 9, start.AddDate(1, 0, 0)),
		} {
			if s := fetch(bad); s.Failure == "" || !s.ThisUpdate.Equal(start) || s.Over {
				t.Errorf("%s: %+v", name, s)
			}
		}
		calls := pub.calls.Load()
		if err := w.FetchStatus(ctx); err != nil || pub.calls.Load() != calls {
			t.Errorf("asked again at once: %v", err)
		}
		b, err := w.PublishBundle(ctx, factSource{})
		if err != nil {
			t.Fatal(err)
		}
		parsed, _, err := bundle.Parse(b.Data, bundle.Pin{})
		if err != nil || parsed.Version != bundle.VersionTerms {
			t.Fatalf("%v", err)
		}
		if !slices.ContainsFunc(parsed.CRLs, func(l []byte) bool { return bytes.Equal(l, good) }) || len(parsed.Roots(bundle.SealSigner)) != 2 || len(parsed.Roots(bundle.Login)) != 0 {
			t.Error("the bundle lacks the listed CA or its list")
		}
		w.listed(ca.TrustChange{Remove: "wai-sheng"})
		if err := w.FetchStatus(ctx); err != nil {
			t.Fatal(err)
		}
		if all, err := ca.ForeignStatuses(ctx, w.db.CA(), w.now); err != nil || len(all) != 0 {
			t.Errorf("the list of nobody stays: %+v %v", all, err)
		}
	})
}

// TestWhoImportsAlonePinsNothing: a false signer and a number that burns those of the true one stay proposals; what was approved
// against a series that was pinned otherwise meanwhile is not published.
func TestWhoImportsAlonePinsNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		province, forger := foreign(t, nil, "省清单", nil), foreign(t, nil, "省清单", nil)
		root, second := foreign(t, nil, "外省根", authority(-1)), foreign(t, nil, "另一根", authority(-1))
		a, b := entry("a", root, bundle.Person), entry("b", second, bundle.Person)
		importOf := func(by party, sequence uint64, e ...bundle.TrustEntry) (ca.TrustProposal, error) {
			return w.ImportTrust(ctx, business, signedList(t, by, sequence, e...), certs.EncodePEM("PUBLIC KEY", by.RawSPKI), "x")
		}
		approved := func(p ca.TrustProposal, err error) string {
			t.Helper()
			if err == nil {
				_, err = w.DecideTrust(ctx, checker, p.ID, true, "")
			}
			if err != nil {
				t.Fatal(err)
			}
			return p.ID
		}
		false1, err := importOf(forger, 1<<40, b)
		if err != nil || !false1.New || !bytes.Equal(false1.Signer, forger.RawSPKI) {
			t.Fatalf("the reviewer is not told whose list it is: %+v %v", false1, err)
		}
		true5 := approved(importOf(province, 5, a))
		late := approved(importOf(forger, 6, b))
		if _, err := w.PublishTrust(ctx, checker, true5); err != nil {
			t.Fatalf("a list that was imported alone stands in the way of the true one: %v", err)
		}
		if _, err := w.PublishTrust(ctx, checker, late); !errors.Is(err, ca.ErrTrustChanged) {
			t.Errorf("published under another signer than the pinned one: %v", err)
		}
		six, seven := approved(importOf(province, 6, a, b)), approved(importOf(province, 7, b))
		if _, err := w.PublishTrust(ctx, checker, seven); err != nil {
			t.Fatal(err)
		}
		if _, err := w.PublishTrust(ctx, checker, six); !errors.Is(err, ca.ErrTrustChanged) {
			t.Errorf("an older list was published over a newer one: %v", err)
		}
		if _, err := importOf(province, 6, a); !errors.Is(err, ca.ErrTrustRollback) {
			t.Errorf("rolled back: %v", err)
		}
	})
}

// TestOurOwnAuthoritiesAreNotForeign, neither listed nor in a list that somebody else signed.
func TestOurOwnAuthoritiesAreNotForeign(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		province, root := foreign(t, nil, "省清单", nil), foreign(t, nil, "外省根", authority(-1))
		names, all := w.Issuers()
		for _, name := range names {
			own := entry("wo-men", party{Certificate: all[name]}, bundle.Person)
			if _, err := w.ProposeTrust(ctx, business, []ca.TrustChange{put(own)}, "x"); !errors.Is(err, ca.ErrTrustOwn) {
				t.Errorf("%s as a foreign CA: %v", name, err)
			}
			pin := certs.EncodePEM("PUBLIC KEY", province.RawSPKI)
			if _, err := w.ImportTrust(ctx, business, signedList(t, province, 1, own), pin, "x"); !errors.Is(err, ca.ErrTrustOwn) {
				t.Errorf("a list of %s alone: %v", name, err)
			}
			p, err := w.ImportTrust(ctx, business, signedList(t, province, 2, own, entry("a", root, bundle.Person)), pin, "x")
			if err != nil || len(p.Changes) != 1 || !slices.Equal(p.Left, []string{"wo-men"}) {
				t.Errorf("%s in the list of another: %+v %v", name, p, err)
			}
		}
		l := w.listed(put(entry("a", root, bundle.Person)))
		if _, err := w.ImportTrust(ctx, business, l.Data, nil, "x"); !errors.Is(err, ca.ErrTrustOwn) {
			t.Errorf("our own list as another's: %v", err)
		}
	})
}

// signedList is a list of the series "province".
func signedList(t testing.TB, by party, sequence uint64, entries ...bundle.TrustEntry) []byte {
	t.Helper()
	data, err := bundle.BuildTrustList(bundle.TrustList{
		ID: "province", Sequence: sequence, IssuedAt: start.Add(-time.Hour), NextUpdate: start.AddDate(0, 0, 30), Issuer: "省", Entries: entries,
	}, by.key, by.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
