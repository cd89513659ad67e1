package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"hufu/store"
)

func quiet(t *testing.T) *server {
	t.Helper()
	cfg := Config{Data: t.TempDir()}
	cfg.fill()
	return &server{cfg: cfg, log: slog.New(slog.NewTextHandler(io.Discard, nil)), now: time.Now}
}

func TestAPoisonedJobDoesNotEndTheServer(t *testing.T) {
	s := quiet(t)
	var err error
	if s.db, err = store.Open(t.Context(), s.cfg.dsn(), store.Options{}); err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	if _, err := s.db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.do(t.Context(), map[string]jobHandler{"poison": func(context.Context, *store.Job) error { panic("poison") }}, &store.Job{ID: "j", Kind: "poison"})
	if err := s.guarded(func() error { panic("task") }); err == nil {
		t.Error("a panic passed for success")
	}
	info, err := os.Stat(s.cfg.Data + "/hufu.db")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("database file %v, %v: others may read it", info.Mode(), err)
	}
}

func TestTheSampleProvinceStaysOutOfRealData(t *testing.T) {
	s := quiet(t)
	if err := makePassphrase(s.cfg); err != nil { // as `hufu init` does
		t.Fatal(err)
	}
	if err := s.claimSample(t.Context(), openOptions{demo: true}); !errors.Is(err, errNotSample) {
		t.Errorf("accounts with known passwords were about to be opened on real data: %v", err)
	}
	if _, err := os.Stat(sampleFile(s.cfg)); err == nil {
		t.Error("the refusal left a file behind")
	}
	s = quiet(t)
	for range 2 { // the second as after a crash that left the key store made
		if err := s.claimSample(t.Context(), openOptions{demo: true}); err != nil {
			t.Fatal(err)
		}
		if err := makePassphrase(s.cfg); err != nil {
			t.Fatal(err)
		}
	}
}
