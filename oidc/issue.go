package oidc

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"hufu/audit"
	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// issueCode ends a log-in well: the interaction spent, grant, code, consent and record stored in one transaction. in
// has no id when the request needed no interaction.
func (p *Provider) issueCode(ctx context.Context, in InteractionRecord, req *request, s *login.Session, sit situation) (*Answer, error) {
	if flightOf(ctx) == nil {
		ctx, _ = withFlight(ctx)
	}
	f := flightOf(ctx)
	ar, err := p.engine.NewAuthorizeRequest(ctx, engineRequest(ctx, req.engineForm("code", strings.Join(req.Audience, " ")), ""))
	if err != nil {
		return p.end(ctx, in, req, asOAuth(err))
	}
	now := p.now()
	// Sub is set inside the transaction below; fosite only wants it not to be empty.
	g := Grant{
		ID: ar.GetID(), Client: req.ClientID, Subject: s.Subject, Sub: "pending", Session: s.ID, Capacity: *sit.capacity,
		Scopes: sit.granted, Audience: req.Audience, RedirectURI: req.RedirectURI, Nonce: req.Nonce, Challenge: req.Challenge,
		AuthTime: s.AuthTime, AMR: s.AMR, IdentityLevel: sit.level, AuthLevel: s.AuthLevel, Created: now,
	}
	for _, scope := range sit.granted {
		ar.GrantScope(scope)
	}
	for _, aud := range req.Audience {
		ar.GrantAudience(aud)
	}
	f.held, f.writes = true, []func(W) error{}
	response, err := p.engine.NewAuthorizeResponse(ctx, ar, newSession(g, req.client.IDTokenAlg))
	if err != nil {
		f.writes = nil
		return nil, err
	}
	f.writes = append([]func(W) error{p.spendInteraction(in, now)}, f.writes...)
	f.writes = append(f.writes, func(w W) error { return p.remember(w, g, sit, req, s, now) })
	if err := p.commit(ctx, f); err != nil {
		return nil, err
	}
	values := response.GetParameters()
	values.Del("state")
	return p.answerTo(req, values), nil
}

func (p *Provider) spendInteraction(in InteractionRecord, now time.Time) func(W) error {
	return func(w W) error {
		if in.ID == "" {
			return nil
		}
		ok, err := w.SpendInteraction(in.ID, now)
		if err == nil && !ok {
			err = ErrInteraction.With("interaction %q: spent meanwhile", in.ID)
		}
		return err
	}
}

// remember stores the consent and the record of a code.
func (p *Provider) remember(w W, g Grant, sit situation, req *request, s *login.Session, now time.Time) error {
	c := Consent{
		Subject: g.Subject, Client: g.Client, Scopes: sit.consent.Scopes, Given: sit.consent.Given,
		Kind: g.Capacity.Kind, For: g.Capacity.For, Post: g.Capacity.PostID,
	}
	if sit.remember {
		c.Given = now
		for _, scope := range g.Scopes {
			if !has(c.Scopes, scope) {
				c.Scopes = append(c.Scopes[:len(c.Scopes):len(c.Scopes)], scope)
			}
		}
		err := w.Record(audit.Entry{
			At: now, Actor: personActor(s), Action: "consent.grant", Object: audit.Object{Kind: "grant", ID: g.ID}, Subject: g.Subject,
			Personal: map[string]string{"client": g.Client, "scopes": strings.Join(g.Scopes, " ")},
		})
		if err != nil {
			return err
		}
	}
	if err := w.SetConsent(c); err != nil {
		return err
	}
	return w.Record(audit.Entry{
		At: now, Actor: personActor(s), Action: "grant.open", Object: audit.Object{Kind: "grant", ID: g.ID}, Subject: g.Subject,
		Public: map[string]string{"acr": acrURN(min(g.IdentityLevel, g.AuthLevel)), "kind": string(g.Capacity.Kind)},
		Personal: map[string]string{
			"client": g.Client, "scopes": strings.Join(g.Scopes, " "), "for": g.Capacity.For, "post": g.Capacity.PostID,
		},
	})
}

// refuse ends a log-in that the person declined.
func (p *Provider) refuse(ctx context.Context, in InteractionRecord, req *request, s *login.Session) (*Answer, error) {
	now := p.now()
	err := p.store.Update(ctx, func(w W) error {
		if err := p.spendInteraction(in, now)(w); err != nil || s == nil {
			return err
		}
		return w.Record(audit.Entry{
			At: now, Actor: personActor(s), Action: "consent.refuse", Object: audit.Object{Kind: "consent"}, Subject: s.Subject,
			Personal: map[string]string{"client": req.ClientID, "scopes": strings.Join(req.Scopes, " ")},
		})
	})
	if err != nil {
		return nil, err
	}
	return p.answerTo(req, oauthError{Code: "access_denied", Description: "The person refused."}.values()), nil
}

// end spends the interaction and sends an error to the client.
func (p *Provider) end(ctx context.Context, in InteractionRecord, req *request, e oauthError) (*Answer, error) {
	if err := p.store.Update(ctx, p.spendInteraction(in, p.now())); err != nil {
		return nil, err
	}
	return p.answerTo(req, e.values()), nil
}

// revoke ends a grant with all of its tokens; to revoke again changes nothing.
func (p *Provider) revoke(ctx context.Context, grant, why string) error {
	now := p.now()
	return p.storage.write(ctx, func(w W) error {
		ok, err := w.RevokeGrant(grant, why, now)
		if err != nil || !ok {
			return err
		}
		return recordRevoked(w, actor.ForSystem("oidc"), grant, why, now)
	})
}

func recordRevoked(w W, a actor.Actor, grant, why string, now time.Time) error {
	return w.Record(audit.Entry{
		At: now, Actor: a, Action: "grant.revoke", Object: audit.Object{Kind: "grant", ID: grant}, Public: map[string]string{"why": why},
	})
}

// checkGrant asks whether a grant still holds, and revokes it if not.
func (p *Provider) checkGrant(ctx context.Context, g Grant) (standing, error) {
	st, err := p.current(ctx, g)
	if why, ok := errors.AsType[errDead](err); ok {
		if err := p.revoke(ctx, g.ID, string(why)); err != nil {
			return st, err
		}
	}
	return st, err
}

// acrURN is the acr claim of a level.
func acrURN(l actor.Level) string {
	return "urn:hufu:acr:l" + strconv.Itoa(int(min(max(l, 1), 4)))
}

// sid is what a client knows a log-in session as: different for each client, so that they cannot compare.
func sid(session, client string) string {
	sum := gm.SM3([]byte("hufu sid"), []byte{0}, []byte(session), []byte{0}, []byte(client))
	return b64(sum[:16])
}
