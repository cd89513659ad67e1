package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"hufu/internal/actor"
	"hufu/seal"
)

// Seals returns the seal service's store.
func (db *DB) Seals() seal.Store { return sealStore{db} }

type sealStore struct{ db *DB }

func (s sealStore) View(ctx context.Context, f func(seal.R) error) error {
	return s.db.view(ctx, func(t *tx) error { return f(sealTx{t}) })
}

func (s sealStore) Update(ctx context.Context, f func(seal.W) error) error {
	return s.db.update(ctx, func(t *tx) error { return f(sealTx{t}) })
}

type sealTx struct{ *tx }

var (
	_ seal.Store = sealStore{}
	_ seal.W     = sealTx{}
)

func (t sealTx) Seal(code string) (s seal.Seal, err error) {
	var reason, maker, checker []byte
	var at, from, until, changed int64
	err = t.one([]any{
		&s.Code, &s.Owner, &s.OwnerName, &s.Name, &s.Line, &s.Style, &s.Type, &s.State, &reason, &maker, &checker,
		&s.KeyID, &s.Cert, &s.ESL, &s.SVG, &s.PNG, &at, &from, &until, &changed,
	}, `SELECT code, owner, owner_name, name, line, style, type, state, reason, maker, checker,
			key_id, cert, esl, svg, png, at, valid_from, valid_until, changed_at FROM seal WHERE code = $1`, code)
	if errors.Is(err, errNoRow) {
		return s, seal.ErrUnknown.With("seal %q", code)
	}
	if err != nil {
		return s, err
	}
	s.At, s.ValidFrom, s.ValidUntil, s.ChangedAt = fromMicros(at), fromMicros(from), fromMicros(until), fromMicros(changed)
	if s.Reason, err = t.open("seal.reason", code, reason); err != nil {
		return s, err
	}
	return s, errors.Join(t.openJSON("seal.maker", code, maker, &s.Maker), t.openJSON("seal.checker", code, checker, &s.Checker))
}

func (t sealTx) Seals(f seal.Filter) ([]seal.Seal, error) {
	return list(t.tx, func(r scanner) (s seal.Seal, err error) {
		var at, from, until, changed int64
		var reason []byte
		if err = r.Scan(&s.Code, &s.Owner, &s.OwnerName, &s.Name, &s.Line, &s.Style, &s.Type, &s.State, &reason, &at, &from, &until, &changed); err != nil {
			return s, err
		}
		s.At, s.ValidFrom, s.ValidUntil, s.ChangedAt = fromMicros(at), fromMicros(from), fromMicros(until), fromMicros(changed)
		s.Reason, err = t.open("seal.reason", s.Code, reason)
		return s, err
	}, `SELECT code, owner, owner_name, name, line, style, type, state, reason, at, valid_from, valid_until, changed_at FROM seal
		WHERE ($1 = '' OR owner = $1) AND ($2 = '' OR state = $2) AND code > $3 ORDER BY code LIMIT $4`, f.Owner, string(f.State), f.After, f.Limit)
}

func (t sealTx) AddSeal(s seal.Seal) error {
	maker, err := t.sealJSON("seal.maker", s.Code, s.Maker)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO seal (code, owner, owner_name, name, line, style, type, state, maker, at, valid_from, valid_until, changed_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		s.Code, s.Owner, s.OwnerName, s.Name, s.Line, s.Style, s.Type, string(s.State), maker, micros(s.At), micros(s.ValidFrom), micros(s.ValidUntil), micros(s.ChangedAt))
	if duplicate(err) {
		return seal.ErrState.With("seal %q is there already", s.Code)
	}
	return err
}

func (t sealTx) Move(code string, to seal.State, reason string, by actor.Actor, at time.Time, from ...seal.State) (bool, error) {
	why, err1 := t.seal("seal.reason", code, reason)
	checker, err2 := t.sealJSON("seal.checker", code, by)
	if err := errors.Join(err1, err2); err != nil {
		return false, err
	}
	for _, f := range slices.Compact(slices.Sorted(slices.Values(from))) {
		n, err := t.exec(`UPDATE seal SET state = $2, reason = $3, changed_at = $4,
				checker = CASE WHEN state = 'applied' THEN $5 ELSE checker END
			WHERE code = $1 AND state = $6`, code, string(to), why, micros(at), checker, string(f))
		if err != nil || n == 1 {
			return n == 1, err
		}
	}
	return false, nil
}

func (t sealTx) SetMade(code string, m seal.Made) error {
	_, err := t.exec(`UPDATE seal SET key_id = CASE WHEN key_id = '' THEN $2 ELSE key_id END, cert = COALESCE(cert, $3), esl = COALESCE($4, esl),
			svg = COALESCE($5, svg), png = COALESCE($6, png),
			valid_from = CASE WHEN CAST($7 AS BIGINT) = 0 THEN valid_from ELSE CAST($7 AS BIGINT) END, valid_until = CASE WHEN CAST($8 AS BIGINT) = 0 THEN valid_until ELSE CAST($8 AS BIGINT) END
		WHERE code = $1 AND state = 'approved'`, code, m.KeyID, m.Cert, m.ESL, m.SVG, m.PNG, micros(m.ValidFrom), micros(m.ValidUntil))
	return err
}

func (t sealTx) AddUse(u seal.Use) error {
	purpose, err1 := t.seal("seal_use.purpose", u.ID, u.Purpose)
	by, err2 := t.sealJSON("seal_use.actor", u.ID, u.Actor)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	_, err := t.exec(`INSERT INTO seal_use (id, seal, document, purpose, actor, state, at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		u.ID, u.Seal, u.Document, purpose, by, string(u.State), micros(u.At))
	return err
}

func (t sealTx) EndUse(id string, to seal.UseState, result []byte, at time.Time) (bool, error) {
	n, err := t.exec(`UPDATE seal_use SET state = $2, result = $3, completed_at = $4 WHERE id = $1 AND state = 'intended'`, id, string(to), result, micros(at))
	return n == 1, err
}

func (t sealTx) scanUse(r scanner) (u seal.Use, err error) {
	var purpose, by []byte
	var at, completed int64
	if err = r.Scan(&u.ID, &u.Seal, &u.Document, &purpose, &by, &u.State, &u.Result, &at, &completed); err != nil {
		return u, err
	}
	u.At, u.Completed = fromMicros(at), fromMicros(completed)
	if u.Purpose, err = t.open("seal_use.purpose", u.ID, purpose); err != nil {
		return u, err
	}
	return u, t.openJSON("seal_use.actor", u.ID, by, &u.Actor)
}

func (t sealTx) UsesIntended(before time.Time, limit int) ([]seal.Use, error) {
	return list(t.tx, t.scanUse, `SELECT id, seal, document, purpose, actor, state, result, at, completed_at FROM seal_use
		WHERE state = 'intended' AND at < $1 ORDER BY at LIMIT $2`, micros(before), limit)
}

func (t sealTx) Uses(code string, before time.Time, limit int) ([]seal.Use, error) {
	end := int64(1) << 62
	if !before.IsZero() {
		end = micros(before)
	}
	return list(t.tx, t.scanUse, `SELECT id, seal, document, purpose, actor, state, result, at, completed_at FROM seal_use
		WHERE seal = $1 AND at < $2 ORDER BY at DESC, id LIMIT $3`, code, end, limit)
}

func scanStood(r scanner) (s seal.Stood, err error) {
	var at int64
	err = r.Scan(&s.ID, &s.Seal, &s.Person, &s.Capacity, &at, &s.Ended)
	s.At = fromMicros(at)
	return s, err
}

func (t sealTx) Stood(code string, limit int) ([]seal.Stood, error) {
	return list(t.tx, scanStood, `SELECT id, seal, person, capacity, at, ended FROM seal_standing WHERE seal = $1 ORDER BY at DESC, id LIMIT $2`, code, limit)
}

func (t sealTx) StoodBy(subject string) ([]seal.Stood, error) {
	return list(t.tx, scanStood, `SELECT id, seal, person, capacity, at, ended FROM seal_standing WHERE person = $1 AND NOT ended
		UNION SELECT p.id, p.seal, p.person, p.capacity, p.at, p.ended FROM seal_standing p JOIN seal s ON s.code = p.seal WHERE s.owner = $1 AND NOT p.ended`, subject)
}

func (t sealTx) SetStood(s seal.Stood) error {
	_, err := t.exec(`INSERT INTO seal_standing (id, seal, person, capacity, at, ended) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (id) DO UPDATE SET ended = seal_standing.ended OR excluded.ended`, s.ID, s.Seal, s.Person, s.Capacity, micros(s.At), s.Ended)
	return err
}
