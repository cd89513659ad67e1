package oidc

import (
	"context"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/token/hmac"
)

// secrets are the keys of opaque tokens.
type secrets struct {
	now    []byte
	others [][]byte
}

// SetSecrets replaces the keys of opaque tokens at once, for rotation: the first makes new ones, all are accepted. On several
// nodes, let each accept a new key before one makes tokens with it.
func (p *Provider) SetSecrets(now []byte, others [][]byte) error {
	for i, s := range append([][]byte{now}, others...) {
		if len(s) < 32 {
			return ErrConfig.With("token secret %d of %d octets, 32 are needed", i, len(s))
		}
	}
	p.secrets.Store(&secrets{now, others})
	return nil
}

// hmacConfig gives fosite the keys in force.
type hmacConfig struct {
	*fosite.Config
	p *Provider
}

func (c hmacConfig) GetGlobalSecret(context.Context) ([]byte, error) {
	return c.p.secrets.Load().now, nil
}

func (c hmacConfig) GetRotatedGlobalSecrets(context.Context) ([][]byte, error) {
	return c.p.secrets.Load().others, nil
}

// opaque makes codes and tokens: 256 random bits, a dot, their HMAC-SM3. The part after the dot is the signature by
// which the row is found. Expiry is judged by our clock.
type opaque struct {
	mac *hmac.HMACStrategy
	now func() time.Time
}

var _ oauth2.CoreStrategy = (*opaque)(nil)

func newOpaque(config hmac.HMACStrategyConfigurator, now func() time.Time) *opaque {
	return &opaque{mac: &hmac.HMACStrategy{Config: config}, now: now}
}

func (o *opaque) AuthorizeCodeSignature(_ context.Context, t string) string {
	return o.mac.Signature(t)
}

func (o *opaque) AccessTokenSignature(_ context.Context, t string) string { return o.mac.Signature(t) }

func (o *opaque) RefreshTokenSignature(_ context.Context, t string) string { return o.mac.Signature(t) }

func (o *opaque) GenerateAuthorizeCode(ctx context.Context, _ fosite.Requester) (token, signature string, err error) {
	return o.mac.Generate(ctx)
}

func (o *opaque) GenerateAccessToken(ctx context.Context, _ fosite.Requester) (token, signature string, err error) {
	return o.mac.Generate(ctx)
}

func (o *opaque) GenerateRefreshToken(ctx context.Context, _ fosite.Requester) (token, signature string, err error) {
	return o.mac.Generate(ctx)
}

func (o *opaque) ValidateAuthorizeCode(ctx context.Context, r fosite.Requester, token string) error {
	return o.validate(ctx, r.GetSession().GetExpiresAt(fosite.AuthorizeCode), token)
}

func (o *opaque) ValidateAccessToken(ctx context.Context, r fosite.Requester, token string) error {
	return o.validate(ctx, r.GetSession().GetExpiresAt(fosite.AccessToken), token)
}

func (o *opaque) ValidateRefreshToken(ctx context.Context, r fosite.Requester, token string) error {
	return o.validate(ctx, r.GetSession().GetExpiresAt(fosite.RefreshToken), token)
}

// validate refuses a token without an expiry: every row has one.
func (o *opaque) validate(ctx context.Context, expires time.Time, token string) error {
	if !o.now().Before(expires) {
		return fosite.ErrTokenExpired
	}
	if err := o.mac.Validate(ctx, token); err != nil {
		return fosite.ErrTokenSignatureMismatch.WithWrap(err)
	}
	return nil
}
