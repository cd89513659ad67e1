package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"

	"hufu/hsm"
	"hufu/internal/fault"
)

// rehearsalPlace is a configuration like the given one, in a temporary folder; end removes it. The devices are those of the
// configuration where all of them are empty tokens for trying (hsm/softtoken), which tidyTokens empties again; else keys are in
// software: a rehearsal leaves nothing in a device that counts.
func rehearsalPlace(ctx context.Context, cfg Config) (Config, func(), error) {
	dir, err := os.MkdirTemp("", "hufu-rehearsal-")
	if err != nil {
		return cfg, nil, errData.With("%w", err)
	}
	cfg.Data, cfg.Database, cfg.DatabaseFile, cfg.PassphraseFile = dir, "", "", ""
	if !forTrying(ctx, cfg) {
		cfg.HSM = nil
	}
	cfg.fill()
	return cfg, func() { _ = os.RemoveAll(dir) }, nil // the system clears its temporary folder if this cannot
}

// forTrying tells whether every device is a soft token without keys of ours.
func forTrying(ctx context.Context, cfg Config) bool {
	for _, entry := range cfg.HSM {
		if entry.Driver == driverSoft {
			continue // in the temporary folder
		}
		for _, o := range entry.openers(slog.New(slog.DiscardHandler), false) {
			device, err := o.bounded(ctx)
			if err != nil {
				return false
			}
			empty := isTrial(ctx, device)
			if err := device.Close(); err != nil || !empty {
				return false
			}
		}
	}
	return true
}

func isTrial(ctx context.Context, device hsm.Device) bool {
	described, ok := device.(hsm.Described)
	if !ok || !slices.ContainsFunc(described.Describe(ctx), func(f hsm.Fact) bool {
		return f.Name == "made by" && strings.HasPrefix(f.Value, "Hufu soft token")
	}) {
		return false
	}
	held, err := device.Keys(ctx)
	return err == nil && !slices.ContainsFunc(held, func(k hsm.Info) bool { return k.Purpose != "" })
}

// tidyTokens destroys what a rehearsal made in tokens for trying.
func (s *server) tidyTokens(ctx context.Context) error {
	held, err := s.device.Keys(ctx)
	for _, k := range held {
		if k.Purpose == "" {
			continue // not ours
		}
		if end := s.device.Destroy(ctx, k.Label); end != nil && fault.KindOf(end) != fault.NotFound {
			err = errors.Join(err, end)
		}
	}
	return err
}
