package oidc

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/handler/pkce"
	"github.com/ory/fosite/token/jwt"

	"hufu/internal/gm"
)

// compose builds the engine by hand: code, refresh, PKCE and OpenID Connect on top. Implicit, hybrid and password
// grants, request objects and pushed requests are not there.
func (p *Provider) compose() {
	config := &fosite.Config{
		AccessTokenLifespan:           p.life.Access,
		AuthorizeCodeLifespan:         p.life.Code,
		RefreshTokenLifespan:          p.life.Refresh,
		IDTokenLifespan:               p.life.IDToken,
		IDTokenIssuer:                 p.base,
		TokenURL:                      p.base + "/oauth2/token",
		HMACHasher:                    gm.NewSM3,
		TokenEntropy:                  32,
		MinParameterEntropy:           1, // state is replaced by a placeholder: see engineForm
		ScopeStrategy:                 fosite.ExactScopeStrategy,
		AudienceMatchingStrategy:      fosite.ExactAudienceMatchingStrategy,
		RefreshTokenScopes:            []string{}, // the client's Refresh decides
		RedirectSecureChecker:         fosite.IsRedirectURISecureStrict,
		EnforcePKCEForPublicClients:   true,
		OmitRedirectScopeParam:        true,
		DisableRefreshTokenValidation: true, // a refresh token is never taken for an access token
		ClientAuthenticationStrategy:  p.authenticateEngine,
	}
	p.storage = &storage{p}
	p.opaque = newOpaque(hmacConfig{config, p}, p.now)
	ids := &openid.IDTokenHandleHelper{IDTokenStrategy: idTokens{p}}
	code := &oauth2.AuthorizeExplicitGrantHandler{
		AccessTokenStrategy: p.opaque, RefreshTokenStrategy: p.opaque, AuthorizeCodeStrategy: p.opaque,
		CoreStorage: p.storage, TokenRevocationStorage: p.storage, Config: config,
	}
	proof := &pkceHandler{p: p, Handler: &pkce.Handler{AuthorizeCodeStrategy: p.opaque, Storage: p.storage, Config: config}}
	identify := &openid.OpenIDConnectExplicitHandler{
		OpenIDConnectRequestStorage:   p.storage,
		OpenIDConnectRequestValidator: openid.NewOpenIDConnectRequestValidator(jwtSigner{p}, config),
		IDTokenHandleHelper:           ids, Config: config,
	}
	refresh := &oauth2.RefreshTokenGrantHandler{
		AccessTokenStrategy: p.opaque, RefreshTokenStrategy: p.opaque, TokenRevocationStorage: p.storage, Config: config,
	}
	config.AuthorizeEndpointHandlers = fosite.AuthorizeEndpointHandlers{code, identify, proof}
	config.TokenEndpointHandlers = fosite.TokenEndpointHandlers{
		code, refresh, proof, identify, &openid.OpenIDConnectRefreshHandler{IDTokenHandleHelper: ids, Config: config},
	}
	config.TokenIntrospectionHandlers = fosite.TokenIntrospectionHandlers{
		&oauth2.CoreValidator{CoreStrategy: p.opaque, CoreStorage: p.storage, Config: config},
	}
	p.engine = fosite.NewOAuth2Provider(p.storage, config)
}

// pkceHandler spends the code when the verifier is wrong or missing. fosite alone forgets the challenge then, so that
// a second try without any verifier would pass.
type pkceHandler struct {
	*pkce.Handler
	p *Provider
}

func (h *pkceHandler) HandleTokenEndpointRequest(ctx context.Context, request fosite.AccessRequester) error {
	err := h.Handler.HandleTokenEndpointRequest(ctx, request)
	if err == nil || !h.CanHandleTokenEndpointRequest(ctx, request) {
		return err
	}
	if e := asOAuth(err); e.status() >= 500 {
		return err
	}
	sig := h.p.opaque.AuthorizeCodeSignature(ctx, request.GetRequestForm().Get("code"))
	if spendErr := h.p.spend(ctx, KindCode, sig); spendErr != nil {
		return spendErr
	}
	return err
}

// engineRequest makes the request that fosite reads: the parameters that we checked, and nothing else of the original.
func engineRequest(ctx context.Context, form url.Values, authorization string) *http.Request {
	r := &http.Request{
		Method: http.MethodPost, URL: &url.URL{}, Form: form, PostForm: form,
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, Body: http.NoBody,
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r.WithContext(ctx)
}

// engineClient shows a client to fosite.
type engineClient struct{ ClientRecord }

var (
	_ fosite.Client             = engineClient{}
	_ fosite.ResponseModeClient = engineClient{}
)

func (c engineClient) GetID() string                      { return c.ID }
func (c engineClient) GetHashedSecret() []byte            { return nil } // authenticate compares
func (c engineClient) GetRedirectURIs() []string          { return c.RedirectURIs }
func (c engineClient) GetResponseTypes() fosite.Arguments { return fosite.Arguments{"code"} }
func (c engineClient) GetScopes() fosite.Arguments        { return c.Scopes }
func (c engineClient) IsPublic() bool                     { return c.Public() }
func (c engineClient) GetAudience() fosite.Arguments      { return c.Audience }

func (c engineClient) GetGrantTypes() fosite.Arguments {
	if c.Refresh {
		return fosite.Arguments{"authorization_code", "refresh_token"}
	}
	return fosite.Arguments{"authorization_code"}
}

func (c engineClient) GetResponseModes() []fosite.ResponseModeType {
	return []fosite.ResponseModeType{fosite.ResponseModeQuery, fosite.ResponseModeFormPost}
}

// session carries a grant through fosite. It holds data only, since fosite copies it.
type session struct {
	grant   Grant
	token   Token // that was presented; zero when none was
	claims  *jwt.IDTokenClaims
	headers *jwt.Headers
	expires map[fosite.TokenType]time.Time
}

var _ openid.Session = (*session)(nil)

func newSession(g Grant, alg string) *session {
	return &session{
		grant:   g,
		claims:  &jwt.IDTokenClaims{Subject: g.Sub},
		headers: &jwt.Headers{Extra: map[string]any{"alg": alg}},
		expires: map[fosite.TokenType]time.Time{},
	}
}

func (s *session) IDTokenClaims() *jwt.IDTokenClaims                { return s.claims }
func (s *session) IDTokenHeaders() *jwt.Headers                     { return s.headers }
func (s *session) SetExpiresAt(kind fosite.TokenType, at time.Time) { s.expires[kind] = at }
func (s *session) GetExpiresAt(kind fosite.TokenType) time.Time     { return s.expires[kind] }
func (s *session) GetUsername() string                              { return "" }
func (s *session) GetSubject() string                               { return s.grant.Sub }

func (s *session) Clone() fosite.Session {
	if s == nil {
		return nil
	}
	c, claims := *s, *s.claims
	c.claims, c.headers, c.expires = &claims, &jwt.Headers{Extra: maps.Clone(s.headers.Extra)}, maps.Clone(s.expires)
	return &c
}
