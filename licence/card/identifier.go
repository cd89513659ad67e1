package card

import (
	"fmt"
	"strconv"
	"strings"

	"hufu/internal/fault"
)

// What this package refuses.
var (
	ErrIdentifier = fault.New(fault.Invalid, "card.identifier", "this is not a valid licence identifier; copy it again from the licence", "证照标识不正确；请从证照上重新抄录")
	ErrCheck      = fault.New(fault.Invalid, "card.check-character", "the check character of the licence identifier does not fit; copy it again from the licence, do not correct it by guessing", "证照标识的校验位不符；请从证照上重新抄录，不要猜测更正")
	ErrData       = fault.New(fault.Invalid, "card.data", "the data attached to the licence cannot be read; ask the issuer for a new copy", "证照附带的数据无法读取；请向签发机构重新索取")
	ErrQR         = fault.New(fault.Invalid, "card.qr", "this is not a licence QR text of ours, or it is damaged; scan it again", "这不是本系统的证照二维码，或内容已损坏；请重新扫描")
	ErrQRKey      = fault.New(fault.Invalid, "card.qr-key", "the key that signed this QR text is not known; update the trust bundle", "签署该二维码的密钥未知；请更新信任包")
	ErrQRSign     = fault.New(fault.Invalid, "card.qr-signature", "the signature of this QR text is wrong; do not accept it", "该二维码的签名无效；请勿采信")
	ErrQRExpired  = fault.New(fault.Invalid, "card.qr-expired", "this QR text is out of date; ask the holder to show a fresh one", "该二维码已过期；请持证人重新出示")
)

// Root is the arc of GB/T 36904 under which licence identifiers stand.
const Root = "1.2.156.3005.2"

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// Identifier names one version of one licence.
type Identifier struct {
	Type    string // 21 characters: credit code of the body that owns the type, and 3 digits
	Issuer  string // credit code of the issuer, or a short form such as a division code
	Serial  string // 7 to 32 digits and capital letters
	Version int    // from 1
}

// CheckCharacter computes the ISO 7064 hybrid MOD 37,36 character of s, which consists of digits and capital letters.
func CheckCharacter(s string) (byte, error) {
	p := 36
	for i := range len(s) {
		v := strings.IndexByte(alphabet, s[i])
		if v < 0 {
			return 0, ErrIdentifier.With("character %q", s[i])
		}
		if p = (p + v) % 36; p == 0 {
			p = 36
		}
		p = p * 2 % 37
	}
	return alphabet[(37-p)%36], nil
}

// Check names the bad part of an identifier that is to be issued or was read.
func (id Identifier) Check() error {
	switch {
	case len(id.Type) != 21 || !CreditCode(id.Type[:18]) || !digits(id.Type[18:]):
		return ErrIdentifier.With("type %q", id.Type)
	case len(id.Issuer) < 6 || len(id.Issuer) > 18 || !plain(id.Issuer) || len(id.Issuer) == 18 && !CreditCode(id.Issuer):
		return ErrIdentifier.With("issuer %q", id.Issuer)
	case len(id.Serial) < 7 || len(id.Serial) > 32 || !plain(id.Serial):
		return ErrIdentifier.With("serial %q", id.Serial)
	case id.Version < 1 || id.Version > 999:
		return ErrIdentifier.With("version %d", id.Version)
	}
	return nil
}

func plain(s string) bool  { return strings.Trim(s, alphabet) == "" }
func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// String writes the whole identifier with its check character. Check must hold.
func (id Identifier) String() string {
	c, err := CheckCharacter(id.Type + id.Issuer + id.Serial + id.version())
	if err != nil {
		return Root + ".invalid"
	}
	return fmt.Sprintf("%s.%s.%s.%s.%s.%c", Root, id.Type, id.Issuer, id.Serial, id.version(), c)
}

func (id Identifier) version() string { return fmt.Sprintf("%03d", id.Version) }

// ParseIdentifier reads a whole identifier. A check character that does not fit is ErrCheck.
func ParseIdentifier(s string) (Identifier, error) {
	body, ok := strings.CutPrefix(s, Root+".")
	f := strings.Split(body, ".")
	if !ok || len(f) != 5 || len(f[3]) != 3 || len(f[4]) != 1 || len(s) > 120 {
		return Identifier{}, ErrIdentifier.With("%.130q", s)
	}
	version, err := strconv.Atoi(f[3])
	if err != nil || !digits(f[3]) {
		return Identifier{}, ErrIdentifier.With("version %q", f[3])
	}
	id := Identifier{Type: f[0], Issuer: f[1], Serial: f[2], Version: version}
	want, err := CheckCharacter(f[0] + f[1] + f[2] + f[3])
	if err != nil {
		return Identifier{}, err
	}
	if f[4][0] != want {
		return Identifier{}, ErrCheck.With("%q ends in %q", s, f[4])
	}
	return id, id.Check()
}

const creditAlphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"

var creditWeights = [17]int{1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28}

// CreditCode tells whether s is a unified social credit code with the right check character (GB 32100).
func CreditCode(s string) bool {
	if len(s) != 18 {
		return false
	}
	sum := 0
	for i, w := range creditWeights {
		v := strings.IndexByte(creditAlphabet, s[i])
		if v < 0 {
			return false
		}
		sum += v * w
	}
	return s[17] == creditAlphabet[(31-sum%31)%31]
}
