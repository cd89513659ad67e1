package oidc

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"hufu/internal/actor"
)

// serveRevoke is the revocation endpoint (RFC 7009). To revoke a token, of either kind and also one that was rotated,
// is to end the grant.
func (p *Provider) serveRevoke(w http.ResponseWriter, r *http.Request) {
	form, err := readForm(w, r)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	ctx, _ := withFlight(r.Context())
	caller, err := p.authenticate(ctx, r.Header.Get("Authorization"), form)
	if err == nil && !form.Has("token") {
		err = invalidRequest("The parameter token is missing.")
	}
	if err == nil {
		err = p.revokeToken(ctx, caller, form.Get("token"))
	}
	if err != nil {
		p.fail(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
}

func (p *Provider) revokeToken(ctx context.Context, caller ClientRecord, token string) error {
	signature := p.opaque.mac.Signature(token)
	if !wellFormed(signature) || p.opaque.mac.Validate(ctx, token) != nil {
		return nil // no token of ours: nothing to revoke
	}
	for _, kind := range []TokenKind{KindRefresh, KindAccess} {
		var g Grant
		err := p.store.View(ctx, func(r R) (err error) {
			_, g, _, err = r.Token(kind, tokenHash(kind, signature))
			return err
		})
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if g.Client != caller.ID {
			return oauthError{Code: "unauthorized_client", Description: "The token was made for another client."}
		}
		return p.revoke(ctx, g.ID, whyClient)
	}
	return nil
}

// Withdraw takes back what a person agreed to for a client: consent is asked again, and every grant ends.
func (p *Provider) Withdraw(ctx context.Context, a actor.Actor, client string) error {
	if err := a.Known(); err != nil {
		return err
	}
	now := p.now()
	return p.store.Update(ctx, func(w W) error {
		if err := w.DropConsent(a.Subject, client); err != nil {
			return err
		}
		ids, err := w.RevokeClient(client, a.Subject, whyConsent, now)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := recordRevoked(w, a, id, whyConsent, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// Grants lists the live grants of the actor's person, newest first.
func (p *Provider) Grants(ctx context.Context, a actor.Actor) ([]Grant, error) {
	if err := a.Known(); err != nil {
		return nil, err
	}
	var grants []Grant
	err := p.store.View(ctx, func(r R) (err error) {
		grants, err = r.LiveGrants(a.Subject)
		return err
	})
	return slices.DeleteFunc(grants, func(g Grant) bool { return g.Subject != a.Subject }), err
}
