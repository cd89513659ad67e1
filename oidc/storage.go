package oidc

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/openid"
	"github.com/ory/fosite/handler/pkce"
	fositestorage "github.com/ory/fosite/storage"

	"hufu/internal/gm"
)

// storage adapts Store to fosite: one grant row and one token row for each code or token, whatever fosite calls it.
type storage struct{ p *Provider }

var (
	_ fosite.Storage                     = (*storage)(nil)
	_ oauth2.CoreStorage                 = (*storage)(nil)
	_ oauth2.TokenRevocationStorage      = (*storage)(nil)
	_ openid.OpenIDConnectRequestStorage = (*storage)(nil)
	_ pkce.PKCERequestStorage            = (*storage)(nil)
	_ fositestorage.Transactional        = (*storage)(nil)
)

// GetClient returns a client that exists and is not disabled.
func (s *storage) GetClient(ctx context.Context, id string) (fosite.Client, error) {
	c, err := s.p.client(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil, fosite.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return engineClient{c}, nil
}

// ClientAssertionJWTValid is not used: authenticate checks assertions.
func (*storage) ClientAssertionJWTValid(context.Context, string) error { return errNotUsed }

// SetClientAssertionJWT is not used: authenticate checks assertions.
func (*storage) SetClientAssertionJWT(context.Context, string, time.Time) error { return errNotUsed }

var errNotUsed = errors.New("fosite's own client authentication is not used")

// tokenHash is what a token row is found by.
func tokenHash(kind TokenKind, signature string) []byte {
	sum := gm.SM3([]byte(kind), []byte{0}, []byte(signature))
	return sum[:]
}

// wellFormed refuses what cannot be a signature of ours, above all the empty one of a malformed token.
func wellFormed(signature string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(signature)
	return err == nil && len(raw) == 32
}

// look finds a token and its grant, and shows them to fosite. The errors are fosite's.
func (s *storage) look(ctx context.Context, kind TokenKind, signature string) (*fosite.Request, found, error) {
	if !wellFormed(signature) {
		return nil, found{}, fosite.ErrNotFound
	}
	hash, f := tokenHash(kind, signature), flightOf(ctx)
	hit, ok := f.token(hash)
	if !ok {
		var err error
		hit.token, hit.grant, hit.client, err = s.p.store.Token(ctx, kind, hash)
		if errors.Is(err, ErrNotFound) {
			return nil, hit, fosite.ErrNotFound
		}
		if err != nil {
			return nil, hit, fmt.Errorf("look up %s: %w", kind, err)
		}
	}
	if hit.client.Disabled {
		return nil, hit, fosite.ErrNotFound
	}
	f.keep(hash, hit)
	return engineGrant(hit, hit.client), hit, nil
}

// engineGrant shows a stored grant to fosite.
func engineGrant(hit found, client ClientRecord) *fosite.Request {
	g := hit.grant
	s := newSession(g, client.IDTokenAlg)
	s.token = hit.token
	switch hit.token.Kind {
	case KindCode:
		s.expires[fosite.AuthorizeCode] = hit.token.Expires
	case KindAccess:
		s.expires[fosite.AccessToken] = hit.token.Expires
	case KindRefresh:
		s.expires[fosite.RefreshToken] = hit.token.Expires
	}
	scopes := g.Scopes
	if hit.token.Scopes != nil {
		scopes = hit.token.Scopes
	}
	form := url.Values{"redirect_uri": {g.RedirectURI}, "client_id": {g.Client}}
	if g.Challenge != "" {
		form.Set("code_challenge", g.Challenge)
		form.Set("code_challenge_method", "S256")
	}
	return &fosite.Request{
		ID: g.ID, RequestedAt: g.Created, Client: engineClient{client}, Session: s, Form: form,
		RequestedScope: g.Scopes, GrantedScope: scopes, RequestedAudience: g.Audience, GrantedAudience: g.Audience,
	}
}

// CreateAuthorizeCodeSession stores grant and code.
func (s *storage) CreateAuthorizeCodeSession(ctx context.Context, signature string, request fosite.Requester) error {
	sess, ok := request.GetSession().(*session)
	if !ok || !wellFormed(signature) {
		return fmt.Errorf("code for a session of type %T", request.GetSession())
	}
	g := sess.grant
	g.ID = request.GetID()
	g.Expires = g.Created.Add(s.p.life.Code)
	code := Token{Kind: KindCode, Hash: tokenHash(KindCode, signature), Grant: g.ID, Issued: g.Created, Expires: g.Expires}
	sector := ""
	if c, ok := request.GetClient().(engineClient); ok {
		sector = c.Sector
	}
	return s.write(ctx, func(w W) (err error) {
		if g.Sub, err = w.EnsureSub(g.Subject, sector, newSecret()[:22]); err != nil {
			return err
		}
		if err := w.AddGrant(g); err != nil {
			return err
		}
		return w.AddToken(code)
	})
}

// GetAuthorizeCodeSession finds a code; a spent one, or one of a revoked grant, comes with ErrInvalidatedAuthorizeCode.
func (s *storage) GetAuthorizeCodeSession(ctx context.Context, signature string, into fosite.Session) (fosite.Requester, error) {
	request, hit, err := s.look(ctx, KindCode, signature)
	if err != nil {
		return nil, err
	}
	hydrate(into, request)
	if !hit.token.Used.IsZero() || !hit.grant.Revoked.IsZero() {
		return request, fosite.ErrInvalidatedAuthorizeCode
	}
	return request, nil
}

// hydrate fills in the session that fosite passes along: it judges the expiry of a code by that one, not by the one
// that is returned.
func hydrate(into fosite.Session, request *fosite.Request) {
	sess, ok := into.(*session)
	if from, isOurs := request.Session.(*session); ok && isOurs && sess != nil {
		*sess = *from
	}
}

// InvalidateAuthorizeCodeSession spends the code.
func (s *storage) InvalidateAuthorizeCodeSession(ctx context.Context, signature string) error {
	return s.p.spend(ctx, KindCode, signature)
}

// spend marks a code or refresh token used; errSpent when somebody else did before.
func (p *Provider) spend(ctx context.Context, kind TokenKind, signature string) error {
	now := p.now()
	return p.storage.write(ctx, func(w W) error {
		ok, err := w.SpendToken(kind, tokenHash(kind, signature), now)
		if err == nil && !ok {
			err = errSpent
		}
		return err
	})
}

// CreateAccessTokenSession stores an access token.
func (s *storage) CreateAccessTokenSession(ctx context.Context, signature string, request fosite.Requester) error {
	return s.create(ctx, KindAccess, signature, request, s.p.life.Access)
}

// GetAccessTokenSession finds an access token of a live grant.
func (s *storage) GetAccessTokenSession(ctx context.Context, signature string, _ fosite.Session) (fosite.Requester, error) {
	request, hit, err := s.look(ctx, KindAccess, signature)
	if err != nil {
		return nil, err
	}
	if !hit.grant.Revoked.IsZero() {
		return request, fosite.ErrInactiveToken
	}
	return request, nil
}

// DeleteAccessTokenSession does nothing: rows go by Purge.
func (*storage) DeleteAccessTokenSession(context.Context, string) error { return nil }

// CreateRefreshTokenSession stores a refresh token. It always carries the whole grant.
func (s *storage) CreateRefreshTokenSession(ctx context.Context, signature, _ string, request fosite.Requester) error {
	life := s.p.life.Refresh
	if c, ok := request.GetClient().(engineClient); ok && c.RefreshLife > 0 {
		life = c.RefreshLife
	}
	return s.create(ctx, KindRefresh, signature, request, life)
}

func (s *storage) create(ctx context.Context, kind TokenKind, signature string, request fosite.Requester, life time.Duration) error {
	if !wellFormed(signature) {
		return errors.New("a token without a signature")
	}
	now := s.p.now()
	t := Token{Kind: kind, Hash: tokenHash(kind, signature), Grant: request.GetID(), Issued: now, Expires: now.Add(life)}
	if sess, ok := request.GetSession().(*session); ok && kind == KindAccess {
		if granted := request.GetGrantedScopes(); len(granted) < len(sess.grant.Scopes) {
			t.Scopes = granted
		}
	}
	return s.write(ctx, func(w W) error { return w.AddToken(t) })
}

// GetRefreshTokenSession finds a refresh token; a spent one comes with ErrInactiveToken, upon which fosite revokes the
// grant.
func (s *storage) GetRefreshTokenSession(ctx context.Context, signature string, _ fosite.Session) (fosite.Requester, error) {
	request, hit, err := s.look(ctx, KindRefresh, signature)
	if err != nil {
		return nil, err
	}
	if !hit.token.Used.IsZero() || !hit.grant.Revoked.IsZero() {
		return request, fosite.ErrInactiveToken
	}
	return request, nil
}

// DeleteRefreshTokenSession does nothing: rows go by Purge.
func (*storage) DeleteRefreshTokenSession(context.Context, string) error { return nil }

// RotateRefreshToken spends the refresh token. The new one is stored with the same commit.
func (s *storage) RotateRefreshToken(ctx context.Context, _, signature string) error {
	return s.p.spend(ctx, KindRefresh, signature)
}

// RevokeRefreshToken revokes the grant: fosite calls it when something was used twice.
func (s *storage) RevokeRefreshToken(ctx context.Context, requestID string) error {
	return s.p.revoke(ctx, requestID, whyReuse)
}

// RevokeAccessToken revokes the grant: fosite calls it when something was used twice.
func (s *storage) RevokeAccessToken(ctx context.Context, requestID string) error {
	return s.p.revoke(ctx, requestID, whyReuse)
}

// CreateOpenIDConnectSession does nothing: the grant holds it.
func (*storage) CreateOpenIDConnectSession(context.Context, string, fosite.Requester) error {
	return nil
}

// GetOpenIDConnectSession finds the grant by the code itself.
func (s *storage) GetOpenIDConnectSession(ctx context.Context, code string, _ fosite.Requester) (fosite.Requester, error) {
	request, hit, err := s.look(ctx, KindCode, s.p.opaque.AuthorizeCodeSignature(ctx, code))
	if err != nil {
		return nil, err
	}
	if !hit.grant.Has(ScopeOpenID) {
		return nil, openid.ErrNoSessionFound
	}
	return request, nil
}

// DeleteOpenIDConnectSession does nothing: spending the code is enough.
func (*storage) DeleteOpenIDConnectSession(context.Context, string) error { return nil }

// CreatePKCERequestSession does nothing: the grant holds the challenge.
func (*storage) CreatePKCERequestSession(context.Context, string, fosite.Requester) error { return nil }

// GetPKCERequestSession finds the challenge; ErrNotFound when the client was allowed to send none.
func (s *storage) GetPKCERequestSession(ctx context.Context, signature string, _ fosite.Session) (fosite.Requester, error) {
	request, hit, err := s.look(ctx, KindCode, signature)
	if err != nil {
		return nil, err
	}
	if hit.grant.Challenge == "" {
		return nil, fosite.ErrNotFound
	}
	return request, nil
}

// DeletePKCERequestSession does nothing: the challenge stays with the grant, else a second try would find none.
func (*storage) DeletePKCERequestSession(context.Context, string) error { return nil }
