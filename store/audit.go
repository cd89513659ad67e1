package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"hufu/audit"
)

// Audit returns the store of package audit.
func (db *DB) Audit() audit.Store { return auditStore{db} }

type auditStore struct{ db *DB }

var (
	_ audit.Store = auditStore{}
	_ audit.W     = auditTx{}
	_ audit.Rows  = auditTx{}
)

func (s auditStore) View(ctx context.Context, f func(audit.R) error) error {
	return s.db.view(ctx, func(t *tx) error { return f(auditTx{t}) })
}

func (s auditStore) Update(ctx context.Context, f func(audit.W) error) error {
	return s.db.update(ctx, func(t *tx) error { return f(auditTx{t}) })
}

func (s auditStore) Claim(ctx context.Context, holder string, ttl time.Duration) (int64, bool, error) {
	return s.db.Lease(ctx, auditLease, holder, ttl)
}

const auditLease = "audit.tree"

// record writes the row of an entry; every domain's Record ends here.
func (t *tx) record(e audit.Entry) error { return audit.Write(auditTx{t}, t.db.now(), e) }

type auditTx struct{ *tx }

func (t auditTx) Keys() (audit.Keys, error) {
	k, err := t.current()
	if err != nil {
		return audit.Keys{}, err
	}
	if t.recordKeys == nil {
		one := k.record.ForTransaction()
		t.recordKeys = &one
	}
	return *t.recordKeys, nil
}

// SubjectKey returns the key under the current key of keys, under whichever it is stored. A transaction that records many
// acts of one subject asks once.
func (t auditTx) SubjectKey(subject string) (wrapped []byte, found bool, err error) {
	row, known := t.subjects[subject]
	if !known {
		row.subject = subject
		err = t.aside([]any{&row.wrapped, &row.version}, `SELECT wrapped, version FROM audit_key WHERE subject = $1`, subject)
		if errors.Is(err, errNoRow) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		if t.subjects == nil {
			t.subjects = map[string]subjectKeyRow{}
		}
		t.subjects[subject] = row
	}
	if len(row.wrapped) == 0 {
		return row.wrapped, true, nil
	}
	k, err := t.current()
	if err != nil {
		return nil, false, err
	}
	wrapped, err = row.under(k)
	return wrapped, err == nil, err
}

func (t auditTx) AddSubjectKey(subject string, wrapped []byte, at time.Time) error {
	k, err := t.current()
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO audit_key (subject, wrapped, version, created) VALUES ($1, $2, $3, $4) ON CONFLICT (subject) DO NOTHING`,
		subject, wrapped, k.SubjectsVersion, micros(at))
	return err
}

func (t auditTx) DestroySubjectKey(subject string, at time.Time) error {
	delete(t.subjects, subject)
	_, err := t.exec(`
		INSERT INTO audit_key (subject, wrapped, created, destroyed) VALUES ($1, $2, $3, $3)
		ON CONFLICT (subject) DO UPDATE SET wrapped = excluded.wrapped,
			destroyed = CASE WHEN audit_key.destroyed = 0 THEN excluded.destroyed ELSE audit_key.destroyed END`,
		subject, []byte{}, micros(at))
	return err
}

const auditColumns = `id, at, action, object_kind, object_id, actor, subject, leaf, sealed, tag, idx`

var insertEntry = inserting("audit_entry",
	"id text, at bigint, action text, object_kind text, object_id text, actor text, subject text, leaf bytea, sealed bytea, tag bytea", "")

func (t auditTx) AddRow(r audit.Row) error {
	s := insertEntry.of(r.ID, micros(r.At), r.Action, r.Object.Kind, r.Object.ID, r.Actor, r.Subject, r.Leaf, r.Sealed, r.Tag)
	s.failed = func(err error) error { return fmt.Errorf("record %s: %w", r.Action, err) }
	return t.later(s)
}

func scanEntry(s scanner) (r audit.Row, err error) {
	var at int64
	var idx sql.NullInt64
	err = s.Scan(&r.ID, &at, &r.Action, &r.Object.Kind, &r.Object.ID, &r.Actor, &r.Subject, &r.Leaf, &r.Sealed, &r.Tag, &idx)
	r.At, r.Index, r.Sequenced = fromMicros(at), uint64(idx.Int64), idx.Valid
	return r, err
}

func (t auditTx) Row(id string) (audit.Row, error) {
	rows, err := list(t.tx, scanEntry, `SELECT `+auditColumns+` FROM audit_entry WHERE id = $1`, id)
	if err == nil && len(rows) == 0 {
		return audit.Row{}, audit.ErrUnknown.With("entry %.80q", id)
	}
	if err != nil {
		return audit.Row{}, fmt.Errorf("read entry %.80q: %w", id, err)
	}
	return rows[0], nil
}

func (t auditTx) Find(q audit.Query) ([]audit.Row, error) {
	var where []string
	var args []any
	match := func(condition string, set bool, values ...any) {
		if !set {
			return
		}
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", fmt.Sprintf("$%d", len(args)), 1)
		}
		where = append(where, condition)
	}
	at, id, err := q.Cursor()
	if err != nil {
		return nil, err
	}
	noun := strings.HasSuffix(q.Action, ".")
	match(`actor = ?`, q.Actor != "", q.Actor)
	match(`action = ?`, q.Action != "" && !noun, q.Action)
	match(`substr(action, 1, ?) = ?`, noun, len(q.Action), q.Action)
	match(`object_kind = ?`, q.Object.Kind != "", q.Object.Kind)
	match(`object_id = ?`, q.Object.ID != "", q.Object.ID)
	match(`subject = ? AND subject <> ''`, q.Subject != "", q.Subject)
	match(`at >= ?`, !q.From.IsZero(), micros(q.From))
	match(`at < ?`, !q.To.IsZero(), micros(q.To))
	match(`at <= ? AND (at < ? OR id < ?)`, id != "", micros(at), micros(at), id)
	match(`1 = 1`, true)
	args = append(args, q.Limit)
	return list(t.tx, scanEntry, fmt.Sprintf(`SELECT %s FROM audit_entry WHERE %s ORDER BY at DESC, id DESC LIMIT $%d`,
		auditColumns, strings.Join(where, " AND "), len(args)), args...)
}
