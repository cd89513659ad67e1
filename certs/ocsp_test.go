package certs

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"hufu/internal/gm"
)

func mustID(t testing.TB, hash OID, issuer party, serial []byte) CertID {
	t.Helper()
	id, err := NewCertID(hash, issuer.Certificate, serial)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func good(id CertID) OCSPAnswer {
	return OCSPAnswer{ID: id, Status: OCSPGood, ThisUpdate: day, NextUpdate: day.Add(time.Hour)}
}

func respond(t testing.TB, template OCSPTemplate, p party) []byte {
	t.Helper()
	template.Responder, template.ProducedAt = p.Certificate, day
	der, err := BuildOCSPResponse(template, p.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func parseResponse(t testing.TB, der []byte) *OCSPResponse {
	t.Helper()
	r, err := ParseOCSPResponse(der)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOCSPRequestRoundTrip(t *testing.T) {
	ca := newCA(t, "OCSP Root", true)
	ids := []CertID{mustID(t, OIDSM3, ca, []byte{1, 2}), mustID(t, OIDSHA1, ca, []byte{0x80}), mustID(t, OIDSHA256, ca, []byte{3})}
	nonce := NewNonce()
	der, err := BuildOCSPRequest(ids, nonce)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseOCSPRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.IDs) != 3 || !bytes.Equal(r.Nonce, nonce) || r.Signed {
		t.Fatalf("request %+v", r)
	}
	for i, id := range r.IDs {
		if !id.SameIssuer(ids[i]) || !id.Names(ca.Certificate) || !bytes.Equal(id.Serial, ids[i].Serial) {
			t.Errorf("id %d: %+v", i, id)
		}
	}
	again, err := BuildOCSPRequest(r.IDs, r.Nonce)
	if err != nil || !bytes.Equal(again, der) {
		t.Errorf("parse, then build gives other octets: %v", err)
	}
}

func TestOCSPCertIDGolden(t *testing.T) {
	ca := newCA(t, "OCSP Root", true)
	name, key := gm.SM3(ca.RawSubject), gm.SM3(gm.Point(publicOf(ca.key.(*gm.PrivateKey))))
	der, err := BuildOCSPRequest([]CertID{mustID(t, OIDSM3, ca, []byte{0xfe, 1})}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "305d305b30593057" + "3055" + "300a06082a811ccf55018311" + "0420" + hex.EncodeToString(name[:]) + "0420" + hex.EncodeToString(key[:]) + "020300fe01"
	if got := hex.EncodeToString(der); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// RFC 9654: 1 to 128 octets are received, 32 to 128 are sent.
func TestOCSPNonceLengths(t *testing.T) {
	ca := newCA(t, "OCSP Root", true)
	ids := []CertID{mustID(t, OIDSM3, ca, []byte{1})}
	for n, want := range map[int][2]bool{ // received, sent
		0: {false, false}, 1: {true, false}, 31: {true, false}, 32: {true, true}, 33: {true, true}, 128: {true, true}, 129: {false, false},
	} {
		nonce := bytes.Repeat([]byte{7}, n)
		if _, err := BuildOCSPRequest(ids, nonce); (err == nil) != want[1] {
			t.Errorf("send a nonce of %d: %v", n, err)
		}
		der := requestWithNonce(t, ids, nonce)
		r, err := ParseOCSPRequest(der)
		if (err == nil) != want[0] || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("receive a nonce of %d: %v", n, err)
		}
		if err == nil && !bytes.Equal(r.Nonce, nonce) {
			t.Errorf("nonce of %d reads as %x", n, r.Nonce)
		}
		_, err = BuildOCSPResponse(OCSPTemplate{Responder: ca.Certificate, ProducedAt: day, Answers: []OCSPAnswer{good(ids[0])}, Nonce: nonce}, ca.key)
		if (err == nil) != want[0] {
			t.Errorf("echo a nonce of %d: %v", n, err)
		}
	}
}

// requestWithNonce builds what BuildOCSPRequest refuses, by replacing the nonce of a good one.
func requestWithNonce(t *testing.T, ids []CertID, nonce []byte) []byte {
	t.Helper()
	der, err := BuildOCSPRequest(ids, nil)
	if err != nil {
		t.Fatal(err)
	}
	value := append(appendHeader(nil, 4, len(nonce)), nonce...)
	value = append(appendHeader(nil, 4, len(value)), value...)
	body := append([]byte("\x06\x09\x2b\x06\x01\x05\x05\x07\x30\x01\x02"), value...)
	for _, tag := range []byte{0x30, 0x30, 0xa2} {
		body = append(appendHeader(nil, tag, len(body)), body...)
	}
	list := der[4:] // both outer headers are short
	tbs := append(append([]byte(nil), list...), body...)
	tbs = append(appendHeader(nil, 0x30, len(tbs)), tbs...)
	return append(appendHeader(nil, 0x30, len(tbs)), tbs...)
}

func TestOCSPResponse(t *testing.T) {
	for _, sm2 := range []bool{true, false} {
		ca := newCA(t, "OCSP Root", sm2)
		delegate := issue(t, ca, "OCSP Responder", sm2, withEKU(smx509.ExtKeyUsageOCSPSigning))
		answers := []OCSPAnswer{
			good(mustID(t, OIDSM3, ca, []byte{1})),
			{ID: mustID(t, OIDSHA1, ca, []byte{2}), Status: OCSPRevoked, RevokedAt: day, Reason: ReasonKeyCompromise, InvalidityDate: day.AddDate(0, -1, 0), ThisUpdate: day},
			{ID: mustID(t, OIDSHA256, ca, []byte{3}), Status: OCSPUnknown, ThisUpdate: day},
			{ID: mustID(t, OIDSM3, ca, []byte{4}), Status: OCSPRevoked, RevokedAt: day, ThisUpdate: day},
		}
		nonce := NewNonce()
		for _, p := range []party{ca, delegate} {
			for _, byKey := range []bool{false, true} {
				r := parseResponse(t, respond(t, OCSPTemplate{ByKey: byKey, Answers: answers, Nonce: nonce}, p))
				who, err := r.Verify(ca.Certificate, nonce, day)
				if err != nil || !bytes.Equal(who.Raw, p.Raw) {
					t.Fatalf("verify: %v", err)
				}
				for i, want := range answers {
					got, err := r.Answer(ca.Certificate, []byte{byte(i + 1)}, day)
					if err != nil || got.Status != want.Status || got.Reason != want.Reason || !got.RevokedAt.Equal(want.RevokedAt) ||
						!got.InvalidityDate.Equal(want.InvalidityDate) || !got.NextUpdate.Equal(want.NextUpdate) {
						t.Errorf("answer %d: %+v, %v", i, got, err)
					}
				}
			}
		}
	}
}

func TestOCSPRefusesWrongResponders(t *testing.T) {
	ca, other := newCA(t, "OCSP Root", true), newCA(t, "Other Root", true)
	signing := withEKU(smx509.ExtKeyUsageOCSPSigning)
	template := OCSPTemplate{Answers: []OCSPAnswer{good(mustID(t, OIDSM3, ca, []byte{1}))}}
	verify := func(p party) error {
		_, err := parseResponse(t, respond(t, template, p)).Verify(ca.Certificate, nil, day)
		return err
	}
	for name, test := range map[string]struct {
		by   party
		want error
	}{
		"delegate of another CA": {issue(t, other, "Responder", true, signing), ErrWrongIssuer},
		"another CA":             {other, ErrWrongIssuer},
		"a CA of the same name":  {newCA(t, "OCSP Root", true), ErrSignature},
		"delegate of a namesake": {issue(t, newCA(t, "OCSP Root", true), "Responder", true, signing), ErrWrongIssuer},
		"ended":                  {issue(t, ca, "Responder", true, signing, validFrom(day.AddDate(-1, 0, 0), day.Add(-time.Hour))), ErrStale},
		"not yet valid":          {issue(t, ca, "Responder", true, signing, validFrom(day.Add(time.Hour), day.AddDate(1, 0, 0))), ErrNotYet},
	} {
		if err := verify(test.by); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, options := range map[string][]certOption{
		"no usage": nil, "any usage": {withEKU(smx509.ExtKeyUsageAny)}, "client": {withEKU(smx509.ExtKeyUsageClientAuth)},
		"no digitalSignature": {signing, withUsage(smx509.KeyUsageKeyEncipherment)},
	} {
		p := issue(t, ca, "Plain", true, options...)
		template := template
		template.Responder, template.ProducedAt = p.Certificate, day
		if _, err := BuildOCSPResponse(template, p.key); !errors.Is(err, ErrWrongIssuer) {
			t.Errorf("%s: built: %v", name, err)
		}
		forged := *p.Certificate // as an attacker would build it who has such a certificate
		forged.ExtKeyUsage, forged.HasKeyUsage = []OID{OIDOCSPSigning}, false
		template.Responder = &forged
		der, err := BuildOCSPResponse(template, p.key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseResponse(t, der).Verify(ca.Certificate, nil, day); !errors.Is(err, ErrWrongIssuer) {
			t.Errorf("%s: verified: %v", name, err)
		}
	}
}

func TestOCSPAnswerOfAnotherIssuer(t *testing.T) {
	ca, namesake := newCA(t, "OCSP Root", true), newCA(t, "OCSP Root", true)
	other := newCA(t, "Other Root", true)
	for _, hash := range []OID{OIDSM3, OIDSHA1, OIDSHA256} {
		for _, foreign := range []party{namesake, other} {
			r := parseResponse(t, respond(t, OCSPTemplate{Answers: []OCSPAnswer{good(mustID(t, hash, foreign, []byte{1}))}}, ca))
			if a, err := r.Answer(ca.Certificate, []byte{1}, day); !errors.Is(err, ErrWrongIssuer) || a.Status != OCSPUnknown {
				t.Errorf("%s: answer %v, %v", hash, a.Status, err)
			}
		}
	}
	r := parseResponse(t, respond(t, OCSPTemplate{Answers: []OCSPAnswer{good(mustID(t, OIDSM3, ca, []byte{1}))}}, ca))
	if _, err := r.Answer(ca.Certificate, []byte{2}, day); err == nil {
		t.Error("an answer for another serial number was taken")
	}
}

func TestOCSPTimesAndNonce(t *testing.T) {
	ca := newCA(t, "OCSP Root", true)
	nonce := NewNonce()
	r := parseResponse(t, respond(t, OCSPTemplate{Answers: []OCSPAnswer{good(mustID(t, OIDSM3, ca, []byte{1}))}, Nonce: nonce}, ca))
	for at, want := range map[time.Time]error{day: nil, day.Add(-time.Second): ErrNotYet, day.Add(time.Hour + time.Second): ErrStale} {
		if _, err := r.Answer(ca.Certificate, []byte{1}, at); !errors.Is(err, want) {
			t.Errorf("at %s: %v", at, err)
		}
	}
	if _, err := r.Verify(ca.Certificate, NewNonce(), day); !errors.Is(err, ErrStale) {
		t.Errorf("another nonce: %v", err)
	}
	plain := parseResponse(t, respond(t, OCSPTemplate{Answers: r.Answers}, ca))
	if _, err := plain.Verify(ca.Certificate, nonce, day); !errors.Is(err, ErrStale) {
		t.Errorf("nonce left out: %v", err)
	}
	if _, err := plain.Verify(ca.Certificate, nil, day); err != nil {
		t.Errorf("signed beforehand: %v", err)
	}
}

func TestOCSPRefusesEveryEdit(t *testing.T) {
	ca := newCA(t, "OCSP Root", true)
	delegate := issue(t, ca, "Responder", true, withEKU(smx509.ExtKeyUsageOCSPSigning))
	der := respond(t, OCSPTemplate{Answers: []OCSPAnswer{good(mustID(t, OIDSM3, ca, []byte{1}))}, Nonce: NewNonce()}, delegate)
	for i := range der {
		bad := bytes.Clone(der)
		bad[i] ^= 1
		r, err := ParseOCSPResponse(bad)
		if err != nil {
			continue
		}
		if _, err := r.Verify(ca.Certificate, nil, day); err == nil {
			t.Errorf("octet %d of %d changed and nobody noticed", i, len(der))
		}
	}
	if _, err := ParseOCSPResponse(append(bytes.Clone(der), 0)); !errors.Is(err, ErrTrailing) {
		t.Errorf("trailing octet: %v", err)
	}
}

func TestOCSPRefusesAnotherSM2ID(t *testing.T) {
	ca := newCA(t, "OCSP Root", true)
	r := parseResponse(t, respond(t, OCSPTemplate{Answers: []OCSPAnswer{good(mustID(t, OIDSM3, ca, []byte{1}))}}, ca))
	e, err := gm.E(publicOf(ca.key.(*gm.PrivateKey)), nil, r.RawTBS)
	if err != nil {
		t.Fatal(err)
	}
	if r.Signature, err = ca.key.Sign(nil, e[:], gm.Digest); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Verify(ca.Certificate, nil, day); !errors.Is(err, ErrSignature) {
		t.Errorf("empty id: %v", err)
	}
}

func TestOCSPFailures(t *testing.T) {
	ca := newCA(t, "OCSP Root", true)
	for _, status := range []OCSPResponseStatus{OCSPMalformedRequest, OCSPInternalError, OCSPTryLater, OCSPSigRequired, OCSPUnauthorized} {
		r := parseResponse(t, OCSPFailure(status))
		if r.Status != status {
			t.Errorf("status %d reads as %d", status, r.Status)
		}
		if _, err := r.Verify(ca.Certificate, nil, day); err == nil {
			t.Error("a failure verified")
		}
	}
	for _, status := range []OCSPResponseStatus{OCSPSuccessful, 4, 7, 255} {
		if _, err := ParseOCSPResponse(OCSPFailure(status)); err == nil {
			t.Errorf("status %d without an answer was taken", status)
		}
	}
}

func TestOCSPByOpenSSL(t *testing.T) {
	dir := t.TempDir()
	for _, sm2 := range []bool{false, true} {
		ca := newCA(t, "OCSP Root", sm2)
		leaf := issue(t, ca, "Leaf", sm2)
		delegate := issue(t, ca, "Responder", sm2, withEKU(smx509.ExtKeyUsageOCSPSigning))
		writeFile(t, dir, "ca.pem", EncodePEM("CERTIFICATE", ca.Raw))
		writeFile(t, dir, "leaf.pem", EncodePEM("CERTIFICATE", leaf.Raw))
		hash := map[bool]string{true: "-sm3", false: "-sha256"}[sm2]
		openssl(t, dir, "ocsp", "-issuer", "ca.pem", hash, "-cert", "leaf.pem", "-reqout", "req.der", "-nonce")
		request, err := ParseOCSPRequest(readFile(t, dir, "req.der"))
		if err != nil {
			t.Fatal(err)
		}
		id := request.IDs[0]
		if !id.Names(ca.Certificate) || !bytes.Equal(id.Serial, leaf.Serial) {
			t.Errorf("openssl's CertID is not understood: %+v", id)
		}
		for _, by := range []party{ca, delegate} {
			answer := OCSPAnswer{ID: id, Status: OCSPRevoked, RevokedAt: day, Reason: ReasonSuperseded, ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}
			writeFile(t, dir, "resp.der", respond(t, OCSPTemplate{Answers: []OCSPAnswer{answer}, Nonce: request.Nonce}, by))
			out := openssl(t, dir, "ocsp", "-no_nonce", "-reqin", "req.der", "-respin", "resp.der", "-issuer", "ca.pem", "-CAfile", "ca.pem", hash, "-cert", "leaf.pem")
			verified := strings.Contains(out, "Response verify OK")
			if verified == sm2 { // with SM2 it knows the empty identifier only
				t.Errorf("SM2 %v: openssl says:\n%s", sm2, out)
			}
			if !sm2 && !strings.Contains(out, "leaf.pem: revoked") || strings.Contains(out, "Nonce Verify error") {
				t.Errorf("openssl says:\n%s", out)
			}
		}
	}
}

func FuzzParseOCSPRequest(f *testing.F) {
	ca := newCA(f, "Fuzz", true)
	for _, ids := range [][]CertID{{mustID(f, OIDSM3, ca, []byte{1})}, {mustID(f, OIDSHA1, ca, []byte{1}), mustID(f, OIDSHA256, ca, []byte{2})}} {
		for _, nonce := range [][]byte{nil, NewNonce()} {
			der, err := BuildOCSPRequest(ids, nonce)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(der)
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		if r, err := ParseOCSPRequest(der); err == nil {
			for _, id := range r.IDs {
				id.Names(ca.Certificate)
			}
		}
	})
}

func FuzzParseOCSPResponse(f *testing.F) {
	ca := newCA(f, "Fuzz", true)
	delegate := issue(f, ca, "Responder", true, withEKU(smx509.ExtKeyUsageOCSPSigning))
	id := mustID(f, OIDSM3, ca, []byte{1})
	f.Add(OCSPFailure(OCSPTryLater))
	f.Add(respond(f, OCSPTemplate{Answers: []OCSPAnswer{good(id)}, Nonce: NewNonce()}, delegate))
	f.Add(respond(f, OCSPTemplate{ByKey: true, Answers: []OCSPAnswer{{ID: id, Status: OCSPRevoked, RevokedAt: day, Reason: 1, InvalidityDate: day, ThisUpdate: day}}}, ca))
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := ParseOCSPResponse(der)
		if err != nil {
			return
		}
		_, _ = r.Verify(ca.Certificate, nil, day)
		_, _ = r.Answer(ca.Certificate, []byte{1}, day)
	})
}

func TestPlainOCSPRequest(t *testing.T) {
	ca := newCA(t, "OCSP Root", true)
	one, two := mustID(t, OIDSM3, ca, []byte{1}), mustID(t, OIDSHA1, ca, []byte{2})
	build := func(nonce []byte, ids ...CertID) []byte {
		der, err := BuildOCSPRequest(ids, nonce)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	plain := build(nil, one)
	id, ok := PlainOCSPRequest(plain)
	full, err := ParseOCSPRequest(plain)
	if err != nil || !ok || !bytes.Equal(id, full.IDs[0].Raw) {
		t.Errorf("%x, %v, %v", id, ok, err)
	}
	for name, der := range map[string][]byte{
		"nonce": build(NewNonce(), one), "two": build(nil, one, two), "trailing": append(build(nil, one), 0), "cut": plain[:len(plain)-1], "empty": {},
	} {
		if _, ok := PlainOCSPRequest(der); ok {
			t.Errorf("%s: taken for plain", name)
		}
	}
	if n := testing.AllocsPerRun(100, func() { PlainOCSPRequest(plain) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
