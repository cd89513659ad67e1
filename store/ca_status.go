package store

import (
	"time"

	"hufu/ca"
	"hufu/certs"
)

const caRevocationQuery = `SELECT serial, issuer, shard, at, reason, invalid, not_after, hold_until, held_by FROM ca_revocation `

func scanRevocation(s scanner) (r ca.Revocation, err error) {
	var at, invalid, notAfter, until int64
	var reason int
	err = s.Scan(&r.Serial, &r.Issuer, &r.Shard, &at, &reason, &invalid, &notAfter, &until, &r.HeldBy)
	r.At, r.Invalid, r.NotAfter, r.HoldUntil = fromMicros(at), fromMicros(invalid), fromMicros(notAfter), fromMicros(until)
	r.Reason = certs.Reason(reason)
	return r, err
}

func (t caTx) Revocation(issuer string, serial []byte) (ca.Revocation, error) {
	r, err := scanRevocation(t.q.QueryRowContext(t.ctx, caRevocationQuery+`WHERE issuer = $1 AND serial = $2`, issuer, serial))
	return r, caMissing(err, "revocation of %x", serial)
}

func (t caTx) Revocations(issuer string, shard int, endsAfter time.Time, f func(ca.Revocation) error) error {
	rows, err := t.q.QueryContext(t.ctx, caRevocationQuery+`WHERE issuer = $1 AND (shard = $2 OR $2 = -1) AND not_after > $3 ORDER BY serial`, issuer, shard, micros(endsAfter))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scanRevocation(rows)
		if err != nil {
			return err
		}
		if err := f(r); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (t caTx) AddRevocation(r ca.Revocation) (bool, error) {
	n, err := t.exec(`INSERT INTO ca_revocation (issuer, serial, shard, at, reason, invalid, not_after, hold_until, held_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (issuer, serial) DO NOTHING`,
		r.Issuer, r.Serial, r.Shard, micros(r.At), int(r.Reason), micros(r.Invalid), micros(r.NotAfter), micros(r.HoldUntil), r.HeldBy)
	return n == 1, err
}

func (t caTx) List(issuer string, shard int) (l ca.List, err error) {
	var this, next int64
	err = t.one([]any{&l.Issuer, &l.Shard, &l.Number, &this, &next, &l.DER},
		`SELECT issuer, shard, number, this_update, next_update, der FROM ca_list WHERE issuer = $1 AND shard = $2`, issuer, shard)
	l.ThisUpdate, l.NextUpdate = fromMicros(this), fromMicros(next)
	return l, caMissing(err, "list %d of %q", shard, issuer)
}

func (t caTx) PutList(l ca.List) (bool, error) {
	n, err := t.exec(`INSERT INTO ca_list (issuer, shard, number, this_update, next_update, der) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (issuer, shard) DO UPDATE SET number = excluded.number, this_update = excluded.this_update, next_update = excluded.next_update, der = excluded.der
		WHERE ca_list.number < excluded.number AND ca_list.this_update <= excluded.this_update`,
		l.Issuer, l.Shard, int64(l.Number), micros(l.ThisUpdate), micros(l.NextUpdate), l.DER)
	return n == 1, err
}
