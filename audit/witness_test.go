package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"hufu/audit"
	"hufu/audit/tree"
)

// memory is a witness's state in memory.
type memory struct{ note []byte }

func (m *memory) Load(context.Context) ([]byte, error) { return m.note, nil }

func (m *memory) Replace(_ context.Context, last, next []byte) error {
	if !bytes.Equal(last, m.note) {
		return errors.New("changed")
	}
	m.note = next
	return nil
}

func (s *site) witness(t *testing.T, p party, fetch audit.Fetch, state audit.WitnessState) *audit.Witness {
	t.Helper()
	w, err := audit.NewWitness(audit.WitnessConfig{Log: s.party.Key, Key: p.Key, Signer: p.signer, Fetch: fetch, State: state, Now: func() time.Time { return s.now }})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// fork makes a log of the same key that agrees on the first entries and differs after.
func (s *site) fork(t *testing.T, size uint64, same int) folder {
	t.Helper()
	f, entries := folder{}, map[uint64][]byte{}
	for i := range size {
		leaf := audit.Leaf{ID: fmt.Sprintf("FORGED-%d", i), At: s.now, Action: "seal.use", Actor: "person:X", Object: audit.Object{Kind: "seal", ID: "O"}}.Bytes()
		if int(i) < same {
			proof, err := s.Proof(t.Context(), s.entry(int(i)).ID)
			if err != nil {
				t.Fatal(err)
			}
			leaf = proof.Entry
		}
		var err error
		if entries[i/256], err = tree.AppendEntry(entries[i/256], leaf); err != nil {
			t.Fatal(err)
		}
	}
	for index, data := range entries {
		tile, _ := tree.TileAt(tree.Entries, index, size)
		f[tile.Path()] = data
	}
	f["checkpoint"] = s.sign(t, rebuild(t, f, size, entries))
	return f
}

// rebuild writes the hash tiles that bundles of entries give.
func rebuild(t *testing.T, f folder, size uint64, bundles map[uint64][]byte) tree.Head {
	t.Helper()
	b := tree.NewBuilder(func(td tree.TileData) { f[td.Path()] = td.Data })
	for index := uint64(0); index*256 < size; index++ {
		entries, err := tree.SplitEntries(bundles[index], 256)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if err := b.Add(tree.LeafHash(e)); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.Finish()
	head, err := b.Head()
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// Two forks of one log, each signed with the log's key: the witness refuses the second, and so does the offline verifier who saw the first.
func TestForkedLogsAreRefused(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.record(t, 20)
		s.rounds(t, "node", 0)
		honest := s.export(t)
		w, state := newParty(t, "w.example.cn", tree.Witness), &memory{}
		seen, err := s.witness(t, w, honest.fetch, state).Round(t.Context())
		if err != nil || seen.Size != 20 || !seen.New {
			t.Fatalf("%+v, %v", seen, err)
		}
		cosigned, err := tree.AddCosignature(honest["checkpoint"], seen.Line, w.Key)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := s.witness(t, w, honest.fetch, state).Round(t.Context()); err != nil || again.New {
			t.Errorf("the same checkpoint again: %+v, %v", again, err)
		}
		for name, row := range map[string]struct {
			shown folder
			want  error
			code  string
		}{
			"same size, other entries": {s.fork(t, 20, 10), tree.ErrFork, audit.FindRewritten},
			"larger, other entries":    {s.fork(t, 30, 10), tree.ErrMismatch, audit.FindRewritten},
			"smaller, other entries":   {s.fork(t, 15, 10), tree.ErrShrunk, audit.FindTruncated},
		} {
			_, err := s.witness(t, w, row.shown.fetch, state).Round(t.Context())
			breach, ok := errors.AsType[*audit.BreachError](err)
			if !ok || !errors.Is(err, row.want) || !bytes.Equal(breach.Last, honest["checkpoint"]) || !bytes.Equal(breach.Now, row.shown["checkpoint"]) {
				t.Errorf("%s: the witness said %v", name, err)
			}
			if !bytes.Equal(state.note, honest["checkpoint"]) {
				t.Errorf("%s: the witness changed its state", name)
			}
			if r := s.verify(t, row.shown, audit.Expect{Earlier: [][]byte{honest["checkpoint"]}}); r.OK() || r.Findings[0].Code != row.code {
				t.Errorf("%s: the verifier found %+v", name, r.Findings)
			}
			if r := s.verify(t, row.shown, audit.Expect{}); !r.OK() {
				t.Errorf("%s: (control) alone it is a log without a fault: %+v", name, r.Findings)
			}
			if _, err := tree.VerifyCheckpoint(row.shown["checkpoint"], s.party.Key, []*tree.Key{w.Key}, 1); !errors.Is(err, tree.ErrQuorum) {
				t.Errorf("%s: a quorum of one witness: %v", name, err)
			}
		}
		if fork, err := tree.VerifyFork(cosigned, s.fork(t, 20, 10)["checkpoint"], s.party.Key); err != nil || !fork {
			t.Errorf("the evidence: %v, %v", fork, err)
		}
		if _, err := tree.VerifyCheckpoint(cosigned, s.party.Key, []*tree.Key{w.Key}, 1); err != nil {
			t.Error(err)
		}
	})
}

func TestWitnessFollows(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.record(t, 5)
		s.rounds(t, "node", 0)
		old := s.export(t)
		path := filepath.Join(t.TempDir(), "state")
		w := newParty(t, "w", tree.Witness)
		if _, err := s.witness(t, w, old.fetch, audit.FileState(path)).Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.record(t, 600)
		s.rounds(t, "node", 200)
		grown := s.export(t)
		seen, err := s.witness(t, w, grown.fetch, audit.FileState(path)).Round(t.Context())
		if err != nil || seen.Size != 605 || !seen.New {
			t.Fatalf("%+v, %v", seen, err)
		}
		if kept, err := os.ReadFile(path); err != nil || !bytes.Equal(kept, grown["checkpoint"]) {
			t.Errorf("state: %s, %v", kept, err)
		}
		if left, _ := filepath.Glob(path + ".*"); left != nil {
			t.Errorf("left behind: %v", left)
		}
		stale := clone(grown) // a cache that still shows the old checkpoint is no breach, but nothing is signed
		stale["checkpoint"] = old["checkpoint"]
		if _, err := s.witness(t, w, stale.fetch, audit.FileState(path)).Round(t.Context()); !errors.Is(err, audit.ErrStale) {
			t.Errorf("stale: %v", err)
		}
		spoilt := clone(grown) // wrong tiles prove nothing, also on first use
		spoilt["tile/0/002.p/93"] = bytes.Repeat([]byte{1}, 93*32)
		if _, err := s.witness(t, w, spoilt.fetch, &memory{}).Round(t.Context()); !errors.Is(err, tree.ErrMismatch) {
			t.Errorf("first use on wrong tiles: %v", err)
		}
		if err := audit.FileState(path).Replace(t.Context(), old["checkpoint"], old["checkpoint"]); err == nil {
			t.Error("a state that has moved on was replaced")
		}
	})
}

// A witness that cannot keep its state signs nothing.
func TestWitnessKeepsStateBeforeSigning(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.record(t, 5)
		s.rounds(t, "node", 0)
		w := newParty(t, "w", tree.Witness)
		full := audit.FileState(filepath.Join(t.TempDir(), "no", "such", "folder"))
		if seen, err := s.witness(t, w, s.export(t).fetch, full).Round(t.Context()); err == nil || seen.Line != nil {
			t.Errorf("signed without keeping: %s, %v", seen.Line, err)
		}
		same := party{w.Key, s.signer}
		if _, err := audit.NewWitness(audit.WitnessConfig{Log: s.party.Key, Key: mustKey(t, "w", s), Signer: same.signer, Fetch: s.export(t).fetch, State: &memory{}, Now: time.Now}); err == nil {
			t.Error("a log became its own witness")
		}
	})
}

func mustKey(t *testing.T, name string, s *site) *tree.Key {
	t.Helper()
	k, err := tree.NewKey(name, tree.Witness, s.signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	return k
}
