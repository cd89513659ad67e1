package store

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"hufu/audit"
)

// The Merkle tree of the record: which entries are in it, its tiles, its head, what was signed of it.

func (t auditTx) Waiting() (waiting bool, err error) {
	err = t.one([]any{&waiting}, `SELECT EXISTS (SELECT 1 FROM audit_entry WHERE idx IS NULL)`)
	return waiting, err
}

func (t auditTx) Pending(limit int) ([]audit.Row, error) {
	return list(t.tx, scanEntry, `SELECT `+auditColumns+` FROM audit_entry WHERE idx IS NULL ORDER BY at, id LIMIT $1`, limit)
}

func (t auditTx) Leaves(first uint64, n int) ([][]byte, error) {
	return list(t.tx, func(s scanner) (leaf []byte, err error) { return leaf, s.Scan(&leaf) },
		`SELECT leaf FROM audit_entry WHERE idx >= $1 AND idx < $2 ORDER BY idx`, int64(first), int64(first)+int64(n))
}

func (t auditTx) UnderLease(epoch int64) error { return t.underLease(auditLease, epoch) }

// assignAtOnce bounds the rows of one UPDATE.
const assignAtOnce = 256

func (t auditTx) Assign(ids []string, first uint64) error {
	if t.db.engine == SQLite {
		return t.assignValues(ids, first)
	}
	indexes := make([]int64, len(ids))
	for i := range indexes {
		indexes[i] = int64(first) + int64(i)
	}
	return t.later(statement{
		query: `UPDATE audit_entry SET idx = v.idx FROM unnest($1::text[], $2::bigint[]) AS v (id, idx)
			WHERE audit_entry.id = v.id AND audit_entry.idx IS NULL`,
		args:   []any{ids, indexes},
		none:   func() error { return fmt.Errorf("assign %d indexes from %d: not every row took one", len(ids), first) },
		failed: func(err error) error { return fmt.Errorf("assign indexes from %d: %w", first, err) },
		listed: true,
	})
}

// assignValues is Assign for SQLite, which has no arrays.
func (t auditTx) assignValues(ids []string, first uint64) error {
	for len(ids) > 0 {
		part := ids[:min(len(ids), assignAtOnce)]
		values, args := make([]string, len(part)), make([]any, 0, 2*len(part))
		for i, id := range part {
			values[i] = fmt.Sprintf("($%d, CAST($%d AS BIGINT))", 2*i+1, 2*i+2)
			args = append(args, id, int64(first)+int64(i))
		}
		n, err := t.exec(`UPDATE audit_entry SET idx = v.column2 FROM (VALUES `+strings.Join(values, ", ")+`) AS v
			WHERE audit_entry.id = v.column1 AND audit_entry.idx IS NULL`, args...)
		if err != nil {
			return fmt.Errorf("assign indexes from %d: %w", first, err)
		}
		if n != int64(len(part)) {
			return fmt.Errorf("assign indexes from %d: %d of %d rows took one", first, n, len(part))
		}
		ids, first = ids[len(part):], first+uint64(len(part))
	}
	return nil
}

func (t auditTx) Tile(level int, index uint64) (data []byte, err error) {
	err = t.one([]any{&data}, `SELECT data FROM audit_tile WHERE level = $1 AND idx = $2`, level, int64(index))
	if errors.Is(err, errNoRow) {
		return nil, nil
	}
	return data, err
}

var insertTile = inserting("audit_tile", "level bigint, idx bigint, data bytea", "ON CONFLICT (level, idx) DO UPDATE SET data = excluded.data")

func (t auditTx) PutTiles(tiles []audit.Tile) error {
	for _, tile := range tiles {
		s := insertTile.of(tile.Level, int64(tile.Index), tile.Data)
		s.failed = func(err error) error { return fmt.Errorf("write tile %d/%d: %w", tile.Level, tile.Index, err) }
		if err := t.later(s); err != nil {
			return err
		}
	}
	return nil
}

func (t auditTx) State() (audit.State, error) {
	var size int64
	var root, intentRoot []byte
	var intentSize sql.NullInt64
	err := t.one([]any{&size, &root, &intentSize, &intentRoot}, `SELECT size, root, intent_size, intent_root FROM audit_tree WHERE id = 1`)
	if errors.Is(err, errNoRow) {
		return audit.State{}, nil
	}
	if err != nil {
		return audit.State{}, fmt.Errorf("read tree head: %w", err)
	}
	head, err := headOf(size, root)
	s := audit.State{Head: head}
	if err == nil && intentSize.Valid {
		var intent audit.Head
		intent, err = headOf(intentSize.Int64, intentRoot)
		s.Intent = &intent
	}
	return s, err
}

func headOf(size int64, root []byte) (h audit.Head, err error) {
	h.Size = uint64(size)
	if size < 0 || copy(h.Root[:], root) != len(h.Root) || len(root) != len(h.Root) {
		return h, fmt.Errorf("tree head of size %d with a root of %d bytes", size, len(root))
	}
	return h, nil
}

func (t auditTx) PutHead(old, now audit.Head) error {
	return t.later(statement{
		query: `
		INSERT INTO audit_tree (id, size, root) VALUES (1, $1, $2)
		ON CONFLICT (id) DO UPDATE SET size = excluded.size, root = excluded.root WHERE audit_tree.size = $3 AND audit_tree.root = $4`,
		args: []any{int64(now.Size), now.Root[:], int64(old.Size), old.Root[:]},
		none: func() error { return fmt.Errorf("the head is no longer that of size %d", old.Size) },
	})
}

func (t auditTx) PutIntent(head audit.Head) error {
	return t.later(statement{
		query: `
		INSERT INTO audit_tree (id, size, root, intent_size, intent_root) VALUES (1, $1, $2, $1, $2)
		ON CONFLICT (id) DO UPDATE SET intent_size = excluded.intent_size, intent_root = excluded.intent_root`,
		args: []any{int64(head.Size), head.Root[:]},
	})
}

const checkpointColumns = `SELECT size, root, note, cosignatures, at FROM audit_checkpoint `

func (t auditTx) Checkpoint(cosignatures int) (audit.Signed, error) {
	return t.checkpoint(checkpointColumns+`WHERE cosignatures >= $1 ORDER BY size DESC LIMIT 1`, int64(cosignatures))
}

func (t auditTx) CheckpointAt(size uint64) (audit.Signed, error) {
	return t.checkpoint(checkpointColumns+`WHERE size = $1`, int64(size))
}

func (t auditTx) checkpoint(query string, arg int64) (s audit.Signed, err error) {
	var size, at int64
	var root []byte
	err = t.one([]any{&size, &root, &s.Note, &s.Cosignatures, &at}, query, arg)
	if errors.Is(err, errNoRow) {
		return s, audit.ErrPending.With("no such checkpoint (%d)", arg)
	}
	if err == nil {
		s.Head, err = headOf(size, root)
	}
	s.At = fromMicros(at)
	return s, err
}

func (t auditTx) PutCheckpoint(s audit.Signed, prune time.Time) error {
	if err := t.later(statement{
		query: `INSERT INTO audit_checkpoint (size, root, note, cosignatures, at) VALUES ($1, $2, $3, $4, $5)`,
		args:  []any{int64(s.Head.Size), s.Head.Root[:], s.Note, s.Cosignatures, micros(s.At)},
	}); err != nil {
		return err
	}
	return t.later(statement{
		query: `DELETE FROM audit_checkpoint WHERE at < $1 AND EXISTS (SELECT 1 FROM audit_checkpoint AS newer
		WHERE newer.size > audit_checkpoint.size AND newer.cosignatures >= audit_checkpoint.cosignatures)`,
		args: []any{micros(prune)},
	})
}

func (t auditTx) PutCosigned(size uint64, old, now []byte, cosignatures int) (bool, error) {
	n, err := t.exec(`UPDATE audit_checkpoint SET note = $1, cosignatures = $2 WHERE size = $3 AND note = $4`,
		bytes.Clone(now), cosignatures, int64(size), old)
	return n == 1, err
}
