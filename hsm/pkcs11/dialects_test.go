//go:build cgo

package pkcs11

import (
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

// The suite of all drivers, in each dialect that our token speaks.
func TestDialects(t *testing.T) {
	for dialect, lacks := range map[string][]string{"neutral": nil, "sansec": {hsm.HMACSM3}, "tass": nil, "luna": nil, "ep11": {hsm.HMACSM3}} {
		t.Run(dialect, func(t *testing.T) {
			k, c := softToken(t, dialect)
			hsmtest.Run(t, func(t *testing.T) hsm.Device {
				d := opened(t, c, k.PIN)
				if d.profile.Name != dialect {
					t.Fatalf("profile %s was chosen", d.profile.Name)
				}
				return d
			}, lacks...)
		})
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
