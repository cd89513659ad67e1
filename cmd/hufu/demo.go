package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"hufu/internal/fault"
)

type demoCommand struct {
	Out string `required:"" help:"Folder for the files; made if missing, must be empty." type:"path" placeholder:"DIR"`
}

var errDemoFolder = fault.New(fault.Conflict, "demo.folder",
	"The folder for the files is not an empty folder that can be written. Name another one with --out.", "输出目录不是可写的空目录，请用 --out 另选目录。")

// tour is a run of the whole story from outside: what was made so far, and the record of it.
type tour struct {
	*walker
	con    *console
	out    string
	report tourReport
	secrets

	citizen, company, official, chief tokens
	licence                           issuedLicence
}

// tourReport is demo.json.
type tourReport struct {
	OK     bool              `json:"ok"`
	Base   string            `json:"base"`
	Issuer string            `json:"issuer"`
	Steps  []tourStep        `json:"steps"`
	Files  map[string]string `json:"files"` // what it is → path below the folder
}

type tourStep struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	TookMS int64  `json:"took_ms"`
	Detail string `json:"detail"`
}

// Run starts a server of its own in a fresh data folder, walks through the story with nothing but its public endpoints, and
// keeps what it got. It succeeds only if every step held.
func (c *demoCommand) Run(con *console) error {
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return errDemoFolder.With("%w", err)
	}
	if inside, err := os.ReadDir(c.Out); err != nil {
		return errDemoFolder.With("%w", err)
	} else if len(inside) > 0 {
		return errDemoFolder.With("%s holds %s", c.Out, inside[0].Name())
	}
	data, err := os.MkdirTemp("", "hufu-demo-")
	if err != nil {
		return errData.With("%w", err)
	}
	defer os.RemoveAll(data)
	base, stop, err := startServer(con.ctx, data, con.err)
	if err != nil {
		return err
	}
	w, err := newWalker(base)
	if err != nil {
		return errors.Join(err, stop())
	}
	t := &tour{walker: w, con: con, out: c.Out, report: tourReport{OK: true, Base: base, Files: map[string]string{}}}
	err = t.all(con.ctx)
	t.report.OK = err == nil
	if _, saved := t.saveJSON("", "demo.json", t.report); saved != nil {
		err = errors.Join(err, saved)
	}
	if stopped := stop(); stopped != nil {
		err = errors.Join(err, stopped)
	}
	if err == nil {
		fmt.Fprintf(con.out, "Every step held. The files are in %s / 全部步骤通过，文件在该目录\n", c.Out)
	}
	return err
}

// startServer runs this very program as a server on a free port and waits until it is ready. stop ends it cleanly.
func startServer(ctx context.Context, data string, log io.Writer) (base string, stop func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, err
	}
	command := exec.CommandContext(ctx, self, "serve", "--demo", "--data", filepath.Join(data, "data"), "--listen", "127.0.0.1:0", "--quiet")
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 20 * time.Second
	command.Stderr = log
	lines, err := command.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := command.Start(); err != nil {
		return "", nil, fmt.Errorf("start server: %w", err)
	}
	stop = func() error {
		if err := command.Process.Signal(syscall.SIGTERM); err != nil {
			return fmt.Errorf("stop server: %w", err)
		}
		if err := command.Wait(); err != nil {
			return fmt.Errorf("the server did not end cleanly: %w", err)
		}
		return nil
	}
	for text := bufio.NewScanner(lines); text.Scan(); {
		for _, word := range strings.Fields(text.Text()) {
			if base == "" && strings.HasPrefix(word, "http://") {
				base = strings.TrimSuffix(word, "/")
			}
		}
		if base != "" {
			go io.Copy(io.Discard, lines) //nolint:errcheck // the rest of the welcome is not needed
			return base, stop, nil
		}
	}
	return "", nil, errors.Join(errors.New("the server did not start; its messages are above"), command.Wait())
}

// all walks through the story. A step that fails ends it: the later ones rest on it.
func (t *tour) all(ctx context.Context) error {
	for _, step := range []struct {
		name string
		do   func(context.Context) (string, error)
	}{
		{"the provider describes itself", t.discover},
		{"a citizen logs in by OpenID Connect", t.loginCitizen},
		{"she acts for her company, officials act in office", t.loginOthers},
		{"the authority publishes its certificates", t.fetchAuthorities},
		{"a natural person gets certificates", t.certifyPerson},
		{"a legal entity gets certificates", t.certifyEntity},
		{"an official gets certificates", t.certifyOfficial},
		{"a wrong request is refused", t.refuseBadRequest},
		{"the seal of the bureau is fetched", t.fetchSeal},
		{"a licence is issued and sealed", t.issueLicence},
		{"nobody but its owner sets the seal to work", t.stampWithoutOwner},
		{"the owner stamps with the PIN", t.stampByPIN},
		{"a standing activation is made, used and withdrawn", t.activate},
		{"a copy is forged", t.forge},
		{"the trust bundle knows the licence", t.fetchBundle},
		{"the licence passes, offline", t.verifyGenuine},
		{"the forged copy fails, and its page is named", t.verifyForged},
		{"the log holds and contains the sealing", t.checkLog},
		{"revocation shows in the list", t.revoke},
	} {
		began := time.Now()
		detail, err := step.do(ctx)
		done := tourStep{Name: step.name, OK: err == nil, TookMS: time.Since(began).Milliseconds(), Detail: detail}
		mark := "ok    "
		if err != nil {
			mark, done.Detail = "FAILED", oneLine(err)
		}
		t.report.Steps = append(t.report.Steps, done)
		fmt.Fprintf(t.con.out, "%s %s (%d ms) %s\n", mark, step.name, done.TookMS, done.Detail)
		if err != nil {
			return fmt.Errorf("step %q: %w", step.name, err)
		}
	}
	return nil
}

// save writes a file below the folder and notes what it is.
func (t *tour) save(what, name string, data []byte) error {
	file := filepath.Join(t.out, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return errDemoFolder.With("%w", err)
	}
	if err := os.WriteFile(file, data, 0o644); err != nil {
		return errDemoFolder.With("%w", err)
	}
	if what != "" {
		t.report.Files[what] = name
	}
	return nil
}

func (t *tour) saveJSON(what, name string, v any) ([]byte, error) {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, err
	}
	return text, t.save(what, name, append(text, '\n'))
}

// load reads back a file that was saved.
func (t *tour) load(name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(t.out, filepath.FromSlash(name)))
}
