package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"hufu/audit"
	"hufu/audit/tree"
)

// bundle takes a bundle of an exported log apart, changes it and puts it back.
func (f folder) bundle(t *testing.T, path string, change func([][]byte) [][]byte) {
	t.Helper()
	entries, err := tree.SplitEntries(f[path], 256)
	if err != nil {
		t.Fatal(err)
	}
	var b []byte
	for _, e := range change(slices.Clone(entries)) {
		if b, err = tree.AppendEntry(b, e); err != nil {
			t.Fatal(err)
		}
	}
	f[path] = b
}

func (f folder) rehash(t *testing.T, size uint64) tree.Head {
	t.Helper()
	bundles := map[uint64][]byte{}
	for tile := range tree.Tiles(tree.Entries, 0, size) {
		bundles[tile.Index] = f[tile.Path()]
	}
	return rebuild(t, f, size, bundles)
}

func edit(e []byte) []byte { return bytes.Replace(e, []byte("person:P-0"), []byte("person:P-9"), 1) }

// Each attack on an exported log of 600 entries, with what must be found, and where.
func TestEveryAttackIsFoundAndNamed(t *testing.T) {
	const second = "tile/entries/001" // entries 256 … 511
	attacks := map[string]struct {
		attack func(t *testing.T, s *site, f folder)
		code   string
		index  uint64
		entry  string
	}{
		"an entry changed": {func(t *testing.T, s *site, f folder) {
			f.bundle(t, second, func(e [][]byte) [][]byte { e[44] = edit(e[44]); return e })
		}, audit.FindChanged, 300, "E-00300"},
		"an entry deleted": {func(t *testing.T, s *site, f folder) {
			f.bundle(t, second, func(e [][]byte) [][]byte { return slices.Delete(e, 44, 45) })
		}, audit.FindDeleted, 300, ""},
		"an entry inserted": {func(t *testing.T, s *site, f folder) {
			f.bundle(t, second, func(e [][]byte) [][]byte {
				return slices.Insert(e, 44, bytes.Replace(e[44], []byte("E-00300"), []byte("E-X"), 1))
			})
		}, audit.FindInserted, 300, "E-X"},
		"two entries exchanged": {func(t *testing.T, s *site, f folder) {
			f.bundle(t, second, func(e [][]byte) [][]byte { e[44], e[45] = e[45], e[44]; return e })
		}, audit.FindReordered, 300, "E-00301"},
		"two distant entries exchanged": {func(t *testing.T, s *site, f folder) {
			f.bundle(t, second, func(e [][]byte) [][]byte { e[44], e[90] = e[90], e[44]; return e })
		}, audit.FindReordered, 300, "E-00346"},
		"an entry changed with its hash": {func(t *testing.T, s *site, f folder) {
			f.bundle(t, second, func(e [][]byte) [][]byte { e[44] = edit(e[44]); copy(f["tile/0/001"][44*32:], hashOf(e[44])); return e })
		}, audit.FindTile, 256, ""}, // the inner tile names the 256 entries
		"an entry changed with all tiles": {func(t *testing.T, s *site, f folder) {
			f.bundle(t, second, func(e [][]byte) [][]byte { e[44] = edit(e[44]); return e })
			f.rehash(t, 600)
		}, audit.FindRoot, 0, ""},
		"all rewritten and signed anew": {func(t *testing.T, s *site, f folder) {
			f.bundle(t, second, func(e [][]byte) [][]byte { e[44] = edit(e[44]); return e })
			f["checkpoint"] = s.sign(t, f.rehash(t, 600))
		}, audit.FindRewritten, 200, ""}, // between the checkpoints of 200 and 400
		"cut and signed anew": {func(t *testing.T, s *site, f folder) {
			f.bundle(t, second, func(e [][]byte) [][]byte { return e[:44] })
			f["tile/entries/001.p/44"] = f[second]
			f["checkpoint"] = s.sign(t, f.rehash(t, 300))
		}, audit.FindTruncated, 300, ""},
		"rolled back to an older state": {func(t *testing.T, s *site, f folder) {
			f["checkpoint"] = s.Earlier(t, 200)
		}, audit.FindTruncated, 200, ""},
		"the last entries missing": {func(t *testing.T, s *site, f folder) {
			delete(f, "tile/entries/002.p/88")
		}, audit.FindDeleted, 512, ""},
		"the last bundle cut": {func(t *testing.T, s *site, f folder) {
			f["tile/entries/002.p/88"] = f["tile/entries/002.p/88"][:1000]
		}, audit.FindMalformed, 512, ""},
		"a hash of a leaf changed": {func(t *testing.T, s *site, f folder) {
			f["tile/0/001"][44*32] ^= 1
		}, audit.FindTile, 300, "E-00300"},
		"a hash of a node changed": {func(t *testing.T, s *site, f folder) {
			f["tile/1/000.p/2"][32] ^= 1
		}, audit.FindTile, 256, ""},
		"a tile missing": {func(t *testing.T, s *site, f folder) {
			delete(f, "tile/0/001")
		}, audit.FindTile, 256, ""},
		"a size changed": {func(t *testing.T, s *site, f folder) {
			f["checkpoint"] = bytes.Replace(f["checkpoint"], []byte("\n600\n"), []byte("\n601\n"), 1)
		}, audit.FindSignature, 0, ""},
		"signed by another key": {func(t *testing.T, s *site, f folder) {
			f["checkpoint"] = newParty(t, s.Key().Name(), tree.Log).sign(t, f.rehash(t, 600))
		}, audit.FindSignature, 0, ""},
		"no checkpoint": {func(t *testing.T, s *site, f folder) { delete(f, "checkpoint") }, audit.FindSignature, 0, ""},
		"an entry twice": {func(t *testing.T, s *site, f folder) {
			f.bundle(t, "tile/entries/002.p/88", func(e [][]byte) [][]byte { return append(e, e[0]) })
			f["tile/entries/002.p/89"] = f["tile/entries/002.p/88"]
			f["checkpoint"] = s.sign(t, f.rehash(t, 601))
		}, audit.FindTwice, 600, "E-00512"},
		"an entry that is no leaf": {func(t *testing.T, s *site, f folder) {
			f.bundle(t, "tile/entries/002.p/88", func(e [][]byte) [][]byte { return append(e, []byte(`{"v":1}`)) })
			f["tile/entries/002.p/89"] = f["tile/entries/002.p/88"]
			f["checkpoint"] = s.sign(t, f.rehash(t, 601))
		}, audit.FindMalformed, 600, ""},
	}
	each(t, func(t *testing.T, s *site) {
		var earlier [][]byte
		for range 3 {
			s.record(t, 200)
			s.rounds(t, "node", 0)
			earlier = append(earlier, s.export(t)["checkpoint"])
		}
		good := s.export(t)
		if r := s.verify(t, good, audit.Expect{Earlier: earlier}); !r.OK() || r.Entries != 600 {
			t.Fatalf("(control) untouched: %+v", r.Findings)
		}
		for name, row := range attacks {
			f := folder{}
			for path, b := range good {
				f[path] = bytes.Clone(b)
			}
			row.attack(t, s, f)
			r := s.verify(t, f, audit.Expect{Earlier: earlier})
			if len(r.Findings) == 0 {
				t.Errorf("%s: not found", name)
				continue
			}
			got := r.Findings[0]
			if got.Code != row.code || got.Index != row.index || got.Entry != row.entry || got.Text.ZH == "" || got.Text.EN == "" {
				t.Errorf("%s: found %d, first %+v", name, len(r.Findings), got)
			}
		}
	})
}

func hashOf(entry []byte) []byte { h := tree.LeafHash(entry); return h[:] }

// Key returns the log's public key.
func (s *site) Key() *tree.Key { return s.party.Key }

// Earlier returns the stored checkpoint of that size.
func (s *site) Earlier(t *testing.T, size uint64) (note []byte) {
	t.Helper()
	if err := s.Store.View(t.Context(), func(r audit.R) error {
		signed, err := r.CheckpointAt(size)
		note = signed.Note
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return note
}

func TestVerifyWantsTheQuorum(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.record(t, 3)
		s.rounds(t, "node", 0)
		f := s.export(t)
		w := newParty(t, "w", tree.Witness)
		x := audit.Expect{Witnesses: []*tree.Key{w.Key}, Quorum: 1}
		if r := s.verify(t, f, x); len(r.Findings) != 1 || r.Findings[0].Code != audit.FindQuorum || r.Entries != 3 {
			t.Errorf("no cosignature: %+v", r)
		}
		seen, err := s.witness(t, w, f.fetch, &memory{}).Round(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if f["checkpoint"], err = tree.AddCosignature(f["checkpoint"], seen.Line, w.Key); err != nil {
			t.Fatal(err)
		}
		if r := s.verify(t, f, x); !r.OK() || len(r.Cosignatures) != 1 {
			t.Errorf("cosigned: %+v", r)
		}
		other := newParty(t, s.Key().Name(), tree.Log).sign(t, s.head(t))
		if r := s.verify(t, f, audit.Expect{Earlier: [][]byte{other}}); len(r.Findings) != 1 || r.Findings[0].Code != audit.FindEarlier {
			t.Errorf("an earlier checkpoint of another log: %+v", r.Findings)
		}
	})
}

// A log that claims to be endless is given up soon, and a network that fails is an error, not a finding.
func TestVerifyIsBounded(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.record(t, 1)
		s.rounds(t, "node", 0)
		calls := 0
		endless := folder{"checkpoint": s.sign(t, tree.Head{Size: 1 << 60, Root: tree.Hash{1}})}
		r, err := audit.VerifyExport(t.Context(), func(ctx context.Context, path string) ([]byte, error) {
			calls++
			return endless.fetch(ctx, path)
		}, audit.Expect{Log: s.Key()})
		if err != nil || r.OK() || calls > 1000 {
			t.Errorf("endless: %d calls, %d findings, %v", calls, len(r.Findings), err)
		}
		down := errors.New("network down")
		f := s.export(t)
		_, err = audit.VerifyExport(t.Context(), func(ctx context.Context, path string) ([]byte, error) {
			if strings.HasPrefix(path, "tile/entries") {
				return nil, down
			}
			return f.fetch(ctx, path)
		}, audit.Expect{Log: s.Key()})
		if !errors.Is(err, down) {
			t.Errorf("network down: %v", err)
		}
	})
}

func TestVerifyAFolderOnDisk(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.record(t, 10)
		s.rounds(t, "node", 0)
		files := fstest.MapFS{}
		for path, data := range s.export(t) {
			files[path] = &fstest.MapFile{Data: data}
		}
		key, err := tree.ParseKey(string(files["log.vkey"].Data))
		if err != nil {
			t.Fatal(err)
		}
		var progress []string
		r, err := audit.VerifyExport(t.Context(), audit.FetchFolder(files), audit.Expect{
			Log: key, Progress: func(done, total uint64) { progress = append(progress, fmt.Sprint(done, "/", total)) },
		})
		if err != nil || !r.OK() || r.Head.Size != 10 || !slices.Equal(progress, []string{"10/10"}) {
			t.Errorf("%+v, %v, %v", r, progress, err)
		}
	})
}
