package ca

import (
	"strings"
	"testing"
	"testing/fstest"

	"hufu/configs"
)

func TestTheShippedProfilesAreSound(t *testing.T) {
	profiles, err := ParseProfiles(configs.Files, "profiles")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"root", "issuing", "person-sign", "entity-sign", "official-sign", "seal-signer", "seal-maker", "ocsp", "tsa", "bundle"} {
		if profiles[name] == nil {
			t.Errorf("profile %q is missing", name)
		}
	}
}

func TestAWrongProfileIsNamedWithItsFileAndField(t *testing.T) {
	good, err := configs.Files.ReadFile("profiles/person-sign.yaml")
	if err != nil {
		t.Fatal(err)
	}
	enc, err := configs.Files.ReadFile("profiles/person-enc.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for edit, want := range map[[2]string]string{
		{"days: 1095", "days: 0"}:                           "days 0",
		{"days: 1095", "dayz: 1095"}:                        "dayz",
		{"digitalSignature,", "digitalSignatures,"}:         "digitalSignatures",
		{"holder: person", "holder: robot"}:                 "robot",
		{"pair: person-enc", "pair: nothing"}:               "nothing",
		{"clientAuth,", "clientAut,"}:                       "clientAut",
		{"type: CN", "type: XX"}:                            "XX",
		{"identity: person", "identity: fingerprint"}:       "fingerprint",
		{"usage: [digital", "usage: [keyCertSign, digital"}: "path_len",
	} {
		text := strings.Replace(string(good), edit[0], edit[1], 1)
		if text == string(good) {
			t.Fatalf("the edit %q changes nothing", edit[0])
		}
		_, err := ParseProfiles(fstest.MapFS{"p/a.yaml": {Data: []byte(text)}, "p/b.yaml": {Data: enc}}, "p")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want an error that names %q", edit[1], err, want)
		}
	}
}
