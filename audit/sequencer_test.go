package audit_test

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"hufu/audit"
	"hufu/audit/tree"
)

var errKilled = errors.New("killed here")

// mortal dies at one of its calls, before or after the call took effect: to the database a process that dies there looks the same.
type mortal struct {
	audit.Store
	dieAt string // "claim", "integrate", "intend", "store"
	after bool
	steps []string // of the Update calls of a round, in order
}

func (m *mortal) Claim(ctx context.Context, holder string, ttl time.Duration) (int64, bool, error) {
	return dying3(m, "claim", func() (int64, bool, error) { return m.Store.Claim(ctx, holder, ttl) })
}

func dying3(m *mortal, step string, call func() (int64, bool, error)) (int64, bool, error) {
	if m.dieAt == step && !m.after {
		return 0, false, errKilled
	}
	a, b, err := call()
	if m.dieAt == step && err == nil {
		return 0, false, errKilled
	}
	return a, b, err
}

func (m *mortal) Update(ctx context.Context, f func(audit.W) error) error {
	step := "?"
	if len(m.steps) > 0 {
		step, m.steps = m.steps[0], m.steps[1:]
	}
	_, _, err := dying3(m, step, func() (int64, bool, error) { return 0, false, m.Store.Update(ctx, f) })
	return err
}

// watched is a signer that tells before each signature, and may die before or after it.
type watched struct {
	crypto.Signer
	before     func()
	die, after bool
}

func (w *watched) Sign(r io.Reader, m []byte, opts crypto.SignerOpts) ([]byte, error) {
	if w.die && !w.after {
		return nil, errKilled
	}
	w.before()
	sig, err := w.Signer.Sign(r, m, opts)
	if w.die {
		return nil, errKilled
	}
	return sig, err
}

// intent returns the head about to be signed.
func (s *site) intent(t *testing.T) (head tree.Head) {
	t.Helper()
	if err := s.Store.View(t.Context(), func(r audit.R) error {
		state, err := r.State()
		if err == nil && state.Intent != nil {
			head = *state.Intent
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return head
}

// A sequencer that is killed at any step leaves what the next one goes on from: each entry gets one index, and every head that was
// ever signed, also by a signature that nobody kept, is a beginning of the tree that is signed in the end.
func TestKilledAtEveryStep(t *testing.T) {
	for _, step := range []string{"claim", "integrate", "intend", "sign", "store"} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, after=%v", step, after), func(t *testing.T) {
				each(t, func(t *testing.T, s *site) { killed(t, s, step, after) })
			})
		}
	}
}

func killed(t *testing.T, s *site, step string, after bool) {
	s.record(t, 200)
	s.rounds(t, "first", 0)
	s.record(t, 100)
	var signed []tree.Head
	signer := &watched{Signer: s.signer, before: func() { signed = append(signed, s.intent(t)) }, die: step == "sign", after: after}
	dying := &mortal{Store: s.Store, dieAt: step, after: after, steps: []string{"integrate", "intend", "store"}}
	if err := s.tryRounds(t, dying, signer, "first", 0); !errors.Is(err, errKilled) {
		t.Fatalf("it did not die: %v", err)
	}
	s.mustVerify(t, sizeOfExport(t, s)) // what is published is whole at every moment

	s.record(t, 10)
	signer.die = false
	if err := s.tryRounds(t, s.Store, signer, "second", 64); err != nil {
		t.Fatal(err)
	}
	if step != "claim" || after { // the dead one's lease still runs
		if got := sizeOfExport(t, s); got != 300 && got != 200 {
			t.Errorf("a second sequencer worked under the first one's lease: %d entries", got)
		}
	}
	s.now = s.now.Add(time.Minute)
	if err := s.tryRounds(t, s.Store, signer, "second", 64); err != nil {
		t.Fatal(err)
	}
	var earlier [][]byte
	for _, head := range signed {
		earlier = append(earlier, s.sign(t, head))
	}
	s.mustVerify(t, 310, earlier...)
	if len(signed) == 0 || signed[len(signed)-1] != s.head(t) {
		t.Errorf("signed %d heads, the last is not the tree", len(signed))
	}
}

func sizeOfExport(t *testing.T, s *site) uint64 {
	t.Helper()
	v, err := tree.VerifyCheckpoint(s.export(t)["checkpoint"], s.party.Key, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return v.Size
}

// A sequencer whose lease ran out while the device was signing cannot store what it signed.
func TestSlowSignerLosesTheLease(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.record(t, 10)
		slow := &watched{Signer: s.signer, before: func() {
			s.now = s.now.Add(time.Minute)
			s.record(t, 10)
			s.rounds(t, "second", 0)
		}}
		if err := s.tryRounds(t, s.Store, slow, "first", 0); err == nil {
			t.Error("a checkpoint was stored under a lost lease")
		}
		s.mustVerify(t, 20)
	})
}

func TestSeveralSequencersAtOnce(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		s.record(t, 300)
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				if err := s.tryRounds(t, s.Store, s.signer, fmt.Sprint("node-", i), 50); err != nil {
					t.Errorf("node %d: %v", i, err)
				}
			})
		}
		all.Wait()
		s.now = s.now.Add(time.Minute)
		s.rounds(t, "last", 0)
		s.mustVerify(t, 300)
	})
}

// What the database was made to say is not signed: another tree, a smaller one, changed tiles.
func TestSequencerSignsNoFork(t *testing.T) {
	for name, row := range map[string]struct {
		spoil func(w audit.W, old tree.Head, f folder) error
		grow  bool
	}{
		"another root of the same size": {func(w audit.W, old tree.Head, _ folder) error {
			return w.PutHead(old, tree.Head{Size: old.Size, Root: tree.Hash{1}})
		}, false},
		"a smaller tree": {func(w audit.W, old tree.Head, f folder) error {
			root, err := tree.Root(10, func(t tree.Tile) ([]byte, error) { return f["tile/0/000.p/20"], nil })
			return errors.Join(err, w.PutHead(old, tree.Head{Size: 10, Root: root}))
		}, false},
		"a tile changed, more entries": {func(w audit.W, old tree.Head, f folder) error {
			tile := bytes.Clone(f["tile/0/000.p/20"])
			tile[0] ^= 1
			return w.PutTiles([]audit.Tile{{Data: tile}})
		}, true},
		"tile and root changed together": {func(w audit.W, old tree.Head, f folder) error {
			tile := bytes.Clone(f["tile/0/000.p/20"])
			tile[0] ^= 1
			root, err := tree.Root(20, func(tree.Tile) ([]byte, error) { return tile, nil })
			return errors.Join(err, w.PutTiles([]audit.Tile{{Data: tile}}), w.PutHead(old, tree.Head{Size: 20, Root: root}))
		}, true},
	} {
		each(t, func(t *testing.T, s *site) {
			s.record(t, 20)
			s.rounds(t, "node", 0)
			f, old := s.export(t), s.head(t)
			if err := s.Store.Update(t.Context(), func(w audit.W) error { return row.spoil(w, old, f) }); err != nil {
				t.Fatal(err)
			}
			if row.grow {
				s.record(t, 5)
			}
			signer := &watched{Signer: s.signer, before: func() { t.Errorf("%s: it was signed", name) }}
			err := s.tryRounds(t, s.Store, signer, "node", 0)
			if !errors.Is(err, tree.ErrFork) && !errors.Is(err, tree.ErrShrunk) && !errors.Is(err, tree.ErrMismatch) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

func TestCheckpointsArePruned(t *testing.T) {
	each(t, func(t *testing.T, s *site) {
		w := newParty(t, "w", tree.Witness)
		s.Log = newLog(t, s, s.Store, []*tree.Key{w.Key}, 1)
		for i := range 4 {
			s.record(t, 1)
			s.rounds(t, "node", 0)
			if i == 1 {
				seen, err := s.witness(t, w, s.export(t).fetch, &memory{}).Round(t.Context())
				if err == nil {
					err = s.AddCosignature(t.Context(), seen.Size, seen.Line)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			s.now = s.now.Add(time.Hour)
		}
		for size, kept := range map[uint64]bool{1: false, 2: true, 3: false, 4: true} {
			err := s.Store.View(t.Context(), func(r audit.R) error { _, err := r.CheckpointAt(size); return err })
			if kept != (err == nil) {
				t.Errorf("checkpoint of %d: %v", size, err)
			}
		}
		if proof, err := s.Proof(t.Context(), "E-00000"); err != nil {
			t.Error(err)
		} else if v, err := proof.Verify(s.party.Key, []*tree.Key{w.Key}, 1); err != nil || v.Size != 2 {
			t.Errorf("an old entry is proven under the cosigned checkpoint: %d, %v", v.Size, err)
		}
		if v := sizeOfExport(t, s); v != 2 {
			t.Errorf("the export is of %d, the cosigned checkpoint of 2", v)
		}
	})
}
