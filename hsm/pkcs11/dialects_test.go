//go:build cgo

package pkcs11

import (
	"crypto/ecdsa"
	"os"
	"strings"
	"testing"

	"hufu/hsm"
	"hufu/hsm/hsmtest"
)

// softToken returns the configuration of a fresh soft token.
func softToken(t testing.TB, dialect string) (hsmtest.SoftToken, Config) {
	t.Helper()
	k := hsmtest.Token(t, dialect)
	return k, Config{Module: k.Module, Token: k.Label, Sessions: 16}
}

// The suite of all drivers, in each dialect that our token speaks. RSA has no dialect and takes its time: once is enough.
func TestDialects(t *testing.T) {
	const withoutRSA = "\nwithout 0"
	rsa := []string{hsm.RSA2048, hsm.RSA3072}
	for _, c := range []struct {
		dialect, lines string
		lacks          []string
	}{
		{"neutral", "", nil},
		{"sansec", withoutRSA, append(rsa, hsm.HMACSM3)},
		{"tass", withoutRSA, rsa},
	} {
		t.Run(c.dialect, func(t *testing.T) {
			k, cfg := softToken(t, c.dialect+c.lines)
			hsmtest.Run(t, func(t *testing.T) hsm.Device {
				d := opened(t, cfg, k.PIN)
				if d.profile.Name != c.dialect {
					t.Fatalf("profile %s was chosen", d.profile.Name)
				}
				return d
			}, c.lacks...)
		})
	}
}

// The profiles that no device has proven at least agree with what our token makes of the same headers.
func TestProfilesFromHeaders(t *testing.T) {
	for _, dialect := range []string{"luna", "ep11"} {
		k, c := softToken(t, dialect)
		d := opened(t, c, k.PIN)
		if d.profile.Name != dialect || !d.can.sm2Sign || d.can.decrypt == "" || !d.can.sm4 || !d.can.inside {
			t.Errorf("%s: profile %s, %+v", dialect, d.profile.Name, d.can)
		}
		info, err := d.Generate(t.Context(), hsm.Spec{Label: "k", Algorithm: hsm.SM2})
		if err != nil {
			t.Fatal(err)
		}
		if err := signOnce(t.Context(), d, "k", info.Public.(*ecdsa.PublicKey)); err != nil {
			t.Errorf("%s: %v", dialect, err)
		}
	}
}

// A module that we did not write: HUFU_TEST_PKCS11="module=…;token=…;pin-file=…;profile=…;lacks=sm2,sm4".
func TestForeignModule(t *testing.T) {
	setting := os.Getenv("HUFU_TEST_PKCS11")
	if setting == "" {
		t.Skip("HUFU_TEST_PKCS11 names no module")
	}
	fields := map[string]string{}
	for part := range strings.SplitSeq(setting, ";") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok {
			t.Fatalf("HUFU_TEST_PKCS11: %q is no name=value", part)
		}
		fields[name] = value
	}
	pin, err := os.ReadFile(fields["pin-file"])
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Module: fields["module"], Token: fields["token"], Profile: fields["profile"], ProfileFile: fields["profile-file"]}
	var lacks []string
	if fields["lacks"] != "" {
		lacks = strings.Split(fields["lacks"], ",")
	}
	hsmtest.Run(t, func(t *testing.T) hsm.Device { return opened(t, c, strings.TrimSpace(string(pin))) }, lacks...)
}
