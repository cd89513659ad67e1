package oidc

import (
	"context"
	"fmt"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/openid"

	"hufu/identity"
)

// idTokens makes the id_token from the grant.
type idTokens struct{ p *Provider }

var _ openid.OpenIDConnectTokenStrategy = idTokens{}

// GenerateIDToken signs with the algorithm that the client registered.
func (t idTokens) GenerateIDToken(_ context.Context, life time.Duration, request fosite.Requester) (string, error) {
	s, ok := request.GetSession().(*session)
	if !ok {
		return "", fmt.Errorf("id_token for a session of type %T", request.GetSession())
	}
	alg, _ := s.headers.Get("alg").(string)
	g, now := s.grant, t.p.now()
	claims := map[string]any{
		"iss": t.p.base, "sub": g.Sub, "aud": g.Client, "azp": g.Client,
		"iat": now.Unix(), "exp": now.Add(life).Unix(), "auth_time": g.AuthTime.Unix(),
		"acr": acrURN(min(g.IdentityLevel, g.AuthLevel)), "sid": sid(g.Session, g.Client),
	}
	if len(g.AMR) > 0 {
		claims["amr"] = g.AMR
	}
	if g.Nonce != "" && request.GetRequestForm().Get("grant_type") != "refresh_token" {
		claims["nonce"] = g.Nonce
	}
	if s.claims.AccessTokenHash != "" {
		claims["at_hash"] = s.claims.AccessTokenHash
	}
	addCapacity(claims, g.Capacity, g.Scopes)
	return t.p.keys.Load().sign(alg, "JWT", claims)
}

// addCapacity adds the claims that tell in which capacity the person acts. Only clients that asked whom the person acts
// for are told.
func addCapacity(claims map[string]any, c identity.Capacity, scopes []string) {
	if !has(scopes, ScopeEntity) {
		return
	}
	claims["subject_kind"] = string(c.Kind)
	switch c.Kind {
	case identity.Entity:
		claims["act_for"] = map[string]any{
			"sub": c.For, "kind": string(identity.Entity), "name": c.Name, "uscc": c.USCC, "relation": string(c.Relation),
		}
	case identity.Official:
		claims["official"] = map[string]any{"org": c.Name, "org_uscc": c.USCC, "post": c.Post}
	}
}
