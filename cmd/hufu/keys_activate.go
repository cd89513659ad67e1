package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"hufu/internal/fault"
)

type keysActivateCommand struct {
	remote
	Seal   string   `arg:"" help:"Code of the seal."`
	Kind   []string `required:"" help:"Kind of document, may be given again: document, licence/ and a type." placeholder:"KIND"`
	Count  int      `help:"How many uses." default:"100"`
	Hours  int      `help:"How long." default:"8"`
	DryRun bool     `help:"Print what would be asked for, without the PIN, and change nothing."`
	JSON   bool     `help:"Print JSON."`
}

var errNoPIN = fault.New(fault.Invalid, "keys.no-pin",
	"Give the PIN at the terminal, or as one line on standard input.", "请在终端输入 PIN，或从标准输入给出一行。")

func (c *keysActivateCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	until := time.Now().Add(time.Duration(c.Hours) * time.Hour).UTC().Truncate(time.Second)
	order := map[string]any{"kinds": c.Kind, "count": c.Count, "until": until}
	if c.DryRun {
		return printJSON(con.out, map[string]any{"seal": c.Seal, "activation": order})
	}
	pin, err := secretLine(con, "PIN: ")
	if err == nil && len(pin) == 0 {
		err = errNoPIN
	}
	if err != nil {
		return err
	}
	defer clear(pin)
	order["pin"] = string(pin)
	var made struct {
		ID string `json:"id"`
	}
	if err := s.ask(con.ctx, http.MethodPost, "/api/v1/seals/"+url.PathEscape(c.Seal)+"/activations", order, &made); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, map[string]any{"id": made.ID, "seal": c.Seal, "kinds": c.Kind, "count": c.Count, "until": until})
	}
	fmt.Fprintf(con.out, "activation %s of seal %s: %d uses for %s until %s / 已设立常设激活\n",
		made.ID, c.Seal, c.Count, strings.Join(c.Kind, ", "), until.Local().Format(time.DateTime))
	return nil
}

// secretLine reads a secret without echo from a terminal, else as one line of standard input; none is none.
func secretLine(con *console, prompt string) ([]byte, error) {
	if term.IsTerminal(int(os.Stdin.Fd())) {
		return readHidden(con.ctx, os.Stdin, con.err, prompt)
	}
	line, err := bufio.NewReader(os.Stdin).ReadBytes('\n')
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return bytes.TrimRight(line, "\r\n"), err
}
