package ses

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/certs"
	"hufu/internal/gm"
	"hufu/seal/ofd"
)

func sampleSeal(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("../ofd/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func sampleSignature(t testing.TB, name string) ([]byte, ofd.Signature) {
	t.Helper()
	c, err := ofd.Open(sampleSeal(t, name))
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Model()
	if err != nil {
		t.Fatal(err)
	}
	s := c.Signatures(m).List[0]
	return s.Value, s
}

// key takes the public key out of a certificate without judging it.
func key(t testing.TB, der []byte) *ecdsa.PublicKey {
	t.Helper()
	c, err := certs.ParseLenient(der)
	if err != nil {
		t.Fatal(err)
	}
	return c.PublicKey.(*ecdsa.PublicKey)
}

func TestSampleSealsAndTheTwoMakerRules(t *testing.T) {
	for _, tc := range []struct {
		file          string
		version       Version
		header        int
		typ, list     int
		name, vendor  string
		created, ends string
		stamp         []byte
	}{
		{"seal-v1.esl", V1, 1, 1, 0, "OFDRW测试用印章", "OFDR&WTest", "2020-04-22T02:18:07Z", "2022-04-22T02:18:07Z", nil},
		{"seal-v4.esl", V4, 4, 3, 1, "OFD R&W 测试用印章", "OFDR&WTest", "2020-04-22T02:09:00Z", "2022-04-22T02:09:00Z", nil},
		{"seal-v5.esl", V5, 5, 3, 1, "OFD R&W V5测试用印章", "OFDR&WTestV5", "2026-04-24T08:53:23Z", "2028-04-24T08:53:23Z", nil},
		{"seal-v5-dummy-timestamp.esl", V5, 5, 3, 1, "OFD R&W V5测试用印章", "OFDR&WTestV5", "2026-04-24T08:53:22Z", "2028-04-24T08:53:22Z", []byte{1, 2, 3}},
	} {
		t.Run(tc.file, func(t *testing.T) {
			s, err := ParseSeal(sampleSeal(t, tc.file))
			if err != nil {
				t.Fatal(err)
			}
			if s.Version != tc.version || s.HeaderVersion != tc.header || s.Type != tc.typ || s.ListType != tc.list || s.Name != tc.name || s.VendorID != tc.vendor || len(s.ESID) != 32 || !bytes.Equal(s.TimeStamp, tc.stamp) {
				t.Errorf("%+v", s)
			}
			if s.Created.Format(time.RFC3339) != tc.created || s.ValidEnd.Format(time.RFC3339) != tc.ends || !s.ValidStart.Equal(s.Created) {
				t.Errorf("times %v %v %v", s.Created, s.ValidStart, s.ValidEnd)
			}
			if s.Picture.Type != "PNG" || len(s.Picture.Data) != 15693 || s.Picture.Width != 40 || s.Picture.Height != 40 || len(s.Certs) != 1 || len(s.NonStandard) != 0 {
				t.Errorf("picture %s %d, %d certificates, remarks %v", s.Picture.Type, len(s.Picture.Data), len(s.Certs), s.NonStandard)
			}
			maker := key(t, s.MakerCert)
			if !gm.Verify(maker, s.SignedBytes(), s.Signature) {
				t.Error("the maker's signature fails under the version's own rule")
			}
			other := *s
			other.Version = V1 + V4 - s.Version // the other rule
			if s.Version == V5 {
				other.Version = V1
			}
			if gm.Verify(maker, other.SignedBytes(), s.Signature) {
				t.Error("the maker's signature passes under the other version's rule too")
			}
		})
	}
}

func TestSampleSignatures(t *testing.T) {
	for _, name := range []string{"sealed-v4-expired.ofd", "sealed-v4-whole-protected.ofd", "sealed-v4-cross-page.ofd"} {
		value, doc := sampleSignature(t, name)
		if KindOf(value) != KindSES {
			t.Fatal(name, KindOf(value))
		}
		s, err := ParseSignature(value)
		if err != nil {
			t.Fatal(name, err)
		}
		sum := gm.SM3(doc.Raw)
		if s.Version != V4 || !bytes.Equal(s.DataHash, sum[:]) || s.PropertyInfo != "/"+doc.Path || len(s.NonStandard) != 0 {
			t.Errorf("%s: %s %s %v", name, s.Version, s.PropertyInfo, s.NonStandard)
		}
		if !gm.Verify(key(t, s.Cert), s.SignedBytes(), s.Signature) || !bytes.Equal(s.Seal.Raw, doc.Seal) {
			t.Errorf("%s: signature or seal", name)
		}
		if !s.Seal.Lists(s.Cert, nil) || s.Seal.Lists(s.Seal.MakerCert, nil) {
			t.Errorf("%s: list", name)
		}
	}
	bare, _ := sampleSignature(t, "signed-bare.ofd")
	if KindOf(bare) != KindBare {
		t.Error(KindOf(bare))
	}
	if KindOf([]byte{0x30, 0x0b, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2}) != KindCMS || KindOf([]byte("x")) != KindUnknown {
		t.Error("kinds")
	}
}

// made is a seal and signature of our own, with stand-in certificates.
type made struct {
	maker, signer *gm.PrivateKey
	seal, sig     []byte
}

func spec(v Version) SealSpec {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return SealSpec{
		Version: v, VendorID: "Hufu", ESID: "33010600000001", Type: 1, Name: "测试专用章", Certs: [][]byte{[]byte("signer certificate")},
		Created: at, ValidStart: at, ValidEnd: at.AddDate(5, 0, 0), Picture: Picture{"PNG", []byte("png"), 40, 40},
		Extensions: []ExtData{{OID: "1.2.156.10197.6.7.2.2.1", Value: []byte("2.1")}, {OID: "1.2.3", Critical: true, Value: nil}},
	}
}

func make45(t testing.TB, v Version) made {
	t.Helper()
	var m made
	var err error
	if m.maker, err = gm.GenerateKey(); err != nil {
		t.Fatal(err)
	}
	if m.signer, err = gm.GenerateKey(); err != nil {
		t.Fatal(err)
	}
	p, err := NewSeal(spec(v))
	if err != nil {
		t.Fatal(err)
	}
	sig, err := gm.SignMessage(m.maker, p.SignedBytes())
	if err != nil {
		t.Fatal(err)
	}
	if m.seal, err = p.Finish([]byte("maker certificate"), sig); err != nil {
		t.Fatal(err)
	}
	q, err := NewSignature(SignatureSpec{Seal: m.seal, Time: time.Date(2026, 2, 2, 3, 4, 5, 0, time.UTC), DataHash: gm.SM3([]byte("x")), PropertyInfo: "/Doc_0/Signs/Sign_0/Signature.xml", Extensions: []ExtData{{OID: "1.2.4", Value: []byte("log")}}})
	if err != nil {
		t.Fatal(err)
	}
	if sig, err = gm.SignMessage(m.signer, q.SignedBytes()); err != nil {
		t.Fatal(err)
	}
	if m.sig, err = q.Finish([]byte("signer certificate"), sig); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestBuiltStructuresAreReadBack(t *testing.T) {
	for _, v := range []Version{V4, V5} {
		m := make45(t, v)
		stamped, err := SignatureWithTimeStamp(m.sig, []byte("token"))
		if err != nil {
			t.Fatal(err)
		}
		s, err := ParseSignature(stamped)
		if err != nil {
			t.Fatal(err)
		}
		if s.Version != v || s.TBSVersion != int(v) || !bytes.Equal(s.Seal.Raw, m.seal) || string(s.TimeStamp) != "token" || len(s.Extensions) != 1 || len(s.NonStandard) != 0 {
			t.Errorf("%+v", s)
		}
		if !gm.Verify(m.signer.Public().(*ecdsa.PublicKey), s.SignedBytes(), s.Signature) || !gm.Verify(m.maker.Public().(*ecdsa.PublicKey), s.Seal.SignedBytes(), s.Seal.Signature) {
			t.Error("signatures")
		}
		want := spec(v)
		if s.Seal.Name != want.Name || s.Seal.ESID != want.ESID || len(s.Seal.Extensions) != 2 || !s.Seal.Extensions[1].Critical || s.Seal.Extensions[0].Critical {
			t.Errorf("%+v", s.Seal)
		}
		if !bytes.Contains(m.seal, []byte{tagBool, 1, 0}) {
			t.Error("critical FALSE is not written out")
		}
		if _, err := SignatureWithTimeStamp(stamped, nil); err == nil {
			t.Error("a second time-stamp is taken")
		}
		_, err = SealWithTimeStamp(m.seal, []byte("token"))
		if (err == nil) != (v == V5) {
			t.Errorf("time-stamp in a %s seal: %v", v, err)
		}
	}
}

func TestBadSealsAreNotBuilt(t *testing.T) {
	for field, change := range map[string]func(*SealSpec){
		"Version": func(s *SealSpec) { s.Version = V1 }, "VendorID": func(s *SealSpec) { s.VendorID = "虎符" },
		"ESID": func(s *SealSpec) { s.ESID = "" }, "Name": func(s *SealSpec) { s.Name = "\xff" },
		"Certs":       func(s *SealSpec) { s.Certs = nil },
		"both lists":  func(s *SealSpec) { s.Digests = []Digest{{"x", nil}} },
		"times":       func(s *SealSpec) { s.ValidEnd = s.ValidStart },
		"created":     func(s *SealSpec) { s.Created = s.Created.Add(time.Hour) },
		"Picture":     func(s *SealSpec) { s.Picture.Type = "EXE" },
		"PictureSize": func(s *SealSpec) { s.Picture.Width = 0 },
		"extension":   func(s *SealSpec) { s.Extensions[0].OID = "1.x" },
	} {
		s := spec(V4)
		change(&s)
		if _, err := NewSeal(s); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", field, err)
		}
	}
	p, err := NewSeal(spec(V4))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Finish([]byte("x"), []byte("no signature")); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	if _, err := NewSignature(SignatureSpec{Seal: sampleSeal(t, "seal-v1.esl"), Time: time.Unix(1, 0), PropertyInfo: "/x"}); err == nil {
		t.Error("a v1 seal is used for a new signature")
	}
}

// rebuild takes a seal apart and gives its parts to change.
type parts struct{ header, esID, property, picture, maker, alg, value []byte }

func (p parts) v4() []byte {
	return sequence(sequence(p.header, p.esID, p.property, p.picture), p.maker, p.alg, p.value)
}

func good() parts {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return parts{
		header:   sequence(wrap(tagIA5, []byte("ES")), integer(4), wrap(tagIA5, []byte("V"))),
		esID:     wrap(tagIA5, []byte("1")),
		property: sequence(integer(1), wrap(tagUTF8, []byte("n")), integer(1), sequence(wrap(tagOctets, []byte("c"))), genTime(at), genTime(at), genTime(at)),
		picture:  sequence(wrap(tagIA5, []byte("PNG")), wrap(tagOctets, []byte("p")), integer(40), integer(40)),
		maker:    wrap(tagOctets, []byte("m")), alg: oid(OIDSM2WithSM3), value: bitString([]byte("sig")),
	}
}

func TestFormsInTheFieldAreReadAndNamed(t *testing.T) {
	at := []byte("20260102030405Z")
	property := func(times ...[]byte) []byte {
		return sequence(append([][]byte{integer(1), wrap(tagUTF8, []byte("n")), integer(1), sequence(wrap(tagOctets, []byte("c")))}, times...)...)
	}
	g := wrap(tagGenTime, at)
	for want, change := range map[string]func(*parts){
		"header-version-disagrees":  func(p *parts) { p.header = sequence(wrap(tagIA5, []byte("ES")), integer(3), wrap(tagIA5, []byte("V"))) },
		"header-id":                 func(p *parts) { p.header = sequence(wrap(tagIA5, []byte("XX")), integer(4), wrap(tagIA5, []byte("V"))) },
		"type-of-seal-id":           func(p *parts) { p.esID = wrap(tagUTF8, []byte("1")) },
		"type-of-created":           func(p *parts) { p.property = property(wrap(tagUTCTime, []byte("260102030405Z")), g, g) },
		"form-of-valid-end":         func(p *parts) { p.property = property(g, g, wrap(tagGenTime, []byte("20260102030405.5Z"))) },
		"created-after-valid-start": func(p *parts) { p.property = property(wrap(tagGenTime, []byte("20270102030405Z")), g, g) },
		"length-not-minimal":        func(p *parts) { p.esID = []byte{tagIA5, 0x81, 1, '1'} },
		"integer-not-minimal": func(p *parts) {
			p.picture = sequence(wrap(tagIA5, []byte("PNG")), wrap(tagOctets, []byte("p")), []byte{2, 2, 0, 40}, integer(40))
		},
		"raw-maker-signature":    func(p *parts) { p.value = bitString(bytes.Repeat([]byte{1}, 64)) },
		"certificate-list-entry": func(p *parts) { p.property = bytes.Replace(p.property, wrap(tagOctets, []byte("c")), integer(7), 1) },
		"encoding-of-seal-name": func(p *parts) {
			p.property = bytes.Replace(p.property, []byte{tagUTF8, 1, 'n'}, []byte{tagUTF8, 1, 0xff}, 1)
		},
		"certificate-list-type": func(p *parts) {
			p.property = bytes.Replace(p.property, sequence(wrap(tagOctets, []byte("c"))), sequence(wrap(tagOctets, []byte("c"))), 1)
			p.property[bytes.Index(p.property, []byte{2, 1, 1, 0x30})+2] = 9
		},
	} {
		p := good()
		change(&p)
		s, err := ParseSeal(p.v4())
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		if !slices.Contains(s.NonStandard, want) {
			t.Errorf("%s is not named: %v", want, s.NonStandard)
		}
	}
	// v1 with signInfo inside a BIT STRING.
	p := good()
	info := sequence(sequence(wrap(tagIA5, []byte("ES")), integer(1), wrap(tagIA5, []byte("V"))), p.esID,
		sequence(integer(1), wrap(tagUTF8, []byte("n")), sequence(), wrap(tagUTCTime, at[2:]), g, wrap(tagUTCTime, at[2:])), p.picture)
	inner := sequence(p.maker, p.alg, p.value)
	s, err := ParseSeal(sequence(info, bitString(inner)))
	if err != nil || s.Version != V1 || !slices.Contains(s.NonStandard, "type-of-sign-info") || !slices.Contains(s.NonStandard, "type-of-valid-start") {
		t.Errorf("%v %+v", err, s)
	}
	if err == nil && !bytes.Equal(s.SignedBytes(), sequence(info, p.maker, p.alg)) {
		t.Error("signed bytes of v1")
	}
	// v1 signature with OCTET STRINGs.
	seal := sequence(info, inner)
	tbs := sequence(integer(1), seal, wrap(tagOctets, at), wrap(tagOctets, make([]byte, 32)), wrap(tagIA5, []byte("/x")), wrap(tagOctets, []byte("c")), oid(OIDSM2WithSM3))
	v1, err := ParseSignature(sequence(tbs, bitString([]byte("s"))))
	if err != nil || v1.Version != V1 || v1.Time.Format("20060102150405Z") != string(at) || len(v1.DataHash) != 32 || string(v1.Cert) != "c" {
		t.Errorf("%v %+v", err, v1)
	}
	// extDatas without critical.
	q := good()
	with := sequence(sequence(q.header, q.esID, q.property, q.picture, sequence(sequence(oid("1.2.3"), wrap(tagOctets, []byte("v"))))), q.maker, q.alg, q.value)
	if s, err := ParseSeal(with); err != nil || len(s.Extensions) != 1 || s.Extensions[0].Critical || len(s.NonStandard) != 0 {
		t.Errorf("extension without critical: %v", err)
	}
}

func TestLyingStructuresAreRefused(t *testing.T) {
	p := good()
	base := p.v4()
	if _, err := ParseSeal(base); err != nil {
		t.Fatal(err)
	}
	for name, der := range map[string][]byte{
		"empty": nil, "trailing": append(slices.Clone(base), 0), "three fields": sequence(sequence(p.header, p.esID, p.property, p.picture), p.maker, p.alg),
		"six fields":  sequence(sequence(p.header, p.esID, p.property, p.picture), p.maker, p.alg, p.value, wrap(tagExplicit0, bitString(nil)), p.alg),
		"unused bits": sequence(sequence(p.header, p.esID, p.property, p.picture), p.maker, p.alg, wrap(tagBits, []byte{1, 0xfe})),
		"indefinite":  append([]byte{0x30, 0x80}, append(base[4:], 0, 0)...),
		"long tag":    {0x3f, 0x81, 0x01, 0},
		"huge length": {0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0},
		"negative":    sequence(sequence(p.header, p.esID, p.property, sequence(wrap(tagIA5, []byte("PNG")), wrap(tagOctets, nil), []byte{2, 1, 0xff}, integer(1))), p.maker, p.alg, p.value),
		"too large":   make([]byte, MaxSize+1),
		"info tail":   sequence(sequence(p.header, p.esID, p.property, p.picture, sequence(), sequence()), p.maker, p.alg, p.value),
	} {
		if _, err := ParseSeal(der); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := make45(t, V4)
	for n := range m.sig {
		if _, err := ParseSignature(m.sig[:n]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("cut to %d: %v", n, err)
		}
	}
	if _, err := ParseSignature(append(slices.Clone(m.sig), 0)); !errors.Is(err, ErrMalformed) {
		t.Error("trailing octet")
	}
}

// TestEveryBitOfASignatureCounts flips each octet of a signature: parsing, the maker's or the signer's signature must
// notice, or else only the two fields that no signature covers have changed.
func TestEveryBitOfASignatureCounts(t *testing.T) {
	m := make45(t, V4)
	ref, err := ParseSignature(m.sig)
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.sig {
		b := slices.Clone(m.sig)
		b[i] ^= 0x04
		s, err := ParseSignature(b)
		if err != nil {
			continue
		}
		signer := gm.Verify(m.signer.Public().(*ecdsa.PublicKey), s.SignedBytes(), s.Signature)
		if signer && bytes.Equal(s.Cert, ref.Cert) && s.SigAlg == ref.SigAlg {
			t.Fatalf("octet %d changed unseen", i)
		}
	}
}

func TestDigestLists(t *testing.T) {
	s := spec(V4)
	cert := []byte("a certificate")
	sum := gm.SM3(cert)
	s.Certs, s.Digests = nil, []Digest{{Type: "1.2.156.10197.1.401", Value: sum[:]}}
	p, err := NewSeal(s)
	if err != nil {
		t.Fatal(err)
	}
	k, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	sig, err := gm.SignMessage(k, p.SignedBytes())
	if err != nil {
		t.Fatal(err)
	}
	der, err := p.Finish([]byte("m"), sig)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseSeal(der)
	if err != nil || got.ListType != ListDigests {
		t.Fatal(err)
	}
	sm3 := func(kind string, c []byte) []byte {
		if !strings.Contains(kind, "401") {
			return nil
		}
		h := gm.SM3(c)
		return h[:]
	}
	if !got.Lists(cert, sm3) || got.Lists([]byte("another"), sm3) {
		t.Error("list of digests")
	}
}

func FuzzParse(f *testing.F) {
	for _, n := range []string{"seal-v1.esl", "seal-v4.esl", "seal-v5.esl", "seal-v5-dummy-timestamp.esl"} {
		f.Add(sampleSeal(f, n))
	}
	m := make45(f, V5)
	f.Add(m.sig)
	f.Add(m.seal)
	f.Add(good().v4())
	f.Fuzz(func(t *testing.T, b []byte) {
		KindOf(b)
		if s, err := ParseSeal(b); err == nil {
			if !bytes.Equal(s.Raw, b) || s.Version != V1 && !bytes.Contains(b, s.SignedBytes()) {
				t.Fatal("not over the original bytes")
			}
		}
		if s, err := ParseSignature(b); err == nil && !bytes.Contains(b, s.SignedBytes()) {
			t.Fatal("not over the original bytes")
		}
	})
}
