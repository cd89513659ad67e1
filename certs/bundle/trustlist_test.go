package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"hufu/certs"
)

func sampleEntry(ca party) TrustEntry {
	return TrustEntry{
		ID: "hb-ca", Name: "湖北某 CA", Certificates: []TrustCertificate{{DER: ca.Raw, Root: true}},
		Terms: Terms{
			Purposes: []Purpose{Person, Login, SealSigner}, Level: 3,
			Policies: []PolicyPair{{Theirs: "1.2.156.888.1", Ours: "1.2.156.999.1"}}, Required: []certs.OID{"1.2.156.999.1"},
			Identity:      []IdentityRule{{Field: FieldPerson, OIDs: []certs.OID{certs.OIDIdentityPerson, "1.2.86.11.7.1"}, Strip: []string{"SF", "N"}}},
			Names:         &Names{Permitted: NameSet{Directory: [][]string{{"C=CN", "O=湖北"}}}},
			DistrustAfter: day.AddDate(1, 0, 0).Add(time.Millisecond), OnlyListed: true,
		},
		CRLs: []string{"http://crl.example.cn/a.crl"}, OCSP: []string{"http://ocsp.example.cn"},
	}
}

func sampleList(ca party) TrustList {
	return TrustList{ID: "hufu-trust", Sequence: 3, IssuedAt: day, NextUpdate: day.AddDate(0, 0, 30), Issuer: "虎符", Entries: []TrustEntry{sampleEntry(ca)}}
}

func buildList(t testing.TB, l TrustList, p party) []byte {
	t.Helper()
	data, err := BuildTrustList(l, p.key, p.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTrustListRoundTrip(t *testing.T) {
	ca, signer := newParty(t, "Foreign", true), newParty(t, "Signer", false)
	data := buildList(t, sampleList(ca), signer)
	l, info, err := ParseTrustList(data, PinKey(signer.PublicKey))
	if err != nil || !info.Pinned || l.Sequence != 3 || l.Version != TrustListVersion {
		t.Fatalf("%+v %+v %v", l, info, err)
	}
	e, ok := l.Entry("hb-ca")
	if !ok || !e.DistrustAfter.Equal(day.AddDate(1, 0, 0)) || e.Level != 3 || e.Policies[0].Ours != "1.2.156.999.1" {
		t.Errorf("%+v", e)
	}
	again := buildList(t, *l, signer)
	if second, _, err := ParseTrustList(again, Pin{}); err != nil || second.Entries[0].Name != e.Name {
		t.Errorf("%v", err)
	}
	if err := l.CheckSequence(3); err != nil {
		t.Error(err)
	}
	if err := l.CheckTime(day.AddDate(0, 0, 29)); err != nil {
		t.Error(err)
	}
}

// TestTrustListAttacks: each attack has its own refusal.
func TestTrustListAttacks(t *testing.T) {
	ca, signer, forger := newParty(t, "Foreign", true), newParty(t, "Signer", false), newParty(t, "Signer", false)
	data := buildList(t, sampleList(ca), signer)
	pin := PinKey(signer.PublicKey)
	if _, info, err := ParseTrustList(buildList(t, sampleList(ca), forger), pin); !errors.Is(err, ErrNotPinned) || info == nil {
		t.Errorf("another signer of the same name: %v", err)
	}
	changed := bytes.Replace(data, []byte(`"level":3`), []byte(`"level":4`), 1)
	if _, _, err := ParseTrustList(changed, pin); !errors.Is(err, ErrSignature) {
		t.Errorf("changed after signing: %v", err)
	}
	l, _, _ := ParseTrustList(data, pin)
	if err := l.CheckSequence(4); !errors.Is(err, ErrRollback) {
		t.Errorf("rolled back: %v", err)
	}
	if err := l.CheckTime(l.NextUpdate.Add(time.Second)); !errors.Is(err, ErrExpired) {
		t.Errorf("expired: %v", err)
	}
	if err := l.CheckTime(l.IssuedAt.Add(-2 * time.Hour)); !errors.Is(err, ErrExpired) {
		t.Errorf("from the future: %v", err)
	}
	bundleData := build(t, sample(t, ca), signer)
	if _, _, err := ParseTrustList(bundleData, pin); err == nil {
		t.Error("a trust bundle was read as a trust list")
	}
	if _, _, err := Parse(data, pin); err == nil {
		t.Error("a trust list was read as a trust bundle")
	}
	text, _ := sampleList(ca).marshal()
	spaced := append([]byte(" "), text...)
	unknown := bytes.Replace(text, []byte(`{"entries"`), []byte(`{"all":true,"entries"`), 1)
	for name, bad := range map[string][]byte{"spaced": spaced, "unknown name": unknown, "no json": []byte("{"), "empty": {}} {
		if _, _, err := ParseTrustList(signText(t, bad, signer), pin); !errors.Is(err, ErrForm) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTrustListContent(t *testing.T) {
	ca, leaf, signer := newParty(t, "Foreign", true), newParty(t, "Leaf", false), newParty(t, "Signer", false)
	for name, change := range map[string]func(*TrustList){
		"no sequence":          func(l *TrustList) { l.Sequence = 0 },
		"ends before it began": func(l *TrustList) { l.NextUpdate = l.IssuedAt },
		"an id with a slash":   func(l *TrustList) { l.Entries[0].ID = "a/b" },
		"twice the same id":    func(l *TrustList) { l.Entries = append(l.Entries, l.Entries[0]) },
		"a certificate twice": func(l *TrustList) {
			second := l.Entries[0]
			second.ID = "other"
			l.Entries = append(l.Entries, second)
		},
		"no certificate":    func(l *TrustList) { l.Entries[0].Certificates = nil },
		"no root":           func(l *TrustList) { l.Entries[0].Certificates = []TrustCertificate{{DER: ca.Raw}} },
		"no CA":             func(l *TrustList) { l.Entries[0].Certificates = []TrustCertificate{{DER: leaf.Raw, Root: true}} },
		"no purpose":        func(l *TrustList) { l.Entries[0].Purposes = nil },
		"unknown purpose":   func(l *TrustList) { l.Entries[0].Purposes = []Purpose{"everything"} },
		"level 5":           func(l *TrustList) { l.Entries[0].Level = 5 },
		"any-policy mapped": func(l *TrustList) { l.Entries[0].Policies = []PolicyPair{{Theirs: certs.OIDAnyPolicy, Ours: "1.2.3"}} },
		"no policy":         func(l *TrustList) { l.Entries[0].Required = []certs.OID{"gold"} },
		"unknown field":     func(l *TrustList) { l.Entries[0].Identity = []IdentityRule{{Field: "x", OIDs: []certs.OID{"1.2.3"}}} },
		"prefix of digits": func(l *TrustList) {
			l.Entries[0].Identity = []IdentityRule{{Field: FieldPerson, OIDs: []certs.OID{"1.2.3"}, Strip: []string{"11"}}}
		},
		"a directory of none": func(l *TrustList) { l.Entries[0].Names = &Names{Permitted: NameSet{Directory: [][]string{{}}}} },
		"names of nothing":    func(l *TrustList) { l.Entries[0].Names = &Names{} },
		"ldap":                func(l *TrustList) { l.Entries[0].CRLs = []string{"ldap://x/y"} },
		"password in address": func(l *TrustList) { l.Entries[0].OCSP = []string{"http://a:b@x/"} },
	} {
		l := sampleList(ca)
		change(&l)
		if _, err := BuildTrustList(l, signer.key, signer.Certificate); !errors.Is(err, ErrContent) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBundleWithTermsIsAnotherVersion(t *testing.T) {
	ca, signer := newParty(t, "Foreign", true), newParty(t, "Signer", false)
	b := sample(t, ca)
	b.Authorities = sampleEntry(ca).Authorities()
	data := build(t, b, signer)
	got, _, err := Parse(data, PinKey(signer.PublicKey))
	if err != nil || got.Version != VersionTerms {
		t.Fatalf("%+v %v", got, err)
	}
	terms := got.Terms(day.AddDate(2, 0, 0), SealSigner)
	if len(terms) != 1 || !terms[0].Listed || !terms[0].OnlyListed || terms[0].Names == nil || len(terms[0].Policies) != 1 || terms[0].DistrustAfter.IsZero() {
		t.Errorf("%+v", terms)
	}
	if early := got.Terms(day, SealMaker); early[0].Listed || !early[0].DistrustAfter.IsZero() {
		t.Errorf("%+v", early)
	}
	old, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	old, _ = Canonical(bytes.Replace(old, []byte(`"version":2`), []byte(`"version":1`), 1))
	if _, _, err := Parse(signText(t, old, signer), PinKey(signer.PublicKey)); !errors.Is(err, ErrContent) {
		t.Errorf("terms under the number of a form that has none: %v", err)
	}
}

func TestIdentities(t *testing.T) {
	rules := []IdentityRule{
		{Field: FieldPerson, OIDs: []certs.OID{"1.2.3.1", "1.2.3.2"}, Strip: []string{"N", "SF", "S"}},
		{Field: FieldOrganisation, OIDs: []certs.OID{"1.2.3.4"}, Decoder: DecodeString, Strip: []string{"JJ"}},
	}
	with := func(all ...certs.Extension) *certs.Certificate { return &certs.Certificate{Extensions: all} }
	printable := func(s string) []byte { return append([]byte{0x13, byte(len(s))}, s...) }
	utf := func(s string) []byte { return append([]byte{0x0c, byte(len(s))}, s...) }
	tagged := func(tag byte, in []byte) []byte { return append([]byte{tag, byte(len(in))}, in...) }
	const number = "11010119900307002X"
	for _, row := range []struct {
		name string
		cert *certs.Certificate
		want []Identity
	}{
		{"none", with(), nil},
		{"choice", with(certs.Extension{ID: "1.2.3.1", Value: tagged(0xa0, printable(number))}), []Identity{{FieldPerson, certs.IdentityResident, number, "1.2.3.1"}}},
		{"set of the RSA era", with(certs.Extension{ID: "1.2.3.1", Value: tagged(0x31, tagged(0xa0, printable(number)))}), []Identity{{FieldPerson, certs.IdentityResident, number, "1.2.3.1"}}},
		{"prefixed", with(certs.Extension{ID: "1.2.3.2", Value: printable("SF" + number)}), []Identity{{FieldPerson, certs.IdentityUnknown, number, "1.2.3.2"}}},
		{"first OID wins", with(certs.Extension{ID: "1.2.3.2", Value: printable("OTHER")}, certs.Extension{ID: "1.2.3.1", Value: utf(number)}), []Identity{{FieldPerson, certs.IdentityUnknown, number, "1.2.3.1"}}},
		{"a broken first one hides the second", with(certs.Extension{ID: "1.2.3.2", Value: printable("OTHER")}, certs.Extension{ID: "1.2.3.1", Value: []byte{0x30}}), nil},
		{
			"both fields", with(certs.Extension{ID: "1.2.3.1", Value: utf("N" + number)}, certs.Extension{ID: "1.2.3.4", Value: utf("JJ91330106MA00000190")}),
			[]Identity{{FieldPerson, certs.IdentityUnknown, number, "1.2.3.1"}, {FieldOrganisation, certs.IdentityUnknown, "91330106MA00000190", "1.2.3.4"}},
		},
		{"another encoding than the CA's", with(certs.Extension{ID: "1.2.3.4", Value: tagged(0xa0, printable("91330106MA00000190"))}), nil},
		{"only a prefix", with(certs.Extension{ID: "1.2.3.4", Value: utf("JJ")}), []Identity{{FieldOrganisation, certs.IdentityUnknown, "JJ", "1.2.3.4"}}},
		{"control character", with(certs.Extension{ID: "1.2.3.4", Value: utf("JJ91\n0")}), nil},
		{"too long", with(certs.Extension{ID: "1.2.3.4", Value: utf(strings.Repeat("1", 65))}), nil},
	} {
		got := Identities(row.cert, rules)
		if len(got) != len(row.want) {
			t.Errorf("%s: %+v", row.name, got)
			continue
		}
		for i := range got {
			if got[i] != row.want[i] {
				t.Errorf("%s: %+v, want %+v", row.name, got[i], row.want[i])
			}
		}
	}
}

func FuzzParseTrustList(f *testing.F) {
	ca, signer := newParty(f, "Foreign", true), newParty(f, "Signer", false)
	f.Add(buildList(f, sampleList(ca), signer))
	text, _ := sampleList(ca).marshal()
	f.Add(text)
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _, _ = ParseTrustList(data, PinKey(signer.PublicKey))
		// The signature hides the reader from the fuzzer: what it makes is read as if it were signed.
		l := new(TrustList)
		if json.Unmarshal(data, l) == nil && l.check() == nil {
			again, err := BuildTrustList(*l, signer.key, signer.Certificate)
			if err != nil {
				return
			}
			if _, _, err := ParseTrustList(again, PinKey(signer.PublicKey)); err != nil {
				t.Errorf("what was built is not read: %v", err)
			}
		}
	})
}
