package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
)

// CA returns the authority's store.
func (db *DB) CA() ca.Store { return caStore{db} }

type caStore struct{ db *DB }

func (s caStore) View(ctx context.Context, f func(ca.R) error) error {
	return s.db.view(ctx, func(t *tx) error { return f(caTx{t}) })
}

func (s caStore) Update(ctx context.Context, f func(ca.W) error) error {
	return s.db.update(ctx, func(t *tx) error { return f(caTx{t}) })
}

type caTx struct{ *tx }

var (
	_ ca.Store = caStore{}
	_ ca.W     = caTx{}
)

// caMissing turns a missing row into the domain's own refusal.
func caMissing(err error, format string, args ...any) error {
	if errors.Is(err, errNoRow) {
		return ca.ErrUnknown.With(format, args...)
	}
	return err
}

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

// sealJSON seals a value as JSON for one column of one row.
func (t *tx) sealJSON(column, row string, v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return t.seal(column, row, string(text))
}

// openJSON is the inverse of sealJSON.
func (t *tx) openJSON(column, row string, sealed []byte, v any) error {
	text, err := t.open(column, row, sealed)
	if err != nil || text == "" {
		return err
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		return fmt.Errorf("read %s of row %s: %w", column, row, err)
	}
	return nil
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

func (t caTx) Issuers() ([]ca.Issuer, error) {
	return list(t.tx, func(s scanner) (i ca.Issuer, err error) {
		return i, s.Scan(&i.Name, &i.Parent, &i.KeyLabel, &i.Certificate)
	}, `SELECT name, parent, key_label, certificate FROM ca_issuer ORDER BY name`)
}

func (t caTx) AddIssuer(i ca.Issuer) error {
	_, err := t.exec(`INSERT INTO ca_issuer (name, parent, key_label, certificate) VALUES ($1, $2, $3, $4)`, i.Name, i.Parent, i.KeyLabel, i.Certificate)
	if duplicate(err) {
		return ca.ErrState.With("issuer %q is there already", i.Name)
	}
	return err
}

const caCertificateQuery = `SELECT c.serial, c.issuer, c.application, c.profile, c.holder, c.spki, c.not_before, c.not_after, c.shard, c.issued_at, d.der
	FROM ca_certificate c JOIN ca_certificate_der d ON d.serial = c.serial `

func scanCertificate(s scanner) (r ca.Record, err error) {
	var from, to, issued int64
	err = s.Scan(&r.Serial, &r.Issuer, &r.Application, &r.Profile, &r.Holder, &r.SPKI, &from, &to, &r.Shard, &issued, &r.DER)
	r.NotBefore, r.NotAfter, r.IssuedAt = fromMicros(from), fromMicros(to), fromMicros(issued)
	return r, err
}

func (t caTx) Certificate(issuer string, serial []byte) (ca.Record, error) {
	r, err := scanCertificate(t.q.QueryRowContext(t.ctx, caCertificateQuery+`WHERE c.serial = $1 AND c.issuer = $2`, serial, issuer))
	return r, caMissing(err, "certificate %x of %q", serial, issuer)
}

func (t caTx) CertificateBySerial(serial []byte) (ca.Record, error) {
	r, err := scanCertificate(t.q.QueryRowContext(t.ctx, caCertificateQuery+`WHERE c.serial = $1`, serial))
	return r, caMissing(err, "certificate %x", serial)
}

func (t caTx) Certificates(f ca.CertificateFilter) ([]ca.Record, error) {
	before := int64(1) << 62
	if !f.Before.IsZero() {
		before = micros(f.Before)
	}
	return list(t.tx, scanCertificate, caCertificateQuery+`WHERE ($1 = '' OR c.holder = $1) AND ($2 = '' OR c.profile = $2) AND c.issued_at < $3
		ORDER BY c.issued_at DESC, c.serial LIMIT $4`, f.Holder, f.Profile, before, f.Limit)
}

func (t caTx) KeyOwner(spki []byte) (o ca.KeyOwner, err error) {
	var blocked int64
	err = t.one([]any{&o.Holder, &o.Use, &blocked}, `SELECT holder, purpose, blocked FROM ca_key WHERE spki = $1`, spki)
	o.Blocked = fromMicros(blocked)
	return o, caMissing(err, "key %x", spki)
}

func (t caTx) ClaimKey(spki []byte, o ca.KeyOwner) (bool, error) {
	n, err := t.exec(`INSERT INTO ca_key (spki, holder, purpose) VALUES ($1, $2, $3)
		ON CONFLICT (spki) DO UPDATE SET purpose = excluded.purpose
		WHERE ca_key.holder = excluded.holder AND ca_key.purpose = excluded.purpose AND ca_key.blocked = 0`, spki, o.Holder, o.Use)
	return n == 1, err
}

func (t caTx) BlockKey(spki []byte, at time.Time) error {
	_, err := t.exec(`UPDATE ca_key SET blocked = $2 WHERE spki = $1 AND blocked = 0`, spki, micros(at))
	return err
}

func (t caTx) Reservations(before time.Time, limit int) ([]ca.Reservation, error) {
	return list(t.tx, func(s scanner) (r ca.Reservation, err error) {
		var at int64
		err = s.Scan(&r.Serial, &r.Issuer, &r.Application, &r.Profile, &r.TBS, &r.TBSHash, &at)
		r.At = fromMicros(at)
		return r, err
	}, `SELECT serial, issuer, application, profile, tbs, tbs_sm3, at FROM ca_reserved WHERE at < $1 ORDER BY at LIMIT $2`, micros(before), limit)
}

func (t caTx) Reserve(r ca.Reservation) error {
	_, err := t.exec(`INSERT INTO ca_reserved (serial, issuer, application, profile, tbs, tbs_sm3, at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		r.Serial, r.Issuer, r.Application, r.Profile, r.TBS, r.TBSHash, micros(r.At))
	return err
}

func (t caTx) FinishReservation(issuer string, serial []byte) (bool, error) {
	n, err := t.exec(`DELETE FROM ca_reserved WHERE serial = $1 AND issuer = $2`, serial, issuer)
	return n == 1, err
}

func (t caTx) AddCertificate(r ca.Record) error {
	if _, err := t.exec(`INSERT INTO ca_certificate (serial, issuer, application, profile, holder, spki, not_before, not_after, shard, issued_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		r.Serial, r.Issuer, r.Application, r.Profile, r.Holder, r.SPKI, micros(r.NotBefore), micros(r.NotAfter), r.Shard, micros(r.IssuedAt)); err != nil {
		return err
	}
	_, err := t.exec(`INSERT INTO ca_certificate_der (serial, der) VALUES ($1, $2)`, r.Serial, r.DER)
	return err
}

func scanRevocation(s scanner) (r ca.Revocation, err error) {
	var at, invalid, notAfter int64
	var reason int
	err = s.Scan(&r.Serial, &r.Issuer, &r.Shard, &at, &reason, &invalid, &notAfter)
	r.At, r.Invalid, r.NotAfter, r.Reason = fromMicros(at), fromMicros(invalid), fromMicros(notAfter), certs.Reason(reason)
	return r, err
}

func (t caTx) Revocation(issuer string, serial []byte) (ca.Revocation, error) {
	r, err := scanRevocation(t.q.QueryRowContext(t.ctx, `SELECT serial, issuer, shard, at, reason, invalid, not_after FROM ca_revocation
		WHERE issuer = $1 AND serial = $2`, issuer, serial))
	return r, caMissing(err, "revocation of %x", serial)
}

func (t caTx) Revocations(issuer string, shard int, endsAfter time.Time, f func(ca.Revocation) error) error {
	rows, err := t.q.QueryContext(t.ctx, `SELECT serial, issuer, shard, at, reason, invalid, not_after FROM ca_revocation
		WHERE issuer = $1 AND (shard = $2 OR $2 = -1) AND not_after > $3 ORDER BY serial`, issuer, shard, micros(endsAfter))
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
	n, err := t.exec(`INSERT INTO ca_revocation (issuer, serial, shard, at, reason, invalid, not_after) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (issuer, serial) DO NOTHING`, r.Issuer, r.Serial, r.Shard, micros(r.At), int(r.Reason), micros(r.Invalid), micros(r.NotAfter))
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

func (t caTx) Bundle() (b ca.TrustBundle, err error) {
	var sequence, issued, next int64
	err = t.one([]any{&sequence, &issued, &next, &b.Digest, &b.Data}, `SELECT sequence, issued_at, next_update, digest, data FROM ca_bundle WHERE id = 'hufu'`)
	b.Sequence, b.IssuedAt, b.NextUpdate = uint64(sequence), fromMicros(issued), fromMicros(next)
	return b, caMissing(err, "trust bundle")
}

func (t caTx) PutBundle(b ca.TrustBundle) (bool, error) {
	n, err := t.exec(`INSERT INTO ca_bundle (id, sequence, issued_at, next_update, digest, data) VALUES ('hufu', $1, $2, $3, $4, $5)
		ON CONFLICT (id) DO UPDATE SET sequence = excluded.sequence, issued_at = excluded.issued_at, next_update = excluded.next_update,
			digest = excluded.digest, data = excluded.data WHERE ca_bundle.sequence = excluded.sequence - 1`,
		int64(b.Sequence), micros(b.IssuedAt), micros(b.NextUpdate), b.Digest, b.Data)
	return n == 1, err
}
