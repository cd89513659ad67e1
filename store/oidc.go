package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"hufu/identity"
	"hufu/internal/actor"
	"hufu/oidc"
)

// OIDC returns the store of package oidc.
func (db *DB) OIDC() oidc.Store { return oidcStore{db} }

type oidcStore struct{ db *DB }

var (
	_ oidc.Store = oidcStore{}
	_ oidc.W     = oidcTx{}
)

func (s oidcStore) View(ctx context.Context, f func(oidc.R) error) error {
	return s.db.view(ctx, func(t *tx) error { return f(oidcTx{t}) })
}

func (s oidcStore) Update(ctx context.Context, f func(oidc.W) error) error {
	return s.db.update(ctx, func(t *tx) error { return f(oidcTx{t}) })
}

type oidcTx struct{ *tx }

// missing turns no row into the refusal of package oidc.
func missing(err error, what string) error {
	if errors.Is(err, errNoRow) {
		return oidc.ErrNotFound.With("%s", what)
	}
	return err
}

const (
	clientColumns = `c.id, c.data, c.secret_hash, c.old_secret_hash, c.old_secret_until, c.disabled, c.created_at, c.changed_at`
	clientRow     = `SELECT ` + clientColumns + ` FROM oidc_client c`
)

// clientScan is a client's row being read.
type clientScan struct {
	oidc.ClientRecord
	data                    string
	until, created, changed int64
}

func (c *clientScan) dest() []any {
	return []any{&c.ID, &c.data, &c.SecretHash, &c.OldSecretHash, &c.until, &c.Disabled, &c.created, &c.changed}
}

func (c *clientScan) record() (oidc.ClientRecord, error) {
	id := c.ID
	if err := json.Unmarshal([]byte(c.data), &c.Client); err != nil {
		return c.ClientRecord, fmt.Errorf("read client %s: %w", id, err)
	}
	c.ID, c.OldSecretUntil, c.Created, c.Changed = id, fromMicros(c.until), fromMicros(c.created), fromMicros(c.changed)
	return c.ClientRecord, nil
}

func scanClient(s scanner) (oidc.ClientRecord, error) {
	var c clientScan
	if err := s.Scan(c.dest()...); err != nil {
		return c.ClientRecord, err
	}
	return c.record()
}

func (t oidcTx) Client(id string) (oidc.ClientRecord, error) {
	c, err := scanClient(t.q.QueryRowContext(t.ctx, clientRow+` WHERE c.id = $1`, id))
	return c, missing(err, "client "+id)
}

func (t oidcTx) Clients(after string, limit int) ([]oidc.ClientRecord, error) {
	return list(t.tx, scanClient, clientRow+` WHERE c.id > $1 ORDER BY c.id LIMIT $2`, after, limit)
}

func (t oidcTx) AddClient(c oidc.ClientRecord) error {
	data, err := json.Marshal(c.Client)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO oidc_client (id, data, secret_hash, old_secret_hash, old_secret_until, disabled, created_at, changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		c.ID, string(data), c.SecretHash, c.OldSecretHash, micros(c.OldSecretUntil), c.Disabled, micros(c.Created), micros(c.Changed))
	if duplicate(err) {
		return oidc.ErrClientTaken.With("client %q", c.ID)
	}
	return err
}

func (t oidcTx) SetClient(c oidc.ClientRecord) error {
	data, err := json.Marshal(c.Client)
	if err != nil {
		return err
	}
	n, err := t.exec(`UPDATE oidc_client SET data = $2, secret_hash = $3, old_secret_hash = $4, old_secret_until = $5,
		disabled = $6, changed_at = $7 WHERE id = $1`,
		c.ID, string(data), c.SecretHash, c.OldSecretHash, micros(c.OldSecretUntil), c.Disabled, micros(c.Changed))
	if err == nil && n != 1 {
		err = oidc.ErrNotFound.With("client %q", c.ID)
	}
	return err
}

func (t oidcTx) UseJTI(client, jti string, until time.Time) (bool, error) {
	n, err := t.exec(`INSERT INTO oidc_jti (client, jti, expires_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, client, jti, micros(until))
	return n == 1, err
}

const grantColumns = `g.id, g.client, g.subject, g.session, g.data, g.created_at, g.expires_at, g.revoked_at, g.revoked_why`

// grantData is the part of a grant that no query asks for.
type grantData struct {
	Sub           string            `json:"sub"`
	Capacity      identity.Capacity `json:"capacity"`
	Scopes        []string          `json:"scopes"`
	Audience      []string          `json:"audience,omitempty"`
	RedirectURI   string            `json:"redirect_uri"`
	Nonce         string            `json:"nonce,omitempty"`
	Challenge     string            `json:"challenge,omitempty"`
	AuthTime      int64             `json:"auth_time"` // microseconds
	AMR           []string          `json:"amr,omitempty"`
	IdentityLevel int               `json:"identity_level"`
	AuthLevel     int               `json:"auth_level"`
}

func scanGrant(s scanner, more ...any) (g oidc.Grant, err error) {
	var data string
	var created, expires, revoked int64
	dest := append([]any{&g.ID, &g.Client, &g.Subject, &g.Session, &data, &created, &expires, &revoked, &g.RevokedWhy}, more...)
	if err := s.Scan(dest...); err != nil {
		return g, err
	}
	var d grantData
	if err := json.Unmarshal([]byte(data), &d); err != nil {
		return g, fmt.Errorf("read grant %s: %w", g.ID, err)
	}
	g.Sub, g.Capacity, g.Scopes, g.Audience = d.Sub, d.Capacity, slices.Clip(d.Scopes), slices.Clip(d.Audience)
	g.RedirectURI, g.Nonce, g.Challenge = d.RedirectURI, d.Nonce, d.Challenge
	g.AuthTime, g.AMR = fromMicros(d.AuthTime), d.AMR
	g.IdentityLevel, g.AuthLevel = actor.Level(d.IdentityLevel), actor.Level(d.AuthLevel)
	g.Created, g.Expires, g.Revoked = fromMicros(created), fromMicros(expires), fromMicros(revoked)
	return g, nil
}

func (t oidcTx) Grant(id string) (oidc.Grant, error) {
	g, err := scanGrant(t.q.QueryRowContext(t.ctx, `SELECT `+grantColumns+` FROM oidc_grant g WHERE g.id = $1`, id))
	return g, missing(err, "grant "+id)
}

const (
	tokenColumns = `k.hash, k.scopes, k.issued_at, k.expires_at, k.used_at`
	tokenRow     = `SELECT ` + grantColumns + `, ` + tokenColumns + `, ` + clientColumns + `
	FROM oidc_token k JOIN oidc_grant g ON g.id = k.grant_id JOIN oidc_client c ON c.id = g.client WHERE k.hash = $1 AND k.kind = $2`
)

// tokenScan is a token's row being read.
type tokenScan struct {
	hash                  []byte
	scopes                string
	issued, expires, used int64
}

func (k *tokenScan) dest() []any { return []any{&k.hash, &k.scopes, &k.issued, &k.expires, &k.used} }

func (k *tokenScan) of(kind oidc.TokenKind, g oidc.Grant) oidc.Token {
	token := oidc.Token{
		Kind: kind, Hash: k.hash, Grant: g.ID,
		Issued: fromMicros(k.issued), Expires: fromMicros(k.expires), Used: fromMicros(k.used),
	}
	if k.scopes != "" {
		token.Scopes = strings.Fields(k.scopes)
	}
	return token
}

func (t oidcTx) Token(kind oidc.TokenKind, hash []byte) (oidc.Token, oidc.Grant, oidc.ClientRecord, error) {
	var token tokenScan
	var c clientScan
	grant, err := scanGrant(t.q.QueryRowContext(t.ctx, tokenRow, hash, string(kind)), append(token.dest(), c.dest()...)...)
	if err != nil {
		return oidc.Token{}, grant, oidc.ClientRecord{}, missing(err, string(kind))
	}
	client, err := c.record()
	return token.of(kind, grant), grant, client, err
}

func (t oidcTx) LiveGrants(subject string) ([]oidc.Grant, error) {
	return list(t.tx, func(s scanner) (oidc.Grant, error) { return scanGrant(s) },
		`SELECT `+grantColumns+` FROM oidc_grant g WHERE (g.subject = $1 OR g.acts_for = $1) AND g.revoked_at = 0 AND g.expires_at > $2
		ORDER BY g.created_at DESC, g.id LIMIT 200`, subject, micros(t.db.now()))
}

func (t oidcTx) AddGrant(g oidc.Grant) error {
	data, err := json.Marshal(grantData{
		Sub: g.Sub, Capacity: g.Capacity, Scopes: g.Scopes, Audience: g.Audience, RedirectURI: g.RedirectURI, Nonce: g.Nonce,
		Challenge: g.Challenge, AuthTime: micros(g.AuthTime), AMR: g.AMR, IdentityLevel: int(g.IdentityLevel), AuthLevel: int(g.AuthLevel),
	})
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO oidc_grant (id, client, subject, acts_for, session, offline, data, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		g.ID, g.Client, g.Subject, g.Capacity.For, g.Session, g.Has(oidc.ScopeOffline), string(data), micros(g.Created), micros(g.Expires))
	return err
}

func (t oidcTx) AddToken(k oidc.Token) error {
	if _, err := t.exec(`INSERT INTO oidc_token (hash, kind, grant_id, scopes, issued_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		k.Hash, string(k.Kind), k.Grant, strings.Join(k.Scopes, " "), micros(k.Issued), micros(k.Expires)); err != nil {
		return err
	}
	_, err := t.exec(`UPDATE oidc_grant SET expires_at = $2 WHERE id = $1 AND expires_at < $2`, k.Grant, micros(k.Expires))
	return err
}

// SpendToken takes the lock of the grant first, as revoking does, so that a grant revoked meanwhile spends nothing.
func (t oidcTx) SpendToken(kind oidc.TokenKind, hash []byte, at time.Time) (bool, error) {
	if t.db.engine == PostgreSQL {
		if _, err := t.exec(`SELECT 1 FROM oidc_grant WHERE id = (SELECT grant_id FROM oidc_token WHERE hash = $1) FOR UPDATE`, hash); err != nil {
			return false, err
		}
	}
	n, err := t.exec(`UPDATE oidc_token SET used_at = $3 WHERE hash = $1 AND kind = $2 AND used_at = 0
		AND EXISTS (SELECT 1 FROM oidc_grant g WHERE g.id = oidc_token.grant_id AND g.revoked_at = 0)`, hash, string(kind), micros(at))
	return n == 1, err
}

func (t oidcTx) RevokeGrant(id, why string, at time.Time) (bool, error) {
	n, err := t.exec(`UPDATE oidc_grant SET revoked_at = $3, revoked_why = $2 WHERE id = $1 AND revoked_at = 0`, id, why, micros(at))
	return n == 1, err
}

func (t oidcTx) RevokeSession(session, why string, at time.Time) ([]string, error) {
	return t.revoked(`UPDATE oidc_grant SET revoked_at = $2, revoked_why = $3
		WHERE session = $1 AND NOT offline AND revoked_at = 0 AND expires_at > $2 RETURNING id`, session, micros(at), why)
}

func (t oidcTx) RevokeClient(client, subject, why string, at time.Time) ([]string, error) {
	return t.revoked(`UPDATE oidc_grant SET revoked_at = $2, revoked_why = $3
		WHERE client = $1 AND (subject = $4 OR $4 = '') AND revoked_at = 0 AND expires_at > $2 RETURNING id`, client, micros(at), why, subject)
}

func (t oidcTx) revoked(query string, args ...any) ([]string, error) {
	return list(t.tx, func(s scanner) (id string, err error) { return id, s.Scan(&id) }, query, args...)
}

func (t oidcTx) Purge(at time.Time, limit int) (int, error) {
	old := `(SELECT id FROM oidc_grant WHERE expires_at <= $1 ORDER BY expires_at, id LIMIT $2)`
	if _, err := t.exec(`DELETE FROM oidc_token WHERE grant_id IN `+old, micros(at), limit); err != nil {
		return 0, err
	}
	grants, err := t.exec(`DELETE FROM oidc_grant WHERE id IN `+old, micros(at), limit)
	if err != nil {
		return 0, err
	}
	flows, err := t.exec(`DELETE FROM oidc_interaction WHERE id IN
		(SELECT id FROM oidc_interaction WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)`, micros(at), limit)
	if err != nil {
		return 0, err
	}
	_, err = t.exec(`DELETE FROM oidc_jti WHERE expires_at <= $1`, micros(at))
	return int(grants + flows), err
}
