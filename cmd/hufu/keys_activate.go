package main

import (
	"bufio"
	"bytes"
	"fmt"
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
	pin, err := ownerPIN(con)
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
	fmt.Fprintf(con.out, "activation %s of seal %s: %d uses for %s until %s\n",
		made.ID, c.Seal, c.Count, strings.Join(c.Kind, ", "), until.Local().Format(time.DateTime))
	return nil
}

// ownerPIN reads a PIN without echo from a terminal, else one line.
func ownerPIN(con *console) ([]byte, error) {
	if term.IsTerminal(int(os.Stdin.Fd())) {
		return readHidden(con.ctx, os.Stdin, con.err, "PIN: ")
	}
	line, err := bufio.NewReader(os.Stdin).ReadBytes('\n')
	pin := bytes.TrimRight(line, "\r\n")
	if len(pin) == 0 {
		return nil, errNoPIN.With("nothing read: %w", err)
	}
	return pin, nil
}
