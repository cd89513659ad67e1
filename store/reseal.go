package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"hufu/internal/gm"
	"hufu/keys"
)

// sealedTable is a table with sealed columns: what must be done anew when a data key of the database is rotated.
type sealedTable struct {
	name    string
	id      string            // primary key, which the seals name as their row
	columns map[string]string // column → the name under which it is sealed
	indexed string            // column whose value has a blind index, or ""
	index   string            // where that index stands
	also    []string          // columns that are indexed together with the value, before it
	large   bool              // values as large as a document
}

// sealedTables is every sealed column there is; seal refuses others. The order is that of the work.
var sealedTables = []sealedTable{
	{name: "subject", id: "id", columns: map[string]string{"phone": phoneColumn, "email": emailColumn}, indexed: "phone", index: "phone_index"},
	{
		name: "subject_identifier", id: "id", columns: map[string]string{"number": numberColumn},
		indexed: "number", index: "number_index", also: []string{"type", "country"},
	},
	{name: "login_account", id: "id", columns: map[string]string{"name": accountColumn}, indexed: "name", index: "name_index"},
	{name: "login_session", id: "id", columns: map[string]string{"client": clientColumn}},
	{name: "oidc_interaction", id: "id", columns: map[string]string{"request": requestColumn}},
	{name: "ca_application", id: "id", columns: map[string]string{
		"facts": "ca_application.facts", "maker_detail": "ca_application.maker", "checkers": "ca_application.checkers", "reason": "ca_application.reason",
		"steps": "ca_application.steps",
	}},
	{name: "ca_evidence", id: "id", columns: map[string]string{
		"name": "ca_evidence.name", "remark": "ca_evidence.remark", "document": "ca_evidence.document",
	}, large: true},
	{name: "ca_batch", id: "id", columns: map[string]string{"name": "ca_batch.name", "maker_detail": "ca_batch.maker"}},
	{name: "ca_batch_row", id: "id", columns: map[string]string{"line": "ca_batch_row.line"}},
	{name: "ca_batch_decision", id: "id", columns: map[string]string{
		"officer": "ca_batch_decision.officer", "reason": "ca_batch_decision.reason",
	}},
	{name: "enrol_secret", id: "id", columns: map[string]string{
		"facts": "enrol_secret.facts", "value": "enrol_secret.value", "maker": "enrol_secret.maker",
	}},
	{name: "enrol_client", id: "subject", columns: map[string]string{"maker": "enrol_client.maker"}},
	{name: "enrol_transaction", id: "id", columns: map[string]string{"actor": "enrol_transaction.actor", "answer": "enrol_transaction.answer"}},
	{name: "ca_order", id: "application", columns: map[string]string{"request": "ca_order.request", "answer": "ca_order.answer"}},
	{name: "kmc_recovery", id: "id", columns: map[string]string{"detail": recoveryColumn}},
	{name: "seal", id: "code", columns: map[string]string{"reason": "seal.reason", "maker": "seal.maker", "checker": "seal.checker"}},
	{name: "seal_use", id: "id", columns: map[string]string{"purpose": "seal_use.purpose", "actor": "seal_use.actor"}},
	{
		name: "licence", id: "id", columns: map[string]string{
			"holder_name": "licence.holder_name", "reason": "licence.reason", "data": "licence.data", "maker_detail": "licence.maker",
		}, indexed: "holder_name", index: "holder_index",
	},
	{name: "licence_document", id: "id", columns: map[string]string{"document": "licence_document.document"}, large: true},
}

// isSealed holds the names under which a value may be sealed.
var isSealed = sealedNames()

func sealedNames() map[string]bool {
	all := map[string]bool{}
	for _, table := range sealedTables {
		for _, sealed := range table.columns {
			all[sealed] = true
		}
	}
	return all
}

// The tables of the record, which seals by keys of its own.
const (
	subjectKeys = "audit_key"
	recordRows  = "audit_entry"
)

// Stages implements keys.Rows: the tables that a data key's rotation goes through.
func (t keyTx) Stages(purpose string) (stages []string) {
	switch purpose {
	case keys.DataSubjects:
		return []string{subjectKeys}
	case keys.DataRows:
		return []string{recordRows}
	}
	for _, table := range sealedTables {
		if purpose == keys.DataField || purpose == keys.DataIndex && table.indexed != "" {
			stages = append(stages, table.name)
		}
	}
	return stages
}

// Size implements keys.Rows.
func (t keyTx) Size(stage string) (n int64, err error) {
	if !t.isStage(stage) {
		return 0, fmt.Errorf("count rows of %q: no such stage", stage)
	}
	err = t.one([]any{&n}, `SELECT count(*) FROM `+stage)
	return n, err
}

func (t keyTx) isStage(name string) bool {
	return name == subjectKeys || name == recordRows ||
		slices.ContainsFunc(sealedTables, func(s sealedTable) bool { return s.name == name })
}

// Remake implements keys.Rows.
func (t keyTx) Remake(purpose, stage, after string, limit int) (last string, n int, err error) {
	switch stage {
	case subjectKeys:
		return t.rewrapSubjects(after, limit)
	case recordRows:
		return t.retag(after, limit)
	}
	i := slices.IndexFunc(sealedTables, func(s sealedTable) bool { return s.name == stage })
	if i < 0 {
		return "", 0, fmt.Errorf("go through %q: no such stage", stage)
	}
	table := sealedTables[i]
	if table.large {
		limit = min(limit, 8)
	}
	rows, err := t.sealedRows(table, after, limit)
	if err != nil {
		return "", 0, fmt.Errorf("read %s: %w", stage, err)
	}
	for _, row := range rows {
		if err := t.remake(table, row, purpose == keys.DataIndex); err != nil {
			return "", 0, err
		}
		last = row.id
	}
	return last, len(rows), nil
}

// sealedRow is a row of a sealed table: its sealed octets and index by column, and what is indexed with them.
type sealedRow struct {
	id     string
	octets map[string][]byte
	also   []string
}

func (s sealedTable) names() (names []string) {
	for column := range s.columns {
		names = append(names, column)
	}
	slices.Sort(names)
	if s.index != "" {
		names = append(names, s.index)
	}
	return names
}

func (t keyTx) sealedRows(table sealedTable, after string, limit int) ([]sealedRow, error) {
	names := table.names()
	return list(t.tx, func(s scanner) (row sealedRow, err error) {
		octets, also := make([][]byte, len(names)), make([]string, len(table.also))
		dest := []any{&row.id}
		for i := range names {
			dest = append(dest, &octets[i])
		}
		for i := range also {
			dest = append(dest, &also[i])
		}
		err = s.Scan(dest...)
		row.octets, row.also = map[string][]byte{}, also
		for i, name := range names {
			row.octets[name] = octets[i]
		}
		return row, err
	}, fmt.Sprintf(`SELECT %s FROM %s WHERE %s > $1 ORDER BY %s LIMIT $2`,
		strings.Join(append(append([]string{table.id}, names...), table.also...), ", "), table.name, table.id, table.id), after, limit)
}

// remake seals the stale columns of a row anew, or its index if asked to, unless somebody wrote the row meanwhile: what
// is written since the new key is in force stands under it already. A column that was damaged stays as it is and so keeps its
// key from being destroyed; an index cannot be made of it, and the rotation of the index waits until the row is repaired.
func (t keyTx) remake(table sealedTable, row sealedRow, index bool) error {
	k, err := t.fieldKeys()
	if err != nil {
		return err
	}
	changed := map[string][]byte{}
	for column, name := range table.columns {
		old := row.octets[column]
		if index && (column != table.indexed || row.octets[table.index] == nil) {
			continue
		}
		if !index && (len(old) < 4 || binary.BigEndian.Uint32(old) == k.Version) {
			continue
		}
		value, err := t.open(name, row.id, old)
		if damaged := errors.Is(err, gm.ErrOpen) && t.stale == nil; damaged && !index {
			continue
		}
		if err != nil {
			return err
		}
		if index {
			changed[table.index], err = t.index(name, strings.Join(append(slices.Clone(row.also), value), "\x00"))
		} else {
			changed[column], err = t.seal(name, row.id, value)
		}
		if err != nil {
			return err
		}
	}
	return t.replace(table, row, changed)
}

// replace writes octets where those of before still stand.
func (t keyTx) replace(table sealedTable, row sealedRow, changed map[string][]byte) error {
	args := []any{row.id}
	var set, where []string
	for column, octets := range changed {
		if bytes.Equal(octets, row.octets[column]) {
			continue
		}
		args = append(args, octets, row.octets[column])
		set = append(set, fmt.Sprintf("%s = $%d", column, len(args)-1))
		where = append(where, fmt.Sprintf("%s = $%d", column, len(args)))
	}
	if len(set) == 0 {
		return nil
	}
	_, err := t.exec(fmt.Sprintf(`UPDATE %s SET %s WHERE %s = $1 AND %s`,
		table.name, strings.Join(set, ", "), table.id, strings.Join(where, " AND ")), args...)
	if err != nil {
		return fmt.Errorf("write %s of %s anew: %w", table.name, row.id, err)
	}
	return nil
}
