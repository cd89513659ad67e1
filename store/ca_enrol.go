package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"hufu/ca/enrol"
)

// Enrol returns the store of package ca/enrol.
func (db *DB) Enrol() enrol.Store { return enrolStore{db} }

type enrolStore struct{ db *DB }

func (s enrolStore) View(ctx context.Context, f func(enrol.R) error) error {
	return s.db.view(ctx, func(t *tx) error { return f(enrolTx{t}) })
}

func (s enrolStore) Update(ctx context.Context, f func(enrol.W) error) error {
	return s.db.update(ctx, func(t *tx) error { return f(enrolTx{t}) })
}

type enrolTx struct{ *tx }

var (
	_ enrol.Store = enrolStore{}
	_ enrol.W     = enrolTx{}
)

func enrolMissing(err error, format string, args ...any) error {
	if errors.Is(err, errNoRow) {
		return enrol.ErrUnknown.With(format, args...)
	}
	return err
}

const enrolSecretColumns = `id, profile, holder, organization, facts, uses_left, tries, ends_at, revoked_at, maker, at`

func (t enrolTx) scanSecret(s scanner) (e enrol.Secret, err error) {
	var facts, maker []byte
	var ends, revoked, at int64
	if err := s.Scan(&e.ID, &e.Profile, &e.Holder, &e.Organization, &facts, &e.Left, &e.Tries, &ends, &revoked, &maker, &at); err != nil {
		return e, err
	}
	e.Ends, e.Revoked, e.At = fromMicros(ends), fromMicros(revoked), fromMicros(at)
	return e, errors.Join(t.openJSON("enrol_secret.facts", e.ID, facts, &e.Facts), t.openJSON("enrol_secret.maker", e.ID, maker, &e.Maker))
}

func (t enrolTx) Secret(id string) (enrol.Secret, error) {
	e, err := t.scanSecret(t.q.QueryRowContext(t.ctx, `SELECT `+enrolSecretColumns+` FROM enrol_secret WHERE id = $1`, id))
	if err != nil {
		return e, enrolMissing(err, "secret %q", id)
	}
	var sealed []byte
	if err := t.one([]any{&sealed}, `SELECT value FROM enrol_secret WHERE id = $1`, id); err != nil {
		return e, enrolMissing(err, "secret %q", id)
	}
	e.Value, err = t.open("enrol_secret.value", id, sealed)
	return e, err
}

func (t enrolTx) Secrets(f enrol.SecretFilter) ([]enrol.Secret, error) {
	before := int64(1) << 62
	if !f.Before.IsZero() {
		before = micros(f.Before)
	}
	return list(t.tx, t.scanSecret, `SELECT `+enrolSecretColumns+` FROM enrol_secret
		WHERE ($1 = '' OR holder = $1) AND at < $2 ORDER BY at DESC, id LIMIT $3`, f.Holder, before, f.Limit)
}

func (t enrolTx) AddSecret(e enrol.Secret) error {
	facts, err1 := t.sealJSON("enrol_secret.facts", e.ID, e.Facts)
	maker, err2 := t.sealJSON("enrol_secret.maker", e.ID, e.Maker)
	value, err3 := t.seal("enrol_secret.value", e.ID, e.Value)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	_, err := t.exec(`INSERT INTO enrol_secret (id, profile, holder, organization, facts, value, uses_left, ends_at, maker, at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		e.ID, e.Profile, e.Holder, e.Organization, facts, value, e.Left, micros(e.Ends), maker, micros(e.At))
	return err
}

func (t enrolTx) CountTry(id string, limit int) (bool, error) {
	n, err := t.exec(`UPDATE enrol_secret SET tries = tries + 1 WHERE id = $1 AND tries < $2 AND revoked_at = 0`, id, limit)
	return n == 1, err
}

func (t enrolTx) ClearTries(id string) error {
	_, err := t.exec(`UPDATE enrol_secret SET tries = 0 WHERE id = $1`, id)
	return err
}

func (t enrolTx) Use(id string, now time.Time) (bool, error) {
	n, err := t.exec(`UPDATE enrol_secret SET uses_left = uses_left - 1 WHERE id = $1 AND uses_left > 0 AND ends_at > $2 AND revoked_at = 0`,
		id, micros(now))
	return n == 1, err
}

func (t enrolTx) GiveBack(id string) error {
	_, err := t.exec(`UPDATE enrol_secret SET uses_left = uses_left + 1 WHERE id = $1`, id)
	return err
}

func (t enrolTx) Revoke(id string, at time.Time) (bool, error) {
	n, err := t.exec(`UPDATE enrol_secret SET revoked_at = $2 WHERE id = $1 AND revoked_at = 0`, id, micros(at))
	return n == 1, err
}

func (t enrolTx) scanClient(s scanner) (c enrol.Client, err error) {
	var profiles string
	var maker []byte
	var at int64
	if err := s.Scan(&c.Subject, &profiles, &c.Revokes, &maker, &at); err != nil {
		return c, err
	}
	c.Profiles, c.At = strings.Fields(profiles), fromMicros(at)
	return c, t.openJSON("enrol_client.maker", c.Subject, maker, &c.Maker)
}

func (t enrolTx) Client(subject string) (enrol.Client, error) {
	c, err := t.scanClient(t.q.QueryRowContext(t.ctx, `SELECT subject, profiles, revokes, maker, at FROM enrol_client WHERE subject = $1`, subject))
	return c, enrolMissing(err, "registration client %q", subject)
}

func (t enrolTx) Clients() ([]enrol.Client, error) {
	return list(t.tx, t.scanClient, `SELECT subject, profiles, revokes, maker, at FROM enrol_client ORDER BY subject LIMIT 1000`)
}

func (t enrolTx) PutClient(c enrol.Client) error {
	maker, err := t.sealJSON("enrol_client.maker", c.Subject, c.Maker)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO enrol_client (subject, profiles, revokes, maker, at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (subject) DO UPDATE SET profiles = excluded.profiles, revokes = excluded.revokes, maker = excluded.maker, at = excluded.at`,
		c.Subject, strings.Join(c.Profiles, " "), c.Revokes, maker, micros(c.At))
	return err
}

func (t enrolTx) DropClient(subject string) (bool, error) {
	n, err := t.exec(`DELETE FROM enrol_client WHERE subject = $1`, subject)
	return n == 1, err
}

func (t enrolTx) Transaction(id string) (e enrol.Transaction, err error) {
	var by, answer []byte
	var at, due int64
	err = t.one([]any{&e.ID, &e.Secret, &e.State, &by, &e.Application, &e.Request, &e.Last, &answer, &e.Nonce, &e.RequestID, &e.Reply, &at, &due}, `
		SELECT id, secret, state, actor, application, request, last, answer, nonce, request_id, reply, at, due FROM enrol_transaction WHERE id = $1`, id)
	if err != nil {
		return e, enrolMissing(err, "transaction %q", id)
	}
	e.At, e.Due = fromMicros(at), fromMicros(due)
	text, err := t.open("enrol_transaction.answer", id, answer)
	if text != "" {
		e.Answer = []byte(text)
	}
	return e, errors.Join(err, t.openJSON("enrol_transaction.actor", id, by, &e.By))
}

func (t enrolTx) Overdue(now time.Time, limit int) ([]string, error) {
	return list(t.tx, func(s scanner) (id string, err error) { return id, s.Scan(&id) },
		`SELECT id FROM enrol_transaction WHERE state = 'waiting' AND due <= $1 ORDER BY due LIMIT $2`, micros(now), limit)
}

func (t enrolTx) AddTransaction(e enrol.Transaction) (bool, error) {
	by, err := t.sealJSON("enrol_transaction.actor", e.ID, e.By)
	if err != nil {
		return false, err
	}
	n, err := t.exec(`INSERT INTO enrol_transaction (id, secret, state, actor, application, request, request_id, reply, at, due)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING`,
		e.ID, e.Secret, string(e.State), by, e.Application, e.Request, e.RequestID, e.Reply, micros(e.At), micros(e.Due))
	return n == 1, err
}

func (t enrolTx) Move(from enrol.State, after enrol.Transaction) (bool, error) {
	answer, err := t.seal("enrol_transaction.answer", after.ID, string(after.Answer))
	if err != nil {
		return false, err
	}
	n, err := t.exec(`UPDATE enrol_transaction SET state = $3, application = $4, last = $5, answer = $6, nonce = $7, due = $8 WHERE id = $1 AND state = $2`,
		after.ID, string(from), string(after.State), after.Application, after.Last, answer, after.Nonce, micros(after.Due))
	return n == 1, err
}

func (t enrolTx) Prune(before time.Time, limit int) (int, error) {
	n, err := t.exec(`DELETE FROM enrol_transaction WHERE id IN (SELECT id FROM enrol_transaction
		WHERE at < $1 AND state IN ('done', 'refused', 'rejected', 'lapsed') ORDER BY at LIMIT $2)`, micros(before), limit)
	return int(n), err
}
