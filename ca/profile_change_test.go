package ca_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

var (
	profileMaker   = actor.Actor{Subject: "admin-1", Capacity: actor.Official, Roles: []actor.Role{actor.RoleBusinessAdmin}}
	profileChecker = actor.Actor{Subject: "admin-2", Capacity: actor.Official, Roles: []actor.Role{actor.RoleBusinessAdmin}}
)

// edited is a profile in force with one change.
func (w *world) edited(name, from, to string) []byte {
	w.t.Helper()
	text := w.ProfilesInForce()[name].Text()
	out := strings.Replace(text, from, to, 1)
	if out == text {
		w.t.Fatalf("the edit %q changes nothing", from)
	}
	return []byte(out)
}

// changed imports an edit as one administrator and publishes it as another.
func (w *world) changed(name, from, to string) ca.ProfileVersion {
	w.t.Helper()
	review, err := w.ImportProfile(w.t.Context(), profileMaker, ca.ProfileImport{Text: w.edited(name, from, to)})
	if err != nil {
		w.t.Fatal(err)
	}
	v, err := w.PublishProfile(w.t.Context(), profileChecker, name, review.Version.Version)
	if err != nil {
		w.t.Fatal(err)
	}
	return v
}

func eachSeeded(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	each(t, func(t *testing.T, w *world) {
		if err := w.SeedProfiles(t.Context(), actor.ForSystem("test")); err != nil {
			t.Fatal(err)
		}
		w.Pseudonyms = pseudonyms{}
		f(t, w)
	})
}

// pseudonyms are those of an installation whose key is 32 zeros.
type pseudonyms struct{}

func (pseudonyms) Pseudonym(kind, number string) (string, error) {
	return ca.Pseudonym(make([]byte, 32), kind, number), nil
}

func mustCSR(t *testing.T) []byte {
	t.Helper()
	_, csr := newCSR(t)
	return csr
}

func TestAProfileComesIntoForceByTwo(t *testing.T) {
	eachSeeded(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		in := ca.ProfileImport{Text: w.edited("person-sign", "days: 1095", "days: 365")}
		if _, err := w.ImportProfile(ctx, officer, in); !errors.Is(err, actor.ErrRole) {
			t.Errorf("an officer without the role imports: %v", err)
		}
		review, err := w.ImportProfile(ctx, profileMaker, in)
		if err != nil || review.Version.Version != 2 || review.Version.State != ca.ProfileProposed {
			t.Fatalf("import: %+v, %v", review.Version, err)
		}
		if _, err := w.ImportProfile(ctx, profileMaker, in); !errors.Is(err, ca.ErrProfileKnown) {
			t.Errorf("the same text again: %v", err)
		}
		if got := w.ProfilesInForce()["person-sign"]; got.Days != 1095 {
			t.Errorf("a proposed version is in force: %d days", got.Days)
		}
		if _, err := w.PublishProfile(ctx, profileMaker, "person-sign", 2); !errors.Is(err, actor.ErrSameActor) {
			t.Errorf("the maker publishes: %v", err)
		}
		if _, err := w.PublishProfile(ctx, officer, "person-sign", 2); !errors.Is(err, actor.ErrRole) {
			t.Errorf("an officer without the role publishes: %v", err)
		}
		if _, err := w.PublishProfile(ctx, profileChecker, "person-sign", 2); err != nil {
			t.Fatal(err)
		}
		if _, err := w.PublishProfile(ctx, profileChecker, "person-sign", 2); !errors.Is(err, ca.ErrProfileState) {
			t.Errorf("published twice: %v", err)
		}
		if got := w.ProfilesInForce()["person-sign"]; got.Days != 365 || got.Version != 2 {
			t.Errorf("version %d with %d days is in force", got.Version, got.Days)
		}
	})
}

func TestADryRunShowsWhatWouldChangeAndKeepsNothing(t *testing.T) {
	eachSeeded(t, func(t *testing.T, w *world) {
		text := w.edited("person-sign", "days: 1095", "days: 365 # a comment does not count")
		review, err := w.ImportProfile(t.Context(), profileMaker, ca.ProfileImport{Text: text, DryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(review.Differences) != 1 || review.Differences[0] != (ca.Difference{Field: "days", Old: "1095", New: "365"}) {
			t.Errorf("differences %v", review.Differences)
		}
		for _, want := range []string{"张三", "CRL: [http://localhost:8480/pki/", "digitalSignature", "110101199003070038"} {
			if !strings.Contains(review.Sample.Dump, want) {
				t.Errorf("the sample does not show %q:\n%s", want, review.Sample.Dump)
			}
		}
		if all, err := w.ProfileVersions(t.Context(), profileMaker, "person-sign"); err != nil || len(all) != 1 {
			t.Fatalf("a dry run left %d versions, %v", len(all), err)
		}
	})
}

func TestAnApplicationKeepsItsVersion(t *testing.T) {
	eachSeeded(t, func(t *testing.T, w *world) {
		old := w.approved(mustCSR(t))
		w.changed("person-sign", "days: 1095", "days: 365")
		fresh := w.approved(mustCSR(t))
		for _, c := range []struct {
			app           ca.Application
			version, days int
		}{{old, 1, 1095}, {fresh, 2, 365}} {
			app, err := w.Issue(t.Context(), officer, c.app.ID)
			if err != nil {
				t.Fatal(err)
			}
			if cert := w.chain(app.Certificates[0])[0]; app.ProfileVersion != c.version || !cert.NotAfter.Equal(cert.NotBefore.AddDate(0, 0, c.days)) {
				t.Errorf("version %d gave %s to %s", app.ProfileVersion, cert.NotBefore, cert.NotAfter)
			}
		}
	})
}

func TestAWithdrawnVersionStopsAndTheOldOneStaysAway(t *testing.T) {
	eachSeeded(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		waiting := w.approved(mustCSR(t))
		w.changed("person-sign", "days: 1095", "days: 365")
		if _, err := w.WithdrawProfile(ctx, officer, "person-sign", 2); !errors.Is(err, actor.ErrRole) {
			t.Errorf("an officer withdraws: %v", err)
		}
		for _, version := range []int{2, 1} {
			if _, err := w.WithdrawProfile(ctx, profileMaker, "person-sign", version); err != nil {
				t.Fatal(err)
			}
			_, err := w.Apply(ctx, w.citizen, ca.Request{Profile: "person-sign", Holder: "p1", CSR: mustCSR(t)})
			if !errors.Is(err, ca.ErrProfile) {
				t.Errorf("after version %d was withdrawn one may apply: %v", version, err)
			}
		}
		if _, err := w.Issue(ctx, officer, waiting.ID); !errors.Is(err, ca.ErrProfile) {
			t.Errorf("issued under a withdrawn version: %v", err)
		}
		if _, err := w.WithdrawProfile(ctx, profileMaker, "person-sign", 1); !errors.Is(err, ca.ErrProfileState) {
			t.Errorf("withdrawn twice: %v", err)
		}
		in := ca.ProfileImport{Text: []byte(w.Profiles["person-sign"].Text())} // going back is an import, too
		review, err := w.ImportProfile(ctx, profileMaker, in)
		if err != nil || review.Version.Version != 3 {
			t.Fatalf("back to the first text: %+v, %v", review.Version, err)
		}
		if _, err := w.PublishProfile(ctx, profileChecker, "person-sign", 3); err != nil {
			t.Fatal(err)
		}
	})
}

func TestOtherNodesFollowAPublication(t *testing.T) {
	eachSeeded(t, func(t *testing.T, w *world) {
		here := w.Authority
		w.open() // another node
		there := w.Authority
		w.changed("person-sign", "days: 1095", "days: 365")
		if here.ProfilesInForce()["person-sign"].Days != 1095 {
			t.Fatal("the other node knew before it looked")
		}
		if err := here.FollowProfiles(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := here.ProfilesInForce()["person-sign"]
		if before.Days != 365 || there.ProfilesInForce()["person-sign"].Days != 365 {
			t.Error("a publication did not reach the other node")
		}
		if err := here.FollowProfiles(t.Context()); err != nil || here.ProfilesInForce()["person-sign"] != before {
			t.Error("profiles are read anew though nothing changed")
		}
	})
}

// A newer program brings newer files. What an operator published stays in force; what nobody touched follows the program.
func TestAShippedFileNeverReplacesAnOperatorsVersion(t *testing.T) {
	eachSeeded(t, func(t *testing.T, w *world) {
		ctx, system := t.Context(), actor.ForSystem("start")
		w.changed("person-sign", "days: 1095", "days: 365")
		for name, days := range map[string]int{"person-sign": 365, "entity-sign": 700} {
			p, err := ca.ParseProfile([]byte(strings.Replace(w.Profiles[name].Text(), "days: 1095", "days: 700", 1)))
			if err != nil {
				t.Fatal(err)
			}
			w.Profiles[name] = p
			for range 2 { // and a restart makes no more of it
				if err := w.SeedProfiles(ctx, system); err != nil {
					t.Fatal(err)
				}
			}
			if got := w.ProfilesInForce()[name].Days; got != days {
				t.Errorf("%s: %d days in force, want %d", name, got, days)
			}
		}
		all, err := w.ProfileVersions(ctx, profileMaker, "person-sign")
		if err != nil || len(all) != 3 || all[0].State != ca.ProfileProposed || all[0].Source != ca.ProfileShipped {
			t.Fatalf("versions %+v, %v", all, err)
		}
		if _, err := w.PublishProfile(ctx, profileMaker, "person-sign", all[0].Version); err != nil {
			t.Errorf("one administrator takes over what the program brought: %v", err)
		}
		if err := w.SeedProfiles(ctx, w.citizen); !errors.Is(err, actor.ErrRole) {
			t.Errorf("a citizen keeps profiles: %v", err)
		}
	})
}

func TestANewVersionDoesNotOpenWhatTheSystemAppliesFor(t *testing.T) {
	eachSeeded(t, func(t *testing.T, w *world) {
		for _, c := range []struct{ name, from, to string }{
			{"seal-signer", "apply: [system]", "apply: [registrar]"},
			{"person-sign", "holder: person", "holder: official"},
			{"entity-sign", "issuer: issuing", "issuer: root"},
			{"tsa", "name: tsa", "name: tsa-too"},
			{"issuing", "name: issuing", "name: shadow"},
		} {
			_, err := w.ImportProfile(t.Context(), profileMaker, ca.ProfileImport{Text: w.edited(c.name, c.from, c.to)})
			if !errors.Is(err, ca.ErrProfileGuard) {
				t.Errorf("%s to %q: %v", c.name, c.to, err)
			}
		}
	})
}

// One super administrator stops an authority's profile; two bring it back, under the use that it had and no other.
func TestTwoBringBackAWithdrawnProfile(t *testing.T) {
	eachSeeded(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		wider := [][]byte{w.edited("issuing", "apply: [system]", "apply: [registrar]"), w.edited("person-sign", "holder: person", "holder: official")}
		for _, name := range []string{"issuing", "person-sign"} {
			if _, err := w.WithdrawProfile(ctx, superAdmin, name, 1); err != nil {
				t.Fatal(err)
			}
		}
		for _, opened := range wider {
			if _, err := w.ImportProfile(ctx, profileMaker, ca.ProfileImport{Text: opened}); !errors.Is(err, ca.ErrProfileGuard) {
				t.Errorf("opened after it was withdrawn: %v", err)
			}
		}
		review, err := w.ImportProfile(ctx, profileMaker, ca.ProfileImport{Text: []byte(w.Profiles["issuing"].Text())})
		if err != nil || review.Version.Version != 2 {
			t.Fatalf("version %d, %v", review.Version.Version, err)
		}
		if _, err := w.PublishProfile(ctx, profileMaker, "issuing", 2); !errors.Is(err, actor.ErrSameActor) {
			t.Errorf("one alone brings it back: %v", err)
		}
		if _, err := w.PublishProfile(ctx, profileChecker, "issuing", 2); err != nil || w.ProfilesInForce()["issuing"] == nil {
			t.Errorf("two do not bring it back: %v", err)
		}
	})
}

func TestADamagedVersionIsNotInForce(t *testing.T) {
	eachSeeded(t, func(t *testing.T, w *world) {
		err := w.db.CA().Update(t.Context(), func(tx ca.W) error { // as one would who has the database
			return tx.AddProfileVersion(ca.ProfileVersion{
				Name: "person-sign", Version: 9, Source: ca.ProfileByOperator, State: ca.ProfilePublished, Published: true,
				Text: w.edited("person-sign", "officers: 1", "officers: 0"), SM3: make([]byte, 32),
			})
		})
		if err != nil {
			t.Fatal(err)
		}
		w.open()
		if w.ProfilesInForce()["person-sign"] != nil || w.ProfilesInForce()["entity-sign"] == nil {
			t.Error("a changed text is in force, or others are not")
		}
		if err := w.SeedProfiles(t.Context(), actor.ForSystem("test")); !errors.Is(err, ca.ErrDamagedProfile) {
			t.Errorf("nobody is told: %v", err)
		}
	})
}

func TestEveryShippedProfileGivesASampleThatPassesTheLints(t *testing.T) {
	eachSeeded(t, func(t *testing.T, w *world) {
		for name, p := range w.ProfilesInForce() {
			sample, err := w.Sample(p, nil)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if p.IDForm == ca.FormPseudonym && strings.Contains(sample.Dump, "110101199003070038") {
				t.Errorf("%s shows the number:\n%s", name, sample.Dump)
			}
		}
	})
}

// A profile that asks for what no certificate may have: the importer is told which lint, and if it came into force
// nevertheless, nothing is reserved and nothing signed.
func TestALintRefusesBeforeASerialIsReserved(t *testing.T) {
	eachSeeded(t, func(t *testing.T, w *world) {
		text := w.edited("person-sign", "usage: [digitalSignature", "usage: [keyEncipherment, digitalSignature")
		_, err := w.ImportProfile(t.Context(), profileMaker, ca.ProfileImport{Text: text})
		if refused, ok := errors.AsType[*fault.Error](err); !ok || refused.Code != "ca.lint.key-usage-sm2" {
			t.Errorf("import: %v", err)
		}
		sum := gm.SM3(text)
		err = w.db.CA().Update(t.Context(), func(tx ca.W) error {
			return tx.AddProfileVersion(ca.ProfileVersion{
				Name: "person-sign", Version: 2, Source: ca.ProfileByOperator, State: ca.ProfilePublished, Published: true, Text: text, SM3: sum[:],
			})
		})
		if err == nil {
			err = w.FollowProfiles(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		signed := len(w.keys.signed)
		_, err = w.Apply(t.Context(), w.citizen, ca.Request{Profile: "person-sign", Holder: "p1", CSR: mustCSR(t)})
		if refused, ok := errors.AsType[*fault.Error](err); !ok || refused.Code != "ca.lint.key-usage-sm2" {
			t.Errorf("apply: %v", err)
		}
		err = w.db.CA().View(t.Context(), func(r ca.R) error {
			waiting, err := r.Reservations(w.now.Add(time.Hour), 10)
			if len(waiting) > 0 {
				t.Errorf("%d serials were reserved", len(waiting))
			}
			return err
		})
		if err != nil || len(w.keys.signed) != signed {
			t.Errorf("%d signatures were made, %v", len(w.keys.signed)-signed, err)
		}
	})
}

// Where a profile allows each subject name once, a second holder of the same name is told before anything is signed; the
// first one's next certificate is no second.
func TestASubjectNameIsForOneHolder(t *testing.T) {
	eachSeeded(t, func(t *testing.T, w *world) {
		w.changed("person-sign", "issuer: issuing", "issuer: issuing\nsame_name: refuse")
		for range 2 {
			app := w.approved(mustCSR(t))
			if _, err := w.Issue(t.Context(), officer, app.ID); err != nil {
				t.Fatal(err)
			}
		}
		namesake := actor.Actor{Subject: "p2", Capacity: actor.Person}
		_, err := w.Apply(t.Context(), namesake, ca.Request{Profile: "person-sign", Holder: "p2", CSR: mustCSR(t)})
		if !errors.Is(err, ca.ErrNameTaken) {
			t.Errorf("a namesake got the same subject: %v", err)
		}
		err = w.db.CA().Update(t.Context(), func(tx ca.W) error { return tx.ClaimName("issuing", make([]byte, 32), "a") })
		if err == nil {
			err = w.db.CA().Update(t.Context(), func(tx ca.W) error { return tx.ClaimName("issuing", make([]byte, 32), "b") })
		}
		if !errors.Is(err, ca.ErrNameTaken) { // two at once, past the look beforehand
			t.Errorf("a name was claimed for two: %v", err)
		}
	})
}

// The switch of a console that says whether certificates are published.
func TestPrivateCertificatesAreForTheHolder(t *testing.T) {
	eachSeeded(t, func(t *testing.T, w *world) {
		entity := actor.Actor{Subject: "p9", Capacity: actor.Entity, For: "e1"}
		app, err := w.Apply(t.Context(), entity, ca.Request{Profile: "entity-sign", Holder: "e1", CSR: mustCSR(t)})
		if err == nil {
			app, err = w.Decide(t.Context(), officer, app.ID, true, "")
		}
		if err == nil {
			app, err = w.Issue(t.Context(), entity, app.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
		see := func(by actor.Actor) bool { _, err := w.Chain(t.Context(), by, app.Certificates[0]); return err == nil }
		if !see(w.citizen) {
			t.Error("an entity's certificate is not public")
		}
		w.changed("entity-sign", "issuer: issuing", "issuer: issuing\nprivate: true")
		if see(w.citizen) || !see(entity) || !see(officer) {
			t.Error("a private certificate is shown to others, or not to the holder")
		}
	})
}

// An authority for peers without SM2 is made when it is asked for, with the one above it, once.
func TestAnAuthorityIsMadeOnDemand(t *testing.T) {
	eachSeeded(t, func(t *testing.T, w *world) {
		if names, _ := w.Issuers(); len(names) != 2 {
			t.Fatalf("the first start made %v", names)
		}
		if err := w.MakeAuthority(t.Context(), profileMaker, "issuing-p256"); !errors.Is(err, actor.ErrRole) {
			t.Errorf("a business administrator makes an authority: %v", err)
		}
		for _, name := range []string{"person-sign", "issuing"} {
			if err := w.MakeAuthority(t.Context(), actor.ForSystem("test"), name); !errors.Is(err, ca.ErrProfile) {
				t.Errorf("%s was made on demand: %v", name, err)
			}
		}
		if err := w.MakeAuthority(t.Context(), actor.ForSystem("test"), "root-p256"); err == nil {
			t.Error("a key of another kind than the profile's was certified") // the test's device makes SM2 alone
		}
		w.Keys = &plainKeys{memoryKeys: w.keys}
		for range 2 {
			if err := w.MakeAuthority(t.Context(), actor.ForSystem("test"), "issuing-p256"); err != nil {
				t.Fatal(err)
			}
		}
		if names, _ := w.Issuers(); len(names) != 4 {
			t.Errorf("authorities %v", names)
		}
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		csr, err := certs.NewRequest(key, certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: "x"}), certs.RequestOptions{})
		if err != nil {
			t.Fatal(err)
		}
		app, err := w.Apply(t.Context(), second2registrar(), ca.Request{Profile: "entity-p256", Holder: "e1", CSR: csr})
		if err == nil {
			app, err = w.Decide(t.Context(), second, app.ID, true, "")
		}
		if err == nil {
			app, err = w.Issue(t.Context(), officer, app.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
		chain := w.chain(app.Certificates[0])
		if len(chain) != 3 || chain[2].SignatureAlgorithm != certs.ECDSAWithSHA256 || chain[0].CheckSignature(chain[1]) != nil || chain[1].CheckSignature(chain[2]) != nil {
			t.Errorf("a chain of %d under P-256", len(chain))
		}
	})
}

// plainKeys makes P-256 keys, too.
type plainKeys struct {
	*memoryKeys
	plain map[string]*ecdsa.PrivateKey
}

func (k *plainKeys) Ensure(ctx context.Context, by actor.Actor, label, algorithm, purpose string) (crypto.Signer, error) {
	if algorithm != "p256" {
		return k.memoryKeys.Ensure(ctx, by, label, algorithm, purpose)
	}
	if purpose != "ca-root" && purpose != "ca-issuing" {
		return nil, fmt.Errorf("purpose %q", purpose)
	}
	if k.plain == nil {
		k.plain = map[string]*ecdsa.PrivateKey{}
	}
	if k.plain[label] == nil {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		k.plain[label] = key
	}
	return k.plain[label], nil
}

func (k *plainKeys) Signer(ctx context.Context, label string) (crypto.Signer, error) {
	if key := k.plain[label]; key != nil {
		return key, nil
	}
	return k.memoryKeys.Signer(ctx, label)
}
