package identity

import (
	"encoding/json"
	"net/mail"
	"strings"
	"time"

	"golang.org/x/text/width"
)

// Number is an identity number, phone number or e-mail address. Every format verb, JSON and logs show it masked.
type Number string

// Reveal returns the number in clear. Each call is a place where personal data goes on: keep them few.
func (n Number) Reveal() string { return string(n) }

// String returns the masked form, 110101********0011; of a phone 138****0011; of an e-mail address w***@example.com.
func (n Number) String() string {
	if name, domain, ok := strings.Cut(string(n), "@"); ok {
		return string([]rune(name)[:1]) + "***@" + domain
	}
	s := []rune(strings.TrimPrefix(string(n), "+86"))
	keepFirst, keepLast := 0, 0
	switch l := len(s); {
	case l >= 15:
		keepFirst, keepLast = 6, 4
	case l >= 11:
		keepFirst, keepLast = 3, 4
	case l >= 7:
		keepFirst, keepLast = 1, 2
	}
	return string(s[:keepFirst]) + strings.Repeat("*", len(s)-keepFirst-keepLast) + string(s[len(s)-keepLast:])
}

// GoString returns the masked form, for %#v.
func (n Number) GoString() string { return n.String() }

// MarshalJSON writes the masked form.
func (n Number) MarshalJSON() ([]byte, error) { return json.Marshal(n.String()) }

// IdentifierType is the kind of document or register that a number comes from.
type IdentifierType string

// The identifier types.
const (
	ResidentID    IdentifierType = "resident-id"     // 居民身份证, GB 11643; also residence permits that use its form
	Passport      IdentifierType = "passport"        // 护照
	HKMacaoPermit IdentifierType = "hk-macao-permit" // 港澳居民来往内地通行证
	TaiwanPermit  IdentifierType = "taiwan-permit"   // 台湾居民来往大陆通行证
	MilitaryID    IdentifierType = "military-id"     // 军官证
	CreditCode    IdentifierType = "uscc"            // 统一社会信用代码, GB 32100
)

// Identifier is a number with the document or register that gives it its meaning.
type Identifier struct {
	Type    IdentifierType
	Country string // ISO 3166-1 alpha-3 of the issuer; empty means CHN
	Number  Number // canonical: upper case, no blanks
}

// Canonical brings a number as people type it (full-width digits, blanks, a small x) into its one written form.
func Canonical(s string) string {
	return strings.ToUpper(strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '-' || r == '\u00a0' {
			return -1
		}
		return r
	}, width.Narrow.String(strings.TrimSpace(s))))
}

// CheckIdentifier returns the canonical form of an identifier of a subject of the kind (Person or Entity), or says what is wrong with it.
func CheckIdentifier(k Kind, id Identifier) (Identifier, error) {
	if len(id.Number) > maxNumber {
		return Identifier{}, ErrNumber.With("%s of %d bytes", id.Type, len(id.Number))
	}
	if id.Country == "" {
		id.Country = "CHN"
	}
	if len(id.Country) != 3 || strings.Trim(id.Country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return Identifier{}, ErrNumber.With("country is not three capital letters")
	}
	id.Number = Number(Canonical(id.Number.Reveal()))
	if (k == Entity) != (id.Type == CreditCode) {
		return Identifier{}, ErrNumber.With("a %s has no %q", k, id.Type)
	}
	switch id.Type {
	case ResidentID:
		_, err := ParseResidentID(id.Number.Reveal())
		return id, err
	case CreditCode:
		_, err := ParseUSCC(id.Number.Reveal())
		return id, err
	case Passport, HKMacaoPermit, TaiwanPermit, MilitaryID:
		return id, checkDocument(id)
	default:
		return Identifier{}, ErrNumber.With("unknown identifier type %q", id.Type)
	}
}

const maxNumber = 64 // bytes, as typed

// checkDocument checks numbers that carry no check character: their length and alphabet is all there is to see.
func checkDocument(id Identifier) error {
	s := id.Number.Reveal()
	low, high, alphabet := 5, 20, digits+letters
	switch id.Type {
	case HKMacaoPermit: // H or M and 8 digits, older cards 2 digits more
		if s == "" || (s[0] != 'H' && s[0] != 'M') {
			return ErrNumber.With("%s begins with neither H nor M", id.Type)
		}
		s, low, high, alphabet = s[1:], 8, 10, digits
		if len(s) == 9 {
			return ErrNumber.With("%s has 9 digits", id.Type)
		}
	case TaiwanPermit:
		low, high, alphabet = 8, 8, digits
	case MilitaryID:
		for _, r := range s {
			if r != '第' && r != '字' && r != '号' && !isHan(r) && !strings.ContainsRune(digits+letters, r) {
				return ErrNumber.With("%s has a character that no such document has", id.Type)
			}
		}
		if n := len([]rune(s)); n < 5 || n > 20 {
			return ErrNumber.With("%s has %d characters", id.Type, n)
		}
		return nil
	}
	if len(s) < low || len(s) > high || strings.Trim(s, alphabet) != "" {
		return ErrNumber.With("%s of %d characters", id.Type, len(s))
	}
	return nil
}

func isHan(r rune) bool { return r >= 0x4e00 && r <= 0x9fff }

const (
	digits  = "0123456789"
	letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// ResidentIDParts is what a resident identity number says.
type ResidentIDParts struct {
	Division string    // 6 digits, administrative division of first registration
	Birth    time.Time // midnight UTC of the day
	Female   bool
}

// ParseResidentID reads an 18-character resident identity number (GB 11643-1999): province, a date that
// exists, check character by ISO 7064 MOD 11-2. It takes the canonical form only.
func ParseResidentID(s string) (ResidentIDParts, error) {
	if len(s) != 18 || strings.Trim(s[:17], digits) != "" {
		return ResidentIDParts{}, ErrNumber.With("resident ID is not 17 digits and a check character")
	}
	sum := 0
	for i, weight := range [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(s[i]-'0') * weight
	}
	if s[17] != "10X98765432"[sum%11] {
		return ResidentIDParts{}, ErrNumber.With("resident ID: wrong check character")
	}
	if !provinces[s[:2]] && s[0] != '9' { // 9: permanent residence of foreigners
		return ResidentIDParts{}, ErrNumber.With("resident ID: no province has this code")
	}
	birth, err := time.Parse("20060102", s[6:14])
	if err != nil || birth.Year() < 1840 {
		return ResidentIDParts{}, ErrNumber.With("resident ID: no such date of birth")
	}
	return ResidentIDParts{Division: s[:6], Birth: birth, Female: (s[16]-'0')%2 == 0}, nil
}

// provinces holds the first two digits of GB/T 2260 codes; 83 stands on residence permits of Taiwan residents.
var provinces = map[string]bool{
	"11": true, "12": true, "13": true, "14": true, "15": true, "21": true, "22": true, "23": true,
	"31": true, "32": true, "33": true, "34": true, "35": true, "36": true, "37": true,
	"41": true, "42": true, "43": true, "44": true, "45": true, "46": true,
	"50": true, "51": true, "52": true, "53": true, "54": true,
	"61": true, "62": true, "63": true, "64": true, "65": true, "71": true, "81": true, "82": true, "83": true,
}

// CreditCodeParts is what a unified social credit code says.
type CreditCodeParts struct {
	Authority byte   // who registers: '1' staffing office, '5' civil affairs, '9' market regulation, …
	Category  byte   // within the authority
	Division  string // 6 digits
	OrgCode   string // 9 characters, organisation code of GB 11714; its own check digit is not always right in the field
}

// PublicBody reports whether the code names a body in which officials hold posts. Companies, shops and
// cooperatives (9) and village collectives (N) are not: their people act under a mandate.
func (c CreditCodeParts) PublicBody() bool { return c.Authority != '9' && c.Authority != 'N' }

const creditAlphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY" // 31 characters, no I O S V Z

// ParseUSCC reads a unified social credit code (GB 32100-2015) in canonical form: 18 characters, known
// registration authority, numeric division, check character.
func ParseUSCC(s string) (CreditCodeParts, error) {
	if len(s) != 18 {
		return CreditCodeParts{}, ErrNumber.With("credit code is not 18 characters")
	}
	sum, weight := 0, 1
	for i := range 17 {
		value := strings.IndexByte(creditAlphabet, s[i])
		if value < 0 {
			return CreditCodeParts{}, ErrNumber.With("credit code: character %d is not in its alphabet", i+1)
		}
		sum += value * weight
		weight = weight * 3 % 31
	}
	// The outer mod turns 31 into 0; without it one code in 31 would have no check character.
	if s[17] != creditAlphabet[(31-sum%31)%31] {
		return CreditCodeParts{}, ErrNumber.With("credit code: wrong check character")
	}
	if !strings.ContainsRune("123456789ANY", rune(s[0])) || strings.Trim(s[2:8], digits) != "" {
		return CreditCodeParts{}, ErrNumber.With("credit code: unknown authority or division")
	}
	return CreditCodeParts{Authority: s[0], Category: s[1], Division: s[2:8], OrgCode: s[8:17]}, nil
}

// ParsePhone returns the E.164 form of a phone number. Without a country code it must be a mainland mobile.
func ParsePhone(s string) (Number, error) {
	if len(s) > maxNumber {
		return "", ErrPhone.With("%d bytes", len(s))
	}
	s = Canonical(s)
	if rest, ok := strings.CutPrefix(s, "+"); ok && !strings.HasPrefix(rest, "86") {
		if len(rest) < 7 || len(rest) > 15 || strings.Trim(rest, digits) != "" || rest[0] == '0' {
			return "", ErrPhone.With("not a number of 7 to 15 digits")
		}
		return Number(s), nil
	}
	s = strings.TrimPrefix(s, "+86")
	if len(s) != 11 || strings.Trim(s, digits) != "" || s[0] != '1' || s[1] < '3' {
		return "", ErrPhone.With("not a mainland mobile number of 11 digits")
	}
	return Number("+86" + s), nil
}

// ParseEmail returns an e-mail address as mail programs write it, without a display name. Both sides are plain ASCII: what cannot be
// sent everywhere is no way to reach a holder.
func ParseEmail(s string) (Number, error) {
	s = strings.TrimSpace(s)
	parsed, err := mail.ParseAddress(s)
	if err != nil || len(s) > 254 || parsed.Address != s || strings.ContainsAny(s, "\"\\ ") || !strings.Contains(s[strings.LastIndex(s, "@"):], ".") {
		return "", ErrEmail.With("%d octets", len(s))
	}
	for _, r := range s {
		if r <= ' ' || r > '~' {
			return "", ErrEmail.With("a character that is not plain ASCII")
		}
	}
	return Number(s), nil
}
