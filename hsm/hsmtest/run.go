package hsmtest

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"hufu/hsm"
)

// Opener opens the device under test. It is called again after Close, and must then find the keys made before.
type Opener func(t *testing.T) hsm.Device

// What a device may lack besides algorithms, also named in lacks.
const (
	Decryption = "sm2-decryption" // SM2 keys to decrypt
	Many       = "many-keys"      // room for some forty keys at once
)

// Run lets a driver prove itself. lacks names the algorithms that the device does not have, and Decryption or Many.
func Run(t *testing.T, open Opener, lacks ...string) {
	s := suite{open: open, lacks: lacks}
	for _, test := range []struct {
		name  string
		needs string // the algorithm without which the test says nothing; "" = none
		run   func(*testing.T)
	}{
		{"Life", "", s.life},
		{"Specs", "", s.specs},
		{"Uses", "", s.uses},
		{"Signatures", "", s.signatures},
		{"SignInputs", "", s.signInputs},
		{"Nonces", hsm.SM2, s.nonces},
		{"Decrypt", Decryption, s.decrypt},
		{"Wrap", hsm.SM4, s.wrap},
		{"WrapAES", hsm.AES256, s.wrapAES},
		{"Inside", "", s.inside},
		{"MAC", hsm.HMACSM3, s.mac},
		{"Parallel", hsm.SM2, s.parallel},
		{"Destroyed", hsm.SM2, s.destroyed},
		{"Contexts", hsm.SM2, s.contexts},
		{"CloseDuringUse", hsm.SM2, s.closeDuringUse},
		{"Faults", "", s.faults},
	} {
		if test.needs == "" || s.has(test.needs) {
			t.Run(test.name, test.run)
		}
	}
}

type suite struct {
	open  Opener
	lacks []string
}

var algorithms = []string{hsm.SM2, hsm.P256, hsm.RSA2048, hsm.RSA3072, hsm.SM4, hsm.AES256, hsm.HMACSM3}

func (s *suite) has(what string) bool {
	return !slices.Contains(s.lacks, what) && (what != Decryption || s.has(hsm.SM2))
}

func (s *suite) device(t *testing.T) hsm.Device {
	t.Helper()
	d := s.open(t)
	t.Cleanup(func() { d.Close() })
	return d
}

// key makes a key that is destroyed at the end of the test, if the device is open then.
func key(t *testing.T, d hsm.Device, algorithm, use string) hsm.Info {
	t.Helper()
	info, err := d.Generate(t.Context(), hsm.Spec{Label: label(), Algorithm: algorithm, Use: use, Purpose: "test"})
	if err != nil {
		t.Fatalf("generate %s: %v", algorithm, err)
	}
	t.Cleanup(func() { _ = d.Destroy(context.Background(), info.Label) })
	return info
}

func label() string { return "test-" + strings.ToLower(rand.Text()) }

func signerOf(t *testing.T, d hsm.Device, label string) crypto.Signer {
	t.Helper()
	s, err := d.Signer(t.Context(), label)
	if err != nil {
		t.Fatalf("signer of %s: %v", label, err)
	}
	return s
}

func want(t *testing.T, what string, err, sentinel error) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Errorf("%s: %v, want %v", what, err, sentinel)
	}
}

// each runs f n times at once and waits.
func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}
