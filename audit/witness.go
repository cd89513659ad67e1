package audit

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"hufu/audit/tree"
)

// WitnessState keeps the last checkpoint that a witness saw. Losing it means trusting the log anew.
type WitnessState interface {
	// Load returns what was last stored, and nil before the first time.
	Load(ctx context.Context) ([]byte, error)
	// Replace stores next in the place of last and returns when it is durable; it fails if last is no longer what is stored.
	Replace(ctx context.Context, last, next []byte) error
}

// WitnessConfig is what a Witness needs.
type WitnessConfig struct {
	Log    *tree.Key // whom to follow
	Key    *tree.Key // its own name and public key
	Signer crypto.Signer
	Fetch  Fetch
	State  WitnessState
	Now    func() time.Time
}

// Witness follows a log that somebody else runs and vouches that it saw one history of it only.
type Witness struct{ WitnessConfig }

// NewWitness checks the configuration.
func NewWitness(c WitnessConfig) (*Witness, error) {
	if c.Log == nil || c.Key == nil || c.Signer == nil || c.Fetch == nil || c.State == nil || c.Now == nil {
		return nil, errors.New("witness: Log, Key, Signer, Fetch, State and Now are needed")
	}
	if c.Log.Same(c.Key) {
		return nil, errors.New("witness: a log cannot be its own witness")
	}
	return &Witness{c}, nil
}

// Seen is a checkpoint that a witness has checked, and its cosignature.
type Seen struct {
	tree.Checkpoint
	Line []byte // to be handed to the log, and to whoever asks
	New  bool   // the log has grown since the last time
}

// BreachError is a log that contradicts itself. Both checkpoints carry its signature: keep and publish them.
type BreachError struct {
	Last, Now []byte // the signed checkpoint cosigned before, and the one shown now
	Cause     error  // wraps tree.ErrFork, tree.ErrShrunk or tree.ErrMismatch
}

func (e *BreachError) Error() string {
	return fmt.Sprintf("the log contradicts a checkpoint that was cosigned before: %v", e.Cause)
}

// Unwrap returns the cause.
func (e *BreachError) Unwrap() error { return e.Cause }

// Round fetches the log's checkpoint, proves by its tiles that it extends the last one, remembers it and cosigns it. A log that
// shrank, forked or whose tiles prove another tree is a *BreachError: nothing is signed and the state stays. The first checkpoint ever is
// believed (trust on first use) once its tiles give its root.
func (w *Witness) Round(ctx context.Context) (Seen, error) {
	last, err := w.State.Load(ctx)
	if err != nil {
		return Seen{}, fmt.Errorf("witness: load state: %w", err)
	}
	now, err := w.Fetch(ctx, "checkpoint")
	if err != nil {
		return Seen{}, fmt.Errorf("witness: fetch checkpoint: %w", err)
	}
	v, err := tree.VerifyCheckpoint(now, w.Log, nil, 0)
	if err != nil {
		return Seen{}, fmt.Errorf("witness: %w", err)
	}
	before := tree.Verified{}
	before.Root = tree.EmptyRoot()
	if last != nil {
		if before, err = tree.VerifyCheckpoint(last, w.Log, nil, 0); err != nil {
			return Seen{}, fmt.Errorf("witness: own state: %w", err)
		}
	}
	if err := w.extends(ctx, before.Head, v.Head); err != nil {
		if last != nil && isBreach(err) {
			return Seen{}, &BreachError{Last: last, Now: now, Cause: err}
		}
		return Seen{}, fmt.Errorf("witness: %w", err)
	}
	if last == nil || v.Head != before.Head {
		if err := w.State.Replace(ctx, last, now); err != nil { // before signing: what was signed is never forgotten
			return Seen{}, fmt.Errorf("witness: keep state: %w", err)
		}
	}
	line, err := tree.Cosign(v.Checkpoint, w.Key, w.Signer, w.Now())
	if err != nil {
		return Seen{}, fmt.Errorf("witness: %w", err)
	}
	return Seen{Checkpoint: v.Checkpoint, Line: line, New: v.Size > before.Size}, nil
}

func isBreach(err error) bool {
	return errors.Is(err, tree.ErrFork) || errors.Is(err, tree.ErrShrunk) || errors.Is(err, tree.ErrMismatch)
}

// extends proves, by the tiles that the log serves, that now is old with leaves added.
func (w *Witness) extends(ctx context.Context, old, now tree.Head) error {
	read := func(t tree.Tile) ([]byte, error) { return fetchTile(ctx, w.Fetch, t) }
	if now.Size < old.Size && w.prefix(now, old, read) {
		return fmt.Errorf("%w: %d entries, %d were cosigned before", ErrStale, now.Size, old.Size)
	}
	if now.Size <= old.Size {
		return tree.CheckConsistency(old, now, nil)
	}
	if old.Size == 0 {
		root, err := tree.Root(now.Size, read)
		if err == nil && root != now.Root {
			err = fmt.Errorf("%w: the tiles give %s, signed is %s", tree.ErrMismatch, root, now.Root)
		}
		return err
	}
	hashes, err := tree.Consistency(old.Size, now.Size, read)
	if err != nil {
		return err
	}
	return tree.CheckConsistency(old, now, hashes)
}

// prefix reports whether the smaller tree is proven to be the beginning of the larger one.
func (w *Witness) prefix(small, large tree.Head, read tree.ReadTile) bool {
	if small.Size == 0 {
		return true
	}
	hashes, err := tree.Consistency(small.Size, large.Size, read)
	return err == nil && tree.CheckConsistency(small, large, hashes) == nil
}

// ErrStale is an honest but old checkpoint, from a cache or a replica that lags: nothing is signed, try again.
var ErrStale = errors.New("the log showed an older checkpoint than before")

// FileState keeps a witness's state in a file that is replaced as a whole.
type FileState string

// Load reads the file; nil when there is none.
func (f FileState) Load(context.Context) ([]byte, error) {
	b, err := os.ReadFile(string(f))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Replace writes beside the file, syncs, and renames. Give each witness process a file of its own.
func (f FileState) Replace(ctx context.Context, last, next []byte) error {
	have, err := f.Load(ctx)
	if err != nil {
		return err
	}
	if string(have) != string(last) {
		return fmt.Errorf("%s: changed by another process", f)
	}
	return writeDurably(string(f), next)
}

func writeDurably(path string, data []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
