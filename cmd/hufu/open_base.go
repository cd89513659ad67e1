package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"hufu/audit"
	"hufu/audit/tree"
	"hufu/hsm"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/keys"
	"hufu/store"
)

var (
	errNoData = fault.New(fault.NotFound, "no-data",
		"There is no server in this data folder yet. Run `hufu init` first, or try `hufu serve --demo`.",
		"该数据目录中还没有服务。请先运行 hufu init，或用 hufu serve --demo 试用。")
	errData = fault.New(fault.Unavailable, "data-folder",
		"The data folder cannot be used. Check that it is a folder that this user can write.",
		"数据目录无法使用。请检查它是否为当前用户可写的目录。")
)

// openDevice opens the software key store in the data folder, making both on the first start if asked to.
func (s *server) openDevice(_ context.Context, o openOptions) error {
	if o.create {
		if err := makePassphrase(s.cfg); err != nil {
			return err
		}
	}
	if _, err := os.Stat(s.cfg.PassphraseFile); errors.Is(err, os.ErrNotExist) {
		return errNoData.With("no passphrase file %s", s.cfg.PassphraseFile)
	}
	passphrase, err := hsm.PassphraseFile(s.cfg.PassphraseFile)
	if err != nil {
		return fmt.Errorf("passphrase file %s: %w", s.cfg.PassphraseFile, err)
	}
	defer clear(passphrase)
	dir := filepath.Join(s.cfg.Data, "keys")
	device, err := hsm.OpenSoft(dir, passphrase, hsm.Options{})
	if errors.Is(err, hsm.ErrNoStore) && o.create {
		device, err = hsm.CreateSoft(dir, passphrase, hsm.Options{})
	}
	if err != nil {
		return fmt.Errorf("key store %s: %w", dir, err)
	}
	s.device = device
	s.onClose(device.Close)
	return nil
}

// makePassphrase makes the data folder and, where nothing is there yet, a random passphrase that only its owner can read.
func makePassphrase(cfg Config) error {
	if err := os.MkdirAll(cfg.Data, 0o700); err != nil {
		return errData.With("%w", err)
	}
	f, err := os.OpenFile(cfg.PassphraseFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return errData.With("%w", err)
	}
	_, err = f.WriteString(rand.Text() + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errData.With("write passphrase: %w", err)
	}
	return nil
}

func (s *server) openStore(ctx context.Context, o openOptions) (err error) {
	if s.db, err = store.Open(ctx, s.cfg.dsn(), store.Options{Now: s.now}); err != nil {
		return err
	}
	s.onClose(s.db.Close)
	if o.migrate {
		if _, err := s.db.Migrate(ctx); err != nil {
			return err
		}
	}
	return s.db.CheckVersion(ctx)
}

// openKeys opens the master key and the data keys of the database, and completes or voids keys left half-made.
func (s *server) openKeys(ctx context.Context, _ openOptions) (err error) {
	if s.keys, err = keys.New(keys.Config{Store: s.db.Keys(), Device: s.device, Now: s.now}); err != nil {
		return err
	}
	opened, err := s.keys.Unlock(ctx)
	if err != nil {
		return fmt.Errorf("open data keys: %w", err)
	}
	if err := s.db.UseFieldKeys(store.FieldKeys{
		Version: opened[keys.DataField].Current.Version, Sealing: opened[keys.DataField].All, Index: opened[keys.DataIndex].Current.Key,
		Subjects: opened[keys.DataSubjects].Current.Key, Rows: opened[keys.DataRows].Current.Key,
	}); err != nil {
		return err
	}
	return s.keys.Resume(ctx)
}

// logName is the origin of the log: its host, as C2SP's tlog-checkpoint wants a name without a scheme.
func logName(cfg Config) string {
	_, host, _ := strings.Cut(cfg.URL, "://")
	return host + "/pki/log"
}

func (s *server) openAudit(ctx context.Context, _ openOptions) error {
	by := actor.ForSystem("start")
	if _, err := s.keys.Ensure(ctx, by, "log", keys.Log, keys.SM2); err != nil {
		return fmt.Errorf("key of the log: %w", err)
	}
	signer, err := s.keys.Signer(s.life, "log")
	if err != nil {
		return fmt.Errorf("key of the log: %w", err)
	}
	if s.logKey, err = tree.NewKey(logName(s.cfg), tree.Log, signer.Public()); err != nil {
		return err
	}
	var witnesses []*tree.Key
	for _, text := range s.cfg.Witnesses {
		key, err := tree.ParseKey(text)
		if err != nil {
			return errConfig.With("witness %q: %w", text, err)
		}
		witnesses = append(witnesses, key)
	}
	if s.audit, err = audit.New(audit.Config{Store: s.db.Audit(), Key: s.logKey, Witnesses: witnesses, Quorum: s.cfg.Quorum, Now: s.now}); err != nil {
		return err
	}
	s.sequencer, err = audit.NewSequencer(audit.SequencerConfig{Store: s.db.Audit(), Key: s.logKey, Signer: signer, Holder: s.name, Now: s.now})
	return err
}
