package certs

import (
	"encoding/asn1"
	"encoding/json"
	"testing"

	"golang.org/x/crypto/cryptobyte"
)

func TestOIDAgreesWithEncodingASN1(t *testing.T) {
	for _, text := range []OID{"0.9.2342.19200300.100.1.1", OIDSM2, OIDSM2WithSM3, "2.999.1", "2.5.29.15", "1.2.156.112570.11.205", "2.39", "2.40.0", "1.39.2147483647"} {
		var b cryptobyte.Builder
		AddOID(&b, text)
		der, err := b.Bytes()
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		var std asn1.ObjectIdentifier
		if _, err := asn1.Unmarshal(der, &std); err != nil || std.String() != string(text) {
			t.Errorf("%s is read by encoding/asn1 as %v (%v)", text, std, err)
		}
		in := cryptobyte.String(der)
		var back OID
		if !ReadOID(&in, &back) || back != text || !in.Empty() {
			t.Errorf("%s comes back as %q", text, back)
		}
	}
}

func TestOIDRefusesOtherForms(t *testing.T) {
	for _, text := range []string{"", "1", "3.1", "1.40", "1.2.", "1.02", "1.2.-1", "a.b", "1.2.99999999999999999999"} {
		if _, err := ParseOID(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	for _, der := range [][]byte{{6, 0}, {6, 2, 0x2a, 0x81}, {6, 3, 0x2a, 0x80, 0x01}, {6, 12, 0x2a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}} {
		in := cryptobyte.String(der)
		var o OID
		if ReadOID(&in, &o) {
			t.Errorf("%x was read as %s", der, o)
		}
	}
}

func TestOIDKeepsLargeArcs(t *testing.T) {
	o := OID("2.25.18446744073709551")
	var b cryptobyte.Builder
	AddOID(&b, o)
	in := cryptobyte.String(b.BytesOrPanic())
	var back OID
	if !ReadOID(&in, &back) || back != o {
		t.Errorf("%s comes back as %s", o, back)
	}
}

func TestOIDUnder(t *testing.T) {
	if !OIDIdentityResident2023.Under(OIDIdentityPerson) || OIDIdentitySocial.Under(OIDIdentityPerson) || OID("1.23").Under("1.2") {
		t.Error("Under compares text, not arcs")
	}
}

func TestOIDAsText(t *testing.T) {
	var got map[OID]string
	if err := json.Unmarshal([]byte(`{"1.2.3":"x"}`), &got); err != nil || got["1.2.3"] != "x" {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{`{"":"x"}`, `{"1.2.":"x"}`} {
		if err := json.Unmarshal([]byte(bad), &got); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	if out, err := json.Marshal(OIDSM2); err != nil || string(out) != `"1.2.156.10197.1.301"` {
		t.Errorf("%s, %v", out, err)
	}
}
