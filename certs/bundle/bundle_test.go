package bundle

import (
	"bytes"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"hufu/certs"
	"hufu/internal/gm"
)

var day = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)

type party struct {
	*certs.Certificate
	key *gm.PrivateKey
}

// newParty makes a self-signed certificate with another implementation.
func newParty(t testing.TB, name string, ca bool) party {
	t.Helper()
	key, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	template := &smx509.Certificate{
		SerialNumber: big.NewInt(0x11223344), Subject: pkix.Name{CommonName: name}, NotBefore: day.AddDate(-1, 0, 0), NotAfter: day.AddDate(9, 0, 0),
		KeyUsage: smx509.KeyUsageDigitalSignature, SubjectKeyId: []byte(name),
	}
	if ca {
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage = smx509.KeyUsageCertSign | smx509.KeyUsageCRLSign
	}
	der, err := smx509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := certs.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return party{c, key}
}

func sample(t testing.TB, ca party) Bundle {
	t.Helper()
	var crl bytes.Buffer
	err := certs.WriteCRL(&crl, certs.CRLTemplate{
		Issuer: ca.Certificate, Number: 1, ThisUpdate: day, NextUpdate: day.AddDate(0, 0, 1),
		Entries: slices.Values([]certs.CRLEntry{{Serial: []byte{9}, RevokedAt: day}}),
	}, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return Bundle{
		ID: "hufu-demo", Sequence: 7, IssuedAt: day.Add(300 * time.Millisecond), NextUpdate: day.AddDate(0, 0, 7).In(time.FixedZone("CST", 8*3600)),
		Issuer: "虎符 <示范> & Co", PolicyVersion: "2026-11",
		Authorities:  []Authority{{Certificate: ca.Raw, Root: true, Terms: Terms{Purposes: []Purpose{SealSigner, SealMaker}, DistrustAfter: day.AddDate(1, 0, 0)}}},
		TimeStampers: [][]byte{ca.Raw},
		CRLs:         [][]byte{crl.Bytes()},
		Seals: []SealStatus{
			{ID: "33010000000002", State: Replaced, Since: day, Reason: "worn", ReplacedBy: "33010000000003"},
			{ID: "33010000000001", State: Active, Since: day},
		},
		Licences: []StatusEntry{{ID: "1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.001.U", State: Withdrawn, Since: day}},
		Logs:     []LogKey{{Key: "hufu+00000000+AAAA", Witnesses: []string{"w1+0+A", "w2+0+B"}, Quorum: 1, Checkpoints: []string{"hufu\n7\nAA==\n\n— hufu AAAA\n"}}},
	}
}

func build(t testing.TB, b Bundle, p party) []byte {
	t.Helper()
	data, err := Build(b, p.key, p.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// signText signs any text as if it were a bundle, as an attacker within the signer's office could.
func signText(t testing.TB, text []byte, p party) []byte {
	t.Helper()
	data, err := certs.BuildSignedData(certs.SignedDataTemplate{Content: text, Certificate: p.Certificate}, p.key)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestBundleRoundTrip(t *testing.T) {
	ca, signer := newParty(t, "Root", true), newParty(t, "Bundle", false)
	want := sample(t, ca)
	data := build(t, want, signer)
	b, info, err := Parse(data, PinKey(signer.key.Public()))
	if err != nil {
		t.Fatal(err)
	}
	if !info.Pinned || len(info.Fingerprint) != 64 || !bytes.Equal(info.Signer.Raw, signer.Raw) {
		t.Errorf("info %+v", info)
	}
	if b.Sequence != 7 || !b.IssuedAt.Equal(day) || !b.NextUpdate.Equal(want.NextUpdate) || b.Issuer != want.Issuer {
		t.Errorf("bundle %+v", b)
	}
	if s, ok := b.Seal("33010000000002"); !ok || s.State != Replaced || s.ReplacedBy != "33010000000003" {
		t.Errorf("seal %+v, %v", s, ok)
	}
	if _, ok := b.Seal("33010000000009"); ok {
		t.Error("a seal that nobody named has a state")
	}
	if l, ok := b.Licence(want.Licences[0].ID); !ok || l.State != Withdrawn {
		t.Errorf("licence %+v, %v", l, ok)
	}
	if len(b.Roots(SealMaker)) != 1 || len(b.Roots(TimeStamp)) != 0 || len(b.Intermediates(SealMaker)) != 0 || len(b.TimeStampCertificates()) != 1 {
		t.Error("authorities by purpose")
	}
	if after := b.Terms(day.AddDate(2, 0, 0))[0].DistrustAfter; !after.Equal(day.AddDate(1, 0, 0)) {
		t.Errorf("distrust after %s", after)
	}
	lists := b.RevocationLists()
	if len(lists) != 1 || lists[0].CheckSignature(ca.Certificate) != nil || !bytes.Equal(b.CRLs[0], want.CRLs[0]) {
		t.Error("the CRL did not come through verbatim")
	}
	again, err := certs.ParseSignedData(build(t, *b, signer))
	if err != nil {
		t.Fatal(err)
	}
	first, err := certs.ParseSignedData(data)
	if err != nil || !bytes.Equal(first.Content, again.Content) {
		t.Errorf("parse, then build gives other JSON: %v", err)
	}
}

func TestBundlePin(t *testing.T) {
	ca, signer, other := newParty(t, "Root", true), newParty(t, "Bundle", false), newParty(t, "Bundle", false)
	data := build(t, sample(t, ca), signer)
	spki := certs.EncodePEM("PUBLIC KEY", signer.RawSPKI)
	for name, text := range map[string][]byte{"key": spki, "certificate": certs.EncodePEM("CERTIFICATE", signer.Raw)} {
		pin, err := ParsePin(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, info, err := Parse(data, pin); err != nil || !info.Pinned {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b, info, err := Parse(data, PinKey(other.key.Public())); !errors.Is(err, ErrNotPinned) || b != nil || info == nil || info.Pinned {
		t.Errorf("signer that is not pinned: %v, %v", b, err)
	}
	if b, info, err := Parse(data, Pin{}); err != nil || b == nil || info.Pinned {
		t.Errorf("no pin: %v", err)
	}
	// The pinned signer's certificate put into a bundle that another key has signed.
	forged := build(t, sample(t, ca), other)
	forged = bytes.Replace(forged, other.RawSPKI, signer.RawSPKI, 1)
	if _, _, err := Parse(forged, PinKey(signer.key.Public())); !errors.Is(err, ErrSignature) {
		t.Errorf("exchanged certificate: %v", err)
	}
	for _, bad := range []string{"", "x", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", string(spki) + string(spki)} {
		if _, err := ParsePin([]byte(bad)); err == nil {
			t.Errorf("pin %q accepted", bad)
		}
	}
}

func TestBundleRefusesEveryEdit(t *testing.T) {
	ca, signer := newParty(t, "Root", true), newParty(t, "Bundle", false)
	b := sample(t, ca)
	b.Authorities, b.TimeStampers, b.CRLs = nil, nil, nil
	data := build(t, b, signer)
	original, err := certs.ParseSignedData(data)
	if err != nil {
		t.Fatal(err)
	}
	for i := range data {
		bad := bytes.Clone(data)
		bad[i] ^= 1
		if _, _, err := Parse(bad, PinKey(signer.key.Public())); err != nil {
			continue
		}
		// Octets that no signature covers may change (version, certificate): the JSON must be the one that was signed.
		if s, err := certs.ParseSignedData(bad); err != nil || !bytes.Equal(s.Content, original.Content) {
			t.Errorf("octet %d of %d changed and nobody noticed", i, len(data))
		}
	}
	if _, _, err := Parse(append(bytes.Clone(data), 0), Pin{}); !errors.Is(err, ErrForm) {
		t.Errorf("trailing octet: %v", err)
	}
	if _, _, err := Parse(nil, Pin{}); !errors.Is(err, ErrForm) {
		t.Errorf("nothing: %v", err)
	}
	if _, _, err := Parse(make([]byte, MaxSize+1), Pin{}); !errors.Is(err, ErrForm) {
		t.Errorf("too large: %v", err)
	}
}

// Signed rightly, but not in the one form: two readers could take it for two different things.
func TestBundleRefusesOtherForms(t *testing.T) {
	ca, signer := newParty(t, "Root", true), newParty(t, "Bundle", false)
	n := sample(t, ca).normal()
	text, err := n.marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Parse(signText(t, text, signer), Pin{}); err != nil {
		t.Fatalf("the canonical text itself: %v", err)
	}
	replace := func(old, with string) string {
		if !strings.Contains(string(text), old) {
			t.Fatalf("no %s in %s", old, text)
		}
		return strings.Replace(string(text), old, with, 1)
	}
	for name, bad := range map[string]string{
		"unknown field": replace(`"id":`, `"hidden":1,"id":`), "duplicate name": replace(`"sequence":7`, `"sequence":7,"sequence":8`),
		"other case": replace(`"sequence":7`, `"Sequence":7`), "both cases": replace(`"sequence":7`, `"sequence":7,"Sequence":9`),
		"space": replace(`"sequence":7`, `"sequence": 7`), "float": replace(`"sequence":7`, `"sequence":7.0`), "exponent": replace(`"sequence":7`, `"sequence":7e0`),
		"order": replace(`"sequence":7,"timeStampers"`, `"timeStampers":[],"sequence":7,"x"`), "null": replace(`"seals":[`, `"previous":null,"seals":[`),
		"escape": replace(`"id":"hufu`, `"id":"\u0068ufu`), "time zone": replace(`"2026-11-20T08:00:00Z"`, `"2026-11-20T16:00:00+08:00"`),
		"base64": replace(`"root":true`, `"root":true,"certificate":""`), "end": string(text) + " ", "array": "[]", "empty object": "{}",
		"unknown inside": replace(`"root":true`, `"root":true,"trusted":true`),
	} {
		if b, _, err := Parse(signText(t, []byte(bad), signer), Pin{}); err == nil || b != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestBundleRefusesContent(t *testing.T) {
	ca, signer := newParty(t, "Root", true), newParty(t, "Bundle", false)
	for name, edit := range map[string]func(*Bundle){
		"no id":              func(b *Bundle) { b.ID = "" },
		"control character":  func(b *Bundle) { b.Issuer = "a\x1b[2J" },
		"sequence 0":         func(b *Bundle) { b.Sequence = 0 },
		"sequence 2^53":      func(b *Bundle) { b.Sequence = 1 << 53 },
		"ends before":        func(b *Bundle) { b.NextUpdate = b.IssuedAt },
		"previous":           func(b *Bundle) { b.Previous = "abc" },
		"purpose":            func(b *Bundle) { b.Authorities[0].Purposes = []Purpose{"all"} },
		"purpose twice":      func(b *Bundle) { b.Authorities[0].Purposes = []Purpose{Log, Log} },
		"no purpose":         func(b *Bundle) { b.Authorities[0].Purposes = nil },
		"authority twice":    func(b *Bundle) { b.Authorities = append(b.Authorities, b.Authorities[0]) },
		"no CA":              func(b *Bundle) { b.Authorities[0].Certificate = signer.Raw },
		"no certificate":     func(b *Bundle) { b.Authorities[0].Certificate = []byte("x") },
		"no time-stamper":    func(b *Bundle) { b.TimeStampers = [][]byte{{1}} },
		"no signer":          func(b *Bundle) { b.Signers = [][]byte{{1}} },
		"no CRL":             func(b *Bundle) { b.CRLs = [][]byte{{0x30, 0}} },
		"seal twice":         func(b *Bundle) { b.Seals = append(b.Seals, b.Seals[0]) },
		"seal state":         func(b *Bundle) { b.Seals[0].State = Withdrawn },
		"unknown state":      func(b *Bundle) { b.Licences[0].State = "good" },
		"no time":            func(b *Bundle) { b.Licences[0].Since = time.Time{} },
		"replaced by nobody": func(b *Bundle) { b.Seals[0] = SealStatus{ID: "1", State: Replaced, Since: day} },
		"quorum":             func(b *Bundle) { b.Logs[0].Quorum = 3 },
		"witness twice":      func(b *Bundle) { b.Logs[0].Witnesses[1] = b.Logs[0].Witnesses[0] },
		"no checkpoint":      func(b *Bundle) { b.Logs[0].Checkpoints = []string{""} },
	} {
		b := sample(t, ca)
		edit(&b)
		if _, err := Build(b, signer.key, signer.Certificate); !errors.Is(err, ErrContent) {
			t.Errorf("%s: built: %v", name, err)
		}
		n := b.normal()
		text, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		if text, err = Canonical(text); err != nil {
			t.Fatal(err)
		}
		if got, _, err := Parse(signText(t, text, signer), Pin{}); !errors.Is(err, ErrContent) || got != nil {
			t.Errorf("%s: parsed: %v", name, err)
		}
	}
	other := sample(t, ca).normal()
	other.Version = 3
	text, err := other.marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Parse(signText(t, text, signer), Pin{}); !errors.Is(err, ErrContent) {
		t.Errorf("version 3: %v", err)
	}
}

func TestBundleSequenceAndEnd(t *testing.T) {
	b := Bundle{Sequence: 7, IssuedAt: day, NextUpdate: day.AddDate(0, 0, 7)}
	for last, want := range map[uint64]error{0: nil, 6: nil, 7: nil, 8: ErrRollback} {
		if err := b.CheckSequence(last); !errors.Is(err, want) {
			t.Errorf("after %d: %v", last, err)
		}
	}
	for _, test := range []struct {
		at    time.Time
		stale bool
	}{
		{day, false},
		{day.Add(-time.Second), false},
		{day.Add(41 * time.Hour), false},
		{day.AddDate(0, 0, 7), false},
		{day.AddDate(0, 0, 7).Add(time.Second), true},
	} {
		if b.Stale(test.at) != test.stale {
			t.Errorf("at %s: stale %v", test.at, b.Stale(test.at))
		}
	}
}

func FuzzDecode(f *testing.F) {
	ca := newParty(f, "Root", true)
	n := sample(f, ca).normal()
	text, err := n.marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"version":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := decode(text)
		if err != nil {
			return
		}
		if again, err := b.marshal(); err != nil || !bytes.Equal(again, text) {
			t.Errorf("%q becomes %q", text, again)
		}
	})
}

func FuzzParse(f *testing.F) {
	ca, signer := newParty(f, "Root", true), newParty(f, "Bundle", false)
	f.Add(build(f, sample(f, ca), signer))
	f.Fuzz(func(t *testing.T, data []byte) {
		if b, info, err := Parse(data, Pin{}); err == nil && (b == nil || info == nil) {
			t.Error("neither bundle nor error")
		}
	})
}
