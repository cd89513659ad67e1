//lint:file-ignore SA1019 SM2 keys are ecdsa.PublicKey on a curve that the standard library does not know; their coordinates are public and checked here.

package gm

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// testKey is the key of GB/T 32918.5 annex A.2.
func testKey(t testing.TB) *PrivateKey {
	t.Helper()
	k, err := NewPrivateKey(unhex(t, "3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func public(k *PrivateKey) *ecdsa.PublicKey { return k.Public().(*ecdsa.PublicKey) }

func TestKnownAnswers(t *testing.T) {
	sum := SM3([]byte("abc"))
	if got := hex.EncodeToString(sum[:]); got != "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0" {
		t.Errorf("SM3 = %s", got)
	}
	if SM3([]byte("a"), []byte("bc")) != sum {
		t.Error("SM3 of parts differs from SM3 of the whole")
	}
	block, err := NewSM4(unhex(t, "0123456789abcdeffedcba9876543210"))
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 16)
	block.Encrypt(out, unhex(t, "0123456789abcdeffedcba9876543210"))
	if got := hex.EncodeToString(out); got != "681edf34d206965e86b3e94f536e4246" {
		t.Errorf("SM4 = %s", got)
	}
	k := testKey(t)
	z, err := Z(public(k), DefaultID)
	if err != nil || hex.EncodeToString(z[:]) != "b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3" {
		t.Errorf("Z_A = %x, %v", z, err)
	}
	sig, err := DERSignature(unhex(t, "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3"+"B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA"))
	if err != nil || !Verify(public(k), []byte("message digest"), sig) {
		t.Errorf("the signature of GB/T 32918.5 A.2 does not verify: %v", err)
	}
}

func TestSignTakesMessageOrDigestAndNothingElse(t *testing.T) {
	k, msg := testKey(t), bytes.Repeat([]byte("same prefix, 32 octets and more "), 3)
	e, err := E(public(k), DefaultID, msg)
	if err != nil {
		t.Fatal(err)
	}
	byMessage, err1 := k.Sign(rand.Reader, msg, Message)
	byDigest, err2 := k.Sign(rand.Reader, e[:], Digest)
	if err1 != nil || err2 != nil || !Verify(public(k), msg, byMessage) || !Verify(public(k), msg, byDigest) {
		t.Fatalf("both ways must sign the same thing: %v %v", err1, err2)
	}
	for name, opts := range map[string]crypto.SignerOpts{"nil": nil, "SHA-256": crypto.SHA256, "another digest": &digestOpts{"e"}} {
		if _, err := k.Sign(rand.Reader, e[:], opts); !errors.Is(err, ErrSignOpts) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
	for _, n := range []int{0, 31, 33, 64} {
		if _, err := k.Sign(rand.Reader, make([]byte, n), Digest); !errors.Is(err, ErrDigestSize) {
			t.Errorf("e of %d octets: %v, want a refusal", n, err)
		}
	}
}

func TestVerifyRefusesEveryOtherEncodingAndNumber(t *testing.T) {
	k, msg := testKey(t), []byte("审批通过")
	sig, err := SignMessage(k, msg)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := RawSignature(sig)
	if err != nil {
		t.Fatal(err)
	}
	n := public(k).Curve.Params().N
	r, s := new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])
	der := func(r, s *big.Int) []byte {
		b := []byte{0x30, 0}
		for _, v := range []*big.Int{r, s} {
			m := v.Bytes()
			if v.Sign() < 0 {
				m = new(big.Int).Add(v, new(big.Int).Lsh(big.NewInt(1), 264)).Bytes()
			} else if len(m) == 0 || m[0]&0x80 != 0 {
				m = append([]byte{0}, m...)
			}
			b = append(append(b, 2, byte(len(m))), m...)
		}
		b[1] = byte(len(b) - 2)
		return b
	}
	if !Verify(public(k), msg, der(r, s)) {
		t.Fatal("the test's own encoder is wrong")
	}
	third := append(bytes.Clone(sig), 2, 1, 1)
	third[1] += 3
	attacks := map[string][]byte{
		"empty":           nil,
		"trailing octet":  append(bytes.Clone(sig), 0),
		"third integer":   third,
		"raw r||s":        raw,
		"long-form size":  append([]byte{0x30, 0x81, sig[1]}, sig[2:]...),
		"r = 0":           der(new(big.Int), s),
		"s = 0":           der(r, new(big.Int)),
		"r + n":           der(new(big.Int).Add(r, n), s),
		"-r":              der(new(big.Int).Neg(r), s),
		"n - s":           der(r, new(big.Int).Sub(n, s)),
		"r and s swapped": der(s, r),
		"r + s = n":       der(r, new(big.Int).Sub(n, r)),
	}
	for name, bad := range attacks {
		if Verify(public(k), msg, bad) {
			t.Errorf("%s: accepted", name)
		}
	}
	if VerifyID(public(k), nil, msg, sig) || VerifyID(public(k), []byte("ALICE123@YAHOO.COM"), msg, sig) {
		t.Error("another identifier was accepted")
	}
	plainSM3 := SM3(msg)
	if VerifyE(public(k), plainSM3[:], sig) || VerifyE(public(k), append(plainSM3[:], 0), sig) {
		t.Error("a digest without Z_A was accepted")
	}
}

func TestKeysOffTheCurveOrOutOfRangeAreRefused(t *testing.T) {
	k := testKey(t)
	point := Point(public(k))
	if pub, err := PublicKey(point); err != nil || !pub.Equal(public(k)) {
		t.Fatalf("point does not read back: %v", err)
	}
	point[64] ^= 1
	compressed := append([]byte{2}, point[1:33]...)
	for name, bad := range map[string][]byte{"off the curve": point, "infinity": {0}, "short": point[:64], "compressed": compressed, "zeroes": append([]byte{4}, make([]byte, 64)...)} {
		if _, err := PublicKey(bad); !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v, want ErrKey", name, err)
		}
	}
	n := public(k).Curve.Params().N
	one := big.NewInt(1)
	for name, d := range map[string]*big.Int{"0": new(big.Int), "n-1": new(big.Int).Sub(n, one), "n": n, "n+1": new(big.Int).Add(n, one)} {
		if _, err := NewPrivateKey(d.FillBytes(make([]byte, 32))); !errors.Is(err, ErrKey) {
			t.Errorf("d = %s: %v, want ErrKey", name, err)
		}
	}
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	off := &ecdsa.PublicKey{Curve: public(k).Curve, X: new(big.Int).Set(public(k).X), Y: new(big.Int).Add(public(k).Y, one)}
	for name, pub := range map[string]*ecdsa.PublicKey{"P-256": &p256.PublicKey, "off the curve": off, "nil": nil, "empty": {}} {
		if _, err := Z(pub, DefaultID); !errors.Is(err, ErrKey) {
			t.Errorf("Z with a key %s: %v, want ErrKey", name, err)
		}
		if _, err := Encrypt(pub, []byte("x")); !errors.Is(err, ErrKey) {
			t.Errorf("Encrypt to a key %s: %v, want ErrKey", name, err)
		}
	}
	if _, err := SignMessage(p256, []byte("x")); !errors.Is(err, ErrKey) {
		t.Errorf("SignMessage with a P-256 key: %v", err)
	}
}

func TestDecryptHasOneErrorForEveryAttack(t *testing.T) {
	k := testKey(t)
	c, err := Encrypt(public(k), []byte("encryption standard"))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := k.Decrypt(nil, c, nil)
	if err != nil || string(plain) != "encryption standard" {
		t.Fatalf("round trip: %q %v", plain, err)
	}
	for n := range len(c) { // every truncation
		if _, err := k.Decrypt(nil, c[:n], nil); !errors.Is(err, ErrCiphertext) {
			t.Fatalf("%d of %d octets: %v", n, len(c), err)
		}
	}
	for i := range c { // one flipped bit anywhere, C1 off the curve among them
		bad := bytes.Clone(c)
		bad[i] ^= 1
		if _, err := k.Decrypt(nil, bad, nil); !errors.Is(err, ErrCiphertext) {
			t.Fatalf("octet %d changed: %v", i, err)
		}
	}
	if _, err := k.Decrypt(nil, append(bytes.Clone(c), 0), nil); !errors.Is(err, ErrCiphertext) {
		t.Error("trailing octet accepted")
	}
}

// wrongSigner answers with another key's signature, as a device with a stale handle does.
type wrongSigner struct {
	crypto.Signer
	pub crypto.PublicKey
}

func (w wrongSigner) Public() crypto.PublicKey { return w.pub }

func TestSignMessageNeverReleasesAWrongSignature(t *testing.T) {
	a, b := testKey(t), must(GenerateKey())
	if _, err := SignMessage(wrongSigner{b, a.Public()}, []byte("m")); !errors.Is(err, ErrSignature) {
		t.Errorf("%v, want ErrSignature", err)
	}
}

func TestNoNonceRepeatsAcrossThreads(t *testing.T) {
	k, seen := testKey(t), sync.Map{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				sig, err := SignMessage(k, []byte("m"))
				if err != nil {
					t.Error(err)
					return
				}
				raw, _ := RawSignature(sig)
				if _, twice := seen.LoadOrStore(string(raw[:32]), true); twice {
					t.Error("r repeated: the private key is lost")
				}
			}
		})
	}
	wg.Wait()
}

// A prepared key comes to what the library's own HMAC comes to, for every length of key and message, by several at once.
func TestMACIsHMAC(t *testing.T) {
	for _, size := range []int{0, 1, 16, 32, 63, 64, 65, 200} {
		key := bytes.Repeat([]byte{byte(size)}, size)
		m := NewMAC(key)
		var all sync.WaitGroup
		for n := range 130 {
			all.Go(func() {
				message := bytes.Repeat([]byte{7}, n)
				h := hmac.New(NewSM3, key)
				h.Write(message)
				if got := m.Sum(message[:n/2], message[n/2:]); !bytes.Equal(got[:], h.Sum(nil)) {
					t.Errorf("key of %d, message of %d: %x", size, n, got)
				}
			})
		}
		all.Wait()
	}
}

// What one sealer seals under a prefix, another of the same key opens; the prefix stays, and each has a nonce of its own.
func TestSealerAppends(t *testing.T) {
	key := bytes.Repeat([]byte{1}, KeySize)
	s := must(NewSealer(key))
	for _, prefix := range [][]byte{nil, []byte("vers"), append(make([]byte, 0, 200), "vers"...)} {
		one, two := must(s.Seal(prefix, []byte("plain"), []byte("aad"))), must(s.Seal(slices.Clone(prefix), []byte("plain"), []byte("aad")))
		if !bytes.HasPrefix(one, prefix) || len(one) != len(prefix)+nonceSize+5+tagSize || bytes.Equal(one, two) {
			t.Errorf("after %q: %x, %x", prefix, one, two)
		}
		if got, err := Open(key, one[len(prefix):], []byte("aad")); err != nil || string(got) != "plain" {
			t.Errorf("after %q: %q, %v", prefix, got, err)
		}
	}
	if _, err := NewSealer(key[:15]); err == nil {
		t.Error("a key of 15 octets was taken")
	}
}

func TestSealBindsKeyAndContext(t *testing.T) {
	key := bytes.Repeat([]byte{7}, KeySize)
	sealed, err := Seal(key, []byte("身份证号"), []byte("subject 1"))
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := Open(key, sealed, []byte("subject 1")); err != nil || string(plain) != "身份证号" {
		t.Fatalf("%q %v", plain, err)
	}
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	for name, try := range map[string]func() ([]byte, error){
		"other context": func() ([]byte, error) { return Open(key, sealed, []byte("subject 2")) },
		"other key":     func() ([]byte, error) { return Open(make([]byte, KeySize), sealed, []byte("subject 1")) },
		"flipped bit":   func() ([]byte, error) { return Open(key, flipped, []byte("subject 1")) },
		"too short":     func() ([]byte, error) { return Open(key, sealed[:27], []byte("subject 1")) },
	} {
		if _, err := try(); !errors.Is(err, ErrOpen) {
			t.Errorf("%s: %v, want ErrOpen", name, err)
		}
	}
	if _, err := Seal(key[:15], nil, nil); err == nil {
		t.Error("a short key was taken")
	}
}

func TestPKCS8RefusesForeignOrDoubtfulKeys(t *testing.T) {
	k := testKey(t)
	der, err := MarshalPKCS8(k)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := ParsePKCS8(der); err != nil || !bytes.Equal(back.Bytes(), k.Bytes()) {
		t.Fatalf("round trip: %v", err)
	}
	swapped := bytes.Clone(der)
	copy(swapped[len(swapped)-64:], Point(public(must(GenerateKey())))[1:])
	if _, err := ParsePKCS8(swapped); !errors.Is(err, ErrKey) {
		t.Errorf("a foreign public half: %v", err)
	}
	if _, err := ParsePKCS8(append(bytes.Clone(der), 0)); !errors.Is(err, ErrEncoding) {
		t.Errorf("trailing octet: %v", err)
	}
}

func TestOpensslAgrees(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("openssl is needed")
		}
		t.Skip("openssl is not installed")
	}
	dir := t.TempDir()
	run := func(args ...string) []byte {
		t.Helper()
		cmd := exec.Command(openssl, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
		return out
	}
	write := func(name string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	k := testKey(t)
	write("ours.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(MarshalPKCS8(k))}))
	write("m", []byte("两地互认"))
	write("ours.sig", must(SignMessage(k, []byte("两地互认"))))
	run("pkeyutl", "-verify", "-inkey", "ours.pem", "-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678", "-in", "m", "-sigfile", "ours.sig")

	run("genpkey", "-algorithm", "SM2", "-out", "theirs.pem")
	run("pkcs8", "-topk8", "-nocrypt", "-in", "theirs.pem", "-outform", "DER", "-out", "theirs.der")
	theirs, err := ParsePKCS8(must(os.ReadFile(filepath.Join(dir, "theirs.der"))))
	if err != nil {
		t.Fatal(err)
	}
	run("pkeyutl", "-sign", "-inkey", "theirs.der", "-keyform", "DER", "-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678", "-in", "m", "-out", "theirs.sig")
	if !Verify(public(theirs), []byte("两地互认"), must(os.ReadFile(filepath.Join(dir, "theirs.sig")))) {
		t.Error("openssl's signature does not verify")
	}
	write("c", must(Encrypt(public(theirs), []byte("国密"))))
	if out := run("pkeyutl", "-decrypt", "-inkey", "theirs.der", "-keyform", "DER", "-in", "c"); string(out) != "国密" {
		t.Errorf("openssl decrypted %q", out)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func FuzzStrictForms(f *testing.F) {
	k := testKey(f)
	f.Add(must(SignMessage(k, []byte("m"))))
	f.Add(must(Encrypt(public(k), []byte("m"))))
	f.Add(must(MarshalPKCS8(k)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if raw, err := RawSignature(b); err == nil {
			if der, err := DERSignature(raw); err != nil || !bytes.Equal(der, b) {
				t.Errorf("signature %x reads and writes as %x: %v", b, der, err)
			}
		}
		_, _ = k.Decrypt(nil, b, nil)
		_, _ = ParsePKCS8(b)
		_, _ = PublicKey(b)
	})
}
