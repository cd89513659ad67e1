package hsm

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	ringFile  = "keyring"
	lockFile  = "lock"
	keySuffix = ".key"
	tmpPrefix = ".tmp-"
)

// folder is the directory of a soft store, held exclusively while it is open.
type folder struct {
	path string
	lock *os.File
}

// makeFolder makes the directory, durably, and closes an empty one to others.
func makeFolder(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	if entries, err := os.ReadDir(path); err != nil || len(entries) > 0 {
		return err
	}
	if err := os.Chmod(path, 0o700); err != nil {
		return err
	}
	return (&folder{path: filepath.Dir(path)}).sync()
}

// openFolder checks that nobody else can enter the directory, locks it and removes what torn writes left behind.
func openFolder(path string) (*folder, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrNoStore.With("key store %s", path)
	case err != nil:
		return nil, ErrUnavailable.With("key store: %w", err)
	case !info.IsDir():
		return nil, ErrNoStore.With("key store %s is not a folder", path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, ErrExposed.With("key store %s has mode %o", path, info.Mode().Perm())
	}
	lock, err := lockFolder(filepath.Join(path, lockFile))
	if err != nil {
		return nil, err
	}
	f := &folder{path, lock}
	if err := f.sweep(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// close releases the lock.
func (f *folder) close() error { return f.lock.Close() }

// sweep removes temporary files. A name that begins with tmpPrefix never holds the only copy of anything.
func (f *folder) sweep() error {
	names, err := f.names()
	for _, name := range names {
		if strings.HasPrefix(name, tmpPrefix) {
			err = errors.Join(err, os.Remove(filepath.Join(f.path, name)))
		}
	}
	if err != nil {
		return ErrUnavailable.With("key store: %w", err)
	}
	return nil
}

func (f *folder) names() ([]string, error) {
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return nil, ErrUnavailable.With("list key store: %w", err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// read returns a file of at most limit octets. A file that others can read or that is no plain file is ErrExposed.
func (f *folder) read(name string, limit int64) ([]byte, error) {
	file, err := os.OpenFile(filepath.Join(f.path, name), os.O_RDONLY|noFollow, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, ErrUnavailable.With("open %s: %w", name, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, ErrUnavailable.With("key store: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return nil, ErrExposed.With("%s has mode %v", file.Name(), info.Mode())
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, ErrUnavailable.With("key store: %w", err)
	}
	if int64(len(data)) > limit {
		return nil, ErrDamaged.With("%s is larger than %d octets", file.Name(), limit)
	}
	return data, nil
}

// write puts a file in place as a whole or not at all: when it returns nil, the file survives a crash; when it fails
// or the machine stops, the old state stands.
func (f *folder) write(name string, data []byte) error {
	tmp := filepath.Join(f.path, tmpPrefix+rand.Text())
	err := writeSynced(tmp, data)
	if err == nil {
		err = os.Rename(tmp, filepath.Join(f.path, name))
	}
	if err == nil {
		err = f.sync()
	} else {
		_ = os.Remove(tmp)
	}
	if err != nil {
		return ErrUnavailable.With("write %s: %w", name, err)
	}
	return nil
}

func writeSynced(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Sync(), file.Close())
}

// remove takes a file away: first out of its name, for good, then its octets are overwritten (which file systems that
// copy on write may keep all the same), then the rest.
func (f *folder) remove(name string, size int) error {
	tmp := filepath.Join(f.path, tmpPrefix+rand.Text())
	if err := os.Rename(filepath.Join(f.path, name), tmp); err != nil {
		return ErrUnavailable.With("destroy %s: %w", name, err)
	}
	if err := f.sync(); err != nil {
		return ErrUnavailable.With("destroy %s: %w", name, err)
	}
	file, err := os.OpenFile(tmp, os.O_WRONLY, 0)
	if err == nil {
		_, err = file.Write(make([]byte, size))
		err = errors.Join(err, file.Sync(), file.Close())
	}
	if err = errors.Join(err, os.Remove(tmp)); err != nil {
		return ErrUnavailable.With("overwrite %s: %w", name, err)
	}
	return nil
}

// sync makes names durable.
func (f *folder) sync() error {
	d, err := os.Open(f.path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
