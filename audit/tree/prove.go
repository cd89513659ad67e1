package tree

import (
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
)

// Inclusion makes the proof that the leaf of that index stands in the tree of that size.
func Inclusion(index, size uint64, read ReadTile) ([]Hash, error) {
	nodes, err := proof.Inclusion(index, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	return sm3.collect(nodes, size, read)
}

// Consistency makes the proof that the tree of size old is a prefix of the tree of size now.
func Consistency(old, now uint64, read ReadTile) ([]Hash, error) {
	nodes, err := proof.Consistency(old, now)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrShrunk, err)
	}
	return sm3.collect(nodes, now, read)
}

func (h hasher) collect(nodes proof.Nodes, size uint64, read ReadTile) ([]Hash, error) {
	read = remember(read)
	raw := make([][]byte, len(nodes.IDs))
	for i, id := range nodes.IDs {
		var err error
		if raw[i], err = h.node(size, compact.NewNodeID(id.Level, id.Index), read); err != nil {
			return nil, err
		}
	}
	raw, err := nodes.Rehash(raw, h.HashChildren)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	hashes := make([]Hash, len(raw))
	for i, b := range raw {
		hashes[i] = Hash(b)
	}
	return hashes, nil
}

// CheckInclusion refuses a proof that does not put the leaf at index into the tree of head.
func CheckInclusion(leaf Hash, index uint64, head Head, hashes []Hash) error {
	if err := proof.VerifyInclusion(sm3, index, head.Size, leaf[:], bytesOf(hashes), head.Root[:]); err != nil {
		return fmt.Errorf("entry %d in a tree of %d: %w: %w", index, head.Size, ErrMismatch, err)
	}
	return nil
}

// CheckConsistency refuses a tree that is not the old one with leaves added: ErrShrunk when it is
// smaller, ErrFork when it is as large with another root, ErrMismatch when the proof fails.
func CheckConsistency(old, now Head, hashes []Hash) error {
	switch {
	case now.Size < old.Size:
		return fmt.Errorf("%w: %d entries, before %d", ErrShrunk, now.Size, old.Size)
	case now.Size == old.Size && now.Root != old.Root:
		return fmt.Errorf("%w: %d entries, roots %s and %s", ErrFork, now.Size, old.Root, now.Root)
	case old.Size == 0 && old.Root != EmptyRoot():
		return fmt.Errorf("%w: root %s of an empty tree", ErrMismatch, old.Root)
	}
	if err := proof.VerifyConsistency(sm3, old.Size, now.Size, bytesOf(hashes), old.Root[:], now.Root[:]); err != nil {
		return fmt.Errorf("tree of %d after tree of %d: %w: %w", now.Size, old.Size, ErrMismatch, err)
	}
	return nil
}

func bytesOf(hashes []Hash) [][]byte {
	raw := make([][]byte, len(hashes))
	for i := range hashes {
		raw[i] = hashes[i][:]
	}
	return raw
}
