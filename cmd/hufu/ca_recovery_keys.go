package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"
)

type recoveryKeysCommand struct {
	remote
	Holder string `help:"Subject id; yourself, or whom you act for, if left out." placeholder:"ID"`
	JSON   bool   `help:"Print JSON."`
}

func (c *recoveryKeysCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	path := "/api/v1/encryption-keys"
	if c.Holder != "" {
		path += "?holder=" + url.QueryEscape(c.Holder)
	}
	var all items[struct {
		Key         string    `json:"key"`
		Serials     []string  `json:"serials"`
		Profile     string    `json:"profile,omitempty"`
		Public      string    `json:"public_sm3"`
		NotAfter    time.Time `json:"not_after,omitzero"`
		At          time.Time `json:"at"`
		Recoverable bool      `json:"recoverable"`
	}]
	if err := s.ask(con.ctx, http.MethodGet, path, nil, &all); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, all.Items)
	}
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "CERTIFICATES\tPROFILE\tSINCE\tUNTIL\tIN ESCROW")
	for _, k := range all.Items {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%t\n", orDash(strings.Join(k.Serials, " ")), orDash(k.Profile), k.At.Local().Format(time.DateOnly), k.NotAfter.Local().Format(time.DateOnly), k.Recoverable)
	}
	return w.Flush()
}

type recoveryPoolCommand struct {
	remote
	JSON bool `help:"Print JSON."`
}

func (c *recoveryPoolCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var p struct {
		Level int `json:"level"`
		Ready int `json:"ready"`
		Held  int `json:"held"`
	}
	if err := s.ask(con.ctx, http.MethodGet, "/api/v1/encryption-keys/pool", nil, &p); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, p)
	}
	fmt.Fprintf(con.out, "%d of %d pairs ready, %d keys in escrow / 密钥池 %d/%d，已托管 %d\n", p.Ready, p.Level, p.Held, p.Ready, p.Level, p.Held)
	return nil
}
