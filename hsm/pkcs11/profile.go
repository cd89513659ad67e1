package pkcs11

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"hufu/configs"
	"hufu/hsm"
)

// Profile is a vendor's dialect as data; configs/hsm/neutral.yaml explains each field.
type Profile struct {
	Name           string   `yaml:"name"`
	Title          Title    `yaml:"title"`
	Proven         string   `yaml:"proven"`
	Match          []string `yaml:"match"`
	Codes          Codes    `yaml:"codes"`
	SM2Signature   string   `yaml:"sm2_signature"`
	ECDSASignature string   `yaml:"ecdsa_signature"`
	SM2Ciphertext  string   `yaml:"sm2_ciphertext"`
	MessageHash    string   `yaml:"message_hash"`
	IDParameter    string   `yaml:"id_parameter"`
	PointOnPrivate bool     `yaml:"point_on_private"`
	MaxMessage     int      `yaml:"max_message"`
	Exclude        []string `yaml:"exclude"`
	Sessions       int      `yaml:"sessions"`
	Note           *bool    `yaml:"note"`
	Probe          string   `yaml:"probe"`
	Errors         Results  `yaml:"errors"`
}

// Title is the device's name for people.
type Title struct {
	ZH string `yaml:"zh"`
	EN string `yaml:"en"`
}

// Codes are the vendor's numbers for what no standard numbers; 0 = the device has no such thing.
type Codes struct {
	KeySM2         uint `yaml:"key_sm2"`
	KeySM4         uint `yaml:"key_sm4"`
	KeyHMACSM3     uint `yaml:"key_hmac_sm3"` // CKK of such keys; 0 = CKK_GENERIC_SECRET
	SM2KeyPair     uint `yaml:"sm2_key_pair"`
	SM2Sign        uint `yaml:"sm2_sign"`
	SM2SignMessage uint `yaml:"sm2_sign_message"`
	SM2Decrypt     uint `yaml:"sm2_decrypt"`
	SM4Key         uint `yaml:"sm4_key"`
	SM4ECB         uint `yaml:"sm4_ecb"`
	SM4GCM         uint `yaml:"sm4_gcm"`
	HMACSM3        uint `yaml:"hmac_sm3"`
	KeyWrap        uint `yaml:"key_wrap"` // AES key wrap with padding (RFC 5649); 0 = CKM_AES_KEY_WRAP_KWP
}

// Results are further result codes of the classes of recovery, and those that belong to none.
type Results struct {
	Session []uint `yaml:"session"`
	Login   []uint `yaml:"login"`
	Device  []uint `yaml:"device"`
	Data    []uint `yaml:"data"` // speak of the data, whatever the standard says: a ciphertext that does not open
}

// The words of a profile.
const (
	formAuto, formRaw, formDER   = "auto", "raw", "der"
	formC1C3C2, formC1C2C3       = "c1c3c2", "c1c2c3"
	hashWithZ, hashBare          = "z", "bare"
	probeSession, probeNone      = "session", "none"
	idParameterNone, profileDirs = "none", "hsm"
)

// Profiles returns the profiles that Hufu ships, by name.
func Profiles() (map[string]*Profile, error) {
	names, err := fs.Glob(configs.Files, path.Join(profileDirs, "*.yaml"))
	if err != nil {
		return nil, err
	}
	all := make(map[string]*Profile, len(names))
	for _, name := range names {
		text, err := configs.Files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		p, err := ParseProfile(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if all[p.Name] != nil {
			return nil, hsm.ErrProfile.With("%s: another file has the name %q", name, p.Name)
		}
		all[p.Name] = p
	}
	return all, nil
}

// ParseProfile reads a profile strictly: an unknown field, word or attribute is hsm.ErrProfile and names it.
func ParseProfile(text []byte) (*Profile, error) {
	p := &Profile{
		SM2Signature: formAuto, ECDSASignature: formRaw, SM2Ciphertext: formAuto, MessageHash: hashWithZ,
		IDParameter: idParameterNone, Probe: probeSession,
	}
	if err := yaml.UnmarshalWithOptions(text, p, yaml.Strict()); err != nil {
		return nil, hsm.ErrProfile.With("read profile: %w", err)
	}
	if err := p.check(); err != nil {
		return nil, hsm.ErrProfile.With("profile %q: %w", p.Name, err)
	}
	return p, nil
}

func (p *Profile) check() error {
	for _, word := range []struct {
		field, value string
		allowed      []string
	}{
		{"sm2_signature", p.SM2Signature, []string{formRaw, formDER, formAuto}},
		{"ecdsa_signature", p.ECDSASignature, []string{formRaw, formDER, formAuto}},
		{"sm2_ciphertext", p.SM2Ciphertext, []string{formDER, formC1C3C2, formC1C2C3, formAuto}},
		{"message_hash", p.MessageHash, []string{hashWithZ, hashBare}},
		{"id_parameter", p.IDParameter, []string{idParameterNone}},
		{"probe", p.Probe, []string{probeSession, probeNone}},
	} {
		if !slices.Contains(word.allowed, word.value) {
			return fmt.Errorf("%s is %q, want one of %v", word.field, word.value, word.allowed)
		}
	}
	if p.Name == "" || p.Proven == "" {
		return errors.New("name and proven must be there")
	}
	if p.Probe == probeNone && p.Codes.SM2Decrypt != 0 && p.SM2Ciphertext == formAuto {
		return errors.New("without a probe sm2_ciphertext cannot be auto")
	}
	if p.MaxMessage < 0 || p.Sessions < 0 || (p.MaxMessage > 0 && p.MaxMessage < 256) {
		return errors.New("max_message must be 0 or at least 256, sessions not negative")
	}
	for _, name := range p.Exclude {
		if _, ok := attributeNames[name]; !ok {
			return fmt.Errorf("exclude: attribute %q is not known", name)
		}
	}
	return nil
}

// attributeNames are the attributes that a profile may exclude, as PKCS#11 names them without CKA_.
var attributeNames = map[string]uint{
	"PRIVATE": 0x2, "TRUSTED": 0x86, "SENSITIVE": 0x103, "ENCRYPT": 0x104, "DECRYPT": 0x105, "WRAP": 0x106, "UNWRAP": 0x107,
	"SIGN": 0x108, "SIGN_RECOVER": 0x109, "VERIFY": 0x10A, "VERIFY_RECOVER": 0x10B, "DERIVE": 0x10C, "EXTRACTABLE": 0x162,
	"KEY_GEN_MECHANISM": 0x166, "MODIFIABLE": 0x170, "VALUE_LEN": 0x161, "EC_PARAMS": 0x180, "ALWAYS_AUTHENTICATE": 0x202,
	"WRAP_WITH_TRUSTED": 0x210, "WRAP_TEMPLATE": 0x40000211, "UNWRAP_TEMPLATE": 0x40000212, "DERIVE_TEMPLATE": 0x40000213,
	"ALLOWED_MECHANISMS": 0x40000600,
}

func (p *Profile) excludes(attribute uint) bool {
	return slices.ContainsFunc(p.Exclude, func(name string) bool { return attributeNames[name] == attribute })
}

func (p *Profile) notes() bool { return p.Note == nil || *p.Note }

// matches reports whether one of the profile's words stands in what the device says of itself; a word after "=" must be all that
// one of its sentences says.
func (p *Profile) matches(said ...string) bool {
	text := "\n" + strings.ToLower(strings.Join(said, "\n")) + "\n"
	return slices.ContainsFunc(p.Match, func(word string) bool {
		word = strings.ToLower(word)
		if whole, ok := strings.CutPrefix(word, "="); ok {
			word = "\n" + whole + "\n"
		}
		return word != "" && strings.Contains(text, word)
	})
}

// chooseProfile takes the operator's file, else the named profile, else the one that fits what module and token say of
// themselves. Codes never choose: vendors use the same ones for different things. Two that fit are as bad as none.
func chooseProfile(c Config, said ...string) (*Profile, error) {
	if c.ProfileFile != "" {
		text, err := os.ReadFile(c.ProfileFile)
		if err != nil {
			return nil, ErrNoProfile.With("read profile: %w", err)
		}
		return ParseProfile(text)
	}
	all, err := Profiles()
	if err != nil {
		return nil, err
	}
	if c.Profile != "" {
		if p := all[c.Profile]; p != nil {
			return p, nil
		}
		return nil, ErrNoProfile.With("profile %q", c.Profile)
	}
	said = append(said, filepath.Base(c.Module))
	var found *Profile
	for _, p := range all {
		if !p.matches(said...) {
			continue
		}
		if found != nil {
			return nil, ErrNoProfile.With("%q fits both %s and %s", said, found.Name, p.Name)
		}
		found = p
	}
	if found == nil {
		return nil, ErrNoProfile.With("none fits %q", said)
	}
	return found, nil
}
