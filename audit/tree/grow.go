package tree

import (
	"bytes"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
)

// ReadTile returns the content of a hash tile: Width hashes of 32 bytes one after another. It may return more
// (the tile has grown since), never less. Level is never Entries.
type ReadTile func(Tile) ([]byte, error)

// TileData is a tile with its content.
type TileData struct {
	Tile
	Data []byte
}

// Append adds leaves to the tree that head describes and returns the new head with every tile that is new or
// wider. The old tiles at the right edge are read, and must give head's root: a tree whose stored tiles
// were changed is not grown.
func Append(head Head, read ReadTile, leaves []Hash) (Head, []TileData, error) {
	return sm3.append(head, read, leaves)
}

func (h hasher) append(head Head, read ReadTile, leaves []Hash) (Head, []TileData, error) {
	read = remember(read)
	edge, err := h.edge(head.Size, read)
	if err != nil {
		return Head{}, nil, err
	}
	if root, err := h.rootOf(edge); err != nil || root != head.Root {
		return Head{}, nil, fmt.Errorf("%w: the stored tiles of a tree of %d give root %s, not %s", ErrMismatch, head.Size, root, head.Root)
	}
	added := map[compact.NodeID][]byte{}
	for _, leaf := range leaves {
		if err := edge.Append(leaf[:], func(id compact.NodeID, hash []byte) {
			if id.Level%tileHeight == 0 {
				added[id] = hash
			}
		}); err != nil {
			return Head{}, nil, fmt.Errorf("%w: %w", ErrMismatch, err)
		}
	}
	root, err := h.rootOf(edge)
	if err != nil {
		return Head{}, nil, err
	}
	next := Head{Size: edge.End(), Root: root}
	tiles, err := widen(head.Size, next.Size, read, added)
	return next, tiles, err
}

// widen makes the tiles that a tree of size now has beyond one of size old, out of the old ones and the added nodes.
func widen(old, now uint64, read ReadTile, added map[compact.NodeID][]byte) ([]TileData, error) {
	var tiles []TileData
	for level := 0; level <= MaxLevel; level++ {
		for t := range Tiles(level, old, now) {
			var content bytes.Buffer
			if was, ok := TileAt(level, t.Index, old); ok {
				prefix, err := read(was)
				if err != nil {
					return nil, err
				}
				content.Write(prefix)
			}
			for i := uint64(content.Len() / HashSize); i < uint64(t.Width); i++ {
				content.Write(added[compact.NewNodeID(uint(level)*tileHeight, t.start()+i)])
			}
			if content.Len() != t.Width*HashSize {
				return nil, fmt.Errorf("%w: %s has %d bytes", ErrMissing, t.Path(), content.Len())
			}
			tiles = append(tiles, TileData{t, content.Bytes()})
		}
	}
	return tiles, nil
}

// Root computes the root of a tree of that size from its tiles; only those at the right edge are read.
func Root(size uint64, read ReadTile) (Hash, error) {
	edge, err := sm3.edge(size, remember(read))
	if err != nil {
		return Hash{}, err
	}
	return sm3.rootOf(edge)
}

// edge returns the compact range over the first size leaves.
func (h hasher) edge(size uint64, read ReadTile) (*compact.Range, error) {
	ids := compact.RangeNodes(0, size, nil)
	hashes := make([][]byte, len(ids))
	for i, id := range ids {
		var err error
		if hashes[i], err = h.node(size, id, read); err != nil {
			return nil, err
		}
	}
	f := compact.RangeFactory{Hash: h.HashChildren}
	return f.NewRange(0, size, hashes)
}

func (h hasher) rootOf(edge *compact.Range) (Hash, error) {
	if edge.End() == 0 {
		return Hash(h.EmptyRoot()), nil
	}
	root, err := edge.GetRootHash(nil)
	if err != nil || len(root) != HashSize {
		return Hash{}, fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	return Hash(root), nil
}

// node returns the hash of a perfect subtree, out of the one tile that holds its hashes.
func (h hasher) node(size uint64, id compact.NodeID, read ReadTile) ([]byte, error) {
	level, height := int(id.Level/tileHeight), id.Level%tileHeight
	first := id.Index << height
	t, ok := TileAt(level, first/TileWidth, size)
	at, n := int(first%TileWidth), 1<<height
	if !ok || at+n > t.Width {
		return nil, fmt.Errorf("%w: node %d/%d lies outside a tree of %d", ErrMismatch, id.Level, id.Index, size)
	}
	content, err := read(t)
	if err != nil {
		return nil, err
	}
	return h.fold(content[at*HashSize : (at+n)*HashSize]), nil
}

// fold returns the root over a power of two of hashes.
func (h hasher) fold(hashes []byte) []byte {
	if len(hashes) == HashSize {
		return hashes
	}
	half := len(hashes) / 2
	return h.HashChildren(h.fold(hashes[:half]), h.fold(hashes[half:]))
}

// remember reads each tile once, cuts it to its width and refuses a narrower one.
func remember(read ReadTile) ReadTile {
	seen := map[Tile][]byte{}
	return func(t Tile) ([]byte, error) {
		if content, ok := seen[t]; ok {
			return content, nil
		}
		content, err := read(t)
		if err != nil {
			return nil, err
		}
		n := t.Width * HashSize
		if len(content) < n {
			return nil, fmt.Errorf("%w: %s has %d bytes of %d", ErrMissing, t.Path(), len(content), n)
		}
		seen[t] = content[:n:n]
		return seen[t], nil
	}
}
