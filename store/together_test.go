package store_test

import (
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"hufu/ca"
	"hufu/internal/actor"
	"hufu/store"
	"hufu/store/storetest"
)

// issuing is an application on its way to a certificate; a transaction may hold several.
type issuing struct {
	app   ca.Application
	owner ca.KeyOwner
	res   ca.Reservation
	cert  ca.Record
}

func issuingOf(n int) issuing {
	id, at := "app"+strconv.Itoa(n), time.Unix(int64(n+1), 1000).UTC()
	serial, key := []byte("serial of "+id), []byte("key of "+id)
	app := ca.Application{
		ID: id, Profile: "p" + id, ProfileVersion: n, Holder: "h" + id, Request: []byte("request of " + id), SPKI: []byte("spki of " + id),
		State: ca.Approved, Maker: actor.Actor{Subject: "m" + id, Capacity: actor.Person}, At: at, DecidedAt: at.Add(time.Second),
	}
	if n%2 == 1 {
		app.Facts, app.Authorised, app.Key, app.Steps = map[string]string{"name": id}, "a"+id, "k"+id, []ca.Step{{Act: "submit", By: id, At: at}}
	}
	return issuing{
		app,
		ca.KeyOwner{Holder: app.Holder, Use: "sign"},
		ca.Reservation{
			Serial: serial, Issuer: "issuing", Application: id, Use: "sign", Profile: app.Profile, TBS: []byte("tbs of " + id), TBSHash: []byte("hash of " + id),
			Shard: n, At: at, Under: []ca.Named{{Issuer: "root", Serial: []byte("issuing")}, {Issuer: "root", Serial: []byte("root")}},
		},
		ca.Record{
			Serial: serial, Issuer: "issuing", Application: id, Profile: app.Profile, Holder: app.Holder, SPKI: key,
			NotBefore: at, NotAfter: at.Add(time.Hour), DER: []byte("der of " + id), Shard: n, IssuedAt: at,
		},
	}
}

func (i issuing) begin(w ca.W) error {
	return errors.Join(w.AddApplication(i.app), w.ClaimKey(i.cert.SPKI, i.owner), w.Reserve(i.res))
}

// issued is the application after end.
func (i issuing) issued() ca.Application {
	a := i.app
	a.State, a.Certificates, a.Revision = ca.Issued, []string{fmt.Sprintf("%x", i.cert.Serial)}, 1
	if a.ProfileVersion%2 == 1 {
		a.Envelope = []byte("envelope of " + a.ID)
	}
	return a
}

func (i issuing) end(w ca.W) error {
	a := i.issued()
	return errors.Join(w.AddCertificate(i.cert), w.SetIssued(a.ID, a.Certificates, a.Envelope))
}

// all does the same to each in one transaction.
func all(t *testing.T, db *store.DB, several []issuing, do func(issuing, ca.W) error) error {
	t.Helper()
	return db.CA().Update(t.Context(), func(w ca.W) error {
		for _, i := range several {
			if err := do(i, w); err != nil {
				return err
			}
		}
		return nil
	})
}

// check compares what the database holds.
func check(t *testing.T, db *store.DB, what string, read func(ca.R) (any, error), want any) {
	t.Helper()
	if err := db.CA().View(t.Context(), func(r ca.R) error {
		got, err := read(r)
		if want == nil && errors.Is(err, ca.ErrUnknown) {
			return nil
		}
		if g, w := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want); err == nil && g != w {
			t.Errorf("%s:\n%s\nwant\n%s", what, g, w)
		}
		return err
	}); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// What goes to the database as one statement for several is kept of each as it was given.
func TestSeveralTogetherAreKept(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		var several []issuing
		for n := range 5 {
			several = append(several, issuingOf(n))
		}
		if err := all(t, db, several, issuing.begin); err != nil {
			t.Fatal(err)
		}
		for _, i := range several {
			reserved := i.res
			reserved.Under = nil
			check(t, db, "application", func(r ca.R) (any, error) { return r.Application(i.app.ID) }, i.app)
			check(t, db, "key", func(r ca.R) (any, error) { k, err := r.Key(i.cert.SPKI, nil); return *k.Owner, err }, i.owner)
			check(t, db, "reservation", func(r ca.R) (any, error) { return r.Reservation(i.res.Serial) }, reserved)
		}
		if err := all(t, db, several, issuing.end); err != nil {
			t.Fatal(err)
		}
		for _, i := range several {
			check(t, db, "issued application", func(r ca.R) (any, error) { return r.Application(i.app.ID) }, i.issued())
			check(t, db, "certificate", func(r ca.R) (any, error) { return r.CertificateBySerial(i.cert.Serial) }, i.cert)
			check(t, db, "reservation of the issued", func(r ca.R) (any, error) { return r.Reservation(i.res.Serial) }, nil)
		}
	})
}

// One among several that must not be: nothing of any is kept, and the reason is told.
func TestOneOfSeveralIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		ends  bool // it is the end that is refused
		spoil func(i *issuing)
		want  error
	}{
		"the key is another's":     {false, func(i *issuing) { i.cert.SPKI = []byte("taken") }, ca.ErrKeyUsed},
		"the authority is revoked": {false, func(i *issuing) { i.res.Under[1].Serial = []byte("revoked") }, ca.ErrIssuerRevoked},
		"the serial is taken":      {false, func(i *issuing) { i.res.Serial = []byte("serial of app0") }, ca.ErrState},
		"the reservation is void":  {true, func(i *issuing) { i.cert.Serial = []byte("void") }, ca.ErrState},
		"it was issued meanwhile":  {true, func(i *issuing) { i.app.ID = "nobody's" }, ca.ErrState},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Each(t, func(t *testing.T, db *store.DB) {
				prepare(t, db)
				several := []issuing{issuingOf(0), issuingOf(1), issuingOf(2), issuingOf(3)}
				stage, before, after := issuing.begin, any(nil), several[0].app
				if c.ends {
					if err := all(t, db, several, issuing.begin); err != nil {
						t.Fatal(err)
					}
					stage, before = issuing.end, after
				}
				good := issuingOf(2)
				c.spoil(&several[2])
				if err := all(t, db, several, stage); !errors.Is(err, c.want) {
					t.Fatalf("%v, want %v", err, c.want)
				}
				check(t, db, "after the refusal", func(r ca.R) (any, error) { return r.Application("app0") }, before)
				several[2] = good
				if err := all(t, db, several, stage); err != nil {
					t.Errorf("without the bad one: %v", err)
				}
			})
		})
	}
}

// Two certificates for one key may be made at the same moment, and one of another holder is refused for its key, not for a fault.
func TestOneKeyIsClaimedTwiceTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		several := []issuing{issuingOf(0), issuingOf(1), issuingOf(2), issuingOf(3)}
		several[2].cert.SPKI, several[2].owner = several[0].cert.SPKI, several[0].owner
		if err := all(t, db, several, issuing.begin); err != nil {
			t.Fatalf("one key twice: %v", err)
		}
		others := []issuing{issuingOf(4), issuingOf(5), issuingOf(6)}
		others[2].cert.SPKI = others[1].cert.SPKI
		if err := all(t, db, others, issuing.begin); !errors.Is(err, ca.ErrKeyUsed) {
			t.Errorf("one key for two holders: %v", err)
		}
		check(t, db, "after the refusal", func(r ca.R) (any, error) { return r.Application("app4") }, nil)
	})
}

// What is issued twice in one transaction is issued not at all.
func TestOneApplicationIsIssuedOnceTogether(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		several := []issuing{issuingOf(0), issuingOf(1), issuingOf(2)}
		if err := all(t, db, several, issuing.begin); err != nil {
			t.Fatal(err)
		}
		twice := func(i issuing, w ca.W) error {
			a := i.issued()
			return errors.Join(w.SetIssued(a.ID, a.Certificates, a.Envelope), w.SetIssued(a.ID, a.Certificates, a.Envelope))
		}
		if err := all(t, db, several, twice); !errors.Is(err, ca.ErrState) {
			t.Errorf("issued twice: %v", err)
		}
		check(t, db, "after the refusal", func(r ca.R) (any, error) { return r.Application("app0") }, several[0].app)
	})
}
