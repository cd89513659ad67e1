package hsmtest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"sync"
	"testing"

	"hufu/hsm"
	"hufu/internal/gm"
)

func verifySM2(pub crypto.PublicKey, e, sig []byte) bool {
	k, ok := pub.(*ecdsa.PublicKey)
	return ok && gm.VerifyE(k, e, sig)
}

// signatures: each algorithm's signatures verify with the public half by an independent verifier.
func (s *suite) signatures(t *testing.T) {
	msg := []byte("an order was proved genuine")
	sum := sha256.Sum256(msg)
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	for _, c := range []struct {
		algorithm string
		input     []byte
		opts      crypto.SignerOpts
		verify    func(pub crypto.PublicKey, sig []byte) bool
	}{
		{hsm.SM2, msg, gm.Message, func(p crypto.PublicKey, sig []byte) bool { return gm.Verify(p.(*ecdsa.PublicKey), msg, sig) }},
		{hsm.SM2, sum[:], gm.Digest, func(p crypto.PublicKey, sig []byte) bool { return verifySM2(p, sum[:], sig) }},
		{hsm.P256, sum[:], crypto.SHA256, func(p crypto.PublicKey, sig []byte) bool { return ecdsa.VerifyASN1(p.(*ecdsa.PublicKey), sum[:], sig) }},
		{hsm.RSA2048, sum[:], crypto.SHA256, func(p crypto.PublicKey, sig []byte) bool {
			return rsa.VerifyPKCS1v15(p.(*rsa.PublicKey), crypto.SHA256, sum[:], sig) == nil
		}},
		{hsm.RSA2048, sum[:], pss, func(p crypto.PublicKey, sig []byte) bool {
			return rsa.VerifyPSS(p.(*rsa.PublicKey), crypto.SHA256, sum[:], sig, pss) == nil
		}},
	} {
		if !s.has(c.algorithm) {
			continue
		}
		d := s.device(t)
		k := key(t, d, c.algorithm, "")
		signer := signerOf(t, d, k.Label)
		if !same(signer.Public(), k.Public) {
			t.Errorf("%s: signer shows another public key", c.algorithm)
		}
		sig, err := signer.Sign(rand.Reader, c.input, c.opts)
		if err != nil || !c.verify(k.Public, sig) {
			t.Errorf("%s, %T: does not verify (%v)", c.algorithm, c.opts, err)
		}
		d.Destroy(t.Context(), k.Label)
		d.Close()
	}
}

// signInputs: nothing is signed but what was said plainly to be a message or a digest of the right size.
func (s *suite) signInputs(t *testing.T) {
	d := s.device(t)
	sha1PSS := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA1}
	autoPSS := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto, Hash: crypto.SHA256}
	for algorithm, cases := range map[string][]struct {
		size int
		opts crypto.SignerOpts
	}{
		hsm.SM2:     {{31, gm.Digest}, {33, gm.Digest}, {0, gm.Digest}, {64, gm.Digest}, {32, nil}, {32, crypto.SHA256}, {32, crypto.Hash(0)}, {32, sha1PSS}, {300, nil}},
		hsm.P256:    {{31, crypto.SHA256}, {33, crypto.SHA256}, {32, nil}, {20, crypto.SHA1}, {32, gm.Digest}, {32, gm.Message}, {32, autoPSS}, {32, crypto.Hash(0)}},
		hsm.RSA2048: {{31, crypto.SHA256}, {33, crypto.SHA256}, {32, nil}, {20, crypto.SHA1}, {20, sha1PSS}, {32, autoPSS}, {32, gm.Digest}, {32, gm.Message}, {32, crypto.Hash(0)}, {32, (*rsa.PSSOptions)(nil)}},
	} {
		if !s.has(algorithm) {
			continue
		}
		signer := signerOf(t, d, key(t, d, algorithm, "").Label)
		for _, c := range cases {
			sig, err := signer.Sign(rand.Reader, make([]byte, c.size), c.opts)
			if sig != nil {
				t.Errorf("%s signed %d octets with options %T", algorithm, c.size, c.opts)
			}
			want(t, algorithm, err, hsm.ErrMechanism)
		}
	}
}

// nonces: no r comes twice, with many signing at once.
func (s *suite) nonces(t *testing.T) {
	d := s.device(t)
	signer := signerOf(t, d, key(t, d, hsm.SM2, "").Label)
	var seen sync.Map
	each(32, func(int) {
		for range 64 {
			sig, err := signer.Sign(nil, make([]byte, 32), gm.Digest)
			if err != nil {
				t.Error(err)
				return
			}
			raw, err := gm.RawSignature(sig)
			if err != nil {
				t.Error(err)
				return
			}
			if _, twice := seen.LoadOrStore([32]byte(raw), true); twice {
				t.Error("a nonce came twice: the private key is lost")
			}
		}
	})
}

// decrypt: only the right ciphertext opens, and every wrong one fails alike.
func (s *suite) decrypt(t *testing.T) {
	d, ctx := s.device(t), t.Context()
	k, other := key(t, d, hsm.SM2, hsm.UseDecrypt), key(t, d, hsm.SM2, hsm.UseDecrypt)
	plain := []byte("sixteen octets!!")
	ciphertext, err := gm.Encrypt(k.Public.(*ecdsa.PublicKey), plain)
	if err != nil {
		t.Fatal(err)
	}
	dec, err := d.Decrypter(ctx, k.Label)
	if err != nil {
		t.Fatal(err)
	}
	got, err := dec.Decrypt(nil, ciphertext, nil)
	if err != nil || !bytes.Equal(got, plain) || !same(dec.Public(), k.Public) {
		t.Fatalf("decrypt: %q, %v", got, err)
	}
	texts := map[string]string{}
	bad := map[string][]byte{"nothing": nil, "cut off": ciphertext[:len(ciphertext)-1], "longer": append(bytes.Clone(ciphertext), 0), "zeros": make([]byte, 120)}
	for i := range ciphertext {
		c := bytes.Clone(ciphertext)
		c[i] ^= 1
		bad["flipped octet"+string(rune(0x100+i))] = c
	}
	for what, c := range bad {
		_, err := dec.Decrypt(nil, c, nil)
		want(t, what, err, hsm.ErrNotAuthentic)
		if err != nil {
			texts[err.Error()] = what
		}
	}
	if len(texts) != 1 {
		t.Errorf("failures can be told apart, which helps an attacker: %v", texts)
	}
	stranger, err := d.Decrypter(ctx, other.Label)
	if err != nil {
		t.Fatal(err)
	}
	_, err = stranger.Decrypt(nil, ciphertext, nil)
	want(t, "another key", err, hsm.ErrNotAuthentic)
	_, err = dec.Decrypt(nil, ciphertext, &rsa.OAEPOptions{})
	want(t, "options", err, hsm.ErrMechanism)
}

// wrap: what is wrapped comes back under the same key and aad, and under nothing else.
func (s *suite) wrap(t *testing.T) { s.wrapUnder(t, hsm.SM4) }

func (s *suite) wrapAES(t *testing.T) { s.wrapUnder(t, hsm.AES256) }

func (s *suite) wrapUnder(t *testing.T, algorithm string) {
	d, ctx := s.device(t), t.Context()
	k, other := key(t, d, algorithm, "").Label, key(t, d, algorithm, "").Label
	for _, data := range [][]byte{{}, []byte("0123456789abcdef"), make([]byte, 64<<10)} {
		aad := []byte("row 17")
		wrapped, err := d.Wrap(ctx, k, data, aad)
		if err != nil {
			t.Fatal(err)
		}
		got, err := d.Unwrap(ctx, k, wrapped, aad)
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d octets did not come back: %v", len(data), err)
		}
		again, err := d.Wrap(ctx, k, data, aad)
		if err != nil || bytes.Equal(wrapped, again) {
			t.Errorf("wrapping twice gives the same octets: a nonce came twice (%v)", err)
		}
		_, err = d.Unwrap(ctx, k, wrapped, []byte("row 18"))
		want(t, "other aad", err, hsm.ErrNotAuthentic)
		_, err = d.Unwrap(ctx, other, wrapped, aad)
		want(t, "other key", err, hsm.ErrNotAuthentic)
		for _, i := range []int{0, len(wrapped) / 2, len(wrapped) - 1} {
			bad := bytes.Clone(wrapped)
			bad[i] ^= 0x80
			_, err = d.Unwrap(ctx, k, bad, aad)
			want(t, "flipped bit", err, hsm.ErrNotAuthentic)
		}
		for _, n := range []int{0, 1, 12, 27, len(wrapped) - 1} {
			_, err = d.Unwrap(ctx, k, wrapped[:n], aad)
			want(t, "cut off", err, hsm.ErrNotAuthentic)
		}
	}
	_, err := d.Wrap(ctx, k, make([]byte, 64<<10+1), nil)
	want(t, "too large", err, hsm.ErrMechanism)
}

// inside: keys that stand outside are opened within the device, each under its own master and aad only.
func (s *suite) inside(t *testing.T) {
	d, ctx := s.device(t), t.Context()
	in, ok := d.(hsm.Inside)
	if !ok {
		return // the device does not claim it
	}
	algorithm := hsm.SM4
	if !s.has(algorithm) {
		algorithm = hsm.AES256
	}
	k, other := key(t, d, algorithm, "").Label, key(t, d, algorithm, "").Label
	aad, e := []byte("row 17"), bytes.Repeat([]byte{7}, 32)
	wrapped, pub, err := in.GenerateInside(ctx, k, aad)
	if errors.Is(err, hsm.ErrMechanism) {
		return // it says that it cannot
	}
	if err != nil {
		t.Fatal(err)
	}
	before, err := d.Keys(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		sig, err := in.SignInside(ctx, k, wrapped, aad, pub, e)
		if err != nil || !gm.VerifyE(pub, e, sig) {
			t.Fatalf("signature of a wrapped key: %v", err)
		}
	}
	second, pub2, err := in.GenerateInside(ctx, k, aad)
	if err != nil || pub2.Equal(pub) {
		t.Fatalf("a second key: %v", err)
	}
	for what, sign := range map[string]func() ([]byte, error){
		"other aad":            func() ([]byte, error) { return in.SignInside(ctx, k, wrapped, []byte("row 18"), pub, e) },
		"other master":         func() ([]byte, error) { return in.SignInside(ctx, other, wrapped, aad, pub, e) },
		"cut off":              func() ([]byte, error) { return in.SignInside(ctx, k, wrapped[:len(wrapped)-1], aad, pub, e) },
		"nothing":              func() ([]byte, error) { return in.SignInside(ctx, k, nil, aad, pub, e) },
		"flipped bit":          func() ([]byte, error) { return in.SignInside(ctx, k, flip(wrapped, 0), aad, pub, e) },
		"flipped in the heart": func() ([]byte, error) { return in.SignInside(ctx, k, flip(wrapped, len(wrapped)/2), aad, pub, e) },
		"flipped at the end":   func() ([]byte, error) { return in.SignInside(ctx, k, flip(wrapped, len(wrapped)-1), aad, pub, e) },
	} {
		_, err := sign()
		want(t, what, err, hsm.ErrNotAuthentic)
	}
	_, err = in.SignInside(ctx, k, second, aad, pub, e)
	if !errors.Is(err, hsm.ErrSignature) && !errors.Is(err, hsm.ErrNotAuthentic) {
		t.Errorf("another key's octets under this public half: %v", err)
	}
	_, err = in.SignInside(ctx, k, wrapped, aad, pub, e[:31])
	want(t, "e of 31 octets", err, hsm.ErrMechanism)
	after, err := d.Keys(ctx)
	if err != nil || len(after) != len(before) {
		t.Errorf("the device holds %d keys, before %d: an opened key stayed (%v)", len(after), len(before), err)
	}
}

func flip(b []byte, at int) []byte {
	bad := bytes.Clone(b)
	bad[at] ^= 0x80
	return bad
}

// mac: stable for a key, different for another key or input.
func (s *suite) mac(t *testing.T) {
	d, ctx := s.device(t), t.Context()
	k, other := key(t, d, hsm.HMACSM3, "").Label, key(t, d, hsm.HMACSM3, "").Label
	tags := map[string]bool{}
	for range 2 {
		for _, in := range []struct{ label, data string }{{k, "a"}, {k, "b"}, {other, "a"}, {k, ""}} {
			tag, err := d.MAC(ctx, in.label, []byte(in.data))
			if err != nil || len(tag) != 32 {
				t.Fatalf("%d octets, %v", len(tag), err)
			}
			tags[string(tag)] = true
		}
	}
	if len(tags) != 4 {
		t.Errorf("%d different tags of 4 inputs taken twice", len(tags))
	}
}

// parallel: 32 goroutines use, make, list and destroy at once.
func (s *suite) parallel(t *testing.T) {
	d, ctx := s.device(t), t.Context()
	shared := key(t, d, hsm.SM2, "")
	each(32, func(i int) {
		use := []hsm.Info{shared}
		if s.has(Many) {
			own, err := d.Generate(ctx, hsm.Spec{Label: label(), Algorithm: hsm.SM2})
			if err != nil {
				t.Error(err)
				return
			}
			use = append(use, own)
		}
		for _, k := range use {
			signer, err := d.Signer(ctx, k.Label)
			if err != nil {
				t.Error(err)
				return
			}
			e := bytes.Repeat([]byte{byte(i)}, 32)
			sig, err := signer.Sign(nil, e, gm.Digest)
			if err != nil || !verifySM2(k.Public, e, sig) {
				t.Errorf("goroutine %d: wrong signature (%v)", i, err)
			}
		}
		if _, err := d.Keys(ctx); err != nil {
			t.Error(err)
		}
		for _, own := range use[1:] {
			if err := d.Destroy(ctx, own.Label); err != nil {
				t.Error(err)
			}
		}
	})
}
