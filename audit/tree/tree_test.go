package tree

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"testing"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
)

// shelf keeps tiles as a store does: the widest of each.
type shelf map[Tile][]byte

func (s shelf) read(t Tile) ([]byte, error) {
	b, ok := s[Tile{t.Level, t.Index, TileWidth}]
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrMissing, t.Path())
	}
	return slices.Clone(b), nil
}

func (s shelf) put(tiles []TileData) {
	for _, t := range tiles {
		s[Tile{t.Level, t.Index, TileWidth}] = t.Data
	}
}

// grow appends n leaves "leaf 0", "leaf 1", … in batches of the given size.
func (s shelf) grow(t *testing.T, h hasher, head Head, n, batch int) Head {
	t.Helper()
	for n > 0 {
		var leaves []Hash
		for range min(n, batch) {
			leaves = append(leaves, Hash(h.HashLeaf(leafAt(head.Size+uint64(len(leaves))))))
		}
		next, tiles, err := h.append(head, s.read, leaves)
		if err != nil {
			t.Fatalf("append %d to %d: %v", len(leaves), head.Size, err)
		}
		s.put(tiles)
		head, n = next, n-len(leaves)
	}
	return head
}

func leafAt(i uint64) []byte { return fmt.Appendf(nil, "leaf %d", i) }

func sha(parts ...[]byte) [32]byte { return sha256.Sum256(bytes.Join(parts, nil)) }

// With SHA-256 our tree must be the one that transparency-dev/merkle makes, at every size and batch, with its proofs.
func TestTreeAgainstTransparencyDev(t *testing.T) {
	oracle := testonly.New(rfc6962.DefaultHasher)
	for i := range uint64(70000) {
		oracle.AppendData(leafAt(i))
	}
	for _, batch := range []int{1, 7, 256, 1000} {
		s, head := shelf{}, Head{Root: Hash(hasher(sha).EmptyRoot())}
		for _, size := range []int{1, 2, 3, 255, 256, 257, 511, 512, 1024, 1500} {
			head = s.grow(t, sha, head, size-int(head.Size), batch)
			if !bytes.Equal(head.Root[:], oracle.HashAt(head.Size)) {
				t.Fatalf("batch %d, size %d: another root than the oracle", batch, size)
			}
		}
	}
	s := shelf{}
	head := s.grow(t, sha, Head{Root: Hash(hasher(sha).EmptyRoot())}, 70000, 4096)
	if !bytes.Equal(head.Root[:], oracle.Hash()) {
		t.Fatal("size 70000: another root than the oracle")
	}
	for _, index := range []uint64{0, 1, 255, 256, 65535, 65536, 69999} {
		nodes, _ := proof.Inclusion(index, head.Size)
		ours, err := hasher(sha).collect(nodes, head.Size, s.read)
		want, err2 := oracle.InclusionProof(index, head.Size)
		if err != nil || err2 != nil || !slices.EqualFunc(bytesOf(ours), want, bytes.Equal) {
			t.Errorf("inclusion of %d differs from the oracle: %v, %v", index, err, err2)
		}
	}
	for _, old := range []uint64{1, 2, 255, 256, 300, 65536, 66000, 69999} {
		nodes, _ := proof.Consistency(old, head.Size)
		ours, err := hasher(sha).collect(nodes, head.Size, s.read)
		want, err2 := oracle.ConsistencyProof(old, head.Size)
		if err != nil || err2 != nil || !slices.EqualFunc(bytesOf(ours), want, bytes.Equal) {
			t.Errorf("consistency with %d differs from the oracle: %v, %v", old, err, err2)
		}
	}
}

// The example of C2SP tlog-tiles: 273 full and one partial level 0 tile, one and one of level 1, one of level 2.
func TestTilesOfSize70000(t *testing.T) {
	got := map[int][]Tile{}
	for level := Entries; level <= MaxLevel; level++ {
		got[level] = slices.Collect(Tiles(level, 0, 70000))
	}
	if len(got[0]) != 274 || got[0][273].Width != 112 || len(got[Entries]) != 274 || got[Entries][273].Width != 112 {
		t.Errorf("level 0: %d tiles, last %v", len(got[0]), got[0][len(got[0])-1])
	}
	if len(got[1]) != 2 || got[1][0].Width != 256 || got[1][1].Width != 17 || len(got[2]) != 1 || got[2][0].Width != 1 || got[3] != nil {
		t.Errorf("upper levels: %v %v %v", got[1], got[2], got[3])
	}
	if again := slices.Collect(Tiles(0, 69999, 70000)); len(again) != 1 || again[0].Index != 273 {
		t.Errorf("one more leaf changes %v", again)
	}
	if slices.Collect(Tiles(0, 512, 512)) != nil || slices.Collect(Tiles(0, 512, 100)) != nil {
		t.Error("nothing grew, yet tiles changed")
	}
}

// The hashes were computed by `openssl dgst -sm3` over 00‖entry and 01‖left‖right.
func TestKnownSM3Tree(t *testing.T) {
	if got := EmptyRoot(); hex.EncodeToString(got[:]) != "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b" {
		t.Errorf("empty root %x", got)
	}
	a, b, c := LeafHash([]byte("a")), LeafHash([]byte("b")), LeafHash(nil)
	for name, row := range map[string]struct {
		got  Hash
		want string
	}{
		"leaf a":    {a, knownLeafA},
		"leaf nil":  {c, knownLeafEmpty},
		"node a b":  {NodeHash(a, b), knownNodeAB},
		"root of 3": {NodeHash(NodeHash(a, b), c), knownRoot3},
	} {
		if hex.EncodeToString(row.got[:]) != row.want {
			t.Errorf("%s = %x", name, row.got)
		}
	}
	s := shelf{}
	head, tiles, err := Append(Head{Root: EmptyRoot()}, s.read, []Hash{a, b, c})
	s.put(tiles)
	if root, err2 := Root(3, s.read); err != nil || err2 != nil || hex.EncodeToString(head.Root[:]) != knownRoot3 || root != head.Root {
		t.Errorf("root of 3 = %x, %x (%v, %v)", head.Root, root, err, err2)
	}
}

func TestProofsOfEveryShape(t *testing.T) {
	s, roots := shelf{}, []Head{{Root: EmptyRoot()}}
	for n := 1; n <= 300; n++ {
		roots = append(roots, s.grow(t, sm3, roots[n-1], 1, 1))
	}
	for size := uint64(1); size <= 300; size += 1 + uint64(bits.Len64(size)) {
		for index := uint64(0); index < size; index += 1 + size/17 {
			hashes, err := Inclusion(index, size, s.read)
			if err == nil {
				err = CheckInclusion(LeafHash(leafAt(index)), index, roots[size], hashes)
			}
			if err != nil {
				t.Fatalf("inclusion %d of %d: %v", index, size, err)
			}
			if CheckInclusion(LeafHash([]byte("forged")), index, roots[size], hashes) == nil {
				t.Fatalf("a forged leaf passed as %d of %d", index, size)
			}
			if size > 1 && CheckInclusion(LeafHash(leafAt(index)), (index+1)%size, roots[size], hashes) == nil {
				t.Fatalf("leaf %d of %d passed at another index", index, size)
			}
		}
		for old := uint64(0); old <= size; old += 1 + size/23 {
			hashes, err := Consistency(old, size, s.read)
			if err == nil {
				err = CheckConsistency(roots[old], roots[size], hashes)
			}
			if err != nil {
				t.Fatalf("consistency %d → %d: %v", old, size, err)
			}
			if len(hashes) > 0 {
				hashes[0][0] ^= 1
				if CheckConsistency(roots[old], roots[size], hashes) == nil {
					t.Fatalf("a changed consistency proof %d → %d passed", old, size)
				}
			}
		}
	}
}

func TestConsistencyNamesTheBreach(t *testing.T) {
	s := shelf{}
	two := s.grow(t, sm3, Head{Root: EmptyRoot()}, 2, 2)
	five := s.grow(t, sm3, two, 3, 3)
	other := Head{Size: 5, Root: LeafHash([]byte("other"))}
	for name, row := range map[string]struct {
		old, now Head
		want     error
	}{
		"smaller":            {five, two, ErrShrunk},
		"same size":          {five, other, ErrFork},
		"larger, no proof":   {two, five, ErrMismatch},
		"larger, other root": {other, Head{Size: 9, Root: five.Root}, ErrMismatch},
		"empty, not empty":   {Head{}, five, ErrMismatch},
	} {
		if err := CheckConsistency(row.old, row.now, nil); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
	}
	if _, err := Consistency(5, 2, s.read); !errors.Is(err, ErrShrunk) {
		t.Errorf("proof from the larger to the smaller: %v", err)
	}
	if _, err := Inclusion(5, 5, s.read); !errors.Is(err, ErrMismatch) {
		t.Errorf("inclusion outside the tree: %v", err)
	}
}

func TestAppendRefusesChangedTiles(t *testing.T) {
	for name, spoil := range map[string]func(shelf){
		"changed hash": func(s shelf) { s[Tile{0, 1, TileWidth}][7] ^= 1 },
		"short tile": func(s shelf) {
			k := Tile{0, 1, TileWidth}
			s[k] = s[k][:HashSize]
		},
		"missing tile":  func(s shelf) { delete(s, Tile{0, 1, TileWidth}) },
		"changed upper": func(s shelf) { s[Tile{1, 0, TileWidth}][0] ^= 1 },
	} {
		s := shelf{}
		head := s.grow(t, sm3, Head{Root: EmptyRoot()}, 300, 300)
		spoil(s)
		if _, _, err := Append(head, s.read, []Hash{{}}); !errors.Is(err, ErrMismatch) && !errors.Is(err, ErrMissing) {
			t.Errorf("%s: appended all the same: %v", name, err)
		}
	}
}

func TestNodeOutsideTree(t *testing.T) {
	s := shelf{}
	s.grow(t, sm3, Head{Root: EmptyRoot()}, 3, 3)
	for _, id := range []compact.NodeID{{Level: 1, Index: 1}, {Level: 0, Index: 3}, {Level: 9, Index: 0}, {Level: 63, Index: 1}} {
		if _, err := sm3.node(3, id, s.read); !errors.Is(err, ErrMismatch) {
			t.Errorf("node %v of a tree of 3: %v", id, err)
		}
	}
}

const (
	knownLeafA     = "c688f41bcd570f9651ccb215058a545f66f52ab4eac2968896e1637af9443d8c"
	knownLeafEmpty = "2daef60e7a0b8f5e024c81cd2ab3109f2b4f155cf83adeb2ae5532f74a157fdf"
	knownNodeAB    = "2c537e31416ae684fd8a1552a3bcd5a452274e02a45d67c856405b3a1108ee90"
	knownRoot3     = "a488284056c55dc49de61f149bc298010bbe1b7a67f9bc1a3316fbd829ad75df"
)

func TestBuilderMakesTheSameTiles(t *testing.T) {
	for _, size := range []int{0, 1, 255, 256, 257, 600, 66000} {
		s, built := shelf{}, shelf{}
		want := s.grow(t, sm3, Head{Root: EmptyRoot()}, size, 5000)
		b := NewBuilder(func(td TileData) {
			if _, twice := built[Tile{td.Level, td.Index, TileWidth}]; twice || len(td.Data) != td.Width*HashSize {
				t.Errorf("%s emitted twice or with %d bytes", td.Path(), len(td.Data))
			}
			built.put([]TileData{td})
		})
		for i := range uint64(size) {
			if err := b.Add(LeafHash(leafAt(i))); err != nil {
				t.Fatal(err)
			}
		}
		b.Finish()
		if got, err := b.Head(); err != nil || got != want {
			t.Errorf("size %d: head %v, want %v (%v)", size, got, want, err)
		}
		if !maps.EqualFunc(s, built, bytes.Equal) {
			t.Errorf("size %d: %d tiles built, %d stored, or other content", size, len(built), len(s))
		}
	}
}
