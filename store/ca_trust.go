package store

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"

	"hufu/ca"
	"hufu/internal/gm"
)

const caMotionColumns = `id, kind, subject, state, revision, maker, checkers, reason, content, at, changed_at`

func scanMotion(s scanner) (m ca.Motion, err error) {
	var checkers string
	var at, changed int64
	err = s.Scan(&m.ID, &m.Kind, &m.Subject, &m.State, &m.Revision, &m.Maker, &checkers, &m.Reason, &m.Content, &at, &changed)
	m.Checkers, m.At, m.Changed = strings.Fields(checkers), fromMicros(at), fromMicros(changed)
	return m, err
}

func (t caTx) Motion(id string) (ca.Motion, error) {
	all, err := list(t.tx, scanMotion, `SELECT `+caMotionColumns+` FROM ca_motion WHERE id = $1`, id)
	if err == nil && len(all) == 0 {
		return ca.Motion{}, ca.ErrUnknown.With("motion %q", id)
	}
	if err != nil {
		return ca.Motion{}, err
	}
	return all[0], nil
}

func (t caTx) Motions(kind ca.MotionKind, state ca.MotionState, subject string, limit int) ([]ca.Motion, error) {
	return list(t.tx, scanMotion, `SELECT `+caMotionColumns+` FROM ca_motion
		WHERE kind = $1 AND ($2 = '' OR state = $2) AND ($3 = '' OR subject = $3) ORDER BY at DESC, id LIMIT $4`, string(kind), string(state), subject, limit)
}

func (t caTx) AddMotion(m ca.Motion) error {
	_, err := t.exec(`INSERT INTO ca_motion (`+caMotionColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		m.ID, string(m.Kind), m.Subject, string(m.State), m.Revision, m.Maker, strings.Join(m.Checkers, " "), m.Reason, m.Content, micros(m.At), micros(m.Changed))
	return err
}

func (t caTx) ChangeMotion(m ca.Motion) (bool, error) {
	n, err := t.exec(`UPDATE ca_motion SET subject = $3, state = $4, revision = $5, maker = $6, checkers = $7, reason = $8, content = $9, changed_at = $10
		WHERE id = $1 AND revision = $2`,
		m.ID, m.Revision-1, m.Subject, string(m.State), m.Revision, m.Maker, strings.Join(m.Checkers, " "), m.Reason, m.Content, micros(m.Changed))
	return n == 1, err
}

func (t caTx) TrustList(sequence uint64) (l ca.StoredTrustList, err error) {
	var number, issued, next int64
	err = t.one([]any{&number, &issued, &next, &l.Digest, &l.Cause, &l.Data}, `SELECT sequence, issued_at, next_update, digest, cause, data FROM ca_trust_list
		WHERE sequence = CASE WHEN $1 = 0 THEN (SELECT max(sequence) FROM ca_trust_list) ELSE $1 END`, int64(sequence))
	l.Sequence, l.IssuedAt, l.NextUpdate = uint64(number), fromMicros(issued), fromMicros(next)
	return l, caMissing(err, "trust list %d", sequence)
}

func (t caTx) TrustLists(limit int) ([]ca.StoredTrustList, error) {
	return list(t.tx, func(s scanner) (l ca.StoredTrustList, err error) {
		var number, issued, next int64
		err = s.Scan(&number, &issued, &next, &l.Digest, &l.Cause)
		l.Sequence, l.IssuedAt, l.NextUpdate = uint64(number), fromMicros(issued), fromMicros(next)
		return l, err
	}, `SELECT sequence, issued_at, next_update, digest, cause FROM ca_trust_list ORDER BY sequence DESC LIMIT $1`, limit)
}

func (t caTx) PutTrustList(l ca.StoredTrustList) (bool, error) {
	n, err := t.exec(`INSERT INTO ca_trust_list (sequence, issued_at, next_update, digest, cause, data) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT DO NOTHING`, int64(l.Sequence), micros(l.IssuedAt), micros(l.NextUpdate), l.Digest, l.Cause, l.Data)
	return n == 1, err
}

func (t caTx) TrustSource(id string) (s ca.TrustSource, err error) {
	var number, seen int64
	err = t.one([]any{&s.ID, &s.Signer, &number, &seen}, `SELECT id, signer, sequence, seen_at FROM ca_trust_source WHERE id = $1`, id)
	s.Sequence, s.SeenAt = uint64(number), fromMicros(seen)
	return s, caMissing(err, "source of trust lists %q", id)
}

func (t caTx) PutTrustSource(s ca.TrustSource, was *uint64) (bool, error) {
	if was == nil {
		n, err := t.exec(`INSERT INTO ca_trust_source (id, signer, sequence, seen_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
			s.ID, s.Signer, int64(s.Sequence), micros(s.SeenAt))
		return n == 1, err
	}
	n, err := t.exec(`UPDATE ca_trust_source SET sequence = $3, seen_at = $4 WHERE id = $1 AND signer = $2 AND sequence = $5`,
		s.ID, s.Signer, int64(s.Sequence), micros(s.SeenAt), int64(*was))
	return n == 1, err
}

func scanForeignList(s scanner) (l ca.ForeignList, err error) {
	var this, next, fetched, tried int64
	err = s.Scan(&l.URL, &l.Entry, &l.DER, &l.Size, &this, &next, &fetched, &tried, &l.Failure)
	l.ThisUpdate, l.NextUpdate, l.FetchedAt, l.TriedAt = fromMicros(this), fromMicros(next), fromMicros(fetched), fromMicros(tried)
	return l, err
}

func (t caTx) ForeignLists() ([]ca.ForeignList, error) {
	return list(t.tx, scanForeignList, `SELECT url, entry, NULL, COALESCE(length(der), 0), this_update, next_update, fetched_at, tried_at, failure
		FROM ca_foreign_list ORDER BY entry, url`)
}

func (t caTx) ForeignList(url string) (ca.ForeignList, error) {
	all, err := list(t.tx, scanForeignList, `SELECT url, entry, der, COALESCE(length(der), 0), this_update, next_update, fetched_at, tried_at, failure
		FROM ca_foreign_list WHERE url = $1`, url)
	if err == nil && len(all) == 0 {
		return ca.ForeignList{}, ca.ErrUnknown.With("list of %q", url)
	}
	if err != nil {
		return ca.ForeignList{}, err
	}
	return all[0], nil
}

func (t caTx) PutForeignList(l ca.ForeignList) error {
	n, err := t.exec(`UPDATE ca_foreign_list SET entry = $2, tried_at = $3, failure = $4 WHERE url = $1`, l.URL, l.Entry, micros(l.TriedAt), l.Failure)
	if err == nil && n == 0 {
		_, err = t.exec(`INSERT INTO ca_foreign_list (url, entry, der, this_update, next_update, fetched_at, tried_at, failure)
			VALUES ($1, $2, NULL, 0, 0, 0, $3, $4) ON CONFLICT DO NOTHING`, l.URL, l.Entry, micros(l.TriedAt), l.Failure)
	}
	if err != nil || l.DER == nil {
		return err
	}
	_, err = t.exec(`UPDATE ca_foreign_list SET der = $2, this_update = $3, next_update = $4, fetched_at = $5 WHERE url = $1 AND this_update <= $3`,
		l.URL, l.DER, micros(l.ThisUpdate), micros(l.NextUpdate), micros(l.FetchedAt))
	return err
}

func (t caTx) DropForeignList(url string) error {
	_, err := t.exec(`DELETE FROM ca_foreign_list WHERE url = $1`, url)
	return err
}

func (t caTx) Superiors() ([]ca.Superior, error) {
	return list(t.tx, func(s scanner) (c ca.Superior, err error) {
		var root, at int64
		err = s.Scan(&c.Certificate, &root, &at)
		c.Root, c.At = root != 0, fromMicros(at)
		return c, err
	}, `SELECT certificate, root, at FROM ca_superior ORDER BY fingerprint`)
}

func (t caTx) AddSuperior(s ca.Superior) error {
	root, sum := 0, gm.SM3(s.Certificate)
	if s.Root {
		root = 1
	}
	_, err := t.exec(`INSERT INTO ca_superior (fingerprint, root, certificate, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		hex.EncodeToString(sum[:]), root, s.Certificate, micros(s.At))
	return err
}

func (t caTx) ReplaceIssuer(i ca.Issuer, old []byte) (bool, error) {
	n, err := t.exec(`UPDATE ca_issuer SET certificate = $3, parent = $4 WHERE name = $1 AND certificate = $2`, i.Name, old, i.Certificate, i.Parent)
	return n == 1, err
}

func (t caTx) scanOrder(s scanner) (o ca.Order, err error) {
	var at, changed int64
	var request, answer []byte
	if err = s.Scan(&o.Application, &o.External, &o.Exchange, &request, &o.State, &answer, &o.Failure, &at, &changed); err != nil {
		return o, err
	}
	o.At, o.Changed = fromMicros(at), fromMicros(changed)
	message, err1 := t.open("ca_order.request", o.Application, request)
	last, err2 := t.open("ca_order.answer", o.Application, answer)
	o.Request, o.Answer = []byte(message), []byte(last)
	return o, errors.Join(err1, err2)
}

const caOrderQuery = `SELECT application, external, exchange, request, state, answer, failure, at, changed_at FROM ca_order `

func (t caTx) Order(application string) (ca.Order, error) {
	all, err := list(t.tx, t.scanOrder, caOrderQuery+`WHERE application = $1`, application)
	if err == nil && len(all) == 0 {
		return ca.Order{}, ca.ErrUnknown.With("order for application %q", application)
	}
	if err != nil {
		return ca.Order{}, err
	}
	return all[0], nil
}

func (t caTx) Orders(state ca.OrderState, limit int) ([]ca.Order, error) {
	return list(t.tx, t.scanOrder, caOrderQuery+`WHERE state = $1 ORDER BY at LIMIT $2`, string(state), limit)
}

func (t caTx) AddOrder(o ca.Order) (bool, error) {
	request, err := t.seal("ca_order.request", o.Application, string(o.Request))
	if err != nil {
		return false, err
	}
	n, err := t.exec(`INSERT INTO ca_order (application, external, exchange, request, state, answer, failure, at, changed_at)
		VALUES ($1, $2, $3, $4, $5, NULL, '', $6, $6) ON CONFLICT DO NOTHING`, o.Application, o.External, o.Exchange, request, string(o.State), micros(o.At))
	return n == 1, err
}

// ChangeOrder compares what is sealed by opening it: the row is locked by the first statement.
func (t caTx) ChangeOrder(o ca.Order, before []byte) (bool, error) {
	n, err := t.exec(`UPDATE ca_order SET changed_at = $2 WHERE application = $1 AND state = 'sent'`, o.Application, micros(o.Changed))
	if err != nil || n == 0 {
		return false, err
	}
	now, err := t.Order(o.Application)
	if err != nil || !bytes.Equal(now.Request, before) {
		return false, err
	}
	request, err1 := t.seal("ca_order.request", o.Application, string(o.Request))
	answer, err2 := t.seal("ca_order.answer", o.Application, string(o.Answer))
	if err := errors.Join(err1, err2); err != nil {
		return false, err
	}
	n, err = t.exec(`UPDATE ca_order SET request = $2, state = $3, answer = $4, failure = $5 WHERE application = $1`,
		o.Application, request, string(o.State), answer, o.Failure)
	return n == 1, err
}
