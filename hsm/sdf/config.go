package sdf

import (
	"log/slog"
	"slices"
	"time"

	"hufu/hsm"
)

// Config says which device to drive and what of it may be used.
type Config struct {
	Library     string   // path of the vendor's shared library
	Assignments string   // path of the file that remembers which label has which index
	Create      bool     // make the assignments file where there is none; else its absence is hsm.ErrNoStore
	Signing     []uint32 // indices whose signing pairs may be used
	Encryption  []uint32 // indices whose encryption pairs may be used
	KEKs        []uint32 // indices of key encryption keys that may be used
	Sessions    int      // the most sessions at once; 0 = 8
	Layout      Layout
	Algorithms  Algorithms
	Timeout     time.Duration    // the most that a call may take whose context has no earlier end; 0 = 30 s
	Now         func() time.Time // nil = time.Now
	Log         *slog.Logger     // nil = silent
}

// Layout is how this library departs from the standard's header. The zero value suits most.
type Layout struct {
	// Array is the length of the number arrays in the structures: 64 as in the standard, 32 in some builds, 0 = as the first
	// exported public key shows.
	Array int
	// DecryptBare is for libraries whose SDF_InternalDecrypt_ECC takes no algorithm after the index.
	DecryptBare bool
	// MaxCipher is the longest encrypted text (octets of C2) that the device takes; 0 = 1024. Longer ones are not handed to it.
	MaxCipher int
	// Serial is for libraries that are not safe for several threads: one session, one call at a time. GmSSL's SoftSDF is known
	// by its name and needs no mark.
	Serial bool
}

// Algorithms are the identifiers that the device expects (GM/T 0006); zero = the standard's. They are tested at open.
type Algorithms struct {
	SM2Encrypt uint32 // 00020800
	SM4ECB     uint32 // 00000401
	SM4CBC     uint32 // 00000402
}

const (
	defaultSessions = 8
	defaultTimeout  = 30 * time.Second
	defaultCipher   = 1024
)

// filled checks the configuration and puts in what was left out.
func (c Config) filled() (Config, error) {
	switch {
	case c.Library == "":
		return c, hsm.ErrProfile.With("SDF: no library is named")
	case c.Assignments == "":
		return c, hsm.ErrProfile.With("SDF: no assignments file is named")
	case c.Layout.Array != 0 && c.Layout.Array != 32 && c.Layout.Array != 64:
		return c, hsm.ErrProfile.With("SDF: arrays of %d octets; 32 and 64 are known", c.Layout.Array)
	case c.Sessions < 0 || c.Timeout < 0 || c.Layout.MaxCipher < 0:
		return c, hsm.ErrProfile.With("SDF: negative sessions, time or size")
	}
	for _, list := range []*[]uint32{&c.Signing, &c.Encryption, &c.KEKs} {
		*list = slices.Compact(slices.Sorted(slices.Values(*list)))
	}
	fill(&c.Sessions, defaultSessions)
	fill(&c.Timeout, defaultTimeout)
	fill(&c.Layout.MaxCipher, defaultCipher)
	fill(&c.Algorithms.SM2Encrypt, 0x00020800)
	fill(&c.Algorithms.SM4ECB, 0x00000401)
	fill(&c.Algorithms.SM4CBC, 0x00000402)
	if c.Layout.Serial {
		c.Sessions = 1
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func fill[T comparable](field *T, value T) {
	var none T
	if *field == none {
		*field = value
	}
}

// indices returns the configured indices of one kind.
func (c *Config) indices(k kind) []uint32 {
	switch k {
	case signing:
		return c.Signing
	case encryption:
		return c.Encryption
	}
	return c.KEKs
}
