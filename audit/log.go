package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hufu/audit/tree"
	"hufu/internal/actor"
)

// Config is what a Log needs.
type Config struct {
	Store     Store
	Key       *tree.Key        // the log's name and public key
	Witnesses []*tree.Key      // whose cosignatures are kept; may be empty
	Quorum    int              // how many of them a proof should carry; 0 = none
	Now       func() time.Time // clock
}

// Log is the record as a service: for auditors, for those who want a proof, for witnesses. Sequencer makes it grow.
type Log struct{ Config }

// New checks the configuration.
func New(c Config) (*Log, error) {
	switch {
	case c.Store == nil || c.Key == nil || c.Now == nil:
		return nil, errors.New("audit: Store, Key and Now are needed")
	case c.Quorum < 0 || c.Quorum > len(c.Witnesses):
		return nil, fmt.Errorf("audit: a quorum of %d among %d witnesses", c.Quorum, len(c.Witnesses))
	}
	return &Log{c}, nil
}

// Erase destroys the key of a subject: what was sealed under it, in rows, backups of rows and exports, can no
// longer be read by anyone, while every leaf, proof and checkpoint still holds. It is recorded and cannot be undone.
// A subject that is erased twice, or of whom nothing was recorded, is no error.
//
// Backups that were made before and hold the wrapped key undo the erasure until they are destroyed too.
func (l *Log) Erase(ctx context.Context, who actor.Actor, subject string) error {
	if err := who.Require(actor.RoleSuperAdmin); err != nil {
		return err
	}
	if !isID(subject) {
		return ErrUnknown.With("erase subject %q", subject)
	}
	return l.Store.Update(ctx, func(w W) error {
		if err := w.DestroySubjectKey(subject, l.Now()); err != nil {
			return fmt.Errorf("erase subject %s: %w", subject, err)
		}
		return w.Record(Entry{At: l.Now(), Actor: who, Action: ActionErase, Object: Object{Kind: "subject", ID: subject}})
	})
}

// Checkpoint returns the newest signed checkpoint, with the quorum of cosignatures if there is one with it; nil when none
// was signed yet.
func (l *Log) Checkpoint(ctx context.Context) (note []byte, err error) {
	for _, cosignatures := range []int{l.Quorum, 0} {
		var signed Signed
		err = l.Store.View(ctx, func(r R) (err error) { signed, err = r.Checkpoint(cosignatures); return err })
		if err == nil {
			return signed.Note, nil
		}
		if !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrPending) {
			return nil, err
		}
	}
	return nil, nil
}

// AddCosignature adds a witness's signature line to the checkpoint of that size. The line proves itself, so that anyone may bring it.
func (l *Log) AddCosignature(ctx context.Context, size uint64, line []byte) error {
	return l.Store.Update(ctx, func(w W) error {
		signed, err := w.CheckpointAt(size)
		if err != nil {
			return err
		}
		for _, key := range l.Witnesses {
			note, err := tree.AddCosignature(signed.Note, line, key)
			if err != nil {
				continue
			}
			v, err := tree.VerifyCheckpoint(note, l.Key, l.Witnesses, 0)
			if err != nil {
				return ErrCosignature.With("checkpoint of %d: %w", size, err)
			}
			if ok, err := w.PutCosigned(size, signed.Note, note, len(v.Cosignatures)); err != nil || !ok {
				return errors.Join(err, ErrPending.With("checkpoint of %d changed meanwhile", size))
			}
			return nil
		}
		return ErrCosignature.With("checkpoint of %d: no known witness signed the line", size)
	})
}

// newest returns the newest checkpoint with the quorum, or without it when none has it yet.
func (l *Log) newest(r Trees) (Signed, error) {
	s, err := r.Checkpoint(l.Quorum)
	if errors.Is(err, ErrPending) && l.Quorum > 0 {
		s, err = r.Checkpoint(0)
	}
	return s, err
}

// readTile reads hash tiles for proofs.
func readTile(r Trees) tree.ReadTile {
	return func(t tree.Tile) ([]byte, error) { return r.Tile(t.Level, t.Index) }
}

// Proof returns the offline proof that an entry stands in the log, under the newest checkpoint that has the quorum of
// cosignatures, or under the newest of all if that one does not cover the entry yet. It needs no actor: what it shows
// is public. An entry that no checkpoint covers is ErrPending.
func (l *Log) Proof(ctx context.Context, id string) (proof tree.Proof, err error) {
	err = l.Store.View(ctx, func(r R) error {
		row, err := r.Row(id)
		if err != nil {
			return err
		}
		proof, err = l.prove(r, row)
		return err
	})
	return proof, err
}

// Proofs returns the proofs of every entry about an object, newest first, at most 100; entries still pending are left out.
func (l *Log) Proofs(ctx context.Context, o Object) (proofs []tree.Proof, err error) {
	err = l.Store.View(ctx, func(r R) error {
		proofs = nil
		rows, err := r.Find(Query{Object: o, Limit: maxPage})
		if err != nil {
			return err
		}
		for _, row := range rows {
			p, err := l.prove(r, row)
			if err != nil && !errors.Is(err, ErrPending) {
				return err
			}
			if err == nil {
				proofs = append(proofs, p)
			}
		}
		return nil
	})
	return proofs, err
}

func (l *Log) prove(r Trees, row Row) (tree.Proof, error) {
	if !row.Sequenced {
		return tree.Proof{}, ErrPending.With("entry %s", row.ID)
	}
	signed, err := r.Checkpoint(l.Quorum)
	if errors.Is(err, ErrPending) || err == nil && signed.Head.Size <= row.Index {
		signed, err = r.Checkpoint(0)
	}
	if err != nil {
		return tree.Proof{}, err
	}
	if signed.Head.Size <= row.Index {
		return tree.Proof{}, ErrPending.With("entry %s has index %d, the checkpoint %d entries", row.ID, row.Index, signed.Head.Size)
	}
	hashes, err := tree.Inclusion(row.Index, signed.Head.Size, readTile(r))
	if err == nil {
		err = tree.CheckInclusion(tree.LeafHash(row.Leaf), row.Index, signed.Head, hashes)
	}
	if err != nil {
		return tree.Proof{}, fmt.Errorf("prove entry %s: %w", row.ID, err)
	}
	return tree.Proof{Entry: row.Leaf, Index: row.Index, Hashes: hashes, Checkpoint: signed.Note}, nil
}
