package hsm

import (
	"crypto/hmac"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"hufu/internal/gm"
)

// A key file of a soft store, LABEL.key, numbers big-endian:
//
//	8   "HUFUKEY1"; the last character is the version
//	16  id of the keyring
//	16  salt of this file's key
//	8   time of making, microseconds since 1970
//	1+n label      1+n algorithm      1+n use      1+n purpose
//	2+n public key: point 04‖x‖y, PKCS#1 RSAPublicKey, or nothing
//	2+n private part, SM4-GCM (nonce, ciphertext, tag) under HMAC-SM3(master, salt); all octets before are its associated data
//	32  HMAC-SM3 of all octets before, under a key of the master: listing is authentic without opening the private part
const (
	keyMagic   = "HUFUKEY1"
	macLen     = 32
	maxKeyFile = 16 << 10
)

// keyFile is a parsed key file.
type keyFile struct {
	ring    [16]byte
	salt    [16]byte
	created time.Time
	spec    Spec
	public  []byte
	sealed  []byte
	head    []byte // the octets before the sealed part, its associated data
	mac     []byte
	body    []byte // what mac covers
}

// masters are the keys derived from a store's master key.
type masters struct{ master, mac []byte }

func newMasters(master []byte) masters {
	tag := gm.HMAC(master, []byte("hufu soft key file mac v1"))
	return masters{master: master, mac: tag[:]}
}

func (m masters) fileKey(salt []byte) []byte {
	tag := gm.HMAC(m.master, []byte("hufu soft key file key v1"), salt)
	return tag[:gm.KeySize]
}

func (m masters) clear() {
	clear(m.master)
	clear(m.mac)
}

// seal writes the file of a key whose private part is private.
func (f *keyFile) seal(m masters, private []byte) ([]byte, error) {
	key := m.fileKey(f.salt[:])
	defer clear(key)
	head, err := f.header()
	if err != nil {
		return nil, err
	}
	sealed, err := gm.Seal(key, private, head)
	if err != nil {
		return nil, err
	}
	f.head, f.sealed = head, sealed
	b := cryptobyte.NewBuilder(append([]byte(nil), head...))
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(sealed) })
	if f.body, err = b.Bytes(); err != nil {
		return nil, err
	}
	tag := gm.HMAC(m.mac, f.body)
	f.mac = tag[:]
	return f.bytes(), nil
}

func (f *keyFile) bytes() []byte { return append(append([]byte(nil), f.body...), f.mac...) }

func (f *keyFile) header() ([]byte, error) {
	b := cryptobyte.NewBuilder([]byte(keyMagic))
	b.AddBytes(f.ring[:])
	b.AddBytes(f.salt[:])
	b.AddUint64(uint64(f.created.UnixMicro()))
	for _, s := range []string{f.spec.Label, f.spec.Algorithm, f.spec.Use, f.spec.Purpose} {
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(s)) })
	}
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(f.public) })
	return b.Bytes()
}

// parseKeyFile reads a key file. What it returns has not been authenticated yet: check does that.
func parseKeyFile(data []byte) (*keyFile, error) {
	if len(data) > maxKeyFile || len(data) < len(keyMagic)+macLen {
		return nil, ErrDamaged.With("key file of %d octets", len(data))
	}
	f := &keyFile{body: data[:len(data)-macLen], mac: data[len(data)-macLen:]}
	s := cryptobyte.String(f.body)
	var magic, public, sealed cryptobyte.String
	var created uint64
	if !s.ReadBytes((*[]byte)(&magic), len(keyMagic)) || string(magic) != keyMagic {
		return nil, ErrDamaged.With("key file begins with %q, want %q", magic, keyMagic)
	}
	ok := s.CopyBytes(f.ring[:]) && s.CopyBytes(f.salt[:]) && s.ReadUint64(&created)
	for _, to := range []*string{&f.spec.Label, &f.spec.Algorithm, &f.spec.Use, &f.spec.Purpose} {
		var text cryptobyte.String
		ok = ok && s.ReadUint8LengthPrefixed(&text)
		*to = string(text)
	}
	ok = ok && s.ReadUint16LengthPrefixed(&public)
	if !ok {
		return nil, ErrDamaged.With("key file is cut off")
	}
	f.head = f.body[:len(f.body)-len(s)]
	if !s.ReadUint16LengthPrefixed(&sealed) || !s.Empty() {
		return nil, ErrDamaged.With("key file has a length that does not fit")
	}
	f.created, f.public, f.sealed = time.UnixMicro(int64(created)).UTC(), public, sealed
	return f, nil
}

// check authenticates the whole file: made by this keyring, for this label, with a sound spec.
func (f *keyFile) check(m masters, ring [16]byte, label string) error {
	if f.ring != ring {
		return ErrDamaged.With("key file %q belongs to another keyring", label)
	}
	if tag := gm.HMAC(m.mac, f.body); !hmac.Equal(tag[:], f.mac) {
		return ErrDamaged.With("key file %q was changed", label)
	}
	if f.spec.Label != label {
		return ErrDamaged.With("key file %q holds key %q", label, f.spec.Label)
	}
	if spec, err := CheckSpec(f.spec); err != nil || spec != f.spec {
		return ErrDamaged.With("key file %q: %w", label, err)
	}
	return nil
}

// open decrypts the private part.
func (f *keyFile) open(m masters) ([]byte, error) {
	key := m.fileKey(f.salt[:])
	defer clear(key)
	private, err := gm.Open(key, f.sealed, f.head)
	if err != nil {
		return nil, ErrDamaged.With("private part of key %q: %w", f.spec.Label, err)
	}
	return private, nil
}
