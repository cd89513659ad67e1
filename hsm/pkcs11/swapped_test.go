//go:build cgo

package pkcs11

import (
	"fmt"
	"testing"

	"hufu/hsm"
)

// Two secret keys of one sort whose handles change places: the device sees nothing wrong, and nobody else would before the data is
// needed.
func TestSecretKeysThatChangePlaces(t *testing.T) {
	for what, dialect := range map[string]string{
		"sealed in the device": "neutral\nwithout 210B", "sealed under a derived key": "neutral\nwithout 210B\nwithout FFFFF00D",
	} {
		k, c := softToken(t, dialect)
		d := opened(t, c, k.PIN)
		for _, label := range []string{"one", "two"} {
			if _, err := d.Generate(t.Context(), hsm.Spec{Label: label, Algorithm: hsm.SM4}); err != nil {
				t.Fatal(err)
			}
		}
		swaps := 0
		swap := func() { swaps++; k.Disturb(t, fmt.Sprintf("moved-handles %d", swaps)) }
		wrap := func() []byte {
			w, err := d.Wrap(t.Context(), "one", []byte("secret"), nil)
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			return w
		}
		blobs := [][]byte{wrap()}
		for range 3 {
			swap()
			blobs = append(blobs, wrap())
			swap()
			if got, err := d.Unwrap(t.Context(), "one", blobs[0], nil); err != nil || string(got) != "secret" {
				t.Errorf("%s, unwrap: %q, %v", what, got, err)
			}
		}
		d.Close()
		d = opened(t, c, k.PIN)
		for i, blob := range blobs {
			if got, err := d.Unwrap(t.Context(), "one", blob, nil); err != nil || string(got) != "secret" {
				t.Errorf("%s: blob %d was wrapped under the other key: %v", what, i, err)
			}
		}
		d.Close()
	}
}

func TestMACKeysThatChangePlaces(t *testing.T) {
	k, c := softToken(t, "tass")
	d := opened(t, c, k.PIN)
	tags := map[string]string{}
	mac := func(label string) string {
		tag, err := d.MAC(t.Context(), label, []byte("data"))
		if err != nil {
			t.Error(err)
		}
		return string(tag)
	}
	for _, label := range []string{"one", "two"} {
		if _, err := d.Generate(t.Context(), hsm.Spec{Label: label, Algorithm: hsm.HMACSM3}); err != nil {
			t.Fatal(err)
		}
		tags[label] = mac(label)
	}
	for i := range 4 {
		k.Disturb(t, fmt.Sprintf("moved-handles %d", i+1))
		for label, tag := range tags {
			if mac(label) != tag {
				t.Errorf("round %d: %s answers with another key", i, label)
			}
		}
	}
}

// Two signing keys change places: the signature is wrong, the key is found again, and the second one is right.
func TestSigningKeysThatChangePlaces(t *testing.T) {
	k, c := softToken(t, "sansec")
	d := opened(t, c, k.PIN)
	m := map[string]hsm.Info{}
	for _, label := range []string{"one", "two"} {
		info, err := d.Generate(t.Context(), hsm.Spec{Label: label, Algorithm: hsm.SM2})
		if err != nil {
			t.Fatal(err)
		}
		m[label] = info
	}
	for i := range 4 {
		k.Disturb(t, fmt.Sprintf("moved-handles %d", i+1))
		for label, info := range m {
			if err := signOnce(t.Context(), d, label, ecdsaOf(info)); err != nil {
				t.Errorf("round %d: %s: %v", i, label, err)
			}
		}
	}
	if err := d.Health(t.Context()); err != nil {
		t.Errorf("taken for a fault of the device: %v", err)
	}
}

// The handle of a wrapping key comes to mean that of another master: no key is made that would not open again, and those that
// stand outside still sign.
func TestWrappingKeysThatChangePlaces(t *testing.T) {
	k, c := softToken(t, "neutral")
	d := opened(t, c, k.PIN)
	keys := map[string]*key{}
	for _, label := range []string{"one", "two"} {
		if _, err := d.Generate(t.Context(), hsm.Spec{Label: label, Algorithm: hsm.SM4}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := d.GenerateInside(t.Context(), label, nil); err != nil {
			t.Fatal(err)
		}
		kk, err := d.lookup(t.Context(), label, hsm.UseWrap)
		if err != nil {
			t.Fatal(err)
		}
		keys[label] = kk
	}
	wrong := func() { keys["one"].wrapper = keys["two"].wrapper }
	wrong()
	wrapped, public, err := d.GenerateInside(t.Context(), "one", nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := d.SignInside(t.Context(), "one", wrapped, nil, public, make([]byte, 32)); err != nil {
			t.Error(err)
		}
		wrong()
	}
}
