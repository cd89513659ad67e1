package enrol_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"hufu/ca/enrol"
	"hufu/certs"
	"hufu/certs/cmp"
	"hufu/internal/actor"
)

func TestASecretBecomesACertificate(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, c := range []struct {
			profile, key string
			kind         cmp.Kind
			mac          cmp.MAC
		}{
			{"device", "sm2", cmp.IR, cmp.GMMAC()},
			{"device-p256", "p256", cmp.CR, cmp.DefaultMAC()},
			{"device-p256", "p256", cmp.P10CR, cmp.PasswordMAC()},
		} {
			secret := w.secret(enrol.Order{Profile: c.profile, Holder: "e1"})
			client := bySecret(secret)
			client.MAC = c.mac
			key := newKey(t, c.key)
			x := w.begin(client, false)
			m, err := w.ask(x, c.profile, request(t, c.kind, key, certs.RequestMessageOptions{}))
			if err != nil {
				t.Fatal(err)
			}
			cert, id, err := m.Granted()
			if err != nil {
				t.Fatal(err)
			}
			if !certs.SameKey(cert.PublicKey, key.Public()) || cert.Subject.CommonName() != "水务一号站" || m.Confirms() {
				t.Errorf("%s: certificate of %s, confirmed %t", c.profile, cert.Subject, m.Confirms())
			}
			body, err := cmp.Accept(cert, id)
			if err != nil {
				t.Fatal(err)
			}
			if m, err = w.ask(x, c.profile, body); err != nil || m.Body.Kind != cmp.PKIConf {
				t.Fatalf("confirmation: %v, %v", m, err)
			}
			w.now = w.now.Add(time.Hour)
			w.settle()
			if w.revoked(cert) {
				t.Error("a confirmed certificate is revoked")
			}
			again := w.begin(bySecret(secret), false)
			if m, err := w.ask(again, "", request(t, cmp.IR, newKey(t, c.key), certs.RequestMessageOptions{})); err != nil || refusedWith(m) != cmp.NotAuthorized {
				t.Errorf("a used secret serves again: %v, %v", m, err)
			}
		}
	})
}

func TestAKeyUpdateReplacesTheHoldersOwnCertificate(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for profile, kind := range map[string]string{"device": "sm2", "device-p256": "p256"} {
			old, key := w.enrolled(profile, "e1", kind)
			x := w.begin(&cmp.Client{Certificate: old, Signer: key}, true)
			m, err := w.ask(x, "", request(t, cmp.KUR, newKey(t, kind), certs.RequestMessageOptions{Replaces: old}))
			if err != nil {
				t.Fatal(err)
			}
			next, _, err := m.Granted()
			if err != nil {
				t.Fatal(err)
			}
			if !m.Confirms() || !next.Subject.Equal(old.Subject) {
				t.Errorf("successor of %s is %s", old.Subject, next.Subject)
			}
			other, otherKey := w.enrolled(profile, "e2", kind)
			x = w.begin(&cmp.Client{Certificate: other, Signer: otherKey}, true)
			if m, err = w.ask(x, "", request(t, cmp.KUR, newKey(t, kind), certs.RequestMessageOptions{Replaces: next})); err != nil || refusedWith(m) != cmp.BadCertID {
				t.Errorf("another's certificate was replaced: %v, %v", m, err)
			}
			if m, err = w.ask(w.begin(&cmp.Client{Certificate: other, Signer: otherKey}, true), "pair", request(t, cmp.CR, newKey(t, kind), certs.RequestMessageOptions{})); err != nil || refusedWith(m) != cmp.NotAuthorized {
				t.Errorf("a certificate opened another profile: %v, %v", m, err)
			}
		}
	})
}

func TestAnEncryptionPairComesAlong(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		key := newKey(t, "sm2")
		x := w.begin(bySecret(w.secret(enrol.Order{Profile: "pair", Holder: "e1"})), true)
		m, err := w.ask(x, "", request(t, cmp.IR, key, certs.RequestMessageOptions{}))
		if err != nil {
			t.Fatal(err)
		}
		cert, _, err := m.Granted()
		if err != nil {
			t.Fatal(err)
		}
		value, ok := m.Header.Info(cmp.OIDDualResponse)
		if !ok {
			t.Fatal("no dual-certificate response")
		}
		dual, err := certs.ParseDualResponse(value)
		if err != nil {
			t.Fatal(err)
		}
		sign, enc, err := openDual(dual, key)
		if err != nil || !bytes.Equal(sign.Raw, cert.Raw) || !slices.ContainsFunc(m.Certificates, func(c []byte) bool { return bytes.Equal(c, enc.Raw) }) {
			t.Errorf("pair: %v", err)
		}
	})
}

func TestAnOfficerDecidesAndThePeerPolls(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for _, approve := range []bool{true, false} {
			x := w.begin(bySecret(w.secret(enrol.Order{Profile: "watched", Holder: "e1"})), false)
			m, err := w.ask(x, "", request(t, cmp.IR, newKey(t, "sm2"), certs.RequestMessageOptions{}))
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := m.Granted(); !errors.Is(err, cmp.ErrWaiting) {
				t.Fatalf("without an officer: %v", err)
			}
			poll := cmp.Body{Kind: cmp.PollReq, Polls: []cmp.Poll{{}}}
			if m, err = w.ask(x, "", poll); err != nil || m.Body.Kind != cmp.PollRep || m.Body.Polls[0].After != 60 {
				t.Fatalf("poll: %v, %v", m, err)
			}
			w.now = w.now.Add(48 * time.Hour)
			w.settle()
			apps := w.submitted()
			if _, err := w.CA.Decide(t.Context(), registrar, apps[0].ID, true, ""); err == nil {
				t.Fatal("the registrar who made the secret approved")
			}
			if _, err := w.CA.Decide(t.Context(), approver, apps[0].ID, approve, "because"); err != nil {
				t.Fatal(err)
			}
			if m, err = w.ask(x, "", poll); err != nil {
				t.Fatal(err)
			}
			cert, id, err := m.Granted()
			if !approve {
				if !errors.Is(err, cmp.ErrRefused) || refusedWith(m) != cmp.NotAuthorized {
					t.Errorf("a rejected application: %v", err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			body, _ := cmp.Accept(cert, id)
			if m, err := w.ask(x, "", body); err != nil || m.Body.Kind != cmp.PKIConf {
				t.Errorf("confirmation: %v, %v", m, err)
			}
		}
	})
}

func TestWhatIsNotConfirmedIsRevoked(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		for name, after := range map[string]func(x *cmp.Exchange, cert *certs.Certificate, id int64){
			"silence": func(*cmp.Exchange, *certs.Certificate, int64) { w.now = w.now.Add(16 * time.Minute) },
			"refused": func(x *cmp.Exchange, cert *certs.Certificate, id int64) {
				body, _ := cmp.Refuse(cert, id, "not what I asked for")
				if m, err := w.ask(x, "", body); err != nil || m.Body.Kind != cmp.PKIConf {
					t.Errorf("refusal: %v, %v", m, err)
				}
			},
			"an empty list": func(x *cmp.Exchange, _ *certs.Certificate, _ int64) {
				if m, err := w.ask(x, "", cmp.Body{Kind: cmp.CertConf}); err != nil || m.Body.Kind != cmp.PKIConf {
					t.Errorf("refusal: %v, %v", m, err)
				}
			},
		} {
			x := w.begin(bySecret(w.secret(enrol.Order{Profile: "device", Holder: "e1"})), false)
			m, err := w.ask(x, "", request(t, cmp.IR, newKey(t, "sm2"), certs.RequestMessageOptions{}))
			if err != nil {
				t.Fatal(err)
			}
			cert, id, err := m.Granted()
			if err != nil {
				t.Fatal(err)
			}
			if w.settle(); w.revoked(cert) {
				t.Errorf("%s: revoked too soon", name)
			}
			after(x, cert, id)
			if w.settle(); !w.revoked(cert) {
				t.Errorf("%s: not revoked", name)
			}
			body, _ := cmp.Accept(cert, id)
			if m, err := w.ask(x, "", body); err != nil || refusedWith(m) != cmp.CertConfirmed {
				t.Errorf("%s: confirmed afterwards: %v, %v", name, m, err)
			}
		}
	})
}

func TestAConfirmationNamesTheCertificate(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		other, _ := w.enrolled("device", "e2", "sm2")
		x := w.begin(bySecret(w.secret(enrol.Order{Profile: "device", Holder: "e1"})), false)
		m, err := w.ask(x, "", request(t, cmp.IR, newKey(t, "sm2"), certs.RequestMessageOptions{}))
		if err != nil {
			t.Fatal(err)
		}
		cert, id, err := m.Granted()
		if err != nil {
			t.Fatal(err)
		}
		wrong, _ := cmp.Accept(other, id)
		if m, err := w.ask(x, "", wrong); err != nil || refusedWith(m) != cmp.BadCertID {
			t.Errorf("another certificate's hash: %v, %v", m, err)
		}
		right, _ := cmp.Accept(cert, id)
		if m, err := w.ask(x, "", right); err != nil || refusedWith(m) != cmp.BadRecipientNonce {
			t.Errorf("an answer to the refusal instead of to the grant: %v, %v", m, err)
		}
	})
}

func TestAMessageThatComesAgainGetsTheSameAnswer(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		x := w.begin(bySecret(w.secret(enrol.Order{Profile: "device", Holder: "e1"})), false)
		der, err := x.Message(request(t, cmp.IR, newKey(t, "sm2"), certs.RequestMessageOptions{}), w.now)
		if err != nil {
			t.Fatal(err)
		}
		first, err := w.Answer(t.Context(), der, "")
		if err != nil {
			t.Fatal(err)
		}
		w.open(func(*enrol.Config) {})
		second, err := w.Answer(t.Context(), der, "")
		if err != nil || !bytes.Equal(first, second) {
			t.Errorf("another answer to the same message: %v", err)
		}
		if n := len(w.certificatesOf("e1", "device")); n != 1 {
			t.Errorf("%d certificates of one message", n)
		}
		if _, err := w.tell(x, "", der); err != nil {
			t.Fatal(err)
		}
		if m, err := w.ask(x, "", request(t, cmp.IR, newKey(t, "sm2"), certs.RequestMessageOptions{})); err != nil || refusedWith(m) != cmp.TransactionIDInUse {
			t.Errorf("another request under the same identifier: %v, %v", m, err)
		}
	})
}

func TestHeadersAreHeldAgainstTheRules(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		secret := w.secret(enrol.Order{Profile: "device", Holder: "e1"})
		for name, c := range map[string]struct {
			edit    func(*cmp.Message)
			failure cmp.Failure
		}{
			"version":     {func(m *cmp.Message) { m.Header.Version = 1 }, cmp.UnsupportedVersion},
			"old":         {func(m *cmp.Message) { m.Header.Time = w.now.Add(-time.Hour) }, cmp.BadTime},
			"future":      {func(m *cmp.Message) { m.Header.Time = w.now.Add(time.Hour) }, cmp.BadTime},
			"transaction": {func(m *cmp.Message) { m.Header.TransactionID = []byte("short") }, cmp.BadRequest},
			"nonce":       {func(m *cmp.Message) { m.Header.SenderNonce = nil }, cmp.BadSenderNonce},
			"kind":        {func(m *cmp.Message) { m.Body = cmp.Body{Kind: cmp.PKIConf} }, cmp.BadRequest},
		} {
			m := &cmp.Message{Header: cmp.Header{
				Version: 2, Time: w.now, TransactionID: bytes.Repeat([]byte{7}, 16), SenderNonce: bytes.Repeat([]byte{8}, 16), SenderKID: []byte(secret.ID),
			}, Body: request(t, cmp.IR, newKey(t, "sm2"), certs.RequestMessageOptions{})}
			c.edit(m)
			der, err := m.Seal(cmp.PasswordMAC(), []byte(secret.Value))
			if err != nil {
				t.Fatal(err)
			}
			answer, err := w.Answer(t.Context(), der, "")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := cmp.Parse(answer); err != nil || refusedWith(got) != c.failure {
				t.Errorf("%s: %v, %v", name, refusedWith(got), err)
			}
		}
	})
}

// What a wrong secret, an unknown reference and a locked one get is the same, and tries are counted before they are made.
func TestNobodyLearnsOrGuessesSecrets(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		secret := w.secret(enrol.Order{Profile: "device", Holder: "e1"})
		try := func(reference, value string) (cmp.Failure, string) {
			x := w.begin(bySecret(enrol.Secret{ID: reference, Value: value}), false)
			m, err := w.ask(x, "", request(t, cmp.IR, newKey(t, "sm2"), certs.RequestMessageOptions{}))
			if m == nil {
				t.Fatal(err)
			}
			if m.Body.Error == nil {
				return 0, ""
			}
			return m.Body.Error.Status.Failure, m.Body.Error.Status.Text[0]
		}
		unknown, words := try("nobody", "x")
		for i := range 10 {
			if f, said := try(secret.ID, "wrong"); f != unknown || said != words || f != cmp.BadMessageCheck {
				t.Fatalf("try %d: %v %q instead of %v %q", i, f, said, unknown, words)
			}
		}
		if f, said := try(secret.ID, secret.Value); f != unknown || said != words {
			t.Errorf("a locked secret serves, or says so: %v %q", f, said)
		}
		list, err := w.Secrets(t.Context(), registrar, enrol.SecretFilter{})
		if err != nil || len(list) != 1 || !list[0].Locked() || list[0].Value != "" || list[0].Left != 1 {
			t.Errorf("the registrar sees %+v, %v", list, err)
		}
	})
}

func TestSecretsEnd(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		ask := func(secret enrol.Secret) cmp.Failure {
			m, err := w.ask(w.begin(bySecret(secret), true), "", request(t, cmp.IR, newKey(t, "sm2"), certs.RequestMessageOptions{}))
			if m == nil {
				t.Fatal(err)
			}
			return refusedWith(m)
		}
		revoked := w.secret(enrol.Order{Profile: "device", Holder: "e1"})
		if err := w.RevokeSecret(t.Context(), approver, revoked.ID); !errors.Is(err, actor.ErrRole) {
			t.Errorf("an approver revoked a secret: %v", err)
		}
		if err := w.RevokeSecret(t.Context(), registrar, revoked.ID); err != nil {
			t.Fatal(err)
		}
		if f := ask(revoked); f != cmp.BadMessageCheck {
			t.Errorf("a revoked secret: %v", f)
		}
		short := w.secret(enrol.Order{Profile: "device", Holder: "e1", Ends: w.now.Add(time.Minute)})
		w.now = w.now.Add(time.Hour)
		if f := ask(short); f != cmp.NotAuthorized {
			t.Errorf("a secret after its end: %v", f)
		}
		many := w.secret(enrol.Order{Profile: "device", Holder: "e1", Uses: 2})
		if a, b, c := ask(many), ask(many), ask(many); a != 0 || b != 0 || c != cmp.NotAuthorized {
			t.Errorf("two uses: %v, %v, %v", a, b, c)
		}
		// What is refused for good gives the use back.
		mended := w.secret(enrol.Order{Profile: "device", Holder: "e1"})
		m, err := w.ask(w.begin(bySecret(mended), true), "", request(t, cmp.IR, newKey(t, "p256"), certs.RequestMessageOptions{}))
		if err != nil || refusedWith(m) != cmp.BadAlg {
			t.Errorf("a key of the wrong kind: %v, %v", m, err)
		}
		if f := ask(mended); f != 0 {
			t.Errorf("the request mended: %v", f)
		}
		for name, o := range map[string]enrol.Order{
			"a profile for the program": {Profile: "ocsp", Holder: "e1"}, "no holder": {Profile: "device", Holder: "nobody"},
			"another way": {Profile: "api-only", Holder: "e1"}, "for ever": {Profile: "device", Holder: "e1", Ends: w.now.AddDate(1, 0, 0)},
		} {
			if _, err := w.MakeSecret(t.Context(), registrar, o); err == nil {
				t.Errorf("%s: a secret was made", name)
			}
		}
	})
}

func TestOnlyCertificatesThatCountProveAnything(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		stranger := newKey(t, "p256")
		cert, key := w.enrolled("device-p256", "e1", "p256")
		ask := func(c *cmp.Client) cmp.Failure {
			m, err := w.ask(w.begin(c, true), "", request(t, cmp.KUR, newKey(t, "p256"), certs.RequestMessageOptions{}))
			if m == nil {
				t.Fatal(err)
			}
			return refusedWith(m)
		}
		if f := ask(&cmp.Client{Certificate: cert, Signer: stranger}); f != cmp.BadMessageCheck {
			t.Errorf("a certificate without its key: %v", f)
		}
		if f := ask(&cmp.Client{Certificate: selfMade(t, stranger, cert), Signer: stranger}); f != cmp.SignerNotTrusted {
			t.Errorf("a certificate of nobody with our serial: %v", f)
		}
		if err := w.CA.Suspend(t.Context(), approver, cert.Serial, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if f := ask(&cmp.Client{Certificate: cert, Signer: key}); f != cmp.SignerNotTrusted {
			t.Errorf("a suspended certificate: %v", f)
		}
		if err := w.CA.Resume(t.Context(), approver, cert.Serial); err != nil {
			t.Fatal(err)
		}
		if err := w.CA.Revoke(t.Context(), approver, cert.Serial, certs.ReasonKeyCompromise, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if f := ask(&cmp.Client{Certificate: cert, Signer: key}); f != cmp.SignerNotTrusted {
			t.Errorf("a revoked certificate: %v", f)
		}
		ended, endedKey := w.enrolled("device-p256", "e1", "p256")
		w.now = w.now.AddDate(1, 0, 0)
		if f := ask(&cmp.Client{Certificate: ended, Signer: endedKey}); f != cmp.SignerNotTrusted {
			t.Errorf("an ended certificate: %v", f)
		}
	})
}

func TestARegistrationClientAsksForOthersWithinItsRights(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		cert, key := w.enrolled("ra", "ra", "sm2")
		client := &cmp.Client{Certificate: cert, Signer: key}
		pairs := map[string]string{"holder": "e1"}
		ask := func(profile string) (*cmp.Message, cmp.Failure) {
			m, err := w.ask(w.begin(client, true), profile, request(t, cmp.IR, newKey(t, "sm2"), certs.RequestMessageOptions{Pairs: pairs}))
			if m == nil {
				t.Fatal(err)
			}
			return m, refusedWith(m)
		}
		if _, f := ask("device"); f != cmp.NotAuthorized {
			t.Errorf("without rights: %v", f)
		}
		if _, err := w.PutClient(t.Context(), registrar, enrol.Client{Subject: "ra", Profiles: []string{"device"}}); !errors.Is(err, actor.ErrRole) {
			t.Errorf("a registrar gave rights: %v", err)
		}
		if _, err := w.PutClient(t.Context(), business, enrol.Client{Subject: "ra", Profiles: []string{"device"}}); err != nil {
			t.Fatal(err)
		}
		m, f := ask("device")
		if f != 0 {
			t.Fatalf("within rights: %v", f)
		}
		theirs, _, err := m.Granted()
		if err != nil || theirs.Subject.CommonName() != "水务一号站" {
			t.Errorf("for %v, %v", theirs, err)
		}
		if _, f := ask("watched"); f != cmp.NotAuthorized {
			t.Errorf("another profile: %v", f)
		}
		if m, err := w.ask(w.begin(client, false), "", revocation(t, theirs, certs.ReasonSuperseded)); err != nil || refusedWith(m) != cmp.NotAuthorized {
			t.Errorf("revoked without the right: %v, %v", m, err)
		}
		if _, err := w.PutClient(t.Context(), business, enrol.Client{Subject: "ra", Profiles: []string{"device"}, Revokes: true}); err != nil {
			t.Fatal(err)
		}
		if m, err := w.ask(w.begin(client, false), "", revocation(t, theirs, certs.ReasonSuperseded)); err != nil || refusedWith(m) != 0 || !w.revoked(theirs) {
			t.Errorf("revoked with the right: %v, %v", m, err)
		}
		m, _ = ask("device")
		held, _, err := m.Granted()
		if err != nil {
			t.Fatal(err)
		}
		if err := w.CA.Suspend(t.Context(), approver, held.Serial, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if m, err := w.ask(w.begin(client, false), "", revocation(t, held, certs.ReasonRemoveFromCRL)); err != nil || refusedWith(m) != cmp.NotAuthorized || !w.revoked(held) {
			t.Errorf("an officer's hold was lifted: %v, %v", m, err)
		}
		if err := w.DropClient(t.Context(), business, "ra"); err != nil {
			t.Fatal(err)
		}
		if _, f := ask("device"); f != cmp.NotAuthorized {
			t.Errorf("after the rights were taken: %v", f)
		}
	})
}

func TestAHolderRevokesItsOwnCertificate(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		cert, key := w.enrolled("device-p256", "e1", "p256")
		other, _ := w.enrolled("device-p256", "e2", "p256")
		client := &cmp.Client{Certificate: cert, Signer: key}
		if m, err := w.ask(w.begin(client, false), "", revocation(t, other, certs.ReasonSuperseded)); err != nil || refusedWith(m) == 0 || w.revoked(other) {
			t.Errorf("another's certificate: %v, %v", m, err)
		}
		sibling, _ := w.enrolled("device", "e1", "sm2")
		for _, reason := range []certs.Reason{certs.ReasonSuperseded, certs.ReasonCertificateHold, certs.ReasonKeyCompromise} {
			if m, err := w.ask(w.begin(client, false), "", revocation(t, sibling, reason)); err != nil || refusedWith(m) != cmp.NotAuthorized || w.revoked(sibling) {
				t.Errorf("a device ends its holder's other certificate, reason %d: %v, %v", reason, m, err)
			}
		}
		if m, err := w.ask(w.begin(bySecret(w.secret(enrol.Order{Profile: "device", Holder: "e1"})), false), "", revocation(t, cert, certs.ReasonSuperseded)); err != nil || refusedWith(m) != cmp.NotAuthorized {
			t.Errorf("under a secret: %v, %v", m, err)
		}
		if m, err := w.ask(w.begin(client, false), "", revocation(t, cert, certs.ReasonKeyCompromise)); err != nil || refusedWith(m) != 0 || m.Body.Kind != cmp.RP || !w.revoked(cert) {
			t.Errorf("its own: %v, %v", m, err)
		}
		if m, err := w.ask(w.begin(client, false), "", revocation(t, cert, certs.ReasonKeyCompromise)); err != nil || refusedWith(m) != cmp.SignerNotTrusted {
			t.Errorf("with the revoked certificate: %v, %v", m, err)
		}
	})
}

func TestPossessionIsProvenByTheKeyItself(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		body := request(t, cmp.IR, newKey(t, "sm2"), certs.RequestMessageOptions{})
		var b cryptobyte.Builder
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(body.Requests[0].RawRequest)
			b.AddBytes([]byte{0x80, 0}) // raVerified
		})
		m, err := certs.ParseRequestMessage(b.BytesOrPanic())
		if err != nil {
			t.Fatal(err)
		}
		body.Requests[0] = m
		x := w.begin(bySecret(w.secret(enrol.Order{Profile: "device", Holder: "e1"})), true)
		if m, err := w.ask(x, "", body); err != nil || refusedWith(m) != cmp.BadPOP {
			t.Errorf("on the word of a registration authority: %v, %v", m, err)
		}
	})
}

func TestQuestionsAreAnswered(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		x := w.begin(bySecret(w.secret(enrol.Order{Profile: "device", Holder: "e1"})), true)
		m, err := w.ask(x, "", cmp.Body{Kind: cmp.GenM, General: []cmp.Info{{Type: cmp.OIDCACerts}, {Type: "1.2.3"}}})
		if err != nil || len(m.Body.General) != 2 || m.Body.General[1].Value != nil {
			t.Fatalf("%v, %v", m, err)
		}
		s := cryptobyte.String(m.Body.General[0].Value)
		var list, one cryptobyte.String
		n := 0
		for s.ReadASN1(&list, cbasn1.SEQUENCE); list.ReadASN1Element(&one, cbasn1.SEQUENCE); n++ {
			if _, err := certs.Parse(one); err != nil {
				t.Error(err)
			}
		}
		if n != 4 {
			t.Errorf("%d certificates of authorities", n)
		}
	})
}
