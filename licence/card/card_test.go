package card

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/internal/gm"
	"hufu/seal/ofd"
)

var bodies = map[string]byte{
	"11100000000013338W011.11430000006122244L.20230000403.001": 'U',
	"11100000000013338W011.11430000006122244L.20230000403.002": 'S',
	"11100000000013338W009.11330105002500287C.2025052201.002":  '0',
	"11100000MB03271699022.340100.000000016.001":               '9',
	"11100000000013338W032.11220000013544541J.2430599.001":     'F',
}

func TestIdentifierVectors(t *testing.T) {
	for body, check := range bodies {
		whole := Root + "." + body + "." + string(check)
		id, err := ParseIdentifier(whole)
		if err != nil || id.String() != whole {
			t.Errorf("%s: %v, written again %s", whole, err, id)
		}
	}
}

func TestEverySingleCharacterErrorIsFound(t *testing.T) {
	for body, check := range bodies {
		whole := Root + "." + body + "." + string(check)
		for i := len(Root) + 1; i < len(whole); i++ {
			for _, c := range []byte(alphabet + ".a") {
				if whole[i] == c {
					continue
				}
				wrong := []byte(whole)
				wrong[i] = c
				if _, err := ParseIdentifier(string(wrong)); err == nil {
					t.Errorf("%s passes for %s", wrong, whole)
				}
			}
			// The check character does not cover the dots, so a dot that moves by one is out of its reach.
			if i+1 < len(whole) && whole[i] != whole[i+1] && whole[i] != '.' && whole[i+1] != '.' {
				swapped := []byte(whole)
				swapped[i], swapped[i+1] = swapped[i+1], swapped[i]
				if _, err := ParseIdentifier(string(swapped)); err == nil {
					t.Errorf("%s (two swapped) passes", swapped)
				}
			}
		}
	}
	for _, s := range []string{"", Root, "1.2.156.3005.3." + "x", strings.Repeat("1.", 100)} {
		if _, err := ParseIdentifier(s); !errors.Is(err, ErrIdentifier) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestCreditCodes(t *testing.T) {
	for _, s := range []string{"11100000000013338W", "11430000006122244L", "11330105002500287C", "11220000013544541J", "11100000MB03271699", "91330106MA00000190"} {
		if !CreditCode(s) {
			t.Errorf("%s is refused", s)
		}
		for i := range s {
			for _, c := range []byte(creditAlphabet) {
				wrong := []byte(s)
				if wrong[i] == c {
					continue
				}
				wrong[i] = c
				if CreditCode(string(wrong)) {
					t.Errorf("%s passes", wrong)
				}
			}
		}
	}
}

func data() *Data {
	at := uint64(7)
	return &Data{
		Format: Format, Identifier: Root + ".11100000MB03271699022.340100.000000016.001.9", Title: "营业执照",
		Holder: Party{"entity", "杭州甲有限公司", "91330106MA00000190"}, Issuer: Party{"entity", "某某市场监督管理局", "11330105002500287C"},
		Issued: "2026-01-02", ValidFrom: "2026-01-02", ValidTo: "2031-01-01", StatusList: "licence", StatusAt: &at,
		Fields: []Field{{"name", "名称", "杭州甲有限公司", ""}, {"founded", "成立日期", "2026-01-02", "2026年1月2日"}},
	}
}

func TestDataIsReadBackAndOnlyInItsOwnForm(t *testing.T) {
	raw, err := data().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	d, err := ParseData(raw)
	if err != nil || d.Fields[1].Printed() != "2026年1月2日" || d.Fields[0].Printed() != "杭州甲有限公司" {
		t.Fatal(err, d)
	}
	for name, b := range map[string][]byte{
		"space":     append(slices.Clone(raw), ' '),
		"unknown":   bytes.Replace(raw, []byte(`{"fields"`), []byte(`{"a":1,"fields"`), 1),
		"duplicate": bytes.Replace(raw, []byte(`"format":`), []byte(`"format":"x","format":`), 1),
		"truncated": raw[:len(raw)-1],
		"too large": bytes.Repeat([]byte(" "), maxData+1),
	} {
		if _, err := ParseData(b); !errors.Is(err, ErrData) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wrong := bytes.Replace(raw, []byte("016.001.9"), []byte("016.001.8"), 1)
	if d, err := ParseData(wrong); !errors.Is(err, ErrCheck) || d == nil {
		t.Errorf("wrong check character: %v", err)
	}
	for name, f := range map[string]func(*Data){
		"format": func(d *Data) { d.Format = "x" }, "title": func(d *Data) { d.Title = "" },
		"date": func(d *Data) { d.Issued = "2026-02-30" }, "order": func(d *Data) { d.ValidTo = "2025-01-01" },
		"no fields": func(d *Data) { d.Fields = nil }, "twice": func(d *Data) { d.Fields[1].Name = "name" },
		"control": func(d *Data) { d.Fields[0].Value = "\x00" }, "status": func(d *Data) { d.StatusAt = nil },
	} {
		d := data()
		f(d)
		if _, err := d.Marshal(); !errors.Is(err, ErrData) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDataInADocument(t *testing.T) {
	doc := ofd.NewDocument(ofd.Info{DocID: "1"})
	font := doc.Font(ofd.Font{Name: "宋体"})
	page := doc.Page(210, 297)
	shown := map[string][]ofd.Object{"name": {page.Text(ofd.Text{Value: "杭州甲", Font: font, Size: 5, X: 10, Y: 10}), page.Text(ofd.Text{Value: "有限公司", Font: font, Size: 5, X: 10, Y: 18})}}
	if err := data().Attach(doc, shown); err != nil {
		t.Fatal(err)
	}
	b, err := doc.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	c, err := ofd.Open(b)
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Model()
	if err != nil {
		t.Fatal(err)
	}
	got, ok := m.Bindings(TagSpace)
	if !ok || len(got) != 1 || got[0].Name != "name" || len(got[0].Objects) != 2 {
		t.Fatalf("%+v", got)
	}
}

func shown() Shown {
	at := time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	return Shown{Identifier: data().Identifier, Title: "营业执照", Issued: at, Expires: at.Add(5 * time.Minute), Audience: "窗口", Fields: []ShownField{{Label: "名称", Value: "杭州甲有限公司"}}}
}

func makeQR(t testing.TB, s Shown) (string, *gm.PrivateKey) {
	t.Helper()
	k, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := MakeQR(s, []byte("certificate"), k)
	if err != nil {
		t.Fatal(err)
	}
	return text, k
}

func TestQR(t *testing.T) {
	text, k := makeQR(t, shown())
	if strings.Trim(text, base45) != "" || !IsQR(text) {
		t.Errorf("not alphanumeric: %s", text)
	}
	q, err := ParseQR(text)
	if err != nil {
		t.Fatal(err)
	}
	want := shown()
	if q.Identifier != want.Identifier || q.Title != want.Title || !q.Issued.Equal(want.Issued) || !q.Expires.Equal(want.Expires) || q.Audience != want.Audience || len(q.Fields) != 1 || q.Fields[0].Value != want.Fields[0].Value || !bytes.Equal(q.KeyID, KeyID([]byte("certificate"))) {
		t.Errorf("%+v", q)
	}
	if err := q.Verify(k.Public().(*ecdsa.PublicKey)); err != nil {
		t.Error(err)
	}
	other, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := q.Verify(other.Public().(*ecdsa.PublicKey)); !errors.Is(err, ErrQRSign) {
		t.Errorf("another key: %v", err)
	}
	if err := q.Verify(nil); !errors.Is(err, ErrQRKey) {
		t.Errorf("no key: %v", err)
	}
	for at, ok := range map[time.Duration]bool{-2 * time.Minute: false, -30 * time.Second: true, time.Minute: true, 5*time.Minute + 30*time.Second: true, 7 * time.Minute: false} {
		if err := q.CheckTime(want.Issued.Add(at), time.Minute); (err == nil) != ok || err != nil && !errors.Is(err, ErrQRExpired) {
			t.Errorf("%s after issue: %v", at, err)
		}
	}
}

func TestEveryChangedCharacterOfAQRTextIsFound(t *testing.T) {
	text, k := makeQR(t, shown())
	for i := range text {
		for _, c := range []byte("0A:") {
			b := []byte(text)
			if b[i] == c {
				continue
			}
			b[i] = c
			q, err := ParseQR(string(b))
			if err == nil && q.Verify(k.Public().(*ecdsa.PublicKey)) == nil {
				t.Fatalf("character %d changed unseen", i)
			}
		}
	}
	for n := range text {
		if _, err := ParseQR(text[:n]); err == nil {
			t.Fatalf("cut to %d is read", n)
		}
	}
	if _, err := ParseQR(text + "00"); err == nil {
		t.Error("a longer text is read")
	}
}

func TestLongQRTextsAreCompressedAndBounded(t *testing.T) {
	s := shown()
	s.Fields = []ShownField{{Label: "经营范围", Value: strings.Repeat("技术服务、技术开发；", 60)}}
	text, k := makeQR(t, s)
	if len(text) > 1200 {
		t.Errorf("%d characters", len(text))
	}
	q, err := ParseQR(text)
	if err != nil || q.Verify(k.Public().(*ecdsa.PublicKey)) != nil {
		t.Fatal(err)
	}
	bomb := QRPrefix + encode45(squeeze(make([]byte, 1<<20)))
	if _, err := ParseQR(bomb); !errors.Is(err, ErrQR) {
		t.Errorf("bomb: %v", err)
	}
}

func TestQRTextsThatAreNotMade(t *testing.T) {
	k, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(*Shown){
		"identifier": func(s *Shown) { s.Identifier = "x" }, "title": func(s *Shown) { s.Title = "" },
		"life": func(s *Shown) { s.Expires = s.Issued.Add(25 * time.Hour) }, "backwards": func(s *Shown) { s.Expires = s.Issued },
		"label": func(s *Shown) { s.Fields[0].Label = "" },
	} {
		s := shown()
		f(&s)
		if _, err := MakeQR(s, nil, k); err == nil {
			t.Errorf("%s is signed", name)
		}
	}
}

func TestBase45Vectors(t *testing.T) { // RFC 9285, 4.3 and 4.4
	for plain, want := range map[string]string{"AB": "BB8", "Hello!!": "%69 VD92EX0", "base-45": "UJCLQE7W581", "ietf!": "QED8WEX0"} {
		if got := encode45([]byte(plain)); got != want {
			t.Errorf("%s: %s", plain, got)
		}
		if back, ok := decode45(want); !ok || string(back) != plain {
			t.Errorf("%s: %q", want, back)
		}
	}
	for _, s := range []string{"A", ":::", "::", "a0", "BB8A"} {
		if _, ok := decode45(s); ok {
			t.Errorf("%q is decoded", s)
		}
	}
}

func FuzzQR(f *testing.F) {
	text, _ := makeQR(f, shown())
	f.Add(text)
	f.Add(QRPrefix + encode45(squeeze(bytes.Repeat([]byte("x"), 700))))
	f.Fuzz(func(t *testing.T, s string) {
		if q, err := ParseQR(s); err == nil && len(q.KeyID) != kidSize {
			t.Fatal("key id")
		}
	})
}

func FuzzData(f *testing.F) {
	raw, err := data().Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"fields":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseData(b)
		if err != nil {
			return
		}
		if again, err := d.Marshal(); err != nil || !bytes.Equal(again, b) {
			t.Fatal("parse and write differ")
		}
	})
}
