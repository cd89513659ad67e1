package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/emmansun/gmsm/sm2"

	"hufu/internal/gm"
)

func newSM2(t testing.TB) *gm.PrivateKey {
	t.Helper()
	k, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func publicOf(k *gm.PrivateKey) *ecdsa.PublicKey { return k.Public().(*ecdsa.PublicKey) }

func TestEnvelopedKeyOpensForItsRecipientOnly(t *testing.T) {
	recipient, other, key := newSM2(t), newSM2(t), newSM2(t)
	der, err := BuildEnvelopedKey(publicOf(recipient), key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenEnvelopedKey(der, recipient)
	if err != nil || !bytes.Equal(got.Bytes(), key.Bytes()) {
		t.Fatalf("open: %v", err)
	}
	if _, err := OpenEnvelopedKey(der, other); !errors.Is(err, ErrEnvelope) {
		t.Errorf("another recipient opened it: %v", err)
	}
	if _, err := BuildEnvelopedKey(publicOf(key), key); err == nil {
		t.Error("a key was enveloped to itself")
	}
}

func TestEnvelopedKeyRefusesEveryEdit(t *testing.T) {
	recipient, key := newSM2(t), newSM2(t)
	der, err := BuildEnvelopedKey(publicOf(recipient), key)
	if err != nil {
		t.Fatal(err)
	}
	for i := range der {
		bad := bytes.Clone(der)
		bad[i] ^= 1
		if k, err := OpenEnvelopedKey(bad, recipient); err == nil && !bytes.Equal(k.Bytes(), key.Bytes()) {
			t.Fatalf("octet %d changed: another key came out", i)
		} else if err == nil && !bytes.Equal(bad[2:18], der[2:18]) {
			continue // within the algorithm identifier SM4 and SM4-ECB both stand for ECB
		} else if err == nil {
			t.Errorf("octet %d changed and nobody noticed", i)
		}
	}
	if _, err := ParseEnvelopedKey(append(bytes.Clone(der), 0)); !errors.Is(err, ErrTrailing) {
		t.Errorf("trailing octet: %v", err)
	}
	if _, err := ParseEnvelopedKey(make([]byte, maxEnvelope+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}

// The public key in clear must belong to the key inside: else a CA could be made to certify one and deliver the other.
func TestEnvelopedKeyWithAnotherPublicKey(t *testing.T) {
	recipient, key, other := newSM2(t), newSM2(t), newSM2(t)
	der, err := BuildEnvelopedKey(publicOf(recipient), key)
	if err != nil {
		t.Fatal(err)
	}
	swapped := bytes.Replace(der, gm.Point(publicOf(key)), gm.Point(publicOf(other)), 1)
	if _, err := OpenEnvelopedKey(swapped, recipient); !errors.Is(err, ErrEnvelope) {
		t.Errorf("public key exchanged: %v", err)
	}
}

func TestEnvelopedKeyAgreesWithGmsm(t *testing.T) {
	recipient, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := gm.NewPrivateKey(recipient.D.FillBytes(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	key, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := sm2.MarshalEnvelopedPrivateKey(rand.Reader, &recipient.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := OpenEnvelopedKey(theirs, ours)
	if err != nil || !key.PublicKey.Equal(opened.Public()) {
		t.Fatalf("theirs does not open: %v", err)
	}
	der, err := BuildEnvelopedKey(publicOf(ours), opened)
	if err != nil {
		t.Fatal(err)
	}
	back, err := sm2.ParseEnvelopedPrivateKey(recipient, der)
	if err != nil || back.D.Cmp(key.D) != 0 {
		t.Fatalf("ours does not open with gmsm: %v", err)
	}
}

func FuzzParseEnvelopedKey(f *testing.F) {
	recipient, key := newSM2(f), newSM2(f)
	der, err := BuildEnvelopedKey(publicOf(recipient), key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add(der[:len(der)-1])
	f.Fuzz(func(_ *testing.T, der []byte) {
		if k, err := ParseEnvelopedKey(der); err == nil {
			_, _ = k.Open(recipient)
		}
	})
}
