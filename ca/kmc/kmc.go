package kmc

import (
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"hufu/audit"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// The refusals of this package.
var (
	ErrUnknown = fault.New(fault.NotFound, "kmc.unknown",
		"No encryption key was made for this request.", "该申请没有生成过加密密钥。")
	ErrOtherHolder = fault.New(fault.Conflict, "kmc.other-holder",
		"An encryption key was already made for this request and another signing key. Make a new application.", "该申请已为另一签名密钥生成过加密密钥。请重新申请。")
)

// Key is what is kept of a pair: the public half and the envelope that only the holder can open.
type Key struct {
	Request  string
	Holder   []byte // SM3 of the signing key's point, to which the envelope is made
	Public   []byte // 04 ‖ x ‖ y
	Envelope []byte // SM2EnvelopedKey, DER
	At       time.Time
}

// Store is what the centre must not lose.
type Store interface {
	View(ctx context.Context, f func(R) error) error
	Update(ctx context.Context, f func(W) error) error
}

// R reads.
type R interface {
	// Key returns ErrUnknown when there is none for the request.
	Key(request string) (Key, error)
}

// W changes and records in one transaction.
type W interface {
	R
	// AddKey stores a pair once: false when the request has one already.
	AddKey(k Key) (bool, error)
	Record(e audit.Entry) error
}

// Centre makes encryption keys.
type Centre struct {
	store Store
	now   func() time.Time
}

// New returns a centre on a store.
func New(store Store, now func() time.Time) (*Centre, error) {
	if store == nil || now == nil {
		return nil, errors.New("key management centre: store and clock must be set")
	}
	return &Centre{store, now}, nil
}

// Provide makes an encryption pair for a request, enveloped to the holder's signing key, or returns what was made before.
// Only an identified actor may ask; whether the request is approved is the authority's to know.
func (c *Centre) Provide(ctx context.Context, by actor.Actor, request string, holder *ecdsa.PublicKey) (*ecdsa.PublicKey, []byte, error) {
	if err := by.Known(); err != nil {
		return nil, nil, err
	}
	if request == "" || !gm.IsSM2(holder) {
		return nil, nil, fmt.Errorf("encryption key for request %q: %w", request, gm.ErrKey)
	}
	owner := gm.SM3(gm.Point(holder))
	kept, err := c.kept(ctx, request)
	if errors.Is(err, ErrUnknown) {
		kept, err = c.make(ctx, by, request, holder, owner[:])
	}
	if err != nil {
		return nil, nil, err
	}
	if string(kept.Holder) != string(owner[:]) {
		return nil, nil, ErrOtherHolder.With("request %s", request)
	}
	public, err := gm.PublicKey(kept.Public)
	return public, kept.Envelope, err
}

func (c *Centre) kept(ctx context.Context, request string) (k Key, err error) {
	err = c.store.View(ctx, func(r R) error {
		k, err = r.Key(request)
		return err
	})
	return k, err
}

// make stores a new pair; when another call was faster, that one's pair stands and ours is dropped.
func (c *Centre) make(ctx context.Context, by actor.Actor, request string, holder *ecdsa.PublicKey, owner []byte) (Key, error) {
	pair, err := gm.GenerateKey()
	if err != nil {
		return Key{}, err
	}
	envelope, err := certs.BuildEnvelopedKey(holder, pair)
	if err != nil {
		return Key{}, fmt.Errorf("envelope encryption key: %w", err)
	}
	made := Key{Request: request, Holder: owner, Public: gm.Point(pair.Public().(*ecdsa.PublicKey)), Envelope: envelope, At: c.now().UTC()}
	kept := made
	err = c.store.Update(ctx, func(w W) error {
		added, err := w.AddKey(made)
		if err != nil {
			return err
		}
		if !added {
			kept, err = w.Key(request)
			return err
		}
		hash := gm.SM3(made.Public)
		return w.Record(audit.Entry{
			At: made.At, Actor: by, Action: "encryption-key.provide", Object: audit.Object{Kind: "application", ID: request},
			Public: map[string]string{"key_sm3": hex.EncodeToString(hash[:])},
		})
	})
	if err != nil {
		return Key{}, fmt.Errorf("keep encryption key of request %s: %w", request, err)
	}
	return kept, nil
}
