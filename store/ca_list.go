package store

import (
	"strconv"
	"time"

	"hufu/ca"
)

const caListColumns = `issuer, shard, number, claimed, this_update, next_update, read_at, entries, blob, size, sm3, delta_blob, delta_size,
	base_number, base_read, base_until, next_number, next_read, next_until`

func scanList(s scanner) (l ca.List, err error) {
	var this, next, read int64
	var base, after [2]int64
	err = s.Scan(&l.Issuer, &l.Shard, &l.Number, &l.Claimed, &this, &next, &read, &l.Entries, &l.Complete.ID, &l.Complete.Size, &l.SM3, &l.Delta.ID, &l.Delta.Size,
		&l.Base.Number, &base[0], &base[1], &l.NextBase.Number, &after[0], &after[1])
	l.ThisUpdate, l.NextUpdate, l.ReadAt = fromMicros(this), fromMicros(next), fromMicros(read)
	l.Base.ReadAt, l.Base.Until = fromMicros(base[0]), fromMicros(base[1])
	l.NextBase.ReadAt, l.NextBase.Until = fromMicros(after[0]), fromMicros(after[1])
	return l, err
}

func (t caTx) List(issuer string, shard int) (ca.List, error) {
	l, err := scanList(t.q.QueryRowContext(t.ctx, `SELECT `+caListColumns+` FROM ca_list_state WHERE issuer = $1 AND shard = $2 AND number > 0`, issuer, shard))
	return l, caMissing(err, "list %d of %q", shard, issuer)
}

func (t caTx) Lists() ([]ca.List, error) {
	return list(t.tx, scanList, `SELECT `+caListColumns+` FROM ca_list_state ORDER BY issuer, shard`)
}

func (t caTx) ListPart(blob string, offset int64) (p ca.ListPart, err error) {
	err = t.one([]any{&p.Blob, &p.Start, &p.Issuer, &p.Shard, &p.DER}, `SELECT blob, start, issuer, shard, der FROM ca_list_part
		WHERE blob = $1 AND start <= $2 ORDER BY start DESC LIMIT 1`, blob, offset)
	return p, caMissing(err, "octets of list %s", blob)
}

func (t caTx) Unlisted(before time.Time) ([]ca.List, error) {
	return list(t.tx, scanList, `SELECT `+caListColumns+` FROM ca_list_state s WHERE EXISTS (SELECT 1 FROM ca_status_event e
		WHERE e.issuer = s.issuer AND e.shard = s.shard AND e.at > s.read_at AND e.at < $1) ORDER BY issuer, shard`, micros(before))
}

func (t caTx) EnsureList(issuer string, shard int) error {
	_, err := t.exec(`INSERT INTO ca_list_state (issuer, shard, number, claimed, leased_until, this_update, next_update, read_at, entries, blob, size, sm3,
			delta_blob, delta_size, base_number, base_read, base_until, next_number, next_read, next_until)
		VALUES ($1, $2, 0, 0, 0, 0, 0, 0, 0, '', 0, $3, '', 0, 0, 0, 0, 0, 0, 0) ON CONFLICT (issuer, shard) DO NOTHING`, issuer, shard, []byte{})
	return err
}

func (t caTx) ClaimList(issuer string, shard int, now, until time.Time) (ca.List, bool, error) {
	claimed, err := list(t.tx, scanList, `UPDATE ca_list_state SET claimed = CASE WHEN claimed < $5 THEN $5 ELSE claimed + 1 END, leased_until = $4
		WHERE issuer = $1 AND shard = $2 AND (leased_until <= $3 OR leased_until > $4) RETURNING `+caListColumns,
		issuer, shard, micros(now), micros(until), now.UnixMilli())
	if err != nil || len(claimed) == 0 {
		return ca.List{}, false, err
	}
	return claimed[0], true, nil
}

func (t caTx) HoldList(l ca.List, until time.Time) error {
	_, err := t.exec(`UPDATE ca_list_state SET leased_until = $4 WHERE issuer = $1 AND shard = $2 AND claimed = $3 AND leased_until > 0`,
		l.Issuer, l.Shard, int64(l.Number), micros(until))
	return err
}

func (t caTx) ReleaseList(l ca.List) error { return t.HoldList(l, time.Time{}) }

func (t caTx) AddListPart(p ca.ListPart) error {
	_, err := t.exec(`INSERT INTO ca_list_part (blob, start, issuer, shard, der) VALUES ($1, $2, $3, $4, $5)`, p.Blob, p.Start, p.Issuer, p.Shard, p.DER)
	return err
}

func (t caTx) PublishList(l ca.List) (bool, error) {
	n, err := t.exec(`UPDATE ca_list_state SET number = $3, leased_until = 0, this_update = $4, next_update = $5, read_at = $6, entries = $7,
			blob = $8, size = $9, delta_blob = $10, delta_size = $11, base_number = $12, base_read = $13, base_until = $14,
			next_number = $15, next_read = $16, next_until = $17, sm3 = $18
		WHERE issuer = $1 AND shard = $2 AND claimed = $3 AND number < $3 AND this_update <= $4`,
		l.Issuer, l.Shard, int64(l.Number), micros(l.ThisUpdate), micros(l.NextUpdate), micros(l.ReadAt), l.Entries,
		l.Complete.ID, l.Complete.Size, l.Delta.ID, l.Delta.Size, int64(l.Base.Number), micros(l.Base.ReadAt), micros(l.Base.Until),
		int64(l.NextBase.Number), micros(l.NextBase.ReadAt), micros(l.NextBase.Until), l.SM3)
	return n == 1, err
}

func (t caTx) DropListParts(issuer string, shard int, keep ...string) error {
	query, args := `DELETE FROM ca_list_part WHERE issuer = $1 AND shard = $2`, []any{issuer, shard}
	for _, blob := range keep {
		args = append(args, blob)
		query += ` AND blob <> $` + strconv.Itoa(len(args))
	}
	_, err := t.exec(query, args...)
	return err
}
