//lint:file-ignore SA1019 the test multiplies points as a device does.

package gm

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"testing"
)

// sharedX computes the x coordinate of d·C1 as a device's ECDH does.
func sharedX(t *testing.T, k *PrivateKey, c Ciphertext) []byte {
	t.Helper()
	c1, err := PublicKey(c.C1)
	if err != nil {
		t.Fatal(err)
	}
	x, _ := c1.Curve.ScalarMult(c1.X, c1.Y, k.Bytes())
	return x.FillBytes(make([]byte, 32))
}

func TestOpenSharedAgreesWithDecrypt(t *testing.T) {
	for i := range 20 {
		k, err := GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		plain := bytes.Repeat([]byte{byte(i)}, 1+17*i)
		der, err := Encrypt(k.Public().(*ecdsa.PublicKey), plain)
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseCiphertext(der)
		if err != nil {
			t.Fatal(err)
		}
		x := sharedX(t, k, c)
		got, err := OpenShared(c, x)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("%d octets: %v", len(plain), err)
		}
		for name, bad := range map[string]Ciphertext{
			"C2": {c.C1, flipped(c.C2), c.C3}, "C3": {c.C1, c.C2, flipped(c.C3)}, "short C3": {c.C1, c.C2, c.C3[:31]}, "no C2": {c.C1, nil, c.C3},
		} {
			if _, err := OpenShared(bad, x); !errors.Is(err, ErrCiphertext) {
				t.Errorf("%s changed: %v", name, err)
			}
		}
		for name, bad := range map[string][]byte{"another x": flipped(x), "short x": x[1:], "off the field": bytes.Repeat([]byte{0xff}, 32), "nothing": nil} {
			if _, err := OpenShared(c, bad); !errors.Is(err, ErrCiphertext) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := ParseCiphertext(append(der, 0)); !errors.Is(err, ErrCiphertext) {
			t.Errorf("trailing octet: %v", err)
		}
	}
}

func flipped(b []byte) []byte {
	out := bytes.Clone(b)
	out[len(out)/2] ^= 4
	return out
}
