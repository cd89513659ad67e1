package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"hufu/audit"
	"hufu/identity"
)

// serveUserinfo is the userinfo endpoint (OpenID Connect Core section 5.3). The token comes in the Authorization header
// or in a posted form, never in the URL.
func (p *Provider) serveUserinfo(w http.ResponseWriter, r *http.Request) {
	var form url.Values
	var err error
	switch {
	case r.URL.Query().Has("access_token"):
		err = invalidRequest("An access token does not belong in a URL.")
	case r.Method == http.MethodPost && r.ContentLength != 0:
		form, err = readBody(w, r)
	}
	token := ""
	if err == nil {
		token, err = bearerToken(r, form)
	}
	if err != nil {
		p.bearerError(w, r, err)
		return
	}
	claims, err := p.userinfo(r.Context(), token)
	if err != nil {
		p.bearerError(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, claims)
}

// bearerError answers as RFC 6750 section 3 wants it.
func (p *Provider) bearerError(w http.ResponseWriter, r *http.Request, err error) {
	e := oauthError{Code: "invalid_token", Description: "The access token is not valid.", Status: http.StatusUnauthorized}
	switch {
	case errors.Is(err, ErrScope):
		e = oauthError{Code: "insufficient_scope", Description: "The access token has no scope openid.", Status: http.StatusForbidden}
	case !errors.Is(err, ErrToken):
		e = asOAuth(err)
	}
	p.logFailure(r, e)
	if e.status() < 500 {
		w.Header().Set("WWW-Authenticate", `Bearer realm="oauth2", error="`+e.Code+`"`)
	}
	body := map[string]string{"error": e.Code, "error_description": plain(e.Description)}
	writeJSON(w, e.status(), body)
}

func (p *Provider) userinfo(ctx context.Context, token string) (map[string]any, error) {
	a, err := p.openAccess(ctx, token)
	if err != nil {
		return nil, err
	}
	if !has(a.scopes, ScopeOpenID) {
		return nil, ErrScope
	}
	claims := map[string]any{"sub": a.grant.Sub}
	addCapacity(claims, a.now.capacity, a.scopes)
	if !has(a.scopes, ScopeProfile) && !has(a.scopes, ScopePhone) && !has(a.scopes, ScopeIdentity) {
		return claims, nil
	}
	profile, err := p.config.Subjects.Profile(ctx, a.grant.Subject)
	if err != nil {
		if gone(err) {
			return nil, ErrToken.With("%w", err)
		}
		return nil, err
	}
	if has(a.scopes, ScopeProfile) {
		claims["name"] = profile.Name
	}
	if has(a.scopes, ScopePhone) && profile.Phone != "" {
		claims["phone_number"], claims["phone_number_verified"] = profile.Phone.Reveal(), true
	}
	if has(a.scopes, ScopeIdentity) {
		if err := p.releaseIdentity(ctx, a, profile, claims); err != nil {
			return nil, err
		}
	}
	return claims, nil
}

// releaseIdentity adds the identity number, and records that it was released before it is.
func (p *Provider) releaseIdentity(ctx context.Context, a access, profile identity.Profile, claims map[string]any) error {
	claims["identity_level"] = int(a.now.level)
	if len(profile.Identifiers) == 0 {
		return nil
	}
	id := profile.Identifiers[0]
	for _, other := range profile.Identifiers {
		if other.Type == identity.ResidentID {
			id = other
		}
	}
	claims["identity_type"], claims["identity_number"] = string(id.Type), id.Number.Reveal()
	if id.Type == identity.ResidentID {
		if parts, err := identity.ParseResidentID(id.Number.Reveal()); err == nil {
			claims["birthdate"], claims["gender"] = parts.Birth.Format("2006-01-02"), "male"
			if parts.Female {
				claims["gender"] = "female"
			}
		}
	}
	now := p.now()
	return p.store.Update(ctx, func(w W) error {
		return w.Record(audit.Entry{
			At: now, Actor: clientActor(a.grant.Client), Action: "identity.release", Object: audit.Object{Kind: "identity"},
			Subject: a.grant.Subject, Personal: map[string]string{"grant": a.grant.ID, "type": string(id.Type)},
		})
	})
}
