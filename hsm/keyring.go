package hsm

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/cryptobyte"

	"hufu/internal/gm"
)

// The keyring of a soft store, file "keyring", 159 octets, numbers big-endian:
//
//	offset  octets
//	     0       8  "HUFURING"
//	     8       1  version, 1
//	     9       1  derivation, 1 = argon2id (RFC 9106, version 1.3)
//	    10       4  passes
//	    14       4  memory in KiB
//	    18       1  lanes
//	    19      16  id of the keyring, random; each key file names it
//	    35      16  salt
//	    51      16  check: tells a wrong passphrase from a damaged file
//	    67      60  master key, 32 octets, SM4-GCM (nonce, ciphertext, tag); all octets before are its associated data
//	   127      32  SM3 of all octets before: finds accidental damage before a passphrase is tried
const (
	ringMagic     = "HUFURING"
	ringVersion   = 1
	ringArgon2id  = 1
	ringHeaderLen = 51
	ringAADLen    = 67
	ringSumAt     = 127
	ringLen       = 159
	masterLen     = 32
)

// KDF is the cost of turning a passphrase into a key by argon2id. Memory is in KiB.
type KDF struct {
	Passes uint32
	Memory uint32
	Lanes  uint8
}

// DefaultKDF takes about a fifth of a second and 64 MiB.
var DefaultKDF = KDF{Passes: 3, Memory: 64 << 10, Lanes: 2}

// Limits of what a keyring may ask of us: a hostile header must exhaust neither memory nor time.
const (
	maxPasses = 16
	maxMemory = 256 << 10
	maxLanes  = 8
)

func (k KDF) check() error {
	if k.Passes < 1 || k.Passes > maxPasses || k.Memory < 8 || k.Memory > maxMemory || k.Lanes < 1 || k.Lanes > maxLanes {
		return ErrDamaged.With("key derivation with %d passes, %d KiB, %d lanes is outside the limits", k.Passes, k.Memory, k.Lanes)
	}
	return nil
}

// derive returns the key that seals the master and the one that makes the check.
func (k KDF) derive(passphrase, salt []byte) (seal, check []byte) {
	b := argon2.IDKey(passphrase, salt, k.Passes, k.Memory, k.Lanes, gm.KeySize+32)
	return b[:gm.KeySize], b[gm.KeySize:]
}

// keyring is a parsed keyring file.
type keyring struct {
	kdf    KDF
	id     [16]byte
	salt   [16]byte
	check  [16]byte
	sealed [60]byte
}

// newKeyring seals a master key under a passphrase. The id stays when the passphrase changes.
func newKeyring(kdf KDF, id [16]byte, master, passphrase []byte) (keyring, error) {
	r := keyring{kdf: kdf, id: id}
	if err := kdf.check(); err != nil {
		return r, err
	}
	if _, err := rand.Read(r.salt[:]); err != nil {
		return r, err
	}
	seal, check := kdf.derive(passphrase, r.salt[:])
	defer clear(seal)
	defer clear(check)
	r.check = r.checkValue(check)
	sealed, err := gm.Seal(seal, master, r.bytes()[:ringAADLen])
	if err != nil {
		return r, err
	}
	r.sealed = [60]byte(sealed)
	return r, nil
}

func (r *keyring) checkValue(key []byte) [16]byte {
	tag := gm.HMAC(key, []byte("hufu soft keyring check v1"), r.bytes()[:ringHeaderLen])
	return [16]byte(tag[:16])
}

func (r *keyring) bytes() []byte {
	b := cryptobyte.NewFixedBuilder(make([]byte, 0, ringLen))
	b.AddBytes([]byte(ringMagic))
	b.AddUint8(ringVersion)
	b.AddUint8(ringArgon2id)
	b.AddUint32(r.kdf.Passes)
	b.AddUint32(r.kdf.Memory)
	b.AddUint8(r.kdf.Lanes)
	b.AddBytes(r.id[:])
	b.AddBytes(r.salt[:])
	b.AddBytes(r.check[:])
	b.AddBytes(r.sealed[:])
	out := b.BytesOrPanic() // the sizes are constant
	sum := gm.SM3(out)
	return append(out, sum[:]...)
}

// parseKeyring reads a keyring file. What it returns has not been authenticated yet: open does that.
func parseKeyring(b []byte) (r keyring, err error) {
	if len(b) != ringLen || !bytes.HasPrefix(b, []byte(ringMagic)) {
		return r, ErrDamaged.With("keyring of %d octets has not the form of one", len(b))
	}
	if sum := gm.SM3(b[:ringSumAt]); !bytes.Equal(sum[:], b[ringSumAt:]) {
		return r, ErrDamaged.With("keyring does not match its checksum")
	}
	if b[8] != ringVersion || b[9] != ringArgon2id {
		return r, ErrDamaged.With("keyring of version %d, derivation %d; this program reads version 1, derivation 1", b[8], b[9])
	}
	s := cryptobyte.String(b[10:])
	ok := s.ReadUint32(&r.kdf.Passes) && s.ReadUint32(&r.kdf.Memory) && s.ReadUint8(&r.kdf.Lanes) &&
		s.CopyBytes(r.id[:]) && s.CopyBytes(r.salt[:]) && s.CopyBytes(r.check[:]) && s.CopyBytes(r.sealed[:])
	if !ok {
		return r, ErrDamaged.With("keyring is cut off")
	}
	return r, r.kdf.check()
}

// open returns the master key: ErrWrongPIN when the passphrase is not the one, ErrDamaged when it is but the master does not open.
func (r *keyring) open(passphrase []byte) ([]byte, error) {
	seal, check := r.kdf.derive(passphrase, r.salt[:])
	defer clear(seal)
	defer clear(check)
	if want := r.checkValue(check); !hmac.Equal(want[:], r.check[:]) {
		return nil, ErrWrongPIN.With("keyring")
	}
	master, err := gm.Open(seal, r.sealed[:], r.bytes()[:ringAADLen])
	if err != nil || len(master) != masterLen {
		return nil, ErrDamaged.With("master key in the keyring: %w", err)
	}
	return master, nil
}
