package shares

import (
	"bytes"
	"crypto/rand"
	"errors"

	"golang.org/x/crypto/argon2"

	"hufu/internal/gm"
)

// Cost of turning a passphrase into a key by argon2id (RFC 9106). Memory is in KiB.
type Cost struct {
	Passes uint32
	Memory uint32
	Lanes  uint8
}

// DefaultCost takes about a third of a second and 64 MiB: custodians type seldom, and who steals a share file may guess for
// ever, which is why their passphrases are longer than others.
var DefaultCost = Cost{Passes: 4, Memory: 64 << 10, Lanes: 2}

// check bounds what a hostile file may ask of us.
func (c Cost) check() error {
	if c.Passes < 1 || c.Passes > 16 || c.Memory < 8 || c.Memory > 512<<10 || c.Lanes < 1 || c.Lanes > 8 {
		return ErrForm.With("derivation with %d passes, %d KiB, %d lanes is outside the limits", c.Passes, c.Memory, c.Lanes)
	}
	return nil
}

// CheckPassphrase refuses one that is too short to resist guessing at a stolen file, or is not one line.
func CheckPassphrase(p []byte) error {
	if len(p) < 12 || len(p) > 1024 || bytes.ContainsAny(p, "\r\n\x00") {
		return ErrPassphrase.With("passphrase of %d octets", len(p))
	}
	return nil
}

// Seal puts a share under its custodian's passphrase.
func (s *Share) Seal(passphrase []byte, cost Cost) (*File, error) {
	if err := errors.Join(CheckPassphrase(passphrase), cost.check()); err != nil {
		return nil, err
	}
	f := &File{Set: s.of, Number: s.Number, cost: cost}
	rand.Read(f.salt[:]) // never fails since Go 1.24
	key := f.derive(passphrase)
	defer clear(key)
	sealed, err := gm.Seal(key, s.value[:], f.aad())
	if err != nil {
		return nil, err
	}
	copy(f.sealed[:], sealed)
	return f, nil
}

// Open opens a share. ErrWrong says that the passphrase is not the one, or that the file was made to look like another:
// the two cannot be told apart.
func (f *File) Open(passphrase []byte) (*Share, error) {
	if err := CheckPassphrase(passphrase); err != nil {
		return nil, err
	}
	key := f.derive(passphrase)
	defer clear(key)
	value, err := gm.Open(key, f.sealed[:], f.aad())
	if err != nil || len(value) != Size {
		return nil, ErrWrong.With("share %d of %s, ceremony %s", f.Number, f.Holder(), f.Set.Ceremony)
	}
	defer clear(value)
	s := &Share{Number: f.Number, value: [Size]byte(value), of: f.Set}
	if !f.Set.holds(s) {
		s.Clear()
		return nil, ErrChanged.With("share %d of %s", f.Number, f.Holder())
	}
	return s, nil
}

func (f *File) derive(passphrase []byte) []byte {
	return argon2.IDKey(passphrase, f.salt[:], f.cost.Passes, f.cost.Memory, f.cost.Lanes, gm.KeySize)
}
