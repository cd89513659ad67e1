package oidc

import (
	"cmp"
	"context"
	"crypto/rand"
	"strings"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
	"hufu/internal/gm"
)

// NewClient is what an administrator enters.
type NewClient struct {
	Client        // ID may be empty: a random one is made. AuthMethod may be empty: client_secret_basic.
	Secret string // only for set-up by the system (demo, tests): a secret of at least 32 characters; made if empty
}

// Registered is a client just registered. Secret is shown this once and stored nowhere.
type Registered struct {
	Client Client
	Secret string
}

// RegisterClient registers an application.
func (p *Provider) RegisterClient(ctx context.Context, a actor.Actor, n NewClient) (Registered, error) {
	if err := a.Require(administrators...); err != nil {
		return Registered{}, err
	}
	c := n.Client
	if c.ID == "" {
		c.ID = rand.Text()
	}
	c.AuthMethod = cmp.Or(c.AuthMethod, AuthBasic)
	c.IDTokenAlg = cmp.Or(c.IDTokenAlg, algRS256)
	c.Created, c.Disabled = p.now(), false
	c.Changed = c.Created
	if err := c.check(); err != nil {
		return Registered{}, err
	}
	rec, secret := ClientRecord{Client: c}, ""
	if c.AuthMethod == AuthBasic || c.AuthMethod == AuthPost {
		secret = newSecret()
		if n.Secret != "" {
			if a.Capacity != actor.System || len(n.Secret) < 32 || !isText(n.Secret) {
				return Registered{}, ErrClient.With("secret: it is made by the server")
			}
			secret = n.Secret
		}
		rec.SecretHash = hashSecret(secret)
	}
	err := p.store.Update(ctx, func(w W) error {
		if err := w.AddClient(rec); err != nil {
			return err
		}
		return w.Record(clientEntry(a, c, "client.register"))
	})
	if err != nil {
		return Registered{}, err
	}
	return Registered{Client: c, Secret: secret}, nil
}

func hashSecret(secret string) []byte {
	sum := gm.SM3([]byte(secret))
	return sum[:]
}

func clientEntry(a actor.Actor, c Client, action string) audit.Entry {
	return audit.Entry{
		At: c.Changed, Actor: a, Action: action, Object: audit.Object{Kind: "client", ID: c.ID},
		Public: map[string]string{"method": string(c.AuthMethod), "scopes": strings.Join(c.Scopes, " ")},
	}
}

// Client returns one application, disabled ones too.
func (p *Provider) Client(ctx context.Context, a actor.Actor, id string) (Client, error) {
	if err := a.Require(actor.RoleBusinessAdmin, actor.RoleAuditAdmin); err != nil {
		return Client{}, err
	}
	var rec ClientRecord
	err := p.store.View(ctx, func(r R) (err error) {
		rec, err = r.Client(id)
		return err
	})
	return rec.Client, err
}

// Clients lists applications by id, at most limit (100 when zero, 500 at most) after the given id.
func (p *Provider) Clients(ctx context.Context, a actor.Actor, after string, limit int) ([]Client, error) {
	if err := a.Require(actor.RoleBusinessAdmin, actor.RoleAuditAdmin); err != nil {
		return nil, err
	}
	if limit <= 0 {
		limit = 100
	}
	var list []Client
	err := p.store.View(ctx, func(r R) error {
		recs, err := r.Clients(after, min(limit, 500))
		list = nil
		for _, rec := range recs {
			list = append(list, rec.Client)
		}
		return err
	})
	return list, err
}

// ChangeClient replaces what was registered, all but id, secret and whether it is disabled. The method of
// authentication stays.
func (p *Provider) ChangeClient(ctx context.Context, a actor.Actor, c Client) (Client, error) {
	if err := c.check(); err != nil {
		return Client{}, err
	}
	var changed Client
	err := p.changeClient(ctx, a, c.ID, "client.change", func(rec *ClientRecord) error {
		if c.AuthMethod != rec.AuthMethod {
			return ErrClient.With("auth_method: it cannot be changed; register the application anew")
		}
		c.Created, c.Changed, c.Disabled = rec.Created, rec.Changed, rec.Disabled
		rec.Client, changed = c, c
		return nil
	})
	return changed, err
}

// RotateSecret makes a new secret and returns it; it is shown this once. The old one is accepted for overlap longer (at
// most 30 days), so that the application need not stop.
func (p *Provider) RotateSecret(ctx context.Context, a actor.Actor, id string, overlap time.Duration) (string, error) {
	secret := newSecret()
	err := p.changeClient(ctx, a, id, "client.rotate-secret", func(rec *ClientRecord) error {
		if len(rec.SecretHash) == 0 {
			return ErrNoSecret.With("client %q uses %s", id, rec.AuthMethod)
		}
		rec.OldSecretHash, rec.OldSecretUntil = nil, time.Time{}
		if overlap > 0 {
			rec.OldSecretHash, rec.OldSecretUntil = rec.SecretHash, rec.Changed.Add(min(overlap, 30*24*time.Hour))
		}
		rec.SecretHash = hashSecret(secret)
		return nil
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// DisableClient stops an application: no log-ins, and every grant ends at once. EnableClient lets it log people in again.
func (p *Provider) DisableClient(ctx context.Context, a actor.Actor, id string) error {
	err := p.changeClient(ctx, a, id, "client.disable", func(rec *ClientRecord) error { rec.Disabled = true; return nil })
	if err != nil {
		return err
	}
	return p.revokeMany(ctx, a, whyDisabled, func(w W, now time.Time) ([]string, error) {
		return w.RevokeClient(id, "", whyDisabled, now)
	})
}

// EnableClient undoes DisableClient; the grants stay ended.
func (p *Provider) EnableClient(ctx context.Context, a actor.Actor, id string) error {
	return p.changeClient(ctx, a, id, "client.enable", func(rec *ClientRecord) error { rec.Disabled = false; return nil })
}

func (p *Provider) changeClient(ctx context.Context, a actor.Actor, id, action string, change func(*ClientRecord) error) error {
	if err := a.Require(administrators...); err != nil {
		return err
	}
	now := p.now()
	return p.store.Update(ctx, func(w W) error {
		rec, err := w.Client(id)
		if err != nil {
			return err
		}
		rec.Changed = now
		if err := change(&rec); err != nil {
			return err
		}
		if err := w.SetClient(rec); err != nil {
			return err
		}
		return w.Record(clientEntry(a, rec.Client, action))
	})
}
