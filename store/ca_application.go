package store

import (
	"errors"
	"strings"
	"time"

	"hufu/ca"
	"hufu/internal/actor"
)

const caApplicationColumns = `id, profile, profile_version, holder, organization, facts, request, spki, state,
	maker_detail, checkers, reason, request_key, at, decided_at, certificates, envelope`

func (t caTx) scanApplication(s scanner) (a ca.Application, err error) {
	var facts, maker, checkers, reason []byte
	var at, decided int64
	var serials string
	if err := s.Scan(&a.ID, &a.Profile, &a.ProfileVersion, &a.Holder, &a.Organization, &facts, &a.Request, &a.SPKI, &a.State,
		&maker, &checkers, &reason, &a.Key, &at, &decided, &serials, &a.Envelope); err != nil {
		return a, err
	}
	a.At, a.DecidedAt, a.Certificates = fromMicros(at), fromMicros(decided), strings.Fields(serials)
	if a.Reason, err = t.open("ca_application.reason", a.ID, reason); err != nil {
		return a, err
	}
	return a, errors.Join(
		t.openJSON("ca_application.facts", a.ID, facts, &a.Facts),
		t.openJSON("ca_application.maker", a.ID, maker, &a.Maker),
		t.openJSON("ca_application.checkers", a.ID, checkers, &a.Checkers))
}

func (t caTx) Application(id string) (ca.Application, error) {
	row := t.q.QueryRowContext(t.ctx, `SELECT `+caApplicationColumns+` FROM ca_application WHERE id = $1`, id)
	a, err := t.scanApplication(row)
	return a, caMissing(err, "application %q", id)
}

func (t caTx) ApplicationByKey(maker, key string) (ca.Application, error) {
	row := t.q.QueryRowContext(t.ctx, `SELECT `+caApplicationColumns+` FROM ca_application WHERE maker = $1 AND request_key = $2 AND request_key <> ''`, maker, key)
	a, err := t.scanApplication(row)
	return a, caMissing(err, "application of %s with key %q", maker, key)
}

func (t caTx) Applications(f ca.ApplicationFilter) ([]ca.Application, error) {
	before := int64(1) << 62
	if !f.Before.IsZero() {
		before = micros(f.Before)
	}
	return list(t.tx, t.scanApplication, `SELECT `+caApplicationColumns+` FROM ca_application
		WHERE ($1 = '' OR state = $1) AND ($2 = '' OR holder = $2) AND at < $3 ORDER BY at DESC, id LIMIT $4`,
		string(f.State), f.Holder, before, f.Limit)
}

func (t caTx) AddApplication(a ca.Application) error {
	facts, err1 := t.sealJSON("ca_application.facts", a.ID, a.Facts)
	maker, err2 := t.sealJSON("ca_application.maker", a.ID, a.Maker)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	_, err := t.exec(`INSERT INTO ca_application (id, profile, profile_version, holder, organization, facts, request, spki, state,
			maker, maker_detail, request_key, at, decided_at, certificates)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, '')`,
		a.ID, a.Profile, a.ProfileVersion, a.Holder, a.Organization, facts, a.Request, a.SPKI, string(a.State),
		a.Maker.String(), maker, a.Key, micros(a.At), micros(a.DecidedAt))
	if duplicate(err) {
		return ca.ErrState.With("application of %s with key %q is there already", a.Maker, a.Key)
	}
	return err
}

func (t caTx) Decide(id string, state ca.State, checkers []actor.Actor, reason string, at time.Time) (bool, error) {
	sealed, err1 := t.sealJSON("ca_application.checkers", id, checkers)
	why, err2 := t.seal("ca_application.reason", id, reason)
	if err := errors.Join(err1, err2); err != nil {
		return false, err
	}
	n, err := t.exec(`UPDATE ca_application SET state = $2, checkers = $3, reason = $4, decided_at = $5 WHERE id = $1 AND state = 'submitted'`,
		id, string(state), sealed, why, micros(at))
	return n == 1, err
}

func (t caTx) SetIssued(id string, serials []string, envelope []byte) (bool, error) {
	n, err := t.exec(`UPDATE ca_application SET state = 'issued', certificates = $2, envelope = $3 WHERE id = $1 AND state = 'approved'`,
		id, strings.Join(serials, " "), envelope)
	return n == 1, err
}
