package ca

import (
	"context"
	"crypto/ecdsa"
	"fmt"

	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// drafts turns an application into what is to be certified. The registry is asked again: what counts is what it says now.
func (a *Authority) drafts(ctx context.Context, by actor.Actor, app Application) ([]draft, []byte, error) {
	p := a.profileVersion(app.Profile, app.ProfileVersion)
	if p == nil {
		return nil, nil, ErrProfile.With("version %d of profile %q was withdrawn", app.ProfileVersion, app.Profile)
	}
	request, err := certs.ParseRequest(app.Request)
	if err != nil {
		return nil, nil, ErrRequest.With("%w", err)
	}
	holder, err := a.holder(ctx, p, app)
	if err != nil {
		return nil, nil, err
	}
	out := []draft{draftOf(p, request, holder, app)}
	if p.Pair == "" {
		return out, nil, nil
	}
	encryption, envelope, err := a.pairDraft(ctx, by, out[0], app)
	return append(out, encryption), envelope, err
}

// pairDraft is the encryption certificate that comes with a signing certificate, and the private key enveloped to the holder.
func (a *Authority) pairDraft(ctx context.Context, by actor.Actor, d draft, app Application) (encryption draft, envelope []byte, err error) {
	pair := a.profile(d.profile.Pair)
	if pair == nil {
		return draft{}, nil, ErrProfile.With("profile %q was withdrawn", d.profile.Pair)
	}
	signing, ok := d.public.(*ecdsa.PublicKey)
	if !ok || !gm.IsSM2(signing) {
		return draft{}, nil, ErrKeyKind.With("an encryption pair needs an SM2 signing key")
	}
	temporary, err := temporaryKey(d.asked)
	if err != nil {
		return draft{}, nil, err
	}
	key, err := a.encryptionKey(ctx, by, app, KeyOrder{
		Request: app.ID, Signing: signing, Temporary: temporary, Authority: d.profile.Issuer, Profile: pair.Name, Subject: app.Holder,
	})
	if err != nil {
		return draft{}, nil, fmt.Errorf("encryption key: %w", err)
	}
	if certs.SameKey(key.Public, signing) {
		return draft{}, nil, ErrKeyUsed.With("the encryption key is the signing key")
	}
	encryption = draftOf(pair, d.asked, d.holder, app)
	encryption.public = key.Public
	return encryption, key.Envelope, nil
}

// encryptionKey returns the encryption key of a pair: a new one, or for a renewal the one that there was.
func (a *Authority) encryptionKey(ctx context.Context, by actor.Actor, app Application, o KeyOrder) (KeyAnswer, error) {
	public, envelope, ok, err := a.renewedPair(ctx, app)
	if err != nil || ok {
		return KeyAnswer{Public: public, Envelope: envelope}, err
	}
	return a.Encryption.Provide(ctx, by, o)
}

func (a *Authority) holder(ctx context.Context, p *Profile, app Application) (Holder, error) {
	if p.Holder == HolderService {
		return Holder{ID: app.Holder, Kind: HolderService, Name: app.Facts["name"]}, nil
	}
	h, err := a.Registry.Holder(ctx, app.Holder, app.Organization)
	if err != nil {
		return h, fmt.Errorf("holder %s: %w", app.Holder, err)
	}
	operator := p.Holder == HolderForeign && h.Kind == HolderEntity // who runs the other authority
	if h.Kind != p.Holder && !operator {
		return h, ErrFacts.With("profile %q is for holders of kind %s, this one is %s", p.Name, p.Holder, h.Kind)
	}
	return h, nil
}
