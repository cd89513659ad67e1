package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"hufu/store"
)

type initCommand struct {
	place
	Roles       string `help:"Parts to make: all (default), kmc for a key management centre that stands alone, or all-but-kmc." placeholder:"LIST"`
	Subordinate string `help:"Stand under another's root: make no root, and write the request for the certificate of our authority into FILE." type:"path" placeholder:"FILE"`
	founder
}

// Run makes whatever is missing and leaves alone what is there, so that it may be run again.
func (c *initCommand) Run(con *console) error {
	cfg, err := loadConfig(c.Config, c.Data)
	if err != nil {
		return err
	}
	parts, err := rolesOf(c.Roles, cfg)
	if err != nil {
		return err
	}
	withFounder, err := c.given()
	if err != nil {
		return err
	}
	if withFounder && parts == rolesKMC {
		return errRoles.With("a key management centre alone has no persons")
	}
	s, err := open(con.ctx, cfg, openOptions{roles: parts, create: true, migrate: true, subordinate: c.Subordinate != "", wait: deviceWait, log: newLog(con.err, slog.LevelWarn)})
	if err != nil {
		return err
	}
	err = c.tell(con, s)
	if err == nil && s.ca != nil {
		err = s.ca.Refresh(con.ctx) // what is certified from now on has its lists
	}
	if err == nil && c.Subordinate != "" {
		err = s.writeRequest(con.ctx, c.Subordinate, con.out)
	}
	if err == nil && withFounder {
		err = c.appoint(con.ctx, s, con.out)
	}
	if err == nil {
		fmt.Fprintf(con.out, "Ready in %s. Keep a copy of %s in a safe place, then run: hufu serve %s\n", cfg.Data, cfg.secretFiles(), c.again(cfg))
	}
	return errors.Join(err, s.Close())
}

// again names the place as the next command needs it.
func (p place) again(cfg Config) string {
	if p.Config != "" && p.Data != "" {
		return "--config " + p.Config + " --data " + cfg.Data
	}
	if p.Config != "" {
		return "--config " + p.Config
	}
	return "--data " + cfg.Data
}

// tell shows what others must know to trust this server.
func (c *initCommand) tell(con *console, s *server) error {
	if s.ca == nil {
		fmt.Fprintf(con.out, "log key:          %s\n", s.logKey)
		return nil
	}
	names, chain := s.ca.Issuers()
	for _, name := range names {
		fmt.Fprintf(con.out, "authority %-8s %s, until %s, SM3 %x\n", name, chain[name].Subject, chain[name].NotAfter.Format(time.DateOnly), chain[name].Fingerprint())
	}
	if waits, err := s.waiting(con.ctx); err != nil || waits {
		fmt.Fprintf(con.out, "log key:          %s\n", s.logKey)
		return err
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
		fmt.Fprintln(con.out, "applied / 已执行", filepath.Base(step))
	}
	if err == nil && len(applied) == 0 {
		fmt.Fprintln(con.out, "The schema is up to date. / 数据库结构已是最新。")
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

type versionCommand struct{}

func (versionCommand) Run(con *console) error {
	version := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	fmt.Fprintf(con.out, "hufu %s, %s, %s/%s\nSM2, SM3, SM4 by emmansun/gmsm; second opinion by tjfoc/gmsm at each start\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}
