package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"hufu/internal/fault"
	"hufu/seal/check"
)

// Exit codes.
const (
	exitPassed        = 0
	exitFailed        = 1
	exitIndeterminate = 2
	exitWrong         = 3
)

// cli is the command line.
type cli struct {
	Bundle    string   `placeholder:"FILE" help:"Trust bundle: roots, revocation lists, states of seals and licences."`
	BundleKey string   `placeholder:"FILE" help:"PEM key or certificate that must have signed the bundle. Without it the signer is taken as given and its fingerprint is shown."`
	State     string   `placeholder:"FILE" help:"Remembers the newest bundle seen, so that an older one is refused."`
	Signer    []string `placeholder:"FILE" help:"PEM certificates to try on signatures that come without one."`
	Content   string   `placeholder:"FILE" help:"What a detached signature signs; by default the file without .sig, .p7s or .cms."`
	Strict    bool     `help:"Every part of a document that is in use must be protected."`
	At        string   `placeholder:"RFC3339" help:"Judge as at this time, for example 2026-09-01T00:00:00Z; by default now."`
	JSON      bool     `name:"json" help:"One JSON object a line, one a file."`
	Lang      string   `placeholder:"zh|en" help:"Language of the words; codes stay the same."`
	Files     []string `arg:"" name:"file" help:"OFD documents, seals (.esl), detached signatures, licence QR texts; - is standard input."`
}

const description = `Verifies OFD documents, seals, detached signatures and licence QR texts without a network.

Example:
  sealcheck --bundle trust.bundle --bundle-key bundle-key.pem licence.ofd

Exit codes: 0 all passed, 1 at least one failed, 2 none failed but at least one cannot be decided,
3 a file cannot be opened or is of no known kind, or wrong use.`

// world is everything outside that the command touches.
type world struct {
	args           []string
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time
	getenv         func(string) string
}

func main() {
	os.Exit(run(world{os.Args[1:], os.Stdin, os.Stdout, os.Stderr, time.Now, os.Getenv}))
}

func run(w world) int {
	var c cli
	helped := false
	parser, err := kong.New(&c, kong.Name("sealcheck"), kong.Description(description), kong.Writers(w.stdout, w.stderr), kong.Exit(func(int) { helped = true }))
	if err != nil {
		return w.wrong(err)
	}
	_, err = parser.Parse(w.args)
	switch {
	case helped:
		return exitPassed
	case err != nil:
		return w.wrong(fmt.Errorf("%w; see sealcheck --help", err))
	}
	if c.Lang == "" {
		c.Lang = language(w.getenv)
	}
	o, err := c.options(w.now())
	if err != nil {
		return w.wrong(err)
	}
	return c.checkAll(w, o)
}

// wrong says one line about what could not be done.
func (w world) wrong(err error) int {
	fmt.Fprintln(w.stderr, "sealcheck: "+strings.ReplaceAll(err.Error(), "\n", "; "))
	return exitWrong
}

// language follows the locale, English for all but Chinese ones.
func language(getenv func(string) string) string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := getenv(name); v != "" {
			if strings.HasPrefix(v, "zh") {
				return "zh"
			}
			return "en"
		}
	}
	return "en"
}

// checkAll checks every file, also after one could not be opened. Precedence of exit codes: 3, 1, 2, 0.
func (c *cli) checkAll(w world, o check.Options) int {
	results := map[check.Result]int{}
	unreadable := false
	bar := newBar(w.stderr, len(c.Files), c.JSON)
	for _, name := range c.Files {
		r, err := c.checkOne(w, o, name)
		bar.step()
		if err != nil {
			w.wrong(fmt.Errorf("%s: %w", name, wording(err, c.Lang)))
			unreadable = true
			continue
		}
		results[r.Result]++
		if err := c.write(w.stdout, r); err != nil {
			return w.wrong(fmt.Errorf("cannot write the report: %w", err))
		}
	}
	bar.end()
	switch {
	case unreadable:
		return exitWrong
	case results[check.Failed] > 0:
		return exitFailed
	case results[check.Indeterminate] > 0:
		return exitIndeterminate
	}
	return exitPassed
}

func (c *cli) checkOne(w world, o check.Options, name string) (*check.Report, error) {
	file, err := readFile(name, w.stdin)
	if err != nil {
		return nil, err
	}
	o.Name = name
	if o.Content, err = c.content(name); err != nil {
		return nil, err
	}
	return check.Check(file, o)
}

// wording puts a fault into the language asked for, and keeps what was said before it.
func wording(err error, lang string) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	before, _, _ := strings.Cut(err.Error(), f.Error())
	if lang == "zh" {
		return errors.New(before + f.Text.ZH)
	}
	return errors.New(before + f.Text.EN)
}

func (c *cli) write(out io.Writer, r *check.Report) error {
	if !c.JSON {
		return human(out, r, c.Lang)
	}
	line, err := r.JSON()
	if err != nil {
		return err
	}
	_, err = out.Write(append(line, '\n'))
	return err
}
