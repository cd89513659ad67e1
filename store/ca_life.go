package store

import (
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
		WHERE issuer = $1 AND serial = $2 AND at = $8 AND reason = $9`,
		before.Issuer, before.Serial, micros(after.At), int(after.Reason), micros(after.Invalid), micros(after.HoldUntil), after.HeldBy,
		micros(before.At), int(before.Reason))
	return n == 1, err
}

func (t caTx) LiftHold(held ca.Revocation) (bool, error) {
	n, err := t.exec(`DELETE FROM ca_revocation WHERE issuer = $1 AND serial = $2 AND at = $3 AND reason = $4`,
		held.Issuer, held.Serial, micros(held.At), int(certs.ReasonCertificateHold))
	return n == 1, err
}
