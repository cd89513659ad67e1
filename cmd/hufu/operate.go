package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"hufu/hsm"
	"hufu/internal/fault"
	"hufu/internal/gm/selftest"
	"hufu/store"
)

type initCommand struct {
	place
	founder
}

// Run makes whatever is missing and leaves alone what is there, so that it may be run again.
func (c *initCommand) Run(con *console) error {
	cfg, err := loadConfig(c.Config, c.Data)
	if err != nil {
		return err
	}
	withFounder, err := c.given()
	if err != nil {
		return err
	}
	s, err := open(con.ctx, cfg, openOptions{create: true, migrate: true, log: newLog(con.err, slog.LevelWarn)})
	if err != nil {
		return err
	}
	err = c.tell(con, s)
	if err == nil && withFounder {
		err = c.appoint(con.ctx, s, con.out)
	}
	if err == nil {
		fmt.Fprintf(con.out, "Ready in %s. Keep a copy of %s in a safe place, then run: hufu serve --data %s\n", cfg.Data, cfg.PassphraseFile, cfg.Data)
	}
	return errors.Join(err, s.Close())
}

// tell shows what others must know to trust this server.
func (c *initCommand) tell(con *console, s *server) error {
	names, chain := s.ca.Issuers()
	for _, name := range names {
		fmt.Fprintf(con.out, "authority %-8s %s, until %s, SM3 %x\n", name, chain[name].Subject, chain[name].NotAfter.Format(time.DateOnly), chain[name].Fingerprint())
	}
	if err := s.tellRoot(con.ctx, con.out); err != nil {
		return err
	}
	key, err := s.ca.BundleKey(con.ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(con.out, "trust bundle key: SM3 of the certificate %x\nlog key:          %s\n", key.Fingerprint(), s.logKey)
	return nil
}

type migrateCommand struct{ place }

func (c *migrateCommand) Run(con *console) error {
	cfg, err := loadConfig(c.Config, c.Data)
	if err != nil {
		return err
	}
	if err := databaseFile(cfg); err != nil {
		return err
	}
	db, err := store.Open(con.ctx, cfg.dsn(), store.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	applied, err := db.Migrate(con.ctx)
	for _, step := range applied {
		fmt.Fprintln(con.out, "applied", filepath.Base(step))
	}
	if err == nil && len(applied) == 0 {
		fmt.Fprintln(con.out, "The schema is up to date.")
	}
	return err
}

type checkCommand struct{ place }

func (c *checkCommand) Run(con *console) error {
	cfg, err := loadConfig(c.Config, c.Data)
	if err != nil {
		return err
	}
	text, err := cfg.shown()
	if err == nil {
		_, err = io.WriteString(con.out, text)
	}
	return err
}

type doctorCommand struct {
	place
	RetryJobs bool `help:"Make durable jobs that were given up due again, at most 100 a call."`
}

var errDoctor = fault.New(fault.Unavailable, "doctor",
	"Something is not well; the lines above say what.", "存在异常，详见上文。")

// Run checks what a start needs, each thing by itself, and changes nothing unless told to retry jobs.
func (c *doctorCommand) Run(con *console) error {
	cfg, err := loadConfig(c.Config, c.Data)
	if err != nil {
		return err
	}
	if c.RetryJobs {
		if err := retryJobs(con.ctx, cfg, con.out); err != nil {
			return err
		}
	}
	well := true
	tell := func(what string, err error) {
		mark := "ok     "
		if err != nil {
			mark, well = "FAILED ", false
			what += ": " + oneLine(err)
		}
		fmt.Fprintln(con.out, mark+what)
	}
	for _, r := range selftest.Run() {
		tell(r.Name+" ("+r.Standard+")", r.Err)
	}
	tell("key store in "+filepath.Join(cfg.Data, "keys"), checkDevice(con.ctx, cfg))
	tell("database", checkDatabase(con.ctx, cfg))
	if !well {
		return errDoctor
	}
	return nil
}

func checkDevice(ctx context.Context, cfg Config) error {
	passphrase, err := readPassphrase(cfg)
	if err != nil {
		return err
	}
	defer clear(passphrase)
	device, err := hsm.OpenSoft(filepath.Join(cfg.Data, "keys"), passphrase, hsm.Options{})
	if err != nil {
		return err
	}
	defer device.Close()
	return device.Health(ctx)
}

func checkDatabase(ctx context.Context, cfg Config) error {
	if err := databaseFile(cfg); err != nil {
		return err
	}
	db, err := store.Open(ctx, cfg.dsn(), store.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.CheckVersion(ctx); err != nil {
		return err
	}
	dead, err := db.DeadJobs(ctx, 100)
	if err == nil && len(dead) > 0 {
		err = errDeadJobs.With("%d, the oldest %s %s: %s", len(dead), dead[0].Kind, dead[0].Key, dead[0].LastError)
	}
	return err
}

var errDeadJobs = fault.New(fault.Unavailable, "dead-jobs",
	"Work was given up after many tries. Mend what its last error says, then run `hufu doctor --retry-jobs`.",
	"有任务多次失败后已放弃。请先处理其最后的错误，再运行 hufu doctor --retry-jobs。")

// retryJobs makes every job that was given up due again.
func retryJobs(ctx context.Context, cfg Config, out io.Writer) error {
	db, err := store.Open(ctx, cfg.dsn(), store.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	dead, err := db.DeadJobs(ctx, 100)
	if err != nil {
		return err
	}
	for _, job := range dead {
		if _, err := db.ReviveJob(ctx, job.ID); err != nil {
			return err
		}
		fmt.Fprintf(out, "due again: %s %s\n", job.Kind, job.Key)
	}
	return nil
}

type versionCommand struct{}

func (versionCommand) Run(con *console) error {
	version := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	fmt.Fprintf(con.out, "hufu %s, %s, %s/%s\nSM2, SM3, SM4 by emmansun/gmsm; second opinion by tjfoc/gmsm at each start\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
