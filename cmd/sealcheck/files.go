package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/fault"
	"hufu/licence/reader"
	"hufu/seal/check"
)

// maxFile bounds what is read into memory.
const maxFile = 512 << 20

var (
	errNoFile = fault.New(fault.NotFound, "sealcheck.no-file",
		"there is no such file; check the name", "没有这个文件，请核对文件名")
	errNotAllowed = fault.New(fault.Denied, "sealcheck.not-allowed",
		"the file may not be read; ask for permission or copy it", "无权读取该文件，请取得权限或复制一份")
	errTooLarge = fault.New(fault.Limited, "sealcheck.too-large",
		"larger than 512 MiB; check a smaller file", "文件超过 512 MiB，请检查较小的文件")
)

// readFile reads a whole file, "-" standard input.
func readFile(name string, stdin io.Reader) ([]byte, error) {
	in := stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, plain(err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, plain(err)
	}
	if len(b) > maxFile {
		return nil, errTooLarge
	}
	return b, nil
}

// plain says what to do about an error of the file system.
func plain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errNoFile
	case errors.Is(err, fs.ErrPermission):
		return errNotAllowed
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("%w; give a file that can be read", p.Err)
	}
	return err
}

// content finds what a detached signature signs; nil when there is nothing at hand.
func (c *cli) content(name string) ([]byte, error) {
	from := c.Content
	if from == "" {
		for _, ext := range []string{".sig", ".p7s", ".cms"} {
			if base, ok := strings.CutSuffix(name, ext); ok {
				if _, err := os.Stat(base); err == nil {
					from = base
				}
			}
		}
	}
	if from == "" {
		return nil, nil
	}
	b, err := readFile(from, nil)
	if err != nil {
		return nil, fmt.Errorf("content %s: %w", from, err)
	}
	if b == nil {
		b = []byte{}
	}
	return b, nil
}

// options reads what the command line names.
func (c *cli) options(now time.Time) (check.Options, error) {
	o := check.Options{At: now.UTC(), Strict: c.Strict, Lang: c.Lang, Reader: reader.New()}
	if c.Lang != "zh" && c.Lang != "en" {
		return o, fmt.Errorf("--lang %q is not known; use zh or en", c.Lang)
	}
	if c.At != "" {
		at, err := time.Parse(time.RFC3339, c.At)
		if err != nil {
			return o, fmt.Errorf("--at %q is no time; write it as 2026-09-01T00:00:00Z", c.At)
		}
		o.At = at.UTC()
	}
	for _, name := range c.Signer {
		text, err := readFile(name, nil)
		if err != nil {
			return o, fmt.Errorf("--signer %s: %w", name, err)
		}
		list, err := certs.ParseAnyPEM(text)
		if err != nil || len(list) == 0 {
			return o, fmt.Errorf("--signer %s: no certificate in PEM; convert it with openssl x509 -inform DER", name)
		}
		o.Signers = append(o.Signers, list...)
	}
	if c.Bundle == "" {
		if c.BundleKey != "" || c.State != "" {
			return o, errors.New("--bundle-key and --state speak of a bundle; give it with --bundle")
		}
		return o, nil
	}
	return o, c.openBundle(&o)
}

// openBundle reads the bundle, checks who signed it and that it is not older than one seen before.
func (c *cli) openBundle(o *check.Options) error {
	data, err := readFile(c.Bundle, nil)
	if err != nil {
		return fmt.Errorf("--bundle %s: %w", c.Bundle, err)
	}
	var pin bundle.Pin
	if c.BundleKey != "" {
		text, err := readFile(c.BundleKey, nil)
		if err != nil {
			return fmt.Errorf("--bundle-key %s: %w", c.BundleKey, err)
		}
		if pin, err = bundle.ParsePin(text); err != nil {
			return fmt.Errorf("--bundle-key %s: %w", c.BundleKey, err)
		}
	}
	o.Bundle, o.BundleInfo, err = bundle.Parse(data, pin)
	switch {
	case errors.Is(err, bundle.ErrNotPinned):
		return fmt.Errorf("--bundle %s: signed by another key (%s) than --bundle-key; get the bundle from its publisher", c.Bundle, o.BundleInfo.Fingerprint)
	case errors.Is(err, bundle.ErrSignature):
		return fmt.Errorf("--bundle %s: its signature is wrong; get the bundle again from its publisher", c.Bundle)
	case err != nil:
		return fmt.Errorf("--bundle %s: %w; get the bundle again from its publisher", c.Bundle, err)
	}
	if c.State == "" {
		return nil
	}
	return remember(c.State, o.Bundle, o.BundleInfo)
}
