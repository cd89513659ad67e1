package identity_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"hufu/identity"
)

// Published or computed by hand from the standards; the last credit code is made up so that its weighted sum is 0 mod 31.
var (
	goodResidentIDs = []string{"34052419800101001X", "11010119900307002X", "110101199003070011"}
	goodUSCCs       = []string{
		"11100000000013338W", "11430000006122244L", "11330105002500287C", "11220000013544541J", "11100000MB03271699", "91330106MA00000190",
	}
)

func TestResidentIDVectors(t *testing.T) {
	for _, s := range goodResidentIDs {
		parts, err := identity.ParseResidentID(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
		}
		if parts.Birth.Format("20060102") != s[6:14] || parts.Division != s[:6] {
			t.Errorf("%s: read as %+v", s, parts)
		}
	}
	if p, _ := identity.ParseResidentID("11010119900307002X"); !p.Female {
		t.Error("an even 17th digit is a woman's")
	}
}

func TestUSCCVectors(t *testing.T) {
	for _, s := range goodUSCCs {
		if _, err := identity.ParseUSCC(s); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	if p, _ := identity.ParseUSCC("11100000000013338W"); !p.PublicBody() || p.OrgCode != "000013338" || p.Division != "100000" {
		t.Errorf("read as %+v", p)
	}
	if p, _ := identity.ParseUSCC("91330106MA00000190"); p.PublicBody() {
		t.Error("a company is no public body")
	}
}

// TestEverySingleCharacterErrorIsRefused replaces each character of each vector by each other one of the alphabet.
func TestEverySingleCharacterErrorIsRefused(t *testing.T) {
	const all = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	check := func(good string, parse func(string) error) {
		for i := range good {
			for _, c := range []byte(all) {
				if bad := good[:i] + string(c) + good[i+1:]; bad != good && parse(bad) == nil {
					t.Errorf("%s passed for %s", bad, good)
				}
			}
			if parse(good[:i]+good[i+1:]) == nil || parse(good[:i]+"0"+good[i:]) == nil {
				t.Errorf("%s passed with a character lost or added at %d", good, i)
			}
		}
	}
	for _, s := range goodResidentIDs {
		check(s, func(s string) error { _, err := identity.ParseResidentID(s); return err })
	}
	for _, s := range goodUSCCs {
		check(s, func(s string) error { _, err := identity.ParseUSCC(s); return err })
	}
}

// TestNumbersWithRightCheckCharacterButWrongContent computes right check characters for impossible contents.
func TestNumbersWithRightCheckCharacterButWrongContent(t *testing.T) {
	for _, body := range []string{
		"11010119900230001", // 30 February
		"11010119910229001", // no leap year
		"11010119901301001", // month 13
		"11010100000307001", // year 0
		"00010119900307001", // no province
		"99999919900001001", // month 0, a foreigner's permit
	} {
		sum := 0
		for i, w := range []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
			sum += int(body[i]-'0') * w
		}
		number := body + string("10X98765432"[sum%11])
		if _, err := identity.ParseResidentID(number); !errors.Is(err, identity.ErrNumber) {
			t.Errorf("%s: %v", number, err)
		}
	}
	for _, body := range []string{"B1100000000013338", "1110000A000013338", "01100000000013338"} {
		const alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
		sum, w := 0, 1
		for i := range body {
			sum += strings.IndexByte(alphabet, body[i]) * w
			w = w * 3 % 31
		}
		number := body + string(alphabet[(31-sum%31)%31])
		if _, err := identity.ParseUSCC(number); !errors.Is(err, identity.ErrNumber) {
			t.Errorf("%s: %v", number, err)
		}
	}
}

func TestCheckIdentifier(t *testing.T) {
	typed := identity.Identifier{Type: identity.ResidentID, Number: " 11010119900307002x"}
	got, err := identity.CheckIdentifier(identity.Person, typed)
	if err != nil || got.Number.Reveal() != "11010119900307002X" || got.Country != "CHN" {
		t.Errorf("canonical form %q, %v", got.Number.Reveal(), err)
	}
	type row struct {
		kind    identity.Kind
		typ     identity.IdentifierType
		country string
		number  string
		ok      bool
	}
	for _, r := range []row{
		{identity.Person, identity.Passport, "", "E12345678", true},
		{identity.Person, identity.Passport, "DEU", "C01X00T47", true},
		{identity.Person, identity.Passport, "de", "C01X00T47", false},
		{identity.Person, identity.Passport, "", "E1", false},
		{identity.Person, identity.Passport, "", "E1234<678", false},
		{identity.Person, identity.HKMacaoPermit, "", "H12345678", true},
		{identity.Person, identity.HKMacaoPermit, "", "X12345678", false},
		{identity.Person, identity.HKMacaoPermit, "", "H123456789", false},
		{identity.Person, identity.TaiwanPermit, "", "12345678", true},
		{identity.Person, identity.TaiwanPermit, "", "1234567", false},
		{identity.Person, identity.MilitaryID, "", "军字第1234567号", true},
		{identity.Person, identity.MilitaryID, "", "军'; DROP", false},
		{identity.Person, identity.CreditCode, "", "11100000000013338W", false},
		{identity.Entity, identity.CreditCode, "", "11100000000013338w", true},
		{identity.Entity, identity.Passport, "", "E12345678", false},
		{identity.Person, "library-card", "", "12345678", false},
		{identity.Person, identity.Passport, "", strings.Repeat("1", 5000), false},
	} {
		_, err := identity.CheckIdentifier(r.kind, identity.Identifier{Type: r.typ, Country: r.country, Number: identity.Number(r.number)})
		if (err == nil) != r.ok {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func TestPhones(t *testing.T) {
	for typed, want := range map[string]string{
		"13800000011": "+8613800000011", "138 0000 0011": "+8613800000011", "+86 138-0000-0011": "+8613800000011",
		"１３８００００００１１": "+8613800000011", "+4915112345678": "+4915112345678",
		"12800000011": "", "1380000001": "", "+86010": "", "+0123456789": "", "": "", "abc": "",
	} {
		got, err := identity.ParsePhone(typed)
		if got.Reveal() != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", typed, got.Reveal(), err)
		}
	}
}

func TestNumbersNeverPrintInClear(t *testing.T) {
	id := identity.Identifier{Type: identity.ResidentID, Number: "110101199003070011"}
	sub := identity.Subject{Name: "x", Phone: "+8613800000011", Identifiers: []identity.Identifier{id}}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "subject", sub, "number", id.Number)
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "subject", sub, "number", id.Number)
	asJSON, err := json.Marshal(sub)
	if err != nil {
		t.Fatal(err)
	}
	out := fmt.Sprintf("%v %+v %#v %s %q %x %v %s", sub, sub, sub, id.Number, id.Number, id.Number, &sub, asJSON) + logged.String()
	for _, secret := range []string{"19900307", "38000000", "3131303130313139"} {
		if strings.Contains(out, secret) {
			t.Errorf("%s is in %s", secret, out)
		}
	}
	if !strings.Contains(out, "110101********0011") || !strings.Contains(out, "138****0011") {
		t.Errorf("masked forms missing in %s", out)
	}
}

func FuzzParseResidentID(f *testing.F) {
	for _, s := range goodResidentIDs {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parts, err := identity.ParseResidentID(s)
		if err == nil && (len(s) != 18 || parts.Birth.Format("20060102") != s[6:14]) {
			t.Errorf("%q: %+v", s, parts)
		}
	})
}

func FuzzParseUSCC(f *testing.F) {
	for _, s := range goodUSCCs {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := identity.ParseUSCC(s); err == nil && (len(s) != 18 || string(p.Authority)+string(p.Category)+p.Division+p.OrgCode != s[:17]) {
			t.Errorf("%q: %+v", s, p)
		}
	})
}

// FuzzCheckIdentifier holds that the canonical form is a fixed point.
func FuzzCheckIdentifier(f *testing.F) {
	f.Add("passport", "E12345678")
	f.Add("military-id", "军字第1234567号")
	f.Add("resident-id", " 11010119900307002x")
	f.Fuzz(func(t *testing.T, typ, number string) {
		id, err := identity.CheckIdentifier(identity.Person, identity.Identifier{Type: identity.IdentifierType(typ), Number: identity.Number(number)})
		if err != nil {
			return
		}
		again, err := identity.CheckIdentifier(identity.Person, id)
		if err != nil || again != id {
			t.Errorf("%q: %q then %q, %v", number, id.Number.Reveal(), again.Number.Reveal(), err)
		}
	})
}

func FuzzParsePhone(f *testing.F) {
	f.Add("138 0000 0011")
	f.Add("+4915112345678")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := identity.ParsePhone(s)
		if err != nil {
			return
		}
		if again, err := identity.ParsePhone(n.Reveal()); err != nil || again != n {
			t.Errorf("%q: %q then %q, %v", s, n.Reveal(), again.Reveal(), err)
		}
	})
}
