package tree

import (
	"fmt"

	"github.com/transparency-dev/merkle/compact"
)

// Builder computes a tree leaf by leaf, without storage: what somebody does who has all entries and trusts no tile.
type Builder struct {
	edge *compact.Range
	wide [MaxLevel + 1][]byte // the tiles that are not full yet, by level
	emit func(TileData)
}

// NewBuilder returns an empty tree. emit gets every tile of hashes once, when it is full or when Finish is called; it may be nil.
func NewBuilder(emit func(TileData)) *Builder {
	f := compact.RangeFactory{Hash: sm3.HashChildren}
	if emit == nil {
		emit = func(TileData) {}
	}
	return &Builder{edge: f.NewEmptyRange(0), emit: emit}
}

// Add appends a leaf.
func (b *Builder) Add(leaf Hash) error {
	err := b.edge.Append(leaf[:], func(id compact.NodeID, hash []byte) {
		level := id.Level / tileHeight
		if id.Level%tileHeight != 0 || level > MaxLevel {
			return
		}
		b.wide[level] = append(b.wide[level], hash...)
		if len(b.wide[level]) == TileWidth*HashSize {
			b.emit(TileData{Tile{int(level), id.Index / TileWidth, TileWidth}, b.wide[level]})
			b.wide[level] = nil
		}
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	return nil
}

// Head returns the tree so far.
func (b *Builder) Head() (Head, error) {
	root, err := sm3.rootOf(b.edge)
	return Head{Size: b.edge.End(), Root: root}, err
}

// Finish emits the partial tiles.
func (b *Builder) Finish() {
	for level, data := range b.wide {
		if t, ok := TileAt(level, b.edge.End()>>(tileHeight*uint(level))/TileWidth, b.edge.End()); ok && len(data) > 0 {
			b.emit(TileData{t, data})
		}
	}
}
