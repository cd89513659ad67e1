package hsmtest

import (
	"context"
	"crypto"
	"slices"
	"sync"
	"testing"

	"hufu/hsm"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// life: generate, list, use, reopen, use again, destroy.
func (s *suite) life(t *testing.T) {
	for _, algorithm := range slices.DeleteFunc(slices.Clone(algorithms), func(a string) bool { return !s.has(a) }) {
		t.Run(algorithm, func(t *testing.T) {
			d := s.device(t)
			made := key(t, d, algorithm, "")
			if (made.Public == nil) != (algorithm == hsm.SM4 || algorithm == hsm.AES256 || algorithm == hsm.HMACSM3) {
				t.Errorf("public half is %T", made.Public)
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			d = s.device(t)
			found := find(t, d, made.Label)
			if found.Algorithm != algorithm || found.Use != made.Use || found.Purpose != "test" || found.Reference == "" ||
				!found.Created.Equal(made.Created) || !same(found.Public, made.Public) {
				t.Errorf("after reopening: %+v, made %+v", found, made)
			}
			if err := d.Destroy(t.Context(), made.Label); err != nil {
				t.Fatal(err)
			}
			keys, err := d.Keys(t.Context())
			if err != nil || slices.ContainsFunc(keys, func(i hsm.Info) bool { return i.Label == made.Label }) {
				t.Errorf("still listed after it was destroyed (%v)", err)
			}
		})
	}
}

func find(t *testing.T, d hsm.Device, label string) hsm.Info {
	t.Helper()
	keys, err := d.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(keys, func(i hsm.Info) bool { return i.Label == label })
	if i < 0 {
		t.Fatalf("key %s is not listed", label)
	}
	return keys[i]
}

func same(a, b crypto.PublicKey) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.(interface{ Equal(crypto.PublicKey) bool }).Equal(b)
}

// specs: what cannot be made is refused, and a label is never reused over a living key.
func (s *suite) specs(t *testing.T) {
	d := s.device(t)
	algorithm := algorithms[slices.IndexFunc(algorithms, s.has)]
	for _, bad := range []string{"", "../escape", "a/b", ".hidden", "-flag", "Upper", "空", "a b", "nul\x00", string(make([]byte, 101))} {
		_, err := d.Generate(t.Context(), hsm.Spec{Label: bad, Algorithm: algorithm})
		want(t, "label "+bad, err, hsm.ErrLabel)
	}
	_, err := d.Generate(t.Context(), hsm.Spec{Label: label(), Algorithm: algorithm, Purpose: "line\nbreak"})
	want(t, "purpose with a line break", err, hsm.ErrLabel)
	for _, missing := range append([]string{"", "dsa", "SM2"}, s.lacks...) {
		_, err := d.Generate(t.Context(), hsm.Spec{Label: label(), Algorithm: missing})
		want(t, "algorithm "+missing, err, hsm.ErrMechanism)
	}
	for algorithm, use := range map[string]string{hsm.P256: hsm.UseDecrypt, hsm.RSA2048: hsm.UseWrap, hsm.SM4: hsm.UseMAC, hsm.HMACSM3: hsm.UseSign, hsm.SM2: "everything"} {
		_, err := d.Generate(t.Context(), hsm.Spec{Label: label(), Algorithm: algorithm, Use: use})
		want(t, algorithm+" to "+use, err, hsm.ErrMechanism)
	}
	first := key(t, d, algorithm, "")
	_, err = d.Generate(t.Context(), hsm.Spec{Label: first.Label, Algorithm: algorithm})
	want(t, "label in use", err, hsm.ErrExists)
	if again := find(t, d, first.Label); !same(again.Public, first.Public) {
		t.Error("the refused key took the place of the first")
	}
}

// uses: a key made for one thing does no other.
func (s *suite) uses(t *testing.T) {
	d, ctx := s.device(t), t.Context()
	for _, spec := range []hsm.Spec{{Algorithm: hsm.SM2, Use: hsm.UseSign}, {Algorithm: hsm.SM2, Use: hsm.UseDecrypt}, {Algorithm: hsm.SM4}, {Algorithm: hsm.AES256}, {Algorithm: hsm.HMACSM3}, {Algorithm: hsm.P256}} {
		if !s.has(spec.Algorithm) || spec.Use == hsm.UseDecrypt && !s.has(Decryption) {
			continue
		}
		k := key(t, d, spec.Algorithm, spec.Use)
		_, signErr := d.Signer(ctx, k.Label)
		_, decryptErr := d.Decrypter(ctx, k.Label)
		_, wrapErr := d.Wrap(ctx, k.Label, []byte("x"), nil)
		_, unwrapErr := d.Unwrap(ctx, k.Label, make([]byte, 40), nil)
		_, macErr := d.MAC(ctx, k.Label, []byte("x"))
		for use, err := range map[string]error{hsm.UseSign: signErr, hsm.UseDecrypt: decryptErr, hsm.UseWrap: wrapErr, hsm.UseMAC: macErr} {
			if use == k.Use {
				if err != nil {
					t.Errorf("%s key cannot %s: %v", k.Algorithm, use, err)
				}
				continue
			}
			want(t, k.Algorithm+" key made to "+k.Use+" asked to "+use, err, hsm.ErrMechanism)
		}
		if k.Use == hsm.UseWrap {
			want(t, "unwrap of zeros", unwrapErr, hsm.ErrNotAuthentic)
		} else {
			want(t, "unwrap with key made to "+k.Use, unwrapErr, hsm.ErrMechanism)
		}
	}
}

// destroyed: a key's signers end with it, also when its label lives again.
func (s *suite) destroyed(t *testing.T) {
	d, ctx := s.device(t), t.Context()
	k := key(t, d, hsm.SM2, "")
	old := signerOf(t, d, k.Label)
	if err := d.Destroy(ctx, k.Label); err != nil {
		t.Fatal(err)
	}
	_, err := old.Sign(nil, make([]byte, 32), gm.Digest)
	want(t, "signer of a destroyed key", err, hsm.ErrNotFound)
	_, err = d.Signer(ctx, k.Label)
	want(t, "signer asked after", err, hsm.ErrNotFound)
	want(t, "destroying twice", d.Destroy(ctx, k.Label), hsm.ErrNotFound)
	if _, err := d.Generate(ctx, hsm.Spec{Label: k.Label, Algorithm: hsm.SM2}); err != nil {
		t.Fatalf("label of a destroyed key is free: %v", err)
	}
	_, err = old.Sign(nil, make([]byte, 32), gm.Digest)
	want(t, "old signer when the label lives again", err, hsm.ErrNotFound)
}

// contexts: each call and each object obtained by it ends with its context.
func (s *suite) contexts(t *testing.T) {
	d := s.device(t)
	k := key(t, d, hsm.SM2, "")
	ctx, cancel := context.WithCancel(t.Context())
	signer, err := d.Signer(ctx, k.Label)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = signer.Sign(nil, make([]byte, 32), gm.Digest)
	want(t, "signing after the end of its context", err, context.Canceled)
	_, keysErr := d.Keys(ctx)
	_, generateErr := d.Generate(ctx, hsm.Spec{Label: label(), Algorithm: hsm.SM2})
	_, signerErr := d.Signer(ctx, k.Label)
	for what, err := range map[string]error{"keys": keysErr, "generate": generateErr, "signer": signerErr, "destroy": d.Destroy(ctx, k.Label), "health": d.Health(ctx)} {
		want(t, what, err, context.Canceled)
	}
	if _, err := signerOf(t, d, k.Label).Sign(nil, make([]byte, 32), gm.Digest); err != nil {
		t.Errorf("the key must have survived all that: %v", err)
	}
}

// closeDuringUse: operations under way end well or with ErrClosed, and nothing works afterwards.
func (s *suite) closeDuringUse(t *testing.T) {
	d := s.device(t)
	k := key(t, d, hsm.SM2, "")
	signer := signerOf(t, d, k.Label)
	started := make(chan struct{})
	var once sync.Once
	each(9, func(i int) {
		if i == 0 {
			<-started
			if err := d.Close(); err != nil {
				t.Error(err)
			}
			return
		}
		for {
			sig, err := signer.Sign(nil, make([]byte, 32), gm.Digest)
			once.Do(func() { close(started) })
			if err != nil {
				want(t, "during close", err, hsm.ErrClosed)
				return
			}
			if !verifySM2(k.Public, make([]byte, 32), sig) {
				t.Error("wrong signature during close")
				return
			}
		}
	})
	_, keysErr := d.Keys(t.Context())
	_, signerErr := d.Signer(t.Context(), k.Label)
	for what, err := range map[string]error{"keys": keysErr, "signer": signerErr, "health": d.Health(t.Context()), "destroy": d.Destroy(t.Context(), k.Label)} {
		want(t, what+" after close", err, hsm.ErrClosed)
	}
	if err := d.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	if err := s.device(t).Destroy(t.Context(), k.Label); err != nil {
		t.Errorf("the key must be there when opened again: %v", err)
	}
}

// faults: what is not there is told as such, in both languages.
func (s *suite) faults(t *testing.T) {
	d, ctx := s.device(t), t.Context()
	if err := d.Health(ctx); err != nil {
		t.Errorf("health: %v", err)
	}
	_, signErr := d.Signer(ctx, "nobody")
	_, decryptErr := d.Decrypter(ctx, "nobody")
	_, wrapErr := d.Wrap(ctx, "nobody", nil, nil)
	_, unwrapErr := d.Unwrap(ctx, "nobody", nil, nil)
	_, macErr := d.MAC(ctx, "nobody", nil)
	for what, err := range map[string]error{"sign": signErr, "decrypt": decryptErr, "wrap": wrapErr, "unwrap": unwrapErr, "mac": macErr, "destroy": d.Destroy(ctx, "nobody")} {
		want(t, what+" with an unknown key", err, hsm.ErrNotFound)
		if text, ok := fault.TextOf(err); !ok || text.ZH == "" || text.EN == "" || fault.KindOf(err) != fault.NotFound {
			t.Errorf("%s: kind %v, text %+v", what, fault.KindOf(err), text)
		}
	}
}
