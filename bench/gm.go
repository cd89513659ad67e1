package main

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"hufu/internal/gm"
)

var gmWorkloads = []workload{
	{"gm.sign", "SM2 signatures of 20 octets per CPU-second", "openssl speed sm2", 10, func(*bed) (pair, error) {
		key, err := gm.GenerateKey()
		return pair{ours: loop(func() error {
			_, err := key.Sign(nil, opensslInput, gm.Message)
			return err
		}), reference: opensslSM2(0)}, err
	}},
	{"gm.verify", "SM2 verifications of 20 octets per CPU-second", "openssl speed sm2", 3, func(*bed) (pair, error) {
		key, err := gm.GenerateKey()
		if err != nil {
			return pair{}, err
		}
		sig, err := key.Sign(nil, opensslInput, gm.Message)
		return pair{ours: loop(func() error {
			if !gm.Verify(key.Public().(*ecdsa.PublicKey), opensslInput, sig) {
				return errVerify
			}
			return nil
		}), reference: opensslSM2(1)}, err
	}},
	{"gm.verify.known", "SM2 verifications of a digest with a known key per CPU-second", "the engine, which takes any key", 3, openKnown},
}

func openKnown(*bed) (pair, error) {
	key, err := gm.GenerateKey()
	if err != nil {
		return pair{}, err
	}
	pub := key.Public().(*ecdsa.PublicKey)
	known, err1 := gm.NewVerifier(pub)
	sig, err2 := key.Sign(nil, digest, gm.Digest)
	judged := func(good bool) error {
		if !good {
			return errVerify
		}
		return nil
	}
	return pair{
		ours:      loop(func() error { return judged(known.VerifyE(digest, sig)) }),
		reference: loop(func() error { return judged(gm.VerifyE(pub, digest, sig)) }),
	}, errors.Join(err1, err2)
}

var errVerify = errors.New("a signature does not verify")

// opensslInput is as long as what `openssl speed` signs.
var opensslInput = bytes.Repeat([]byte{0x5a}, 20)

// opensslSM2 asks openssl for its rate, which it tells per second of user time: which 0 for signatures, 1 for verifications.
func opensslSM2(which int) func(time.Duration) (float64, error) {
	return func(time.Duration) (float64, error) {
		out, err := exec.Command("openssl", "speed", "-seconds", "1", "-mr", "sm2").CombinedOutput()
		if err != nil {
			return 0, fmt.Errorf("openssl speed: %w: %s", err, out)
		}
		for line := range strings.Lines(string(out)) { // +F7:0:256:CurveSM2:2868.000000:3467.000000
			if cells := strings.Split(strings.TrimSpace(line), ":"); len(cells) == 6 && cells[0] == "+F7" {
				return strconv.ParseFloat(cells[4+which], 64)
			}
		}
		return 0, fmt.Errorf("openssl speed says nothing of SM2: %s", out)
	}
}
