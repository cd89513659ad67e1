package hsm

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Soft is the driver soft: a folder of sealed files. The folder belongs to one Soft at a time.
type Soft struct {
	folder  *folder
	kdf     KDF
	now     func() time.Time
	ring    [16]byte
	masters masters
	signers Signers

	mu      sync.RWMutex // held for reading while a key works, for writing while the set of keys changes
	closed  bool
	keys    map[string]*softKey
	damaged map[string]error // by label: files that are there and cannot be used
}

// softKey is one key of the folder. Its private part is opened at the first use and stays in memory until the end.
type softKey struct {
	file *keyFile
	info Info
	gone bool // destroyed; guarded by Soft.mu

	once sync.Once
	open *opened
	err  error
}

// Options of the soft driver; the zero value is right for production.
type Options struct {
	KDF KDF              // cost of the passphrase for a store that is created or gets a new passphrase; zero = DefaultKDF
	Now func() time.Time // nil = time.Now
}

func (o Options) filled() Options {
	if o.KDF == (KDF{}) {
		o.KDF = DefaultKDF
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// CreateSoft makes a key store in dir, which does not exist yet or is empty, and opens it.
func CreateSoft(dir string, passphrase []byte, options Options) (*Soft, error) {
	options = options.filled()
	if err := checkPassphrase(passphrase); err != nil {
		return nil, err
	}
	if err := makeFolder(dir); err != nil {
		return nil, ErrUnavailable.With("create key store: %w", err)
	}
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	s, err := createRing(f, passphrase, options)
	if err != nil {
		f.close()
		return nil, err
	}
	return s, nil
}

func createRing(f *folder, passphrase []byte, options Options) (*Soft, error) {
	names, err := f.names()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if name == ringFile || strings.HasSuffix(name, keySuffix) {
			return nil, ErrExists.With("create key store: %s already holds %s", f.path, name)
		}
	}
	var id [16]byte
	master := make([]byte, masterLen)
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	if _, err := rand.Read(master); err != nil {
		return nil, err
	}
	ring, err := newKeyring(options.KDF, id, master, passphrase)
	if err != nil {
		return nil, err
	}
	if err := f.write(ringFile, ring.bytes()); err != nil {
		return nil, err
	}
	return &Soft{
		folder: f, kdf: options.KDF, now: options.Now, ring: id, masters: newMasters(master),
		keys: map[string]*softKey{}, damaged: map[string]error{},
	}, nil
}

// OpenSoft opens the key store in dir. The failures: ErrNoStore, ErrExposed, ErrBusy, ErrDamaged (the keyring; a damaged
// key file only puts that key out of use and shows in Health), ErrWrongPIN, ErrUnavailable.
func OpenSoft(dir string, passphrase []byte, options Options) (*Soft, error) {
	options = options.filled()
	f, err := openFolder(dir)
	if err != nil {
		return nil, err
	}
	s := &Soft{folder: f, kdf: options.KDF, now: options.Now, keys: map[string]*softKey{}, damaged: map[string]error{}}
	if err := s.load(passphrase); err != nil {
		s.masters.clear()
		f.close()
		return nil, err
	}
	return s, nil
}

func (s *Soft) load(passphrase []byte) error {
	names, err := s.folder.names()
	if err != nil {
		return err
	}
	data, err := s.folder.read(ringFile, ringLen)
	if errors.Is(err, fs.ErrNotExist) {
		if slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, keySuffix) }) {
			return ErrDamaged.With("key store %s has keys but no keyring", s.folder.path)
		}
		return ErrNoStore.With("key store %s", s.folder.path)
	}
	if err != nil {
		return err
	}
	ring, err := parseKeyring(data)
	if err != nil {
		return err
	}
	master, err := ring.open(passphrase)
	if err != nil {
		return err
	}
	s.ring, s.masters = ring.id, newMasters(master)
	for _, name := range names {
		if label, ok := strings.CutSuffix(name, keySuffix); ok {
			if err := s.loadKey(label); err != nil {
				return err
			}
		}
	}
	return nil
}

// loadKey reads one key file. Only what puts the whole store in doubt is returned; damage is kept for Health.
func (s *Soft) loadKey(label string) error {
	data, err := s.folder.read(label+keySuffix, maxKeyFile)
	if err != nil && !errors.Is(err, ErrDamaged) {
		return err
	}
	var file *keyFile
	if err == nil {
		file, err = parseKeyFile(data)
	}
	if err == nil {
		err = file.check(s.masters, s.ring, label)
	}
	var key *softKey
	if err == nil {
		key, err = newSoftKey(file)
	}
	if err != nil {
		s.damaged[label] = err
		return nil
	}
	s.keys[label] = key
	return nil
}

func newSoftKey(f *keyFile) (*softKey, error) {
	pub, err := parsePublic(f.spec.Algorithm, f.public)
	if err != nil {
		return nil, ErrDamaged.With("public half of key %q: %w", f.spec.Label, err)
	}
	return &softKey{file: f, info: Info{
		Label: f.spec.Label, Algorithm: f.spec.Algorithm, Use: f.spec.Use, Purpose: f.spec.Purpose,
		Reference: f.spec.Label + keySuffix, Public: pub, Created: f.created,
	}}, nil
}

// Keys lists the keys by label.
func (s *Soft) Keys(ctx context.Context) ([]Info, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	list := make([]Info, 0, len(s.keys))
	for _, label := range slices.Sorted(maps.Keys(s.keys)) {
		list = append(list, s.keys[label].info)
	}
	return list, nil
}

// Generate makes a key and its file.
func (s *Soft) Generate(ctx context.Context, spec Spec) (Info, error) {
	spec, err := CheckSpec(spec)
	if err != nil {
		return Info{}, err
	}
	private, public, err := generate(spec.Algorithm) // before the lock: an RSA key takes a while
	if err != nil {
		return Info{}, ErrUnavailable.With("generate key %q: %w", spec.Label, err)
	}
	defer clear(private)
	file := &keyFile{ring: s.ring, created: s.now().UTC().Truncate(time.Microsecond), spec: spec, public: public}
	if _, err := rand.Read(file.salt[:]); err != nil {
		return Info{}, ErrUnavailable.With("generate key %q: %w", spec.Label, err)
	}
	key, err := newSoftKey(file)
	if err != nil {
		return Info{}, err
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return Info{}, err
	}
	if s.keys[spec.Label] != nil || s.damaged[spec.Label] != nil {
		return Info{}, ErrExists.With("key %q", spec.Label)
	}
	data, err := file.seal(s.masters, private)
	if err != nil {
		return Info{}, ErrUnavailable.With("seal key %q: %w", spec.Label, err)
	}
	if err := s.folder.write(spec.Label+keySuffix, data); err != nil {
		return Info{}, err
	}
	s.keys[spec.Label] = key
	return key.info, nil
}

// Destroy overwrites and removes the key's file and forgets the key. A damaged key can be destroyed too.
func (s *Soft) Destroy(ctx context.Context, label string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(ctx); err != nil {
		return err
	}
	key, size := s.keys[label], maxKeyFile
	switch {
	case key != nil:
		size = len(key.file.bytes())
	case s.damaged[label] == nil:
		return ErrNotFound.With("key %q", label)
	}
	if err := s.folder.remove(label+keySuffix, size); err != nil {
		return err
	}
	if key != nil {
		key.forget()
	}
	delete(s.keys, label)
	delete(s.damaged, label)
	return nil
}

// Health reports the first damaged key, or that the folder is not reachable.
func (s *Soft) Health(ctx context.Context) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.ready(ctx); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(s.folder.path, ringFile)); err != nil {
		return ErrUnavailable.With("key store: %w", err)
	}
	if len(s.damaged) > 0 {
		labels := slices.Sorted(maps.Keys(s.damaged))
		return ErrDamaged.With("%d keys, the first %q: %w", len(labels), labels[0], s.damaged[labels[0]])
	}
	return nil
}

// Close waits for operations under way, clears the keys and releases the folder.
func (s *Soft) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	for _, key := range s.keys {
		key.forget()
	}
	clear(s.keys)
	s.masters.clear()
	return s.folder.close()
}

// ready refuses when the store is closed or the caller has given up. The caller holds mu.
func (s *Soft) ready(ctx context.Context) error {
	if s.closed {
		return ErrClosed.With("key store %s", s.folder.path)
	}
	if err := ctx.Err(); err != nil {
		return ErrUnavailable.With("key store: %w", err)
	}
	return nil
}
