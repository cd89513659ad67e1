package oidc

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/ory/fosite"

	"hufu/audit"
	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/actor"
)

// serveToken is the token endpoint (RFC 6749 section 3.2).
func (p *Provider) serveToken(w http.ResponseWriter, r *http.Request) {
	form, err := readForm(w, r)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	answer, err := p.exchange(r, form)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

// exchange turns a code or a refresh token into tokens. Everything is made and signed first and stored then, in one
// transaction whose conditional UPDATE says who was first.
func (p *Provider) exchange(r *http.Request, form url.Values) (map[string]any, error) {
	ctx, f := withFlight(r.Context())
	if err := checkGrantType(form); err != nil {
		return nil, err
	}
	ar, err := p.engine.NewAccessRequest(ctx, engineRequest(ctx, form, r.Header.Get("Authorization")), newSession(Grant{}, ""))
	if err != nil {
		return nil, grantFailure(err)
	}
	sess, ok := ar.GetSession().(*session)
	request, isRequest := ar.(*fosite.AccessRequest)
	if !ok || !isRequest {
		return nil, errors.New("fosite returned a request of another type")
	}
	if err := narrow(request, sess.grant, form); err != nil {
		return nil, err
	}
	if _, err := p.checkGrant(ctx, sess.grant); err != nil {
		if why, ok := errors.AsType[errDead](err); ok {
			return nil, oauthError{Code: "invalid_grant", Description: "The authorization has ended.", Cause: why}
		}
		return nil, err
	}
	f.held, f.writes = true, []func(W) error{}
	response, err := p.engine.NewAccessResponse(ctx, ar)
	if err == nil {
		f.writes = append(f.writes, p.recordTokens(sess.grant, form.Get("grant_type")))
		err = p.commit(ctx, f)
	}
	f.writes = nil
	if errors.Is(err, errSpent) { // somebody else was first
		if err := p.revoke(ctx, sess.grant.ID, whyReuse); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return nil, grantFailure(err)
	}
	response.SetExpiresIn(p.life.Access)
	return response.ToMap(), nil
}

func checkGrantType(form url.Values) error {
	switch form.Get("grant_type") {
	case "authorization_code", "refresh_token":
		return nil
	case "":
		return invalidRequest("The parameter grant_type is missing.")
	}
	return oauthError{Code: "unsupported_grant_type", Description: "This grant_type is not supported."}
}

// narrow takes a scope parameter at refresh: the new access token gets no more than was granted, and no less than asked.
func narrow(request *fosite.AccessRequest, g Grant, form url.Values) error {
	wanted := fields(form.Get("scope"))
	if form.Get("grant_type") != "refresh_token" || len(wanted) == 0 {
		return nil
	}
	if !covers(g.Scopes, wanted) {
		return oauthError{Code: "invalid_scope", Description: "More was asked for than had been granted."}
	}
	request.GrantedScope = wanted
	return nil
}

// recordTokens records the redemption of a code. Refreshing is no act of anybody's: the grant that is recorded covers it.
func (p *Provider) recordTokens(g Grant, grantType string) func(W) error {
	now := p.now()
	return func(w W) error {
		if grantType != "authorization_code" {
			return nil
		}
		return w.Record(audit.Entry{
			At: now, Actor: clientActor(g.Client), Action: "token.issue", Object: audit.Object{Kind: "token"},
			Subject: g.Subject, Personal: map[string]string{"grant": g.ID},
		})
	}
}

func clientActor(id string) actor.Actor {
	return actor.Actor{Subject: id, Capacity: actor.Client, Client: id}
}

// grantFailure gives the failures of the token endpoint the code that RFC 6749 section 5.2 has for them. fosite calls a
// malformed token, or one that another request rotated at the same moment, an invalid request.
func grantFailure(err error) error {
	if errors.Is(err, fosite.ErrInvalidatedAuthorizeCode) || errors.Is(err, errSpent) {
		return invalidGrant("The code or token was used before.")
	}
	for _, e := range []*fosite.RFC6749Error{fosite.ErrTokenSignatureMismatch, fosite.ErrTokenExpired, fosite.ErrInvalidTokenFormat} {
		if errors.Is(err, e) {
			return invalidGrant("The code or token is malformed or has expired.")
		}
	}
	return err
}

// Purge deletes at most limit grants whose last token has expired, and as many interactions that have; it returns how
// many rows went. Call it from a schedule until it returns less than limit.
func (p *Provider) Purge(ctx context.Context, limit int) (int, error) {
	n, now := 0, p.now()
	err := p.store.Update(ctx, func(w W) (err error) {
		n, err = w.Purge(now, limit)
		return err
	})
	return n, err
}

// SessionEnded handles the durable job login.JobEnded: the grants of the session that are not to outlive it end. It may
// run again. Nothing depends on its being quick, since every use of a token asks for the session anyway.
func (p *Provider) SessionEnded(ctx context.Context, payload []byte) error {
	var ended login.Ended
	if err := json.Unmarshal(payload, &ended); err != nil {
		return err
	}
	return p.endSession(ctx, ended.Session)
}

func (p *Provider) endSession(ctx context.Context, id string) error {
	return p.revokeMany(ctx, actor.ForSystem("session-ended"), whySession, func(w W, now time.Time) ([]string, error) {
		return w.RevokeSession(id, whySession, now)
	})
}

// SubjectChanged handles the durable job identity.JobChanged: it asks again whether the live grants of the person, or
// those made for the entity, hold, and revokes those that do not. It may run again.
func (p *Provider) SubjectChanged(ctx context.Context, payload []byte) error {
	var c identity.Change
	if err := json.Unmarshal(payload, &c); err != nil {
		return err
	}
	var grants []Grant
	err := p.store.View(ctx, func(r R) (err error) {
		grants, err = r.LiveGrants(c.Subject)
		return err
	})
	if err != nil {
		return err
	}
	for _, g := range grants {
		if _, err := p.checkGrant(ctx, g); err != nil {
			if _, dead := errors.AsType[errDead](err); !dead {
				return err
			}
		}
	}
	return nil
}

func (p *Provider) revokeMany(ctx context.Context, a actor.Actor, why string, which func(W, time.Time) ([]string, error)) error {
	now := p.now()
	return p.store.Update(ctx, func(w W) error {
		ids, err := which(w, now)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := recordRevoked(w, a, id, why, now); err != nil {
				return err
			}
		}
		return nil
	})
}
