package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"hufu/ca"
	"hufu/internal/actor"
	"hufu/keys"
	"hufu/keys/shares"
)

// rootMaster is the label of the device key under which roots' keys stand.
const rootMaster = "root-master"

// rootKind is what a consent names for everything that a root signs.
const rootKind = "root"

func ceremonyActor() actor.Actor { return actor.ForSystem("ceremony") }

// rootKeys returns the shelf of the roots' keys.
func (s *server) rootKeys(ctx context.Context) (*keys.Many, error) {
	by := ceremonyActor()
	if err := s.keys.EnsureMaster(ctx, by, rootMaster); err != nil {
		return nil, fmt.Errorf("master key of the root: %w", err)
	}
	return s.keys.Many(by, keys.ManyRoot, rootMaster)
}

// rootKey signs with a root's key while its owner's half is in memory, which only enough custodians can put together. It
// is a crypto.Signer for SM2; each signature is an activation of its own in the record.
type rootKey struct {
	ctx    context.Context // of the ceremony, since crypto.Signer takes none
	many   *keys.Many
	id     string
	public *ecdsa.PublicKey
	half   []byte // nil after clear
}

// openRoot puts shares together and holds the result against the key: ErrStrangeRoot when they are another key's.
func (s *server) openRoot(ctx context.Context, id string, all []*shares.Share) (*rootKey, error) {
	half, err := shares.Combine(all...)
	if err != nil {
		return nil, err
	}
	many, err := s.rootKeys(ctx)
	if err != nil {
		clear(half)
		return nil, err
	}
	k := &rootKey{ctx: ctx, many: many, id: id, half: half}
	signer, end, err := k.activate()
	defer end()
	if errors.Is(err, keys.ErrActivation) {
		err = ca.ErrStrangeRoot.With("%w", err)
	}
	if err != nil {
		k.clear()
		return nil, err
	}
	k.public = signer.Public().(*ecdsa.PublicKey)
	return k, nil
}

// activate returns a signer for one signature. The caller ends it, also after an error.
func (k *rootKey) activate() (crypto.Signer, context.CancelFunc, error) {
	ctx, end := context.WithCancel(k.ctx)
	signer, err := k.many.Signer(ctx, k.id, ceremonyActor(), keys.Consent{Half: k.half, Kind: rootKind})
	return signer, end, err
}

func (k *rootKey) Public() crypto.PublicKey { return k.public }

func (k *rootKey) Sign(_ io.Reader, input []byte, opts crypto.SignerOpts) ([]byte, error) {
	if k.half == nil {
		return nil, ca.ErrOffline.With("the sitting is over")
	}
	signer, end, err := k.activate()
	defer end()
	if err != nil {
		return nil, err
	}
	return signer.Sign(rand.Reader, input, opts)
}

// clear forgets the half: the root cannot sign any more.
func (k *rootKey) clear() {
	clear(k.half)
	k.half = nil
}
