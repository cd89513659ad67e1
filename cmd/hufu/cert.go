package main

import (
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"
	"time"
)

// certCommands are about applications for certificates and what comes of them, by the API of a running server.
type certCommands struct {
	List   certListCommand `cmd:"" help:"List applications, newest first. Example: hufu cert list --state submitted"`
	Secret secretCommands  `cmd:"" help:"Work with the secrets with which devices enrol by CMP or EST."`
	RA     raCommands      `cmd:"" name:"ra" help:"Work with registration clients."`
	Show   certShowCommand `cmd:"" help:"Show an application. Example: hufu cert show ID"`
}

// application is what the API says of one.
type application struct {
	ID           string    `json:"id"`
	Profile      string    `json:"profile"`
	Holder       string    `json:"holder"`
	State        string    `json:"state"`
	Act          string    `json:"act,omitempty"`
	Replaces     string    `json:"replaces,omitempty"`
	Reason       string    `json:"reason,omitempty"`
	At           time.Time `json:"at"`
	Certificates []string  `json:"certificates,omitempty"`
}

type certListCommand struct {
	remote
	State string `help:"draft, submitted, approved, rejected, issued, delivered or withdrawn." placeholder:"STATE"`
	JSON  bool   `help:"Print JSON."`
}

func (c *certListCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	query := url.Values{}
	if c.State != "" {
		query.Set("state", c.State)
	}
	var all items[application]
	if err := s.ask(con.ctx, http.MethodGet, "/api/v1/applications?"+query.Encode(), nil, &all); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, all.Items)
	}
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tPROFILE\tHOLDER\tSTATE\tMADE")
	for _, a := range all.Items {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", a.ID, a.Profile, a.Holder, a.State, a.At.Local().Format(time.DateTime))
	}
	return w.Flush()
}

type certShowCommand struct {
	remote
	ID string `arg:"" help:"Id of the application."`
}

func (c *certShowCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var a map[string]any
	if err := s.ask(con.ctx, http.MethodGet, "/api/v1/applications/"+url.PathEscape(c.ID), nil, &a); err != nil {
		return err
	}
	return printJSON(con.out, a)
}
