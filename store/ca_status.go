package store

import (
	"database/sql"
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

func (t caTx) Issued(issuer string, serial []byte) (bool, error) {
	var n int
	err := t.one([]any{&n}, `SELECT count(*) FROM ca_certificate WHERE serial = $1 AND issuer = $2`, serial, issuer)
	return n > 0, err
}

func (t caTx) LastChange() (time.Time, error) {
	var at int64
	err := t.one([]any{&at}, `SELECT COALESCE(max(at), 0) FROM ca_status_event`)
	return fromMicros(at), err
}

func (t caTx) Revocations(issuer string, shard int, since time.Time, f func(ca.Revocation) error) error {
	const columns = `SELECT serial, at, reason, invalid FROM ca_revocation `
	// Two texts, so that each is read along its own index.
	query, args := columns+`WHERE issuer = $1 AND shard = $2 AND (not_after > $3 OR at > $3) ORDER BY serial`, []any{issuer, shard, micros(since)}
	if shard == ca.FullShard {
		query, args = columns+`WHERE issuer = $1 AND (not_after > $2 OR at > $2) ORDER BY serial`, []any{issuer, micros(since)}
	}
	if t.db.engine == PostgreSQL {
		return t.stream(f, query, args...)
	}
	return t.walk(f, scanListed, query, args...)
}

// scanListed reads what a list tells of a revocation; the serial is good until the next row.
func scanListed(s scanner) (r ca.Revocation, err error) {
	var at, reason, invalid int64
	err = s.Scan((*sql.RawBytes)(&r.Serial), &at, &reason, &invalid)
	r.At, r.Reason, r.Invalid = fromMicros(at), certs.Reason(reason), fromMicros(invalid)
	return r, err
}

func (t caTx) Changes(issuer string, shard int, since time.Time, f func(ca.Revocation) error) error {
	scan := func(s scanner) (ca.Revocation, error) {
		r := ca.Revocation{Issuer: issuer, Shard: shard}
		var changed, at, reason, invalid int64
		err := s.Scan(&r.Serial, &changed, &at, &reason, &invalid)
		r.At, r.Reason, r.Invalid = fromMicros(at), certs.Reason(reason), fromMicros(invalid)
		if at == 0 {
			r.At = fromMicros(changed)
		}
		return r, err
	}
	return t.walk(f, scan, `SELECT e.serial, e.changed, COALESCE(r.at, 0), COALESCE(r.reason, 8), COALESCE(r.invalid, 0)
		FROM (SELECT serial, max(at) AS changed FROM ca_status_event WHERE issuer = $1 AND shard = $2 AND at >= $3 GROUP BY serial) e
		LEFT JOIN ca_revocation r ON r.issuer = $1 AND r.serial = e.serial ORDER BY e.serial`, issuer, shard, micros(since))
}

// walk gives f each row of a query as it comes.
func (t caTx) walk(f func(ca.Revocation) error, scan func(scanner) (ca.Revocation, error), query string, args ...any) error {
	rows, err := t.q.QueryContext(t.ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scan(rows)
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

// TakeAlone moves the time at which the budget is whole again, and not further than one budget from now. What is two ahead was
// written while a clock was wrong, and counts for nothing.
func (t caTx) TakeAlone(officer string, now time.Time, cost, whole time.Duration) (bool, error) {
	n, err := t.exec(`INSERT INTO ca_alone (officer, full_at) VALUES ($1, $2)
		ON CONFLICT (officer) DO UPDATE SET full_at = CASE WHEN ca_alone.full_at > $3 AND ca_alone.full_at <= $4 THEN ca_alone.full_at + $5 ELSE excluded.full_at END
		WHERE ca_alone.full_at <= $6 OR ca_alone.full_at > $4`,
		officer, micros(now.Add(cost)), micros(now), micros(now.Add(2*whole)), cost.Microseconds(), micros(now.Add(whole-cost)))
	return n == 1, err
}
