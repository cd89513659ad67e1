package main

import "testing"

func TestPagesCallTheSealsKeysWhatTheyAre(t *testing.T) {
	token, files := HSM{Driver: "pkcs11"}, HSM{Driver: driverSoft}
	signs := HSM{Driver: "pkcs11", Algorithms: []string{"sm2"}}
	for _, c := range []struct {
		devices []HSM
		want    bool
	}{{nil, false}, {[]HSM{files}, false}, {[]HSM{token}, true}, {[]HSM{token, files}, true}, {[]HSM{signs, files}, false}, {[]HSM{signs, token}, true}, {[]HSM{signs}, false}} {
		if got := (&Config{HSM: c.devices, Master: "sm4"}).hardware(); got != c.want {
			t.Errorf("%+v: hardware %v", c.devices, got)
		}
	}
}
