package oidc

import (
	"errors"
	"net/http"
	"strings"
)

// serveIntrospect is the introspection endpoint (RFC 7662). The caller is a confidential client, and learns of tokens
// that were made for it, that name it as their audience, or, being a resource server of the operator, of all.
func (p *Provider) serveIntrospect(w http.ResponseWriter, r *http.Request) {
	form, err := readForm(w, r)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	ctx, _ := withFlight(r.Context())
	caller, err := p.authenticate(ctx, r.Header.Get("Authorization"), form)
	if err == nil && caller.Public() {
		err = invalidClient("A public client may not introspect tokens.")
	}
	if err == nil && !form.Has("token") {
		err = invalidRequest("The parameter token is missing.")
	}
	if err != nil {
		p.fail(w, r, err)
		return
	}
	a, err := p.openAccess(ctx, form.Get("token"))
	inactive := map[string]any{"active": false}
	switch {
	case errors.Is(err, ErrToken):
		writeJSON(w, http.StatusOK, inactive)
	case err != nil:
		p.fail(w, r, err)
	case a.grant.Client != caller.ID && !has(a.grant.Audience, caller.ID) && !caller.ResourceServer:
		writeJSON(w, http.StatusOK, inactive)
	default:
		writeJSON(w, http.StatusOK, p.tokenInfo(a))
	}
}

func (p *Provider) tokenInfo(a access) map[string]any {
	g := a.grant
	info := map[string]any{
		"active": true, "scope": strings.Join(a.scopes, " "), "client_id": g.Client, "token_type": "Bearer", "iss": p.base,
		"sub": g.Sub, "iat": a.token.Issued.Unix(), "exp": a.token.Expires.Unix(), "auth_time": g.AuthTime.Unix(),
		"acr": acrURN(min(g.IdentityLevel, g.AuthLevel)), "sid": sid(g.Session, g.Client),
	}
	if len(g.Audience) > 0 {
		info["aud"] = g.Audience
	}
	addCapacity(info, a.now.capacity, a.scopes)
	return info
}
