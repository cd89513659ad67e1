package store

import (
	"errors"
	"fmt"
	"strings"

	"hufu/ca"
)

const caApplicationColumns = `id, profile, profile_version, holder, organization, facts, request, spki, state, act, replaces,
	authorised_by, maker_detail, checkers, reason, steps, batch, request_key, at, decided_at, delivered_at, certificates, envelope, revision`

func (t caTx) scanApplication(s scanner) (a ca.Application, err error) {
	var facts, maker, checkers, reason, steps []byte
	var at, decided, delivered int64
	var serials string
	if err := s.Scan(&a.ID, &a.Profile, &a.ProfileVersion, &a.Holder, &a.Organization, &facts, &a.Request, &a.SPKI, &a.State, &a.Act, &a.Replaces,
		&a.Authorised, &maker, &checkers, &reason, &steps, &a.Batch, &a.Key, &at, &decided, &delivered, &serials, &a.Envelope, &a.Revision); err != nil {
		return a, err
	}
	a.At, a.DecidedAt, a.DeliveredAt, a.Certificates = fromMicros(at), fromMicros(decided), fromMicros(delivered), strings.Fields(serials)
	if a.Reason, err = t.open("ca_application.reason", a.ID, reason); err != nil {
		return a, err
	}
	return a, errors.Join(
		t.openJSON("ca_application.facts", a.ID, facts, &a.Facts),
		t.openJSON("ca_application.maker", a.ID, maker, &a.Maker),
		t.openJSON("ca_application.checkers", a.ID, checkers, &a.Checkers),
		t.openJSON("ca_application.steps", a.ID, steps, &a.Steps))
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

func (t caTx) OpenApplications(maker string, limit int) (n int, err error) {
	err = t.one([]any{&n}, `SELECT count(*) FROM (SELECT 1 FROM ca_application WHERE maker = $1 AND state IN ('draft', 'submitted') LIMIT $2) AS found`, maker, limit)
	return n, err
}

func (t caTx) ObtainedWith(serials []string, limit int) (all []ca.Obtained, err error) {
	rows, err := inParts(serials, limit, func(part []string, room int) ([]ca.Obtained, error) {
		var q filter
		in(&q, `authorised_by`, part)
		q.add(`authorised_by <> '' AND certificates <> ''`)
		return list(t.tx, func(s scanner) (o ca.Obtained, err error) {
			return o, s.Scan(&o.Serial, &o.Under)
		}, fmt.Sprintf(`SELECT certificates, authorised_by FROM ca_application %s ORDER BY at, id LIMIT %d`, q.text(), room), q.args...)
	})
	for _, row := range rows {
		for _, serial := range strings.Fields(row.Serial) {
			all = append(all, ca.Obtained{Serial: serial, Under: row.Under})
		}
	}
	return all, err
}

func (t caTx) Applications(f ca.ApplicationFilter) ([]ca.Application, error) {
	before, to := int64(1)<<62, int64(1)<<62
	if !f.Before.IsZero() {
		before = micros(f.Before)
	}
	if !f.To.IsZero() {
		to = micros(f.To)
	}
	var q filter
	q.equal(`state`, string(f.State))
	q.equal(`holder`, f.Holder)
	q.equal(`profile`, f.Profile)
	q.equal(`maker`, f.Maker)
	q.equal(`batch`, f.Batch)
	q.add(`at >= ?`, micros(f.From))
	q.add(`at < ?`, to)
	if f.BeforeID == "" {
		q.add(`at < ?`, before)
	} else {
		q.add(`at <= ? AND (at < ? OR id > ?)`, before, before, f.BeforeID)
	}
	return list(t.tx, t.scanApplication, fmt.Sprintf(`SELECT %s FROM ca_application %s ORDER BY at DESC, id LIMIT %d`, caApplicationColumns, q.text(), f.Limit), q.args...)
}

var insertApplication = inserting("ca_application",
	"id text, profile text, profile_version bigint, holder text, organization text, facts bytea, request bytea, spki bytea, state text, act text, "+
		"replaces text, maker text, maker_detail bytea, steps bytea, batch text, request_key text, at bigint, decided_at bigint, authorised_by text, "+
		"certificates text", "")

func (t caTx) AddApplication(a ca.Application) error {
	facts, err1 := t.sealJSON("ca_application.facts", a.ID, a.Facts)
	maker, err2 := t.sealJSON("ca_application.maker", a.ID, a.Maker)
	steps, err3 := t.sealJSON("ca_application.steps", a.ID, a.Steps)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	s := insertApplication.of(
		a.ID, a.Profile, a.ProfileVersion, a.Holder, a.Organization, facts, octets(a.Request), octets(a.SPKI), string(a.State), string(a.Act), a.Replaces,
		a.Maker.String(), maker, steps, a.Batch, a.Key, micros(a.At), micros(a.DecidedAt), a.Authorised, "")
	s.failed = func(err error) error {
		if duplicate(err) {
			return ca.ErrState.With("application of %s with key %q is there already", a.Maker, a.Key)
		}
		return err
	}
	return t.later(s)
}

func (t caTx) ChangeApplication(a ca.Application, from ca.State) (bool, error) {
	facts, err1 := t.sealJSON("ca_application.facts", a.ID, a.Facts)
	checkers, err2 := t.sealJSON("ca_application.checkers", a.ID, a.Checkers)
	reason, err3 := t.seal("ca_application.reason", a.ID, a.Reason)
	steps, err4 := t.sealJSON("ca_application.steps", a.ID, a.Steps)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return false, err
	}
	n, err := t.exec(`UPDATE ca_application SET profile = $4, profile_version = $5, holder = $6, organization = $7, facts = $8, request = $9, spki = $10,
			state = $11, checkers = $12, reason = $13, steps = $14, decided_at = $15, delivered_at = $16, revision = revision + 1
		WHERE id = $1 AND state = $2 AND revision = $3`,
		a.ID, string(from), a.Revision, a.Profile, a.ProfileVersion, a.Holder, a.Organization, facts, octets(a.Request), octets(a.SPKI),
		string(a.State), checkers, reason, steps, micros(a.DecidedAt), micros(a.DeliveredAt))
	return n == 1, err
}

func (t caTx) StillApproved(id string) error {
	return t.later(statement{
		query: `UPDATE ca_application SET state = state WHERE id = $1 AND state = 'approved'`,
		args:  []any{id},
		none:  func() error { return ca.ErrState.With("application %s was issued by another call meanwhile", id) },
	})
}

func (t caTx) SetIssued(id string, serials []string, envelope []byte) error {
	return t.later(statement{
		query: `UPDATE ca_application SET state = 'issued', certificates = $2, envelope = $3, revision = revision + 1 WHERE id = $1 AND state = 'approved'`,
		many: `UPDATE ca_application SET state = 'issued', certificates = v.certificates, envelope = v.envelope, revision = revision + 1
			FROM unnest($1::text[], $2::text[], $3::bytea[]) AS v (id, certificates, envelope) WHERE ca_application.id = v.id AND state = 'approved'`,
		args: []any{id, strings.Join(serials, " "), envelope},
		none: func() error { return ca.ErrState.With("application %s was issued by another call meanwhile", id) },
	})
}
