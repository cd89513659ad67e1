package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
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

// readPassphrase reads the passphrase of the key store, and tells a folder without a server from one that cannot be used.
func readPassphrase(cfg Config) ([]byte, error) {
	if info, err := os.Stat(cfg.Data); err == nil && !info.IsDir() {
		return nil, errData.With("%s is not a folder", cfg.Data)
	}
	passphrase, err := hsm.PassphraseFile(cfg.PassphraseFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errNoData.With("no passphrase file %s", cfg.PassphraseFile)
	}
	return passphrase, err
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
	if err := s.checkPresent(ctx, o); err != nil {
		return err
	}
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

var errLost = fault.New(fault.Conflict, "database-lost",
	"The key store holds keys, but its database is not there. Put the database back, from a backup if it must be; or begin anew in another data folder.",
	"密钥库中已有密钥，但数据库不存在。请放回数据库（必要时从备份恢复），或另选数据目录重新开始。")

// checkPresent refuses an embedded database that is missing, instead of making an empty one in its place. The first key is made
// when the database exists, so that keys without one mean that it was lost.
func (s *server) checkPresent(ctx context.Context, o openOptions) error {
	err := databaseFile(s.cfg)
	if err == nil || fault.KindOf(err) != fault.NotFound {
		return err
	}
	held, keysErr := s.device.Keys(ctx)
	ours := 0
	for _, k := range held {
		if k.Purpose != "" { // a token may hold what others put there
			ours++
		}
	}
	switch {
	case keysErr != nil:
		return keysErr
	case ours > 0:
		return errLost.With("%d keys: %w", ours, errors.Unwrap(err))
	case !o.create:
		return err
	}
	return nil
}

// databaseFile returns errNoData when the database is a file that does not exist; opening it would make it.
func databaseFile(cfg Config) error {
	path, embedded := strings.CutPrefix(cfg.dsn(), "sqlite:")
	if !embedded {
		return nil
	}
	if info, err := os.Stat(cfg.Data); err == nil && !info.IsDir() {
		return errData.With("%s is not a folder", cfg.Data)
	}
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return errNoData.With("no database: %w", err)
	}
	return nil // whatever else is wrong shows when it is opened
}

var errLacks = fault.New(fault.Invalid, "device-lacks",
	"The device cannot make a master key of this algorithm. Correct its `profile`, set `master: aes256` for a device without SM4, or name a further device; `hufu doctor` shows what each one can do.",
	"密码设备无法生成该算法的主密钥。请更正 profile；设备不支持 SM4 时设 master: aes256；或增加其他设备。hufu doctor 可查看各设备的能力。")

// openKeys opens the master key and the data keys of the database, and completes or voids keys left half-made.
func (s *server) openKeys(ctx context.Context, _ openOptions) (err error) {
	if s.keys, err = keys.New(keys.Config{Store: s.db.Keys(), Device: s.device, MasterAlgorithm: s.cfg.Master, Now: s.now}); err != nil {
		return err
	}
	if err := s.confirmSample(ctx); err != nil {
		return err
	}
	if _, err := s.keys.Unlock(ctx); errors.Is(err, hsm.ErrMechanism) {
		return errLacks.With("open data keys: %w", err)
	} else if err != nil {
		return fmt.Errorf("open data keys: %w", err)
	}
	if err := s.db.FollowFieldKeys(ctx, s.openFieldKeys); err != nil {
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
