package audit

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"time"

	"hufu/audit/tree"
)

// SequencerConfig is what a Sequencer needs.
type SequencerConfig struct {
	Store  Store
	Key    *tree.Key
	Signer crypto.Signer // holds the private half of Key
	Holder string        // names this process among the nodes; another one at each start
	Batch  int           // rows per transaction; 0 = 1024
	Now    func() time.Time
}

const (
	defaultBatch = 1024
	leaseTime    = 15 * time.Second
	keepUnsigned = 10 * time.Minute // how long checkpoints without cosignatures are kept for witnesses on their way
)

// Sequencer grows the tree: call Round about each second, on any number of nodes.
//
// A round is four transactions with the signature between the last two: (1) the lease, (2) indexes, tiles and head
// of a batch, (3) the intent to sign a head, (4) the signed checkpoint. Each of 2–4 commits only while the lease is still of
// the round's epoch. A crash after any of them leaves what the next round goes on from: rows with an index are never given
// another, and whatever is signed extends every head that was ever signed or about to be.
type Sequencer struct{ SequencerConfig }

// NewSequencer checks the configuration.
func NewSequencer(c SequencerConfig) (*Sequencer, error) {
	if c.Store == nil || c.Key == nil || c.Signer == nil || c.Holder == "" || c.Now == nil || c.Batch < 0 {
		return nil, errors.New("audit: Store, Key, Signer, Holder and Now are needed")
	}
	if c.Batch == 0 {
		c.Batch = defaultBatch
	}
	return &Sequencer{c}, nil
}

// Round integrates at most one batch and signs a checkpoint if the tree has grown. It reports whether more rows
// wait. It does nothing while another node holds the lease, and nothing but one read while there is nothing to do.
func (s *Sequencer) Round(ctx context.Context) (more bool, err error) {
	idle, err := s.idle(ctx)
	if err != nil || idle {
		return false, err
	}
	epoch, held, err := s.Store.Claim(ctx, s.Holder, leaseTime)
	if err != nil || !held {
		return false, err
	}
	added, err := s.integrate(ctx, epoch)
	if err != nil {
		return false, fmt.Errorf("integrate entries: %w", err)
	}
	if err := s.checkpoint(ctx, epoch); err != nil {
		return false, fmt.Errorf("sign checkpoint: %w", err)
	}
	return added == s.Batch, nil
}

func (s *Sequencer) idle(ctx context.Context) (idle bool, err error) {
	err = s.Store.View(ctx, func(r R) error {
		state, err := stateOf(r)
		if err != nil {
			return err
		}
		signed, err := r.Checkpoint(0)
		if errors.Is(err, ErrPending) {
			return nil
		}
		waiting, err2 := r.Waiting()
		idle = !waiting && signed.Head == state.Head
		return errors.Join(err, err2)
	})
	return idle, err
}

// integrate gives the oldest pending rows the next indexes, and writes tiles and head with them.
func (s *Sequencer) integrate(ctx context.Context, epoch int64) (added int, err error) {
	err = s.Store.Update(ctx, func(w W) error {
		added = 0
		if err := w.UnderLease(epoch); err != nil {
			return err
		}
		rows, err := w.Pending(s.Batch)
		if err != nil || len(rows) == 0 {
			return err
		}
		keys, err := w.Keys()
		if err != nil {
			return err
		}
		ids, leaves := make([]string, len(rows)), make([]tree.Hash, len(rows))
		for i, row := range rows {
			if err := row.check(keys); err != nil {
				return err
			}
			ids[i], leaves[i] = row.ID, tree.LeafHash(row.Leaf)
		}
		added = len(rows)
		return grow(w, ids, leaves)
	})
	return added, err
}

// stateOf returns the tree as stored, and the empty tree before the first entry.
func stateOf(r Trees) (State, error) {
	state, err := r.State()
	if state.Head == (Head{}) {
		state.Head.Root = tree.EmptyRoot()
	}
	return state, err
}

func grow(w W, ids []string, leaves []tree.Hash) error {
	state, err := stateOf(w)
	if err != nil {
		return err
	}
	next, tiles, err := tree.Append(state.Head, readTile(w), leaves)
	if err != nil {
		return err
	}
	if err := w.Assign(ids, state.Head.Size); err != nil {
		return err
	}
	stored := make([]Tile, len(tiles))
	for i, t := range tiles {
		stored[i] = Tile{t.Level, t.Index, t.Data}
	}
	if err := w.PutTiles(stored); err != nil {
		return err
	}
	return w.PutHead(state.Head, next)
}

// checkpoint signs the head if it is not signed yet: intent, signature, checkpoint.
func (s *Sequencer) checkpoint(ctx context.Context, epoch int64) error {
	head, needed, err := s.intend(ctx, epoch)
	if err != nil || !needed {
		return err
	}
	note, err := tree.Sign(tree.Checkpoint{Origin: s.Key.Name(), Head: head}, s.Key, s.Signer)
	if err != nil {
		return err
	}
	now := s.Now()
	return s.Store.Update(ctx, func(w W) error {
		if err := w.UnderLease(epoch); err != nil {
			return err
		}
		return w.PutCheckpoint(Signed{Head: head, Note: note, At: now}, now.Add(-keepUnsigned))
	})
}

// intend stores which head is signed next, once it is proven to extend the last checkpoint and the last intent: a signature for
// either may be out in the world.
func (s *Sequencer) intend(ctx context.Context, epoch int64) (head tree.Head, needed bool, err error) {
	err = s.Store.Update(ctx, func(w W) error {
		needed = false
		if err := w.UnderLease(epoch); err != nil {
			return err
		}
		state, err := stateOf(w)
		if err != nil {
			return err
		}
		head = state.Head
		before := tree.Head{Root: tree.EmptyRoot()}
		signed, err := w.Checkpoint(0)
		switch {
		case err == nil && signed.Head == head:
			return nil
		case err == nil:
			before = signed.Head
		case !errors.Is(err, ErrPending):
			return err
		}
		if err := extends(w, before, head); err != nil {
			return fmt.Errorf("the tree does not extend the last checkpoint: %w", err)
		}
		if state.Intent != nil {
			if err := extends(w, *state.Intent, head); err != nil {
				return fmt.Errorf("the tree does not extend what was about to be signed: %w", err)
			}
		}
		needed = true
		return w.PutIntent(head)
	})
	return head, needed, err
}

// extends proves by the stored tiles that now is old with leaves added.
func extends(r Trees, old, now tree.Head) error {
	if now.Size <= old.Size {
		return tree.CheckConsistency(old, now, nil)
	}
	hashes, err := tree.Consistency(old.Size, now.Size, readTile(r))
	if err != nil {
		return err
	}
	return tree.CheckConsistency(old, now, hashes)
}
