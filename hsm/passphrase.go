package hsm

import (
	"bytes"
	"io"
	"os"
)

const (
	minPassphrase = 8
	maxPassphrase = 1024
)

// ReadPassphrase reads a passphrase: one line, its end of line not part of it. The caller clears it after use.
func ReadPassphrase(r io.Reader) ([]byte, error) {
	line, err := io.ReadAll(io.LimitReader(r, maxPassphrase+3))
	if err != nil {
		return nil, ErrPassphrase.With("read passphrase: %w", err)
	}
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	return line, checkPassphrase(line)
}

// PassphraseFile reads a passphrase from a file that only its owner can read.
func PassphraseFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, ErrPassphrase.With("passphrase file: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, ErrPassphrase.With("passphrase file: %w", err)
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return nil, ErrExposed.With("passphrase file %s has mode %o", path, info.Mode().Perm())
	}
	return ReadPassphrase(file)
}

func checkPassphrase(p []byte) error {
	if len(p) < minPassphrase || len(p) > maxPassphrase || bytes.ContainsAny(p, "\r\n\x00") {
		return ErrPassphrase.With("passphrase of %d octets", len(p))
	}
	return nil
}
