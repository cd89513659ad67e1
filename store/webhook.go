package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"hufu/audit"
	"hufu/audit/webhook"
)

// Webhooks returns the store of package audit/webhook.
func (db *DB) Webhooks() webhook.Store { return webhookStore{db} }

type webhookStore struct{ db *DB }

func (s webhookStore) View(ctx context.Context, f func(webhook.R) error) error {
	return s.db.view(ctx, func(t *tx) error { return f(webhookTx{t}) })
}

func (s webhookStore) Update(ctx context.Context, f func(webhook.W) error) error {
	return s.db.update(ctx, func(t *tx) error { return f(webhookTx{t}) })
}

type webhookTx struct{ *tx }

var (
	_ webhook.Store = webhookStore{}
	_ webhook.W     = webhookTx{}
)

func (t webhookTx) Record(e audit.Entry) error { return t.record(e) }

const subscriptionColumns = `id, name, url, actions, state, reason, maker, at, next, sent, last_sent, failing, tries, not_before, last_error, epoch`

func scanSubscription(s scanner) (v webhook.Subscription, err error) {
	var actions string
	var at, next, sent, lastSent, failing, notBefore, epoch int64
	err = s.Scan(&v.ID, &v.Name, &v.URL, &actions, &v.State, &v.Reason, &v.Maker, &at, &next, &sent, &lastSent, &failing, &v.Tries, &notBefore, &v.LastError, &epoch)
	v.Actions, v.At, v.Next, v.Sent = strings.Fields(actions), fromMicros(at), uint64(next), uint64(sent)
	v.LastSent, v.Failing, v.NotBefore = fromMicros(lastSent), fromMicros(failing), fromMicros(notBefore)
	v.SetEpoch(epoch)
	return v, err
}

func (t webhookTx) Subscription(id string) (webhook.Subscription, error) {
	v, err := scanSubscription(t.q.QueryRowContext(t.ctx, `SELECT `+subscriptionColumns+` FROM webhook_subscription WHERE id = $1`, id))
	if errors.Is(err, errNoRow) {
		err = webhook.ErrUnknown.With("subscription %.60q", id)
	}
	return v, err
}

func (t webhookTx) Subscriptions() ([]webhook.Subscription, error) {
	return list(t.tx, scanSubscription, `SELECT `+subscriptionColumns+` FROM webhook_subscription ORDER BY at, id`)
}

func (t webhookTx) Due(size uint64, now time.Time, limit int) ([]string, error) {
	return list(t.tx, func(s scanner) (id string, err error) { return id, s.Scan(&id) },
		`SELECT id FROM webhook_subscription WHERE state = 'active' AND next < $1 AND not_before <= $2 AND leased_until <= $2 ORDER BY not_before LIMIT $3`,
		int64(size), micros(now), limit)
}

func (t webhookTx) Signed() (uint64, error) {
	signed, err := auditTx(t).Checkpoint(0)
	if errors.Is(err, audit.ErrPending) {
		return 0, nil
	}
	return signed.Head.Size, err
}

func (t webhookTx) Leaves(first uint64, n int) ([][]byte, error) {
	return auditTx(t).Leaves(first, n)
}

func (t webhookTx) AddSubscription(v webhook.Subscription) error {
	_, err := t.exec(`INSERT INTO webhook_subscription (`+subscriptionColumns+`, leased_until)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0, 0)`,
		v.ID, v.Name, v.URL, strings.Join(v.Actions, " "), string(v.State), v.Reason, v.Maker, micros(v.At), int64(v.Next), int64(v.Sent),
		micros(v.LastSent), micros(v.Failing), v.Tries, micros(v.NotBefore), v.LastError)
	return err
}

func (t webhookTx) MoveSubscription(id string, from, to webhook.State, reason string) (bool, error) {
	n, err := t.exec(`UPDATE webhook_subscription SET state = $3, reason = $4, epoch = epoch + 1, leased_until = 0,
			failing = CASE WHEN $3 = 'active' THEN 0 ELSE failing END, tries = CASE WHEN $3 = 'active' THEN 0 ELSE tries END,
			not_before = CASE WHEN $3 = 'active' THEN 0 ELSE not_before END
		WHERE id = $1 AND state = $2`, id, string(from), string(to), reason)
	return n == 1, err
}

func (t webhookTx) Claim(id string, now, until time.Time) (webhook.Subscription, bool, error) {
	v, err := scanSubscription(t.q.QueryRowContext(t.ctx, `UPDATE webhook_subscription SET leased_until = $3, epoch = epoch + 1
		WHERE id = $1 AND state = 'active' AND not_before <= $2 AND leased_until <= $2 RETURNING `+subscriptionColumns, id, micros(now), micros(until)))
	if errors.Is(err, errNoRow) {
		return v, false, nil
	}
	return v, err == nil, err
}

func (t webhookTx) Advance(v webhook.Subscription) (bool, error) {
	n, err := t.exec(`UPDATE webhook_subscription SET next = $3, sent = $4, last_sent = $5, failing = $6, tries = $7, not_before = $8,
			last_error = $9, leased_until = 0
		WHERE id = $1 AND epoch = $2 AND state = 'active'`,
		v.ID, v.Epoch(), int64(v.Next), int64(v.Sent), micros(v.LastSent), micros(v.Failing), v.Tries, micros(v.NotBefore), v.LastError)
	return n == 1, err
}
