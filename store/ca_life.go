package store

import (
	"encoding/hex"
	"fmt"
	"time"

	"hufu/ca"
	"hufu/certs"
)

const caStatusEventQuery = `SELECT id, issuer, serial, shard, act, reason, invalid, at, not_after FROM ca_status_event `

func scanStatusEvent(s scanner) (e ca.StatusEvent, err error) {
	var reason int
	var invalid, at, notAfter int64
	err = s.Scan(&e.ID, &e.Issuer, &e.Serial, &e.Shard, &e.Act, &reason, &invalid, &at, &notAfter)
	e.Reason, e.Invalid, e.At, e.NotAfter = certs.Reason(reason), fromMicros(invalid), fromMicros(at), fromMicros(notAfter)
	return e, err
}

func (t caTx) StatusEvents(since time.Time, limit int) ([]ca.StatusEvent, error) {
	return list(t.tx, scanStatusEvent, caStatusEventQuery+`WHERE at >= $1 ORDER BY at, id LIMIT $2`, micros(since), limit)
}

func (t caTx) StatusHistory(serial []byte) ([]ca.StatusEvent, error) {
	return list(t.tx, scanStatusEvent, caStatusEventQuery+`WHERE serial = $1 ORDER BY at, id`, serial)
}

func (t caTx) AddStatusEvent(e ca.StatusEvent) error {
	_, err := t.exec(`INSERT INTO ca_status_event (id, issuer, serial, shard, act, reason, invalid, at, not_after)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		e.ID, e.Issuer, e.Serial, e.Shard, string(e.Act), int(e.Reason), micros(e.Invalid), micros(e.At), micros(e.NotAfter))
	return err
}

func (t caTx) ReplaceRevocation(before, after ca.Revocation) (bool, error) {
	n, err := t.exec(`UPDATE ca_revocation SET at = $3, reason = $4, invalid = $5, hold_until = $6, held_by = $7
		WHERE issuer = $1 AND serial = $2 AND at = $8 AND reason = $9 AND hold_until = $10 AND held_by = $11`,
		before.Issuer, before.Serial, micros(after.At), int(after.Reason), micros(after.Invalid), micros(after.HoldUntil), after.HeldBy,
		micros(before.At), int(before.Reason), micros(before.HoldUntil), before.HeldBy)
	return n == 1, err
}

func (t caTx) LiftHold(held ca.Revocation) (bool, error) {
	n, err := t.exec(`DELETE FROM ca_revocation WHERE issuer = $1 AND serial = $2 AND at = $3 AND reason = $4 AND hold_until = $5 AND held_by = $6`,
		held.Issuer, held.Serial, micros(held.At), int(certs.ReasonCertificateHold), micros(held.HoldUntil), held.HeldBy)
	return n == 1, err
}

func (t caTx) HoldsUntil(at time.Time, limit int) ([]ca.Revocation, error) {
	return list(t.tx, scanRevocation, caRevocationQuery+`WHERE hold_until > 0 AND hold_until <= $1 ORDER BY hold_until LIMIT $2`, micros(at), limit)
}

func (t caTx) Reservation(serial []byte) (ca.Reservation, error) {
	r, err := scanReservation(t.q.QueryRowContext(t.ctx, caReservationQuery+`WHERE serial = $1`, serial))
	return r, caMissing(err, "reservation of %x", serial)
}

func (t caTx) CertificatesOfKeys(keys [][]byte, limit int) ([]ca.Record, error) {
	return inParts(keys, limit, func(part [][]byte, room int) ([]ca.Record, error) {
		var q filter
		in(&q, `c.spki`, part)
		return list(t.tx, scanCertificate, fmt.Sprintf(`%s %s ORDER BY c.issued_at DESC, c.serial LIMIT %d`, caCertificateQuery, q.text(), room), q.args...)
	})
}

func (t caTx) Successor(serial string) (ca.Application, error) {
	row := t.q.QueryRowContext(t.ctx, `SELECT `+caApplicationColumns+` FROM ca_application
		WHERE replaces = $1 AND replaces <> '' AND state NOT IN ('rejected', 'withdrawn')`, serial)
	a, err := t.scanApplication(row)
	return a, caMissing(err, "successor of %s", serial)
}

const caBlockedKeyQuery = `SELECT hash, algorithm, source, note, made_by, at FROM ca_blocked_key `

func scanBlockedKey(s scanner) (k ca.BlockedKey, err error) {
	var at int64
	err = s.Scan(&k.Hash, &k.Algorithm, &k.Source, &k.Note, &k.By, &at)
	k.At = fromMicros(at)
	return k, err
}

func (t caTx) BlockedKeys(before time.Time, hash []byte, limit int) ([]ca.BlockedKey, error) {
	at := int64(1) << 62
	if !before.IsZero() {
		at = micros(before)
	}
	return list(t.tx, scanBlockedKey, caBlockedKeyQuery+`WHERE at <= $1 AND (at < $1 OR hash < $2) ORDER BY at DESC, hash DESC LIMIT $3`,
		at, octets(hash), limit)
}

func (t caTx) AddBlockedKey(k ca.BlockedKey) (bool, error) {
	t.keys = nil
	n, err := t.exec(`INSERT INTO ca_blocked_key (hash, algorithm, source, note, made_by, at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (hash) DO NOTHING`, k.Hash, k.Algorithm, k.Source, k.Note, k.By, micros(k.At))
	return changed(n, err, "block key %s", hex.EncodeToString(k.Hash))
}
