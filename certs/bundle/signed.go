package bundle

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"hufu/certs"
	"hufu/internal/gm"
)

// What a caller of Parse and CheckSequence can branch on.
var (
	// ErrForm: not a signed bundle in its one canonical form, or too large.
	ErrForm = errors.New("not a trust bundle in canonical form")
	// ErrSignature: the bundle was changed after it was signed, or its signer cannot be verified.
	ErrSignature = errors.New("signature of the trust bundle does not verify")
	// ErrNotPinned: the bundle is signed, but by another key than the one that the verifier was told to trust.
	ErrNotPinned = errors.New("trust bundle is signed by another key than the pinned one")
	// ErrRollback: a newer bundle has been seen.
	ErrRollback = errors.New("trust bundle is older than one seen before")
)

// Pin says whose signature on a bundle is trusted. The zero Pin takes any signer: then the bundle only says what some
// signer says, and its fingerprint is what a person has to compare.
type Pin struct{ key crypto.PublicKey }

// ParsePin reads the pinned key from a PEM block: a public key, or a certificate whose key is taken. Text of two blocks is
// refused, since it would depend on the reader which of them counts.
func ParsePin(text []byte) (Pin, error) {
	if bytes.Count(text, []byte("-----BEGIN ")) != 1 {
		return Pin{}, errors.New("pinned key: one PEM block is needed, a public key or a certificate")
	}
	if der, err := certs.DecodePEM(text, "PUBLIC KEY"); err == nil {
		key, err := certs.ParsePublicKey(der)
		if err != nil {
			return Pin{}, fmt.Errorf("pinned key: %w", err)
		}
		return Pin{key}, nil
	}
	c, err := certs.ParsePEM(text)
	if err != nil {
		return Pin{}, fmt.Errorf("pinned key: neither a public key nor a certificate in PEM: %w", err)
	}
	return Pin{c.PublicKey}, nil
}

// PinKey pins a public key.
func PinKey(key crypto.PublicKey) Pin { return Pin{key} }

// Is tells whether a key is the pinned one.
func (p Pin) Is(key crypto.PublicKey) bool { return p.key != nil && certs.SameKey(p.key, key) }

// Info is who signed a bundle.
type Info struct {
	Signer      *certs.Certificate
	Fingerprint string // SM3 of the signer's public key (SubjectPublicKeyInfo), lower-case hex
	Digest      string // SM3 of the bundle's JSON: what the next bundle names as previous
	Pinned      bool   // the signer is the one that the verifier was told to trust
}

// Build signs a bundle with the key of cert. Times are cut to seconds and lists sorted first; b itself stays as it is.
func Build(b Bundle, signer crypto.Signer, cert *certs.Certificate) ([]byte, error) {
	b = b.normal()
	if err := b.check(); err != nil {
		return nil, fmt.Errorf("build trust bundle: %w", err)
	}
	text, err := b.marshal()
	if err != nil {
		return nil, fmt.Errorf("build trust bundle: %w", err)
	}
	data, err := certs.BuildSignedData(certs.SignedDataTemplate{Content: text, Certificate: cert}, signer)
	if err != nil {
		return nil, fmt.Errorf("build trust bundle: %w", err)
	}
	if len(data) > MaxSize {
		return nil, fmt.Errorf("build trust bundle: %d octets, at most %d fit: %w", len(data), MaxSize, ErrForm)
	}
	return data, nil
}

func (b Bundle) marshal() ([]byte, error) {
	text, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	return Canonical(text)
}

func cut(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// normal returns a copy in the order and with the times that check wants.
func (b Bundle) normal() Bundle {
	b.Version = Version
	if b.bounded() {
		b.Version = VersionTerms
	}
	b.IssuedAt, b.NextUpdate = cut(b.IssuedAt), cut(b.NextUpdate)
	b.Authorities = slices.Clone(b.Authorities)
	for i := range b.Authorities {
		b.Authorities[i].Terms = b.Authorities[i].normal()
	}
	sorted := func(all []StatusEntry) []StatusEntry {
		all = slices.Clone(all)
		for i := range all {
			all[i].Since = cut(all[i].Since)
		}
		slices.SortFunc(all, func(a, b StatusEntry) int { return strings.Compare(a.ID, b.ID) })
		return all
	}
	b.Seals, b.Licences = sorted(b.Seals), sorted(b.Licences)
	return b
}

// Parse verifies the signature of a bundle, that its signer is the pinned one, and reads it. With an error other than
// ErrForm the Info is there when the signature itself holds, so that a person can be told whose bundle it is.
func Parse(data []byte, pin Pin) (*Bundle, *Info, error) {
	text, info, err := open(data, pin, MaxSize)
	if err != nil {
		return nil, info, err
	}
	b, err := decode(text)
	return b, info, err
}

// open verifies a signed text and that its signer is the pinned one.
func open(data []byte, pin Pin, size int) ([]byte, *Info, error) {
	if len(data) > size {
		return nil, nil, fmt.Errorf("%d octets: %w", len(data), ErrForm)
	}
	signed, err := certs.ParseSignedData(data)
	if err != nil || signed.Detached {
		return nil, nil, errors.Join(ErrForm, err)
	}
	who, err := signed.Verify(nil)
	if err != nil {
		return nil, nil, errors.Join(ErrSignature, err)
	}
	if len(who) != 1 || signed.Type != certs.OIDGMSignedData && gm.IsSM2(who[0].Certificate.PublicKey) {
		return nil, nil, fmt.Errorf("%d signers, type %s: %w", len(who), signed.Type, ErrForm)
	}
	signer := who[0].Certificate
	fingerprint, text := gm.SM3(signer.RawSPKI), gm.SM3(signed.Content)
	info := &Info{
		Signer: signer, Fingerprint: hex.EncodeToString(fingerprint[:]), Digest: hex.EncodeToString(text[:]),
		Pinned: pin.Is(signer.PublicKey),
	}
	if pin.key != nil && !info.Pinned {
		return nil, info, fmt.Errorf("signer %s, key %s: %w", signer.Subject, info.Fingerprint, ErrNotPinned)
	}
	return signed.Content, info, nil
}

// decode reads the JSON. Writing it again must give the same octets: that one comparison refuses unknown and
// duplicate names, other spellings of a name, and every form but the canonical one.
func decode(text []byte) (*Bundle, error) {
	b := new(Bundle)
	if err := json.Unmarshal(text, b); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForm, err)
	}
	again, err := b.marshal()
	if err != nil || !bytes.Equal(again, text) {
		return nil, ErrForm
	}
	if err := b.check(); err != nil {
		return nil, err
	}
	return b, nil
}

// CheckSequence refuses a bundle that is older than the newest one seen of the same series. The same one again is good.
func (b *Bundle) CheckSequence(last uint64) error {
	if b.Sequence < last {
		return fmt.Errorf("sequence %d after %d: %w", b.Sequence, last, ErrRollback)
	}
	return nil
}
