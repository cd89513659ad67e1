package store

import (
	"errors"
	"fmt"

	"hufu/audit"
	"hufu/internal/gm"
)

// rewrapSubjects brings the subjects' keys under the current key of keys; erased ones stay tombstones.
func (t keyTx) rewrapSubjects(after string, limit int) (last string, n int, err error) {
	k, err := t.fieldKeys()
	if err != nil {
		return "", 0, err
	}
	rows, err := list(t.tx, func(s scanner) (row subjectKeyRow, err error) {
		return row, s.Scan(&row.subject, &row.wrapped, &row.version)
	}, `SELECT subject, wrapped, version FROM audit_key WHERE subject > $1 ORDER BY subject LIMIT $2`, after, limit)
	if err != nil {
		return "", 0, fmt.Errorf("read subjects' keys: %w", err)
	}
	for _, row := range rows {
		last = row.subject
		if len(row.wrapped) == 0 || row.version == k.SubjectsVersion {
			continue
		}
		wrapped, err := row.under(k)
		if errors.Is(err, gm.ErrOpen) { // damaged: it keeps the key of before alive
			continue
		}
		if err != nil {
			return "", 0, err
		}
		if _, err := t.exec(`UPDATE audit_key SET wrapped = $3, version = $4 WHERE subject = $1 AND wrapped = $2`,
			row.subject, row.wrapped, wrapped, k.SubjectsVersion); err != nil {
			return "", 0, fmt.Errorf("wrap a subject's key anew: %w", err)
		}
	}
	return last, len(rows), nil
}

// subjectKeyRow is a subject's audit key as it is stored.
type subjectKeyRow struct {
	subject string
	wrapped []byte
	version uint32
}

// under returns the key wrapped by the current key of keys.
func (r subjectKeyRow) under(k *FieldKeys) ([]byte, error) {
	if len(r.wrapped) == 0 || r.version == k.SubjectsVersion {
		return r.wrapped, nil
	}
	old, ok := k.OtherSubjects[r.version]
	if !ok {
		return nil, fmt.Errorf("key of subject %s: no key of version %d: %w", r.subject, r.version, gm.ErrOpen)
	}
	return audit.Rewrap(old, k.Subjects, r.subject, r.wrapped)
}

// retag tags rows of the record anew. A row whose tag is wrong stays as it is: it was changed, and must go on showing it.
func (t keyTx) retag(after string, limit int) (last string, n int, err error) {
	k, err := t.fieldKeys()
	if err != nil {
		return "", 0, err
	}
	rows, err := list(t.tx, scanEntry, `SELECT `+auditColumns+` FROM audit_entry WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
	if err != nil {
		return "", 0, fmt.Errorf("read rows of the record: %w", err)
	}
	for _, row := range rows {
		last = row.ID
		for _, old := range k.OtherRows {
			tag, ok := audit.Retag(row, old, k.Rows)
			if !ok {
				continue
			}
			if _, err := t.exec(`UPDATE audit_entry SET tag = $3 WHERE id = $1 AND tag = $2`, row.ID, row.Tag, tag); err != nil {
				return "", 0, fmt.Errorf("tag row %s anew: %w", row.ID, err)
			}
			break
		}
	}
	return last, len(rows), nil
}
