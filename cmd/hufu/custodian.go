package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"golang.org/x/term"

	"hufu/internal/fault"
	"hufu/keys/shares"
)

var (
	errNoTerminal = fault.New(fault.Invalid, "ceremony.no-terminal",
		"Custodians type their passphrases at a terminal. Run the command at one, or give --passphrase-file NAME=FILE for each.",
		"保管员须在终端输入口令。请在终端执行，或为每名保管员给出 --passphrase-file 姓名=文件。")
	errPassphraseFile = fault.New(fault.Invalid, "ceremony.passphrase-file",
		"A custodian's passphrase file holds one line and is readable by its owner alone (chmod 600 FILE), and is given under a custodian's name.",
		"保管员口令文件须为一行、仅所有者可读（chmod 600 文件），并以保管员姓名给出。")
	errInterrupted = fault.New(fault.Conflict, "ceremony.interrupted",
		"The ceremony was interrupted. Run the same command again: it begins anew or goes on, and says which.",
		"仪式已中断。请再次执行同一命令：程序会重新开始或继续，并予以说明。")
	errTyped = fault.New(fault.Invalid, "ceremony.typed",
		"The passphrases did not agree, or were too short, three times. Begin again when the custodian is ready.",
		"三次输入的口令不一致或过短。请待保管员准备好后重新开始。")
)

// passphrases lets each custodian give the own passphrase: from a file where one is named, else typed at the terminal.
type passphrases struct {
	files map[string]string
	read  func(ctx context.Context, prompt string) ([]byte, error)
	out   io.Writer
}

// newPassphrases refuses a file for somebody who is no custodian, and a missing terminal before anything is made.
func newPassphrases(files map[string]string, names []string, out io.Writer) (*passphrases, error) {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !slices.Contains(names, name) {
			return nil, errPassphraseFile.With("%q is none of %q", name, names)
		}
	}
	p := &passphrases{files: files, out: out, read: func(ctx context.Context, prompt string) ([]byte, error) {
		return readHidden(ctx, os.Stdin, out, prompt)
	}}
	if missing := slices.IndexFunc(names, func(n string) bool { return files[n] == "" }); missing >= 0 && !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, errNoTerminal.With("%s has no passphrase file, and standard input is no terminal", names[missing])
	}
	return p, nil
}

// choose lets a custodian set a passphrase, typed twice.
func (p *passphrases) choose(ctx context.Context, name string) ([]byte, error) {
	if file := p.files[name]; file != "" {
		return readPassphraseOf(file)
	}
	fmt.Fprintf(p.out, "\n%s: 请单独到键盘前，其他人请回避。设置口令（至少 12 字节），输入两次。\n%s: please come to the keyboard alone; all others look away. Choose a passphrase of at least 12 bytes and type it twice.\n", name, name)
	for range 3 {
		first, err := p.read(ctx, "口令 / Passphrase: ")
		if err != nil {
			return nil, err
		}
		again, err := p.read(ctx, "再次输入 / Once more: ")
		if err != nil {
			clear(first)
			return nil, err
		}
		same := bytes.Equal(first, again)
		clear(again)
		if err = shares.CheckPassphrase(first); same && err == nil {
			return first, nil
		}
		clear(first)
		if err == nil {
			fmt.Fprintln(p.out, "两次输入不一致。/ They differ.")
		} else {
			fmt.Fprintln(p.out, "口令过短。/ Too short.")
		}
	}
	return nil, errTyped.With("%s", name)
}

// open lets a custodian open a share file, typed at most three times.
func (p *passphrases) open(ctx context.Context, f *shares.File) (*shares.Share, error) {
	name := f.Holder()
	if file := p.files[name]; file != "" {
		passphrase, err := readPassphraseOf(file)
		if err != nil {
			return nil, err
		}
		defer clear(passphrase)
		return f.Open(passphrase)
	}
	fmt.Fprintf(p.out, "\n%s: 请单独到键盘前，其他人请回避。\n%s: please come to the keyboard alone; all others look away.\n", name, name)
	var share *shares.Share
	err := errTyped.With("%s", name)
	for range 3 {
		passphrase, readErr := p.read(ctx, "口令 / Passphrase: ")
		if readErr != nil {
			return nil, readErr
		}
		var openErr error
		share, openErr = f.Open(passphrase)
		clear(passphrase)
		if !errors.Is(openErr, shares.ErrWrong) && !errors.Is(openErr, shares.ErrPassphrase) {
			return share, openErr
		}
		fmt.Fprintln(p.out, "口令无法打开该分量。/ It does not open the share.")
		err = shares.ErrWrong.With("%s, three times", name)
	}
	return nil, err
}

// readPassphraseOf reads a passphrase file of mode 0600 or less.
func readPassphraseOf(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, errPassphraseFile.With("%w", err)
	}
	if info.Mode().Perm()&0o077 != 0 || !info.Mode().IsRegular() || info.Size() > 1026 {
		return nil, errPassphraseFile.With("%s has mode %o and %d octets", file, info.Mode().Perm(), info.Size())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, errPassphraseFile.With("%w", err)
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if err := shares.CheckPassphrase(text); err != nil {
		clear(text)
		return nil, err
	}
	return text, nil
}

// readHidden reads a line from the terminal without echo. When ctx ends the terminal gets its echo back.
func readHidden(ctx context.Context, in *os.File, out io.Writer, prompt string) ([]byte, error) {
	fd := int(in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, errNoTerminal.With("%w", err)
	}
	type line struct {
		text []byte
		err  error
	}
	read := make(chan line, 1)
	fmt.Fprint(out, prompt)
	go func() {
		text, err := term.ReadPassword(fd)
		read <- line{text, err}
	}()
	select {
	case l := <-read:
		fmt.Fprintln(out)
		return l.text, l.err
	case <-ctx.Done():
		fmt.Fprintln(out)
		if err := term.Restore(fd, before); err != nil {
			return nil, err
		}
		return nil, errInterrupted.With("%w", ctx.Err())
	}
}
