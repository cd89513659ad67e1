package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"hufu/certs/bundle"
)

// state is what --state remembers: the newest bundle of each series, by its id and signer.
type state struct {
	Bundles map[string]seen `json:"bundles"`
}

type seen struct {
	Sequence uint64 `json:"sequence"`
	Digest   string `json:"digest"` // SM3 of the bundle's JSON: two bundles of one number are one too many
}

// remember refuses a bundle that is older than one seen before, or another one of the same number, and notes a newer one.
func remember(file string, b *bundle.Bundle, info *bundle.Info) error {
	s := state{Bundles: map[string]seen{}}
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("--state %s: %w", file, plain(err))
	default:
		if err := json.Unmarshal(text, &s); err != nil || s.Bundles == nil {
			return fmt.Errorf("--state %s: cannot be read; remove the file only if you know that this bundle is the newest", file)
		}
	}
	series := b.ID + " " + info.Fingerprint
	last := s.Bundles[series]
	switch {
	case b.CheckSequence(last.Sequence) != nil:
		return fmt.Errorf("roll-back refused: the bundle has sequence %d, %d was seen before; get the newest bundle", b.Sequence, last.Sequence)
	case b.Sequence == last.Sequence && last.Digest != info.Digest:
		return fmt.Errorf("two different bundles have sequence %d; ask their publisher which one is right", b.Sequence)
	case b.Sequence == last.Sequence:
		return nil
	}
	s.Bundles[series] = seen{b.Sequence, info.Digest}
	if text, err = json.MarshalIndent(s, "", "  "); err != nil {
		return err
	}
	return replaceFile(file, append(text, '\n'))
}

// replaceFile writes a file so that a crash leaves the old one or the new one.
func replaceFile(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".sealcheck-*")
	if err != nil {
		return fmt.Errorf("--state %s: %w", name, plain(err))
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("--state %s: %w", name, plain(err))
	}
	return nil
}
