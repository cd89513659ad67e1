package sdf

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"hufu/hsm"
)

// file is the assignments file, read again whenever it was replaced: several processes may use one device, and a change
// that one of them makes is seen by the others. A change is made under a lock between processes.
type file struct {
	path string

	mu   sync.Mutex
	seen os.FileInfo // of the file that state was read from
	now  assignments
}

// openFile reads the file, or makes it where create says so.
func openFile(ctx context.Context, path string, create bool) (*file, error) {
	f := &file{path: path}
	_, err := f.read()
	if errors.Is(err, hsm.ErrNoStore) && create {
		err = f.change(ctx, func(*assignments) error { return nil })
	}
	return f, err
}

// read returns the file's content as it is now. The caller does not change it.
func (f *file) read() (assignments, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.load()
}

func (f *file) load() (assignments, error) {
	info, err := os.Lstat(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return assignments{}, hsm.ErrNoStore.With("SDF: assignments file %s", f.path)
	}
	if err != nil {
		return assignments{}, hsm.ErrUnavailable.With("SDF: assignments file: %w", err)
	}
	if f.seen != nil && os.SameFile(f.seen, info) && f.seen.ModTime().Equal(info.ModTime()) && f.seen.Size() == info.Size() {
		return f.now, nil
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return assignments{}, hsm.ErrExposed.With("SDF: assignments file %s has mode %v", f.path, info.Mode())
	}
	text, err := readLimited(f.path)
	if err != nil {
		return assignments{}, err
	}
	a, err := parseAssignments(text)
	if err != nil {
		return assignments{}, err
	}
	f.seen, f.now = info, a
	return a, nil
}

func readLimited(path string) ([]byte, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, hsm.ErrUnavailable.With("SDF: assignments file: %w", err)
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, hsm.ErrUnavailable.With("SDF: assignments file: %w", err)
	}
	if len(text) > maxFile {
		return nil, hsm.ErrDamaged.With("SDF: assignments file %s is larger than %d octets", path, maxFile)
	}
	return text, nil
}

// errLocked means that another process, or another goroutine of this one, changes the file now.
var errLocked = errors.New("the file is being changed")

// lock waits for the lock, no longer than ctx.
func (f *file) lock(ctx context.Context) (unlock func(), err error) {
	for {
		unlock, err := lockFile(f.path + ".lock")
		if err == nil {
			return unlock, nil
		}
		if !errors.Is(err, errLocked) {
			return nil, hsm.ErrUnavailable.With("SDF: lock assignments file: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, hsm.ErrUnavailable.With("SDF: assignments file %s is locked: %w", f.path, ctx.Err())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// change applies f to the file's newest content and puts the result in its place: when it returns nil, the change survives
// a crash; when it fails or the machine stops, the old state stands.
func (f *file) change(ctx context.Context, apply func(*assignments) error) error {
	unlock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	a, err := f.load()
	if err != nil && (!errors.Is(err, hsm.ErrNoStore) || f.seen != nil) {
		return err // a file that was there before and is gone is not made anew: its indices would be given twice
	}
	a.Keys = slices.Clone(a.Keys)
	if err := apply(&a); err != nil {
		return err
	}
	text, err := a.encode()
	if err == nil {
		_, err = parseAssignments(text) // what could not be read again is not written
	}
	if err == nil {
		err = replaceFile(f.path, text)
	}
	if err != nil {
		return hsm.ErrUnavailable.With("SDF: write assignments: %w", err)
	}
	_, err = f.load()
	return err
}

// replaceFile puts text in place of a file as a whole or not at all.
func replaceFile(path string, text []byte) error {
	tmp := path + ".tmp-" + rand.Text()
	err := writeSynced(tmp, text)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp)
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func writeSynced(path string, text []byte) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return errors.Join(err, out.Sync(), out.Close())
}
