package sdf

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"slices"

	"hufu/hsm"
	"hufu/internal/gm"
)

// blockMode is how this device makes and uses keys under a KEK, as start found out.
type blockMode struct {
	index   uint32 // the KEK
	wrap    uint32 // the algorithm under which a KEK encrypts keys
	chained bool   // blocks are encrypted by CBC under an initial vector of zeros, one call each, which is the same as ECB
}

const (
	blockLen  = 16
	mostKeys  = 4 // wrap keys that a session keeps open
	sm4Bits   = 128
	valueLen  = 8
	testBlock = "hufu sdf block 1hufu sdf block 2"
)

// startSymmetric tests the symmetric side where KEKs are configured. Only a contradiction hinders the start: what is
// missing shows when it is needed.
func (d *Device) startSymmetric(ctx context.Context) error {
	if len(d.cfg.KEKs) == 0 {
		return nil
	}
	_, err := d.symmetric(ctx)
	if errors.Is(err, hsm.ErrMechanism) || errors.Is(err, hsm.ErrNoIndex) {
		d.cfg.Log.Warn("SDF device cannot make keys under a KEK now", "error", err)
		return nil
	}
	return err
}

// symmetric returns how the device works with keys under a KEK, and finds it out at the first time.
func (d *Device) symmetric(ctx context.Context) (blockMode, error) {
	d.mu.Lock()
	known := d.blocks
	d.mu.Unlock()
	if known != nil {
		return *known, nil
	}
	if len(d.cfg.KEKs) == 0 {
		return blockMode{}, hsm.ErrMechanism.With("SDF: no KEK index is configured")
	}
	mode, err := work(ctx, d, (*session).explore)
	if err != nil {
		return mode, translate(err, "try the key encryption keys")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.blocks = &mode
	return mode, nil
}

// explore takes the first KEK that exists and tests the device's encryption: the same blocks give the same result, also
// after the key was closed and opened again, other blocks give another one, and where an encryption pair lets us bring a
// key of our own in, the result is SM4's.
func (s *session) explore() (blockMode, error) {
	able := false
	for _, index := range s.d.cfg.KEKs {
		if err := s.right(place{kek, index}); err != nil {
			return blockMode{}, err
		}
		for _, wrap := range []uint32{s.d.cfg.Algorithms.SM4ECB, s.d.cfg.Algorithms.SM4CBC} {
			wrapped, key, err := s.make(wrap, index)
			if f := (*failure)(nil); errors.As(err, &f) && f.class() != classDevice && f.class() != classRight {
				able = able || f.class() != classLacks
				s.d.cfg.Log.Info("SDF KEK is passed over", "index", index, "algorithm", wrap, "error", err)
				continue
			}
			if err != nil {
				return blockMode{}, err
			}
			defer s.d.lib.destroyKey(s.handle, key)
			mode := blockMode{index: index, wrap: wrap}
			if err := s.test(&mode, wrapped, key); err != nil {
				return mode, err
			}
			return mode, s.knownAnswer(mode.chained)
		}
	}
	if !able {
		return blockMode{}, hsm.ErrMechanism.With("SDF: the device makes no keys under a KEK")
	}
	return blockMode{}, hsm.ErrNoIndex.With("SDF: none of the KEK indices %v makes a key", s.d.cfg.KEKs)
}

// test finds out whether single blocks go by ECB or by CBC, and whether the results agree with each other.
func (s *session) test(mode *blockMode, wrapped []byte, key uintptr) error {
	blocks := []byte(testBlock)
	first, err := s.blocks(key, false, blocks)
	if f := (*failure)(nil); errors.As(err, &f) && f.class() != classDevice {
		mode.chained = true
		first, err = s.blocks(key, true, blocks)
	}
	if err != nil {
		return err
	}
	probe := assignment{Label: "probe", Index: mode.index, Mode: mode.wrap, Wrapped: hex.EncodeToString(wrapped)}
	again, err := s.open(probe, mode.chained)
	if err != nil {
		return err
	}
	second, err := s.blocks(again, mode.chained, blocks)
	if err != nil {
		return err
	}
	if !bytes.Equal(first, second) || bytes.Equal(first[:blockLen], first[blockLen:]) || bytes.Equal(first, blocks) {
		return hsm.ErrProfile.With("SDF: the encryption of the device is not one: check the algorithm identifiers")
	}
	return nil
}

// knownAnswer brings an SM4 key of our own into the device, encrypted to one of its encryption pairs, and compares. Without
// such a pair, or where the device does not take keys so, nothing is known and nothing is said.
func (s *session) knownAnswer(chained bool) error {
	if len(s.d.cfg.Encryption) == 0 {
		return nil
	}
	p := place{encryption, s.d.cfg.Encryption[0]}
	own := make([]byte, gm.KeySize)
	if _, err := rand.Read(own); err != nil {
		return err
	}
	key, err := s.bring(p, own)
	if f := (*failure)(nil); errors.As(err, &f) && f.class() != classDevice {
		s.d.cfg.Log.Info("SDF device takes no key of ours; SM4 is not checked against a known answer", "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer s.d.lib.destroyKey(s.handle, key)
	got, err := s.blocks(key, chained, []byte(testBlock))
	if err != nil {
		return err
	}
	sm4, err := gm.NewSM4(own)
	if err != nil {
		return err
	}
	want := make([]byte, len(testBlock))
	sm4.Encrypt(want, []byte(testBlock)[:blockLen])
	sm4.Encrypt(want[blockLen:], []byte(testBlock)[blockLen:])
	if !bytes.Equal(got, want) {
		return hsm.ErrProfile.With("SDF: what the device calls SM4 is another algorithm: correct the identifiers")
	}
	return nil
}

// bring imports an SM4 key through an encryption pair.
func (s *session) bring(p place, own []byte) (uintptr, error) {
	point, err := s.export(p)
	if err != nil {
		return 0, err
	}
	pub, err := assignment{Public: point}.public()
	if err != nil {
		return 0, err
	}
	der, err := gm.Encrypt(pub, own)
	if err != nil {
		return 0, err
	}
	cipher, _, err := s.d.layout().cipher(der, s.d.cfg.Layout.MaxCipher)
	if err != nil {
		return 0, err
	}
	if err := s.right(p); err != nil {
		return 0, err
	}
	key, code := s.d.lib.importWithISK(s.handle, p.index, cipher)
	return key, check("SDF_ImportKeyWithISK_ECC", code)
}

// make has the device make an SM4 key under a KEK.
func (s *session) make(algorithm, index uint32) (wrapped []byte, key uintptr, err error) {
	if err := s.right(place{kek, index}); err != nil {
		return nil, 0, err
	}
	b := make([]byte, blobRoom)
	n, key, code := s.d.lib.generateWithKEK(s.handle, sm4Bits, algorithm, index, b)
	if err := check("SDF_GenerateKeyWithKEK", code); err != nil {
		return nil, 0, err
	}
	if n < sm4Bits/8 || int(n) > len(b) {
		s.d.lib.destroyKey(s.handle, key)
		return nil, 0, hsm.ErrProfile.With("SDF: an encrypted key of %d octets", n)
	}
	return slices.Clip(b[:n]), key, nil
}

// open returns the handle of a wrap key in this session, which must be the key that was made. Some stay open; when there
// are too many all are closed.
func (s *session) open(k assignment, chained bool) (uintptr, error) {
	if key, ok := s.keys[k.Wrapped]; ok {
		return key, nil
	}
	wrapped, err := hex.DecodeString(k.Wrapped)
	if err != nil {
		return 0, hsm.ErrDamaged.With("assignments: key %q: %w", k.Label, err)
	}
	if err := s.right(place{kek, k.Index}); err != nil {
		return 0, err
	}
	if len(s.keys) >= mostKeys {
		for _, key := range s.keys {
			s.d.lib.destroyKey(s.handle, key)
		}
		clear(s.keys)
	}
	key, code := s.d.lib.importWithKEK(s.handle, k.Mode, k.Index, wrapped)
	if err := check("SDF_ImportKeyWithKEK", code); err != nil {
		return 0, err
	}
	if k.Value != "" {
		value, err := s.value(key, chained)
		if err == nil && value != k.Value {
			err = hsm.ErrChanged.With("key %q: KEK index %d opens it as another key", k.Label, k.Index)
		}
		if err != nil {
			s.d.lib.destroyKey(s.handle, key)
			return 0, err
		}
	}
	s.keys[k.Wrapped] = key
	return key, nil
}

// value is the check value of an opened key.
func (s *session) value(key uintptr, chained bool) (string, error) {
	out, err := s.blocks(key, chained, []byte(testBlock))
	if err != nil {
		return "", err
	}
	sum := gm.HMAC(out, []byte("hufu sdf key check v1"))
	return hex.EncodeToString(sum[:valueLen]), nil
}

// blocks encrypts blocks, each for itself.
func (s *session) blocks(key uintptr, chained bool, in []byte) ([]byte, error) {
	step, algorithm := len(in), s.d.cfg.Algorithms.SM4ECB
	var iv []byte
	if chained {
		step, algorithm = blockLen, s.d.cfg.Algorithms.SM4CBC
	}
	out := make([]byte, 0, len(in)+blockLen)
	for at := 0; at < len(in); at += step {
		if chained {
			iv = make([]byte, blockLen) // libraries write the next one into it
		}
		b := make([]byte, step+2*blockLen)
		n, code := s.d.lib.encrypt(s.handle, key, algorithm, iv, in[at:at+step], b)
		if err := check("SDF_Encrypt", code); err != nil {
			return nil, err
		}
		if int(n) != step {
			return nil, hsm.ErrProfile.With("SDF: %d octets of ciphertext for %d", n, step)
		}
		out = append(out, b[:n]...)
	}
	return out, nil
}
