package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"hufu/audit/tree"
	"hufu/internal/fault"
)

// Expect is what somebody outside knows of a log.
type Expect struct {
	Log       *tree.Key
	Witnesses []*tree.Key
	Quorum    int
	Earlier   [][]byte                 // signed checkpoints of this log that were seen before, in any order
	Progress  func(done, total uint64) // may be nil
}

// Report is what VerifyExport found.
type Report struct {
	Origin       string
	Head         tree.Head // as signed
	Cosignatures []tree.Cosignature
	Entries      uint64 // how many were read and hashed
	Findings     []Finding
}

// OK reports whether nothing was found.
func (r Report) OK() bool { return len(r.Findings) == 0 }

// Finding is one thing that is wrong with a log.
type Finding struct {
	Code  string // stable, see the codes
	Index uint64 // the first entry concerned
	Count uint64 // how many entries from there on; 0 when none can be named
	Entry string // id of the entry, as far as it can still be read
	Text  fault.Text
}

// VerifyExport checks a log from outside, knowing nothing but the log's public key: every entry is hashed, the tree is computed from
// the entries and compared with the tiles, the signed root, the cosignatures and every checkpoint seen before. It names what it finds:
// which entry was changed, deleted, inserted or put elsewhere, from where on the log was cut, between which checkpoints history was
// rewritten. After maxFindings it stops. The error is for what prevents checking: a network that fails, a cancelled context.
func VerifyExport(ctx context.Context, fetch Fetch, x Expect) (Report, error) {
	signed, err := fetch(ctx, "checkpoint")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Report{}, err
	}
	e := &examiner{ctx: ctx, fetch: fetch, Expect: x, ids: map[string]uint64{}}
	if !e.open(signed) {
		return e.Report, nil
	}
	e.sortEarlier()
	if err := e.readAll(); err != nil {
		return e.Report, fmt.Errorf("verify %s: %w", e.Origin, err)
	}
	return e.Report, nil
}

const maxFindings = 50

// examiner is one run of VerifyExport.
type examiner struct {
	Expect
	Report
	ctx     context.Context
	fetch   Fetch
	ids     map[string]uint64 // where an entry id was first seen
	seen    []sighting        // earlier checkpoints, by size
	next    int               // the first of seen whose size has not been reached
	suspect []Finding         // entries that differ from their tile, until it is known which of the two is wrong
	inner   []Finding         // inner tiles that differ from the leaf hashes, told after the entries themselves

	entries, tiles *tree.Builder // the tree as the entries make it, and as the stored leaf hashes make it
}

// sighting is an earlier checkpoint with the roots that were computed at its size.
type sighting struct {
	head               tree.Head
	byEntries, byTiles tree.Hash
}

// open verifies the checkpoint; without the log's own signature there is nothing to check against.
func (e *examiner) open(signed []byte) bool {
	v, err := tree.VerifyCheckpoint(signed, e.Log, e.Witnesses, e.Quorum)
	if errors.Is(err, tree.ErrQuorum) {
		e.add(FindQuorum, 0, 0, "", err)
		v, err = tree.VerifyCheckpoint(signed, e.Log, e.Witnesses, 0)
	}
	if err != nil {
		e.add(FindSignature, 0, 0, "", err)
		return false
	}
	e.Origin, e.Head, e.Cosignatures = v.Origin, v.Head, v.Cosignatures
	return true
}

func (e *examiner) sortEarlier() {
	for _, signed := range e.Earlier {
		v, err := tree.VerifyCheckpoint(signed, e.Log, nil, 0)
		switch {
		case err != nil:
			e.add(FindEarlier, 0, 0, "", err)
		case v.Size > e.Head.Size:
			e.add(FindTruncated, e.Head.Size, v.Size-e.Head.Size, "", nil)
		default:
			e.seen = append(e.seen, sighting{head: v.Head})
		}
	}
	slices.SortFunc(e.seen, func(a, b sighting) int { return int(a.head.Size) - int(b.head.Size) })
}

// readAll reads bundle by bundle and compares.
func (e *examiner) readAll() error {
	var stray error
	e.entries = tree.NewBuilder(nil)
	e.tiles = tree.NewBuilder(func(t tree.TileData) {
		if stray == nil && t.Level > 0 {
			stray = e.compareUpper(t)
		}
	})
	e.sight(0)
	for bundle := range tree.Tiles(tree.Entries, 0, e.Head.Size) {
		if err := e.bundle(bundle); err != nil {
			return err
		}
		if e.Progress != nil {
			e.Progress(min((bundle.Index+1)*tree.TileWidth, e.Head.Size), e.Head.Size)
		}
		if len(e.Findings)+len(e.suspect) >= maxFindings {
			break
		}
	}
	e.tiles.Finish()
	if stray != nil {
		return stray
	}
	return e.judge()
}

// bundle reads up to 256 entries with their leaf hashes.
func (e *examiner) bundle(t tree.Tile) error {
	first := t.Index * tree.TileWidth
	bundle, err := fetchTile(e.ctx, e.fetch, t)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return err
	}
	entries, err := tree.SplitEntries(bundle, 2*tree.TileWidth) // more than belong there, so that what was inserted can be named
	if err != nil {
		e.add(FindMalformed, first, uint64(t.Width), "", err)
	}
	got := make([]tree.Hash, len(entries))
	for i, entry := range entries {
		got[i] = tree.LeafHash(entry)
		e.leaf(first+uint64(i), entry)
	}
	e.Entries += uint64(len(entries))
	path := t.Path()
	t.Level = 0
	want, err := e.hashes(t)
	if err != nil {
		return err
	}
	if want == nil {
		e.add(FindTile, first, uint64(t.Width), "", fmt.Errorf("%s: %w", t.Path(), tree.ErrMissing))
		want = got
	}
	if missing {
		e.add(FindDeleted, first, uint64(t.Width), "", fmt.Errorf("%s: %w", path, fs.ErrNotExist))
	} else {
		e.align(first, want, got, entries)
	}
	for i := range max(len(want), len(got)) {
		if i < len(got) {
			err = errors.Join(err, e.entries.Add(got[i]))
		}
		if i < len(want) {
			err = errors.Join(err, e.tiles.Add(want[i]))
		}
		e.sight(first + uint64(i) + 1)
	}
	return err
}

// hashes reads a tile of hashes; nil when it is missing or short.
func (e *examiner) hashes(t tree.Tile) ([]tree.Hash, error) {
	data, err := fetchTile(e.ctx, e.fetch, t)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if len(data) != t.Width*tree.HashSize {
		return nil, nil
	}
	var all []tree.Hash
	for h := range slices.Chunk(data, tree.HashSize) {
		all = append(all, tree.Hash(h))
	}
	return all, nil
}

// leaf refuses an entry of an unknown form, and one whose id was there before.
func (e *examiner) leaf(index uint64, entry []byte) {
	l, err := ParseLeaf(entry)
	if err != nil {
		e.add(FindMalformed, index, 1, "", err)
		return
	}
	if before, ok := e.ids[l.ID]; ok {
		e.add(FindTwice, index, 1, l.ID, fmt.Errorf("first at %d", before))
		return
	}
	e.ids[l.ID] = index
}

// align names how the entries of a bundle differ from the leaf hashes that belong there.
func (e *examiner) align(first uint64, want, got []tree.Hash, entries [][]byte) {
	i, j := 0, 0
	note := func(code string, at int, entry []byte) {
		l, _ := ParseLeaf(entry)
		e.suspect = append(e.suspect, Finding{Code: code, Index: first + uint64(at), Count: 1, Entry: l.ID})
	}
	for i < len(want) && j < len(got) && len(e.suspect) < maxFindings {
		switch {
		case want[i] == got[j]:
			i, j = i+1, j+1
		case i+1 < len(want) && got[j] == want[i+1] && !slices.Contains(got, want[i]):
			note(FindDeleted, i, nil)
			i++
		case j+1 < len(got) && got[j+1] == want[i] && !slices.Contains(want, got[j]):
			note(FindInserted, i, entries[j])
			j++
		case slices.Contains(want, got[j]):
			note(FindReordered, i, entries[j])
			i, j = i+1, j+1
		default:
			note(FindChanged, i, entries[j])
			i, j = i+1, j+1
		}
	}
	for ; i < len(want) && len(e.suspect) < maxFindings; i++ {
		note(FindDeleted, i, nil)
	}
	for ; j < len(got) && len(e.suspect) < maxFindings; j++ {
		note(FindInserted, len(want), entries[j])
	}
}

// compareUpper compares an inner tile with what the leaf hashes make of it.
func (e *examiner) compareUpper(computed tree.TileData) error {
	t, ok := tree.TileAt(computed.Level, computed.Index, e.Head.Size)
	if !ok || t.Width != computed.Width {
		return nil // the tree was not read to its end
	}
	stored, err := e.hashes(t)
	if err != nil {
		return err
	}
	span := uint64(1) << (8 * t.Level)
	for i := range t.Width {
		h := tree.Hash(computed.Data[i*tree.HashSize : (i+1)*tree.HashSize])
		if stored == nil || stored[i] != h {
			first := (t.Index*tree.TileWidth + uint64(i)) * span
			e.inner = append(e.inner, finding(FindTile, first, span, "", fmt.Errorf("%s: %w", t.Path(), tree.ErrMismatch)))
			return nil
		}
	}
	return nil
}

// sight notes the roots at the size of an earlier checkpoint.
func (e *examiner) sight(size uint64) {
	for ; e.next < len(e.seen) && e.seen[e.next].head.Size == size; e.next++ {
		s := &e.seen[e.next]
		byEntries, _ := e.entries.Head() // a tree that cannot be computed has the zero root, which is no root
		byTiles, _ := e.tiles.Head()
		s.byEntries, s.byTiles = byEntries.Root, byTiles.Root
	}
}

// judge says which of entries and tiles the signature stands for, and holds that against the past.
func (e *examiner) judge() error {
	byEntries, err1 := e.entries.Head()
	byTiles, err2 := e.tiles.Head()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	for _, s := range e.suspect {
		if byEntries == e.Head { // the entries are right, so the tile is not
			s.Code = FindTile
		}
		e.add(s.Code, s.Index, s.Count, s.Entry, nil)
	}
	e.Findings = append(e.Findings, e.inner[:min(len(e.inner), maxFindings-len(e.Findings))]...)
	if byEntries != e.Head && byTiles != e.Head {
		e.add(FindRoot, 0, e.Head.Size, "", fmt.Errorf("entries give %s, tiles %s, signed is %s", byEntries.Root, byTiles.Root, e.Head.Root))
	}
	var good uint64
	for _, s := range e.seen {
		if s.head.Root != s.byEntries && (s.head.Root != s.byTiles || byTiles != e.Head) {
			e.add(FindRewritten, good, s.head.Size-good, "", fmt.Errorf("checkpoint of %d seen before: root %s", s.head.Size, s.head.Root))
			continue
		}
		good = s.head.Size
	}
	return nil
}

func (e *examiner) add(code string, index, count uint64, entry string, cause error) {
	if len(e.Findings) < maxFindings {
		e.Findings = append(e.Findings, finding(code, index, count, entry, cause))
	}
}

// fetchTile fetches a tile, or the prefix of the full one where the log no longer keeps the partial one.
func fetchTile(ctx context.Context, fetch Fetch, t tree.Tile) ([]byte, error) {
	data, err := fetch(ctx, t.Path())
	if !errors.Is(err, fs.ErrNotExist) || t.Width == tree.TileWidth {
		return data, err
	}
	full := t
	full.Width = tree.TileWidth
	if data, err = fetch(ctx, full.Path()); err != nil {
		return nil, err
	}
	return tree.Prefix(data, t)
}
