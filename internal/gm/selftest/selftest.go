//lint:file-ignore SA1019 SM2 keys are ecdsa.PublicKey on a curve that the standard library does not know; their coordinates are public and checked here.

package selftest

import (
	"bytes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"

	tjsm2 "github.com/tjfoc/gmsm/sm2"
	tjsm3 "github.com/tjfoc/gmsm/sm3"
	tjsm4 "github.com/tjfoc/gmsm/sm4"

	"hufu/internal/gm"
)

// Result is the outcome of one check; Err is nil when both implementations agree with the standard and with each other.
type Result struct {
	Name     string // what was checked
	Standard string // standard and clause of the known answer, or "cross-check"
	Err      error
}

// Run performs every check and returns their outcomes in a fixed order. A panic in an implementation counts as a failure.
func Run() []Result {
	results := make([]Result, 0, len(checks))
	for _, c := range checks {
		results = append(results, Result{c.name, c.standard, guarded(c.run)})
	}
	return results
}

// Check runs everything and returns the first failure.
func Check() error {
	for _, r := range Run() {
		if r.Err != nil {
			return fmt.Errorf("self-test of %s (%s): %w", r.Name, r.Standard, r.Err)
		}
	}
	return nil
}

func guarded(run func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return run()
}

var checks = []struct {
	name, standard string
	run            func() error
}{
	{"SM3", "GB/T 32905-2016 A.1", sm3Answer},
	{"SM4", "GB/T 32907-2016 A.1", sm4Answer},
	{"SM2 Z_A and signature", "GB/T 32918.5-2017 A.2", sm2Answer},
	{"SM4-GCM and flipped bit", "RFC 8998 A.1", gcmAnswer},
	{"SM3 of long input", "cross-check", sm3Cross},
	{"SM4-GCM each way", "cross-check", gcmCross},
	{"SM2 signatures each way and flipped bit", "cross-check", signCross},
	{"SM2 verification with a table and flipped bit", "cross-check", tableCross},
	{"SM2 encryption each way and flipped bit", "cross-check", encryptCross},
}

var (
	errAnswer   = errors.New("the engine's answer differs from the standard")
	errSecond   = errors.New("the second implementation's answer differs from the standard")
	errDisagree = errors.New("the two implementations disagree")
	errFlipped  = errors.New("a changed input was accepted")
)

func sm3Answer() error {
	want := unhex("66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0")
	if got := gm.SM3([]byte("abc")); !bytes.Equal(got[:], want) {
		return errAnswer
	}
	if !bytes.Equal(tjsm3.Sm3Sum([]byte("abc")), want) {
		return errSecond
	}
	return nil
}

func sm4Answer() error {
	key := unhex("0123456789abcdeffedcba9876543210")
	want := unhex("681edf34d206965e86b3e94f536e4246")
	ours, err := gm.NewSM4(key)
	if err != nil {
		return err
	}
	theirs, err := tjsm4.NewCipher(key)
	if err != nil {
		return err
	}
	got := make([]byte, 16)
	if ours.Encrypt(got, key); !bytes.Equal(got, want) {
		return errAnswer
	}
	if theirs.Encrypt(got, key); !bytes.Equal(got, want) {
		return errSecond
	}
	if ours.Decrypt(got, want); !bytes.Equal(got, key) {
		return errAnswer
	}
	return nil
}

func sm2Answer() error {
	k, err := gm.NewPrivateKey(unhex("3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8"))
	if err != nil {
		return err
	}
	wantZ := unhex("B2E14C5C79C6DF5B85F4FE7ED8DB7A262B9DA7E07CCB0EA9F4747B8CCDA8A4F3")
	r := unhex("F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3")
	s := unhex("B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA")
	pub := k.Public().(*ecdsa.PublicKey)
	if z, err := gm.Z(pub, gm.DefaultID); err != nil || !bytes.Equal(z[:], wantZ) {
		return errAnswer
	}
	if z, err := tjsm2.ZA(second(pub), gm.DefaultID); err != nil || !bytes.Equal(z, wantZ) {
		return errSecond
	}
	sig, err := gm.DERSignature(append(r, s...))
	if err != nil || !gm.Verify(pub, []byte("message digest"), sig) {
		return errAnswer
	}
	if !tjsm2.Sm2Verify(second(pub), []byte("message digest"), gm.DefaultID, new(big.Int).SetBytes(r), new(big.Int).SetBytes(s)) {
		return errSecond
	}
	return nil
}

func sm3Cross() error {
	in := make([]byte, 1000)
	for i := range in {
		in[i] = byte(i * i)
	}
	for _, n := range []int{0, 1, 55, 56, 63, 64, 65, 1000} {
		if got := gm.SM3(in[:n]); !bytes.Equal(got[:], tjsm3.Sm3Sum(in[:n])) {
			return errDisagree
		}
	}
	return nil
}

func gcmAnswer() error {
	key := unhex("0123456789abcdeffedcba9876543210")
	aad := unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
	plain := unhex("aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccddddddddddddddddeeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa")
	sealed := unhex("00001234567800000000abcd" +
		"17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d" +
		"83de3541e4c2b58177e065a9bf7b62ec")
	if got, err := gm.Open(key, sealed, aad); err != nil || !bytes.Equal(got, plain) {
		return errAnswer
	}
	sealed[20] ^= 1
	if _, err := gm.Open(key, sealed, aad); err == nil {
		return errFlipped
	}
	return nil
}

// gcmCross runs the standard library's GCM over the second implementation's block cipher: its own GCM computes wrong tags.
func gcmCross() error {
	key, aad, plain := unhex("0123456789abcdeffedcba9876543210"), []byte("context"), []byte("一次登录，全省通办")
	sealed, err := gm.Seal(key, plain, aad)
	if err != nil {
		return err
	}
	block, err := tjsm4.NewCipher(key)
	if err != nil {
		return err
	}
	second, err := cipher.NewGCM(block)
	if err != nil {
		return err
	}
	if back, err := second.Open(nil, sealed[:12], sealed[12:], aad); err != nil || !bytes.Equal(back, plain) {
		return errDisagree
	}
	theirs := second.Seal(sealed[:12:12], sealed[:12], plain, aad)
	if back, err := gm.Open(key, theirs, aad); err != nil || !bytes.Equal(back, plain) {
		return errDisagree
	}
	return nil
}

func signCross() error {
	k, err := gm.GenerateKey()
	if err != nil {
		return err
	}
	pub, msg := k.Public().(*ecdsa.PublicKey), []byte("虎符相合，方可行令")
	der, err := gm.SignMessage(k, msg)
	if err != nil {
		return err
	}
	if !second(pub).Verify(msg, der) {
		return errDisagree
	}
	theirs, err := (&tjsm2.PrivateKey{PublicKey: *second(pub), D: new(big.Int).SetBytes(k.Bytes())}).Sign(rand.Reader, msg, nil)
	if err != nil || !gm.Verify(pub, msg, theirs) {
		return errDisagree
	}
	changed := append([]byte{msg[0] ^ 1}, msg[1:]...)
	if gm.Verify(pub, changed, der) || second(pub).Verify(changed, der) {
		return errFlipped
	}
	return nil
}

// tableCross holds our own verification against both: it takes what they sign, and nothing else.
func tableCross() error {
	k, err := gm.GenerateKey()
	if err != nil {
		return err
	}
	pub, msg := k.Public().(*ecdsa.PublicKey), []byte("见符如见人")
	v, err := gm.NewVerifier(pub)
	if err != nil {
		return err
	}
	e, err := gm.E(pub, gm.DefaultID, msg)
	if err != nil {
		return err
	}
	ours, err := k.Sign(nil, e[:], gm.Digest)
	if err != nil || !v.VerifyE(e[:], ours) {
		return errDisagree
	}
	theirs, err := (&tjsm2.PrivateKey{PublicKey: *second(pub), D: new(big.Int).SetBytes(k.Bytes())}).Sign(rand.Reader, msg, nil)
	if err != nil || !v.VerifyE(e[:], theirs) {
		return errDisagree
	}
	e[0] ^= 1
	if v.VerifyE(e[:], ours) || v.VerifyE(e[:], theirs) {
		return errFlipped
	}
	return nil
}

func encryptCross() error {
	k, err := gm.GenerateKey()
	if err != nil {
		return err
	}
	pub, plain := k.Public().(*ecdsa.PublicKey), []byte("0123456789abcdef")
	theirKey := &tjsm2.PrivateKey{PublicKey: *second(pub), D: new(big.Int).SetBytes(k.Bytes())}
	ours, err := gm.Encrypt(pub, plain)
	if err != nil {
		return err
	}
	if back, err := theirKey.DecryptAsn1(ours); err != nil || !bytes.Equal(back, plain) {
		return errDisagree
	}
	theirs, err := second(pub).EncryptAsn1(plain, rand.Reader)
	if err != nil {
		return err
	}
	if back, err := k.Decrypt(nil, theirs, nil); err != nil || !bytes.Equal(back, plain) {
		return errDisagree
	}
	ours[len(ours)-1] ^= 1
	if _, err := k.Decrypt(nil, ours, nil); err == nil {
		return errFlipped
	}
	return nil
}

// second returns the key in the second implementation's type.
func second(pub *ecdsa.PublicKey) *tjsm2.PublicKey {
	return &tjsm2.PublicKey{Curve: tjsm2.P256Sm2(), X: pub.X, Y: pub.Y}
}

// unhex decodes a constant of this file.
func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}
