package enrol_test

import (
	"crypto"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"hufu/ca"
	"hufu/ca/enrol"
	"hufu/certs"
	"hufu/certs/cmp"
)

// got is what a certificate's key gets for a new key by a message of a kind.
func (w *world) got(by *certs.Certificate, key crypto.Signer, kind cmp.Kind, profile string, o certs.RequestMessageOptions) (*certs.Certificate, crypto.Signer) {
	w.t.Helper()
	next := newKey(w.t, "sm2")
	m, err := w.ask(w.begin(&cmp.Client{Certificate: by, Signer: key}, true), profile, request(w.t, kind, next, o))
	if err != nil {
		w.t.Fatal(err)
	}
	cert, _, err := m.Granted()
	if err != nil {
		w.t.Fatal(err)
	}
	return cert, next
}

// TestWhatAStolenCertificateGotIsFound: by cr, by kur, by what came of that, and by a registration client for others. It is named when
// the stolen one is revoked, and revoked along when an officer says so, also later.
func TestWhatAStolenCertificateGotIsFound(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		stolen, key := w.enrolled("device", "e1", "sm2")
		sibling, _ := w.enrolled("device", "e1", "sm2")
		one, oneKey := w.got(stolen, key, cmp.CR, "", certs.RequestMessageOptions{})
		two, _ := w.got(one, oneKey, cmp.CR, "", certs.RequestMessageOptions{})
		three, _ := w.got(stolen, key, cmp.KUR, "", certs.RequestMessageOptions{Replaces: stolen})
		all := []*certs.Certificate{one, two, three}
		end := ca.Ending{Serial: stolen.Serial, Reason: certs.ReasonKeyCompromise}
		named := func(e ca.Ended, err error) {
			t.Helper()
			if err != nil || len(e.Revoked) != 1 || len(e.Also) != len(all) {
				t.Fatalf("%d revoked, also %+v, %v", len(e.Revoked), e.Also, err)
			}
			for _, c := range all {
				if !slices.ContainsFunc(e.Also, func(r ca.Related) bool {
					return slices.Equal(r.Serial, c.Serial) && r.Why == ca.RelatedObtained && len(r.Under) > 0
				}) {
					t.Errorf("%x is not named: %+v", c.Serial, e.Also)
				}
			}
		}
		dry := end
		dry.DryRun = true
		named(w.CA.End(ctx, approver, dry))
		named(w.CA.End(ctx, approver, end))
		for _, c := range all {
			if w.revoked(c) {
				t.Errorf("%x was revoked without a word", c.Serial)
			}
		}
		if _, err := w.CA.End(ctx, approver, end); !errors.Is(err, ca.ErrRevoked) {
			t.Errorf("again: %v", err)
		}
		end.Obtained = true
		done, err := w.CA.End(ctx, approver, end)
		if err != nil || len(done.Revoked) != len(all) || len(done.Also) != 0 {
			t.Fatalf("%+v %v", done, err)
		}
		for _, c := range all {
			if !w.revoked(c) {
				t.Errorf("%x goes on", c.Serial)
			}
		}
		if w.revoked(sibling) {
			t.Error("what the holder got under a secret went too")
		}
		x := w.begin(bySecret(w.secret(enrol.Order{Profile: "device", Holder: "e1"})), true)
		if m, err := w.ask(x, "", request(t, cmp.IR, oneKey, certs.RequestMessageOptions{})); err != nil || refusedWith(m) == 0 {
			t.Errorf("the thief's key is taken again: %v, %v", m, err)
		}
		if again, err := w.CA.End(ctx, approver, end); err != nil || len(again.Revoked) != 0 {
			t.Errorf("again: %+v %v", again, err)
		}
	})
}

// TestAHolderTakesAlongItsOwnAlone: what a stolen registration client's certificate got is other people's.
func TestAHolderTakesAlongItsOwnAlone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		stolen, key := w.enrolled("ra", "ra", "sm2")
		if _, err := w.PutClient(t.Context(), business, enrol.Client{Subject: "ra", Profiles: []string{"device"}}); err != nil {
			t.Fatal(err)
		}
		theirs, _ := w.got(stolen, key, cmp.IR, "device", certs.RequestMessageOptions{Pairs: map[string]string{"holder": "e1"}})
		shown, err := w.CA.Shown(t.Context(), stolen.Raw)
		if err != nil {
			t.Fatal(err)
		}
		end := ca.Ending{Serial: stolen.Serial, Reason: certs.ReasonKeyCompromise, Obtained: true}
		e, err := w.CA.End(t.Context(), shown.As(), end)
		if err != nil || len(e.Revoked) != 1 || len(e.Also) != 1 || w.revoked(theirs) {
			t.Errorf("the holder of the client: %+v %v", e, err)
		}
		if e, err = w.CA.End(t.Context(), approver, end); err != nil || len(e.Revoked) != 1 || !w.revoked(theirs) {
			t.Errorf("an officer: %+v %v", e, err)
		}
	})
}

// TestWhatAStolenCertificateAskedForIsNotIssued once it is revoked, though an officer approves.
func TestWhatAStolenCertificateAskedForIsNotIssued(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		approve := func() {
			t.Helper()
			if _, err := w.CA.Decide(ctx, approver, w.submitted()[0].ID, true, ""); err != nil {
				t.Fatal(err)
			}
		}
		poll := cmp.Body{Kind: cmp.PollReq, Polls: []cmp.Poll{{}}}
		key := newKey(t, "sm2")
		x := w.begin(bySecret(w.secret(enrol.Order{Profile: "watched", Holder: "e1"})), true)
		if _, err := w.ask(x, "", request(t, cmp.IR, key, certs.RequestMessageOptions{})); err != nil {
			t.Fatal(err)
		}
		approve()
		m, err := w.ask(x, "", poll)
		if err != nil {
			t.Fatal(err)
		}
		stolen, id, err := m.Granted()
		if err != nil {
			t.Fatal(err)
		}
		accepted, _ := cmp.Accept(stolen, id)
		if _, err := w.ask(x, "", accepted); err != nil {
			t.Fatal(err)
		}
		thief := w.begin(&cmp.Client{Certificate: stolen, Signer: key}, true)
		if m, err = w.ask(thief, "", request(t, cmp.CR, newKey(t, "sm2"), certs.RequestMessageOptions{})); err != nil || refusedWith(m) != 0 {
			t.Fatalf("%v %v", m, err)
		}
		waiting := w.submitted()[0]
		if waiting.Authorised != hex.EncodeToString(stolen.Serial) {
			t.Errorf("authorised by %q", waiting.Authorised)
		}
		if err := w.CA.Revoke(ctx, approver, stolen.Serial, certs.ReasonKeyCompromise, time.Time{}); err != nil {
			t.Fatal(err)
		}
		approve()
		if _, err := w.CA.Issue(ctx, approver, waiting.ID); !errors.Is(err, ca.ErrRevoked) {
			t.Errorf("issued: %v", err)
		}
	})
}

// TestAfterAKeyUpdateTheNewKeyRevokesTheOld, which may be lost; nothing else of the holder's, and the old key not the new one.
func TestAfterAKeyUpdateTheNewKeyRevokesTheOld(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		first, firstKey := w.enrolled("device", "e1", "sm2")
		next, nextKey := w.got(first, firstKey, cmp.KUR, "", certs.RequestMessageOptions{Replaces: first})
		last, lastKey := w.got(next, nextKey, cmp.KUR, "", certs.RequestMessageOptions{Replaces: next})
		sibling, _ := w.enrolled("device", "e1", "sm2")
		other, otherKey := w.enrolled("device", "e2", "sm2")
		rr := func(by *certs.Certificate, key crypto.Signer, c *certs.Certificate, reason certs.Reason) cmp.Failure {
			t.Helper()
			m, err := w.ask(w.begin(&cmp.Client{Certificate: by, Signer: key}, false), "", revocation(t, c, reason))
			if err != nil {
				t.Fatal(err)
			}
			return refusedWith(m)
		}
		for what, f := range map[string]cmp.Failure{
			"the old key ends the new one": rr(first, firstKey, last, certs.ReasonSuperseded),
			"another holder":               rr(other, otherKey, first, certs.ReasonSuperseded),
			"a sibling":                    rr(last, lastKey, sibling, certs.ReasonSuperseded),
			"a suspension":                 rr(last, lastKey, first, certs.ReasonCertificateHold),
		} {
			if f != cmp.NotAuthorized {
				t.Errorf("%s: %v", what, f)
			}
		}
		if f := rr(last, lastKey, next, certs.ReasonKeyCompromise); f != 0 || !w.revoked(next) {
			t.Errorf("its predecessor: %v", f)
		}
		if f := rr(last, lastKey, first, certs.ReasonSuperseded); f != 0 || !w.revoked(first) {
			t.Errorf("the one before: %v", f)
		}
		if w.revoked(last) || w.revoked(sibling) {
			t.Error("more than was asked for")
		}
	})
}

// TestWhatNobodyDecidesLapses: the peer is told, the application is withdrawn, the secret's use comes back.
func TestWhatNobodyDecidesLapses(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.open(func(c *enrol.Config) { c.WaitTime = 24 * time.Hour })
		order := enrol.Order{Profile: "watched", Holder: "e1"}
		secret, est := w.secret(order), w.secret(order)
		x := w.begin(bySecret(secret), false)
		if _, err := w.ask(x, "", request(t, cmp.IR, newKey(t, "sm2"), certs.RequestMessageOptions{})); err != nil {
			t.Fatal(err)
		}
		csr := csrFor(t, newKey(t, "sm2"), name("x"))
		simple := func() int {
			return w.post("/.well-known/est/simpleenroll", typeCSR, csr, basic(est.ID, est.Value)).Code
		}
		if code := simple(); code != http.StatusAccepted {
			t.Fatal(code)
		}
		poll := cmp.Body{Kind: cmp.PollReq, Polls: []cmp.Poll{{}}}
		prune := func() {
			t.Helper()
			if err := w.Prune(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.settle()
		}
		prune()
		if m, err := w.ask(x, "", poll); err != nil || m.Body.Kind != cmp.PollRep || len(w.submitted()) != 2 {
			t.Fatalf("before its time: %v %v", m, err)
		}
		w.now = w.now.Add(25 * time.Hour)
		for _, swept := range []bool{false, true} {
			if swept {
				prune()
			}
			if m, err := w.ask(x, "", poll); err != nil || m.Body.Error == nil || !slices.ContainsFunc(m.Body.Error.Status.Text, func(s string) bool { return s != "" }) {
				t.Errorf("swept %t: %+v %v", swept, m, err)
			}
			if code := simple(); code != http.StatusConflict {
				t.Errorf("swept %t: %d", swept, code)
			}
		}
		waiting, err := w.CA.Applications(t.Context(), approver, ca.ApplicationFilter{State: ca.Submitted, Limit: 10})
		if err != nil || len(waiting) != 0 {
			t.Errorf("%d applications still wait for an officer: %v", len(waiting), err)
		}
		all, err := w.Secrets(t.Context(), registrar, enrol.SecretFilter{})
		if err != nil || len(all) != 2 || all[0].Left != 1 || all[1].Left != 1 {
			t.Errorf("the uses are gone: %+v %v", all, err)
		}
		w.now = w.now.AddDate(0, 0, 91)
		prune()
	})
}

// TestACertificateGetsFewOthers: who stole it makes not as many as time allows; the answer of before and the replacement go on.
func TestACertificateGetsFewOthers(t *testing.T) {
	once(t, func(t *testing.T, w *world) {
		stolen, key := w.enrolled("device", "e1", "sm2")
		for range 20 {
			w.got(stolen, key, cmp.CR, "", certs.RequestMessageOptions{})
		}
		x := w.begin(&cmp.Client{Certificate: stolen, Signer: key}, true)
		if m, err := w.ask(x, "", request(t, cmp.CR, newKey(t, "sm2"), certs.RequestMessageOptions{})); err != nil || refusedWith(m) != cmp.NotAuthorized {
			t.Errorf("the twenty-first: %v %v", m, err)
		}
		w.got(stolen, key, cmp.KUR, "", certs.RequestMessageOptions{Replaces: stolen})
	})
}

// TestAMessageWithoutATimeIsRememberedAsLongAsItsCertificate: who saw it go by gets nothing for it when transactions are pruned, not the
// certificate that was taken from him, nor another suspension.
func TestAMessageWithoutATimeIsRememberedAsLongAsItsCertificate(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		cert, key := w.enrolled("ra", "ra", "sm2")
		if _, err := w.PutClient(t.Context(), business, enrol.Client{Subject: "ra", Profiles: []string{"device"}, Revokes: true}); err != nil {
			t.Fatal(err)
		}
		send := func(body cmp.Body) []byte {
			t.Helper()
			x := w.begin(&cmp.Client{Certificate: cert, Signer: key}, true)
			der, err := x.Message(body, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			if m, err := w.tell(x, "device", der); err != nil || refusedWith(m) != 0 {
				t.Fatalf("%v %v", m, err)
			}
			return der
		}
		asked := send(request(t, cmp.IR, newKey(t, "sm2"), certs.RequestMessageOptions{Pairs: map[string]string{"holder": "e1"}}))
		theirs := w.certificatesOf("e1", "device")[0]
		parsed, err := certs.Parse(theirs.DER)
		if err != nil {
			t.Fatal(err)
		}
		held := send(revocation(t, parsed, certs.ReasonCertificateHold))
		if err := w.CA.Resume(t.Context(), approver, theirs.Serial); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.AddDate(0, 0, 100)
		w.settle()
		if err := w.Prune(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, der := range [][]byte{asked, held} {
			if _, err := w.Answer(t.Context(), der, "device"); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(w.certificatesOf("e1", "device")); n != 1 {
			t.Errorf("a replayed request got another certificate: %d", n)
		}
		if w.revoked(parsed) {
			t.Error("a replayed suspension suspended again")
		}
	})
}

// TestQuestionsAreFew: an answer is a thousand times its question.
func TestQuestionsAreFew(t *testing.T) {
	once(t, func(t *testing.T, w *world) {
		cert, key := w.enrolled("device", "e1", "sm2")
		many := make([]cmp.Info, 17)
		for i := range many {
			many[i].Type = certs.OID("1.2.3." + string(rune('1'+i%9)) + "." + string(rune('1'+i/9)))
		}
		for what, general := range map[string][]cmp.Info{"one twice": {{Type: cmp.OIDCACerts}, {Type: cmp.OIDCACerts}}, "seventeen": many} {
			m, err := w.ask(w.begin(&cmp.Client{Certificate: cert, Signer: key}, true), "", cmp.Body{Kind: cmp.GenM, General: general})
			if err != nil || refusedWith(m) != cmp.BadRequest {
				t.Errorf("%s: %v %v", what, m, err)
			}
		}
	})
}
