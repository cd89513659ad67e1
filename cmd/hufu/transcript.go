package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"hufu/internal/fault"
	"hufu/internal/gm"
)

var errTranscript = fault.New(fault.Conflict, "ceremony.transcript",
	"The transcript cannot be written there. Name with --transcript a new file in a folder that exists.",
	"记录文件无法写入该处。请用 --transcript 指定已有目录中的新文件。")

// transcript is the record of a ceremony that people read and keep: plain text in Chinese and English, one step a line with
// its time (UTC). It is shown as it grows, and signed by the root's key at the end.
type transcript struct {
	path string
	now  func() time.Time
	out  io.Writer
	text strings.Builder
}

// rehearsal marks every page of a ceremony that counts for nothing.
const rehearsal = "演练，无效力 / REHEARSAL, WITHOUT EFFECT"

// newTranscript begins one. It refuses a file that is there, before anything is made.
func newTranscript(path string, now func() time.Time, out io.Writer, what string, dry bool) (*transcript, error) {
	for _, name := range []string{path, path + ".sig", path + ".root.pem"} {
		if _, err := os.Lstat(name); !errors.Is(err, os.ErrNotExist) {
			return nil, errTranscript.With("%s is there already", name)
		}
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return nil, errTranscript.With("%s is no folder", filepath.Dir(path))
	}
	t := &transcript{path: path, now: now, out: out}
	t.line("虎符密钥仪式记录 / Hufu key ceremony transcript")
	t.line("%s", what)
	if dry {
		t.line("*** %s ***", rehearsal)
	}
	return t, nil
}

func (t *transcript) line(format string, args ...any) {
	line := fmt.Sprintf(format, args...) + "\n"
	t.text.WriteString(line)
	_, _ = io.WriteString(t.out, line) // what counts is the file
}

// step notes what was done just now, in both languages, with its facts.
func (t *transcript) step(zh, en, format string, args ...any) {
	t.line("%s  %s / %s: %s", t.now().UTC().Format(time.RFC3339), zh, en, fmt.Sprintf(format, args...))
}

// program notes what ran, so that it can be held against what should have.
func (t *transcript) program(cfg Config) error {
	shown, err := cfg.shown()
	if err != nil {
		return err
	}
	binary, err := binarySM3()
	if err != nil {
		return err
	}
	t.step("程序", "program", "%s, SM3 %x", buildVersion(), binary)
	t.step("配置", "configuration (hufu check-config)", "SM3 %x", gm.SM3([]byte(shown)))
	return nil
}

// keep signs the text with the root's key and writes text, signature (DER) and the root's certificate, durably. It returns
// the SM3 of the text, which goes into the audit log.
func (t *transcript) keep(root *rootKey, cert []byte) ([32]byte, error) {
	name := filepath.Base(t.path)
	t.line("核验方法 / to check:")
	t.line("openssl x509 -in %s.root.pem -pubkey -noout > root-public.pem", name)
	t.line("openssl dgst -sm3 -verify root-public.pem -sigopt distid:%s -signature %s.sig %s", gm.DefaultID, name, name)
	text := []byte(t.text.String())
	signature, err := root.Sign(nil, text, gm.Message)
	if err != nil {
		return [32]byte{}, fmt.Errorf("sign transcript: %w", err)
	}
	for _, f := range []struct {
		name string
		data []byte
	}{{t.path, text}, {t.path + ".sig", signature}, {t.path + ".root.pem", cert}} {
		if err := writeNew(f.name, f.data, 0o644); err != nil {
			return [32]byte{}, errTranscript.With("%w", err)
		}
	}
	return gm.SM3(text), syncFolder(filepath.Dir(t.path))
}

// keepUnsigned writes the text of a rehearsal in which the root signed nothing.
func (t *transcript) keepUnsigned() error {
	t.line("*** %s ***", rehearsal)
	return errors.Join(writeNew(t.path, []byte(t.text.String()), 0o644), syncFolder(filepath.Dir(t.path)))
}

// writeNew writes a file that is not there yet and makes it durable.
func writeNew(name string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncFolder(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// buildVersion names the program as far as the build knows it.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "hufu (unknown build)"
	}
	version := "hufu " + info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" || s.Key == "vcs.modified" && s.Value == "true" {
			version += " " + strings.TrimPrefix(s.Key, "vcs.") + "=" + s.Value
		}
	}
	return version + " " + info.GoVersion
}

func binarySM3() ([]byte, error) {
	name, err := os.Executable()
	if err != nil {
		return nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := gm.NewSM3()
	_, err = io.Copy(h, f)
	return h.Sum(nil), err
}
