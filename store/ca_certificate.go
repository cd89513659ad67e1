package store

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"hufu/ca"
)

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
	var q filter
	q.equal(`c.holder`, f.Holder)
	q.equal(`c.profile`, f.Profile)
	q.add(`c.issued_at < ?`, before)
	return list(t.tx, scanCertificate, fmt.Sprintf(`%s %s ORDER BY c.issued_at DESC, c.serial LIMIT %d`, caCertificateQuery, q.text(), f.Limit), q.args...)
}

func (t caTx) Key(spki, other []byte) (k ca.KeyState, err error) {
	if k, known := t.keys[string(spki)+string(other)]; known {
		return k, nil
	}
	owner := question{query: caKeyQuery + `WHERE spki = $1`, args: []any{spki}, scan: func(s scanner) error {
		_, k.Owner, err = scanKeyOwner(s)
		return err
	}}
	block := question{query: caBlockedKeyQuery + `WHERE hash IN ($1, $2)`, args: []any{spki, octets(other)}, scan: func(s scanner) error {
		blocked, err := scanBlockedKey(s)
		k.Block = &blocked
		return err
	}}
	if err = t.gather(owner, block); err != nil {
		err = fmt.Errorf("read key %x: %w", spki, err)
	}
	return k, err
}

const caKeyQuery = `SELECT spki, holder, purpose, blocked FROM ca_key `

func scanKeyOwner(s scanner) (spki []byte, o *ca.KeyOwner, err error) {
	var blocked int64
	o = new(ca.KeyOwner)
	err = s.Scan(&spki, &o.Holder, &o.Use, &blocked)
	o.Blocked = fromMicros(blocked)
	return spki, o, err
}

// foreseenKeys are the questions of Key for all the keys that were foreseen.
func (t *tx) foreseenKeys() []question {
	all := ca.ForeseenKeys(t.ctx)
	if len(all) == 0 {
		return nil
	}
	t.keys = make(map[string]ca.KeyState, len(all))
	var owned, blockable [][]byte
	for _, f := range all {
		owned, blockable = append(owned, f.SM3), append(blockable, f.SM3, f.SHA256)
		t.keys[string(f.SM3)+string(f.SHA256)] = ca.KeyState{}
	}
	set := func(hash []byte, change func(*ca.KeyState)) {
		for at, k := range t.keys {
			if strings.HasPrefix(at, string(hash)) || strings.HasSuffix(at, string(hash)) {
				change(&k)
				t.keys[at] = k
			}
		}
	}
	return []question{
		{query: caKeyQuery + `WHERE spki = ANY($1)`, args: []any{owned}, scan: func(s scanner) error {
			spki, owner, err := scanKeyOwner(s)
			set(spki, func(k *ca.KeyState) { k.Owner = owner })
			return err
		}},
		{query: caBlockedKeyQuery + `WHERE hash = ANY($1)`, args: []any{blockable}, scan: func(s scanner) error {
			blocked, err := scanBlockedKey(s)
			set(blocked.Hash, func(k *ca.KeyState) { k.Block = &blocked })
			return err
		}},
	}
}

var claimKey = inserting("ca_key", "spki bytea, holder text, purpose text", `ON CONFLICT (spki) DO UPDATE SET purpose = excluded.purpose
	WHERE ca_key.holder = excluded.holder AND ca_key.purpose = excluded.purpose AND ca_key.blocked = 0`)

func (t caTx) ClaimKey(spki []byte, o ca.KeyOwner) error {
	t.keys = nil // what was read ahead holds no more
	s := claimKey.of(spki, o.Holder, o.Use)
	s.none = func() error { return ca.ErrKeyUsed.With("key %x for holder %s as %s", spki, o.Holder, o.Use) }
	return t.later(s)
}

func (t caTx) BlockKey(spki []byte, at time.Time) error {
	t.keys = nil
	_, err := t.exec(`INSERT INTO ca_key (spki, holder, purpose, blocked) VALUES ($1, '', '', $2)
		ON CONFLICT (spki) DO UPDATE SET blocked = excluded.blocked WHERE ca_key.blocked = 0`, spki, micros(at))
	return err
}

const caReservationQuery = `SELECT ` + caReservationColumns + ` FROM ca_reserved `

func scanReservation(s scanner) (r ca.Reservation, err error) {
	var at int64
	err = s.Scan(&r.Serial, &r.Issuer, &r.Application, &r.Use, &r.Profile, &r.TBS, &r.TBSHash, &at, &r.Shard)
	r.At = fromMicros(at)
	return r, err
}

func (t caTx) Reservations(before time.Time, limit int) ([]ca.Reservation, error) {
	return list(t.tx, scanReservation, caReservationQuery+`WHERE at < $1 ORDER BY at LIMIT $2`, micros(before), limit)
}

func (t caTx) ReservationsOf(application string) ([]ca.Reservation, error) {
	return list(t.tx, scanReservation, caReservationQuery+`WHERE application = $1 AND purpose <> ''`, application)
}

const caReservationColumns = `serial, issuer, application, purpose, profile, tbs, tbs_sm3, at, shard`

// Reserve puts its texts together by how many authorities are above: each is looked for among the revoked.
func (t caTx) Reserve(r ca.Reservation) error {
	query := `INSERT INTO ca_reserved (` + caReservationColumns + `) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9`
	many := `INSERT INTO ca_reserved (` + caReservationColumns + `) SELECT *
		FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::bytea[], $8::bigint[], $9::bigint[])`
	args := []any{r.Serial, r.Issuer, r.Application, r.Use, r.Profile, r.TBS, r.TBSHash, micros(r.At), r.Shard}
	and := ` WHERE`
	for _, c := range r.Under {
		issuer, serial := "$"+strconv.Itoa(len(args)+1), "$"+strconv.Itoa(len(args)+2)
		query += and + ` NOT EXISTS (SELECT 1 FROM ca_revocation WHERE issuer = ` + issuer + ` AND serial = ` + serial + `)`
		many += and + ` NOT EXISTS (SELECT 1 FROM unnest(` + issuer + `::text[], ` + serial + `::bytea[]) AS u (issuer, serial)
			JOIN ca_revocation v ON v.issuer = u.issuer AND v.serial = u.serial)`
		args = append(args, c.Issuer, c.Serial)
		and = ` AND`
	}
	return t.later(statement{
		query: query,
		many:  many,
		args:  args,
		none:  func() error { return ca.ErrIssuerRevoked.With("authority %q, or one above it", r.Issuer) },
		failed: func(err error) error {
			if duplicate(err) {
				err = ca.ErrState.With("serial %x, or application %s to %s, is reserved already: %w", r.Serial, r.Application, r.Use, err)
			}
			return err
		},
	})
}

func (t caTx) FinishReservation(issuer string, serial []byte) (bool, error) {
	n, err := t.exec(caEndReservation, serial, issuer)
	return n == 1, err
}

const caEndReservation = `DELETE FROM ca_reserved WHERE serial = $1 AND issuer = $2`

var (
	insertCertificate = inserting("ca_certificate",
		"serial bytea, issuer text, application text, profile text, holder text, spki bytea, not_before bigint, not_after bigint, shard bigint, issued_at bigint", "")
	insertCertificateDER = inserting("ca_certificate_der", "serial bytea, der bytea", "")
)

func (t caTx) AddCertificate(r ca.Record) error {
	ended := statement{
		query: caEndReservation,
		many:  `DELETE FROM ca_reserved USING unnest($1::bytea[], $2::text[]) AS v (serial, issuer) WHERE ca_reserved.serial = v.serial AND ca_reserved.issuer = v.issuer`,
		args:  []any{r.Serial, r.Issuer},
		none:  func() error { return ca.ErrState.With("reservation %x was voided meanwhile", r.Serial) },
	}
	status := insertCertificate.of(r.Serial, r.Issuer, r.Application, r.Profile, r.Holder, r.SPKI, micros(r.NotBefore), micros(r.NotAfter), r.Shard, micros(r.IssuedAt))
	octets := insertCertificateDER.of(r.Serial, r.DER)
	for _, s := range []statement{ended, status, octets} {
		if err := t.later(s); err != nil {
			return err
		}
	}
	return nil
}
