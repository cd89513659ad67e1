package store

import (
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"hufu/ca"
	"hufu/certs"
)

const (
	caFoundColumns = `SELECT c.serial, c.issuer, c.application, c.profile, c.holder, c.spki, c.not_before, c.not_after, c.shard, c.issued_at,
		v.at, v.reason, v.invalid, v.hold_until, v.held_by`
	caFoundTables = ` FROM ca_certificate c LEFT JOIN ca_revocation v ON v.issuer = c.issuer AND v.serial = c.serial `
	caFoundQuery  = caFoundColumns + caFoundTables
)

// scanFound reads the columns of caFoundColumns, and behind them what else there is.
func scanFound(s scanner, behind ...any) (f ca.Found, err error) {
	var from, to, issued int64
	var at, reason, invalid, until sql.NullInt64
	var by sql.NullString
	dest := append([]any{
		&f.Serial, &f.Issuer, &f.Application, &f.Profile, &f.Holder, &f.SPKI, &from, &to, &f.Shard, &issued, &at, &reason, &invalid, &until, &by,
	}, behind...)
	if err := s.Scan(dest...); err != nil {
		return f, err
	}
	f.NotBefore, f.NotAfter, f.IssuedAt = fromMicros(from), fromMicros(to), fromMicros(issued)
	if at.Valid {
		f.Status = &ca.Revocation{
			Serial: f.Serial, Issuer: f.Issuer, Shard: f.Shard, At: fromMicros(at.Int64), Reason: certs.Reason(reason.Int64),
			Invalid: fromMicros(invalid.Int64), NotAfter: f.NotAfter, HoldUntil: fromMicros(until.Int64), HeldBy: by.String,
		}
	}
	return f, nil
}

func found(s scanner) (ca.Found, error) { return scanFound(s) }

// isHeld is a condition with the number in it (certificateHold), so that a plan for any values may use the index of the held ones.
const isHeld = "v.reason = 6"

// FindCertificates leaves the certificates' bytes out. By issuer, end or state alone it goes through all, newest first, until a page is
// full: long only where few are as asked for. A holder, a profile or dates make it short.
func (t caTx) FindCertificates(f ca.CertificateSearch) ([]ca.Found, error) {
	var where []string
	var args []any
	add := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		where = append(where, condition)
	}
	for _, c := range []struct{ column, value string }{{"c.holder", f.Holder}, {"c.profile", f.Profile}, {"c.issuer", f.Issuer}} {
		if c.value != "" {
			add(c.column+" = ?", c.value)
		}
	}
	for _, c := range []struct {
		condition string
		value     time.Time
	}{{"c.issued_at >= ?", f.From}, {"c.issued_at < ?", f.To}, {"c.not_after < ?", f.EndsBefore}} {
		if !c.value.IsZero() {
			add(c.condition, micros(c.value))
		}
	}
	if len(f.Serial) > 0 {
		add("c.serial = ?", f.Serial)
	}
	switch f.State {
	case ca.CertificateHeld:
		add(isHeld)
	case ca.CertificateRevoked:
		add("v.reason <> ?", int(certs.ReasonCertificateHold))
	case ca.CertificateExpired:
		add("v.serial IS NULL AND c.not_after <= ?", micros(f.Now))
	case ca.CertificateValid:
		add("v.serial IS NULL AND c.not_after > ?", micros(f.Now))
	}
	if f.Before.IsZero() {
		add("c.issued_at < ?", int64(1)<<62) // so that SQLite goes along the index of the order, and not through all that is asked for
	} else {
		at := micros(f.Before)
		add("c.issued_at <= ? AND (c.issued_at < ? OR c.serial > ?)", at, at, octets(f.BeforeSerial))
	}
	args = append(args, f.Limit)
	return list(t.tx, found, caFoundQuery+"WHERE "+strings.Join(where, " AND ")+fmt.Sprintf(" ORDER BY c.issued_at DESC, c.serial LIMIT $%d", len(args)), args...)
}

func (t caTx) Standing(serials [][]byte) ([]ca.Found, error) {
	return inParts(serials, len(serials), func(part [][]byte, _ int) ([]ca.Found, error) {
		var q filter
		in(&q, `c.serial`, part)
		return list(t.tx, func(s scanner) (ca.Found, error) {
			var der []byte
			f, err := scanFound(s, &der)
			f.DER = der
			return f, err
		}, caFoundColumns+`, d.der`+caFoundTables+`JOIN ca_certificate_der d ON d.serial = c.serial `+q.text(), q.args...)
	})
}

func (t caTx) EndingCertificates(after ca.EndPosition, until time.Time, limit int) ([]ca.Found, error) {
	at := micros(after.NotAfter)
	return list(t.tx, found, caFoundQuery+`WHERE c.not_after >= $1 AND (c.not_after > $1 OR c.serial > $2) AND c.not_after <= $3
		ORDER BY c.not_after, c.serial LIMIT $4`, at, octets(after.Serial), micros(until), limit)
}

func (t caTx) AddReminder(serial []byte, days int, at time.Time) (bool, error) {
	n, err := t.exec(`INSERT INTO ca_reminder (serial, days, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, serial, days, micros(at))
	return changed(n, err, "note reminder of %x", serial)
}

func (t caTx) RefusesReminders(holder string) (bool, error) {
	var n int
	err := t.one([]any{&n}, `SELECT COUNT(*) FROM ca_reminder_refusal WHERE holder = $1`, holder)
	return n > 0, err
}

func (t caTx) RefuseReminders(holder string, refuse bool, at time.Time) error {
	if !refuse {
		_, err := t.exec(`DELETE FROM ca_reminder_refusal WHERE holder = $1`, holder)
		return err
	}
	_, err := t.exec(`INSERT INTO ca_reminder_refusal (holder, at) VALUES ($1, $2) ON CONFLICT DO NOTHING`, holder, micros(at))
	return err
}

func (t caTx) ReminderPosition(days int) (p ca.EndPosition, err error) {
	var at int64
	err = t.one([]any{&at, &p.Serial}, `SELECT not_after, serial FROM ca_reminder_position WHERE days = $1`, days)
	if errors.Is(err, errNoRow) {
		return ca.EndPosition{}, nil
	}
	p.NotAfter = fromMicros(at)
	return p, err
}

func (t caTx) SetReminderPosition(days int, p ca.EndPosition) error {
	_, err := t.exec(`INSERT INTO ca_reminder_position (days, not_after, serial) VALUES ($1, $2, $3)
		ON CONFLICT (days) DO UPDATE SET not_after = excluded.not_after, serial = excluded.serial`, days, micros(p.NotAfter), octets(p.Serial))
	return err
}

func (t caTx) ReminderDue(serial []byte, days int) (bool, error) {
	var n int
	err := t.one([]any{&n}, `SELECT COUNT(*) FROM ca_reminder WHERE serial = $1 AND days = $2 AND sent_at = 0`, serial, days)
	return n > 0, err
}

func (t caTx) SetReminded(serial []byte, days int, at time.Time) error {
	_, err := t.exec(`UPDATE ca_reminder SET sent_at = $3 WHERE serial = $1 AND days = $2`, serial, days, micros(at))
	return err
}
