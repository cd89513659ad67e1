package audit

import (
	"context"
	"fmt"

	"hufu/audit/tree"
)

// Export writes the log as files: "checkpoint", "log.vkey", every tile and every bundle of entries under tile/. The folder serves as a
// read-only copy of the log, and VerifyExport checks it. write gets a path with slashes. Nothing in it is personal data.
//
// Export reads in many transactions; what is appended meanwhile is left out.
func (l *Log) Export(ctx context.Context, write func(path string, data []byte) error) error {
	var signed Signed
	if err := l.Store.View(ctx, func(r R) (err error) { signed, err = l.newest(r); return err }); err != nil {
		return fmt.Errorf("export log: %w", err)
	}
	for level := tree.Entries; level <= tree.MaxLevel; level++ {
		for tile := range tree.Tiles(level, 0, signed.Head.Size) {
			data, err := l.tile(ctx, tile)
			if err == nil {
				err = write(tile.Path(), data)
			}
			if err != nil {
				return fmt.Errorf("export %s: %w", tile.Path(), err)
			}
		}
	}
	if err := write("log.vkey", []byte(l.Key.String()+"\n")); err != nil {
		return fmt.Errorf("export log key: %w", err)
	}
	if err := write("checkpoint", signed.Note); err != nil {
		return fmt.Errorf("export checkpoint: %w", err)
	}
	return nil
}

// tile returns the content of a tile in exactly its width, or ErrUnknown.
func (l *Log) tile(ctx context.Context, t tree.Tile) (data []byte, err error) {
	err = l.Store.View(ctx, func(r R) error {
		if t.Level != tree.Entries {
			data, err = r.Tile(t.Level, t.Index)
			if n := t.Width * tree.HashSize; err == nil && len(data) >= n {
				data = data[:n]
				return nil
			}
			return orUnknown(err, t)
		}
		leaves, err := r.Leaves(t.Index*tree.TileWidth, t.Width)
		if err != nil || len(leaves) != t.Width {
			return orUnknown(err, t)
		}
		data = nil
		for _, leaf := range leaves {
			if data, err = tree.AppendEntry(data, leaf); err != nil {
				return err
			}
		}
		return nil
	})
	return data, err
}

func orUnknown(err error, t tree.Tile) error {
	if err != nil {
		return err
	}
	return ErrUnknown.With("%s", t.Path())
}
