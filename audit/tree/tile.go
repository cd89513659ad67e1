package tree

import (
	"encoding/binary"
	"fmt"
	"iter"
	"strconv"
	"strings"
)

const (
	// TileWidth is the number of hashes in a full tile, and of entries in a full bundle.
	TileWidth = 256
	// MaxEntry is the length of the longest entry in bytes, by the form of the bundles.
	MaxEntry = 1<<16 - 1
	// Entries is the Level of a tile that holds entries instead of hashes.
	Entries = -1

	tileHeight = 8
	// MaxLevel is the highest level of hash tiles.
	MaxLevel = 63 / tileHeight
)

// Tile names a tile: hashes Index*256 … Index*256+Width-1 of those at tree level 8*Level.
type Tile struct {
	Level int // 0 = leaf hashes; Entries = the entries themselves
	Index uint64
	Width int // 1 … 256; less than 256 = a partial tile at the right edge
}

// Path returns the tile's path as C2SP tlog-tiles writes it, without a leading slash: "tile/0/x001/067.p/8", "tile/entries/000".
func (t Tile) Path() string {
	level := "entries"
	if t.Level != Entries {
		level = strconv.Itoa(t.Level)
	}
	index := fmt.Sprintf("%03d", t.Index%1000)
	for n := t.Index / 1000; n > 0; n /= 1000 {
		index = fmt.Sprintf("x%03d/%s", n%1000, index)
	}
	if t.Width < TileWidth {
		index += ".p/" + strconv.Itoa(t.Width)
	}
	return "tile/" + level + "/" + index
}

// ParseTile reads what Path writes, and nothing else.
func ParseTile(path string) (Tile, error) {
	bad := fmt.Errorf("%w: tile path %.80q", ErrFormat, path)
	rest, ok := strings.CutPrefix(path, "tile/")
	level, rest, cut := strings.Cut(rest, "/")
	if !ok || !cut || len(path) > 80 {
		return Tile{}, bad
	}
	t := Tile{Level: Entries, Width: TileWidth}
	var err error
	if level != "entries" {
		if t.Level, err = strconv.Atoi(level); err != nil || t.Level < 0 || t.Level > MaxLevel {
			return Tile{}, bad
		}
	}
	if index, width, partial := strings.Cut(rest, ".p/"); partial {
		if t.Width, err = strconv.Atoi(width); err != nil || t.Width < 1 || t.Width >= TileWidth {
			return Tile{}, bad
		}
		rest = index
	}
	for part := range strings.SplitSeq(rest, "/") {
		n, err := strconv.ParseUint(strings.TrimPrefix(part, "x"), 10, 16)
		if err != nil || n > 999 || t.Index > 1<<52 {
			return Tile{}, bad
		}
		t.Index = t.Index*1000 + n
	}
	if t.Path() != path {
		return Tile{}, bad
	}
	return t, nil
}

// start returns the index, within its level, of the tile's first hash.
func (t Tile) start() uint64 { return t.Index * TileWidth }

// TileAt returns the tile of a level and index as a tree of that size has it; ok is false where it has none.
func TileAt(level int, index, size uint64) (t Tile, ok bool) {
	count := size
	if level > 0 {
		count >>= tileHeight * uint(level)
	}
	start := index * TileWidth
	if level > MaxLevel || level < Entries || index > 1<<55 || start >= count {
		return Tile{}, false
	}
	return Tile{Level: level, Index: index, Width: int(min(count-start, TileWidth))}, true
}

// Tiles yields the tiles of a level (Entries included) that a tree of size now has and one of size old had not, or had narrower.
func Tiles(level int, old, now uint64) iter.Seq[Tile] {
	shift := tileHeight * uint(max(level, 0))
	return func(yield func(Tile) bool) {
		if old>>shift >= now>>shift {
			return
		}
		for index := old >> shift / TileWidth; ; index++ {
			if t, ok := TileAt(level, index, now); !ok || !yield(t) {
				return
			}
		}
	}
}

// AppendEntry adds an entry to a bundle: its length in two bytes, big-endian, then itself.
func AppendEntry(bundle, entry []byte) ([]byte, error) {
	if len(entry) > MaxEntry {
		return nil, fmt.Errorf("%w: an entry of %d bytes", ErrFormat, len(entry))
	}
	return append(binary.BigEndian.AppendUint16(bundle, uint16(len(entry))), entry...), nil
}

// SplitEntries takes a bundle of at most so many entries apart. With an error it returns the entries before the fault.
// The entries share the bundle's memory.
func SplitEntries(bundle []byte, most int) ([][]byte, error) {
	var entries [][]byte
	for len(bundle) > 0 {
		if len(bundle) < 2 || len(entries) == most {
			return entries, fmt.Errorf("%w: bytes after entry %d of a bundle", ErrFormat, len(entries))
		}
		n := int(binary.BigEndian.Uint16(bundle))
		if len(bundle) < 2+n {
			return entries, fmt.Errorf("%w: entry %d of a bundle ends early", ErrFormat, len(entries))
		}
		entries = append(entries, bundle[2:2+n:2+n])
		bundle = bundle[2+n:]
	}
	return entries, nil
}

// Prefix cuts the content of a full tile down to the width of t.
func Prefix(full []byte, t Tile) ([]byte, error) {
	if t.Level != Entries {
		if len(full) < t.Width*HashSize {
			return nil, fmt.Errorf("%w: %s", ErrMissing, t.Path())
		}
		return full[:t.Width*HashSize], nil
	}
	entries, err := SplitEntries(full, TileWidth)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, e := range entries[:min(len(entries), t.Width)] {
		n += 2 + len(e)
	}
	return full[:n], nil
}
