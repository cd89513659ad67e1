package pkcs11

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hufu/configs"
	"hufu/hsm"
)

func TestShippedProfiles(t *testing.T) {
	all, err := Profiles()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"neutral", "sansec", "tass", "luna", "ep11", "softhsm", "standard"} {
		if p := all[name]; p == nil || p.Title.ZH == "" || p.Title.EN == "" {
			t.Errorf("profile %s: %+v", name, p)
		}
	}
	for _, name := range []string{"luna", "ep11"} {
		if all[name].Proven != "untested" {
			t.Errorf("profile %s claims to be proven: %s", name, all[name].Proven)
		}
	}
}

func TestProfilesAreReadStrictly(t *testing.T) {
	good, err := configs.Files.ReadFile("hsm/neutral.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string][2]string{
		"unknown field":     {"probe: session", "prober: session"},
		"unknown form":      {"sm2_signature: raw", "sm2_signature: cooked"},
		"unknown hash":      {"message_hash: z", "message_hash: sha1"},
		"unknown parameter": {"id_parameter: none", "id_parameter: some"},
		"unknown attribute": {"exclude: []", "exclude: [COLOUR]"},
		"no name":           {"name: neutral", "name: ''"},
		"nothing proven":    {"proven: hsm/softtoken", "proven: ''"},
		"form unknown":      {"probe: session", "probe: none"},
		"tiny messages":     {"max_message: 0", "max_message: 10"},
		"code of letters":   {"sm2_sign: 0xFFFFF002", "sm2_sign: abc"},
		"negative code":     {"sm2_sign: 0xFFFFF002", "sm2_sign: -2"},
	} {
		text := strings.Replace(string(good), change[0], change[1], 1)
		if text == string(good) {
			t.Fatalf("%s: nothing changed", what)
		}
		if _, err := ParseProfile([]byte(text)); !errors.Is(err, hsm.ErrProfile) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := ParseProfile(nil); !errors.Is(err, hsm.ErrProfile) {
		t.Errorf("nothing: %v", err)
	}
}

func TestProfileIsChosenByWhatTheDeviceSays(t *testing.T) {
	for said, want := range map[string]string{
		"Hufu soft token":           "neutral",
		"Hufu soft token, sansec":   "sansec",
		"SANSEC Technology":         "sansec",
		"TASSHSM":                   "tass",
		"SafeNet, Inc.":             "luna",
		"IBM EP11Tok":               "ep11",
		"SoftHSM project":           "softhsm",
		"Nobody Ltd":                "",
		"sansec and safenet in one": "", // two that fit are as bad as none
	} {
		p, err := chooseProfile(Config{Module: "/opt/lib.so"}, said, "a library", "a model")
		switch {
		case want == "" && !errors.Is(err, ErrNoProfile):
			t.Errorf("%q: %v, %v", said, p, err)
		case want != "" && (err != nil || p.Name != want):
			t.Errorf("%q: %+v, %v, want %s", said, p, err, want)
		}
	}
	if p, err := chooseProfile(Config{Module: "/opt/libupkcs11.so"}, "x"); err != nil || p.Name != "sansec" {
		t.Errorf("by the library's name: %+v, %v", p, err)
	}
	if p, err := chooseProfile(Config{Profile: "tass"}, "SANSEC"); err != nil || p.Name != "tass" {
		t.Errorf("the configuration goes first: %+v, %v", p, err)
	}
	if _, err := chooseProfile(Config{Profile: "nobody"}, "SANSEC"); !errors.Is(err, ErrNoProfile) {
		t.Errorf("unknown name: %v", err)
	}
}

func TestProfileOfTheOperator(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mine.yaml")
	if err := os.WriteFile(file, []byte("name: mine\nproven: here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := chooseProfile(Config{ProfileFile: file, Profile: "tass"}, "SANSEC")
	if err != nil || p.Name != "mine" || p.SM2Signature != formAuto || !p.notes() || p.Probe != probeSession {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := chooseProfile(Config{ProfileFile: file + "x"}); !errors.Is(err, ErrNoProfile) {
		t.Errorf("no such file: %v", err)
	}
}
