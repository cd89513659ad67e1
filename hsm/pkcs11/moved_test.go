//go:build cgo

package pkcs11

import (
	"testing"

	"hufu/hsm"
)

// A wrapping key whose handle came to mean a key of another sort, which the token refuses to unwrap with: the key is found
// again, whatever stands in its place meanwhile.
func TestMovedHandleThatMeansAnotherSortOfKey(t *testing.T) {
	k, c := softToken(t, "neutral")
	d := opened(t, c, k.PIN)
	for _, spec := range []hsm.Spec{
		{Label: "a", Algorithm: hsm.SM2}, {Label: "b", Algorithm: hsm.P256}, {Label: "master", Algorithm: hsm.SM4}, {Label: "c", Algorithm: hsm.SM2},
	} {
		if _, err := d.Generate(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
	}
	wrapped, err := d.Wrap(t.Context(), "master", []byte("secret"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range []string{"moved-handles 1", "moved-handles 2", "moved-handles 3", "moved-handles 4", "moved-handles 5"} {
		k.Disturb(t, fault)
		if got, err := d.Unwrap(t.Context(), "master", wrapped, nil); err != nil || string(got) != "secret" {
			t.Errorf("%s: %q, %v", fault, got, err)
		}
	}
}
