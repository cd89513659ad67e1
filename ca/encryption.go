package ca

import (
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// KeyOrder asks the key management centre for an encryption pair. It is an alias of a plain struct, so that the centre need
// not import this package.
type KeyOrder = struct {
	Request   string           // id of the application: asked again, the same pair comes
	Signing   *ecdsa.PublicKey // the holder's signing key, to which the private half is enveloped
	Temporary *ecdsa.PublicKey // of a request in the form of CFCA; then the answer is in that form; else nil
	Authority string           // issuer
	Profile   string
	Subject   string // the holder
}

// KeyAnswer is the pair's public half, and the private one as SM2EnvelopedKey (GB/T 35276, DER) or in the form of CFCA.
type KeyAnswer = struct {
	Public   *ecdsa.PublicKey
	Envelope []byte
}

// EncryptionKeys is the key management centre as the authority sees it. Both may be asked again and do the same.
type EncryptionKeys interface {
	Provide(ctx context.Context, by actor.Actor, o KeyOrder) (KeyAnswer, error)
	// Certified tells the certificate that was issued for a pair, by which it is found later.
	Certified(ctx context.Context, by actor.Actor, c Certification) error
}

// Certification is a certificate that was issued for a key of the centre. It is an alias of a plain struct.
type Certification = struct {
	Public   *ecdsa.PublicKey
	Serial   string // hexadecimal
	NotAfter time.Time
}

// JobCertified tells the centre which certificate a pair of its got. Its key is the serial.
const JobCertified = "ca.encryption-certified"

type certified struct {
	SPKI     []byte    `json:"spki"`
	NotAfter time.Time `json:"not_after"`
}

// tellCentre enqueues JobCertified, in the transaction that stores the certificates, where one of them is of the centre's key.
func (a *Authority) tellCentre(w W, all []*signed) error {
	for _, s := range all {
		if s.profile.KeyFrom != "kmc" {
			continue
		}
		payload, err := json.Marshal(certified{s.cert.RawSPKI, s.cert.NotAfter})
		if err != nil {
			return err
		}
		return w.Enqueue(JobCertified, hex.EncodeToString(s.serial), payload, a.Now())
	}
	return nil
}

// EncryptionCertified does JobCertified.
func (a *Authority) EncryptionCertified(ctx context.Context, serial string, payload []byte) error {
	var c certified
	if err := json.Unmarshal(payload, &c); err != nil {
		return fmt.Errorf("job %s of certificate %s: %w", JobCertified, serial, err)
	}
	key, err := certs.ParsePublicKey(c.SPKI)
	if err != nil {
		return fmt.Errorf("job %s of certificate %s: %w", JobCertified, serial, err)
	}
	public, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return fmt.Errorf("job %s of certificate %s: %w", JobCertified, serial, gm.ErrKey)
	}
	return a.Encryption.Certified(ctx, actor.ForSystem("issue"), Certification{Public: public, Serial: serial, NotAfter: c.NotAfter})
}

// temporaryKey returns the temporary key of a request in the form of CFCA, nil of any other.
func temporaryKey(request *certs.Request) (*ecdsa.PublicKey, error) {
	key, err := request.TemporaryKey()
	if err != nil {
		return nil, ErrRequest.With("%w", err)
	}
	if key != nil && certs.SameKey(key, request.PublicKey) {
		return nil, ErrRequest.With("the temporary key is the signing key")
	}
	return key, nil
}

// ErrNotSigning refuses a key that is not a holder's signing key in force.
var ErrNotSigning = fault.New(fault.Denied, "ca.not-signing-key",
	"This is not a signing key of the holder under a certificate in force. Have a new signing key certified first.", "该密钥不是持有人现行有效的签名证书密钥。请先为新签名密钥申请证书。")

// SigningKey refuses a key that is not the holder's own signing key, not reported as lost, under a certificate in force.
func (a *Authority) SigningKey(ctx context.Context, holder string, key *ecdsa.PublicKey) error {
	spki, err := certs.MarshalPublicKey(key)
	if err != nil {
		return err
	}
	hash, now := gm.SM3(spki), a.Now()
	return a.Store.View(ctx, func(r R) error {
		key, err := r.Key(hash[:], nil)
		if err != nil {
			return err
		}
		owner := key.Owner
		if owner == nil {
			return ErrNotSigning.With("key %x was never certified", hash)
		}
		if owner.Holder != holder || owner.Use != "sign" || !owner.Blocked.IsZero() {
			return ErrNotSigning.With("key %x of %s as %s", hash, owner.Holder, owner.Use)
		}
		all, err := r.CertificatesOfKeys([][]byte{hash[:]}, 100) // of the key, since a holder may have any number beside
		if err != nil {
			return err
		}
		for _, c := range all {
			if now.Before(c.NotBefore) || now.After(c.NotAfter) {
				continue
			}
			if _, err := r.Revocation(c.Issuer, c.Serial); err == nil || !errors.Is(err, ErrUnknown) {
				if err != nil {
					return err
				}
				continue
			}
			return nil
		}
		return ErrNotSigning.With("key %x has no certificate in force", hash)
	})
}
