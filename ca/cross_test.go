package ca_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"hufu/ca"
	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/actor"
)

// organisation gives a subject that the cross profile takes.
func organisation(name string, more func(*certs.Template)) func(*certs.Template) {
	return func(tm *certs.Template) {
		tm.Subject = certs.NewName(
			certs.Attribute{Type: certs.OIDCountry, Value: "CN"}, certs.Attribute{Type: certs.OIDOrganization, Value: name}, certs.Attribute{Type: certs.OIDCommonName, Value: name},
		)
		if len(tm.AuthorityKeyID) == 0 {
			tm.Issuer = tm.Subject
		}
		if more != nil {
			more(tm)
		}
	}
}

func TestCrossCertificateForAnotherAuthority(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		pub := newPublisher(t)
		w.Client = pub.Client()
		const ours, theirs certs.OID = "2.999.156.1.2.1", "2.999.157.1"
		other := foreign(t, nil, "", organisation("外省 CA", authority(-1)))
		terms := ca.CrossTerms{
			PathLen: 0, Days: 365, Names: &bundle.Names{Permitted: bundle.NameSet{Directory: [][]string{{"C=CN", "O=外省"}}}},
			Policies: []bundle.PolicyPair{{Theirs: theirs, Ours: ours}},
		}
		leaf := foreign(t, &other, "", organisation("外省", func(tm *certs.Template) {
			holderOf(certs.OIDIdentityPerson, certs.IdentityResident, "11010119900307002X")(tm)
			tm.Policies = []certs.Policy{{ID: theirs}}
		}))
		elsewhere := foreign(t, &other, "", organisation("别处", func(tm *certs.Template) { tm.Policies = []certs.Policy{{ID: theirs}} }))
		_, chain := w.Issuers()
		for name, row := range map[string]struct {
			proof []byte
			terms ca.CrossTerms
			err   error
		}{
			"no proof":           {leaf.Raw, terms, ca.ErrCrossProof},
			"our own root":       {chain["root"].Raw, terms, ca.ErrCross},
			"deeper than we may": {other.Raw, ca.CrossTerms{PathLen: 1}, ca.ErrCross},
			"too long":           {other.Raw, ca.CrossTerms{Days: 9999}, ca.ErrCross},
			"names of nothing":   {other.Raw, ca.CrossTerms{Names: &bundle.Names{}}, ca.ErrCross},
		} {
			if _, err := w.ProposeCross(ctx, business, row.proof, row.terms, "x"); !errors.Is(err, row.err) {
				t.Errorf("%s: %v, want %v", name, err, row.err)
			}
		}
		c, err := w.ProposeCross(ctx, business, other.Raw, terms, "互认协议")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.DecideCross(ctx, business, c.ID, true, ""); !errors.Is(err, actor.ErrSameActor) {
			t.Errorf("the maker agreed: %v", err)
		}
		if c, err = w.DecideCross(ctx, checker, c.ID, true, ""); err != nil || c.State != ca.MotionProposed {
			t.Fatalf("%s %v", c.State, err)
		}
		if _, err := w.DecideCross(ctx, checker, c.ID, true, ""); !errors.Is(err, actor.ErrSameActor) {
			t.Errorf("one agreed twice: %v", err)
		}
		if _, err := w.IssueCross(ctx, business, c.ID); !errors.Is(err, ca.ErrMotion) {
			t.Errorf("issued after one had agreed: %v", err)
		}
		if c, err = w.DecideCross(ctx, second, c.ID, true, ""); err != nil || c.State != ca.MotionApproved {
			t.Fatalf("%s %v", c.State, err)
		}
		w.store.failAt(2, true) // after the signature, before it is stored
		if _, err := w.IssueCross(ctx, business, c.ID); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		if n, err := w.Recover(ctx, true); err != nil || n != 1 {
			t.Errorf("voided %d, %v", n, err)
		}
		if c, err = w.IssueCross(ctx, business, c.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := w.IssueCross(ctx, business, c.ID); !errors.Is(err, ca.ErrMotion) {
			t.Errorf("issued twice: %v", err)
		}
		cross, err := certs.Parse(c.Certificate)
		if err != nil || cross.MaxPathLen != 0 || cross.NameConstraints == nil || cross.PolicyMappings[0] != (certs.PolicyMapping{Issuer: ours, Subject: theirs}) {
			t.Fatalf("%+v %v", cross, err)
		}
		validate := func(leaf party) *certs.Validation {
			return certs.Validate(leaf.Certificate, certs.Options{Roots: []*certs.Certificate{chain["root"]}, Intermediates: []*certs.Certificate{cross, other.Certificate}, At: w.now, Policies: []certs.OID{ours}})
		}
		if v := validate(leaf); v.Outcome != certs.Passed {
			t.Errorf("%+v", v.Steps)
		}
		if v := validate(elsewhere); v.Step(certs.StepNames).Code != "names.not-permitted" {
			t.Errorf("a name outside: %+v", v.Step(certs.StepNames))
		}

		// The cross certificate gives a path; purposes and identities are the trust list's.
		look := func(p bundle.Purpose) (ca.Recognised, error) {
			return w.Recognise(ctx, []*certs.Certificate{leaf.Certificate}, p, w.now)
		}
		if _, err := look(bundle.Login); err == nil {
			t.Error("recognised by a cross certificate alone")
		}
		e := entry("wai-sheng", other, bundle.Person, bundle.Login)
		e.CRLs = []string{pub.URL + "/other.crl"}
		pub.set(map[string][]byte{"/other.crl": emptyList(t, other, 1, start)})
		w.listed(put(e))
		if err := w.FetchStatus(ctx); err != nil {
			t.Fatal(err)
		}
		if r, err := look(bundle.Login); err != nil || r.Entry != "wai-sheng" {
			t.Errorf("%+v %v", r, err)
		}
		if _, err := look(bundle.SealSigner); err == nil {
			t.Error("used for seals, for which it is not listed")
		}
		b, err := w.PublishBundle(ctx, factSource{})
		if err != nil {
			t.Fatal(err)
		}
		parsed, _, err := bundle.Parse(b.Data, bundle.Pin{})
		if err != nil {
			t.Fatal(err)
		}
		v := certs.Validate(leaf.Certificate, certs.Options{
			Roots: parsed.Roots(bundle.SealSigner), Intermediates: []*certs.Certificate{cross}, At: w.now, TimeProven: true, Terms: parsed.Terms(w.now, bundle.SealSigner),
		})
		if v.Outcome == certs.Passed {
			t.Error("an offline verifier takes it for seals by way of the cross certificate")
		}
		if err := w.WithdrawCross(ctx, business, c.ID); err != nil {
			t.Fatal(err)
		}
		if b, err = w.PublishBundle(ctx, factSource{}); err != nil {
			t.Fatal(err)
		}
		if parsed, _, err = bundle.Parse(b.Data, bundle.Pin{}); err != nil {
			t.Fatal(err)
		}
		for _, one := range parsed.Authorities {
			if string(one.Certificate) == string(chain["root"].Raw) && !one.OnlyListed {
				t.Error("withdrawn and not yet revoked, the cross certificate opens more than it did in force")
			}
		}
	})
}

func TestCrossCertificateFromAnotherAuthority(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		bridge := foreign(t, nil, "", organisation("桥 CA", authority(-1)))
		_, chain := w.Issuers()
		root := chain["root"]
		into := func(change func(*certs.Template)) []byte {
			key := w.keys.keys["ca-root"]
			return foreignKey(t, &bridge, "", key, func(tm *certs.Template) {
				authority(1)(tm)
				tm.Subject, tm.SubjectKeyID = root.Subject, root.SubjectKeyID
				if change != nil {
					change(tm)
				}
			}).Raw
		}
		stranger := foreign(t, &bridge, "", organisation("别人", authority(0)))
		for name, der := range map[string][]byte{
			"for another":   stranger.Raw,
			"no CA":         into(func(tm *certs.Template) { tm.IsCA, tm.KeyUsage = false, certs.UsageDigitalSignature }),
			"ended":         into(func(tm *certs.Template) { tm.NotAfter = start.AddDate(0, 0, -1) }),
			"our own":       root.Raw,
			"another keyid": into(func(tm *certs.Template) { tm.SubjectKeyID = []byte("x") }),
		} {
			if _, err := w.AcceptCross(ctx, business, der, "x"); !errors.Is(err, ca.ErrCross) {
				t.Errorf("%s: %v", name, err)
			}
		}
		c, err := w.AcceptCross(ctx, business, into(nil), "桥接")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.DecideCross(ctx, business, c.ID, true, ""); !errors.Is(err, actor.ErrSameActor) {
			t.Errorf("the maker agreed: %v", err)
		}
		if _, err := w.DecideCross(ctx, checker, c.ID, true, ""); err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(w.Handler())
		defer server.Close()
		answer, err := http.Get(server.URL + "/pki/ca/root.p7c")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		der, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		published, err := certs.ParseCertificates(der)
		if err != nil || len(published) != 2 {
			t.Fatalf("%d certificates, %v", len(published), err)
		}
		// Whoever trusts the bridge finds us by it.
		_, csr := newCSR(t)
		app, err := w.Issue(ctx, w.citizen, w.approved(csr).ID)
		if err != nil {
			t.Fatal(err)
		}
		v := certs.Validate(w.chain(app.Certificates[0])[0], certs.Options{
			Roots: []*certs.Certificate{bridge.Certificate}, Intermediates: append(published, chain["issuing"]), At: w.now,
		})
		if v.Outcome != certs.Passed || len(v.Path) != 4 {
			t.Errorf("%d: %+v", len(v.Path), v.Steps)
		}
		// It adds no trust here: a certificate of the bridge is a stranger's.
		if _, err := w.Recognise(ctx, []*certs.Certificate{stranger.Certificate, bridge.Certificate}, bundle.Person, w.now); !errors.Is(err, ca.ErrNotTrusted) {
			t.Errorf("%v", err)
		}
		if err := w.WithdrawCross(ctx, checker, c.ID); err != nil {
			t.Fatal(err)
		}
		all, err := w.Crosses(ctx, business)
		if err != nil || !slices.ContainsFunc(all, func(c ca.Cross) bool { return c.State == ca.MotionWithdrawn }) {
			t.Errorf("%+v %v", all, err)
		}
	})
}
