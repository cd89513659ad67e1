package store

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"hufu/identity"
	"hufu/oidc"
)

const requestColumn = "oidc_interaction.request"

func (t oidcTx) Interaction(id string) (in oidc.InteractionRecord, err error) {
	var sealed []byte
	var capacity string
	var prior, created, expires, spent int64
	in.ID = id
	err = t.one([]any{&in.BrowserHash, &in.Client, &sealed, &in.PriorLogin, &prior, &capacity, &created, &expires, &spent},
		`SELECT browser_hash, client, request, prior_login, prior_auth, capacity, created_at, expires_at, spent_at
		FROM oidc_interaction WHERE id = $1`, id)
	if err != nil {
		return in, missing(err, "interaction "+id)
	}
	in.PriorAuth, in.Created, in.Expires, in.Spent = fromMicros(prior), fromMicros(created), fromMicros(expires), fromMicros(spent)
	clear, err := t.open(requestColumn, id, sealed)
	if err != nil {
		return in, err
	}
	in.Request = []byte(clear)
	if capacity != "" {
		in.Capacity = new(identity.Capacity)
		err = json.Unmarshal([]byte(capacity), in.Capacity)
	}
	return in, err
}

func (t oidcTx) AddInteraction(in oidc.InteractionRecord) error {
	sealed, err := t.seal(requestColumn, in.ID, string(in.Request))
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO oidc_interaction (id, browser_hash, client, request, prior_login, prior_auth, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		in.ID, in.BrowserHash, in.Client, sealed, in.PriorLogin, micros(in.PriorAuth), micros(in.Created), micros(in.Expires))
	return err
}

func (t oidcTx) ChooseCapacity(in oidc.InteractionRecord) (bool, error) {
	capacity, err := json.Marshal(in.Capacity)
	if err != nil {
		return false, err
	}
	n, err := t.exec(`UPDATE oidc_interaction SET capacity = $2 WHERE id = $1 AND spent_at = 0`, in.ID, string(capacity))
	return n == 1, err
}

func (t oidcTx) SpendInteraction(id string, at time.Time) (bool, error) {
	n, err := t.exec(`UPDATE oidc_interaction SET spent_at = $2 WHERE id = $1 AND spent_at = 0 AND expires_at > $2`, id, micros(at))
	return n == 1, err
}

func (t oidcTx) Consent(subject, client string) (c oidc.Consent, err error) {
	var scopes string
	var given int64
	err = t.one([]any{&scopes, &c.Kind, &c.For, &c.Post, &given},
		`SELECT scopes, kind, acts_for, post, given_at FROM oidc_consent WHERE subject = $1 AND client = $2`, subject, client)
	if err != nil {
		return oidc.Consent{}, missing(err, "consent")
	}
	c.Subject, c.Client, c.Scopes, c.Given = subject, client, strings.Fields(scopes), fromMicros(given)
	return c, nil
}

func (t oidcTx) SetConsent(c oidc.Consent) error {
	_, err := t.exec(`INSERT INTO oidc_consent (subject, client, scopes, kind, acts_for, post, given_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (subject, client) DO UPDATE SET scopes = $3, kind = $4, acts_for = $5, post = $6, given_at = $7`,
		c.Subject, c.Client, strings.Join(c.Scopes, " "), string(c.Kind), c.For, c.Post, micros(c.Given))
	return err
}

func (t oidcTx) DropConsent(subject, client string) error {
	_, err := t.exec(`DELETE FROM oidc_consent WHERE subject = $1 AND client = $2`, subject, client)
	return err
}

func (t oidcTx) Sub(subject, sector string) (sub string, err error) {
	err = t.one([]any{&sub}, `SELECT sub FROM oidc_sub WHERE subject = $1 AND sector = $2`, subject, sector)
	return sub, missing(err, "sub of "+subject)
}

func (t oidcTx) SubjectOf(sub, sector string) (subject string, err error) {
	err = t.one([]any{&subject}, `SELECT subject FROM oidc_sub WHERE sub = $1 AND sector = $2`, sub, sector)
	return subject, missing(err, "subject of a sub")
}

func (t oidcTx) EnsureSub(subject, sector, fresh string) (string, error) {
	if sub, err := t.Sub(subject, sector); err == nil || !errors.Is(err, oidc.ErrNotFound) {
		return sub, err
	}
	if _, err := t.exec(`INSERT INTO oidc_sub (subject, sector, sub) VALUES ($1, $2, $3) ON CONFLICT (subject, sector) DO NOTHING`,
		subject, sector, fresh); err != nil {
		return "", err
	}
	return t.Sub(subject, sector)
}
