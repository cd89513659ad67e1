package cmp_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"hufu/certs"
	"hufu/certs/cmp"
	"hufu/internal/gm"
)

var day = time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)

func sm2(t testing.TB) crypto.Signer {
	t.Helper()
	k, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func p256(t testing.TB) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func named(cn string) certs.Name {
	return certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: cn})
}

// selfSigned makes a certificate for a key.
func selfSigned(t testing.TB, key crypto.Signer, cn string) *certs.Certificate {
	t.Helper()
	alg, err := certs.SigningAlgorithm(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	tbs, err := certs.BuildTBS(certs.Template{
		Serial: []byte{0x01, 0x02, 0x03}, Issuer: named(cn), Subject: named(cn), NotBefore: day, NotAfter: day.AddDate(1, 0, 0),
		PublicKey: key.Public(), SignatureAlgorithm: alg, KeyUsage: certs.UsageDigitalSignature,
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
	c, err := certs.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// bodies returns one body of each kind, filled as far as the kind goes.
func bodies(t testing.TB) map[string]cmp.Body {
	t.Helper()
	key := p256(t)
	cert := selfSigned(t, key, "device")
	request := requestMessage(t, key, cert)
	csr, err := certs.NewRequest(key, named("device"), certs.RequestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	der, err := certs.NewRevocationTemplate(cert)
	if err != nil {
		t.Fatal(err)
	}
	template, err := certs.ParseRequestTemplate(der)
	if err != nil {
		t.Fatal(err)
	}
	accept, err := cmp.Accept(cert, 0)
	if err != nil {
		t.Fatal(err)
	}
	refuse, err := cmp.Refuse(cert, 0, "not mine")
	if err != nil {
		t.Fatal(err)
	}
	code := int64(7)
	refusal := cmp.StatusInfo{Status: cmp.Rejection, Text: []string{"no", "不"}, Failure: cmp.BadPOP | cmp.DuplicateCertReq}
	return map[string]cmp.Body{
		"ir": {Kind: cmp.IR, Requests: []*certs.RequestMessage{request}}, "cr": {Kind: cmp.CR, Requests: []*certs.RequestMessage{request}},
		"kur": {Kind: cmp.KUR, Requests: []*certs.RequestMessage{request}}, "p10cr": {Kind: cmp.P10CR, PKCS10: csr},
		"ip": {Kind: cmp.IP, Reply: &cmp.Reply{CAPubs: [][]byte{cert.Raw}, Responses: []cmp.Response{{ID: 0, Certificate: cert.Raw, Envelope: []byte{0xa0, 0}}}}},
		"cp": {Kind: cmp.CP, Reply: &cmp.Reply{Responses: []cmp.Response{{ID: -1, Status: refusal}}}},
		"rr": {Kind: cmp.RR, Revocations: []cmp.Revocation{{Template: template, Extensions: []certs.Extension{{ID: certs.OIDReasonCode, Value: []byte{10, 1, 4}}}}}},
		"rp": {Kind: cmp.RP, Revoked: []cmp.StatusInfo{{}, refusal}}, "accept": accept, "refuse": refuse,
		"pkiconf": {Kind: cmp.PKIConf}, "genm": {Kind: cmp.GenM, General: []cmp.Info{{Type: cmp.OIDCACerts}}},
		"genp":  {Kind: cmp.GenP, General: []cmp.Info{{Type: cmp.OIDCACerts, Value: append([]byte{0x30, 0x82, byte(len(cert.Raw) >> 8), byte(len(cert.Raw))}, cert.Raw...)}}},
		"error": {Kind: cmp.Error, Error: &cmp.ErrorContent{Status: refusal, Code: &code, Details: []string{"x"}}},
		"poll":  {Kind: cmp.PollReq, Polls: []cmp.Poll{{ID: 0}}}, "polled": {Kind: cmp.PollRep, Polls: []cmp.Poll{{ID: 0, After: 60, Reason: []string{"wait"}}}},
	}
}

func requestMessage(t testing.TB, key crypto.Signer, replaces *certs.Certificate) *certs.RequestMessage {
	t.Helper()
	der, err := certs.NewRequestMessage(key, certs.RequestMessageOptions{
		Subject: named("device"), Replaces: replaces, Pairs: map[string]string{"holder": "e%1?", "x": ""},
		Extra: []certs.Extension{{ID: "1.2.3.4", Value: []byte{5, 0}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := certs.ParseRequestMessage(der)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func clients(t testing.TB) map[string]*cmp.Client {
	t.Helper()
	all := map[string]*cmp.Client{}
	for name, mac := range map[string]cmp.MAC{"pbmac1": cmp.DefaultMAC(), "pbmac1-sm3": cmp.GMMAC(), "password": cmp.PasswordMAC()} {
		mac.Rounds = 500
		all[name] = &cmp.Client{Reference: []byte("r1"), Secret: []byte("a secret"), MAC: mac, Recipient: named("ca")}
	}
	for name, key := range map[string]crypto.Signer{"sm2": sm2(t), "p256": p256(t)} {
		all[name] = &cmp.Client{Certificate: selfSigned(t, key, name), Signer: key, Recipient: named("ca")}
	}
	return all
}

func verify(c *cmp.Client, m *cmp.Message) error {
	if c.Secret != nil {
		return m.VerifyMAC(c.Secret)
	}
	return m.VerifySignature(c.Signer.Public())
}

func TestEveryMessageComesBackTheSameAndHolds(t *testing.T) {
	for way, c := range clients(t) {
		for kind, body := range bodies(t) {
			x, err := c.NewExchange(true)
			if err != nil {
				t.Fatal(err)
			}
			der, err := x.Message(body, day)
			if err != nil {
				t.Fatalf("%s %s: %v", way, kind, err)
			}
			m, err := cmp.Parse(der)
			if err != nil {
				t.Fatalf("%s %s: %v", way, kind, err)
			}
			again, err := m.Marshal()
			if err != nil || !bytes.Equal(again, der) {
				t.Errorf("%s %s: written differently: %v", way, kind, err)
			}
			if err := verify(c, m); err != nil {
				t.Errorf("%s %s: %v", way, kind, err)
			}
			m.Header.Text = []string{"added"}
			if err := verify(c, m); !errors.Is(err, certs.ErrSignature) {
				t.Errorf("%s %s: an edited message: %v", way, kind, err)
			}
		}
	}
}

func TestMACsOutsideTheLimitsAreRefused(t *testing.T) {
	for name, edit := range map[string]func(*cmp.MAC){
		"one round": func(m *cmp.MAC) { m.Rounds = 1 }, "a million rounds": func(m *cmp.MAC) { m.Rounds = 1_000_000 },
		"unknown hash": func(m *cmp.MAC) { m.Hash = "1.2.3" }, "no MAC": func(m *cmp.MAC) { m.HMAC = "1.2.3" }, "short key": func(m *cmp.MAC) { m.Length = 8 },
	} {
		mac := cmp.DefaultMAC()
		edit(&mac)
		m := &cmp.Message{Header: cmp.Header{Version: 2}, Body: cmp.Body{Kind: cmp.PKIConf}}
		if _, err := m.Seal(mac, []byte("s")); !errors.Is(err, cmp.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A client takes the answer to its own last message alone, protected by whom it trusts.
func TestAClientTakesOnlyItsOwnAnswers(t *testing.T) {
	key := p256(t)
	c := &cmp.Client{Reference: []byte("r1"), Secret: []byte("a secret")}
	x, err := c.NewExchange(false)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x.Message(cmp.Body{Kind: cmp.PollReq, Polls: []cmp.Poll{{}}}, day)
	if err != nil {
		t.Fatal(err)
	}
	asked, err := cmp.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(secret string, edit func(*cmp.Message)) []byte {
		m := &cmp.Message{Header: cmp.Header{
			Version: 2, TransactionID: asked.Header.TransactionID, RecipientNonce: asked.Header.SenderNonce, SenderNonce: []byte("0123456789abcdef"),
		}, Body: cmp.Body{Kind: cmp.PKIConf}}
		edit(m)
		out, err := m.Seal(cmp.DefaultMAC(), []byte(secret))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if _, err := x.Take(answer("another", func(*cmp.Message) {}), nil); !errors.Is(err, certs.ErrSignature) {
		t.Errorf("under another secret: %v", err)
	}
	if _, err := x.Take(answer("a secret", func(m *cmp.Message) { m.Header.TransactionID = []byte("another transact") }), nil); !errors.Is(err, cmp.ErrStranger) {
		t.Errorf("of another transaction: %v", err)
	}
	if _, err := x.Take(answer("a secret", func(m *cmp.Message) { m.Header.RecipientNonce = []byte("old old old old!") }), nil); !errors.Is(err, cmp.ErrStranger) {
		t.Errorf("to another message: %v", err)
	}
	signed := &cmp.Message{Header: cmp.Header{Version: 2, TransactionID: asked.Header.TransactionID, RecipientNonce: asked.Header.SenderNonce}, Body: cmp.Body{Kind: cmp.PKIConf}}
	signed.Certificates = [][]byte{selfSigned(t, key, "stranger").Raw}
	der, err = signed.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := x.Take(der, nil); err == nil {
		t.Error("signed by a stranger instead of under the secret")
	}
	signed.Protection, signed.Header.Algorithm = nil, certs.AlgorithmIdentifier{}
	if der, err = signed.Marshal(); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Take(der, nil); !errors.Is(err, cmp.ErrUnprotected) {
		t.Errorf("unprotected: %v", err)
	}
	if m, err := x.Take(answer("a secret", func(*cmp.Message) {}), nil); err != nil || m.Body.Kind != cmp.PKIConf {
		t.Errorf("its own: %v", err)
	}
}

func TestHostileMessagesAreRefused(t *testing.T) {
	c := clients(t)["password"]
	x, err := c.NewExchange(false)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x.Message(cmp.Body{Kind: cmp.PKIConf}, day)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"nothing": {}, "trailing": append(bytes.Clone(der), 0), "too large": make([]byte, cmp.MaxMessageSize+1),
		"cut": der[:len(der)-1], "no sequence": append([]byte{0x31}, der[1:]...),
	} {
		if _, err := cmp.Parse(bad); err == nil {
			t.Errorf("%s is read", name)
		}
	}
	nested := bytes.Replace(der, []byte{0xb3, 2, 5, 0}, []byte{0xb4, 2, 5, 0}, 1) // nested messages
	if m, err := cmp.Parse(nested); !errors.Is(err, cmp.ErrUnsupported) || m == nil || m.Header.TransactionID == nil {
		t.Errorf("a kind that we do not speak: %v, %v", m, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range clients(f) {
		for _, body := range bodies(f) {
			x, err := c.NewExchange(true)
			if err != nil {
				f.Fatal(err)
			}
			der, err := x.Message(body, day)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(der)
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		m, err := cmp.Parse(der)
		if err != nil {
			return
		}
		again, err := m.Marshal()
		if err != nil || !bytes.Equal(again, der) {
			t.Fatalf("written differently: %v", err)
		}
		if _, err := cmp.ParseMAC(m.Header.Algorithm); err == nil {
			_ = m.VerifyMAC([]byte("x"))
		}
		for _, r := range m.Body.Requests {
			_, _ = r.Request()
		}
		_, _, _ = m.Granted()
	})
}
