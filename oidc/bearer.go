package oidc

import (
	"context"
	"errors"

	"github.com/ory/fosite"

	"hufu/identity"
	"hufu/internal/actor"
)

// access is a live access token and what stands behind it now.
type access struct {
	grant  Grant
	token  Token
	scopes []string
	now    standing
}

// openAccess finds the access token and asks whether its grant still holds. ErrToken says that it does not; other
// errors that it could not be found out.
func (p *Provider) openAccess(ctx context.Context, token string) (access, error) {
	if flightOf(ctx) == nil {
		ctx, _ = withFlight(ctx)
	}
	if token == "" || len(token) > 256 {
		return access{}, ErrToken
	}
	_, ar, err := p.engine.IntrospectToken(ctx, token, fosite.AccessToken, newSession(Grant{}, ""))
	if err != nil {
		return access{}, tokenFailure(err)
	}
	sess, ok := ar.GetSession().(*session)
	if !ok || sess.token.Kind != KindAccess { // a refresh token is no access token
		return access{}, ErrToken
	}
	a := access{grant: sess.grant, token: sess.token, scopes: ar.GetGrantedScopes()}
	if a.now, err = p.checkGrant(ctx, a.grant); err != nil {
		if _, ok := errors.AsType[errDead](err); ok {
			return access{}, ErrToken.With("%w", err)
		}
		return access{}, err
	}
	return a, nil
}

// tokenFailure tells a token that was refused from a store that failed: fosite calls both unauthorized.
func tokenFailure(err error) error {
	refusal, ok := errors.AsType[*fosite.RFC6749Error](err)
	if !ok {
		return err
	}
	if refusal.ErrorField == fosite.ErrRequestUnauthorized.ErrorField {
		if _, ok := errors.AsType[*fosite.RFC6749Error](refusal.Unwrap()); !ok && refusal.Unwrap() != nil {
			return refusal.Unwrap()
		}
	}
	return ErrToken.With("%w", err)
}

// Bearer returns the actor of an access token for our own API: the person, in the capacity that was chosen at log-in,
// with the roles that it carries now. Every scope given must have been granted; without any, ScopeAPI must. ErrToken
// says that the token is not valid (any more), ErrScope that it allows less.
func (p *Provider) Bearer(ctx context.Context, token string, scopes ...string) (actor.Actor, error) {
	a, err := p.openAccess(ctx, token)
	if err != nil {
		return actor.Actor{}, err
	}
	if len(scopes) == 0 {
		scopes = []string{ScopeAPI}
	}
	if !covers(a.scopes, scopes) {
		return actor.Actor{}, ErrScope.With("token has %v, %v is needed", a.scopes, scopes)
	}
	who := actor.Actor{
		Subject: a.grant.Subject, Name: a.now.name, Capacity: actor.Capacity(a.now.capacity.Kind), For: a.now.capacity.For,
		Roles: a.now.capacity.Roles, Scopes: a.scopes, IdentityLevel: a.now.level, AuthLevel: a.grant.AuthLevel,
		Client: a.grant.Client, Session: a.grant.Session,
	}
	if a.now.capacity.Kind == identity.Person {
		who.Roles = nil
	}
	return who, nil
}
